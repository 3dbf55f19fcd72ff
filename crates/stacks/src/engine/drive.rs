//! One operation on one stack: which phase it is in, and waves of provider calls in dependency order.

use super::blueprint::Blueprint;
use super::ledger::Ledger;
use super::{Engine, work};
use crate::graph::Graph;
use crate::provider::{Current, Made, ProviderError, Request, StackContext, Updated};
use crate::state::{Generation, Intent, Operation, OperationKind, StackStatus};
use crate::template::TemplateError;
use futures_util::future::BoxFuture;
use headwater_model::Timestamp;
use headwater_store::JobId;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Why a task could not go on. It begins again from what is stored.
pub(super) type DriveError = headwater_store::Error;

/// A job of the queue.
pub(super) struct Assignment {
    pub(super) job: JobId,
    pub(super) stack_id: String,
    pub(super) operation_id: String,
    /// For a delete: the operation that begins if it has not begun.
    pub(super) delete: Option<Operation>,
}

/// What a provider call returned.
pub(super) enum Done {
    Made(Made),
    Updated(Updated),
    Deleted,
}

pub(super) type CallResult = Result<Done, ProviderError>;
pub(super) type Call = BoxFuture<'static, CallResult>;

/// What beginning with a name led to.
pub(super) enum Begun {
    /// There is nothing to do.
    Nothing,
    /// The intent is noted; this call is made once it is committed.
    Call(Call),
    /// It failed before a call; noted.
    Failed,
}

/// What a call's result led to; noted.
pub(super) enum Ended {
    Done,
    Failed,
    /// Another call must follow.
    Call(Call),
}

/// What a failure means for the rest of a wave.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OnCallFailure {
    /// Nothing new begins; siblings get a grace to finish.
    Stop,
    /// Whatever does not need the failed one goes on.
    GoOn,
}

/// One kind of wave. All functions only note changes in the ledger.
pub(super) trait Work: Send {
    fn graph(&self) -> &Graph;
    fn on_failure(&self) -> OnCallFailure;
    fn begin(&mut self, driver: &mut Driver, name: &str) -> Begun;
    fn end(&mut self, driver: &mut Driver, name: &str, result: CallResult) -> Ended;
    fn cancelled(&mut self, driver: &mut Driver, name: &str);
}

/// Why a wave ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// All that could be done was done.
    Finished,
    /// A call failed.
    Failed,
    /// A delete waits.
    Interrupted,
    /// The operation's time is up.
    TimedOut,
}

/// The task that works on a stack.
pub(super) struct Driver {
    pub(super) engine: Engine,
    pub(super) ledger: Ledger,
    interrupt: CancellationToken,
}

/// Does an assignment to its end, or until it is interrupted.
pub(super) async fn drive(
    engine: Engine,
    assignment: Assignment,
    interrupt: CancellationToken,
) -> Result<(), DriveError> {
    let store = std::sync::Arc::clone(&engine.0.store);
    let Some(ledger) = Ledger::open(store, &assignment.stack_id, assignment.job).await? else {
        let mut batch = headwater_store::Batch::new();
        batch.complete(assignment.job);
        engine.store().commit(batch).await?;
        return Ok(());
    };
    let mut driver = Driver { engine, ledger, interrupt };
    let current = driver.ledger.stack.operation.as_ref().map(|operation| operation.id.clone());
    if current.as_deref() != Some(&assignment.operation_id) {
        match assignment.delete {
            Some(operation) if driver.ledger.stack.status != StackStatus::DeleteComplete => {
                driver.begin_delete(operation);
            }
            // Another operation has taken its place since.
            _ => driver.ledger.job_is_done(),
        }
        driver.ledger.flush().await?;
    }
    driver.phases(&assignment.operation_id).await
}

impl Driver {
    /// Goes from phase to phase until the stack is at rest. Each phase ends with the commit that names the next.
    async fn phases(&mut self, operation_id: &str) -> Result<(), DriveError> {
        if self.ledger.operation().id != operation_id {
            return Ok(());
        }
        let mut last = None;
        while self.ledger.stack.status.in_progress() {
            let status = self.ledger.stack.status;
            if last == Some(status) {
                // Interrupted: the job is done and the delete takes over.
                return Ok(());
            }
            last = Some(status);
            match status {
                StackStatus::CreateInProgress | StackStatus::UpdateInProgress => self.forward().await?,
                StackStatus::UpdateRollbackInProgress => self.restore().await?,
                StackStatus::UpdateCompleteCleanupInProgress | StackStatus::UpdateRollbackCompleteCleanupInProgress => {
                    self.clean_up().await?
                }
                StackStatus::RollbackInProgress => self.roll_back_create().await?,
                _ => self.delete_all().await?,
            }
        }
        // A crash after the last commit leaves nothing to do but the job; a job that is done already bears it.
        self.ledger.job_is_done();
        self.ledger.flush().await
    }

    fn begin_delete(&mut self, operation: Operation) {
        let ids: Vec<String> = self.ledger.resources.keys().cloned().collect();
        for id in ids {
            self.abandon_intent(&id);
        }
        self.ledger.stack.operation = Some(operation);
        self.ledger.stack_is(StackStatus::DeleteInProgress, Some(super::USER_INITIATED.into()));
    }

