//! Measures an encoder: sums over ten seconds in a ring of one-second buckets, and lateness over minutes.

use headwater_media::{AccessUnit, Keyframe, Timescale, TrackKind};
use headwater_model::Timestamp;

/// Seconds that sums go over.
const WINDOW_S: usize = 10;
/// Milliseconds of media without which no rate is told.
const RATE_AFTER_MS: i64 = 5_000;
/// Pictures without which no pace is told.
const PACE_AFTER: u64 = 20;
/// A step of the encoder's clock from which on it is a jump, not a pace.
const JUMP_MS: i64 = 3_000;
/// Lateness is compared between spans of so many seconds, each by its least: queues on the way only ever add.
const SPAN_S: i64 = 30;
const SPANS: usize = 8;
/// With fewer spans a clock is not judged.
const SPANS_MIN: usize = 4;
/// Differences below this are jitter.
const DRIFT_MS_MIN: i64 = 200;
/// How long a stall is remembered.
const STALL_KEPT_MS: i64 = 60_000;
/// Silence from which on it is told as a stall; shorter ones are measured and fall below the limit.
const STALL_MS_MIN: i64 = 500;

/// What was measured over the window. Zero where nothing can be said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) keyframe_interval_ms: u64,
    pub(super) reordered_in_a_row: u64,
    pub(super) off_pace_percent: u64,
    pub(super) frame_rate_millis: u64,
    pub(super) bits_per_second: u64,
    pub(super) fast_ppm: u64,
    pub(super) slow_ppm: u64,
    pub(super) skew_ms: u64,
    pub(super) stall_ms: u64,
    pub(super) without_video_s: u64,
    pub(super) without_audio_s: u64,
}

/// One second.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    bytes: u64,
    /// By how much the tracks' clocks went on, ms: video, audio.
    advance_ms: [i64; 2],
    units: [u64; 2],
    off_pace: u64,
    reordered_in_a_row: u64,
    /// The least distance between the newest picture and the newest sound.
    skew_ms: Option<u64>,
}

/// The least lateness of a span.
#[derive(Clone, Copy, Debug, Default)]
struct Lateness {
    spans: [i64; SPANS],
    filled: usize,
    least_ms: Option<i64>,
    since: Option<Timestamp>,
}

impl Lateness {
    fn note(&mut self, late_ms: i64, now: Timestamp) {
        let since = *self.since.get_or_insert(now);
        if now.since_ms(since) >= SPAN_S * 1_000 {
            if let Some(least) = self.least_ms.take() {
                self.spans.rotate_left(1);
                self.spans[SPANS - 1] = least;
                self.filled = (self.filled + 1).min(SPANS);
            }
            self.since = Some(now);
        }
        self.least_ms = Some(self.least_ms.map_or(late_ms, |least| least.min(late_ms)));
    }

    /// Millionths by which the encoder falls behind; negative if it runs ahead.
    fn drift_ppm(&self) -> i64 {
        if self.filled < SPANS_MIN {
            return 0;
        }
        let drifted_ms = self.spans[SPANS - 1] - self.spans[SPANS - self.filled];
        if drifted_ms.abs() < DRIFT_MS_MIN {
            return 0;
        }
        let over_ms = (self.filled as i64 - 1) * SPAN_S * 1_000;
        drifted_ms.saturating_mul(1_000_000) / over_ms
    }
}

/// Measures one encoder.
#[derive(Debug, Default)]
pub(super) struct Meter {
    buckets: [Bucket; WINDOW_S],
    /// The second of the newest bucket, and the one in which the encoder came.
    second: i64,
    begun: Option<Timestamp>,
    arrived: Option<Timestamp>,
    /// The newest time of each track, ms of the encoder's clock.
    newest_ms: [Option<i64>; 2],
    /// Decode time of the newest picture and of the newest keyframe, and the highest presentation time, ticks.
    picture: Option<i64>,
    keyframe: Option<i64>,
    shown: Option<i64>,
    reordered: u64,
    /// Smoothed distance of pictures, 16ths of a tick.
    pace_16: i64,
    intervals_ms: [i64; 3],
    open_interval_ms: i64,
    lateness: Lateness,
    stall_ms: i64,
    stalled: Option<Timestamp>,
    last_seen: [Option<Timestamp>; 2],
}

impl Meter {
    /// A meter for the source that comes next: it knows nothing but when something arrived last, and stalls.
    pub(super) fn of_another_source(&self) -> Meter {
        Meter { arrived: self.arrived, stall_ms: self.stall_ms, stalled: self.stalled, ..Meter::default() }
    }

    /// Takes a unit; answers with the first one of a second.
    pub(super) fn handle_unit(&mut self, unit: &AccessUnit, scale: Timescale, now: Timestamp) -> Option<Reading> {
        let begun = *self.begun.get_or_insert(now);
        let second = now.since_ms(begun) / 1_000;
        let reading = (second > self.second).then(|| self.turn(second, now));
        self.note_arrival(now);
        let slot = usize::from(unit.kind == TrackKind::Audio);
        let at_ms = scale.ms_of_ticks(unit.dts);
        let bucket = &mut self.buckets[second.rem_euclid(WINDOW_S as i64) as usize];
        bucket.bytes += unit.data.len() as u64;
        bucket.units[slot] += 1;
        let step_ms = self.newest_ms[slot].map_or(0, |newest| at_ms.saturating_sub(newest));
        let jumped = step_ms.saturating_abs() > JUMP_MS;
        if jumped {
            self.lateness = Lateness::default();
            self.newest_ms = [None, None];
            (self.picture, self.keyframe, self.shown, self.reordered) = (None, None, None, 0);
        } else {
            bucket.advance_ms[slot] += step_ms;
        }
        self.newest_ms[slot] = Some(at_ms);
        self.last_seen[slot] = Some(now);
        if let [Some(video), Some(audio)] = self.newest_ms {
            let skew = video.abs_diff(audio);
            bucket.skew_ms = Some(bucket.skew_ms.map_or(skew, |least| least.min(skew)));
        }
        if unit.kind == TrackKind::Video {
            self.note_picture(unit, second);
        }
        self.lateness.note(now.0.saturating_sub(at_ms), now);
        reading
    }

