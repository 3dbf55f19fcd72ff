//! What an encoder that begins anew needs to go on where the last one stopped: the units since a keyframe.

use headwater_media::{AccessUnit, Keyframe, TrackKind};
use std::collections::VecDeque;

/// Units that are kept: ten seconds of 120 pictures and 47 blocks of sound, and some. Full: all before the newest keyframe leave, or all.
const UNITS_MAX: usize = 2_048;
/// Their bytes: twenty seconds at the 8.5 Mb/s that a source may have. They are slices of what the source's own parts hold. Full: as above.
const BYTES_MAX: usize = 24 * 1024 * 1024;
/// Blocks of sound before the first keyframe: more than an encoder is delayed by.
const EARLY_MAX: usize = 4;

/// Units in decode order. Pictures begin with a keyframe; a few blocks of sound may stand before it.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    units: VecDeque<AccessUnit>,
    bytes: usize,
}

impl Backlog {
    /// Takes a unit. `delivered` is the presentation time up to which every rendition has pictures: what lies before a keyframe that is
    /// delivered is needed no more.
    pub(super) fn push(&mut self, unit: AccessUnit, delivered: i64) {
        let is_keyframe = is_keyframe(&unit);
        if unit.kind == TrackKind::Video && !is_keyframe && !self.has_keyframe() {
            return;
        }
        self.bytes += unit.data.len();
        self.units.push_back(unit);
        if is_keyframe {
            self.trim(delivered);
        } else if !self.has_keyframe() {
            self.keep_early(self.units.len());
        }
        if self.units.len() > UNITS_MAX || self.bytes > BYTES_MAX {
            self.skip_to_newest();
        }
        if self.units.len() > UNITS_MAX || self.bytes > BYTES_MAX {
            self.clear();
        }
    }

    /// Whether pictures can be decoded from it.
    pub(super) fn has_keyframe(&self) -> bool {
        self.keyframe().is_some()
    }

    /// The first keyframe.
    pub(super) fn keyframe(&self) -> Option<&AccessUnit> {
        // Sound only may stand before it.
        self.units.iter().take(EARLY_MAX + 1).find(|unit| is_keyframe(unit))
    }

    /// All of it, the keyframe first: the encoder looks at the first few bytes only to know what comes.
    pub(super) fn units(&self) -> Vec<AccessUnit> {
        let keyframe = self.units.iter().position(is_keyframe);
        let others = self.units.iter().enumerate().filter(|(at, _)| Some(*at) != keyframe).map(|(_, unit)| unit);
        keyframe.iter().filter_map(|&at| self.units.get(at)).chain(others).cloned().collect()
    }

    /// What lies before the newest keyframe that is delivered leaves.
    pub(super) fn trim(&mut self, delivered: i64) {
        self.leave_before(|keyframe| keyframe.pts <= delivered);
    }

    /// What lies before the newest keyframe leaves.
    pub(super) fn skip_to_newest(&mut self) {
        self.leave_before(|_| true);
    }

    /// The blocks of sound cannot be decoded any more.
    pub(super) fn forget_sound(&mut self) {
        self.units.retain(|unit| unit.kind == TrackKind::Video);
        self.bytes = self.units.iter().map(|unit| unit.data.len()).sum();
    }

    pub(super) fn clear(&mut self) {
        *self = Backlog::default();
    }

    /// All before the newest keyframe of that kind leave, but for the last blocks of sound.
    fn leave_before(&mut self, is_enough: impl Fn(&AccessUnit) -> bool) {
        if let Some(at) = self.units.iter().rposition(|unit| is_keyframe(unit) && is_enough(unit)) {
            let before = &mut self.units.make_contiguous()[..at];
            // Pictures of the past leave; `keep_early` counts sound only.
            let sound = before.iter().filter(|unit| unit.kind == TrackKind::Audio).count();
            if sound < at {
                let tail = self.units.split_off(at);
                self.units.retain(|unit| unit.kind == TrackKind::Audio);
                self.units.extend(tail);
                self.bytes = self.units.iter().map(|unit| unit.data.len()).sum();
            }
            self.keep_early(sound);
        }
    }

    /// Of the first `count` units, which are sound, the last few stay.
    fn keep_early(&mut self, count: usize) {
        for _ in EARLY_MAX..count {
            if let Some(unit) = self.units.pop_front() {
                self.bytes -= unit.data.len();
            }
        }
    }
}

fn is_keyframe(unit: &AccessUnit) -> bool {
    unit.kind == TrackKind::Video && unit.keyframe == Keyframe::Yes
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn unit(kind: TrackKind, pts: i64, keyframe: Keyframe, bytes: usize) -> AccessUnit {
        AccessUnit { kind, dts: pts, pts, keyframe, data: Bytes::from(vec![0; bytes]) }
    }

    /// `K`: keyframe, `p`: another picture, `s`: sound. The time is the place in the text.
    fn filled(text: &str, delivered: i64) -> Backlog {
        let mut backlog = Backlog::default();
        for (at, letter) in text.chars().enumerate() {
            let (kind, keyframe) = match letter {
                'K' => (TrackKind::Video, Keyframe::Yes),
                'p' => (TrackKind::Video, Keyframe::No),
                _ => (TrackKind::Audio, Keyframe::Yes),
            };
            backlog.push(unit(kind, at as i64, keyframe, 1), delivered);
        }
        backlog
    }

    fn times(backlog: &Backlog) -> Vec<i64> {
        assert_eq!(backlog.bytes, backlog.units.len());
        backlog.units().iter().map(|unit| unit.pts).collect()
    }

    #[test]
    fn it_begins_with_a_keyframe_and_the_sound_just_before_it() {
        let backlog = filled("pssssssKsp", -1);
        assert_eq!(times(&backlog), [7, 3, 4, 5, 6, 8, 9]);
        assert!(!filled("psps", -1).has_keyframe());
    }

    #[test]
    fn what_is_delivered_leaves_with_the_next_keyframe() {
        // The second keyframe is not delivered yet when it comes, the third one finds it delivered.
        assert_eq!(times(&filled("KppKpp", 2)), [0, 1, 2, 3, 4, 5]);
        assert_eq!(times(&filled("KppKspKp", 4)), [3, 4, 5, 6, 7]);
        let mut backlog = filled("KppKpp", 2);
        backlog.trim(4);
        assert_eq!(times(&backlog), [3, 4, 5]);
        let mut backlog = filled("KspKspp", 0);
        backlog.skip_to_newest();
        assert_eq!(times(&backlog), [3, 1, 4, 5, 6]);
    }

    #[test]
    fn sound_that_nobody_can_decode_is_forgotten() {
        let mut backlog = filled("sKsp", 0);
        backlog.forget_sound();
        assert_eq!(times(&backlog), [1, 3]);
    }

    #[test]
    fn too_long_a_distance_between_keyframes_leaves_nothing() {
        let mut backlog = filled("K", 0);
        for at in 0..UNITS_MAX {
            backlog.push(unit(TrackKind::Video, at as i64, Keyframe::No, 1), 0);
        }
        assert!(!backlog.has_keyframe() && backlog.bytes == 0);
        backlog.push(unit(TrackKind::Video, 9, Keyframe::Yes, BYTES_MAX - 1), 0);
        backlog.push(unit(TrackKind::Video, 10, Keyframe::Yes, 1_000), 0);
        assert_eq!(backlog.keyframe().map(|unit| unit.pts), Some(10), "the newest keyframe is left");
    }
}
