//! Lambda: `lambda` 2015-03-31, rest-json.
//!
//! | module | what stands there |
//! |---|---|
//! | `shapes` | inputs and outputs of the service model |
//!
//! Not here: layers, aliases, published versions, function URLs, event source mappings, code signing.

mod shapes;
#[cfg(test)]
mod tests;

use crate::path::segments;
use crate::{Access, Call, Gateway, Input, Reply, ServiceError};
use ::http::header::CONTENT_TYPE;
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_control::lambda::{CredentialsError, DeployError, EnqueueError, InvokeError, InvokeOptions, Outcome};
use headwater_control::{Control, iam, lambda};
use headwater_model::Realm;
use headwater_model::function::{Function, FunctionRef, LATEST, Permission};
use serde_json::{Value, json};

/// Most bytes of a decoded client context (Lambda quota).
const CLIENT_CONTEXT_BYTES_MAX: usize = 3583;
/// Functions of a page unless the caller wants fewer.
const PAGE_MAX: u32 = 50;

/// Operation and path members by method and path.
pub(crate) fn route(method: &Method, path: &str) -> Option<(String, Input)> {
    let segments = segments(path.strip_suffix('/').unwrap_or(path))?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let (get, post, put, delete) = (Method::GET, Method::POST, Method::PUT, Method::DELETE);
    let is = |wanted: &Method| method == wanted;
    let (operation, members): (&str, &[(&str, &str)]) = match segments.as_slice() {
        ["2015-03-31", "functions"] if is(&post) => ("CreateFunction", &[]),
        ["2015-03-31", "functions"] if is(&get) => ("ListFunctions", &[]),
        ["2016-08-19", "account-settings"] if is(&get) => ("GetAccountSettings", &[]),
        ["2017-03-31", "tags", resource] => {
            let operation = match () {
                () if is(&get) => "ListTags",
                () if is(&post) => "TagResource",
                () if is(&delete) => "UntagResource",
                () => return None,
            };
            (operation, &[("Resource", resource)])
        }
        [version, "functions", name, rest @ ..] => {
            let operation = match (*version, rest) {
                ("2015-03-31", []) if is(&get) => "GetFunction",
                ("2015-03-31", []) if is(&delete) => "DeleteFunction",
                ("2015-03-31", ["configuration"]) if is(&get) => "GetFunctionConfiguration",
                ("2015-03-31", ["configuration"]) if is(&put) => "UpdateFunctionConfiguration",
                ("2015-03-31", ["code"]) if is(&put) => "UpdateFunctionCode",
                ("2015-03-31", ["invocations"]) if is(&post) => "Invoke",
                ("2015-03-31", ["policy"]) if is(&post) => "AddPermission",
                ("2015-03-31", ["policy"]) if is(&get) => "GetPolicy",
                ("2015-03-31", ["policy", statement]) if is(&delete) => {
                    return Some(named("RemovePermission", &[("FunctionName", name), ("StatementId", statement)]));
                }
                ("2015-03-31", ["versions"]) if is(&get) => "ListVersionsByFunction",
                ("2015-03-31", ["aliases"]) if is(&get) => "ListAliases",
                ("2019-09-25", ["event-invoke-config"]) if is(&put) => "PutFunctionEventInvokeConfig",
                ("2019-09-25", ["event-invoke-config"]) if is(&post) => "UpdateFunctionEventInvokeConfig",
                ("2019-09-25", ["event-invoke-config"]) if is(&get) => "GetFunctionEventInvokeConfig",
                ("2019-09-25", ["event-invoke-config"]) if is(&delete) => "DeleteFunctionEventInvokeConfig",
                ("2019-09-25", ["event-invoke-config", "list"]) if is(&get) => "ListFunctionEventInvokeConfigs",
                ("2019-09-30", ["concurrency"]) if is(&get) => "GetFunctionConcurrency",
                ("2020-06-30", ["code-signing-config"]) if is(&get) => "GetFunctionCodeSigningConfig",
                ("2021-07-20", ["runtime-management-config"]) if is(&get) => "GetRuntimeManagementConfig",
                ("2024-08-31", ["recursion-config"]) if is(&get) => "GetFunctionRecursionConfig",
                _ => return None,
            };
            (operation, &[("FunctionName", name)])
        }
        _ => return None,
    };
    Some(named(operation, members))
}

