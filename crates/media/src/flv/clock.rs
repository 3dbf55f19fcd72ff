//! RTMP's 32-bit milliseconds as 64 bits, and audio's samples as a clock that does not jitter.

use crate::time::Timescale;

/// How far the sample count may stray from the encoder's milliseconds before it steps: just under one AAC frame at 48 kHz, so that what
/// rounding, scheduling and jitter do stays below it and a real gap does not.
pub(super) const AUDIO_STEP_MS: i64 = 20;

/// Continues 32-bit timestamps past their wrap (49.7 days): each is the nearest instant to the one before, on either side.
///
/// Audio and video share one, since they share the connection's clock.
#[derive(Debug, Default)]
pub(super) struct Unwrapper {
    last: Option<i64>,
}

impl Unwrapper {
    pub(super) fn unwrap(&mut self, timestamp: u32) -> i64 {
        let unwrapped = match self.last {
            None => i64::from(timestamp),
            Some(last) => {
                // Both casts keep the low 32 bits, which is the point: the difference is taken modulo 2^32.
                let distance = timestamp.wrapping_sub(last as u32) as i32;
                last.saturating_add(i64::from(distance))
            }
        };
        self.last = Some(unwrapped);
        unwrapped
    }
}

/// Counts samples from the first frame's timestamp, so that audio is sample-exact although FLV's timestamps are whole milliseconds.
///
/// It follows the encoder's milliseconds: when they differ by more than [`AUDIO_STEP_MS`] it steps to them.
#[derive(Debug)]
pub(super) struct AudioClock {
    scale: Timescale,
    frame_samples: i64,
    next: Option<i64>,
}

impl AudioClock {
    pub(super) fn new(scale: Timescale, frame_samples: u32) -> Self {
        AudioClock { scale, frame_samples: i64::from(frame_samples), next: None }
    }

    /// The decode time of the next frame, in samples.
    pub(super) fn stamp(&mut self, timestamp_ms: i64) -> i64 {
        let told = self.scale.ticks_of_ms(timestamp_ms);
        let tolerance = self.scale.ticks_of_ms(AUDIO_STEP_MS);
        let dts = match self.next {
            Some(next) if next.saturating_sub(told).saturating_abs() <= tolerance => next,
            _ => told,
        };
        self.next = Some(dts.saturating_add(self.frame_samples));
        dts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_go_on_past_the_wrap_and_back() {
        let mut clock = Unwrapper::default();
        assert_eq!(clock.unwrap(u32::MAX - 10), 4_294_967_285);
        assert_eq!(clock.unwrap(5), 4_294_967_301);
        // An audio message from before the wrap.
        assert_eq!(clock.unwrap(u32::MAX), 4_294_967_295);
        assert_eq!(clock.unwrap(20), 4_294_967_316);
    }

    #[test]
    fn a_day_of_audio_does_not_drift_or_jitter() {
        for rate in [44_100u32, 48_000, 22_050] {
            let scale = Timescale::new(rate).unwrap();
            let mut clock = AudioClock::new(scale, 1024);
            let frames = 24 * 3600 * i64::from(rate) / 1024;
            // An encoder that begins at 7 ms and rounds its sample clock down to milliseconds.
            let first = clock.stamp(7);
            for frame in 1..=frames {
                let ms = 7 + frame * 1024 * 1000 / i64::from(rate);
                let dts = clock.stamp(ms);
                assert_eq!(dts, first + frame * 1024, "frame {frame} at {rate} Hz");
                let told = scale.ticks_of_ms(ms);
                assert!((dts - told).abs() <= i64::from(rate) / 1000 + 1);
            }
        }
    }

    #[test]
    fn a_device_clock_that_runs_fast_stays_within_the_step_for_a_day() {
        let scale = Timescale::new(48_000).unwrap();
        let mut clock = AudioClock::new(scale, 1024);
        let (mut steps, mut expected) = (0, clock.stamp(0) + 1024);
        let frames = 24 * 3600 * 48_000 / 1024i64;
        for frame in 1..=frames {
            // 50 millionths fast: 4.3 s a day against the wall.
            let ms = frame * 1024 * 1000 / 48_000 * 999_950 / 1_000_000;
            let dts = clock.stamp(ms);
            steps += i64::from(dts != expected);
            expected = dts + 1024;
            assert!((dts - ms * 48).abs() <= 48 * AUDIO_STEP_MS, "frame {frame}");
        }
        assert!((200..=216).contains(&steps), "{steps} steps of a little over 20 ms make up 4.3 s");
    }

    #[test]
    fn jitter_is_smoothed_and_a_gap_is_kept() {
        let scale = Timescale::new(48_000).unwrap();
        let mut clock = AudioClock::new(scale, 1024);
        assert_eq!(clock.stamp(0), 0);
        assert_eq!(clock.stamp(36), 1024);
        assert_eq!(clock.stamp(30), 2048);
        assert_eq!(clock.stamp(1_000), 48_000);
        assert_eq!(clock.stamp(1_021), 49_024);
        // Back to the start: an encoder that restarted its clock.
        assert_eq!(clock.stamp(0), 0);
    }
}
