//! Whether a presented signature stands.

use super::canonical::{self, Target};
use super::chunked::{self, Chunks};
use super::{
    CLOCK_SKEW_MS_MAX, Presented, Scope, SignatureError, SigningKeys, UNSIGNED_PAYLOAD, sha256_hex, signature,
};
use bytes::Bytes;
use headwater_model::Timestamp;
use headwater_model::iam::AccessKey;
use subtle::ConstantTimeEq;
use time::PrimitiveDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

const AMZ_DATE: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");

/// Verifies a signature made with `key` over a request; returns the payload that was signed: the body, or what an
/// `aws-chunked` body carries. Comparisons take the same time wherever the first difference is. An expired temporary
/// key, a session token that is not the key's, a signature outside of its time and a body that is not the signed one are
/// refused.
///
/// # Errors
/// [`SignatureError`], the first reason found; the signature itself is judged before the age of the key, so that only
/// who has the secret learns about the key.
pub fn verify(
    presented: &Presented,
    target: Target<'_>,
    body: &Bytes,
    key: &AccessKey,
    now: Timestamp,
) -> Result<Bytes, SignatureError> {
    verify_with(&SigningKeys::default(), presented, target, body, key, now)
}

/// [`verify`] with signing keys that were derived before.
pub(crate) fn verify_with(
    keys: &SigningKeys,
    presented: &Presented,
    target: Target<'_>,
    body: &Bytes,
    key: &AccessKey,
    now: Timestamp,
) -> Result<Bytes, SignatureError> {
    check_time(presented, now)?;
    check_signed_headers(presented, target)?;
    let chunks = target.headers.get("x-amz-content-sha256").and_then(|value| Chunks::stated(value.as_bytes()));
    let payload_hash = payload_hash(presented, target, body, chunks)?;
    let names: Vec<&str> = presented.signed_headers.iter().map(String::as_str).collect();
    let in_query = target.headers.get(http::header::AUTHORIZATION).is_none();
    let leave_out = in_query.then_some("X-Amz-Signature");
    let request = canonical::request(target, &presented.service, &names, &payload_hash, leave_out)
        .ok_or(SignatureError::Mismatch)?;
    let scope = Scope { date: &presented.date, region: &presented.region, service: &presented.service };
    let signing_key = keys.key(key, &scope);
    let expected = signature(signing_key, &scope, &presented.amz_date, &request);
    if !bool::from(expected.as_bytes().ct_eq(presented.signature.as_bytes())) {
        return Err(SignatureError::Mismatch);
    }
    check_token(presented, key, now)?;
    match chunks {
        Some(chunks) => chunked::payload(chunks, target.headers, body, presented, signing_key),
        None => Ok(body.clone()),
    }
}

/// What says which operation is meant must be signed; the path and the query are.
fn check_signed_headers(presented: &Presented, target: Target<'_>) -> Result<(), SignatureError> {
    const OPERATION: &str = "x-amz-target";
    if target.headers.contains_key(OPERATION) && !presented.signed_headers.iter().any(|name| name == OPERATION) {
        let reason = format!("'{OPERATION}' must be a 'SignedHeader' in the AWS Authorization.");
        return Err(SignatureError::incomplete(reason));
    }
    Ok(())
}

fn check_token(presented: &Presented, key: &AccessKey, now: Timestamp) -> Result<(), SignatureError> {
    match (&key.session_token, &presented.session_token) {
        (None, None) => {}
        (Some(token), Some(shown)) if token.matches(shown) => {}
        _ => return Err(SignatureError::TokenInvalid),
    }
    if key.expires_at.is_some_and(|end| end <= now) {
        return Err(SignatureError::TokenExpired);
    }
    Ok(())
}

fn check_time(presented: &Presented, now: Timestamp) -> Result<(), SignatureError> {
    let signed_at = PrimitiveDateTime::parse(&presented.amz_date, AMZ_DATE)
        .map(|date| Timestamp(date.assume_utc().unix_timestamp().saturating_mul(1000)))
        .map_err(|_| SignatureError::incomplete("Date must be in ISO-8601 'basic format', YYYYMMDDTHHMMSSZ."))?;
    let newest = now.plus_ms(CLOCK_SKEW_MS_MAX);
    if signed_at > newest {
        return Err(SignatureError::NotYetCurrent { signed_at: presented.amz_date.clone(), newest: amz_date(newest) });
    }
    let life_ms = presented.expires_s.map_or(CLOCK_SKEW_MS_MAX, |seconds| seconds * 1000);
    let oldest = now.plus_ms(-life_ms);
    if signed_at < oldest {
        return Err(SignatureError::Expired { signed_at: presented.amz_date.clone(), oldest: amz_date(oldest) });
    }
    Ok(())
}

/// The payload hash that was signed. A stated hash must be the body's.
fn payload_hash(
    presented: &Presented,
    target: Target<'_>,
    body: &[u8],
    chunks: Option<Chunks>,
) -> Result<String, SignatureError> {
    match target.headers.get("x-amz-content-sha256").map(http::HeaderValue::as_bytes) {
        // The head is signed over these words; the pieces have signatures of their own.
        Some(stated) if chunks.is_some() => Ok(String::from_utf8_lossy(stated).into_owned()),
        Some(stated) if stated == UNSIGNED_PAYLOAD.as_bytes() => Ok(UNSIGNED_PAYLOAD.into()),
        Some(stated) => {
            let actual = sha256_hex(body);
            if actual.as_bytes() == stated { Ok(actual) } else { Err(SignatureError::Payload) }
        }
        // Presigned S3 URLs cannot know their body.
        None if presented.service == "s3" && presented.expires_s.is_some() => Ok(UNSIGNED_PAYLOAD.into()),
        None => Ok(sha256_hex(body)),
    }
}

/// `20261124T052942Z`.
pub(super) fn amz_date(at: Timestamp) -> String {
    at.to_datetime().format(AMZ_DATE).unwrap_or_else(|_| String::from("19700101T000000Z"))
}
