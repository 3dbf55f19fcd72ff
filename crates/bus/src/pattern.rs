//! Event patterns: which events a rule is for.
//!
//! | form | matches |
//! |---|---|
//! | `["x"]`, `[5]`, `[true]`, `[null]`, `[""]` | the same JSON value |
//! | `{"prefix": "x"}`, `{"suffix": "x"}`, `{"equals-ignore-case": "x"}` | strings; the first two also with `{"equals-ignore-case": "x"}` for `"x"` |
//! | `{"wildcard": "a*b"}` | strings; `*` is any text, `\*` and `\\` are themselves |
//! | `{"anything-but": …}` | everything that is there but a value, a list of strings or numbers, or `{"prefix": …}`, `{"suffix": …}`, `{"equals-ignore-case": …}`, `{"wildcard": …}` of one or a list |
//! | `{"numeric": [">", 0, "<=", 5]}` | numbers |
//! | `{"cidr": "10.0.0.0/24"}` | strings that are addresses in the block, IPv4 or IPv6 |
//! | `{"exists": true}`, `{"exists": false}` | whether there is a leaf |
//! | `"$or": [{…}, {…}]` | one of the alternatives |
//!
//! The values of a leaf are alternatives, the fields of an object all hold. An array in the event stands for each of its
//! elements; the fields of one object pattern hold in the same element. Numbers are equal if they are written alike:
//! `300` is not `300.0`.
//!
//! *Source*: EventBridge User Guide, "Comparison operators for use in event patterns", and `events` 2015-10-07. What we
//! leave out: the complexity limits of `wildcard`, which bound an automaton that is not here; matching takes time in
//! proportion to pattern and event.

mod leaf;
mod parse;
mod wildcard;

use leaf::Condition;
use serde_json::{Map, Value};

/// A parsed event pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    root: ObjectPattern,
    /// Places that a condition `exists: false` asks about: the names that lead there.
    absences: Vec<Vec<String>>,
}

/// All of it holds for an object.
#[derive(Clone, Debug, Default, PartialEq)]
struct ObjectPattern {
    fields: Vec<(String, FieldPattern)>,
    /// At least one alternative of each list holds.
    alternatives: Vec<Vec<ObjectPattern>>,
}

#[derive(Clone, Debug, PartialEq)]
enum FieldPattern {
    Object(ObjectPattern),
    Leaf(LeafPattern),
}

/// One of the conditions holds, or the leaf is not there and that is asked for.
#[derive(Clone, Debug, PartialEq)]
struct LeafPattern {
    conditions: Vec<Condition>,
    /// Index into [`Pattern::absences`] if there is an `exists: false`.
    absence: Option<usize>,
}

/// Why a JSON value is not an event pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {problem}")]
pub struct PatternError {
    /// Where, such as `detail.count[0].numeric`; `pattern` for the whole.
    pub at: String,
    /// What is wrong there.
    pub problem: PatternProblem,
}

/// What can be wrong with an event pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternProblem {
    /// The text is not JSON.
    #[error("not JSON: {0}")]
    Syntax(String),
    /// The pattern is longer than [`Pattern::TEXT_CHARS_MAX`].
    #[error("{chars} characters, at most {} are allowed", Pattern::TEXT_CHARS_MAX)]
    TooLong {
        /// How long it is.
        chars: usize,
    },
    /// Objects are nested too deeply.
    #[error("nested more than {} levels deep", Pattern::DEPTH_MAX)]
    TooDeep,
    /// The pattern is no object.
    #[error("must be an object")]
    NotAnObject,
    /// A field's pattern is neither.
    #[error("must be an object or an array of values")]
    NeitherObjectNorArray,
    /// An object or array without content matches nothing.
    #[error("must not be empty")]
    Empty,
    /// A value of a leaf that means nothing.
    #[error("must be a string, a number, true, false, null or an object with one operator")]
    NotAValue,
    /// An operator object has none or several.
    #[error("must have exactly one operator")]
    NotOneOperator,
    /// There is no such operator.
    #[error("operator {0:?} is not known")]
    UnknownOperator(String),
    /// The operand has another type.
    #[error("must be {0}")]
    Operand(&'static str),
    /// `numeric` is malformed.
    #[error(
        "must be [\"=\", number], or a lower bound, an upper bound, or both in this order, that leave room between them"
    )]
    Numeric,
    /// The number cannot be compared exactly.
    #[error("{0} is beyond what can be compared exactly")]
    NumberRange(String),
    /// `cidr` is malformed.
    #[error("{0:?} is not an address block such as 10.0.0.0/24 or 2001:db8::/32")]
    Cidr(String),
    /// `wildcard` has two stars in a row.
    #[error("must not have two * in a row")]
    DoubleStar,
    /// `wildcard` has a backslash before something else.
    #[error("only * and \\ may follow a \\")]
    Escape,
    /// `$or` is malformed.
    #[error("must be an array of at least two objects")]
    Or,
}

