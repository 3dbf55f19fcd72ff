//! The whole gateway over a store in memory: signed requests in, raw answers out.

#![allow(clippy::unwrap_used, reason = "tests")]

use crate::sigv4::{self, Signer, Target};
use crate::{Gateway, Limits, Parts, router};
use axum::body::Body;
use axum::response::Response;
use headwater_control::Control;
use headwater_control::testing::{Bench, bench};
use headwater_model::Timestamp;
use headwater_model::iam::{AccessKey, Principal};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tower::ServiceExt;

mod client_configuration;
mod cloudformation;
mod door;
mod iam;
mod ivs;

/// A gateway with its owner's key.
struct Server {
    bench: Bench,
    root: AccessKey,
}

/// An answer, read.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn error_type(&self) -> &str {
        self.headers.get("x-amzn-errortype").map_or("", |value| value.to_str().unwrap())
    }

    /// Text of the first element of this name.
    fn element(&self, name: &str) -> &str {
        let (_, rest) = self.text.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("{name}: {}", self.text));
        rest.split_once(&format!("</{name}>")).unwrap().0
    }
}

/// Everything that all tests of this process log, at every level.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn logged() -> String {
    String::from_utf8_lossy(&LOG.lock().unwrap()).into_owned()
}

async fn server() -> Server {
    // The first test's call counts. One subscriber for all: what is logged on other threads is caught too.
    let _ =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(|| Log).with_ansi(false).try_init();
    let bench = bench().await;
    let root = bench.control.credentials().root().await.unwrap();
    Server { bench, root }
}

impl Server {
    fn control(&self) -> &Control {
        &self.bench.control
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let gateway = Gateway::new(Parts {
            control: self.control().clone(),
            s3: None,
            limits: Limits::default(),
            requests: Arc::default(),
            metrics: None,
        });
        let response: Response = router(gateway).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    /// A request signed with a key for a service of the server's Region.
    fn signed(
        &self,
        key: &AccessKey,
        service: &str,
        method: &str,
        path_and_query: &str,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> Request<Body> {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let signer = Signer {
            access_key_id: key.access_key_id.clone(),
            secret_access_key: key.secret_access_key.clone(),
            session_token: key.session_token.clone(),
            region: self.control().realm().region.clone(),
            service: service.into(),
        };
        let target = Target { method, path, query, headers: &map, host: "127.0.0.1:4566" };
        for (name, value) in sigv4::sign(&signer, target, body.as_bytes(), Timestamp::now()) {
            map.insert(name, value.parse().unwrap());
        }
        map.insert("host", "127.0.0.1:4566".parse().unwrap());
        let mut request =
            Request::builder().method(method).uri(path_and_query).body(Body::from(body.to_owned())).unwrap();
        *request.headers_mut() = map;
        request
    }

    async fn ivs(&self, operation: &str, input: Value) -> Answer {
        self.ivs_as(&self.root, operation, input).await
    }

    async fn ivs_as(&self, key: &AccessKey, operation: &str, input: Value) -> Answer {
        let path = format!("/{operation}");
        let json = [("content-type", "application/json")];
        self.send(self.signed(key, "ivs", "POST", &path, &json, &input.to_string())).await
    }

    async fn query(&self, key: &AccessKey, service: &str, form: &[(&str, &str)]) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        self.send(self.signed(key, service, "POST", "/", &headers, &body)).await
    }

    async fn native(&self, operation: &str, input: Value) -> Answer {
        let path = format!("/_headwater/v1/{operation}");
        self.send(self.signed(&self.root, "headwater", "POST", &path, &[], &input.to_string())).await
    }

    /// A temporary key of a fresh role with one inline policy.
    async fn role_key(&self, name: &str, actions: Value, resource: &str) -> AccessKey {
        use headwater_control::iam::roles::{NewRole, create_role, put_role_policy};
        let now = Timestamp::now();
        let trust = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]});
        let new = NewRole { name: name.into(), assume_role_policy: trust, ..NewRole::default() };
        let role = create_role(self.control(), new, now).await.unwrap();
        let policy = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": actions, "Resource": resource}]});
        put_role_policy(self.control(), name, "p", &policy).await.unwrap();
        self.control().credentials().role_session(&role.arn, "session", 900, now).await.unwrap()
    }

    async fn user_key(&self, name: &str) -> AccessKey {
        let user = headwater_control::iam::users::create_user(self.control(), name, None, Timestamp::now()).await;
        let principal = Principal::User { user: user.unwrap().name };
        self.control().credentials().issue(principal).await.unwrap()
    }
}
