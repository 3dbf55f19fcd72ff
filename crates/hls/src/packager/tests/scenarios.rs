//! Named situations.

use super::encoder::{Encoder, events, moof};
use super::*;
use crate::packager::Splice;
use crate::snapshot::{Part, Segment};
use headwater_media::{Cue, CueOwner, Keyframe, StreamMetadata};

fn cue(id: &str) -> Cue {
    Cue { id: id.into(), payload: format!("{{\"q\":\"{id}\"}}"), owner: CueOwner::OutOfBand }
}

#[test]
fn thirty_frames_low_latency() {
    let mut stage = Stage::new(Latency::Low);
    stage.configure();
    stage.run(Encoder::default().run(7_500));
    insta::assert_snapshot!("thirty_frames_low_latency", stage.viewer.text());
    insta::assert_snapshot!(
        "thirty_frames_multivariant",
        playlist::multivariant(&stage.viewer.snapshot().into(), "/media/e/source/media.m3u8")
    );
}

#[test]
fn twenty_nine_ninety_seven_normal_latency_ended() {
    let mut stage = Stage::new(Latency::Normal);
    stage.configure();
    stage.run(Encoder { rate_millis: 29_970, delay_ms: 67, ..Encoder::default() }.run(5_000));
    stage.end();
    insta::assert_snapshot!("ntsc_normal_latency_ended", stage.viewer.text());
}

#[test]
fn a_long_window_slides_and_a_delta_leaves_out_what_is_old() {
    let mut stage = Stage::new(Latency::Low);
    stage.configure();
    stage.run(Encoder::default().run(40_000));
    insta::assert_snapshot!("delta_update", playlist::media(stage.viewer.snapshot(), Delta::Skip));
    let snapshot = stage.viewer.snapshot();
    assert_eq!(snapshot.segments.len(), 8, "seven listed, one retired");
    assert!(snapshot.segment(snapshot.segments[0].msn()).is_some());
    assert!(snapshot.segment(0).is_none());
}

#[test]
fn nothing_is_published_before_the_first_segment_is_complete() {
    let mut stage = Stage::new(Latency::Low);
    stage.configure();
    stage.run(Encoder::default().run(1_990));
    assert!(stage.viewer.snapshots.is_empty());
    assert_eq!(stage.packager.handle_cue(cue("early")), Err(super::super::Error::NotLive));
    stage.end();
    assert!(stage.viewer.snapshots.is_empty());
}

#[test]
fn ten_second_gops_are_cut_at_six_seconds_and_begin_at_keyframes_again() {
    let mut stage = Stage::new(Latency::Low);
    stage.configure();
    stage.run(Encoder { gop: 300, ..Encoder::default() }.run(25_000));
    let snapshot = stage.viewer.snapshot();
    assert_eq!(snapshot.target_duration_s(), 6);
    assert!(!playlist::multivariant(&snapshot.into(), "m").contains("INDEPENDENT"));
    let independent: Vec<bool> = snapshot.segments.iter().map(|s| s.independent()).collect();
    assert_eq!(independent, [true, false, true, false]);
}

#[test]
fn four_second_gops_make_four_second_segments() {
    let mut stage = Stage::new(Latency::Low);
    stage.configure();
    stage.run(Encoder { gop: 120, ..Encoder::default() }.run(13_000));
    let snapshot = stage.viewer.snapshot();
    assert_eq!(snapshot.target_duration_s(), 4);
    assert!(snapshot.segments.iter().all(|s| s.independent() && s.duration_us() == 4_000_000));
}

#[test]
fn half_second_gops_make_two_second_segments() {
    let mut stage = Stage::new(Latency::Low);
    stage.configure();
    stage.run(Encoder { gop: 15, ..Encoder::default() }.run(9_000));
    let snapshot = stage.viewer.snapshot();
    assert!(snapshot.segments.iter().all(|s| s.duration_us() == 2_000_000));
    // Keyframes within a segment are told, and make no part shorter than it may be: each 200 ms but the last.
    let parts = snapshot.segments[0].parts();
    assert!(parts.iter().all(|part| part.duration_us() == 200_000));
    let independent: Vec<usize> = (0..parts.len()).filter(|&index| parts[index].independent()).collect();
    assert_eq!(independent, [0, 2, 5, 7]);
}

