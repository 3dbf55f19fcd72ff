//! Followers beside their source: the same cuts, whatever the encoder does.

use super::encoder::{Encoder, events, moof, payloads};
use super::*;
use crate::follow::{Follower, Options as FollowerOptions, Pictures, Sound};
use crate::lint::across;
use crate::snapshot::Part;
use bytes::Bytes;
use headwater_media::{Cue, CueOwner, Keyframe};

/// A source with a ladder whose pictures come some time after the source's.
struct Ladder {
    packager: Packager,
    source: Viewer,
    followers: Vec<(Follower, Viewer)>,
    /// Pictures that the encoder works on.
    encoding: VecDeque<AccessUnit>,
    /// How many it holds back.
    delay: usize,
    alive: bool,
    wants_keyframe: bool,
}

const AUDIO: &str = "audio_only";

fn follower(name: &str) -> Follower {
    let sound_only = name == AUDIO;
    Follower::new(FollowerOptions {
        epoch: "e".into(),
        rendition: name.into(),
        pictures: if sound_only { Pictures::None } else { Pictures::Encoded },
        sound: Sound::Source,
        bandwidth: 1_400_000,
        frame_rate_millis_max: Some(30_000),
    })
}

impl Ladder {
    fn new(names: &[&str], delay: usize) -> Self {
        let mut packager = Packager::new(options(Latency::Low));
        packager.handle_track(video_track(0));
        packager.handle_track(audio_track());
        packager.follow();
        let siblings = |own: &str| -> Arc<[String]> {
            ["source"].iter().chain(names).filter(|name| **name != own).map(|name| (*name).to_owned()).collect()
        };
        packager.set_siblings(&siblings("source"));
        let followers = names.iter().map(|name| {
            let mut follower = follower(name);
            follower.set_siblings(&siblings(name));
            follower.handle_track(video_track(1));
            (follower, Viewer::new())
        });
        Ladder {
            followers: followers.collect(),
            packager,
            source: Viewer::new(),
            encoding: VecDeque::new(),
            delay,
            alive: true,
            wants_keyframe: true,
        }
    }

    fn step(&mut self, step: Step) {
        let unit = step.unit.clone();
        if unit.kind == TrackKind::Video && self.alive {
            if self.wants_keyframe && unit.keyframe == Keyframe::Yes {
                self.wants_keyframe = false;
                self.followers.iter_mut().for_each(|(follower, _)| follower.expect_from(Some(unit.pts)));
            }
            if !self.wants_keyframe {
                // Encoded without B-frames, its time in whole milliseconds.
                let pts = unit.pts / 90 * 90;
                self.encoding.push_back(AccessUnit { dts: pts, pts, ..unit });
            }
        }
        self.packager.handle_unit(step.unit, START.plus_ms(step.wall_ms)).unwrap();
        self.tell();
        while self.encoding.len() > self.delay {
            let unit = self.encoding.pop_front().unwrap();
            for (follower, _) in &mut self.followers {
                follower.handle_unit(unit.clone());
            }
        }
        self.look();
    }

    fn tell(&mut self) {
        while let Some(cut) = self.packager.poll_cut() {
            self.followers.iter_mut().for_each(|(follower, _)| follower.handle_cut(cut.clone()));
        }
    }

    fn look(&mut self) {
        if let Some(snapshot) = self.packager.poll_snapshot() {
            self.source.look(snapshot);
        }
        for (follower, viewer) in &mut self.followers {
            if let Some(snapshot) = follower.poll_snapshot() {
                viewer.look(snapshot);
            }
        }
    }

    fn die(&mut self) {
        self.alive = false;
        self.encoding.clear();
        self.followers.iter_mut().for_each(|(follower, _)| follower.expect_from(None));
    }

    fn revive(&mut self) {
        self.alive = true;
        self.wants_keyframe = true;
    }

    /// Lints all renditions against one another.
    fn compare(&self) {
        let mut texts = vec![("source", self.source.text())];
        texts.extend(self.followers.iter().map(|(follower, viewer)| (follower.rendition(), viewer.text())));
        let texts: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (*name, text.as_str())).collect();
        assert_eq!(across(&texts), [], "{texts:#?}");
    }

    fn end(&mut self) {
        self.packager.end();
        self.tell();
        for unit in std::mem::take(&mut self.encoding) {
            self.followers.iter_mut().for_each(|(follower, _)| follower.handle_unit(unit.clone()));
        }
        self.followers.iter_mut().for_each(|(follower, _)| follower.expect_from(None));
        self.tell();
        self.look();
    }
}

