//! What a target gets: the event, a constant, a part of the event, or a template filled from it.

use crate::path::Path;
use headwater_model::event::{Event, Rule, TargetInput};
use serde_json::Value;
use std::collections::BTreeMap;

/// Longest constant input or template (`events` 2015-10-07, TargetInput and TransformerInput).
pub const INPUT_CHARS_MAX: usize = 8192;
/// Longest path (`events` 2015-10-07, TargetInputPath).
pub const PATH_CHARS_MAX: usize = 256;
/// Paths of a transformer (`events` 2015-10-07, TransformerPaths).
pub const PATHS_MAX: usize = 100;

/// Bytes that a template is filled to: four times the largest event. What would go beyond is left out, as if its path found nothing: a template of
/// 8,192 characters could name a large event three thousand times.
pub const RENDERED_BYTES_MAX: usize = 1024 * 1024;

/// Why an input cannot be made of any event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// A text is longer than it may be.
    #[error("{member} has {chars} characters, at most {chars_max} are allowed")]
    TooLong {
        /// Which text.
        member: &'static str,
        /// How long it is.
        chars: usize,
        /// How long it may be.
        chars_max: usize,
    },
    /// A constant is not JSON.
    #[error("Input is not JSON: {0}")]
    NotJson(String),
    /// A path is none, or of a kind that is not evaluated here.
    #[error("{0:?} is not a path such as $.detail.name or $.resources[0]")]
    Path(String),
    /// A transformer has too many paths.
    #[error("InputPathsMap has {0} paths, at most {PATHS_MAX} are allowed")]
    TooManyPaths(usize),
    /// A path's name is not allowed.
    #[error("{0:?} cannot name a path: letters, digits, - and _ can, but not AWS at the beginning")]
    PathName(String),
    /// The template is empty.
    #[error("InputTemplate is empty")]
    EmptyTemplate,
    /// The template has a placeholder without a path.
    #[error("InputTemplate has <{0}>, which InputPathsMap does not define")]
    UnknownPlaceholder(String),
    /// A placeholder stands where an object's key does.
    #[error("InputTemplate has <{0}> in a key")]
    PlaceholderInKey(String),
}

/// Checks an input when a target is put.
///
/// # Errors
/// [`InputError`] says why no event can be turned into it.
pub fn check(input: &TargetInput) -> Result<(), InputError> {
    match input {
        TargetInput::Event => Ok(()),
        TargetInput::Constant(text) => {
            check_length("Input", text, INPUT_CHARS_MAX)?;
            let parsed: Result<Value, _> = serde_json::from_str(text);
            parsed.map(drop).map_err(|error| InputError::NotJson(error.to_string()))
        }
        TargetInput::Path(text) => parse_path(text).map(drop),
        TargetInput::Transformer { paths, template } => {
            if paths.len() > PATHS_MAX {
                return Err(InputError::TooManyPaths(paths.len()));
            }
            for (name, path) in paths {
                let valid = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
                let reserved = name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("aws"));
                if name.is_empty() || reserved || !name.bytes().all(valid) {
                    return Err(InputError::PathName(name.clone()));
                }
                parse_path(path)?;
            }
            if template.is_empty() {
                return Err(InputError::EmptyTemplate);
            }
            check_length("InputTemplate", template, INPUT_CHARS_MAX)?;
            for piece in pieces(template) {
                let Piece::Placeholder { name, place } = piece else { continue };
                if !paths.contains_key(name) && !PREDEFINED.contains(&name) {
                    return Err(InputError::UnknownPlaceholder(name.into()));
                }
                if place == Place::Key {
                    return Err(InputError::PlaceholderInKey(name.into()));
                }
            }
            Ok(())
        }
    }
}

fn check_length(member: &'static str, text: &str, chars_max: usize) -> Result<(), InputError> {
    let chars = text.chars().count();
    if chars > chars_max { Err(InputError::TooLong { member, chars, chars_max }) } else { Ok(()) }
}

fn parse_path(text: &str) -> Result<Path, InputError> {
    check_length("InputPath", text, PATH_CHARS_MAX)?;
    Path::parse(text).ok_or_else(|| InputError::Path(text.into()))
}

/// What a target gets of an event. What a path does not find is `null`, or nothing inside a template's string. A
/// template whose result is not JSON gives a string. A value in a template's string is escaped, so that the result
/// stays JSON.
pub fn render(input: &TargetInput, rule: &Rule, event: &Event, envelope: Value) -> Value {
    match input {
        TargetInput::Event => envelope,
        TargetInput::Constant(text) => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone())),
        TargetInput::Path(text) => Path::parse(text).and_then(|path| path.find(&envelope)).unwrap_or_default(),
        TargetInput::Transformer { paths, template } => fill(paths, template, rule, event, envelope),
    }
}