#[test]
fn sound_alone_is_packaged_on_its_frames() {
    let mut stage = Stage::new(Latency::Low);
    stage.packager.handle_track(audio_track());
    stage.run(Encoder { video: false, ..Encoder::default() }.run(9_000));
    let snapshot = stage.viewer.snapshot();
    assert_eq!(snapshot.part_target_ms(), 192);
    assert!(snapshot.video().is_none());
    let text = playlist::multivariant(&snapshot.into(), "m");
    assert!(text.contains("CODECS=\"mp4a.40.2\"\n"), "{text}");
    stage.end();
    assert_eq!(stage.viewer.seen, stage.sent);
}

#[test]
fn pictures_that_come_later_join_with_a_discontinuity() {
    let mut stage = Stage::new(Latency::Low);
    stage.packager.handle_track(audio_track());
    let audio = Encoder { video: false, ..Encoder::default() };
    let steps = audio.run(12_000);
    let video = Encoder { audio: false, start_ms: 6_000, first_number: 10_000, ..Encoder::default() };
    let mut steps: Vec<_> = steps
        .into_iter()
        .chain(video.run(6_000).into_iter().map(|step| Step { wall_ms: step.wall_ms + 5_000, ..step }))
        .collect();
    steps.sort_by_key(|step| step.wall_ms);
    for step in steps {
        if step.unit.kind == TrackKind::Video {
            stage.packager.handle_track(video_track(0));
        }
        stage.unit(step.unit, step.wall_ms);
    }
    let text = stage.viewer.text();
    assert!(text.contains("#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init-1.mp4\"\n"), "{text}");
    assert!(stage.viewer.snapshot().video().is_some());
}

#[test]
fn video_alone_has_one_track() {
    let mut stage = Stage::new(Latency::Low);
    stage.packager.handle_track(video_track(0));
    stage.run(Encoder { audio: false, ..Encoder::default() }.run(7_000));
    let part = stage.viewer.snapshot().part(Position { msn: 1, part: 2 }).unwrap();
    assert_eq!(moof(part).traf.len(), 1);
    stage.end();
    assert_eq!(stage.viewer.seen, stage.sent);
}

#[test]
fn decode_times_run_on_without_gaps_or_overlaps() {
    let mut stage = Stage::new(Latency::Low);
    stage.configure();
    stage.run(Encoder { rate_millis: 29_970, delay_ms: 80, ..Encoder::default() }.run(9_000));
    let snapshot = stage.viewer.snapshot();
    let mut ends: BTreeMap<u32, u64> = BTreeMap::new();
    for segment in &snapshot.segments {
        for part in segment.parts() {
            for traf in moof(part).traf {
                let base = traf.tfdt.unwrap().base_media_decode_time;
                if let Some(end) = ends.get(&traf.tfhd.track_id) {
                    assert_eq!(*end, base, "track {}", traf.tfhd.track_id);
                }
                let default = traf.tfhd.default_sample_duration;
                let durations = traf.trun[0].samples.iter().map(|sample| sample.duration.or(default).unwrap());
                let length: u32 = durations.sum();
                ends.insert(traf.tfhd.track_id, base + u64::from(length));
            }
        }
    }
    assert_eq!(ends.len(), 2);
}

