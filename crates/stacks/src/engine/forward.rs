//! Making and changing resources in dependency order, and what follows from its end.

use super::blueprint::Blueprint;
use super::drive::{
    Begun, Call, CallResult, Done, DriveError, Driver, Ended, OnCallFailure, Stop, Work, listed, proposal,
};
use crate::check::Resolved;
use crate::graph::Graph;
use crate::plan::{Difference, difference, kept_name};
use crate::provider::{Made, Updated};
use crate::state::{
    Concealed, DeletionPolicy, Export, Generation, Import, Intent, OnFailure, Output, Resource, ResourceStatus,
    StackStatus, Touch,
};
use crate::template::Fault;
use headwater_model::Timestamp;
use headwater_store::find;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use uuid::Uuid;

struct Forward {
    blueprint: Blueprint,
}

impl Driver {
    /// The phase in which resources are made and changed.
    pub(super) async fn forward(&mut self) -> Result<(), DriveError> {
        let operation = self.ledger.operation();
        let blueprint = match self.blueprint().await? {
            Ok(blueprint) => blueprint,
            Err(error) => {
                self.abandon_intents();
                return self.forward_failed(error.to_string()).await;
            }
        };
        let mut done = BTreeSet::new();
        let mut failed = Vec::new();
        let mut resumed: Vec<(String, Call)> = Vec::new();
        for (logical_id, resource) in &self.ledger.resources {
            if resource.operation != operation.id {
                continue;
            }
            match (&resource.intent, resource.status) {
                (Some(intent), _) => resumed.push((logical_id.clone(), self.call_of(logical_id, intent))),
                (None, ResourceStatus::CreateComplete | ResourceStatus::UpdateComplete) => {
                    done.insert(logical_id.clone());
                }
                (None, ResourceStatus::CreateFailed | ResourceStatus::UpdateFailed) => failed.push(logical_id.clone()),
                _ => {}
            }
        }
        if !failed.is_empty() {
            // A crash came between a failure and its consequences.
            self.abandon_intents();
            return self.forward_failed(failed_to(self.is_update(), &failed)).await;
        }
        let mut work = Forward { blueprint };
        let (stop, failed) = self.waves(&mut work, done, resumed).await?;
        match stop {
            Stop::Finished => self.forward_finished(&work.blueprint).await,
            Stop::Failed => self.forward_failed(failed_to(self.is_update(), &failed)).await,
            Stop::TimedOut => self.forward_failed("Stack creation time exceeded the specified timeout".into()).await,
            Stop::Interrupted => self.give_way().await,
        }
    }

    fn abandon_intents(&mut self) {
        let ids: Vec<String> = self.ledger.resources.keys().cloned().collect();
        for id in ids {
            self.abandon_intent(&id);
        }
    }

    async fn forward_finished(&mut self, blueprint: &Blueprint) -> Result<(), DriveError> {
        let outputs = match blueprint.outputs(&self.ledger.resources) {
            Ok(outputs) => outputs,
            Err(problem) => return self.forward_failed(problem.to_string()).await,
        };
        if let Err(reason) = self.publish_exports(&outputs).await? {
            return self.forward_failed(reason).await;
        }
        self.ledger.stack.outputs = outputs;
        let former = self.ledger.stack.former.take();
        for import in former.into_iter().flat_map(|former| former.imports) {
            if !self.ledger.stack.revision.imports.contains(&import) {
                let id = format!("{import}/{}", self.ledger.stack.id);
                self.ledger.batch.delete::<Import>(&id);
            }
        }
        if !self.is_update() {
            self.ledger.settle(StackStatus::CreateComplete, None);
            return self.ledger.flush().await;
        }
        let active: BTreeSet<String> = blueprint.checked.graph.order().unwrap_or_default().into_iter().collect();
        self.retire_for_update(&active);
        self.ledger.stack_is(StackStatus::UpdateCompleteCleanupInProgress, None);
        self.ledger.flush().await
    }

