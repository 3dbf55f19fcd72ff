//! How many watch each stream, and how they fare.
//!
//! A viewer is a playback session, not a request: the session in a private channel's URLs; else the player's own (CMCD `sid`); else the one
//! that the multivariant playlist gave it in the query of its media playlists (`v`); else, for a player that dropped that, its address and
//! user agent. Requests leave their time in one of several small tables; [`Viewers::publish`] counts, and lets go of who is silent.
//!
//! What players tell is heard of known viewers only, and believed only as far as it can be true: nobody stalls for longer than time passes.
//!
//! | module | what stands there |
//! |---|---|
//! | `seen` | one viewer |
//! | `sums` | a stream's viewers together |

mod seen;
mod sums;

use crate::Countries;
use crate::cmcd::Told;
use headwater_live::{Hub, LiveStream, Troubles};
use headwater_model::measure::Counter;
use seen::{Figures, Seen};
use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::{BuildHasher as _, Hash};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use sums::Minute;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Viewers that are remembered, of all streams; about 10 MB. Further ones are served and not counted.
pub const REMEMBERED_MAX: usize = 100_000;
/// Viewers that are let in, of all streams, unless the configuration says otherwise (service quota "concurrent views").
pub const VIEWS_MAX: usize = 15_000;
/// A viewer who has asked for nothing for so long is gone. Longer than any wait for a part, shorter than the minute that IVS takes.
const GONE_AFTER: Duration = Duration::from_secs(30);
/// How often counts are published. With it a viewer shows within 5 s and is gone within 35 s.
const PUBLISH_EVERY: Duration = Duration::from_secs(5);
/// Tables, so that requests seldom meet at one lock.
const TABLES: usize = 16;

/// Who watches. Clones share one.
#[derive(Clone)]
pub struct Viewers(Arc<Inner>);

struct Inner {
    tables: [Mutex<HashMap<u64, Seen>>; TABLES],
    /// By stream session; only of live ones.
    minutes: Mutex<HashMap<String, Minute>>,
    hasher: RandomState,
    remembered: AtomicUsize,
    views_max: usize,
    turned_away: watch::Sender<u64>,
    told: Totals,
}

/// What players told since the server began.
#[derive(Debug, Default)]
pub struct Totals {
    /// Beacons of viewers.
    pub beacons: Counter,
    /// Beacons of nobody who is known.
    pub beacons_ignored: Counter,
    /// How often pictures stood still.
    pub stalls: Counter,
    /// How long pictures stood still, milliseconds.
    pub stalled_ms: Counter,
    /// Pictures that came too late to be shown.
    pub dropped_frames: Counter,
}

/// A request of a viewer.
pub(crate) struct Asked<'a> {
    /// The rendition whose playlist it is for.
    pub(crate) rendition: Option<&'a str>,
    /// What it tells.
    pub(crate) told: Told,
    /// Where it comes from, looked up for those who are new only.
    pub(crate) address: Option<IpAddr>,
    pub(crate) countries: &'a Countries,
}

impl Asked<'_> {
    fn country(&self) -> Option<[u8; 2]> {
        self.countries.country(self.address?)?.into_bytes().try_into().ok()
    }
}

/// Whether somebody who was not known becomes a viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Newcomer {
    /// Yes.
    Counts,
    /// No: who made that name up?
    IsNobody,
}

impl Viewers {
    /// Nobody yet; so many may watch at once.
    pub fn new(views_max: usize) -> Self {
        Viewers(Arc::new(Inner {
            tables: Default::default(),
            minutes: Mutex::default(),
            hasher: RandomState::new(),
            remembered: AtomicUsize::new(0),
            views_max: views_max.min(REMEMBERED_MAX),
            turned_away: watch::Sender::new(0),
            told: Totals::default(),
        }))
    }

    /// How many may watch at once.
    pub fn views_max(&self) -> usize {
        self.0.views_max
    }

