//! Properties as providers read them. They have been coerced to the schema before: a text is a text.

use headwater_stacks::{Made, ProviderError};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// An object of properties.
#[derive(Clone, Copy)]
pub struct Given<'a>(pub &'a Value);

impl<'a> Given<'a> {
    /// A value that may be missing.
    pub fn value(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A text that may be missing.
    pub fn text(self, name: &str) -> Option<&'a str> {
        self.value(name)?.as_str()
    }

    /// A text that the schema requires.
    pub fn required(self, name: &str) -> &'a str {
        self.text(name).unwrap_or_default()
    }

    /// A text that may be missing, owned.
    pub fn owned(self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    /// A truth value that may be missing.
    pub fn flag(self, name: &str) -> Option<bool> {
        self.value(name)?.as_bool()
    }

    /// A whole number that may be missing; the schema keeps it in range.
    pub fn number(self, name: &str) -> Option<u32> {
        self.value(name)?.as_u64().and_then(|number| u32::try_from(number).ok())
    }

    /// A list; empty if missing.
    pub fn list(self, name: &str) -> &'a [Value] {
        self.value(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// A list of texts; empty if missing.
    pub fn texts(self, name: &str) -> Vec<String> {
        self.list(name).iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// A structure that may be missing.
    pub fn inner(self, name: &str) -> Option<Given<'a>> {
        self.value(name).map(Given)
    }

    /// Tags in the form `[{Key, Value}]`, over those of the stack.
    pub fn tags(self, stack: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut tags = stack.clone();
        for tag in self.list("Tags") {
            let tag = Given(tag);
            tags.insert(tag.required("Key").to_owned(), tag.required("Value").to_owned());
        }
        tags
    }
}

/// An id of `length` alphanumerics that follows from a token: the same call makes the same id.
pub fn id_of(token: &str, length: usize) -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let digest = Sha256::digest(token.as_bytes());
    digest.iter().take(length).map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect()
}

/// What a provider made, with attributes as texts.
pub fn made(physical_id: impl Into<String>, attributes: &[(&str, String)]) -> Made {
    let attributes: Map<String, Value> =
        attributes.iter().map(|(name, value)| ((*name).to_owned(), Value::String(value.clone()))).collect();
    Made { physical_id: physical_id.into(), attributes }
}

/// An operation's error as the stack's events tell it: with its causes, for an operation's own text does not repeat
/// them.
pub fn failed(error: impl std::error::Error) -> ProviderError {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        message.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    ProviderError::new(message)
}
