//! Stacks in the service model's shapes.

use headwater_control::stacks::engine::Summary;
use headwater_control::stacks::plan::{Action, Certainty, PlannedChange};
use headwater_control::stacks::state::{Argument, Export, OnFailure, Resource, Stack, StackEvent};
use headwater_control::stacks::template::Parameter;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) fn tags(tags: &BTreeMap<String, String>) -> Vec<Value> {
    tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
}

pub(super) fn arguments(arguments: &BTreeMap<String, Argument>) -> Vec<Value> {
    let argument =
        |(key, argument): (&String, &Argument)| json!({ "ParameterKey": key, "ParameterValue": argument.shown() });
    arguments.iter().map(argument).collect()
}

/// `Stack`.
pub(super) fn stack(stack: &Stack) -> Value {
    let outputs: Vec<Value> = stack
        .outputs
        .iter()
        .map(|output| {
            json!({
                "OutputKey": output.key,
                "OutputValue": output.value.expose(),
                "Description": output.description,
                "ExportName": output.export,
            })
        })
        .collect();
    let on_failure = stack.operation.as_ref().map(|operation| operation.on_failure);
    json!({
        "StackId": stack.id,
        "StackName": stack.name,
        "ChangeSetId": stack.change_set_id,
        "Description": stack.revision.description,
        "Parameters": arguments(&stack.revision.arguments),
        "CreationTime": stack.created_at.iso_millis(),
        "DeletionTime": stack.deleted_at.map(|at| at.iso_millis()),
        "LastUpdatedTime": stack.updated_at.map(|at| at.iso_millis()),
        "StackStatus": stack.status.as_str(),
        "StackStatusReason": stack.status_reason,
        "DisableRollback": on_failure == Some(OnFailure::DoNothing),
        "NotificationARNs": stack.notification_arns,
        "TimeoutInMinutes": stack.timeout_min,
        "Capabilities": stack.revision.capabilities,
        "Outputs": outputs,
        "RoleARN": stack.role_arn,
        "Tags": tags(&stack.revision.tags),
        "EnableTerminationProtection": stack.termination_protection,
        "DriftInformation": { "StackDriftStatus": "NOT_CHECKED" },
    })
}

/// `StackSummary`.
pub(super) fn stack_summary(stack: &Stack) -> Value {
    json!({
        "StackId": stack.id,
        "StackName": stack.name,
        "TemplateDescription": stack.revision.description,
        "CreationTime": stack.created_at.iso_millis(),
        "LastUpdatedTime": stack.updated_at.map(|at| at.iso_millis()),
        "DeletionTime": stack.deleted_at.map(|at| at.iso_millis()),
        "StackStatus": stack.status.as_str(),
        "StackStatusReason": stack.status_reason,
        "DriftInformation": { "StackDriftStatus": "NOT_CHECKED" },
    })
}

/// `StackEvent`.
pub(super) fn event(event: &StackEvent) -> Value {
    json!({
        "StackId": event.stack_id,
        "EventId": event.event_id,
        "StackName": event.stack_name,
        "LogicalResourceId": event.logical_id,
        "PhysicalResourceId": event.physical_id,
        "ResourceType": event.resource_type,
        "Timestamp": event.at.iso_millis(),
        "ResourceStatus": event.status,
        "ResourceStatusReason": event.reason,
        "ResourceProperties": event.properties,
        "ClientRequestToken": event.client_token,
    })
}

/// `StackResource`.
pub(super) fn resource(stack: &Stack, resource: &Resource) -> Value {
    json!({
        "StackName": stack.name,
        "StackId": stack.id,
        "LogicalResourceId": resource.logical_id,
        "PhysicalResourceId": resource.physical_id,
        "ResourceType": resource.resource_type,
        "Timestamp": resource.updated_at.iso_millis(),
        "ResourceStatus": resource.status.as_str(),
        "ResourceStatusReason": resource.status_reason,
        "DriftInformation": { "StackResourceDriftStatus": "NOT_CHECKED" },
    })
}

/// `StackResourceDetail`.
pub(super) fn resource_detail(stack: &Stack, resource: &Resource) -> Value {
    json!({
        "StackName": stack.name,
        "StackId": stack.id,
        "LogicalResourceId": resource.logical_id,
        "PhysicalResourceId": resource.physical_id,
        "ResourceType": resource.resource_type,
        "LastUpdatedTimestamp": resource.updated_at.iso_millis(),
        "ResourceStatus": resource.status.as_str(),
        "ResourceStatusReason": resource.status_reason,
        "DriftInformation": { "StackResourceDriftStatus": "NOT_CHECKED" },
    })
}

