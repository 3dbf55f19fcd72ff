//! Resource policies of functions: who may invoke them.

use super::{Error, amend, check_revision, function, resolve, revision};
use crate::Control;
use headwater_model::function::{Function, Permission};
use serde_json::{Map, Value, json};

/// Longest resource policy, bytes (Lambda quota).
pub const POLICY_BYTES_MAX: usize = 20 * 1024;

/// Adds a statement to a function's policy. Returns the statement as a policy document has it.
///
/// # Errors
/// [`crate::Error::NotFound`]; [`crate::Error::Exists`] if the function has a statement of this id;
/// [`crate::Error::Invalid`]; [`Error::PolicyTooLong`]; [`Error::RevisionChanged`].
pub async fn add_permission(
    control: &Control,
    named: &str,
    permission: Permission,
    revision_wanted: Option<&str>,
) -> Result<Value, Error> {
    check(&permission)?;
    let name = resolve(control, named)?;
    let changed = amend(control, &name, |function| {
        check_revision(function, revision_wanted)?;
        if function.permissions.iter().any(|other| other.statement_id == permission.statement_id) {
            return Err(crate::Error::Exists { kind: "statement", id: permission.statement_id.clone() }.into());
        }
        function.permissions.push(permission.clone());
        function.revision_id = revision();
        if policy(function).is_some_and(|policy| policy.to_string().len() > POLICY_BYTES_MAX) {
            return Err(Error::PolicyTooLong { max: POLICY_BYTES_MAX });
        }
        Ok(())
    })
    .await?;
    Ok(statement(&changed, &permission))
}

/// Removes a statement from a function's policy.
///
/// # Errors
/// [`crate::Error::NotFound`] if there is no such function or statement; [`Error::RevisionChanged`].
pub async fn remove_permission(
    control: &Control,
    named: &str,
    statement_id: &str,
    revision_wanted: Option<&str>,
) -> Result<(), Error> {
    let name = resolve(control, named)?;
    amend(control, &name, |function| {
        check_revision(function, revision_wanted)?;
        let before = function.permissions.len();
        function.permissions.retain(|permission| permission.statement_id != statement_id);
        if function.permissions.len() == before {
            return Err(crate::Error::not_found("statement", statement_id).into());
        }
        function.revision_id = revision();
        Ok(())
    })
    .await?;
    Ok(())
}

/// Whether a function lets a service invoke it on behalf of something, such as `events.amazonaws.com` of a rule.
///
/// # Errors
/// [`crate::Error::NotFound`] if there is no such function; [`crate::Error::Store`].
pub async fn permits(control: &Control, named: &str, service: &str, source_arn: &str) -> Result<bool, Error> {
    let function = function(control, named).await?;
    Ok(function.permits(service, source_arn, &control.realm().account))
}

/// A function's resource policy; `None` if it has no statement.
pub fn policy(function: &Function) -> Option<Value> {
    if function.permissions.is_empty() {
        return None;
    }
    let statements: Vec<Value> =
        function.permissions.iter().map(|permission| statement(function, permission)).collect();
    Some(json!({ "Version": "2012-10-17", "Id": "default", "Statement": statements }))
}

/// One statement as a policy document has it.
fn statement(function: &Function, permission: &Permission) -> Value {
    let principal = match permission.principal.as_str() {
        "*" => json!("*"),
        service if service.contains('.') => json!({ "Service": service }),
        account if is_account(account) => json!({ "AWS": format!("arn:aws:iam::{account}:root") }),
        arn => json!({ "AWS": arn }),
    };
    let mut statement = json!({
        "Sid": permission.statement_id,
        "Effect": "Allow",
        "Principal": principal,
        "Action": permission.action,
        "Resource": function.arn,
    });
    let mut conditions = Map::new();
    if let Some(account) = &permission.source_account {
        conditions.insert("StringEquals".into(), json!({ "AWS:SourceAccount": account }));
    }
    if let Some(arn) = &permission.source_arn {
        conditions.insert("ArnLike".into(), json!({ "AWS:SourceArn": arn }));
    }
    if !conditions.is_empty() {
        statement["Condition"] = Value::Object(conditions);
    }
    statement
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

fn check(permission: &Permission) -> Result<(), Error> {
    let Permission { statement_id, action, principal, source_arn, source_account } = permission;
    let letters = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let operation = action.strip_prefix("lambda:").unwrap_or(if action == "*" { "*" } else { "" });
    let rule = if statement_id.is_empty() || statement_id.len() > 100 || !statement_id.bytes().all(letters) {
        "StatementId must have 1 to 100 letters, digits, - and _"
    } else if operation != "*" && (operation.is_empty() || !operation.bytes().all(|b| b.is_ascii_alphabetic())) {
        "Action must be lambda: and an operation's name, or a star"
    } else if principal.is_empty() || principal.chars().any(char::is_whitespace) {
        "Principal must be a service, an account or an ARN"
    } else if source_arn.as_deref().is_some_and(|arn| arn.split(':').count() < 6 || !arn.starts_with("arn:")) {
        "SourceArn must be an ARN"
    } else if source_account.as_deref().is_some_and(|account| !is_account(account)) {
        "SourceAccount must have 12 digits"
    } else {
        return Ok(());
    };
    Err(crate::Error::invalid(rule).into())
}
