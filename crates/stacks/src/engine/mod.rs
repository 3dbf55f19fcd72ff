//! Operations on stacks: asked for here, done by [`Engine::run`].
//!
//! *Shape.* A call checks, writes the operation with its job in one commit and returns. The worker gives each stack's
//! operation one task (`drive`), which writes an intent before each provider call and the result after it. The
//! stack's status is the operation's durable phase, so a task that starts from what a crash left goes on there.
//!
//! *Ownership.* While an operation is under way its task is the only writer of the stack and its resources. A delete
//! that arrives meanwhile is a job of its own, for which the worker interrupts the task.

mod blueprint;
mod change_sets;
mod demolish;
mod drive;
mod forward;
mod input;
mod ledger;
mod read;
mod restore;
mod work;

pub use change_sets::{ChangeSet, ChangeSetInput, ChangeSetStatus, ChangeSetType, ExecutionStatus};
pub use input::{CreateStack, DeleteStack, Error, Given, TemplateSource, UpdateStack};

use crate::plan::Plan;
use crate::provider::Registry;
use crate::resolve::Surroundings;
use crate::state::{
    Import, Operation, OperationKind, Resource, Revision, STACK_TYPE, Stack, StackEvent, StackName, StackStatus,
    TemplateText,
};
use crate::template::{Problem, Template, TemplateError};
pub(crate) use blueprint::{Blueprint, capabilities};
use headwater_model::{Realm, Timestamp};
use headwater_store::{Batch, Select, Store, Versioned, find, list};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use uuid::Uuid;

/// Queue of the jobs.
pub const QUEUE: &str = "stack-operations";

/// How the engine works.
#[derive(Clone, Debug)]
pub struct Options {
    /// Provider calls at once in one stack. More wait.
    pub calls_parallel_max: usize,
    /// Stacks worked on at once. More wait.
    pub stacks_parallel_max: usize,
    /// When a resource fails: how long its siblings in flight may take to finish before they are cancelled. Local
    /// calls take milliseconds; only functions behind custom resources take longer.
    pub sibling_grace: Duration,
    /// Longest provider call: above a custom resource's 3600 s, so that the provider's own limit tells first.
    pub call_timeout: Duration,
    /// How long a deleted stack can be described by its ARN, as in CloudFormation.
    pub deleted_kept: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            calls_parallel_max: 8,
            stacks_parallel_max: 16,
            sibling_grace: Duration::from_secs(5),
            call_timeout: Duration::from_secs(3900),
            deleted_kept: Duration::from_secs(90 * 24 * 3600),
        }
    }
}

/// Makes, changes and deletes stacks. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    realm: Realm,
    options: Options,
    registry: OnceLock<Registry>,
}

/// A template of which a plan is wanted.
#[derive(Clone)]
pub struct PlanStack {
    /// Name of a stack that may or may not exist.
    pub name: String,
    /// The template.
    pub template: TemplateSource,
    /// By name.
    pub parameters: BTreeMap<String, Given>,
}

/// What is told of a template without making anything of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The parsed template.
    pub template: Template,
    /// Capabilities that it will need, as far as can be told without parameters.
    pub capabilities: Vec<&'static str>,
    /// Logical ids that need them.
    pub acknowledged: Vec<String>,
    /// Types in it, ascending.
    pub resource_types: Vec<String>,
}

impl Engine {
    /// An engine that knows no resource types yet: [`Engine::register`] must follow before anything else is called.
    pub fn new(store: Arc<dyn Store>, realm: Realm, options: Options) -> Self {
        Engine(Arc::new(Inner { store, realm, options, registry: OnceLock::new() }))
    }

    /// Tells the resource types. Apart from [`Engine::new`], because providers call operations that are made after the
    /// engine. Only the first call counts.
    pub fn register(&self, registry: Registry) {
        if self.0.registry.set(registry).is_err() {
            tracing::error!("resource types were registered twice");
        }
    }

