//! What a source's packager tells its followers.

use crate::packager::learn::Targets;
use crate::packager::part::{self, PlacedCue};
use crate::playlist::HOLD_BACK_TARGETS;
use crate::snapshot::AdMark;
use headwater_media::{AccessUnit, Track, WallTime};
use std::sync::Arc;

/// What a source's packager tells its followers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Cut {
    /// What is fixed for the session's life; a follower that comes later needs it first.
    Begin(Beginning),
    /// A segment begins.
    Open(Opening),
    /// A part ended.
    Part(Arc<PartCut>),
    /// The segment ended.
    Close,
    /// The stream is over.
    End,
}

/// The targets, which all renditions share.
#[derive(Clone, Copy, Debug)]
pub struct Beginning(pub(crate) Targets);

impl Beginning {
    /// EXT-X-TARGETDURATION.
    pub fn target_duration_s(&self) -> i64 {
        self.0.target_duration_s
    }

    /// PART-TARGET.
    pub fn part_target_ms(&self) -> i64 {
        self.0.part_target_ms
    }

    /// PART-HOLD-BACK: how far behind the live edge players play at least.
    pub fn part_hold_back_ms(&self) -> i64 {
        HOLD_BACK_TARGETS * self.0.part_target_ms
    }
}

/// Where a segment begins.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    pub(crate) msn: u64,
    pub(crate) date: WallTime,
    /// Whether it, or the bridge before it, is not continuous with what came before.
    pub(crate) discontinuity: bool,
    pub(crate) discontinuities: u64,
    /// When the outage before it began, for which a bridge stands: the segment before.
    pub(crate) outage: Option<WallTime>,
}

/// A part of the source.
#[derive(Debug)]
pub struct PartCut {
    /// Decode times, ticks of 90 kHz.
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// Presentation time from which on pictures belong to the next part.
    pub(crate) border: i64,
    /// Presentation less decode time.
    pub(crate) shift: i64,
    /// Pictures of the source.
    pub(crate) pictures: usize,
    /// The source's sound.
    pub(crate) blocks: Vec<AccessUnit>,
    pub(crate) sound: Option<Track>,
    pub(crate) cues: Vec<PlacedCue>,
    pub(crate) cue_number: u32,
    pub(crate) ad_marks: Vec<AdMark>,
}

impl PartCut {
    /// Decode time at which it begins, ticks of 90 kHz.
    pub fn start(&self) -> i64 {
        self.start
    }

    /// What stands for the outage before it, as long as that: its first sound, once before.
    pub(crate) fn bridge(&self, ticks: i64) -> PartCut {
        PartCut {
            start: self.start.saturating_sub(ticks),
            end: self.start,
            border: self.start.saturating_add(self.shift),
            shift: self.shift,
            pictures: 1,
            blocks: part::sound_before(&self.blocks, self.sound.as_ref(), self.start.saturating_sub(ticks)),
            sound: self.sound.clone(),
            cues: Vec::new(),
            cue_number: self.cue_number,
            ad_marks: Vec::new(),
        }
    }
}
