//! Roles, credentials, principals. Source: IAM `iam` 2010-05-08, STS `sts` 2011-06-15.

use crate::policy::Policy;
use crate::{Secret, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A role that a function takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Role {
    /// Unique in the account.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// `AROA` and 17 uppercase alphanumerics.
    pub role_id: String,
    /// `/` unless given.
    pub path: String,
    /// Who may take the role, as given.
    pub assume_role_policy: Value,
    /// Inline policies by name, as given; [`Policy::parse`] reads them.
    #[serde(default)]
    pub inline_policies: BTreeMap<String, Value>,
    /// ARNs of managed policies.
    #[serde(default)]
    pub managed_policy_arns: Vec<String>,
    /// Up to 1000 characters.
    #[serde(default)]
    pub description: String,
    /// Longest session that `AssumeRole` gives, seconds.
    #[serde(default = "session_s_default")]
    pub max_session_s: u32,
    /// Tags, by key.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// When the role was made.
    pub created_at: Timestamp,
}

/// [`ROLE_SESSION_S_DEFAULT`], for records of before there was a choice.
fn session_s_default() -> u32 {
    ROLE_SESSION_S_DEFAULT
}

/// Longest session of a role unless its maker says otherwise, seconds (IAM, `MaxSessionDuration`).
pub const ROLE_SESSION_S_DEFAULT: u32 = 3_600;

impl Role {
    /// The inline policies in evaluated form; one that does not parse grants nothing.
    pub fn policies(&self) -> Vec<Policy> {
        self.inline_policies.values().filter_map(|document| Policy::parse(document).ok()).collect()
    }
}

/// An access key with its secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccessKey {
    /// `AKIA…` for long-lived keys, `ASIA…` for temporary ones.
    pub access_key_id: String,
    /// What signatures are made with.
    pub secret_access_key: Secret,
    /// Temporary keys must be shown with this token.
    pub session_token: Option<Secret>,
    /// Temporary keys end.
    pub expires_at: Option<Timestamp>,
    /// Whose key it is.
    pub principal: Principal,
    /// Whether requests that are signed with it are answered.
    #[serde(default)]
    pub status: KeyStatus,
    /// When it was made.
    #[serde(default)]
    pub created_at: Timestamp,
    /// What its maker said of the session that it is for; long-lived keys have none.
    #[serde(default)]
    pub session: Session,
}

impl AccessKey {
    /// A long-lived key that is in use.
    pub fn new(
        access_key_id: impl Into<String>,
        secret_access_key: Secret,
        principal: Principal,
        created_at: Timestamp,
    ) -> Self {
        AccessKey {
            access_key_id: access_key_id.into(),
            secret_access_key,
            session_token: None,
            expires_at: None,
            principal,
            status: KeyStatus::Active,
            created_at,
            session: Session::default(),
        }
    }
}

/// Whether a key is in use. Source: IAM, `UpdateAccessKey`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyStatus {
    /// Requests that are signed with it are answered.
    #[default]
    Active,
    /// They are refused, as if there were no such key.
    Inactive,
}

/// What narrows and describes the session of a temporary key. Source: STS, `AssumeRole`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Session policies, as given: the session may do what its role may *and* one of these allows. None means that they
    /// do not narrow.
    #[serde(default)]
    pub policies: Vec<Value>,
    /// Session tags, by key: `aws:PrincipalTag/KEY` in conditions.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// `aws:SourceIdentity` in conditions.
    #[serde(default)]
    pub source_identity: Option<String>,
}

impl Session {
    /// The session policies in evaluated form; `None` if there are none. One that does not parse grants nothing.
    pub fn narrowing(&self) -> Option<Vec<Policy>> {
        if self.policies.is_empty() {
            return None;
        }
        Some(self.policies.iter().filter_map(|document| Policy::parse(document).ok()).collect())
    }
}

/// Who makes a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Principal {
    /// The owner of the server: everything is allowed.
    Root,
    /// A user of the account.
    User {
        /// The user's name.
        user: String,
    },
    /// A role taken for a session.
    Role {
        /// The role's name.
        role: String,
        /// The session's name, such as the function's.
        session: String,
    },
    /// A service that acts by itself, such as `events.amazonaws.com`.
    Service(String),
    /// Nobody known.
    Anonymous,
}
