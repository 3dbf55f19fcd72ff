//! Honest encoders of every sort, from RTMP message bodies to playlists: each revision that a viewer could see keeps the rules.

use super::*;
use headwater_hls::Snapshot;
use headwater_hls::lint::Severity;
use headwater_media::codec::hevc;
use headwater_media::{MediaTime, Timescale, flv};

/// What an encoder sends, as messages of RTMP: `(wall ms, kind, timestamp ms, body)`.
struct Encoder {
    /// Where its clock begins, modulo 2³².
    clock_ms: u64,
    frame_us: i64,
    keyframe_frames: i64,
    /// Of a group of so many and one pictures, all but the first are shown before it.
    reordered: i64,
    /// Pictures after a keyframe that are shown before it.
    open_gop: bool,
    video: bool,
    audio: bool,
    sound_ahead_ms: i64,
    variant: u8,
    aac: [u8; 2],
    hevc: bool,
}

const GOOD: Encoder = Encoder {
    clock_ms: 0,
    frame_us: 33_333,
    keyframe_frames: 60,
    reordered: 0,
    open_gop: false,
    video: true,
    audio: true,
    sound_ahead_ms: 0,
    variant: 0,
    aac: [0x11, 0x90],
    hevc: false,
};

type Message = (i64, TrackKind, u32, Vec<u8>);

impl Encoder {
    fn configuration(&self) -> Vec<Vec<u8>> {
        let mut video = vec![0x17, 0, 0, 0, 0];
        // 640 by 480, or 320 by 240.
        let sps: [u8; 9] = match self.variant {
            0 => [0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xf6, 0x40],
            _ => [0x67, 0x42, 0xc0, 0x1e, 0xda, 0x05, 0x07, 0xc4, 0x40],
        };
        video.extend([1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 9]);
        video.extend(sps);
        video.extend([1, 0, 4, 0x68, 0xce, 0x3c, 0x80]);
        if self.hevc {
            video = [&b"\x90hvc1"[..], &hvcc()].concat();
        }
        let sound = vec![0xaf, 0, self.aac[0], self.aac[1]];
        [self.video.then_some(video), self.audio.then_some(sound)].into_iter().flatten().collect()
    }

    fn run(&self, ms: i64) -> Vec<Message> {
        let mut messages: Vec<Message> = Vec::new();
        let stamp = |at_ms: i64| (self.clock_ms.wrapping_add_signed(at_ms) & u64::from(u32::MAX)) as u32;
        for frame in (0..).take_while(|frame| self.video && frame * self.frame_us < ms * 1_000) {
            let at = frame * self.frame_us / 1_000;
            let keyframe = frame % self.keyframe_frames == 0;
            let frame_ms = self.frame_us / 1_000;
            let lead = if frame % (self.reordered + 1) == 0 { self.reordered } else { 0 };
            let mut composition = if self.reordered == 0 { 0 } else { (1 + lead) * frame_ms };
            if self.open_gop {
                // I2 B0 B1: two pictures that follow a keyframe are shown before it.
                composition = if frame % 3 == 0 { 3 * frame_ms } else { 0 };
            }
            let [_, high, middle, low] = (composition as u32).to_be_bytes();
            let body = match (self.hevc, keyframe) {
                (true, true) => [&b"\x91hvc1"[..], &[high, middle, low, 0, 0, 0, 3, 0x26, 1, 0]].concat(),
                (true, false) => [&b"\xa1hvc1"[..], &[high, middle, low, 0, 0, 0, 3, 0x02, 1, 0]].concat(),
                (false, true) => vec![0x17, 1, high, middle, low, 0, 0, 0, 2, 0x65, 0x88],
                (false, false) => vec![0x27, 1, high, middle, low, 0, 0, 0, 2, 0x41, 0x9a],
            };
            messages.push((at, TrackKind::Video, stamp(at), body));
        }
        for block in (0..).take_while(|block| self.audio && block * 1_024_000 / 48_000 < ms) {
            let at = block * 1_024_000 / 48_000;
            messages.push((at - self.sound_ahead_ms, TrackKind::Audio, stamp(at), vec![0xaf, 1, 1, 2, 3]));
        }
        messages.sort_by_key(|message| message.0);
        messages
    }
}

