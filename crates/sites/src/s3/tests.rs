//! The S3 face, with signed and anonymous requests.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::{call, service};
use crate::access::{Keys, KeysError};
use crate::tests::Place;
use axum::body::Body;
use headwater_model::iam::{AccessKey, Principal};
use headwater_model::policy::Policy;
use headwater_model::{Secret, Timestamp};
use hmac::{Hmac, Mac};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use s3s::service::S3Service;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;

const SECRET: &str = "a secret of the tests";
const TOKEN: &str = "a token of the tests";

/// A root key, keys of a role with a token, and an expired one.
struct Ring {
    role: Vec<Policy>,
}

#[async_trait::async_trait]
impl Keys for Ring {
    async fn access_key(&self, id: &str) -> Result<Option<AccessKey>, KeysError> {
        let role = || Principal::Role { role: "Uploader".into(), session: "fn".into() };
        let (principal, expires_at) = match id {
            "AKIAROOT" => (Principal::Root, None),
            "ASIAROLE" => (role(), None),
            "ASIAPAST" => (role(), Some(Timestamp::now().plus_ms(-1))),
            _ => return Ok(None),
        };
        Ok(Some(AccessKey {
            session_token: id.starts_with("ASIA").then(|| Secret::new(TOKEN)),
            expires_at,
            ..AccessKey::new(id, Secret::new(SECRET), principal, Timestamp(0))
        }))
    }

    async fn policies(&self, principal: &Principal) -> Result<Vec<Policy>, KeysError> {
        Ok(if matches!(principal, Principal::Role { .. }) { self.role.clone() } else { Vec::new() })
    }
}

struct Server {
    place: Place,
    service: S3Service,
}

/// Who signs a request.
#[derive(Clone, Copy)]
enum Who {
    Nobody,
    Key(&'static str, &'static str, Option<&'static str>),
}

const ROOT: Who = Who::Key("AKIAROOT", SECRET, None);
const ROLE: Who = Who::Key("ASIAROLE", SECRET, Some(TOKEN));

impl Server {
    /// A server whose role has these statements.
    async fn new(role: Value) -> Server {
        let place = Place::new().await;
        let role = vec![Policy::parse(&json!({"Statement": role})).unwrap()];
        let service = service(place.sites.clone(), Arc::new(Ring { role }));
        Server { place, service }
    }

    async fn send(&self, who: Who, method: Method, target: &str, body: &str) -> (StatusCode, String) {
        self.send_with(&[], who, method, target, body).await
    }

