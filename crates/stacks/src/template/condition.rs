//! Conditions: what must hold for a resource, an output or a value.

use super::expression::{self, Expr};
use super::problem::{Fault, Problems};
use super::tree::{Data, Key, Node};

/// What is true or false once the parameters have values.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// Two values are the same.
    Equals(Expr, Expr),
    /// All hold.
    And(Vec<Condition>),
    /// One holds.
    Or(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// The condition of this name holds.
    Named(Key),
}

/// `Fn::And` and `Fn::Or` take this many conditions.
const OPERANDS: std::ops::RangeInclusive<usize> = 2..=10;

impl Condition {
    /// Expressions within, for references.
    pub fn expressions(&self) -> Vec<&Expr> {
        match self {
            Condition::Equals(left, right) => vec![left, right],
            Condition::And(inner) | Condition::Or(inner) => inner.iter().flat_map(Condition::expressions).collect(),
            Condition::Not(inner) => inner.expressions(),
            Condition::Named(_) => Vec::new(),
        }
    }

    /// Names of other conditions within.
    pub fn names(&self) -> Vec<&Key> {
        match self {
            Condition::Equals(..) => Vec::new(),
            Condition::And(inner) | Condition::Or(inner) => inner.iter().flat_map(Condition::names).collect(),
            Condition::Not(inner) => inner.names(),
            Condition::Named(name) => vec![name],
        }
    }
}

/// Reads a condition; `None` if it could not be read, with the mistake added.
pub(crate) fn parse(node: &Node, problems: &mut Problems) -> Option<Condition> {
    const WHAT: &str = "Fn::Equals, Fn::And, Fn::Or, Fn::Not or Condition";
    let Data::Map(members) = &node.data else {
        problems.add(node.at, Fault::Expected { expected: WHAT.into(), found: node.found() });
        return None;
    };
    let [(key, argument)] = members.as_slice() else {
        let found = format!("an object of {} members", members.len());
        problems.add(node.at, Fault::Expected { expected: WHAT.into(), found });
        return None;
    };
    let list = match &argument.data {
        Data::List(items) => items.as_slice(),
        _ => &[],
    };
    match (key.name.as_str(), list) {
        ("Fn::Equals", [left, right]) => {
            Some(Condition::Equals(expression::parse(left, problems), expression::parse(right, problems)))
        }
        ("Fn::And" | "Fn::Or", operands) if OPERANDS.contains(&operands.len()) => {
            let inner: Vec<Condition> = operands.iter().filter_map(|operand| parse(operand, problems)).collect();
            Some(if key.name == "Fn::And" { Condition::And(inner) } else { Condition::Or(inner) })
        }
        ("Fn::Not", [operand]) => parse(operand, problems).map(|inner| Condition::Not(Box::new(inner))),
        ("Condition", _) if matches!(argument.data, Data::Text(_)) => {
            let name = argument.scalar().unwrap_or_default();
            Some(Condition::Named(Key { at: argument.at, name }))
        }
        (name, _) => {
            let expected = match name {
                "Fn::Equals" => "[one value, the other]",
                "Fn::And" | "Fn::Or" => "a list of 2 to 10 conditions",
                "Fn::Not" => "[condition]",
                "Condition" => "the name of a condition",
                _ => WHAT,
            };
            let (at, found) =
                if expected == WHAT { (key.at, format!("{name:?}")) } else { (argument.at, argument.found()) };
            problems.add(at, Fault::Expected { expected: expected.into(), found });
            None
        }
    }
}