#[test]
fn renditions_are_cut_like_their_source() {
    for (delay, delay_ms, rate_millis) in [(0, 0, 30_000), (7, 67, 29_970), (3, 33, 59_940)] {
        let mut ladder = Ladder::new(&["480p30", "160p30", AUDIO], delay);
        let encoder = Encoder { delay_ms, rate_millis, gop: rate_millis / 500, ..Encoder::default() };
        for step in encoder.run(9_000) {
            ladder.step(step);
            if !ladder.source.snapshots.is_empty() && !ladder.followers[0].1.snapshots.is_empty() {
                ladder.compare();
            }
        }
        ladder.end();
        ladder.compare();
        let source = ladder.source.snapshot();
        for (follower, viewer) in &ladder.followers {
            assert_eq!(follower.gaps(), 0, "{delay}");
            let snapshot = viewer.snapshot();
            assert_eq!(snapshot.last(), source.last());
            let independent = |snapshot: &Snapshot| -> Vec<bool> {
                let parts = snapshot.segments.iter().flat_map(|segment| segment.parts());
                parts.map(|part| part.independent()).collect()
            };
            if follower.rendition() == AUDIO {
                assert!(snapshot.video().is_none());
                assert_eq!(viewer.seen.get(&2), ladder.source.seen.get(&2));
            } else {
                assert_eq!(independent(snapshot), independent(source));
                assert_eq!(viewer.seen, ladder.source.seen, "every picture and block, in the same parts");
            }
        }
    }
}

#[test]
fn pictures_of_a_rendition_keep_the_time_of_the_source() {
    let mut ladder = Ladder::new(&["480p30"], 2);
    for step in (Encoder { delay_ms: 67, ..Encoder::default() }).run(5_000) {
        ladder.step(step);
    }
    let times = |snapshot: &Snapshot| -> Vec<(u64, i64)> {
        let parts = snapshot.segments.iter().flat_map(|segment| segment.parts());
        parts
            .map(|part| {
                let moof = moof(part);
                let run = &moof.traf[0];
                let decode = run.tfdt.as_ref().unwrap().base_media_decode_time;
                (decode, run.trun[0].samples.get(0).unwrap().cts.unwrap_or(0))
            })
            .collect()
    };
    assert_eq!(times(ladder.followers[0].1.snapshot()), times(ladder.source.snapshot()));
}

#[test]
fn a_ladder_as_text() {
    let mut ladder = Ladder::new(&["480p30", AUDIO], 2);
    ladder.source.strict = false;
    for step in Encoder::default().run(6_500) {
        ladder.step(step);
    }
    let followers = &ladder.followers;
    insta::assert_snapshot!("ladder_media", followers[0].1.text());
    let facts = |snapshot: &Snapshot| playlist::Facts::from(snapshot);
    let all = [ladder.source.snapshot(), followers[0].1.snapshot(), followers[1].1.snapshot()].map(facts);
    let variant = |index: usize, uri, group| playlist::Variant { facts: &all[index], uri, group };
    let own = playlist::group(ladder.source.snapshot());
    let text = playlist::ladder(&[
        variant(0, "/media/e/source/media.m3u8", own.as_str()),
        variant(1, "/media/e/360p60/media.m3u8", "360p60"),
        variant(2, "/media/e/audio_only/media.m3u8", playlist::AUDIO_ONLY),
    ]);
    insta::assert_snapshot!("ladder_multivariant", text);
    let (rest, read) = m3u8_rs::parse_master_playlist(text.as_bytes()).unwrap();
    assert!(rest.is_empty());
    assert_eq!((read.variants.len(), read.alternatives.len()), (3, 3));
}

#[test]
fn a_dead_encoder_leaves_gaps_and_delays_nobody() {
    let mut ladder = Ladder::new(&["480p30"], 4);
    let steps = Encoder::default().run(14_000);
    for step in steps {
        match step.wall_ms {
            5_000..5_034 if ladder.alive => ladder.die(),
            6_000..6_034 if !ladder.alive => ladder.revive(),
            _ => {}
        }
        ladder.step(step);
    }
    ladder.end();
    ladder.compare();
    let snapshot = ladder.followers[0].1.snapshot();
    let gaps: Vec<u64> = snapshot.segments.iter().filter(|s| s.gap()).map(|s| s.msn()).collect();
    // Away in the third segment until the keyframe after its return.
    assert_eq!(gaps, [2]);
    let filled = filled(snapshot, 2).unwrap();
    assert!(filled.iter().zip(&filled[1..]).all(|(one, next)| one.to == next.from), "{filled:?}");
    assert_eq!(filled.last().unwrap().pictures, fragments(snapshot, 3)[0].pictures[..1]);
    assert_eq!(snapshot.last(), ladder.source.snapshot().last());
    assert!(ladder.followers[0].1.text().contains("#EXT-X-GAP\n#EXTINF:2.000,\ns2.m4s\n"));
}

