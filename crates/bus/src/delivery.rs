//! From deliveries to targets: each until it is taken, with longer and longer waits, or kept as a dead letter.

use crate::{Clock, Options};
use async_trait::async_trait;
use headwater_model::Timestamp;
use headwater_model::event::{Event, Rule, Target};
use headwater_store::{Batch, Document, Error, Job, JobId, LogLine, Select, Store, Topic};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// The queue of deliveries.
pub const DELIVERIES: &str = "deliveries";
/// Tries after the first, unless the target says otherwise (EventBridge User Guide, "Event retry policy").
const RETRY_ATTEMPTS_MAX: u32 = 185;
/// How long it is retried, unless the target says otherwise (same place).
const EVENT_AGE_S_MAX: u32 = 86_400;
/// Dead letters that are kept; older ones make room.
const DEAD_LETTERS_MAX: usize = 1_000;
/// Wait after the store failed.
const STORE_RETRY_MS: i64 = 1_000;

/// One event on its way to one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Delivery {
    /// The event's id; the same at each try.
    pub event_id: String,
    /// Name of the rule that matched.
    pub rule_name: String,
    /// Its ARN.
    pub rule_arn: String,
    /// The target's id in the rule.
    pub target_id: String,
    /// What is to get it.
    pub target_arn: String,
    /// What it is to get.
    pub payload: Value,
    /// Not before this time; retries end an age after it.
    pub not_before: Timestamp,
    /// Tries after the first.
    pub retry_attempts_max: u32,
    /// How long it is retried.
    pub event_age_s_max: u32,
}

impl Delivery {
    pub(crate) fn new(event: &Event, rule: &Rule, target: &Target, payload: Value, not_before: Timestamp) -> Self {
        Delivery {
            event_id: event.id.clone(),
            rule_name: rule.name.clone(),
            rule_arn: rule.arn.clone(),
            target_id: target.id.clone(),
            target_arn: target.arn.clone(),
            payload,
            not_before,
            retry_attempts_max: target.retry_attempts_max.unwrap_or(RETRY_ATTEMPTS_MAX),
            event_age_s_max: target.event_age_s_max.unwrap_or(EVENT_AGE_S_MAX),
        }
    }
}

/// Brings deliveries to targets.
#[async_trait]
pub trait Deliver: Send + Sync + 'static {
    /// Hands the delivery over. `Ok` means that the target will not lose it; after a crash the same delivery may come
    /// again.
    ///
    /// # Errors
    /// [`DeliveryError::Retry`] if another try may succeed, [`DeliveryError::Permanent`] if none will.
    async fn deliver(&self, delivery: Delivery) -> Result<(), DeliveryError>;
}

/// Why a target did not take a delivery.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// It may take it later.
    #[error("{code}: {reason}")]
    Retry {
        /// AWS' name for it, such as `THROTTLING`.
        code: &'static str,
        /// In words, for the log and the dead letter.
        reason: String,
    },
    /// It will never take it: there is no such target, or the rule may not reach it.
    #[error("{code}: {reason}")]
    Permanent {
        /// AWS' name for it, such as `NO_PERMISSIONS` or `RESOURCE_NOT_FOUND`.
        code: &'static str,
        /// In words, for the log and the dead letter.
        reason: String,
    },
}

/// Which limit ended the retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exhausted {
    /// The number of tries.
    MaximumRetryAttempts,
    /// The age.
    MaximumEventAgeInSeconds,
}

/// A delivery that was given up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Ascending in the order in which they were enqueued.
    pub id: String,
    /// What was to be delivered: a [`Delivery`] as JSON.
    pub delivery: Value,
    /// The last failure's code.
    pub error_code: String,
    /// The last failure in words.
    pub error_message: String,
    /// Which limit ended the retries; absent if there were to be none.
    pub exhausted: Option<Exhausted>,
    /// Tries in all.
    pub attempts: u32,
    /// When it was given up.
    pub at: Timestamp,
}

impl Document for DeadLetter {
    const KIND: &'static str = "dead-letter";
    fn id(&self) -> String {
        self.id.clone()
    }
}

/// Takes deliveries from the queue and runs a bounded number of them at a time.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    running: JoinSet<()>,
    jobs: HashMap<tokio::task::Id, JobId>,
}

struct Shared {
    store: Arc<dyn Store>,
    deliver: Arc<dyn Deliver>,
    clock: Arc<dyn Clock>,
    options: Options,
    /// Ids of the dead letters, oldest first, once they are known.
    dead_letters: Mutex<Option<VecDeque<String>>>,
}

