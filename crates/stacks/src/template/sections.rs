//! Reads a template's sections and checks the names that they use among themselves.

use super::condition::{self, Condition, Place};
use super::expression::{self, Expr, Form, Reference};
use super::limits::{
    DESCRIPTION_BYTES_MAX, MAPPING_ATTRIBUTES_MAX, MAPPINGS_MAX, NAME_LENGTH_MAX, OUTPUTS_MAX, PARAMETERS_MAX,
    RESOURCES_MAX, RULES_MAX,
};
use super::problem::{Fault, Problems};
use super::tree::{Data, Key, Node};
use super::{OutputDefinition, ResourceDefinition, Template, parameter, rule};
use crate::resolve::PSEUDO_PARAMETERS;
use crate::state::DeletionPolicy;
use std::collections::BTreeMap;

const SECTIONS: [&str; 10] = [
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Mappings",
    "Conditions",
    "Resources",
    "Outputs",
    "Rules",
    "Transform",
];

const RESOURCE_MEMBERS: [&str; 10] = [
    "Type",
    "Properties",
    "DependsOn",
    "Condition",
    "DeletionPolicy",
    "UpdateReplacePolicy",
    "Metadata",
    "CreationPolicy",
    "UpdatePolicy",
    "Version",
];

/// Reads the whole.
pub(super) fn template(root: &Node, mut problems: Problems) -> (Template, Problems) {
    let mut read = Template {
        description: None,
        metadata: None,
        parameters: Vec::new(),
        mappings: BTreeMap::new(),
        conditions: Vec::new(),
        rules: Vec::new(),
        resources: Vec::new(),
        outputs: Vec::new(),
    };
    let Data::Map(sections) = &root.data else {
        let expected = "an object with Resources".to_owned();
        problems.add(root.at, Fault::Expected { expected, found: root.found() });
        return (read, problems);
    };
    for (key, node) in sections {
        section(key, node, &mut read, &mut problems);
    }
    if root.member("Resources").is_none() {
        let expected = "at least one resource".to_owned();
        problems.add(root.at, Fault::Missing { what: "section", name: "Resources".into(), expected });
    }
    names(&read, &mut problems);
    (read, problems)
}

fn section(key: &Key, node: &Node, read: &mut Template, problems: &mut Problems) {
    match key.name.as_str() {
        "AWSTemplateFormatVersion" => {
            if node.scalar().as_deref() != Some("2010-09-09") {
                problems.add(node.at, Fault::Expected { expected: "\"2010-09-09\"".into(), found: node.found() });
            }
        }
        "Description" => read.description = description(node, problems),
        "Metadata" => read.metadata = Some(node.clone()),
        "Parameters" => {
            for (key, node) in members("parameters", PARAMETERS_MAX, node, problems) {
                let parameter = problems.within("parameter", &key.name, |problems| {
                    alphanumeric("parameter name", key, problems);
                    parameter::parse(key, node, problems)
                });
                read.parameters.extend(parameter);
            }
        }
        "Mappings" => {
            for (key, node) in members("mappings", MAPPINGS_MAX, node, problems) {
                let mapping = problems.within("mapping", &key.name, |problems| mapping(node, problems));
                read.mappings.insert(key.name.clone(), mapping);
            }
        }
        "Conditions" => {
            for (key, node) in members("conditions", RESOURCES_MAX, node, problems) {
                let read_condition = problems
                    .within("condition", &key.name, |problems| condition::parse(node, Place::Conditions, problems));
                // One that could not be read still has its name, so that its uses are not mistakes too.
                let stand_in = || Condition::And(Vec::new());
                read.conditions.push((key.clone(), read_condition.unwrap_or_else(stand_in)));
            }
        }
        "Resources" => {
            let found = members("resources", RESOURCES_MAX, node, problems);
            if found.is_empty() {
                problems
                    .add(node.at, Fault::Expected { expected: "at least one resource".into(), found: node.found() });
            }
            for (key, node) in found {
                let resource = problems.within("resource", &key.name, |problems| {
                    alphanumeric("logical id", key, problems);
                    resource(key, node, problems)
                });
                read.resources.extend(resource);
            }
        }
        "Outputs" => {
            for (key, node) in members("outputs", OUTPUTS_MAX, node, problems) {
                let output = problems.within("output", &key.name, |problems| {
                    alphanumeric("output name", key, problems);
                    output(key, node, problems)
                });
                read.outputs.extend(output);
            }
        }
        "Rules" => {
            for (key, node) in members("rules", RULES_MAX, node, problems) {
                let rule = problems.within("rule", &key.name, |problems| rule::parse(key, node, problems));
                read.rules.extend(rule.map(|rule| (key.clone(), rule)));
            }
        }
        "Transform" => problems.add(key.at, Fault::Unsupported(format!("the section {}", key.name))),
        name => {
            let known = problems.nearest(name, SECTIONS);
            problems.add(key.at, Fault::Unknown { what: "section", name: name.into(), known });
        }
    }
}

