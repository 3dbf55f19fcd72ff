//! Signatures against AWS' own signer for Rust, and against a published example.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings, UriPathNormalizationMode,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use headwater_model::iam::{AccessKey, Principal};
use headwater_model::{Secret, Timestamp};
use http::HeaderMap;
use proptest::prelude::*;
use std::time::{Duration, SystemTime};

const NOW: Timestamp = Timestamp(1_795_498_182_000);

fn key(token: Option<&str>) -> AccessKey {
    let secret = Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    AccessKey {
        session_token: token.map(Secret::new),
        expires_at: token.map(|_| NOW.plus_ms(3_600_000)),
        ..AccessKey::new("AKIAIOSFODNN7EXAMPLE", secret, Principal::Root, NOW)
    }
}

/// A request as it goes over the wire.
#[derive(Clone, Debug)]
struct Sent {
    method: &'static str,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Sent {
    fn new(method: &'static str, path: &str, query: &str, body: &[u8]) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/json".parse().unwrap());
        Sent { method, path: path.into(), query: query.into(), headers, body: body.into() }
    }

    fn target(&self) -> Target<'_> {
        let Sent { method, path, query, headers, .. } = self;
        Target { method, path, query, headers, host: "127.0.0.1:4566" }
    }

    /// What we make of it at a time.
    fn verified(&self, key: &AccessKey, now: Timestamp) -> Result<(), SignatureError> {
        let presented = presented(&self.headers, &self.query)?.expect("it is signed");
        verify(&presented, self.target(), &Bytes::copy_from_slice(&self.body), key, now).map(|_| ())
    }

    /// Signed by AWS' signer.
    fn signed_by_aws(mut self, key: &AccessKey, service: &str, location: SignatureLocation) -> Self {
        let identity = aws_credential_types::Credentials::new(
            &key.access_key_id,
            key.secret_access_key.expose(),
            key.session_token.as_ref().map(|token| token.expose().to_string()),
            None,
            "test",
        )
        .into();
        let mut settings = SigningSettings::default();
        settings.signature_location = location;
        if location == SignatureLocation::QueryParams {
            settings.expires_in = Some(Duration::from_secs(60));
        }
        if service == "s3" {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name(service)
            .time(SystemTime::UNIX_EPOCH + Duration::from_millis(NOW.0 as u64))
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let separator = if self.query.is_empty() { "" } else { "?" };
        let url = format!("http://127.0.0.1:4566{}{separator}{}", self.path, self.query);
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
        let headers: Vec<(&str, &str)> = headers.chain([("host", "127.0.0.1:4566")]).collect();
        let signable =
            SignableRequest::new(self.method, url.clone(), headers.into_iter(), SignableBody::Bytes(&self.body))
                .unwrap();
        let (instructions, _) = aws_sigv4::http_request::sign(signable, &params).unwrap().into_parts();
        let mut request = http::Request::builder().method(self.method).uri(&url).body(()).unwrap();
        *request.headers_mut() = self.headers.clone();
        instructions.apply_to_request_http1x(&mut request);
        self.headers = request.headers().clone();
        self.query = request.uri().query().unwrap_or("").into();
        self
    }

    /// Signed by our own signer.
    fn signed_by_us(mut self, key: &AccessKey, service: &str) -> Self {
        for (name, value) in sign(&signer(key, service), self.target(), &self.body, NOW) {
            self.headers.insert(name, value.parse().unwrap());
        }
        self
    }
}

fn signer(key: &AccessKey, service: &str) -> Signer {
    Signer {
        access_key_id: key.access_key_id.clone(),
        secret_access_key: key.secret_access_key.clone(),
        session_token: key.session_token.clone(),
        region: "us-east-1".into(),
        service: service.into(),
    }
}

/// Paths and queries that canonicalisation has to get right.
fn subtle() -> Vec<Sent> {
    let arn = "arn%3Aaws%3Aivs%3Aus-east-1%3A000000000000%3Achannel%2FabCD";
    vec![
        Sent::new("POST", "/ListChannels", "", b"{}"),
        Sent::new("GET", &format!("/tags/{arn}"), "", b""),
        Sent::new("DELETE", &format!("/tags/{arn}"), "tagKeys=b&tagKeys=a&tagKeys=a%20b", b""),
        Sent::new("GET", "/", "Empty=&a=1&A=2&a=0", b""),
        Sent::new("GET", "/2015-03-31/functions/f%20g/invocations", "Qualifier=%24LATEST", b""),
        Sent::new("GET", "/a/../b/./c//d/", "x=%2B%3D%26&%C3%A9=1", b""),
        Sent::new("POST", "/", "", "Action=CreateStack&TemplateBody=%7B%7D".as_bytes()),
        Sent::new("PUT", "/~user/a-b_c.d", "q=*()'!", b"body"),
    ]
}

