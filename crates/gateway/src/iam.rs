//! IAM: `iam` 2010-05-08, query.

mod wire;

use crate::{Access, Call, Gateway, Input, Reply, ServiceError};
use ::http::StatusCode;
use headwater_control::iam::{managed, roles, users};
use headwater_control::{Control, Error};
use headwater_model::Realm;
use headwater_model::Timestamp;
use headwater_model::iam::{KeyStatus, Principal};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The action of the operation's name on the role, user or policy that the input names.
pub(crate) fn access(realm: &Realm, operation: &str, input: &Input) -> Option<Access> {
    let text = |name: &str| input.0.get(name).and_then(Value::as_str);
    let resource = if let Some(role) = text("RoleName") {
        realm.role_arn(role)
    } else if let Some(user) = text("UserName") {
        format!("arn:aws:iam::{}:user/{user}", realm.account)
    } else {
        text("PolicyArn")?.to_string()
    };
    Some(Access { action: format!("iam:{operation}"), resource })
}

/// Answers one operation.
///
/// # Errors
/// As the service model says.
pub async fn call(gateway: &Gateway, call: Call) -> Result<Reply, ServiceError> {
    let control = gateway.control();
    let group = match call.operation.as_str() {
        name if name.contains("User") || name.contains("AccessKey") => user_operation(control, &call).await?,
        name if name.contains("Role") => role_operation(control, &call).await?,
        _ => policy_operation(control, &call).await?,
    };
    group.ok_or_else(|| {
        ServiceError::new(
            "InvalidAction",
            StatusCode::BAD_REQUEST,
            format!("Could not find operation {} for version 2010-05-08", call.operation),
        )
    })
}

/// The names that IAM has for what the domain says.
fn worded(error: Error) -> ServiceError {
    let (code, status, message) = match error {
        Error::NotFound { kind, id } => {
            ("NoSuchEntity", StatusCode::NOT_FOUND, format!("The {kind} with name {id} cannot be found."))
        }
        Error::Exists { kind, id } => {
            ("EntityAlreadyExists", StatusCode::CONFLICT, format!("{kind} with name {id} already exists."))
        }
        Error::Conflict { reason } => ("DeleteConflict", StatusCode::CONFLICT, reason),
        Error::Malformed { reason, .. } => ("MalformedPolicyDocument", StatusCode::BAD_REQUEST, reason),
        Error::QuotaExceeded { quota, limit } => {
            ("LimitExceeded", StatusCode::CONFLICT, format!("Cannot exceed quota for {quota}: {limit}"))
        }
        Error::Invalid { reason } => ("ValidationError", StatusCode::BAD_REQUEST, reason),
        other => return other.into(),
    };
    ServiceError::new(code, status, message)
}

/// A policy document, which stands as a text in the input.
fn document(input: &Input, name: &str) -> Result<Value, ServiceError> {
    serde_json::from_str(input.required(name)?).map_err(|error| {
        ServiceError::new(
            "MalformedPolicyDocument",
            StatusCode::BAD_REQUEST,
            format!("This policy contains invalid Json: line {} column {}", error.line(), error.column()),
        )
    })
}

fn max_session(input: &Input) -> Result<Option<u32>, ServiceError> {
    // What is no number of seconds at all is out of range like others.
    Ok(input.integer("MaxSessionDuration")?.map(|seconds| u32::try_from(seconds).unwrap_or(0)))
}

fn tags(input: &Input) -> Result<BTreeMap<String, String>, ServiceError> {
    input
        .structures("Tags")?
        .iter()
        .map(|tag| Ok((tag.required("Key")?.to_string(), tag.text("Value")?.unwrap_or("").to_string())))
        .collect()
}

