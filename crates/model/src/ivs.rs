//! Channel, stream key, stream session, and what a channel refers to. Source: model `ivs` 2020-07-14 (shapes Channel,
//! StreamKey, StreamSession, and those of the modules).

mod ads;
mod multitrack;
mod playback;
mod quotas;
mod recording;
mod slate;

pub use ads::{AdBreak, AdConfiguration, PostRoll};
pub use multitrack::{
    CLIENT_KEY_HOURS, ClientConfiguration, ClientKey, ConfiguredTrack, MaximumResolution, MultitrackCode,
    MultitrackInput, MultitrackPolicy, Shown, TRACKS_CONFIGURED_MAX, VideoCodec, VideoTrack,
};
pub use playback::{
    KeyError, PlaybackKeyPair, PlaybackRestrictionPolicy, PublicKey, ViewerRevocation, is_country, is_origin,
    parse_public_key,
};
pub use quotas::Quotas;
pub use recording::{
    RecordingConfiguration, RecordingMode, RecordingState, Rendition, RenditionSelection, ThumbnailStorage, Thumbnails,
};
pub use slate::{FailoverSlate, SlateState};

use crate::{Realm, Secret, Timestamp, id};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Tags of a resource, by key.
pub type Tags = BTreeMap<String, String>;

/// How close to live viewers are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LatencyMode {
    /// Parts of one second.
    Normal,
    /// Parts of 200 ms.
    #[default]
    Low,
}

/// What is made of the encoder's picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ChannelType {
    /// Passed through, one rendition.
    Basic,
    /// Passed through at the top, with a ladder below it.
    #[default]
    Standard,
    /// Re-encoded up to 480p.
    AdvancedSd,
    /// Re-encoded up to 720p.
    AdvancedHd,
}

/// What viewers' media lies in, as IVS names it. Headwater serves fragmented MP4 to all players; the setting is kept
/// because multitrack input asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContainerFormat {
    /// MPEG-TS.
    #[default]
    #[serde(rename = "TS")]
    Ts,
    /// CMAF.
    #[serde(rename = "FRAGMENTED_MP4")]
    FragmentedMp4,
}

/// The durable resource that a broadcaster streams to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Channel {
    /// Resource id, the last part of the ARN: 12 alphanumerics.
    pub id: String,
    /// `arn:aws:ivs:REGION:ACCOUNT:channel/ID`.
    pub arn: String,
    /// `[a-zA-Z0-9-_]*`, up to 128 characters, may be empty, need not be unique.
    pub name: String,
    /// How close to live viewers are kept.
    pub latency_mode: LatencyMode,
    /// What is made of the encoder's picture.
    #[serde(rename = "type")]
    pub channel_type: ChannelType,
    /// Empty, or the preset of an advanced type.
    #[serde(default)]
    pub preset: String,
    /// Whether playback needs a token.
    #[serde(default)]
    pub authorized: bool,
    /// Whether RTMP without TLS is welcome from other machines.
    #[serde(default)]
    pub insecure_ingest: bool,
    /// Empty, or the recording configuration in use.
    #[serde(default)]
    pub recording_configuration_arn: String,
    /// Empty, or the restriction policy in use.
    #[serde(default)]
    pub playback_restriction_policy_arn: String,
    /// Empty, or the ad configuration in use.
    #[serde(default)]
    pub ad_configuration_arn: String,
    /// Empty, or the failover slate in use.
    #[serde(default)]
    pub failover_slate_configuration_arn: String,
    /// How several tracks from one encoder are taken.
    #[serde(default)]
    pub multitrack: MultitrackInput,
    /// What viewers' media lies in.
    #[serde(default)]
    pub container_format: ContainerFormat,
    /// SRT passphrase; made by the service.
    pub srt_passphrase: Secret,
    /// Tags, by key.
    #[serde(default)]
    pub tags: Tags,
    /// When the channel was made.
    pub created_at: Timestamp,
}

impl Channel {
    /// A channel with fresh random id and passphrase and the defaults of `CreateChannel`.
    pub fn new(realm: &Realm, name: impl Into<String>, created_at: Timestamp) -> Self {
        let id = id::resource_id();
        Channel {
            arn: realm.ivs_arn("channel", &id),
            id,
            name: name.into(),
            latency_mode: LatencyMode::default(),
            channel_type: ChannelType::default(),
            preset: String::new(),
            authorized: false,
            insecure_ingest: false,
            recording_configuration_arn: String::new(),
            playback_restriction_policy_arn: String::new(),
            ad_configuration_arn: String::new(),
            failover_slate_configuration_arn: String::new(),
            multitrack: MultitrackInput::default(),
            container_format: ContainerFormat::default(),
            srt_passphrase: Secret::new(id::random_alphanumeric(SRT_PASSPHRASE_LENGTH)),
            tags: Tags::new(),
            created_at,
        }
    }
}

impl Channel {
    /// Labels that it is found by: its name and each resource that it refers to ([`reference_label`]).
    pub fn labels(&self) -> Vec<String> {
        let references = [
            &self.recording_configuration_arn,
            &self.playback_restriction_policy_arn,
            &self.ad_configuration_arn,
            &self.failover_slate_configuration_arn,
        ];
        let references = references.into_iter().filter(|arn| !arn.is_empty()).map(|arn| reference_label(arn));
        let name = (!self.name.is_empty()).then(|| name_label(&self.name));
        name.into_iter().chain(references).collect()
    }
}

/// The label of channels of this name.
pub fn name_label(name: &str) -> String {
    format!("name={name}")
}

/// The label of channels that refer to the resource with this ARN.
pub fn reference_label(arn: &str) -> String {
    format!("refers-to={arn}")
}

