//! FLV out: tracks and access units as the tags of a file, for an encoder's standard input.
//!
//! *Shape*: each function gives a short list of buffers; payloads are not copied. *Units*: times are milliseconds after `base_ms`, rounded down.
//! *Source*: FLV 10.1, E.2 to E.4; Enhanced RTMP v2, "Enhanced Video", for HEVC and AV1.

use crate::codec::CodecConfig;
use crate::track::{AccessUnit, FurtherTrack, Keyframe, Track, TrackKind};
use bytes::{BufMut as _, Bytes, BytesMut};

/// The head of a file with sound and pictures.
pub const FILE_HEADER: &[u8] = b"FLV\x01\x05\0\0\0\x09\0\0\0\0";

/// The tag that tells the frame rate (`onMetaData`, an AMF0 array of one number): timestamps alone do not tell it from the first picture on.
pub fn frame_rate_tag(frame_rate_millis: u32) -> [Bytes; 3] {
    let mut body = b"\x02\0\x0aonMetaData\x08\0\0\0\x01\0\x09framerate\0".to_vec();
    body.extend((f64::from(frame_rate_millis) / 1_000.0).to_be_bytes());
    body.extend(b"\0\0\x09");
    tag(SCRIPT, 0, &body, Bytes::new())
}

/// The tag that configures a track.
pub fn config_tag(track: &Track) -> [Bytes; 3] {
    let head: Vec<u8> = match &*track.config {
        CodecConfig::Avc(_) => vec![0x17, 0, 0, 0, 0],
        CodecConfig::Hevc(_) => b"\x90hvc1".to_vec(),
        CodecConfig::Av1(_) => b"\x90av01".to_vec(),
        CodecConfig::Aac(_) => vec![0xaf, 0],
    };
    tag(tag_type(track.kind), 0, &head, track.config.record().clone())
}

/// The tag of an access unit.
pub fn unit_tag(track: &Track, unit: &AccessUnit, base_ms: i64) -> [Bytes; 3] {
    let ms = |ticks| track.timescale.ms_of_ticks(ticks).saturating_sub(base_ms);
    let at = ms(unit.dts);
    let composition = i32::try_from(ms(unit.pts).saturating_sub(at)).unwrap_or(0).to_be_bytes();
    let frame = if unit.keyframe == Keyframe::Yes { 0x10 } else { 0x20 };
    let mut head = Vec::with_capacity(8);
    match &*track.config {
        CodecConfig::Avc(_) => {
            head.extend([frame | 7, 1]);
            head.extend(&composition[1..]);
        }
        CodecConfig::Hevc(_) => {
            head.extend([0x80 | frame | 1]);
            head.extend(b"hvc1");
            head.extend(&composition[1..]);
        }
        CodecConfig::Av1(_) => {
            head.extend([0x80 | frame | 1]);
            head.extend(b"av01");
        }
        CodecConfig::Aac(_) => head.extend([0xaf, 1]),
    }
    tag(tag_type(track.kind), at, &head, unit.data.clone())
}

/// A video message's body as that of a further track: `OneTrack` of Enhanced RTMP v2. `None` for a body that ends before its header does.
pub fn further_body(id: FurtherTrack, body: &[u8]) -> Option<Bytes> {
    const MULTITRACK: u8 = 6;
    let (&first, rest) = body.split_first()?;
    let (packet_type, fourcc, coded) = if first & 0x80 != 0 {
        let (fourcc, coded) = rest.split_first_chunk::<4>()?;
        (first & 0x0f, fourcc, coded)
    } else {
        let (&packet_type, timed) = rest.split_first()?;
        // Of the legacy packet types only pictures keep their composition time.
        (packet_type, b"avc1", if packet_type == 1 { timed } else { timed.get(3..)? })
    };
    let mut out = BytesMut::with_capacity(7 + coded.len());
    out.put_u8(0x80 | first & 0x70 | MULTITRACK);
    out.put_u8(packet_type);
    out.put_slice(fourcc);
    out.put_u8(id.id());
    out.put_slice(coded);
    Some(out.freeze())
}

