//! What is wrong with a template, and where.

use super::tree::shown;
use std::fmt;

/// A place in a template's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The text is neither YAML nor JSON.
    #[error("not valid {language}: {detail}")]
    Syntax {
        /// `YAML` or `JSON`.
        language: &'static str,
        /// What the reader said.
        detail: String,
    },
    /// Something else was expected here.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// In words.
        expected: String,
        /// In words.
        found: String,
    },
    /// A name that nothing has.
    #[error("unknown {what} {name:?}{}", suggestion(.known))]
    Unknown {
        /// Such as `property`.
        what: &'static str,
        /// As written.
        name: String,
        /// What there is, nearest first; may be empty.
        known: Vec<String>,
    },
    /// Something that must be there is not.
    #[error("{what} {name:?} is missing (expected {expected})")]
    Missing {
        /// Such as `property`.
        what: &'static str,
        /// Its name.
        name: String,
        /// In words.
        expected: String,
    },
    /// A name that appears twice.
    #[error("{name:?} appears twice")]
    Duplicate {
        /// As written.
        name: String,
    },
    /// A name that breaks the rules for names.
    #[error("{what} {name:?} must be {rule}")]
    Name {
        /// Such as `logical id`.
        what: &'static str,
        /// As written.
        name: String,
        /// In words.
        rule: &'static str,
    },
    /// More of something than is read.
    #[error("{what}: {actual} is more than {limit}")]
    Limit {
        /// In words.
        what: &'static str,
        /// What is read at most.
        limit: usize,
        /// What there is.
        actual: usize,
    },
    /// Something of CloudFormation that is not supported.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// Resources that need one another.
    #[error("circular dependency: {}", .path.join(" -> "))]
    Cycle {
        /// Logical ids; the first is repeated at the end.
        path: Vec<String>,
    },
    /// A value that a parameter does not allow.
    #[error("value {value:?} {rule}{}", explained(.explanation))]
    Refused {
        /// As given, masked if it must not be shown.
        value: String,
        /// Which rule it breaks, in words.
        rule: String,
        /// The template's `ConstraintDescription`.
        explanation: Option<String>,
    },
    /// A function that cannot be evaluated with these values.
    #[error("{function}: {detail}")]
    Function {
        /// Such as `Fn::Select`.
        function: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// A rule's assertion does not hold for the values that the parameters have.
    #[error("the rule {rule:?} does not hold{}", explained(.description))]
    Rule {
        /// Its name.
        rule: String,
        /// The assertion's `AssertDescription`.
        description: Option<String>,
    },
    /// An import of what nobody exports.
    #[error("No export named {0} found.")]
    NoExport(String),
    /// A resource with a name of its own cannot be replaced: the new one would have the same name.
    #[error("the resource has the name {name:?} of its own and must be replaced: give it another name")]
    NamedReplacement {
        /// The name.
        name: String,
    },
}

fn suggestion(known: &[String]) -> String {
    match known {
        [] => String::new(),
        [one] => format!(" (expected {one})"),
        many => format!(" (expected one of {})", many.join(", ")),
    }
}

fn explained(text: &Option<String>) -> String {
    text.as_ref().map(|text| format!(": {text}")).unwrap_or_default()
}

/// A mistake with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where; absent if it is not in the text, as with a parameter's value.
    pub at: Option<Position>,
    /// What it concerns, from the outside in: `resource "Channel"`, `property "Type"`.
    pub path: Vec<String>,
    /// What is wrong.
    pub fault: Fault,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = self.at {
            write!(f, "{at}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path.join(", "))?;
        }
        write!(f, "{}", self.fault)
    }
}

/// All mistakes of a template, in order of their places. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for TemplateError {}

/// Collects mistakes while a template is read or checked.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    found: Vec<Problem>,
    path: Vec<String>,
}

/// Mistakes told at once; a template with more has told enough.
const PROBLEMS_MAX: usize = 50;

impl Problems {
    /// Adds a mistake at the present path.
    pub(crate) fn add(&mut self, at: Position, fault: Fault) {
        self.push(Some(at), fault);
    }

    /// Adds a mistake that is not in the text.
    pub(crate) fn add_outside(&mut self, fault: Fault) {
        self.push(None, fault);
    }

    fn push(&mut self, at: Option<Position>, fault: Fault) {
        if self.is_full() {
            return;
        }
        let problem = Problem { at, path: self.path.clone(), fault };
        if !self.found.contains(&problem) {
            self.found.push(problem);
        }
    }

    /// Whether no more mistakes are told, so that nothing needs to be found out about them.
    fn is_full(&self) -> bool {
        self.found.len() >= PROBLEMS_MAX
    }

    /// Names that look like the one that was written, for the next mistake; see [`nearest`].
    pub(crate) fn nearest<'a>(&self, name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        if self.is_full() { Vec::new() } else { nearest(name, known) }
    }

    /// Runs a function one step further in.
    pub(crate) fn within<T>(&mut self, what: &str, name: &str, inner: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(format!("{what} {}", shown(name)));
        let result = inner(self);
        self.path.pop();
        result
    }

    /// The value, or all mistakes.
    pub(crate) fn finish<T>(self, value: T) -> Result<T, TemplateError> {
        if self.found.is_empty() { Ok(value) } else { Err(self.into_error()) }
    }

    /// All mistakes; there is at least one.
    pub(crate) fn into_error(mut self) -> TemplateError {
        self.found.sort_by_key(|problem| problem.at.unwrap_or(Position { line: usize::MAX, column: 0 }));
        TemplateError { problems: self.found }
    }
}

/// Characters of names that are compared. Longer ones are not guessed, and a template may have 500 of them.
const COMPARED_MAX: usize = 64;

/// Names that look like the one that was written, nearest first; all if there are few.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    /// More names than these do not help in a message.
    const SHOWN_MAX: usize = 8;
    let mut ranked: Vec<(usize, &str)> =
        known.into_iter().map(|candidate| (distance(name, candidate), candidate)).collect();
    ranked.sort();
    if ranked.len() > SHOWN_MAX {
        ranked.retain(|(distance, _)| *distance <= 3);
        ranked.truncate(SHOWN_MAX);
    }
    ranked.into_iter().map(|(_, candidate)| candidate.to_owned()).collect()
}

/// Edits from one text to the other, ignoring case, as far as they are compared: so the square is small.
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().take(COMPARED_MAX).flat_map(char::to_lowercase).collect();
    let to: Vec<char> = to.chars().take(COMPARED_MAX).flat_map(char::to_lowercase).collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let substituted = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[to.len()]
}
