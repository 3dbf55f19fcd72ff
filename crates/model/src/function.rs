//! Functions and their permissions. Source: Lambda `lambda` 2015-03-31.

use crate::policy::Pattern;
use crate::{Realm, Timestamp, id};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Seconds that a function may run unless it says otherwise.
pub const TIMEOUT_S_DEFAULT: u32 = 3;
/// Megabytes that a function may use unless it says otherwise.
pub const MEMORY_MB_DEFAULT: u32 = 128;
/// The version of a function's code that changes with updates; the only one that there is.
pub const LATEST: &str = "$LATEST";

/// A function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Function {
    /// `[a-zA-Z0-9-_]+`, up to 64 characters.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// `python3.8`, `nodejs20.x`, `provided.al2023`, ….
    pub runtime: String,
    /// `FILE.FUNCTION`.
    pub handler: String,
    /// ARN of the role whose credentials it gets.
    pub role_arn: String,
    /// Seconds until it is killed, 1–900.
    pub timeout_s: u32,
    /// Megabytes until it is killed, 128–10240.
    pub memory_mb: u32,
    /// Up to 256 characters.
    #[serde(default)]
    pub description: String,
    /// Environment of its process.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Lowercase hex SHA-256 of the deployed package; names the folder that its files lie in.
    pub code_sha256: String,
    /// Bytes of the deployed package.
    pub code_bytes: u64,
    /// Name of the log stream of all its processes, from [`log_stream_name`]. It stays for the life of the function:
    /// `cfnresponse` takes it as the physical id of a custom resource, and a new one would mean a replacement.
    #[serde(default)]
    pub log_stream: String,
    /// Changes with each update.
    pub revision_id: String,
    /// When code or configuration last changed.
    pub last_modified: Timestamp,
    /// Resource policy: who may invoke it.
    #[serde(default)]
    pub permissions: Vec<Permission>,
    /// Tags, by key.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Tries after the first for an asynchronous invocation, 0–2.
    pub retry_attempts_max: Option<u32>,
    /// Oldest asynchronous invocation that is still tried, 60–21600 s.
    pub event_age_s_max: Option<u32>,
}

/// One statement of a function's resource policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Permission {
    /// Unique in the function.
    pub statement_id: String,
    /// Such as `lambda:InvokeFunction`.
    pub action: String,
    /// A service such as `events.amazonaws.com`, or an account.
    pub principal: String,
    /// Only for requests on behalf of this ARN.
    pub source_arn: Option<String>,
    /// Only for requests on behalf of this account.
    pub source_account: Option<String>,
}

impl Function {
    /// `/aws/lambda/NAME`.
    pub fn log_group(&self) -> String {
        log_group_name(&self.name)
    }

    /// Whether its resource policy lets a service such as `events.amazonaws.com` invoke it on behalf of `source_arn`.
    pub fn permits(&self, service: &str, source_arn: &str, source_account: &str) -> bool {
        self.permissions.iter().any(|permission| permission.covers(service, source_arn, source_account))
    }
}

impl Permission {
    /// Whether this statement lets a service invoke the function on behalf of `source_arn`.
    pub fn covers(&self, service: &str, source_arn: &str, source_account: &str) -> bool {
        let action = matches!(self.action.as_str(), "lambda:InvokeFunction" | "lambda:*" | "*");
        let principal = self.principal == service || self.principal == "*";
        let arn = self.source_arn.as_deref().is_none_or(|pattern| Pattern::new(pattern).matches(source_arn));
        let account = self.source_account.as_deref().is_none_or(|account| account == source_account);
        action && principal && arn && account
    }
}

/// `/aws/lambda/NAME`.
pub fn log_group_name(function: &str) -> String {
    format!("/aws/lambda/{function}")
}

/// A fresh log stream name: `yyyy/mm/dd/[$LATEST]` and 32 hex digits.
pub fn log_stream_name(now: Timestamp) -> String {
    let date = now.to_datetime().date();
    format!("{:04}/{:02}/{:02}/[{LATEST}]{}", date.year(), u8::from(date.month()), date.day(), id::random_hex(32))
}

/// What a `FunctionName` member says: a name, an ARN, or the part `ACCOUNT:function:NAME`, each with or without a
/// version or alias after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionRef {
    /// The function's name.
    pub name: String,
    /// `$LATEST`, a version or an alias, if one was named.
    pub qualifier: Option<String>,
}

/// A text that names no function of this server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FunctionRefError {
    /// Neither name nor ARN nor partial ARN.
    #[error("{0:?} is neither the name nor the ARN of a function")]
    Malformed(String),
    /// An ARN of another Region or account.
    #[error("{0:?} is in another region or account")]
    Elsewhere(String),
}