impl Pattern {
    /// Longest text of a pattern (`events` 2015-10-07, EventPattern).
    pub const TEXT_CHARS_MAX: usize = 4096;
    /// Deepest nesting of a pattern. Events nest to 128 levels (the JSON reader's limit); no real one comes near this.
    pub const DEPTH_MAX: usize = 64;

    /// Reads a pattern.
    ///
    /// # Errors
    /// [`PatternError`] says where and what is wrong.
    pub fn parse(value: &Value) -> Result<Pattern, PatternError> {
        parse::pattern(value)
    }

    /// Reads a pattern's text and returns it with its JSON value. Of a field that is given twice, the last counts.
    ///
    /// # Errors
    /// [`PatternError`] says where and what is wrong.
    pub fn parse_text(text: &str) -> Result<(Pattern, Value), PatternError> {
        let whole = |problem| PatternError { at: "pattern".into(), problem };
        let chars = text.chars().count();
        if chars > Pattern::TEXT_CHARS_MAX {
            return Err(whole(PatternProblem::TooLong { chars }));
        }
        let value = serde_json::from_str(text).map_err(|e| whole(PatternProblem::Syntax(e.to_string())))?;
        Ok((Pattern::parse(&value)?, value))
    }

    /// Whether an event's envelope is one that the pattern describes.
    pub fn matches(&self, event: &Value) -> bool {
        let absent: Vec<bool> = self.absences.iter().map(|path| !has_leaf(event, path)).collect();
        objects(Some(event)).iter().any(|object| self.root.matches(Some(object), &absent))
    }
}

impl ObjectPattern {
    /// `object` is nothing where the event has no such object: then only absences can hold.
    fn matches(&self, object: Option<&Map<String, Value>>, absent: &[bool]) -> bool {
        let field = |name: &str| object.and_then(|object| object.get(name));
        self.fields.iter().all(|(name, pattern)| match pattern {
            FieldPattern::Leaf(leaf) => leaf.matches(field(name), absent),
            FieldPattern::Object(pattern) => match objects(field(name)).as_slice() {
                [] => pattern.matches(None, absent),
                candidates => candidates.iter().any(|candidate| pattern.matches(Some(candidate), absent)),
            },
        }) && self
            .alternatives
            .iter()
            .all(|alternatives| alternatives.iter().any(|alternative| alternative.matches(object, absent)))
    }
}

impl LeafPattern {
    fn matches(&self, value: Option<&Value>, absent: &[bool]) -> bool {
        self.absence.is_some_and(|index| absent[index])
            || leaves(value).iter().any(|leaf| self.conditions.iter().any(|condition| condition.matches(leaf)))
    }
}

/// The objects that a value stands for.
fn objects(value: Option<&Value>) -> Vec<&Map<String, Value>> {
    elements(value).into_iter().filter_map(Value::as_object).collect()
}

/// The strings, numbers, truth values and nulls that a value stands for.
fn leaves(value: Option<&Value>) -> Vec<&Value> {
    elements(value).into_iter().filter(|element| !element.is_object()).collect()
}

/// The value itself, or an array's elements, whose own arrays are laid open too.
fn elements(value: Option<&Value>) -> Vec<&Value> {
    let mut elements = Vec::new();
    let mut open: Vec<&Value> = value.into_iter().collect();
    while let Some(value) = open.pop() {
        match value {
            Value::Array(inner) => open.extend(inner.iter().rev()),
            element => elements.push(element),
        }
    }
    elements
}

/// Whether the names lead to a leaf, in any element of the arrays on the way.
fn has_leaf(event: &Value, path: &[String]) -> bool {
    match path {
        [] => !leaves(Some(event)).is_empty(),
        [name, rest @ ..] => {
            objects(Some(event)).iter().any(|object| object.get(name).is_some_and(|value| has_leaf(value, rest)))
        }
    }
}

#[cfg(test)]
mod tests;