/// Bytes before a tag's body, and after it.
const TAG_HEADER: usize = 11;

/// The tag type of data messages.
const SCRIPT: u8 = 18;

fn tag_type(kind: TrackKind) -> u8 {
    match kind {
        TrackKind::Video => 9,
        TrackKind::Audio => 8,
    }
}

fn tag(tag_type: u8, at_ms: i64, head: &[u8], body: Bytes) -> [Bytes; 3] {
    let size = u32::try_from(head.len() + body.len()).expect("access units are bounded to 4 MiB");
    // FLV has 32 bits of milliseconds; whoever muxes begins anew before they wrap.
    let at = u32::try_from(at_ms.max(0)).unwrap_or(u32::MAX);
    let mut out = BytesMut::with_capacity(TAG_HEADER + head.len());
    out.put_u8(tag_type);
    out.put(&size.to_be_bytes()[1..]);
    out.put(&at.to_be_bytes()[1..]);
    out.put_u8(at.to_be_bytes()[0]);
    out.put(&[0; 3][..]);
    out.put(head);
    let whole = size + TAG_HEADER as u32;
    [out.freeze(), body, Bytes::copy_from_slice(&whole.to_be_bytes())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{aac, avc};
    use crate::flv::{Demuxer, Unit};
    use proptest::prelude::*;

    const AVCC: &[u8] = &[
        1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 9, 0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xf6, 0x40, 1, 0, 4, 0x68,
        0xce, 0x3c, 0x80,
    ];

    /// Reads a tag with the demuxer of messages.
    fn read(demuxer: &mut Demuxer, tag: &[Bytes; 3]) -> Vec<Unit> {
        let bytes = tag.concat();
        let size = u32::from_be_bytes([0, bytes[1], bytes[2], bytes[3]]) as usize;
        assert_eq!(bytes.len(), 11 + size + 4);
        assert_eq!(bytes[11 + size..], (11 + size as u32).to_be_bytes());
        let at = u32::from_be_bytes([bytes[7], bytes[4], bytes[5], bytes[6]]);
        let body = Bytes::copy_from_slice(&bytes[11..11 + size]);
        if bytes[0] == 9 { demuxer.video(at, body).unwrap() } else { demuxer.audio(at, body).unwrap() }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            at in 0..0x4000_0000u32, delay in -5_000..5_000i64, keyframe: bool, payload in prop::collection::vec(any::<u8>(), 1..40),
        ) {
            let video = Track::new(CodecConfig::Avc(avc::Config::parse(AVCC).unwrap()));
            let audio = Track::new(CodecConfig::Aac(aac::Config::parse(&[0x11, 0x90]).unwrap()));
            let mut demuxer = Demuxer::new();
            prop_assert_eq!(read(&mut demuxer, &config_tag(&video)), [Unit::Config(video.clone())]);
            prop_assert_eq!(read(&mut demuxer, &config_tag(&audio)), [Unit::Config(audio.clone())]);
            let base_ms = 7_000;
            let length = u32::try_from(payload.len()).unwrap();
            let data = Bytes::from([&length.to_be_bytes()[..], &payload].concat());
            let dts = (i64::from(at) + base_ms) * 90;
            let keyframe = if keyframe { Keyframe::Yes } else { Keyframe::No };
            let unit = AccessUnit { kind: TrackKind::Video, dts, pts: dts + delay * 90, keyframe, data };
            let read_back = read(&mut demuxer, &unit_tag(&video, &unit, base_ms));
            let expected = AccessUnit { dts: dts - base_ms * 90, pts: unit.pts - base_ms * 90, ..unit };
            prop_assert_eq!(read_back, [Unit::Access(expected)]);
            let block = AccessUnit { kind: TrackKind::Audio, dts: dts / 90 * 48, pts: dts / 90 * 48, keyframe: Keyframe::Yes, data: Bytes::from(payload) };
            let tag = unit_tag(&audio, &block, base_ms);
            prop_assert_eq!(&tag[1], &block.data);
        }
    }
}