    fn note_arrival(&mut self, now: Timestamp) {
        if let Some(arrived) = self.arrived {
            let silence = now.since_ms(arrived);
            if silence >= STALL_MS_MIN {
                self.stall_ms = self.stall_ms.max(silence);
                self.stalled = Some(now);
            }
        }
        self.arrived = Some(now);
        if self.stalled.is_some_and(|stalled| now.since_ms(stalled) > STALL_KEPT_MS) {
            self.stall_ms = 0;
            self.stalled = None;
        }
    }

    fn note_picture(&mut self, unit: &AccessUnit, second: i64) {
        let bucket = &mut self.buckets[second.rem_euclid(WINDOW_S as i64) as usize];
        if let Some(before) = self.picture {
            let step_16 = unit.dts.saturating_sub(before).saturating_mul(16);
            if self.pace_16 == 0 {
                self.pace_16 = step_16;
            }
            bucket.off_pace +=
                u64::from((step_16 - self.pace_16).saturating_mul(8).saturating_abs() > self.pace_16 * 3);
            self.pace_16 += (step_16 - self.pace_16) / 16;
        }
        self.picture = Some(unit.dts);
        match self.shown {
            Some(shown) if unit.pts < shown => {
                self.reordered += 1;
                bucket.reordered_in_a_row = bucket.reordered_in_a_row.max(self.reordered);
            }
            _ => {
                self.reordered = 0;
                self.shown = Some(unit.pts);
            }
        }
        if let Some(keyframe) = self.keyframe {
            self.open_interval_ms = unit.dts.saturating_sub(keyframe) / 90;
        }
        if unit.keyframe == Keyframe::Yes {
            if self.keyframe.is_some() {
                self.intervals_ms.rotate_left(1);
                self.intervals_ms[2] = self.open_interval_ms;
            }
            self.keyframe = Some(unit.dts);
            self.open_interval_ms = 0;
        }
    }

    /// Reads the window, and begins a second.
    fn turn(&mut self, second: i64, now: Timestamp) -> Reading {
        let reading = self.read(second, now);
        for passed in (self.second + 1..=second).rev().take(WINDOW_S) {
            self.buckets[passed.rem_euclid(WINDOW_S as i64) as usize] = Bucket::default();
        }
        self.second = second;
        reading
    }

    fn read(&self, second: i64, now: Timestamp) -> Reading {
        let mut sum = Bucket::default();
        for bucket in &self.buckets {
            sum.bytes += bucket.bytes;
            sum.off_pace += bucket.off_pace;
            sum.reordered_in_a_row = sum.reordered_in_a_row.max(bucket.reordered_in_a_row);
            for slot in 0..2 {
                sum.advance_ms[slot] += bucket.advance_ms[slot];
                sum.units[slot] += bucket.units[slot];
            }
            sum.skew_ms = match (sum.skew_ms, bucket.skew_ms) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
        // Media time, not time of arrival: what a stall held back and then brought at once is no higher bitrate.
        let advance_ms = sum.advance_ms[0].max(sum.advance_ms[1]);
        let rate = |count: u64, scale: u64, over_ms: i64| match u64::try_from(over_ms) {
            Ok(over_ms) if over_ms >= RATE_AFTER_MS as u64 => count.saturating_mul(scale) / over_ms,
            _ => 0,
        };
        let window_is_full = second >= WINDOW_S as i64;
        let without = |slot: usize| {
            let since = self.last_seen[slot].or(self.begun).unwrap_or(now);
            let other_is_there = self.last_seen[1 - slot].is_some_and(|seen| now.since_ms(seen) < 2_000);
            if other_is_there { u64::try_from(now.since_ms(since) / 1_000).unwrap_or(0) } else { 0 }
        };
        let drift_ppm = self.lateness.drift_ppm();
        let interval_ms = self.intervals_ms.iter().copied().fold(self.open_interval_ms, i64::max);
        Reading {
            keyframe_interval_ms: u64::try_from(interval_ms).unwrap_or(0),
            reordered_in_a_row: sum.reordered_in_a_row,
            off_pace_percent: if sum.units[0] >= PACE_AFTER { sum.off_pace * 100 / sum.units[0] } else { 0 },
            frame_rate_millis: rate(sum.units[0], 1_000_000, sum.advance_ms[0]),
            bits_per_second: rate(sum.bytes, 8_000, advance_ms),
            fast_ppm: (-drift_ppm).max(0).unsigned_abs(),
            slow_ppm: drift_ppm.max(0).unsigned_abs(),
            skew_ms: sum.skew_ms.filter(|_| window_is_full).unwrap_or(0),
            stall_ms: self.stall_ms.unsigned_abs(),
            without_video_s: without(0),
            without_audio_s: without(1),
        }
    }
}