fn named(operation: &str, members: &[(&str, &str)]) -> (String, Input) {
    let members = members.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value)));
    (operation.to_owned(), Input(members.collect()))
}

/// Which leave an operation needs; `None` means the action of its name on any resource.
pub(crate) fn access(realm: &Realm, operation: &str, input: &Input) -> Option<Access> {
    let action = match operation {
        "Invoke" => "lambda:InvokeFunction".to_owned(),
        other => format!("lambda:{other}"),
    };
    let named = ["FunctionName", "Resource"].iter().find_map(|member| input.text(member).ok().flatten())?;
    // What names no function of ours is refused by the operation; a policy must not be asked about another one.
    let resource = match FunctionRef::parse(named, realm) {
        Ok(function) => realm.function_arn(&function.name),
        Err(_) => named.to_owned(),
    };
    Some(Access { action, resource })
}

/// Answers one operation.
///
/// # Errors
/// As the service model says.
pub async fn call(gateway: &Gateway, call: Call) -> Result<Reply, ServiceError> {
    answer(gateway.control(), &call).await.map_err(shapes::error_members)
}

async fn answer(control: &Control, call: &Call) -> Result<Reply, ServiceError> {
    match call.operation.as_str() {
        "CreateFunction" => create(control, call).await,
        "GetFunction" => get(control, call).await,
        "GetFunctionConfiguration" => configuration(&target(control, call).await?),
        "UpdateFunctionCode" => update_code(control, call).await,
        "UpdateFunctionConfiguration" => update_configuration(control, call).await,
        "DeleteFunction" => {
            lambda::delete_function(control, &qualified(call)?).await.map_err(error)?;
            Ok(Reply::Empty(StatusCode::NO_CONTENT))
        }
        "ListFunctions" => list(control, call).await,
        "ListVersionsByFunction" => {
            let function = target(control, call).await?;
            let mut version = shapes::configuration(&function);
            version["FunctionArn"] = format!("{}:{LATEST}", function.arn).into();
            Ok(Reply::Members(json!({ "Versions": [version] })))
        }
        "ListAliases" => target(control, call).await.map(|_| Reply::Members(json!({ "Aliases": [] }))),
        "Invoke" => invoke(control, call).await,
        "AddPermission" => add_permission(control, call).await,
        "RemovePermission" => {
            let statement = call.input.required("StatementId")?;
            let revision = call.query_value("RevisionId");
            lambda::permissions::remove_permission(control, &qualified(call)?, statement, revision)
                .await
                .map_err(error)?;
            Ok(Reply::Empty(StatusCode::NO_CONTENT))
        }
        "GetPolicy" => {
            let function = target(control, call).await?;
            let policy = lambda::permissions::policy(&function).ok_or_else(nothing_here)?;
            Ok(Reply::Members(json!({ "Policy": policy.to_string(), "RevisionId": function.revision_id })))
        }
        "PutFunctionEventInvokeConfig" | "UpdateFunctionEventInvokeConfig" => put_event_config(control, call).await,
        "GetFunctionEventInvokeConfig" => {
            let function = target(control, call).await?;
            let config = shapes::event_config(&function);
            config.map(Reply::Members).ok_or_else(|| no_event_config(&function))
        }
        "ListFunctionEventInvokeConfigs" => {
            let configs: Vec<Value> = shapes::event_config(&target(control, call).await?).into_iter().collect();
            Ok(Reply::Members(json!({ "FunctionEventInvokeConfigs": configs })))
        }
        "DeleteFunctionEventInvokeConfig" => {
            let function = target(control, call).await?;
            shapes::event_config(&function).ok_or_else(|| no_event_config(&function))?;
            lambda::set_event_invoke_config(control, &function.name, None, None).await.map_err(error)?;
            Ok(Reply::Empty(StatusCode::NO_CONTENT))
        }
        "ListTags" => Ok(Reply::Members(json!({ "Tags": tagged(control, call).await?.tags }))),
        "TagResource" => {
            let tags = call.input.text_map("Tags")?.ok_or_else(|| ServiceError::validation("Tags is required"))?;
            let function = tagged(control, call).await?;
            lambda::change_tags(control, &function.name, tags, &[]).await.map_err(error)?;
            Ok(Reply::Empty(StatusCode::NO_CONTENT))
        }
        "UntagResource" => {
            let keys: Vec<String> =
                call.query.iter().filter(|(name, _)| name == "tagKeys").map(|(_, key)| key.clone()).collect();
            let function = tagged(control, call).await?;
            lambda::change_tags(control, &function.name, Default::default(), &keys).await.map_err(error)?;
            Ok(Reply::Empty(StatusCode::NO_CONTENT))
        }
        "GetFunctionConcurrency" => target(control, call).await.map(|_| Reply::none()),
        "GetFunctionCodeSigningConfig" => {
            let function = target(control, call).await?;
            Ok(Reply::Members(json!({ "CodeSigningConfigArn": "", "FunctionName": function.name })))
        }
        "GetRuntimeManagementConfig" => {
            let function = target(control, call).await?;
            Ok(Reply::Members(json!({ "UpdateRuntimeOn": "Auto", "FunctionArn": function.arn })))
        }
        // No loop is looked for.
        "GetFunctionRecursionConfig" => {
            target(control, call).await.map(|_| Reply::Members(json!({ "RecursiveLoop": "Allow" })))
        }
        "GetAccountSettings" => {
            let functions = lambda::list_functions(control, None, 0).await.map_err(error)?;
            Ok(Reply::Members(shapes::account_settings(control, &functions)))
        }
        other => Err(ServiceError::unknown_operation(other)),
    }
}