impl Worker {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        deliver: Arc<dyn Deliver>,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Self {
        let shared = Arc::new(Shared { store, deliver, clock, options, dead_letters: Mutex::new(None) });
        Worker { shared, running: JoinSet::new(), jobs: HashMap::new() }
    }

    /// Runs until cancelled, then gives what is under way some time to end. What does not end is delivered again after
    /// the next start.
    pub(crate) async fn run(mut self, cancel: CancellationToken) {
        let mut queue = self.shared.store.watch(Topic::Queue(DELIVERIES.into()));
        loop {
            queue.mark_unchanged();
            let wake_at = match self.start_due().await {
                Ok(next_due) => next_due,
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "deliveries could not be read");
                    Some(self.shared.clock.now().plus_ms(STORE_RETRY_MS))
                }
            };
            tokio::select! {
                () = cancel.cancelled() => break,
                Some(ended) = self.running.join_next_with_id() => self.forget(ended),
                _ = queue.changed() => {}
                () = sleep_until(&*self.shared.clock, wake_at) => {}
            }
        }
        let drained = tokio::time::timeout(self.shared.options.drain_timeout, async {
            while self.running.join_next().await.is_some() {}
        });
        if drained.await.is_err() {
            tracing::warn!(deliveries = self.running.len(), "deliveries under way were cut off, they will be repeated");
        }
    }

    /// Starts what is due as far as there is room; returns when the next one will be, if there is room for it.
    async fn start_due(&mut self) -> Result<Option<Timestamp>, Error> {
        let room = self.shared.options.concurrency.saturating_sub(self.running.len());
        if room == 0 {
            return Ok(None);
        }
        let running: HashSet<JobId> = self.jobs.values().copied().collect();
        let limit = u32::try_from(running.len() + room + 1).unwrap_or(u32::MAX);
        let earliest = self.shared.store.due_jobs(DELIVERIES, Timestamp(i64::MAX), limit).await?;
        let now = self.shared.clock.now();
        for job in earliest.into_iter().filter(|job| !running.contains(&job.id)) {
            if job.due > now {
                return Ok(Some(job.due));
            }
            if self.running.len() >= self.shared.options.concurrency {
                break;
            }
            let id = job.id;
            let task = self.running.spawn(Arc::clone(&self.shared).attempt(job));
            self.jobs.insert(task.id(), id);
        }
        Ok(None)
    }

    fn forget(&mut self, ended: Result<(tokio::task::Id, ()), tokio::task::JoinError>) {
        let task = match ended {
            Ok((task, ())) => task,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a delivery broke off");
                error.id()
            }
        };
        self.jobs.remove(&task);
    }
}

