//! Making signatures, for requests of our own.

use super::canonical::{self, Target, encoded};
use super::keys::SigningKey;
use super::verify::amz_date;
use super::{ALGORITHM, Scope, UNSIGNED_PAYLOAD, sha256_hex, signature};
use headwater_model::{Secret, Timestamp};
use http::HeaderMap;

/// Who signs, and for what.
#[derive(Clone, Debug)]
pub struct Signer {
    /// Id of the key.
    pub access_key_id: String,
    /// The key's secret.
    pub secret_access_key: Secret,
    /// Of a temporary key.
    pub session_token: Option<Secret>,
    /// Region of the scope.
    pub region: String,
    /// Service of the scope, such as `headwater`.
    pub service: String,
}

/// The headers that sign a request: `x-amz-date`, `x-amz-content-sha256`, `x-amz-security-token` for temporary keys and
/// `authorization`. Signs the target's headers of which the name is `content-type` or begins with `x-amz-`, and the
/// host.
///
/// # Example
/// ```
/// use headwater_gateway::sigv4::{Signer, Target, sign};
/// use headwater_model::{Secret, Timestamp};
/// let signer = Signer {
///     access_key_id: "AKIAEXAMPLE".into(),
///     secret_access_key: Secret::new("secret"),
///     session_token: None,
///     region: "us-east-1".into(),
///     service: "headwater".into(),
/// };
/// let headers = http::HeaderMap::new();
/// let target =
///     Target { method: "GET", path: "/_headwater/v1/stacks", query: "", headers: &headers, host: "127.0.0.1:4566" };
/// let signed = sign(&signer, target, b"", Timestamp(1_795_498_182_000));
/// assert!(signed.iter().any(|(name, value)| *name == "authorization" && value.starts_with("AWS4-HMAC-SHA256")));
/// ```
pub fn sign(signer: &Signer, target: Target<'_>, body: &[u8], now: Timestamp) -> Vec<(&'static str, String)> {
    let date = amz_date(now);
    let hash = sha256_hex(body);
    let mut added = vec![("x-amz-date", date.clone()), ("x-amz-content-sha256", hash.clone())];
    if let Some(token) = &signer.session_token {
        added.push(("x-amz-security-token", token.expose().to_string()));
    }
    let mut headers: HeaderMap = target
        .headers
        .iter()
        .filter(|(name, _)| *name == http::header::CONTENT_TYPE || name.as_str().starts_with("x-amz-"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    for (name, value) in &added {
        if let Ok(value) = value.parse() {
            headers.insert(*name, value);
        }
    }
    let mut names: Vec<&str> = headers.keys().map(http::HeaderName::as_str).collect();
    names.push("host");
    names.sort_unstable();
    let target = Target { headers: &headers, ..target };
    let request = canonical::request(target, &signer.service, &names, &hash, None)
        .expect("the names are those of the headers at hand");
    let scope = Scope { date: &date[..8], region: &signer.region, service: &signer.service };
    let signature = signature(SigningKey::derive(signer.secret_access_key.expose(), &scope), &scope, &date, &request);
    added.push((
        "authorization",
        format!(
            "{ALGORITHM} Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
            signer.access_key_id,
            names.join(";"),
        ),
    ));
    added
}

/// The query of a presigned URL that lives for `expires_s` seconds: the target's own query and the signature's
/// parameters. Signs the host alone, so the URL works as it is.
pub fn presign(signer: &Signer, target: Target<'_>, expires_s: u32, now: Timestamp) -> String {
    let date = amz_date(now);
    let scope = Scope { date: &date[..8], region: &signer.region, service: &signer.service };
    let mut query = String::from(target.query);
    let mut add = |name: &str, value: &str| {
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(name);
        query.push('=');
        query.push_str(&encoded(value));
    };
    add("X-Amz-Algorithm", ALGORITHM);
    add("X-Amz-Credential", &format!("{}/{scope}", signer.access_key_id));
    add("X-Amz-Date", &date);
    add("X-Amz-Expires", &expires_s.to_string());
    add("X-Amz-SignedHeaders", "host");
    if let Some(token) = &signer.session_token {
        add("X-Amz-Security-Token", token.expose());
    }
    let hash = if signer.service == "s3" { UNSIGNED_PAYLOAD.into() } else { sha256_hex(b"") };
    let headers = HeaderMap::new();
    let signed = Target { query: &query, headers: &headers, ..target };
    let request =
        canonical::request(signed, &signer.service, &["host"], &hash, None).expect("the host is always at hand");
    let signature = signature(SigningKey::derive(signer.secret_access_key.expose(), &scope), &scope, &date, &request);
    query.push_str("&X-Amz-Signature=");
    query.push_str(&signature);
    query
}
