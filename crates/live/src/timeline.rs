//! The session's timeline: publishers' own timestamps put one after another at wall-clock distance.
//!
//! Each publisher's clock starts anywhere and may jump. The first unit after a start or a jump is put where the wall clock stands, and the
//! offset found there holds until the next: within it, time is the encoder's own. Offsets are whole milliseconds, so that both tracks keep
//! their distance.

use headwater_media::{AccessUnit, Timescale, TrackKind};
use headwater_model::Timestamp;

/// Where the session's media time begins: above zero, so that a unit just before the first one has a time as well.
const LEAD_MS: i64 = 1_000;
/// How much faster than the wall clock, or how far back, an encoder's clock must go to have jumped.
const JUMP_MS: i64 = 3_000;
/// How long after a jump units of the other track may still come from before it.
const STRAGGLE_MS: i64 = 1_000;
/// Least distance between what came before a jump and what comes after it.
const SEPARATION_MS: i64 = 40;

/// What the timeline says about a unit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    /// It goes on.
    Here(AccessUnit),
    /// It does not continue what came before.
    Apart(AccessUnit),
    /// It belongs to before a jump, which the other track has made already.
    Straggler,
}

/// A jump of the publisher's clock.
#[derive(Debug)]
struct Jump {
    /// The offset before it.
    left_offset_ms: i64,
    /// The track that jumped first.
    kind: TrackKind,
    at: Timestamp,
}

/// The session's timeline.
#[derive(Debug)]
pub(crate) struct Timeline {
    start: Timestamp,
    offset_ms: Option<i64>,
    /// The last jump of the same publisher.
    jump: Option<Jump>,
    /// The newest time given out, and when.
    newest: Option<(i64, Timestamp)>,
}

impl Timeline {
    pub(crate) fn new(start: Timestamp) -> Self {
        Timeline { start, offset_ms: None, jump: None, newest: None }
    }

    /// Another publisher comes: what it says about time has nothing to do with what the one before said.
    pub(crate) fn new_source(&mut self) {
        self.offset_ms = None;
        self.jump = None;
    }

    /// Puts a unit on the timeline.
    pub(crate) fn place(&mut self, unit: AccessUnit, scale: Timescale, now: Timestamp) -> Placed {
        let source_ms = scale.ms_of_ticks(unit.dts);
        let Some(offset_ms) = self.offset_ms else {
            self.anchor(source_ms, now);
            let first = self.newest.is_none();
            let unit = self.shift(unit, scale, now);
            return if first { Placed::Here(unit) } else { Placed::Apart(unit) };
        };
        if !self.jumps(source_ms.saturating_add(offset_ms), now) {
            return Placed::Here(self.shift(unit, scale, now));
        }
        if let Some(jump) = &self.jump
            && jump.kind != unit.kind
            && now.since_ms(jump.at) < STRAGGLE_MS
            && !self.jumps(source_ms.saturating_add(jump.left_offset_ms), now)
        {
            return Placed::Straggler;
        }
        self.jump = Some(Jump { left_offset_ms: offset_ms, kind: unit.kind, at: now });
        self.anchor(source_ms, now);
        Placed::Apart(self.shift(unit, scale, now))
    }

    /// Puts a unit of a further track beside those of the first, which alone decide about jumps; only before any of them does it find its own place.
    /// `None` for one that is far from them: it comes from before a jump or from nowhere.
    pub(crate) fn accompany(&mut self, unit: AccessUnit, scale: Timescale, now: Timestamp) -> Option<AccessUnit> {
        let source_ms = scale.ms_of_ticks(unit.dts);
        let Some(offset_ms) = self.offset_ms else {
            self.anchor(source_ms, now);
            return Some(self.shift(unit, scale, now));
        };
        if self.jumps(source_ms.saturating_add(offset_ms), now) {
            return None;
        }
        let ticks = scale.ticks_of_ms(offset_ms);
        Some(AccessUnit { dts: unit.dts.saturating_add(ticks), pts: unit.pts.saturating_add(ticks), ..unit })
    }

