//! The bus' two loops, put together.

use crate::delivery::Worker;
use crate::matcher::Matcher;
use crate::{Clock, Deliver, SystemClock};
use headwater_model::Realm;
use headwater_store::Store;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How deliveries are made.
#[derive(Clone, Debug)]
pub struct Options {
    /// Deliveries at a time; more wait in their queue, which is durable.
    pub concurrency: usize,
    /// A target that has not answered in this time is tried again.
    pub delivery_timeout_ms: i64,
    /// Wait after the first failed try; it doubles with each further one.
    pub retry_ms_min: i64,
    /// Longest wait between tries. 185 tries at ten minutes and less fill the day that events are retried.
    pub retry_ms_max: i64,
    /// How long deliveries under way may take to end when the bus is stopped.
    pub drain_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            concurrency: 64,
            delivery_timeout_ms: 60_000,
            retry_ms_min: 1_000,
            retry_ms_max: 600_000,
            drain_timeout: Duration::from_secs(5),
        }
    }
}

/// What matches events and delivers them.
pub struct Bus {
    matcher: Matcher,
    worker: Worker,
}

impl Bus {
    /// Puts it together; nothing happens before [`Bus::run`]. There must be one for a store.
    pub fn new(
        store: Arc<dyn Store>,
        realm: Realm,
        deliver: Arc<dyn Deliver>,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Self {
        let matcher = Matcher::new(Arc::clone(&store), realm, Arc::clone(&clock));
        Bus { matcher, worker: Worker::new(store, deliver, clock, options) }
    }

    /// Runs until cancelled, then lets deliveries under way end for a while. Dropping it is safe too: what was under
    /// way is repeated by the next run.
    pub async fn run(self, cancel: CancellationToken) {
        tokio::join!(self.matcher.run(cancel.clone()), self.worker.run(cancel));
    }
}

/// Runs a bus on the system's clock with the default options.
pub async fn run(store: Arc<dyn Store>, realm: Realm, deliver: Arc<dyn Deliver>, cancel: CancellationToken) {
    Bus::new(store, realm, deliver, Arc::new(SystemClock), Options::default()).run(cancel).await;
}
