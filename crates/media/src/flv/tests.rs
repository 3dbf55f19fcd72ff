//! Messages of real encoders, of hostile ones, and of none.

use super::*;
use crate::track::Keyframe;
use proptest::prelude::*;

const AVCC: &[u8] = &[
    1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 9, 0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xf6, 0x40, 1, 0, 4, 0x68, 0xce,
    0x3c, 0x80,
];

fn message(head: &[u8], payload: &[u8]) -> Bytes {
    Bytes::from([head, payload].concat())
}

fn only(units: Result<Vec<Unit>, Error>) -> Unit {
    let mut units = units.unwrap();
    assert_eq!(units.len(), 1);
    units.remove(0)
}

fn access(units: Result<Vec<Unit>, Error>) -> AccessUnit {
    match only(units) {
        Unit::Access(unit) => unit,
        other => panic!("expected an access unit, got {other:?}"),
    }
}

#[test]
fn legacy_avc_and_aac() {
    let mut demuxer = Demuxer::new();
    let Unit::Config(track) = only(demuxer.video(0, message(&[0x17, 0, 0, 0, 0], AVCC))) else {
        panic!("expected a configuration")
    };
    assert_eq!(track.config.rfc6381(), "avc1.42C01E");
    let body = message(&[0x17, 1, 0, 0, 66], &[0, 0, 0, 2, 0x65, 0x88]);
    let unit = access(demuxer.video(40, body.clone()));
    assert_eq!((unit.dts, unit.pts, unit.keyframe), (3_600, 9_540, Keyframe::Yes));
    // A slice of the message, not a copy.
    assert_eq!(unit.data.as_ptr(), body[5..].as_ptr());

    let unit = access(demuxer.video(80, message(&[0x27, 1, 0xff, 0xff, 0xff], &[0, 0, 0, 1, 9])));
    assert_eq!((unit.dts, unit.pts, unit.keyframe), (7_200, 7_110, Keyframe::No));

    assert!(matches!(only(demuxer.audio(0, message(&[0xaf, 0], &[0x12, 0x10]))), Unit::Config(_)));
    let unit = access(demuxer.audio(23, message(&[0xaf, 1], &[1, 2, 3])));
    assert_eq!((unit.dts, unit.kind), (1_014, TrackKind::Audio));
    // The same configuration again does not restart the sample clock.
    assert!(matches!(only(demuxer.audio(40, message(&[0xaf, 0], &[0x12, 0x10]))), Unit::Config(_)));
    assert_eq!(access(demuxer.audio(46, message(&[0xaf, 1], &[1]))).dts, 1_014 + 1_024);
}

#[test]
fn enhanced_headers_carry_a_fourcc() {
    let mut demuxer = Demuxer::new();
    let start = message(&[0x90, b'a', b'v', b'c', b'1'], AVCC);
    assert!(matches!(only(demuxer.video(0, start)), Unit::Config(_)));
    let frame = message(&[0x91, b'a', b'v', b'c', b'1', 0, 0, 33], &[0, 0, 0, 1, 0x65]);
    assert_eq!(access(demuxer.video(10, frame)).pts, 43 * 90);
    let frame = message(&[0xa3, b'a', b'v', b'c', b'1'], &[0, 0, 0, 1, 0x41]);
    let unit = access(demuxer.video(20, frame));
    assert_eq!((unit.dts, unit.pts, unit.keyframe), (1_800, 1_800, Keyframe::No));
    // ModEx with three bytes of data (a nanosecond offset), then coded frames.
    let head = [0x97, 2, 0, 0, 9, 0x01, b'a', b'v', b'c', b'1', 0, 0, 0];
    assert_eq!(access(demuxer.video(30, message(&head, &[0, 0, 0, 1, 0x65]))).dts, 2_700);

    let start = message(&[0x90, b'm', b'p', b'4', b'a'], &[0x11, 0x90]);
    assert!(matches!(only(demuxer.audio(0, start)), Unit::Config(_)));
    let frame = message(&[0x91, b'm', b'p', b'4', b'a'], &[1, 2]);
    assert_eq!(access(demuxer.audio(1_000, frame)).dts, 48_000);
}

#[test]
fn av1_has_no_composition_time() {
    let mut demuxer = Demuxer::new();
    let start = message(&[0x90, b'a', b'v', b'0', b'1'], &[0x81, 5, 12, 0]);
    assert!(matches!(only(demuxer.video(0, start)), Unit::Config(_)));
    let unit = access(demuxer.video(7, message(&[0x91, b'a', b'v', b'0', b'1'], &[0x12, 0])));
    assert_eq!((unit.pts, &unit.data[..]), (630, &[0x12, 0][..]));
}

#[test]
fn what_is_not_taken_is_refused_by_name() {
    let mut demuxer = Demuxer::new();
    let refused = |units: Result<Vec<Unit>, Error>| units.unwrap_err().to_string();
    assert!(refused(demuxer.video(0, message(&[0x12], &[0]))).contains("codec 2 of FLV"));
    assert!(refused(demuxer.audio(0, message(&[0x2f], &[0]))).contains("codec 2 of FLV"));
    assert!(refused(demuxer.video(0, message(&[0x90], b"vp09"))).contains("'vp09'"));
    assert!(refused(demuxer.audio(0, message(&[0x90], b"Opus"))).contains("'Opus'"));
    assert_eq!(
        demuxer.video(0, message(&[0x17, 1, 0, 0, 0], &[0, 0, 0, 1, 9])),
        Err(Error::Unconfigured { kind: TrackKind::Video })
    );
    assert_eq!(demuxer.video(0, Bytes::new()), Err(Error::Short { kind: TrackKind::Video, bytes: 0 }));
}

