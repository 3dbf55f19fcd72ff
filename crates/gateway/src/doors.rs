//! Doors for fuzzing: what this crate reads of callers and no other crate needs, by plain types.

use crate::sigv4::{Chunks, Presented, Scope, SigningKey, chunks};
use crate::{cbor, client_configuration, cloudwatch};
use bytes::Bytes;
use headwater_control::ivs::client_configuration::{Configuration, Declined, Request};
use http::HeaderMap;
use serde_json::{Map, Value};

/// The members of a CBOR body, and the bytes that they are written as; `None` if it is none.
pub fn cbor(body: &[u8]) -> Option<(Map<String, Value>, Vec<u8>)> {
    let members = cbor::members(body).ok()?;
    let written = cbor::bytes(&Value::Object(members.clone()));
    Some((members, written))
}

/// Works expressions out that may name each other as `e0`, `e1`, and so on, and the metrics `m1` and `m2`; gives each that is a time series its
/// points. `SEARCH` finds the two.
///
/// # Errors
/// What is wrong with them, in words for their author.
pub fn metric_math(expressions: &[&str]) -> Result<Vec<Vec<(i64, f64)>>, String> {
    cloudwatch::worked_out(expressions)
}

/// What a body carries whose chunks are not signed and that may have a trailer; and what one whose chunks are does, with a key of nobody.
pub fn chunked(body: &[u8]) -> [Option<Bytes>; 3] {
    let scope = Scope { date: "20261124", region: "us-east-1", service: "ivs" };
    let presented = Presented {
        access_key_id: "AKIAEXAMPLE".into(),
        date: scope.date.into(),
        region: scope.region.into(),
        service: scope.service.into(),
        signed_headers: vec!["host".into()],
        signature: "0".repeat(64),
        amz_date: "20261124T052942Z".into(),
        session_token: None,
        expires_s: None,
    };
    [Chunks::UnsignedWithTrailer, Chunks::Signed, Chunks::SignedWithTrailer].map(|how| {
        let key = SigningKey::derive("secret", &scope);
        chunks(how, &HeaderMap::new(), body, &presented, key).ok()
    })
}

/// Reads the body of a `GetClientConfiguration`, has it configured, and gives what was configured with the answer; `None` if it is none or nothing is
/// configured.
pub fn client_configuration(
    body: &[u8],
    configure: impl FnOnce(&Request) -> Result<Configuration, Declined>,
) -> Option<(Request, Configuration, Value)> {
    let (version, asked) = client_configuration::read(body).ok()?;
    let configuration = configure(&asked).ok()?;
    let answer = client_configuration::configured(version, &configuration);
    Some((asked, configuration, answer))
}