    fn jumps(&self, at_ms: i64, now: Timestamp) -> bool {
        self.newest.is_some_and(|(newest_ms, when)| {
            let forward = at_ms.saturating_sub(newest_ms);
            forward < -JUMP_MS || forward > now.since_ms(when).max(0) + JUMP_MS
        })
    }

    fn anchor(&mut self, source_ms: i64, now: Timestamp) {
        let wall = LEAD_MS.saturating_add(now.since_ms(self.start).max(0));
        let at = match self.newest {
            Some((newest_ms, _)) => wall.max(newest_ms.saturating_add(SEPARATION_MS)),
            None => wall,
        };
        self.offset_ms = Some(at.saturating_sub(source_ms));
    }

    fn shift(&mut self, unit: AccessUnit, scale: Timescale, now: Timestamp) -> AccessUnit {
        let ticks = scale.ticks_of_ms(self.offset_ms.unwrap_or_default());
        let unit = AccessUnit { dts: unit.dts.saturating_add(ticks), pts: unit.pts.saturating_add(ticks), ..unit };
        let at_ms = scale.ms_of_ticks(unit.dts);
        match self.newest {
            Some((newest_ms, _)) if newest_ms >= at_ms => {}
            _ => self.newest = Some((at_ms, now)),
        }
        unit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use headwater_media::Keyframe;
    use proptest::prelude::*;

    const START: Timestamp = Timestamp(1_000_000);

    fn unit(ms: i64) -> AccessUnit {
        AccessUnit {
            kind: TrackKind::Video,
            dts: ms * 90,
            pts: ms * 90 + 6_000,
            keyframe: Keyframe::Yes,
            data: Bytes::new(),
        }
    }

    fn place(timeline: &mut Timeline, source_ms: i64, wall_ms: i64) -> (&'static str, i64) {
        match timeline.place(unit(source_ms), Timescale::VIDEO, START.plus_ms(wall_ms)) {
            Placed::Here(unit) => ("here", unit.dts / 90),
            Placed::Apart(unit) => ("apart", unit.dts / 90),
            Placed::Straggler => ("straggler", 0),
        }
    }

    #[test]
    fn a_high_start_is_put_at_the_wall_clock() {
        let mut timeline = Timeline::new(START);
        assert_eq!(place(&mut timeline, 3_000_000_000, 200), ("here", 1_200));
        assert_eq!(place(&mut timeline, 3_000_000_040, 290), ("here", 1_240));
        // A unit from just before the first keeps its distance.
        assert_eq!(place(&mut timeline, 2_999_999_990, 300), ("here", 1_190));
    }

    #[test]
    fn a_reconnect_continues_at_wall_clock_distance() {
        let mut timeline = Timeline::new(START);
        place(&mut timeline, 0, 0);
        assert_eq!(place(&mut timeline, 5_000, 5_000), ("here", 6_000));
        timeline.new_source();
        assert_eq!(place(&mut timeline, 77, 12_000), ("apart", 13_000));
        assert_eq!(place(&mut timeline, 117, 12_040), ("here", 13_040));
    }

    #[test]
    fn a_takeover_never_goes_back() {
        let mut timeline = Timeline::new(START);
        place(&mut timeline, 0, 0);
        // An encoder that ran ahead of the wall clock by 2 s.
        assert_eq!(place(&mut timeline, 7_000, 5_000), ("here", 8_000));
        timeline.new_source();
        assert_eq!(place(&mut timeline, 0, 5_010), ("apart", 8_040));
    }

    #[test]
    fn jumps_are_taken_out_in_both_directions() {
        let mut timeline = Timeline::new(START);
        place(&mut timeline, 50_000, 0);
        assert_eq!(place(&mut timeline, 0, 40), ("apart", 1_040));
        // Sound from before the jump that comes after it.
        let sound = AccessUnit { kind: TrackKind::Audio, ..unit(50_045) };
        let placed = timeline.place(sound, Timescale::VIDEO, START.plus_ms(45));
        assert_eq!(placed, Placed::Straggler);
        assert_eq!(place(&mut timeline, 40, 80), ("here", 1_080));
        assert_eq!(place(&mut timeline, 900_000, 120), ("apart", 1_120));
        assert_eq!(place(&mut timeline, 900_040, 160), ("here", 1_160));
    }

    #[test]
    fn a_further_track_goes_along_and_moves_nobody() {
        let mut timeline = Timeline::new(START);
        let accompany = |timeline: &mut Timeline, source_ms: i64, wall_ms: i64| {
            let placed = timeline.accompany(unit(source_ms), Timescale::VIDEO, START.plus_ms(wall_ms));
            placed.map(|unit| unit.dts / 90)
        };
        // It may be the first of all.
        assert_eq!(accompany(&mut timeline, 70_000, 0), Some(1_000));
        assert_eq!(place(&mut timeline, 70_000, 1), ("here", 1_000));
        assert_eq!(accompany(&mut timeline, 70_040, 40), Some(1_040));
        // Far off, it is passed over, and the first track goes on as it was.
        assert_eq!(accompany(&mut timeline, 5, 60), None);
        assert_eq!(place(&mut timeline, 70_080, 80), ("here", 1_080));
        assert_eq!(place(&mut timeline, 900_000, 120), ("apart", 1_120));
        assert_eq!(accompany(&mut timeline, 70_120, 125), None);
        assert_eq!(accompany(&mut timeline, 900_040, 160), Some(1_160));
        // A first one from nowhere does not misplace the others.
        timeline.new_source();
        accompany(&mut timeline, -400_000, 1_000);
        assert_eq!(place(&mut timeline, 0, 1_000), ("apart", 2_040));
    }

    #[test]
    fn a_glitch_of_one_unit_is_followed_back() {
        let mut timeline = Timeline::new(START);
        place(&mut timeline, 50_000, 0);
        assert_eq!(place(&mut timeline, 3_650_000, 40), ("apart", 1_040));
        assert_eq!(place(&mut timeline, 50_080, 80), ("apart", 1_080));
        assert_eq!(place(&mut timeline, 50_120, 120), ("here", 1_120));
    }

    #[test]
    fn a_pause_and_a_burst_are_no_jumps() {
        let mut timeline = Timeline::new(START);
        place(&mut timeline, 0, 0);
        // The encoder paused for 8 s, and its clock went on.
        assert_eq!(place(&mut timeline, 8_000, 8_000), ("here", 9_000));
        // The network stood for 6 s, then everything came at once.
        assert_eq!(place(&mut timeline, 8_040, 14_000), ("here", 9_040));
        assert_eq!(place(&mut timeline, 10_000, 14_001), ("here", 11_000));
    }

    proptest! {
        #[test]
        fn time_never_goes_back_by_more_than_a_jump(
            steps in prop::collection::vec((any::<i32>(), 0..5_000i64, 0..8u8), 1..60),
        ) {
            let mut timeline = Timeline::new(START);
            let (mut wall, mut newest) = (0, i64::MIN);
            for (source_ms, wait, reconnect) in steps {
                wall += wait;
                if reconnect == 0 {
                    timeline.new_source();
                }
                let (how, at) = place(&mut timeline, i64::from(source_ms), wall);
                match how {
                    "apart" => prop_assert!(at > newest),
                    "here" if newest > i64::MIN => prop_assert!(at >= newest - JUMP_MS),
                    _ => {}
                }
                if how != "straggler" {
                    newest = newest.max(at);
                    prop_assert!(at >= LEAD_MS - JUMP_MS);
                }
            }
        }
    }
}
