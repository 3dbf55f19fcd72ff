//! One viewer: when it asked last, and what it told, as far as that can be true.

use crate::cmcd::Told;
use headwater_live::{LiveStream, Troubles};
use std::sync::Weak;
use std::time::Duration;
use tokio::time::Instant;

/// Sums that a viewer tells are looked at this often at most; what comes sooner is in the next ones.
const SUMS_EVERY: Duration = Duration::from_secs(1);
/// Pictures that can be dropped in a second: no stream has more.
const FRAMES_A_SECOND_MAX: u64 = 240;
/// What a viewer told counts for so long: three beacons.
const MEASURED_FOR: Duration = Duration::from_secs(30);

/// A viewer.
pub(super) struct Seen {
    pub(super) stream: Weak<LiveStream>,
    /// When it asked for something last.
    pub(super) at: Instant,
    /// ISO 3166-1 alpha-2, if the country of its first request's address is known.
    country: Option<[u8; 2]>,
    /// A number for the rendition whose playlist it asked for last.
    pub(super) rendition: Option<u64>,
    /// Apart, because most viewers of foreign players tell nothing.
    measured: Option<Box<Measured>>,
}

/// What a viewer told.
struct Measured {
    at: Instant,
    latency_ms: Option<u32>,
    bitrate_kbps: Option<u32>,
    startup_ms: Option<u32>,
    stalled_at: Option<Instant>,
    /// When its sums were looked at last, and what they were.
    summed_at: Instant,
    sums: Sums,
    /// Told and not yet published.
    pending: Troubles,
}

/// What a player sums up since its playback began; `None` while it has not told.
#[derive(Clone, Copy, Default)]
struct Sums {
    stalls: Option<u32>,
    stalled_ms: Option<u32>,
    dropped: Option<u32>,
}

/// A viewer's figures at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    /// Whether it told lately; the others are `None` else.
    pub(super) measured: bool,
    /// Whether its picture stood still lately.
    pub(super) stalled: bool,
    pub(super) latency_ms: Option<u32>,
    pub(super) bitrate_kbps: Option<u32>,
    pub(super) startup_ms: Option<u32>,
    pub(super) rendition: Option<u64>,
    pub(super) country: Option<[u8; 2]>,
}

impl Seen {
    pub(super) fn new(stream: Weak<LiveStream>, at: Instant, country: Option<[u8; 2]>) -> Self {
        Seen { stream, at, country, rendition: None, measured: None }
    }

    /// Hears what it tells; what of it is new trouble.
    pub(super) fn hear(&mut self, told: &Told, now: Instant) -> Troubles {
        if !told.measures() {
            return Troubles::default();
        }
        let measured = self.measured.get_or_insert_with(|| Box::new(Measured::new(now, Sums::of(told))));
        measured.at = now;
        measured.latency_ms = told.latency_ms.or(measured.latency_ms);
        measured.bitrate_kbps = told.bitrate_kbps.or(measured.bitrate_kbps);
        // Playback begins once.
        measured.startup_ms = measured.startup_ms.or(told.startup_ms);
        let new = if told.stalls_in_all.is_some() { Troubles::default() } else { measured.stalled_now(told, now) };
        let new = new.and(measured.sum_up(Sums::of(told), now));
        if new.stalls > 0 {
            measured.stalled_at = Some(now);
        }
        measured.pending = measured.pending.and(new);
        new
    }

    /// Its figures, and the troubles that were not taken before.
    pub(super) fn take(&mut self, now: Instant) -> (Figures, Troubles) {
        let unmeasured = Figures { rendition: self.rendition, country: self.country, ..Figures::default() };
        let Some(measured) = &mut self.measured else { return (unmeasured, Troubles::default()) };
        let pending = std::mem::take(&mut measured.pending);
        let is_recent = |at: Instant| now.duration_since(at) < MEASURED_FOR;
        if !is_recent(measured.at) {
            return (unmeasured, pending);
        }
        let figures = Figures {
            measured: true,
            stalled: measured.stalled_at.is_some_and(is_recent),
            latency_ms: measured.latency_ms,
            bitrate_kbps: measured.bitrate_kbps,
            startup_ms: measured.startup_ms,
            ..unmeasured
        };
        (figures, pending)
    }
}

impl Measured {
    /// What a viewer tells first is where its sums begin: it may have been somewhere else before.
    fn new(now: Instant, sums: Sums) -> Self {
        Measured {
            at: now,
            latency_ms: None,
            bitrate_kbps: None,
            startup_ms: None,
            stalled_at: None,
            summed_at: now,
            sums,
            pending: Troubles::default(),
        }
    }

