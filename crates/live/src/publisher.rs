//! A publisher's end of its session.

use crate::session::Command;
use headwater_media::{AccessUnit, FurtherTrack, StreamMetadata, Track, flv};
use std::convert::Infallible;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};

/// What a publisher sends.
#[derive(Clone, Debug)]
pub enum Input {
    /// A track's configuration; it must come before the track's units.
    Track(Track),
    /// An access unit, with the publisher's own timestamps.
    Unit(AccessUnit),
    /// What the encoder says about its stream.
    Metadata(StreamMetadata),
    /// The configuration of a further video track: a rendition that the publisher makes itself.
    FurtherTrack(FurtherTrack, Track),
    /// An access unit of a further video track, by the same clock as those of the first.
    FurtherUnit(FurtherTrack, AccessUnit),
    /// There is a further audio track; it is not carried.
    FurtherSound(FurtherTrack),
}

impl Input {
    /// What a demuxed unit is to a session; `None` if nothing.
    pub fn from_flv(unit: flv::Unit) -> Option<Input> {
        match unit {
            flv::Unit::Config(track) => Some(Input::Track(track)),
            flv::Unit::Access(unit) => Some(Input::Unit(unit)),
            flv::Unit::Metadata(metadata) => Some(Input::Metadata(metadata)),
            flv::Unit::FurtherConfig(further, track) => Some(Input::FurtherTrack(further, track)),
            flv::Unit::FurtherAccess(further, unit) => Some(Input::FurtherUnit(further, unit)),
            flv::Unit::FurtherSound(further) => Some(Input::FurtherSound(further)),
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

/// A publisher's end of its session. Dropping it is [`Ending::Lost`].
#[derive(Debug)]
pub struct Publisher {
    pub(crate) stream_id: String,
    pub(crate) number: u64,
    pub(crate) inbox: mpsc::Sender<Command>,
    pub(crate) cut: watch::Receiver<Option<CutReason>>,
    /// The session sees it dropped.
    pub(crate) alive: oneshot::Sender<Infallible>,
}

impl Publisher {
    /// The session that it feeds.
    pub fn stream_id(&self) -> &str {
        &self.stream_id
    }

    /// Hands input to the session; waits while its inbox is full. Cancel-safe: cancelled, the input is not handed over.
    ///
    /// # Errors
    /// [`Superseded`] once the publisher is cut.
    pub async fn send(&self, input: Input) -> Result<(), Superseded> {
        if let Some(reason) = *self.cut.borrow() {
            return Err(Superseded(reason));
        }
        let command = Command::Media { publisher: self.number, input };
        match self.inbox.try_send(command) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(_)) => Err(Superseded(self.cut().await)),
            Err(TrySendError::Full(command)) => tokio::select! {
                biased;
                reason = self.cut() => Err(Superseded(reason)),
                sent = self.inbox.send(command) => match sent {
                    Ok(()) => Ok(()),
                    Err(_) => Err(Superseded(self.cut().await)),
                },
            },
        }
    }

    /// Resolves when the publisher is cut, with the reason. Cancel-safe.
    pub async fn cut(&self) -> CutReason {
        let mut cut = self.cut.clone();
        match cut.wait_for(Option::is_some).await {
            Ok(reason) => reason.unwrap_or(CutReason::SessionOver),
            // The session's task is gone without a word.
            Err(_) => CutReason::SessionOver,
        }
    }

    /// Leaves the session.
    pub async fn finish(self, ending: Ending) {
        if ending == Ending::Clean {
            // A closed inbox means that the session is over already.
            let _ = self.inbox.send(Command::Leave { publisher: self.number }).await;
        }
        drop(self.alive);
    }
}
