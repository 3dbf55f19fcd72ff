//! From the event log to deliveries: which rules an event matches.

use crate::delivery::{DELIVERIES, Delivery};
use crate::{Clock, Pattern, input};
use headwater_model::event::{Event, Rule};
use headwater_model::{Realm, Timestamp};
use headwater_store::{Batch, Error, Select, Store, Topic};
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The matcher's cursor in the event log.
const CURSOR: &str = "rules";
/// Events that are matched in one commit.
const EVENTS_PER_COMMIT: u32 = 100;
/// Wait after the store failed.
const STORE_RETRY_MS: i64 = 1_000;

/// The one reader of the event log that acts for rules.
pub(crate) struct Matcher {
    store: Arc<dyn Store>,
    realm: Realm,
    clock: Arc<dyn Clock>,
    rules: Vec<(Rule, Pattern)>,
    rules_changed: watch::Receiver<u64>,
}

impl Matcher {
    pub(crate) fn new(store: Arc<dyn Store>, realm: Realm, clock: Arc<dyn Clock>) -> Self {
        let mut rules_changed = store.watch(Topic::Kind("rule".into()));
        rules_changed.mark_changed();
        Matcher { store, realm, clock, rules: Vec::new(), rules_changed }
    }

    pub(crate) async fn run(mut self, cancel: CancellationToken) {
        let mut grown = self.store.watch(Topic::Events);
        while !cancel.is_cancelled() {
            grown.mark_unchanged();
            match self.step().await {
                Ok(0) => {
                    tokio::select! {
                        () = cancel.cancelled() => {}
                        _ = grown.changed() => {}
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "events could not be matched");
                    let retry_at = self.clock.now().plus_ms(STORE_RETRY_MS);
                    tokio::select! {
                        () = cancel.cancelled() => {}
                        () = self.clock.sleep_until(retry_at) => {}
                    }
                }
            }
        }
    }

    /// Matches the next events; returns how many there were. The deliveries and the cursor are one commit, so no event
    /// is delivered twice to a target by a crash in here, nor left out.
    pub(crate) async fn step(&mut self) -> Result<usize, Error> {
        let cursor = self.store.cursor(CURSOR).await?;
        let events = self.store.events(cursor, EVENTS_PER_COMMIT).await?;
        let Some((last, _)) = events.last() else { return Ok(0) };
        // After the events were read: a rule that was there before an event is then seen with it.
        if self.rules_changed.has_changed().unwrap_or(true) {
            self.load_rules().await?;
        }
        let mut batch = Batch::new();
        for (_, event) in &events {
            self.enqueue_deliveries(event, &mut batch)?;
        }
        batch.advance(CURSOR, *last);
        self.store.commit(batch).await?;
        Ok(events.len())
    }

    async fn load_rules(&mut self) -> Result<(), Error> {
        let mut changed = self.store.watch(Topic::Kind("rule".into()));
        changed.mark_unchanged();
        let rules: Vec<Rule> = headwater_store::list(&*self.store, Select::default()).await?;
        self.rules = rules.into_iter().filter(|rule| rule.state.matches_events()).filter_map(with_pattern).collect();
        self.rules_changed = changed;
        Ok(())
    }

    fn enqueue_deliveries(&self, event: &Event, batch: &mut Batch) -> Result<(), Error> {
        let envelope = event.envelope(&self.realm);
        let now = self.clock.now();
        for (rule, _) in self.rules.iter().filter(|(_, pattern)| pattern.matches(&envelope)) {
            enqueue(rule, event, &envelope, now, batch)?;
        }
        Ok(())
    }
}

/// Adds the deliveries of an event to the targets of a rule that it matches. `envelope` is the event as they get it.
pub(crate) fn enqueue(
    rule: &Rule,
    event: &Event,
    envelope: &Value,
    now: Timestamp,
    batch: &mut Batch,
) -> Result<(), Error> {
    tracing::debug!(rule = %rule.name, event_id = %event.id, targets = rule.targets.len(), "rule matched");
    for target in &rule.targets {
        let due = match i64::try_from(target.delay_ms) {
            Ok(0) => now,
            Ok(delay_ms) => event.time.plus_ms(delay_ms),
            Err(_) => event.time.plus_ms(i64::MAX),
        };
        let payload = input::render(&target.input, rule, event, envelope.clone());
        let delivery = Delivery::new(event, rule, target, payload, due);
        let body = serde_json::to_value(&delivery).map_err(|source| Error::Document {
            kind: "delivery".into(),
            id: event.id.clone(),
            source,
        })?;
        batch.enqueue(DELIVERIES, now, due, body);
    }
    Ok(())
}

/// Rules are checked when they are put. One that an older version let through is left out, and told of.
fn with_pattern(rule: Rule) -> Option<(Rule, Pattern)> {
    let pattern = rule.event_pattern.as_ref()?;
    match Pattern::parse(pattern) {
        Ok(pattern) => Some((rule, pattern)),
        Err(error) => {
            tracing::warn!(rule = %rule.name, error = &error as &dyn std::error::Error, "rule has no valid pattern");
            None
        }
    }
}
