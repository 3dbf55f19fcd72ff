//! Who may push a connected publisher aside: IVS' rules of priority, and ours where IVS would leave viewers with a black picture.
//!
//! | the newcomer | while the present one sends | while it is silent |
//! |---|---|---|
//! | no priority, against none | takes over: the newest wins | takes over |
//! | a higher priority, or any against none | takes over if its media match | takes over |
//! | the same or a lower priority, or none against one | refused | takes over |
//! | the same address, the present one silent | – | a reconnect over a connection that died unnoticed: no takeover |
//!
//! Source: IVS "Stream Takeover". Two differences, both on purpose: without priorities the newest wins, and nobody is kept out for the sake of a
//! publisher that sends nothing.

use crate::hub::Publish;
use headwater_media::{CodecConfig, Track, TrackKind};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Takeovers of one stream. Two encoders that fight over a key end here.
pub const TAKEOVERS_MAX: u32 = 100;
/// The highest priority.
pub const PRIORITY_MAX: u32 = i32::MAX as u32;
/// A connection that sent nothing for this long is taken for dead when its own address knocks again: encoders send many units a second.
pub(crate) const RECONNECT_SILENCE: Duration = Duration::from_secs(1);

/// What a publisher claims by `?priority=` on its key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Claim {
    /// Nothing.
    #[default]
    None,
    /// 1 to [`PRIORITY_MAX`].
    Priority(u32),
    /// Something that is no priority.
    Invalid,
}

impl Claim {
    /// Reads the parameter's value.
    pub fn parse(value: Option<&str>) -> Claim {
        let Some(value) = value else { return Claim::None };
        match value.parse::<u32>() {
            Ok(priority @ 1..=PRIORITY_MAX) if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                Claim::Priority(priority)
            }
            _ => Claim::Invalid,
        }
    }

    fn priority(self) -> Option<u32> {
        match self {
            Claim::Priority(priority) => Some(priority),
            Claim::None | Claim::Invalid => None,
        }
    }
}

/// Why a newcomer may not take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TakeoverRefusal {
    /// Resolution, a codec or the number of tracks differ.
    #[error("resolution, codecs and tracks must be those of the stream that is live")]
    MediaMismatch,
    /// The priority is none, or not above the one of the stream that is live.
    #[error("the priority must be a whole number above that of the stream that is live")]
    InvalidPriority,
    /// [`TAKEOVERS_MAX`] reached.
    #[error("the stream was taken over {TAKEOVERS_MAX} times already")]
    LimitBreached,
}

impl TakeoverRefusal {
    /// The code in IVS' events.
    pub fn code(self) -> &'static str {
        match self {
            TakeoverRefusal::MediaMismatch => "StreamTakeoverMediaMismatch",
            TakeoverRefusal::InvalidPriority => "StreamTakeoverInvalidPriority",
            TakeoverRefusal::LimitBreached => "StreamTakeoverLimitBreached",
        }
    }
}

/// The publisher that is connected.
#[derive(Clone, Debug)]
pub(crate) struct Incumbent<'a> {
    pub(crate) claim: Claim,
    pub(crate) peer: &'a str,
    /// How long it has sent nothing.
    pub(crate) silent: Duration,
    /// Its further ones too.
    pub(crate) tracks: Vec<&'a Track>,
    /// Takeovers of the stream so far.
    pub(crate) takeovers: u32,
}

/// How a newcomer comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// The same publisher again.
    Reconnect,
    Takeover,
}

impl Incumbent<'_> {
    /// Whether and how the newcomer takes its place.
    pub(crate) fn yields_to(&self, newcomer: &Publish) -> Result<Entrance, TakeoverRefusal> {
        if self.silent >= RECONNECT_SILENCE && self.claim == newcomer.claim && same_host(self.peer, &newcomer.peer) {
            return Ok(Entrance::Reconnect);
        }
        if self.takeovers >= TAKEOVERS_MAX {
            return Err(TakeoverRefusal::LimitBreached);
        }
        if self.silent >= crate::STARVATION_AFTER {
            return Ok(Entrance::Takeover);
        }
        match (newcomer.claim, self.claim.priority()) {
            (Claim::None, None) => Ok(Entrance::Takeover),
            (Claim::Priority(_), None) if self.matches(&newcomer.tracks) => Ok(Entrance::Takeover),
            (Claim::Priority(new), Some(present)) if new > present && self.matches(&newcomer.tracks) => {
                Ok(Entrance::Takeover)
            }
            (Claim::Priority(_), None) => Err(TakeoverRefusal::MediaMismatch),
            (Claim::Priority(new), Some(present)) if new > present => Err(TakeoverRefusal::MediaMismatch),
            _ => Err(TakeoverRefusal::InvalidPriority),
        }
    }

    /// A publisher that has not said what it sends has nothing that could differ.
    fn matches(&self, newcomer: &[Track]) -> bool {
        let present = &self.tracks;
        let alike = |track: &&Track| newcomer.iter().any(|other| is_like(track, other));
        present.is_empty() || (present.len() == newcomer.len() && present.iter().all(alike))
    }
}

fn is_like(track: &Track, other: &Track) -> bool {
    let same_codec = match (&*track.config, &*other.config) {
        (CodecConfig::Avc(_), CodecConfig::Avc(_))
        | (CodecConfig::Hevc(_), CodecConfig::Hevc(_))
        | (CodecConfig::Av1(_), CodecConfig::Av1(_)) => true,
        (CodecConfig::Aac(one), CodecConfig::Aac(two)) => one.object_type == two.object_type,
        _ => false,
    };
    same_codec && (track.kind == TrackKind::Audio || track.config.dimensions() == other.config.dimensions())
}

fn same_host(one: &str, other: &str) -> bool {
    let host = |peer: &str| -> Option<IpAddr> { Some(peer.parse::<SocketAddr>().ok()?.ip().to_canonical()) };
    host(one).is_some_and(|ip| host(other) == Some(ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_is_a_whole_number_within_its_range() {
        assert_eq!(Claim::parse(None), Claim::None);
        assert_eq!(Claim::parse(Some("1")), Claim::Priority(1));
        assert_eq!(Claim::parse(Some("2147483647")), Claim::Priority(PRIORITY_MAX));
        for wrong in ["", "0", "-1", "+1", "2147483648", "1.5", "one", "99999999999999999999"] {
            assert_eq!(Claim::parse(Some(wrong)), Claim::Invalid, "{wrong}");
        }
    }
}
