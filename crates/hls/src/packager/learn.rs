//! Collects the first segment and learns the targets from it.

use super::{Error, Latency, SEGMENT_BYTES_MAX, Tracks, weight};
use headwater_media::{
    AccessUnit, CodecConfig, Keyframe, MediaTime, StreamMetadata, Timescale, Track, TrackKind, WallTime,
};
use std::collections::VecDeque;

/// Ticks of 90 kHz in a millisecond: what cuts are reckoned in.
pub(crate) const MS: i64 = 90;
/// A segment ends at the first keyframe from here on: two seconds, less what encoders' clocks jitter.
pub(super) const SEGMENT_MIN: i64 = 1_900 * MS;
/// Without a keyframe for this long the first segment is cut where it is. rfc8216bis wants target durations of about 6 s at most.
const FIRST_SEGMENT_MAX: i64 = 6_000 * MS;
/// Smallest EXT-X-TARGETDURATION.
const TARGET_DURATION_MIN_S: i64 = 2;
/// A pause from which on a segment stands for it. Shaka 5.2 leaves the dates be where they jump by a second or less.
pub(super) const OUTAGE_MIN_MS: i64 = 1_000;
/// How much sound is kept before the first picture.
const LEAD_IN: i64 = 2_000 * MS;

/// Decode time in ticks of 90 kHz, rounded down.
pub(crate) fn ticks(unit: &AccessUnit, tracks: &Tracks) -> i64 {
    match unit.kind {
        TrackKind::Video => unit.dts,
        TrackKind::Audio => {
            let scale = tracks.audio.as_ref().map_or(Timescale::MILLIS, |track| track.timescale);
            MediaTime::new(unit.dts, scale).rescale(Timescale::VIDEO).ticks
        }
    }
}

/// What the first segment taught.
#[derive(Debug)]
pub(super) struct Lesson {
    /// The units of the first segment, and the one that follows it.
    pub(super) units: VecDeque<(AccessUnit, WallTime)>,
    /// Video, unless there are no pictures.
    pub(super) primary: TrackKind,
    /// Ticks of the first segment.
    pub(super) span: i64,
}

/// The units so far.
#[derive(Debug, Default)]
pub(super) struct Learning {
    units: VecDeque<(AccessUnit, WallTime)>,
    bytes: u64,
    /// Decode time of the first keyframe.
    video_start: Option<i64>,
    /// Decode time of the first audio unit.
    audio_start: Option<i64>,
}

impl Learning {
    /// Drops what a changed configuration makes useless.
    pub(super) fn forget(&mut self, kind: TrackKind) {
        match kind {
            TrackKind::Video => *self = Learning::default(),
            TrackKind::Audio => {
                self.audio_start = None;
                self.units.retain(|(unit, _)| unit.kind == TrackKind::Video);
                self.bytes = self.units.iter().map(|(unit, _)| weight(unit)).sum();
            }
        }
    }

    /// Takes a unit; the lesson is complete with the unit after the first segment.
    pub(super) fn push(&mut self, unit: AccessUnit, now: WallTime, tracks: &Tracks) -> Result<Option<Lesson>, Error> {
        let at = ticks(&unit, tracks);
        let (kind, keyframe) = (unit.kind, unit.keyframe);
        let configured = match kind {
            TrackKind::Video => tracks.video.is_some(),
            TrackKind::Audio => tracks.audio.is_some(),
        };
        let undecodable = kind == TrackKind::Video && self.video_start.is_none() && keyframe == Keyframe::No;
        if !configured || undecodable {
            return Ok(None);
        }
        self.bytes += weight(&unit);
        if self.bytes > SEGMENT_BYTES_MAX {
            return Err(Error::SegmentTooLarge { bytes: self.bytes });
        }
        self.units.push_back((unit, now));
        match kind {
            TrackKind::Video => {
                let start = *self.video_start.get_or_insert(at);
                let span = at - start;
                if !(0..=2 * FIRST_SEGMENT_MAX).contains(&span) {
                    // The clock jumped; nothing is published yet, so begin again.
                    *self = Learning::default();
                    return Ok(None);
                }
                let complete = (keyframe == Keyframe::Yes && span >= SEGMENT_MIN) || span >= FIRST_SEGMENT_MAX;
                Ok(complete.then(|| self.lesson(TrackKind::Video, span)))
            }
            TrackKind::Audio if self.video_start.is_some() => Ok(None),
            TrackKind::Audio => {
                let start = *self.audio_start.get_or_insert(at);
                let span = at - start;
                if span < 0 {
                    *self = Learning::default();
                    return Ok(None);
                }
                // A configured picture is waited for; a stream without one is packaged on its sound.
                if tracks.video.is_none() && span >= SEGMENT_MIN {
                    return Ok(Some(self.lesson(TrackKind::Audio, span)));
                }
                while let Some((first, _)) = self.units.front()
                    && ticks(first, tracks) < at - LEAD_IN
                {
                    self.bytes -= weight(first);
                    self.units.pop_front();
                }
                let waited = span >= FIRST_SEGMENT_MAX;
                Ok(waited.then(|| self.lesson(TrackKind::Audio, LEAD_IN)))
            }
        }
    }

