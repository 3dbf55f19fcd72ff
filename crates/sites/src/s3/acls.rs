//! Access-control lists as a bucket has them whose owner owns all objects: the owner has full control, and nobody else is listed.
//!
//! Source: S3 user guide, "Controlling ownership of objects and disabling ACLs for your bucket". S3 answers a list that names others with
//! `AccessControlListNotSupported`; here it is `NotImplemented`, with the way that there is.

use s3s::dto::{AccessControlPolicy, Grant, Grantee, Grants, Owner, Permission, Type};
use s3s::{S3Result, s3_error};

/// The owner, and what the list grants.
pub(super) fn of(account: &str) -> (Owner, Grants) {
    let grantee = Grantee {
        display_name: None,
        email_address: None,
        id: Some(account.to_owned()),
        type_: Type::from_static(Type::CANONICAL_USER),
        uri: None,
    };
    let grant = Grant { grantee: Some(grantee), permission: Some(Permission::from_static(Permission::FULL_CONTROL)) };
    (Owner { id: Some(account.to_owned()), display_name: None }, vec![grant])
}

/// # Errors
/// `NotImplemented` for a list that is not the one that there is.
pub(super) fn only_the_owners(account: &str, asked: Option<&AccessControlPolicy>) -> S3Result<()> {
    let grants = asked.and_then(|policy| policy.grants.as_deref()).unwrap_or_default();
    let others = grants.iter().any(|grant| {
        let to = grant.grantee.as_ref().and_then(|grantee| grantee.id.as_deref());
        to != Some(account) || grant.permission.as_ref().map(Permission::as_str) != Some(Permission::FULL_CONTROL)
    });
    if others {
        return Err(s3_error!(
            NotImplemented,
            "The list grants something else than full control to the bucket's owner, which is not implemented: use a \
             bucket policy to let others in."
        ));
    }
    Ok(())
}
