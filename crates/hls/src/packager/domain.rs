//! A stretch of continuous time, and the part that is open in it.

use super::Tracks;
use super::learn::{MS, ticks};
use headwater_media::{AccessUnit, Cue, WallTime};

/// Segments over which the encoder's clock is compared with ours. The one that came fastest through the network counts.
const DRIFT_SEGMENTS: u32 = 16;
/// Most milliseconds that dates are moved by after such a comparison, one in each segment: 500 millionths, ten times what crystals drift.
const DRIFT_STEP_MAX_MS: i64 = 16;

/// How far the encoder's clock has drifted from ours.
#[derive(Debug, Default)]
pub(super) struct Drift {
    segments: u32,
    /// Least time by which a segment came later than its date says, ms.
    least_ms: Option<i64>,
    /// Milliseconds that dates still are to be moved by.
    owed_ms: i64,
}

impl Drift {
    /// Notes how late a segment came; returns by how much dates move from it on.
    pub(super) fn note(&mut self, late_ms: i64) -> i64 {
        self.least_ms = Some(self.least_ms.map_or(late_ms, |least| least.min(late_ms)));
        self.segments += 1;
        if self.segments == DRIFT_SEGMENTS {
            self.owed_ms = self.least_ms.take().unwrap_or(0).clamp(-DRIFT_STEP_MAX_MS, DRIFT_STEP_MAX_MS);
            self.segments = 0;
        }
        let step = self.owed_ms.signum();
        self.owed_ms -= step;
        step
    }
}

/// The open part.
#[derive(Debug)]
pub(super) struct OpenPart {
    pub(super) start: i64,
    pub(super) units: Vec<AccessUnit>,
    /// With their presentation times; `None`: that of the first picture.
    pub(super) cues: Vec<(Cue, Option<i64>)>,
}

impl OpenPart {
    /// Decode time of the newest unit.
    pub(super) fn last(&self, tracks: &Tracks) -> Option<i64> {
        self.units.last().map(|unit| ticks(unit, tracks))
    }
}

/// A stretch of continuous time: from a keyframe to the next discontinuity.
#[derive(Debug)]
pub(super) struct Domain {
    /// This wall-clock time is that presentation time.
    pub(super) wall: WallTime,
    pub(super) presentation: i64,
    /// Presentation less decode time at its first keyframe.
    pub(super) shift: i64,
    /// Where the open segment began.
    pub(super) segment_start: i64,
    pub(super) segment_independent: bool,
    pub(super) part: OpenPart,
    pub(super) last_was_keyframe: bool,
    pub(super) drift: Drift,
}

impl Domain {
    pub(super) fn wall_at(&self, presentation: i64) -> WallTime {
        self.wall.plus_ms((presentation - self.presentation).div_euclid(MS))
    }
}
