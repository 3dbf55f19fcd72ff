//! Bad publishers, simulated, each named right; a good one has nothing.

use super::*;
use bytes::Bytes;
use headwater_media::Keyframe;
use headwater_model::Realm;
use proptest::prelude::*;

const START: Timestamp = Timestamp(1_795_498_182_123);

fn doctor_of(channel_type: ChannelType) -> Doctor {
    Doctor::new(&Channel { channel_type, ..Channel::new(&Realm::default(), "show", START) })
}

/// An encoder as it may be.
#[derive(Clone, Copy)]
struct Encoder {
    channel_type: ChannelType,
    size: (u32, u32),
    frame_us: i64,
    keyframe_frames: i64,
    bits_per_second: i64,
    reordered: i64,
    /// Of a hundred pictures so many are dropped.
    dropped: i64,
    clock_ppm: i64,
    audio_late_ms: i64,
    stall: Option<(i64, i64)>,
    video: bool,
    audio: bool,
}

const GOOD: Encoder = Encoder {
    channel_type: ChannelType::Standard,
    size: (1_280, 720),
    frame_us: 33_333,
    keyframe_frames: 60,
    bits_per_second: 2_500_000,
    reordered: 0,
    dropped: 0,
    clock_ppm: 0,
    audio_late_ms: 0,
    stall: None,
    video: true,
    audio: true,
};

#[derive(Default)]
struct Told {
    appeared: Vec<Finding>,
    gone: Vec<Code>,
    breaches: Vec<LimitBreach>,
}

impl Encoder {
    /// Sends for so many seconds; timestamps are whole milliseconds, as RTMP's.
    fn publish(self, doctor: &mut Doctor, from_s: i64, seconds: i64) -> Told {
        doctor.dimensions = self.video.then_some(self.size);
        let mut told = Told::default();
        let (mut frame, mut block) = (from_s * 1_000_000 / self.frame_us, from_s * 46_875 / 1_000);
        let bytes = (self.bits_per_second / 8 * self.frame_us / 1_000_000) as usize;
        let picture = Bytes::from(vec![0; bytes]);
        loop {
            let (video_us, audio_us) = (frame * self.frame_us, block * 1_024_000_000 / 48_000);
            let video_next = self.video && (!self.audio || video_us <= audio_us);
            let us = if video_next { video_us } else { audio_us };
            if us >= (from_s + seconds) * 1_000_000 {
                return told;
            }
            let now = START.plus_ms(us / 1_000 + self.delay_ms(us / 1_000));
            let stamped = |us: i64| (us + us / 1_000_000 * self.clock_ppm) / 1_000;
            let change = if video_next {
                let keyframe = if frame % self.keyframe_frames == 0 { Keyframe::Yes } else { Keyframe::No };
                let dts = stamped(video_us) * 90;
                // Of a group, one picture is sent ahead of those that are shown before it.
                let ahead = if frame % (self.reordered + 1) == 0 { self.reordered } else { 0 };
                let pts = if self.reordered == 0 { dts } else { dts + (1 + ahead) * 3_000 };
                let dropped = keyframe == Keyframe::No && frame * 37 % 100 < self.dropped;
                frame += 1;
                let unit = AccessUnit { kind: TrackKind::Video, dts, pts, keyframe, data: picture.clone() };
                if dropped { None } else { doctor.handle_unit(&unit, Timescale::VIDEO, now) }
            } else {
                let dts = (stamped(audio_us) - self.audio_late_ms) * 48;
                let data = Bytes::from_static(&[0; 340]);
                let unit = AccessUnit { kind: TrackKind::Audio, dts, pts: dts, keyframe: Keyframe::Yes, data };
                block += 1;
                doctor.handle_unit(&unit, Timescale::new(48_000).unwrap(), now)
            };
            if let Some(change) = change {
                told.appeared.extend(change.appeared);
                told.gone.extend(change.gone.iter().map(|finding| finding.code));
                told.breaches.extend(change.breaches);
            }
        }
    }

    /// What was to come in a stall comes at its end, at once.
    fn delay_ms(self, at_ms: i64) -> i64 {
        match self.stall {
            Some((from, to)) if (from..to).contains(&at_ms) => to - at_ms,
            _ => 0,
        }
    }

