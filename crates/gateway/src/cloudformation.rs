//! CloudFormation: `cloudformation` 2010-05-15, query.
//!
//! | module | what stands there |
//! |---|---|
//! | `change_sets` | change sets |
//! | `wire` | the domain in the service model's shapes |
//!
//! Left out: stack policies, drift, stack sets, imports of existing resources, nested stacks.

mod change_sets;
mod wire;

use crate::{Access, Call, Gateway, Input, Reply, ServiceError};
use ::http::StatusCode;
use headwater_control::stacks::engine::Summary;
use headwater_control::stacks::state::{OnFailure, Stack, StackStatus};
use headwater_control::stacks::{CreateStack, DeleteStack, Error, Given, TemplateSource, UpdateStack};
use headwater_control::{Control, cdk};
use headwater_model::Realm;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Events, resources and stacks of one answer.
const PAGE_ITEMS_MAX: usize = 100;

/// The action of the operation's name on the stack that the input names.
pub(crate) fn access(realm: &Realm, operation: &str, input: &Input) -> Option<Access> {
    let named = input.0.get("StackName").and_then(Value::as_str)?;
    let resource = match named.starts_with("arn:") {
        true => named.to_owned(),
        false => realm.stack_arn(named, "*"),
    };
    Some(Access { action: format!("cloudformation:{operation}"), resource })
}

/// Answers one operation.
///
/// # Errors
/// As the service model says.
pub async fn call(gateway: &Gateway, call: Call) -> Result<Reply, ServiceError> {
    let control = gateway.control();
    let answered = match call.operation.as_str() {
        name if name.contains("ChangeSet") => change_sets::call(control, &call).await,
        _ => match stack_operation(control, &call).await {
            Ok(None) => reading(control, &call).await,
            other => other,
        },
    };
    let answered =
        answered.map_err(|error| error.named("ValidationException", "ValidationError", StatusCode::BAD_REQUEST))?;
    answered.map(Reply::Members).ok_or_else(|| {
        let message = format!("Could not find operation {} for version 2010-05-15", call.operation);
        ServiceError::new("InvalidAction", StatusCode::BAD_REQUEST, message)
    })
}

/// As [`worded`], with the sentence that DescribeStackEvents has for a missing stack: the CDK takes it for "deleted by now".
fn worded_for_events(error: Error) -> ServiceError {
    match error {
        Error::NoStack(name) => ServiceError::validation(format!("Stack [{name}] does not exist")),
        error => worded(error),
    }
}

/// The names that CloudFormation has for what the engine says.
fn worded(error: Error) -> ServiceError {
    let (code, status) = match &error {
        Error::Store(_) => return ServiceError::internal(&error),
        Error::Exists(_) | Error::ChangeSetExists(_) => ("AlreadyExistsException", StatusCode::BAD_REQUEST),
        Error::Capabilities { .. } => ("InsufficientCapabilitiesException", StatusCode::BAD_REQUEST),
        Error::Token(_) => ("TokenAlreadyExistsException", StatusCode::BAD_REQUEST),
        Error::NoChangeSet(_) => ("ChangeSetNotFound", StatusCode::NOT_FOUND),
        Error::ChangeSetStatus { .. } => ("InvalidChangeSetStatus", StatusCode::BAD_REQUEST),
        _ => ("ValidationError", StatusCode::BAD_REQUEST),
    };
    let message = match &error {
        Error::Template(_) => format!("Template error: {error}"),
        _ => error.to_string(),
    };
    ServiceError::new(code, status, message)
}

fn parameters(input: &Input) -> Result<BTreeMap<String, Given>, ServiceError> {
    let parameter = |parameter: &Input| {
        let given = match parameter.boolean("UsePreviousValue")? {
            Some(true) => Given::Previous,
            _ => Given::Value(parameter.text("ParameterValue")?.unwrap_or_default().to_owned()),
        };
        Ok((parameter.required("ParameterKey")?.to_owned(), given))
    };
    input.structures("Parameters")?.iter().map(parameter).collect()
}

fn tags(input: &Input) -> Result<BTreeMap<String, String>, ServiceError> {
    let tag = |tag: &Input| Ok((tag.required("Key")?.to_owned(), tag.text("Value")?.unwrap_or_default().to_owned()));
    input.structures("Tags")?.iter().map(tag).collect()
}

