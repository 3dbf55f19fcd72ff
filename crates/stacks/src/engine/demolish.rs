//! Deleting resources, each after those that need it: rollback of a create, clean-up of an update, delete of a stack.

use super::drive::{Begun, CallResult, DriveError, Driver, Ended, OnCallFailure, Stop, Work, listed};
use crate::graph::Graph;
use crate::state::{
    DeletionPolicy, Export, Generation, Import, Resource, ResourceStatus, StackName, StackStatus, Touch,
};
use headwater_model::Timestamp;
use headwater_store::{Select, find, list};
use std::collections::{BTreeMap, BTreeSet};

/// Generations to delete, by logical id and a number.
struct Demolish {
    graph: Graph,
    targets: BTreeMap<String, (String, Generation)>,
}

impl Demolish {
    fn new(targets: impl IntoIterator<Item = (String, Generation)>) -> Self {
        let targets: BTreeMap<String, (String, Generation)> = targets
            .into_iter()
            .enumerate()
            .map(|(number, (logical_id, generation))| (format!("{logical_id}#{number}"), (logical_id, generation)))
            .collect();
        let mut graph = Graph::new();
        for name in targets.keys() {
            graph.add(name.clone(), []);
        }
        for (dependent, (_, generation)) in &targets {
            for (name, (logical_id, _)) in &targets {
                if name != dependent && generation.depends_on.contains(logical_id) {
                    graph.add(name.clone(), [dependent.clone()]);
                }
            }
        }
        if graph.cycle().is_some() {
            // Generations of different templates may need one another; then there is no right order.
            graph = Graph::new();
            for name in targets.keys() {
                graph.add(name.clone(), []);
            }
        }
        Demolish { graph, targets }
    }

    fn logical_ids(&self, names: &[String]) -> Vec<String> {
        names.iter().filter_map(|name| self.targets.get(name)).map(|(logical_id, _)| logical_id.clone()).collect()
    }
}

impl Driver {
    /// The phase after a failed create.
    pub(super) async fn roll_back_create(&mut self) -> Result<(), DriveError> {
        let keep = |generation: &Generation| {
            // Only what was made whole can be kept.
            generation.physical_id.is_some() && generation.deletion_policy == DeletionPolicy::Retain
        };
        let (stop, failed) = self.demolish_all(keep).await?;
        if stop == Stop::Interrupted {
            return self.give_way().await;
        }
        if failed.is_empty() {
            self.ledger.settle(StackStatus::RollbackComplete, None);
        } else {
            let reason = format!("The following resource(s) failed to delete: {}.", listed(&failed));
            self.ledger.settle(StackStatus::RollbackFailed, Some(reason));
        }
        self.ledger.flush().await
    }

    /// The phase of a delete.
    pub(super) async fn delete_all(&mut self) -> Result<(), DriveError> {
        for export in self.own_exports().await? {
            if let Some(user) = self.importer(&export.name).await? {
                let reason = format!("Export {} cannot be deleted as it is in use by {user}", export.name);
                self.ledger.settle(StackStatus::DeleteFailed, Some(reason));
                return self.ledger.flush().await;
            }
        }
        let keep = |generation: &Generation| {
            generation.physical_id.is_some() && generation.deletion_policy != DeletionPolicy::Delete
        };
        let (stop, failed) = self.demolish_all(keep).await?;
        if stop == Stop::Interrupted {
            return self.give_way().await;
        }
        if !failed.is_empty() {
            let reason = format!("The following resource(s) failed to delete: {}.", listed(&failed));
            self.ledger.settle(StackStatus::DeleteFailed, Some(reason));
            return self.ledger.flush().await;
        }
        for export in self.own_exports().await? {
            self.ledger.batch.delete::<Export>(&export.name);
        }
        for import in self.ledger.stack.revision.imports.clone() {
            let id = format!("{import}/{}", self.ledger.stack.id);
            self.ledger.batch.delete::<Import>(&id);
        }
        let name = find::<StackName>(self.ledger.store(), &self.ledger.stack.name).await?;
        if name.is_some_and(|name| name.stack_id == self.ledger.stack.id) {
            let name = self.ledger.stack.name.clone();
            self.ledger.batch.delete::<StackName>(&name);
        }
        self.ledger.stack.deleted_at = Some(Timestamp::now());
        self.ledger.settle(StackStatus::DeleteComplete, None);
        self.ledger.flush().await
    }

    /// Everything that any logical id stands for, except what is kept.
    async fn demolish_all(&mut self, keep: impl Fn(&Generation) -> bool) -> Result<(Stop, Vec<String>), DriveError> {
        let retain = self.ledger.operation().retain;
        let ids: Vec<String> = self.ledger.resources.keys().cloned().collect();
        let mut targets = Vec::new();
        for id in ids {
            self.abandon_intent(&id);
            let Some(resource) = self.ledger.resources.get_mut(&id) else { continue };
            if let Some(former) = resource.former.take().filter(|_| resource.touch == Some(Touch::Replaced)) {
                resource.retired.push(former);
            }
            if resource.live.as_ref().is_some_and(|live| keep(live) || retain.contains(&id)) {
                resource.live = None;
                resource.retired.clear();
                self.ledger.resource_is(&id, ResourceStatus::DeleteSkipped, None, None);
                continue;
            }
            targets.extend(
                resource.live.iter().chain(&resource.retired).map(|generation| (id.clone(), generation.clone())),
            );
        }
        let mut work = Demolish::new(targets);
        let (stop, failed) = self.waves(&mut work, BTreeSet::new(), Vec::new()).await?;
        Ok((stop, work.logical_ids(&failed)))
    }

