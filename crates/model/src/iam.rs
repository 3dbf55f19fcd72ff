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
    /// Tags, by key.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// When the role was made.
    pub created_at: Timestamp,
}

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
