//! A template bound to values and checked: what the engine builds from.

use crate::check::{Checked, Planned, active, check, resolve, shown};
use crate::parameters::{Show, bind, values};
use crate::plan::{Action, Basis, Plan, attribute, kept_name, reference};
use crate::provider::Registry;
use crate::resolve::{
    Lookup, NoResources, Outcome, Resources, Scope, Surroundings, Work, broken_rules, conditions, scalar,
};
use crate::schema::Acknowledge;
use crate::state::{Argument, Output, Resource};
use crate::template::problem::Problems;
use crate::template::{Fault, Problem, ResourceDefinition, Template, TemplateError};
use headwater_model::Secret;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A template that may be applied, with its values.
pub(crate) struct Blueprint {
    pub(crate) template: Template,
    pub(crate) arguments: BTreeMap<String, Argument>,
    pub(crate) checked: Checked,
    surroundings: Surroundings,
    values: BTreeMap<String, Value>,
    conditions: BTreeMap<String, bool>,
    exports: BTreeMap<String, String>,
}

/// Resources as they are now; only those that the scope's resource needs are asked for, and they are done.
struct Standing<'a> {
    resources: &'a BTreeMap<String, Resource>,
    active: BTreeSet<String>,
}

impl Resources for Standing<'_> {
    fn reference(&self, logical_id: &str) -> Lookup {
        self.lookup(logical_id, reference)
    }
    fn attribute(&self, logical_id: &str, name: &str) -> Lookup {
        self.lookup(logical_id, |generation| attribute(generation, name))
    }
}

impl Standing<'_> {
    fn lookup(&self, logical_id: &str, ask: impl Fn(&crate::state::Generation) -> Lookup) -> Lookup {
        if !self.active.contains(logical_id) {
            return Lookup::Absent;
        }
        self.resources.get(logical_id).and_then(|resource| resource.live.as_ref()).map_or(Lookup::Later, ask)
    }
}

impl Blueprint {
    /// Reads, binds and checks; all mistakes are told.
    pub(crate) fn check(
        text: &str,
        given: BTreeMap<String, String>,
        surroundings: Surroundings,
        exports: BTreeMap<String, String>,
        registry: &Registry,
    ) -> Result<Blueprint, TemplateError> {
        let (template, mut problems) = Template::read(text)?;
        let arguments = bind(&template, &given, &surroundings.stored, &mut problems);
        let values = values(&template, &arguments, &surroundings.stored, Show::Everything);
        let conditions = match conditions(&template, &surroundings, &values, &exports) {
            Ok(conditions) => conditions,
            Err((at, fault)) => {
                // Without decided conditions the rest would be guesses.
                problems.add(at, fault);
                return Err(problems.into_error());
            }
        };
        let checked = {
            let work = &Work::default();
            let scope = |resources| Scope {
                template: &template,
                surroundings: &surroundings,
                arguments: &values,
                conditions: &conditions,
                exports: &exports,
                resources,
                work,
            };
            match broken_rules(&scope(&NoResources)) {
                Ok(broken) => broken.into_iter().for_each(|(at, fault)| problems.add(at, fault)),
                Err((at, fault)) => problems.add(at, fault),
            }
            let active = active(&template, &scope(&NoResources));
            check(&template, registry, &scope(&Planned { active: &active }), &mut problems)
        };
        let blueprint = Blueprint { template, arguments, checked, surroundings, values, conditions, exports };
        problems.finish(blueprint)
    }

