//! What is kept for a while and then removed: stream sessions, revocations.
//!
//! Each has a job that is due when its time is over, so a sweep reads only what it removes, however much is kept.

use crate::Error;
use headwater_model::Timestamp;
use headwater_model::ivs::ViewerRevocation;
use headwater_store::{Batch, Document, Expect, Store, Write};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The queue of what will be removed; part of the stored format.
const QUEUE: &str = "expiries";
/// Records removed in one commit.
const REMOVED_AT_ONCE: u32 = 500;
/// Commits of one sweep; the next one goes on. A server that was off for long catches up without holding others up.
const COMMITS_MAX: usize = 20;

/// A record that will be removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Expiry {
    /// Kind of the record.
    pub(crate) kind: String,
    /// Its id.
    pub(crate) id: String,
}

/// Has a record removed at a time.
pub(crate) fn enqueue(batch: &mut Batch, expiry: Expiry, now: Timestamp, at: Timestamp) {
    batch.enqueue(QUEUE, now, at, json!(expiry));
}

/// Removes what has had its time, a bounded number; returns how many records went.
pub(crate) async fn remove_due(store: &dyn Store, now: Timestamp) -> Result<usize, Error> {
    let mut removed = 0;
    for _ in 0..COMMITS_MAX {
        let due = store.due_jobs(QUEUE, now, REMOVED_AT_ONCE).await?;
        if due.is_empty() {
            break;
        }
        let mut batch = Batch::new();
        for job in due {
            batch.complete(job.id);
            let Ok(Expiry { kind, id }) = Expiry::deserialize(&job.body) else { continue };
            if !is_renewed(store, &kind, &id, now).await? {
                batch.writes.push(Write::Delete { kind, id, expect: Expect::Anything });
                removed += 1;
            }
        }
        store.commit(batch).await?;
    }
    Ok(removed)
}

/// Whether a record was written again since, and has another job for later.
async fn is_renewed(store: &dyn Store, kind: &str, id: &str, now: Timestamp) -> Result<bool, Error> {
    if kind != ViewerRevocation::KIND {
        return Ok(false);
    }
    let standing = headwater_store::find::<ViewerRevocation>(store, id).await?;
    Ok(standing.is_some_and(|revocation| revocation.at.plus_ms(ViewerRevocation::KEPT_MS) > now))
}
