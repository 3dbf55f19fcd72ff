//! How many watch each stream, and how they fare.
//!
//! A viewer is a playback session, not a request: the session in a private channel's URLs; else the player's own (CMCD `sid`); else the one
//! that the multivariant playlist gave it in the query of its media playlists (`v`); else, for a player that dropped that, its address and
//! user agent. Requests leave their time in one of several small tables; [`Viewers::publish`] counts, and lets go of who is silent.

use crate::cmcd::Told;
use headwater_live::{Audience, Hub, LiveStream};
use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::{BuildHasher as _, Hash};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Viewers that are remembered, of all streams; about 10 MB. Further ones are served and not counted.
pub const REMEMBERED_MAX: usize = 100_000;
/// Viewers that are let in, of all streams, unless the configuration says otherwise (service quota "concurrent views").
pub const VIEWS_MAX: usize = 15_000;
/// A viewer who has asked for nothing for so long is gone. Longer than any wait for a part, shorter than the minute that IVS takes.
const GONE_AFTER: Duration = Duration::from_secs(30);
/// What a viewer told counts for so long: three beacons.
const MEASURED_FOR: Duration = Duration::from_secs(30);
/// How often counts are published. With it a viewer shows within 5 s and is gone within 35 s.
const PUBLISH_EVERY: Duration = Duration::from_secs(5);
/// Tables, so that requests seldom meet at one lock.
const TABLES: usize = 16;

/// Who watches. Clones share one.
#[derive(Clone)]
pub struct Viewers(Arc<Inner>);

struct Inner {
    tables: [Mutex<HashMap<u64, Seen>>; TABLES],
    hasher: RandomState,
    remembered: AtomicUsize,
    views_max: usize,
}

/// A viewer.
struct Seen {
    stream: Weak<LiveStream>,
    at: Instant,
    told: Option<Measured>,
    stalled_at: Option<Instant>,
}

/// What a viewer told last.
#[derive(Clone, Copy, Default)]
struct Measured {
    at: Option<Instant>,
    latency_ms: Option<u32>,
    bitrate_kbps: Option<u32>,
}

impl Viewers {
    /// Nobody yet; so many may watch at once.
    pub fn new(views_max: usize) -> Self {
        Viewers(Arc::new(Inner {
            tables: Default::default(),
            hasher: RandomState::new(),
            remembered: AtomicUsize::new(0),
            views_max: views_max.min(REMEMBERED_MAX),
        }))
    }

    /// Whether as many watch as may.
    pub(crate) fn is_full(&self) -> bool {
        self.0.remembered.load(Ordering::Relaxed) >= self.0.views_max
    }

    /// A viewer session asked for something of a stream.
    pub(crate) fn note(&self, stream: &Arc<LiveStream>, number: u64, told: Told) {
        self.note_if(stream, number, told, || true);
    }

    /// As [`Viewers::note`], for a number that counts only if it is known already or `is_good` says so.
    pub(crate) fn note_if(
        &self,
        stream: &Arc<LiveStream>,
        number: u64,
        told: Told,
        is_good: impl FnOnce() -> bool,
    ) -> bool {
        let now = Instant::now();
        let mut table = self.table(number);
        let seen = match table.entry(number) {
            Entry::Occupied(seen) => seen.into_mut(),
            Entry::Vacant(place) => {
                if !is_good() {
                    return false;
                }
                if self.0.remembered.fetch_add(1, Ordering::Relaxed) >= REMEMBERED_MAX {
                    self.0.remembered.fetch_sub(1, Ordering::Relaxed);
                    return true;
                }
                place.insert(Seen { stream: Arc::downgrade(stream), at: now, told: None, stalled_at: None })
            }
        };
        seen.at = now;
        if told.stalled {
            seen.stalled_at = Some(now);
        }
        if told.measures() {
            let measured = seen.told.get_or_insert_default();
            measured.at = Some(now);
            measured.latency_ms = told.latency_ms.or(measured.latency_ms);
            measured.bitrate_kbps = told.bitrate_kbps.or(measured.bitrate_kbps);
        }
        true
    }

