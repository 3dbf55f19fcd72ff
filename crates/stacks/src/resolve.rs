//! Values of intrinsic functions, as far as they are known.

use crate::graph::Graph;
use crate::template::limits::{STEP_BYTES, WORK_BYTES_MAX};
use crate::template::tree::number;
use crate::template::{Condition, Expr, Fault, Form, Piece, Position, Template};
use headwater_model::Realm;
use serde_json::{Map, Value};
use std::cell::Cell;
use std::collections::BTreeMap;

/// Names that every template may `Ref`.
pub const PSEUDO_PARAMETERS: [&str; 8] = [
    "AWS::AccountId",
    "AWS::NoValue",
    "AWS::NotificationARNs",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
];

/// What came of an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// This value.
    Value(Value),
    /// `AWS::NoValue`: whatever held it is left out.
    Nothing,
    /// It depends on a resource that is not there yet.
    Unknown,
}

/// What is known of a resource.
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup {
    /// This value.
    Known(Value),
    /// The resource is not there yet.
    Later,
    /// The resource is there and has no such attribute.
    NoAttribute,
    /// The resource's condition does not hold.
    Absent,
}

/// What is known of the stack's resources.
pub trait Resources {
    /// What `Ref` gives.
    fn reference(&self, logical_id: &str) -> Lookup;
    /// What `Fn::GetAtt` gives.
    fn attribute(&self, logical_id: &str, attribute: &str) -> Lookup;
}

/// What pseudo parameters and Parameter Store tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// Region and account.
    pub realm: Realm,
    /// ARN of the stack.
    pub stack_id: String,
    /// Name of the stack.
    pub stack_name: String,
    /// As given at create.
    pub notification_arns: Vec<String>,
    /// Values in Parameter Store by name, if the template asks for any.
    pub stored: BTreeMap<String, String>,
}

/// Everything that values are worked out from.
pub struct Scope<'a> {
    /// The template.
    pub template: &'a Template,
    /// What pseudo parameters tell.
    pub surroundings: &'a Surroundings,
    /// Values of parameters: texts, or lists of texts.
    pub arguments: &'a BTreeMap<String, Value>,
    /// Conditions that have been decided, by name.
    pub conditions: &'a BTreeMap<String, bool>,
    /// Values that may be imported, by name.
    pub exports: &'a BTreeMap<String, String>,
    /// Resources.
    pub resources: &'a dyn Resources,
    /// What has been done of [`WORK_BYTES_MAX`].
    pub work: &'a Work,
}

/// What working values out has made so far, in bytes.
#[derive(Debug, Default)]
pub struct Work(Cell<usize>);

impl Work {
    /// Counts before something is made.
    fn spend(&self, at: Position, bytes: usize) -> Result<(), Mistake> {
        let actual = self.0.get().saturating_add(bytes);
        self.0.set(actual);
        if actual > WORK_BYTES_MAX {
            let what = "bytes that the template's functions make";
            return Err((at, Fault::Limit { what, limit: WORK_BYTES_MAX, actual }));
        }
        Ok(())
    }
}

/// About what a value takes.
fn weight(value: &Value) -> usize {
    STEP_BYTES
        + match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(weight).sum(),
            Value::Object(members) => members.iter().map(|(name, value)| name.len() + weight(value)).sum(),
        }
}

/// A mistake that shows only with values.
pub type Mistake = (Position, Fault);

/// Before there are resources.
pub struct NoResources;

impl Resources for NoResources {
    fn reference(&self, _: &str) -> Lookup {
        Lookup::Later
    }
    fn attribute(&self, _: &str, _: &str) -> Lookup {
        Lookup::Later
    }
}

