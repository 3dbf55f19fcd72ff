//! Private playback: what a token claims, and which requests that lets in. Signatures are checked elsewhere.
//!
//! Source: IVS "Generate and Sign Playback Tokens" (claims), RFC 7519 (`exp`), RFC 6454 (origins).

mod origins;

pub use origins::Origins;

use crate::Timestamp;
use crate::ivs::MaximumResolution;
use serde::Deserialize;
use serde_json::{Number, Value};

/// Longest token (service quota "playback token": 2 KB).
pub const TOKEN_BYTES_MAX: usize = 2048;
/// Origins of a token that wants them enforced strictly.
pub const STRICT_ORIGINS_MAX: usize = 5;
/// Characters of a viewer's id.
pub const VIEWER_ID_LENGTH_MAX: usize = 40;
/// How far ahead a token may end that names a viewer or is for one use.
pub const EXPIRY_AHEAD_MS_MAX: i64 = 10 * 60 * 1000;

/// Claims whose form is right. Which requests they let in is for [`Claims::admit`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The channel that may be watched.
    pub channel_arn: String,
    /// Playback must have begun by then; it may go on.
    pub expires_at: Timestamp,
    /// Pages that may play.
    pub origins: Origins,
    /// Whether each request must come from such a page, also those for media.
    pub strict_origin: bool,
    /// The token lets one request in; which one, in lowercase.
    pub single_use: Option<String>,
    /// Whom it was made for.
    pub viewer: Option<Viewer>,
    /// Larger renditions are left out.
    pub maximum_resolution: Option<MaximumResolution>,
}

/// Whom a token was made for, so that playback can be revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// 1 to [`VIEWER_ID_LENGTH_MAX`] characters.
    pub id: String,
    /// Revocation ends sessions up to a version.
    pub version: i64,
}

/// Why a request is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The request has no token.
    #[error("a playback token is missing")]
    NoToken,
    /// The token is not one; why, in words that tell nothing of its content.
    #[error("{0}")]
    Garbled(&'static str),
    /// No key of the account verifies it.
    #[error("token is signed by none of the playback keys")]
    Signature,
    /// A claim is missing or has a wrong form.
    #[error("token claim {0} is missing or has a wrong form")]
    Claim(&'static str),
    /// It is for another channel.
    #[error("token is for another channel")]
    OtherChannel,
    /// Its time is over.
    #[error("token has expired")]
    Expired,
    /// It names a viewer or is for one use, and ends too late.
    #[error("token that names a viewer or is for one use expires more than 10 minutes ahead")]
    TooFarAhead,
    /// It was for one use and has been used.
    #[error("token has been used")]
    Used,
    /// Its viewer's sessions are revoked.
    #[error("viewer session has been revoked")]
    Revoked,
    /// The request is not from a page that may play.
    #[error("origin required")]
    Origin,
    /// The viewer's country may not watch.
    #[error("playback is not allowed from this country")]
    Country,
    /// No rendition is small enough.
    #[error("no rendition is within the maximum resolution of the token")]
    Resolution,
    /// A media URL without a viewer session, or with one that is not for it.
    #[error("viewer session is missing or not valid for this stream")]
    Session,
}

impl Refusal {
    /// IVS' `error_code`.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::NoToken | Refusal::Garbled(_) | Refusal::Signature | Refusal::Claim(_) => {
                "invalid_playback_auth_token"
            }
            Refusal::Country => "playback_restricted",
            _ => "playback_auth_error",
        }
    }
}

/// The claims as they stand in a token. Others, such as those for ads, are ignored.
#[derive(Debug, Deserialize)]
struct Wire {
    #[serde(rename = "aws:channel-arn")]
    channel_arn: String,
    exp: Number,
    #[serde(rename = "aws:access-control-allow-origin")]
    origins: Option<String>,
    #[serde(rename = "aws:strict-origin-enforcement", default)]
    strict_origin: bool,
    #[serde(rename = "aws:single-use-uuid")]
    single_use: Option<String>,
    #[serde(rename = "aws:viewer-id")]
    viewer_id: Option<String>,
    #[serde(rename = "aws:viewer-session-version", default)]
    viewer_version: i64,
    #[serde(rename = "aws:maximum-resolution")]
    maximum_resolution: Option<MaximumResolution>,
}

