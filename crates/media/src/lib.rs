//! The shared words of the live path: media time, tracks, access units, cues; FLV, fMP4 and ID3 in and out.
//!
//! No I/O and no clock. Parsers take bytes that a peer chose: each length is checked, each failure is a value.
//!
//! | module | what stands there | source |
//! |---|---|---|
//! | [`time`] | timescales, media time, wall-clock time | – |
//! | [`track`] | tracks and access units | – |
//! | [`codec`] | codec parameter sets: H.264, HEVC, AV1, AAC | ISO/IEC 14496-15, AV1-ISOBMFF, ISO/IEC 14496-3, RFC 6381 |
//! | [`cue`] | timed metadata and its ID3 tag | ID3v2.4, "Carriage of ID3 Timed Metadata in CMAF" |
//! | [`flv`] | what RTMP carries, demultiplexed | FLV 10.1, Enhanced RTMP v2 |
//! | [`matroska`] | tracks and units as a live file, out only | RFC 9559 |
//! | [`scte35`] | messages that mark ad breaks | ANSI/SCTE 35 |
//! | [`fmp4`] | init segments and fragments | ISO/IEC 14496-12, CMAF |
//!
//! Left out: further audio tracks of Enhanced RTMP (told and passed over), HDR metadata packets (ignored), codecs other than those above (refused by name).

pub mod bits;
pub mod codec;
pub mod cue;
pub mod flv;
pub mod fmp4;
pub mod matroska;
pub mod metadata;
pub mod scte35;
pub mod time;
pub mod track;

pub use codec::CodecConfig;
pub use cue::{Cue, CueOwner};
pub use metadata::{FurtherMetadata, StreamMetadata};
pub use time::{MediaTime, Timescale, WallTime};
pub use track::{AccessUnit, FurtherTrack, Keyframe, Track, TrackKind};
