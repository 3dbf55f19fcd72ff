//! Stacks, as the command line deploys and watches them.

use super::{Error, Found, wait_for};
use crate::Control;
use headwater_model::Timestamp;
use headwater_stacks::engine::PlanStack;
use headwater_stacks::state::{Stack, StackStatus};
use headwater_stacks::{CreateStack, DeleteStack, Given, TemplateSource, UpdateStack};
use headwater_store::{Document, Topic};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Whoever has the owner's key and deploys from the command line means what the template says.
const CAPABILITIES: &[&str] = &["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"];
/// How long the remains of a failed create may take to go before a deploy gives up.
const REMAINS_WAIT: Duration = Duration::from_secs(30);

/// What a deploy began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Begun {
    /// The stack's ARN.
    pub stack_id: String,
    /// `CREATE`, `UPDATE` or `UNCHANGED`.
    pub action: &'static str,
}

/// Makes a stack, or changes the one of this name. What a failed create left is deleted first.
///
/// # Errors
/// [`Error::Stacks`]; nothing has been changed then.
pub async fn deploy(
    control: &Control,
    name: &str,
    template: &str,
    parameters: &BTreeMap<String, String>,
) -> Result<Begun, Error> {
    let engine = control.engine();
    let capabilities = || CAPABILITIES.iter().map(ToString::to_string).collect();
    let parameters: BTreeMap<String, Given> =
        parameters.iter().map(|(name, value)| (name.clone(), Given::Value(value.clone()))).collect();
    match existing(control, name).await? {
        Some(stack) if stack.status == StackStatus::RollbackComplete => {
            // The template is checked before what stands is touched.
            let template_source = TemplateSource::Text(template.into());
            let plan = PlanStack { name: name.into(), template: template_source, parameters: parameters.clone() };
            engine.plan(plan).await?;
            remove_remains(control, &stack).await?;
        }
        Some(stack) => {
            let mut update = UpdateStack::new(stack.id.clone(), template);
            update.parameters = parameters;
            update.capabilities = capabilities();
            return match engine.update(update).await {
                Ok(stack_id) => Ok(Begun { stack_id, action: "UPDATE" }),
                Err(headwater_stacks::Error::NoChange) => Ok(Begun { stack_id: stack.id, action: "UNCHANGED" }),
                Err(error) => Err(error.into()),
            };
        }
        None => {}
    }
    let mut create = CreateStack::new(name, template);
    create.parameters = parameters;
    create.capabilities = capabilities();
    Ok(Begun { stack_id: engine.create(create).await?, action: "CREATE" })
}

async fn existing(control: &Control, name: &str) -> Result<Option<Stack>, Error> {
    match control.engine().stack(name).await {
        Ok(stack) if stack.status == StackStatus::DeleteComplete => Ok(None),
        Ok(stack) => Ok(Some(stack)),
        Err(headwater_stacks::Error::NoStack(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn remove_remains(control: &Control, stack: &Stack) -> Result<(), Error> {
    let engine = control.engine();
    engine.delete(DeleteStack { stack: stack.id.clone(), ..DeleteStack::default() }).await?;
    let now = wait_for(control, Topic::Kind(Stack::KIND.into()), REMAINS_WAIT, || async {
        let stack = engine.stack(&stack.id).await?;
        let is_over = Found::from(!stack.status.in_progress());
        Ok((stack, is_over))
    })
    .await?;
    if now.status != StackStatus::DeleteComplete {
        return Err(crate::Error::conflict(format!("what is left of stack {} is {}", now.name, now.status)).into());
    }
    Ok(())
}

/// What deploying a template would change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChangePlan {
    /// In the order of doing.
    pub changes: Vec<PlannedChange>,
}

/// One resource that would change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedChange {
    /// `Add`, `Modify`, `Replace` or `Remove`.
    pub action: String,
    /// Its name in the template.
    pub logical_id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// Its id, if it exists.
    pub physical_id: Option<String>,
    /// Properties that differ.
    pub properties: Vec<String>,
    /// What a person should know before: whose stream it would cut.
    pub note: Option<String>,
}

/// What deploying a template under a name would change.
///
/// # Errors
/// [`Error::Stacks`].
pub async fn plan(
    control: &Control,
    name: &str,
    template: &str,
    parameters: &BTreeMap<String, String>,
) -> Result<ChangePlan, Error> {
    let plan = control
        .engine()
        .plan(PlanStack {
            name: name.into(),
            template: TemplateSource::Text(template.into()),
            parameters: parameters.iter().map(|(name, value)| (name.clone(), Given::Value(value.clone()))).collect(),
        })
        .await?;
    let changes = plan.changes.into_iter().map(|change| {
        let action = format!("{:?}", change.action);
        let live = change.physical_id.as_deref().filter(|arn| is_live(control, arn));
        PlannedChange {
            note: live.map(|_| match action.as_str() {
                "Modify" => "its stream is live: the change is refused until it ends".into(),
                _ => "its stream is live: stop it first, the channel cannot be deleted before".into(),
            }),
            action,
            logical_id: change.logical_id,
            resource_type: change.resource_type,
            physical_id: change.physical_id,
            properties: change.properties,
        }
    });
    Ok(ChangePlan { changes: changes.collect() })
}

fn is_live(control: &Control, arn: &str) -> bool {
    arn.strip_prefix(&control.realm().ivs_arn("channel", ""))
        .is_some_and(|channel_id| control.broadcasts().stream(channel_id).is_some())
}

/// A stack in a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StackSummary {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub id: String,
    /// `CREATE_COMPLETE`, ….
    pub status: String,
    /// ISO 8601.
    pub created_at: String,
}

/// All stacks that are not deleted, newest first.
///
/// # Errors
/// [`Error::Stacks`].
pub async fn stacks(control: &Control) -> Result<Vec<StackSummary>, Error> {
    let stacks = control.engine().stacks().await?;
    let there = stacks.into_iter().filter(|stack| stack.status != StackStatus::DeleteComplete);
    Ok(there
        .map(|stack| StackSummary {
            name: stack.name,
            id: stack.id,
            status: stack.status.to_string(),
            created_at: stack.created_at.iso_seconds(),
        })
        .collect())
}

/// A stack with its outputs and resources.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StackView {
    /// The stack.
    pub stack: StackState,
    /// Changes with each step of an operation; what [`stack`] waits by.
    pub revision: u64,
}