#[test]
fn what_aws_signer_signs_in_headers_stands() {
    for token in [None, Some("the token+/=")] {
        for sent in subtle() {
            let signed = sent.signed_by_aws(&key(token), "ivs", SignatureLocation::Headers);
            assert_eq!(signed.verified(&key(token), NOW), Ok(()), "{signed:?}");
        }
    }
}

#[test]
fn what_aws_signer_signs_in_the_query_stands() {
    for token in [None, Some("the token+/=")] {
        for sent in subtle().into_iter().filter(|sent| sent.body.is_empty()) {
            let signed = sent.signed_by_aws(&key(token), "lambda", SignatureLocation::QueryParams);
            assert_eq!(signed.verified(&key(token), NOW), Ok(()), "{signed:?}");
        }
    }
}

#[test]
fn object_keys_are_encoded_once_and_not_normalised() {
    for path in ["/bucket/a%20b/../c//d", "/bucket/%C3%A9%2B", "/bucket/"] {
        let signed =
            Sent::new("GET", path, "list-type=2", b"").signed_by_aws(&key(None), "s3", SignatureLocation::Headers);
        assert_eq!(signed.verified(&key(None), NOW), Ok(()), "{path}");
    }
}

#[test]
fn our_signatures_are_those_of_aws_signer() {
    for sent in subtle() {
        let ours = sent.clone().signed_by_us(&key(Some("token")), "headwater");
        assert_eq!(ours.verified(&key(Some("token")), NOW), Ok(()), "{sent:?}");
        // AWS' signer over the same headers must come to the same signature.
        let mut unsigned = ours.clone();
        unsigned.headers.remove("authorization");
        unsigned.headers.remove("x-amz-date");
        unsigned.headers.remove("x-amz-security-token");
        let theirs = unsigned.signed_by_aws(&key(Some("token")), "headwater", SignatureLocation::Headers);
        assert_eq!(ours.headers["authorization"], theirs.headers["authorization"], "{sent:?}");
    }
}

#[test]
fn our_presigned_urls_stand_for_their_time() {
    for service in ["s3", "lambda"] {
        let mut sent = Sent::new("GET", "/bucket/key", "versionId=a%20b", b"");
        sent.query = presign(&signer(&key(Some("t+/=")), service), sent.target(), 60, NOW);
        let key = key(Some("t+/="));
        assert_eq!(sent.verified(&key, NOW.plus_ms(59_000)), Ok(()));
        assert!(matches!(sent.verified(&key, NOW.plus_ms(61_000)), Err(SignatureError::Expired { .. })));
    }
}

/// S3 API reference, "Examples: Signature Calculations", "GET Object": keys, date, headers and the resulting signature.
#[test]
fn the_published_example_has_its_published_signature() {
    let mut headers = HeaderMap::new();
    headers.insert("range", "bytes=0-9".parse().unwrap());
    headers.insert("x-amz-date", "20130524T000000Z".parse().unwrap());
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    headers.insert("x-amz-content-sha256", empty.parse().unwrap());
    headers.insert(
        "authorization",
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
         SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
         Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
            .parse()
            .unwrap(),
    );
    let target = Target {
        method: "GET",
        path: "/test.txt",
        query: "",
        headers: &headers,
        host: "examplebucket.s3.amazonaws.com",
    };
    let mut example = key(None);
    example.secret_access_key = Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    let presented = presented(&headers, "").unwrap().unwrap();
    let then = Timestamp(1_369_353_600_000);
    assert_eq!(verify(&presented, target, &Bytes::new(), &example, then), Ok(Bytes::new()));
}

/// The same chapter's presigned example: 24 hours, payload not signed.
#[test]
fn the_published_presigned_example_has_its_published_signature() {
    let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256\
                 &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
                 &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
                 &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
    let headers = HeaderMap::new();
    let host = "examplebucket.s3.amazonaws.com";
    let target = Target { method: "GET", path: "/test.txt", query, headers: &headers, host };
    let mut example = key(None);
    example.secret_access_key = Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    let presented = presented(&headers, query).unwrap().unwrap();
    assert_eq!(verify(&presented, target, &Bytes::new(), &example, Timestamp(1_369_353_600_000)), Ok(Bytes::new()));
}

