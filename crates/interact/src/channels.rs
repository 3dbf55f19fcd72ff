//! The snapshot of each channel that somebody looks at: which poll is open, and how its answers stand.

use headwater_model::poll::{OpenPoll, Poll};
use headwater_store::{Error, Store, find};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OnceCell, watch};

/// Channels kept in memory beyond those in use. When there are more, those that nobody looks at are forgotten: they
/// are read again when somebody does.
const IDLE_CHANNELS_MAX: usize = 1024;

/// A poll and how its answers stand.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The poll.
    pub poll: Arc<Poll>,
    /// Answers by choice.
    pub tally: Vec<u64>,
}

impl Standing {
    /// Answers in all.
    pub fn total(&self) -> u64 {
        self.tally.iter().sum()
    }
}

/// What a channel's viewers see: its newest poll, open or just closed.
pub type Snapshot = Option<Arc<Standing>>;

/// One channel in memory.
pub(crate) struct Channel {
    snapshot: watch::Sender<Snapshot>,
    /// Held while a poll is opened or closed.
    pub(crate) change: tokio::sync::Mutex<()>,
}

impl Channel {
    pub(crate) fn subscribe(&self) -> watch::Receiver<Snapshot> {
        self.snapshot.subscribe()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.snapshot.borrow().clone()
    }

    /// Shows a poll to everybody.
    pub(crate) fn show(&self, standing: Standing) {
        self.snapshot.send_replace(Some(Arc::new(standing)));
    }

    /// Counts an answer that was just stored, if its poll is the one that is shown.
    pub(crate) fn count(&self, poll: &str, choice: u32) {
        self.snapshot.send_if_modified(|snapshot| {
            let Some(current) = snapshot.as_ref().filter(|current| current.poll.id == poll) else { return false };
            let mut next = Standing::clone(current);
            let Some(count) = next.tally.get_mut(choice as usize) else { return false };
            *count += 1;
            *snapshot = Some(Arc::new(next));
            true
        });
    }

    /// Marks the shown poll as closed.
    pub(crate) fn close(&self, closed: Poll) {
        self.snapshot.send_if_modified(|snapshot| {
            let Some(current) = snapshot.as_ref().filter(|current| current.poll.id == closed.id) else { return false };
            *snapshot = Some(Arc::new(Standing { poll: Arc::new(closed), tally: current.tally.clone() }));
            true
        });
    }
}

/// All channels in memory.
#[derive(Default)]
pub(crate) struct Channels {
    by_arn: Mutex<HashMap<String, Arc<OnceCell<Arc<Channel>>>>>,
}

impl Channels {
    /// A channel, read from the store if it is not in memory. Whoever counts an answer holds it from before the
    /// answer is stored: no tally is read in between, so nothing is counted twice.
    pub(crate) async fn of(&self, store: &dyn Store, arn: &str) -> Result<Arc<Channel>, Error> {
        let cell = {
            let mut by_arn = self.by_arn.lock().unwrap_or_else(PoisonError::into_inner);
            if by_arn.len() >= IDLE_CHANNELS_MAX && !by_arn.contains_key(arn) {
                by_arn.retain(|_, cell| {
                    Arc::strong_count(cell) > 1
                        || cell.get().is_some_and(|channel| {
                            Arc::strong_count(channel) > 1 || channel.snapshot.receiver_count() > 0
                        })
                });
            }
            by_arn.entry(arn.to_owned()).or_default().clone()
        };
        let channel = cell.get_or_try_init(|| async { load(store, arn).await.map(Arc::new) }).await?;
        Ok(channel.clone())
    }
}

async fn load(store: &dyn Store, arn: &str) -> Result<Channel, Error> {
    let mut shown = None;
    if let Some(OpenPoll { poll: Some(id), .. }) = find::<OpenPoll>(store, arn).await?
        && let Some(poll) = find::<Poll>(store, &id).await?
    {
        let tally = tally(store, &poll).await?;
        shown = Some(Arc::new(Standing { poll: Arc::new(poll), tally }));
    }
    Ok(Channel { snapshot: watch::Sender::new(shown), change: tokio::sync::Mutex::new(()) })
}

/// How the answers to a poll stand, from the store.
pub(crate) async fn tally(store: &dyn Store, poll: &Poll) -> Result<Vec<u64>, Error> {
    let mut tally = vec![0; poll.question.answers.len()];
    for (choice, count) in store.tally(&poll.id).await? {
        if let Some(slot) = tally.get_mut(choice as usize) {
            *slot = count;
        }
    }
    Ok(tally)
}