    /// Moves what an update replaced or removed to what the clean-up deletes, unless its policy keeps it.
    fn retire_for_update(&mut self, active: &BTreeSet<String>) {
        let ids: Vec<String> = self.ledger.resources.keys().cloned().collect();
        for id in ids {
            let mut kept = false;
            let Some(resource) = self.ledger.resources.get_mut(&id) else { continue };
            let former = resource.former.take();
            match former.filter(|_| resource.touch == Some(Touch::Replaced)) {
                Some(former) if former.replace_policy == DeletionPolicy::Delete => resource.retired.push(former),
                Some(_) => kept = true,
                None => {}
            }
            if !active.contains(&id)
                && let Some(live) = resource.live.take()
            {
                match live.deletion_policy {
                    DeletionPolicy::Delete => resource.retired.push(live),
                    _ => kept = true,
                }
            }
            self.ledger.touch(&id);
            if kept {
                self.ledger.resource_is(&id, ResourceStatus::DeleteSkipped, None, None);
                if let Some(resource) = self.ledger.resources.get_mut(&id).filter(|resource| resource.live.is_some()) {
                    resource.status = ResourceStatus::UpdateComplete;
                }
            }
        }
    }

    /// Notes the exports of an operation's end, or why they cannot be.
    async fn publish_exports(&mut self, outputs: &[Output]) -> Result<Result<(), String>, DriveError> {
        let stack_id = self.ledger.stack.id.clone();
        let mut fresh = Vec::new();
        for output in outputs {
            let Some(name) = &output.export else { continue };
            let standing = find::<Export>(self.ledger.store(), name).await?;
            if let Some(other) = standing.filter(|export| export.stack_id != stack_id) {
                return Ok(Err(format!("Export with name {name} is already exported by stack {}", other.stack_id)));
            }
            fresh.push(Export { name: name.clone(), value: output.value.clone(), stack_id: stack_id.clone() });
        }
        for old in self.own_exports().await? {
            if fresh.contains(&old) {
                continue;
            }
            if let Some(user) = self.importer(&old.name).await? {
                return Ok(Err(format!("Export {} cannot be updated as it is in use by {user}", old.name)));
            }
            self.ledger.batch.delete::<Export>(&old.name);
        }
        for export in fresh {
            self.ledger.batch.put(&export)?;
        }
        Ok(Ok(()))
    }

    async fn forward_failed(&mut self, reason: String) -> Result<(), DriveError> {
        let operation = self.ledger.operation();
        match (self.is_update(), operation.on_failure) {
            (false, OnFailure::DoNothing) => self.ledger.settle(StackStatus::CreateFailed, Some(reason)),
            (false, OnFailure::Rollback) => {
                let reason = format!("{reason}. Rollback requested by user.");
                self.ledger.stack_is(StackStatus::RollbackInProgress, Some(reason));
            }
            (false, OnFailure::Delete) => {
                let reason = format!("{reason}. Delete requested by user.");
                self.ledger.stack_is(StackStatus::DeleteInProgress, Some(reason));
            }
            (true, OnFailure::DoNothing) => {
                self.ledger.stack.former = None;
                self.ledger.settle(StackStatus::UpdateFailed, Some(reason));
            }
            (true, _) => {
                self.turn_back();
                self.ledger.stack_is(StackStatus::UpdateRollbackInProgress, Some(reason));
            }
        }
        self.ledger.flush().await
    }
}

fn failed_to(update: bool, failed: &[String]) -> String {
    let verb = if update { "update" } else { "create" };
    format!("The following resource(s) failed to {verb}: {}", listed(failed))
}

impl Work for Forward {
    fn graph(&self) -> &Graph {
        &self.blueprint.checked.graph
    }

    fn on_failure(&self) -> OnCallFailure {
        OnCallFailure::Stop
    }

