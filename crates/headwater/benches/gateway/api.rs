//! Signed calls on connections that are kept open.

use crate::server::Server;
use bytes::Bytes;
use headwater_gateway::sigv4::{Signer, Target, sign};
use headwater_model::{Secret, Timestamp};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// Who calls where.
#[derive(Clone)]
pub struct Api {
    pub port: u16,
    pub signer: Signer,
}

impl Api {
    pub fn new(server: &Server) -> Api {
        let (access_key_id, secret) = server.key.clone();
        let signer = Signer {
            access_key_id,
            secret_access_key: Secret::new(secret),
            session_token: None,
            region: "us-east-1".into(),
            service: "ivs".into(),
        };
        Api { port: server.api_port, signer }
    }
}

/// A channel with its stream key.
#[derive(Clone)]
pub struct Channel {
    pub arn: String,
    pub key: String,
    pub playback_path: String,
}

/// One connection.
pub struct Caller {
    api: Api,
    host: String,
    connection: SendRequest<Full<Bytes>>,
}

impl Caller {
    pub async fn open(api: &Api) -> Caller {
        let host = format!("127.0.0.1:{}", api.port);
        let stream = TcpStream::connect(&host).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (connection, work) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(work);
        Caller { api: api.clone(), host, connection }
    }

    /// One signed call; status and body.
    pub async fn ivs(&mut self, operation: &str, body: &str) -> (u16, String) {
        let signer = self.api.signer.clone();
        self.send(&signer, &format!("/{operation}"), "application/json", body).await
    }

    async fn send(&mut self, signer: &Signer, path: &str, content_type: &str, body: &str) -> (u16, String) {
        let mut headers = http::HeaderMap::new();
        headers.insert("content-type", content_type.parse().unwrap());
        let target = Target { method: "POST", path, query: "", headers: &headers, host: &self.host };
        for (name, value) in sign(signer, target, body.as_bytes(), Timestamp::now()) {
            headers.insert(name, value.parse().unwrap());
        }
        headers.insert("host", self.host.parse().unwrap());
        let mut request = http::Request::post(path).body(Full::from(body.to_owned())).unwrap();
        *request.headers_mut() = headers;
        self.connection.ready().await.unwrap();
        let answer = self.connection.send_request(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    pub async fn create_channel(&mut self, name: &str) -> Channel {
        let input = json!({"name": name, "type": "BASIC", "insecureIngest": true}).to_string();
        let (status, text) = self.ivs("CreateChannel", &input).await;
        assert_eq!(status, 200, "{text}");
        let made: Value = serde_json::from_str(&text).unwrap();
        let member = |value: &Value| value.as_str().unwrap().to_owned();
        let playback = member(&made["channel"]["playbackUrl"]);
        Channel {
            arn: member(&made["channel"]["arn"]),
            key: member(&made["streamKey"]["value"]),
            playback_path: format!("/{}", playback.splitn(4, '/').nth(3).unwrap()),
        }
    }

    /// A user that may read what is live, with its key.
    pub async fn create_user(&mut self) -> Signer {
        let policy = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["ivs:Get*", "ivs:List*"], "Resource": "*"},
            {"Effect": "Deny", "Action": "ivs:*", "Resource": "*",
             "Condition": {"NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}}},
        ]});
        let managed = "arn:aws:iam::aws:policy/IVSReadOnlyAccess";
        self.iam(&[("Action", "CreateUser"), ("UserName", "bench")]).await;
        let document = policy.to_string();
        let put =
            [("Action", "PutUserPolicy"), ("UserName", "bench"), ("PolicyName", "p"), ("PolicyDocument", &document)];
        self.iam(&put).await;
        self.iam(&[("Action", "AttachUserPolicy"), ("UserName", "bench"), ("PolicyArn", managed)]).await;
        let made = self.iam(&[("Action", "CreateAccessKey"), ("UserName", "bench")]).await;
        let element = |name: &str| {
            let (_, rest) = made.split_once(&format!("<{name}>")).unwrap();
            rest.split_once('<').unwrap().0.to_owned()
        };
        Signer {
            access_key_id: element("AccessKeyId"),
            secret_access_key: Secret::new(element("SecretAccessKey")),
            ..self.api.signer.clone()
        }
    }

    async fn iam(&mut self, form: &[(&str, &str)]) -> String {
        let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let body: Vec<String> = form.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let signer = Signer { service: "iam".into(), ..self.api.signer.clone() };
        let (status, text) = self.send(&signer, "/", "application/x-www-form-urlencoded", &body.join("&")).await;
        assert_eq!(status, 200, "{text}");
        text
    }
}
