//! Change sets: plans that are stored, looked at, and executed later.

use super::{
    Beginning, CreateStack, Engine, Error, Given, TemplateSource, UpdateStack, acknowledged, alone, given_values,
    is_stack_name, stack_event,
};
use crate::engine::blueprint::Blueprint;
use crate::engine::read::of_stack;
use crate::plan::Plan;
use crate::state::{Argument, OnFailure, Revision, Stack, StackName, StackStatus, TemplateText};
use headwater_model::Timestamp;
use headwater_store::{Batch, Document, Versioned, find, list, load};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// What a change set does to its stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ChangeSetType {
    /// It makes it.
    Create,
    /// It changes it.
    Update,
}

/// Whether a change set has changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ChangeSetStatus {
    /// It has.
    CreateComplete,
    /// It has none.
    Failed,
}

impl ChangeSetStatus {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            ChangeSetStatus::CreateComplete => "CREATE_COMPLETE",
            ChangeSetStatus::Failed => "FAILED",
        }
    }
}

/// How far the execution is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExecutionStatus {
    /// It cannot be executed.
    Unavailable,
    /// It can be.
    Available,
    /// It is being executed, or has been.
    ExecuteInProgress,
    /// It has been, and its operation succeeded.
    ExecuteComplete,
    /// It has been, and its operation failed.
    ExecuteFailed,
}

impl ExecutionStatus {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            ExecutionStatus::Unavailable => "UNAVAILABLE",
            ExecutionStatus::Available => "AVAILABLE",
            ExecutionStatus::ExecuteInProgress => "EXECUTE_IN_PROGRESS",
            ExecutionStatus::ExecuteComplete => "EXECUTE_COMPLETE",
            ExecutionStatus::ExecuteFailed => "EXECUTE_FAILED",
        }
    }
}

/// A stored plan with everything that is needed to carry it out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangeSet {
    /// Its ARN.
    pub id: String,
    /// Unique in its stack.
    pub name: String,
    /// The stack.
    pub stack_id: String,
    /// Its name.
    pub stack_name: String,
    /// What it does to it.
    pub change_set_type: ChangeSetType,
    /// Whether it has changes.
    pub status: ChangeSetStatus,
    /// Why not.
    pub status_reason: Option<String>,
    /// How far the execution is.
    pub execution_status: ExecutionStatus,
    /// As given.
    pub description: Option<String>,
    /// The template's text.
    pub template: String,
    /// Values of the parameters, by name.
    pub arguments: BTreeMap<String, Argument>,
    /// Capabilities that the caller acknowledged.
    pub capabilities: Vec<String>,
    /// Tags of the stack to be.
    pub tags: Option<BTreeMap<String, String>>,
    /// As given.
    pub notification_arns: Vec<String>,
    /// What happens if its execution fails.
    pub on_failure: OnFailure,
    /// What would change.
    pub plan: Plan,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Document for ChangeSet {
    const KIND: &'static str = "stack-change-set";
    fn id(&self) -> String {
        self.id.clone()
    }
    fn parent(&self) -> String {
        self.stack_id.clone()
    }
}

/// A change set to be made.
#[derive(Clone)]
pub struct ChangeSetInput {
    /// Name of the stack; for an update also its ARN.
    pub stack: String,
    /// `[a-zA-Z][-a-zA-Z0-9]*`, up to 128 characters.
    pub name: String,
    /// What it does.
    pub change_set_type: ChangeSetType,
    /// The template.
    pub template: TemplateSource,
    /// By name.
    pub parameters: BTreeMap<String, Given>,
    /// Such as `CAPABILITY_NAMED_IAM`.
    pub capabilities: Vec<String>,
    /// New tags, or the present ones.
    pub tags: Option<BTreeMap<String, String>>,
    /// Shown.
    pub notification_arns: Vec<String>,
    /// Shown.
    pub description: Option<String>,
    /// What happens if its execution fails.
    pub on_failure: OnFailure,
}

const EMPTY: &str =
    "The submitted information didn't contain changes. Submit different information to create a change set.";

