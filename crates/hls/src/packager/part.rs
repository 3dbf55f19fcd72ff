//! Writes one part: headers for its samples, and their payloads.

use super::Tracks;
use super::learn::ticks;
use crate::snapshot::{DateRange, Part, Position};
use headwater_media::fmp4::{self, AUDIO_TRACK_ID, Event, Run, Sample, VIDEO_TRACK_ID};
use headwater_media::{AccessUnit, CodecConfig, Cue, Keyframe, MediaTime, Timescale, Track, WallTime};

/// How long a cue lasts, ticks of 90 kHz: players take events near zero length for endless ones.
const CUE_TICKS: u32 = 9_000;

/// A cue with its place.
#[derive(Clone, Debug)]
pub(crate) struct PlacedCue {
    pub(crate) cue: Cue,
    /// Its presentation time, ticks of 90 kHz, and by the wall clock.
    pub(crate) at: i64,
    pub(crate) date: WallTime,
}

impl PlacedCue {
    /// As the playlist mirrors it.
    pub(crate) fn date_range(&self, position: Position) -> DateRange {
        DateRange {
            id: self.cue.id.clone(),
            class: self.cue.owner.as_str(),
            start: self.date,
            payload: self.cue.payload.clone(),
            position,
        }
    }
}

/// What a part is made of.
pub(crate) struct Content<'a> {
    /// Where it begins and ends, ticks of 90 kHz.
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// Pictures, and when the last of them ends: its successor's decode time, which may lie past the part's end.
    pub(crate) video: &'a [AccessUnit],
    pub(crate) video_end: i64,
    pub(crate) audio: &'a [AccessUnit],
    pub(crate) cues: &'a [PlacedCue],
    /// The number of the first cue.
    pub(crate) cue_number: u32,
    pub(crate) independent: bool,
}

/// Writes a part into a buffer of its own.
pub(crate) fn write(sequence: u32, content: &Content<'_>, tracks: &Tracks) -> Part {
    let mut events = Vec::with_capacity(content.cues.len());
    for (placed, id) in content.cues.iter().zip(content.cue_number..) {
        events.push(Event {
            cue: &placed.cue,
            id,
            presentation_time: unsigned(placed.at),
            timescale: Timescale::VIDEO,
            duration: CUE_TICKS,
        });
    }
    let video = video_samples(content);
    let audio = audio_samples(content.audio, tracks.audio.as_ref());
    let mut runs = Vec::with_capacity(2);
    if !video.is_empty() {
        let base_decode_time = unsigned(content.video[0].dts);
        runs.push(Run { track_id: VIDEO_TRACK_ID, base_decode_time, samples: &video });
    }
    if !audio.is_empty() {
        let base_decode_time = unsigned(content.audio[0].dts);
        runs.push(Run { track_id: AUDIO_TRACK_ID, base_decode_time, samples: &audio });
    }
    if runs.is_empty() {
        // Nothing falls into this stretch of a long unit; a run without samples still tells the time.
        let (track_id, scale) = match (&tracks.video, &tracks.audio) {
            (None, Some(audio)) => (AUDIO_TRACK_ID, audio.timescale),
            _ => (VIDEO_TRACK_ID, Timescale::VIDEO),
        };
        let start = MediaTime::new(content.start, Timescale::VIDEO).rescale(scale).ticks;
        runs.push(Run { track_id, base_decode_time: unsigned(start), samples: &[] });
    }
    let payloads = content.video.iter().chain(content.audio).map(|unit| &unit.data);
    let body = fmp4::fragment(sequence, &events, &runs, payloads);
    Part { body, duration: content.end - content.start, independent: content.independent, gap: false, missing: None }
}

/// Writes what stands for an outage: the first picture and the first sound of what comes after it, once before. It is a gap if nothing of it can be
/// decoded by itself.
pub(crate) fn bridge(sequence: u32, next: &Content<'_>, ticks: i64, tracks: &Tracks) -> Part {
    let video: Vec<AccessUnit> = next.video.first().map(|unit| earlier(unit, ticks)).into_iter().collect();
    let audio = sound_before(next.audio, tracks.audio.as_ref(), next.start - ticks);
    if video.iter().chain(&audio).next().is_none_or(|first| first.keyframe == Keyframe::No) {
        return Part::absent(ticks, None);
    }
    let content = Content {
        start: next.start - ticks,
        end: next.start,
        video: &video,
        video_end: next.video.first().map_or(next.start, |unit| unit.dts),
        audio: &audio,
        cues: &[],
        cue_number: 0,
        independent: true,
    };
    write(sequence, &content, tracks)
}

