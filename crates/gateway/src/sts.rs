//! STS: `sts` 2011-06-15, query.

use crate::{Access, Call, Gateway, Input, Reply, ServiceError};
use ::http::StatusCode;
use headwater_control::{Control, Error, iam};
use headwater_model::Realm;
use headwater_model::iam::{AccessKey, Principal};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Which leave an operation needs. Whoever has a key may ask whose it is.
pub(crate) fn access(_realm: &Realm, operation: &str, input: &Input) -> Option<Access> {
    let resource = match operation {
        "AssumeRole" => input.0.get("RoleArn")?.as_str()?,
        _ => "*",
    };
    Some(Access { action: format!("sts:{operation}"), resource: resource.into() })
}

/// Answers one operation.
///
/// # Errors
/// As the service model says.
pub async fn call(gateway: &Gateway, call: Call) -> Result<Reply, ServiceError> {
    let control = gateway.control();
    match call.operation.as_str() {
        "GetCallerIdentity" => Ok(Reply::Members(json!({
            "Arn": iam::principal_arn(control.realm(), &call.principal),
            "UserId": user_id(control, &call.principal, &call.caller.key).await?,
            "Account": control.realm().account,
        }))),
        "AssumeRole" => assume_role(control, &call).await,
        "GetSessionToken" => session_token(control, &call).await,
        // Every key of this server is of its one account.
        "GetAccessKeyInfo" => {
            call.input.required("AccessKeyId")?;
            Ok(Reply::Members(json!({ "Account": control.realm().account })))
        }
        other => Err(ServiceError::new(
            "InvalidAction",
            StatusCode::BAD_REQUEST,
            format!("Could not find operation {other} for version 2011-06-15"),
        )),
    }
}

async fn assume_role(control: &Control, call: &Call) -> Result<Reply, ServiceError> {
    let input = &call.input;
    let owned = |name: &str| Ok::<_, ServiceError>(input.text(name)?.map(String::from));
    let policy = match input.text("Policy")? {
        Some(text) => Some(serde_json::from_str(text).map_err(|_| malformed("Policy is not JSON".into()))?),
        None => None,
    };
    let mut policy_arns = Vec::new();
    for descriptor in input.structures("PolicyArns")? {
        policy_arns.push(descriptor.required("arn")?.to_owned());
    }
    let mut tags = BTreeMap::new();
    for tag in input.structures("Tags")? {
        tags.insert(tag.required("Key")?.to_owned(), tag.text("Value")?.unwrap_or_default().to_owned());
    }
    let ask = iam::roles::Assume {
        role_arn: input.required("RoleArn")?.to_owned(),
        session_name: input.required("RoleSessionName")?.to_owned(),
        duration_s: duration(input)?,
        external_id: owned("ExternalId")?,
        policy,
        policy_arns,
        tags,
        source_identity: owned("SourceIdentity")?,
    };
    let (session_name, identity) = (ask.session_name.clone(), ask.source_identity.clone());
    let taken = iam::roles::assume_role(control, &call.caller, ask, &call.facts, call.now).await;
    let (role, key) = taken.map_err(worded)?;
    Ok(Reply::Members(json!({
        "Credentials": credentials(&key),
        "AssumedRoleUser": {
            "AssumedRoleId": format!("{}:{session_name}", role.role_id),
            "Arn": iam::principal_arn(control.realm(), &key.principal),
        },
        "SourceIdentity": identity,
    })))
}

/// A temporary key of the caller's own.
async fn session_token(control: &Control, call: &Call) -> Result<Reply, ServiceError> {
    if call.caller.key.session_token.is_some() {
        let message = "Cannot call GetSessionToken with session credentials";
        return Err(ServiceError::new("AccessDenied", StatusCode::FORBIDDEN, message));
    }
    let key = iam::session_token(control, &call.principal, duration(&call.input)?, call.now).await.map_err(worded)?;
    Ok(Reply::Members(json!({ "Credentials": credentials(&key) })))
}

fn duration(input: &Input) -> Result<Option<u32>, ServiceError> {
    // What is no number of seconds at all is out of range like others.
    Ok(input.integer("DurationSeconds")?.map(|seconds| u32::try_from(seconds).unwrap_or(0)))
}

/// The names that STS has for what the domain says.
fn worded(error: Error) -> ServiceError {
    match error {
        Error::Denied { principal, action, resource } => ServiceError::new(
            "AccessDenied",
            StatusCode::FORBIDDEN,
            format!("User: {principal} is not authorized to perform: {action} on resource: {resource}"),
        ),
        Error::Invalid { reason } => ServiceError::new("ValidationError", StatusCode::BAD_REQUEST, reason),
        Error::Malformed { reason, .. } => malformed(reason),
        Error::NotFound { id, .. } => {
            ServiceError::new("ValidationError", StatusCode::BAD_REQUEST, format!("{id} does not exist"))
        }
        other => other.into(),
    }
}

fn malformed(reason: String) -> ServiceError {
    ServiceError::new("MalformedPolicyDocument", StatusCode::BAD_REQUEST, reason)
}

fn credentials(key: &AccessKey) -> Value {
    json!({
        "AccessKeyId": key.access_key_id,
        "SecretAccessKey": key.secret_access_key.expose(),
        "SessionToken": key.session_token.as_ref().map(|token| token.expose()),
        "Expiration": key.expires_at.map(|end| end.iso_seconds()),
    })
}

/// Whose id it is: the account's for the owner, the role's with the session's name, the user's.
async fn user_id(control: &Control, principal: &Principal, key: &AccessKey) -> Result<String, Error> {
    Ok(match principal {
        Principal::Role { role, session } => match iam::roles::role(control, role).await {
            Ok(role) => format!("{}:{session}", role.role_id),
            Err(Error::NotFound { .. }) => format!("{}:{session}", key.access_key_id),
            Err(error) => return Err(error),
        },
        Principal::User { user } => iam::users::user(control, user).await?.user_id,
        _ => control.realm().account.clone(),
    })
}
