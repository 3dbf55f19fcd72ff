//! A template: its sections in typed form, every part with its place in the text.

pub mod condition;
pub mod expression;
pub mod limits;
pub mod parameter;
pub mod problem;
mod read;
pub mod rule;
mod sections;
pub mod tree;

pub use condition::Condition;
pub use expression::{Expr, Form, Piece, Reference};
pub use parameter::{Parameter, ParameterType};
pub use problem::{Fault, Position, Problem, TemplateError};
pub use rule::Rule;

use crate::state::DeletionPolicy;
use std::collections::BTreeMap;
use tree::{Key, Node};

/// A template as it was written, without values of its parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// Its `Description`.
    pub description: Option<String>,
    /// Its `Metadata`, unread.
    pub metadata: Option<Node>,
    /// In order of the text.
    pub parameters: Vec<Parameter>,
    /// Mapping, first key, second key, value.
    pub mappings: BTreeMap<String, BTreeMap<String, BTreeMap<String, Node>>>,
    /// By name, in order of the text.
    pub conditions: Vec<(Key, Condition)>,
    /// By name, in order of the text.
    pub rules: Vec<(Key, Rule)>,
    /// In order of the text; at least one.
    pub resources: Vec<ResourceDefinition>,
    /// In order of the text.
    pub outputs: Vec<OutputDefinition>,
}

/// A resource as the template has it.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceDefinition {
    /// Its name and place.
    pub logical_id: Key,
    /// Such as `AWS::IVS::Channel`.
    pub resource_type: Key,
    /// In order of the text.
    pub properties: Vec<(Key, Expr)>,
    /// What `DependsOn` names.
    pub depends_on: Vec<Key>,
    /// Condition that must hold for it to be made.
    pub condition: Option<Key>,
    /// What happens to it with its stack.
    pub deletion_policy: DeletionPolicy,
    /// What happens to it when it is replaced.
    pub replace_policy: DeletionPolicy,
}

/// An output as the template has it.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputDefinition {
    /// Its name and place.
    pub key: Key,
    /// What it shows.
    pub value: Expr,
    /// Its `Description`.
    pub description: Option<String>,
    /// Condition that must hold for it to be shown.
    pub condition: Option<Key>,
    /// Name that other stacks import it by.
    pub export: Option<Expr>,
}

impl Template {
    /// Reads JSON or YAML.
    ///
    /// # Errors
    /// All mistakes that can be seen without schemas and parameters, each with its place: syntax, sections, functions,
    /// names that nothing has.
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        let (template, problems) = Template::read(text)?;
        problems.finish(template)
    }

    /// Reads as far as it goes, so that a check against schemas can tell its mistakes together with these.
    pub(crate) fn read(text: &str) -> Result<(Template, problem::Problems), TemplateError> {
        let (root, problems) = read::read(text)?;
        Ok(sections::template(&root, problems))
    }

    /// The resource of a name.
    pub fn resource(&self, logical_id: &str) -> Option<&ResourceDefinition> {
        self.resources.iter().find(|resource| resource.logical_id.name == logical_id)
    }

    /// The parameter of a name.
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.key.name == name)
    }
}

#[cfg(test)]
mod tests;
