//! Cuts access units into parts and segments.

use crate::snapshot::Snapshot;
use headwater_media::{AccessUnit, Cue, StreamMetadata, Track, WallTime};
use std::sync::Arc;

/// How long parts are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Latency {
    /// Parts near 200 ms.
    #[default]
    Low,
    /// Parts near one second.
    Normal,
}

/// What a packager is told at its start.
#[derive(Clone, Debug)]
pub struct Options {
    /// The unguessable name of the stream session in media URLs.
    pub epoch: String,
    /// The rendition's name in media URLs.
    pub rendition: String,
    /// How long parts are.
    pub latency: Latency,
}

/// Input that a packager does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The encoder sends more in one segment than we hold.
    #[error("segment of {bytes} bytes is larger than {bytes_max}")]
    SegmentTooLarge {
        /// What it would be.
        bytes: u64,
        /// The bound.
        bytes_max: u64,
    },
    /// More cues than the stream can take up.
    #[error("{pending} cues wait already")]
    CuesFull {
        /// How many wait.
        pending: usize,
    },
    /// The stream has not started, or is over.
    #[error("stream is not live")]
    NotLive,
}

/// Cuts one rendition's access units into parts and segments.
#[derive(Debug)]
pub struct Packager {}

impl Packager {
    /// A packager that has seen nothing.
    pub fn new(_options: Options) -> Self {
        todo!()
    }

    /// Advice of the encoder: used for BANDWIDTH and FRAME-RATE.
    pub fn handle_metadata(&mut self, _metadata: &StreamMetadata) {
        todo!()
    }

    /// A track's configuration: new, changed or repeated.
    pub fn handle_track(&mut self, _track: Track) {
        todo!()
    }

    /// An access unit with the wall-clock time of its arrival.
    ///
    /// # Errors
    /// [`Error::SegmentTooLarge`]: the encoder sends more than is held; end its stream.
    pub fn handle_unit(&mut self, _unit: AccessUnit, _now: WallTime) -> Result<(), Error> {
        todo!()
    }

    /// A cue for the next part that is opened. Returns when about it will be presented.
    ///
    /// # Errors
    /// [`Error::NotLive`] before the first snapshot and after the end; [`Error::CuesFull`].
    pub fn handle_cue(&mut self, _cue: Cue) -> Result<WallTime, Error> {
        todo!()
    }

    /// What follows is not continuous with what came: close the segment.
    pub fn discontinuity(&mut self) {
        todo!()
    }

    /// No more units will come.
    pub fn end(&mut self) {
        todo!()
    }

    /// The newest snapshot, if it has not been taken yet. `None` before the first segment is complete.
    pub fn poll_snapshot(&mut self) -> Option<Arc<Snapshot>> {
        todo!()
    }
}