#[test]
fn a_cue_rides_in_the_part_under_way_at_its_newest_picture() {
    let mut stage = Stage::new(Latency::Low);
    stage.configure();
    let steps = Encoder { delay_ms: 80, ..Encoder::default() }.run(8_000);
    let (mut promised, mut newest_dts) = (None, 0);
    for step in steps {
        if promised.is_none() && step.wall_ms >= 4_100 {
            promised = Some((stage.packager.handle_cue(cue("c1")).unwrap(), newest_dts));
        }
        if step.unit.kind == TrackKind::Video {
            newest_dts = step.unit.dts;
        }
        stage.unit(step.unit, step.wall_ms);
    }
    let (promised, newest_dts) = promised.unwrap();
    // It came 100 ms into the part that began at 4.0 s.
    let snapshot = stage.viewer.snapshot();
    let [range] = snapshot.cues() else { panic!("expected one cue") };
    assert_eq!(range.position, Position { msn: 2, part: 0 });
    let part = snapshot.part(range.position).unwrap();
    let [event] = &events(part)[..] else { panic!("expected one event") };
    assert_eq!(event.message_data, cue("c1").id3());
    // 80 ms of reordering.
    let at = newest_dts + 80 * 90;
    assert_eq!(event.presentation_time, mp4_atom::EmsgTimestamp::Absolute(at as u64));
    assert!((1_000 + 4_000 + 80..1_000 + 4_100 + 80).contains(&(at / 90)), "{at}");
    assert_eq!(range.start, promised);
    assert_eq!(range.start, START.plus_ms(at / 90 - 1_000 - 80));
    let line = stage.viewer.text().lines().find(|line| line.contains("DATERANGE")).unwrap().to_owned();
    let start = range.start;
    assert_eq!(
        line,
        format!(
            "#EXT-X-DATERANGE:ID=\"c1\",CLASS=\"metadata.live-video.net\",START-DATE=\"{start}\",\
             DURATION=0.0,X-HEADWATER-PAYLOAD=\"eyJxIjoiYzEifQ==\""
        )
    );
}

