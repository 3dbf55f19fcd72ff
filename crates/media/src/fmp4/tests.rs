//! What is written is read back by an independent reader.

use super::*;
use crate::codec::{CodecConfig, aac, av1, avc, hevc};
use crate::cue::{Cue, CueOwner};
use crate::time::Timescale;
use crate::track::{Keyframe, Track};
use bytes::Bytes;
use mp4_atom::{Any, Codec, Decode, Emsg, EmsgTimestamp, Ftyp, Moof, Moov};
use proptest::prelude::*;

const AVCC: &[u8] = &[
    1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 9, 0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xf6, 0x40, 1, 0, 4, 0x68, 0xce,
    0x3c, 0x80,
];

fn video() -> Track {
    Track::new(CodecConfig::Avc(avc::Config::parse(AVCC).unwrap()))
}

fn audio() -> Track {
    Track::new(CodecConfig::Aac(aac::Config::parse(&[0x11, 0x90]).unwrap()))
}

fn read_init(bytes: &Bytes) -> Moov {
    let mut rest = &bytes[..];
    let ftyp = Ftyp::decode(&mut rest).unwrap();
    assert_eq!(ftyp.major_brand.to_string(), "iso6");
    let moov = Moov::decode(&mut rest).unwrap();
    assert!(rest.is_empty());
    moov
}

#[test]
fn init_segment_of_two_tracks_reads_back() {
    let moov = read_init(&init_segment(Some(&video()), Some(&audio())));
    assert_eq!(moov.trak.len(), 2);
    let (picture, sound) = (&moov.trak[0], &moov.trak[1]);
    assert_eq!((picture.tkhd.track_id, sound.tkhd.track_id), (1, 2));
    assert_eq!((picture.mdia.mdhd.timescale, sound.mdia.mdhd.timescale), (90_000, 48_000));
    let Codec::Avc1(avc1) = &picture.mdia.minf.stbl.stsd.codecs[0] else { panic!("not avc1") };
    assert_eq!((avc1.visual.width, avc1.visual.height), (640, 480));
    assert_eq!(avc1.avcc.sequence_parameter_sets[0], &AVCC[8..17]);
    let Codec::Mp4a(mp4a) = &sound.mdia.minf.stbl.stsd.codecs[0] else { panic!("not mp4a") };
    assert_eq!((mp4a.audio.channel_count, mp4a.audio.sample_rate.integer()), (2, 48_000));
    let specific = mp4a.esds.es_desc.dec_config.dec_specific.as_ref().unwrap();
    assert_eq!((specific.profile, specific.freq_index, specific.chan_conf), (2, 3, 2));
    assert_eq!(moov.mvex.unwrap().trex.len(), 2);
}

#[test]
fn init_segment_of_one_track_has_one() {
    let moov = read_init(&init_segment(Some(&video()), None));
    assert_eq!((moov.trak.len(), moov.mvex.unwrap().trex[0].track_id), (1, 1));
    let moov = read_init(&init_segment(None, Some(&audio())));
    assert_eq!((moov.trak.len(), moov.mvex.unwrap().trex[0].track_id), (1, 2));
}

#[test]
fn hevc_and_av1_have_their_own_entries() {
    let mut record = vec![1; 23];
    record[21] = 3;
    record[22] = 1;
    record.extend([33, 0, 1, 0, 2, 0x42, 1]);
    let hevc = Track::new(CodecConfig::Hevc(hevc::Config::parse(&record).unwrap()));
    let moov = read_init(&init_segment(Some(&hevc), None));
    assert!(matches!(moov.trak[0].mdia.minf.stbl.stsd.codecs[0], Codec::Hvc1(_)));
    let av1 = Track::new(CodecConfig::Av1(av1::Config::parse(&[0x81, 5, 12, 0]).unwrap()));
    let moov = read_init(&init_segment(Some(&av1), None));
    assert!(matches!(moov.trak[0].mdia.minf.stbl.stsd.codecs[0], Codec::Av01(_)));
}