#[test]
fn a_change_of_anything_signed_is_a_mismatch() {
    let sent = Sent::new("POST", "/PutMetadata", "a=1", b"{\"metadata\":\"x\"}");
    let signed = sent.signed_by_us(&key(None), "ivs");
    let refused = |changed: &Sent| {
        let result = changed.verified(&key(None), NOW);
        assert!(matches!(result, Err(SignatureError::Mismatch | SignatureError::Payload)), "{changed:?}: {result:?}");
    };
    refused(&Sent { method: "PUT", ..signed.clone() });
    refused(&Sent { path: "/StopStream".into(), ..signed.clone() });
    refused(&Sent { query: "a=2".into(), ..signed.clone() });
    refused(&Sent { body: b"{\"metadata\":\"y\"}".to_vec(), ..signed.clone() });
    let mut header = signed.clone();
    header.headers.insert("content-type", "text/plain".parse().unwrap());
    refused(&header);
    let mut other = key(None);
    other.secret_access_key = Secret::new("another");
    assert_eq!(signed.verified(&other, NOW), Err(SignatureError::Mismatch));
    assert_eq!(signed.verified(&key(None), NOW), Ok(()));
}

#[test]
fn a_body_that_is_not_signed_may_be_anything() {
    let mut sent = Sent::new("PUT", "/x", "", b"one");
    sent.headers.insert("x-amz-content-sha256", UNSIGNED_PAYLOAD.parse().unwrap());
    let credentials = key(None);
    let mut signed = sent.clone();
    let date = "20261124T052942Z";
    signed.headers.insert("x-amz-date", date.parse().unwrap());
    let names = ["host", "x-amz-content-sha256", "x-amz-date"];
    let request = canonical::request(signed.target(), "lambda", &names, UNSIGNED_PAYLOAD, None).unwrap();
    let scope = Scope { date: "20261124", region: "us-east-1", service: "lambda" };
    let signature =
        signature(keys::SigningKey::derive(credentials.secret_access_key.expose(), &scope), &scope, date, &request);
    let authorization = format!(
        "{ALGORITHM} Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
        credentials.access_key_id,
        names.join(";")
    );
    signed.headers.insert("authorization", authorization.parse().unwrap());
    signed.body = b"another".to_vec();
    assert_eq!(signed.verified(&credentials, NOW), Ok(()));
}

#[test]
fn signatures_live_fifteen_minutes_either_way() {
    let signed = Sent::new("POST", "/ListChannels", "", b"{}").signed_by_us(&key(None), "ivs");
    let at = |ms| signed.verified(&key(None), NOW.plus_ms(ms));
    assert_eq!(at(CLOCK_SKEW_MS_MAX), Ok(()));
    assert_eq!(at(-CLOCK_SKEW_MS_MAX), Ok(()));
    assert!(matches!(at(CLOCK_SKEW_MS_MAX + 1000), Err(SignatureError::Expired { .. })));
    assert!(matches!(at(-CLOCK_SKEW_MS_MAX - 1000), Err(SignatureError::NotYetCurrent { .. })));
}

#[test]
fn session_tokens_belong_to_their_key_and_end() {
    let sent = Sent::new("POST", "/ListChannels", "", b"{}");
    let with = |token| sent.clone().signed_by_us(&key(token), "ivs");
    assert_eq!(with(None).verified(&key(Some("t")), NOW), Err(SignatureError::TokenInvalid));
    assert_eq!(with(Some("t")).verified(&key(None), NOW), Err(SignatureError::TokenInvalid));
    assert_eq!(with(Some("u")).verified(&key(Some("t")), NOW), Err(SignatureError::TokenInvalid));
    let mut old = key(Some("t"));
    old.expires_at = Some(NOW);
    assert_eq!(with(Some("t")).verified(&old, NOW), Err(SignatureError::TokenExpired));
}