    /// What players told so far.
    pub fn told(&self) -> &Totals {
        &self.0.told
    }

    /// How many were sent away because as many watched as may.
    pub fn turned_away(&self) -> watch::Receiver<u64> {
        self.0.turned_away.subscribe()
    }

    /// Whether as many watch as may, so that whoever comes is sent away.
    pub(crate) fn turns_away(&self) -> bool {
        let is_full = self.is_full();
        if is_full {
            self.0.turned_away.send_modify(|count| *count += 1);
        }
        is_full
    }

    fn is_full(&self) -> bool {
        self.0.remembered.load(Ordering::Relaxed) >= self.0.views_max
    }

    /// Whether a number is a viewer's.
    pub(crate) fn knows(&self, number: u64) -> bool {
        self.table(number).contains_key(&number)
    }

    /// A viewer session asked for something of a stream.
    pub(crate) fn note(&self, stream: &Arc<LiveStream>, number: u64, asked: &Asked<'_>) {
        self.note_if(stream, number, asked, || Newcomer::Counts);
    }

    /// As [`Viewers::note`], for a number that counts only if it is known already or `newcomer` says so. Whether it counts.
    pub(crate) fn note_if(
        &self,
        stream: &Arc<LiveStream>,
        number: u64,
        asked: &Asked<'_>,
        newcomer: impl FnOnce() -> Newcomer,
    ) -> bool {
        let now = Instant::now();
        let rendition = asked.rendition.map(|name| self.number(name));
        let mut table = self.table(number);
        let seen = match table.entry(number) {
            Entry::Occupied(seen) => seen.into_mut(),
            Entry::Vacant(place) => {
                if newcomer() == Newcomer::IsNobody {
                    return false;
                }
                if self.0.remembered.fetch_add(1, Ordering::Relaxed) >= REMEMBERED_MAX {
                    self.0.remembered.fetch_sub(1, Ordering::Relaxed);
                    return true;
                }
                place.insert(Seen::new(Arc::downgrade(stream), now, asked.country()))
            }
        };
        seen.at = now;
        seen.rendition = rendition.or(seen.rendition);
        let new = seen.hear(&asked.told, now);
        drop(table);
        if new != Troubles::default() {
            self.0.told.stalls.add(new.stalls);
            self.0.told.stalled_ms.add(new.stalled_ms);
            self.0.told.dropped_frames.add(new.dropped_frames);
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
        let mut watched: HashMap<*const LiveStream, (Vec<Figures>, Troubles)> = HashMap::new();
        for table in &self.0.tables {
            let mut table = lock(table);
            let before = table.len();
            table.retain(|_, seen| {
                let stays = now.duration_since(seen.at) < GONE_AFTER && seen.stream.strong_count() > 0;
                let (figures, troubles) = seen.take(now);
                let (viewers, sum) = watched.entry(seen.stream.as_ptr()).or_default();
                // What a viewer told last counts also if it is gone.
                *sum = sum.and(troubles);
                if stays {
                    viewers.push(figures);
                }
                stays
            });
            self.0.remembered.fetch_sub(before - table.len(), Ordering::Relaxed);
        }
        let mut minutes = lock(&self.0.minutes);
        let mut still = HashMap::with_capacity(minutes.len());
        for stream in hub.streams() {
            let (viewers, troubles) = watched.remove(&Arc::as_ptr(&stream)).unwrap_or_default();
            let mut minute = minutes.remove(&stream.stream_id).unwrap_or_default();
            let names = stream.rendition_names().into_iter().map(|name| (self.number(name.as_str()), name));
            let names: Vec<(u64, String)> = names.collect();
            stream.show_audience(sums::audience(&viewers, &names, minute.add(troubles)));
            still.insert(stream.stream_id.clone(), minute);
        }
        *minutes = still;
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

/// Nothing spans two steps under these locks, so a panic elsewhere does not spoil them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