impl Engine {
    /// Makes a change set; for a new stack also the stack, in review. Returns it.
    ///
    /// # Errors
    /// As [`Engine::create`] and [`Engine::update`]; [`Error::ChangeSetExists`].
    pub async fn create_change_set(&self, input: ChangeSetInput) -> Result<ChangeSet, Error> {
        if !is_stack_name(&input.name) {
            return Err(Error::Name(input.name));
        }
        let now = Timestamp::now();
        let mut batch = Batch::new();
        let (stack, text, blueprint, plan) = match input.change_set_type {
            ChangeSetType::Create => {
                let TemplateSource::Text(text) = input.template.clone() else {
                    return Err(Error::NoPrevious("template".into()));
                };
                let standing = match self.versioned(&input.stack).await {
                    Ok(standing) if standing.value.status == StackStatus::ReviewInProgress => Some(standing.value),
                    Ok(standing) => return Err(Error::Exists(standing.value.name)),
                    Err(Error::NoStack(_)) => None,
                    Err(error) => return Err(error),
                };
                let fresh = standing.is_none();
                let stack = match standing {
                    Some(stack) => stack,
                    None => self.in_review(&input, now)?,
                };
                let given = given_values(&input.parameters, None)?;
                let surroundings = self.surroundings(&text, &stack.id, &stack.name, &input.notification_arns).await?;
                let exports = self.exports_by_name().await?;
                let blueprint = Blueprint::check(&text, given, surroundings, exports, self.registry())?;
                let plan = blueprint.plan(self.registry(), &BTreeMap::new()).map_err(alone)?;
                if fresh {
                    let name = StackName { name: stack.name.clone(), stack_id: stack.id.clone() };
                    let kept = TemplateText {
                        id: stack.revision.template.clone(),
                        stack_id: stack.id.clone(),
                        text: text.clone(),
                    };
                    let mut begun = stack.clone();
                    batch.insert(&name)?;
                    batch.insert(&kept)?;
                    batch.put(&stack_event(&stack, now))?;
                    begun.event_count += 1;
                    batch.insert(&begun)?;
                }
                (stack, text, blueprint, plan)
            }
            ChangeSetType::Update => {
                let stack = self.stack(&input.stack).await?;
                if !stack.status.may_update() {
                    return Err(Error::State { id: stack.id, status: stack.status, wanted: "updated" });
                }
                let text = match &input.template {
                    TemplateSource::Text(text) => text.clone(),
                    TemplateSource::Previous => self.template_text(&stack).await?,
                };
                let (blueprint, plan, _) = self.prepare_update(&stack, &text, &input.parameters).await?;
                (stack, text, blueprint, plan)
            }
        };
        acknowledged(&blueprint, &input.capabilities)?;
        let others: Vec<ChangeSet> = list(self.store(), of_stack(&stack.id)).await?;
        if others.iter().any(|other| other.name == input.name) {
            return Err(Error::ChangeSetExists(input.name));
        }
        let empty = input.change_set_type == ChangeSetType::Update
            && plan.changes.is_empty()
            && input.tags.as_ref().is_none_or(|tags| *tags == stack.revision.tags)
            && self.same_outputs(&stack, &blueprint).await?;
        let change_set = ChangeSet {
            id: self.0.realm.arn("cloudformation", &format!("changeSet/{}/{}", input.name, Uuid::new_v4())),
            name: input.name,
            stack_id: stack.id,
            stack_name: stack.name,
            change_set_type: input.change_set_type,
            status: if empty { ChangeSetStatus::Failed } else { ChangeSetStatus::CreateComplete },
            status_reason: empty.then(|| EMPTY.to_owned()),
            execution_status: if empty { ExecutionStatus::Unavailable } else { ExecutionStatus::Available },
            description: input.description,
            template: text,
            arguments: blueprint.arguments,
            capabilities: input.capabilities,
            tags: input.tags,
            notification_arns: input.notification_arns,
            on_failure: input.on_failure,
            plan,
            created_at: now,
        };
        batch.insert(&change_set)?;
        match self.store().commit(batch).await {
            Ok(_) => Ok(change_set),
            Err(headwater_store::Error::Exists { .. }) => Err(Error::Exists(change_set.stack_name)),
            Err(error) => Err(error.into()),
        }
    }

    async fn same_outputs(&self, stack: &Stack, blueprint: &Blueprint) -> Result<bool, Error> {
        let resources = self.resources_by_name(&stack.id).await?;
        let outputs = blueprint.outputs(&resources);
        Ok(blueprint.template.description == stack.revision.description
            && outputs.is_ok_and(|outputs| outputs == stack.outputs))
    }

    fn in_review(&self, input: &ChangeSetInput, now: Timestamp) -> Result<Stack, Error> {
        if !is_stack_name(&input.stack) {
            return Err(Error::Name(input.stack.clone()));
        }
        Ok(Stack {
            id: self.0.realm.stack_arn(&input.stack, &Uuid::new_v4().to_string()),
            name: input.stack.clone(),
            status: StackStatus::ReviewInProgress,
            status_reason: Some(super::USER_INITIATED.into()),
            revision: Revision {
                template: Uuid::new_v4().to_string(),
                arguments: BTreeMap::new(),
                tags: input.tags.clone().unwrap_or_default(),
                description: None,
                capabilities: Vec::new(),
                imports: Vec::new(),
            },
            former: None,
            operation: None,
            outputs: Vec::new(),
            notification_arns: input.notification_arns.clone(),
            role_arn: None,
            timeout_min: None,
            termination_protection: false,
            change_set_id: None,
            created_at: now,
            updated_at: None,
            deleted_at: None,
            event_count: 0,
        })
    }

