//! Inputs of all operations as the service model `ivs` 2020-07-14 has them, and the check of a request against them.
//!
//! The model is checked here, once for all operations: missing members, types, lengths, patterns, enumerations. Rules
//! between members, and of what exists, stand with the operations. Where the model and the service differ, the service
//! wins: origins may have 256 characters (service quota), and the pattern of `resourceArn` fits no ARN.

mod operations;
mod text;

use crate::{Input, ServiceError};
use serde_json::Value;
use text::Text;

/// What a member takes.
pub(super) enum Shape {
    /// A text.
    Text(Text),
    /// A whole number in this range, both ends included.
    Integer(i64, i64),
    /// `true` or `false`.
    Boolean,
    /// So many of these, both ends included.
    List(usize, usize, &'static Shape),
    /// Texts by name, at most so many.
    Map(usize),
    /// A structure; unknown members are ignored, as AWS does.
    Structure(&'static [Member]),
}

/// One member of a structure.
pub(super) struct Member {
    name: &'static str,
    required: bool,
    shape: Shape,
}

const fn required(name: &'static str, shape: Shape) -> Member {
    Member { name, required: true, shape }
}

const fn optional(name: &'static str, shape: Shape) -> Member {
    Member { name, required: false, shape }
}

/// Checks a request's members against the operation's input.
///
/// # Errors
/// A validation error that names the first member that does not fit; an unknown operation.
pub(super) fn check(operation: &str, input: &Input) -> Result<(), ServiceError> {
    let members = operations::input(operation).ok_or_else(|| ServiceError::unknown_operation(operation))?;
    let object = Value::Object(input.0.clone());
    check_value(&Shape::Structure(members), &object, "")
}

fn refused(path: &str, constraint: &str) -> ServiceError {
    ServiceError::validation(format!("Value at '{path}' failed to satisfy constraint: it must {constraint}."))
}

fn check_value(shape: &Shape, value: &Value, path: &str) -> Result<(), ServiceError> {
    match (shape, value) {
        (Shape::Text(text), Value::String(value)) => text.check(value).map_err(|constraint| refused(path, &constraint)),
        (Shape::Text(_), _) => Err(refused(path, "be a string")),
        (Shape::Integer(min, max), value) => match value.as_i64() {
            Some(number) if (*min..=*max).contains(&number) => Ok(()),
            Some(_) if *max == i64::MAX => Err(refused(path, &format!("be greater than or equal to {min}"))),
            Some(_) => Err(refused(path, &format!("be between {min} and {max}"))),
            None => Err(refused(path, "be an integer")),
        },
        (Shape::Boolean, Value::Bool(_)) => Ok(()),
        (Shape::Boolean, _) => Err(refused(path, "be a boolean")),
        (Shape::List(min, max, member), Value::Array(values)) => {
            if !(*min..=*max).contains(&values.len()) {
                return Err(refused(path, &format!("have between {min} and {max} entries")));
            }
            values
                .iter()
                .enumerate()
                .try_for_each(|(index, value)| check_value(member, value, &format!("{path}.{}", index + 1)))
        }
        (Shape::List(..), _) => Err(refused(path, "be a list")),
        (Shape::Map(max), Value::Object(entries)) => match entries.iter().find(|(_, value)| !value.is_string()) {
            _ if entries.len() > *max => Err(refused(path, &format!("have up to {max} entries"))),
            Some((name, _)) => Err(refused(&format!("{path}.{name}"), "be a string")),
            None => Ok(()),
        },
        (Shape::Map(_), _) => Err(refused(path, "be a map")),
        (Shape::Structure(members), Value::Object(values)) => members.iter().try_for_each(|member| {
            let path = if path.is_empty() { member.name.to_owned() } else { format!("{path}.{}", member.name) };
            match values.get(member.name).filter(|value| !value.is_null()) {
                Some(value) => check_value(&member.shape, value, &path),
                None if member.required => Err(refused(&path, "not be null")),
                None => Ok(()),
            }
        }),
        (Shape::Structure(_), _) => Err(refused(path, "be a structure")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn refusal(operation: &str, input: Value) -> String {
        let Value::Object(members) = input else { panic!("no structure") };
        check(operation, &Input(members)).map_or_else(|error| error.message, |()| String::new())
    }

    #[test]
    fn a_refusal_names_the_member_and_the_constraint() {
        let session = json!({"channelArn": "arn:aws:ivs:us-east-1:1:channel/a", "viewerId": "x".repeat(41)});
        for (operation, input, expected) in [
            ("GetChannel", json!({}), "Value at 'arn' failed to satisfy constraint: it must not be null."),
            ("GetChannel", json!({"arn": null}), "Value at 'arn' failed to satisfy constraint: it must not be null."),
            ("CreateChannel", json!({"type": "FAST"}), "'type'"),
            (
                "CreateChannel",
                json!({"authorized": "true"}),
                "'authorized' failed to satisfy constraint: it must be a boolean",
            ),
            ("CreateChannel", json!({"tags": {"a": 1}}), "'tags.a'"),
            (
                "ListChannels",
                json!({"maxResults": "5"}),
                "'maxResults' failed to satisfy constraint: it must be an integer",
            ),
            ("ListChannels", json!({"maxResults": 1.5}), "it must be an integer"),
            ("ListChannels", json!({"maxResults": 101}), "it must be between 1 and 100"),
            ("BatchStartViewerSessionRevocation", json!({"viewerSessions": [session]}), "'viewerSessions.1.viewerId'"),
            ("BatchGetChannel", json!({"arns": []}), "it must have between 1 and 50 entries"),
        ] {
            let message = refusal(operation, input);
            assert!(message.contains(expected), "{operation}: {message}");
        }
        assert_eq!(refusal("CreateChannel", json!({"unknown": 1})), "");
        assert_eq!(check("NoSuchThing", &Input::default()).unwrap_err().code, "UnknownOperationException");
    }
}
