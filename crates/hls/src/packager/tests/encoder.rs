//! A fixture encoder: access units as the FLV demuxer gives them, each with its own number as payload; and a reader of parts.

use crate::snapshot::Part;
use bytes::Bytes;
use headwater_media::codec::{CodecConfig, aac, avc};
use headwater_media::{AccessUnit, Keyframe, Track, TrackKind};
use mp4_atom::{Any, Decode, Moof};

pub(super) const AUDIO_RATE: i64 = 48_000;

/// `variant` makes other parameter sets, as an encoder that changes its mind does.
pub(super) fn video_track(variant: u8) -> Track {
    let record = [
        1,
        0x42,
        0xc0,
        0x1e,
        0xff,
        0xe1,
        0,
        9,
        0x67,
        0x42,
        0xc0,
        0x1e,
        0xda,
        0x02,
        0x80,
        0xf6,
        0x40,
        1,
        0,
        4,
        0x68,
        0xce,
        0x3c,
        0x80 + variant,
    ];
    Track::new(CodecConfig::Avc(avc::Config::parse(&record).unwrap()))
}

pub(super) fn audio_track() -> Track {
    Track::new(CodecConfig::Aac(aac::Config::parse(&[0x11, 0x90]).unwrap()))
}

/// A unit and when it arrives.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) unit: AccessUnit,
    pub(super) wall_ms: i64,
}

/// An encoder's settings. Times are rounded down to milliseconds, as FLV does.
#[derive(Clone, Debug)]
pub(super) struct Encoder {
    /// Frames in 1000 seconds.
    pub(super) rate_millis: i64,
    /// Frames between keyframes.
    pub(super) gop: i64,
    /// How far presentation lags behind decoding, ms.
    pub(super) delay_ms: i64,
    /// Added to each frame's time in turn, ms.
    pub(super) jitter_ms: Vec<i64>,
    pub(super) video: bool,
    pub(super) audio: bool,
    /// Where its clock begins, ms.
    pub(super) start_ms: i64,
    /// Where its numbers begin.
    pub(super) first_number: u32,
}

impl Default for Encoder {
    fn default() -> Self {
        Encoder {
            rate_millis: 30_000,
            gop: 60,
            delay_ms: 0,
            jitter_ms: Vec::new(),
            video: true,
            audio: true,
            start_ms: 1_000,
            first_number: 0,
        }
    }
}

impl Encoder {
    /// The units of a stretch of time, interleaved by decode time. Each arrives as much later as the encoder's clock says.
    pub(super) fn run(&self, duration_ms: i64) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut last_ms = -1;
        for frame in 0.. {
            let jitter = match self.jitter_ms.len() {
                0 => 0,
                length => self.jitter_ms[frame as usize % length],
            };
            let nominal = frame * 1_000_000 / self.rate_millis;
            if nominal >= duration_ms || !self.video {
                break;
            }
            let ms = (nominal + jitter).max(last_ms + 1);
            last_ms = ms;
            let dts = (self.start_ms + ms) * 90;
            let keyframe = if frame % self.gop == 0 { Keyframe::Yes } else { Keyframe::No };
            let unit =
                AccessUnit { kind: TrackKind::Video, dts, pts: dts + self.delay_ms * 90, keyframe, data: Bytes::new() };
            steps.push(Step { unit, wall_ms: ms });
        }
        if self.audio {
            let frames = duration_ms * AUDIO_RATE / 1_000 / 1_024;
            steps.extend((0..frames).map(|frame| {
                let dts = self.start_ms * AUDIO_RATE / 1_000 + frame * 1_024;
                let unit =
                    AccessUnit { kind: TrackKind::Audio, dts, pts: dts, keyframe: Keyframe::Yes, data: Bytes::new() };
                Step { unit, wall_ms: frame * 1_024 * 1_000 / AUDIO_RATE }
            }));
        }
        steps.sort_by_key(|step| step.wall_ms);
        for (number, step) in (self.first_number..).zip(&mut steps) {
            step.unit.data = Bytes::copy_from_slice(&number.to_be_bytes());
        }
        steps
    }
}

pub(super) fn number(payload: &[u8]) -> u32 {
    u32::from_be_bytes(payload.try_into().unwrap())
}

/// The `moof` of a part, read by an independent reader.
pub(super) fn moof(part: &Part) -> Moof {
    let mut rest = &part.body()[..];
    loop {
        match Any::decode(&mut rest).unwrap() {
            Any::Moof(moof) => return moof,
            Any::Emsg(_) => {}
            other => panic!("unexpected {other:?}"),
        }
    }
}

/// The events of a part: id, presentation time, ID3 bytes.
pub(super) fn events(part: &Part) -> Vec<mp4_atom::Emsg> {
    let mut rest = &part.body()[..];
    let mut events = Vec::new();
    while let Ok(Any::Emsg(emsg)) = Any::decode(&mut rest) {
        events.push(emsg);
    }
    events
}

/// The payloads of a part with their tracks, found through its boxes; checks that they fill the part to its last byte.
pub(super) fn payloads(part: &Part) -> Vec<(u32, u32)> {
    let body = part.body();
    assert_eq!(body.len() as u64, part.bytes());
    let moof = moof(part);
    let start = body.windows(4).position(|window| window == b"moof").unwrap() - 4;
    let mut found = Vec::new();
    let mut end = body.windows(4).position(|window| window == b"mdat").unwrap() + 4;
    for traf in &moof.traf {
        for trun in &traf.trun {
            let mut at = start + trun.data_offset.unwrap() as usize;
            for sample in trun.samples.iter() {
                let size = sample.size.unwrap() as usize;
                found.push((traf.tfhd.track_id, number(&body[at..at + size])));
                at += size;
            }
            end = end.max(at);
        }
    }
    assert_eq!(end, body.len());
    found
}