    /// A change set by its ARN, or by its name and its stack.
    ///
    /// # Errors
    /// [`Error::NoChangeSet`], [`Error::NoStack`], [`Error::Store`].
    pub async fn change_set(&self, name_or_id: &str, stack: Option<&str>) -> Result<ChangeSet, Error> {
        let mut change_set = self.stored_change_set(name_or_id, stack).await?.value;
        if change_set.execution_status == ExecutionStatus::ExecuteInProgress {
            let stack = find::<Stack>(self.store(), &change_set.stack_id).await?;
            change_set.execution_status = match stack.map(|stack| stack.status) {
                Some(status) if status.in_progress() => ExecutionStatus::ExecuteInProgress,
                Some(StackStatus::CreateComplete | StackStatus::UpdateComplete) => ExecutionStatus::ExecuteComplete,
                _ => ExecutionStatus::ExecuteFailed,
            };
        }
        Ok(change_set)
    }

    async fn stored_change_set(&self, name_or_id: &str, stack: Option<&str>) -> Result<Versioned<ChangeSet>, Error> {
        let missing = || Error::NoChangeSet(name_or_id.to_owned());
        if name_or_id.starts_with("arn:") {
            return load(self.store(), name_or_id).await?.ok_or_else(missing);
        }
        let stack = self.stack(stack.ok_or_else(missing)?).await?;
        let all: Vec<ChangeSet> = list(self.store(), of_stack(&stack.id)).await?;
        let found = all.into_iter().find(|change_set| change_set.name == name_or_id).ok_or_else(missing)?;
        load(self.store(), &found.id).await?.ok_or_else(missing)
    }

    /// Change sets of a stack, newest first.
    ///
    /// # Errors
    /// [`Error::NoStack`], [`Error::Store`].
    pub async fn change_sets(&self, stack: &str) -> Result<Vec<ChangeSet>, Error> {
        let stack = self.stack(stack).await?;
        let mut all: Vec<ChangeSet> = list(self.store(), of_stack(&stack.id)).await?;
        all.sort_by_key(|change_set| std::cmp::Reverse(change_set.created_at));
        Ok(all)
    }

    /// Forgets a change set. One that is not there is forgotten already.
    ///
    /// # Errors
    /// [`Error::NoStack`], [`Error::Store`].
    pub async fn delete_change_set(&self, name_or_id: &str, stack: Option<&str>) -> Result<(), Error> {
        match self.stored_change_set(name_or_id, stack).await {
            Ok(found) => {
                let mut batch = Batch::new();
                batch.delete::<ChangeSet>(&found.value.id);
                self.store().commit(batch).await?;
                Ok(())
            }
            Err(Error::NoChangeSet(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Begins the operation that a change set stands for. The stack's other change sets are forgotten.
    ///
    /// # Errors
    /// [`Error::NoChangeSet`], [`Error::ChangeSetStatus`], and as [`Engine::create`] and [`Engine::update`].
    pub async fn execute_change_set(
        &self,
        name_or_id: &str,
        stack: Option<&str>,
        client_token: Option<String>,
    ) -> Result<(), Error> {
        loop {
            let Versioned { value: mut change_set, revision } = self.stored_change_set(name_or_id, stack).await?;
            if change_set.execution_status != ExecutionStatus::Available {
                let status = change_set.execution_status.as_str().to_owned();
                return Err(Error::ChangeSetStatus { id: change_set.id, status });
            }
            let Versioned { value: stack, revision: stack_revision } = self.versioned(&change_set.stack_id).await?;
            let parameters = change_set
                .arguments
                .iter()
                .map(|(name, argument)| (name.clone(), Given::Value(argument.value.expose().to_owned())))
                .collect();
            let Beginning { mut stack, mut batch } = match change_set.change_set_type {
                ChangeSetType::Create if stack.status == StackStatus::ReviewInProgress => {
                    let input = CreateStack {
                        parameters,
                        capabilities: change_set.capabilities.clone(),
                        tags: change_set.tags.clone().unwrap_or_default(),
                        on_failure: change_set.on_failure,
                        client_token: client_token.clone(),
                        notification_arns: change_set.notification_arns.clone(),
                        ..CreateStack::new(stack.name.clone(), change_set.template.clone())
                    };
                    self.begin_create(stack.id.clone(), input, Some(stack)).await?
                }
                ChangeSetType::Update if stack.status.may_update() => {
                    let input = UpdateStack {
                        parameters,
                        capabilities: change_set.capabilities.clone(),
                        tags: change_set.tags.clone(),
                        on_failure: change_set.on_failure,
                        client_token: client_token.clone(),
                        ..UpdateStack::new(stack.id.clone(), change_set.template.clone())
                    };
                    self.begin_update(stack, &input).await?
                }
                _ => return Err(Error::State { id: stack.id, status: stack.status, wanted: "changed" }),
            };
            stack.change_set_id = Some(change_set.id.clone());
            batch.update(&stack, stack_revision)?;
            for other in list::<ChangeSet>(self.store(), of_stack(&stack.id)).await? {
                if other.id != change_set.id {
                    batch.delete::<ChangeSet>(&other.id);
                }
            }
            change_set.execution_status = ExecutionStatus::ExecuteInProgress;
            batch.update(&change_set, revision)?;
            match self.store().commit(batch).await {
                Ok(_) => return Ok(()),
                Err(headwater_store::Error::Conflict { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
        }
    }
}