fn members<'a>(what: &'static str, limit: usize, node: &'a Node, problems: &mut Problems) -> &'a [(Key, Node)] {
    match &node.data {
        Data::Map(members) if members.len() > limit => {
            problems.add(node.at, Fault::Limit { what, limit, actual: members.len() });
            &[]
        }
        Data::Map(members) => members,
        // `Parameters:` with nothing below it.
        Data::Null => &[],
        _ => {
            problems.add(node.at, Fault::Expected { expected: format!("an object of {what}"), found: node.found() });
            &[]
        }
    }
}

fn alphanumeric(what: &'static str, key: &Key, problems: &mut Problems) {
    let name = &key.name;
    if name.is_empty() || name.len() > NAME_LENGTH_MAX || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        let rule = "1 to 255 letters and digits";
        problems.add(key.at, Fault::Name { what, name: super::tree::shown(name).trim_matches('"').into(), rule });
    }
}

fn description(node: &Node, problems: &mut Problems) -> Option<String> {
    match node.scalar() {
        Some(text) if text.len() > DESCRIPTION_BYTES_MAX => {
            let limit = DESCRIPTION_BYTES_MAX;
            problems.add(node.at, Fault::Limit { what: "bytes of the description", limit, actual: text.len() });
            None
        }
        Some(text) => Some(text),
        None => {
            problems.add(node.at, Fault::Expected { expected: "text for Description".into(), found: node.found() });
            None
        }
    }
}

fn mapping(node: &Node, problems: &mut Problems) -> BTreeMap<String, BTreeMap<String, Node>> {
    let mut read = BTreeMap::new();
    for (first, attributes) in members("keys", MAPPING_ATTRIBUTES_MAX, node, problems) {
        let mut values = BTreeMap::new();
        for (second, value) in members("attributes", MAPPING_ATTRIBUTES_MAX, attributes, problems) {
            match &value.data {
                Data::Map(_) | Data::Null => {
                    let expected = "text or a list".to_owned();
                    problems.add(value.at, Fault::Expected { expected, found: value.found() });
                }
                _ => {
                    values.insert(second.name.clone(), value.clone());
                }
            }
        }
        read.insert(first.name.clone(), values);
    }
    read
}

fn name_member(node: &Node, name: &str, problems: &mut Problems) -> Option<Key> {
    let member = node.member(name)?;
    match &member.data {
        Data::Text(text) => Some(Key { at: member.at, name: text.clone() }),
        _ => {
            problems.add(member.at, Fault::Expected { expected: format!("a name for {name}"), found: member.found() });
            None
        }
    }
}