/// The function's name with the qualifier of the query, if there is one.
fn qualified(call: &Call) -> Result<String, ServiceError> {
    let name = call.input.required("FunctionName")?;
    Ok(match call.query_value("Qualifier") {
        Some(qualifier) if !qualifier.is_empty() && !name.ends_with(&format!(":{qualifier}")) => {
            format!("{name}:{qualifier}")
        }
        _ => name.to_owned(),
    })
}

async fn target(control: &Control, call: &Call) -> Result<Function, ServiceError> {
    lambda::function(control, &qualified(call)?).await.map_err(error)
}

/// The function that tags are of; only ARNs name it here.
async fn tagged(control: &Control, call: &Call) -> Result<Function, ServiceError> {
    let resource = call.input.required("Resource")?;
    if !resource.starts_with("arn:") {
        return Err(ServiceError::validation("Resource must be the ARN of a function"));
    }
    lambda::function(control, resource).await.map_err(error)
}

fn configuration(function: &Function) -> Result<Reply, ServiceError> {
    Ok(Reply::Members(shapes::configuration(function)))
}

async fn create(control: &Control, call: &Call) -> Result<Reply, ServiceError> {
    let new = shapes::new_function(&call.input, control.realm())?;
    pass_role(control, call, &new.role_arn).await?;
    read_code(control, call, &new.code).await?;
    let function = lambda::create_function(control, new, call.now).await.map_err(error)?;
    Ok(Reply::Status(StatusCode::CREATED, shapes::configuration(&function)))
}

async fn get(control: &Control, call: &Call) -> Result<Reply, ServiceError> {
    let function = target(control, call).await?;
    let mut members = json!({
        "Configuration": shapes::configuration(&function),
        "Code": { "RepositoryType": "S3" },
    });
    if !function.tags.is_empty() {
        members["Tags"] = json!(function.tags);
    }
    Ok(Reply::Members(members))
}