#[test]
fn an_encoder_that_stands_still_becomes_a_gap_after_a_while() {
    let mut ladder = Ladder::new(&["480p30"], 4);
    for step in Encoder::default().run(14_000) {
        if step.wall_ms > 5_000 {
            ladder.delay = usize::MAX;
        }
        ladder.step(step);
    }
    let (behind, ahead) = (ladder.followers[0].1.snapshot(), ladder.source.snapshot());
    assert!(behind.next().msn + 2 >= ahead.next().msn, "{:?} {:?}", behind.next(), ahead.next());
    ladder.compare();
}

#[test]
fn what_is_still_encoded_at_the_end_is_left_out() {
    let mut ladder = Ladder::new(&["480p30"], 8);
    for step in Encoder::default().run(5_500) {
        ladder.step(step);
    }
    ladder.encoding.clear();
    ladder.end();
    ladder.compare();
    let (follower, viewer) = &ladder.followers[0];
    assert_eq!(follower.gaps(), 0);
    assert!(viewer.snapshot().ended());
    assert!(viewer.snapshot().last() < ladder.source.snapshot().last());
}

#[test]
fn discontinuities_and_cues_are_in_all_renditions() {
    let mut ladder = Ladder::new(&["480p30", AUDIO], 3);
    for step in Encoder::default().run(5_000) {
        ladder.step(step);
    }
    let cue = Cue { id: "cue-1".into(), payload: "what?".into(), owner: CueOwner::OutOfBand };
    ladder.packager.handle_cue(cue).unwrap();
    for step in (Encoder { start_ms: 6_000, first_number: 5_000, ..Encoder::default() }).run(500) {
        ladder.step(step);
    }
    ladder.packager.discontinuity();
    ladder.tell();
    for step in (Encoder { start_ms: 9_000, first_number: 10_000, ..Encoder::default() }).run(5_000) {
        ladder.step(step);
    }
    ladder.end();
    ladder.compare();
    for (follower, viewer) in &ladder.followers {
        let snapshot = viewer.snapshot();
        let text = viewer.text();
        assert_eq!(text.matches("#EXT-X-DISCONTINUITY\n").count(), 1, "{text}");
        assert_eq!(text.matches("ID=\"cue-1\"").count(), 1, "{}", follower.rendition());
        let position = snapshot.cues()[0].position;
        assert_eq!(events(snapshot.part(position).unwrap()).len(), 1);
        assert_eq!(snapshot.cues(), ladder.source.snapshot().cues());
    }
}

#[test]
fn an_outage_is_stood_for_in_all_renditions_and_is_a_gap_where_the_picture_is_missing() {
    for alive in [true, false] {
        let mut ladder = Ladder::new(&["480p30", AUDIO], 3);
        for step in Encoder::default().run(5_000) {
            ladder.step(step);
        }
        ladder.packager.discontinuity();
        ladder.tell();
        ladder.alive = alive;
        if !alive {
            ladder.encoding.clear();
            ladder.followers[0].0.expect_from(None);
        }
        let again = Encoder { start_ms: 26_000, first_number: 10_000, ..Encoder::default() };
        for step in again.run(5_000) {
            ladder.step(Step { wall_ms: step.wall_ms + 25_000, ..step });
        }
        ladder.end();
        ladder.compare();
        let bridges = |viewer: &Viewer| -> Vec<(u64, i64, bool)> {
            let listed = viewer.snapshot().segments.iter().filter(|segment| segment.bridge());
            listed.map(|segment| (segment.msn(), segment.duration_us(), segment.gap())).collect()
        };
        let [(msn, duration_us, false)] = bridges(&ladder.source)[..] else { panic!("{:?}", bridges(&ladder.source)) };
        assert_eq!(bridges(&ladder.followers[0].1), [(msn, duration_us, !alive)]);
        assert_eq!(bridges(&ladder.followers[1].1), [(msn, duration_us, false)]);
        let snapshot = ladder.followers[0].1.snapshot();
        if alive {
            let (bridge, next) = (fragments(snapshot, msn), fragments(snapshot, msn + 1));
            assert_eq!((bridge[0].to, &bridge[0].pictures[..]), (next[0].from, &next[0].pictures[..1]));
        }
    }
}

