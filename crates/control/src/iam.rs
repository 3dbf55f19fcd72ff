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

use crate::cache::Cache;
use crate::credentials::{CHAINED_S_MAX, KnownKey, SESSION_S_MAX, SESSION_S_MIN};
use crate::{Control, Error};
use headwater_model::iam::{AccessKey, Principal, Role, Session};
use headwater_model::policy::{self, Context, Decision, Policy};
use headwater_model::{Realm, Timestamp};
use headwater_store::{Document, Store};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Managed policies attached to one role or user (IAM quota).
pub const ATTACHED_POLICIES_MAX: usize = 20;
/// Characters of all inline policies of a role, without white space (IAM quota).
pub const INLINE_POLICIES_LENGTH_MAX: usize = 10_240;
/// Longest life of a user's session token, seconds (STS, `GetSessionToken`).
const SESSION_TOKEN_S_MAX: u32 = 129_600;
/// Roles and users of which the policies are held in memory, parsed; with their quotas, some tens of kilobytes each at
/// most and mostly one. More are read from the store again.
const PRINCIPALS_CACHED_MAX: usize = 1_024;

/// The policies of roles and users, parsed once until one of them changes.
pub(crate) struct Policies(Cache<Vec<Policy>>);

impl Policies {
    pub(crate) fn new(store: &dyn Store) -> Self {
        let kinds = [Role::KIND, User::KIND, ManagedPolicy::KIND];
        Policies(Cache::new(store, &kinds, PRINCIPALS_CACHED_MAX))
    }
}

/// What is known of a request besides who signed it, for conditions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// `aws:SourceIp`.
    pub source_ip: Option<IpAddr>,
    /// `aws:UserAgent`.
    pub user_agent: Option<String>,
    /// `aws:Referer`.
    pub referer: Option<String>,
    /// `aws:RequestTag/KEY` and `aws:TagKeys`.
    pub request_tags: Vec<(String, String)>,
    /// Keys of one service, such as `sts:ExternalId`.
    pub others: Vec<(&'static str, String)>,
}

/// Whether the policies of a key's owner, and of its session, allow an action on a resource.
///
/// # Errors
/// [`Error::Store`].
pub async fn decide(
    control: &Control,
    caller: &KnownKey,
    action: &str,
    resource: &str,
    facts: &Facts,
    now: Timestamp,
) -> Result<Decision, Error> {
    let principal = &caller.key.principal;
    if *principal == Principal::Root && caller.narrowing.is_none() {
        // Nothing is attached to the owner.
        return Ok(Decision::Allowed);
    }
    let policies = policies_of(control, principal).await?;
    let context = context(control.realm(), &caller.key, facts, now);
    let account = &control.realm().account;
    let request = policy::Request { principal, account, action, resource, context: &context };
    Ok(policy::evaluate_session(&policies, caller.narrowing.as_deref(), &request))
}

