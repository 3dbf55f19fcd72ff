//! Shapes of the service model `iam` 2010-05-08, written.

use headwater_control::Error;
use headwater_control::iam::{ManagedPolicy, User};
use headwater_model::iam::{AccessKey, KeyStatus, Principal, Role};
use headwater_model::{Realm, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The only version that a policy has here.
pub(super) const POLICY_VERSION: &str = "v1";

/// Policy documents are percent-encoded in answers (IAM, "GetRole": "URL-encoded compliant with RFC 3986").
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A policy document as it stands in an answer.
pub(super) fn encoded(document: &Value) -> String {
    utf8_percent_encode(&document.to_string(), RESERVED).to_string()
}

pub(super) fn role(role: &Role) -> Value {
    json!({
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.role_id,
        "Arn": role.arn,
        "CreateDate": role.created_at.iso_seconds(),
        "AssumeRolePolicyDocument": encoded(&role.assume_role_policy),
        "Description": role.description,
        "MaxSessionDuration": role.max_session_s,
        "Tags": tags(&role.tags),
    })
}

pub(super) fn user(user: &User) -> Value {
    json!({
        "Path": user.path,
        "UserName": user.name,
        "UserId": user.user_id,
        "Arn": user.arn,
        "CreateDate": user.created_at.iso_seconds(),
    })
}

/// An access key without its secret.
pub(super) fn access_key(key: &AccessKey) -> Value {
    let user = match &key.principal {
        Principal::User { user } => Some(user),
        _ => None,
    };
    let status = match key.status {
        KeyStatus::Active => "Active",
        KeyStatus::Inactive => "Inactive",
    };
    json!({
        "UserName": user,
        "AccessKeyId": key.access_key_id,
        "Status": status,
        "CreateDate": key.created_at.iso_seconds(),
    })
}

/// The owner of the account, who is no user and is told as one.
pub(super) fn root(realm: &Realm) -> Value {
    json!({"Path": "/", "UserName": "root", "UserId": realm.account, "Arn": format!("arn:aws:iam::{}:root", realm.account)})
}

pub(super) fn policy(policy: &ManagedPolicy, attachments: usize) -> Value {
    json!({
        "PolicyName": policy.name,
        "PolicyId": policy.policy_id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": POLICY_VERSION,
        "AttachmentCount": attachments,
        "IsAttachable": true,
        "Description": policy.description,
        "CreateDate": policy.created_at.iso_seconds(),
        "UpdateDate": policy.created_at.iso_seconds(),
    })
}

/// One of AWS' policies.
pub(super) fn aws_policy(arn: &str, now: Timestamp) -> Value {
    json!({
        "PolicyName": policy_name(arn),
        "Arn": arn,
        "DefaultVersionId": POLICY_VERSION,
        "IsAttachable": true,
        "UpdateDate": now.iso_seconds(),
    })
}

pub(super) fn attached(arns: &[String]) -> Vec<Value> {
    arns.iter().map(|arn| json!({"PolicyName": policy_name(arn), "PolicyArn": arn})).collect()
}

pub(super) fn tags(tags: &BTreeMap<String, String>) -> Vec<Value> {
    tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

/// An inline policy as it stands in an answer.
pub(super) fn inline(policies: &BTreeMap<String, Value>, name: &str) -> Result<String, Error> {
    policies.get(name).map(encoded).ok_or_else(|| Error::not_found("policy", name))
}

fn policy_name(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
