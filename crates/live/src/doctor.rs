//! The encoder's doctor: judges what an encoder sends, second by second, and names the setting that mends it.
//!
//! It reads the publisher's own timestamps and the time of arrival, before the timeline takes jumps out. All is integer arithmetic in fixed arrays: a unit
//! costs a few additions and no allocation. A finding appears as soon as it holds and goes when it has not held for [`CLEAR_AFTER_S`] seconds,
//! so that a stream on the border does not flicker. Source of the limits: IVS "Streaming Configuration" and "Service Quotas".

mod advice;
mod meter;

#[cfg(test)]
mod tests;

pub use advice::{Code, Finding, IngestLimit, LimitBreach, Severity};

use crate::hub::KeyShown;
use headwater_media::{AccessUnit, FurtherTrack, Timescale, Track, TrackKind};
use headwater_model::Timestamp;
use headwater_model::ivs::{Channel, ChannelType, MultitrackInput};
use meter::{Meter, Reading};
use std::collections::BTreeSet;

/// How long a finding stays after it held last.
pub const CLEAR_AFTER_S: u8 = 10;

const KEYFRAME_INTERVAL_MS: u64 = 2_000;
/// Two seconds and what encoders' rounding adds.
const KEYFRAME_INTERVAL_ADVICE_MS: u64 = 2_400;
/// From here on IVS does not promise that segments begin with a keyframe.
const KEYFRAME_INTERVAL_PROBLEM_MS: u64 = 5_000;
/// Percent of pictures off the pace.
const OFF_PACE_PERCENT_MAX: u64 = 10;
/// Millionths. Crystals differ by less than a tenth of it.
const DRIFT_PPM_MAX: u64 = 1_000;
const SKEW_MS_MAX: u64 = 500;
const STALL_MS_MAX: u64 = 1_000;
const PIXELS_MAX: u64 = 2_100_000;
const EDGE_MAX: u64 = 1_920;
/// Pictures in 1000 seconds, with a little for rounding.
const FRAME_RATE_MILLIS_MAX: u64 = 60_000;
const FRAME_RATE_MILLIS_TOLERATED: u64 = 61_000;
/// A constant bitrate is one on average: a tenth above the limit over ten seconds is a breach.
const BITRATE_TOLERANCE_PERCENT: u64 = 10;
/// How long both kinds of track are waited for.
const TRACKS_AFTER_S: u64 = 10;

/// What changed at a second's end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// New, or of another severity.
    pub(crate) appeared: Vec<Finding>,
    pub(crate) gone: Vec<Finding>,
    /// Limits that were kept before.
    pub(crate) breaches: Vec<LimitBreach>,
}

impl Change {
    fn is_empty(&self) -> bool {
        self.appeared.is_empty() && self.gone.is_empty() && self.breaches.is_empty()
    }

