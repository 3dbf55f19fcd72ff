//! STS: `sts` 2011-06-15, query.

use crate::{Access, Call, Gateway, Input, Reply, ServiceError};
use ::http::StatusCode;
use headwater_control::{Control, Error, iam};
use headwater_model::Realm;
use headwater_model::iam::{AccessKey, Principal};
use serde_json::{Value, json};

/// Seconds that a key lives unless the caller says otherwise.
const DURATION_S_DEFAULT: i64 = 3_600;

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
            "UserId": user_id(control, &call.principal, &call.key).await?,
            "Account": control.realm().account,
        }))),
        "AssumeRole" => assume_role(control, &call).await,
        other => Err(ServiceError::new(
            "InvalidAction",
            StatusCode::BAD_REQUEST,
            format!("Could not find operation {other} for version 2011-06-15"),
        )),
    }
}

async fn assume_role(control: &Control, call: &Call) -> Result<Reply, ServiceError> {
    let session_name = call.input.required("RoleSessionName")?;
    let duration_s = call.input.integer("DurationSeconds")?.unwrap_or(DURATION_S_DEFAULT);
    let duration_s = u32::try_from(duration_s).unwrap_or(0);
    let role_arn = call.input.required("RoleArn")?;
    let (role, key) = iam::roles::assume_role(control, &call.principal, role_arn, session_name, duration_s, call.now)
        .await
        .map_err(|error| match error {
            Error::Denied { principal, action, resource } => ServiceError::new(
                "AccessDenied",
                StatusCode::FORBIDDEN,
                format!("User: {principal} is not authorized to perform: {action} on resource: {resource}"),
            ),
            Error::Invalid { reason } => ServiceError::new("ValidationError", StatusCode::BAD_REQUEST, reason),
            other => other.into(),
        })?;
    Ok(Reply::Members(json!({
        "Credentials": credentials(&key),
        "AssumedRoleUser": {
            "AssumedRoleId": format!("{}:{session_name}", role.role_id),
            "Arn": iam::principal_arn(control.realm(), &key.principal),
        },
    })))
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