    fn lesson(&mut self, primary: TrackKind, span: i64) -> Lesson {
        let units = std::mem::take(&mut self.units);
        *self = Learning::default();
        Lesson { units, primary, span }
    }
}

/// What is fixed for the session's life, and the frame rate that it was reckoned from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Targets {
    /// EXT-X-TARGETDURATION, seconds.
    pub(crate) target_duration_s: i64,
    /// PART-TARGET, milliseconds.
    pub(crate) part_target_ms: i64,
    /// Mean duration of a unit of the primary track, ticks of 90 kHz.
    pub(crate) unit_ticks: i64,
    /// Frames in 1000 seconds; absent for sound.
    pub(crate) frame_rate_millis: Option<u32>,
}

impl Targets {
    /// How long what stands for an outage lasts: a unit, and no longer than a part or the shortest outage.
    pub(crate) fn bridge_ticks(&self) -> i64 {
        self.unit_ticks.min(self.part_target_ms.min(OUTAGE_MIN_MS) * MS)
    }

    /// PART-TARGET is a whole number of frames near what the latency mode aims at, rounded up to a millisecond: parts of that many frames
    /// then are never longer, and at least 85 % of it. A little is added for an encoder whose timestamps jitter.
    pub(super) fn learn(lesson: &Lesson, latency: Latency, metadata: &StreamMetadata, tracks: &Tracks) -> Targets {
        let goal = match latency {
            Latency::Low => 200 * MS,
            // Three of them are the hold-back, and with encoding and presentation still within three seconds.
            Latency::Normal => 900 * MS,
        };
        let target_duration_s = ((lesson.span + 500 * MS) / (1_000 * MS)).max(TARGET_DURATION_MIN_S);
        let times: Vec<i64> = lesson
            .units
            .iter()
            .filter(|(unit, _)| unit.kind == lesson.primary)
            .map(|(unit, _)| ticks(unit, tracks))
            .collect();
        let (unit_millis, frame_rate_millis) = match lesson.primary {
            TrackKind::Video => {
                let rate = frame_rate(&times, metadata, tracks.video.as_ref());
                (rate.unwrap_or(30_000), rate)
            }
            TrackKind::Audio => (audio_rate(tracks.audio.as_ref()), None),
        };
        // Units in 1000 seconds, so a span of `n` units is n * 90 000 000 / unit_millis ticks.
        let span_of = |units: i64| ceil(units * 90_000_000, i64::from(unit_millis));
        let unit_ticks = span_of(1).max(1);
        let units = ((goal + unit_ticks / 2) / unit_ticks).max(1);
        let nominal = span_of(units);
        let longest = times
            .windows(usize::try_from(units).unwrap_or(usize::MAX).saturating_add(1))
            .map(|window| window[window.len() - 1] - window[0])
            .max()
            .unwrap_or(nominal);
        let jittered = longest.clamp(nominal, nominal + nominal / 8);
        let part_target_ms = ceil(jittered, MS).min(target_duration_s * 1_000);
        Targets { target_duration_s, part_target_ms, unit_ticks, frame_rate_millis }
    }
}

/// `value / by`, rounded up; `by` is above zero.
fn ceil(value: i64, by: i64) -> i64 {
    value.div_euclid(by) + i64::from(value.rem_euclid(by) != 0)
}

/// The announced frame rate if what arrived agrees within 2 %, else the measured one.
fn frame_rate(times: &[i64], metadata: &StreamMetadata, video: Option<&Track>) -> Option<u32> {
    let (first, last) = (times.first()?, times.last()?);
    let frames = i64::try_from(times.len()).ok()? - 1;
    let measured = (frames * 90_000_000).checked_div(last - first)?;
    let measured = u32::try_from(measured).ok().filter(|&millis| millis > 0)?;
    [metadata.frame_rate_millis, video.and_then(|track| track.config.frame_rate_millis())]
        .into_iter()
        .flatten()
        .find(|&announced| announced.abs_diff(measured) <= measured / 50)
        .or(Some(measured))
}

/// Audio units in 1000 seconds.
fn audio_rate(audio: Option<&Track>) -> u32 {
    match audio.map(|track| &*track.config) {
        Some(CodecConfig::Aac(config)) => {
            u32::try_from(u64::from(config.sample_rate) * 1_000 / u64::from(config.frame_samples)).unwrap_or(u32::MAX)
        }
        _ => 46_875,
    }
}