/// What an encoder shows to publish on a channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamKey {
    /// Resource id, the last part of the ARN.
    pub id: String,
    /// `arn:aws:ivs:REGION:ACCOUNT:stream-key/ID`.
    pub arn: String,
    /// The channel that it opens.
    pub channel_arn: String,
    /// The key itself.
    pub value: Secret,
    /// Tags, by key.
    #[serde(default)]
    pub tags: Tags,
    /// When the key was made.
    pub created_at: Timestamp,
}

impl StreamKey {
    /// A key with fresh random id and value.
    pub fn new(realm: &Realm, channel_arn: impl Into<String>, created_at: Timestamp) -> Self {
        let id = id::resource_id();
        StreamKey {
            arn: realm.ivs_arn("stream-key", &id),
            id,
            channel_arn: channel_arn.into(),
            value: Secret::new(id::stream_key_value(&realm.region)),
            tags: Tags::new(),
            created_at,
        }
    }
}

/// How well the encoder keeps up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum StreamHealth {
    /// Data arrives.
    Healthy,
    /// The encoder is connected or awaited, and no data arrives.
    Starving,
    /// Too early to say.
    #[default]
    Unknown,
}

/// One line of a session's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamEvent {
    /// `Session Created`, `Stream Start`, ….
    pub name: String,
    /// The event's detail-type, such as `IVS Stream State Change`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// When it happened.
    pub event_time: Timestamp,
    /// Empty, or a code that says why.
    #[serde(default)]
    pub code: String,
}

/// A video track that the encoder sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VideoIngest {
    /// RFC 6381, such as `avc1.42C028`.
    pub codec: String,
    /// The encoder's name from its metadata, or empty.
    pub encoder: String,
    /// Bits per second from its metadata, or 0.
    pub target_bitrate: u64,
    /// Frames per second from its metadata, or 0.
    pub target_framerate: u64,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// An audio track that the encoder sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AudioIngest {
    /// RFC 6381, such as `mp4a.40.2`.
    pub codec: String,
    /// Bits per second from its metadata, or 0.
    pub target_bitrate: u64,
    /// Hz.
    pub sample_rate: u32,
    /// 1 mono, 2 stereo.
    pub channels: u32,
}

/// One broadcast on a channel. Kept 60 days, also after its channel is gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamSession {
    /// `st-` and 23 alphanumerics.
    pub stream_id: String,
    /// The channel as it was when the stream went live.
    pub channel: Channel,
    /// When the session was made.
    pub start_time: Timestamp,
    /// Absent while it lasts.
    pub end_time: Option<Timestamp>,
    /// Whether Stream Start has happened.
    #[serde(default)]
    pub live: bool,
    /// Newest last; at most 500.
    #[serde(default)]
    pub events: Vec<StreamEvent>,
    /// Video tracks that the encoder sent, `Track0` first; empty until they are known.
    #[serde(default, deserialize_with = "one_or_many")]
    pub video: Vec<VideoIngest>,
    /// Audio tracks, likewise.
    #[serde(default, deserialize_with = "one_or_many")]
    pub audio: Vec<AudioIngest>,
    /// The channel's recording configuration as it was when the stream went live.
    #[serde(default)]
    pub recording_configuration: Option<RecordingConfiguration>,
    /// The channel's failover slate as it was when the stream went live.
    #[serde(default)]
    pub failover_slate: Option<FailoverSlate>,
    /// Whether a limit was broken or something failed.
    #[serde(default)]
    pub has_error_event: bool,
}

impl StreamSession {
    /// Label of sessions that have not ended.
    pub const OPEN: &str = "open";

    /// A session that begins, with its channel as it is now.
    pub fn new(channel: Channel, stream_id: String, start_time: Timestamp) -> Self {
        StreamSession {
            stream_id,
            channel,
            start_time,
            end_time: None,
            live: false,
            events: Vec::new(),
            video: Vec::new(),
            audio: Vec::new(),
            recording_configuration: None,
            failover_slate: None,
            has_error_event: false,
        }
    }

    /// Labels that it is found by.
    pub fn labels(&self) -> Vec<String> {
        self.end_time.is_none().then(|| StreamSession::OPEN.to_owned()).into_iter().collect()
    }
}

/// A list. Sessions of servers that knew one track only have that track, or `null`, in its place.
fn one_or_many<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Tracks<T> {
        Many(Vec<T>),
        One(Option<T>),
    }
    Ok(match Tracks::deserialize(deserializer)? {
        Tracks::Many(tracks) => tracks,
        Tracks::One(track) => track.into_iter().collect(),
    })
}

/// Characters of an SRT passphrase, as in the samples of IVS' documentation; SRT itself takes 10 to 79.
const SRT_PASSPHRASE_LENGTH: usize = 69;
/// Characters of a name.
pub const NAME_LENGTH_MAX: usize = 128;
/// Tags of one resource.
pub const TAGS_MAX: usize = 50;
/// Days that a stream session is kept, also after its channel is gone.
pub const SESSION_DAYS_KEPT: i64 = 60;
/// Most bytes of one `PutMetadata` payload (service quota "metadata payload": 1 KB).
pub const METADATA_BYTES_MAX: usize = 1024;
/// Events kept in a session (`truncatedEvents` of GetStreamSession).
pub const SESSION_EVENTS_MAX: usize = 500;

/// Whether `name` may be the name of an IVS resource: `[a-zA-Z0-9-_]*`, up to 128 characters.
pub fn is_valid_name(name: &str) -> bool {
    name.len() <= NAME_LENGTH_MAX && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}
