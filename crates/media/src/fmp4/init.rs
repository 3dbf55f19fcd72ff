//! The init segment: `ftyp` and a `moov` without samples.

use super::boxes::{boxed, full, u16, u32, zeros};
use super::{AUDIO_TRACK_ID, VIDEO_TRACK_ID};
use crate::codec::{CodecConfig, aac};
use crate::track::{Track, TrackKind};
use bytes::Bytes;

/// Sample flags of a sync sample, and of one that depends on others and is none (ISO/IEC 14496-12, 8.8.3.1).
pub(super) const SYNC: u32 = 0x0200_0000;
pub(super) const NOT_SYNC: u32 = 0x0101_0000;

/// The init segment for one or two tracks.
pub fn init_segment(video: Option<&Track>, audio: Option<&Track>) -> Bytes {
    let mut out = Vec::with_capacity(1536);
    boxed(&mut out, b"ftyp", |out| {
        out.extend(b"iso6");
        u32(out, 0);
        out.extend(b"iso6cmfcmp41");
    });
    boxed(&mut out, b"moov", |out| {
        full(out, b"mvhd", 0, 0, |out| {
            zeros(out, 8);
            u32(out, 1000);
            u32(out, 0);
            u32(out, 0x0001_0000);
            u16(out, 0x0100);
            zeros(out, 10);
            matrix(out);
            zeros(out, 24);
            u32(out, AUDIO_TRACK_ID + 1);
        });
        let tracks = [(VIDEO_TRACK_ID, video), (AUDIO_TRACK_ID, audio)];
        let tracks = || tracks.iter().filter_map(|&(id, track)| Some((id, track?)));
        for (id, track) in tracks() {
            boxed(out, b"trak", |out| trak(out, id, track));
        }
        boxed(out, b"mvex", |out| {
            for (id, track) in tracks() {
                full(out, b"trex", 0, 0, |out| {
                    u32(out, id);
                    u32(out, 1);
                    u32(out, 0);
                    u32(out, 0);
                    u32(out, if track.kind == TrackKind::Audio { SYNC } else { NOT_SYNC });
                });
            }
        });
    });
    Bytes::from(out)
}

fn matrix(out: &mut Vec<u8>) {
    for value in [0x0001_0000, 0, 0, 0, 0x0001_0000, 0, 0, 0, 0x4000_0000] {
        u32(out, value);
    }
}

fn trak(out: &mut Vec<u8>, id: u32, track: &Track) {
    let video = track.kind == TrackKind::Video;
    let (width, height) = track.config.dimensions().map_or((0, 0), |(w, h)| (short(w), short(h)));
    // Flags: enabled, in movie.
    full(out, b"tkhd", 0, 3, |out| {
        zeros(out, 8);
        u32(out, id);
        zeros(out, 8);
        zeros(out, 8);
        u16(out, 0);
        // Tracks of one alternate group exclude each other; these play together.
        u16(out, 0);
        u16(out, if video { 0 } else { 0x0100 });
        u16(out, 0);
        matrix(out);
        u32(out, u32::from(width) << 16);
        u32(out, u32::from(height) << 16);
    });
    boxed(out, b"mdia", |out| {
        full(out, b"mdhd", 0, 0, |out| {
            zeros(out, 8);
            u32(out, track.timescale.ticks_per_second());
            u32(out, 0);
            // "und", packed in three times five bits.
            u16(out, 0x55c4);
            u16(out, 0);
        });
        full(out, b"hdlr", 0, 0, |out| {
            u32(out, 0);
            out.extend(if video { b"vide" } else { b"soun" });
            zeros(out, 12);
            out.push(0);
        });
        boxed(out, b"minf", |out| {
            if video {
                full(out, b"vmhd", 0, 1, |out| zeros(out, 8));
            } else {
                full(out, b"smhd", 0, 0, |out| zeros(out, 4));
            }
            boxed(out, b"dinf", |out| {
                full(out, b"dref", 0, 0, |out| {
                    u32(out, 1);
                    // Flag: the media is in this file.
                    full(out, b"url ", 0, 1, |_| {});
                });
            });
            boxed(out, b"stbl", |out| {
                full(out, b"stsd", 0, 0, |out| {
                    u32(out, 1);
                    sample_entry(out, track, width, height);
                });
                full(out, b"stts", 0, 0, |out| u32(out, 0));
                full(out, b"stsc", 0, 0, |out| u32(out, 0));
                full(out, b"stsz", 0, 0, |out| zeros(out, 8));
                full(out, b"stco", 0, 0, |out| u32(out, 0));
            });
        });
    });
}

fn sample_entry(out: &mut Vec<u8>, track: &Track, width: u16, height: u16) {
    let record = track.config.record();
    match &*track.config {
        CodecConfig::Avc(_) => picture_entry(out, (b"avc1", b"avcC"), record, width, height),
        CodecConfig::Hevc(_) => picture_entry(out, (b"hvc1", b"hvcC"), record, width, height),
        CodecConfig::Av1(_) => picture_entry(out, (b"av01", b"av1C"), record, width, height),
        CodecConfig::Aac(config) => sound_entry(out, config),
    }
}

fn picture_entry(
    out: &mut Vec<u8>,
    (entry, configuration): (&[u8; 4], &[u8; 4]),
    record: &[u8],
    width: u16,
    height: u16,
) {
    boxed(out, entry, |out| {
        zeros(out, 6);
        u16(out, 1);
        zeros(out, 16);
        u16(out, width);
        u16(out, height);
        u32(out, 0x0048_0000);
        u32(out, 0x0048_0000);
        u32(out, 0);
        u16(out, 1);
        zeros(out, 32);
        u16(out, 24);
        u16(out, 0xffff);
        boxed(out, configuration, |out| out.extend(record));
    });
}

fn sound_entry(out: &mut Vec<u8>, config: &aac::Config) {
    boxed(out, b"mp4a", |out| {
        zeros(out, 6);
        u16(out, 1);
        zeros(out, 8);
        u16(out, u16::from(config.channels));
        u16(out, 16);
        zeros(out, 4);
        // 16.16 fixed point; a rate that does not fit is 0, and the timescale tells it.
        u32(out, u16::try_from(config.sample_rate).map_or(0, |rate| u32::from(rate) << 16));
        full(out, b"esds", 0, 0, |out| {
            descriptor(out, 3, |out| {
                u16(out, 0);
                out.push(0);
                descriptor(out, 4, |out| {
                    // MPEG-4 audio; stream type audio, upstream 0, reserved 1; sizes and rates unknown.
                    out.extend([0x40, 0x15]);
                    zeros(out, 11);
                    descriptor(out, 5, |out| out.extend(&config.record));
                });
                descriptor(out, 6, |out| out.push(2));
            });
        });
    });
}

/// A descriptor with its size in four bytes of seven bits (ISO/IEC 14496-1, 8.3.3).
fn descriptor(out: &mut Vec<u8>, tag: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(tag);
    let start = out.len();
    zeros(out, 4);
    body(out);
    let size = out.len() - start - 4;
    for (index, shift) in [21, 14, 7, 0].into_iter().enumerate() {
        // Masked to seven bits.
        out[start + index] = (size >> shift & 0x7f) as u8 | if shift > 0 { 0x80 } else { 0 };
    }
}

fn short(pixels: u32) -> u16 {
    u16::try_from(pixels).unwrap_or(u16::MAX)
}
