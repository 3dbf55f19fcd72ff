//! Values that never print and compare in constant time.

use serde::{Deserialize, Serialize};
use std::fmt;
use subtle::ConstantTimeEq;

/// A stream key, a secret access key, a session token.
///
/// `Debug` prints a placeholder, there is no `Display`, and equality takes the same time wherever the first
/// difference is. Serialization writes the value: it exists for the store and for the answers whose purpose is to
/// hand the secret to its owner.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value that must not be printed.
    pub fn new(value: impl Into<String>) -> Self {
        Secret(value.into())
    }

    /// The value itself. Call it only where the value leaves for its owner or enters a keyed function.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Compares with what a peer sent, in constant time for equal lengths.
    pub fn matches(&self, candidate: &str) -> bool {
        self.0.as_bytes().ct_eq(candidate.as_bytes()).into()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.matches(&other.0)
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_the_value() {
        let secret = Secret::new("sk_us-east-1_abcdef");
        assert_eq!(format!("{secret:?}"), "[redacted]");
        assert!(secret.matches("sk_us-east-1_abcdef"));
        assert!(!secret.matches("sk_us-east-1_abcdeg"));
        assert!(!secret.matches("sk"));
    }
}