#[test]
fn an_ad_break_is_told_at_once_and_stays_until_it_is_over() {
    let mut stage = Stage::new(Latency::Low);
    stage.configure();
    let splice = |id: &str, at| Splice { id: id.into(), event_id: 7, start: START.plus_ms(at), duration_ms: 30_000 };
    assert_eq!(stage.packager.handle_splice(splice("a", 0)), Err(super::super::Error::NotLive));
    let marks = |stage: &Stage| {
        let text = stage.viewer.text();
        text.lines().filter(|line| line.contains("SCTE35")).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut told = Vec::new();
    for step in Encoder::default().run(60_000) {
        let at = step.wall_ms;
        if told.is_empty() && at >= 5_000 {
            told.push((at, Vec::new()));
            assert_eq!(stage.packager.handle_splice(splice("a", 8_000)), Ok(START.plus_ms(8_000)));
            let refused = stage.packager.handle_splice(splice("b", 0));
            assert_eq!(refused, Err(super::super::Error::AdBreakRuns { id: "a".into() }));
        }
        stage.unit(step.unit, at);
        if !stage.viewer.snapshots.is_empty() && told.last().is_some_and(|(_, lines)| *lines != marks(&stage)) {
            told.push((at, marks(&stage)));
        }
    }
    let out = "#EXT-X-DATERANGE:ID=\"a\",START-DATE=\"2026-11-24T05:29:50.123Z\",PLANNED-DURATION=30.000,\
               SCTE35-OUT=0xFC302000000000000000FFF00F05000000077FFFFE002932E0000100000000";
    let back = "#EXT-X-DATERANGE:ID=\"a\",START-DATE=\"2026-11-24T05:29:50.123Z\",DURATION=30.000,\
                SCTE35-IN=0xFC301B00000000000000FFF00A05000000077F5F000100000000";
    let [_, (at_out, first), (at_in, both), (_, none)] = &told[..] else { panic!("{told:#?}") };
    assert!((5_000..5_600).contains(at_out), "told with the next part: {at_out}");
    let without_checksum = |line: &str| line[..line.len() - 8].to_owned();
    assert_eq!(first.iter().map(|line| without_checksum(line)).collect::<Vec<_>>(), [out]);
    assert!((38_000..38_600).contains(at_in), "over when the stream gets there: {at_in}");
    assert_eq!(both[0], first[0], "it was kept although the window had gone on");
    assert_eq!(without_checksum(&both[1]), back);
    assert!(none.is_empty(), "both leave together");
    assert!(stage.packager.handle_splice(splice("b", 0)).unwrap() > START.plus_ms(59_500), "the next one may begin");
}

#[test]
fn a_cue_at_a_part_s_very_end_does_not_wait_for_the_next() {
    let mut stage = Stage::new(Latency::Low);
    stage.configure();
    let mut put = Vec::new();
    for (index, step) in Encoder::default().run(8_000).into_iter().enumerate() {
        let is_picture = step.unit.kind == TrackKind::Video;
        stage.unit(step.unit, step.wall_ms);
        if is_picture && step.wall_ms >= 5_000 && put.len() < 30 {
            // After each picture of a second, also the one that the next part begins with.
            let id = format!("c{index}");
            put.push((id.clone(), stage.packager.handle_cue(cue(&id)).unwrap(), stage.viewer.snapshot().next()));
        }
    }
    let snapshot = stage.viewer.snapshot();
    assert_eq!(snapshot.cues().len(), put.len());
    for ((id, promised, next), range) in put.iter().zip(snapshot.cues()) {
        assert_eq!((&range.id, range.position), (id, *next), "it is in the part that was to come");
        assert!((promised.0 - 1..=promised.0).contains(&range.start.0), "{id}: {promised} {}", range.start);
        for event in events(snapshot.part(range.position).unwrap()) {
            let mp4_atom::EmsgTimestamp::Absolute(at) = event.presentation_time else { panic!("absolute") };
            let begin =
                moof(snapshot.part(range.position).unwrap()).traf[0].tfdt.as_ref().unwrap().base_media_decode_time;
            assert!((begin..begin + 200 * 90).contains(&at), "{at} lies in its part");
        }
    }
}

#[test]
fn cues_leave_with_their_segment_and_too_many_are_refused() {
    let mut stage = Stage::new(Latency::Low);
    stage.configure();
    let steps = Encoder::default().run(30_000);
    let (early, late) = steps.split_at(steps.len() / 6);
    stage.run(early.to_vec());
    for number in 0..super::super::CUES_WAITING_MAX {
        stage.packager.handle_cue(cue(&format!("c{number}"))).unwrap();
    }
    assert_eq!(stage.packager.handle_cue(cue("c")), Err(super::super::Error::CuesFull));
    stage.run(late.to_vec());
    assert_eq!(stage.viewer.snapshot().cues().len(), 0);
}

#[test]
fn a_cue_put_while_the_encoder_is_away_comes_with_its_return() {
    let mut stage = Stage::new(Latency::Low);
    stage.configure();
    stage.run(Encoder::default().run(5_000));
    stage.packager.discontinuity();
    stage.look();
    stage.packager.handle_cue(cue("away")).unwrap();
    stage.run(
        Encoder { start_ms: 15_000, first_number: 10_000, ..Encoder::default() }
            .run(3_000)
            .into_iter()
            .map(|step| Step { wall_ms: step.wall_ms + 14_000, ..step }),
    );
    let [range] = stage.viewer.snapshot().cues() else { panic!("expected one cue") };
    assert_eq!(range.start, START.plus_ms(14_000));
}

#[test]
fn a_reconnect_is_one_discontinuity_and_no_frame_is_lost() {
    let mut stage = Stage::new(Latency::Low);
    stage.configure();
    stage.run(Encoder::default().run(5_000));
    stage.packager.new_source();
    stage.look();
    stage.configure();
    let again = Encoder { start_ms: 12_000, first_number: 10_000, ..Encoder::default() };
    stage.run(again.run(5_000).into_iter().map(|step| Step { wall_ms: step.wall_ms + 11_000, ..step }));
    stage.end();
    let text = stage.viewer.text();
    assert_eq!(text.matches("#EXT-X-DISCONTINUITY\n").count(), 1);
    assert_eq!(text.matches("#EXT-X-MAP").count(), 1, "the same tracks use the same init segment");
    // Sound right at the cut is the only thing that may go.
    assert_eq!(stage.viewer.seen[&1], stage.sent[&1]);
    assert!(stage.sent[&2].len() - stage.viewer.seen[&2].len() <= 3);
    insta::assert_snapshot!("reconnect", text);
}

/// A stream that is away for so long after five seconds and then goes on, with these parameter sets. What is listed at its end.
fn away(pause_ms: i64, variant: u8) -> (Vec<Arc<Segment>>, Stage) {
    let mut stage = Stage::new(Latency::Low);
    stage.configure();
    stage.run(Encoder::default().run(5_000));
    stage.packager.new_source();
    stage.look();
    stage.packager.handle_track(video_track(variant));
    stage.packager.handle_track(audio_track());
    let again = Encoder { start_ms: 6_000 + pause_ms, first_number: 10_000, ..Encoder::default() };
    let later = |step: Step| Step { wall_ms: step.wall_ms + 5_000 + pause_ms, ..step };
    stage.run(again.run(5_000).into_iter().map(later));
    stage.end();
    (stage.viewer.snapshot().segments.clone(), stage)
}

#[test]
fn after_an_outage_a_picture_stands_for_it_with_the_discontinuity_and_the_date_at_which_it_began() {
    let (segments, stage) = away(20_000, 0);
    let at = segments.iter().position(|segment| segment.bridge()).expect("a bridge");
    let [before, bridge, after] = &segments[at - 1..=at + 1] else { panic!("{segments:?}") };
    assert_eq!([before.discontinuity(), bridge.discontinuity(), after.discontinuity()], [false, true, false]);
    assert_eq!(bridge.program_date_time(), before.program_date_time().plus_ms(before.duration_us() / 1_000));
    assert_eq!(after.program_date_time(), START.plus_ms(25_000));
    assert_eq!((bridge.duration_us(), bridge.parts().len(), bridge.gap()), (33_333, 1, false));
    // The first picture and the first sound of what follows, right before them.
    let first = encoder::payloads(&after.parts()[0]);
    let of = |track| first.iter().find(|(known, _)| *known == track).copied().unwrap();
    let second = (2, of(2).1 + 1);
    assert!(first.contains(&second), "{first:?}");
    assert_eq!(encoder::payloads(&bridge.parts()[0]), [of(1), of(2), second]);
    let times = |part: &Part| -> Vec<u64> {
        encoder::moof(part).traf.iter().map(|traf| traf.tfdt.as_ref().unwrap().base_media_decode_time).collect()
    };
    let (shown, next) = (times(&bridge.parts()[0]), times(&after.parts()[0]));
    assert_eq!([next[0] - shown[0], next[1] - shown[1]], [3_000, 2_048]);
    // A picture's bytes in its own time are not what the stream needs.
    let rates = segments.iter().filter(|segment| !segment.bridge());
    let peak = rates.map(|segment| segment.bytes() * 8_000_000 / segment.duration_us() as u64).max().unwrap();
    assert!(stage.viewer.snapshot().bandwidth() <= peak + 1, "{} {peak}", stage.viewer.snapshot().bandwidth());
}

#[test]
fn new_parameter_sets_after_an_outage_begin_with_what_stands_for_it() {
    let (segments, stage) = away(20_000, 1);
    assert_eq!(stage.viewer.text().matches("#EXT-X-DISCONTINUITY\n").count(), 1);
    let inits: Vec<_> = segments.iter().map(|segment| (segment.bridge(), segment.init())).collect();
    assert_eq!(inits, [(false, 0), (false, 0), (false, 0), (true, 1), (false, 1), (false, 1), (false, 1)]);
}

#[test]
fn nothing_stands_for_a_second() {
    for (pause_ms, bridges) in [(900, 0), (1_100, 1)] {
        let (segments, stage) = away(pause_ms, 0);
        assert_eq!(segments.iter().filter(|segment| segment.bridge()).count(), bridges, "{pause_ms}");
        assert_eq!(stage.viewer.text().matches("#EXT-X-DISCONTINUITY\n").count(), 1);
    }
}

#[test]
fn changed_parameter_sets_make_a_new_init_segment_at_the_keyframe() {
    let mut stage = Stage::new(Latency::Low);
    stage.configure();
    for step in Encoder::default().run(9_000) {
        if step.unit.kind == TrackKind::Video && step.unit.keyframe == Keyframe::Yes && step.wall_ms == 4_000 {
            stage.packager.handle_track(video_track(1));
        }
        stage.unit(step.unit, step.wall_ms);
    }
    stage.end();
    let snapshot = stage.viewer.snapshot();
    assert_ne!(snapshot.init(0), snapshot.init(1));
    assert_eq!(snapshot.segments.iter().map(|s| s.init()).collect::<Vec<_>>(), [0, 0, 1, 1, 1]);
    assert_eq!(stage.viewer.seen[&1], stage.sent[&1]);
    assert_eq!(stage.viewer.text().matches("#EXT-X-DISCONTINUITY\n").count(), 1);
}

#[test]
fn a_pause_of_the_encoder_keeps_the_playlist_valid() {
    for pause_ms in [250, 700, 1_900, 3_500, 5_000, 60_000] {
        let mut stage = Stage::new(Latency::Low);
        stage.configure();
        stage.run(Encoder::default().run(5_000));
        // Sound goes on in the first three cases, else the video would be thought to have stalled.
        let after = Encoder { start_ms: 6_000 + pause_ms, gop: 15, first_number: 10_000, ..Encoder::default() };
        let moved = |step: Step| Step { wall_ms: step.wall_ms + 5_000 + pause_ms, ..step };
        stage.run(after.run(4_000).into_iter().map(moved));
        stage.end();
        assert_eq!(stage.viewer.seen[&1], stage.sent[&1], "after {pause_ms} ms");
    }
}

#[test]
fn pictures_that_stop_leave_the_sound_until_they_return() {
    let mut stage = Stage::new(Latency::Low);
    stage.configure();
    for step in Encoder::default().run(20_000) {
        let frozen = (6_000..14_000).contains(&step.wall_ms) && step.unit.kind == TrackKind::Video;
        if !frozen {
            stage.unit(step.unit, step.wall_ms);
        }
    }
    stage.end();
    assert_eq!(stage.viewer.text().matches("#EXT-X-DISCONTINUITY\n").count(), 2);
    assert!(stage.viewer.seen[&2].len() * 100 >= stage.sent[&2].len() * 97);
}

#[test]
fn announced_rates_are_believed_if_they_agree() {
    let announced = |millis| StreamMetadata {
        frame_rate_millis: Some(millis),
        video_bitrate: Some(2_500_000),
        audio_bitrate: Some(160_000),
        ..StreamMetadata::default()
    };
    for (millis, written) in [(29_970, "FRAME-RATE=29.970"), (60_000, "FRAME-RATE=30.")] {
        let mut stage = Stage::new(Latency::Low);
        stage.configure();
        stage.packager.handle_metadata(&announced(millis));
        stage.run(Encoder { rate_millis: 29_970, ..Encoder::default() }.run(6_000));
        let text = playlist::multivariant(&stage.viewer.snapshot().into(), "m");
        assert!(text.contains("BANDWIDTH=2660000,"), "{text}");
        let measured = text.contains("FRAME-RATE=29.9");
        assert!(text.contains(written) || measured, "{text}");
    }
}

#[test]
fn a_segment_has_a_largest_size() {
    let mut stage = Stage::new(Latency::Low);
    stage.configure();
    let mut unit = Encoder::default().run(100).remove(0).unit;
    unit.kind = TrackKind::Video;
    unit.keyframe = Keyframe::Yes;
    unit.data = vec![0; 4 * 1024 * 1024].into();
    let refused = (0..20).find_map(|_| stage.packager.handle_unit(unit.clone(), START).err());
    assert!(matches!(refused, Some(super::super::Error::SegmentTooLarge { .. })));
}

#[test]
fn dates_follow_the_wall_clock_when_the_encoder_drifts() {
    for millionths in [200, -200] {
        let mut packager = Packager::new(options(Latency::Normal));
        packager.handle_track(video_track(0));
        let mut linter = Linter::new();
        let encoder = Encoder { audio: false, ..Encoder::default() };
        let mut newest = None;
        for step in encoder.run(30 * 60_000) {
            let wall_ms = step.wall_ms + step.wall_ms * millionths / 1_000_000;
            // The network delays most units by up to 90 ms.
            let delay_ms = step.wall_ms * 7 % 91;
            packager.handle_unit(step.unit, START.plus_ms(wall_ms + delay_ms)).unwrap();
            if let Some(snapshot) = packager.poll_snapshot() {
                assert_eq!(linter.check(&playlist::media(&snapshot, Delta::Full)), []);
                newest = Some((snapshot, wall_ms));
            }
        }
        let (snapshot, wall_ms) = newest.unwrap();
        let segment = snapshot.segments.last().unwrap();
        let end = segment.program_date_time().0 + segment.duration_us() / 1_000;
        let open: i64 = snapshot.open.iter().flat_map(|open| open.parts()).map(|part| part.duration_us()).sum();
        let off = end + open / 1_000 - START.plus_ms(wall_ms).0;
        // Without the correction: 360 ms.
        assert!(off.abs() <= 50, "{off} ms off at {millionths} millionths");
    }
}

#[test]
fn units_without_substance_are_bounded_too() {
    for first in [0, 3_000] {
        let mut stage = Stage::new(Latency::Low);
        stage.configure();
        stage.run(Encoder::default().run(first));
        let mut unit = Encoder::default().run(100).remove(0).unit;
        unit.dts += first * 90;
        unit.keyframe = Keyframe::Yes;
        let units_max = super::super::SEGMENT_BYTES_MAX / 128;
        let refused = (0..=units_max).any(|_| stage.packager.handle_unit(unit.clone(), START).is_err());
        // In the second case each unit is put a tick after the one before, so that segments close.
        assert_eq!(refused, first == 0);
    }
}

#[test]
fn blocking_reload_knows_what_is_ready_what_comes_and_what_is_wrong() {
    let mut stage = Stage::new(Latency::Low);
    stage.configure();
    stage.run(Encoder::default().run(7_500));
    let snapshot = stage.viewer.snapshot();
    // Segments 0 to 2 are closed; 3 began at 6.0 s and has parts 0 to 6.
    assert_eq!(snapshot.next(), Position { msn: 3, part: 7 });
    assert_eq!(snapshot.reach(2, None), Reach::Ready);
    assert_eq!(snapshot.reach(2, Some(99)), Reach::Ready);
    assert_eq!(snapshot.reach(3, None), Reach::Pending);
    assert_eq!(snapshot.reach(3, Some(6)), Reach::Ready);
    assert_eq!(snapshot.reach(3, Some(7)), Reach::Pending);
    assert_eq!(snapshot.reach(3, Some(40)), Reach::TooFar);
    assert_eq!(snapshot.reach(4, Some(0)), Reach::Pending);
    assert_eq!(snapshot.reach(5, None), Reach::TooFar);
}

#[test]
fn sound_to_the_end_of_reordered_pictures_is_kept() {
    for delay_ms in [0, 67, 133] {
        let mut stage = Stage::new(Latency::Low);
        stage.configure();
        let steps = Encoder { delay_ms, ..Encoder::default() }.run(9_010);
        // Sound comes as far as pictures are shown.
        let sound = Encoder { video: false, first_number: 50_000, ..Encoder::default() }.run(9_010 + delay_ms);
        let pictures = steps.into_iter().filter(|step| step.unit.kind == TrackKind::Video);
        let mut steps: Vec<Step> = pictures.chain(sound).collect();
        steps.sort_by_key(|step| step.wall_ms);
        stage.run(steps);
        stage.end();
        assert_eq!(stage.viewer.seen, stage.sent, "{delay_ms} ms");
    }
}

#[test]
fn what_is_flushed_is_published_before_the_end() {
    let mut stage = Stage::new(Latency::Low);
    stage.configure();
    stage.run(Encoder::default().run(5_050));
    stage.packager.handle_cue(cue("last")).unwrap();
    let before = stage.viewer.snapshot().last();
    stage.packager.flush();
    stage.look();
    let flushed = stage.viewer.snapshot().clone();
    assert!(flushed.last() > before && !flushed.ended());
    assert_eq!(stage.viewer.seen, stage.sent);
    assert_eq!(flushed.cues().len(), 1);
    stage.end();
    assert!(stage.viewer.snapshot().ended());
    assert_eq!(stage.viewer.snapshot().last(), flushed.last());
}