async fn update_code(control: &Control, call: &Call) -> Result<Reply, ServiceError> {
    shapes::refuse_unsupported(&call.input)?;
    let code = shapes::code(&call.input)?;
    read_code(control, call, &code).await?;
    let revision = call.input.text("RevisionId")?;
    if call.input.boolean("DryRun")? == Some(true) {
        return configuration(&target(control, call).await?);
    }
    let function = lambda::update_code(control, &qualified(call)?, code, revision, call.now).await.map_err(error)?;
    configuration(&function)
}

async fn update_configuration(control: &Control, call: &Call) -> Result<Reply, ServiceError> {
    shapes::refuse_unsupported(&call.input)?;
    let change = shapes::change(&call.input)?;
    if let Some(role) = &change.role_arn {
        pass_role(control, call, role).await?;
    }
    let revision = call.input.text("RevisionId")?;
    let function =
        lambda::update_configuration(control, &qualified(call)?, change, revision, call.now).await.map_err(error)?;
    configuration(&function)
}

/// Whoever gives a role to a function must be allowed to: the function does whatever the role may.
async fn pass_role(control: &Control, call: &Call, role_arn: &str) -> Result<(), ServiceError> {
    allowed(control, call, "iam:PassRole", role_arn).await
}

/// Whoever makes a function of an object must be allowed to read it.
async fn read_code(control: &Control, call: &Call, code: &lambda::Code) -> Result<(), ServiceError> {
    match code {
        lambda::Code::Object { bucket, key } => {
            allowed(control, call, "s3:GetObject", &format!("arn:aws:s3:::{bucket}/{key}")).await
        }
        _ => Ok(()),
    }
}

async fn allowed(control: &Control, call: &Call, action: &str, resource: &str) -> Result<(), ServiceError> {
    if call.may(control, action, resource).await? {
        return Ok(());
    }
    let who = iam::principal_arn(control.realm(), &call.principal);
    let message = format!("User: {who} is not authorized to perform: {action} on resource: {resource}");
    Err(ServiceError::new("AccessDeniedException", StatusCode::FORBIDDEN, message))
}

async fn list(control: &Control, call: &Call) -> Result<Reply, ServiceError> {
    let wanted = match call.query_value("MaxItems") {
        Some(text) => text.parse().ok().filter(|wanted| (1..=10_000).contains(wanted)),
        None => Some(PAGE_MAX),
    };
    let wanted = wanted.ok_or_else(|| ServiceError::validation("MaxItems must be within 1 to 10000"))?;
    let limit = wanted.min(PAGE_MAX);
    let after = call.query_value("Marker").filter(|marker| !marker.is_empty()).map(str::to_owned);
    let mut functions = lambda::list_functions(control, after, limit + 1).await.map_err(error)?;
    let more = functions.len() > limit as usize;
    functions.truncate(limit as usize);
    let mut members = json!({
        "Functions": functions.iter().map(shapes::configuration).collect::<Vec<_>>(),
    });
    if let Some(last) = functions.last().filter(|_| more) {
        members["NextMarker"] = last.name.as_str().into();
    }
    Ok(Reply::Members(members))
}