    fn registry(&self) -> &Registry {
        static NONE: OnceLock<Registry> = OnceLock::new();
        self.0.registry.get().unwrap_or_else(|| NONE.get_or_init(Registry::new))
    }

    fn store(&self) -> &dyn Store {
        &*self.0.store
    }

    /// Makes a stack. Returns its ARN at once; the work is done by [`Engine::run`].
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Exists`], [`Error::Template`] with all mistakes, [`Error::Capabilities`],
    /// [`Error::Store`]. Nothing has been made then.
    pub async fn create(&self, input: CreateStack) -> Result<String, Error> {
        if !is_stack_name(&input.name) {
            return Err(Error::Name(input.name));
        }
        if let Some(taken) = find::<StackName>(self.store(), &input.name).await? {
            return self.repeated(taken.stack_id, &input).await;
        }
        let id = self.0.realm.stack_arn(&input.name, &Uuid::new_v4().to_string());
        let name = StackName { name: input.name.clone(), stack_id: id.clone() };
        let stack = self.begin_create(id.clone(), input, None).await?;
        let mut batch = stack.batch;
        batch.insert(&name)?;
        batch.insert(&stack.stack)?;
        match self.store().commit(batch).await {
            Ok(_) => Ok(id),
            Err(headwater_store::Error::Exists { .. }) => Err(Error::Exists(name.name)),
            Err(error) => Err(error.into()),
        }
    }

    /// A create whose name is taken: the same request again, or a mistake.
    async fn repeated(&self, id: String, input: &CreateStack) -> Result<String, Error> {
        let stack = find::<Stack>(self.store(), &id).await?;
        let operation = stack.and_then(|stack| stack.operation);
        let same = operation.is_some_and(|operation| {
            operation.kind == OperationKind::Create
                && operation.client_token.is_some()
                && operation.client_token == input.client_token
        });
        if same { Ok(id) } else { Err(Error::Exists(input.name.clone())) }
    }

    /// Checks a create and prepares everything but the stack's name and record. `review` is the stack that a change
    /// set has made before.
    async fn begin_create(&self, id: String, input: CreateStack, review: Option<Stack>) -> Result<Beginning, Error> {
        let now = Timestamp::now();
        let given = given_values(&input.parameters, None)?;
        let surroundings = self.surroundings(&input.template, &id, &input.name, &input.notification_arns).await?;
        let exports = self.exports_by_name().await?;
        let blueprint = Blueprint::check(&input.template, given, surroundings, exports, self.registry())?;
        acknowledged(&blueprint, &input.capabilities)?;
        let operation = Operation {
            id: Uuid::new_v4().to_string(),
            kind: OperationKind::Create,
            client_token: input.client_token,
            deadline: input.timeout_min.map(|minutes| now.plus_ms(i64::from(minutes) * 60_000)),
            retain: Vec::new(),
            on_failure: input.on_failure,
        };
        let text = TemplateText { id: Uuid::new_v4().to_string(), stack_id: id.clone(), text: input.template };
        let revision = Revision {
            template: text.id.clone(),
            arguments: blueprint.arguments.clone(),
            tags: input.tags,
            description: blueprint.template.description.clone(),
            capabilities: input.capabilities,
            imports: blueprint.checked.imports.clone(),
        };
        let event_count = review.as_ref().map_or(0, |review| review.event_count);
        let created_at = review.as_ref().map_or(now, |review| review.created_at);
        let mut stack = Stack {
            id,
            name: input.name,
            status: StackStatus::CreateInProgress,
            status_reason: Some(USER_INITIATED.into()),
            revision,
            former: None,
            operation: Some(operation),
            outputs: Vec::new(),
            notification_arns: input.notification_arns,
            role_arn: input.role_arn,
            timeout_min: input.timeout_min,
            termination_protection: input.termination_protection,
            change_set_id: review.and_then(|review| review.change_set_id),
            created_at,
            updated_at: None,
            deleted_at: None,
            event_count,
        };
        let mut batch = Batch::new();
        batch.insert(&text)?;
        self.begin(&mut stack, &mut batch, now)?;
        Ok(Beginning { stack, batch })
    }

    /// Adds what every operation begins with: the stack's event, its imports, its job.
    fn begin(&self, stack: &mut Stack, batch: &mut Batch, now: Timestamp) -> Result<(), Error> {
        let event = stack_event(stack, now);
        stack.event_count += 1;
        batch.put(&event)?;
        for export in &stack.revision.imports {
            batch.put(&Import { export: export.clone(), stack_id: stack.id.clone() })?;
        }
        let operation = stack.operation.as_ref().map(|operation| operation.id.clone());
        batch.enqueue(QUEUE, now, now, json!({ "stack": stack.id, "operation": operation }));
        Ok(())
    }

    /// Changes a stack. Returns its ARN at once.
    ///
    /// # Errors
    /// As [`Engine::create`]; [`Error::NoStack`], [`Error::State`], [`Error::NoChange`], [`Error::NoPrevious`].
    pub async fn update(&self, input: UpdateStack) -> Result<String, Error> {
        loop {
            let Versioned { value: stack, revision } = self.versioned(&input.stack).await?;
            if let Some(operation) = &stack.operation
                && operation.kind == OperationKind::Update
                && operation.client_token.is_some()
                && operation.client_token == input.client_token
            {
                return Ok(stack.id);
            }
            if !stack.status.may_update() {
                return Err(Error::State { id: stack.id, status: stack.status, wanted: "updated" });
            }
            let id = stack.id.clone();
            let beginning = self.begin_update(stack, &input).await?;
            let mut batch = beginning.batch;
            batch.update(&beginning.stack, revision)?;
            match self.store().commit(batch).await {
                Ok(_) => return Ok(id),
                Err(headwater_store::Error::Conflict { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn begin_update(&self, mut stack: Stack, input: &UpdateStack) -> Result<Beginning, Error> {
        let now = Timestamp::now();
        let text = match &input.template {
            TemplateSource::Text(text) => text.clone(),
            TemplateSource::Previous => self.template_text(&stack).await?,
        };
        let (blueprint, plan, resources) = self.prepare_update(&stack, &text, &input.parameters).await?;
        acknowledged(&blueprint, &input.capabilities)?;
        let tags = input.tags.clone().unwrap_or_else(|| stack.revision.tags.clone());
        let same_shape = plan.changes.is_empty()
            && tags == stack.revision.tags
            && blueprint.template.description == stack.revision.description
            && blueprint.outputs(&resources).is_ok_and(|outputs| outputs == stack.outputs);
        if same_shape && stack.status != StackStatus::UpdateFailed && stack.status != StackStatus::CreateFailed {
            return Err(Error::NoChange);
        }
        let text = TemplateText { id: Uuid::new_v4().to_string(), stack_id: stack.id.clone(), text };
        let revision = Revision {
            template: text.id.clone(),
            arguments: blueprint.arguments,
            tags,
            description: blueprint.template.description,
            capabilities: input.capabilities.clone(),
            imports: blueprint.checked.imports,
        };
        stack.former = Some(std::mem::replace(&mut stack.revision, revision));
        stack.status = StackStatus::UpdateInProgress;
        stack.status_reason = Some(USER_INITIATED.into());
        stack.updated_at = Some(now);
        stack.operation = Some(Operation {
            id: Uuid::new_v4().to_string(),
            kind: OperationKind::Update,
            client_token: input.client_token.clone(),
            deadline: None,
            retain: Vec::new(),
            on_failure: input.on_failure,
        });
        let mut batch = Batch::new();
        batch.insert(&text)?;
        self.begin(&mut stack, &mut batch, now)?;
        Ok(Beginning { stack, batch })
    }

    async fn prepare_update(
        &self,
        stack: &Stack,
        text: &str,
        parameters: &BTreeMap<String, Given>,
    ) -> Result<(Blueprint, Plan, BTreeMap<String, Resource>), Error> {
        let given = given_values(parameters, Some(stack))?;
        let surroundings = self.surroundings(text, &stack.id, &stack.name, &stack.notification_arns).await?;
        let exports = self.exports_by_name().await?;
        let blueprint = Blueprint::check(text, given, surroundings, exports, self.registry())?;
        let resources = self.resources_by_name(&stack.id).await?;
        let plan = blueprint.plan(self.registry(), &resources).map_err(alone)?;
        blueprint.refuse_named_replacements(self.registry(), &resources, &plan)?;
        Ok((blueprint, plan, resources))
    }

    /// Deletes a stack. Returns at once. An operation under way is broken off first. A deleted stack may be deleted
    /// again.
    ///
    /// # Errors
    /// [`Error::NoStack`], [`Error::Protected`], [`Error::State`] if resources are to be retained of a stack whose
    /// delete has not failed, [`Error::Store`].
    pub async fn delete(&self, input: DeleteStack) -> Result<(), Error> {
        loop {
            let now = Timestamp::now();
            let Versioned { value: mut stack, revision } = self.versioned(&input.stack).await?;
            if stack.status == StackStatus::DeleteComplete {
                return Ok(());
            }
            if stack.termination_protection {
                return Err(Error::Protected(stack.name));
            }
            if !input.retain.is_empty() && stack.status != StackStatus::DeleteFailed {
                return Err(Error::State {
                    id: stack.id,
                    status: stack.status,
                    wanted: "deleted with retained resources",
                });
            }
            let operation = work::delete_operation(input.retain.clone(), input.client_token.clone());
            let mut batch = Batch::new();
            let body = json!({ "stack": stack.id, "operation": operation.id, "delete": operation });
            batch.enqueue(QUEUE, now, now, body);
            if !stack.status.in_progress() {
                stack.status = StackStatus::DeleteInProgress;
                stack.status_reason = Some(USER_INITIATED.into());
                stack.operation = Some(operation);
                let event = stack_event(&stack, now);
                stack.event_count += 1;
                batch.put(&event)?;
                batch.update(&stack, revision)?;
            }
            match self.store().commit(batch).await {
                Ok(_) => return Ok(()),
                Err(headwater_store::Error::Conflict { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sets whether a stack may be deleted. Returns its ARN.
    ///
    /// # Errors
    /// [`Error::NoStack`], [`Error::State`] while an operation is under way, [`Error::Store`].
    pub async fn protect(&self, stack: &str, protected: bool) -> Result<String, Error> {
        loop {
            let Versioned { value: mut stack, revision } = self.versioned(stack).await?;
            if stack.status.in_progress() {
                return Err(Error::State { id: stack.id, status: stack.status, wanted: "changed" });
            }
            stack.termination_protection = protected;
            let mut batch = Batch::new();
            batch.update(&stack, revision)?;
            match self.store().commit(batch).await {
                Ok(_) => return Ok(stack.id),
                Err(headwater_store::Error::Conflict { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What a template would change, without changing it. A stack that does not exist would be made.
    ///
    /// # Errors
    /// [`Error::Template`] with all mistakes, [`Error::NoPrevious`], [`Error::Store`].
    pub async fn plan(&self, input: PlanStack) -> Result<Plan, Error> {
        match self.stack(&input.name).await {
            Ok(stack) => {
                let text = match input.template {
                    TemplateSource::Text(text) => text,
                    TemplateSource::Previous => self.template_text(&stack).await?,
                };
                let (_, plan, _) = self.prepare_update(&stack, &text, &input.parameters).await?;
                Ok(plan)
            }
            Err(Error::NoStack(_)) => {
                let TemplateSource::Text(text) = input.template else {
                    return Err(Error::NoPrevious("template".into()));
                };
                if !is_stack_name(&input.name) {
                    return Err(Error::Name(input.name));
                }
                let given = given_values(&input.parameters, None)?;
                let id = self.0.realm.stack_arn(&input.name, "planned");
                let surroundings = self.surroundings(&text, &id, &input.name, &[]).await?;
                let exports = self.exports_by_name().await?;
                let blueprint = Blueprint::check(&text, given, surroundings, exports, self.registry())?;
                Ok(blueprint.plan(self.registry(), &BTreeMap::new()).map_err(alone)?)
            }
            Err(error) => Err(error),
        }
    }

    /// What a template holds.
    ///
    /// # Errors
    /// [`Error::Template`].
    pub fn summary(&self, text: &str) -> Result<Summary, Error> {
        let template = Template::parse(text)?;
        let mut types: Vec<String> =
            template.resources.iter().map(|resource| resource.resource_type.name.clone()).collect();
        types.sort();
        types.dedup();
        let (capabilities, acknowledged) = capabilities(&template, self.registry());
        Ok(Summary { template, capabilities, acknowledged, resource_types: types })
    }

    /// What pseudo parameters tell, and what is in Parameter Store if the template asks for any of it.
    async fn surroundings(
        &self,
        template: &str,
        id: &str,
        name: &str,
        notification_arns: &[String],
    ) -> Result<Surroundings, headwater_store::Error> {
        let mut stored = BTreeMap::new();
        if template.contains("AWS::SSM::Parameter::Value<") {
            let parameters: Vec<headwater_model::ssm::Parameter> = list(self.store(), Select::default()).await?;
            stored.extend(parameters.into_iter().map(|found| (found.name, found.value.expose().to_owned())));
        }
        Ok(Surroundings {
            realm: self.0.realm.clone(),
            stack_id: id.into(),
            stack_name: name.into(),
            notification_arns: notification_arns.to_vec(),
            stored,
        })
    }
}

/// Reason of an operation's first event.
pub(crate) const USER_INITIATED: &str = "User Initiated";

struct Beginning {
    stack: Stack,
    batch: Batch,
}

fn alone(problem: Problem) -> TemplateError {
    TemplateError { problems: vec![problem] }
}

/// `[a-zA-Z][-a-zA-Z0-9]*`, up to 128 characters.
pub(crate) fn is_stack_name(name: &str) -> bool {
    name.len() <= 128
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn given_values(
    parameters: &BTreeMap<String, Given>,
    stack: Option<&Stack>,
) -> Result<BTreeMap<String, String>, Error> {
    let value = |(name, given): (&String, &Given)| match given {
        Given::Value(value) => Ok((name.clone(), value.clone())),
        Given::Previous => match stack.and_then(|stack| stack.revision.arguments.get(name)) {
            Some(argument) => Ok((name.clone(), argument.value.expose().to_owned())),
            None => Err(Error::NoPrevious(format!("value of parameter {name}"))),
        },
    };
    parameters.iter().map(value).collect()
}

fn acknowledged(blueprint: &Blueprint, capabilities: &[String]) -> Result<(), Error> {
    let has = |wanted: &str| capabilities.iter().any(|capability| capability == wanted);
    let missing = blueprint.checked.capabilities.iter().filter(|needed| {
        // The named one includes the other.
        !(has(needed) || (**needed == "CAPABILITY_IAM" && has("CAPABILITY_NAMED_IAM")))
    });
    let needed: Vec<String> = missing.map(|needed| (*needed).to_owned()).collect();
    if needed.is_empty() { Ok(()) } else { Err(Error::Capabilities { needed }) }
}

/// An event of the stack itself, with its present status.
pub(crate) fn stack_event(stack: &Stack, now: Timestamp) -> StackEvent {
    StackEvent {
        stack_id: stack.id.clone(),
        stack_name: stack.name.clone(),
        number: stack.event_count,
        event_id: Uuid::new_v4().to_string(),
        at: now,
        logical_id: stack.name.clone(),
        physical_id: Some(stack.id.clone()),
        resource_type: STACK_TYPE.into(),
        status: stack.status.as_str().into(),
        reason: stack.status_reason.clone(),
        properties: None,
        client_token: stack.operation.as_ref().and_then(|operation| operation.client_token.clone()),
    }
}

#[cfg(test)]
mod tests;
