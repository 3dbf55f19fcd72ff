//! What was read from the store, kept until a record of a kind that it was read from changes.
//!
//! The store tells a change before the commit is acknowledged ([`Store::watch`]), so whoever was told that a key is
//! deleted or a policy changed finds no older answer here.

use crate::Error;
use headwater_store::{Store, Topic};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Values by name, at most so many; when there are more, all are forgotten and read again as they are asked for.
pub(crate) struct Cache<V> {
    watched: Vec<watch::Receiver<u64>>,
    entries_max: usize,
    kept: Mutex<Kept<V>>,
}

struct Kept<V> {
    /// The changes that had been told when the first of the values was read.
    seen: u64,
    values: HashMap<String, Arc<V>>,
}

impl<V> Cache<V> {
    /// A cache of what is made of records of these kinds.
    pub(crate) fn new(store: &dyn Store, kinds: &[&str], entries_max: usize) -> Self {
        Cache {
            watched: kinds.iter().map(|kind| store.watch(Topic::Kind((*kind).into()))).collect(),
            entries_max,
            kept: Mutex::new(Kept { seen: 0, values: HashMap::new() }),
        }
    }

    /// The value of this name: the kept one, else what `read` answers, which is kept if it is something.
    pub(crate) async fn read<F>(&self, name: &str, read: F) -> Result<Option<Arc<V>>, Error>
    where
        F: Future<Output = Result<Option<V>, Error>>,
    {
        let seen = self.seen();
        {
            let kept = self.lock();
            if kept.seen == seen
                && let Some(value) = kept.values.get(name)
            {
                return Ok(Some(Arc::clone(value)));
            }
        }
        let Some(value) = read.await?.map(Arc::new) else { return Ok(None) };
        let mut kept = self.lock();
        if kept.seen != seen || kept.values.len() >= self.entries_max {
            kept.values.clear();
        }
        // What was read before a change was told must not outlive the change: it is kept under the older number, which
        // the next question does not take.
        kept.seen = seen;
        kept.values.insert(name.into(), Arc::clone(&value));
        Ok(Some(value))
    }

    /// How many changes were told. Each of the numbers only grows, so their sum is another one after each change.
    fn seen(&self) -> u64 {
        self.watched.iter().fold(0, |sum, watched| sum.wrapping_add(*watched.borrow()))
    }

    /// The map is whole at each step, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Kept<V>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use headwater_model::iam::{AccessKey, Principal};
    use headwater_model::{Secret, Timestamp};
    use headwater_store::{Batch, Document, SqliteStore};
    use std::sync::atomic::{AtomicUsize, Ordering};

    async fn read(cache: &Cache<usize>, reads: &AtomicUsize, name: &str) -> usize {
        let read = async { Ok(Some(reads.fetch_add(1, Ordering::Relaxed))) };
        *cache.read(name, read).await.unwrap().unwrap()
    }

    async fn change(store: &SqliteStore) {
        let mut batch = Batch::new();
        batch.put(&AccessKey::new("AKIA", Secret::new("s"), Principal::Root, Timestamp(0))).unwrap();
        store.commit(batch).await.unwrap();
    }

    #[tokio::test]
    async fn a_value_is_read_once_until_a_record_of_its_kind_changes() {
        let store = SqliteStore::in_memory().await.unwrap();
        let cache = Cache::new(&store, &[AccessKey::KIND, "role"], 2);
        let reads = AtomicUsize::new(0);
        assert_eq!((read(&cache, &reads, "a").await, read(&cache, &reads, "a").await), (0, 0));
        assert_eq!((read(&cache, &reads, "b").await, read(&cache, &reads, "a").await), (1, 0));
        change(&store).await;
        assert_eq!((read(&cache, &reads, "a").await, read(&cache, &reads, "a").await), (2, 2));
        assert_eq!(read(&cache, &reads, "b").await, 3);
        assert_eq!(read(&cache, &reads, "c").await, 4, "a third one: there is no room, all are forgotten");
        assert_eq!(read(&cache, &reads, "a").await, 5);
        assert!(cache.lock().values.len() <= 2);
    }

    #[tokio::test]
    async fn what_was_read_before_a_change_is_not_kept_past_it() {
        let store = SqliteStore::in_memory().await.unwrap();
        let cache = Cache::new(&store, &[AccessKey::KIND], 8);
        let slow = async {
            change(&store).await;
            Ok(Some(1))
        };
        assert_eq!(*cache.read("a", slow).await.unwrap().unwrap(), 1);
        assert_eq!(*cache.read("a", async { Ok(Some(2)) }).await.unwrap().unwrap(), 2);
        assert_eq!(*cache.read("a", async { Ok(Some(3)) }).await.unwrap().unwrap(), 2);
    }

    #[tokio::test]
    async fn nothing_is_not_kept() {
        let store = SqliteStore::in_memory().await.unwrap();
        let cache: Cache<usize> = Cache::new(&store, &["role"], 8);
        assert_eq!(cache.read("a", async { Ok(None) }).await.unwrap(), None);
        assert_eq!(cache.read("a", async { Ok(Some(2)) }).await.unwrap().as_deref(), Some(&2));
    }
}
