//! Calls to the running server's native API, signed with the owner's key.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use headwater_gateway::sigv4;
use headwater_model::Timestamp;
use http::Request;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::server_file::{Addresses, Credentials, read_addresses, read_credentials};

/// Longest answer that is read: a page of events or log lines is far below it.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// How long a call may take beyond what it asked the server to wait.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the server is asked to wait for something new.
pub const LONG_POLL: Duration = Duration::from_secs(20);

/// What the server says of a request that it refused.
#[derive(Debug, thiserror::Error)]
#[error("{message}{}", problems.iter().map(|p| format!("\n  {p}")).collect::<String>())]
pub struct Refused {
    /// Machine-readable.
    pub code: String,
    /// For people.
    pub message: String,
    /// One line for each mistake of a template.
    pub problems: Vec<String>,
}

/// The running server.
#[derive(Clone)]
pub struct Client {
    http: HttpClient<HttpConnector, Full<Bytes>>,
    addresses: Addresses,
    credentials: Credentials,
}

impl Client {
    /// Finds the server that runs on a data folder.
    ///
    /// # Errors
    /// If none runs there.
    pub fn of(data: &Path) -> anyhow::Result<Client> {
        let Some(addresses) = read_addresses(data) else {
            bail!(
                "no server runs on the data folder {}: start one with headwater serve or headwater up",
                data.display()
            );
        };
        let credentials = read_credentials(data)?;
        Ok(Client { http: HttpClient::builder(TokioExecutor::new()).build_http(), addresses, credentials })
    }

    /// Calls `POST /_headwater/v1/OPERATION`.
    ///
    /// # Errors
    /// [`Refused`] if the server says no; otherwise what went wrong on the way.
    pub async fn call<T: DeserializeOwned>(&self, operation: &str, input: Value) -> anyhow::Result<T> {
        let body = Bytes::from(serde_json::to_vec(&input)?);
        let path = format!("/_headwater/v1/{operation}");
        let host = self.addresses.api_url.trim_start_matches("http://").to_string();
        let signer = sigv4::Signer {
            access_key_id: self.credentials.access_key_id.clone(),
            secret_access_key: self.credentials.secret_access_key.clone(),
            session_token: None,
            region: self.credentials.region.clone(),
            service: "headwater".into(),
        };
        let mut headers = http::HeaderMap::new();
        headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        let target = sigv4::Target { method: "POST", path: &path, query: "", headers: &headers, host: &host };
        let mut request = Request::post(format!("{}{path}", self.addresses.api_url));
        for (name, value) in sigv4::sign(&signer, target, &body, Timestamp::now()) {
            request = request.header(name, value);
        }
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body))?;
        let wait = Duration::from_millis(input["wait_ms"].as_u64().unwrap_or(0));
        let answer = tokio::time::timeout(CALL_TIMEOUT + wait, self.http.request(request))
            .await
            .with_context(|| format!("the server at {} did not answer {operation}", self.addresses.api_url))?
            .with_context(|| format!("reach the server at {}", self.addresses.api_url))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(anyhow::Error::from_boxed).context("read the server's answer")?.to_bytes();
        if status.is_success() {
            return serde_json::from_slice(&body).with_context(|| format!("read the server's answer to {operation}"));
        }
        let error: Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = |name: &str| error["error"][name].as_str().map(str::to_string);
        let problems = error["error"]["problems"].as_array().into_iter().flatten();
        Err(Refused {
            code: text("code").unwrap_or_else(|| status.to_string()),
            message: text("message").unwrap_or_else(|| format!("the server answered {status}")),
            problems: problems.filter_map(|p| p.as_str().map(str::to_string)).collect(),
        }
        .into())
    }
}
