//! Taking an update back: resources that were changed get their former properties again.

use super::drive::{Begun, Call, CallResult, Done, DriveError, Driver, Ended, OnCallFailure, Stop, Work, listed};
use crate::graph::Graph;
use crate::provider::Updated;
use crate::state::{Concealed, Import, Intent, ResourceStatus, StackStatus, Touch};
use std::collections::BTreeSet;

struct Restore {
    graph: Graph,
}

impl Driver {
    /// Notes the consequences of a failed update that need no calls: what was added or replaced goes to the clean-up.
    pub(super) fn turn_back(&mut self) {
        let operation = self.ledger.operation().id;
        let ids: Vec<String> = self.ledger.resources.keys().cloned().collect();
        for id in ids {
            self.abandon_intent(&id);
            let Some(resource) = self.ledger.resources.get_mut(&id) else { continue };
            if resource.operation != operation {
                continue;
            }
            match resource.touch {
                Some(Touch::Added) => resource.retired.extend(resource.live.take()),
                Some(Touch::Replaced) => {
                    resource.retired.extend(resource.live.take());
                    resource.live = resource.former.take();
                    if let Some(live) = &resource.live {
                        resource.physical_id = live.physical_id.clone();
                        resource.resource_type = live.resource_type.clone();
                        resource.status = ResourceStatus::UpdateComplete;
                        resource.status_reason = None;
                    }
                    resource.touch = None;
                }
                Some(Touch::Updated) | None => {}
            }
            self.ledger.touch(&id);
        }
    }

    /// The phase in which resources are put back.
    pub(super) async fn restore(&mut self) -> Result<(), DriveError> {
        let operation = self.ledger.operation().id;
        let mut graph = Graph::new();
        let mut resumed: Vec<(String, Call)> = Vec::new();
        for (logical_id, resource) in &self.ledger.resources {
            let wanted = resource.operation == operation && resource.touch == Some(Touch::Updated);
            let Some(former) = resource.former.as_ref().filter(|_| wanted) else { continue };
            graph.add(logical_id.clone(), former.depends_on.iter().cloned());
            if let Some(intent @ Intent::Restore(_)) = &resource.intent {
                resumed.push((logical_id.clone(), self.call_of(logical_id, intent)));
            }
        }
        let (stop, failed) = self.waves(&mut Restore { graph }, BTreeSet::new(), resumed).await?;
        match stop {
            Stop::Interrupted => return self.give_way().await,
            Stop::Finished if failed.is_empty() => {}
            _ => {
                let reason = format!("The following resource(s) failed to update: {}", listed(&failed));
                self.ledger.settle(StackStatus::UpdateRollbackFailed, Some(reason));
                return self.ledger.flush().await;
            }
        }
        if let Some(former) = self.ledger.stack.former.take() {
            let tried = std::mem::replace(&mut self.ledger.stack.revision, former);
            for import in tried.imports {
                if !self.ledger.stack.revision.imports.contains(&import) {
                    let id = format!("{import}/{}", self.ledger.stack.id);
                    self.ledger.batch.delete::<Import>(&id);
                }
            }
        }
        self.ledger.stack_is(StackStatus::UpdateRollbackCompleteCleanupInProgress, None);
        self.ledger.flush().await
    }
}

impl Work for Restore {
    fn graph(&self) -> &Graph {
        &self.graph
    }

    fn on_failure(&self) -> OnCallFailure {
        OnCallFailure::GoOn
    }

    fn begin(&mut self, driver: &mut Driver, name: &str) -> Begun {
        let Some(resource) = driver.ledger.resources.get_mut(name) else { return Begun::Nothing };
        let Some(former) = resource.former.clone() else { return Begun::Nothing };
        let intent = Intent::Restore(former);
        resource.intent = Some(intent.clone());
        driver.ledger.resource_is(name, ResourceStatus::UpdateInProgress, None, None);
        Begun::Call(driver.call_of(name, &intent))
    }

    fn end(&mut self, driver: &mut Driver, name: &str, result: CallResult) -> Ended {
        let Some(resource) = driver.ledger.resources.get_mut(name) else { return Ended::Failed };
        resource.intent = None;
        match result {
            Ok(Done::Updated(Updated::InPlace(made))) => {
                let mut back = resource.former.take();
                if let Some(generation) = &mut back {
                    // A custom resource may answer with another id here too; the one it left is then cleaned up.
                    if generation.physical_id.as_ref() != Some(&made.physical_id) {
                        resource.retired.extend(resource.live.take());
                    }
                    generation.physical_id = Some(made.physical_id);
                    generation.attributes = Concealed(made.attributes);
                }
                resource.live = back;
                resource.physical_id = resource.live.as_ref().and_then(|live| live.physical_id.clone());
                resource.touch = None;
                driver.ledger.resource_is(name, ResourceStatus::UpdateComplete, None, None);
                Ended::Done
            }
            other => {
                let reason = match other {
                    Err(error) => error.message,
                    Ok(_) => "the former properties cannot be put back in place".into(),
                };
                driver.ledger.resource_is(name, ResourceStatus::UpdateFailed, Some(reason), None);
                Ended::Failed
            }
        }
    }

    fn cancelled(&mut self, driver: &mut Driver, name: &str) {
        driver.abandon_intent(name);
        let reason = Some("Resource update cancelled".to_owned());
        driver.ledger.resource_is(name, ResourceStatus::UpdateFailed, reason, None);
    }
}
