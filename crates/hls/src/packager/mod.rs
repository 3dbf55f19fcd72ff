//! Cuts access units into parts and segments: the entry and its life from the first unit to the end.

mod cut;
mod domain;
pub(crate) mod learn;
pub(crate) mod part;
mod splice;
pub(crate) mod window;

#[cfg(test)]
mod tests;

use crate::follow::Cut;
use crate::snapshot::Snapshot;
use cut::Cutter;
use headwater_media::{AccessUnit, Cue, StreamMetadata, Track, TrackKind, WallTime};
use learn::Learning;
pub use splice::Splice;
use std::collections::VecDeque;
use std::sync::Arc;

/// Most bytes in one segment, and in the first one while it is learnt from: 128 Mb/s for two seconds. A stream above it is ended.
pub const SEGMENT_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// What holding a unit costs besides its payload: its record, its sample, its buffer's bookkeeping. Counted, so that tiny units are bounded too.
const UNIT_OVERHEAD_BYTES: u64 = 128;
/// Cues that wait for the next part: five a second for longer than any part lasts. Full: refuse.
pub const CUES_WAITING_MAX: usize = 64;

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
    #[error("segment of {bytes} bytes is larger than {SEGMENT_BYTES_MAX}")]
    SegmentTooLarge {
        /// What it would be.
        bytes: u64,
    },
    /// More cues than the stream can take up.
    #[error("{CUES_WAITING_MAX} cues wait already")]
    CuesFull,
    /// Another ad break is not over.
    #[error("ad break {id} is not over")]
    AdBreakRuns {
        /// Its id.
        id: String,
    },
    /// The stream has not started, or is over.
    #[error("stream is not live")]
    NotLive,
}

/// The tracks as the encoder configured them last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tracks {
    pub(crate) video: Option<Track>,
    pub(crate) audio: Option<Track>,
}

/// What a unit counts towards [`SEGMENT_BYTES_MAX`].
pub(crate) fn weight(unit: &AccessUnit) -> u64 {
    unit.data.len() as u64 + UNIT_OVERHEAD_BYTES
}

#[derive(Debug)]
enum Phase {
    /// Units are collected until the first segment is complete: it decides the targets.
    Learning(Learning),
    /// Parts are published.
    Live(Box<Cutter>),
    /// Nothing more will come, but what followers have not been told yet.
    Ended(VecDeque<Cut>),
}

/// Cuts one rendition's access units into parts and segments.
///
/// Getters: none. Input: `handle_*`, each with what happened. Commands: [`discontinuity`](Self::discontinuity), [`end`](Self::end). Output:
/// [`poll_snapshot`](Self::poll_snapshot), to be asked after each input or command. The clock is the caller's: `now` comes with each unit.
///
/// *Order*: units of a track in decode order; tracks interleaved as they arrive. A part is closed when the unit after it arrives, so its
/// duration is known and never longer than PART-TARGET.
///
/// *Targets* are learnt from the first segment and then fixed: EXT-X-TARGETDURATION from its length, PART-TARGET from its frame rate.
/// Nothing is published before.
#[derive(Debug)]
pub struct Packager {
    options: Options,
    metadata: StreamMetadata,
    tracks: Tracks,
    phase: Phase,
    fresh: Option<Arc<Snapshot>>,
    following: Following,
    siblings: Arc<[String]>,
}

/// Whether cuts are told to followers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Following {
    No,
    Yes,
}

impl Packager {
    /// A packager that has seen nothing.
    pub fn new(options: Options) -> Self {
        Packager {
            options,
            metadata: StreamMetadata::default(),
            tracks: Tracks::default(),
            phase: Phase::Learning(Learning::default()),
            fresh: None,
            following: Following::No,
            siblings: Arc::default(),
        }
    }

    /// From now on, what is cut is told by [`poll_cut`](Self::poll_cut), which must be asked after each input or command until it is empty.
    pub fn follow(&mut self) {
        self.following = Following::Yes;
        if let Phase::Live(cutter) = &mut self.phase {
            cutter.follow();
        }
    }

    /// What followers are to be told, in order.
    pub fn poll_cut(&mut self) -> Option<Cut> {
        match &mut self.phase {
            Phase::Live(cutter) => cutter.poll_cut(),
            Phase::Ended(last) => last.pop_front(),
            Phase::Learning(_) => None,
        }
    }

    /// Frames in 1000 seconds, once the targets are learnt.
    pub fn frame_rate_millis(&self) -> Option<u32> {
        match &self.phase {
            Phase::Live(cutter) => cutter.frame_rate_millis(),
            Phase::Learning(_) | Phase::Ended(_) => None,
        }
    }

    /// The names of the renditions that are made of this one: the playlist reports them from the next snapshot on.
    pub fn set_siblings(&mut self, siblings: &Arc<[String]>) {
        self.siblings = Arc::clone(siblings);
        if let Phase::Live(cutter) = &mut self.phase {
            cutter.set_siblings(siblings);
        }
    }