    /// What a call that was broken off may have left becomes a generation of which nothing is known.
    pub(super) fn abandon_intent(&mut self, logical_id: &str) {
        let Some(resource) = self.ledger.resources.get_mut(logical_id) else { return };
        match resource.intent.take() {
            None => return,
            Some(Intent::Create(generation)) => match resource.live.take() {
                None => {
                    resource.live = Some(generation);
                    resource.touch = Some(crate::state::Touch::Added);
                }
                Some(live) => {
                    resource.former = Some(live);
                    resource.live = Some(generation);
                    resource.touch = Some(crate::state::Touch::Replaced);
                }
            },
            Some(Intent::Update(_)) => {
                resource.former = resource.live.clone();
                resource.touch = Some(crate::state::Touch::Updated);
            }
            Some(Intent::Restore(_)) => {}
        }
        self.ledger.touch(logical_id);
    }

    /// The stack's template with its values, or why it cannot be applied (any more).
    pub(super) async fn blueprint(&self) -> Result<Result<Blueprint, TemplateError>, DriveError> {
        let stack = &self.ledger.stack;
        let id = &stack.revision.template;
        let text = headwater_store::find::<crate::state::TemplateText>(self.ledger.store(), id).await?;
        let text = text.map(|text| text.text).unwrap_or_default();
        let exports: Vec<crate::state::Export> =
            headwater_store::list(self.ledger.store(), headwater_store::Select::default()).await?;
        let exports = exports.into_iter().map(|export| (export.name, export.value.expose().to_owned())).collect();
        let given = stack.revision.arguments.iter();
        let given = given.map(|(name, argument)| (name.clone(), argument.value.expose().to_owned())).collect();
        let surroundings = self.engine.surroundings(&text, &stack.id, &stack.name, &stack.notification_arns).await?;
        Ok(Blueprint::check(&text, given, surroundings, exports, self.engine.registry()))
    }

    pub(super) fn request(&self, logical_id: &str, generation: &Generation, token: String) -> Request {
        let stack = &self.ledger.stack;
        Request {
            stack: StackContext { id: stack.id.clone(), name: stack.name.clone(), tags: stack.revision.tags.clone() },
            logical_id: logical_id.to_owned(),
            resource_type: generation.resource_type.clone(),
            proposal: generation.proposal.clone(),
            properties: generation.properties.0.clone(),
            token,
        }
    }

    pub(super) fn current(generation: &Generation) -> Current {
        Current {
            physical_id: generation.physical_id.clone(),
            attributes: generation.attributes.0.clone(),
            properties: generation.properties.0.clone(),
            proposal: generation.proposal.clone(),
            token: generation.token.clone(),
        }
    }

    /// The call that an intent stands for: the same after a crash as before it.
    pub(super) fn call_of(&self, logical_id: &str, intent: &Intent) -> Call {
        let resource_type = match intent {
            Intent::Create(generation) | Intent::Update(generation) | Intent::Restore(generation) => {
                generation.resource_type.clone()
            }
        };
        let Some(provider) = self.engine.registry().find(&resource_type).cloned() else {
            return unknown_type(resource_type);
        };
        let operation = self.ledger.operation().id;
        match intent {
            Intent::Create(generation) => {
                let request = self.request(logical_id, generation, generation.token.clone());
                Box::pin(async move { provider.create(request).await.map(Done::Made) })
            }
            Intent::Update(generation) | Intent::Restore(generation) => {
                let verb = if matches!(intent, Intent::Update(_)) { "update" } else { "restore" };
                let request = self.request(logical_id, generation, format!("{operation}/{logical_id}/{verb}"));
                let live = self.ledger.resources.get(logical_id).and_then(|resource| resource.live.as_ref());
                let current = Driver::current(live.unwrap_or(generation));
                Box::pin(async move { provider.update(request, current).await.map(Done::Updated) })
            }
        }
    }

    /// The call that deletes a generation.
    pub(super) fn delete_call(&self, logical_id: &str, generation: &Generation) -> Call {
        let Some(provider) = self.engine.registry().find(&generation.resource_type).cloned() else {
            return unknown_type(generation.resource_type.clone());
        };
        let token = format!("{}/delete/{}", generation.token, self.ledger.operation().id);
        let request = self.request(logical_id, generation, token);
        let current = Driver::current(generation);
        Box::pin(async move { provider.delete(request, current).await.map(|()| Done::Deleted) })
    }