/// Decides all conditions.
///
/// # Errors
/// The first condition whose values cannot be worked out.
pub fn conditions(
    template: &Template,
    surroundings: &Surroundings,
    arguments: &BTreeMap<String, Value>,
    exports: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, bool>, Mistake> {
    let mut graph = Graph::new();
    for (key, condition) in &template.conditions {
        graph.add(key.name.clone(), condition.names().into_iter().map(|name| name.name.clone()));
    }
    // Each is decided once, after those that it names. A cycle is told elsewhere; nothing is decided then.
    let mut decided = BTreeMap::new();
    let work = &Work::default();
    for name in graph.order().unwrap_or_default() {
        let Some((_, condition)) = template.conditions.iter().find(|(key, _)| key.name == name) else { continue };
        let resources = &NoResources;
        let scope = Scope { template, surroundings, arguments, conditions: &decided, exports, resources, work };
        let holds = decide(condition, &scope)?;
        decided.insert(name, holds);
    }
    Ok(decided)
}

/// Holds a template's rules: in each of which the condition holds, every assertion must.
///
/// # Errors
/// What could not be worked out.
pub fn broken_rules(scope: &Scope<'_>) -> Result<Vec<(Position, Fault)>, Mistake> {
    let mut broken = Vec::new();
    for (key, rule) in &scope.template.rules {
        if let Some(condition) = &rule.condition
            && !decide(condition, scope)?
        {
            continue;
        }
        for assertion in &rule.assertions {
            if !decide(&assertion.assert, scope)? {
                let description = assertion.description.clone();
                broken.push((assertion.at, Fault::Rule { rule: key.name.clone(), description }));
            }
        }
    }
    Ok(broken)
}

fn decide(condition: &Condition, scope: &Scope<'_>) -> Result<bool, Mistake> {
    match condition {
        Condition::Equals(left, right) => {
            let (left, right) = (scope.evaluate(left)?, scope.evaluate(right)?);
            Ok(match (&left, &right) {
                (Outcome::Value(left), Outcome::Value(right)) => match (scalar(left), scalar(right)) {
                    (Some(left), Some(right)) => left == right,
                    _ => left == right,
                },
                _ => left == right,
            })
        }
        Condition::And(inner) => {
            for condition in inner {
                if !decide(condition, scope)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Condition::Or(inner) => {
            for condition in inner {
                if decide(condition, scope)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Condition::Not(inner) => Ok(!decide(inner, scope)?),
        Condition::Contains(list, value) => {
            let (list, value) = (scope.evaluate(list)?, scope.evaluate(value)?);
            Ok(match (&list, &value) {
                (Outcome::Value(Value::Array(items)), Outcome::Value(value)) => {
                    items.iter().any(|item| scalar(item).is_some() && scalar(item) == scalar(value))
                }
                _ => false,
            })
        }
        Condition::Named(key) => Ok(scope.holds(Some(&key.name))),
    }
}

impl Scope<'_> {
    /// Whether a condition holds; an absent one does.
    pub fn holds(&self, condition: Option<&str>) -> bool {
        condition.is_none_or(|name| self.conditions.get(name).copied().unwrap_or(false))
    }

    /// The branch of an `Fn::If` that counts.
    pub fn branch<'e>(&self, condition: &str, then: &'e Expr, otherwise: &'e Expr) -> &'e Expr {
        if self.holds(Some(condition)) { then } else { otherwise }
    }

    /// Works an expression out.
    ///
    /// # Errors
    /// The place and the mistake, if it cannot be worked out with these values.
    pub fn evaluate(&self, expr: &Expr) -> Result<Outcome, Mistake> {
        let at = expr.at;
        self.work.spend(at, STEP_BYTES)?;
        let fail = |function, detail: String| Err((at, Fault::Function { function, detail }));
        Ok(match &expr.form {
            Form::Broken => Outcome::Unknown,
            Form::Null => Outcome::Value(Value::Null),
            Form::Flag(flag) => Outcome::Value(Value::Bool(*flag)),
            Form::Number(text) => Outcome::Value(number(text)),
            Form::Text(text) => {
                self.work.spend(at, text.len())?;
                Outcome::Value(Value::String(text.clone()))
            }
            Form::List(items) => match self.all(items)? {
                Some(items) => Outcome::Value(Value::Array(items)),
                None => Outcome::Unknown,
            },
            Form::Map(members) => {
                let mut object = Map::new();
                let mut unknown = false;
                for (key, value) in members {
                    match self.evaluate(value)? {
                        Outcome::Value(value) => {
                            object.insert(key.name.clone(), value);
                        }
                        Outcome::Nothing => {}
                        Outcome::Unknown => unknown = true,
                    }
                }
                if unknown { Outcome::Unknown } else { Outcome::Value(Value::Object(object)) }
            }
            Form::Ref(name) => self.reference(at, name)?,
            // A name that nothing has is told elsewhere.
            Form::GetAtt { resource, .. } if self.template.resource(resource).is_none() => Outcome::Unknown,
            Form::GetAtt { resource, attribute } => self.attribute(at, resource, attribute)?,
            Form::Join { delimiter, items } => match self.evaluate(items)? {
                Outcome::Value(Value::Array(items)) => {
                    let mut texts = Vec::with_capacity(items.len());
                    for item in &items {
                        match scalar(item) {
                            Some(text) => texts.push(text),
                            None => return fail("Fn::Join", format!("item {} is not text", texts.len())),
                        }
                    }
                    let joined = texts.iter().map(String::len).sum::<usize>();
                    self.work.spend(at, joined.saturating_add(delimiter.len().saturating_mul(texts.len())))?;
                    Outcome::Value(Value::String(texts.join(delimiter)))
                }
                Outcome::Unknown => Outcome::Unknown,
                _ => return fail("Fn::Join", "the second argument is not a list".into()),
            },
            Form::Sub { pieces, variables } => self.substitute(at, pieces, variables)?,
            Form::Select { index, items } => {
                let index = match self.evaluate(index)? {
                    Outcome::Value(index) => scalar(&index).and_then(|text| text.parse::<usize>().ok()),
                    Outcome::Unknown => return Ok(Outcome::Unknown),
                    Outcome::Nothing => None,
                };
                let Some(index) = index else {
                    return fail("Fn::Select", "the index is not a whole number from 0".into());
                };
                // A list that is written out may be known at this place and not at others.
                if let Form::List(written) = &items.form
                    && let Some(item) = written.get(index)
                {
                    return self.evaluate(item);
                }
                match self.evaluate(items)? {
                    Outcome::Value(Value::Array(mut items)) if index < items.len() => {
                        Outcome::Value(items.swap_remove(index))
                    }
                    Outcome::Value(Value::Array(items)) => {
                        return fail("Fn::Select", format!("there is no item {index} in a list of {}", items.len()));
                    }
                    Outcome::Unknown => Outcome::Unknown,
                    _ => return fail("Fn::Select", "the second argument is not a list".into()),
                }
            }
            Form::Split { delimiter, text } => match self.text(text)? {
                Some(Ok(text)) => {
                    let parts = text.matches(delimiter.as_str()).count() + 1;
                    self.work.spend(at, text.len() + STEP_BYTES * parts)?;
                    Outcome::Value(text.split(delimiter.as_str()).map(|part| Value::String(part.into())).collect())
                }
                Some(Err(())) => return fail("Fn::Split", "the second argument is not text".into()),
                None => Outcome::Unknown,
            },
            Form::FindInMap { map, first, second } => {
                let (map, first, second) = (self.text(map)?, self.text(first)?, self.text(second)?);
                let (Some(map), Some(first), Some(second)) = (map, first, second) else { return Ok(Outcome::Unknown) };
                let (Ok(map), Ok(first), Ok(second)) = (map, first, second) else {
                    return fail("Fn::FindInMap", "mapping and keys must be text".into());
                };
                let entry = self.template.mappings.get(&map).and_then(|keys| keys.get(&first)?.get(&second));
                match entry {
                    Some(node) => {
                        let value = node.to_json();
                        self.work.spend(at, weight(&value))?;
                        Outcome::Value(value)
                    }
                    None => return fail("Fn::FindInMap", format!("no value for {first:?}, {second:?} in {map:?}")),
                }
            }
            Form::If { condition, then, otherwise } => self.evaluate(self.branch(condition, then, otherwise))?,
            Form::Base64(inner) => match self.text(inner)? {
                Some(Ok(text)) => {
                    self.work.spend(at, text.len() / 3 * 4)?;
                    Outcome::Value(Value::String(base64(text.as_bytes())))
                }
                Some(Err(())) => return fail("Fn::Base64", "the argument is not text".into()),
                None => Outcome::Unknown,
            },
            Form::Length(inner) => match self.evaluate(inner)? {
                Outcome::Value(Value::Array(items)) => Outcome::Value(items.len().into()),
                Outcome::Unknown => Outcome::Unknown,
                _ => return fail("Fn::Length", "the argument is not a list".into()),
            },
            Form::ToJsonString(inner) => match self.evaluate(inner)? {
                Outcome::Value(value @ (Value::Array(_) | Value::Object(_))) => {
                    let text = value.to_string();
                    self.work.spend(at, text.len())?;
                    Outcome::Value(Value::String(text))
                }
                Outcome::Unknown => Outcome::Unknown,
                _ => return fail("Fn::ToJsonString", "the argument is not an object or a list".into()),
            },
            Form::ImportValue(inner) => match self.text(inner)? {
                Some(Ok(name)) => match self.exports.get(&name) {
                    Some(value) => {
                        self.work.spend(at, value.len())?;
                        Outcome::Value(Value::String(value.clone()))
                    }
                    None => return Err((at, Fault::NoExport(name))),
                },
                Some(Err(())) => return fail("Fn::ImportValue", "the argument is not text".into()),
                None => Outcome::Unknown,
            },
            Form::GetAzs(_) => {
                // One zone is enough for what exists here, and templates that select the first of them work.
                Outcome::Value(Value::Array(vec![Value::String(format!("{}a", self.surroundings.realm.region))]))
            }
        })
    }

    /// The values of a list's items; `None` if one is unknown.
    fn all(&self, items: &[Expr]) -> Result<Option<Vec<Value>>, Mistake> {
        let mut values = Vec::with_capacity(items.len());
        let mut unknown = false;
        for item in items {
            match self.evaluate(item)? {
                Outcome::Value(value) => values.push(value),
                Outcome::Nothing => {}
                Outcome::Unknown => unknown = true,
            }
        }
        Ok((!unknown).then_some(values))
    }

    /// A scalar's text; `None` if it is unknown, `Some(Err)` if it is no scalar.
    fn text(&self, expr: &Expr) -> Result<Option<Result<String, ()>>, Mistake> {
        Ok(match self.evaluate(expr)? {
            Outcome::Value(value) => Some(scalar(&value).ok_or(())),
            Outcome::Nothing => Some(Err(())),
            Outcome::Unknown => None,
        })
    }

    fn reference(&self, at: Position, name: &str) -> Result<Outcome, Mistake> {
        let realm = &self.surroundings.realm;
        let text = |text: &str| Outcome::Value(Value::String(text.to_owned()));
        Ok(match name {
            "AWS::NoValue" => Outcome::Nothing,
            "AWS::AccountId" => text(&realm.account),
            "AWS::Region" => text(&realm.region),
            "AWS::Partition" => text("aws"),
            "AWS::URLSuffix" => text("amazonaws.com"),
            "AWS::StackId" => text(&self.surroundings.stack_id),
            "AWS::StackName" => text(&self.surroundings.stack_name),
            "AWS::NotificationARNs" => {
                let arns = self.surroundings.notification_arns.iter().cloned().map(Value::String);
                Outcome::Value(arns.collect())
            }
            _ => match self.arguments.get(name) {
                Some(value) => {
                    self.work.spend(at, weight(value))?;
                    Outcome::Value(value.clone())
                }
                // A refused value, or a name that nothing has: that is told elsewhere.
                None if self.template.resource(name).is_none() => Outcome::Unknown,
                None => self.found(at, name, None, self.resources.reference(name))?,
            },
        })
    }

    fn attribute(&self, at: Position, resource: &str, attribute: &str) -> Result<Outcome, Mistake> {
        self.found(at, resource, Some(attribute), self.resources.attribute(resource, attribute))
    }

    fn found(&self, at: Position, resource: &str, attribute: Option<&str>, lookup: Lookup) -> Result<Outcome, Mistake> {
        match (lookup, attribute) {
            (Lookup::Known(value), _) => {
                self.work.spend(at, weight(&value))?;
                Ok(Outcome::Value(value))
            }
            (Lookup::Later, _) => Ok(Outcome::Unknown),
            (Lookup::NoAttribute, Some(attribute)) => {
                let name = format!("{resource}.{attribute}");
                Err((at, Fault::Unknown { what: "attribute", name, known: Vec::new() }))
            }
            _ => {
                let expected = "a resource that is made: its condition does not hold".to_owned();
                Err((at, Fault::Expected { expected, found: format!("{resource:?}") }))
            }
        }
    }

    fn substitute(
        &self,
        at: Position,
        pieces: &[Piece],
        variables: &[(crate::template::tree::Key, Expr)],
    ) -> Result<Outcome, Mistake> {
        let mut text = String::new();
        let mut unknown = false;
        let own: BTreeMap<&str, &Expr> = variables.iter().map(|(key, value)| (key.name.as_str(), value)).collect();
        for piece in pieces {
            self.work.spend(at, STEP_BYTES)?;
            let (name, outcome) = match piece {
                Piece::Literal(literal) => {
                    self.work.spend(at, literal.len())?;
                    text.push_str(literal);
                    continue;
                }
                Piece::Ref(name) => match own.get(name.as_str()) {
                    Some(value) => (name.clone(), self.evaluate(value)?),
                    None => (name.clone(), self.reference(at, name)?),
                },
                Piece::GetAtt { resource, attribute } => {
                    let name = format!("{resource}.{attribute}");
                    match own.get(name.as_str()) {
                        Some(value) => (name, self.evaluate(value)?),
                        None if self.template.resource(resource).is_none() => (name, Outcome::Unknown),
                        None => (name, self.attribute(at, resource, attribute)?),
                    }
                }
            };
            match outcome {
                Outcome::Unknown => unknown = true,
                Outcome::Nothing => {}
                Outcome::Value(value) => match scalar(&value) {
                    Some(value) => text.push_str(&value),
                    None => {
                        let detail = format!("{name:?} is not text");
                        return Err((at, Fault::Function { function: "Fn::Sub", detail }));
                    }
                },
            }
        }
        Ok(if unknown { Outcome::Unknown } else { Outcome::Value(Value::String(text)) })
    }
}

/// The text of a scalar: numbers and booleans become theirs.
pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// RFC 4648 §4 with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().enumerate().fold(0u32, |bits, (index, byte)| bits | u32::from(*byte) << (16 - 8 * index));
        for index in 0..4 {
            if index <= chunk.len() {
                text.push(char::from(ALPHABET[(bits >> (18 - 6 * index) & 63) as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}
