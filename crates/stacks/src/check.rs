//! A template against schemas and values, before anything is made.

use crate::graph::Graph;
use crate::provider::Registry;
use crate::resolve::{Lookup, Mistake, Outcome, Resources, Scope, scalar};
use crate::schema::{Acknowledge, Extra, Kind, Presence, Property, Schema};
use crate::template::problem::{Problems, nearest};
use crate::template::{Expr, Fault, Form, Position, Problem, Reference, ResourceDefinition, Template};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// A template that may be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Resources whose conditions hold, and what each needs.
    pub graph: Graph,
    /// Capabilities that must be acknowledged; empty, `CAPABILITY_IAM` or `CAPABILITY_NAMED_IAM`.
    pub capabilities: Vec<&'static str>,
    /// Logical ids that need them.
    pub acknowledged: Vec<String>,
    /// Exports that are imported.
    pub imports: Vec<String>,
}

/// Resources before they are made: those whose condition holds come later, the others never.
pub(crate) struct Planned<'a> {
    pub(crate) active: &'a BTreeSet<String>,
}

impl Resources for Planned<'_> {
    fn reference(&self, logical_id: &str) -> Lookup {
        if self.active.contains(logical_id) { Lookup::Later } else { Lookup::Absent }
    }
    fn attribute(&self, logical_id: &str, _: &str) -> Lookup {
        self.reference(logical_id)
    }
}

/// Logical ids whose conditions hold.
pub(crate) fn active(template: &Template, scope: &Scope<'_>) -> BTreeSet<String> {
    let holds = |resource: &&ResourceDefinition| scope.holds(resource.condition.as_ref().map(|key| key.name.as_str()));
    template.resources.iter().filter(holds).map(|resource| resource.logical_id.name.clone()).collect()
}

/// Checks types, properties, attributes, values and the graph. Mistakes are added to `problems`.
pub(crate) fn check(template: &Template, registry: &Registry, scope: &Scope<'_>, problems: &mut Problems) -> Checked {
    let active = active(template, scope);
    let mut imports = BTreeSet::new();
    let mut acknowledged = Vec::new();
    let mut named = false;
    let mut graph = Graph::new();
    for resource in &template.resources {
        let logical_id = &resource.logical_id.name;
        problems.within("resource", logical_id, |problems| {
            let Some(provider) = registry.find(&resource.resource_type.name) else {
                let name = resource.resource_type.name.clone();
                let types = registry.types();
                let known = problems.nearest(&name, types.iter().map(String::as_str));
                let fault = Fault::Unknown { what: "resource type", name, known };
                problems.add(resource.resource_type.at, fault);
                return;
            };
            attributes(
                template,
                registry,
                resource.properties.iter().map(|(key, value)| (Some(&*key.name), value)),
                problems,
            );
            if !active.contains(logical_id) {
                return;
            }
            let schema = provider.schema();
            properties(schema, resource, scope, problems);
            if schema.acknowledge == Acknowledge::Iam {
                acknowledged.push(logical_id.clone());
                named |= schema
                    .naming
                    .property
                    .is_some_and(|name| resource.properties.iter().any(|(key, _)| key.name == name));
            }
        });
        if active.contains(logical_id) {
            let mut needs = dependencies(resource, scope);
            needs.retain(|needed| active.contains(needed));
            graph.add(logical_id.clone(), needs);
            for (_, value) in &resource.properties {
                collect_imports(value, scope, &mut imports);
            }
        }
    }
    for output in &template.outputs {
        problems.within("output", &output.key.name, |problems| {
            let values = [Some(&output.value), output.export.as_ref()];
            attributes(template, registry, values.into_iter().flatten().map(|value| (None, value)), problems);
            if !scope.holds(output.condition.as_ref().map(|key| key.name.as_str())) {
                return;
            }
            for value in values.into_iter().flatten() {
                collect_imports(value, scope, &mut imports);
                match scope.evaluate(value) {
                    Err((at, fault)) => problems.add(at, fault),
                    Ok(Outcome::Value(found)) if scalar(&found).is_none() => {
                        problems
                            .add(value.at, Fault::Expected { expected: "text".into(), found: found_in_words(&found) });
                    }
                    Ok(_) => {}
                }
            }
        });
    }
    if let Some(path) = graph.cycle() {
        let at = template.resource(&path[0]).map(|resource| resource.logical_id.at);
        problems.add(at.unwrap_or_default(), Fault::Cycle { path });
    }
    let capabilities = match (acknowledged.is_empty(), named) {
        (true, _) => vec![],
        (false, false) => vec!["CAPABILITY_IAM"],
        (false, true) => vec!["CAPABILITY_NAMED_IAM"],
    };
    Checked { graph, capabilities, acknowledged, imports: imports.into_iter().collect() }
}