const RULE_ARN: &str = "aws.events.rule-arn";
const RULE_NAME: &str = "aws.events.rule-name";
const INGESTION_TIME: &str = "aws.events.event.ingestion-time";
const EVENT_WITHOUT_DETAIL: &str = "aws.events.event";
const EVENT_WHOLE: &str = "aws.events.event.json";
const PREDEFINED: [&str; 5] = [RULE_ARN, RULE_NAME, INGESTION_TIME, EVENT_WITHOUT_DETAIL, EVENT_WHOLE];

fn fill(paths: &BTreeMap<String, String>, template: &str, rule: &Rule, event: &Event, mut envelope: Value) -> Value {
    let mut values: BTreeMap<&str, Value> =
        paths.iter().filter_map(|(name, path)| Some((name.as_str(), Path::parse(path)?.find(&envelope)?))).collect();
    values.insert(RULE_ARN, Value::from(rule.arn.as_str()));
    values.insert(RULE_NAME, Value::from(rule.name.as_str()));
    values.insert(INGESTION_TIME, Value::from(event.time.iso_seconds()));
    values.insert(EVENT_WHOLE, envelope.clone());
    if let Some(envelope) = envelope.as_object_mut() {
        envelope.shift_remove("detail");
    }
    values.insert(EVENT_WITHOUT_DETAIL, envelope);

    let mut written: BTreeMap<(&str, Place), String> = BTreeMap::new();
    let mut text = String::with_capacity(template.len());
    for piece in pieces(template) {
        let (name, place) = match piece {
            Piece::Text(piece) => {
                text.push_str(piece);
                continue;
            }
            Piece::Placeholder { name, place } => (name, place),
        };
        let value = match values.get(name) {
            Some(value) => {
                let write = || if place == Place::Value { value.to_string() } else { string_content(value) };
                Some(written.entry((name, place)).or_insert_with(write).as_str())
            }
            None => None,
        };
        match value.filter(|value| text.len() + value.len() <= RENDERED_BYTES_MAX) {
            Some(value) => text.push_str(value),
            None if place == Place::Value => text.push_str("null"),
            None => {}
        }
    }
    match serde_json::from_str(&text) {
        Ok(value) => value,
        Err(_) => Value::String(text),
    }
}

/// A value as part of a JSON string: a string's text, anything else's JSON, escaped.
fn string_content(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let quoted = Value::String(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Value,
    InString,
    Key,
}

enum Piece<'t> {
    Text(&'t str),
    Placeholder { name: &'t str, place: Place },
}

/// Cuts a template at its `<name>`s. A `<` that begins no name is text.
fn pieces(template: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut text_from = 0;
    let mut in_string = false;
    let mut escaped = false;
    let mut chars = template.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            '<' => {
                let Some(name) = placeholder(&template[at..]) else { continue };
                let after = at + name.len() + 2;
                let place = match in_string {
                    false => Place::Value,
                    true if string_is_key(&template[after..]) => Place::Key,
                    true => Place::InString,
                };
                pieces.push(Piece::Text(&template[text_from..at]));
                pieces.push(Piece::Placeholder { name, place });
                text_from = after;
                chars.by_ref().take_while(|(_, c)| *c != '>').for_each(drop);
            }
            _ => {}
        }
    }
    pieces.push(Piece::Text(&template[text_from..]));
    pieces
}

/// The name between `<` and `>` at the beginning of `text`.
fn placeholder(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix('<')?.split_once('>')?;
    let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (!name.is_empty() && name.bytes().all(valid)).then_some(name)
}