fn hvcc() -> Vec<u8> {
    let mut hvcc = vec![1; 22];
    hvcc[21] = 3;
    // One array with one parameter set, whose content nobody here reads.
    hvcc.extend([1, 33, 0, 1, 0, 4, 0x42, 1, 1, 1]);
    assert!(hevc::Config::parse(&hvcc).is_ok());
    hvcc
}

/// A stream on the air with a viewer who reads every revision.
struct Stage {
    world: World,
    publisher: Publisher,
    demuxer: flv::Demuxer,
    linter: Linter,
    revision: u64,
    strict: bool,
}

impl Stage {
    async fn new() -> Self {
        let world = world();
        let publisher = world.hub.publish(Publish::new(world.channel.clone(), "127.0.0.1:9")).await.unwrap();
        let demuxer = flv::Demuxer::new();
        Stage { world, publisher, demuxer, linter: Linter::new(), revision: 0, strict: true }
    }

    async fn message(&mut self, kind: TrackKind, timestamp_ms: u32, body: Vec<u8>) {
        let body = Bytes::from(body);
        let units = match kind {
            TrackKind::Video => self.demuxer.video(timestamp_ms, body),
            TrackKind::Audio => self.demuxer.audio(timestamp_ms, body),
        };
        for input in units.unwrap().into_iter().filter_map(Input::from_flv) {
            self.publisher.send(input).await.unwrap();
        }
        tokio::task::yield_now().await;
        self.look();
    }

    async fn configure(&mut self, encoder: &Encoder) {
        for body in encoder.configuration() {
            let kind = if body[0] == 0xaf { TrackKind::Audio } else { TrackKind::Video };
            self.message(kind, encoder.clock_ms as u32, body).await;
        }
    }

    async fn run(&mut self, messages: Vec<Message>) {
        let begun = Instant::now();
        for (at, kind, timestamp_ms, body) in messages {
            sleep_until(begun + Duration::from_millis(at.max(0) as u64)).await;
            self.message(kind, timestamp_ms, body).await;
        }
    }

    async fn publish(&mut self, encoder: &Encoder, ms: i64) {
        self.configure(encoder).await;
        self.run(encoder.run(ms)).await;
    }

    fn look(&mut self) {
        let Some(stream) = self.world.hub.stream(&self.world.channel.id) else { return };
        let snapshot = stream.snapshot();
        if snapshot.revision() == self.revision {
            return;
        }
        assert!(snapshot.revision() <= self.revision + 2, "revisions are not missed");
        self.revision = snapshot.revision();
        let text = playlist::media(&snapshot, Delta::Full);
        let mut findings = self.linter.check(&text);
        findings.extend(self.linter.check_delta(&playlist::media(&snapshot, Delta::Skip)));
        findings.retain(|finding| self.strict || finding.severity == Severity::Error);
        assert!(findings.is_empty(), "{findings:#?}\n{text}");
    }

    /// Ends it; the last snapshot, and the playlist's tags of discontinuity and of init segments.
    async fn end(mut self) -> (Arc<Snapshot>, usize, usize) {
        let stream = self.world.stream();
        self.publisher.finish(Ending::Clean).await;
        let ended = stream.watch.clone().wait_for(|snapshot| snapshot.ended()).await.unwrap().clone();
        let text = playlist::media(&ended, Delta::Full);
        let findings: Vec<_> = self.linter.check(&text).into_iter().filter(|f| f.severity == Severity::Error).collect();
        assert!(findings.is_empty(), "{findings:#?}\n{text}");
        let report = stream.conformance();
        let broken: Vec<_> = report.findings.iter().filter(|f| f.severity == Severity::Error).collect();
        assert!(broken.is_empty() && report.revisions > 5, "{report:?}");
        (ended, text.matches("#EXT-X-DISCONTINUITY\n").count(), text.matches("#EXT-X-MAP:").count())
    }
}