/// What a resource needs: by `DependsOn`, `Ref`, `Fn::GetAtt` and `Fn::Sub`, in the branches of `Fn::If` that count.
pub(crate) fn dependencies(resource: &ResourceDefinition, scope: &Scope<'_>) -> BTreeSet<String> {
    let mut needs: BTreeSet<String> = resource.depends_on.iter().map(|key| key.name.clone()).collect();
    for (_, value) in &resource.properties {
        let counting = counting(value, scope);
        for (_, reference) in counting.references() {
            match reference {
                Reference::Name(name) if scope.template.resource(&name).is_none() => {}
                Reference::Name(name) | Reference::Attribute { resource: name, .. } => {
                    needs.insert(name);
                }
            }
        }
    }
    needs
}

/// The expression without the branches that do not count.
fn counting(expr: &Expr, scope: &Scope<'_>) -> Expr {
    let mut kept = expr.clone();
    prune(&mut kept, scope);
    kept
}

fn prune(expr: &mut Expr, scope: &Scope<'_>) {
    while let Form::If { condition, then, otherwise } = &expr.form {
        let chosen = scope.branch(condition, then, otherwise).clone();
        *expr = chosen;
    }
    match &mut expr.form {
        Form::List(items) => items.iter_mut().for_each(|item| prune(item, scope)),
        Form::Map(members) | Form::Sub { variables: members, .. } => {
            members.iter_mut().for_each(|(_, value)| prune(value, scope));
        }
        Form::Join { items: inner, .. }
        | Form::Split { text: inner, .. }
        | Form::Base64(inner)
        | Form::Length(inner)
        | Form::ToJsonString(inner)
        | Form::ImportValue(inner)
        | Form::GetAzs(inner) => prune(inner, scope),
        Form::Select { index, items } => {
            prune(index, scope);
            prune(items, scope);
        }
        Form::FindInMap { map, first, second } => {
            prune(map, scope);
            prune(first, scope);
            prune(second, scope);
        }
        _ => {}
    }
}

fn collect_imports(expr: &Expr, scope: &Scope<'_>, imports: &mut BTreeSet<String>) {
    counting(expr, scope).visit(&mut |inner| {
        if let Form::ImportValue(name) = &inner.form
            && let Ok(Outcome::Value(Value::String(name))) = scope.evaluate(name)
        {
            imports.insert(name);
        }
    });
}

fn attributes<'a>(
    template: &Template,
    registry: &Registry,
    values: impl Iterator<Item = (Option<&'a str>, &'a Expr)>,
    problems: &mut Problems,
) {
    for (property, value) in values {
        for (at, reference) in value.references() {
            let Reference::Attribute { resource, attribute } = reference else { continue };
            let Some(definition) = template.resource(&resource) else { continue };
            let Some(provider) = registry.find(&definition.resource_type.name) else { continue };
            let schema = provider.schema();
            if schema.has_attribute(&attribute) {
                continue;
            }
            let known = match &schema.attributes {
                crate::schema::Attributes::Known(names) => problems.nearest(&attribute, names.iter().copied()),
                crate::schema::Attributes::Any => Vec::new(),
            };
            let name = format!("{resource}.{attribute}");
            let fault = Fault::Unknown { what: "attribute", name, known };
            match property {
                Some(property) => problems.within("property", property, |problems| problems.add(at, fault)),
                None => problems.add(at, fault),
            }
        }
    }
}