fn resource(key: &Key, node: &Node, problems: &mut Problems) -> Option<ResourceDefinition> {
    let Data::Map(entries) = &node.data else {
        problems.add(node.at, Fault::Expected { expected: "an object with Type".into(), found: node.found() });
        return None;
    };
    for (member, _) in entries {
        match member.name.as_str() {
            "CreationPolicy" => problems.add(member.at, Fault::Unsupported("CreationPolicy".into())),
            name if !RESOURCE_MEMBERS.contains(&name) => {
                let known = problems.nearest(name, RESOURCE_MEMBERS);
                problems.add(member.at, Fault::Unknown { what: "member", name: name.into(), known });
            }
            _ => {}
        }
    }
    let properties = match node.member("Properties") {
        None => Vec::new(),
        Some(properties) => members("properties", usize::MAX, properties, problems)
            .iter()
            .map(|(name, value)| {
                let value = problems.within("property", &name.name, |problems| expression::parse(value, problems));
                (name.clone(), value)
            })
            .collect(),
    };
    let depends_on = match node.member("DependsOn").map(|names| (names, &names.data)) {
        None => Vec::new(),
        Some((names, Data::Text(name))) => vec![Key { at: names.at, name: name.clone() }],
        Some((_, Data::List(items))) if items.iter().all(|item| matches!(item.data, Data::Text(_))) => {
            items.iter().filter_map(|item| item.scalar().map(|name| Key { at: item.at, name })).collect()
        }
        Some((names, _)) => {
            let expected = "a logical id or a list of them for DependsOn".to_owned();
            problems.add(names.at, Fault::Expected { expected, found: names.found() });
            Vec::new()
        }
    };
    let condition = name_member(node, "Condition", problems);
    let deletion_policy = policy(node, "DeletionPolicy", problems);
    let replace_policy = policy(node, "UpdateReplacePolicy", problems);
    if node.member("Type").is_none() {
        let expected = "a resource type such as AWS::IVS::Channel".to_owned();
        problems.add(key.at, Fault::Missing { what: "member", name: "Type".into(), expected });
    }
    let resource_type = name_member(node, "Type", problems)?;
    Some(ResourceDefinition {
        logical_id: key.clone(),
        resource_type,
        properties,
        depends_on,
        condition,
        deletion_policy,
        replace_policy,
    })
}

fn policy(node: &Node, name: &str, problems: &mut Problems) -> DeletionPolicy {
    let Some(member) = node.member(name) else { return DeletionPolicy::Delete };
    match member.scalar().as_deref() {
        Some("Delete") => DeletionPolicy::Delete,
        Some("Retain") => DeletionPolicy::Retain,
        Some("RetainExceptOnCreate") if name == "DeletionPolicy" => DeletionPolicy::RetainExceptOnCreate,
        Some("Snapshot") => {
            problems.add(member.at, Fault::Unsupported(format!("{name} Snapshot")));
            DeletionPolicy::Delete
        }
        _ => {
            let expected = match name {
                "DeletionPolicy" => "Delete, Retain or RetainExceptOnCreate",
                _ => "Delete or Retain",
            };
            let expected = format!("{expected} for {name}");
            problems.add(member.at, Fault::Expected { expected, found: member.found() });
            DeletionPolicy::Delete
        }
    }
}

fn output(key: &Key, node: &Node, problems: &mut Problems) -> Option<OutputDefinition> {
    const MEMBERS: [&str; 4] = ["Value", "Description", "Condition", "Export"];
    let Data::Map(entries) = &node.data else {
        problems.add(node.at, Fault::Expected { expected: "an object with Value".into(), found: node.found() });
        return None;
    };
    for (member, _) in entries {
        if !MEMBERS.contains(&member.name.as_str()) {
            let known = problems.nearest(&member.name, MEMBERS);
            problems.add(member.at, Fault::Unknown { what: "member", name: member.name.clone(), known });
        }
    }
    let description = node.member("Description").and_then(|text| description(text, problems));
    let condition = name_member(node, "Condition", problems);
    let export = node.member("Export").and_then(|export| match export.member("Name") {
        Some(name) => Some(expression::parse(name, problems)),
        None => {
            let expected = "an object with Name for Export".to_owned();
            problems.add(export.at, Fault::Expected { expected, found: export.found() });
            None
        }
    });
    let Some(value) = node.member("Value") else {
        problems.add(key.at, Fault::Missing { what: "member", name: "Value".into(), expected: "text".into() });
        return None;
    };
    let value = expression::parse(value, problems);
    Some(OutputDefinition { key: key.clone(), value, description, condition, export })
}