    fn begin(&mut self, driver: &mut Driver, name: &str) -> Begun {
        let Some(definition) = self.blueprint.template.resource(name) else { return Begun::Nothing };
        let registry = driver.engine.registry().clone();
        let shown = self.blueprint.shown(definition, &driver.ledger.resources);
        let depends_on: Vec<String> = self.blueprint.checked.graph.needs(name).map(str::to_owned).collect();
        let resource_type = definition.resource_type.name.clone();
        let resolved = self.blueprint.resolve(definition, &registry, &driver.ledger.resources);
        let operation = driver.ledger.operation().id;
        let stack_id = driver.ledger.stack.id.clone();
        let resource = driver.ledger.resources.entry(name.to_owned()).or_insert_with(|| Resource {
            stack_id,
            logical_id: name.to_owned(),
            resource_type: resource_type.clone(),
            status: ResourceStatus::CreateInProgress,
            status_reason: None,
            physical_id: None,
            updated_at: Timestamp::now(),
            live: None,
            former: None,
            retired: Vec::new(),
            intent: None,
            touch: None,
            operation: operation.clone(),
        });
        if resource.operation != operation {
            // What an earlier operation left behind when it failed and was not rolled back.
            if let Some(former) = resource.former.take().filter(|_| resource.touch == Some(Touch::Replaced)) {
                resource.retired.push(former);
            }
            resource.touch = None;
        }
        if let Some(uncertain) = resource.live.take_if(|live| live.physical_id.is_none()) {
            resource.retired.push(uncertain);
        }
        let exists = resource.live.is_some();
        let in_progress = if exists { ResourceStatus::UpdateInProgress } else { ResourceStatus::CreateInProgress };
        let failed = if exists { ResourceStatus::UpdateFailed } else { ResourceStatus::CreateFailed };
        let provider = registry.find(&resource_type);
        let (schema, properties) = match (provider, resolved) {
            (Some(provider), Ok(Resolved::Known(properties))) => (provider.schema(), properties),
            (_, outcome) => {
                let reason = match outcome {
                    Err(problem) => problem.to_string(),
                    Ok(Resolved::Partly(_, unknown)) => format!("no value for {}", unknown.join(", ")),
                    Ok(Resolved::Known(_)) => format!("unknown resource type {resource_type:?}"),
                };
                resource.operation = operation;
                driver.ledger.resource_is(name, failed, Some(reason), Some(shown));
                return Begun::Failed;
            }
        };
        let fresh = |proposal: String| Generation {
            resource_type: resource_type.clone(),
            physical_id: None,
            attributes: Concealed(Map::new()),
            properties: Concealed(Value::Object(properties.clone())),
            proposal,
            token: Uuid::new_v4().to_string(),
            depends_on: depends_on.clone(),
            deletion_policy: definition.deletion_policy,
            replace_policy: definition.replace_policy,
        };
        let new_name = || proposal(&driver.ledger.stack.name, name, schema.naming);
        let (intent, reason) = match &resource.live {
            None => (Intent::Create(fresh(new_name())), None),
            Some(live) if live.resource_type == resource_type => {
                match difference(schema, &live.properties.0, &properties) {
                    Difference::Same => {
                        let mut live = live.clone();
                        live.depends_on = depends_on;
                        live.deletion_policy = definition.deletion_policy;
                        live.replace_policy = definition.replace_policy;
                        if resource.live.as_ref() != Some(&live) {
                            resource.live = Some(live);
                            driver.ledger.touch(name);
                        }
                        return Begun::Nothing;
                    }
                    Difference::InPlace(_) => {
                        let mut generation = fresh(live.proposal.clone());
                        generation.physical_id = live.physical_id.clone();
                        generation.attributes = live.attributes.clone();
                        generation.token = live.token.clone();
                        (Intent::Update(generation), None)
                    }
                    Difference::Replace(_) => {
                        if let Some(own) = kept_name(schema, &live.properties.0, &properties) {
                            resource.operation = operation;
                            let reason = Fault::NamedReplacement { name: own }.to_string();
                            driver.ledger.resource_is(name, failed, Some(reason), Some(shown));
                            return Begun::Failed;
                        }
                        (Intent::Create(fresh(new_name())), Some(NEEDS_REPLACEMENT.to_owned()))
                    }
                }
            }
            Some(_) => (Intent::Create(fresh(new_name())), Some(NEEDS_REPLACEMENT.to_owned())),
        };
        resource.resource_type = resource_type;
        resource.operation = operation;
        resource.intent = Some(intent.clone());
        driver.ledger.resource_is(name, in_progress, reason, Some(shown));
        Begun::Call(driver.call_of(name, &intent))
    }

