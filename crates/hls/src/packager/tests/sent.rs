//! Further tracks of a publisher beside its first: aligned or not, with B-frames or without.

use super::encoder::{Encoder, moof};
use super::*;
use crate::follow::{Follower, Options as FollowerOptions, Pictures, Sound};
use crate::lint::across;
use headwater_media::Keyframe;
use proptest::prelude::*;

/// A publisher of two video tracks.
struct Pair {
    packager: Packager,
    source: Viewer,
    follower: Follower,
    further: Viewer,
    began: bool,
}

impl Pair {
    fn new() -> Self {
        let mut packager = Packager::new(options(Latency::Low));
        packager.handle_track(video_track(0));
        packager.handle_track(audio_track());
        packager.follow();
        packager.set_siblings(&Arc::from(["480p30".to_owned()]));
        let mut follower = Follower::new(FollowerOptions {
            epoch: "e".into(),
            rendition: "480p30".into(),
            pictures: Pictures::Sent,
            sound: Sound::Source,
            bandwidth: 0,
            frame_rate_millis_max: None,
        });
        follower.set_siblings(&Arc::from(["source".to_owned()]));
        follower.handle_track(video_track(1));
        let (mut source, mut further) = (Viewer::new(), Viewer::new());
        (source.strict, further.strict) = (false, false);
        Pair { packager, source, follower, further, began: false }
    }

    fn source_unit(&mut self, step: Step) {
        self.packager.handle_unit(step.unit, START.plus_ms(step.wall_ms)).unwrap();
        self.tell();
    }

    fn further_unit(&mut self, unit: AccessUnit) {
        if !self.began && unit.keyframe == Keyframe::Yes {
            self.began = true;
            self.follower.expect_from(Some(unit.pts));
        }
        if self.began {
            self.follower.handle_unit(unit);
        }
        self.tell();
    }

    fn tell(&mut self) {
        while let Some(cut) = self.packager.poll_cut() {
            self.follower.handle_cut(cut);
        }
        if let Some(snapshot) = self.packager.poll_snapshot() {
            self.source.look(snapshot);
        }
        if let Some(snapshot) = self.follower.poll_snapshot() {
            self.further.look(snapshot);
            let texts = [("source", self.source.text()), ("480p30", self.further.text())];
            let texts: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (*name, text.as_str())).collect();
            assert_eq!(across(&texts), [], "{texts:#?}");
        }
    }

    /// Both tracks' units by decode time; of the same time, the further track's first if `before`.
    fn run(&mut self, source: &Encoder, further: &Encoder, duration_ms: i64, before: bool) -> Vec<AccessUnit> {
        let own: Vec<AccessUnit> = further.run(duration_ms).into_iter().map(|step| step.unit).collect();
        let mut rest = own.iter().cloned().peekable();
        for step in source.run(duration_ms) {
            let at = if step.unit.kind == TrackKind::Video { step.unit.dts } else { i64::MIN };
            while let Some(unit) = rest.next_if(|unit| unit.dts < at || (before && unit.dts == at)) {
                self.further_unit(unit);
            }
            self.source_unit(step);
        }
        rest.for_each(|unit| self.further_unit(unit));
        self.packager.end();
        self.follower.expect_from(None);
        self.tell();
        own
    }

    fn seen(&self) -> Vec<u32> {
        self.further.seen.get(&1).cloned().unwrap_or_default()
    }
}

fn numbers(units: &[AccessUnit]) -> Vec<u32> {
    units.iter().map(|unit| super::encoder::number(&unit.data)).collect()
}