impl Claims {
    /// Reads the claims of a token whose signature was found to be good.
    ///
    /// # Errors
    /// [`Refusal::Garbled`] if it is no JSON object with members of the right types; [`Refusal::Claim`].
    pub fn parse(json: Value) -> Result<Self, Refusal> {
        let wire: Wire = serde_json::from_value(json)
            .map_err(|_| Refusal::Garbled("token contains claims that are missing or of a wrong type"))?;
        let origins = Origins::parse(wire.origins.as_deref().unwrap_or_default());
        if wire.strict_origin && origins.len() > STRICT_ORIGINS_MAX {
            return Err(Refusal::Claim("aws:access-control-allow-origin"));
        }
        let single_use = match wire.single_use {
            Some(text) => Some(uuid(&text).ok_or(Refusal::Claim("aws:single-use-uuid"))?),
            None => None,
        };
        let viewer = match wire.viewer_id {
            Some(id) if id.is_empty() || id.chars().count() > VIEWER_ID_LENGTH_MAX => {
                return Err(Refusal::Claim("aws:viewer-id"));
            }
            Some(_) if wire.viewer_version < 0 => return Err(Refusal::Claim("aws:viewer-session-version")),
            // Without a viewer its version says nothing.
            id => id.map(|id| Viewer { id, version: wire.viewer_version }),
        };
        Ok(Claims {
            channel_arn: wire.channel_arn,
            expires_at: expiry(&wire.exp).ok_or(Refusal::Claim("exp"))?,
            origins,
            strict_origin: wire.strict_origin,
            single_use,
            viewer,
            maximum_resolution: wire.maximum_resolution,
        })
    }

    /// Whether playback of a channel may begin now. Use and revocation are for whoever keeps them, origins for
    /// [`Origins::admit`].
    ///
    /// # Errors
    /// [`Refusal::OtherChannel`], [`Refusal::Expired`], [`Refusal::TooFarAhead`].
    pub fn admit(&self, channel_arn: &str, now: Timestamp) -> Result<(), Refusal> {
        if self.channel_arn != channel_arn {
            return Err(Refusal::OtherChannel);
        }
        if self.expires_at <= now {
            return Err(Refusal::Expired);
        }
        let is_short_lived = self.viewer.is_some() || self.single_use.is_some();
        if is_short_lived && self.expires_at.0.saturating_sub(now.0) > EXPIRY_AHEAD_MS_MAX {
            return Err(Refusal::TooFarAhead);
        }
        Ok(())
    }
}

/// In lowercase, so that a use is one however it is written.
fn uuid(text: &str) -> Option<String> {
    let uuid = uuid::Uuid::try_parse(text).ok()?;
    Some(uuid.hyphenated().to_string())
}

/// RFC 7519 "NumericDate": seconds, which may have a fraction. Some signers write milliseconds; that is a time far ahead.
fn expiry(seconds: &Number) -> Option<Timestamp> {
    if let Some(seconds) = seconds.as_i64() {
        return Some(Timestamp(seconds.saturating_mul(1000)));
    }
    // The cast saturates.
    seconds.as_f64().filter(|seconds| seconds.is_finite()).map(|seconds| Timestamp((seconds * 1000.0) as i64))
}

/// Largest picture of a class: pixels in all, and along the longer edge (IVS "Service Quotas").
fn bounds(class: MaximumResolution) -> (u64, u32) {
    match class {
        MaximumResolution::Sd => (864 * 480, 864),
        MaximumResolution::Hd => (1280 * 720, 1280),
        MaximumResolution::FullHd => (1920 * 1080, 1920),
    }
}

/// Whether a picture of this size is within a class.
pub fn is_within(class: MaximumResolution, width: u32, height: u32) -> bool {
    let (pixels, edge) = bounds(class);
    u64::from(width) * u64::from(height) <= pixels && width.max(height) <= edge
}

#[cfg(test)]
mod tests;