#[test]
fn half_a_signature_is_incomplete() {
    let signed = Sent::new("POST", "/", "", b"").signed_by_us(&key(None), "ivs");
    let whole = signed.headers["authorization"].to_str().unwrap().to_string();
    for broken in [
        "Bearer x".to_string(),
        "AWS4-HMAC-SHA256".to_string(),
        whole.replace("Signature=", "Sig="),
        whole.replace("/aws4_request", ""),
        whole.replace("host;", ""),
        whole.replace("/20261124/", "/20261123/"),
    ] {
        let mut changed = signed.clone();
        changed.headers.insert("authorization", broken.parse().unwrap());
        let result = presented(&changed.headers, "");
        assert!(matches!(result, Err(SignatureError::Incomplete { .. })), "{broken}: {result:?}");
    }
    let mut dateless = signed.clone();
    dateless.headers.remove("x-amz-date");
    assert!(matches!(presented(&dateless.headers, ""), Err(SignatureError::Incomplete { .. })));
    for query in ["X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Algorithm=x&X-Amz-Credential=y"] {
        assert!(matches!(presented(&HeaderMap::new(), query), Err(SignatureError::Incomplete { .. })));
    }
    assert_eq!(presented(&HeaderMap::new(), "a=b"), Ok(None));
}

#[test]
fn values_of_one_header_are_joined_and_their_spaces_made_one() {
    let mut headers = HeaderMap::new();
    headers.append("x-amz-meta", "  a   b ".parse().unwrap());
    headers.append("x-amz-meta", "c".parse().unwrap());
    let target = Target { method: "GET", path: "", query: "", headers: &headers, host: "h" };
    let text = canonical::request(target, "ivs", &["host", "x-amz-meta"], "p", None).unwrap();
    assert_eq!(text, "GET\n/\n\nhost:h\nx-amz-meta:a b,c\n\nhost;x-amz-meta\np");
    assert_eq!(canonical::request(target, "ivs", &["host", "x-missing"], "p", None), None);
}

proptest! {
    #[test]
    fn aws_signer_and_we_agree_on_any_path_and_query(
        segments in prop::collection::vec("[a-zA-Z0-9._~ %:/+*=é-]{1,8}", 1..5),
        pairs in prop::collection::vec(("[a-zA-Z0-9 é+-]{1,6}", "[a-zA-Z0-9 %/+=é~]{0,8}"), 0..5),
        body in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let path: Vec<String> = segments.iter().map(|segment| canonical::encoded(segment)).collect();
        let query: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{}={}", canonical::encoded(name), canonical::encoded(value))).collect();
        let sent = Sent::new("POST", &format!("/{}", path.join("/")), &query.join("&"), &body);
        let signed = sent.signed_by_aws(&key(None), "lambda", SignatureLocation::Headers);
        prop_assert_eq!(signed.verified(&key(None), NOW), Ok(()));
    }

    #[test]
    fn no_header_or_query_makes_reading_panic(authorization in "\\PC{0,200}", query in "\\PC{0,200}") {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-date", "20261124T052942Z".parse().unwrap());
        if let Ok(value) = http::HeaderValue::from_str(&format!("AWS4-HMAC-SHA256 {authorization}")) {
            headers.insert("authorization", value);
        }
        let _ = presented(&headers, &query);
        let _ = presented(&HeaderMap::new(), &format!("X-Amz-Algorithm=AWS4-HMAC-SHA256&{query}"));
    }
}

/// AWS' signing test suite (published with its SDKs): key, day and scope of all its cases. Those with normalized paths
/// and unfolded headers are in `vectors.json` in a form of our own: request, canonical request, string to sign, signature.
mod published {
    use super::*;
    use serde_json::Value;

    /// 2015-08-30T12:36:00Z.
    const THEN: Timestamp = Timestamp(1_440_938_160_000);

    fn cases() -> Vec<Value> {
        let cases: Vec<Value> = serde_json::from_str(include_str!("vectors.json")).unwrap();
        assert!(cases.len() >= 25, "{}", cases.len());
        cases
    }

    fn their_key(case: &Value) -> AccessKey {
        let secret = Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        let mut key = AccessKey::new("AKIDEXAMPLE", secret, Principal::Root, THEN);
        key.session_token = case["token"].as_str().map(Secret::new);
        key
    }

