//! `GetClientConfiguration`: which video tracks an encoder is to send, and where. Encoders call it themselves when their user goes
//! live (OBS: Enhanced Broadcasting), and show the stream key instead of a signature.
//!
//! What comes back is made for the caller: for its picture, its processor and graphics card, what its user wants to spend, and the
//! largest picture that the channel takes. With it comes a key of its own ([`ClientKey`]), by which ingest knows what was configured.
//! Source: IVS "Multitrack Video: Broadcast Software Integration Guide" and "Broadcast Software Integration API".
//!
//! | module | what stands there |
//! |---|---|
//! | `ladder` | sizes, frame rates and bit rates of the tracks |
//! | `encoders` | which encoder the client uses, by what it has |

mod encoders;
mod ladder;

pub use encoders::VideoEncoder;
pub use ladder::{Declined as LadderDeclined, FrameRate, Preferences, Rung};

use super::ingest::takes_plain;
use super::{channel, keys};
use crate::{Control, Error};
use headwater_model::ivs::{
    CLIENT_KEY_HOURS, Channel, ClientConfiguration, ClientKey, ConfiguredTrack, MultitrackInput, MultitrackPolicy,
    StreamKey, VideoCodec, VideoTrack,
};
use headwater_model::{Secret, Timestamp};
use std::net::IpAddr;

/// Kilobits per second of the sound.
const AUDIO_KBPS: u32 = 160;
/// Milliseconds of an hour.
const HOUR_MS: i64 = 60 * 60 * 1_000;

/// What an encoder says of itself and of its user's wishes. What it leaves out is guessed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The stream key as its user gave it, perhaps with parameters after `?`.
    pub authentication: Option<Secret>,
    /// What it runs on.
    pub machine: Machine,
    /// What its user wants.
    pub preferences: Preferences,
    /// Channels of its sound; `None` if it does not say.
    pub audio_channels: Option<u32>,
    /// Whether it also wants to send the sound that is meant for recordings.
    pub wants_vod_audio: bool,
}

/// What an encoder runs on and which codecs and encoders it has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Machine {
    /// The operating system's name, such as `Windows`.
    pub system: String,
    /// Whether the processor is an ARM.
    pub is_arm: bool,
    /// Threads of the processor.
    pub logical_cores: Option<u32>,
    /// Graphics cards.
    pub gpus: Vec<Gpu>,
    /// Which of them composes the picture.
    pub composition_gpu: Option<usize>,
    /// Codecs that it can encode: `h264`, `h265`, `av1`.
    pub codecs: Vec<String>,
    /// Encoders by name, if it lists them.
    pub encoders: Option<Vec<String>>,
}

/// A graphics card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gpu {
    /// Of PCI.
    pub vendor_id: u32,
    /// As the system tells it.
    pub driver_version: String,
}

/// What an encoder is to send, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Configuration {
    /// Names this answer.
    pub id: uuid::Uuid,
    /// The encoder of all tracks.
    pub encoder: VideoEncoder,
    /// Video tracks, the best first.
    pub tracks: Vec<Rung>,
    /// Sound: kilobits per second and channels.
    pub audio: (u32, u32),
    /// Whether the sound for recordings may come too.
    pub vod_audio: bool,
    /// At least one.
    pub endpoints: Vec<Endpoint>,
    /// The key to publish with, instead of the stream key.
    pub authentication: Secret,
}

/// A way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `RTMPS` or `RTMP`.
    pub protocol: &'static str,
    /// Address, with `{stream_key}` where the key goes.
    pub url_template: String,
}

/// Why there is no configuration, in words for whoever sits at the encoder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Declined {
    /// No stream key.
    #[error("There is no stream key. Enter the channel's stream key in the encoder's stream settings.")]
    NoKey,
    /// It opens nothing.
    #[error(
        "The stream key is wrong: no channel has it. Copy the channel's stream key anew into the encoder's stream settings."
    )]
    WrongKey,
    /// The channel is not set up for it.
    #[error(
        "This channel is not set up for multitrack video. Switch Enhanced Broadcasting (multitrack video) off in the encoder, or have \
         the channel's owner set it up: type STANDARD, containerFormat FRAGMENTED_MP4 and multitrackInputConfiguration with enabled, \
         policy and maximumResolution (UpdateChannel)."
    )]
    NotEnabled,
    /// The channel asks for several tracks, and there would be one.
    #[error(
        "This channel takes several video tracks only, and your settings leave room for one. Set the maximum number of video tracks \
         and the maximum bandwidth of Enhanced Broadcasting to automatic, or to more."
    )]
    OneTrack,
    /// No track suits.
    #[error(transparent)]
    Ladder(#[from] LadderDeclined),
    /// No encoder of a codec that is taken.
    #[error(
        "This encoder has no H.264, which multitrack video needs. Switch Enhanced Broadcasting (multitrack video) off."
    )]
    NoEncoder,
    /// No way in for this peer.
    #[error(
        "This server takes no stream from your address: it has no RTMPS listener, and the channel takes no RTMP without TLS from other \
         machines. Its operator may set listen.tls, the channel's owner insecureIngest."
    )]
    NoEndpoint,
    /// Durable state could not be read.
    #[error("The server failed. Try again in a moment.")]
    Failed(#[from] Error),
}