    /// The phase after an update, or after its rollback: what is not wanted any more goes.
    pub(super) async fn clean_up(&mut self) -> Result<(), DriveError> {
        let retired = |(id, resource): (&String, &Resource)| {
            let id = id.clone();
            resource.retired.clone().into_iter().map(move |generation| (id.clone(), generation)).collect::<Vec<_>>()
        };
        let targets: Vec<(String, Generation)> = self.ledger.resources.iter().flat_map(retired).collect();
        let mut work = Demolish::new(targets);
        let (stop, failed) = self.waves(&mut work, BTreeSet::new(), Vec::new()).await?;
        if stop == Stop::Interrupted {
            return self.give_way().await;
        }
        let failed = work.logical_ids(&failed);
        // What cannot be deleted here is left to its owner, as CloudFormation does; the event tells it.
        let ids: Vec<String> = self.ledger.resources.keys().cloned().collect();
        for id in ids {
            let Some(resource) = self.ledger.resources.get_mut(&id) else { continue };
            resource.retired.clear();
            resource.former = None;
            if resource.live.is_none() {
                self.ledger.remove(&id);
            } else {
                self.ledger.touch(&id);
            }
        }
        let status = match self.ledger.stack.status {
            StackStatus::UpdateCompleteCleanupInProgress => StackStatus::UpdateComplete,
            _ => StackStatus::UpdateRollbackComplete,
        };
        let reason = (!failed.is_empty()).then(|| format!("failed to delete and left alone: {}", listed(&failed)));
        self.ledger.settle(status, reason);
        self.ledger.flush().await
    }

    pub(super) async fn own_exports(&self) -> Result<Vec<Export>, DriveError> {
        let select = Select { parent: Some(self.ledger.stack.id.clone()), ..Select::default() };
        list(self.ledger.store(), select).await
    }

    /// Another stack that imports this.
    pub(super) async fn importer(&self, export: &str) -> Result<Option<String>, DriveError> {
        let select = Select { parent: Some(export.to_owned()), ..Select::default() };
        let imports: Vec<Import> = list(self.ledger.store(), select).await?;
        Ok(imports.into_iter().map(|import| import.stack_id).find(|id| *id != self.ledger.stack.id))
    }
}

impl Work for Demolish {
    fn graph(&self) -> &Graph {
        &self.graph
    }

    fn on_failure(&self) -> OnCallFailure {
        OnCallFailure::GoOn
    }

    fn begin(&mut self, driver: &mut Driver, name: &str) -> Begun {
        let Some((logical_id, generation)) = self.targets.get(name).cloned() else { return Begun::Nothing };
        if let Some(resource) = driver.ledger.resources.get_mut(&logical_id).filter(|resource| resource.live.is_none())
        {
            resource.physical_id = generation.physical_id.clone();
        }
        driver.ledger.resource_is(&logical_id, ResourceStatus::DeleteInProgress, None, None);
        Begun::Call(driver.delete_call(&logical_id, &generation))
    }

    fn end(&mut self, driver: &mut Driver, name: &str, result: CallResult) -> Ended {
        let Some((logical_id, generation)) = self.targets.get(name).cloned() else { return Ended::Failed };
        match result {
            Ok(_) => {
                if let Some(resource) = driver.ledger.resources.get_mut(&logical_id) {
                    resource.live.take_if(|live| live.is_same_thing(&generation));
                    resource.retired.retain(|retired| !retired.is_same_thing(&generation));
                }
                driver.ledger.resource_is(&logical_id, ResourceStatus::DeleteComplete, None, None);
                self.still_standing(driver, &logical_id);
                Ended::Done
            }
            Err(error) => {
                driver.ledger.resource_is(&logical_id, ResourceStatus::DeleteFailed, Some(error.message), None);
                self.still_standing(driver, &logical_id);
                Ended::Failed
            }
        }
    }

    fn cancelled(&mut self, driver: &mut Driver, name: &str) {
        let Some((logical_id, _)) = self.targets.get(name).cloned() else { return };
        let reason = Some("Resource deletion cancelled".to_owned());
        driver.ledger.resource_is(&logical_id, ResourceStatus::DeleteFailed, reason, None);
        self.still_standing(driver, &logical_id);
    }
}

impl Demolish {
    /// In a clean-up the logical id goes on to stand for its live generation: only the event told of the other one.
    fn still_standing(&self, driver: &mut Driver, logical_id: &str) {
        let cleaning = matches!(
            driver.ledger.stack.status,
            StackStatus::UpdateCompleteCleanupInProgress | StackStatus::UpdateRollbackCompleteCleanupInProgress
        );
        if let Some(resource) = driver.ledger.resources.get_mut(logical_id)
            && cleaning
            && resource.live.is_some()
        {
            resource.status = ResourceStatus::UpdateComplete;
            resource.status_reason = None;
        }
    }
}
