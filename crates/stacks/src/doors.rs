//! Doors for fuzzing: a template's whole way, to a first plan and to updates of what stands, without a store and without making anything.

use crate::check::Resolved;
use crate::engine::{Blueprint, capabilities};
use crate::plan::{Action, Difference, Plan, difference, kept_name};
use crate::provider::{Current, Made, Provider, ProviderError, Registry, Request, Updated};
use crate::resolve::Surroundings;
use crate::schema::{Case, Kind, Property, Schema};
use crate::state::{Concealed, Generation, Resource, ResourceStatus};
use crate::template::{Fault, Problem, TemplateError};
use async_trait::async_trait;
use headwater_model::{Realm, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Resources of every type, with properties of each kind.
struct Anything(Schema);

impl Anything {
    fn new() -> Self {
        let schema = Schema::new("AWS::*")
            .property(Property::new("Name", Kind::Text))
            .property(Property::new("Type", Kind::OneOf(&["BASIC", "STANDARD"])).replaces())
            .property(Property::new("Count", Kind::Integer { min: 1, max: 10 }))
            .property(Property::new("Authorized", Kind::Flag))
            .property(Property::new("Items", Kind::list(Kind::Text)))
            .property(Property::new("Tags", Kind::tags()))
            .property(Property::new("Variables", Kind::MapOf(Box::new(Kind::Text))));
        Anything(schema.attributes(&["Arn"]).named("Name", 64, Case::Kept))
    }

    /// Any attribute may be asked for, any property said.
    fn open() -> Self {
        Anything(Anything::new().0.open())
    }

    /// Nothing else may be asked for or said, and its use is to be acknowledged.
    fn closed() -> Self {
        let document = Property::new("Document", Kind::Json).replaces();
        Anything(Anything::new().0.property(document).needs_iam())
    }
}

#[async_trait]
impl Provider for Anything {
    fn schema(&self) -> &Schema {
        &self.0
    }

    async fn create(&self, _: Request) -> Result<Made, ProviderError> {
        Err(ProviderError::new("nothing is made here"))
    }

    async fn update(&self, _: Request, _: Current) -> Result<Updated, ProviderError> {
        Err(ProviderError::new("nothing is made here"))
    }

    async fn delete(&self, _: Request, _: Current) -> Result<(), ProviderError> {
        Ok(())
    }
}

fn registry() -> Registry {
    Registry::new().with_prefix("AWS::", Anything::open()).with_prefix("Custom::", Anything::closed())
}

fn checked(text: &str, given: BTreeMap<String, String>, registry: &Registry) -> Result<Blueprint, TemplateError> {
    let surroundings = Surroundings {
        realm: Realm::default(),
        stack_id: "arn:aws:cloudformation:us-east-1:000000000000:stack/s/1".into(),
        stack_name: "s".into(),
        notification_arns: Vec::new(),
        stored: BTreeMap::from([("/stored".into(), "a,b".into())]),
    };
    let exports = BTreeMap::from([("exported".into(), "value".into())]);
    Blueprint::check(text, given, surroundings, exports, registry)
}

fn alone(problem: Problem) -> TemplateError {
    TemplateError { problems: vec![problem] }
}

/// Reads a template, gives its parameters their defaults, checks it, plans it, and works out what can be; returns how many changes are planned.
///
/// # Errors
/// All its mistakes.
pub fn plan(text: &str) -> Result<usize, TemplateError> {
    let registry = registry();
    let blueprint = checked(text, BTreeMap::new(), &registry)?;
    let nothing = BTreeMap::new();
    for definition in &blueprint.template.resources {
        let _ = blueprint.resolve(definition, &registry, &nothing);
        let _ = blueprint.shown(definition, &nothing);
    }
    let (asked, ids) = capabilities(&blueprint.template, &registry);
    assert_eq!(asked.is_empty(), ids.is_empty());
    Ok(blueprint.plan(&registry, &nothing).map_err(alone)?.changes.len())
}

/// A template with what its parameters are given, by name.
#[derive(Clone, Debug, Default)]
pub struct Version<'a> {
    /// Its text.
    pub template: &'a str,
    /// Values of parameters.
    pub given: BTreeMap<String, String>,
}

/// What an update came to.
#[derive(Clone, Debug)]
pub struct Update {
    /// What was planned for the former version over what it had made.
    pub same: Plan,
    /// What was planned for the next version over that.
    pub planned: Plan,
    /// What making the next version did, by logical id.
    pub done: BTreeMap<String, Action>,
    /// What was planned for the next version over what it had made.
    pub after: Plan,
}