    fn end(&mut self, driver: &mut Driver, name: &str, result: CallResult) -> Ended {
        let Some(resource) = driver.ledger.resources.get_mut(name) else { return Ended::Failed };
        let Some(intent) = resource.intent.take() else { return Ended::Failed };
        let exists = resource.live.is_some();
        let failed = if exists { ResourceStatus::UpdateFailed } else { ResourceStatus::CreateFailed };
        match (intent, result) {
            (Intent::Create(mut generation), Ok(Done::Made(made))) => {
                take(&mut generation, made);
                resource.physical_id = generation.physical_id.clone();
                resource.touch = Some(if exists { Touch::Replaced } else { Touch::Added });
                resource.former = resource.live.replace(generation);
                let (begun, complete) = match exists {
                    true => (ResourceStatus::UpdateInProgress, ResourceStatus::UpdateComplete),
                    false => (ResourceStatus::CreateInProgress, ResourceStatus::CreateComplete),
                };
                driver.ledger.resource_is(name, begun, Some(CREATION_INITIATED.into()), None);
                driver.ledger.resource_is(name, complete, None, None);
                Ended::Done
            }
            (Intent::Create(mut generation), Err(error)) => {
                if let Some(left) = error.physical_id {
                    generation.physical_id = Some(left.clone());
                    resource.physical_id = Some(left);
                    resource.touch = Some(if exists { Touch::Replaced } else { Touch::Added });
                    resource.former = resource.live.replace(generation);
                }
                driver.ledger.resource_is(name, failed, Some(error.message), None);
                Ended::Failed
            }
            (Intent::Update(mut generation), Ok(Done::Updated(Updated::InPlace(made)))) => {
                let moved = generation.physical_id.as_ref() != Some(&made.physical_id);
                take(&mut generation, made);
                resource.physical_id = generation.physical_id.clone();
                resource.touch = Some(if moved { Touch::Replaced } else { Touch::Updated });
                resource.former = resource.live.replace(generation);
                driver.ledger.resource_is(name, ResourceStatus::UpdateComplete, None, None);
                Ended::Done
            }
            (Intent::Update(generation), Ok(Done::Updated(Updated::Replace))) => {
                let naming = driver.engine.registry().find(&generation.resource_type);
                let naming = naming.map(|provider| provider.schema().naming);
                let mut fresh = Generation { physical_id: None, token: Uuid::new_v4().to_string(), ..generation };
                fresh.attributes = Concealed(Map::new());
                if let Some(naming) = naming {
                    fresh.proposal = proposal(&driver.ledger.stack.name, name, naming);
                }
                let intent = Intent::Create(fresh);
                resource.intent = Some(intent.clone());
                let reason = Some(NEEDS_REPLACEMENT.into());
                driver.ledger.resource_is(name, ResourceStatus::UpdateInProgress, reason, None);
                Ended::Call(driver.call_of(name, &intent))
            }
            (intent, result) => {
                // An update that failed may have changed something: it is put back in the rollback.
                if matches!(intent, Intent::Update(_)) {
                    resource.former = resource.live.clone();
                    resource.touch = Some(Touch::Updated);
                }
                let reason = match result {
                    Err(error) => error.message,
                    Ok(_) => "the provider gave an answer of another kind".into(),
                };
                driver.ledger.resource_is(name, failed, Some(reason), None);
                Ended::Failed
            }
        }
    }

    fn cancelled(&mut self, driver: &mut Driver, name: &str) {
        let exists = driver.ledger.resources.get(name).is_some_and(|resource| resource.live.is_some());
        driver.abandon_intent(name);
        let (status, reason) = match exists {
            true => (ResourceStatus::UpdateFailed, "Resource update cancelled"),
            false => (ResourceStatus::CreateFailed, "Resource creation cancelled"),
        };
        driver.ledger.resource_is(name, status, Some(reason.into()), None);
    }
}

const CREATION_INITIATED: &str = "Resource creation Initiated";
const NEEDS_REPLACEMENT: &str =
    "Requested update requires the creation of a new physical resource; hence creating one.";

fn take(generation: &mut Generation, made: Made) {
    generation.physical_id = Some(made.physical_id);
    generation.attributes = Concealed(made.attributes);
}