    /// Makes calls, each after those it needs, many at once. `done` holds the names that are done already.
    pub(super) async fn waves(
        &mut self,
        work: &mut dyn Work,
        mut done: BTreeSet<String>,
        resumed: Vec<(String, Call)>,
    ) -> Result<(Stop, Vec<String>), DriveError> {
        let options = self.engine.0.options.clone();
        let mut calls = Calls::new(options.call_timeout);
        let mut begun: BTreeSet<String> = BTreeSet::new();
        let mut failed: Vec<String> = Vec::new();
        let mut stop = Stop::Finished;
        let mut grace_ends: Option<Instant> = None;
        let deadline = self.ledger.operation().deadline.map(|deadline| {
            let left = u64::try_from(deadline.since_ms(Timestamp::now())).unwrap_or(0);
            Instant::now() + Duration::from_millis(left)
        });
        for (name, call) in resumed {
            begun.insert(name.clone());
            calls.make(name, call);
        }
        loop {
            while stop == Stop::Finished && calls.len() < options.calls_parallel_max {
                let ready = work.graph().ready(&done);
                let fresh = ready.into_iter().filter(|name| !begun.contains(*name));
                let fresh: Vec<String> =
                    fresh.take(options.calls_parallel_max - calls.len()).map(str::to_owned).collect();
                if fresh.is_empty() {
                    break;
                }
                let mut to_make = Vec::new();
                for name in fresh {
                    begun.insert(name.clone());
                    match work.begin(self, &name) {
                        Begun::Nothing => {
                            done.insert(name);
                        }
                        Begun::Call(call) => to_make.push((name, call)),
                        Begun::Failed => {
                            failed.push(name);
                            if work.on_failure() == OnCallFailure::Stop {
                                stop = Stop::Failed;
                                break;
                            }
                        }
                    }
                }
                // Intents are durable before their calls are made.
                self.ledger.flush().await?;
                for (name, call) in to_make {
                    calls.make(name, call);
                }
            }
            if stop != Stop::Finished && grace_ends.is_none() {
                grace_ends = Some(Instant::now() + options.sibling_grace);
            }
            if calls.len() == 0 {
                return Ok((stop, failed));
            }
            tokio::select! {
                biased;
                Some((name, result)) = calls.next() => {
                    match work.end(self, &name, result) {
                        Ended::Done => {
                            done.insert(name);
                            self.ledger.flush().await?;
                        }
                        Ended::Failed => {
                            failed.push(name);
                            if work.on_failure() == OnCallFailure::Stop && stop == Stop::Finished {
                                stop = Stop::Failed;
                            }
                            self.ledger.flush().await?;
                        }
                        Ended::Call(call) => {
                            self.ledger.flush().await?;
                            calls.make(name, call);
                        }
                    }
                }
                () = self.interrupt.cancelled(), if stop != Stop::Interrupted && stop != Stop::TimedOut => {
                    stop = Stop::Interrupted;
                }
                () = at(deadline), if stop == Stop::Finished => {
                    stop = Stop::TimedOut;
                    grace_ends = Some(Instant::now());
                }
                () = at(grace_ends) => {
                    for name in calls.cancel().await {
                        work.cancelled(self, &name);
                    }
                    self.ledger.flush().await?;
                }
            }
        }
    }

    /// Whether an interrupted phase leaves the stack to the delete that waits; its job is then done.
    pub(super) async fn give_way(&mut self) -> Result<(), DriveError> {
        self.ledger.job_is_done();
        self.ledger.flush().await
    }

    /// Whether the operation is an update.
    pub(super) fn is_update(&self) -> bool {
        self.ledger.operation().kind == OperationKind::Update
    }
}

fn unknown_type(resource_type: String) -> Call {
    Box::pin(async move { Err(ProviderError::new(format!("unknown resource type {resource_type:?}"))) })
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// Provider calls in flight; dropping it breaks them off. At most `calls_parallel_max` of them, and those that a crash
/// interrupted.
struct Calls {
    tasks: JoinSet<CallResult>,
    names: HashMap<tokio::task::Id, String>,
    timeout: Duration,
}

impl Calls {
    fn new(timeout: Duration) -> Self {
        Calls { tasks: JoinSet::new(), names: HashMap::new(), timeout }
    }

    fn len(&self) -> usize {
        self.names.len()
    }

    fn make(&mut self, name: String, call: Call) {
        let timeout = self.timeout;
        let handle = self.tasks.spawn(async move {
            tokio::time::timeout(timeout, call)
                .await
                .unwrap_or_else(|_| Err(ProviderError::new(format!("no answer within {} s", timeout.as_secs()))))
        });
        self.names.insert(handle.id(), name);
    }

    async fn next(&mut self) -> Option<(String, CallResult)> {
        loop {
            let (id, result) = match self.tasks.join_next_with_id().await? {
                Ok((id, result)) => (id, result),
                Err(error) => {
                    // A provider's panic ends its call, not the stack's task.
                    tracing::error!(%error, "provider call");
                    (error.id(), Err(ProviderError::new("internal failure")))
                }
            };
            if let Some(name) = self.names.remove(&id) {
                return Some((name, result));
            }
        }
    }

    /// Breaks all off; returns their names, ascending.
    async fn cancel(&mut self) -> Vec<String> {
        self.tasks.shutdown().await;
        let mut names: Vec<String> = self.names.drain().map(|(_, name)| name).collect();
        names.sort();
        names
    }
}

/// The logical ids as messages list them.
pub(super) fn listed(names: &[String]) -> String {
    let mut names = names.to_vec();
    names.sort();
    names.dedup();
    format!("[{}]", names.join(", "))
}

pub(super) use work::proposal;
