//! Inputs and outputs of the service model `lambda` 2015-03-31.

use crate::{Input, ServiceError};
use ::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_control::Control;
use headwater_control::lambda::settings::{Change, Settings};
use headwater_control::lambda::{Code, NewFunction};
use headwater_model::Realm;
use headwater_model::function::{Function, FunctionRef, LATEST};
use serde_json::{Value, json};

/// What a lambda of this server cannot be given. Ignoring it would make another function than the caller asked for.
const UNSUPPORTED: &[&str] = &[
    "CapacityProviderConfig",
    "CodeSigningConfigArn",
    "DurableConfig",
    "FileSystemConfigs",
    "ImageConfig",
    "ImageUri",
    "KMSKeyArn",
    "Layers",
    "SourceKMSKeyArn",
    "TenancyConfig",
];

/// `CreateFunctionRequest`.
pub(super) fn new_function(input: &Input, realm: &Realm) -> Result<NewFunction, ServiceError> {
    refuse_unsupported(input)?;
    let named = FunctionRef::parse(input.required("FunctionName")?, realm)
        .map_err(|error| ServiceError::validation(error.to_string()))?;
    let code = input.structure("Code")?.ok_or_else(|| ServiceError::validation("Code is required"))?;
    refuse_unsupported(&code)?;
    let (Some(runtime), Some(handler)) = (input.text("Runtime")?, input.text("Handler")?) else {
        return Err(ServiceError::validation(
            "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
        ));
    };
    Ok(NewFunction {
        name: named.name,
        runtime: runtime.into(),
        handler: handler.into(),
        role_arn: input.required("Role")?.into(),
        code: self::code(&code)?,
        settings: settings(input)?,
        tags: input.text_map("Tags")?.unwrap_or_default(),
    })
}

/// `FunctionCode`, and the same members of `UpdateFunctionCodeRequest`.
pub(super) fn code(input: &Input) -> Result<Code, ServiceError> {
    match (input.text("ZipFile")?, input.text("S3Bucket")?, input.text("S3Key")?) {
        (Some(zip), None, None) => {
            let bytes = STANDARD.decode(zip).map_err(|_| ServiceError::validation("ZipFile must be base64"))?;
            Ok(Code::Zip(bytes.into()))
        }
        (None, Some(bucket), Some(key)) => Ok(Code::Object { bucket: bucket.into(), key: key.into() }),
        _ => Err(ServiceError::validation("Please provide a source for function code: ZipFile, or S3Bucket and S3Key")),
    }
}

/// `UpdateFunctionConfigurationRequest`.
pub(super) fn change(input: &Input) -> Result<Change, ServiceError> {
    let text = |name: &str| Ok::<_, ServiceError>(input.text(name)?.map(str::to_owned));
    Ok(Change {
        runtime: text("Runtime")?,
        handler: text("Handler")?,
        role_arn: text("Role")?,
        settings: settings(input)?,
    })
}

fn settings(input: &Input) -> Result<Settings, ServiceError> {
    let environment = match input.structure("Environment")? {
        // An environment without variables takes them away.
        Some(environment) => Some(environment.text_map("Variables")?.unwrap_or_default()),
        None => None,
    };
    Ok(Settings {
        description: input.text("Description")?.map(str::to_owned),
        timeout_s: number(input, "Timeout")?,
        memory_mb: number(input, "MemorySize")?,
        environment,
    })
}

/// A whole number that is not negative.
pub(super) fn number(input: &Input, name: &str) -> Result<Option<u32>, ServiceError> {
    let wrong = |_| ServiceError::validation(format!("{name} is out of range"));
    input.integer(name)?.map(u32::try_from).transpose().map_err(wrong)
}

/// Refuses members that ask for what there is not here; their empty forms ask for nothing.
pub(super) fn refuse_unsupported(input: &Input) -> Result<(), ServiceError> {
    let refuse = |name: &str| Err(ServiceError::validation(format!("{name} is not supported here")));
    let is_empty = |value: &Value| match value {
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    };
    for name in UNSUPPORTED {
        if input.value(name).is_some_and(|value| !is_empty(value)) {
            return refuse(name);
        }
    }
    if input.text("PackageType")?.is_some_and(|kind| kind != "Zip") {
        return refuse("PackageType Image");
    }
    if input.boolean("Publish")? == Some(true) {
        return refuse("Publish: there is one version, $LATEST;");
    }
    let member = |outer: &str, inner: &str| {
        Ok::<_, ServiceError>(match input.structure(outer)? {
            Some(structure) => structure.value(inner).filter(|value| !is_empty(value)).cloned(),
            None => None,
        })
    };
    for (outer, inner) in [
        ("VpcConfig", "SubnetIds"),
        ("VpcConfig", "SecurityGroupIds"),
        ("DeadLetterConfig", "TargetArn"),
        ("LoggingConfig", "LogGroup"),
    ] {
        if member(outer, inner)?.is_some() {
            return refuse(&format!("{outer}.{inner}"));
        }
    }
    if member("SnapStart", "ApplyOn")?.is_some_and(|on| on != "None") {
        return refuse("SnapStart");
    }
    if member("LoggingConfig", "LogFormat")?.is_some_and(|format| format != "Text") {
        return refuse("LoggingConfig.LogFormat JSON");
    }
    Ok(())
}