async fn invoke(control: &Control, call: &Call) -> Result<Reply, ServiceError> {
    let named = qualified(call)?;
    check_payload(&call.body)?;
    let options = InvokeOptions { request_id: None, client_context: client_context(call)? };
    let mut headers = HeaderMap::new();
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    let raw = |status, headers, body| Ok(Reply::Raw { status, headers, body });
    match call.header("x-amz-invocation-type").unwrap_or("RequestResponse") {
        "RequestResponse" => {
            let outcome = lambda::invoke(control, &named, call.body.clone(), options).await.map_err(error)?;
            let Outcome { request_id, payload, function_error, log_tail } = outcome;
            set(CONTENT_TYPE.as_str(), "application/json");
            set("x-amz-executed-version", LATEST);
            set("x-amzn-requestid", &request_id);
            if let Some(kind) = function_error {
                set("x-amz-function-error", &kind);
            }
            if call.header("x-amz-log-type") == Some("Tail") {
                set("x-amz-log-result", &STANDARD.encode(log_tail));
            }
            raw(StatusCode::OK, headers, payload)
        }
        "Event" => {
            let id = lambda::invoke_async(control, &named, call.body.clone(), options).await.map_err(error)?;
            set("x-amz-executed-version", LATEST);
            set("x-amzn-requestid", &id);
            raw(StatusCode::ACCEPTED, headers, Default::default())
        }
        "DryRun" => {
            lambda::function(control, &named).await.map_err(error)?;
            set("x-amz-executed-version", LATEST);
            raw(StatusCode::NO_CONTENT, headers, Default::default())
        }
        other => Err(ServiceError::validation(format!(
            "InvocationType {other:?} is not one of RequestResponse, Event, DryRun"
        ))),
    }
}

/// A payload is JSON, or nothing, whatever the invocation's type.
fn check_payload(payload: &[u8]) -> Result<(), ServiceError> {
    if payload.is_empty() {
        return Ok(());
    }
    match serde_json::from_slice::<serde::de::IgnoredAny>(payload) {
        Ok(_) => Ok(()),
        Err(error) => Err(ServiceError::new(
            "InvalidRequestContentException",
            StatusCode::BAD_REQUEST,
            format!("Could not parse request body into json: line {} column {}", error.line(), error.column()),
        )),
    }
}

/// JSON in base64, as the header has it.
fn client_context(call: &Call) -> Result<Option<String>, ServiceError> {
    let Some(header) = call.header("x-amz-client-context") else { return Ok(None) };
    let wrong = || {
        ServiceError::new(
            "InvalidRequestContentException",
            StatusCode::BAD_REQUEST,
            "ClientContext must be base64 of a JSON object of up to 3583 bytes",
        )
    };
    let bytes = STANDARD.decode(header).map_err(|_| wrong())?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|_| wrong())?;
    if bytes.len() > CLIENT_CONTEXT_BYTES_MAX || !value.is_object() {
        return Err(wrong());
    }
    // Written anew: line ends between members would not pass through a header.
    Ok(Some(value.to_string()))
}

async fn add_permission(control: &Control, call: &Call) -> Result<Reply, ServiceError> {
    let input = &call.input;
    let text = |name: &str| Ok::<_, ServiceError>(input.text(name)?.map(str::to_owned));
    for unsupported in ["EventSourceToken", "PrincipalOrgID", "FunctionUrlAuthType", "InvokedViaFunctionUrl"] {
        if input.value(unsupported).is_some() {
            return Err(ServiceError::validation(format!("{unsupported} is not supported here")));
        }
    }
    let permission = Permission {
        statement_id: input.required("StatementId")?.to_owned(),
        action: input.required("Action")?.to_owned(),
        principal: input.required("Principal")?.to_owned(),
        source_arn: text("SourceArn")?,
        source_account: text("SourceAccount")?,
    };
    let revision = input.text("RevisionId")?;
    let statement =
        lambda::permissions::add_permission(control, &qualified(call)?, permission, revision).await.map_err(error)?;
    Ok(Reply::Status(StatusCode::CREATED, json!({ "Statement": statement.to_string() })))
}