/// How a stack stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StackState {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub id: String,
    /// `CREATE_IN_PROGRESS`, ….
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// ISO 8601.
    pub created_at: String,
    /// What the template's outputs came to.
    pub outputs: Vec<Output>,
    /// Ascending by logical id.
    pub resources: Vec<ResourceState>,
    /// Newest first.
    pub events: Vec<StackEventLine>,
}

/// One output. Its value is for the owner, who asked for it in the template.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Output {
    /// Its name in the template.
    pub key: String,
    /// What it came to.
    pub value: String,
    /// What the template says of it.
    pub description: Option<String>,
}

/// How a resource stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResourceState {
    /// Its name in the template.
    pub logical_id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// Its id, once known.
    pub physical_id: Option<String>,
    /// `CREATE_COMPLETE`, ….
    pub status: String,
    /// Why.
    pub reason: Option<String>,
}

/// One line of a stack's history.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StackEventLine {
    /// ISO 8601.
    pub at: String,
    /// Name in the template, or the stack's.
    pub logical_id: String,
    /// What it became.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
}

/// Lines of a stack's history in its view.
const EVENTS_SHOWN: usize = 100;

/// A stack by name or ARN. With `seen`, waits until its revision is another one, its operation is over or the time is
/// up.
///
/// # Errors
/// [`Error::Stacks`].
pub async fn stack(control: &Control, name_or_id: &str, seen: Option<u64>, wait: Duration) -> Result<StackView, Error> {
    let engine = control.engine();
    let stack = wait_for(control, Topic::Kind(Stack::KIND.into()), wait, || async {
        let stack = engine.stack(name_or_id).await?;
        let is_new = seen.is_none_or(|seen| seen != stack.event_count);
        let found = Found::from(is_new || !stack.status.in_progress());
        Ok((stack, found))
    })
    .await?;
    let resources = engine.resources(&stack.id).await?;
    let events = engine.events(&stack.id).await?;
    let time = |at: Timestamp| at.iso_millis();
    Ok(StackView {
        revision: stack.event_count,
        stack: StackState {
            created_at: stack.created_at.iso_seconds(),
            outputs: stack
                .outputs
                .iter()
                .map(|output| Output {
                    key: output.key.clone(),
                    value: output.value.expose().into(),
                    description: output.description.clone(),
                })
                .collect(),
            resources: resources
                .into_iter()
                .map(|resource| ResourceState {
                    logical_id: resource.logical_id,
                    resource_type: resource.resource_type,
                    physical_id: resource.physical_id,
                    status: resource.status.to_string(),
                    reason: resource.status_reason,
                })
                .collect(),
            events: events
                .into_iter()
                .take(EVENTS_SHOWN)
                .map(|event| StackEventLine {
                    at: time(event.at),
                    logical_id: event.logical_id,
                    status: event.status,
                    reason: event.reason,
                })
                .collect(),
            name: stack.name,
            id: stack.id,
            status: stack.status.to_string(),
            reason: stack.status_reason,
        },
    })
}

/// Begins to delete a stack; returns its ARN, by which it can still be watched.
///
/// # Errors
/// [`Error::Stacks`].
pub async fn delete(control: &Control, name_or_id: &str) -> Result<String, Error> {
    let engine = control.engine();
    let stack = engine.stack(name_or_id).await?;
    engine.delete(DeleteStack { stack: stack.id.clone(), ..DeleteStack::default() }).await?;
    Ok(stack.id)
}
