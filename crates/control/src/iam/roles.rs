//! Roles: who may take them, and what they may do then.

use super::{attach, check_name, check_path, fresh, known, managed, put_inline};
use crate::credentials::{SESSION_S_MAX, SESSION_S_MIN};
use crate::{Control, Error};
use headwater_model::iam::{AccessKey, Principal, Role};
use headwater_model::policy::{self, Context, Policy};
use headwater_model::{Timestamp, id};
use headwater_store::{Batch, Select, load};
use serde_json::Value;
use std::collections::BTreeMap;

/// Characters of a role's name.
const NAME_LENGTH_MAX: usize = 64;
/// Fewest characters of a session's name (STS, `AssumeRole`).
const SESSION_NAME_LENGTH_MIN: usize = 2;
/// Characters of a policy's name.
const POLICY_NAME_LENGTH_MAX: usize = 128;
/// Characters of a description.
const DESCRIPTION_LENGTH_MAX: usize = 1_000;
/// Roles in an account (IAM quota).
pub const ROLES_MAX: usize = 1_000;

/// What a caller says of a new role.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewRole {
    /// Unique in the account.
    pub name: String,
    /// `/` if `None`.
    pub path: Option<String>,
    /// Who may take it.
    pub assume_role_policy: Value,
    /// Up to 1000 characters.
    pub description: String,
    /// Tags, by key.
    pub tags: BTreeMap<String, String>,
}

/// Makes a role without policies.
///
/// # Errors
/// [`Error::Exists`]; [`Error::Invalid`]; [`Error::Malformed`] for the trust policy; [`Error::QuotaExceeded`];
/// [`Error::Store`].
pub async fn create_role(control: &Control, new: NewRole, now: Timestamp) -> Result<Role, Error> {
    check_name(&new.name, "RoleName", NAME_LENGTH_MAX)?;
    let path = new.path.unwrap_or_else(|| "/".into());
    check_path(&path)?;
    check_description(&new.description)?;
    check_trust(&new.assume_role_policy)?;
    if list_roles(control, "/").await?.len() >= ROLES_MAX {
        return Err(Error::QuotaExceeded { quota: "roles", limit: ROLES_MAX as u64 });
    }
    let role = Role {
        arn: control.realm().role_arn(&format!("{}{}", &path[1..], new.name)),
        role_id: format!("AROA{}", id::random_upper_alphanumeric(17)),
        name: new.name,
        path,
        assume_role_policy: new.assume_role_policy,
        inline_policies: BTreeMap::new(),
        managed_policy_arns: Vec::new(),
        description: new.description,
        tags: new.tags,
        created_at: now,
    };
    let mut batch = Batch::new();
    batch.insert(&role)?;
    fresh(control.store().commit(batch).await, "role", &role.name)?;
    Ok(role)
}

/// The role of this name.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Store`].
pub async fn role(control: &Control, name: &str) -> Result<Role, Error> {
    headwater_store::find(control.store(), name).await?.ok_or_else(|| Error::not_found("role", name))
}

/// Roles of which the path begins so, ascending by name.
///
/// # Errors
/// [`Error::Store`].
pub async fn list_roles(control: &Control, path_prefix: &str) -> Result<Vec<Role>, Error> {
    let mut roles: Vec<Role> = headwater_store::list(control.store(), Select::default()).await?;
    roles.retain(|role| role.path.starts_with(path_prefix));
    Ok(roles)
}

/// Changes a role's description.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`]; [`Error::Store`].
pub async fn update_role(control: &Control, name: &str, description: &str) -> Result<Role, Error> {
    check_description(description)?;
    change(control, name, |role| {
        role.description = description.into();
        Ok(())
    })
    .await
}

/// Changes who may take a role.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Malformed`]; [`Error::Store`].
pub async fn update_assume_role_policy(control: &Control, name: &str, document: &Value) -> Result<Role, Error> {
    check_trust(document)?;
    change(control, name, |role| {
        role.assume_role_policy = document.clone();
        Ok(())
    })
    .await
}