/// A rendition that sleeps for 9.5 s and is woken then, while the source has four segments and 1.5 s of the next, a keyframe every second. Its encoder
/// begins so long before that, and makes so many pictures in the time of one. Returns when it was first shown.
fn wake(ladder: &mut Ladder, back_ms: i64, speed: usize) -> i64 {
    ladder.alive = false;
    ladder.followers[0].0.sleep();
    let (mut kept, mut shown_at) = (VecDeque::new(), i64::MAX);
    for step in (Encoder { gop: 30, ..Encoder::default() }).run(16_000) {
        let (at, unit) = (step.wall_ms, step.unit.clone());
        let woken = ladder.followers[0].0.is_awake();
        if !woken {
            assert!(ladder.followers[0].1.snapshots.is_empty(), "told at {at} ms");
        }
        let is_picture = unit.kind == TrackKind::Video;
        if is_picture {
            let pts = unit.pts / 90 * 90;
            kept.push_back(AccessUnit { dts: pts, pts, ..unit });
        }
        ladder.step(step);
        if !woken && at >= 9_500 {
            let newest = kept.back().unwrap().pts;
            kept.retain(|unit| newest - unit.pts <= back_ms * 90);
            let keyframe = kept.iter().position(|unit| unit.keyframe == Keyframe::Yes).unwrap();
            kept.drain(..keyframe);
            ladder.followers[0].0.wake(kept[0].pts);
        }
        if ladder.followers[0].0.is_awake() && is_picture {
            for unit in kept.drain(..speed.min(kept.len())) {
                ladder.followers[0].0.handle_unit(unit);
            }
            ladder.look();
        }
        if !ladder.followers[0].1.snapshots.is_empty() && shown_at == i64::MAX {
            shown_at = at;
        }
    }
    kept.into_iter().for_each(|unit| ladder.followers[0].0.handle_unit(unit));
    ladder.followers[0].0.expect_from(None);
    ladder.end();
    ladder.compare();
    assert_eq!(ladder.followers[0].0.gaps(), 0);
    shown_at
}

fn gaps(snapshot: &Snapshot) -> Vec<u64> {
    snapshot.segments.iter().filter(|segment| segment.gap()).map(|segment| segment.msn()).collect()
}

#[test]
fn a_woken_rendition_is_first_shown_with_a_whole_segment_and_up_to_the_live_edge() {
    let mut ladder = Ladder::new(&["480p30"], 0);
    // From the start of segment 3 on, ten times as fast as it is shot.
    let shown_at = wake(&mut ladder, 3_600, 10);
    assert!((9_600..9_900).contains(&shown_at), "{shown_at} ms");
    let first = &ladder.followers[0].1.snapshots[0];
    assert_eq!(gaps(first), [0, 1, 2], "what nobody wanted");
    assert!(first.segment(3).is_some_and(|segment| segment.independent() && !segment.gap()));
    assert!(first.last() >= Some(Position { msn: 4, part: 5 }), "{:?}", first.last());
}

/// A fragment of a segment as it is sent to who does not know gaps.
#[derive(Debug, PartialEq)]
struct Fragment {
    /// When its pictures begin and end, ticks.
    from: u64,
    to: u64,
    /// Payloads.
    pictures: Vec<u32>,
    sound: Vec<u32>,
}

fn fragment(body: &Bytes) -> Fragment {
    let part = Part { body: body.clone(), duration: 0, independent: false, gap: false, missing: None };
    let moof = moof(&part);
    let video = moof.traf.iter().find(|traf| traf.tfhd.track_id == 1).unwrap();
    let from = video.tfdt.as_ref().unwrap().base_media_decode_time;
    let lasts = video
        .trun
        .iter()
        .flat_map(|trun| &trun.samples)
        .map(|sample| u64::from(sample.duration.or(video.tfhd.default_sample_duration).unwrap()));
    let (pictures, sound): (Vec<_>, Vec<_>) = payloads(&part).into_iter().partition(|(track, _)| *track == 1);
    let numbers = |payloads: Vec<(u32, u32)>| payloads.into_iter().map(|(_, number)| number).collect();
    Fragment { from, to: from + lasts.sum::<u64>(), pictures: numbers(pictures), sound: numbers(sound) }
}

