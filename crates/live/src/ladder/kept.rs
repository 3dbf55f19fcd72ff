//! What a rendition that is woken begins with: the source's units since the start of a segment that players still need.
//!
//! Players learn what a rendition is like from a segment that is complete, and read on where their buffer ends, in the open one or in the newest
//! complete one. So a rendition begins with the newest complete segment that starts as far behind the live edge as players play. Segments start
//! with keyframes, unless those are too far apart; then the newest keyframe that is not quite new has to do.

use headwater_hls::Cut;
use headwater_media::{AccessUnit, Keyframe, Timescale, TrackKind};
use std::collections::VecDeque;

/// Units that are kept: twelve seconds of 60 pictures a second and sound, three times what segments of two seconds need. What the next encoder is
/// handed, with what comes until it has caught up, fits into its own backlog of 2,048. Full: the oldest group of pictures leaves.
const UNITS_MAX: usize = 1_536;
/// Their bytes: fifteen seconds at the 8.5 Mb/s that a source may have, and two thirds of the next encoder's backlog. Full: as above.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// Segments that a rendition may begin with: [`headwater_hls::follow::KEPT_SEGMENTS`] less the open one.
const COMPLETE_MAX: usize = headwater_hls::follow::KEPT_SEGMENTS - 1;
/// Without such a segment, it begins at the last keyframe that is so old at least.
const KEYFRAME_AGE_MS: i64 = 1_000;
/// How far the decode time of a segment's start may be from its keyframe's.
const TOLERANCE_MS: i64 = 1;

/// A group of pictures, the keyframe first, with the sound that came between them.
#[derive(Debug, Default)]
struct Group {
    units: Vec<AccessUnit>,
    bytes: usize,
}

impl Group {
    /// Decode time of its keyframe, ticks of 90 kHz.
    fn begin(&self) -> i64 {
        self.units.first().map_or(i64::MIN, |keyframe| keyframe.dts)
    }
}

/// Units of the source. Times are decode times, ticks of 90 kHz.
#[derive(Debug, Default)]
pub(super) struct Kept {
    groups: VecDeque<Group>,
    newest: i64,
    /// How far behind the live edge players play.
    lead: i64,
    /// Where complete segments start, oldest first.
    complete: VecDeque<i64>,
    /// Where the open one starts, once it has a part.
    open: Option<i64>,
}

impl Kept {
    /// Takes a unit of the source, before it is cut.
    pub(super) fn unit(&mut self, unit: &AccessUnit) {
        let is_keyframe = unit.kind == TrackKind::Video && unit.keyframe == Keyframe::Yes;
        if unit.kind == TrackKind::Video {
            self.newest = unit.dts;
        }
        if is_keyframe {
            self.groups.push_back(Group::default());
        }
        let Some(group) = self.groups.back_mut() else { return };
        group.bytes += unit.data.len();
        group.units.push(unit.clone());
        if is_keyframe {
            self.trim();
        }
        while self.is_too_much() {
            self.groups.pop_front();
        }
    }

    /// What the source's packager told.
    pub(super) fn cut(&mut self, cut: &Cut) {
        match cut {
            Cut::Begin(beginning) => self.lead = Timescale::VIDEO.ticks_of_ms(beginning.part_hold_back_ms()),
            Cut::Open(_) => self.open = None,
            Cut::Part(part) => {
                self.open.get_or_insert(part.start());
            }
            Cut::Close => self.close(),
            _ => {}
        }
    }

    fn close(&mut self) {
        self.complete.extend(self.open.take());
        if self.complete.len() > COMPLETE_MAX {
            self.complete.pop_front();
        }
        self.trim();
    }

    /// What was kept cannot be decoded any more.
    pub(super) fn clear(&mut self) {
        self.groups.clear();
    }

    /// Whether a rendition can begin with it.
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// What a rendition begins with, a keyframe first.
    pub(super) fn units(&self) -> Vec<AccessUnit> {
        self.groups.iter().skip(self.begin()).flat_map(|group| &group.units).cloned().collect()
    }

    /// The group that a rendition begins with.
    fn begin(&self) -> usize {
        let place = |start: &i64| self.starts_with(*start);
        let needed =
            self.complete.iter().rev().filter(|start| self.newest.saturating_sub(**start) >= self.lead).find_map(place);
        needed.or_else(|| self.complete.iter().find_map(place)).unwrap_or_else(|| {
            let age = Timescale::VIDEO.ticks_of_ms(KEYFRAME_AGE_MS);
            self.groups.iter().rposition(|group| self.newest.saturating_sub(group.begin()) >= age).unwrap_or(0)
        })
    }

    /// The group with whose keyframe a segment starts.
    fn starts_with(&self, start: i64) -> Option<usize> {
        let tolerance = Timescale::VIDEO.ticks_of_ms(TOLERANCE_MS).unsigned_abs();
        self.groups.iter().position(|group| group.begin().abs_diff(start) <= tolerance)
    }

    /// What no rendition will begin with leaves. Before the first segment nothing does: it may turn out to start with any of them.
    fn trim(&mut self) {
        let Some(oldest) = self.complete.front().or(self.open.as_ref()).copied() else { return };
        let at = match self.starts_with(oldest) {
            Some(_) => self.begin(),
            // It starts in the middle of a group.
            None => self.groups.iter().rposition(|group| group.begin() <= oldest).unwrap_or(0).min(self.begin()),
        };
        self.groups.drain(..at);
    }

