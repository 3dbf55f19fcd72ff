//! Counts and durations, kept where they arise and read when somebody asks for them.
//!
//! Nothing here knows a name, a label or a text format: whoever makes a page of metrics gives them.

use std::sync::atomic::{AtomicU64, Ordering};

/// A count that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Upper bounds of a [`Durations`]' buckets, microseconds: from half a millisecond to a minute. What took longer is in a
/// bucket of its own.
pub const BOUNDS_US: [u64; 14] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000, 15_000_000,
    60_000_000,
];

/// How long things took: counted by [`BOUNDS_US`], and summed.
#[derive(Debug, Default)]
pub struct Durations {
    buckets: [Counter; BOUNDS_US.len() + 1],
    sum_us: Counter,
}

/// What a [`Durations`] has counted so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DurationsRead {
    /// By bucket, each without those below; the last is above every bound.
    pub buckets: [u64; BOUNDS_US.len() + 1],
    /// The sum, microseconds.
    pub sum_us: u64,
}

impl Durations {
    /// Counts one that took so many microseconds.
    pub fn note_us(&self, took_us: u64) {
        let at = BOUNDS_US.partition_point(|bound| *bound < took_us);
        self.buckets[at].increment();
        self.sum_us.add(took_us);
    }

    /// What was counted so far. Counts that arrive meanwhile may be in one figure and not yet in another.
    pub fn read(&self) -> DurationsRead {
        let mut buckets = [0; BOUNDS_US.len() + 1];
        for (bucket, counter) in buckets.iter_mut().zip(&self.buckets) {
            *bucket = counter.count();
        }
        DurationsRead { buckets, sum_us: self.sum_us.count() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_that_holds_it() {
        let durations = Durations::default();
        for took_us in [0, 500, 501, 60_000_000, 60_000_001] {
            durations.note_us(took_us);
        }
        let read = durations.read();
        assert_eq!((read.buckets[0], read.buckets[1], read.buckets[13], read.buckets[14]), (2, 1, 1, 1));
        assert_eq!(read.sum_us, 120_001_002);
    }
}
