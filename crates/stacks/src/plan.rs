//! What an update would change.

use crate::check::{Resolved, resolve};
use crate::graph::Graph;
use crate::provider::Registry;
use crate::resolve::{Lookup, Resources, Scope, Surroundings, Work};
use crate::schema::{Change, Extra, Schema};
use crate::state::{Generation, Resource};
use crate::template::{Problem, Template};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What would happen to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// It would be made.
    Add,
    /// It would be changed where it stands.
    Modify,
    /// Another one would take its place.
    Replace,
    /// It would be deleted.
    Remove,
}

/// Whether a change is sure before it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Certainty {
    /// It is.
    Certain,
    /// It depends on values of resources that are changed before it.
    Conditional,
}

/// One resource that would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedChange {
    /// What would happen.
    pub action: Action,
    /// Its name in the template.
    pub logical_id: String,
    /// Its type.
    pub resource_type: String,
    /// Its id, if it exists.
    pub physical_id: Option<String>,
    /// Names of the properties that differ.
    pub properties: Vec<String>,
    /// Whether it is sure.
    pub certainty: Certainty,
}

/// What would change, in the order of doing: additions and changes, then removals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Resources that would change; the others are left out.
    pub changes: Vec<PlannedChange>,
}

/// How new properties differ from those that a resource was made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    Same,
    InPlace(Vec<String>),
    Replace(Vec<String>),
}

pub(crate) fn difference(schema: &Schema, old: &Value, new: &Map<String, Value>) -> Difference {
    let empty = Map::new();
    let old = old.as_object().unwrap_or(&empty);
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changed: Vec<String> = names.into_iter().filter(|name| old.get(*name) != new.get(*name)).cloned().collect();
    if changed.is_empty() {
        Difference::Same
    } else if changed.iter().any(|name| replaces(schema, name)) {
        Difference::Replace(changed)
    } else {
        Difference::InPlace(changed)
    }
}

fn replaces(schema: &Schema, name: &str) -> bool {
    match schema.find(name) {
        Some(property) => property.change == Change::Replace,
        None => schema.extra == Extra::Refused,
    }
}

/// The name of its own that a resource would keep although it is replaced, if so.
pub(crate) fn kept_name(schema: &Schema, old: &Value, new: &Map<String, Value>) -> Option<String> {
    let name = new.get(schema.naming.property?)?;
    (old.get(schema.naming.property?) == Some(name)).then(|| name.as_str().unwrap_or_default().to_owned())
}

/// Resources as they will be: those that are replaced or new are not there yet.
struct Foreseen<'a> {
    existing: &'a BTreeMap<String, Resource>,
    later: BTreeSet<String>,
    active: BTreeSet<String>,
}

impl Foreseen<'_> {
    fn live(&self, logical_id: &str) -> Result<&Generation, Lookup> {
        if !self.active.contains(logical_id) {
            return Err(Lookup::Absent);
        }
        if self.later.contains(logical_id) {
            return Err(Lookup::Later);
        }
        self.existing.get(logical_id).and_then(|resource| resource.live.as_ref()).ok_or(Lookup::Later)
    }
}

impl Resources for Foreseen<'_> {
    fn reference(&self, logical_id: &str) -> Lookup {
        match self.live(logical_id) {
            Ok(generation) => reference(generation),
            Err(lookup) => lookup,
        }
    }
    fn attribute(&self, logical_id: &str, name: &str) -> Lookup {
        match self.live(logical_id) {
            Ok(generation) => attribute(generation, name),
            Err(lookup) => lookup,
        }
    }
}

/// What `Ref` gives of something that was made.
pub(crate) fn reference(generation: &Generation) -> Lookup {
    match &generation.physical_id {
        Some(id) => Lookup::Known(Value::String(id.clone())),
        None => Lookup::Later,
    }
}

/// What `Fn::GetAtt` gives of something that was made; a dotted name also walks into objects.
pub(crate) fn attribute(generation: &Generation, name: &str) -> Lookup {
    let attributes = &generation.attributes.0;
    if let Some(value) = attributes.get(name) {
        return Lookup::Known(value.clone());
    }
    let mut parts = name.split('.');
    let mut value = parts.next().and_then(|first| attributes.get(first));
    for part in parts {
        value = value.and_then(|value| value.get(part));
    }
    value.map_or(Lookup::NoAttribute, |value| Lookup::Known(value.clone()))
}

