//! Reads the event log as it grows.

use headwater_model::event::Event;
use headwater_store::{Error, Store, Topic};
use std::sync::Arc;
use tokio::sync::watch;

/// Events that are read at once.
const EVENTS_PER_READ: u32 = 200;

/// A reader of the event log that waits at its end.
pub struct Follow {
    store: Arc<dyn Store>,
    grown: watch::Receiver<u64>,
    after: u64,
}

impl Follow {
    /// Begins after the event with this number; 0 begins at the first that is kept.
    pub fn new(store: Arc<dyn Store>, after: u64) -> Self {
        let grown = store.watch(Topic::Events);
        Follow { store, grown, after }
    }

    /// The next events with their numbers, at least one. Waits for it if need be. Cancel-safe.
    ///
    /// # Errors
    /// As [`Store::events`]; the next call tries again.
    pub async fn next(&mut self) -> Result<Vec<(u64, Event)>, Error> {
        loop {
            self.grown.mark_unchanged();
            let events = self.store.events(self.after, EVENTS_PER_READ).await?;
            if let Some((seq, _)) = events.last() {
                self.after = *seq;
                return Ok(events);
            }
            if self.grown.changed().await.is_err() {
                // The store forgot who watches: watch anew.
                self.grown = self.store.watch(Topic::Events);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step is a failing test")]
    use super::*;
    use headwater_model::Timestamp;
    use headwater_store::{Batch, SqliteStore};
    use serde_json::json;

    #[tokio::test]
    async fn what_is_appended_while_it_waits_is_seen_in_order() {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::in_memory().await.unwrap());
        let mut follow = Follow::new(Arc::clone(&store), 0);
        let reader = tokio::spawn(async move {
            let mut seen = Vec::new();
            while seen.len() < 50 {
                seen.extend(follow.next().await.unwrap().into_iter().map(|(seq, _)| seq));
            }
            seen
        });
        for _ in 0..50 {
            let mut batch = Batch::new();
            batch.event(crate::event("s", "t", vec![], json!({}), Timestamp(1)));
            store.commit(batch).await.unwrap();
        }
        assert_eq!(reader.await.unwrap(), (1..=50).collect::<Vec<u64>>());
    }
}