/// What conditions can look at.
fn context(realm: &Realm, key: &AccessKey, facts: &Facts, now: Timestamp) -> Context {
    let principal = &key.principal;
    // For conditions a session is its role.
    let (arn, kind) = match principal {
        Principal::Role { role, .. } => (realm.role_arn(role), "AssumedRole"),
        Principal::Root => (principal_arn(realm, principal), "Account"),
        Principal::User { .. } => (principal_arn(realm, principal), "User"),
        Principal::Service(_) => (principal_arn(realm, principal), "Service"),
        Principal::Anonymous => (principal_arn(realm, principal), "Anonymous"),
    };
    let mut context = Context::new()
        .at(now)
        .with("aws:PrincipalArn", arn)
        .with("aws:PrincipalType", kind)
        .with("aws:PrincipalAccount", realm.account.clone())
        .with("aws:RequestedRegion", realm.region.clone())
        // The listener of the AWS-compatible services speaks plain HTTP.
        .with("aws:SecureTransport", "false");
    if let Principal::User { user } = principal {
        context.add("aws:username", user.clone());
    }
    if key.expires_at.is_some() {
        context.add("aws:TokenIssueTime", key.created_at.iso_seconds());
    }
    if let Some(identity) = &key.session.source_identity {
        context.add("aws:SourceIdentity", identity.clone());
    }
    for (name, value) in &key.session.tags {
        context.add(&format!("aws:PrincipalTag/{name}"), value.clone());
    }
    if let Some(address) = facts.source_ip {
        context.add("aws:SourceIp", address.to_canonical().to_string());
    }
    for (name, value) in [("aws:UserAgent", &facts.user_agent), ("aws:Referer", &facts.referer)] {
        if let Some(value) = value {
            context.add(name, value.clone());
        }
    }
    for (name, value) in &facts.request_tags {
        context.add(&format!("aws:RequestTag/{name}"), value.clone());
        context.add("aws:TagKeys", name.clone());
    }
    for (name, value) in &facts.others {
        context.add(name, value.clone());
    }
    context
}

/// The policies attached to a principal, in evaluated form. A role or user that is gone has none.
///
/// # Errors
/// [`Error::Store`].
pub async fn policies_of(control: &Control, principal: &Principal) -> Result<Arc<Vec<Policy>>, Error> {
    let (name, read) = match principal {
        Principal::Role { role, .. } => (format!("role/{role}"), role),
        Principal::User { user } => (format!("user/{user}"), user),
        Principal::Root | Principal::Service(_) | Principal::Anonymous => return Ok(Arc::default()),
    };
    let is_role = matches!(principal, Principal::Role { .. });
    let read = async { if is_role { role_policies(control, read).await } else { user_policies(control, read).await } };
    Ok(control.policies().0.read(&name, read).await?.unwrap_or_default())
}

async fn role_policies(control: &Control, name: &str) -> Result<Option<Vec<Policy>>, Error> {
    let Some(role) = headwater_store::find::<Role>(control.store(), name).await? else { return Ok(None) };
    parsed(control, &role.inline_policies, &role.managed_policy_arns).await.map(Some)
}

async fn user_policies(control: &Control, name: &str) -> Result<Option<Vec<Policy>>, Error> {
    let Some(user) = headwater_store::find::<User>(control.store(), name).await? else { return Ok(None) };
    parsed(control, &user.inline_policies, &user.managed_policy_arns).await.map(Some)
}

/// Inline and attached policies; a document that does not parse grants nothing.
async fn parsed(control: &Control, inline: &BTreeMap<String, Value>, arns: &[String]) -> Result<Vec<Policy>, Error> {
    let mut policies: Vec<Policy> = inline.values().filter_map(|document| Policy::parse(document).ok()).collect();
    for arn in arns {
        if let Some(document) = managed::document(control, arn).await?
            && let Ok(policy) = Policy::parse(&document)
        {
            policies.push(policy);
        }
    }
    Ok(policies)
}

/// A temporary key with the rights of its owner (STS, `GetSessionToken`): twelve hours unless asked otherwise.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::Store`].
pub async fn session_token(
    control: &Control,
    principal: &Principal,
    duration_s: Option<u32>,
    now: Timestamp,
) -> Result<AccessKey, Error> {
    // The owner's sessions live an hour at most.
    let longest_s = if *principal == Principal::Root { CHAINED_S_MAX } else { SESSION_TOKEN_S_MAX };
    let duration_s = duration_s.unwrap_or(SESSION_S_MAX);
    if !(SESSION_S_MIN..=SESSION_TOKEN_S_MAX).contains(&duration_s) {
        let reason = format!("DurationSeconds must be between {SESSION_S_MIN} and {SESSION_TOKEN_S_MAX}");
        return Err(Error::Invalid { reason });
    }
    let session = Session::default();
    control.credentials().temporary(principal.clone(), session, duration_s.min(longest_s), now).await
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
