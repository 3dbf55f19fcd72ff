//! Matroska out: tracks and access units as a live file, for the standard input of an encoder whose ffmpeg knows HEVC and AV1 in it, and not in FLV.
//!
//! *Shape*: [`header`] once, then [`block`] for each unit: a cluster of its own, so that nothing waits for the next one. Payloads are not copied.
//! *Units*: milliseconds after `base_ms`, rounded down; pictures have their presentation time only, as Matroska has it. *Source*: RFC 9559;
//! RFC 8794 for EBML; "Matroska Codec Specifications".

use crate::codec::CodecConfig;
use crate::track::{AccessUnit, Keyframe, Track, TrackKind};
use bytes::{BufMut as _, Bytes, BytesMut};

/// Identifiers of elements, RFC 9559 section 27.
mod id {
    pub(super) const EBML: u32 = 0x1a45_dfa3;
    pub(super) const DOC_TYPE: u32 = 0x4282;
    pub(super) const SEGMENT: u32 = 0x1853_8067;
    pub(super) const INFO: u32 = 0x1549_a966;
    pub(super) const TIMESTAMP_SCALE: u32 = 0x2a_d7b1;
    pub(super) const TRACKS: u32 = 0x1654_ae6b;
    pub(super) const TRACK_ENTRY: u32 = 0xae;
    pub(super) const TRACK_NUMBER: u32 = 0xd7;
    pub(super) const TRACK_UID: u32 = 0x73c5;
    pub(super) const TRACK_TYPE: u32 = 0x83;
    pub(super) const FLAG_LACING: u32 = 0x9c;
    pub(super) const DEFAULT_DURATION: u32 = 0x23_e383;
    pub(super) const CODEC_ID: u32 = 0x86;
    pub(super) const CODEC_PRIVATE: u32 = 0x63a2;
    pub(super) const VIDEO: u32 = 0xe0;
    pub(super) const PIXEL_WIDTH: u32 = 0xb0;
    pub(super) const PIXEL_HEIGHT: u32 = 0xba;
    pub(super) const AUDIO: u32 = 0xe1;
    pub(super) const SAMPLING_FREQUENCY: u32 = 0xb5;
    pub(super) const CHANNELS: u32 = 0x9f;
    pub(super) const CLUSTER: u32 = 0x1f43_b675;
    pub(super) const TIMESTAMP: u32 = 0xe7;
    pub(super) const SIMPLE_BLOCK: u32 = 0xa3;
}

/// Nanoseconds in the file's unit of time.
const MILLISECOND_NS: u64 = 1_000_000;
/// The size of a segment that goes on: eight bytes, all ones (RFC 8794 section 6.2).
const UNKNOWN_SIZE: u64 = 0x01ff_ffff_ffff_ffff;
/// The flag of a block that can be decoded by itself (RFC 9559 section 10.2).
const KEYFRAME: u8 = 0x80;

/// The head of a file with these tracks. `frame_rate_millis` is the pictures', in 1000 seconds.
pub fn header(tracks: &[&Track], frame_rate_millis: u32) -> Bytes {
    let mut out = BytesMut::new();
    put(&mut out, id::EBML, &element(id::DOC_TYPE, b"matroska"));
    put_id(&mut out, id::SEGMENT);
    out.put_u64(UNKNOWN_SIZE);
    put(&mut out, id::INFO, &number(id::TIMESTAMP_SCALE, MILLISECOND_NS));
    let entries: Vec<u8> = tracks.iter().flat_map(|track| entry(track, frame_rate_millis)).collect();
    put(&mut out, id::TRACKS, &entries);
    out.freeze()
}

/// A unit of one of the tracks.
pub fn block(track: &Track, unit: &AccessUnit, base_ms: i64) -> [Bytes; 2] {
    let at_ms = track.timescale.ms_of_ticks(unit.pts).saturating_sub(base_ms);
    let timestamp = number(id::TIMESTAMP, u64::try_from(at_ms).unwrap_or(0));
    let number = track_number(track.kind);
    // The track, no distance to the cluster's time, flags.
    let flags = if unit.keyframe == Keyframe::Yes { KEYFRAME } else { 0 };
    let head = [0x80 | number, 0, 0, flags];
    let mut block = BytesMut::new();
    put_id(&mut block, id::SIMPLE_BLOCK);
    put_size(&mut block, head.len() + unit.data.len());
    block.put(&head[..]);
    let mut out = BytesMut::new();
    put_id(&mut out, id::CLUSTER);
    put_size(&mut out, timestamp.len() + block.len() + unit.data.len());
    out.put(&timestamp[..]);
    out.put(block);
    [out.freeze(), unit.data.clone()]
}