#[test]
fn nal_lengths_must_add_up() {
    let mut demuxer = Demuxer::new();
    demuxer.video(0, message(&[0x17, 0, 0, 0, 0], AVCC)).unwrap();
    let body = message(&[0x17, 1, 0, 0, 0], &[0, 0, 0, 1, 9, 0xff, 0xff, 0xff, 0xff, 1]);
    assert_eq!(demuxer.video(0, body), Err(Error::NalLength { at: 5, length: 0xffff_ffff, bytes: 10 }));
}

#[test]
fn an_access_unit_has_a_largest_size() {
    let mut demuxer = Demuxer::new();
    demuxer.audio(0, message(&[0xaf, 0], &[0x12, 0x10])).unwrap();
    let body = message(&[0xaf, 1], &vec![0; ACCESS_UNIT_BYTES_MAX + 1]);
    assert!(matches!(demuxer.audio(0, body), Err(Error::Long { .. })));
}

/// Bodies that get past the first checks more often than noise does.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let heads: Vec<&'static [u8]> = vec![
        b"",
        b"\x17\x00\x00\x00\x00",
        b"\x17\x01\x00\x00\x00",
        b"\x27\x01\x00\x00\x00",
        b"\xaf\x00",
        b"\xaf\x01",
        b"\x90hvc1",
        b"\x91hvc1",
        b"\x90av01\x81",
        b"\x90avc1\x01",
        b"\x97\xff",
        b"\x96\x00avc1\x01",
        b"\x96\x11avc1\x01\x00\x00",
        b"\x96\x21avc1\x01\x00\x00",
        b"\x90mp4a",
        b"\x91mp4a",
    ];
    (prop::sample::select(heads), prop::collection::vec(any::<u8>(), 0..80))
        .prop_map(|(head, tail)| [head, &tail].concat())
}

#[test]
fn a_small_unit_keeps_no_large_message() {
    let mut demuxer = Demuxer::new();
    demuxer.video(0, message(&[0x17, 0, 0, 0, 0], AVCC)).unwrap();
    // Modifiers of 255 bytes, then a picture of five.
    let modifiers = [&[0x97, 254][..], &[0; 255], &[0x01], b"avc1", &[0, 0, 0]].concat();
    let body = message(&modifiers, &[0, 0, 0, 1, 9]);
    let units = demuxer.video(40, body.clone()).unwrap();
    let [Unit::Access(unit)] = &units[..] else { panic!("{units:?}") };
    assert_eq!(unit.data, body[body.len() - 5..]);
    assert_ne!(unit.data.as_ptr(), body[body.len() - 5..].as_ptr());
}

proptest! {
    #[test]
    fn no_messages_panic(
        messages in prop::collection::vec((any::<bool>(), any::<u32>(), body()), 0..24),
        configured: bool,
    ) {
        let mut demuxer = Demuxer::new();
        if configured {
            demuxer.video(0, message(&[0x17, 0, 0, 0, 0], AVCC)).unwrap();
            demuxer.audio(0, message(&[0xaf, 0], &[0x12, 0x10])).unwrap();
        }
        for (video, timestamp, body) in messages {
            let body = Bytes::from(body);
            let size = body.len();
            let units = if video {
                demuxer.video(timestamp, body)
            } else {
                demuxer.audio(timestamp, body)
            };
            for unit in units.into_iter().flatten() {
                if let Unit::Access(unit) = unit {
                    prop_assert!(unit.data.len() < size);
                }
            }
        }
    }

    #[test]
    fn no_parameter_sets_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = crate::codec::avc::Config::parse(&bytes);
        let _ = crate::codec::hevc::Config::parse(&bytes);
        let _ = crate::codec::av1::Config::parse(&bytes);
        let _ = crate::codec::aac::Config::parse(&bytes);
    }

    /// A valid frame around an arbitrary SPS, so that the noise reaches the innermost parser.
    #[test]
    fn no_sequence_parameter_set_panics(sps in prop::collection::vec(any::<u8>(), 1..120)) {
        let mut avcc = vec![1, 100, 0, 31, 0xff, 0xe1, 0, sps.len() as u8 + 1, 0x67];
        avcc.extend(&sps);
        avcc.extend([1, 0, 1, 0x68]);
        prop_assert!(crate::codec::avc::Config::parse(&avcc).is_ok());
        let mut hvcc = vec![1; 22];
        hvcc[21] = 3;
        hvcc.extend([1, 33, 0, 1, 0, sps.len() as u8]);
        hvcc.extend(&sps);
        prop_assert!(crate::codec::hevc::Config::parse(&hvcc).is_ok());
        let mut av1c = vec![0x81, 0, 0, 0, 0x0a, sps.len() as u8];
        av1c.extend(&sps);
        prop_assert!(crate::codec::av1::Config::parse(&av1c).is_ok());
    }
}