impl FunctionRef {
    /// Reads a name, an ARN or a partial ARN.
    ///
    /// # Errors
    /// [`FunctionRefError::Malformed`]; [`FunctionRefError::Elsewhere`].
    pub fn parse(text: &str, realm: &Realm) -> Result<FunctionRef, FunctionRefError> {
        let malformed = || FunctionRefError::Malformed(text.chars().take(170).collect());
        let elsewhere = || FunctionRefError::Elsewhere(text.chars().take(170).collect());
        let parts: Vec<&str> = text.split(':').collect();
        let rest = match parts.as_slice() {
            ["arn", _partition, "lambda", region, account, "function", rest @ ..] => {
                if *region != realm.region || *account != realm.account {
                    return Err(elsewhere());
                }
                rest
            }
            [account, "function", rest @ ..] if account.len() == 12 => {
                if *account != realm.account {
                    return Err(elsewhere());
                }
                rest
            }
            ["function", rest @ ..] => rest,
            rest => rest,
        };
        let (name, qualifier) = match rest {
            [name] => (*name, None),
            [name, qualifier] if is_qualifier(qualifier) => (*name, Some((*qualifier).to_owned())),
            _ => return Err(malformed()),
        };
        if !is_function_name(name) {
            return Err(malformed());
        }
        Ok(FunctionRef { name: name.to_owned(), qualifier })
    }
}

/// Whether a text may name a function: 1–64 of `[a-zA-Z0-9-_]`.
pub fn is_function_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn is_qualifier(text: &str) -> bool {
    let rest = text.strip_prefix('$').unwrap_or(text);
    (1..=128).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, qualifier: Option<&str>) -> Result<FunctionRef, FunctionRefError> {
        Ok(FunctionRef { name: name.into(), qualifier: qualifier.map(str::to_owned) })
    }

    #[test]
    fn a_function_is_named_in_many_ways() {
        let realm = Realm::default();
        let parse = |text: &str| FunctionRef::parse(text, &realm);
        assert_eq!(parse("put-cue"), named("put-cue", None));
        assert_eq!(parse("put-cue:$LATEST"), named("put-cue", Some("$LATEST")));
        assert_eq!(parse("000000000000:function:put-cue"), named("put-cue", None));
        assert_eq!(parse("function:put-cue"), named("put-cue", None));
        assert_eq!(parse(&realm.function_arn("put-cue")), named("put-cue", None));
        assert_eq!(parse(&realm.function_arn("put-cue:live")), named("put-cue", Some("live")));
        for wrong in ["", "a b", "a:b:c", "../x", "arn:aws:s3:::bucket", "a:$", "x\u{e9}"] {
            assert!(matches!(parse(wrong), Err(FunctionRefError::Malformed(_))), "{wrong}");
        }
        for foreign in ["111111111111:function:f", "arn:aws:lambda:eu-west-1:000000000000:function:f"] {
            assert!(matches!(parse(foreign), Err(FunctionRefError::Elsewhere(_))), "{foreign}");
        }
    }

    #[test]
    fn a_permission_covers_its_service_source_and_account_only() {
        let rule = Realm::default().rule_arn("state");
        let mut permission = Permission {
            statement_id: "s".into(),
            action: "lambda:InvokeFunction".into(),
            principal: "events.amazonaws.com".into(),
            source_arn: None,
            source_account: None,
        };
        assert!(permission.covers("events.amazonaws.com", &rule, "000000000000"));
        assert!(!permission.covers("s3.amazonaws.com", &rule, "000000000000"));
        permission.source_arn = Some(Realm::default().rule_arn("st*"));
        assert!(permission.covers("events.amazonaws.com", &rule, "000000000000"));
        permission.source_arn = Some(Realm::default().rule_arn("other"));
        assert!(!permission.covers("events.amazonaws.com", &rule, "000000000000"));
        permission.source_arn = None;
        permission.source_account = Some("111111111111".into());
        assert!(!permission.covers("events.amazonaws.com", &rule, "000000000000"));
        permission.source_account = None;
        permission.action = "lambda:GetFunction".into();
        assert!(!permission.covers("events.amazonaws.com", &rule, "000000000000"));
    }

    #[test]
    fn log_stream_names_have_lambdas_shape() {
        let name = log_stream_name(Timestamp(1_795_498_182_123));
        let (date, unique) = name.split_once("[$LATEST]").expect("version in brackets");
        assert_eq!(date, "2026/11/24/");
        assert!(unique.len() == 32 && unique.bytes().all(|b| b.is_ascii_hexdigit()));
    }
}
