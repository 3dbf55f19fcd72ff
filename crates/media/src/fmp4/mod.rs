//! Fragmented MP4 out, and in ([`demux`]): init segments, and one `moof` + `mdat` for each part.
//!
//! *Shape*: the writer makes headers only. A part's body is one header buffer (`emsg`…, `moof`, the head of `mdat`) followed by its
//! samples' payloads in the order of the runs; payloads are never copied.
//!
//! *Units*: decode times and durations in ticks of the track's timescale, composition offsets likewise and possibly negative.
//!
//! *Source*: ISO/IEC 14496-12 (boxes), ISO/IEC 14496-14 (`esds`), ISO/IEC 14496-15 (`avcC`, `hvcC`), AV1-ISOBMFF (`av1C`), CMAF.

mod boxes;
pub mod demux;
mod fragment;
mod init;

#[cfg(test)]
mod tests;

pub use fragment::{Event, Run, Sample, fragment, fragment_header};
pub use init::init_segment;

/// The video track's id in every init segment and fragment.
pub const VIDEO_TRACK_ID: u32 = 1;
/// The audio track's id in every init segment and fragment.
pub const AUDIO_TRACK_ID: u32 = 2;
