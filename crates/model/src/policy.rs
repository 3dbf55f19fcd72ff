//! Policy documents and their evaluation.

use serde_json::Value;

/// A parsed policy document.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {}

/// Why a document is not a policy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The document is not an object with a `Statement`.
    #[error("policy document: {0}")]
    Malformed(String),
}

impl Policy {
    /// Reads a policy document.
    pub fn parse(_document: &Value) -> Result<Policy, PolicyError> {
        Ok(Policy {})
    }
}
