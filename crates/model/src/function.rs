//! Functions and their permissions. Source: Lambda `lambda` 2015-03-31.

use crate::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
