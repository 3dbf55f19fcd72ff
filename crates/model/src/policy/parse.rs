//! From JSON to a policy, strictly: what is not understood is refused with its path.

use super::condition::Condition;
use super::{Effect, Pattern, Policy, PrincipalPattern, Principals, Selector, Statement};
use serde_json::{Map, Value};

/// Why a document is not a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("policy document at {path}: expected {expected}")]
pub struct PolicyError {
    /// Where, such as `Statement[1].Effect`; `$` is the document itself.
    pub path: String,
    /// What should stand there.
    pub expected: String,
}

/// What a document is attached to decides what its statements name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Identity,
    Resource,
    Trust,
}

fn wrong<T>(path: impl Into<String>, expected: impl Into<String>) -> Result<T, PolicyError> {
    Err(PolicyError { path: path.into(), expected: expected.into() })
}

pub(super) fn document(document: &Value, kind: Kind) -> Result<Policy, PolicyError> {
    let Some(fields) = document.as_object() else {
        return wrong("$", "an object with Statement");
    };
    for (name, value) in fields {
        match name.as_str() {
            "Version" if matches!(value.as_str(), Some("2012-10-17" | "2008-10-17")) => {}
            "Version" => return wrong("Version", "2012-10-17 or 2008-10-17"),
            "Id" | "Statement" => {}
            other => return wrong(other, "only Version, Id and Statement"),
        }
    }
    let statements = match fields.get("Statement") {
        Some(Value::Array(list)) => list
            .iter()
            .enumerate()
            .map(|(index, value)| statement(value, &format!("Statement[{index}]"), kind))
            .collect::<Result<_, _>>()?,
        Some(single @ Value::Object(_)) => vec![statement(single, "Statement", kind)?],
        _ => return wrong("Statement", "a statement or a list of statements"),
    };
    Ok(Policy { statements })
}

fn statement(value: &Value, path: &str, kind: Kind) -> Result<Statement, PolicyError> {
    let Some(fields) = value.as_object() else {
        return wrong(path, "an object");
    };
    const KNOWN: [&str; 9] =
        ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];
    if let Some(unknown) = fields.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        return wrong(format!("{path}.{unknown}"), format!("one of {}", KNOWN.join(", ")));
    }
    let effect = match fields.get("Effect").and_then(Value::as_str) {
        Some("Allow") => Effect::Allow,
        Some("Deny") => Effect::Deny,
        _ => return wrong(format!("{path}.Effect"), "Allow or Deny"),
    };
    let actions = selector(fields, path, "Action", |text| {
        let well_formed = text == "*"
            || text.split_once(':').is_some_and(|(service, name)| {
                !service.is_empty() && !name.is_empty() && !text.contains(char::is_whitespace)
            });
        if well_formed { Ok(Pattern::new(&text.to_ascii_lowercase())) } else { Err("SERVICE:Operation or *") }
    })?;
    let Some(actions) = actions else {
        return wrong(format!("{path}.Action"), "Action or NotAction");
    };
    let resources = selector(fields, path, "Resource", |text| {
        let well_formed = text == "*" || text.starts_with("arn:");
        if well_formed { Ok(Pattern::new(text)) } else { Err("an ARN or *") }
    })?;
    let resources = match (resources, kind) {
        (Some(resources), Kind::Identity | Kind::Resource) => resources,
        (None, Kind::Trust) => Selector::Everything,
        (Some(_), Kind::Trust) => {
            return wrong(format!("{path}.Resource"), "no resource in a trust policy");
        }
        (None, _) => return wrong(format!("{path}.Resource"), "Resource or NotResource"),
    };
    let principals = match (principals(fields, path)?, kind) {
        (None, Kind::Identity) => Principals::Attached,
        (Some(principals), Kind::Resource | Kind::Trust) => principals,
        (Some(_), Kind::Identity) => {
            return wrong(format!("{path}.Principal"), "no principal in a policy of an identity");
        }
        (None, _) => return wrong(format!("{path}.Principal"), "Principal or NotPrincipal"),
    };
    if matches!((&principals, effect), (Principals::AllBut(_), Effect::Allow)) {
        // It would grant to everybody unknown.
        return wrong(format!("{path}.NotPrincipal"), "Principal in a statement that allows");
    }
    let conditions = conditions(fields.get("Condition"), path)?;
    Ok(Statement { effect, principals, actions, resources, conditions })
}

