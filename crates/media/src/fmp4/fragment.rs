//! The header of a part: events, `moof`, and the head of `mdat`.

use super::boxes::{boxed, full, u32, u64};
use super::init::{NOT_SYNC, SYNC};
use crate::cue::Cue;
use crate::time::Timescale;
use crate::track::Keyframe;
use bytes::Bytes;

/// The scheme of ID3 tags in `emsg` ("Carriage of ID3 Timed Metadata in CMAF", 2).
const ID3_SCHEME: &[u8] = b"https://aomedia.org/emsg/ID3\0";

/// One sample of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Ticks.
    pub duration: u32,
    /// Bytes of its payload.
    pub size: u32,
    /// PTS less DTS, in ticks.
    pub composition: i32,
    /// Whether it is a sync sample.
    pub keyframe: Keyframe,
}

/// The samples of one track in a part.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The track.
    pub track_id: u32,
    /// DTS of the first sample, in ticks.
    pub base_decode_time: u64,
    /// In decode order; may be empty.
    pub samples: &'a [Sample],
}

/// A cue as an `emsg` of version 1.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// What it carries.
    pub cue: &'a Cue,
    /// Tells it from other events of the scheme.
    pub id: u32,
    /// Ticks of the next field.
    pub presentation_time: u64,
    /// The scale of its times.
    pub timescale: Timescale,
    /// Ticks.
    pub duration: u32,
}

/// A whole part in one buffer: events, `moof`, and `mdat` with the payloads, which are each run's samples in order, one run after another.
///
/// The payloads are copied: a part lives for as long as viewers may ask for it, and in a buffer of its own it pins nothing else, is written to a
/// socket at once and costs one allocation.
///
/// # Panics
/// The payloads are 2 GiB or more.
pub fn fragment<'a>(
    sequence: u32,
    events: &[Event<'_>],
    runs: &[Run<'_>],
    payloads: impl Iterator<Item = &'a Bytes>,
) -> Bytes {
    let mut out = header(sequence, events, runs, payload_bytes(runs));
    payloads.for_each(|payload| out.extend_from_slice(payload));
    Bytes::from(out)
}

/// The header of a part, to which its payloads are to be added.
///
/// # Panics
/// The payloads are 2 GiB or more.
pub fn fragment_header(sequence: u32, events: &[Event<'_>], runs: &[Run<'_>]) -> Bytes {
    Bytes::from(header(sequence, events, runs, 0))
}

fn payload_bytes(runs: &[Run<'_>]) -> usize {
    runs.iter().flat_map(|run| run.samples).map(|sample| sample.size as usize).sum()
}

/// Writes the header, with room for so many bytes after it.
fn header(sequence: u32, events: &[Event<'_>], runs: &[Run<'_>], room: usize) -> Vec<u8> {
    let samples: usize = runs.iter().map(|run| run.samples.len()).sum();
    let metadata: usize = events.iter().map(|event| event.cue.payload.len() + 256).sum();
    let mut out = Vec::with_capacity(128 + runs.len() * 96 + samples * 16 + metadata + room);
    for event in events {
        emsg(&mut out, event);
    }
    let moof = out.len();
    let mut offsets = Vec::with_capacity(runs.len());
    boxed(&mut out, b"moof", |out| {
        full(out, b"mfhd", 0, 0, |out| u32(out, sequence));
        for run in runs {
            boxed(out, b"traf", |out| offsets.push(traf(out, run)));
        }
    });
    let mut offset = out.len() - moof + 8;
    for (run, at) in runs.iter().zip(offsets) {
        let value = i32::try_from(offset).expect("a part is far below 2 GiB: the packager bounds segments");
        out[at..at + 4].copy_from_slice(&value.to_be_bytes());
        offset += run.samples.iter().map(|sample| sample.size as usize).sum::<usize>();
    }
    let payload = offset - (out.len() - moof + 8);
    let size = u32::try_from(payload + 8).expect("a part is far below 4 GiB: the packager bounds segments");
    u32(&mut out, size);
    out.extend(b"mdat");
    out
}

fn emsg(out: &mut Vec<u8>, event: &Event<'_>) {
    full(out, b"emsg", 1, 0, |out| {
        u32(out, event.timescale.ticks_per_second());
        u64(out, event.presentation_time);
        u32(out, event.duration);
        u32(out, event.id);
        out.extend(ID3_SCHEME);
        out.push(0);
        out.extend(event.cue.id3());
    });
}

/// Writes the insides of a `traf`; returns where its data offset stands.
fn traf(out: &mut Vec<u8>, run: &Run<'_>) -> usize {
    /// `tfhd`: default-sample-duration present; default-base-is-moof.
    const DEFAULT_DURATION: u32 = 0x08;
    const BASE_IS_MOOF: u32 = 0x02_0000;
    /// `trun`: which fields there are.
    const DATA_OFFSET: u32 = 0x001;
    const DURATIONS: u32 = 0x100;
    const SIZES: u32 = 0x200;
    const FLAGS: u32 = 0x400;
    const COMPOSITIONS: u32 = 0x800;

    let first = run.samples.first();
    let same_duration = first
        .filter(|first| run.samples.iter().all(|sample| sample.duration == first.duration))
        .map(|first| first.duration);
    let all_sync = run.samples.iter().all(|sample| sample.keyframe == Keyframe::Yes);
    // The default flags of `trex` are those of a sync sample for audio only.
    let flags = if all_sync && run.track_id == super::AUDIO_TRACK_ID { 0 } else { FLAGS };
    let compositions = if run.samples.iter().any(|sample| sample.composition != 0) { COMPOSITIONS } else { 0 };
    let (durations, default_duration) = match same_duration {
        Some(_) => (0, DEFAULT_DURATION),
        None => (DURATIONS, 0),
    };
    full(out, b"tfhd", 0, BASE_IS_MOOF | default_duration, |out| {
        u32(out, run.track_id);
        if let Some(duration) = same_duration {
            u32(out, duration);
        }
    });
    full(out, b"tfdt", 1, 0, |out| u64(out, run.base_decode_time));
    let mut offset_at = 0;
    let fields = DATA_OFFSET | SIZES | durations | flags | compositions;
    full(out, b"trun", 1, fields, |out| {
        u32(out, u32::try_from(run.samples.len()).expect("a part holds far fewer samples"));
        offset_at = out.len();
        u32(out, 0);
        for sample in run.samples {
            if durations != 0 {
                u32(out, sample.duration);
            }
            u32(out, sample.size);
            if flags != 0 {
                u32(out, if sample.keyframe == Keyframe::Yes { SYNC } else { NOT_SYNC });
            }
            if compositions != 0 {
                out.extend(sample.composition.to_be_bytes());
            }
        }
    });
    offset_at
}