async fn role_operation(control: &Control, call: &Call) -> Result<Option<Reply>, ServiceError> {
    let input = &call.input;
    let name = || input.required("RoleName");
    let reply = match call.operation.as_str() {
        "CreateRole" => {
            let new = roles::NewRole {
                name: name()?.into(),
                path: input.text("Path")?.map(String::from),
                assume_role_policy: document(input, "AssumeRolePolicyDocument")?,
                description: input.text("Description")?.unwrap_or("").into(),
                max_session_s: max_session(input)?,
                tags: tags(input)?,
            };
            let role = roles::create_role(control, new, call.now).await.map_err(worded)?;
            json!({"Role": wire::role(&role)})
        }
        "GetRole" => json!({"Role": wire::role(&roles::role(control, name()?).await.map_err(worded)?)}),
        "ListRoles" => {
            let prefix = input.text("PathPrefix")?.unwrap_or("/");
            let roles = roles::list_roles(control, prefix).await.map_err(worded)?;
            json!({"Roles": roles.iter().map(wire::role).collect::<Vec<_>>(), "IsTruncated": false})
        }
        "UpdateRole" | "UpdateRoleDescription" => {
            let description = input.text("Description")?;
            let role = roles::update_role(control, name()?, description, max_session(input)?).await.map_err(worded)?;
            match call.operation.as_str() {
                // A result without members: its element must be there, and `null` members are not written.
                "UpdateRole" => json!({ "Nothing": null }),
                _ => json!({"Role": wire::role(&role)}),
            }
        }
        "UpdateAssumeRolePolicy" => {
            let document = document(input, "PolicyDocument")?;
            roles::update_assume_role_policy(control, name()?, &document).await.map_err(worded)?;
            json!({})
        }
        "DeleteRole" => {
            roles::delete_role(control, name()?).await.map_err(worded)?;
            json!({})
        }
        "PutRolePolicy" => {
            let document = document(input, "PolicyDocument")?;
            let policy = input.required("PolicyName")?;
            roles::put_role_policy(control, name()?, policy, &document).await.map_err(worded)?;
            json!({})
        }
        "GetRolePolicy" => {
            let role = roles::role(control, name()?).await.map_err(worded)?;
            let policy = wire::inline(&role.inline_policies, input.required("PolicyName")?).map_err(worded)?;
            json!({"RoleName": role.name, "PolicyName": input.required("PolicyName")?, "PolicyDocument": policy})
        }
        "DeleteRolePolicy" => {
            roles::delete_role_policy(control, name()?, input.required("PolicyName")?).await.map_err(worded)?;
            json!({})
        }
        "ListRolePolicies" => {
            let role = roles::role(control, name()?).await.map_err(worded)?;
            json!({"PolicyNames": role.inline_policies.keys().collect::<Vec<_>>(), "IsTruncated": false})
        }
        "AttachRolePolicy" => {
            roles::attach_role_policy(control, name()?, input.required("PolicyArn")?).await.map_err(worded)?;
            json!({})
        }
        "DetachRolePolicy" => {
            roles::detach_role_policy(control, name()?, input.required("PolicyArn")?).await.map_err(worded)?;
            json!({})
        }
        "ListAttachedRolePolicies" => {
            let role = roles::role(control, name()?).await.map_err(worded)?;
            json!({"AttachedPolicies": wire::attached(&role.managed_policy_arns), "IsTruncated": false})
        }
        // There are no instance profiles; tools ask for those of a role before they delete it.
        "ListInstanceProfilesForRole" => {
            roles::role(control, name()?).await.map_err(worded)?;
            json!({"InstanceProfiles": [], "IsTruncated": false})
        }
        "TagRole" => {
            roles::change_role_tags(control, name()?, &tags(input)?, &[]).await.map_err(worded)?;
            json!({})
        }
        "UntagRole" => {
            let keys = input.texts("TagKeys")?;
            roles::change_role_tags(control, name()?, &BTreeMap::new(), &keys).await.map_err(worded)?;
            json!({})
        }
        "ListRoleTags" => {
            let role = roles::role(control, name()?).await.map_err(worded)?;
            json!({"Tags": wire::tags(&role.tags), "IsTruncated": false})
        }
        _ => return Ok(None),
    };
    Ok(Some(Reply::Members(reply)))
}

