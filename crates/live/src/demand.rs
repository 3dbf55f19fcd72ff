//! Who wants a rendition: requests leave their time here, and ring when it sleeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Nobody has asked yet.
const NEVER: u64 = u64::MAX;

/// When a rendition was last asked for. Viewers' requests write it, the session reads it; neither waits for the other.
#[derive(Debug)]
pub(crate) struct Demand {
    began: Instant,
    /// Milliseconds after `began`, or [`NEVER`].
    last_ms: AtomicU64,
    asleep: AtomicBool,
    /// Wakes the session. All renditions of a stream ring the same.
    bell: Arc<Notify>,
}

impl Demand {
    /// Of a rendition that sleeps.
    pub(crate) fn new(bell: Arc<Notify>) -> Self {
        Demand { began: Instant::now(), last_ms: AtomicU64::new(NEVER), asleep: AtomicBool::new(true), bell }
    }

    /// Somebody asks. A few atomic steps: it stands in the way of each request.
    pub(crate) fn note(&self) {
        let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(NEVER - 1);
        // Sequentially consistent, as is `try_sleep`: one of the two sees what the other did.
        self.last_ms.store(now_ms, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) {
            self.bell.notify_one();
        }
    }

    /// Whether somebody asked within the time given.
    pub(crate) fn is_wanted(&self, linger: Duration) -> bool {
        let last_ms = self.last_ms.load(Ordering::SeqCst);
        last_ms != NEVER && self.began.elapsed() <= Duration::from_millis(last_ms).saturating_add(linger)
    }

    /// From now on a request rings, unless one came within the time given: then it is `false`, and nothing has changed.
    #[must_use]
    pub(crate) fn try_sleep(&self, linger: Duration) -> bool {
        self.asleep.store(true, Ordering::SeqCst);
        let sleeps = !self.is_wanted(linger);
        self.asleep.store(sleeps, Ordering::SeqCst);
        sleeps
    }

    /// From now on a request rings.
    pub(crate) fn sleep(&self) {
        self.asleep.store(true, Ordering::SeqCst);
    }

    /// From now on a request leaves its time only.
    pub(crate) fn wake(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINGER: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_request_counts_for_as_long_as_viewers_take_to_ask_again() {
        let demand = Demand::new(Arc::default());
        demand.wake();
        assert!(!demand.is_wanted(LINGER), "nobody has asked");
        demand.note();
        tokio::time::advance(LINGER).await;
        assert!(demand.is_wanted(LINGER));
        assert!(!demand.try_sleep(LINGER));
        tokio::time::advance(Duration::from_millis(2)).await;
        assert!(!demand.is_wanted(LINGER));
        assert!(demand.try_sleep(LINGER));
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_sleeping_rendition_rings_and_the_ring_is_kept() {
        let bell = Arc::new(Notify::new());
        let demand = Demand::new(Arc::clone(&bell));
        let rings = || tokio::time::timeout(Duration::from_secs(1), bell.notified());
        demand.note();
        assert!(rings().await.is_ok(), "it sleeps at first");
        demand.wake();
        demand.note();
        assert!(rings().await.is_err());
        tokio::time::advance(LINGER * 2).await;
        assert!(demand.try_sleep(LINGER));
        demand.note();
        demand.note();
        assert!(rings().await.is_ok(), "rung before anybody listened");
        demand.wake();
        demand.note();
        assert!(rings().await.is_err());
    }
}
