//! A stack's durable state in the hands of the task that works on it: every change goes through here into one commit.

use crate::state::{Operation, OperationKind, Resource, ResourceStatus, Stack, StackEvent, StackStatus};
use headwater_model::Timestamp;
use headwater_store::{Batch, Error, JobId, Select, Store, list, load};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

/// State, and the writes that have been noted and not committed.
pub(super) struct Ledger {
    store: Arc<dyn Store>,
    pub(super) stack: Stack,
    pub(super) resources: BTreeMap<String, Resource>,
    pub(super) batch: Batch,
    revision: u64,
    job: JobId,
    noted: bool,
    /// The newest event's time. Clients sort by it, so no two events of an operation have the same.
    event_at: Timestamp,
    changed: BTreeSet<String>,
    removed: BTreeSet<String>,
}

impl Ledger {
    /// Reads a stack; `None` if it is gone.
    pub(super) async fn open(store: Arc<dyn Store>, stack_id: &str, job: JobId) -> Result<Option<Ledger>, Error> {
        let Some(stack) = load::<Stack>(&*store, stack_id).await? else { return Ok(None) };
        let select = Select { parent: Some(stack_id.to_owned()), ..Select::default() };
        let resources: Vec<Resource> = list(&*store, select).await?;
        Ok(Some(Ledger {
            store,
            stack: stack.value,
            resources: resources.into_iter().map(|resource| (resource.logical_id.clone(), resource)).collect(),
            batch: Batch::new(),
            revision: stack.revision,
            job,
            noted: false,
            event_at: Timestamp(0),
            changed: BTreeSet::new(),
            removed: BTreeSet::new(),
        }))
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// The operation under way; there is one whenever a task works on the stack.
    pub(super) fn operation(&self) -> Operation {
        self.stack.operation.clone().unwrap_or(Operation {
            id: String::new(),
            kind: OperationKind::Delete,
            client_token: None,
            deadline: None,
            retain: Vec::new(),
            on_failure: crate::state::OnFailure::Rollback,
        })
    }

    /// Notes where the stack is now, with its event.
    pub(super) fn stack_is(&mut self, status: StackStatus, reason: Option<String>) {
        self.stack.status = status;
        self.stack.status_reason = reason;
        let event = super::stack_event(&self.stack, Timestamp::now());
        self.event(event);
        tracing::info!(stack = %self.stack.name, status = %status, "stack");
    }

    /// Notes where a resource is now, with its event.
    pub(super) fn resource_is(
        &mut self,
        logical_id: &str,
        status: ResourceStatus,
        reason: Option<String>,
        properties: Option<String>,
    ) {
        let now = Timestamp::now();
        let Some(resource) = self.resources.get_mut(logical_id) else { return };
        resource.status = status;
        resource.status_reason = reason.clone();
        resource.updated_at = now;
        let event = StackEvent {
            stack_id: self.stack.id.clone(),
            stack_name: self.stack.name.clone(),
            number: self.stack.event_count,
            event_id: format!("{logical_id}-{status}-{}", Uuid::new_v4()),
            at: now,
            logical_id: logical_id.to_owned(),
            physical_id: resource.physical_id.clone(),
            resource_type: resource.resource_type.clone(),
            status: status.as_str().into(),
            reason,
            properties,
            client_token: self.stack.operation.as_ref().and_then(|operation| operation.client_token.clone()),
        };
        tracing::debug!(stack = %self.stack.name, resource = logical_id, status = %status, "resource");
        self.event(event);
        self.changed.insert(logical_id.to_owned());
    }

    fn event(&mut self, mut event: StackEvent) {
        event.at = event.at.max(self.event_at.plus_ms(1));
        self.event_at = event.at;
        self.stack.event_count += 1;
        self.noted = true;
        if let Err(error) = self.batch.put(&event) {
            // An event is plain text and numbers; JSON takes it.
            tracing::error!(%error, "stack event has no JSON form");
        }
    }

    /// Notes that a resource changed without an event.
    pub(super) fn touch(&mut self, logical_id: &str) {
        self.changed.insert(logical_id.to_owned());
        self.noted = true;
    }

    /// Notes that a resource leaves the stack.
    pub(super) fn remove(&mut self, logical_id: &str) {
        self.resources.remove(logical_id);
        self.changed.remove(logical_id);
        self.removed.insert(logical_id.to_owned());
        self.noted = true;
    }

    /// Notes that the job is done.
    pub(super) fn job_is_done(&mut self) {
        self.batch.complete(self.job);
        self.noted = true;
    }

    /// Notes the operation's end.
    pub(super) fn settle(&mut self, status: StackStatus, reason: Option<String>) {
        self.stack_is(status, reason);
        self.job_is_done();
    }

    /// Commits what has been noted, if anything. On an error the ledger is of no more use: the task ends and begins
    /// again from what is stored.
    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        if !self.noted {
            return Ok(());
        }
        let mut batch = std::mem::take(&mut self.batch);
        for logical_id in std::mem::take(&mut self.changed) {
            if let Some(resource) = self.resources.get(&logical_id) {
                batch.put(resource)?;
            }
        }
        for logical_id in std::mem::take(&mut self.removed) {
            batch.delete::<Resource>(&format!("{}/{logical_id}", self.stack.id));
        }
        batch.update(&self.stack, self.revision)?;
        self.store.commit(batch).await?;
        self.revision += 1;
        self.noted = false;
        Ok(())
    }
}