fn track_number(kind: TrackKind) -> u8 {
    match kind {
        TrackKind::Video => 1,
        TrackKind::Audio => 2,
    }
}

fn entry(track: &Track, frame_rate_millis: u32) -> Vec<u8> {
    let own = u64::from(track_number(track.kind));
    let codec: &[u8] = match &*track.config {
        CodecConfig::Avc(_) => b"V_MPEG4/ISO/AVC",
        CodecConfig::Hevc(_) => b"V_MPEGH/ISO/HEVC",
        CodecConfig::Av1(_) => b"V_AV1",
        CodecConfig::Aac(_) => b"A_AAC",
    };
    let specific = match &*track.config {
        CodecConfig::Aac(config) => {
            let frequency = element(id::SAMPLING_FREQUENCY, &f64::from(config.sample_rate).to_be_bytes());
            element(id::AUDIO, &[frequency, number(id::CHANNELS, u64::from(config.channels))].concat())
        }
        pictures => {
            // The decoder finds out by itself what is not known here.
            let (width, height) = pictures.dimensions().unwrap_or((1_920, 1_080));
            let sizes = [number(id::PIXEL_WIDTH, u64::from(width)), number(id::PIXEL_HEIGHT, u64::from(height))];
            let duration = 1_000_000_000_000 / u64::from(frame_rate_millis.max(1));
            [number(id::DEFAULT_DURATION, duration), element(id::VIDEO, &sizes.concat())].concat()
        }
    };
    // Track types 1 and 2 are pictures and sound, as their numbers here.
    let fields = [
        number(id::TRACK_NUMBER, own),
        number(id::TRACK_UID, own),
        number(id::TRACK_TYPE, own),
        number(id::FLAG_LACING, 0),
        element(id::CODEC_ID, codec),
        element(id::CODEC_PRIVATE, track.config.record()),
        specific,
    ];
    element(id::TRACK_ENTRY, &fields.concat())
}

fn number(id: u32, value: u64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let zeroes = bytes.iter().take_while(|byte| **byte == 0).count().min(7);
    element(id, &bytes[zeroes..])
}

fn element(id: u32, body: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::with_capacity(body.len() + 12);
    put(&mut out, id, body);
    out.to_vec()
}

fn put(out: &mut BytesMut, id: u32, body: &[u8]) {
    put_id(out, id);
    put_size(out, body.len());
    out.put(body);
}

fn put_id(out: &mut BytesMut, id: u32) {
    let bytes = id.to_be_bytes();
    out.put(&bytes[bytes.iter().take_while(|byte| **byte == 0).count()..]);
}

/// Always in eight bytes: simple, and few beside a picture.
fn put_size(out: &mut BytesMut, size: usize) {
    const LENGTH_MARK: u64 = 1 << 56;
    out.put_u64(LENGTH_MARK | size as u64);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::aac;

    fn sound() -> Track {
        Track::new(CodecConfig::Aac(aac::Config::parse(&[0x11, 0x90]).expect("48 kHz stereo")))
    }

    #[test]
    fn a_block_is_a_cluster_of_its_own() {
        let data = Bytes::from_static(b"sound");
        let unit = AccessUnit { kind: TrackKind::Audio, dts: 0, pts: 48_000 * 3, keyframe: Keyframe::Yes, data };
        let bytes = block(&sound(), &unit, 1_000).concat();
        let expected = [
            b"\x1f\x43\xb6\x75\x01\0\0\0\0\0\0\x1d".as_slice(),
            b"\xe7\x01\0\0\0\0\0\0\x02\x07\xd0",
            b"\xa3\x01\0\0\0\0\0\0\x09\x82\0\0\x80sound",
        ];
        assert_eq!(bytes, expected.concat());
        assert_eq!(bytes.len(), 12 + 0x1d);
    }

    #[test]
    fn the_head_names_its_type_and_goes_on_for_ever() {
        let bytes = header(&[&sound()], 30_000);
        let begin =
            b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x12\x42\x82\x01\0\0\0\0\0\0\x08matroska\x18\x53\x80\x67\x01\xff\xff";
        assert_eq!(bytes[..begin.len()], begin[..]);
        let private = b"\x63\xa2\x01\0\0\0\0\0\0\x02\x11\x90";
        assert!(bytes.windows(private.len()).any(|window| window == private));
    }
}