/// The fragments of a segment, its gaps filled.
fn filled(snapshot: &Snapshot, msn: u64) -> Option<Vec<Fragment>> {
    Some(snapshot.filled(snapshot.segment(msn)?)?.iter().map(fragment).collect())
}

fn fragments(snapshot: &Snapshot, msn: u64) -> Vec<Fragment> {
    snapshot.segment(msn).unwrap().chunks().map(fragment).collect()
}

#[test]
fn what_was_not_made_is_the_first_picture_with_the_sources_sound_for_those_who_ask() {
    let mut ladder = Ladder::new(&["480p30"], 0);
    wake(&mut ladder, 3_600, 10);
    let (made, source) = (&ladder.followers[0].1.snapshots[0], ladder.source.snapshot());
    let first = fragments(made, 3).remove(0);
    for msn in [1, 2] {
        let source = fragments(source, msn);
        let [still] = &filled(made, msn).unwrap()[..] else { panic!("one fragment") };
        assert_eq!((still.from, still.to), (source[0].from, source.last().unwrap().to));
        assert_eq!(still.pictures, first.pictures[..1]);
        assert_eq!(still.sound, source.iter().flat_map(|part| part.sound.clone()).collect::<Vec<_>>());
    }
    assert_eq!(filled(made, 2).unwrap()[0].to, first.from);
    assert_eq!(filled(made, 3).unwrap(), fragments(made, 3), "nothing is missing");
}

#[test]
fn in_a_segment_that_is_made_in_part_what_is_missing_is_filled() {
    let mut ladder = Ladder::new(&["480p30"], 0);
    wake(&mut ladder, 1_400, 10);
    let first = &ladder.followers[0].1.snapshots[0];
    let fragments = filled(first, 4).unwrap();
    assert_eq!(fragments.iter().map(|fragment| fragment.pictures.len()).collect::<Vec<_>>(), [1, 6, 6, 6, 6, 6]);
    assert!(fragments.iter().zip(&fragments[1..]).all(|(one, next)| one.to == next.from));
    assert_eq!(fragments[0].pictures, fragments[1].pictures[..1]);
}

#[test]
fn a_woken_rendition_that_begins_within_a_segment_is_shown_when_it_has_caught_up() {
    let mut ladder = Ladder::new(&["480p30"], 0);
    let shown_at = wake(&mut ladder, 1_400, 10);
    assert!((9_500..9_700).contains(&shown_at), "{shown_at} ms");
    let first = &ladder.followers[0].1.snapshots[0];
    let begun = first.segment(4).unwrap();
    assert_eq!(gaps(first), [0, 1, 2, 3, 4]);
    assert_eq!(begun.parts().iter().map(|part| part.gap()).collect::<Vec<_>>(), [[true; 5], [false; 5]].concat());
    assert!(first.next() > Position { msn: 5, part: 5 }, "{:?}", first.next());
}

#[test]
fn a_busy_machine_shows_a_woken_rendition_after_four_seconds_with_what_there_is() {
    let mut ladder = Ladder::new(&["480p30"], 0);
    // It never catches up.
    let shown_at = wake(&mut ladder, 3_600, 1);
    assert!((13_500..13_800).contains(&shown_at), "{shown_at} ms");
    assert_eq!(gaps(&ladder.followers[0].1.snapshots[0]), [0, 1, 2]);
}

#[test]
fn a_rendition_sleeps_and_is_woken_again() {
    let mut ladder = Ladder::new(&["480p30"], 3);
    for step in Encoder::default().run(6_500) {
        ladder.step(step);
    }
    ladder.die();
    ladder.followers[0].0.sleep();
    // Nobody watches; whoever comes later has seen nothing.
    ladder.followers[0].0.poll_snapshot();
    ladder.followers[0].1 = Viewer::new();
    for step in (Encoder { start_ms: 7_500, first_number: 5_000, ..Encoder::default() }).run(20_000) {
        ladder.step(step);
    }
    assert!(ladder.followers[0].1.snapshots.is_empty(), "nothing is told");
    ladder.revive();
    let (follower, _) = &mut ladder.followers[0];
    follower.wake(i64::MAX / 2);
    for step in (Encoder { start_ms: 27_500, first_number: 50_000, ..Encoder::default() }).run(5_000) {
        ladder.step(step);
    }
    ladder.end();
    ladder.compare();
    let snapshot = ladder.followers[0].1.snapshot();
    assert!(!snapshot.segments.last().unwrap().gap(), "{}", ladder.followers[0].1.text());
}
