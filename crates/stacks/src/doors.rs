//! A door for fuzzing: a template's whole way, without a store and without making anything.

use crate::engine::Blueprint;
use crate::provider::{Current, Made, Provider, ProviderError, Registry, Request, Updated};
use crate::resolve::Surroundings;
use crate::schema::{Kind, Property, Schema};
use crate::template::TemplateError;
use async_trait::async_trait;
use headwater_model::Realm;
use std::collections::BTreeMap;

/// Resources of every type, with properties of each kind.
struct Anything(Schema);

impl Anything {
    fn new() -> Self {
        let schema = Schema::new("AWS::*")
            .property(Property::new("Name", Kind::Text))
            .property(Property::new("Type", Kind::OneOf(&["BASIC", "STANDARD"])))
            .property(Property::new("Count", Kind::Integer { min: 1, max: 10 }))
            .property(Property::new("Authorized", Kind::Flag))
            .property(Property::new("Items", Kind::list(Kind::Text)))
            .property(Property::new("Tags", Kind::tags()))
            .property(Property::new("Variables", Kind::MapOf(Box::new(Kind::Text))));
        Anything(schema.attributes(&["Arn"]).open())
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

/// Reads a template, gives its parameters their defaults, checks it, plans it, and works out what can be; returns how many changes are planned.
///
/// # Errors
/// All its mistakes.
pub fn plan(text: &str) -> Result<usize, TemplateError> {
    let registry = Registry::new().with_prefix("AWS::", Anything::new()).with_prefix("Custom::", Anything::new());
    let surroundings = Surroundings {
        realm: Realm::default(),
        stack_id: "arn:aws:cloudformation:us-east-1:000000000000:stack/s/1".into(),
        stack_name: "s".into(),
        notification_arns: Vec::new(),
        stored: BTreeMap::from([("/stored".into(), "a,b".into())]),
    };
    let exports = BTreeMap::from([("exported".into(), "value".into())]);
    let blueprint = Blueprint::check(text, BTreeMap::new(), surroundings, exports, &registry)?;
    let nothing = BTreeMap::new();
    for definition in &blueprint.template.resources {
        let _ = blueprint.resolve(definition, &registry, &nothing);
        let _ = blueprint.shown(definition, &nothing);
    }
    let alone = |problem| TemplateError { problems: vec![problem] };
    Ok(blueprint.plan(&registry, &nothing).map_err(alone)?.changes.len())
}