async fn user_operation(control: &Control, call: &Call) -> Result<Option<Reply>, ServiceError> {
    let input = &call.input;
    // Without a name, a user means itself.
    let name = || match (&call.principal, input.text("UserName")?) {
        (_, Some(name)) => Ok(name),
        (Principal::User { user }, None) => Ok(user.as_str()),
        (_, None) => Err(ServiceError::new(
            "ValidationError",
            StatusCode::BAD_REQUEST,
            "Must specify userName when calling with non-User credentials",
        )),
    };
    let reply = match call.operation.as_str() {
        "CreateUser" => {
            let path = input.text("Path")?;
            let user =
                users::create_user(control, input.required("UserName")?, path, call.now).await.map_err(worded)?;
            json!({"User": wire::user(&user)})
        }
        "GetUser" if input.text("UserName")?.is_none() && call.principal == Principal::Root => {
            json!({"User": wire::root(control.realm())})
        }
        "GetUser" => json!({"User": wire::user(&users::user(control, name()?).await.map_err(worded)?)}),
        "ListUsers" => {
            let users = users::list_users(control).await.map_err(worded)?;
            json!({"Users": users.iter().map(wire::user).collect::<Vec<_>>(), "IsTruncated": false})
        }
        "DeleteUser" => {
            users::delete_user(control, input.required("UserName")?).await.map_err(worded)?;
            json!({})
        }
        "PutUserPolicy" => {
            let document = document(input, "PolicyDocument")?;
            let policy = input.required("PolicyName")?;
            users::put_user_policy(control, name()?, policy, &document).await.map_err(worded)?;
            json!({})
        }
        "GetUserPolicy" => {
            let user = users::user(control, name()?).await.map_err(worded)?;
            let policy = wire::inline(&user.inline_policies, input.required("PolicyName")?).map_err(worded)?;
            json!({"UserName": user.name, "PolicyName": input.required("PolicyName")?, "PolicyDocument": policy})
        }
        "DeleteUserPolicy" => {
            users::delete_user_policy(control, name()?, input.required("PolicyName")?).await.map_err(worded)?;
            json!({})
        }
        "ListUserPolicies" => {
            let user = users::user(control, name()?).await.map_err(worded)?;
            json!({"PolicyNames": user.inline_policies.keys().collect::<Vec<_>>(), "IsTruncated": false})
        }
        "AttachUserPolicy" => {
            users::attach_user_policy(control, name()?, input.required("PolicyArn")?).await.map_err(worded)?;
            json!({})
        }
        "DetachUserPolicy" => {
            users::detach_user_policy(control, name()?, input.required("PolicyArn")?).await.map_err(worded)?;
            json!({})
        }
        "ListAttachedUserPolicies" => {
            let user = users::user(control, name()?).await.map_err(worded)?;
            json!({"AttachedPolicies": wire::attached(&user.managed_policy_arns), "IsTruncated": false})
        }
        "ListGroupsForUser" => {
            users::user(control, name()?).await.map_err(worded)?;
            json!({"Groups": [], "IsTruncated": false})
        }
        "CreateAccessKey" => {
            let key = users::create_access_key(control, name()?).await.map_err(worded)?;
            json!({"AccessKey": {
                "UserName": name()?,
                "AccessKeyId": key.access_key_id,
                "Status": "Active",
                "SecretAccessKey": key.secret_access_key.expose(),
                "CreateDate": key.created_at.iso_seconds(),
            }})
        }
        "ListAccessKeys" => {
            users::user(control, name()?).await.map_err(worded)?;
            let keys = users::access_keys(control, name()?).await.map_err(worded)?;
            let keys: Vec<Value> = keys.iter().map(wire::access_key).collect();
            json!({"AccessKeyMetadata": keys, "IsTruncated": false})
        }
        "UpdateAccessKey" => {
            let status = match input.required("Status")? {
                "Active" => KeyStatus::Active,
                "Inactive" => KeyStatus::Inactive,
                _ => return Err(worded(Error::invalid("Status must be Active or Inactive"))),
            };
            let id = input.required("AccessKeyId")?;
            users::set_access_key_status(control, name()?, id, status).await.map_err(worded)?;
            json!({})
        }
        "DeleteAccessKey" => {
            users::delete_access_key(control, name()?, input.required("AccessKeyId")?).await.map_err(worded)?;
            json!({})
        }
        _ => return Ok(None),
    };
    Ok(Some(Reply::Members(reply)))
}

async fn policy_operation(control: &Control, call: &Call) -> Result<Option<Reply>, ServiceError> {
    let input = &call.input;
    let reply = match call.operation.as_str() {
        "CreatePolicy" => {
            let document = document(input, "PolicyDocument")?;
            let name = input.required("PolicyName")?;
            let (path, description) = (input.text("Path")?, input.text("Description")?.unwrap_or(""));
            let policy = managed::create_policy(control, name, path, description, &document, call.now);
            json!({"Policy": wire::policy(&policy.await.map_err(worded)?, 0)})
        }
        "GetPolicy" => json!({"Policy": policy(control, input.required("PolicyArn")?, call.now).await?}),
        "GetPolicyVersion" => {
            let arn = input.required("PolicyArn")?;
            let document = managed::document(control, arn).await.map_err(worded)?;
            let version = input.required("VersionId")?;
            let document = document
                .filter(|_| version == wire::POLICY_VERSION)
                .ok_or_else(|| worded(Error::not_found("policy version", format!("{arn} {version}"))))?;
            json!({"PolicyVersion": {
                "Document": wire::encoded(&document),
                "VersionId": version,
                "IsDefaultVersion": true,
                "CreateDate": call.now.iso_seconds(),
            }})
        }
        "ListPolicyVersions" => {
            policy(control, input.required("PolicyArn")?, call.now).await?;
            json!({
                "Versions": [{"VersionId": wire::POLICY_VERSION, "IsDefaultVersion": true}],
                "IsTruncated": false,
            })
        }
        "ListPolicies" => {
            let mut found = Vec::new();
            for policy in managed::list_policies(control).await.map_err(worded)? {
                let attachments = managed::attachments(control, &policy.arn).await.map_err(worded)?;
                found.push(wire::policy(&policy, attachments));
            }
            json!({"Policies": found, "IsTruncated": false})
        }
        "DeletePolicy" => {
            managed::delete_policy(control, input.required("PolicyArn")?).await.map_err(worded)?;
            json!({})
        }
        "ListAccountAliases" => json!({"AccountAliases": [], "IsTruncated": false}),
        _ => return Ok(None),
    };
    Ok(Some(Reply::Members(reply)))
}

/// A managed policy's description: of the account, or one of AWS' that grants something here.
async fn policy(control: &Control, arn: &str, now: Timestamp) -> Result<Value, ServiceError> {
    match managed::policy(control, arn).await {
        Ok(policy) => {
            let attachments = managed::attachments(control, arn).await.map_err(worded)?;
            Ok(wire::policy(&policy, attachments))
        }
        Err(error @ Error::NotFound { .. }) => match managed::document(control, arn).await.map_err(worded)? {
            Some(_) => Ok(wire::aws_policy(arn, now)),
            None => Err(worded(error)),
        },
        Err(error) => Err(worded(error)),
    }
}