/// Deletes a role that has no policies; its temporary keys lose their power at once.
///
/// # Errors
/// [`Error::Conflict`] if it has policies; [`Error::NotFound`]; [`Error::Store`].
pub async fn delete_role(control: &Control, name: &str) -> Result<(), Error> {
    loop {
        let role = load::<Role>(control.store(), name).await?.ok_or_else(|| Error::not_found("role", name))?;
        if !role.value.inline_policies.is_empty() {
            return Err(Error::conflict("Cannot delete entity, must delete policies first."));
        }
        if !role.value.managed_policy_arns.is_empty() {
            return Err(Error::conflict("Cannot delete entity, must detach all policies first."));
        }
        let mut batch = Batch::new();
        batch.delete_revision::<Role>(name, role.revision);
        match control.store().commit(batch).await {
            Ok(_) => return Ok(()),
            Err(headwater_store::Error::Conflict { .. } | headwater_store::Error::Missing { .. }) => continue,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Puts an inline policy on a role, over one of the same name.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Malformed`]; [`Error::Invalid`]; [`Error::QuotaExceeded`]; [`Error::Store`].
pub async fn put_role_policy(
    control: &Control,
    name: &str,
    policy_name: &str,
    document: &Value,
) -> Result<Role, Error> {
    check_name(policy_name, "PolicyName", POLICY_NAME_LENGTH_MAX)?;
    change(control, name, |role| put_inline(&mut role.inline_policies, policy_name, document)).await
}

/// Removes an inline policy.
///
/// # Errors
/// [`Error::NotFound`] if there is no such role or policy; [`Error::Store`].
pub async fn delete_role_policy(control: &Control, name: &str, policy_name: &str) -> Result<Role, Error> {
    change(control, name, |role| match role.inline_policies.remove(policy_name) {
        Some(_) => Ok(()),
        None => Err(Error::not_found("role policy", policy_name)),
    })
    .await
}

/// Attaches a managed policy.
///
/// # Errors
/// [`Error::NotFound`] if there is no such role or policy; [`Error::QuotaExceeded`]; [`Error::Store`].
pub async fn attach_role_policy(control: &Control, name: &str, policy_arn: &str) -> Result<Role, Error> {
    managed::check_exists(control, policy_arn).await?;
    change(control, name, |role| attach(&mut role.managed_policy_arns, policy_arn)).await
}

/// Detaches a managed policy.
///
/// # Errors
/// [`Error::NotFound`] if there is no such role or the policy is not attached; [`Error::Store`].
pub async fn detach_role_policy(control: &Control, name: &str, policy_arn: &str) -> Result<Role, Error> {
    change(control, name, |role| {
        let count = role.managed_policy_arns.len();
        role.managed_policy_arns.retain(|arn| arn != policy_arn);
        if role.managed_policy_arns.len() == count {
            return Err(Error::not_found("attached policy", policy_arn));
        }
        Ok(())
    })
    .await
}

/// Adds and removes tags of a role.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Store`].
pub async fn change_role_tags(
    control: &Control,
    name: &str,
    added: &BTreeMap<String, String>,
    removed: &[String],
) -> Result<Role, Error> {
    change(control, name, |role| {
        role.tags.retain(|key, _| !removed.contains(key));
        role.tags.extend(added.clone());
        Ok(())
    })
    .await
}

/// A temporary key of a role for a principal that the role's trust policy lets in.
///
/// # Errors
/// [`Error::Denied`] if it does not; [`Error::NotFound`]; [`Error::Invalid`]; [`Error::Store`].
pub async fn assume_role(
    control: &Control,
    principal: &Principal,
    role_arn: &str,
    session_name: &str,
    ttl_s: u32,
    now: Timestamp,
) -> Result<(Role, AccessKey), Error> {
    check_name(session_name, "RoleSessionName", NAME_LENGTH_MAX)?;
    if session_name.len() < SESSION_NAME_LENGTH_MIN {
        return Err(Error::invalid(format!("RoleSessionName must have at least {SESSION_NAME_LENGTH_MIN} characters")));
    }
    if !(SESSION_S_MIN..=SESSION_S_MAX).contains(&ttl_s) {
        return Err(Error::invalid(format!("DurationSeconds must be between {SESSION_S_MIN} and {SESSION_S_MAX}")));
    }
    let denied = || Error::Denied {
        principal: super::principal_arn(control.realm(), principal),
        action: "sts:AssumeRole".into(),
        resource: role_arn.into(),
    };
    let name = role_arn.rsplit('/').next().unwrap_or_default();
    // Whether a role exists is nobody's business who may not take it.
    let role = headwater_store::find::<Role>(control.store(), name).await?.filter(|role| role.arn == role_arn);
    let role = role.ok_or_else(denied)?;
    if !is_trusted(&role, principal, &control.realm().account, now) {
        return Err(denied());
    }
    let key = control.credentials().role_session(role_arn, session_name, ttl_s, now).await?;
    Ok((role, key))
}

/// Whether a role's trust policy lets a principal take it.
pub fn is_trusted(role: &Role, principal: &Principal, account: &str, now: Timestamp) -> bool {
    let Ok(trust) = Policy::parse_trust_policy(&role.assume_role_policy) else { return false };
    let context = Context::new().at(now);
    let request =
        policy::Request { principal, account, action: "sts:AssumeRole", resource: &role.arn, context: &context };
    policy::evaluate([&trust], &request).is_allowed()
}

fn check_description(description: &str) -> Result<(), Error> {
    if description.chars().count() > DESCRIPTION_LENGTH_MAX {
        return Err(Error::invalid(format!("Description may have {DESCRIPTION_LENGTH_MAX} characters")));
    }
    Ok(())
}

fn check_trust(document: &Value) -> Result<(), Error> {
    Policy::parse_trust_policy(document)
        .map(|_| ())
        .map_err(|error| Error::Malformed { what: "trust policy", reason: error.to_string() })
}

async fn change(
    control: &Control,
    name: &str,
    change: impl FnMut(&mut Role) -> Result<(), Error>,
) -> Result<Role, Error> {
    known(headwater_store::update(control.store(), name, change).await, "role", name)
}