/// The first sound once before, up to where it begins, and at least from there on (ticks of 90 kHz). As in any segment, the sound begins no later than
/// the pictures: hls.js puts what follows a discontinuity where its sound begins.
pub(crate) fn sound_before(blocks: &[AccessUnit], track: Option<&Track>, from: i64) -> Vec<AccessUnit> {
    let Some(first) = blocks.first() else { return Vec::new() };
    let block = i64::from(frame_samples(track));
    let scale = track.map_or(Timescale::MILLIS, |track| track.timescale);
    let missing = first.dts.saturating_sub(MediaTime::new(from, Timescale::VIDEO).rescale(scale).ticks);
    // What is rounded is not made good by a block.
    let wanted = (missing.saturating_add(block - 1 - block / 8)).div_euclid(block).max(1);
    let count = usize::try_from(wanted).unwrap_or(1).min(blocks.len());
    blocks[..count].iter().map(|unit| earlier(unit, block * count as i64)).collect()
}

/// A unit, so many ticks of its track before its time.
fn earlier(unit: &AccessUnit, ticks: i64) -> AccessUnit {
    AccessUnit { dts: unit.dts.saturating_sub(ticks), pts: unit.pts.saturating_sub(ticks), ..unit.clone() }
}

/// The sound of a part as slices of its body, where it stands last: whoever keeps it while the part is kept needs no further memory.
pub(crate) fn sound(part: &Part, units: &[AccessUnit]) -> Vec<AccessUnit> {
    let mut rest = part.body.slice(part.body.len() - units.iter().map(|unit| unit.data.len()).sum::<usize>()..);
    units.iter().map(|unit| AccessUnit { data: rest.split_to(unit.data.len()), ..unit.clone() }).collect()
}

fn video_samples(content: &Content<'_>) -> Vec<Sample> {
    let ends = content.video.iter().skip(1).map(|unit| unit.dts).chain([content.video_end]);
    content
        .video
        .iter()
        .zip(ends)
        .map(|(unit, end)| Sample {
            duration: u32::try_from(end - unit.dts).unwrap_or(0),
            size: size(unit),
            composition: i32::try_from(unit.pts.saturating_sub(unit.dts)).unwrap_or(0),
            keyframe: unit.keyframe,
        })
        .collect()
}

fn audio_samples(units: &[AccessUnit], track: Option<&Track>) -> Vec<Sample> {
    let usual = frame_samples(track);
    units
        .iter()
        .enumerate()
        .map(|(index, unit)| Sample {
            duration: units.get(index + 1).and_then(|next| u32::try_from(next.dts - unit.dts).ok()).unwrap_or(usual),
            size: size(unit),
            composition: 0,
            keyframe: Keyframe::Yes,
        })
        .collect()
}

/// Samples of an audio unit, in ticks of its track.
fn frame_samples(track: Option<&Track>) -> u32 {
    match track.map(|track| &*track.config) {
        Some(CodecConfig::Aac(config)) => config.frame_samples,
        _ => 1024,
    }
}

/// When an audio unit ends, ticks of 90 kHz.
pub(crate) fn audio_end(unit: &AccessUnit, tracks: &Tracks) -> i64 {
    let after =
        AccessUnit { dts: unit.dts.saturating_add(i64::from(frame_samples(tracks.audio.as_ref()))), ..unit.clone() };
    ticks(&after, tracks)
}

fn size(unit: &AccessUnit) -> u32 {
    u32::try_from(unit.data.len()).expect("segments are bounded to 32 MiB, units with them")
}

/// Decode times are never negative here: the owner of the timeline begins above zero.
fn unsigned(ticks: i64) -> u64 {
    u64::try_from(ticks).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use headwater_media::TrackKind;

    #[test]
    fn sound_that_is_kept_lies_in_the_part() {
        let unit = |kind, dts, data| AccessUnit { kind, dts, pts: dts, keyframe: Keyframe::Yes, data };
        let video = [unit(TrackKind::Video, 0, Bytes::from_static(b"picture"))];
        let audio: Vec<AccessUnit> =
            (0..3).map(|n| unit(TrackKind::Audio, n * 1024, Bytes::from(vec![n as u8; n as usize + 2]))).collect();
        let content = Content {
            start: 0,
            end: 6_000,
            video: &video,
            video_end: 3_000,
            audio: &audio,
            cues: &[],
            cue_number: 0,
            independent: true,
        };
        let part = write(1, &content, &Tracks::default());
        let kept = sound(&part, &audio);
        assert_eq!(kept, audio);
        let within = part.body().as_ptr_range();
        assert!(kept.iter().all(|unit| within.contains(&unit.data.as_ptr())), "copied");
        assert!(sound(&part, &[]).is_empty());
    }
}