/// One of two members that exclude each other, a text or a list of texts.
fn selector(
    fields: &Map<String, Value>,
    path: &str,
    name: &str,
    read: impl Fn(&str) -> Result<Pattern, &'static str>,
) -> Result<Option<Selector>, PolicyError> {
    let patterns = |name: &str| -> Result<Option<Vec<Pattern>>, PolicyError> {
        let Some(value) = fields.get(name) else {
            return Ok(None);
        };
        let path = format!("{path}.{name}");
        let mut patterns = Vec::new();
        for (path, text) in texts(value, &path)? {
            match read(text) {
                Ok(pattern) => patterns.push(pattern),
                Err(expected) => return wrong(path, expected),
            }
        }
        Ok(Some(patterns))
    };
    let inverse = format!("Not{name}");
    match (patterns(name)?, patterns(&inverse)?) {
        (Some(_), Some(_)) => wrong(format!("{path}.{inverse}"), format!("{name} or {inverse}, not both")),
        (Some(only), None) => Ok(Some(Selector::Only(only))),
        (None, Some(but)) => Ok(Some(Selector::AllBut(but))),
        (None, None) => Ok(None),
    }
}

fn texts<'v>(value: &'v Value, path: &str) -> Result<Vec<(String, &'v str)>, PolicyError> {
    match value {
        Value::String(text) => Ok(vec![(path.to_owned(), text)]),
        Value::Array(list) if !list.is_empty() => list
            .iter()
            .enumerate()
            .map(|(index, value)| {
                let path = format!("{path}[{index}]");
                match value.as_str() {
                    Some(text) => Ok((path, text)),
                    None => wrong(path, "a text"),
                }
            })
            .collect(),
        _ => wrong(path, "a text or a list of texts"),
    }
}

fn principals(fields: &Map<String, Value>, path: &str) -> Result<Option<Principals>, PolicyError> {
    let read = |name: &str| -> Result<Option<Vec<PrincipalPattern>>, PolicyError> {
        let Some(value) = fields.get(name) else {
            return Ok(None);
        };
        let path = format!("{path}.{name}");
        match value {
            Value::String(text) if text == "*" => Ok(Some(vec![PrincipalPattern::Everybody])),
            Value::Object(kinds) if !kinds.is_empty() => {
                let mut patterns = Vec::new();
                for (kind, value) in kinds {
                    let path = format!("{path}.{kind}");
                    for (path, text) in texts(value, &path)? {
                        patterns.push(match kind.as_str() {
                            "AWS" if text == "*" => PrincipalPattern::Everybody,
                            // A star inside a principal is no wildcard in IAM; it would look like one.
                            _ if text.contains('*') => {
                                return wrong(path, "a whole principal, or * alone");
                            }
                            "AWS" => PrincipalPattern::Aws(text.to_owned()),
                            "Service" => PrincipalPattern::Service(text.to_owned()),
                            _ => return wrong(path, "AWS or Service"),
                        });
                    }
                }
                Ok(Some(patterns))
            }
            _ => wrong(path, "* or an object with AWS or Service"),
        }
    };
    match (read("Principal")?, read("NotPrincipal")?) {
        (Some(_), Some(_)) => wrong(format!("{path}.NotPrincipal"), "Principal or NotPrincipal, not both"),
        (Some(only), None) => Ok(Some(Principals::Only(only))),
        (None, Some(but)) => Ok(Some(Principals::AllBut(but))),
        (None, None) => Ok(None),
    }
}

fn conditions(value: Option<&Value>, path: &str) -> Result<Vec<Condition>, PolicyError> {
    let path = format!("{path}.Condition");
    let Some(value) = value else {
        return Ok(Vec::new());
    };
    let Some(operators) = value.as_object() else {
        return wrong(path, "an object by operator");
    };
    let mut conditions = Vec::new();
    for (operator, keys) in operators {
        let path = format!("{path}.{operator}");
        let Some(keys) = keys.as_object() else {
            return wrong(path, "an object by condition key");
        };
        for (key, values) in keys {
            let path = format!("{path}.{key}");
            let values = match values {
                Value::Array(list) => list.iter().map(scalar).collect::<Option<Vec<_>>>(),
                single => scalar(single).map(|value| vec![value]),
            };
            let Some(values) = values else {
                return wrong(path, "a text, number or boolean, or a list of them");
            };
            conditions.push(Condition::new(operator, key, values));
        }
    }
    Ok(conditions)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}
