//! A template's text as values with places, before it means anything.

use super::problem::Position;
use serde_json::Value;

/// A value and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where.
    pub at: Position,
    /// What.
    pub data: Data,
}

/// A name in an object and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// Where.
    pub at: Position,
    /// The name.
    pub name: String,
}

/// A value. Numbers keep the text that they were written with: `007` and `1.10` must come out as they went in.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Flag(bool),
    /// A number's text.
    Number(String),
    /// Text.
    Text(String),
    /// Values in order.
    List(Vec<Node>),
    /// Values by name, in order.
    Map(Vec<(Key, Node)>),
}

impl Node {
    /// In words, for messages.
    pub fn found(&self) -> String {
        match &self.data {
            Data::Null => "nothing".into(),
            Data::Flag(flag) => flag.to_string(),
            Data::Number(text) => format!("the number {text}"),
            Data::Text(text) => shown(text),
            Data::List(_) => "a list".into(),
            Data::Map(_) => "an object".into(),
        }
    }

    /// The value of a name in an object.
    pub fn member(&self, name: &str) -> Option<&Node> {
        match &self.data {
            Data::Map(members) => members.iter().find(|(key, _)| key.name == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// A scalar's text: `true`, `42`, `abc`.
    pub fn scalar(&self) -> Option<String> {
        match &self.data {
            Data::Flag(flag) => Some(flag.to_string()),
            Data::Number(text) | Data::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    /// As JSON, without places.
    pub fn to_json(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Flag(flag) => Value::Bool(*flag),
            Data::Number(text) => number(text),
            Data::Text(text) => Value::String(text.clone()),
            Data::List(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            Data::Map(members) => {
                Value::Object(members.iter().map(|(key, value)| (key.name.clone(), value.to_json())).collect())
            }
        }
    }
}

/// Text in quotes, cut if it is long.
pub fn shown(text: &str) -> String {
    /// Longer texts make messages unreadable.
    const SHOWN_MAX: usize = 60;
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// A number as JSON if JSON gives the same text back, else its text.
pub fn number(text: &str) -> Value {
    match serde_json::from_str::<serde_json::Number>(text) {
        Ok(number) if number.to_string() == text => Value::Number(number),
        _ => Value::String(text.to_owned()),
    }
}
