//! Timescales, media time and wall-clock time: integers with their units, no decimals.

use std::cmp::Ordering;
use std::fmt;
use std::num::NonZeroU32;

/// Ticks a second. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timescale(NonZeroU32);

impl Timescale {
    /// 90 000 ticks a second: every video track here.
    pub const VIDEO: Timescale = Timescale(NonZeroU32::new(90_000).expect("90000 is not zero"));
    /// 1 000 ticks a second.
    pub const MILLIS: Timescale = Timescale(NonZeroU32::new(1_000).expect("1000 is not zero"));

    /// `None` if `ticks_per_second` is zero.
    pub const fn new(ticks_per_second: u32) -> Option<Timescale> {
        match NonZeroU32::new(ticks_per_second) {
            Some(value) => Some(Timescale(value)),
            None => None,
        }
    }

    /// Ticks a second.
    pub const fn ticks_per_second(self) -> u32 {
        self.0.get()
    }

    /// The ticks of a number of milliseconds, rounded down.
    pub fn ticks_of_ms(self, ms: i64) -> i64 {
        scale_floor(ms, self.0.get(), 1_000)
    }

    /// The milliseconds of a number of ticks, rounded down.
    pub fn ms_of_ticks(self, ticks: i64) -> i64 {
        scale_floor(ticks, 1_000, self.0.get())
    }
}

/// `value * numerator / denominator`, rounded down, saturating at the ends of `i64`.
fn scale_floor(value: i64, numerator: u32, denominator: u32) -> i64 {
    let scaled = (i128::from(value) * i128::from(numerator)).div_euclid(i128::from(denominator));
    i64::try_from(scaled).unwrap_or(if scaled < 0 { i64::MIN } else { i64::MAX })
}

/// An instant or a span of media, in ticks of its timescale. It has no `+`: two scales must not be mixed by accident.
///
/// Order and equality compare the instants, not the digits: 1 s at 90 kHz equals 1 s at 48 kHz.
#[derive(Clone, Copy, Debug)]
pub struct MediaTime {
    /// Ticks, possibly negative.
    pub ticks: i64,
    /// What a tick is.
    pub scale: Timescale,
}

impl MediaTime {
    /// `ticks` of `scale`.
    pub const fn new(ticks: i64, scale: Timescale) -> MediaTime {
        MediaTime { ticks, scale }
    }

    /// The same instant in another scale, rounded down.
    #[must_use]
    pub fn rescale(self, scale: Timescale) -> MediaTime {
        let ticks = scale_floor(self.ticks, scale.ticks_per_second(), self.scale.ticks_per_second());
        MediaTime { ticks, scale }
    }

    /// Milliseconds, rounded down.
    pub fn ms(self) -> i64 {
        self.scale.ms_of_ticks(self.ticks)
    }

    /// The distance from `earlier`; `None` if the scales differ or the result does not fit.
    pub fn checked_since(self, earlier: MediaTime) -> Option<MediaTime> {
        if self.scale != earlier.scale {
            return None;
        }
        Some(MediaTime { ticks: self.ticks.checked_sub(earlier.ticks)?, scale: self.scale })
    }
}

impl PartialEq for MediaTime {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for MediaTime {}

impl PartialOrd for MediaTime {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for MediaTime {
    fn cmp(&self, other: &Self) -> Ordering {
        let left = i128::from(self.ticks) * i128::from(other.scale.ticks_per_second());
        let right = i128::from(other.ticks) * i128::from(self.scale.ticks_per_second());
        left.cmp(&right)
    }
}

/// Wall-clock time: milliseconds since the Unix epoch, UTC. Whoever has a clock passes it in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(pub i64);

impl WallTime {
    /// This time moved by a number of milliseconds.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> WallTime {
        WallTime(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this time.
    pub fn since_ms(self, earlier: WallTime) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// `2026-11-24T05:29:42.123Z`, as EXT-X-PROGRAM-DATE-TIME writes it.
impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.0.div_euclid(86_400_000);
        let ms = self.0.rem_euclid(86_400_000);
        let (year, month, day) = civil_from_days(days);
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
        let milli = ms % 1_000;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

/// Year, month and day of the proleptic Gregorian calendar, from days since 1970-01-01: eras of 400 years, years that
/// begin in March so that the leap day is their last.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_compare_by_instant() {
        let audio = Timescale::new(48_000).unwrap();
        assert_eq!(MediaTime::new(90_000, Timescale::VIDEO), MediaTime::new(48_000, audio));
        assert!(MediaTime::new(90_001, Timescale::VIDEO) > MediaTime::new(48_000, audio));
        assert!(MediaTime::new(-1, audio) < MediaTime::new(0, Timescale::VIDEO));
    }

    #[test]
    fn rescaling_rounds_down_also_below_zero() {
        let audio = Timescale::new(44_100).unwrap();
        assert_eq!(MediaTime::new(1, Timescale::VIDEO).rescale(audio).ticks, 0);
        assert_eq!(MediaTime::new(-1, Timescale::VIDEO).rescale(audio).ticks, -1);
        assert_eq!(MediaTime::new(i64::MAX, Timescale::MILLIS).rescale(audio).ticks, i64::MAX);
    }

    #[test]
    fn mixed_scales_are_not_subtracted() {
        let video = MediaTime::new(10, Timescale::VIDEO);
        assert_eq!(video.checked_since(MediaTime::new(1, Timescale::MILLIS)), None);
        assert_eq!(video.checked_since(MediaTime::new(4, Timescale::VIDEO)).unwrap().ticks, 6);
    }

    #[test]
    fn dates_are_written_in_utc() {
        assert_eq!(WallTime(1_795_498_182_123).to_string(), "2026-11-24T05:29:42.123Z");
        assert_eq!(WallTime(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(WallTime(951_782_399_999).to_string(), "2000-02-28T23:59:59.999Z");
        assert_eq!(WallTime(951_782_400_000).to_string(), "2000-02-29T00:00:00.000Z");
        assert_eq!(WallTime(-1).to_string(), "1969-12-31T23:59:59.999Z");
        assert_eq!(WallTime(4_107_542_400_000).to_string(), "2100-03-01T00:00:00.000Z");
    }
}
