//! Delivers stored events to a rule's targets once more.
//!
//! As EventBridge's replays: an event that is delivered again carries `replay-name`, which patterns and templates see.
//! What is enqueued is delivered at least once, like any event. A call is bounded; its answer says where the next one
//! goes on, so whoever asks may stop, and asks again after a crash.

use crate::{Pattern, PatternError, matcher};
use headwater_model::event::Rule;
use headwater_model::{Realm, Timestamp};
use headwater_store::{Batch, Store, find};

/// Events that one call reads: one commit's worth.
pub const EVENTS_PER_CALL: u32 = 500;

/// Which events are delivered again, and to which rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// Its name, as events carry it.
    pub name: String,
    /// The rule whose targets get them, if its pattern matches. Also one that is disabled: it is asked for by name.
    pub rule: String,
    /// Only events with a greater number.
    pub after: u64,
    /// Only events up to this number: what the replay itself sets off is not replayed.
    pub until: u64,
}

/// How far a call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Events that matched.
    pub matched: u64,
    /// Number of the last event that was looked at: the next call's `after`.
    pub last: u64,
    /// Whether there is more up to the replay's end.
    pub more: bool,
}

/// Why nothing is delivered again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// There is no such rule.
    #[error("rule {0} does not exist")]
    RuleMissing(String),
    /// It is a schedule.
    #[error("rule {0} has no event pattern")]
    NoPattern(String),
    /// Its pattern cannot be read.
    #[error("pattern of the rule")]
    Pattern(#[source] PatternError),
    /// The store failed.
    #[error("replay from the event log")]
    Store(#[from] headwater_store::Error),
}

/// Enqueues the deliveries of the next events of a replay, a bounded number, in their order.
///
/// # Errors
/// [`ReplayError`]; then nothing was enqueued by this call.
pub async fn replay(
    store: &dyn Store,
    realm: &Realm,
    replay: &Replay,
    now: Timestamp,
) -> Result<Progress, ReplayError> {
    let rule: Option<Rule> = find(store, &replay.rule).await?;
    let rule = rule.ok_or_else(|| ReplayError::RuleMissing(replay.rule.clone()))?;
    let pattern = rule.event_pattern.as_ref().ok_or_else(|| ReplayError::NoPattern(replay.rule.clone()))?;
    let pattern = Pattern::parse(pattern).map_err(ReplayError::Pattern)?;
    let mut batch = Batch::new();
    let mut progress = Progress { matched: 0, last: replay.after, more: false };
    let events = store.events(replay.after, EVENTS_PER_CALL).await?;
    for (seq, event) in events.iter().take_while(|(seq, _)| *seq <= replay.until) {
        progress.last = *seq;
        let mut envelope = event.envelope(realm);
        envelope["replay-name"] = replay.name.as_str().into();
        if pattern.matches(&envelope) {
            progress.matched += 1;
            matcher::enqueue(&rule, event, &envelope, now, &mut batch)?;
        }
    }
    progress.more = events.len() == EVENTS_PER_CALL as usize && progress.last < replay.until;
    if !batch.writes.is_empty() {
        store.commit(batch).await?;
    }
    Ok(progress)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step is a failing test")]
    use super::*;
    use crate::DELIVERIES;
    use headwater_model::event::{RuleState, Target};
    use headwater_store::SqliteStore;
    use serde_json::{Value, json};

    async fn store_with(events: u64, pattern: Value) -> SqliteStore {
        let store = SqliteStore::in_memory().await.unwrap();
        let rule = Rule {
            name: "r".into(),
            arn: "arn:r".into(),
            event_pattern: Some(pattern),
            description: String::new(),
            state: RuleState::Disabled,
            targets: vec![Target::new("one", "arn:one"), Target::new("two", "arn:two")],
            role_arn: None,
            managed_by: None,
            tags: Default::default(),
        };
        let mut batch = Batch::new();
        batch.insert(&rule).unwrap();
        for n in 1..=events {
            let source = if n % 2 == 0 { "even" } else { "odd" };
            batch.event(crate::event(source, "T", vec![], json!({ "n": n }), Timestamp(1_000)));
        }
        store.commit(batch).await.unwrap();
        store
    }

    fn all(after: u64, until: u64) -> Replay {
        Replay { name: "again".into(), rule: "r".into(), after, until }
    }

    #[tokio::test]
    async fn matching_events_are_delivered_again_in_order_and_say_so() {
        let store = store_with(6, json!({"source": ["even"]})).await;
        let progress = replay(&store, &Realm::default(), &all(2, 5), Timestamp(9)).await.unwrap();
        assert_eq!(progress, Progress { matched: 1, last: 5, more: false });
        let jobs = store.due_jobs(DELIVERIES, Timestamp(9), 0).await.unwrap();
        let told: Vec<_> = jobs
            .iter()
            .map(|job| {
                (&job.body["target_id"], &job.body["payload"]["detail"]["n"], &job.body["payload"]["replay-name"])
            })
            .collect();
        assert_eq!(told, [(&json!("one"), &json!(4), &json!("again")), (&json!("two"), &json!(4), &json!("again"))]);
    }

    #[tokio::test]
    async fn a_call_is_bounded_and_the_next_one_goes_on() {
        let total = u64::from(EVENTS_PER_CALL) + 7;
        let store = store_with(total, json!({"source": [{"prefix": ""}]})).await;
        let realm = Realm::default();
        let first = replay(&store, &realm, &all(0, total), Timestamp(9)).await.unwrap();
        assert_eq!(first, Progress { matched: EVENTS_PER_CALL.into(), last: EVENTS_PER_CALL.into(), more: true });
        let second = replay(&store, &realm, &all(first.last, total), Timestamp(9)).await.unwrap();
        assert_eq!(second, Progress { matched: 7, last: total, more: false });
        let jobs = store.due_jobs(DELIVERIES, Timestamp(9), 0).await.unwrap();
        assert_eq!(jobs.len() as u64, 2 * total);
    }

    #[tokio::test]
    async fn a_pattern_may_leave_replayed_events_out() {
        let store = store_with(2, json!({"replay-name": [{"exists": false}]})).await;
        let progress = replay(&store, &Realm::default(), &all(0, 2), Timestamp(9)).await.unwrap();
        assert_eq!(progress.matched, 0);
        let missing = Replay { rule: "none".into(), ..all(0, 2) };
        let refused = replay(&store, &Realm::default(), &missing, Timestamp(9)).await;
        assert!(matches!(refused, Err(ReplayError::RuleMissing(name)) if name == "none"));
    }
}
