//! Roles: who may take them, and what they may do then.

use super::{Facts, attach, check_name, check_path, fresh, known, managed, put_inline};
use crate::credentials::{CHAINED_S_MAX, KnownKey, SESSION_S_MAX, SESSION_S_MIN};
use crate::{Control, Error, cdk};
use headwater_model::iam::{AccessKey, Principal, ROLE_SESSION_S_DEFAULT, Role, Session};
use headwater_model::policy::{self, Context, Decision, Policy};
use headwater_model::{Realm, Timestamp, id};
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
/// Characters of a session's inline policy (STS, `AssumeRole`).
const SESSION_POLICY_LENGTH_MAX: usize = 2_048;
/// Managed policies of a session (STS, `AssumeRole`).
const SESSION_POLICY_ARNS_MAX: usize = 10;
/// Tags of a session (STS, `AssumeRole`).
const SESSION_TAGS_MAX: usize = 50;
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
    /// Longest session, seconds; [`ROLE_SESSION_S_DEFAULT`] if `None`.
    pub max_session_s: Option<u32>,
    /// Tags, by key.
    pub tags: BTreeMap<String, String>,
}

/// What a caller says of the session that it wants.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assume {
    /// The role's ARN.
    pub role_arn: String,
    /// The session's name.
    pub session_name: String,
    /// How long it lives, seconds; [`ROLE_SESSION_S_DEFAULT`] if `None`.
    pub duration_s: Option<u32>,
    /// `sts:ExternalId` in the trust policy's conditions.
    pub external_id: Option<String>,
    /// An inline session policy.
    pub policy: Option<Value>,
    /// ARNs of managed session policies.
    pub policy_arns: Vec<String>,
    /// Session tags, by key.
    pub tags: BTreeMap<String, String>,
    /// `aws:SourceIdentity` of the session.
    pub source_identity: Option<String>,
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
    let max_session_s = new.max_session_s.unwrap_or(ROLE_SESSION_S_DEFAULT);
    check_max_session(max_session_s)?;
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
        max_session_s,
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