/// Refuses destinations of asynchronous invocations that are not empty.
pub(super) fn refuse_destinations(input: &Input) -> Result<(), ServiceError> {
    let Some(config) = input.structure("DestinationConfig")? else { return Ok(()) };
    for name in ["OnSuccess", "OnFailure"] {
        if config.structure(name)?.is_some_and(|destination| destination.value("Destination").is_some()) {
            return Err(ServiceError::validation(format!("DestinationConfig.{name} is not supported here")));
        }
    }
    Ok(())
}

/// `FunctionConfiguration`.
pub(super) fn configuration(function: &Function) -> Value {
    let sha256 = hex::decode(&function.code_sha256).unwrap_or_default();
    // `2026-11-24T05:29:42.123+0000`.
    let modified = function.last_modified.iso_millis().replace('Z', "+0000");
    let mut members = json!({
        "FunctionName": function.name,
        "FunctionArn": function.arn,
        "Runtime": function.runtime,
        "Role": function.role_arn,
        "Handler": function.handler,
        "CodeSize": function.code_bytes,
        "Description": function.description,
        "Timeout": function.timeout_s,
        "MemorySize": function.memory_mb,
        "LastModified": modified,
        "CodeSha256": STANDARD.encode(sha256),
        "Version": LATEST,
        "TracingConfig": { "Mode": "PassThrough" },
        "RevisionId": function.revision_id,
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "PackageType": "Zip",
        "Architectures": [architecture()],
        "EphemeralStorage": { "Size": 512 },
        "SnapStart": { "ApplyOn": "None", "OptimizationStatus": "Off" },
        "LoggingConfig": { "LogFormat": "Text", "LogGroup": function.log_group() },
    });
    if !function.environment.is_empty() {
        members["Environment"] = json!({ "Variables": function.environment });
    }
    members
}

/// Functions run on this machine, whatever was asked for.
fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }
}

/// `FunctionEventInvokeConfig`; `None` if nothing was set.
pub(super) fn event_config(function: &Function) -> Option<Value> {
    if function.retry_attempts_max.is_none() && function.event_age_s_max.is_none() {
        return None;
    }
    let mut members = json!({
        // Seconds with milliseconds behind the point, as timestamps are in rest-json.
        "LastModified": serde_json::Number::from_f64(function.last_modified.0 as f64 / 1000.0),
        "FunctionArn": format!("{}:{LATEST}", function.arn),
        "DestinationConfig": { "OnSuccess": {}, "OnFailure": {} },
    });
    if let Some(attempts) = function.retry_attempts_max {
        members["MaximumRetryAttempts"] = attempts.into();
    }
    if let Some(age) = function.event_age_s_max {
        members["MaximumEventAgeInSeconds"] = age.into();
    }
    Some(members)
}

/// `GetAccountSettingsResponse`.
pub(super) fn account_settings(control: &Control, functions: &[Function]) -> Value {
    let concurrency = control.functions().concurrency_max();
    json!({
        "AccountLimit": {
            "TotalCodeSize": 80_530_636_800_u64,
            "CodeSizeUnzipped": 262_144_000,
            "CodeSizeZipped": 52_428_800,
            "ConcurrentExecutions": concurrency,
            "UnreservedConcurrentExecutions": concurrency,
        },
        "AccountUsage": {
            "TotalCodeSize": functions.iter().map(|function| function.code_bytes).sum::<u64>(),
            "FunctionCount": functions.len(),
        },
    })
}

/// Lambda's names for what the gateway calls otherwise, and the members that its errors have.
pub(super) fn error_members(error: ServiceError) -> ServiceError {
    let error = error
        .named("ValidationException", "InvalidParameterValueException", StatusCode::BAD_REQUEST)
        .named("ConflictException", "ResourceConflictException", StatusCode::CONFLICT)
        .named("InternalServerException", "ServiceException", StatusCode::INTERNAL_SERVER_ERROR);
    let kind = if error.status.is_server_error() { "Service" } else { "User" };
    // These shapes spell the member with a capital.
    let capital = matches!(
        error.code.as_ref(),
        "ResourceNotFoundException" | "ServiceException" | "InvalidRuntimeException" | "AccessDeniedException"
    );
    let message = error.message.clone();
    let error = error.with("Type", kind);
    if capital { error.with("Message", message) } else { error }
}
