//! Roles, users, access keys and policies; what a principal may do. Source: IAM `iam` 2010-05-08.
//!
//! | module | what stands there |
//! |---|---|
//! | [`roles`] | roles, their trust and their policies |
//! | [`users`] | users, their policies and access keys |
//! | [`managed`] | policies that AWS manages, and the account's own |

pub mod managed;
pub mod roles;
pub mod users;

pub use managed::ManagedPolicy;
pub use users::User;

use crate::{Control, Error};
use headwater_model::iam::{Principal, Role};
use headwater_model::policy::{self, Context, Policy};
use headwater_model::{Realm, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;

/// Managed policies attached to one role or user (IAM quota).
pub const ATTACHED_POLICIES_MAX: usize = 20;
/// Characters of all inline policies of a role, without white space (IAM quota).
pub const INLINE_POLICIES_LENGTH_MAX: usize = 10_240;

/// Whether a principal's policies allow an action on a resource.
///
/// # Errors
/// [`Error::Store`].
pub async fn is_allowed(
    control: &Control,
    principal: &Principal,
    action: &str,
    resource: &str,
    now: Timestamp,
) -> Result<bool, Error> {
    let policies = policies_of(control, principal).await?;
    let context = context(control, principal, now);
    let account = &control.realm().account;
    let request = policy::Request { principal, account, action, resource, context: &context };
    Ok(policy::evaluate(&policies, &request).is_allowed())
}

/// What conditions can look at.
fn context(control: &Control, principal: &Principal, now: Timestamp) -> Context {
    // For conditions a session is its role.
    let arn = match principal {
        Principal::Role { role, .. } => control.realm().role_arn(role),
        other => principal_arn(control.realm(), other),
    };
    let context = Context::new()
        .at(now)
        .with("aws:PrincipalArn", arn)
        .with("aws:PrincipalAccount", control.realm().account.clone())
        .with("aws:RequestedRegion", control.realm().region.clone());
    match principal {
        Principal::User { user } => context.with("aws:username", user.clone()),
        _ => context,
    }
}

/// The policies attached to a principal, in evaluated form. A role or user that is gone has none.
///
/// # Errors
/// [`Error::Store`].
pub async fn policies_of(control: &Control, principal: &Principal) -> Result<Vec<Policy>, Error> {
    let (inline, arns) = match principal {
        Principal::Role { role, .. } => match headwater_store::find::<Role>(control.store(), role).await? {
            Some(role) => (role.inline_policies, role.managed_policy_arns),
            None => return Ok(Vec::new()),
        },
        Principal::User { user } => match headwater_store::find::<User>(control.store(), user).await? {
            Some(user) => (user.inline_policies, user.managed_policy_arns),
            None => return Ok(Vec::new()),
        },
        Principal::Root | Principal::Service(_) | Principal::Anonymous => return Ok(Vec::new()),
    };
    let mut policies: Vec<Policy> = inline.values().filter_map(|document| Policy::parse(document).ok()).collect();
    for arn in arns {
        if let Some(document) = managed::document(control, &arn).await?
            && let Ok(policy) = Policy::parse(&document)
        {
            policies.push(policy);
        }
    }
    Ok(policies)
}

/// The ARN that names a principal in messages and in `GetCallerIdentity`.
pub fn principal_arn(realm: &Realm, principal: &Principal) -> String {
    match principal {
        Principal::Role { role, session } => format!("arn:aws:sts::{}:assumed-role/{role}/{session}", realm.account),
        Principal::User { user } => format!("arn:aws:iam::{}:user/{user}", realm.account),
        Principal::Service(name) => name.clone(),
        Principal::Anonymous => "anonymous".into(),
        Principal::Root => format!("arn:aws:iam::{}:root", realm.account),
    }
}

/// Checks a name of a role, user or policy: `[\w+=,.@-]+`.
fn check_name(name: &str, what: &'static str, length_max: usize) -> Result<(), Error> {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    if name.is_empty() || name.len() > length_max || !name.bytes().all(is_allowed) {
        return Err(Error::invalid(format!(
            "{what} must have 1 to {length_max} characters of a-z, A-Z, 0-9 and _ + = , . @ -"
        )));
    }
    Ok(())
}

/// Checks a path of a role, user or policy: `/`, or begins and ends with it.
fn check_path(path: &str) -> Result<(), Error> {
    let is_printable = path.bytes().all(|b| (0x21..=0x7e).contains(&b));
    if path.len() > 512 || !path.starts_with('/') || !path.ends_with('/') || !is_printable {
        return Err(Error::invalid("the path must begin and end with / and have up to 512 printable characters"));
    }
    Ok(())
}

/// Puts an inline policy among others, checked.
fn put_inline(policies: &mut BTreeMap<String, Value>, name: &str, document: &Value) -> Result<(), Error> {
    Policy::parse(document).map_err(|error| Error::Malformed { what: "policy document", reason: error.to_string() })?;
    policies.insert(name.into(), document.clone());
    let length: usize = policies.values().map(|document| document.to_string().len()).sum();
    if length > INLINE_POLICIES_LENGTH_MAX {
        return Err(Error::QuotaExceeded {
            quota: "characters of inline policies",
            limit: INLINE_POLICIES_LENGTH_MAX as u64,
        });
    }
    Ok(())
}

/// Attaches a managed policy; attached already is fine.
fn attach(arns: &mut Vec<String>, arn: &str) -> Result<(), Error> {
    if arns.iter().any(|attached| attached == arn) {
        return Ok(());
    }
    if arns.len() >= ATTACHED_POLICIES_MAX {
        return Err(Error::QuotaExceeded { quota: "attached policies", limit: ATTACHED_POLICIES_MAX as u64 });
    }
    arns.push(arn.into());
    Ok(())
}

/// Makes a missing document a missing role, user or policy.
fn known<T>(result: Result<T, Error>, kind: &'static str, id: &str) -> Result<T, Error> {
    match result {
        Err(Error::Store(headwater_store::Error::Missing { .. })) => Err(Error::not_found(kind, id)),
        other => other,
    }
}

/// Makes a document that exists an existing role, user or policy.
fn fresh<T>(result: Result<T, headwater_store::Error>, kind: &'static str, id: &str) -> Result<T, Error> {
    match result {
        Err(headwater_store::Error::Exists { .. }) => Err(Error::Exists { kind, id: id.into() }),
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests;