async fn sleep_until(clock: &dyn Clock, at: Option<Timestamp>) {
    match at {
        Some(at) => clock.sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// What becomes of a delivery after a failed try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Again { due: Timestamp },
    Dead(Option<Exhausted>),
}

impl Shared {
    /// One try, and the record of what came of it.
    async fn attempt(self: Arc<Self>, job: Job) {
        let outcome = match serde_json::from_value::<Delivery>(job.body.clone()) {
            Ok(delivery) => {
                let outcome = self.hand_over(delivery.clone()).await;
                self.settle(&job, &delivery, outcome).await
            }
            Err(error) => {
                let reason = format!("the stored delivery cannot be read: {error}");
                let error = DeliveryError::Permanent { code: "MALFORMED_DELIVERY", reason };
                self.bury(&job, None, &error, None).await
            }
        };
        if let Err(error) = outcome {
            tracing::error!(error = &error as &dyn std::error::Error, job = job.id.0, "a try was not recorded");
            // The job is still due: without this wait the worker would take it again at once, and again.
            self.clock.sleep_until(self.clock.now().plus_ms(STORE_RETRY_MS)).await;
        }
    }

    /// In a task of its own, so that a panic costs one try.
    async fn hand_over(&self, delivery: Delivery) -> Result<(), DeliveryError> {
        let deliver = Arc::clone(&self.deliver);
        let task = AbortOnDropHandle::new(tokio::spawn(async move { deliver.deliver(delivery).await }));
        let deadline = self.clock.now().plus_ms(self.options.delivery_timeout_ms);
        tokio::select! {
            ended = task => ended.unwrap_or_else(|error| {
                Err(DeliveryError::Retry { code: "SDK_CLIENT_ERROR", reason: format!("delivery broke off: {error}") })
            }),
            () = self.clock.sleep_until(deadline) => {
                let reason = format!("no answer in {} ms", self.options.delivery_timeout_ms);
                Err(DeliveryError::Retry { code: "TIMEOUT", reason })
            }
        }
    }

    async fn settle(&self, job: &Job, delivery: &Delivery, outcome: Result<(), DeliveryError>) -> Result<(), Error> {
        let Err(error) = outcome else { return self.commit(|batch| batch.complete(job.id)).await };
        match verdict(job, delivery, &error, self.clock.now(), &self.options, rand::random()) {
            Verdict::Again { due } => {
                tracing::debug!(rule = %delivery.rule_name, target = %delivery.target_arn, event_id = %delivery.event_id,
                    attempt = job.attempt + 1, error = &error as &dyn std::error::Error, "delivery will be retried");
                self.commit(|batch| batch.reschedule(job.id, due, job.attempt + 1)).await
            }
            Verdict::Dead(exhausted) => self.bury(job, Some(delivery), &error, exhausted).await,
        }
    }

    async fn commit(&self, write: impl FnOnce(&mut Batch) -> &mut Batch) -> Result<(), Error> {
        let mut batch = Batch::new();
        write(&mut batch);
        self.store.commit(batch).await.map(drop)
    }

    /// Ends the job and keeps what it was about.
    async fn bury(
        &self,
        job: &Job,
        delivery: Option<&Delivery>,
        error: &DeliveryError,
        exhausted: Option<Exhausted>,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let (DeliveryError::Retry { code, reason } | DeliveryError::Permanent { code, reason }) = error;
        let letter = DeadLetter {
            id: format!("{:020}", job.id.0),
            delivery: job.body.clone(),
            error_code: (*code).into(),
            error_message: reason.clone(),
            exhausted,
            attempts: job.attempt + 1,
            at: now,
        };
        let mut batch = Batch::new();
        batch.complete(job.id).put(&letter)?;
        if let Some(delivery) = delivery {
            tracing::warn!(rule = %delivery.rule_name, target = %delivery.target_arn, event_id = %delivery.event_id,
                attempts = letter.attempts, %error, "event could not be delivered");
            let message = format!(
                "event {} was not delivered to {} after {} tries: {error}",
                delivery.event_id, delivery.target_arn, letter.attempts
            );
            let group = format!("/aws/events/{}", delivery.rule_name);
            batch.log(LogLine { group, stream: delivery.target_id.clone(), at: now, message });
        }
        let mut kept = self.dead_letters.lock().await;
        if kept.is_none() {
            let letters = self.store.records(DeadLetter::KIND, Select::default()).await?;
            *kept = Some(letters.into_iter().map(|record| record.id).collect());
        }
        let kept = kept.get_or_insert_default();
        let excess = (kept.len() + 1).saturating_sub(DEAD_LETTERS_MAX);
        for oldest in kept.iter().take(excess) {
            batch.delete::<DeadLetter>(oldest);
        }
        self.store.commit(batch).await?;
        kept.drain(..excess);
        kept.push_back(letter.id);
        Ok(())
    }
}

fn verdict(
    job: &Job,
    delivery: &Delivery,
    error: &DeliveryError,
    now: Timestamp,
    options: &Options,
    random: u64,
) -> Verdict {
    if let DeliveryError::Permanent { .. } = error {
        return Verdict::Dead(None);
    }
    if job.attempt >= delivery.retry_attempts_max {
        return Verdict::Dead(Some(Exhausted::MaximumRetryAttempts));
    }
    let due = now.plus_ms(back_off_ms(options, job.attempt, random));
    if due.since_ms(delivery.not_before) > i64::from(delivery.event_age_s_max) * 1_000 {
        return Verdict::Dead(Some(Exhausted::MaximumEventAgeInSeconds));
    }
    Verdict::Again { due }
}

/// Doubles with each try up to a maximum; between half of that and the whole, so that what failed together does not
/// come back together.
fn back_off_ms(options: &Options, attempt: u32, random: u64) -> i64 {
    let doubled = options.retry_ms_min.saturating_mul(1_i64.checked_shl(attempt.min(40)).unwrap_or(i64::MAX));
    let whole = doubled.min(options.retry_ms_max).max(2);
    let half = whole / 2;
    half + i64::try_from(random % half.unsigned_abs()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