/// Milliseconds in the window.
fn lasts_ms(snapshot: &Snapshot) -> i64 {
    (0..=snapshot.next().msn).filter_map(|msn| snapshot.segment(msn)).map(|segment| segment.duration_us()).sum::<i64>()
        / 1_000
}

#[tokio::test(start_paused = true)]
async fn clocks_that_start_high_or_wrap_are_one_stretch_of_time() {
    for clock_ms in [0, 3_000_000_000, u64::from(u32::MAX) - 4_000] {
        let mut stage = Stage::new().await;
        stage.publish(&Encoder { clock_ms, ..GOOD }, 9_000).await;
        let (snapshot, discontinuities, maps) = stage.end().await;
        assert_eq!((discontinuities, maps), (0, 1), "{clock_ms}");
        assert!((8_950..=9_050).contains(&lasts_ms(&snapshot)), "{}", lasts_ms(&snapshot));
    }
}

#[tokio::test(start_paused = true)]
async fn clocks_that_jump_are_one_discontinuity_each_and_dates_follow_the_wall() {
    for (from, to) in [(0u64, 3_600_000u64), (3_600_000, 0), (50_000, 4_294_000_000)] {
        let mut stage = Stage::new().await;
        stage.publish(&Encoder { clock_ms: from, ..GOOD }, 5_000).await;
        // The encoder goes on with another clock and says nothing of it.
        stage.run(Encoder { clock_ms: to, ..GOOD }.run(5_000)).await;
        let (snapshot, discontinuities, maps) = stage.end().await;
        assert_eq!((discontinuities, maps), (1, 1), "{from} to {to}");
        let apart = snapshot.segment(snapshot.next().msn - 1).unwrap().program_date_time().0 - START.0;
        assert!((8_000..10_000).contains(&apart), "{apart}");
        assert!((9_800..=10_100).contains(&lasts_ms(&snapshot)), "{}", lasts_ms(&snapshot));
    }
}

#[tokio::test(start_paused = true)]
async fn sound_before_pictures_and_sound_that_runs_ahead_are_put_in_order() {
    for sound_ahead_ms in [0, 300, 1_500] {
        let mut stage = Stage::new().await;
        stage.publish(&Encoder { sound_ahead_ms, ..GOOD }, 8_000).await;
        let (snapshot, discontinuities, _) = stage.end().await;
        assert_eq!(discontinuities, 0, "{sound_ahead_ms}");
        assert!(snapshot.video().is_some() && snapshot.audio().is_some());
    }
    // Three seconds of sound before there is a picture: they are not waited for, and join.
    let mut stage = Stage::new().await;
    let sound = Encoder { video: false, ..GOOD };
    stage.publish(&sound, 3_000).await;
    let both = Encoder { clock_ms: 3_008, ..GOOD };
    stage.configure(&both).await;
    stage.run(both.run(6_000)).await;
    let (snapshot, discontinuities, maps) = stage.end().await;
    assert_eq!((discontinuities, maps), (1, 2));
    assert!(snapshot.video().is_some());
}