/// Changes a role's description and longest session, seconds; what is `None` stays.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`]; [`Error::Store`].
pub async fn update_role(
    control: &Control,
    name: &str,
    description: Option<&str>,
    max_session_s: Option<u32>,
) -> Result<Role, Error> {
    description.map_or(Ok(()), check_description)?;
    max_session_s.map_or(Ok(()), check_max_session)?;
    change(control, name, |role| {
        if let Some(description) = description {
            role.description = description.into();
        }
        role.max_session_s = max_session_s.unwrap_or(role.max_session_s);
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

/// A temporary key of a role for somebody whom the role's trust policy lets in. Whom that policy names only as somebody
/// of the account needs leave from their own policies too.
///
/// # Errors
/// [`Error::Denied`] if the policies do not let them in; [`Error::NotFound`] for a session policy; [`Error::Invalid`];
/// [`Error::Malformed`]; [`Error::Store`].
pub async fn assume_role(
    control: &Control,
    caller: &KnownKey,
    ask: Assume,
    facts: &Facts,
    now: Timestamp,
) -> Result<(Role, AccessKey), Error> {
    let duration_s = check_ask(&ask)?;
    let denied = |action: &str| Error::Denied {
        principal: super::principal_arn(control.realm(), &caller.key.principal),
        action: action.into(),
        resource: ask.role_arn.clone(),
    };
    let name = ask.role_arn.rsplit('/').next().unwrap_or_default();
    let mut role = headwater_store::find::<Role>(control.store(), name).await?;
    if role.is_none()
        && cdk::is_role(control, name)
        && super::decide(control, caller, "sts:AssumeRole", &ask.role_arn, facts, now).await?.is_allowed()
    {
        cdk::bootstrap(control).await?;
        role = headwater_store::find(control.store(), name).await?;
    }
    // Whether a role exists is nobody's business who may not take it.
    let role = role.filter(|role| role.arn == ask.role_arn);
    let role = role.ok_or_else(|| denied("sts:AssumeRole"))?;
    let facts = facts_of(&ask, facts);
    for action in actions_of(&ask) {
        if !may_take(control, &role, caller, action, &facts, now).await? {
            return Err(denied(action));
        }
    }
    check_duration(&role, caller, duration_s)?;
    let session = Session {
        policies: session_policies(control, &ask).await?,
        tags: ask.tags,
        // Once said, it stays on the whole chain of roles.
        source_identity: ask.source_identity.or_else(|| caller.key.session.source_identity.clone()),
    };
    let principal = Principal::Role { role: role.name.clone(), session: ask.session_name };
    let key = control.credentials().temporary(principal, session, duration_s, now).await?;
    Ok((role, key))
}

/// Whether a role's trust policy lets a service take it.
pub fn trusts_service(realm: &Realm, role: &Role, service: &str, now: Timestamp) -> bool {
    let Ok(trust) = Policy::parse_trust_policy(&role.assume_role_policy) else { return false };
    let principal = Principal::Service(service.into());
    let context = Context::new().at(now).with("aws:SourceAccount", realm.account.clone());
    let request = policy::Request {
        principal: &principal,
        account: &realm.account,
        action: "sts:AssumeRole",
        resource: &role.arn,
        context: &context,
    };
    policy::evaluate([&trust], &request).is_allowed()
}

fn check_ask(ask: &Assume) -> Result<u32, Error> {
    check_name(&ask.session_name, "RoleSessionName", NAME_LENGTH_MAX)?;
    if ask.session_name.len() < SESSION_NAME_LENGTH_MIN {
        return Err(Error::invalid(format!("RoleSessionName must have at least {SESSION_NAME_LENGTH_MIN} characters")));
    }
    if let Some(identity) = &ask.source_identity {
        check_name(identity, "SourceIdentity", NAME_LENGTH_MAX)?;
    }
    if ask.external_id.as_ref().is_some_and(|id| !(2..=1_224).contains(&id.len())) {
        return Err(Error::invalid("ExternalId must have 2 to 1224 characters"));
    }
    if ask.tags.len() > SESSION_TAGS_MAX {
        return Err(Error::invalid(format!("a session may have {SESSION_TAGS_MAX} tags")));
    }
    let duration_s = ask.duration_s.unwrap_or(ROLE_SESSION_S_DEFAULT);
    if !(SESSION_S_MIN..=SESSION_S_MAX).contains(&duration_s) {
        return Err(Error::invalid(format!("DurationSeconds must be between {SESSION_S_MIN} and {SESSION_S_MAX}")));
    }
    Ok(duration_s)
}

/// Told only to who may take the role.
fn check_duration(role: &Role, caller: &KnownKey, duration_s: u32) -> Result<(), Error> {
    if duration_s > role.max_session_s {
        return Err(Error::invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role."));
    }
    if matches!(caller.key.principal, Principal::Role { .. }) && duration_s > CHAINED_S_MAX {
        return Err(Error::invalid(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
        ));
    }
    Ok(())
}

/// The actions that a trust policy must allow: one for each thing that the session is given.
fn actions_of(ask: &Assume) -> impl Iterator<Item = &'static str> {
    let tags = (!ask.tags.is_empty()).then_some("sts:TagSession");
    let identity = ask.source_identity.is_some().then_some("sts:SetSourceIdentity");
    [Some("sts:AssumeRole"), tags, identity].into_iter().flatten()
}

fn facts_of(ask: &Assume, facts: &Facts) -> Facts {
    let mut facts = facts.clone();
    facts.request_tags = ask.tags.clone().into_iter().collect();
    facts.others.push(("sts:RoleSessionName", ask.session_name.clone()));
    facts.others.extend(ask.external_id.clone().map(|id| ("sts:ExternalId", id)));
    facts.others.extend(ask.source_identity.clone().map(|identity| ("sts:SourceIdentity", identity)));
    facts
}

/// Whether trust policy and own policies together let somebody take a role.
async fn may_take(
    control: &Control,
    role: &Role,
    caller: &KnownKey,
    action: &str,
    facts: &Facts,
    now: Timestamp,
) -> Result<bool, Error> {
    let own = super::decide(control, caller, action, &role.arn, facts, now).await?;
    let Ok(trust) = Policy::parse_trust_policy(&role.assume_role_policy) else { return Ok(false) };
    let context = super::context(control.realm(), &caller.key, facts, now);
    let request = policy::Request {
        principal: &caller.key.principal,
        account: &control.realm().account,
        action,
        resource: &role.arn,
        context: &context,
    };
    // The owner is everywhere allowed by its own policies; a trust policy must name it like anybody.
    let trusted = policy::evaluate([&trust], &request);
    let trusted = trusted.is_allowed() && trust.allows(&request);
    let by_name = caller.narrowing.is_none() && trust.grants_by_name(&request);
    Ok(trusted && own != Decision::ExplicitlyDenied && (own.is_allowed() || by_name))
}

/// The documents of the session's policies, inline and managed, as they are now.
async fn session_policies(control: &Control, ask: &Assume) -> Result<Vec<Value>, Error> {
    let mut documents = Vec::new();
    if let Some(document) = &ask.policy {
        Policy::parse(document).map_err(|error| Error::Malformed { what: "Policy", reason: error.to_string() })?;
        if document.to_string().len() > SESSION_POLICY_LENGTH_MAX {
            return Err(Error::invalid(format!("Policy may have {SESSION_POLICY_LENGTH_MAX} characters")));
        }
        documents.push(document.clone());
    }
    if ask.policy_arns.len() > SESSION_POLICY_ARNS_MAX {
        return Err(Error::invalid(format!("PolicyArns may have {SESSION_POLICY_ARNS_MAX} members")));
    }
    for arn in &ask.policy_arns {
        let document = managed::document(control, arn).await?;
        documents.push(document.ok_or_else(|| Error::not_found("policy", arn))?);
    }
    Ok(documents)
}

fn check_max_session(max_session_s: u32) -> Result<(), Error> {
    if !(ROLE_SESSION_S_DEFAULT..=SESSION_S_MAX).contains(&max_session_s) {
        return Err(Error::invalid(format!(
            "MaxSessionDuration must be between {ROLE_SESSION_S_DEFAULT} and {SESSION_S_MAX}"
        )));
    }
    Ok(())
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
