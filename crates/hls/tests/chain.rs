//! From RTMP message bodies to playlists: whatever a peer sends, nothing panics and what is published is valid.

use bytes::Bytes;
use headwater_hls::lint::{Linter, Severity};
use headwater_hls::{Delta, Latency, Options, Packager, playlist};
use headwater_media::WallTime;
use headwater_media::flv::{Demuxer, Unit};
use proptest::prelude::*;

/// A message body: mostly what encoders send, sometimes damaged.
#[derive(Clone, Debug)]
enum Body {
    Keyframe,
    Picture,
    Sound,
    VideoConfig(u8),
    AudioConfig(bool),
    Enhanced,
    Noise(bool, Vec<u8>),
}

impl Body {
    fn is_video(&self) -> bool {
        match self {
            Body::Sound | Body::AudioConfig(_) => false,
            Body::Noise(video, _) => *video,
            _ => true,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let avcc = |variant: u8| {
            [
                1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 9, 0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xf6, 0x40, 1, 0, 4,
                0x68, 0xce, 0x3c, variant,
            ]
        };
        match self {
            Body::Keyframe => vec![0x17, 1, 0, 0, 40, 0, 0, 0, 2, 0x65, 0x88],
            Body::Picture => vec![0x27, 1, 0xff, 0xff, 0xf0, 0, 0, 0, 2, 0x41, 0x9a],
            Body::Sound => vec![0xaf, 1, 1, 2, 3],
            Body::VideoConfig(variant) => [&[0x17, 0, 0, 0, 0][..], &avcc(*variant)].concat(),
            Body::AudioConfig(true) => vec![0xaf, 0, 0x11, 0x90],
            Body::AudioConfig(false) => vec![0xaf, 0, 0x12, 0x10],
            Body::Enhanced => [&b"\x93avc1"[..], &[0, 0, 0, 2, 0x65, 0x88]].concat(),
            Body::Noise(_, bytes) => bytes.clone(),
        }
    }
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        4 => Just(Body::Keyframe),
        60 => Just(Body::Picture),
        60 => Just(Body::Sound),
        1 => (0..4u8).prop_map(Body::VideoConfig),
        1 => any::<bool>().prop_map(Body::AudioConfig),
        2 => Just(Body::Enhanced),
        4 => (any::<bool>(), prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(video, bytes)| Body::Noise(video, bytes)),
    ]
}

fn step() -> impl Strategy<Value = u32> {
    prop_oneof![
        60 => 0..60u32,
        3 => 0..5_000u32,
        // Back by up to a second, modulo 2^32.
        3 => (0..1_000u32).prop_map(u32::wrapping_neg),
        1 => any::<u32>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_messages_give_valid_playlists(
        start: u32,
        normal: bool,
        messages in prop::collection::vec((step(), body()), 0..900),
    ) {
        let mut demuxer = Demuxer::new();
        let mut packager = Packager::new(Options {
            epoch: "e".into(),
            rendition: "source".into(),
            latency: if normal { Latency::Normal } else { Latency::Low },
        });
        let mut linter = Linter::new();
        let (mut timestamp, mut wall) = (start, 1_795_498_182_123i64);
        let first = [Body::VideoConfig(0), Body::AudioConfig(true), Body::Keyframe];
        let messages = first.into_iter().map(|body| (0, body)).chain(messages);
        for (step, body) in messages {
            timestamp = timestamp.wrapping_add(step);
            wall += i64::from(step % 5_000);
            let bytes = Bytes::from(body.bytes());
            let units = if body.is_video() {
                demuxer.video(timestamp, bytes)
            } else {
                demuxer.audio(timestamp, bytes)
            };
            for unit in units.into_iter().flatten() {
                match unit {
                    Unit::Config(track) => packager.handle_track(track),
                    Unit::Access(unit) => packager.handle_unit(unit, WallTime(wall)).unwrap(),
                    _ => {}
                }
            }
            look(&mut packager, &mut linter);
        }
        packager.end();
        look(&mut packager, &mut linter);
    }
}

fn look(packager: &mut Packager, linter: &mut Linter) {
    let Some(snapshot) = packager.poll_snapshot() else { return };
    let text = playlist::media(&snapshot, Delta::Full);
    let mut findings = linter.check(&text);
    findings.extend(linter.check_delta(&playlist::media(&snapshot, Delta::Skip)));
    findings.retain(|finding| finding.severity == Severity::Error);
    assert!(findings.is_empty(), "{findings:#?}\n{text}");
}
