//! Signature Version 4: reading what a request presents, verifying it, and signing.
//!
//! One canonical form (`canonical`) serves both sides: [`verify`] for requests that arrive, [`sign`] and [`presign`]
//! for the command line's own requests.
//!
//! | what | how |
//! |---|---|
//! | source | IAM "Create a signed AWS API request", S3 "Authenticating requests: using query parameters" |
//! | carriers | `Authorization` header, query parameters (presigned) |
//! | payload | hash of the body, `x-amz-content-sha256`, `UNSIGNED-PAYLOAD`, signed chunks with and without a trailer, an unsigned body with a trailer |
//! | paths | encoded twice and dot segments removed, except for S3 |
//! | age | 15 minutes either way; a presigned URL as long as it says |
//! | replay | the same request is answered again while its signature is current, as AWS does: an SDK's retry within the same second carries the same signature, so a memory of signatures would refuse it. Whoever may read the traffic must be kept out by TLS |
//! | left out | SigV4A; checksums in trailers (a signed trailer's signature is checked). S3's bodies are read by `s3s` |

mod canonical;
mod chunked;
mod keys;
mod present;
mod sign;
#[cfg(test)]
mod tests;
mod verify;

pub use canonical::Target;
pub(crate) use chunked::{Chunks, payload as chunks};
pub(crate) use keys::{SigningKey, SigningKeys};
pub use present::{Presented, presented};
pub use sign::{Signer, presign, sign};
pub use verify::verify;
pub(crate) use verify::verify_with;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// How far a signer's clock may be from ours, either way, milliseconds ("Signature expired", SigV4 allows 15 minutes).
pub const CLOCK_SKEW_MS_MAX: i64 = 15 * 60 * 1000;
/// Longest life of a presigned URL, seconds: seven days (S3, `X-Amz-Expires`).
pub const PRESIGNED_S_MAX: i64 = 604_800;
/// The payload hash of a body that is not signed.
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Why a signature does not stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The request presents something that is not a whole signature.
    #[error("{reason}")]
    Incomplete {
        /// What is missing or malformed.
        reason: String,
    },
    /// The signature was made with another secret or over another request.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access \
         Key and signing method. Consult the service documentation for details."
    )]
    Mismatch,
    /// The body is not the one that was signed.
    #[error("The provided 'x-amz-content-sha256' header does not match what was computed.")]
    Payload,
    /// The signature is too old, or a presigned URL is past its time.
    #[error("Signature expired: {signed_at} is now earlier than {oldest}")]
    Expired {
        /// When it was made, as sent.
        signed_at: String,
        /// The oldest time that is accepted.
        oldest: String,
    },
    /// The signer's clock is too far ahead.
    #[error("Signature not yet current: {signed_at} is still later than {newest}")]
    NotYetCurrent {
        /// When it was made, as sent.
        signed_at: String,
        /// The newest time that is accepted.
        newest: String,
    },
    /// The key's temporary life is over.
    #[error("The security token included in the request is expired")]
    TokenExpired,
    /// The session token is missing, is not the key's, or is given for a key that has none.
    #[error("The security token included in the request is invalid.")]
    TokenInvalid,
}

impl SignatureError {
    fn incomplete(reason: impl Into<String>) -> Self {
        SignatureError::Incomplete { reason: reason.into() }
    }
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn hmac(key: &[u8], message: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().into()
}

/// The hexadecimal signature of a canonical request.
fn signature(key: keys::SigningKey, scope: &Scope<'_>, amz_date: &str, canonical_request: &str) -> String {
    key.sign(&string_to_sign(scope, amz_date, canonical_request))
}

fn string_to_sign(scope: &Scope<'_>, amz_date: &str, canonical_request: &str) -> String {
    format!("{ALGORITHM}\n{amz_date}\n{scope}\n{}", sha256_hex(canonical_request.as_bytes()))
}

/// What a signature is good for.
pub(crate) struct Scope<'a> {
    /// `YYYYMMDD`.
    pub(crate) date: &'a str,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
}

impl std::fmt::Display for Scope<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}/aws4_request", self.date, self.region, self.service)
    }
}