    /// Sends a request with more headers, which are signed.
    async fn send_with(
        &self,
        headers: &[(&'static str, &str)],
        who: Who,
        method: Method,
        target: &str,
        body: &str,
    ) -> (StatusCode, String) {
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", "127.0.0.1:4566")
            .header("content-length", body.len());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::from(body.to_owned())).unwrap();
        if let Who::Key(id, secret, token) = who {
            let more: Vec<&'static str> = headers.iter().map(|(name, _)| *name).collect();
            sign_with(&mut request, &more, id, secret, token);
        }
        let response = call(&self.service, request, "request-1").await;
        assert_eq!(response.headers()["x-amz-request-id"], "request-1");
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    /// Status and the error's code, if there is one.
    async fn code(&self, who: Who, method: Method, target: &str, body: &str) -> (u16, String) {
        let (status, text) = self.send(who, method, target, body).await;
        let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code);
        (status.as_u16(), code.unwrap_or_default().to_owned())
    }
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(text).finalize().into_bytes().to_vec()
}

/// Signature Version 4 with an unsigned payload. Source: S3 API reference, "Signature Calculations".
fn sign(request: &mut Request<Body>, id: &str, secret: &str, token: Option<&str>) {
    sign_with(request, &[], id, secret, token);
}

/// Signs more headers too.
fn sign_with(request: &mut Request<Body>, more: &[&'static str], id: &str, secret: &str, token: Option<&str>) {
    let now = Timestamp::now().iso_seconds().replace(['-', ':'], "");
    let date = &now[..8];
    let scope = format!("{date}/us-east-1/s3/aws4_request");
    let headers = request.headers_mut();
    headers.insert("x-amz-date", now.parse().unwrap());
    headers.insert("x-amz-content-sha256", "UNSIGNED-PAYLOAD".parse().unwrap());
    let mut signed = vec!["host", "x-amz-content-sha256", "x-amz-date"];
    if let Some(token) = token {
        headers.insert("x-amz-security-token", token.parse().unwrap());
        signed.push("x-amz-security-token");
    }
    signed.extend(more);
    signed.sort_unstable();
    let mut query: Vec<String> = request.uri().query().unwrap_or_default().split('&').map(str::to_owned).collect();
    for pair in query.iter_mut().filter(|pair| !pair.is_empty() && !pair.contains('=')) {
        pair.push('=');
    }
    query.sort();
    let canonical = format!(
        "{}\n{}\n{}\n{}\n{}\nUNSIGNED-PAYLOAD",
        request.method(),
        request.uri().path(),
        query.join("&"),
        signed.iter().map(|h| format!("{h}:{}\n", request.headers()[*h].to_str().unwrap())).collect::<String>(),
        signed.join(";"),
    );
    let text = format!("AWS4-HMAC-SHA256\n{now}\n{scope}\n{}", hex::encode(Sha256::digest(canonical)));
    let key = ["us-east-1", "s3", "aws4_request"]
        .iter()
        .fold(hmac(format!("AWS4{secret}").as_bytes(), date), |key, part| hmac(&key, part));
    let value = format!(
        "AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={}, Signature={}",
        signed.join(";"),
        hex::encode(hmac(&key, &text)),
    );
    request.headers_mut().insert("authorization", value.parse().unwrap());
}

/// The query of a signed address. Source: S3 API reference, "Authenticating Requests: Using Query Parameters".
fn presign(path: &str, id: &str, secret: &str, token: &str) -> String {
    let now = Timestamp::now().iso_seconds().replace(['-', ':'], "");
    let date = &now[..8];
    let query = format!(
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={id}%2F{date}%2Fus-east-1%2Fs3%2Faws4_request\
         &X-Amz-Date={now}&X-Amz-Expires=60&X-Amz-Security-Token={}&X-Amz-SignedHeaders=host",
        token.replace(' ', "%20"),
    );
    let canonical = format!("GET\n{path}\n{query}\nhost:127.0.0.1:4566\n\nhost\nUNSIGNED-PAYLOAD");
    let scope = format!("{date}/us-east-1/s3/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{now}\n{scope}\n{}", hex::encode(Sha256::digest(canonical)));
    let key = ["us-east-1", "s3", "aws4_request"]
        .iter()
        .fold(hmac(format!("AWS4{secret}").as_bytes(), date), |key, part| hmac(&key, part));
    format!("{path}?{query}&X-Amz-Signature={}", hex::encode(hmac(&key, &text)))
}

fn statement(effect: &str, action: &str, resource: &str) -> Value {
    json!({"Effect": effect, "Principal": "*", "Action": action, "Resource": resource})
}

#[tokio::test]
async fn the_owner_does_everything_and_a_stranger_nothing() {
    let server = Server::new(json!([])).await;
    assert_eq!(server.send(ROOT, Method::PUT, "/films", "").await.0, 200);
    assert_eq!(server.send(ROOT, Method::PUT, "/films/a%20b", "text").await.0, 200);
    assert_eq!(server.send(ROOT, Method::GET, "/films/a%20b", "").await, (StatusCode::OK, "text".into()));
    let (_, listing) = server.send(ROOT, Method::GET, "/films?list-type=2", "").await;
    assert!(listing.contains("<Key>a b</Key>") && listing.contains("<KeyCount>1</KeyCount>"), "{listing}");
    for (method, target) in [
        (Method::GET, "/"),
        (Method::GET, "/films"),
        (Method::GET, "/films/a%20b"),
        (Method::PUT, "/films/c"),
        (Method::DELETE, "/films/a%20b"),
        (Method::PUT, "/other"),
        (Method::DELETE, "/films"),
        (Method::GET, "/films?policy"),
    ] {
        let refused = server.code(Who::Nobody, method.clone(), target, "").await;
        assert_eq!(refused, (403, "AccessDenied".into()), "{method} {target}");
    }
    assert_eq!(server.send(ROOT, Method::GET, "/films/a%20b", "").await.1, "text");
}

#[tokio::test]
async fn what_signs_must_be_known_unexpired_and_whole() {
    let server = Server::new(json!([{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}])).await;
    for (who, expected) in [
        (ROLE, (200, "")),
        (Who::Key("AKIAROOT", "another secret", None), (403, "SignatureDoesNotMatch")),
        (Who::Key("AKIANONE", SECRET, None), (403, "InvalidAccessKeyId")),
        (Who::Key("ASIAPAST", SECRET, Some(TOKEN)), (400, "ExpiredToken")),
        (Who::Key("ASIAROLE", SECRET, None), (400, "InvalidToken")),
        (Who::Key("ASIAROLE", SECRET, Some("another token")), (400, "InvalidToken")),
        (Who::Key("AKIAROOT", SECRET, Some(TOKEN)), (400, "InvalidToken")),
    ] {
        let (status, code) = server.code(who, Method::GET, "/", "").await;
        assert_eq!((status, code.as_str()), expected);
    }
}

#[tokio::test]
async fn a_role_does_what_its_policies_or_the_buckets_allow() {
    let server = Server::new(json!([
        {"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject"], "Resource": "arn:aws:s3:::films/mine/*"},
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::films",
         "Condition": {"StringLike": {"s3:prefix": "mine/*"}}}
    ]))
    .await;
    server.place.bucket("films").await;
    server.place.put("films", "mine/a", "mine").await;
    server.place.put("films", "yours/a", "yours").await;
    let status = async |method: Method, target: &str| server.send(ROLE, method, target, "").await.0.as_u16();
    assert_eq!(status(Method::PUT, "/films/mine/b").await, 200);
    assert_eq!(status(Method::GET, "/films/mine/a").await, 200);
    assert_eq!(status(Method::GET, "/films/mine/none").await, 404);
    assert_eq!(status(Method::GET, "/films/yours/a").await, 403);
    assert_eq!(status(Method::DELETE, "/films/mine/a").await, 403);
    assert_eq!(status(Method::GET, "/films?list-type=2&prefix=mine%2F").await, 200);
    assert_eq!(status(Method::GET, "/films?list-type=2").await, 403);
    assert_eq!(status(Method::GET, "/").await, 403);
    assert_eq!(status(Method::HEAD, "/none-such").await, 404, "waiters look for a 404");
    let policy = json!({"Statement": [
        statement("Allow", "s3:GetObject", "arn:aws:s3:::films/yours/*"),
        statement("Deny", "s3:GetObject", "arn:aws:s3:::films/mine/*"),
    ]});
    server.place.sites.put_policy("films", policy).await.unwrap();
    assert_eq!(status(Method::GET, "/films/yours/a").await, 200);
    assert_eq!(status(Method::GET, "/films/mine/a").await, 403, "an explicit deny wins");
    assert_eq!(server.send(Who::Nobody, Method::GET, "/films/yours/a", "").await.1, "yours");
    let copy = |from: &str| {
        let mut request = Request::builder()
            .method(Method::PUT)
            .uri("/films/mine/copy")
            .header("host", "127.0.0.1:4566")
            .header("x-amz-copy-source", from)
            .body(Body::empty())
            .unwrap();
        sign(&mut request, "ASIAROLE", SECRET, Some(TOKEN));
        call(&server.service, request, "request-1")
    };
    assert_eq!(copy("films/yours/a").await.status(), 200);
    assert_eq!(copy("/films/mine/a").await.status(), 403, "who may not read it cannot copy it");
}

#[tokio::test]
async fn each_key_of_a_multi_object_delete_is_judged_by_itself() {
    let server =
        Server::new(json!({"Effect": "Allow", "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::films/mine/*"}))
            .await;
    server.place.bucket("films").await;
    server.place.put("films", "mine/a", "").await;
    server.place.put("films", "yours/a", "").await;
    let body = "<Delete><Object><Key>mine/a</Key></Object><Object><Key>yours/a</Key></Object>\
                <Object><Key>mine/none</Key></Object></Delete>";
    let (status, text) = server.send(ROLE, Method::POST, "/films?delete", body).await;
    assert_eq!(status, 200, "{text}");
    assert_eq!(text.matches("<Deleted>").count(), 2, "{text}");
    assert!(text.contains("<Code>AccessDenied</Code>") && text.contains("<Key>yours/a</Key>"), "{text}");
    let left = server.place.sites.list_objects("films", Default::default()).await.unwrap().objects;
    assert_eq!(left.into_iter().map(|object| object.key).collect::<Vec<_>>(), ["yours/a"]);
}

#[tokio::test]
async fn nobody_is_locked_out_of_their_own_buckets_policy() {
    let server = Server::new(json!([])).await;
    server.place.bucket("films").await;
    let all = json!({"Statement": {"Effect": "Deny", "Principal": "*", "Action": "s3:*",
                                   "Resource": ["arn:aws:s3:::films", "arn:aws:s3:::films/*"]}});
    assert_eq!(server.send(ROOT, Method::PUT, "/films?policy", &all.to_string()).await.0, 204);
    assert_eq!(server.code(ROOT, Method::PUT, "/films/a", "").await, (403, "AccessDenied".into()));
    let (status, text) = server.send(ROOT, Method::GET, "/films?policy", "").await;
    assert_eq!((status.as_u16(), serde_json::from_str::<Value>(&text).unwrap()), (200, all));
    assert_eq!(server.send(ROOT, Method::DELETE, "/films?policy", "").await.0, 204);
    assert_eq!(server.send(ROOT, Method::PUT, "/films/a", "").await.0, 200);
    let broken = server.send(ROOT, Method::PUT, "/films?policy", "{\"Statement\":{\"Effect\":\"Maybe\"}}").await;
    assert_eq!(broken.0, 400);
    assert!(broken.1.contains("Statement.Effect"), "the answer names what is wrong: {}", broken.1);
}

#[tokio::test]
async fn announced_checksums_are_verified_and_returned() {
    let server = Server::new(json!([])).await;
    server.place.bucket("films").await;
    let put = |sum: &str| {
        let mut request = Request::builder()
            .method(Method::PUT)
            .uri("/films/a")
            .header("host", "127.0.0.1:4566")
            .header("x-amz-checksum-crc32", sum)
            .body(Body::from("hello"))
            .unwrap();
        sign(&mut request, "AKIAROOT", SECRET, None);
        call(&server.service, request, "request-1")
    };
    // CRC-32 of "hello" is 3610a686.
    assert_eq!(put("NhCmhg==").await.headers()["x-amz-checksum-crc32"], "NhCmhg==");
    assert_eq!(put("AAAAAA==").await.status(), 400);
    let mut request = Request::builder()
        .uri("/films/a")
        .header("host", "127.0.0.1:4566")
        .header("x-amz-checksum-mode", "ENABLED")
        .body(Body::empty())
        .unwrap();
    sign(&mut request, "AKIAROOT", SECRET, None);
    let response = call(&server.service, request, "request-1").await;
    assert_eq!(response.headers()["x-amz-checksum-crc32"], "NhCmhg==");
}

#[tokio::test]
async fn every_error_has_a_sentence() {
    let server = Server::new(json!([])).await;
    server.place.bucket("films").await;
    let long = format!("/films/{}", "k".repeat(1025));
    let wrong = Who::Key("AKIAROOT", "another secret", None);
    for (who, method, target, body, code) in [
        (wrong, Method::GET, "/films", "", "SignatureDoesNotMatch"),
        (ROOT, Method::PUT, "/Films_", "", "InvalidBucketName"),
        (ROOT, Method::PUT, "/ab", "", "InvalidBucketName"),
        (ROOT, Method::PUT, long.as_str(), "", "KeyTooLongError"),
        (ROOT, Method::POST, "/films?delete", "no XML", "MalformedXML"),
        (ROOT, Method::GET, "/films?encryption", "", "NotImplemented"),
    ] {
        let (status, text) = server.send(who, method, target, body).await;
        assert!(status.is_client_error() || status == 501, "{target}: {status}");
        assert!(text.contains(&format!("<Code>{code}</Code><Message>")), "{target}: {text}");
        assert!(!text.contains("<Message></Message>"), "{target}: {text}");
        assert_eq!(text.matches("<Message>").count(), 1, "{text}");
    }
}

#[tokio::test]
async fn the_acl_is_the_owners() {
    let server = Server::new(json!([])).await;
    server.place.bucket("films").await;
    server.place.put("films", "a", "text").await;
    for target in ["/films?acl", "/films/a?acl"] {
        let (status, text) = server.send(ROOT, Method::GET, target, "").await;
        assert_eq!(status, 200, "{text}");
        assert!(text.contains("<Permission>FULL_CONTROL</Permission>") && text.contains("CanonicalUser"), "{text}");
        assert_eq!(text.matches("<Grant>").count(), 1, "{text}");
        // What was read may be written, and nothing that lets others in.
        let list = text.replace("GetBucketAclOutput", "AccessControlPolicy");
        assert_eq!(server.send(ROOT, Method::PUT, target, &list).await.0, 200);
        let (status, text) = server.send(ROOT, Method::PUT, target, &list.replace("FULL_CONTROL", "READ")).await;
        assert!(status == 501 && text.contains("bucket policy"), "{text}");
        let (status, text) = server.send_with(&[("x-amz-acl", "public-read")], ROOT, Method::PUT, target, "").await;
        assert!(status == 501 && text.contains("bucket policy"), "{text}");
        assert_eq!(server.send_with(&[("x-amz-acl", "private")], ROOT, Method::PUT, target, "").await.0, 200);
    }
    for (target, code) in [("/films/b?acl", "NoSuchKey"), ("/other?acl", "NoSuchBucket")] {
        let (status, text) = server.send(ROOT, Method::GET, target, "").await;
        assert!(status == 404 && text.contains(code), "{text}");
    }
}

#[tokio::test]
async fn an_acl_that_would_let_others_in_is_refused() {
    let server = Server::new(json!([])).await;
    server.place.bucket("films").await;
    server.place.put("films", "a", "text").await;
    for (method, target, source) in [
        (Method::PUT, "/other", None),
        (Method::PUT, "/films/b", None),
        (Method::PUT, "/films/c", Some("/films/a")),
        (Method::POST, "/films/d?uploads", None),
    ] {
        let send = async |name: &'static str, value: &str| {
            let mut headers = vec![(name, value)];
            headers.extend(source.map(|source| ("x-amz-copy-source", source)));
            server.send_with(&headers, ROOT, method.clone(), target, "").await
        };
        for (name, value) in [("x-amz-acl", "public-read"), ("x-amz-acl", "odd"), ("x-amz-grant-read", "id=\"1\"")] {
            let (status, text) = send(name, value).await;
            assert_eq!(status, 501, "{target} {name}: {text}");
            assert!(text.contains("<Code>NotImplemented</Code>") && text.contains("bucket policy"), "{text}");
        }
        let there = server.send(ROOT, Method::HEAD, target.split('?').next().unwrap(), "").await;
        assert_eq!(there.0, 404, "nothing was made at {target}");
        let acl = if target == "/films/b" { "bucket-owner-full-control" } else { "private" };
        let (status, text) = send("x-amz-acl", acl).await;
        assert_eq!(status, 200, "{target}: {text}");
    }
    assert_eq!(server.send(ROOT, Method::PUT, "/films/e?X-Amz-Acl=public-read", "").await.0, 501);
}

