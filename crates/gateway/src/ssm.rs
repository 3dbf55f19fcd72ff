//! Parameter Store: `ssm` 2014-11-06, JSON 1.1. Nothing else of Systems Manager is here.

use crate::{Access, Call, Gateway, Input, Reply, ServiceError, cloudformation};
use ::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use headwater_control::ssm::{self, Put};
use headwater_control::{Control, Error, cdk};
use headwater_model::Realm;
use headwater_model::ssm::{Kind, Parameter};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Names in one call of `GetParameters` and `DeleteParameters`, and parameters in a page by path (model).
const NAMES_MAX: usize = 10;
/// Parameters in a page of `DescribeParameters` (model).
const DESCRIBED_MAX: usize = 50;
/// Parameters that are read at once to fill a page by path; those of deeper levels are passed over.
const READ_MAX: u32 = 100;

/// The parameter that the operation is about.
pub(crate) fn access(realm: &Realm, operation: &str, input: &Input) -> Option<Access> {
    let member = ["Name", "ResourceId", "Path"].into_iter().find_map(|name| input.0.get(name)?.as_str())?;
    let resource = match member.starts_with("arn:") {
        true => member.to_owned(),
        false => realm.arn("ssm", &Parameter::arn_resource(member)),
    };
    Some(Access { action: format!("ssm:{operation}"), resource })
}

/// Answers one operation.
///
/// # Errors
/// As the service model says.
pub async fn call(gateway: &Gateway, call: Call) -> Result<Reply, ServiceError> {
    answer(gateway.control(), &call).await
}

async fn answer(control: &Control, call: &Call) -> Result<Reply, ServiceError> {
    let input = &call.input;
    let reply = match call.operation.as_str() {
        "GetParameter" => {
            let name = input.required("Name")?;
            if name == cdk::VERSION_PARAMETER && ssm::find(control, name).await?.is_none() {
                cloudformation::bootstrap_cdk(control, call).await?;
            }
            let found = ssm::parameter(control, name).await.map_err(worded)?;
            json!({ "Parameter": shown(control, &found) })
        }
        "GetParameters" => {
            let (mut found, mut missing) = (Vec::new(), Vec::new());
            for name in names(input)? {
                match ssm::parameter(control, &name).await {
                    Ok(parameter) => found.push(shown(control, &parameter)),
                    Err(Error::NotFound { .. }) => missing.push(name),
                    Err(error) => return Err(worded(error)),
                }
            }
            json!({ "Parameters": found, "InvalidParameters": missing })
        }
        "GetParametersByPath" => by_path(control, input).await?,
        "DescribeParameters" => described(control, input).await?,
        "PutParameter" => put(control, call).await?,
        "DeleteParameter" => {
            ssm::delete(control, input.required("Name")?).await.map_err(worded)?;
            json!({})
        }
        "DeleteParameters" => {
            let (mut gone, mut missing) = (Vec::new(), Vec::new());
            for name in names(input)? {
                match ssm::delete(control, &name).await {
                    Ok(()) => gone.push(name),
                    Err(Error::NotFound { .. }) => missing.push(name),
                    Err(error) => return Err(worded(error)),
                }
            }
            json!({ "DeletedParameters": gone, "InvalidParameters": missing })
        }
        "AddTagsToResource" => {
            ssm::retag(control, tagged(input)?, &[], &tags(input)?).await.map_err(of_resource)?;
            json!({})
        }
        "RemoveTagsFromResource" => {
            let gone = input.texts("TagKeys")?;
            ssm::retag(control, tagged(input)?, &gone, &BTreeMap::new()).await.map_err(of_resource)?;
            json!({})
        }
        "ListTagsForResource" => {
            let found = ssm::parameter(control, tagged(input)?).await.map_err(of_resource)?;
            let tags: Vec<Value> =
                found.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
            json!({ "TagList": tags })
        }
        other => return Err(ServiceError::unknown_operation(other)),
    };
    Ok(Reply::Members(reply))
}

async fn put(control: &Control, call: &Call) -> Result<Value, ServiceError> {
    let input = &call.input;
    for unsupported in ["Policies", "KeyId", "AllowedPattern"] {
        if input.value(unsupported).is_some() {
            return Err(ServiceError::validation(format!("{unsupported} is not supported here")));
        }
    }
    let kind = match input.text("Type")? {
        None => None,
        Some(name) => Some(Kind::named(name).ok_or_else(|| {
            let message = format!("the type {name} is not supported here: String and StringList are");
            ServiceError::new("UnsupportedParameterType", StatusCode::BAD_REQUEST, message)
        })?),
    };
    let put = Put {
        name: input.required("Name")?.to_owned(),
        kind,
        value: input.required("Value")?.to_owned(),
        description: input.text("Description")?.map(str::to_owned),
        tags: tags(input)?,
        overwrite: input.boolean("Overwrite")?.unwrap_or(false),
    };
    let parameter = ssm::put(control, put, call.now).await.map_err(worded)?;
    Ok(json!({ "Version": parameter.version, "Tier": "Standard" }))
}

