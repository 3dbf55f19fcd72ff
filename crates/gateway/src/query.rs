//! The query protocol's input: form parameters as nested values.
//!
//! `Tags.member.1.Key=a` becomes `{"Tags": [{"Key": "a"}]}`; `Attributes.entry.1.key=a` with `.value=b` becomes
//! `{"Attributes": {"a": "b"}}`. Every leaf is a text.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Parameters of one request. A template is one parameter, and the deepest operations have a few hundred.
const PARAMETERS_MAX: usize = 10_000;
/// Names in one parameter's path; service models nest five deep at most, each level with two names.
const DEPTH_MAX: usize = 16;

/// Why a form cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormError {
    /// More parameters than any operation has.
    #[error("a request may have {PARAMETERS_MAX} parameters")]
    TooMany,
    /// Deeper than any shape.
    #[error("parameter {name} is nested more than {DEPTH_MAX} deep")]
    TooDeep {
        /// The parameter.
        name: String,
    },
    /// Two parameters that contradict each other.
    #[error("parameter {name} is both a value and a structure")]
    Ambiguous {
        /// The parameter.
        name: String,
    },
}

enum Node {
    Leaf(String),
    Branch(BTreeMap<Key, Node>, Vec<Key>),
}

/// Numbers are put in order by value, so that member 10 follows member 9.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Index(u32),
    Name(String),
}

impl Node {
    fn branch() -> Node {
        Node::Branch(BTreeMap::new(), Vec::new())
    }
}

/// Nested members from the parameters of a form; `Action` and `Version` are left out.
///
/// # Errors
/// [`FormError`]: the form is no input of an operation.
pub fn members(pairs: impl Iterator<Item = (String, String)>) -> Result<Map<String, Value>, FormError> {
    let mut root = Node::branch();
    for (count, (name, value)) in pairs.enumerate() {
        if count >= PARAMETERS_MAX {
            return Err(FormError::TooMany);
        }
        if name == "Action" || name == "Version" || name.is_empty() {
            continue;
        }
        insert(&mut root, &name, value)?;
    }
    match into_value(root) {
        Value::Object(members) => Ok(members),
        _ => Ok(Map::new()),
    }
}

fn insert(root: &mut Node, name: &str, value: String) -> Result<(), FormError> {
    let ambiguous = || FormError::Ambiguous { name: name.into() };
    if name.split('.').count() > DEPTH_MAX {
        return Err(FormError::TooDeep { name: name.into() });
    }
    let mut node = root;
    for part in name.split('.') {
        let key = part.parse().map_or_else(|_| Key::Name(part.into()), Key::Index);
        let Node::Branch(children, order) = node else { return Err(ambiguous()) };
        if !children.contains_key(&key) {
            order.push(key.clone());
        }
        node = children.entry(key).or_insert_with(Node::branch);
    }
    match node {
        Node::Branch(children, _) if children.is_empty() => {
            *node = Node::Leaf(value);
            Ok(())
        }
        _ => Err(ambiguous()),
    }
}

fn into_value(node: Node) -> Value {
    let (mut children, order) = match node {
        Node::Leaf(text) => return Value::String(text),
        Node::Branch(children, order) => (children, order),
    };
    if children.len() == 1 {
        for (wrapper, is_map) in [("member", false), ("entry", true)] {
            if let Some(Node::Branch(..)) = children.get(&Key::Name(wrapper.into())) {
                let Some(Node::Branch(items, _)) = children.remove(&Key::Name(wrapper.into())) else { continue };
                let items = items.into_values().map(into_value);
                return if is_map { entries(items) } else { Value::Array(items.collect()) };
            }
        }
    }
    if !children.is_empty() && children.keys().all(|key| matches!(key, Key::Index(_))) {
        return Value::Array(children.into_values().map(into_value).collect());
    }
    let mut members = Map::new();
    for key in order {
        let Some(child) = children.remove(&key) else { continue };
        let name = match key {
            Key::Index(index) => index.to_string(),
            Key::Name(name) => name,
        };
        members.insert(name, into_value(child));
    }
    Value::Object(members)
}

fn entries(items: impl Iterator<Item = Value>) -> Value {
    let mut map = Map::new();
    for item in items {
        if let Value::Object(mut entry) = item
            && let Some(Value::String(key)) = entry.remove("key")
        {
            map.insert(key, entry.remove("value").unwrap_or(Value::String(String::new())));
        }
    }
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(form: &str) -> Result<Value, FormError> {
        members(form_urlencoded::parse(form.as_bytes()).into_owned()).map(Value::Object)
    }

    #[test]
    fn lists_structures_and_maps_nest() {
        let form = "Action=CreateStack&Version=2010-05-15&StackName=s&Tags.member.2.Key=b&Tags.member.1.Key=a\
                    &Tags.member.1.Value=1&Capabilities.member.1=CAPABILITY_IAM&Attributes.entry.1.key=x\
                    &Attributes.entry.1.value=y&Outer.Inner.Leaf=z&Empty=";
        assert_eq!(
            parse(form).expect("a good form"),
            json!({
                "StackName": "s",
                "Tags": [{"Key": "a", "Value": "1"}, {"Key": "b"}],
                "Capabilities": ["CAPABILITY_IAM"],
                "Attributes": {"x": "y"},
                "Outer": {"Inner": {"Leaf": "z"}},
                "Empty": "",
            })
        );
    }

    #[test]
    fn members_are_in_order_of_their_number() {
        let form: Vec<String> = (1..=12).rev().map(|n| format!("L.member.{n}=v{n}")).collect();
        let list: Vec<String> = (1..=12).map(|n| format!("v{n}")).collect();
        assert_eq!(parse(&form.join("&")).expect("a good form"), json!({ "L": list }));
    }

    #[test]
    fn a_name_that_is_value_and_structure_is_refused() {
        assert_eq!(parse("A=1&A.B=2"), Err(FormError::Ambiguous { name: "A.B".into() }));
        assert_eq!(parse("A.B=2&A=1"), Err(FormError::Ambiguous { name: "A".into() }));
        assert!(matches!(parse(&format!("{}x=1", "a.".repeat(20))), Err(FormError::TooDeep { .. })));
    }
}
