//! The bus' clock: wall-clock time and waiting for it.

use async_trait::async_trait;
use headwater_model::Timestamp;
use std::time::Duration;

/// Where the matcher and the delivery worker get the time from.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// The present time.
    fn now(&self) -> Timestamp;

    /// Returns when it is `at` or later. Cancel-safe.
    async fn sleep_until(&self, at: Timestamp);
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// The wall clock can be set; a sleep looks at it at least this often.
const SLICE: Duration = Duration::from_secs(60);

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep_until(&self, at: Timestamp) {
        loop {
            let left = at.since_ms(self.now());
            let Ok(left) = u64::try_from(left) else { return };
            if left == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(left).min(SLICE)).await;
        }
    }
}

#[cfg(test)]
pub(crate) mod manual {
    //! A clock that goes when a test says so.

    use super::*;
    use tokio::sync::watch;

    pub(crate) struct ManualClock {
        now: watch::Sender<Timestamp>,
    }

    impl ManualClock {
        pub(crate) fn at(now: Timestamp) -> Self {
            ManualClock { now: watch::Sender::new(now) }
        }

        pub(crate) fn advance_ms(&self, ms: i64) {
            self.now.send_modify(|now| *now = now.plus_ms(ms));
        }
    }

    #[async_trait]
    impl Clock for ManualClock {
        fn now(&self) -> Timestamp {
            *self.now.borrow()
        }

        async fn sleep_until(&self, at: Timestamp) {
            let _ = self.now.subscribe().wait_for(|now| *now >= at).await;
        }
    }
}