/// Parameters below a path: of the next level, or of all.
async fn by_path(control: &Control, input: &Input) -> Result<Value, ServiceError> {
    if !input.list("ParameterFilters")?.is_empty() {
        return Err(ServiceError::validation("ParameterFilters are not supported here"));
    }
    let path = input.required("Path")?;
    if !path.starts_with('/') {
        return Err(ServiceError::validation("Path must begin with a slash"));
    }
    let prefix = if path.ends_with('/') { path.to_owned() } else { format!("{path}/") };
    let recursive = input.boolean("Recursive")?.unwrap_or(false);
    let size = size(input, NAMES_MAX)?;
    let mut after = token(input)?;
    let mut found = Vec::new();
    while found.len() <= size {
        let some = ssm::list(control, &prefix, after.take(), READ_MAX).await?;
        let is_last = some.len() < READ_MAX as usize;
        after = some.last().map(|parameter| parameter.name.clone());
        found.extend(some.into_iter().filter(|parameter| recursive || !parameter.name[prefix.len()..].contains('/')));
        if is_last {
            break;
        }
    }
    Ok(page("Parameters", found, size, |parameter| shown(control, parameter)))
}

async fn described(control: &Control, input: &Input) -> Result<Value, ServiceError> {
    if !input.list("ParameterFilters")?.is_empty() || !input.list("Filters")?.is_empty() {
        return Err(ServiceError::validation("filters are not supported here"));
    }
    let size = size(input, DESCRIBED_MAX)?;
    let limit = u32::try_from(size + 1).unwrap_or(u32::MAX);
    let found = ssm::list(control, "", token(input)?, limit).await?;
    Ok(page("Parameters", found, size, |parameter| {
        let mut members = common(control, parameter);
        members["Description"] = parameter.description.as_str().into();
        members["Tier"] = "Standard".into();
        members["Policies"] = json!([]);
        members
    }))
}

/// A page of a list that holds more than `size` if there is another page.
fn page(name: &str, mut items: Vec<Parameter>, size: usize, members: impl Fn(&Parameter) -> Value) -> Value {
    let mut reply = Map::new();
    if items.len() > size {
        items.truncate(size);
        let last = items.last().map(|last| URL_SAFE_NO_PAD.encode(&last.name));
        reply.insert("NextToken".into(), last.into());
    }
    reply.insert(name.into(), items.iter().map(members).collect());
    reply.into()
}

/// Name of the last parameter of the page before.
fn token(input: &Input) -> Result<Option<String>, ServiceError> {
    let Some(token) = input.text("NextToken")?.filter(|token| !token.is_empty()) else { return Ok(None) };
    let name = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let wrong = || ServiceError::new("InvalidNextToken", StatusCode::BAD_REQUEST, "NextToken is not one of this list");
    name.map(Some).ok_or_else(wrong)
}

fn size(input: &Input, most: usize) -> Result<usize, ServiceError> {
    let Some(asked) = input.integer("MaxResults")? else { return Ok(most) };
    let asked = usize::try_from(asked).ok().filter(|asked| (1..=most).contains(asked));
    asked.ok_or_else(|| ServiceError::validation(format!("MaxResults must be between 1 and {most}")))
}

fn names(input: &Input) -> Result<Vec<String>, ServiceError> {
    let names = input.texts("Names")?;
    if names.is_empty() || names.len() > NAMES_MAX {
        return Err(ServiceError::validation(format!("Names must have between 1 and {NAMES_MAX} members")));
    }
    Ok(names)
}

fn tags(input: &Input) -> Result<BTreeMap<String, String>, ServiceError> {
    let pair = |tag: &Input| Ok((tag.required("Key")?.to_owned(), tag.text("Value")?.unwrap_or_default().to_owned()));
    input.structures("Tags")?.iter().map(pair).collect()
}

fn tagged(input: &Input) -> Result<&str, ServiceError> {
    match input.required("ResourceType")? {
        "Parameter" => input.required("ResourceId"),
        other => Err(ServiceError::new(
            "InvalidResourceType",
            StatusCode::BAD_REQUEST,
            format!("there is no {other} here: tags are those of a Parameter"),
        )),
    }
}

/// The members that a parameter and its description share.
fn common(control: &Control, parameter: &Parameter) -> Value {
    json!({
        "Name": parameter.name,
        "Type": parameter.kind.as_str(),
        "Version": parameter.version,
        "LastModifiedDate": parameter.modified_at.0 as f64 / 1_000.0,
        "ARN": control.realm().arn("ssm", &Parameter::arn_resource(&parameter.name)),
        "DataType": "text",
    })
}

fn shown(control: &Control, parameter: &Parameter) -> Value {
    let mut members = common(control, parameter);
    members["Value"] = parameter.value.expose().into();
    members
}

/// The names that Parameter Store has for what the domain says.
fn worded(error: Error) -> ServiceError {
    let bad = |code: &'static str, message: String| ServiceError::new(code, StatusCode::BAD_REQUEST, message);
    match error {
        Error::NotFound { id, .. } => bad("ParameterNotFound", format!("there is no parameter {id}")),
        Error::Exists { id, .. } => bad(
            "ParameterAlreadyExists",
            format!(
                "The parameter {id} already exists. To overwrite this value, set the overwrite option in the request to true."
            ),
        ),
        Error::QuotaExceeded { limit, .. } => bad("ParameterLimitExceeded", format!("there may be {limit} parameters")),
        other => other.into(),
    }
}

/// As [`worded`], for the operations about tags.
fn of_resource(error: Error) -> ServiceError {
    worded(error).named("ParameterNotFound", "InvalidResourceId", StatusCode::BAD_REQUEST)
}
