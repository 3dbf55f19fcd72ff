//! When a ladder is shed, and when it comes back: a pure judge of how far an encoder is behind.
//!
//! *Input*: [`Judge::begin`] with each encoder, [`Judge::look`] at least every [`LOOK_EVERY`]. *Output*: a [`Verdict`], with the clock handed in.

use std::time::Duration;
use tokio::time::Instant;

/// How often an encoder is judged at the least.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long a new encoder has to catch up before it is judged, and how long it must be behind.
const CATCH_UP: Duration = Duration::from_secs(6);
const BEHIND_FOR: Duration = Duration::from_secs(3);
/// An encoder that made nothing for so long may have stopped.
const QUIET: Duration = Duration::from_secs(1);
/// An encoder that makes nothing for so long while pictures come hangs: longer than any that works takes for one.
const HANGS_AFTER: Duration = Duration::from_secs(3);
/// The same for the first picture: graphics drivers take their time.
const STARTS_WITHIN: Duration = Duration::from_secs(10);
/// An encoder that is no more behind than this has time to spare: twice what a sound one needs.
const AT_EASE_MS: i64 = 500;
/// How often the wait for one more rendition is doubled at the most: from half a minute to half an hour.
const RESTORE_AFTER_DOUBLED_MAX: u32 = 6;

/// What is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Verdict {
    /// Nothing.
    GoOn,
    /// The encoder is too slow: one rendition fewer.
    Shed,
    /// There is time to spare: one rendition more.
    Restore,
    /// It makes nothing any more.
    Hangs,
}

/// What the judge sees.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// How far its newest picture is behind the newest one that it was given, in milliseconds.
    pub(super) lag_ms: i64,
    /// Pictures made since the last look.
    pub(super) made: bool,
    /// Pictures were dropped before it since the last look.
    pub(super) dropped: bool,
}

/// How many renditions are shed, from the top, and what is known for changing that.
#[derive(Debug)]
pub(super) struct Judge {
    behind_max_ms: i64,
    shed: usize,
    /// When the encoder made its first picture.
    began: Instant,
    has_made: bool,
    made_last: Instant,
    /// Pictures were dropped, and the encoder has made none since.
    dropped: bool,
    behind_since: Option<Instant>,
    at_ease_since: Instant,
    /// When a rendition was tried again, until that has proved right or wrong.
    tried_at: Option<Instant>,
    /// How long it must have had time to spare before one more rendition is tried: usually, and now.
    restore_usually: Duration,
    restore_after: Duration,
}

impl Judge {
    /// Of a ladder that is whole.
    pub(super) fn new(behind_max: Duration, restore_after: Duration, now: Instant) -> Self {
        Judge {
            behind_max_ms: i64::try_from(behind_max.as_millis()).unwrap_or(i64::MAX),
            shed: 0,
            began: now,
            has_made: false,
            made_last: now,
            dropped: false,
            behind_since: None,
            at_ease_since: now,
            tried_at: None,
            restore_usually: restore_after,
            restore_after,
        }
    }

    /// Renditions that are not made, from the top.
    pub(super) fn shed(&self) -> usize {
        self.shed
    }

    /// An encoder starts.
    pub(super) fn begin(&mut self, now: Instant) {
        (self.began, self.made_last, self.at_ease_since) = (now, now, now);
        (self.has_made, self.dropped, self.behind_since) = (false, false, None);
    }

    /// One fewer, from now on.
    pub(super) fn shed_one(&mut self, now: Instant) {
        self.shed += 1;
        self.at_ease_since = now;
        if self.tried_at.take().is_some() {
            let most = self.restore_usually * 2_u32.pow(RESTORE_AFTER_DOUBLED_MAX);
            self.restore_after = (self.restore_after * 2).min(most);
        }
    }

    /// One more, from now on.
    pub(super) fn restore_one(&mut self, now: Instant) {
        self.shed = self.shed.saturating_sub(1);
        self.tried_at = Some(now);
        self.at_ease_since = now;
    }

    /// When a ladder of which nothing is left is tried again.
    pub(super) fn restore_at(&self) -> Instant {
        self.at_ease_since + self.restore_after
    }

    /// Judges.
    pub(super) fn look(&mut self, look: Look, now: Instant) -> Verdict {
        if look.made {
            if !std::mem::replace(&mut self.has_made, true) {
                self.began = now;
            }
            self.made_last = now;
        }
        self.dropped |= look.dropped;
        let patience = if self.has_made { HANGS_AFTER } else { STARTS_WITHIN };
        if look.lag_ms > AT_EASE_MS && now - self.made_last >= patience {
            return Verdict::Hangs;
        }
        if look.lag_ms > AT_EASE_MS || look.dropped {
            self.at_ease_since = now;
        }
        // While it makes nothing, it is not slow: it has not begun, or hangs.
        if !look.made && (!self.has_made || now - self.made_last >= QUIET) {
            return Verdict::GoOn;
        }
        if now - self.began < CATCH_UP {
            self.dropped = false;
            return Verdict::GoOn;
        }
        if self.dropped && look.made {
            return Verdict::Shed;
        }
        if look.lag_ms > self.behind_max_ms {
            let since = *self.behind_since.get_or_insert(now);
            return if now - since >= BEHIND_FOR { Verdict::Shed } else { Verdict::GoOn };
        }
        self.behind_since = None;
        // What was tried again has held for as long as it was waited for: the next wait is a short one.
        if self.tried_at.is_some_and(|tried| now - tried >= self.restore_after) {
            (self.tried_at, self.restore_after) = (None, self.restore_usually);
        }
        if self.shed > 0 && now >= self.restore_at() { Verdict::Restore } else { Verdict::GoOn }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bench {
        judge: Judge,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            let now = Instant::now();
            Bench { judge: Judge::new(Duration::from_millis(1_500), Duration::from_secs(30), now), now }
        }

        /// Looks every [`LOOK_EVERY`] until the verdict is another one, and gives the seconds until then.
        fn until(&mut self, look: Look, patience_s: u64) -> (Verdict, u64) {
            let began = self.now;
            while self.now - began < Duration::from_secs(patience_s) {
                self.now += LOOK_EVERY;
                let verdict = self.judge.look(look, self.now);
                if verdict != Verdict::GoOn {
                    return (verdict, (self.now - began).as_secs());
                }
            }
            (Verdict::GoOn, patience_s)
        }

        fn shed(&mut self) {
            self.judge.shed_one(self.now);
            self.judge.begin(self.now);
        }

        fn restore(&mut self) {
            self.judge.restore_one(self.now);
            self.judge.begin(self.now);
        }
    }