    /// Method, path, query, headers, host and body of a case.
    fn sent(case: &Value, method: &Value) -> (String, String, String, HeaderMap, String, Bytes) {
        let target = case["target"].as_str().unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers = HeaderMap::new();
        let mut host = String::new();
        for pair in case["headers"].as_array().unwrap() {
            let (name, value) = (pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
            if name.eq_ignore_ascii_case("host") {
                host = value.into();
            }
            let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let body = Bytes::from(case["body"].as_str().unwrap().to_owned());
        (method.as_str().unwrap().into(), path.into(), query.into(), headers, host, body)
    }

    #[test]
    fn every_published_request_has_its_published_texts_and_signature() {
        for case in cases() {
            let name = &case["name"];
            let (method, path, query, headers, host, body) = sent(&case, &case["method"]);
            let target = Target { method: &method, path: &path, query: &query, headers: &headers, host: &host };
            let shown = presented(&headers, &query).unwrap().unwrap();
            let names: Vec<&str> = shown.signed_headers.iter().map(String::as_str).collect();
            let canonical = canonical::request(target, "service", &names, &sha256_hex(&body), None).unwrap();
            assert_eq!(canonical, case["canonical"].as_str().unwrap(), "{name}");
            let scope = Scope { date: "20150830", region: "us-east-1", service: "service" };
            assert_eq!(string_to_sign(&scope, &shown.amz_date, &canonical), case["string_to_sign"].as_str().unwrap());
            let key = their_key(&case);
            let signing_key = keys::SigningKey::derive(key.secret_access_key.expose(), &scope);
            assert_eq!(
                signature(signing_key, &scope, &shown.amz_date, &canonical),
                case["signature"].as_str().unwrap()
            );
            assert_eq!(verify(&shown, target, &body, &key, THEN), Ok(body), "{name}");
        }
    }

    #[test]
    fn every_published_presigned_request_stands() {
        // In one case the token joins the URL after it was signed, which no service here asks for: it has no URL.
        for case in cases().into_iter().filter(|case| !case["presigned"].is_null()) {
            let (method, path, query, headers, host, body) = sent(&case["presigned"], &case["method"]);
            let target = Target { method: &method, path: &path, query: &query, headers: &headers, host: &host };
            let shown = presented(&headers, &query).unwrap().unwrap();
            assert_eq!(verify(&shown, target, &body, &their_key(&case), THEN), Ok(body), "{}", case["name"]);
        }
    }
}

#[test]
fn a_header_is_signed_once() {
    let mut headers = HeaderMap::new();
    let names = "host;x-amz-date".to_owned() + &";long".repeat(1_000);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=KEY/20130524/us-east-1/ivs/aws4_request, SignedHeaders={names}, Signature=00"
    );
    headers.insert("authorization", authorization.parse().unwrap());
    headers.insert("x-amz-date", "20130524T000000Z".parse().unwrap());
    assert!(matches!(presented(&headers, ""), Err(SignatureError::Incomplete { .. })), "{:?}", presented(&headers, ""));
}

/// S3 API reference, the two chapters on payloads in chunks: 65 KiB of the letter a in chunks of 64 KiB.
mod in_chunks {
    use super::*;

    const THEN: Timestamp = Timestamp(1_369_353_600_000);
    const SIGNED: [&str; 3] = [
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ];
    const BEFORE_TRAILER: [&str; 3] = [
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
    ];

