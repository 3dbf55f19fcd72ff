//! Users, their policies and access keys.

use super::{attach, check_name, check_path, fresh, known, managed, put_inline};
use crate::{Control, Error};
use headwater_model::iam::{AccessKey, KeyStatus, Principal};
use headwater_model::{Timestamp, id};
use headwater_store::{Batch, Document, Select};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Characters of a user's name.
const NAME_LENGTH_MAX: usize = 64;
/// Access keys of one user (IAM quota).
pub const KEYS_PER_USER_MAX: usize = 2;

/// Somebody with long-lived keys and less than all rights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// Unique in the account.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// `AIDA` and 17 uppercase alphanumerics.
    pub user_id: String,
    /// `/` unless given.
    pub path: String,
    /// Inline policies by name, as given.
    #[serde(default)]
    pub inline_policies: BTreeMap<String, Value>,
    /// ARNs of managed policies.
    #[serde(default)]
    pub managed_policy_arns: Vec<String>,
    /// When the user was made.
    pub created_at: Timestamp,
}

impl Document for User {
    const KIND: &'static str = "user";
    fn id(&self) -> String {
        self.name.clone()
    }
}

/// Makes a user without policies and keys.
///
/// # Errors
/// [`Error::Exists`]; [`Error::Invalid`]; [`Error::Store`].
pub async fn create_user(control: &Control, name: &str, path: Option<&str>, now: Timestamp) -> Result<User, Error> {
    check_name(name, "UserName", NAME_LENGTH_MAX)?;
    let path = path.unwrap_or("/");
    check_path(path)?;
    let user = User {
        name: name.into(),
        arn: format!("arn:aws:iam::{}:user{path}{name}", control.realm().account),
        user_id: format!("AIDA{}", id::random_upper_alphanumeric(17)),
        path: path.into(),
        inline_policies: BTreeMap::new(),
        managed_policy_arns: Vec::new(),
        created_at: now,
    };
    let mut batch = Batch::new();
    batch.insert(&user)?;
    fresh(control.store().commit(batch).await, "user", name)?;
    Ok(user)
}

/// The user of this name.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Store`].
pub async fn user(control: &Control, name: &str) -> Result<User, Error> {
    headwater_store::find(control.store(), name).await?.ok_or_else(|| Error::not_found("user", name))
}

/// All users, ascending by name.
///
/// # Errors
/// [`Error::Store`].
pub async fn list_users(control: &Control) -> Result<Vec<User>, Error> {
    Ok(headwater_store::list(control.store(), Select::default()).await?)
}

/// Deletes a user that has neither policies nor keys.
///
/// # Errors
/// [`Error::Conflict`] if it has; [`Error::NotFound`]; [`Error::Store`].
pub async fn delete_user(control: &Control, name: &str) -> Result<(), Error> {
    let user = user(control, name).await?;
    if !user.inline_policies.is_empty() {
        return Err(Error::conflict("Cannot delete entity, must delete policies first."));
    }
    if !user.managed_policy_arns.is_empty() {
        return Err(Error::conflict("Cannot delete entity, must detach all policies first."));
    }
    if !access_keys(control, name).await?.is_empty() {
        return Err(Error::conflict("Cannot delete entity, must delete access keys first."));
    }
    let mut batch = Batch::new();
    batch.delete::<User>(name);
    control.store().commit(batch).await?;
    Ok(())
}

/// Puts an inline policy on a user, over one of the same name.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Malformed`]; [`Error::QuotaExceeded`]; [`Error::Store`].
pub async fn put_user_policy(
    control: &Control,
    name: &str,
    policy_name: &str,
    document: &Value,
) -> Result<User, Error> {
    check_name(policy_name, "PolicyName", 128)?;
    change(control, name, |user| put_inline(&mut user.inline_policies, policy_name, document)).await
}