/// `StackResourceSummary`.
pub(super) fn resource_summary(resource: &Resource) -> Value {
    json!({
        "LogicalResourceId": resource.logical_id,
        "PhysicalResourceId": resource.physical_id,
        "ResourceType": resource.resource_type,
        "LastUpdatedTimestamp": resource.updated_at.iso_millis(),
        "ResourceStatus": resource.status.as_str(),
        "ResourceStatusReason": resource.status_reason,
        "DriftInformation": { "StackResourceDriftStatus": "NOT_CHECKED" },
    })
}

/// `Export`.
pub(super) fn export(export: &Export) -> Value {
    json!({ "ExportingStackId": export.stack_id, "Name": export.name, "Value": export.value.expose() })
}

/// A parameter's default, masked if its value would be.
fn default(parameter: &Parameter) -> Option<&str> {
    let default = parameter.default.as_deref()?;
    Some(if parameter.no_echo { Argument::MASK } else { default })
}

fn capabilities(summary: &Summary) -> (Value, Value) {
    if summary.capabilities.is_empty() {
        return (json!([]), Value::Null);
    }
    let reason = format!("The following resource(s) require capabilities: [{}]", summary.acknowledged.join(", "));
    (json!(summary.capabilities), reason.into())
}

/// `GetTemplateSummaryOutput`.
pub(super) fn template_summary(summary: &Summary) -> Value {
    let parameter = |parameter: &Parameter| {
        let constraints = parameter.allowed_values.as_ref().map(|values| json!({ "AllowedValues": values }));
        json!({
            "ParameterKey": parameter.key.name,
            "DefaultValue": default(parameter),
            "ParameterType": parameter.parameter_type.as_str(),
            "NoEcho": parameter.no_echo,
            "Description": parameter.description,
            "ParameterConstraints": constraints,
        })
    };
    let (capabilities, reason) = capabilities(summary);
    json!({
        "Parameters": summary.template.parameters.iter().map(parameter).collect::<Vec<_>>(),
        "Description": summary.template.description,
        "Capabilities": capabilities,
        "CapabilitiesReason": reason,
        "ResourceTypes": summary.resource_types,
        "Version": "2010-09-09",
        "Metadata": summary.template.metadata.as_ref().map(|metadata| metadata.to_json().to_string()),
    })
}

/// `ValidateTemplateOutput`.
pub(super) fn validated(summary: &Summary) -> Value {
    let parameter = |parameter: &Parameter| {
        json!({
            "ParameterKey": parameter.key.name,
            "DefaultValue": default(parameter),
            "NoEcho": parameter.no_echo,
            "Description": parameter.description,
        })
    };
    let (capabilities, reason) = capabilities(summary);
    json!({
        "Parameters": summary.template.parameters.iter().map(parameter).collect::<Vec<_>>(),
        "Description": summary.template.description,
        "Capabilities": capabilities,
        "CapabilitiesReason": reason,
    })
}

/// `Change`.
pub(super) fn change(change: &PlannedChange) -> Value {
    let (action, replacement) = match (change.action, change.certainty) {
        (Action::Add, _) => ("Add", None),
        (Action::Remove, _) => ("Remove", None),
        (Action::Modify, _) => ("Modify", Some("False")),
        (Action::Replace, Certainty::Certain) => ("Modify", Some("True")),
        (Action::Replace, Certainty::Conditional) => ("Modify", Some("Conditional")),
    };
    let evaluation = if change.certainty == Certainty::Certain { "Static" } else { "Dynamic" };
    let detail = |name: &String| {
        let recreation = match replacement {
            Some("True") => "Always",
            Some("Conditional") => "Conditionally",
            _ => "Never",
        };
        json!({
            "Target": { "Attribute": "Properties", "Name": name, "RequiresRecreation": recreation },
            "Evaluation": evaluation,
            "ChangeSource": "DirectModification",
        })
    };
    let scope: &[&str] = if replacement.is_some() { &["Properties"] } else { &[] };
    json!({
        "Type": "Resource",
        "ResourceChange": {
            "Action": action,
            "LogicalResourceId": change.logical_id,
            "PhysicalResourceId": change.physical_id,
            "ResourceType": change.resource_type,
            "Replacement": replacement,
            "Scope": scope,
            "Details": change.properties.iter().map(detail).collect::<Vec<_>>(),
        },
    })
}