/// Makes what a template describes, plans and makes an update of it, all in memory.
///
/// # Errors
/// All mistakes of the version that has the first, and what the engine would fail at.
pub fn update(former: &Version<'_>, next: &Version<'_>) -> Result<Update, TemplateError> {
    let registry = registry();
    let mut standing = BTreeMap::new();
    let made = checked(former.template, former.given.clone(), &registry)?;
    make(&made, &registry, &mut standing)?;
    let same = made.plan(&registry, &standing).map_err(alone)?;

    let wanted = checked(next.template, next.given.clone(), &registry)?;
    let planned = wanted.plan(&registry, &standing).map_err(alone)?;
    wanted.refuse_named_replacements(&registry, &standing, &planned)?;
    let done = make(&wanted, &registry, &mut standing)?;
    let after = wanted.plan(&registry, &standing).map_err(alone)?;
    Ok(Update { same, planned, done, after })
}

/// Makes and changes as the engine does in its forward phase and its clean-up, with made-up ids; says what was done.
fn make(
    blueprint: &Blueprint,
    registry: &Registry,
    standing: &mut BTreeMap<String, Resource>,
) -> Result<BTreeMap<String, Action>, TemplateError> {
    let mut done = BTreeMap::new();
    let order = blueprint.checked.graph.order().unwrap_or_default();
    for logical_id in &order {
        let Some(definition) = blueprint.template.resource(logical_id) else { continue };
        let Some(provider) = registry.find(&definition.resource_type.name) else { continue };
        let _ = blueprint.shown(definition, standing);
        let properties = match blueprint.resolve(definition, registry, standing).map_err(alone)? {
            Resolved::Known(properties) => properties,
            Resolved::Partly(_, unknown) => panic!("{logical_id} is made after what it needs, and has no {unknown:?}"),
        };
        let resource_type = &definition.resource_type.name;
        let live = standing.get(logical_id).and_then(|resource| resource.live.as_ref());
        let action = match live {
            None => Some(Action::Add),
            Some(live) if live.resource_type != *resource_type => Some(Action::Replace),
            Some(live) => match difference(provider.schema(), &live.properties.0, &properties) {
                Difference::Same => None,
                Difference::InPlace(_) => Some(Action::Modify),
                Difference::Replace(_) => {
                    if let Some(name) = kept_name(provider.schema(), &live.properties.0, &properties) {
                        let fault = Fault::NamedReplacement { name };
                        return Err(alone(Problem { at: Some(definition.logical_id.at), path: Vec::new(), fault }));
                    }
                    Some(Action::Replace)
                }
            },
        };
        let mut generation = match (action, live) {
            (None | Some(Action::Modify), Some(live)) => live.clone(),
            (_, live) => generation(logical_id, live),
        };
        generation.resource_type.clone_from(resource_type);
        generation.properties = Concealed(Value::Object(properties));
        generation.depends_on = blueprint.checked.graph.needs(logical_id).map(str::to_owned).collect();
        let policies = (definition.deletion_policy, definition.replace_policy);
        let kept = (generation.deletion_policy, generation.replace_policy) == policies;
        (generation.deletion_policy, generation.replace_policy) = policies;
        if let Some(action) = action.or((!kept).then_some(Action::Modify)) {
            done.insert(logical_id.clone(), action);
        }
        standing.insert(logical_id.clone(), resource(logical_id, generation));
    }
    standing.retain(|logical_id, _| {
        let stays = order.contains(logical_id);
        if !stays {
            done.insert(logical_id.clone(), Action::Remove);
        }
        stays
    });
    let _ = blueprint.outputs(standing).map_err(alone)?;
    Ok(done)
}

/// Something new in the place of something else, or of nothing.
fn generation(logical_id: &str, former: Option<&Generation>) -> Generation {
    let token = format!("{}+", former.map_or("", |former| &former.token));
    let physical_id = format!("{logical_id}{token}");
    let mut attributes = Map::new();
    attributes.insert("Arn".into(), json!(format!("arn:{physical_id}")));
    attributes.insert("Whole".into(), json!({"Part": [physical_id]}));
    Generation {
        resource_type: String::new(),
        physical_id: Some(physical_id),
        attributes: Concealed(attributes),
        properties: Concealed(Value::Null),
        proposal: logical_id.to_owned(),
        token,
        depends_on: Vec::new(),
        deletion_policy: Default::default(),
        replace_policy: Default::default(),
    }
}

fn resource(logical_id: &str, generation: Generation) -> Resource {
    Resource {
        stack_id: "arn:aws:cloudformation:us-east-1:000000000000:stack/s/1".into(),
        logical_id: logical_id.to_owned(),
        resource_type: generation.resource_type.clone(),
        status: ResourceStatus::CreateComplete,
        status_reason: None,
        physical_id: generation.physical_id.clone(),
        updated_at: Timestamp(0),
        live: Some(generation),
        former: None,
        retired: Vec::new(),
        intent: None,
        touch: None,
        operation: "o".into(),
    }
}
