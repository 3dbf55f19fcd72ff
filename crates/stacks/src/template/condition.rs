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
    /// A list has the value; for rules only.
    Contains(Expr, Expr),
}

/// Where a condition stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the section `Conditions`.
    Conditions,
    /// In the section `Rules`, which has functions of its own and does not know the names of conditions.
    Rules,
}

/// `Fn::And` and `Fn::Or` take this many conditions.
const OPERANDS: std::ops::RangeInclusive<usize> = 2..=10;

impl Condition {
    /// Expressions within, for references.
    pub fn expressions(&self) -> Vec<&Expr> {
        match self {
            Condition::Equals(left, right) | Condition::Contains(left, right) => vec![left, right],
            Condition::And(inner) | Condition::Or(inner) => inner.iter().flat_map(Condition::expressions).collect(),
            Condition::Not(inner) => inner.expressions(),
            Condition::Named(_) => Vec::new(),
        }
    }

    /// Names of other conditions within.
    pub fn names(&self) -> Vec<&Key> {
        match self {
            Condition::Equals(..) | Condition::Contains(..) => Vec::new(),
            Condition::And(inner) | Condition::Or(inner) => inner.iter().flat_map(Condition::names).collect(),
            Condition::Not(inner) => inner.names(),
            Condition::Named(name) => vec![name],
        }
    }
}

/// Reads a condition; `None` if it could not be read, with the mistake added.
pub(crate) fn parse(node: &Node, place: Place, problems: &mut Problems) -> Option<Condition> {
    let what = match place {
        Place::Conditions => "Fn::Equals, Fn::And, Fn::Or, Fn::Not or Condition",
        Place::Rules => "Fn::Equals, Fn::And, Fn::Or, Fn::Not or Fn::Contains",
    };
    let Data::Map(members) = &node.data else {
        problems.add(node.at, Fault::Expected { expected: what.into(), found: node.found() });
        return None;
    };
    let [(key, argument)] = members.as_slice() else {
        let found = format!("an object of {} members", members.len());
        problems.add(node.at, Fault::Expected { expected: what.into(), found });
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
            let inner: Vec<Condition> = operands.iter().filter_map(|operand| parse(operand, place, problems)).collect();
            Some(if key.name == "Fn::And" { Condition::And(inner) } else { Condition::Or(inner) })
        }
        ("Fn::Not", [operand]) => parse(operand, place, problems).map(|inner| Condition::Not(Box::new(inner))),
        ("Fn::Contains", [list, value]) if place == Place::Rules => {
            Some(Condition::Contains(expression::parse(list, problems), expression::parse(value, problems)))
        }
        ("Fn::EachMemberEquals" | "Fn::EachMemberIn" | "Fn::RefAll" | "Fn::ValueOf" | "Fn::ValueOfAll", _)
            if place == Place::Rules =>
        {
            problems.add(key.at, Fault::Unsupported(key.name.clone()));
            None
        }
        ("Condition", _) if place == Place::Conditions && matches!(argument.data, Data::Text(_)) => {
            let name = argument.scalar().unwrap_or_default();
            Some(Condition::Named(Key { at: argument.at, name }))
        }
        (name, _) => {
            let expected = match name {
                "Fn::Equals" => "[one value, the other]",
                "Fn::And" | "Fn::Or" => "a list of 2 to 10 conditions",
                "Fn::Not" => "[condition]",
                "Condition" if place == Place::Conditions => "the name of a condition",
                "Fn::Contains" if place == Place::Rules => "[a list, a value]",
                _ => what,
            };
            let (at, found) =
                if expected == what { (key.at, format!("{name:?}")) } else { (argument.at, argument.found()) };
            problems.add(at, Fault::Expected { expected: expected.into(), found });
            None
        }
    }
}
