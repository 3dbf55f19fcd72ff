//! What a request presents: key, scope, signed headers, signature.

use super::{ALGORITHM, PRESIGNED_S_MAX, SignatureError};
use http::HeaderMap;
use percent_encoding::percent_decode_str;

/// A signature as a request carries it, taken apart and not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    /// Whose key it claims to be made with.
    pub access_key_id: String,
    /// `YYYYMMDD` of the scope.
    pub date: String,
    /// Region of the scope.
    pub region: String,
    /// Service of the scope.
    pub service: String,
    /// Lowercase names in the order presented.
    pub signed_headers: Vec<String>,
    /// Lowercase hexadecimal.
    pub signature: String,
    /// `YYYYMMDDTHHMMSSZ`.
    pub amz_date: String,
    /// For temporary keys.
    pub session_token: Option<String>,
    /// Seconds that a presigned URL lives; `None` if the signature is in the header.
    pub expires_s: Option<i64>,
}

/// Reads the signature from the `Authorization` header, else from the query. `None` if there is neither.
///
/// # Errors
/// [`SignatureError::Incomplete`] if there is half a signature, or another algorithm.
pub fn presented(headers: &HeaderMap, query: &str) -> Result<Option<Presented>, SignatureError> {
    if let Some(value) = headers.get(http::header::AUTHORIZATION) {
        let value = value.to_str().map_err(|_| SignatureError::incomplete("Authorization header is not text."))?;
        return from_header(value, headers).map(Some);
    }
    if query.contains("X-Amz-Algorithm") {
        return from_query(query).map(Some);
    }
    Ok(None)
}

fn from_header(value: &str, headers: &HeaderMap) -> Result<Presented, SignatureError> {
    let fields = value
        .strip_prefix(ALGORITHM)
        .and_then(|rest| rest.strip_prefix([' ', '\t']))
        .ok_or_else(|| SignatureError::incomplete(format!("Authorization header requires '{ALGORITHM}'.")))?;
    let field = |name: &str| {
        fields
            .split(',')
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.trim().to_string())
            .ok_or_else(|| SignatureError::incomplete(format!("Authorization header requires '{name}' parameter.")))
    };
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(String::from);
    let amz_date = text("x-amz-date").ok_or_else(|| {
        SignatureError::incomplete("Authorization header requires existence of an 'X-Amz-Date' header.")
    })?;
    assemble(
        &field("Credential")?,
        &field("SignedHeaders")?,
        field("Signature")?,
        amz_date,
        text("x-amz-security-token"),
        None,
    )
}

fn from_query(query: &str) -> Result<Presented, SignatureError> {
    let find = |name: &str| {
        query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| percent_decode_str(value).decode_utf8_lossy().into_owned())
    };
    let required = |name: &str| {
        find(name)
            .ok_or_else(|| SignatureError::incomplete(format!("AWS query-string parameters must include '{name}'.")))
    };
    if required("X-Amz-Algorithm")? != ALGORITHM {
        return Err(SignatureError::incomplete(format!("X-Amz-Algorithm must be {ALGORITHM}.")));
    }
    let expires_s = match find("X-Amz-Expires") {
        // Only S3 demands it; elsewhere a presigned URL lives as long as a signed header does.
        None => None,
        Some(text) => {
            Some(text.parse().ok().filter(|seconds| (1..=PRESIGNED_S_MAX).contains(seconds)).ok_or_else(|| {
                SignatureError::incomplete(format!("X-Amz-Expires must be between 1 and {PRESIGNED_S_MAX} seconds."))
            })?)
        }
    };
    assemble(
        &required("X-Amz-Credential")?,
        &required("X-Amz-SignedHeaders")?,
        required("X-Amz-Signature")?,
        required("X-Amz-Date")?,
        find("X-Amz-Security-Token"),
        expires_s,
    )
}

fn assemble(
    credential: &str,
    signed_headers: &str,
    signature: String,
    amz_date: String,
    session_token: Option<String>,
    expires_s: Option<i64>,
) -> Result<Presented, SignatureError> {
    // A key id may not hold a slash, so the last four parts are the scope.
    let mut parts = credential.rsplitn(5, '/');
    let mut part = || parts.next().filter(|part| !part.is_empty());
    let (Some("aws4_request"), Some(service), Some(region), Some(date), Some(access_key_id)) =
        (part(), part(), part(), part(), part())
    else {
        return Err(SignatureError::incomplete(
            "Credential must have the form KEY/YYYYMMDD/REGION/SERVICE/aws4_request.",
        ));
    };
    let signed_headers: Vec<String> = signed_headers.split(';').map(str::to_ascii_lowercase).collect();
    if !signed_headers.iter().any(|name| name == "host") {
        return Err(SignatureError::incomplete("'Host' must be a 'SignedHeader' in the AWS Authorization."));
    }
    // A header's values are signed once: a name that is given a thousand times would make a text a thousand times as long.
    let mut once: Vec<&String> = signed_headers.iter().collect();
    once.sort_unstable();
    if once.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(SignatureError::incomplete("SignedHeaders must name each header once."));
    }
    if !amz_date.starts_with(date) {
        return Err(SignatureError::incomplete(format!(
            "Date in Credential scope does not match YYYYMMDD from the ISO-8601 version of the date: {date} != {amz_date}."
        )));
    }
    Ok(Presented {
        access_key_id: access_key_id.into(),
        date: date.into(),
        region: region.into(),
        service: service.into(),
        signed_headers,
        signature,
        amz_date,
        session_token,
        expires_s,
    })
}