    fn with_scope<T>(
        &self,
        resources: &BTreeMap<String, Resource>,
        arguments: &BTreeMap<String, Value>,
        ask: impl FnOnce(&Scope<'_>) -> T,
    ) -> T {
        let planned = Scope {
            template: &self.template,
            surroundings: &self.surroundings,
            arguments,
            conditions: &self.conditions,
            exports: &self.exports,
            resources: &NoResources,
            work: &Work::default(),
        };
        let standing = Standing { resources, active: active(&self.template, &planned) };
        ask(&Scope { resources: &standing, ..planned })
    }

    /// A resource's properties with the values of the resources that stand now.
    pub(crate) fn resolve(
        &self,
        definition: &ResourceDefinition,
        registry: &Registry,
        resources: &BTreeMap<String, Resource>,
    ) -> Result<crate::check::Resolved, Problem> {
        let Some(provider) = registry.find(&definition.resource_type.name) else {
            let name = definition.resource_type.name.clone();
            let fault = Fault::Unknown { what: "resource type", name, known: Vec::new() };
            return Err(Problem { at: Some(definition.resource_type.at), path: Vec::new(), fault });
        };
        self.with_scope(resources, &self.values, |scope| resolve(provider.schema(), definition, scope))
    }

    /// A resource's properties as JSON text for events, with `NoEcho` parameters masked.
    pub(crate) fn shown(&self, definition: &ResourceDefinition, resources: &BTreeMap<String, Resource>) -> String {
        let masked = values(&self.template, &self.arguments, &self.surroundings.stored, Show::Masked);
        self.with_scope(resources, &masked, |scope| shown(definition, scope))
    }

    /// The outputs with the values of the resources that stand now.
    pub(crate) fn outputs(&self, resources: &BTreeMap<String, Resource>) -> Result<Vec<Output>, Problem> {
        self.with_scope(resources, &self.values, |scope| {
            let mut outputs = Vec::new();
            for definition in &self.template.outputs {
                if !scope.holds(definition.condition.as_ref().map(|key| key.name.as_str())) {
                    continue;
                }
                let path = vec![format!("output {:?}", definition.key.name)];
                let text = |expr: &crate::template::Expr| {
                    let problem = |fault| Problem { at: Some(expr.at), path: path.clone(), fault };
                    let unknown = || Fault::Expected { expected: "text".into(), found: "no value".into() };
                    match scope.evaluate(expr) {
                        Ok(Outcome::Value(value)) => scalar(&value).ok_or_else(|| problem(unknown())),
                        Ok(_) => Err(problem(unknown())),
                        Err((at, fault)) => Err(Problem { at: Some(at), path: path.clone(), fault }),
                    }
                };
                outputs.push(Output {
                    key: definition.key.name.clone(),
                    value: Secret::new(text(&definition.value)?),
                    description: definition.description.clone(),
                    export: definition.export.as_ref().map(text).transpose()?,
                });
            }
            Ok(outputs)
        })
    }

    /// What would change.
    pub(crate) fn plan(&self, registry: &Registry, existing: &BTreeMap<String, Resource>) -> Result<Plan, Problem> {
        let basis = Basis {
            template: &self.template,
            surroundings: &self.surroundings,
            arguments: &self.values,
            conditions: &self.conditions,
            exports: &self.exports,
            graph: &self.checked.graph,
        };
        Plan::make(&basis, registry, existing)
    }

    /// A resource with a name of its own cannot be replaced while the former one still has that name.
    pub(crate) fn refuse_named_replacements(
        &self,
        registry: &Registry,
        existing: &BTreeMap<String, Resource>,
        plan: &Plan,
    ) -> Result<(), TemplateError> {
        let mut problems = Problems::default();
        for change in plan
            .changes
            .iter()
            .filter(|change| change.action == Action::Replace && change.certainty == crate::plan::Certainty::Certain)
        {
            let definition = self.template.resource(&change.logical_id);
            let provider = definition.and_then(|definition| registry.find(&definition.resource_type.name));
            let live = existing.get(&change.logical_id).and_then(|resource| resource.live.as_ref());
            let (Some(definition), Some(provider), Some(live)) = (definition, provider, live) else { continue };
            if live.resource_type != definition.resource_type.name {
                continue;
            }
            let new = match self.resolve(definition, registry, existing) {
                Ok(crate::check::Resolved::Known(new) | crate::check::Resolved::Partly(new, _)) => new,
                Err(_) => continue,
            };
            if let Some(name) = kept_name(provider.schema(), &live.properties.0, &new) {
                problems.within("resource", &change.logical_id, |problems| {
                    problems.add(definition.logical_id.at, Fault::NamedReplacement { name });
                });
            }
        }
        problems.finish(())
    }
}

/// Capabilities that a template needs if all its conditions hold, and the logical ids that need them.
pub(crate) fn capabilities(template: &Template, registry: &Registry) -> (Vec<&'static str>, Vec<String>) {
    let mut named = false;
    let mut ids = Vec::new();
    for resource in &template.resources {
        let Some(provider) = registry.find(&resource.resource_type.name) else { continue };
        let schema = provider.schema();
        if schema.acknowledge == Acknowledge::Iam {
            ids.push(resource.logical_id.name.clone());
            let has = |name| resource.properties.iter().any(|(key, _)| key.name == name);
            named |= schema.naming.property.is_some_and(has);
        }
    }
    match (ids.is_empty(), named) {
        (true, _) => (Vec::new(), ids),
        (false, false) => (vec!["CAPABILITY_IAM"], ids),
        (false, true) => (vec!["CAPABILITY_NAMED_IAM"], ids),
    }
}