/// What a plan is made from.
pub(crate) struct Basis<'a> {
    pub(crate) template: &'a Template,
    pub(crate) surroundings: &'a Surroundings,
    pub(crate) arguments: &'a BTreeMap<String, Value>,
    pub(crate) conditions: &'a BTreeMap<String, bool>,
    pub(crate) exports: &'a BTreeMap<String, String>,
    pub(crate) graph: &'a Graph,
}

impl Plan {
    /// Compares a checked template with what exists.
    pub(crate) fn make(
        basis: &Basis<'_>,
        registry: &Registry,
        existing: &BTreeMap<String, Resource>,
    ) -> Result<Plan, Problem> {
        let order = basis.graph.order().unwrap_or_default();
        let mut foreseen = Foreseen { existing, later: BTreeSet::new(), active: order.iter().cloned().collect() };
        let mut plan = Plan::default();
        let work = &Work::default();
        for logical_id in &order {
            let Some(definition) = basis.template.resource(logical_id) else { continue };
            let Some(provider) = registry.find(&definition.resource_type.name) else { continue };
            let schema = provider.schema();
            let resolved = {
                let scope = Scope {
                    template: basis.template,
                    surroundings: basis.surroundings,
                    arguments: basis.arguments,
                    conditions: basis.conditions,
                    exports: basis.exports,
                    resources: &foreseen,
                    work,
                };
                resolve(schema, definition, &scope)
            };
            let resolved = resolved.map_err(|mut problem| {
                problem.path.insert(0, format!("resource {logical_id:?}"));
                problem
            })?;
            let live = existing.get(logical_id).and_then(|resource| resource.live.as_ref());
            let Some(live) = live.filter(|live| live.physical_id.is_some()) else {
                foreseen.later.insert(logical_id.clone());
                plan.changes.push(PlannedChange {
                    action: Action::Add,
                    logical_id: logical_id.clone(),
                    resource_type: definition.resource_type.name.clone(),
                    physical_id: None,
                    properties: Vec::new(),
                    certainty: Certainty::Certain,
                });
                continue;
            };
            let change = compare(schema, definition.resource_type.name.as_str(), live, resolved);
            let Some((action, properties, certainty)) = change else {
                if live.deletion_policy != definition.deletion_policy
                    || live.replace_policy != definition.replace_policy
                {
                    plan.changes.push(planned(Action::Modify, logical_id, live, Vec::new(), Certainty::Certain));
                }
                continue;
            };
            if action == Action::Replace {
                foreseen.later.insert(logical_id.clone());
            }
            plan.changes.push(planned(action, logical_id, live, properties, certainty));
        }
        for (logical_id, resource) in existing {
            if let Some(live) = resource.live.as_ref().filter(|_| !foreseen.active.contains(logical_id)) {
                plan.changes.push(planned(Action::Remove, logical_id, live, Vec::new(), Certainty::Certain));
            }
        }
        Ok(plan)
    }
}

fn planned(
    action: Action,
    logical_id: &str,
    live: &Generation,
    properties: Vec<String>,
    certainty: Certainty,
) -> PlannedChange {
    PlannedChange {
        action,
        logical_id: logical_id.to_owned(),
        resource_type: live.resource_type.clone(),
        physical_id: live.physical_id.clone(),
        properties,
        certainty,
    }
}

fn compare(
    schema: &Schema,
    resource_type: &str,
    live: &Generation,
    resolved: Resolved,
) -> Option<(Action, Vec<String>, Certainty)> {
    if live.resource_type != resource_type {
        return Some((Action::Replace, Vec::new(), Certainty::Certain));
    }
    let (new, unknown) = match resolved {
        Resolved::Known(new) => (new, Vec::new()),
        Resolved::Partly(mut new, unknown) => {
            // Unknown ones are compared as if they stayed, and told as such.
            for name in &unknown {
                if let Some(old) = live.properties.0.get(name) {
                    new.insert(name.clone(), old.clone());
                }
            }
            (new, unknown)
        }
    };
    match (difference(schema, &live.properties.0, &new), unknown.is_empty()) {
        (Difference::Same, true) => None,
        (Difference::Replace(changed), _) => Some((Action::Replace, changed, Certainty::Certain)),
        (Difference::InPlace(changed), true) => Some((Action::Modify, changed, Certainty::Certain)),
        (difference, false) => {
            let mut changed = match difference {
                Difference::InPlace(changed) => changed,
                _ => Vec::new(),
            };
            let action =
                if unknown.iter().any(|name| replaces(schema, name)) { Action::Replace } else { Action::Modify };
            changed.extend(unknown);
            Some((action, changed, Certainty::Conditional))
        }
    }
}
