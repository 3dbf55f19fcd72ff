//! What a segment with a gap is filled with for those who ask for it all the same: the source's sound and a still picture.
//!
//! rfc8216bis, "EXT-X-GAP": clients should not load such a segment. Those that do not know the tag do, and some ask for it again and again:
//! GStreamer 1.22 begins four segments before the end and never leaves one that is refused. The still is the rendition's first picture after
//! its newest gap, since before a rendition's first picture there is none.

use crate::follow::PartCut;
use crate::packager::Tracks;
use crate::packager::part::{self, Content};
use crate::snapshot::{Segment, Snapshot};
use bytes::Bytes;
use headwater_media::{AccessUnit, CodecConfig, Track};
use std::sync::Arc;

/// A part of a rendition that was not made: what the source had there.
#[derive(Clone, Debug)]
pub(crate) struct Missing {
    /// The number of the fragment that may stand for it.
    pub(crate) sequence: u32,
    pub(crate) cut: Arc<PartCut>,
}

/// A keyframe that may stand for pictures that are missing.
#[derive(Debug)]
pub(crate) struct Still {
    picture: AccessUnit,
    tracks: Tracks,
    /// The init segment that it needs.
    init: u32,
}

impl Still {
    /// The keyframe in memory of its own: it is kept for longer than the part that it came with.
    pub(crate) fn new(keyframe: &AccessUnit, tracks: &Tracks, init: u32) -> Self {
        let picture = AccessUnit { data: Bytes::copy_from_slice(&keyframe.data), ..keyframe.clone() };
        Still { picture, tracks: tracks.clone(), init }
    }

    /// One fragment for adjoining parts.
    fn stands_for(&self, first: &Missing, last: &Missing, all: &[&Missing]) -> Bytes {
        let (start, end) = (first.cut.start, last.cut.end);
        let picture = AccessUnit { dts: start, pts: start.saturating_add(first.cut.shift), ..self.picture.clone() };
        let heard = all.iter().filter(|missing| is_heard_with(missing.cut.sound.as_ref(), self.tracks.audio.as_ref()));
        let mut audio: Vec<AccessUnit> = heard.flat_map(|missing| &missing.cut.blocks).cloned().collect();
        if last.cut.sound != self.tracks.audio {
            // Blocks of another encoder begin at other times: the next one would overlap.
            audio.pop();
        }
        let content = Content {
            start,
            end,
            video: &[picture],
            video_end: end,
            audio: &audio,
            cues: &[],
            cue_number: 0,
            independent: true,
        };
        part::write(first.sequence, &content, &self.tracks).body
    }
}

/// Whether a decoder that was set up for one track understands the sound of another, which another encoder may have made.
fn is_heard_with(sound: Option<&Track>, configured: Option<&Track>) -> bool {
    let aac = |track: Option<&Track>| match track.map(|track| &*track.config) {
        Some(CodecConfig::Aac(aac)) => Some((aac.object_type, aac.sample_rate, aac.channels, aac.frame_samples)),
        _ => None,
    };
    sound == configured || aac(sound).is_some_and(|sound| Some(sound) == aac(configured))
}

impl Snapshot {
    /// The body of a segment with gaps, these filled with a still picture. `None` while there is no picture that fits.
    pub fn filled(&self, segment: &Segment) -> Option<Vec<Bytes>> {
        let still = self.still.as_ref().filter(|still| still.init == segment.init)?;
        let mut chunks = Vec::with_capacity(segment.parts.len());
        for run in segment.parts.chunk_by(|one, next| one.gap == next.gap) {
            if run.iter().all(|part| !part.gap) {
                chunks.extend(run.iter().map(|part| part.body.clone()));
                continue;
            }
            let missing: Vec<&Missing> = run.iter().filter_map(|part| part.missing.as_ref()).collect();
            let (first, last) = (missing.first()?, missing.last()?);
            chunks.push(still.stands_for(first, last, &missing));
        }
        Some(chunks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_media::codec::aac;

    #[test]
    fn sound_is_heard_with_a_configuration_that_differs_in_its_writing_only() {
        let track = |record: &[u8]| Track::new(CodecConfig::Aac(aac::Config::parse(record).unwrap()));
        let (stereo, mono) = (track(&[0x11, 0x90]), track(&[0x11, 0x88]));
        let extended = track(&[0x11, 0x90, 0x56, 0xe5, 0x00]);
        assert_ne!(stereo, extended);
        assert!(is_heard_with(Some(&stereo), Some(&extended)));
        assert!(!is_heard_with(Some(&mono), Some(&stereo)));
        assert!(!is_heard_with(None, Some(&stereo)) && !is_heard_with(Some(&stereo), None));
    }
}
