//! What an encoder sends before it may join: held until enough is known of its tracks.

use crate::limits::{HELD_BYTES_MAX, HELD_INPUTS_MAX};
use headwater_live::Input;
use headwater_media::{CodecConfig, Track, TrackKind};
use headwater_model::ivs::{VideoCodec, VideoTrack};
use std::collections::BTreeMap;

/// Inputs in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Held(Vec<Input>);

/// What must be known before an encoder may join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Tracks of any kind.
    pub(crate) tracks: usize,
    /// Video tracks.
    pub(crate) video: usize,
}

impl Held {
    pub(crate) fn push(&mut self, input: Input) {
        self.0.push(input);
    }

    pub(crate) fn take(&mut self) -> Vec<Input> {
        std::mem::take(&mut self.0)
    }

    /// Whether more is to come: encoders configure all their tracks before the first unit, so whoever has begun and has what is wanted
    /// has said it all. At the bounds it is taken for all that there is.
    pub(crate) fn lacks(&self, wanted: Wanted) -> bool {
        let begun = self.0.iter().any(|input| bytes(input) > 0);
        let shown = self.0.iter().any(|input| bytes(input) > 0 && is_picture(input));
        let known = wanted.tracks == 0 || begun && self.tracks().len() >= wanted.tracks;
        let video_known = wanted.video == 0 || shown && self.video().len() >= wanted.video;
        !(known && video_known)
            && self.0.len() < HELD_INPUTS_MAX
            && self.0.iter().map(bytes).sum::<usize>() < HELD_BYTES_MAX
    }

    /// The newest configuration of each kind, and those of further tracks.
    pub(crate) fn tracks(&self) -> Vec<Track> {
        let of_kind = |kind| {
            self.0.iter().rev().find_map(|input| match input {
                Input::Track(track) if track.kind == kind => Some(track.clone()),
                _ => None,
            })
        };
        let usual = [TrackKind::Video, TrackKind::Audio].into_iter().filter_map(of_kind);
        usual.chain(self.further().into_values().cloned()).collect()
    }

    /// Video tracks by their numbers, and what they are.
    pub(crate) fn video(&self) -> Vec<(u8, Option<VideoTrack>)> {
        let first = self.0.iter().rev().find_map(|input| match input {
            Input::Track(track) if track.kind == TrackKind::Video => Some((0, track)),
            _ => None,
        });
        first.into_iter().chain(self.further()).map(|(number, track)| (number, video_track(track))).collect()
    }

    /// The newest configurations of further video tracks.
    fn further(&self) -> BTreeMap<u8, &Track> {
        let further = self.0.iter().filter_map(|input| match input {
            Input::FurtherTrack(further, track) => Some((further.id(), track)),
            _ => None,
        });
        further.collect()
    }
}

fn bytes(input: &Input) -> usize {
    match input {
        Input::Unit(unit) | Input::FurtherUnit(_, unit) => unit.data.len(),
        _ => 0,
    }
}

fn is_picture(input: &Input) -> bool {
    match input {
        Input::Unit(unit) => unit.kind == TrackKind::Video,
        Input::FurtherUnit(..) => true,
        _ => false,
    }
}

/// `None` where the parameter sets do not tell the size.
fn video_track(track: &Track) -> Option<VideoTrack> {
    let codec = match &*track.config {
        CodecConfig::Avc(_) => VideoCodec::H264,
        CodecConfig::Hevc(_) => VideoCodec::H265,
        CodecConfig::Av1(_) => VideoCodec::Av1,
        _ => return None,
    };
    let (width, height) = track.config.dimensions()?;
    Some(VideoTrack { codec, width, height })
}
