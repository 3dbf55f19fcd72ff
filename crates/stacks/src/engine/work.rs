//! The worker: one task for each stack's operation, taken from the queue of jobs.

use super::drive::{Assignment, DriveError, drive};
use super::{Engine, QUEUE};
use crate::schema::{Case, Naming};
use crate::state::{OnFailure, Operation, OperationKind, Resource, Stack, StackEvent, StackStatus, TemplateText};
use headwater_model::{Timestamp, id};
use headwater_store::{Batch, Job, JobId, Select, Topic, list};
use std::collections::HashMap;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Jobs looked at together; those of stacks that are worked on already stay among them until they end.
const JOBS_MAX: u32 = 256;
/// Pause after the store failed, times the tries so far.
const RETRY_MS: i64 = 1000;
/// Longest such pause.
const RETRY_MS_MAX: i64 = 60_000;
/// How often records of stacks that were deleted long ago are looked for.
const PURGE_EVERY: Duration = Duration::from_secs(6 * 3600);

struct Active {
    job: JobId,
    interrupt: CancellationToken,
    deletes: bool,
}

impl Engine {
    /// Works on stacks until `cancel`. Calls in flight are then broken off; the next start repeats them with the same
    /// tokens. There must be one worker at a time.
    pub async fn run(&self, cancel: CancellationToken) {
        let mut queue = self.store().watch(Topic::Queue(QUEUE.into()));
        let mut active: HashMap<String, Active> = HashMap::new();
        let mut tasks: JoinSet<(String, Job, Result<(), DriveError>)> = JoinSet::new();
        let mut names: HashMap<tokio::task::Id, String> = HashMap::new();
        let mut purge = tokio::time::interval(PURGE_EVERY);
        loop {
            queue.borrow_and_update();
            let now = Timestamp::now();
            let mut wait = PURGE_EVERY;
            match self.store().due_jobs(QUEUE, now, JOBS_MAX).await {
                Ok(jobs) => {
                    for job in jobs {
                        self.take(job, &mut active, &mut tasks, &mut names);
                    }
                    if let Ok(Some(due)) = self.store().next_due(QUEUE).await
                        && due > now
                    {
                        wait = Duration::from_millis(u64::try_from(due.since_ms(now)).unwrap_or(0));
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "stack operations cannot be read");
                    wait = Duration::from_millis(RETRY_MS.unsigned_abs());
                }
            }
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                Some(ended) = tasks.join_next_with_id() => match ended {
                    Ok((task, (stack_id, job, result))) => {
                        names.remove(&task);
                        active.remove(&stack_id);
                        if let Err(error) = result {
                            self.put_off(&job, &error).await;
                        }
                    }
                    Err(error) => {
                        tracing::error!(%error, "stack operation");
                        if let Some(stack_id) = names.remove(&error.id()) {
                            active.remove(&stack_id);
                        }
                    }
                },
                _ = queue.changed() => {}
                _ = purge.tick() => {
                    if let Err(error) = self.purge(Timestamp::now()).await {
                        tracing::warn!(%error, "records of deleted stacks");
                    }
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
        tasks.shutdown().await;
    }

    fn take(
        &self,
        job: Job,
        active: &mut HashMap<String, Active>,
        tasks: &mut JoinSet<(String, Job, Result<(), DriveError>)>,
        names: &mut HashMap<tokio::task::Id, String>,
    ) {
        let text = |name: &str| job.body.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        let (stack_id, operation_id) = (text("stack"), text("operation"));
        let delete: Option<Operation> =
            job.body.get("delete").and_then(|operation| serde_json::from_value(operation.clone()).ok());
        if let Some(busy) = active.get(&stack_id) {
            if busy.job != job.id && delete.is_some() && !busy.deletes {
                busy.interrupt.cancel();
            }
            return;
        }
        if tasks.len() >= self.0.options.stacks_parallel_max {
            return;
        }
        let interrupt = CancellationToken::new();
        let deletes = delete.is_some();
        active.insert(stack_id.clone(), Active { job: job.id, interrupt: interrupt.clone(), deletes });
        let assignment = Assignment { job: job.id, stack_id: stack_id.clone(), operation_id, delete };
        let engine = self.clone();
        let handle = tasks.spawn({
            let stack_id = stack_id.clone();
            async move {
                let result = drive(engine, assignment, interrupt).await;
                (stack_id, job, result)
            }
        });
        names.insert(handle.id(), stack_id);
    }

    /// The store failed, or somebody else changed the stack: the operation goes on later from what is stored.
    async fn put_off(&self, job: &Job, error: &DriveError) {
        tracing::error!(%error, attempt = job.attempt, "stack operation is put off");
        let attempt = job.attempt.saturating_add(1);
        let pause = (RETRY_MS * i64::from(attempt)).min(RETRY_MS_MAX);
        let mut batch = Batch::new();
        batch.reschedule(job.id, Timestamp::now().plus_ms(pause), attempt);
        if let Err(error) = self.store().commit(batch).await {
            tracing::error!(%error, "stack operation cannot be put off");
            tokio::time::sleep(Duration::from_millis(RETRY_MS.unsigned_abs())).await;
        }
    }

    /// Removes what is kept of stacks that were deleted long ago.
    async fn purge(&self, now: Timestamp) -> Result<(), headwater_store::Error> {
        let kept_ms = i64::try_from(self.0.options.deleted_kept.as_millis()).unwrap_or(i64::MAX);
        let stacks: Vec<Stack> = list(self.store(), Select::default()).await?;
        for stack in stacks.into_iter().filter(|stack| stack.status == StackStatus::DeleteComplete) {
            if stack.deleted_at.is_none_or(|deleted| now.since_ms(deleted) < kept_ms) {
                continue;
            }
            let of_stack = || Select { parent: Some(stack.id.clone()), ..Select::default() };
            let mut batch = Batch::new();
            for record in self.store().records(<Resource as headwater_store::Document>::KIND, of_stack()).await? {
                batch.delete::<Resource>(&record.id);
            }
            for record in self.store().records(<StackEvent as headwater_store::Document>::KIND, of_stack()).await? {
                batch.delete::<StackEvent>(&record.id);
            }
            for record in self.store().records(<TemplateText as headwater_store::Document>::KIND, of_stack()).await? {
                batch.delete::<TemplateText>(&record.id);
            }
            for record in
                self.store().records(<super::ChangeSet as headwater_store::Document>::KIND, of_stack()).await?
            {
                batch.delete::<super::ChangeSet>(&record.id);
            }
            batch.delete::<Stack>(&stack.id);
            self.store().commit(batch).await?;
        }
        Ok(())
    }
}

pub(super) fn delete_operation(retain: Vec<String>, client_token: Option<String>) -> Operation {
    Operation {
        id: Uuid::new_v4().to_string(),
        kind: OperationKind::Delete,
        client_token,
        deadline: None,
        retain,
        on_failure: OnFailure::DoNothing,
    }
}

/// `STACK-LOGICALID-SUFFIX`, with stack and logical id cut so that the suffix fits.
pub(super) fn proposal(stack: &str, logical_id: &str, naming: Naming) -> String {
    let suffix = id::physical_name_suffix();
    // Two hyphens and the suffix; the rest is shared, and the logical id gets at most half if both are long.
    let room = naming.length_max.saturating_sub(suffix.len() + 2);
    let logical_max = room.saturating_sub(stack.len()).max(room / 2);
    let logical = &logical_id[..logical_id.len().min(logical_max)];
    let stack = &stack[..stack.len().min(room - logical.len())];
    let name = format!("{stack}-{logical}-{suffix}");
    match naming.case {
        Case::Kept => name,
        Case::Lower => name.to_ascii_lowercase(),
    }
}