fn on_failure(input: &Input) -> Result<OnFailure, ServiceError> {
    match (input.boolean("DisableRollback")?, input.text("OnFailure")?, input.text("OnStackFailure")?) {
        (Some(true), None, None) | (_, Some("DO_NOTHING"), _) | (_, None, Some("DO_NOTHING")) => {
            Ok(OnFailure::DoNothing)
        }
        (Some(true), ..) => Err(ServiceError::validation("You can specify only one of DisableRollback and OnFailure")),
        (_, Some("DELETE"), _) | (_, None, Some("DELETE")) => Ok(OnFailure::Delete),
        (_, None | Some("ROLLBACK"), None | Some("ROLLBACK")) => Ok(OnFailure::Rollback),
        (_, other, another) => {
            let other = other.or(another).unwrap_or_default();
            Err(ServiceError::validation(format!("OnFailure {other:?} is none of DO_NOTHING, ROLLBACK, DELETE")))
        }
    }
}

/// Makes what the CDK expects to find, if the caller may make stacks.
pub(crate) async fn bootstrap_cdk(control: &Control, call: &Call) -> Result<(), ServiceError> {
    let stack = control.realm().stack_arn(cdk::STACK, "*");
    if call.may(control, "cloudformation:CreateStack", &stack).await? {
        cdk::bootstrap(control).await?;
    }
    Ok(())
}

/// The template that a request carries or points to.
async fn template(control: &Control, call: &Call) -> Result<Option<String>, ServiceError> {
    match (call.input.text("TemplateBody")?, call.input.text("TemplateURL")?) {
        (Some(text), None) => Ok(Some(text.to_owned())),
        (None, Some(url)) => from_bucket(control, call, url).await.map(Some),
        (None, None) => Ok(None),
        _ => Err(ServiceError::validation("Either Template URL or Template Body must be specified, not both.")),
    }
}

async fn required_template(control: &Control, call: &Call) -> Result<String, ServiceError> {
    let missing = || ServiceError::validation("Either Template URL or Template Body must be specified.");
    template(control, call).await?.ok_or_else(missing)
}

async fn template_or_previous(control: &Control, call: &Call) -> Result<TemplateSource, ServiceError> {
    match (template(control, call).await?, call.input.boolean("UsePreviousTemplate")?) {
        (Some(text), _) => Ok(TemplateSource::Text(text)),
        (None, Some(true)) => Ok(TemplateSource::Previous),
        _ => Err(ServiceError::validation("Either Template URL or Template Body must be specified.")),
    }
}

/// A template in a bucket of this server, in S3's URL forms.
async fn from_bucket(control: &Control, call: &Call, url: &str) -> Result<String, ServiceError> {
    let wrong = || ServiceError::validation("TemplateURL must be the URL of an object in a bucket of this server");
    let uri: ::http::Uri = url.parse().map_err(|_| wrong())?;
    let host = uri.host().unwrap_or_default();
    let path = percent_encoding::percent_decode_str(uri.path()).decode_utf8().map_err(|_| wrong())?;
    let path = path.trim_start_matches('/');
    let (bucket, key) = match host.split_once(".s3") {
        Some((bucket, rest)) if rest.starts_with('.') || rest.starts_with('-') => (bucket, path),
        _ => path.split_once('/').ok_or_else(wrong)?,
    };
    let resource = format!("{}/{key}", Realm::bucket_arn(bucket));
    if !call.may(control, "s3:GetObject", &resource).await? {
        return Err(ServiceError::validation("S3 error: Access Denied"));
    }
    let object = control.sites().object(bucket, key).await;
    let object = object.map_err(|error| ServiceError::validation(format!("S3 error: {error}")))?;
    if object.size > headwater_control::stacks::template::limits::TEMPLATE_BYTES_MAX as u64 {
        return Err(ServiceError::validation("the template has more than 1000000 bytes"));
    }
    let bytes = control.sites().object_bytes(bucket, key).await;
    let bytes = bytes.map_err(|error| ServiceError::validation(format!("S3 error: {error}")))?;
    String::from_utf8(bytes.to_vec()).map_err(|_| ServiceError::validation("the template is not UTF-8"))
}