    /// A number for a viewer that has no session of ours, by what tells it from others.
    pub(crate) fn number(&self, of: impl Hash) -> u64 {
        self.0.hasher.hash_one(of)
    }

    fn table(&self, number: u64) -> MutexGuard<'_, HashMap<u64, Seen>> {
        let index = usize::try_from(number % TABLES as u64).unwrap_or_default();
        lock(&self.0.tables[index])
    }

    /// Counts, publishes to each live stream, forgets who is gone.
    pub fn publish(&self, hub: &Hub) {
        let now = Instant::now();
        let mut watched: HashMap<*const LiveStream, Vec<(Measured, bool)>> = HashMap::new();
        let is_recent = |at: Option<Instant>| at.is_some_and(|at| now.duration_since(at) < MEASURED_FOR);
        for table in &self.0.tables {
            let mut table = lock(table);
            let before = table.len();
            table.retain(|_, seen| now.duration_since(seen.at) < GONE_AFTER && seen.stream.strong_count() > 0);
            self.0.remembered.fetch_sub(before - table.len(), Ordering::Relaxed);
            for seen in table.values() {
                let told = seen.told.filter(|told| is_recent(told.at)).unwrap_or_default();
                watched.entry(seen.stream.as_ptr()).or_default().push((told, is_recent(seen.stalled_at)));
            }
        }
        for stream in hub.streams() {
            let viewers = watched.remove(&Arc::as_ptr(&stream)).unwrap_or_default();
            stream.show_audience(audience(&viewers));
        }
    }

    /// Publishes until cancelled.
    pub async fn run(self, hub: Hub, cancel: CancellationToken) {
        let mut tick = tokio::time::interval(PUBLISH_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut was_full = false;
        loop {
            tokio::select! {
                _ = tick.tick() => self.publish(&hub),
                () = cancel.cancelled() => return,
            }
            if self.is_full() && !was_full {
                tracing::warn!(views = self.0.views_max, "as many viewers watch as may; further ones are sent away");
            }
            was_full = self.is_full();
        }
    }
}

fn audience(viewers: &[(Measured, bool)]) -> Audience {
    let measured = viewers.iter().filter(|(told, _)| told.at.is_some());
    let sorted = |of: fn(&Measured) -> Option<u32>| {
        let mut values: Vec<u32> = viewers.iter().filter_map(|(told, _)| of(told)).collect();
        values.sort_unstable();
        values
    };
    let latencies = sorted(|told| told.latency_ms);
    let bitrates = sorted(|told| told.bitrate_kbps);
    Audience {
        viewers: viewers.len() as u64,
        measured: measured.clone().count() as u64,
        stalled: measured.filter(|(_, stalled)| *stalled).count() as u64,
        latency_p50_ms: percentile(&latencies, 50),
        latency_p95_ms: percentile(&latencies, 95),
        bitrate_p50_bps: percentile(&bitrates, 50).map(|kbps| u64::from(kbps) * 1000),
    }
}

/// The value that so many of a hundred do not exceed ("nearest rank").
fn percentile(sorted: &[u32], hundredths: usize) -> Option<u32> {
    let rank = (sorted.len() * hundredths).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

/// Nothing spans two steps under these locks, so a panic elsewhere does not spoil them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_told() {
        assert_eq!(percentile(&[], 50), None);
        assert_eq!(percentile(&[7], 95), Some(7));
        let hundred: Vec<u32> = (1..=100).collect();
        assert_eq!((percentile(&hundred, 50), percentile(&hundred, 95)), (Some(50), Some(95)));
    }

    #[test]
    fn those_that_tell_nothing_are_counted_and_not_measured() {
        let at = Some(Instant::now());
        let viewers = [
            (Measured { at, latency_ms: Some(1500), bitrate_kbps: Some(3000) }, false),
            (Measured { at, latency_ms: Some(2500), bitrate_kbps: None }, true),
            (Measured::default(), false),
        ];
        let expected = Audience {
            viewers: 3,
            measured: 2,
            stalled: 1,
            latency_p50_ms: Some(1500),
            latency_p95_ms: Some(2500),
            bitrate_p50_bps: Some(3_000_000),
        };
        assert_eq!(audience(&viewers), expected);
    }
}
