//! Change sets.

use super::{on_failure, page, parameters, tags, template_or_previous, wire, worded};
use crate::{Call, ServiceError};
use headwater_control::Control;
use headwater_control::stacks::TemplateSource;
use headwater_control::stacks::engine::{ChangeSet, ChangeSetInput, ChangeSetType};
use serde_json::{Value, json};

pub(super) async fn call(control: &Control, call: &Call) -> Result<Option<Value>, ServiceError> {
    let engine = control.engine();
    let input = &call.input;
    let owned = |name: &str| input.text(name).map(|text| text.map(str::to_owned));
    let name = || input.required("ChangeSetName");
    let stack = input.text("StackName")?;
    Ok(Some(match call.operation.as_str() {
        "CreateChangeSet" => {
            let change_set_type = match input.text("ChangeSetType")? {
                None | Some("UPDATE") => ChangeSetType::Update,
                Some("CREATE") => ChangeSetType::Create,
                Some(other) => {
                    return Err(ServiceError::validation(format!("ChangeSetType {other} is not supported")));
                }
            };
            let template = template_or_previous(control, call).await?;
            if change_set_type == ChangeSetType::Create && template == TemplateSource::Previous {
                return Err(ServiceError::validation("a new stack has no previous template"));
            }
            let made = engine
                .create_change_set(ChangeSetInput {
                    stack: input.required("StackName")?.to_owned(),
                    name: name()?.to_owned(),
                    change_set_type,
                    template,
                    parameters: parameters(input)?,
                    capabilities: input.texts("Capabilities")?,
                    tags: input.value("Tags").is_some().then(|| tags(input)).transpose()?,
                    notification_arns: input.texts("NotificationARNs")?,
                    description: owned("Description")?,
                    on_failure: on_failure(input)?,
                })
                .await
                .map_err(worded)?;
            json!({ "Id": made.id, "StackId": made.stack_id })
        }
        "DescribeChangeSet" => {
            let change_set = engine.change_set(name()?, stack).await.map_err(worded)?;
            let changes = change_set.plan.changes.iter().map(wire::change).collect();
            let mut described = described(&change_set);
            if let (Value::Object(members), Value::Object(page)) = (&mut described, page("Changes", changes, input)?) {
                members.extend(page);
            }
            described
        }
        "ExecuteChangeSet" => {
            engine.execute_change_set(name()?, stack, owned("ClientRequestToken")?).await.map_err(worded)?;
            empty_result()
        }
        "DeleteChangeSet" => {
            engine.delete_change_set(name()?, stack).await.map_err(worded)?;
            empty_result()
        }
        "ListChangeSets" => {
            let sets = engine.change_sets(input.required("StackName")?).await.map_err(worded)?;
            page("Summaries", sets.iter().map(summary).collect(), input)?
        }
        _ => return Ok(None),
    }))
}

/// A result without members. SDKs look for its element, which is left out of an empty reply; `null` members are not
/// written.
fn empty_result() -> Value {
    json!({ "Nothing": null })
}

/// `DescribeChangeSetOutput` without its changes.
fn described(change_set: &ChangeSet) -> Value {
    json!({
        "ChangeSetName": change_set.name,
        "ChangeSetId": change_set.id,
        "StackId": change_set.stack_id,
        "StackName": change_set.stack_name,
        "Description": change_set.description,
        "Parameters": wire::arguments(&change_set.arguments),
        "CreationTime": change_set.created_at.iso_millis(),
        "ExecutionStatus": change_set.execution_status.as_str(),
        "Status": change_set.status.as_str(),
        "StatusReason": change_set.status_reason,
        "NotificationARNs": change_set.notification_arns,
        "Capabilities": change_set.capabilities,
        "Tags": change_set.tags.as_ref().map(wire::tags),
        "IncludeNestedStacks": false,
    })
}

/// `ChangeSetSummary`.
fn summary(change_set: &ChangeSet) -> Value {
    json!({
        "StackId": change_set.stack_id,
        "StackName": change_set.stack_name,
        "ChangeSetId": change_set.id,
        "ChangeSetName": change_set.name,
        "ExecutionStatus": change_set.execution_status.as_str(),
        "Status": change_set.status.as_str(),
        "StatusReason": change_set.status_reason,
        "CreationTime": change_set.created_at.iso_millis(),
        "Description": change_set.description,
        "IncludeNestedStacks": false,
    })
}
