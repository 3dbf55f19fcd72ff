//! Followers beside their source: the same cuts, whatever the encoder does.

use super::encoder::{Encoder, events, moof};
use super::*;
use crate::follow::{Follower, Options as FollowerOptions, Pictures, Sound};
use crate::lint::across;
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
fn a_sleeping_rendition_tells_nothing_and_wakes_a_little_in_the_past() {
    let mut ladder = Ladder::new(&["480p30"], 3);
    ladder.alive = false;
    ladder.followers[0].0.sleep();
    let steps = Encoder::default().run(16_000);
    let (mut kept, mut told_at) = (Vec::new(), i64::MAX);
    for step in steps {
        let at = step.wall_ms;
        if step.unit.kind == TrackKind::Video && !ladder.alive {
            if step.unit.keyframe == Keyframe::Yes {
                kept.clear();
            }
            let pts = step.unit.pts / 90 * 90;
            kept.push(AccessUnit { dts: pts, pts, ..step.unit.clone() });
        }
        let wakes = !ladder.alive && step.wall_ms >= 9_500;
        if !ladder.alive {
            assert!(ladder.followers[0].1.snapshots.is_empty(), "told at {} ms", step.wall_ms);
        }
        ladder.step(step);
        if wakes {
            ladder.followers[0].0.wake(kept[0].pts);
            ladder.alive = true;
            ladder.wants_keyframe = false;
            ladder.encoding.append(&mut kept.drain(..).collect());
        }
        if !ladder.followers[0].1.snapshots.is_empty() {
            told_at = told_at.min(at);
        }
    }
    ladder.end();
    ladder.compare();
    // From the keyframe before it was woken on, nothing is missing; what nobody wanted is no figure of the encoder.
    let snapshot = ladder.followers[0].1.snapshot();
    assert!(
        snapshot.segments.iter().all(|segment| segment.gap() == (segment.msn() < 4)),
        "{}",
        ladder.followers[0].1.text()
    );
    assert_eq!(ladder.followers[0].0.gaps(), 0);
    assert!(told_at < 9_700, "{told_at} ms");
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