/// Whether the string that goes on with `rest` is followed by a colon.
fn string_is_key(rest: &str) -> bool {
    let mut escaped = false;
    for (at, c) in rest.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return rest[at + 1..].trim_start().starts_with(':'),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step is a failing test")]
    use super::*;
    use headwater_model::Realm;
    use headwater_model::Timestamp;
    use proptest::prelude::*;
    use serde_json::json;

    fn rule() -> Rule {
        serde_json::from_value(json!({"name": "r", "arn": "arn:r", "event_pattern": null})).unwrap()
    }

    fn event() -> Event {
        Event {
            id: "1".into(),
            source: "aws.ivs".into(),
            detail_type: "IVS Stream State Change".into(),
            time: Timestamp(1_795_498_182_123),
            resources: vec!["arn:channel".into()],
            detail: json!({"event_name": "Stream Start", "n": 5, "quote": "say \"hi\"", "o": {"k": "v"}}),
        }
    }

    #[test]
    fn a_template_is_filled_so_far_and_no_further() {
        let detail = json!({"long": "x".repeat(200_000), "short": "s"});
        let event = Event { detail, ..event() };
        let render = |template: &str| {
            let paths = [("l", "$.detail.long"), ("s", "$.detail.short")];
            let paths = paths.map(|(name, path)| (name.to_owned(), path.to_owned())).into();
            let input = TargetInput::Transformer { paths, template: template.into() };
            check(&input).unwrap();
            super::render(&input, &rule(), &event, event.envelope(&Realm::default()))
        };
        let list = render(&format!("[{}<s>]", "<l>,".repeat(2_000)));
        let texts: Vec<usize> = list.as_array().unwrap().iter().filter_map(Value::as_str).map(str::len).collect();
        assert_eq!(texts, [200_000, 200_000, 200_000, 200_000, 200_000, 1]);
        assert_eq!(render(&format!("\"{}<s>\"", "<l>".repeat(2_000))).as_str().map(str::len), Some(1_000_001));
    }

    fn rendered(input: TargetInput) -> Value {
        check(&input).unwrap();
        render(&input, &rule(), &event(), event().envelope(&Realm::default()))
    }

    fn transformed(paths: &[(&str, &str)], template: &str) -> Value {
        let paths = paths.iter().map(|(name, path)| ((*name).into(), (*path).into())).collect();
        rendered(TargetInput::Transformer { paths, template: template.into() })
    }

    #[test]
    fn each_form_gives_its_part() {
        assert_eq!(rendered(TargetInput::Event), event().envelope(&Realm::default()));
        assert_eq!(rendered(TargetInput::Constant(r#"{"a": [1]}"#.into())), json!({"a": [1]}));
        assert_eq!(rendered(TargetInput::Path("$.detail.event_name".into())), json!("Stream Start"));
        assert_eq!(rendered(TargetInput::Path("$.detail.nothing".into())), Value::Null);
    }

    #[test]
    fn a_template_takes_values_and_texts() {
        let paths = [
            ("name", "$.detail.event_name"),
            ("n", "$.detail.n"),
            ("o", "$.detail.o"),
            ("q", "$.detail.quote"),
            ("no", "$.no"),
        ];
        assert_eq!(
            transformed(&paths, r#"{"name": <name>, "n": <n>, "o": <o>}"#),
            json!({"name": "Stream Start", "n": 5, "o": {"k": "v"}})
        );
        assert_eq!(
            transformed(&paths, r#""<name> with <n>, <q>, <o>""#),
            json!(r#"Stream Start with 5, say "hi", {"k":"v"}"#)
        );
        assert_eq!(transformed(&paths, r#"{"a": <no>, "b": "<no>!"}"#), json!({"a": null, "b": "!"}));
        assert_eq!(transformed(&paths, "plain <n> < 6"), json!("plain 5 < 6"));
        assert_eq!(transformed(&paths, r#"{"a\"b": "c\"<n>"}"#), json!({"a\"b": "c\"5"}));
    }

    #[test]
    fn predefined_names_are_there() {
        let template = r#"{"rule": "<aws.events.rule-name>", "arn": <aws.events.rule-arn>, "at": <aws.events.event.ingestion-time>,
                           "whole": <aws.events.event.json>, "head": <aws.events.event>}"#;
        let got = transformed(&[], template);
        let mut head = event().envelope(&Realm::default());
        head.as_object_mut().unwrap().shift_remove("detail");
        assert_eq!(
            got,
            json!({"rule": "r", "arn": "arn:r", "at": "2026-11-24T05:29:42Z",
                   "whole": event().envelope(&Realm::default()), "head": head})
        );
    }

    #[test]
    fn what_cannot_work_is_refused_when_it_is_put() {
        let transformer = |paths: &[(&str, &str)], template: &str| TargetInput::Transformer {
            paths: paths.iter().map(|(name, path)| ((*name).into(), (*path).into())).collect(),
            template: template.into(),
        };
        let told = |input: TargetInput| check(&input).unwrap_err();
        assert!(matches!(told(TargetInput::Constant("{".into())), InputError::NotJson(_)));
        assert!(matches!(told(TargetInput::Constant("1".repeat(8193))), InputError::TooLong { chars: 8193, .. }));
        assert_eq!(told(TargetInput::Path("detail".into())), InputError::Path("detail".into()));
        assert_eq!(told(transformer(&[("aws-x", "$")], "x")), InputError::PathName("aws-x".into()));
        assert_eq!(told(transformer(&[("x", "$")], "")), InputError::EmptyTemplate);
        assert_eq!(told(transformer(&[("x", "$")], "<y>")), InputError::UnknownPlaceholder("y".into()));
        assert_eq!(told(transformer(&[("x", "$")], r#"{"a<x>" : 1}"#)), InputError::PlaceholderInKey("x".into()));
    }

    proptest! {
        #[test]
        fn any_text_can_be_put_into_a_json_string(text in "\\PC*|[\"\\\\<>a]{0,9}") {
            let mut event = event();
            event.detail = json!({"text": text});
            let input = TargetInput::Transformer {
                paths: [("x".to_owned(), "$.detail.text".to_owned())].into(),
                template: r#"{"a": "<x>", "b": <x>}"#.into(),
            };
            prop_assert_eq!(render(&input, &rule(), &event, event.envelope(&Realm::default())), json!({"a": text, "b": text}));
        }

        #[test]
        fn no_template_makes_it_panic(template in "[<>x\"\\\\ :{}é]{0,20}") {
            let input = TargetInput::Transformer { paths: [("x".to_owned(), "$.detail".to_owned())].into(), template };
            let _ = check(&input);
            render(&input, &rule(), &event(), event().envelope(&Realm::default()));
        }
    }
}