fn properties(schema: &Schema, resource: &ResourceDefinition, scope: &Scope<'_>, problems: &mut Problems) {
    let mut given = BTreeSet::new();
    for (key, value) in &resource.properties {
        match schema.find(&key.name) {
            Some(property) => {
                if fits(&property.kind, value, scope, &key.name, problems) == Given::Yes {
                    given.insert(property.name);
                }
            }
            None if schema.extra == Extra::Welcome => {
                fits(&Kind::Json, value, scope, &key.name, problems);
            }
            None => {
                let known = problems.nearest(&key.name, schema.properties.iter().map(|property| property.name));
                problems.add(key.at, Fault::Unknown { what: "property", name: key.name.clone(), known });
            }
        }
    }
    missing(&schema.properties, &given, resource.logical_id.at, "", problems);
}

fn missing(expected: &[Property], given: &BTreeSet<&str>, at: Position, path: &str, problems: &mut Problems) {
    for property in expected {
        if property.presence == Presence::Required && !given.contains(property.name) {
            let name = format!("{path}{}", property.name);
            problems.add(at, Fault::Missing { what: "property", name, expected: property.kind.expected() });
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Given {
    Yes,
    /// `AWS::NoValue`.
    No,
}

/// Checks a value, as far as it is known, against what a property takes.
fn fits(kind: &Kind, value: &Expr, scope: &Scope<'_>, path: &str, problems: &mut Problems) -> Given {
    let report = |problems: &mut Problems, at: Position, fault: Fault| {
        problems.within("property", path, |problems| problems.add(at, fault));
    };
    match (&value.form, kind) {
        (Form::If { condition, then, otherwise }, _) => {
            fits(kind, scope.branch(condition, then, otherwise), scope, path, problems)
        }
        (Form::List(items), Kind::List(inner)) => {
            for (index, item) in items.iter().enumerate() {
                fits(inner, item, scope, &format!("{path}.{index}"), problems);
            }
            Given::Yes
        }
        (Form::Map(members), Kind::MapOf(inner)) => {
            for (key, member) in members {
                fits(inner, member, scope, &format!("{path}.{}", key.name), problems);
            }
            Given::Yes
        }
        (Form::Map(members), Kind::Object(expected)) => {
            let mut given = BTreeSet::new();
            for (key, member) in members {
                match expected.iter().find(|property| property.name == key.name) {
                    Some(property) => {
                        let inner = format!("{path}.{}", key.name);
                        if fits(&property.kind, member, scope, &inner, problems) == Given::Yes {
                            given.insert(property.name);
                        }
                    }
                    None => {
                        let known = problems.nearest(&key.name, expected.iter().map(|property| property.name));
                        report(problems, key.at, Fault::Unknown { what: "property", name: key.name.clone(), known });
                    }
                }
            }
            missing(expected, &given, value.at, &format!("{path}."), problems);
            Given::Yes
        }
        _ => match scope.evaluate(value) {
            Ok(Outcome::Nothing) => Given::No,
            Ok(Outcome::Unknown) => Given::Yes,
            Ok(Outcome::Value(known)) => {
                if let Err(mismatch) = coerce(kind, known) {
                    let path = format!("{path}{}", mismatch.path);
                    problems.within("property", &path, |problems| problems.add(value.at, mismatch.fault));
                }
                Given::Yes
            }
            Err((at, fault)) => {
                report(problems, at, fault);
                Given::Yes
            }
        },
    }
}

/// A value that a property does not take.
pub(crate) struct Mismatch {
    /// Within the property, with leading dots.
    path: String,
    fault: Fault,
}

fn found_in_words(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => crate::template::tree::shown(text),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
    }
}

/// Turns a value into the kind that a property takes.
pub(crate) fn coerce(kind: &Kind, value: Value) -> Result<Value, Mismatch> {
    let wrong = |value: &Value| {
        let (expected, found) = (kind.expected(), found_in_words(value));
        Mismatch { path: String::new(), fault: Fault::Expected { expected, found } }
    };
    let below = |name: &str, mut mismatch: Mismatch| {
        mismatch.path = format!(".{name}{}", mismatch.path);
        mismatch
    };
    match kind {
        Kind::Json => Ok(value),
        Kind::Text => scalar(&value).map(Value::String).ok_or_else(|| wrong(&value)),
        Kind::OneOf(allowed) => match scalar(&value) {
            Some(text) if allowed.contains(&text.as_str()) => Ok(Value::String(text)),
            _ => Err(wrong(&value)),
        },
        Kind::Integer { min, max } => {
            let number = scalar(&value).and_then(|text| text.parse::<i64>().ok());
            match number.filter(|number| (min..=max).contains(&number)) {
                Some(number) => Ok(number.into()),
                None => Err(wrong(&value)),
            }
        }
        Kind::Flag => match scalar(&value).map(|text| text.to_ascii_lowercase()).as_deref() {
            Some("true") => Ok(true.into()),
            Some("false") => Ok(false.into()),
            _ => Err(wrong(&value)),
        },
        Kind::List(inner) => match value {
            Value::Array(items) => {
                let convert = |(index, item)| coerce(inner, item).map_err(|m| below(&format!("{index}"), m));
                items.into_iter().enumerate().map(convert).collect::<Result<Vec<_>, _>>().map(Value::Array)
            }
            other => Err(wrong(&other)),
        },
        Kind::MapOf(inner) => match value {
            Value::Object(members) => {
                let mut converted = Map::new();
                for (name, member) in members {
                    let member = coerce(inner, member).map_err(|m| below(&name, m))?;
                    converted.insert(name, member);
                }
                Ok(Value::Object(converted))
            }
            other => Err(wrong(&other)),
        },
        Kind::Object(expected) => match value {
            Value::Object(members) => object(expected, members),
            other => Err(wrong(&other)),
        },
    }
}

fn object(expected: &[Property], members: Map<String, Value>) -> Result<Value, Mismatch> {
    let mut converted = Map::new();
    for (name, member) in members {
        let Some(property) = expected.iter().find(|property| property.name == name) else {
            let known = nearest(&name, expected.iter().map(|property| property.name));
            let fault = Fault::Unknown { what: "property", name, known };
            return Err(Mismatch { path: String::new(), fault });
        };
        let member = coerce(&property.kind, member)
            .map_err(|mismatch| Mismatch { path: format!(".{name}{}", mismatch.path), fault: mismatch.fault })?;
        converted.insert(name, member);
    }
    for property in expected {
        if property.presence == Presence::Required && !converted.contains_key(property.name) {
            let (name, expected) = (property.name.to_owned(), property.kind.expected());
            return Err(Mismatch { path: String::new(), fault: Fault::Missing { what: "property", name, expected } });
        }
    }
    Ok(Value::Object(converted))
}

/// A resource's properties with their values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Resolved {
    /// All are known.
    Known(Map<String, Value>),
    /// Some depend on resources that are not there yet: the known ones and the names of the others.
    Partly(Map<String, Value>, Vec<String>),
}

/// Works a resource's properties out and turns them into the kinds that its schema wants.
pub(crate) fn resolve(schema: &Schema, resource: &ResourceDefinition, scope: &Scope<'_>) -> Result<Resolved, Problem> {
    let problem =
        |(at, fault): Mistake, path: &str| Problem { at: Some(at), path: vec![format!("property {path:?}")], fault };
    let mut known = Map::new();
    let mut unknown = Vec::new();
    for (key, expr) in &resource.properties {
        match scope.evaluate(expr).map_err(|mistake| problem(mistake, &key.name))? {
            Outcome::Nothing => {}
            Outcome::Unknown => unknown.push(key.name.clone()),
            Outcome::Value(value) => {
                let kind = schema.find(&key.name).map_or(&Kind::Json, |property| &property.kind);
                let value =
                    coerce(kind, value).map_err(|m| problem((expr.at, m.fault), &format!("{}{}", key.name, m.path)))?;
                known.insert(key.name.clone(), value);
            }
        }
    }
    Ok(if unknown.is_empty() { Resolved::Known(known) } else { Resolved::Partly(known, unknown) })
}

/// A resource's properties as JSON text for people: secrets masked by the scope, unknown ones left out.
pub(crate) fn shown(resource: &ResourceDefinition, scope: &Scope<'_>) -> String {
    let mut object = Map::new();
    for (key, expr) in &resource.properties {
        if let Ok(Outcome::Value(value)) = scope.evaluate(expr) {
            object.insert(key.name.clone(), value);
        }
    }
    Value::Object(object).to_string()
}