#[test]
fn an_aligned_track_has_all_its_pictures_and_begins_each_segment_with_a_keyframe() {
    // The further track may reorder more or less than the first, and have another rate.
    for (delay_ms, own_delay_ms, rate) in
        [(0, 0, 30_000), (67, 67, 30_000), (67, 0, 30_000), (0, 67, 30_000), (33, 67, 15_000)]
    {
        for before in [false, true] {
            let mut pair = Pair::new();
            let source = Encoder { delay_ms, ..Encoder::default() };
            // Keyframes of both are shown at the same time, so the one that reorders more decodes earlier.
            let further = Encoder {
                delay_ms: own_delay_ms,
                start_ms: 1_000 + delay_ms - own_delay_ms,
                rate_millis: rate,
                gop: rate / 500,
                audio: false,
                ..Encoder::default()
            };
            let sent = pair.run(&source, &further, 9_000, before);
            assert_eq!(pair.follower.gaps(), 0);
            assert!(pair.follower.is_aligned());
            assert!(pair.further.snapshot().all_independent);
            let seen = pair.seen();
            assert_eq!(seen, numbers(&sent)[..seen.len()]);
            assert!(seen.len() + 4 >= sent.len(), "{} of {}", seen.len(), sent.len());
        }
    }
}

#[test]
fn a_track_keeps_its_own_decode_times() {
    let mut pair = Pair::new();
    let further = Encoder { delay_ms: 67, start_ms: 933, audio: false, ..Encoder::default() };
    let sent = pair.run(&Encoder::default(), &further, 5_000, true);
    let snapshot = pair.further.snapshot();
    let segments = (0..snapshot.next().msn).filter_map(|msn| snapshot.segment(msn));
    let mut at = 0;
    for part in segments.flat_map(|segment| segment.parts()) {
        let moof = moof(part);
        let run = &moof.traf[0];
        assert_eq!(run.tfdt.as_ref().unwrap().base_media_decode_time, sent[at].dts.unsigned_abs());
        let mut decode = sent[at].dts;
        for sample in &run.trun[0].samples {
            assert_eq!((decode, decode + sample.cts.unwrap_or(0)), (sent[at].dts, sent[at].pts));
            decode += i64::from(sample.duration.unwrap());
            at += 1;
        }
    }
    assert!(at > 100, "{at}");
}

#[test]
fn a_track_that_is_not_aligned_is_whole_from_its_first_keyframe_on() {
    let mut pair = Pair::new();
    let further = Encoder { start_ms: 1_500, audio: false, ..Encoder::default() };
    let sent = pair.run(&Encoder::default(), &further, 13_000, false);
    assert!(!pair.follower.is_aligned());
    let snapshot = pair.further.snapshot();
    assert!(!snapshot.all_independent);
    let gaps: Vec<u64> =
        (0..snapshot.next().msn).filter_map(|msn| snapshot.segment(msn)).filter(|s| s.gap()).map(|s| s.msn()).collect();
    assert_eq!(gaps, [0], "the segment in which it begins");
    let seen = pair.seen();
    assert_eq!(seen, numbers(&sent)[..seen.len()]);
    assert!(seen.len() > 300, "{}", seen.len());
}

#[test]
fn a_track_that_stops_becomes_a_gap_and_comes_back_with_a_keyframe() {
    let mut pair = Pair::new();
    let further = Encoder { audio: false, ..Encoder::default() };
    let mut own = further.run(15_000).into_iter().map(|step| step.unit).peekable();
    for step in Encoder::default().run(15_000) {
        while let Some(unit) = own.next_if(|unit| step.unit.kind == TrackKind::Video && unit.dts <= step.unit.dts) {
            if !(5_000 * 90..8_300 * 90).contains(&unit.dts) {
                pair.further_unit(unit);
            }
        }
        pair.source_unit(step);
    }
    let snapshot = pair.further.snapshot();
    let gaps: Vec<u64> =
        (0..snapshot.next().msn).filter_map(|msn| snapshot.segment(msn)).filter(|s| s.gap()).map(|s| s.msn()).collect();
    // Away from the end of the second segment to the keyframe of the fifth.
    assert_eq!(gaps, [2, 3]);
    assert!(pair.follower.is_aligned());
}