#[tokio::test]
async fn a_multi_object_delete_tells_what_became_of_each_key_or_deletes_none() {
    let server = Server::new(json!([])).await;
    server.place.bucket("films").await;
    let delete = |keys: [&str; 2]| {
        let objects: String = keys.iter().map(|key| format!("<Object><Key>{key}</Key></Object>")).collect();
        format!("<Delete>{objects}</Delete>")
    };
    for key in ["a\u{1}b", "a\u{b}b", "\u{fffe}", "a&#1;b"] {
        server.place.put("films", "plain", "text").await;
        let refused = server.code(ROOT, Method::POST, "/films?delete", &delete(["plain", key])).await;
        assert_eq!(refused, (400, "MalformedXML".into()), "{key:?}");
        assert_eq!(server.send(ROOT, Method::GET, "/films/plain", "").await.0, 200, "{key:?} deleted the other");
    }
    for key in ["cr&#13;x", "cr&#xD;x", "cr\rx"] {
        server.place.put("films", "cr\rx", "text").await;
        let (status, text) = server.send(ROOT, Method::POST, "/films?delete", &delete(["plain", key])).await;
        assert_eq!(status, 200, "{text}");
        assert!(text.contains("<Deleted><Key>cr&#13;x</Key></Deleted>"), "{text}");
        assert_eq!(server.send(ROOT, Method::GET, "/films/cr%0Dx", "").await.0, 404);
    }
    assert_eq!(server.send(ROOT, Method::PUT, "/films/a%01b", "text").await.0, 200);
    let (_, listing) = server.send(ROOT, Method::GET, "/films", "").await;
    assert!(listing.contains("<Key>a\u{fffd}b</Key>"), "a parser takes it: {listing}");
    let (_, listing) = server.send(ROOT, Method::GET, "/films?encoding-type=url", "").await;
    assert!(listing.contains("<Key>a%01b</Key>"), "{listing}");
    assert_eq!(server.send(ROOT, Method::DELETE, "/films/a%01b", "").await.0, 204);
}

