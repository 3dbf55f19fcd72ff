//! Managed policies: those that AWS has, as far as their services are here, and the account's own.

use super::{check_name, check_path, fresh};
use crate::{Control, Error};
use headwater_model::iam::Role;
use headwater_model::policy::Policy;
use headwater_model::{Timestamp, id};
use headwater_store::{Batch, Document, Select};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const AWS_PREFIX: &str = "arn:aws:iam::aws:policy/";

/// What AWS' managed policies of the services here grant: the name after the prefix, and the actions, all on every
/// resource. Others may be attached too and grant nothing.
const AWS_POLICIES: &[(&str, &[&str])] = &[
    ("AdministratorAccess", &["*"]),
    ("AmazonEventBridgeFullAccess", &["events:*"]),
    ("AmazonEventBridgeReadOnlyAccess", &["events:Describe*", "events:List*", "events:TestEventPattern"]),
    ("AmazonS3FullAccess", &["s3:*"]),
    ("AmazonS3ReadOnlyAccess", &["s3:Get*", "s3:List*"]),
    ("AWSCloudFormationFullAccess", &["cloudformation:*"]),
    ("AWSCloudFormationReadOnlyAccess", &["cloudformation:Describe*", "cloudformation:Get*", "cloudformation:List*"]),
    ("AWSLambda_FullAccess", &["lambda:*", "logs:*"]),
    ("AWSLambda_ReadOnlyAccess", &["lambda:Get*", "lambda:List*", "logs:Describe*", "logs:Get*", "logs:Filter*"]),
    ("CloudWatchLogsFullAccess", &["logs:*"]),
    ("CloudWatchLogsReadOnlyAccess", &["logs:Describe*", "logs:Get*", "logs:List*", "logs:FilterLogEvents"]),
    ("IAMFullAccess", &["iam:*"]),
    ("IAMReadOnlyAccess", &["iam:Get*", "iam:List*"]),
    ("IVSFullAccess", &["ivs:*"]),
    ("IVSReadOnlyAccess", &["ivs:BatchGet*", "ivs:Get*", "ivs:List*"]),
    ("ReadOnlyAccess", &["*:BatchGet*", "*:Describe*", "*:Get*", "*:List*"]),
    ("service-role/AWSLambdaBasicExecutionRole", &["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]),
    ("service-role/AWSLambdaRole", &["lambda:InvokeFunction"]),
];

/// A managed policy of the account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ManagedPolicy {
    /// Its ARN.
    pub arn: String,
    /// Unique in the account.
    pub name: String,
    /// `ANPA` and 17 uppercase alphanumerics.
    pub policy_id: String,
    /// `/` unless given.
    pub path: String,
    /// Up to 1000 characters.
    #[serde(default)]
    pub description: String,
    /// The only version, `v1`, as given.
    pub document: Value,
    /// When the policy was made.
    pub created_at: Timestamp,
}

impl Document for ManagedPolicy {
    const KIND: &'static str = "managed-policy";
    fn id(&self) -> String {
        self.arn.clone()
    }
}

/// The document of a managed policy; `None` if there is no such policy.
///
/// # Errors
/// [`Error::Store`].
pub async fn document(control: &Control, arn: &str) -> Result<Option<Value>, Error> {
    if let Some(name) = arn.strip_prefix(AWS_PREFIX) {
        return Ok(aws_document(name));
    }
    Ok(headwater_store::find::<ManagedPolicy>(control.store(), arn).await?.map(|policy| policy.document))
}

fn aws_document(name: &str) -> Option<Value> {
    let (_, actions) = AWS_POLICIES.iter().find(|(known, _)| *known == name)?;
    Some(json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}],
    }))
}

/// Whether a managed policy may be attached: AWS' own of any name, or one of the account.
pub(super) async fn check_exists(control: &Control, arn: &str) -> Result<(), Error> {
    if arn.strip_prefix(AWS_PREFIX).is_some_and(|name| !name.is_empty()) {
        return Ok(());
    }
    policy(control, arn).await.map(|_| ())
}

/// Makes a managed policy of the account.
///
/// # Errors
/// [`Error::Exists`]; [`Error::Invalid`]; [`Error::Malformed`]; [`Error::Store`].
pub async fn create_policy(
    control: &Control,
    name: &str,
    path: Option<&str>,
    description: &str,
    document: &Value,
    now: Timestamp,
) -> Result<ManagedPolicy, Error> {
    check_name(name, "PolicyName", 128)?;
    let path = path.unwrap_or("/");
    check_path(path)?;
    Policy::parse(document).map_err(|error| Error::Malformed { what: "policy document", reason: error.to_string() })?;
    let policy = ManagedPolicy {
        arn: format!("arn:aws:iam::{}:policy{path}{name}", control.realm().account),
        name: name.into(),
        policy_id: format!("ANPA{}", id::random_upper_alphanumeric(17)),
        path: path.into(),
        description: description.into(),
        document: document.clone(),
        created_at: now,
    };
    let mut batch = Batch::new();
    batch.insert(&policy)?;
    fresh(control.store().commit(batch).await, "policy", name)?;
    Ok(policy)
}

/// The account's policy with this ARN.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Store`].
pub async fn policy(control: &Control, arn: &str) -> Result<ManagedPolicy, Error> {
    headwater_store::find(control.store(), arn).await?.ok_or_else(|| Error::not_found("policy", arn))
}

/// Changes what a policy of the account says.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Malformed`]; [`Error::Store`].
pub async fn update_document(control: &Control, arn: &str, document: &Value) -> Result<ManagedPolicy, Error> {
    Policy::parse(document).map_err(|error| Error::Malformed { what: "policy document", reason: error.to_string() })?;
    policy(control, arn).await?;
    headwater_store::update(control.store(), arn, |policy: &mut ManagedPolicy| {
        policy.document.clone_from(document);
        Ok(())
    })
    .await
}

/// The account's policies, ascending by ARN.
///
/// # Errors
/// [`Error::Store`].
pub async fn list_policies(control: &Control) -> Result<Vec<ManagedPolicy>, Error> {
    Ok(headwater_store::list(control.store(), Select::default()).await?)
}

/// Deletes a policy of the account that is attached to nothing.
///
/// # Errors
/// [`Error::Conflict`] if it is attached; [`Error::NotFound`]; [`Error::Store`].
pub async fn delete_policy(control: &Control, arn: &str) -> Result<(), Error> {
    policy(control, arn).await?;
    if attachments(control, arn).await? > 0 {
        return Err(Error::conflict("Cannot delete a policy attached to entities."));
    }
    let mut batch = Batch::new();
    batch.delete::<ManagedPolicy>(arn);
    control.store().commit(batch).await?;
    Ok(())
}

/// How many roles and users a policy is attached to.
///
/// # Errors
/// [`Error::Store`].
pub async fn attachments(control: &Control, arn: &str) -> Result<usize, Error> {
    let roles: Vec<Role> = headwater_store::list(control.store(), Select::default()).await?;
    let users = super::users::list_users(control).await?;
    let roles = roles.iter().filter(|role| role.managed_policy_arns.iter().any(|attached| attached == arn));
    let users = users.iter().filter(|user| user.managed_policy_arns.iter().any(|attached| attached == arn));
    Ok(roles.count() + users.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_of_aws_parses() {
        for (name, _) in AWS_POLICIES {
            let document = aws_document(name).expect("it is in the table");
            assert!(Policy::parse(&document).is_ok(), "{name}");
        }
        assert_eq!(aws_document("AmazonEC2FullAccess"), None);
    }
}