    const AT_EASE: Look = Look { lag_ms: 100, made: true, dropped: false };
    const BEHIND: Look = Look { lag_ms: 1_600, made: true, dropped: false };
    const HEAVY: Look = Look { lag_ms: 900, made: true, dropped: false };

    #[test]
    fn a_new_encoder_may_catch_up_before_it_is_judged() {
        let mut bench = Bench::new();
        assert_eq!(bench.until(Look { dropped: true, ..BEHIND }, 5), (Verdict::GoOn, 5));
        assert_eq!(bench.until(AT_EASE, 100), (Verdict::GoOn, 100));
    }

    #[test]
    fn who_is_behind_for_a_while_is_shed_and_who_drops_is_at_once() {
        let mut bench = Bench::new();
        assert_eq!(bench.until(BEHIND, 20), (Verdict::Shed, 9));
        bench.shed();
        assert_eq!(bench.until(AT_EASE, 7), (Verdict::GoOn, 7));
        assert_eq!(bench.until(Look { dropped: true, ..AT_EASE }, 20), (Verdict::Shed, 0));
        bench.shed();
        assert_eq!(bench.judge.shed(), 2);
    }

    #[test]
    fn a_peak_of_load_sheds_nothing() {
        let mut bench = Bench::new();
        assert_eq!(bench.until(AT_EASE, 10).0, Verdict::GoOn);
        for _ in 0..10 {
            assert_eq!(bench.until(BEHIND, 2).0, Verdict::GoOn);
            assert_eq!(bench.until(AT_EASE, 1).0, Verdict::GoOn);
        }
    }

    #[test]
    fn renditions_come_back_one_at_a_time_after_a_quiet_while() {
        let mut bench = Bench::new();
        bench.shed();
        bench.shed();
        // Keeping up is not enough: one more would be too much.
        assert_eq!(bench.until(HEAVY, 600), (Verdict::GoOn, 600));
        assert_eq!(bench.until(AT_EASE, 60), (Verdict::Restore, 30));
        bench.restore();
        assert_eq!(bench.until(AT_EASE, 60), (Verdict::Restore, 30));
        bench.restore();
        assert_eq!(bench.judge.shed(), 0);
        assert_eq!(bench.until(AT_EASE, 600), (Verdict::GoOn, 600));
    }

    #[test]
    fn what_was_too_much_is_tried_ever_more_rarely() {
        let mut bench = Bench::new();
        bench.shed();
        let mut waits = Vec::new();
        for _ in 0..9 {
            let (verdict, waited) = bench.until(AT_EASE, 4_000);
            assert_eq!(verdict, Verdict::Restore);
            waits.push(waited);
            bench.restore();
            assert_eq!(bench.until(BEHIND, 60).0, Verdict::Shed);
            bench.shed();
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1_920, 1_920, 1_920]);
        // Once it holds, the next trouble is forgiven as quickly as the first.
        assert_eq!(bench.until(AT_EASE, 4_000).0, Verdict::Restore);
        bench.restore();
        assert_eq!(bench.until(AT_EASE, 4_000), (Verdict::GoOn, 4_000));
        assert_eq!(bench.until(BEHIND, 60).0, Verdict::Shed);
        bench.shed();
        assert_eq!(bench.until(AT_EASE, 60), (Verdict::Restore, 30));
    }

    #[test]
    fn an_encoder_that_makes_nothing_hangs() {
        let mut bench = Bench::new();
        let stuck = Look { lag_ms: 4_000, made: false, dropped: false };
        assert_eq!(bench.until(stuck, 60), (Verdict::Hangs, 10), "it may take its time for the first picture");
        bench.judge.begin(bench.now);
        assert_eq!(bench.until(AT_EASE, 2), (Verdict::GoOn, 2));
        assert_eq!(bench.until(stuck, 60), (Verdict::Hangs, 3));
        // Pictures are dropped before one that stands still; it hangs all the same, or is too slow when it goes on.
        bench.judge.begin(bench.now);
        assert_eq!(bench.until(AT_EASE, 7).0, Verdict::GoOn);
        assert_eq!(bench.until(Look { dropped: true, ..stuck }, 2).0, Verdict::GoOn);
        assert_eq!(bench.until(AT_EASE, 1).0, Verdict::Shed);
        // Without input there is nothing to make.
        bench.judge.begin(bench.now);
        assert_eq!(bench.until(Look { made: false, ..AT_EASE }, 60), (Verdict::GoOn, 60));
    }
}