#[test]
fn cue_is_an_event_before_the_fragment() {
    let cue = Cue { id: "c7".into(), payload: "hello".into(), owner: CueOwner::OutOfBand };
    let event = Event { cue: &cue, id: 7, presentation_time: 1 << 40, timescale: Timescale::VIDEO, duration: 9_000 };
    let run = Run { track_id: 1, base_decode_time: 1 << 40, samples: &[] };
    let header = fragment_header(1, &[event], &[run]);
    let mut rest = &header[..];
    let Any::Emsg(emsg) = Any::decode(&mut rest).unwrap() else { panic!("not emsg") };
    assert_eq!(
        emsg,
        Emsg {
            timescale: 90_000,
            presentation_time: EmsgTimestamp::Absolute(1 << 40),
            event_duration: 9_000,
            id: 7,
            scheme_id_uri: "https://aomedia.org/emsg/ID3".into(),
            value: String::new(),
            message_data: cue.id3(),
        }
    );
    let moof = Moof::decode(&mut rest).unwrap();
    assert_eq!(moof.traf[0].tfdt.as_ref().unwrap().base_media_decode_time, 1 << 40);
}

fn sample() -> impl Strategy<Value = Sample> {
    (0..200_000u32, 0..100_000u32, -20_000..20_000i32, any::<bool>(), 0..3u8).prop_map(
        |(duration, size, composition, key, shape)| Sample {
            duration: if shape == 0 { duration } else { 3_000 },
            size,
            composition: if shape == 1 { composition } else { 0 },
            keyframe: if key { Keyframe::Yes } else { Keyframe::No },
        },
    )
}

proptest! {
    #[test]
    fn fragments_read_back(
        sequence: u32,
        pictures in prop::collection::vec(sample(), 0..12),
        sounds in prop::collection::vec(sample(), 0..12),
        base in 0..u64::MAX / 2,
    ) {
        let runs = [
            Run { track_id: 1, base_decode_time: base, samples: &pictures },
            Run { track_id: 2, base_decode_time: base / 2, samples: &sounds },
        ];
        let header = fragment_header(sequence, &[], &runs);
        let mut rest = &header[..];
        let moof = Moof::decode(&mut rest).unwrap();
        let moof_bytes = header.len() - rest.len();
        prop_assert_eq!(rest.len(), 8);
        prop_assert_eq!(&rest[4..], b"mdat");
        let total = |samples: &[Sample]| samples.iter().map(|sample| sample.size).sum::<u32>();
        let mdat = u32::from_be_bytes(rest[..4].try_into().unwrap());
        prop_assert_eq!(mdat, 8 + total(&pictures) + total(&sounds));
        prop_assert_eq!(moof.mfhd.sequence_number, sequence);
        let mut offset = moof_bytes as i32 + 8;
        for (traf, run) in moof.traf.iter().zip(&runs) {
            prop_assert_eq!(traf.tfhd.track_id, run.track_id);
            prop_assert_eq!(
                traf.tfdt.as_ref().unwrap().base_media_decode_time,
                run.base_decode_time
            );
            let trun = &traf.trun[0];
            prop_assert_eq!(trun.data_offset, Some(offset));
            offset += total(run.samples) as i32;
            prop_assert_eq!(trun.samples.len(), run.samples.len());
            for (entry, sample) in trun.samples.iter().zip(run.samples) {
                let duration = entry.duration.or(traf.tfhd.default_sample_duration);
                prop_assert_eq!(duration, Some(sample.duration));
                prop_assert_eq!(entry.size, Some(sample.size));
                prop_assert_eq!(entry.cts.unwrap_or(0), i64::from(sample.composition));
                let sync = entry.flags.unwrap_or(0x0200_0000) & 0x0001_0000 == 0;
                prop_assert_eq!(sync, sample.keyframe == Keyframe::Yes);
            }
        }
    }
}
