//! Parameters of Parameter Store (Systems Manager, `ssm` 2014-11-06): small texts by name.

use crate::{Secret, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Characters of a name.
const NAME_LENGTH_MAX: usize = 1_011;
/// Levels of a name, divided by slashes.
const NAME_LEVELS_MAX: usize = 15;

/// What a parameter holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Any text.
    String,
    /// Texts with commas between them.
    StringList,
}

impl Kind {
    /// As the wire names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::String => "String",
            Kind::StringList => "StringList",
        }
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Kind> {
        [Kind::String, Kind::StringList].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Unique, such as `/app/colour`.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// At most [`Parameter::VALUE_BYTES_MAX`] bytes.
    pub value: Secret,
    /// 1 at first, one more with each value.
    pub version: u64,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Tags, by key.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// When it got its value.
    pub modified_at: Timestamp,
}

impl Parameter {
    /// Bytes of a value (standard tier).
    pub const VALUE_BYTES_MAX: usize = 4_096;
    /// Parameters in an account (standard tier).
    pub const COUNT_MAX: u64 = 10_000;

    /// Whether a text may be a name: letters, digits, `.`, `_`, `-` and slashes, the first of which stands in front if
    /// there are any.
    pub fn is_valid_name(name: &str) -> bool {
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/');
        let levels = name.strip_prefix('/').unwrap_or(name);
        !levels.is_empty()
            && name.len() <= NAME_LENGTH_MAX
            && name.bytes().all(is_good)
            && levels.split('/').all(|level| !level.is_empty())
            && levels.split('/').count() <= NAME_LEVELS_MAX
            && (name.starts_with('/') || !name.contains('/'))
    }

    /// What stands behind `parameter` in its ARN: names without a slash in front get one.
    pub fn arn_resource(name: &str) -> String {
        format!("parameter/{}", name.strip_prefix('/').unwrap_or(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_levels_of_letters_digits_and_a_few_signs() {
        for good in ["a", "A.b_c-1", "/a", "/cdk-bootstrap/hnb659fds/version", &"/a".repeat(15)] {
            assert!(Parameter::is_valid_name(good), "{good}");
        }
        for bad in ["", "/", "a/b", "//a", "/a/", "a b", "/ä", &"/a".repeat(16), &"a".repeat(1_012)] {
            assert!(!Parameter::is_valid_name(bad), "{bad}");
        }
    }

    #[test]
    fn an_arn_has_one_slash_before_the_name() {
        assert_eq!(Parameter::arn_resource("/a/b"), "parameter/a/b");
        assert_eq!(Parameter::arn_resource("a"), "parameter/a");
    }
}