/// Checks that every name which is used is the name of something.
fn names(read: &Template, problems: &mut Problems) {
    for resource in &read.resources {
        if let Some(parameter) = read.parameter(&resource.logical_id.name) {
            let name = parameter.key.name.clone();
            problems.add(resource.logical_id.at, Fault::Duplicate { name });
        }
        problems.within("resource", &resource.logical_id.name, |problems| {
            for name in &resource.depends_on {
                if read.resource(&name.name).is_none() {
                    let known = problems.nearest(&name.name, logical_ids(read));
                    problems.add(name.at, Fault::Unknown { what: "resource", name: name.name.clone(), known });
                }
            }
            condition_name(read, resource.condition.as_ref(), problems);
            for (name, value) in &resource.properties {
                problems.within("property", &name.name, |problems| expression_names(read, value, true, problems));
            }
        });
    }
    for output in &read.outputs {
        problems.within("output", &output.key.name, |problems| {
            condition_name(read, output.condition.as_ref(), problems);
            expression_names(read, &output.value, true, problems);
            if let Some(export) = &output.export {
                expression_names(read, export, true, problems);
            }
        });
    }
    for (key, condition) in &read.conditions {
        problems.within("condition", &key.name, |problems| {
            for name in condition.names() {
                condition_name(read, Some(name), problems);
            }
            for expression in condition.expressions() {
                expression_names(read, expression, false, problems);
            }
        });
    }
    for (key, rule) in &read.rules {
        problems.within("rule", &key.name, |problems| {
            for condition in rule.conditions() {
                for expression in condition.expressions() {
                    expression_names(read, expression, false, problems);
                }
            }
        });
    }
    condition_cycles(read, problems);
}

fn logical_ids(read: &Template) -> impl Iterator<Item = &str> {
    read.resources.iter().map(|resource| resource.logical_id.name.as_str())
}

fn condition_name(read: &Template, name: Option<&Key>, problems: &mut Problems) {
    let Some(name) = name else { return };
    if read.conditions.iter().all(|(key, _)| key.name != name.name) {
        let known = problems.nearest(&name.name, read.conditions.iter().map(|(key, _)| key.name.as_str()));
        problems.add(name.at, Fault::Unknown { what: "condition", name: name.name.clone(), known });
    }
}

fn expression_names(read: &Template, expression: &Expr, resources: bool, problems: &mut Problems) {
    for (at, reference) in expression.references() {
        let name = match &reference {
            Reference::Name(name) => name,
            Reference::Attribute { resource, .. } => resource,
        };
        let is_resource = read.resource(name).is_some();
        let is_value = matches!(reference, Reference::Name(_))
            && (read.parameter(name).is_some() || PSEUDO_PARAMETERS.contains(&name.as_str()));
        if is_value || (is_resource && resources) {
            continue;
        }
        if is_resource {
            let expected = "parameters only: conditions are decided before resources exist".to_owned();
            problems.add(at, Fault::Expected { expected, found: format!("the resource {name:?}") });
            continue;
        }
        let parameters = read.parameters.iter().map(|parameter| parameter.key.name.as_str());
        let (what, known) = match (&reference, resources) {
            (Reference::Attribute { .. }, _) => ("resource", problems.nearest(name, logical_ids(read))),
            (_, true) => ("parameter or resource", problems.nearest(name, logical_ids(read).chain(parameters))),
            (_, false) => ("parameter", problems.nearest(name, parameters)),
        };
        problems.add(at, Fault::Unknown { what, name: name.clone(), known });
    }
    expression.visit(&mut |inner| match &inner.form {
        Form::If { condition, .. } => {
            let key = Key { at: inner.at, name: condition.clone() };
            condition_name(read, Some(&key), problems);
        }
        Form::FindInMap { map, .. } => {
            if let Form::Text(name) = &map.form
                && !read.mappings.contains_key(name)
            {
                let known = problems.nearest(name, read.mappings.keys().map(String::as_str));
                problems.add(map.at, Fault::Unknown { what: "mapping", name: name.clone(), known });
            }
        }
        _ => {}
    });
}

fn condition_cycles(read: &Template, problems: &mut Problems) {
    let nodes: Vec<&str> = read.conditions.iter().map(|(key, _)| key.name.as_str()).collect();
    let edges: BTreeMap<&str, Vec<&str>> = read
        .conditions
        .iter()
        .map(|(key, condition)| {
            let names = condition.names().into_iter().map(|name| name.name.as_str()).collect();
            (key.name.as_str(), names)
        })
        .collect();
    if let Some(path) = crate::graph::find_cycle(&nodes, &edges) {
        let at = read.conditions.iter().find(|(key, _)| key.name == path[0]).map(|(key, _)| key.at);
        problems.add(at.unwrap_or_default(), Fault::Cycle { path });
    }
}