    /// The example's head, with what says how its body is signed.
    fn head(hash: &str, further: &[(&'static str, &str)], names: &str, signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
             SignedHeaders={names}, Signature={signature}"
        );
        let own = [
            ("authorization", authorization.as_str()),
            ("x-amz-date", "20130524T000000Z"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("x-amz-content-sha256", hash),
            ("content-encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", "66560"),
        ];
        for (name, value) in own.iter().chain(further) {
            headers.insert(*name, value.parse().unwrap());
        }
        headers
    }

    fn chunked(signatures: [&str; 3], end: &str) -> Vec<u8> {
        let chunk = |size: usize, signature| {
            let end = if size == 0 { "" } else { "\r\n" };
            format!("{size:x};chunk-signature={signature}\r\n{}{end}", "a".repeat(size))
        };
        let [first, second, last] = signatures;
        format!("{}{}{}{end}", chunk(65_536, first), chunk(1_024, second), chunk(0, last)).into_bytes()
    }

    fn check(headers: &HeaderMap, body: &[u8]) -> Result<Bytes, SignatureError> {
        let host = "s3.amazonaws.com";
        let target = Target { method: "PUT", path: "/examplebucket/chunkObject.txt", query: "", headers, host };
        let mut key = key(None);
        key.secret_access_key = Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        verify(&presented(headers, "").unwrap().unwrap(), target, &Bytes::copy_from_slice(body), &key, THEN)
    }

    fn signed_head() -> HeaderMap {
        head(
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            &[("content-length", "66824")],
            "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
            "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        )
    }

    fn trailing_head() -> HeaderMap {
        head(
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            &[("x-amz-trailer", "x-amz-checksum-crc32c")],
            "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
            "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
        )
    }

    const TRAILER: &str = "x-amz-checksum-crc32c:sOO8/Q==\r\n\
        x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n";

    #[test]
    fn the_published_chunks_have_their_published_signatures() {
        let payload = Bytes::from("a".repeat(66_560));
        assert_eq!(check(&signed_head(), &chunked(SIGNED, "\r\n")), Ok(payload.clone()));
        assert_eq!(check(&trailing_head(), &chunked(BEFORE_TRAILER, TRAILER)), Ok(payload));
    }

    #[test]
    fn a_change_of_any_chunk_or_trailer_is_refused() {
        let whole = chunked(SIGNED, "\r\n");
        let refused = |body: &[u8]| {
            let result = check(&signed_head(), body);
            assert!(matches!(result, Err(SignatureError::Mismatch | SignatureError::Incomplete { .. })), "{result:?}");
        };
        let mut changed = whole.clone();
        changed[40_000] = b'b';
        refused(&changed);
        refused(&whole[..whole.len() - 100]);
        refused(&[whole.as_slice(), b"0"].concat());
        let [first, second, last] = SIGNED;
        refused(&chunked([second, first, last], "\r\n"));
        refused(&chunked([first, second, first], "\r\n"));
        refused(b"ffffffffffffffff;chunk-signature=00\r\n");
        refused(b"0\r\n\r\n");
        for trailer in [TRAILER.replace("sOO8", "tOO8"), TRAILER.replace("d81f", "d82f"), "\r\n".into()] {
            let result = check(&trailing_head(), &chunked(BEFORE_TRAILER, &trailer));
            assert_eq!(result, Err(SignatureError::Mismatch), "{trailer}");
        }
    }

    proptest! {
        #[test]
        fn no_body_in_chunks_makes_reading_panic(body in prop::collection::vec(any::<u8>(), 0..200), text in "[0-9a-f;:=\r\n]{0,80}") {
            let _ = check(&trailing_head(), &body);
            let _ = check(&signed_head(), text.as_bytes());
        }
    }
}

#[test]
fn a_body_with_an_unsigned_trailer_is_taken_out_of_its_chunks() {
    let mut sent = Sent::new("POST", "/ListChannels", "", b"2\r\n{}\r\n0\r\nx-amz-checksum-crc32:o6E=\r\n\r\n");
    sent.headers.insert("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER".parse().unwrap());
    sent.headers.insert("x-amz-date", "20261124T052942Z".parse().unwrap());
    let names = ["host", "x-amz-content-sha256", "x-amz-date"];
    let stated = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
    let request = canonical::request(sent.target(), "ivs", &names, stated, None).unwrap();
    let scope = Scope { date: "20261124", region: "us-east-1", service: "ivs" };
    let signing_key = keys::SigningKey::derive(key(None).secret_access_key.expose(), &scope);
    let signature = signature(signing_key, &scope, "20261124T052942Z", &request);
    let authorization = format!(
        "{ALGORITHM} Credential=AKIAIOSFODNN7EXAMPLE/{scope}, SignedHeaders={}, Signature={signature}",
        names.join(";")
    );
    sent.headers.insert("authorization", authorization.parse().unwrap());
    let check = |body: &[u8]| {
        let shown = presented(&sent.headers, "").unwrap().unwrap();
        verify(&shown, sent.target(), &Bytes::copy_from_slice(body), &key(None), NOW)
    };
    assert_eq!(check(&sent.body), Ok(Bytes::from_static(b"{}")));
    assert!(matches!(check(b"{}"), Err(SignatureError::Incomplete { .. })));
    assert!(matches!(check(b"3\r\n{}\r\n0\r\n\r\n"), Err(SignatureError::Incomplete { .. })));
}

#[test]
fn the_operation_in_a_header_must_be_signed() {
    let mut sent = Sent::new("POST", "/", "", b"{}").signed_by_us(&key(None), "events");
    sent.headers.insert("x-amz-target", "AWSEvents.DeleteRule".parse().unwrap());
    assert!(matches!(sent.verified(&key(None), NOW), Err(SignatureError::Incomplete { .. })));
}