/// Removes an inline policy.
///
/// # Errors
/// [`Error::NotFound`] if there is no such user or policy; [`Error::Store`].
pub async fn delete_user_policy(control: &Control, name: &str, policy_name: &str) -> Result<User, Error> {
    change(control, name, |user| match user.inline_policies.remove(policy_name) {
        Some(_) => Ok(()),
        None => Err(Error::not_found("user policy", policy_name)),
    })
    .await
}

/// Attaches a managed policy.
///
/// # Errors
/// [`Error::NotFound`] if there is no such user or policy; [`Error::QuotaExceeded`]; [`Error::Store`].
pub async fn attach_user_policy(control: &Control, name: &str, policy_arn: &str) -> Result<User, Error> {
    managed::check_exists(control, policy_arn).await?;
    change(control, name, |user| attach(&mut user.managed_policy_arns, policy_arn)).await
}

/// Detaches a managed policy.
///
/// # Errors
/// [`Error::NotFound`] if there is no such user or the policy is not attached; [`Error::Store`].
pub async fn detach_user_policy(control: &Control, name: &str, policy_arn: &str) -> Result<User, Error> {
    change(control, name, |user| {
        let count = user.managed_policy_arns.len();
        user.managed_policy_arns.retain(|arn| arn != policy_arn);
        if user.managed_policy_arns.len() == count {
            return Err(Error::not_found("attached policy", policy_arn));
        }
        Ok(())
    })
    .await
}

/// Makes an access key of a user. Its secret is shown this once.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::QuotaExceeded`]; [`Error::Store`].
pub async fn create_access_key(control: &Control, user_name: &str) -> Result<AccessKey, Error> {
    user(control, user_name).await?;
    if access_keys(control, user_name).await?.len() >= KEYS_PER_USER_MAX {
        return Err(Error::QuotaExceeded { quota: "AccessKeysPerUser", limit: KEYS_PER_USER_MAX as u64 });
    }
    control.credentials().issue(Principal::User { user: user_name.into() }).await
}

/// Long-lived keys of a user.
///
/// # Errors
/// [`Error::Store`].
pub async fn access_keys(control: &Control, user_name: &str) -> Result<Vec<AccessKey>, Error> {
    let select = Select { prefix: Some("AKIA".into()), ..Select::default() };
    let mut keys: Vec<AccessKey> = headwater_store::list(control.store(), select).await?;
    keys.retain(|key| matches!(&key.principal, Principal::User { user } if user == user_name));
    Ok(keys)
}

/// Puts an access key of a user in or out of use; requests signed with one out of use are refused from now on.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Store`].
pub async fn set_access_key_status(
    control: &Control,
    user_name: &str,
    access_key_id: &str,
    status: KeyStatus,
) -> Result<(), Error> {
    check_owner(control, user_name, access_key_id).await?;
    let changed = headwater_store::update(control.store(), access_key_id, |key: &mut AccessKey| {
        key.status = status;
        Ok(())
    });
    known(changed.await, "access key", access_key_id).map(|_| ())
}

/// Deletes an access key of a user; requests signed with it are refused from now on.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Store`].
pub async fn delete_access_key(control: &Control, user_name: &str, access_key_id: &str) -> Result<(), Error> {
    check_owner(control, user_name, access_key_id).await?;
    let mut batch = Batch::new();
    batch.delete::<AccessKey>(access_key_id);
    control.store().commit(batch).await?;
    Ok(())
}

async fn check_owner(control: &Control, user_name: &str, access_key_id: &str) -> Result<(), Error> {
    let key = headwater_store::find::<AccessKey>(control.store(), access_key_id).await?;
    let is_own = |key: &AccessKey| matches!(&key.principal, Principal::User { user } if user == user_name);
    // A session's key is not the user's to change.
    if !key.as_ref().is_some_and(|key| is_own(key) && key.session_token.is_none()) {
        return Err(Error::not_found("access key", access_key_id));
    }
    Ok(())
}

async fn change(
    control: &Control,
    name: &str,
    change: impl FnMut(&mut User) -> Result<(), Error>,
) -> Result<User, Error> {
    known(headwater_store::update(control.store(), name, change).await, "user", name)
}