    fn is_too_much(&self) -> bool {
        let (units, bytes) =
            self.groups.iter().fold((0, 0), |(units, bytes), group| (units + group.units.len(), bytes + group.bytes));
        units > UNITS_MAX || bytes > BYTES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use headwater_hls::{Latency, Options, Packager};
    use headwater_media::codec::{CodecConfig, avc};
    use headwater_media::{Track, WallTime};

    const FPS: i64 = 30;

    /// A source of 30 pictures a second without sound, beside its packager. Its clock begins at ten seconds.
    struct Source {
        packager: Packager,
        kept: Kept,
        pictures: i64,
    }

    impl Source {
        fn new(latency: Latency) -> Source {
            let options = Options { epoch: "e".into(), rendition: "source".into(), latency };
            let mut packager = Packager::new(options);
            packager.follow();
            let avcc = [
                1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 9, 0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xf6, 0x40, 1, 0, 4,
                0x68, 0xce, 0x3c, 0x80,
            ];
            packager.handle_track(Track::new(CodecConfig::Avc(avc::Config::parse(&avcc).unwrap())));
            Source { packager, kept: Kept::default(), pictures: 0 }
        }

        /// Streams for so long, with a keyframe each so many milliseconds, and pictures of so many bytes.
        fn run(&mut self, ms: i64, gop_ms: i64, bytes: usize) {
            for _ in 0..ms * FPS / 1_000 {
                let at = (10 * FPS + self.pictures) * 90_000 / FPS;
                let is_first = self.pictures % (gop_ms * FPS / 1_000) == 0;
                let keyframe = if is_first { Keyframe::Yes } else { Keyframe::No };
                let data = Bytes::from(vec![0; bytes]);
                let unit = AccessUnit { kind: TrackKind::Video, dts: at, pts: at, keyframe, data };
                self.kept.unit(&unit);
                self.packager.handle_unit(unit, WallTime(at / 90)).unwrap();
                while let Some(cut) = self.packager.poll_cut() {
                    self.kept.cut(&cut);
                }
                self.pictures += 1;
            }
        }

        /// Where a rendition would begin, in milliseconds after the source's beginning.
        fn begin(&self) -> Option<i64> {
            let units = self.kept.units();
            assert!(units.first().is_none_or(|first| first.keyframe == Keyframe::Yes));
            assert!(units.iter().zip(units.iter().skip(1)).all(|(one, next)| one.dts < next.dts));
            Some(units.first()?.dts / 90 - 10_000)
        }
    }

    #[test]
    fn a_rendition_begins_with_the_newest_complete_segment() {
        for gop_ms in [500, 1_000, 2_000] {
            let mut source = Source::new(Latency::Low);
            source.run(7_000, gop_ms, 10);
            // Segments of two seconds: the one from 4 s on is complete, one is open.
            assert_eq!(source.begin(), Some(4_000), "{gop_ms}");
            source.run(900, gop_ms, 10);
            assert_eq!(source.begin(), Some(4_000), "{gop_ms}");
            // It is complete when the picture after it is there.
            source.run(134, gop_ms, 10);
            assert_eq!(source.begin(), Some(6_000), "{gop_ms}");
            assert_eq!(source.kept.units().len(), 61, "{gop_ms}");
        }
    }

    #[test]
    fn with_long_parts_players_are_further_behind_and_so_is_the_segment() {
        let mut source = Source::new(Latency::Normal);
        source.run(6_600, 2_000, 10);
        // Parts of 0.9 s: 2.7 s behind the live edge.
        assert_eq!(source.begin(), Some(2_000));
        source.run(200, 2_000, 10);
        assert_eq!(source.begin(), Some(4_000), "now it is far enough behind");
    }

    #[test]
    fn before_a_segment_is_complete_it_begins_with_a_keyframe_that_is_a_second_old_and_forgets_nothing() {
        let mut source = Source::new(Latency::Low);
        assert_eq!(source.begin(), None);
        source.run(1_900, 500, 10);
        assert_eq!(source.begin(), Some(500));
        source.run(200, 500, 10);
        assert_eq!(source.begin(), Some(0), "now the first segment is complete");
    }

    #[test]
    fn of_keyframes_that_are_far_apart_the_last_one_that_starts_a_segment_counts_or_that_is_not_new() {
        // Segments from 0, 6 (in the middle of a group), 10, 16.5 (in the middle), 20, 26.5.
        let mut source = Source::new(Latency::Low);
        source.run(18_000, 10_000, 10);
        assert_eq!(source.begin(), Some(10_000), "from 10 to 16.5 s it is complete");
        source.run(4_000, 10_000, 10);
        assert_eq!(
            source.begin(),
            Some(10_000),
            "the one before the newest complete one, which starts without a keyframe"
        );
        source.run(5_000, 10_000, 10);
        assert_eq!(source.begin(), Some(20_000));
        assert!(source.kept.units().len() < 8 * FPS as usize);
    }

    #[test]
    fn it_holds_so_much_and_no_more() {
        let mut source = Source::new(Latency::Low);
        source.run(5_000, 1_000, 100_000);
        // 30 pictures of 100 kB a second: five seconds and a bit are 16 MiB.
        assert_eq!(source.begin(), Some(2_000));
        let mut source = Source::new(Latency::Low);
        source.run(60_000, 60_000, 10);
        assert_eq!(source.begin(), None, "more than fits in one group");
        source.run(100, 60_000, 10);
        assert_eq!(source.begin(), Some(60_000), "from the next keyframe on");
        source.kept.clear();
        assert!(source.kept.is_empty() && source.begin().is_none());
    }
}
