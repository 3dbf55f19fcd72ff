//! Tracks and the access units that they carry.

use crate::codec::CodecConfig;
use crate::time::{MediaTime, Timescale};
use bytes::Bytes;
use std::num::NonZeroU8;
use std::sync::Arc;

/// What a track carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrackKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// Which further track of its kind a publisher sends. Enhanced RTMP numbers tracks from 0, and 0 is the one that every publisher has: it has
/// no number here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FurtherTrack(NonZeroU8);

impl FurtherTrack {
    /// A track by its number on the wire; `None` for 0.
    pub fn new(id: u8) -> Option<FurtherTrack> {
        NonZeroU8::new(id).map(FurtherTrack)
    }

    /// Its number on the wire.
    pub fn id(self) -> u8 {
        self.0.get()
    }
}

/// A track as its codec configuration describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// Pictures or sound.
    pub kind: TrackKind,
    /// Ticks of its access units: 90 000 for video, the sample rate for audio.
    pub timescale: Timescale,
    /// The parameter sets and what is known from them.
    pub config: Arc<CodecConfig>,
}

impl Track {
    /// A track of `config`, with the timescale that its kind has here.
    pub fn new(config: CodecConfig) -> Track {
        Track { kind: config.kind(), timescale: config.timescale(), config: Arc::new(config) }
    }
}

/// Whether decoding can begin at an access unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Keyframe {
    /// A random access point; every audio unit is one.
    Yes,
    /// Earlier units are needed.
    No,
}

/// One decodable picture, or one block of audio.
///
/// Units of a track come in decode order. `data` is a slice of what the socket gave; it is never copied on the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessUnit {
    /// The track that it belongs to.
    pub kind: TrackKind,
    /// Decode time in ticks of the track's timescale.
    pub dts: i64,
    /// Presentation time in ticks of the track's timescale.
    pub pts: i64,
    /// Whether decoding can begin here.
    pub keyframe: Keyframe,
    /// The sample as fMP4 stores it: length-prefixed NAL units, OBUs, or a raw AAC frame.
    pub data: Bytes,
}

impl AccessUnit {
    /// Decode time with its scale.
    pub fn dts_time(&self, scale: Timescale) -> MediaTime {
        MediaTime::new(self.dts, scale)
    }
}