/// A publisher whose second track is configured anew for its first keyframe after 6 s; it says so before the keyframe of the first, or after that.
fn renewed(said_before: bool, own_start_ms: i64) -> Pair {
    let mut pair = Pair::new();
    let further = Encoder { audio: false, start_ms: own_start_ms, ..Encoder::default() };
    let mut own = further.run(15_000).into_iter().map(|step| step.unit).peekable();
    let first = |units: Vec<AccessUnit>| {
        units.into_iter().find(|unit| unit.keyframe == Keyframe::Yes && unit.dts >= 6_000 * 90).unwrap().dts
    };
    let at = first(further.run(15_000).into_iter().map(|step| step.unit).collect());
    let mut renewed = false;
    for step in Encoder::default().run(15_000) {
        let (video, now) = (step.unit.kind == TrackKind::Video, step.unit.dts);
        if said_before {
            if video && now >= at {
                pair.configure_anew(&mut renewed);
            }
            pair.source_unit(step);
        } else {
            pair.source_unit(step);
            if video && now >= at {
                pair.configure_anew(&mut renewed);
            }
        }
        while let Some(unit) = own.next_if(|unit| video && unit.dts <= now) {
            pair.further_unit(unit);
        }
    }
    pair
}

impl Pair {
    fn configure_anew(&mut self, done: &mut bool) {
        if !std::mem::replace(done, true) {
            self.follower.handle_track(video_track(2));
            assert!(self.follower.poll_renewal());
            assert!(!self.follower.poll_renewal(), "it is told once");
            self.packager.renew();
        }
    }

    fn gap_segments(&self) -> Vec<u64> {
        let snapshot = self.further.snapshot();
        let segments = (0..snapshot.next().msn).filter_map(|msn| snapshot.segment(msn));
        segments.filter(|segment| segment.parts().iter().any(|part| part.gap())).map(|segment| segment.msn()).collect()
    }
}

#[test]
fn a_track_that_is_configured_anew_has_its_new_init_segment_at_a_discontinuity_of_all_renditions() {
    // The keyframes of a track that begins at 1,600 ms are not the first one's: its first segment is a gap too, and the one with the discontinuity has
    // none before its keyframe.
    for (said_before, own_start_ms, gaps) in [(true, 1_000, &[][..]), (false, 1_000, &[3]), (true, 1_600, &[0, 3, 4])] {
        let mut pair = renewed(said_before, own_start_ms);
        for viewer in [&pair.source, &pair.further] {
            let text = viewer.text();
            assert_eq!(text.matches("#EXT-X-DISCONTINUITY\n").count(), 1, "{text}");
        }
        let text = pair.further.text();
        assert!(text.contains("#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init-1.mp4\"\n"), "{text}");
        assert_eq!(pair.gap_segments(), gaps, "{text}");
        assert!(!pair.follower.poll_renewal());
    }
}

#[test]
fn what_a_track_holds_back_is_bounded() {
    let mut pair = Pair::new();
    pair.follower.expect_from(Some(0));
    let data = bytes::Bytes::from(vec![0; 3 << 20]);
    for number in 0..40 {
        let at = number * 3_000;
        pair.follower.handle_unit(AccessUnit {
            kind: TrackKind::Video,
            dts: at,
            pts: at,
            keyframe: Keyframe::Yes,
            data: data.clone(),
        });
        assert!(pair.follower.waiting_weight() <= super::super::SEGMENT_BYTES_MAX);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever two tracks have to do with each other, the playlists keep the rules, and no picture comes twice or out of order.
    #[test]
    fn any_two_tracks_keep_the_rules(
        start_ms in 0..3_000i64, own_delay_ms in 0..200i64, delay_ms in 0..200i64, gop in 5..150i64, rate in 5_000..61_000i64, before: bool,
    ) {
        let mut pair = Pair::new();
        let further = Encoder { start_ms, delay_ms: own_delay_ms, gop, rate_millis: rate, audio: false, ..Encoder::default() };
        let sent = pair.run(&Encoder { delay_ms, ..Encoder::default() }, &further, 9_000, before);
        let (seen, sent) = (pair.seen(), numbers(&sent));
        prop_assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "{seen:?}");
        prop_assert!(seen.iter().all(|number| sent.contains(number)));
    }
}