/// The configuration for an encoder that shows a stream key.
///
/// `peer` is its address, `None` if that is not known for sure, as behind a proxy.
///
/// # Errors
/// [`Declined`].
pub async fn get_client_configuration(
    control: &Control,
    request: &Request,
    peer: Option<IpAddr>,
    now: Timestamp,
) -> Result<Configuration, Declined> {
    let given = request.authentication.as_ref().map_or("", |given| key_of(given.expose()));
    if given.is_empty() {
        return Err(Declined::NoKey);
    }
    let Some(stream_key) = keys::by_value(control, given).await? else { return Err(Declined::WrongKey) };
    let channel = match channel(control, &stream_key.channel_arn).await {
        Ok(channel) => channel,
        Err(Error::NotFound { .. }) => return Err(Declined::WrongKey),
        Err(error) => return Err(error.into()),
    };
    let endpoints = endpoints(control, &channel, peer);
    if endpoints.is_empty() {
        return Err(Declined::NoEndpoint);
    }
    let configuration = configure(request, channel.multitrack, &stream_key, endpoints, now)?;
    let (tracks, encoder) = (configuration.tracks.len(), configuration.encoder.id());
    tracing::info!(channel = channel.arn, configuration = %configuration.id, tracks, encoder, "encoder configured");
    Ok(configuration)
}

/// The configuration for an encoder whose stream key is good and whose channel takes several tracks like this.
///
/// # Errors
/// [`Declined`].
pub fn configure(
    request: &Request,
    input: MultitrackInput,
    stream_key: &StreamKey,
    endpoints: Vec<Endpoint>,
    now: Timestamp,
) -> Result<Configuration, Declined> {
    let Some(maximum) = input.maximum_resolution.filter(|_| input.enabled) else { return Err(Declined::NotEnabled) };
    let machine = &request.machine;
    let encoder = VideoEncoder::choose(machine).ok_or(Declined::NoEncoder)?;
    let software_cores = (encoder == VideoEncoder::X264).then_some(machine.logical_cores);
    let tracks = ladder::choose(&request.preferences, maximum, software_cores, AUDIO_KBPS)?;
    if tracks.len() < 2 && input.policy == Some(MultitrackPolicy::Require) {
        return Err(Declined::OneTrack);
    }
    let configured = ClientConfiguration {
        id: uuid::Uuid::new_v4(),
        expires_at: now.plus_ms(CLIENT_KEY_HOURS * HOUR_MS),
        tracks: tracks.iter().map(configured_track).collect(),
    };
    let authentication =
        ClientKey::make(stream_key, &configured).expect("a ladder has one to five tracks of 1080p at most");
    Ok(Configuration {
        id: configured.id,
        encoder,
        tracks,
        audio: (AUDIO_KBPS, request.audio_channels.unwrap_or(2).clamp(1, 2)),
        vod_audio: request.wants_vod_audio,
        endpoints,
        authentication,
    })
}

/// A rung as ingest will look at it.
fn configured_track(rung: &Rung) -> ConfiguredTrack {
    ConfiguredTrack {
        video: VideoTrack { codec: VideoCodec::H264, width: rung.width, height: rung.height },
        frame_rate_millis: rung.frame_rate.millis(),
        kbps: rung.kbps,
    }
}

/// Users append parameters to their key, such as `?bandwidthtest=true`; encoders pass both on as one text.
fn key_of(given: &str) -> &str {
    given.split('?').next().unwrap_or_default().trim()
}

/// The ways in that the channel takes from this peer, the safer first.
fn endpoints(control: &Control, channel: &Channel, peer: Option<IpAddr>) -> Vec<Endpoint> {
    let at = control.endpoints();
    let address = |scheme: &str, port: u16| format!("{scheme}://{}:{port}/app/{{stream_key}}", at.ingest_host);
    let safe = at.tls_port.map(|port| Endpoint { protocol: "RTMPS", url_template: address("rtmps", port) });
    let plain = takes_plain(control, channel, peer)
        .then(|| Endpoint { protocol: "RTMP", url_template: address("rtmp", at.rtmp_port) });
    safe.into_iter().chain(plain).collect()
}

#[cfg(test)]
mod tests;
