//! Who is live: publishing, commands, drain.

use crate::journal::{Journal, JournalError};
use crate::stream::LiveStream;
use headwater_media::{AccessUnit, StreamMetadata, Track, flv};
use headwater_model::Timestamp;
use headwater_model::ivs::Channel;
use std::sync::Arc;
use std::time::Duration;

/// No data for this long makes a stream STARVING.
pub const STARVATION_AFTER: Duration = Duration::from_secs(3);

/// How sessions behave.
#[derive(Clone)]
pub struct Options {
    /// How long a session waits for its publisher to come back, and for a connected one to send.
    pub reconnect_window: Duration,
    /// How long the last snapshot stays reachable by epoch after the end.
    pub linger: Duration,
    /// The wall clock.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            reconnect_window: Duration::from_secs(30),
            linger: Duration::from_secs(60),
            clock: Arc::new(Timestamp::now),
        }
    }
}

/// A publisher that was found to be welcome.
#[derive(Clone, Debug)]
pub struct Publish {
    /// The channel whose key it showed.
    pub channel: Channel,
    /// Its address, for the log.
    pub peer: String,
    /// What it said about its stream, if that came before it was accepted.
    pub encoder: Option<StreamMetadata>,
}

/// Why a publisher is not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The server is being drained.
    #[error("server is shutting down")]
    ShuttingDown,
    /// The session could not be recorded.
    #[error("session could not be recorded")]
    Journal(#[source] Arc<JournalError>),
    /// The session ended while the publisher was being attached.
    #[error("session failed")]
    SessionFailed,
}

/// What a publisher sends.
#[derive(Clone, Debug)]
pub enum Input {
    /// A track's configuration.
    Track(Track),
    /// An access unit.
    Unit(AccessUnit),
    /// What the encoder says about its stream.
    Metadata(StreamMetadata),
}

impl Input {
    /// What a demuxed unit is to a session; `None` if nothing.
    pub fn from_flv(unit: flv::Unit) -> Option<Input> {
        match unit {
            flv::Unit::Config(track) => Some(Input::Track(track)),
            flv::Unit::Access(unit) => Some(Input::Unit(unit)),
            flv::Unit::Metadata(metadata) => Some(Input::Metadata(metadata)),
            flv::Unit::Ignored => None,
        }
    }
}

/// How a publisher goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It said so: the session ends at once.
    Clean,
    /// It vanished: the reconnect window begins.
    Lost,
}

/// Why a publisher is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutReason {
    /// A newer publisher took over.
    TakenOver,
    /// StopStream, or the channel is gone.
    Stopped,
    /// It sent nothing for the whole reconnect window.
    Silent,
    /// It sent more than a session holds.
    TooMuch,
    /// The server is being drained, or the session failed.
    SessionOver,
}

/// The publisher is no longer the session's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("publisher was cut: {0:?}")]
pub struct Superseded(pub CutReason);

/// The channel has no live stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("channel is not broadcasting")]
pub struct NotBroadcasting;

/// Why a cue is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CueError {
    /// The channel has no live stream.
    #[error("channel is not broadcasting")]
    NotBroadcasting,
    /// More cues wait than the stream can take up; the encoder may be away.
    #[error("too many cues wait")]
    TooMany,
}

/// A cue that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutCue {
    /// Its id, the same in the media and in the playlist.
    pub cue_id: String,
    /// The session that took it.
    pub stream_id: String,
    /// When about it is presented, on the axis of EXT-X-PROGRAM-DATE-TIME; exact in EXT-X-DATERANGE.
    pub pdt: Timestamp,
}

/// Whether a drain kept its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Drained {
    /// Every session ended and was recorded.
    InTime,
    /// So many sessions were left behind.
    Late(usize),
}

/// Who is live. Clones share one.
#[derive(Clone)]
pub struct Hub {}

impl Hub {
    /// A hub without sessions.
    pub fn new(_options: Options, _journal: Arc<dyn Journal>) -> Self {
        todo!()
    }

    /// Attaches a publisher: to the channel's session if it has one (taking over from its publisher), else to a new session.
    ///
    /// # Errors
    /// [`PublishError`].
    pub async fn publish(&self, _publish: Publish) -> Result<Publisher, PublishError> {
        todo!()
    }

    /// The channel's live stream, from its first playlist to its end.
    pub fn stream(&self, _channel_id: &str) -> Option<Arc<LiveStream>> {
        todo!()
    }

    /// A stream by the epoch in its media URLs, also for a while after its end.
    pub fn stream_by_epoch(&self, _epoch: &str) -> Option<Arc<LiveStream>> {
        todo!()
    }

    /// All live streams.
    pub fn streams(&self) -> Vec<Arc<LiveStream>> {
        todo!()
    }

    /// Puts timed metadata into the channel's stream.
    ///
    /// # Errors
    /// [`CueError`].
    pub async fn put_cue(&self, _channel_id: &str, _payload: String) -> Result<PutCue, CueError> {
        todo!()
    }

    /// Ends the channel's session and cuts its publisher. Returns when the end is recorded.
    ///
    /// # Errors
    /// [`NotBroadcasting`].
    pub async fn stop(&self, _channel_id: &str) -> Result<(), NotBroadcasting> {
        todo!()
    }

    /// Ends every session and waits for their last events, at most `deadline`.
    pub async fn shutdown(&self, _deadline: Duration) -> Drained {
        todo!()
    }
}

/// A publisher's end of its session. Dropping it is [`Ending::Lost`].
pub struct Publisher {}

impl Publisher {
    /// The session that it feeds.
    pub fn stream_id(&self) -> &str {
        todo!()
    }

    /// Hands input to the session; waits while its inbox is full. Cancel-safe: cancelled, the input is not handed over.
    ///
    /// # Errors
    /// [`Superseded`] once the publisher is cut.
    pub async fn send(&self, _input: Input) -> Result<(), Superseded> {
        todo!()
    }

    /// Resolves when the publisher is cut, with the reason. Cancel-safe.
    pub async fn cut(&self) -> CutReason {
        todo!()
    }

    /// Leaves the session.
    pub async fn finish(self, _ending: Ending) {
        todo!()
    }
}