    /// What is found, once each, in a hundred seconds or more.
    fn findings(self) -> Vec<(Code, u64, u64)> {
        let told = self.publish(&mut doctor_of(self.channel_type), 0, 200);
        assert_eq!(told.gone, []);
        told.appeared.iter().map(|finding| (finding.code, finding.measured, finding.limit)).collect()
    }

    /// The only thing that is found.
    fn only(self) -> (Code, u64, u64) {
        let findings = self.findings();
        assert_eq!(findings.len(), 1, "{findings:?}");
        findings[0]
    }
}

#[test]
fn honest_encoders_have_nothing() {
    for encoder in [
        GOOD,
        Encoder { frame_us: 40_000, keyframe_frames: 50, ..GOOD },
        Encoder { frame_us: 16_667, keyframe_frames: 120, size: (1_080, 1_920), bits_per_second: 8_500_000, ..GOOD },
        Encoder { frame_us: 33_367, keyframe_frames: 30, clock_ppm: 100, ..GOOD },
        Encoder { channel_type: ChannelType::Basic, size: (854, 480), bits_per_second: 1_400_000, ..GOOD },
        Encoder { stall: Some((30_000, 30_800)), ..GOOD },
    ] {
        assert_eq!(encoder.findings(), []);
    }
}

#[test]
fn rare_keyframes_are_a_problem_and_long_intervals_an_advice() {
    let (code, measured, limit) = Encoder { keyframe_frames: 90, ..GOOD }.only();
    assert_eq!((code, limit), (Code::KeyframeInterval, 2_000));
    assert!((2_400..=3_000).contains(&measured), "{measured}");
    // From advice to problem, while the interval is still open.
    let findings = Encoder { keyframe_frames: 300, ..GOOD }.findings();
    let codes: Vec<_> = findings.iter().map(|(code, ..)| *code).collect();
    assert_eq!(codes, [Code::KeyframeInterval, Code::KeyframeInterval]);
    assert!(findings[1].1 > 5_000);
    // What is shown afterwards is the newest measure.
    let mut doctor = doctor_of(ChannelType::Standard);
    Encoder { keyframe_frames: 300, ..GOOD }.publish(&mut doctor, 0, 30);
    assert!((9_900..=10_000).contains(&doctor.findings()[0].measured), "{:?}", doctor.findings());
}

#[test]
fn b_frames_are_counted_in_a_row() {
    assert_eq!(Encoder { reordered: 2, ..GOOD }.only(), (Code::BFrames, 2, 0));
}

#[test]
fn dropped_pictures_are_a_variable_rate() {
    let (code, measured, limit) = Encoder { dropped: 25, ..GOOD }.only();
    assert_eq!((code, limit), (Code::VariableFrameRate, 10));
    assert!(measured > 10, "{measured}");
    assert_eq!(Encoder { dropped: 4, ..GOOD }.findings(), [], "a few are nothing");
}

#[test]
fn a_hundred_pictures_a_second_are_too_many() {
    let (code, measured, limit) = Encoder { frame_us: 10_000, keyframe_frames: 200, ..GOOD }.only();
    assert_eq!((code, limit), (Code::FrameRate, 60_000));
    assert!((99_000..=101_000).contains(&measured), "{measured}");
}

#[test]
fn bitrates_are_held_against_the_channels_type() {
    for (channel_type, size, sent, limit) in [
        (ChannelType::Basic, (854, 480), 2_000_000, 1_500_000),
        (ChannelType::Basic, (1_280, 720), 4_500_000, 3_500_000),
        (ChannelType::Standard, (1_920, 1_080), 12_000_000, 8_500_000),
        (ChannelType::AdvancedSd, (1_920, 1_080), 12_000_000, 8_500_000),
    ] {
        let encoder = Encoder { channel_type, size, bits_per_second: sent, ..GOOD };
        let told = encoder.publish(&mut doctor_of(channel_type), 0, 30);
        let [breach] = told.breaches[..] else { panic!("one breach: {:?}", told.breaches) };
        assert_eq!((breach.name(), breach.value, breach.unit()), ("Ingest Bitrate", limit, "bits per second"));
        let sound = 128_000;
        let expected = sent as u64 + sound - limit;
        assert!(breach.exceeded_by().abs_diff(expected) < expected / 10, "{breach:?}, expected {expected}");
    }
}

