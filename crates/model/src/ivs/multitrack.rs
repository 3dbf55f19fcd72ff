//! Several video tracks from one encoder: what a channel says of them, what an encoder was configured to send, and whether what it
//! sends is that. Source: IVS "Multitrack Video", model `ivs` 2020-07-14 (MultitrackInputConfiguration, StreamEvent's codes).

mod key;

pub use key::{CLIENT_KEY_HOURS, ClientKey};

use crate::Timestamp;
use serde::{Deserialize, Serialize};

/// Most video tracks of a configuration: IVS' ladders have two to five.
pub const TRACKS_CONFIGURED_MAX: usize = 5;

/// Whether an encoder may or must send its own ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum MultitrackPolicy {
    /// Single-track encoders are welcome too.
    Allow,
    /// Only multitrack encoders are welcome.
    Require,
}

/// Largest picture of a multitrack ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MaximumResolution {
    /// 480p.
    Sd,
    /// 720p.
    Hd,
    /// 1080p.
    FullHd,
}

/// How several tracks from one encoder are taken (Enhanced RTMP).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MultitrackInput {
    /// Whether they are taken at all.
    pub enabled: bool,
    /// Given when enabled.
    pub policy: Option<MultitrackPolicy>,
    /// Given when enabled.
    pub maximum_resolution: Option<MaximumResolution>,
}

/// How the pictures of a track are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    /// H.264.
    H264,
    /// H.265.
    H265,
    /// AV1.
    Av1,
}

/// What a video track is, as far as it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VideoTrack {
    /// How its pictures are coded.
    pub codec: VideoCodec,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// A video track that an encoder was told to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfiguredTrack {
    /// What it must be.
    pub video: VideoTrack,
    /// Pictures in 1000 seconds; not compared.
    pub frame_rate_millis: u32,
    /// Kilobits per second; not compared.
    pub kbps: u32,
}

/// What an encoder was told to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfiguration {
    /// Names this answer: `meta.config_id`, and `clientConfigId` of the publish.
    pub id: uuid::Uuid,
    /// From then on its key opens nothing.
    pub expires_at: Timestamp,
    /// Track 0 first; one to [`TRACKS_CONFIGURED_MAX`].
    pub tracks: Vec<ConfiguredTrack>,
}

/// What a publisher showed to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The channel's stream key.
    StreamKey,
    /// The key that came with a configuration.
    Configured(ClientConfiguration),
    /// Such a key whose time is over.
    Expired,
}

/// Why a publish does not suit its channel: a session that ends by it has this code. Headwater refuses by the first four and takes
/// what IVS would refuse by the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum MultitrackCode {
    /// One track, where the policy is REQUIRE.
    #[error(
        "this channel takes multitrack video only; in OBS switch on Settings > Stream > Enhanced Broadcasting (multitrack video)"
    )]
    InputRequired,
    /// The key of a configuration whose time is over, or that is another configuration's.
    #[error(
        "the configuration of this stream has expired; stop streaming and start again, so that the encoder asks for a new one"
    )]
    InvalidKey,
    /// Another number of video tracks than was configured.
    #[error("the number of video tracks is not the configured one")]
    TrackCount,
    /// A track has another size or codec than was configured.
    #[error("size or codec of a video track is not the configured one")]
    TrackProperties,
    /// Several tracks on a channel that is not set up for them.
    #[error("this channel is not set up for multitrack video")]
    InputNotAllowed,
    /// Several tracks by the stream key itself.
    #[error("multitrack video needs the key that comes with a configuration")]
    KeyRequired,
}

impl MultitrackCode {
    /// Those by which a publish is refused; by the others it is taken, and the doctor tells.
    pub const REFUSALS: [MultitrackCode; 4] = [
        MultitrackCode::InputRequired,
        MultitrackCode::InvalidKey,
        MultitrackCode::TrackCount,
        MultitrackCode::TrackProperties,
    ];

    /// The code in IVS' events.
    pub fn as_str(self) -> &'static str {
        match self {
            MultitrackCode::InputRequired => "MultitrackInputRequired",
            MultitrackCode::InvalidKey => "InvalidGetClientConfigurationStreamKey",
            MultitrackCode::TrackCount => "InvalidMultitrackInputTrackCount",
            MultitrackCode::TrackProperties => "InvalidMultitrackInputVideoTrackMediaProperties",
            MultitrackCode::InputNotAllowed => "MultitrackInputNotAllowed",
            MultitrackCode::KeyRequired => "GetClientConfigurationStreamKeyRequired",
        }
    }
}

impl MultitrackInput {
    /// Whether an encoder must send several video tracks.
    pub fn requires_several(&self) -> bool {
        self.enabled && self.policy == Some(MultitrackPolicy::Require)
    }

    /// How many video tracks decide whether a publish suits: those that were configured, two where several are required, else none.
    pub fn tracks_awaited(&self, shown: &Shown) -> usize {
        match shown {
            Shown::Configured(configuration) => configuration.tracks.len(),
            Shown::StreamKey | Shown::Expired if self.requires_several() => 2,
            Shown::StreamKey | Shown::Expired => 0,
        }
    }

    /// Whether a key with this `clientConfigId` beside it may publish at all.
    ///
    /// # Errors
    /// [`MultitrackCode::InvalidKey`].
    pub fn admits(&self, shown: &Shown, client_config_id: Option<&str>) -> Result<(), MultitrackCode> {
        let suits = match shown {
            Shown::StreamKey => true,
            Shown::Expired => false,
            Shown::Configured(configuration) => {
                client_config_id.is_none_or(|id| uuid::Uuid::parse_str(id).is_ok_and(|id| id == configuration.id))
            }
        };
        if suits { Ok(()) } else { Err(MultitrackCode::InvalidKey) }
    }

    /// Whether these are the video tracks that the channel and the key ask for; of each its number and, where that is known, what it is.
    ///
    /// # Errors
    /// [`MultitrackCode::TrackCount`], [`MultitrackCode::TrackProperties`], [`MultitrackCode::InputRequired`].
    pub fn judge(&self, shown: &Shown, sent: &[(u8, Option<VideoTrack>)]) -> Result<(), MultitrackCode> {
        if let Shown::Configured(ClientConfiguration { tracks, .. }) = shown {
            let numbered = sent.iter().enumerate().all(|(at, (number, _))| usize::from(*number) == at);
            if sent.len() != tracks.len() || !numbered {
                return Err(MultitrackCode::TrackCount);
            }
            // A track whose parameter sets do not tell its size is not held against it.
            let same = |(configured, (_, sent)): (&ConfiguredTrack, &(u8, Option<VideoTrack>))| {
                sent.is_none_or(|sent| sent == configured.video)
            };
            if !tracks.iter().zip(sent).all(same) {
                return Err(MultitrackCode::TrackProperties);
            }
        }
        if self.requires_several() && sent.len() < 2 {
            return Err(MultitrackCode::InputRequired);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