    /// Advice of the encoder: used for BANDWIDTH, and for FRAME-RATE if what arrives agrees.
    pub fn handle_metadata(&mut self, metadata: &StreamMetadata) {
        self.metadata = metadata.clone();
        if let Phase::Live(cutter) = &mut self.phase {
            cutter.announce(&self.metadata);
        }
    }

    /// A track's configuration: new, changed or repeated. A change takes effect at the next keyframe, with a new init segment and a
    /// discontinuity; units of the track are dropped until then.
    pub fn handle_track(&mut self, track: Track) {
        let slot = match track.kind {
            TrackKind::Video => &mut self.tracks.video,
            TrackKind::Audio => &mut self.tracks.audio,
        };
        if slot.as_ref() == Some(&track) {
            return;
        }
        let kind = track.kind;
        let changed = slot.replace(track).is_some();
        if let (Phase::Learning(learning), true) = (&mut self.phase, changed) {
            learning.forget(kind);
        }
    }

    /// An access unit with the wall-clock time of its arrival.
    ///
    /// # Errors
    /// [`Error::SegmentTooLarge`]: the encoder sends more than is held; end its stream. [`Error::NotLive`] after the end.
    pub fn handle_unit(&mut self, unit: AccessUnit, now: WallTime) -> Result<(), Error> {
        match &mut self.phase {
            Phase::Learning(learning) => {
                if let Some(lesson) = learning.push(unit, now, &self.tracks)? {
                    let mut cutter = Cutter::new(&self.options, &lesson, &self.metadata, &self.tracks);
                    cutter.set_siblings(&self.siblings);
                    if self.following == Following::Yes {
                        cutter.follow();
                    }
                    for (unit, now) in lesson.units {
                        cutter.push(unit, now, &self.tracks)?;
                    }
                    self.phase = Phase::Live(Box::new(cutter));
                }
            }
            Phase::Live(cutter) => cutter.push(unit, now, &self.tracks)?,
            Phase::Ended(_) => return Err(Error::NotLive),
        }
        self.publish();
        Ok(())
    }

    /// A cue for the part under way, at its newest picture; for the next part if there is none. Returns when about it will be presented.
    ///
    /// # Errors
    /// [`Error::NotLive`] before the first snapshot and after the end; [`Error::CuesFull`].
    pub fn handle_cue(&mut self, cue: Cue) -> Result<WallTime, Error> {
        match &mut self.phase {
            Phase::Live(cutter) => cutter.push_cue(cue),
            Phase::Learning(_) | Phase::Ended(_) => Err(Error::NotLive),
        }
    }

    /// Marks an ad break in the playlist. Returns when it begins: no earlier than the next part.
    ///
    /// # Errors
    /// [`Error::NotLive`] before the first snapshot and after the end; [`Error::AdBreakRuns`].
    pub fn handle_splice(&mut self, splice: Splice) -> Result<WallTime, Error> {
        match &mut self.phase {
            Phase::Live(cutter) => cutter.push_splice(splice),
            Phase::Learning(_) | Phase::Ended(_) => Err(Error::NotLive),
        }
    }

    /// What follows is not continuous with what came: the segment is closed, and the next one begins at a keyframe, with a discontinuity.
    pub fn discontinuity(&mut self) {
        match &mut self.phase {
            Phase::Learning(learning) => *learning = Learning::default(),
            Phase::Live(cutter) => cutter.discontinuity(),
            Phase::Ended(_) => {}
        }
        self.publish();
    }

    /// A further rendition's configuration changes: at the next keyframe there is a discontinuity, as if this one's had changed, since all renditions
    /// have the same.
    pub fn renew(&mut self) {
        if let Phase::Live(cutter) = &mut self.phase {
            cutter.renew();
        }
    }

    /// Another encoder takes over: a discontinuity, and its tracks are configured anew.
    pub fn new_source(&mut self) {
        self.discontinuity();
        self.tracks = Tracks::default();
    }

    /// Closes what is open, with the cues that wait, so that it is published before the playlist ends: players drop a part that they first see
    /// beside EXT-X-ENDLIST. To be followed by [`end`](Self::end) when they have had the time to fetch it.
    pub fn flush(&mut self) {
        if let Phase::Live(cutter) = &mut self.phase {
            cutter.flush();
        }
        self.publish();
    }

    /// No more units will come: the segment is closed and the playlist ends.
    pub fn end(&mut self) {
        if let Phase::Live(cutter) = &mut self.phase {
            cutter.end();
        }
        self.publish();
        let last = std::iter::from_fn(|| self.poll_cut()).collect();
        self.phase = Phase::Ended(last);
    }

    /// The newest snapshot, if it has not been taken yet. `None` before the first segment is complete.
    pub fn poll_snapshot(&mut self) -> Option<Arc<Snapshot>> {
        self.fresh.take()
    }

    fn publish(&mut self) {
        if let Phase::Live(cutter) = &mut self.phase
            && let Some(snapshot) = cutter.snapshot()
        {
            self.fresh = Some(Arc::new(snapshot));
        }
    }
}
