//! Roles, users, access keys and policies; what a principal may do.

use crate::{Control, Error};
use headwater_model::iam::{Principal, Role};
use headwater_model::policy::{self, Context, Policy};
use headwater_model::{Realm, Timestamp};

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
    let context = Context::new().at(now);
    let account = &control.realm().account;
    Ok(policy::evaluate(&policies, &policy::Request { principal, account, action, resource, context: &context })
        .is_allowed())
}

/// The policies attached to a principal, in evaluated form. A role that is gone has none.
///
/// # Errors
/// [`Error::Store`].
pub async fn policies_of(control: &Control, principal: &Principal) -> Result<Vec<Policy>, Error> {
    match principal {
        Principal::Role { role, .. } => {
            let role = headwater_store::find::<Role>(control.store(), role).await?;
            Ok(role.map(|role| role.policies()).unwrap_or_default())
        }
        _ => Ok(Vec::new()),
    }
}

/// The ARN that names a principal in messages and in `GetCallerIdentity`.
pub fn principal_arn(realm: &Realm, principal: &Principal) -> String {
    match principal {
        Principal::Role { role, session } => format!("arn:aws:sts::{}:assumed-role/{role}/{session}", realm.account),
        Principal::Service(name) => name.clone(),
        Principal::Anonymous => "anonymous".into(),
        Principal::Root => format!("arn:aws:iam::{}:root", realm.account),
    }
}