    /// One line for each.
    pub(crate) fn log(&self) {
        for finding in &self.appeared {
            let Finding { code, measured, limit, .. } = *finding;
            let (code, unit) = (code.as_str(), code.unit());
            match finding.severity() {
                Severity::Problem => tracing::warn!(code, measured, limit, unit, "encoder: {}", finding.advice()),
                Severity::Advice => tracing::info!(code, measured, limit, unit, "encoder: {}", finding.advice()),
            }
        }
        for finding in &self.gone {
            tracing::info!(code = finding.code.as_str(), "encoder: mended");
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Held {
    finding: Finding,
    /// Seconds until it goes, unless it holds again.
    left: u8,
}

/// Judges one stream session's encoders.
#[derive(Debug)]
pub(crate) struct Doctor {
    channel_type: ChannelType,
    multitrack: MultitrackInput,
    key: KeyShown,
    dimensions: Option<(u32, u32)>,
    /// Numbers of further video tracks; the demuxer bounds how many.
    further: BTreeSet<u8>,
    /// Those of them whose keyframes are not the first's.
    unaligned: u64,
    /// Whether there is a further audio track.
    further_sound: bool,
    meter: Meter,
    /// By [`Code`].
    held: [Option<Held>; Code::ALL.len()],
}

impl Doctor {
    pub(crate) fn new(channel: &Channel) -> Self {
        Doctor {
            channel_type: channel.channel_type,
            multitrack: channel.multitrack,
            key: KeyShown::StreamKey,
            dimensions: None,
            further: BTreeSet::new(),
            unaligned: 0,
            further_sound: false,
            meter: Meter::default(),
            held: [None; Code::ALL.len()],
        }
    }

    /// Another encoder comes, or the same again. What was found of the one before goes if it does not hold; the time in between is a stall.
    pub(crate) fn new_source(&mut self) {
        self.dimensions = None;
        self.further.clear();
        (self.unaligned, self.further_sound) = (0, false);
        self.meter = self.meter.of_another_source();
    }

    /// By which key the encoder came.
    pub(crate) fn handle_key(&mut self, key: KeyShown) {
        self.key = key;
    }

    /// There is a further video track.
    pub(crate) fn handle_further_track(&mut self, further: FurtherTrack) {
        self.further.insert(further.id());
    }

    /// So many further video tracks begin segments without a keyframe.
    pub(crate) fn handle_unaligned(&mut self, tracks: u64) {
        self.unaligned = tracks;
    }

    /// There is a further audio track.
    pub(crate) fn handle_further_sound(&mut self) {
        self.further_sound = true;
    }

    pub(crate) fn handle_track(&mut self, track: &Track) {
        if track.kind == TrackKind::Video {
            self.dimensions = track.config.dimensions();
        }
    }

    /// Takes a unit as the publisher stamped it. Once a second it answers, if something changed or holds: its figures are then newer.
    pub(crate) fn handle_unit(&mut self, unit: &AccessUnit, scale: Timescale, now: Timestamp) -> Option<Change> {
        let reading = self.meter.handle_unit(unit, scale, now)?;
        let change = self.judge(&reading);
        (!change.is_empty() || self.held.iter().any(Option::is_some)).then_some(change)
    }

    /// What holds now, problems first.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = self.held.iter().flatten().map(|held| held.finding).collect();
        findings.sort_by_key(|finding| (std::cmp::Reverse(finding.severity()), finding.code));
        findings
    }

    fn judge(&mut self, reading: &Reading) -> Change {
        let mut change = Change::default();
        for code in Code::ALL {
            let found = self.measure(code, reading).map(|(measured, limit)| Finding { code, measured, limit });
            let slot = &mut self.held[code as usize];
            match (found, *slot) {
                (Some(finding), held) => {
                    if held.is_none_or(|held| held.finding.severity() != finding.severity()) {
                        change.appeared.push(finding);
                    }
                    if held.is_none() {
                        change.breaches.extend(finding.breach());
                    }
                    *slot = Some(Held { finding, left: CLEAR_AFTER_S });
                }
                (None, Some(Held { finding, left: 0 })) => {
                    change.gone.push(finding);
                    *slot = None;
                }
                (None, Some(held)) => *slot = Some(Held { left: held.left - 1, ..held }),
                (None, None) => {}
            }
        }
        change
    }

    /// Measured value and limit, if the limit is not kept.
    fn measure(&self, code: Code, reading: &Reading) -> Option<(u64, u64)> {
        let above = |measured: u64, limit: u64| (measured > limit).then_some((measured, limit));
        match code {
            Code::KeyframeInterval => (reading.keyframe_interval_ms > KEYFRAME_INTERVAL_ADVICE_MS)
                .then_some((reading.keyframe_interval_ms, KEYFRAME_INTERVAL_MS)),
            Code::BFrames => above(reading.reordered_in_a_row, 0),
            Code::VariableFrameRate => above(reading.off_pace_percent, OFF_PACE_PERCENT_MAX),
            Code::FrameRate => (reading.frame_rate_millis > FRAME_RATE_MILLIS_TOLERATED)
                .then_some((reading.frame_rate_millis, FRAME_RATE_MILLIS_MAX)),
            Code::Bitrate => {
                let limit = self.bitrate_max();
                let breached = reading.bits_per_second > limit + limit * BITRATE_TOLERANCE_PERCENT / 100;
                breached.then_some((reading.bits_per_second, limit))
            }
            Code::Pixels => {
                let (width, height) = self.dimensions?;
                above(u64::from(width) * u64::from(height), PIXELS_MAX)
            }
            Code::PixelsPerEdge => {
                let (width, height) = self.dimensions?;
                above(u64::from(width.max(height)), EDGE_MAX)
            }
            Code::ClockFast => above(reading.fast_ppm, DRIFT_PPM_MAX),
            Code::ClockSlow => above(reading.slow_ppm, DRIFT_PPM_MAX),
            Code::Skew => above(reading.skew_ms, SKEW_MS_MAX),
            Code::Stalls => above(reading.stall_ms, STALL_MS_MAX),
            Code::TracksUnaligned => above(self.unaligned, 0),
            Code::MultitrackNotAllowed if !self.multitrack.enabled => above(self.video_tracks(), 1),
            Code::MultitrackKey if self.multitrack.enabled && self.key == KeyShown::StreamKey => {
                above(self.video_tracks(), 1)
            }
            Code::MultitrackNotAllowed | Code::MultitrackKey => None,
            Code::AudioTracks => self.further_sound.then_some((2, 1)),
            Code::AudioOnly => above(reading.without_video_s, TRACKS_AFTER_S),
            Code::VideoOnly => above(reading.without_audio_s, TRACKS_AFTER_S),
        }
    }

    fn video_tracks(&self) -> u64 {
        1 + self.further.len() as u64
    }

    /// Bits a second that the channel's type allows.
    fn bitrate_max(&self) -> u64 {
        match (self.channel_type, self.dimensions) {
            (ChannelType::Basic, Some((width, height))) if width.min(height) <= 480 => 1_500_000,
            (ChannelType::Basic, _) => 3_500_000,
            _ => 8_500_000,
        }
    }
}