async fn put_event_config(control: &Control, call: &Call) -> Result<Reply, ServiceError> {
    shapes::refuse_destinations(&call.input)?;
    let mut attempts = shapes::number(&call.input, "MaximumRetryAttempts")?;
    let mut age = shapes::number(&call.input, "MaximumEventAgeInSeconds")?;
    let function = target(control, call).await?;
    if call.operation == "UpdateFunctionEventInvokeConfig" {
        shapes::event_config(&function).ok_or_else(|| no_event_config(&function))?;
        attempts = attempts.or(function.retry_attempts_max);
        age = age.or(function.event_age_s_max);
    }
    if attempts.is_none() && age.is_none() {
        return Err(ServiceError::validation("MaximumRetryAttempts or MaximumEventAgeInSeconds is required"));
    }
    let function = lambda::set_event_invoke_config(control, &function.name, attempts, age).await.map_err(error)?;
    shapes::event_config(&function).map(Reply::Members).ok_or_else(|| no_event_config(&function))
}

fn not_found(message: impl Into<String>) -> ServiceError {
    ServiceError::new("ResourceNotFoundException", StatusCode::NOT_FOUND, message)
}

fn nothing_here() -> ServiceError {
    not_found("The resource you requested does not exist.")
}

fn no_event_config(function: &Function) -> ServiceError {
    not_found(format!("The function {} doesn't have an EventInvokeConfig", function.arn))
}

/// The names that the service model has for what went wrong.
fn error(error: lambda::Error) -> ServiceError {
    use headwater_control::Error as Domain;
    let plain = |code: &'static str, status, message: String| ServiceError::new(code, status, message);
    let invalid = |message| plain("InvalidParameterValueException", StatusCode::BAD_REQUEST, message);
    let too_large = |message| plain("RequestTooLargeException", StatusCode::PAYLOAD_TOO_LARGE, message);
    let text = error.to_string();
    match error {
        lambda::Error::Control(Domain::NotFound { kind: "function", id }) => {
            not_found(format!("Function not found: {id}"))
        }
        lambda::Error::Control(Domain::NotFound { kind: "statement", .. }) => nothing_here(),
        lambda::Error::Control(Domain::Exists { kind: "function", id }) => {
            plain("ResourceConflictException", StatusCode::CONFLICT, format!("Function already exist: {id}"))
        }
        lambda::Error::Control(Domain::Exists { kind: "statement", id }) => plain(
            "ResourceConflictException",
            StatusCode::CONFLICT,
            format!(
                "The statement id ({id}) provided already exists. Please provide a new statement id, or remove the \
                 existing statement."
            ),
        ),
        lambda::Error::Control(other) => other.into(),
        lambda::Error::Deploy(DeployError::Io(cause)) => ServiceError::internal(&cause),
        lambda::Error::Deploy(_) => invalid(text),
        lambda::Error::RevisionChanged { .. } => plain(
            "PreconditionFailedException",
            StatusCode::PRECONDITION_FAILED,
            "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to \
             retrieve the latest Revision Id"
                .into(),
        ),
        lambda::Error::PolicyTooLong { .. } => plain("PolicyLengthExceededException", StatusCode::BAD_REQUEST, text),
        lambda::Error::Enqueue(EnqueueError::PayloadTooLarge { .. })
        | lambda::Error::Invoke(InvokeError::PayloadTooLarge { .. }) => too_large(text),
        lambda::Error::Enqueue(EnqueueError::NotJson(_)) => {
            plain("InvalidRequestContentException", StatusCode::BAD_REQUEST, text)
        }
        lambda::Error::Invoke(InvokeError::TooManyRequests { .. }) => {
            plain("TooManyRequestsException", StatusCode::TOO_MANY_REQUESTS, "Rate Exceeded.".into())
                .with("Reason", "ConcurrentInvocationLimitExceeded")
        }
        lambda::Error::Invoke(InvokeError::Runtime(_) | InvokeError::Missing(_)) => {
            plain("InvalidRuntimeException", StatusCode::BAD_GATEWAY, text)
        }
        lambda::Error::Invoke(InvokeError::Credentials(CredentialsError::UnknownRole(_))) => {
            invalid("The role defined for the function cannot be assumed by Lambda.".into())
        }
        other => ServiceError::internal(&other),
    }
}