#[test]
fn large_pictures_are_named_by_what_they_break() {
    let findings = Encoder { size: (2_560, 1_440), ..GOOD }.findings();
    assert_eq!(findings, [(Code::Pixels, 3_686_400, 2_100_000), (Code::PixelsPerEdge, 2_560, 1_920)]);
    assert_eq!(Encoder { size: (2_048, 858), ..GOOD }.only(), (Code::PixelsPerEdge, 2_048, 1_920));
}

#[test]
fn clocks_that_run_apart_are_named_with_their_direction() {
    let (code, measured, limit) = Encoder { clock_ppm: 5_000, ..GOOD }.only();
    assert_eq!((code, limit), (Code::ClockFast, 1_000));
    assert!((4_500..=5_500).contains(&measured), "{measured}");
    let (code, measured, _) = Encoder { clock_ppm: -10_000, ..GOOD }.only();
    assert_eq!(code, Code::ClockSlow);
    assert!((9_000..=11_000).contains(&measured), "{measured}");
}

#[test]
fn sound_that_lags_is_skew() {
    let (code, measured, limit) = Encoder { audio_late_ms: 900, ..GOOD }.only();
    assert_eq!((code, limit), (Code::Skew, 500));
    assert!((850..=950).contains(&measured), "{measured}");
}

#[test]
fn a_stall_is_remembered_for_a_minute_and_forgiven() {
    let mut doctor = doctor_of(ChannelType::Standard);
    let told = Encoder { stall: Some((30_000, 32_500)), ..GOOD }.publish(&mut doctor, 0, 150);
    let [stall] = told.appeared[..] else { panic!("{:?}", told.appeared) };
    assert_eq!((stall.code, stall.limit), (Code::Stalls, 1_000));
    assert!((2_450..=2_550).contains(&stall.measured), "{}", stall.measured);
    assert_eq!(told.gone, [Code::Stalls]);
    assert_eq!(doctor.findings(), []);
}

#[test]
fn a_missing_track_is_told() {
    assert_eq!(Encoder { video: false, ..GOOD }.only().0, Code::AudioOnly);
    assert_eq!(Encoder { audio: false, ..GOOD }.only().0, Code::VideoOnly);
}

#[test]
fn what_was_mended_goes_and_a_breach_is_told_again_when_it_comes_again() {
    let mut doctor = doctor_of(ChannelType::Standard);
    let bad = Encoder { bits_per_second: 12_000_000, ..GOOD };
    assert_eq!(bad.publish(&mut doctor, 0, 30).breaches.len(), 1);
    let mended = GOOD.publish(&mut doctor, 30, 40);
    assert_eq!((mended.gone, doctor.findings()), (vec![Code::Bitrate], vec![]));
    assert_eq!(bad.publish(&mut doctor, 70, 30).breaches.len(), 1);
}

#[test]
fn every_finding_has_a_name_and_names_a_setting() {
    for code in Code::ALL {
        let advice = Finding { code, measured: 0, limit: 0 }.advice();
        assert!(advice.contains("in OBS"), "{}", code.as_str());
    }
}

proptest! {
    #[test]
    fn no_timestamps_upset_it(units in prop::collection::vec((any::<i64>(), any::<i64>(), any::<bool>(), any::<bool>(), 0..4_000i64), 1..200)) {
        let mut doctor = doctor_of(ChannelType::Basic);
        let mut now = START;
        for (dts, pts, video, keyframe, wait) in units {
            now = now.plus_ms(wait);
            let kind = if video { TrackKind::Video } else { TrackKind::Audio };
            let keyframe = if keyframe { Keyframe::Yes } else { Keyframe::No };
            let unit = AccessUnit { kind, dts, pts, keyframe, data: Bytes::new() };
            doctor.handle_unit(&unit, Timescale::VIDEO, now);
        }
        prop_assert!(doctor.findings().len() <= Code::ALL.len());
    }
}
