//! The session's events and who keeps them.

use crate::doctor::LimitBreach;
use crate::takeover::TakeoverRefusal;
use async_trait::async_trait;
use headwater_model::Timestamp;
use headwater_model::ivs::{AdBreak, AudioIngest, Channel, MultitrackCode, VideoIngest};

/// What happened to a session.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionEventKind {
    /// A publisher was accepted.
    Created,
    /// The first playlist is there: the stream can be watched.
    Start {
        /// Video tracks that the encoder sends, `Track0` first.
        video: Vec<VideoIngest>,
        /// Audio tracks, likewise.
        audio: Vec<AudioIngest>,
    },
    /// A newer publisher took over.
    Takeover,
    /// A publisher was refused that wanted to take over.
    TakeoverFailure(TakeoverRefusal),
    /// What is sent is above a limit of IVS.
    LimitBreach(LimitBreach),
    /// An ad break was marked in the playlist.
    AdBreak(AdBreak),
    /// No data for [`crate::STARVATION_AFTER`].
    StarvationStart,
    /// Data again.
    StarvationEnd,
    /// The stream can no longer be watched. Only after `Start`.
    End,
    /// The session is over.
    Ended,
    /// A publisher was refused by what it sends, and no session came of it: this is its only event.
    Refused(MultitrackCode),
}

/// One event of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionEvent {
    /// The channel as it was when the session was made.
    pub channel: Channel,
    /// `st-…`.
    pub stream_id: String,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: SessionEventKind,
}

/// Why an event could not be kept.
#[derive(Debug, thiserror::Error)]
#[error("the event could not be kept")]
pub struct JournalError(#[from] pub Box<dyn std::error::Error + Send + Sync>);

/// Keeps the events of sessions.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Returns when the event is durable. Called from the session's task, in order; called again with the same event after a failure,
    /// so it is to be idempotent by stream id and kind where that matters.
    async fn record(&self, event: SessionEvent) -> Result<(), JournalError>;
}