/// Operations that change stacks.
async fn stack_operation(control: &Control, call: &Call) -> Result<Option<Value>, ServiceError> {
    let engine = control.engine();
    let input = &call.input;
    let owned = |name: &str| input.text(name).map(|text| text.map(str::to_owned));
    let stack_id = match call.operation.as_str() {
        "CreateStack" => {
            let timeout_min = input.integer("TimeoutInMinutes")?.map(u32::try_from).transpose();
            let create = CreateStack {
                name: input.required("StackName")?.to_owned(),
                template: required_template(control, call).await?,
                parameters: parameters(input)?,
                capabilities: input.texts("Capabilities")?,
                tags: tags(input)?,
                on_failure: on_failure(input)?,
                timeout_min: timeout_min.map_err(|_| ServiceError::validation("TimeoutInMinutes must be positive"))?,
                client_token: owned("ClientRequestToken")?,
                notification_arns: input.texts("NotificationARNs")?,
                role_arn: owned("RoleARN")?,
                termination_protection: input.boolean("EnableTerminationProtection")?.unwrap_or(false),
            };
            engine.create(create).await.map_err(worded)?
        }
        "UpdateStack" => {
            let update = UpdateStack {
                stack: input.required("StackName")?.to_owned(),
                template: template_or_previous(control, call).await?,
                parameters: parameters(input)?,
                capabilities: input.texts("Capabilities")?,
                tags: input.value("Tags").is_some().then(|| tags(input)).transpose()?,
                on_failure: on_failure(input)?,
                client_token: owned("ClientRequestToken")?,
            };
            engine.update(update).await.map_err(worded)?
        }
        "DeleteStack" => {
            let delete = DeleteStack {
                stack: input.required("StackName")?.to_owned(),
                retain: input.texts("RetainResources")?,
                client_token: owned("ClientRequestToken")?,
            };
            return match engine.delete(delete).await {
                // What is not there is deleted.
                Ok(()) | Err(Error::NoStack(_)) => Ok(Some(json!({}))),
                Err(error) => Err(worded(error)),
            };
        }
        "UpdateTerminationProtection" => {
            let protected = input.boolean("EnableTerminationProtection")?;
            let protected =
                protected.ok_or_else(|| ServiceError::validation("EnableTerminationProtection is required"))?;
            engine.protect(input.required("StackName")?, protected).await.map_err(worded)?
        }
        _ => return Ok(None),
    };
    Ok(Some(json!({ "StackId": stack_id })))
}

