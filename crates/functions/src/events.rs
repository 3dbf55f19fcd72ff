//! Asynchronous invocation: durable jobs with retries.
//!
//! An invocation is a job of the queue [`QUEUE`] until it succeeded, its tries are used up, or it is too old. It is
//! removed after the function has answered, so a crash in between runs it again, with the same request id: at least
//! once, as Lambda has it.

use crate::invoke::{Functions, InvokeError, InvokeOptions, Outcome};
use bytes::Bytes;
use headwater_model::Timestamp;
use headwater_model::function::Function;
use headwater_store::{Batch, Error as StoreError, Job, JobId, Topic, Write};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::Duration;
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The store's queue of invocations.
pub const QUEUE: &str = "invocations";
/// Lambda: an asynchronous payload is at most 1 MB.
pub const EVENT_BYTES_MAX: usize = 1024 * 1024;
/// Lambda: throttled and failed starts are tried again after 1 s, then twice as long, up to 5 min.
const REFUSED_DELAY_MIN: Duration = Duration::from_secs(1);
const REFUSED_DELAY_MAX: Duration = Duration::from_secs(300);
/// How long to wait before the store is asked again after it failed.
const STORE_RETRY: Duration = Duration::from_secs(1);
/// How long invocations under way may go on after the worker was told to stop; what does not end is run again later.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Why an invocation was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnqueueError {
    /// The payload is longer than [`EVENT_BYTES_MAX`].
    #[error("the payload has {bytes} bytes, at most {max} are taken")]
    PayloadTooLarge {
        /// How long it is.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The payload is not JSON.
    #[error("the payload is not JSON: {0}")]
    NotJson(#[source] serde_json::Error),
    /// It could not be stored.
    #[error("store the invocation")]
    Store(#[from] StoreError),
}

/// A job of the queue. Stored format: add members only with a default.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Invocation {
    function: String,
    request_id: String,
    /// JSON text, as it was given.
    payload: String,
    #[serde(default)]
    client_context: Option<String>,
    /// How often the function could not be run at all; these are no tries.
    #[serde(default)]
    refusals: u32,
}

/// What becomes of a job.
enum Verdict {
    /// It is done, or will never be.
    Complete,
    Again {
        due: Timestamp,
        attempt: u32,
        refusals: u32,
    },
}

impl Functions {
    /// Takes an invocation that will be run in the background. Returns its request id; it is durable then.
    ///
    /// # Errors
    /// [`EnqueueError`].
    pub async fn enqueue(&self, function: &str, payload: Bytes) -> Result<String, EnqueueError> {
        let mut batch = Batch::new();
        let request_id = self.enqueue_in(&mut batch, function, payload, InvokeOptions::default())?;
        self.inner.store.commit(batch).await?;
        Ok(request_id)
    }

    /// Adds an invocation to a batch, for callers that commit more than it. Returns its request id.
    ///
    /// # Errors
    /// [`EnqueueError::PayloadTooLarge`]; [`EnqueueError::NotJson`].
    pub fn enqueue_in(
        &self,
        batch: &mut Batch,
        function: &str,
        payload: Bytes,
        options: InvokeOptions,
    ) -> Result<String, EnqueueError> {
        if payload.len() > EVENT_BYTES_MAX {
            return Err(EnqueueError::PayloadTooLarge { bytes: payload.len(), max: EVENT_BYTES_MAX });
        }
        let payload = if payload.is_empty() { Bytes::from_static(b"{}") } else { payload };
        serde_json::from_slice::<serde::de::IgnoredAny>(&payload).map_err(EnqueueError::NotJson)?;
        let request_id = options.request_id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let invocation = Invocation {
            function: function.to_owned(),
            request_id: request_id.clone(),
            payload: String::from_utf8_lossy(&payload).into_owned(),
            client_context: options.client_context,
            refusals: 0,
        };
        let body = serde_json::to_value(invocation).expect("strings and numbers have a JSON form");
        let now = Timestamp::now();
        batch.enqueue(QUEUE, now, now, body);
        Ok(request_id)
    }

    /// Runs what is due, in order, until told to stop; then waits a moment for what is under way. Also ends processes
    /// that have been idle for too long, and at first removes packages that no function refers to.
    pub async fn run(&self, cancel: CancellationToken) {
        self.sweep_code().await;
        let mut changed = self.inner.store.watch(Topic::Queue(QUEUE.into()));
        let mut under_way: HashMap<Id, JobId> = HashMap::new();
        let mut tasks: JoinSet<()> = JoinSet::new();
        let mut tired = self.end_tired();
        while !cancel.is_cancelled() {
            changed.mark_unchanged();
            let wake = match self.start_due(&mut tasks, &mut under_way).await {
                Ok(wake) => wake,
                Err(error) => {
                    tracing::error!(%error, "invocations wait for the store");
                    Some(Instant::now() + STORE_RETRY)
                }
            };
            let wake = wake.map_or(tired, |wake| wake.min(tired));
            tokio::select! {
                () = cancel.cancelled() => {}
                Ok(()) = changed.changed() => {}
                () = tokio::time::sleep_until(wake) => {}
                Some(ended) = tasks.join_next_with_id(), if !tasks.is_empty() => {
                    let id = match ended {
                        Ok((id, ())) => id,
                        Err(error) => {
                            tracing::error!(%error, "invocation ended early; it will be run again");
                            error.id()
                        }
                    };
                    under_way.remove(&id);
                }
            }
            if Instant::now() >= tired {
                tired = self.end_tired();
            }
        }
        let drained = tokio::time::timeout(DRAIN_MAX, async { while tasks.join_next().await.is_some() {} }).await;
        if drained.is_err() {
            tracing::warn!(invocations = tasks.len(), "invocations cut off; they are run again at the next start");
        }
        tasks.shutdown().await;
        self.end_idle();
        self.flush_logs().await;
    }

    /// Starts due jobs as far as there is room. Returns when to look again if nothing happens before.
    async fn start_due(
        &self,
        tasks: &mut JoinSet<()>,
        under_way: &mut HashMap<Id, JobId>,
    ) -> Result<Option<Instant>, StoreError> {
        let max = self.inner.workshop.config.event_concurrency_max;
        if tasks.len() >= max {
            return Ok(None);
        }
        // Those under way are still in the queue: twice the places hold as many others.
        let limit = u32::try_from(2 * max).unwrap_or(u32::MAX);
        let jobs = self.inner.store.due_jobs(QUEUE, Timestamp(i64::MAX), limit).await?;
        let now = Timestamp::now();
        let waiting: Vec<Job> = jobs.into_iter().filter(|job| !under_way.values().any(|id| *id == job.id)).collect();
        for job in waiting {
            if tasks.len() >= max {
                break;
            }
            if job.due > now {
                let wait = u64::try_from(job.due.since_ms(now)).unwrap_or(0);
                return Ok(Some(Instant::now() + Duration::from_millis(wait)));
            }
            let (id, functions) = (job.id, self.clone());
            let handle = tasks.spawn(async move { functions.attend(job).await });
            under_way.insert(handle.id(), id);
        }
        Ok(None)
    }

    /// Does one job and writes what became of it.
    async fn attend(&self, job: Job) {
        let verdict = match serde_json::from_value::<Invocation>(job.body.clone()) {
            Ok(invocation) => self.attempt(&job, &invocation).await,
            Err(error) => {
                tracing::error!(job = job.id.0, %error, "invocation dropped: it cannot be read");
                Verdict::Complete
            }
        };
        let mut batch = Batch::new();
        match verdict {
            Verdict::Complete => {
                batch.complete(job.id);
            }
            Verdict::Again { due, attempt, refusals } => {
                let mut body = job.body;
                if let Some(members) = body.as_object_mut() {
                    members.insert("refusals".into(), refusals.into());
                }
                batch.writes.push(Write::Reschedule { id: job.id, due, attempt, body: Some(body) });
            }
        }
        if let Err(error) = self.inner.store.commit(batch).await {
            tracing::error!(job = job.id.0, %error, "invocation will be run again: its end was not stored");
            tokio::time::sleep(STORE_RETRY).await;
        }
    }

    async fn attempt(&self, job: &Job, invocation: &Invocation) -> Verdict {
        let Invocation { function: name, request_id, .. } = invocation;
        let function = match headwater_store::find::<Function>(&*self.inner.store, name).await {
            Ok(Some(function)) => function,
            Ok(None) => {
                tracing::info!(function = %name, %request_id, "invocation dropped: the function was deleted");
                return Verdict::Complete;
            }
            Err(error) => {
                tracing::error!(function = %name, %request_id, %error, "function cannot be read");
                return self.refused(job, invocation, self.inner.workshop.config.event_age_max);
            }
        };
        let config = &self.inner.workshop.config;
        let age_max = function.event_age_s_max.map_or(config.event_age_max, |s| Duration::from_secs(s.into()));
        if older_than(job, age_max) {
            tracing::warn!(function = %name, %request_id, attempt = job.attempt, "invocation dropped: it is too old");
            return Verdict::Complete;
        }
        let options =
            InvokeOptions { request_id: Some(request_id.clone()), client_context: invocation.client_context.clone() };
        let payload = Bytes::from(invocation.payload.clone());
        match self.invoke(&function, payload, options).await {
            Ok(Outcome { function_error: None, .. }) => Verdict::Complete,
            Ok(_) => self.failed(job, invocation, &function),
            Err(InvokeError::PayloadTooLarge { bytes, .. }) => {
                tracing::warn!(function = %name, %request_id, bytes, "invocation dropped: its payload is too large");
                Verdict::Complete
            }
            Err(error) => {
                tracing::warn!(function = %name, %request_id, error = %describe(&error), "function cannot be run");
                self.refused(job, invocation, age_max)
            }
        }
    }

    /// The function failed: it is tried again as often as it allows.
    fn failed(&self, job: &Job, invocation: &Invocation, function: &Function) -> Verdict {
        let delays = &self.inner.workshop.config.retry_delays;
        let retries = function.retry_attempts_max.map_or(delays.len(), |max| delays.len().min(max as usize));
        let tried = job.attempt as usize;
        let Invocation { function, request_id, refusals, .. } = invocation;
        match delays.get(tried).filter(|_| tried < retries) {
            Some(delay) => {
                tracing::info!(%function, %request_id, attempt = tried + 1, "function failed; it is tried again");
                Verdict::Again { due: after(*delay), attempt: job.attempt + 1, refusals: *refusals }
            }
            None => {
                tracing::warn!(%function, %request_id, attempt = tried + 1, "invocation dropped: its tries are used up");
                Verdict::Complete
            }
        }
    }

    /// The function could not be run: it is tried again until it is too old.
    fn refused(&self, job: &Job, invocation: &Invocation, age_max: Duration) -> Verdict {
        let Invocation { function, request_id, refusals, .. } = invocation;
        if older_than(job, age_max) {
            tracing::warn!(%function, %request_id, "invocation dropped: it is too old");
            return Verdict::Complete;
        }
        let delay = REFUSED_DELAY_MIN.saturating_mul(1 << (*refusals).min(16)).min(REFUSED_DELAY_MAX);
        Verdict::Again { due: after(delay), attempt: job.attempt, refusals: refusals.saturating_add(1) }
    }
}

fn after(delay: Duration) -> Timestamp {
    Timestamp::now().plus_ms(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX))
}

fn older_than(job: &Job, max: Duration) -> bool {
    u128::try_from(Timestamp::now().since_ms(job.created)).is_ok_and(|age| age > max.as_millis())
}

/// An error with its causes, on one line.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
