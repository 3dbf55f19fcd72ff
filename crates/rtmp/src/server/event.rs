//! What a session tells its shell, and what the shell may answer.

use crate::amf0;
use crate::name::PublishName;
use bytes::Bytes;

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The encoder introduced itself.
    Connected(Connect),
    /// The encoder wants to publish: answer with [`accept`](super::Server::accept) or [`refuse`](super::Server::refuse).
    /// Until then its media is dropped (encoders wait for the answer).
    PublishRequested(PublishRequest),
    /// The body of an FLV video tag.
    Video {
        /// Milliseconds of the encoder's clock, modulo 2³².
        timestamp_ms: u32,
        /// Owns its allocation.
        body: Bytes,
    },
    /// The body of an FLV audio tag.
    Audio {
        /// Milliseconds of the encoder's clock, modulo 2³².
        timestamp_ms: u32,
        /// Owns its allocation.
        body: Bytes,
    },
    /// The values of `onMetaData`.
    Metadata(amf0::Object),
    /// The encoder ended the publish on purpose. It may begin another.
    PublishEnded,
}

/// How the encoder introduced itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connect {
    /// `flashVer`, printable characters only, cut short; empty if it had none.
    pub encoder: String,
    /// Codecs that it can send by Enhanced RTMP; `*` is any. Empty for plain RTMP.
    pub four_ccs: Vec<String>,
    /// What it can do of Enhanced RTMP v2; `None` if it does not say, as plain RTMP and version 1 do not.
    pub extensions: Option<Extensions>,
}

/// Extensions that one side of a connection supports: `capsEx` of Enhanced RTMP v2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions(pub u32);

impl Extensions {
    /// It reconnects when it is asked to.
    pub const RECONNECT: Extensions = Extensions(1);
    /// Several tracks in one publish.
    pub const MULTITRACK: Extensions = Extensions(2);
    /// Modifiers before a packet.
    pub const MOD_EX: Extensions = Extensions(4);
    /// Timestamps to the nanosecond.
    pub const TIMESTAMP_NANO_OFFSET: Extensions = Extensions(8);

    /// These and those.
    pub const fn and(self, other: Extensions) -> Extensions {
        Extensions(self.0 | other.0)
    }

    /// Whether all of those are among these.
    pub const fn has(self, other: Extensions) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A publish that waits for an answer: app, key and query.
pub type PublishRequest = PublishName;

/// Status that encoders understand. Names of RTMP 1.0 and of Adobe's server, which OBS, ffmpeg and GStreamer know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// The publish began.
    PublishStart,
    /// The publish ended.
    UnpublishSuccess,
    /// The key opens nothing.
    BadName,
    /// The key is right and this publish is not allowed, or no longer.
    Denied,
    /// What is published cannot be taken: codec, size, a broken stream.
    Failed,
    /// Nothing came for too long.
    Idle,
}

impl Status {
    /// The `code` of the status.
    pub fn code(self) -> &'static str {
        match self {
            Status::PublishStart => "NetStream.Publish.Start",
            Status::UnpublishSuccess => "NetStream.Unpublish.Success",
            Status::BadName => "NetStream.Publish.BadName",
            Status::Denied => "NetStream.Publish.Denied",
            Status::Failed => "NetStream.Failed",
            Status::Idle => "NetStream.Publish.Idle",
        }
    }

    pub(super) fn level(self) -> &'static str {
        match self {
            Status::PublishStart | Status::UnpublishSuccess => "status",
            Status::BadName | Status::Denied | Status::Failed | Status::Idle => "error",
        }
    }
}

/// Why a publish may not begin or go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What encoders act on.
    pub status: Status,
    /// A sentence for the person at the encoder. Never the key.
    pub description: String,
}

impl Refusal {
    /// A refusal with its sentence.
    pub fn new(status: Status, description: impl Into<String>) -> Self {
        Refusal { status, description: description.into() }
    }
}