/// Operations that change nothing.
async fn reading(control: &Control, call: &Call) -> Result<Option<Value>, ServiceError> {
    let engine = control.engine();
    let input = &call.input;
    let stack_name = || input.required("StackName");
    Ok(Some(match call.operation.as_str() {
        "DescribeStacks" => match input.text("StackName")? {
            Some(name) => {
                if name == cdk::STACK && matches!(engine.stack(name).await, Err(Error::NoStack(_))) {
                    bootstrap_cdk(control, call).await?;
                }
                json!({ "Stacks": [wire::stack(&engine.stack(name).await.map_err(worded)?)] })
            }
            None => {
                let stacks = engine.stacks().await.map_err(worded)?;
                let there = stacks.iter().filter(|stack| stack.status != StackStatus::DeleteComplete);
                page("Stacks", there.map(wire::stack).collect(), input)?
            }
        },
        "ListStacks" => {
            let wanted = input.texts("StackStatusFilter")?;
            let stacks = engine.stacks().await.map_err(worded)?;
            let matching = stacks
                .iter()
                .filter(|stack| wanted.is_empty() || wanted.iter().any(|name| name == stack.status.as_str()));
            page("StackSummaries", matching.map(wire::stack_summary).collect(), input)?
        }
        "DescribeStackEvents" => {
            let events = engine.events(stack_name()?).await.map_err(worded_for_events)?;
            // Pages end before an event's number, so that events that come meanwhile shift nothing.
            let before = input.text("NextToken")?.map(str::parse::<u64>).transpose();
            let before = before.map_err(|_| ServiceError::validation("NextToken is not one of ours"))?;
            let mut rest = events.iter().filter(|event| before.is_none_or(|before| event.number < before));
            let shown: Vec<_> = rest.by_ref().take(PAGE_ITEMS_MAX).collect();
            let next = rest.next().and(shown.last()).map(|last| last.number.to_string());
            json!({ "StackEvents": shown.into_iter().map(wire::event).collect::<Vec<_>>(), "NextToken": next })
        }
        "DescribeStackResources" => {
            let (stack, resources) = match (input.text("StackName")?, input.text("PhysicalResourceId")?) {
                (Some(name), _) => {
                    let stack = engine.stack(name).await.map_err(worded)?;
                    let resources = engine.resources(&stack.id).await.map_err(worded)?;
                    (stack, resources)
                }
                (None, Some(physical_id)) => of_physical_id(control, physical_id).await?,
                (None, None) => {
                    return Err(ServiceError::validation("StackName or PhysicalResourceId must be specified"));
                }
            };
            let wanted = input.text("LogicalResourceId")?;
            let shown = resources.iter().filter(|resource| wanted.is_none_or(|id| resource.logical_id == id));
            json!({ "StackResources": shown.map(|resource| wire::resource(&stack, resource)).collect::<Vec<_>>() })
        }
        "DescribeStackResource" => {
            let logical_id = input.required("LogicalResourceId")?;
            let (stack, resource) = engine.resource(stack_name()?, logical_id).await.map_err(worded)?;
            json!({ "StackResourceDetail": wire::resource_detail(&stack, &resource) })
        }
        "ListStackResources" => {
            let resources = engine.resources(stack_name()?).await.map_err(worded)?;
            page("StackResourceSummaries", resources.iter().map(wire::resource_summary).collect(), input)?
        }
        "GetTemplate" => {
            let text = match input.text("ChangeSetName")? {
                Some(name) => engine.change_set(name, input.text("StackName")?).await.map_err(worded)?.template,
                None => engine.template(stack_name()?).await.map_err(worded)?,
            };
            json!({ "TemplateBody": text, "StagesAvailable": ["Original", "Processed"] })
        }
        "GetTemplateSummary" => {
            let text = match (template(control, call).await?, input.text("StackName")?) {
                (Some(text), _) => text,
                (None, Some(name)) => engine.template(name).await.map_err(worded)?,
                (None, None) => return Err(ServiceError::validation("a template or StackName must be specified")),
            };
            wire::template_summary(&summary(control, &text)?)
        }
        "ValidateTemplate" => wire::validated(&summary(control, &required_template(control, call).await?)?),
        "ListExports" => {
            let exports = engine.exports().await.map_err(worded)?;
            page("Exports", exports.iter().map(wire::export).collect(), input)?
        }
        "ListImports" => {
            let name = input.required("ExportName")?;
            let mut stacks = Vec::new();
            for id in engine.importers(name).await.map_err(worded)? {
                stacks.push(engine.stack(&id).await.map_err(worded)?.name);
            }
            if stacks.is_empty() {
                return Err(ServiceError::validation(format!("Export '{name}' is not imported by any stack.")));
            }
            json!({ "Imports": stacks })
        }
        "DescribeAccountLimits" => json!({ "AccountLimits": [{ "Name": "StackOutputsLimit", "Value": 200 }] }),
        _ => return Ok(None),
    }))
}

fn summary(control: &Control, text: &str) -> Result<Summary, ServiceError> {
    control.engine().summary(text).map_err(worded)
}

async fn of_physical_id(
    control: &Control,
    physical_id: &str,
) -> Result<(Stack, Vec<headwater_control::stacks::state::Resource>), ServiceError> {
    for stack in control.engine().stacks().await.map_err(worded)? {
        if stack.status == StackStatus::DeleteComplete {
            continue;
        }
        let resources = control.engine().resources(&stack.id).await.map_err(worded)?;
        if resources.iter().any(|resource| resource.physical_id.as_deref() == Some(physical_id)) {
            return Ok((stack, resources));
        }
    }
    Err(ServiceError::validation(format!("Stack for {physical_id} does not exist")))
}

/// A part of a list; the token is how many came before it.
fn page(name: &str, items: Vec<Value>, input: &Input) -> Result<Value, ServiceError> {
    let skip = input.text("NextToken")?.map(str::parse::<usize>).transpose();
    let skip = skip.map_err(|_| ServiceError::validation("NextToken is not one of ours"))?.unwrap_or(0);
    let end = skip.saturating_add(PAGE_ITEMS_MAX);
    let next = (items.len() > end).then(|| end.to_string());
    let shown: Vec<Value> = items.into_iter().skip(skip).take(PAGE_ITEMS_MAX).collect();
    Ok(json!({ name: shown, "NextToken": next }))
}