#[tokio::test]
async fn a_range_that_says_nothing_is_ignored_and_a_long_number_is_past_the_end() {
    let server = Server::new(json!([])).await;
    server.place.bucket("films").await;
    server.place.put("films", "a", "0123456789").await;
    for (range, status, body) in [
        ("bytes=2-4", 206, "234"),
        ("foo=1", 200, "0123456789"),
        ("bytes=5-2", 200, "0123456789"),
        ("bytes=0-1,3-4", 200, "0123456789"),
        ("bytes=8-99999999999999999999999", 206, "89"),
        ("bytes=-99999999999999999999999", 206, "0123456789"),
        ("bytes=99999999999999999999999-", 416, "InvalidRange"),
        ("bytes=9223372036854775808-", 416, "InvalidRange"),
    ] {
        let (got, text) = server.send_with(&[("range", range)], ROOT, Method::GET, "/films/a", "").await;
        assert_eq!(got.as_u16(), status, "{range}: {text}");
        assert!(if status == 416 { text.contains(body) } else { text == body }, "{range}: {text}");
        let (got, _) = server.send_with(&[("range", range)], ROOT, Method::HEAD, "/films/a", "").await;
        assert_eq!(got.as_u16(), status, "HEAD with {range}");
    }
}

#[tokio::test]
async fn a_range_to_be_ignored_does_not_get_around_signatures_and_policies() {
    let server = Server::new(json!([
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::films/mine"}
    ]))
    .await;
    server.place.bucket("films").await;
    server.place.put("films", "mine", "text").await;
    server.place.put("films", "yours", "text").await;
    for (who, target, status) in [
        (ROLE, "/films/mine", 200),
        (ROLE, "/films/yours", 403),
        (Who::Nobody, "/films/mine", 403),
        (Who::Key("AKIAROOT", "another secret", None), "/films/mine", 403),
        (Who::Key("ASIAROLE", SECRET, None), "/films/mine", 400),
        (Who::Key("ASIAPAST", SECRET, Some(TOKEN)), "/films/mine", 400),
    ] {
        let (got, text) = server.send_with(&[("range", "foo=1")], who, Method::GET, target, "").await;
        assert_eq!(got.as_u16(), status, "{target}: {text}");
    }
    for (path, secret, token, status) in [
        ("/films/mine", SECRET, TOKEN, 200),
        ("/films/yours", SECRET, TOKEN, 403),
        ("/films/mine", "another secret", TOKEN, 403),
        ("/films/mine", SECRET, "another token", 400),
    ] {
        let target = presign(path, "ASIAROLE", secret, token);
        for headers in [&[][..], &[("range", "foo=1")], &[("range", "bytes=0-1,3-4")]] {
            let (got, text) = server.send_with(headers, Who::Nobody, Method::GET, &target, "").await;
            assert_eq!(got.as_u16(), status, "{target} with {headers:?}: {text}");
        }
    }
}

#[tokio::test]
async fn an_object_that_is_xml_comes_back_as_it_was_put() {
    let server = Server::new(json!([])).await;
    server.place.bucket("films").await;
    let headers = [("content-type", "application/xml")];
    let text = "<Error>a\r\u{1}</Error>";
    assert_eq!(server.send_with(&headers, ROOT, Method::PUT, "/films/a.xml", text).await.0, 200);
    assert_eq!(server.send(ROOT, Method::GET, "/films/a.xml", "").await, (StatusCode::OK, text.into()));
}
