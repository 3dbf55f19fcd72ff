//! Who waits for which change.

use crate::Topic;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Topics are looked through for ones that nobody watches any more when there are this many, and then whenever their
/// number has doubled: the map is at most twice as large as what is watched.
const SWEEP_AT: usize = 256;

#[derive(Default)]
pub(super) struct Topics {
    watched: Mutex<Watched>,
}

#[derive(Default)]
struct Watched {
    senders: HashMap<Topic, watch::Sender<u64>>,
    /// Sizes at or above this are swept first.
    sweep_at: usize,
}

impl Topics {
    pub(super) fn watch(&self, topic: Topic) -> watch::Receiver<u64> {
        let mut watched = self.lock();
        if watched.senders.len() >= watched.sweep_at.max(SWEEP_AT) {
            watched.senders.retain(|_, sender| sender.receiver_count() > 0);
            watched.sweep_at = watched.senders.len() * 2;
        }
        watched.senders.entry(topic).or_default().subscribe()
    }

    pub(super) fn bump(&self, topics: &[Topic]) {
        let mut watched = self.lock();
        for topic in topics {
            if let Some(sender) = watched.senders.get(topic) {
                if sender.receiver_count() == 0 {
                    watched.senders.remove(topic);
                } else {
                    sender.send_modify(|number| *number = number.wrapping_add(1));
                }
            }
        }
    }

    /// The map is whole at each step, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_that_nobody_watches_are_forgotten() {
        let topics = Topics::default();
        let kept = topics.watch(Topic::Poll("kept".into()));
        for n in 0..10 * SWEEP_AT {
            drop(topics.watch(Topic::Poll(n.to_string())));
        }
        assert!(topics.lock().senders.len() <= SWEEP_AT);
        topics.bump(&[Topic::Poll("kept".into())]);
        assert!(kept.has_changed().expect("the sender is in the map"));
    }
}
