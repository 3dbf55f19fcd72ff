//! Rules: what the values of parameters must be together.

use super::condition::{self, Condition, Place};
use super::problem::{Fault, Position, Problems};
use super::tree::{Data, Key, Node};

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The assertions count if it holds; always, if there is none.
    pub condition: Option<Condition>,
    /// At least one.
    pub assertions: Vec<Assertion>,
}

/// What must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Assertion {
    /// Where it begins.
    pub at: Position,
    /// What must hold.
    pub assert: Condition,
    /// What is said if it does not.
    pub description: Option<String>,
}

impl Rule {
    /// Everything that is decided.
    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.condition.iter().chain(self.assertions.iter().map(|assertion| &assertion.assert))
    }
}

const MEMBERS: [&str; 2] = ["RuleCondition", "Assertions"];
const ASSERTION_MEMBERS: [&str; 2] = ["Assert", "AssertDescription"];

/// Reads a rule's definition.
pub(crate) fn parse(key: &Key, node: &Node, problems: &mut Problems) -> Option<Rule> {
    check_members(node, &MEMBERS, "an object with Assertions", problems)?;
    let condition = node.member("RuleCondition").and_then(|inner| condition::parse(inner, Place::Rules, problems));
    let expected = || "a list of objects with Assert".to_owned();
    let assertions = match node.member("Assertions").map(|list| (list, &list.data)) {
        Some((_, Data::List(items))) if !items.is_empty() => items,
        Some((list, _)) => {
            problems.add(list.at, Fault::Expected { expected: expected(), found: list.found() });
            return None;
        }
        None => {
            problems.add(key.at, Fault::Missing { what: "member", name: "Assertions".into(), expected: expected() });
            return None;
        }
    };
    let assertions = assertions.iter().filter_map(|node| assertion(node, problems)).collect();
    Some(Rule { condition, assertions })
}

fn assertion(node: &Node, problems: &mut Problems) -> Option<Assertion> {
    check_members(node, &ASSERTION_MEMBERS, "an object with Assert", problems)?;
    let Some(assert) = node.member("Assert") else {
        let expected = "a condition".to_owned();
        problems.add(node.at, Fault::Missing { what: "member", name: "Assert".into(), expected });
        return None;
    };
    let assert = condition::parse(assert, Place::Rules, problems)?;
    let description = node.member("AssertDescription").and_then(Node::scalar);
    Some(Assertion { at: node.at, assert, description })
}

fn check_members(node: &Node, known: &[&'static str], expected: &str, problems: &mut Problems) -> Option<()> {
    let Data::Map(members) = &node.data else {
        problems.add(node.at, Fault::Expected { expected: expected.into(), found: node.found() });
        return None;
    };
    for (member, _) in members {
        if !known.contains(&member.name.as_str()) {
            let known = problems.nearest(&member.name, known.iter().copied());
            problems.add(member.at, Fault::Unknown { what: "member", name: member.name.clone(), known });
        }
    }
    Some(())
}