#[tokio::test(start_paused = true)]
async fn pictures_alone_and_sound_alone_are_carried_and_said() {
    for (video, audio, code) in [(true, false, "video-only"), (false, true, "audio-only")] {
        let mut stage = Stage::new().await;
        stage.publish(&Encoder { video, audio, ..GOOD }, 15_000).await;
        let codes: Vec<_> = stage.world.stream().findings().iter().map(|finding| finding.code.as_str()).collect();
        assert_eq!(codes, [code]);
        let (snapshot, discontinuities, _) = stage.end().await;
        assert_eq!((snapshot.video().is_some(), snapshot.audio().is_some(), discontinuities), (video, audio, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn changes_of_size_codec_and_sound_make_a_new_init_segment_and_one_discontinuity() {
    let changes = [
        ("size", Encoder { clock_ms: 5_000, variant: 1, ..GOOD }),
        ("codec", Encoder { clock_ms: 5_000, hevc: true, ..GOOD }),
        ("sound", Encoder { clock_ms: 5_000, aac: [0x11, 0x88], ..GOOD }),
    ];
    for (what, after) in changes {
        let mut stage = Stage::new().await;
        stage.publish(&GOOD, 5_000).await;
        stage.publish(&after, 6_000).await;
        let (snapshot, discontinuities, maps) = stage.end().await;
        assert_eq!((discontinuities, maps), (1, 2), "{what}");
        let codec = snapshot.video().unwrap().config.rfc6381();
        assert_eq!(codec.starts_with("hvc1"), what == "codec", "{codec}");
        assert!(lasts_ms(&snapshot) > 10_900, "{what}: {}", lasts_ms(&snapshot));
    }
}

#[tokio::test(start_paused = true)]
async fn an_encoder_that_repeats_its_configuration_changes_nothing() {
    let mut stage = Stage::new().await;
    stage.publish(&GOOD, 3_000).await;
    for clock_ms in [3_000, 6_000] {
        stage.publish(&Encoder { clock_ms, ..GOOD }, 3_000).await;
    }
    let (_, discontinuities, maps) = stage.end().await;
    assert_eq!((discontinuities, maps), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn reordered_pictures_open_groups_and_uneven_rates_stay_valid() {
    for encoder in [
        Encoder { reordered: 2, ..GOOD },
        Encoder { open_gop: true, ..GOOD },
        Encoder { frame_us: 41_708, keyframe_frames: 48, ..GOOD },
        Encoder { frame_us: 16_667, keyframe_frames: 240, ..GOOD },
        Encoder { frame_us: 200_000, keyframe_frames: 10, ..GOOD },
    ] {
        let mut stage = Stage::new().await;
        stage.publish(&encoder, 12_000).await;
        let (snapshot, discontinuities, _) = stage.end().await;
        assert_eq!(discontinuities, 0);
        assert!((11_800..=12_250).contains(&lasts_ms(&snapshot)), "{}", lasts_ms(&snapshot));
    }
}

#[tokio::test(start_paused = true)]
async fn a_variable_rate_stays_valid() {
    let mut stage = Stage::new().await;
    stage.strict = false;
    stage.configure(&GOOD).await;
    let messages = GOOD.run(12_000).into_iter().enumerate();
    // Of the pictures between keyframes some are missing, now and then many in a row.
    let kept = messages.filter(|(n, (_, kind, _, body))| {
        *kind == TrackKind::Audio || body[0] == 0x17 || (n * 7_919 % 10 > 3 && n % 200 > 40)
    });
    stage.run(kept.map(|(_, message)| message).collect()).await;
    let (_, discontinuities, _) = stage.end().await;
    assert_eq!(discontinuities, 0);
}

#[tokio::test(start_paused = true)]
async fn ten_seconds_between_keyframes_are_carried_and_found() {
    let mut stage = Stage::new().await;
    stage.publish(&Encoder { keyframe_frames: 300, ..GOOD }, 25_000).await;
    let codes: Vec<_> = stage.world.stream().findings().iter().map(|finding| finding.code.as_str()).collect();
    assert_eq!(codes, ["keyframe-interval"]);
    let (_, discontinuities, _) = stage.end().await;
    assert_eq!(discontinuities, 0);
}

/// From RTMP's whole milliseconds to the session's timeline, with a wrap on the way: sound and pictures of one moment stay together.
#[test]
fn sound_and_pictures_stay_within_twenty_milliseconds_for_a_day() {
    use crate::timeline::{Placed, Timeline};
    const DAY_MS: i64 = 24 * 3_600 * 1_000;
    for rate in [44_100i64, 48_000] {
        let mut demuxer = flv::Demuxer::new();
        let mut timeline = Timeline::new(START);
        let encoder = Encoder { aac: if rate == 44_100 { [0x12, 0x10] } else { [0x11, 0x90] }, ..GOOD };
        let scale = Timescale::new(rate as u32).unwrap();
        let [video, audio] = <[Vec<u8>; 2]>::try_from(encoder.configuration()).unwrap();
        demuxer.video(0, video.into()).unwrap();
        demuxer.audio(0, audio.into()).unwrap();
        let (picture, sound) =
            (Bytes::from_static(&[0x27, 1, 0, 0, 0, 0, 0, 0, 2, 0x41, 0x9a]), Bytes::from_static(&[0xaf, 1, 1]));
        // It wraps half way.
        let first = u64::from(u32::MAX) - DAY_MS as u64 / 2;
        let (mut frame, mut block, mut worst_us) = (0i64, 0i64, 0);
        let mut origin = None;
        loop {
            let (video_us, audio_us) = (frame * 1_001_000 / 30, block * 1_024_000_000 / rate);
            let is_video = video_us <= audio_us;
            let us = video_us.min(audio_us);
            if us > DAY_MS * 1_000 {
                break;
            }
            let stamp = first.wrapping_add_signed(us / 1_000) as u32;
            let (units, scale) = match is_video {
                true => (demuxer.video(stamp, picture.clone()).unwrap(), Timescale::VIDEO),
                false => (demuxer.audio(stamp, sound.clone()).unwrap(), scale),
            };
            (frame, block) = if is_video { (frame + 1, block) } else { (frame, block + 1) };
            let [flv::Unit::Access(unit)] = &units[..] else { panic!("a unit") };
            let Placed::Here(unit) = timeline.place(unit.clone(), scale, START.plus_ms(us / 1_000)) else {
                panic!("a jump at {us} µs")
            };
            let at_us = MediaTime::new(unit.dts, scale).rescale(Timescale::new(1_000_000).unwrap()).ticks;
            let off = at_us - us - *origin.get_or_insert(at_us - us);
            worst_us = worst_us.max(off.abs());
        }
        assert!(worst_us < 2_000, "{worst_us} µs off at {rate} Hz");
    }
}

#[tokio::test(start_paused = true)]
async fn sound_that_changes_between_keyframes_waits_for_the_next_one_and_costs_no_picture() {
    let mut stage = Stage::new().await;
    stage.publish(&GOOD, 4_500).await;
    // 4.5 s is in the middle of a group; the next keyframe comes 1.5 s later.
    let after = Encoder { clock_ms: 4_500, aac: [0x11, 0x88], ..GOOD };
    let [_, sound] = <[Vec<u8>; 2]>::try_from(after.configuration()).unwrap();
    stage.message(TrackKind::Audio, 4_500, sound).await;
    let keyframe_in_1500_ms = |(at, kind, stamp, mut body): Message| {
        if kind == TrackKind::Video {
            let is_keyframe = (1_490..1_510).contains(&(at % 2_000));
            (body[0], body[9]) = if is_keyframe { (0x17, 0x65) } else { (0x27, 0x41) };
        }
        (at, kind, stamp, body)
    };
    stage.run(after.run(6_000).into_iter().map(keyframe_in_1500_ms).collect()).await;
    let (snapshot, discontinuities, maps) = stage.end().await;
    assert_eq!((discontinuities, maps), (1, 2));
    let CodecConfig::Aac(config) = &*snapshot.audio().unwrap().config else { panic!("AAC") };
    assert_eq!(config.channels, 1, "the new configuration is in use");
    assert!(lasts_ms(&snapshot) > 10_400, "{}", lasts_ms(&snapshot));
}