    /// A stall that a player tells of by itself, without sums: one a second at most, and no longer than the time since the last.
    fn stalled_now(&mut self, told: &Told, now: Instant) -> Troubles {
        let passed = self.stalled_at.map_or(MEASURED_FOR, |at| now.duration_since(at));
        if !told.stalled || passed < SUMS_EVERY {
            return Troubles::default();
        }
        let stalled_ms = u64::from(told.stalled_ms.unwrap_or_default()).min(ms(passed));
        Troubles { stalls: 1, stalled_ms, dropped_frames: 0 }
    }

    /// What sums grew by, and no more than fits into the time since they were looked at.
    fn sum_up(&mut self, told: Sums, now: Instant) -> Troubles {
        let passed = now.duration_since(self.summed_at);
        if passed < SUMS_EVERY {
            return Troubles::default();
        }
        self.summed_at = now;
        let passed_s = passed.as_secs();
        Troubles {
            stalls: grown(&mut self.sums.stalls, told.stalls).min(passed_s),
            stalled_ms: grown(&mut self.sums.stalled_ms, told.stalled_ms).min(ms(passed)),
            dropped_frames: grown(&mut self.sums.dropped, told.dropped).min(passed_s * FRAMES_A_SECOND_MAX),
        }
    }
}

impl Sums {
    fn of(told: &Told) -> Self {
        Sums { stalls: told.stalls_in_all, stalled_ms: told.stalled_in_all_ms, dropped: told.dropped_in_all }
    }
}

/// How much a sum grew; a first one, and one that is less than before (playback began anew), is where it begins.
fn grown(before: &mut Option<u32>, told: Option<u32>) -> u64 {
    let Some(told) = told else { return 0 };
    before.replace(told).map_or(0, |before| u64::from(told.saturating_sub(before)))
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn viewer(now: Instant) -> Seen {
        Seen::new(Weak::new(), now, None)
    }

    fn troubles(stalls: u64, stalled_ms: u64, dropped_frames: u64) -> Troubles {
        Troubles { stalls, stalled_ms, dropped_frames }
    }

    #[test]
    fn sums_are_counted_from_where_they_began() {
        let start = Instant::now();
        let mut seen = viewer(start);
        let at = |s: u64| start + Duration::from_secs(s);
        let tell = |seen: &mut Seen, s: u64, text: &str| seen.hear(&Told::parse(text), at(s));
        // From before a restart of the server.
        assert_eq!(tell(&mut seen, 0, "bsa=7,bsda=9000,dfa=100,msd=500"), troubles(0, 0, 0));
        assert_eq!(tell(&mut seen, 10, "bsa=8,bsda=10500,dfa=103,msd=900"), troubles(1, 1500, 3));
        // Playback began anew.
        assert_eq!(tell(&mut seen, 20, "bsa=0,bsda=0,dfa=0"), troubles(0, 0, 0));
        assert_eq!(tell(&mut seen, 30, "bsa=2,bsda=300,dfa=0"), troubles(2, 300, 0));
        let (figures, pending) = seen.take(at(31));
        assert_eq!(pending, troubles(3, 1800, 3));
        assert_eq!((figures.measured, figures.stalled, figures.startup_ms), (true, true, Some(500)));
        assert_eq!(seen.take(at(31)).1, troubles(0, 0, 0));
        assert_eq!(seen.take(at(61)).0, Figures::default(), "what was told long ago is not how it is now");
    }

    #[test]
    fn nobody_stalls_for_longer_than_time_passes() {
        let start = Instant::now();
        let mut seen = viewer(start);
        seen.hear(&Told::parse("bsa=0,bsda=0,dfa=0"), start);
        let lie = Told::parse("bsa=4000000,bsda=80000000,dfa=4000000,bsd=80000000");
        assert_eq!(seen.hear(&lie, start + Duration::from_millis(2500)), troubles(2, 2500, 480));
        // Nine hundred beacons within a second are none.
        let mut sum = Troubles::default();
        for n in 0..900_u32 {
            let told = Told { stalls_in_all: Some(4_000_001 + n), ..Told::default() };
            sum = sum.and(seen.hear(&told, start + Duration::from_millis(2501) + Duration::from_millis(u64::from(n))));
        }
        assert_eq!(sum, troubles(0, 0, 0));
    }

    #[test]
    fn a_player_without_sums_tells_of_each_stall() {
        let start = Instant::now();
        let mut seen = viewer(start);
        assert_eq!(seen.hear(&Told::parse("bs,br=3000"), start), troubles(1, 0, 0));
        assert_eq!(seen.hear(&Told::parse("bs"), start + Duration::from_millis(200)), troubles(0, 0, 0));
        let stalled = Told::parse("bsd=400");
        assert_eq!(seen.hear(&stalled, start + Duration::from_secs(2)), troubles(1, 400, 0));
    }
}
