//! `AWS::SSM::Parameter`.

use super::claims::{self, Found};
use super::given::{Given, failed, made};
use crate::ssm::{self, Put};
use crate::{Control, Error};
use async_trait::async_trait;
use headwater_model::Timestamp;
use headwater_model::ssm::{Kind as ParameterKind, Parameter};
use headwater_stacks::schema::{Case, Kind, Property, Schema};
use headwater_stacks::{Current, Made, Provider, ProviderError, Request, Updated};
use std::collections::BTreeMap;

const PARAMETER: &str = "parameter";

/// `AWS::SSM::Parameter`.
pub struct ParameterProvider {
    control: Control,
    schema: Schema,
}

impl ParameterProvider {
    /// Works through a control.
    pub fn new(control: &Control) -> Self {
        let schema = Schema::new("AWS::SSM::Parameter")
            .named("Name", 1_011, Case::Kept)
            .property(Property::new("Name", Kind::Text).replaces())
            .property(Property::new("Type", Kind::OneOf(&["String", "StringList"])).required())
            .property(Property::new("Value", Kind::Text).required())
            .property(Property::new("Description", Kind::Text))
            .property(Property::new("Tier", Kind::OneOf(&["Standard", "Intelligent-Tiering"])))
            .property(Property::new("DataType", Kind::OneOf(&["text"])))
            .property(Property::new("Tags", Kind::MapOf(Box::new(Kind::Text))))
            .attributes(&["Type", "Value"]);
        ParameterProvider { control: control.clone(), schema }
    }

    fn name(request: &Request) -> String {
        Given(&request.properties).text("Name").unwrap_or(&request.proposal).to_owned()
    }
}

/// What the template says, over a parameter that is there already.
fn wanted(request: &Request, name: &str) -> Put {
    let given = Given(&request.properties);
    Put {
        name: name.to_owned(),
        kind: given.text("Type").and_then(ParameterKind::named),
        value: given.required("Value").to_owned(),
        description: Some(given.text("Description").unwrap_or_default().to_owned()),
        tags: tags(request),
        overwrite: true,
    }
}

/// This type takes its tags as an object.
fn tags(request: &Request) -> BTreeMap<String, String> {
    let mut tags = request.stack.tags.clone();
    if let Some(given) = Given(&request.properties).value("Tags").and_then(|tags| tags.as_object()) {
        tags.extend(given.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))));
    }
    tags
}

fn made_of(parameter: &Parameter) -> Made {
    let attributes = [("Type", parameter.kind.as_str().to_owned()), ("Value", parameter.value.expose().to_owned())];
    made(parameter.name.clone(), &attributes)
}

#[async_trait]
impl Provider for ParameterProvider {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    async fn create(&self, request: Request) -> Result<Made, ProviderError> {
        let control = &self.control;
        let name = ParameterProvider::name(&request);
        let standing = ssm::find(control, &name).await.map_err(failed)?;
        let found = claims::claim(control, PARAMETER, &name, &request.token, standing.is_some()).await;
        if let (Found::Own, Some(standing)) = (found.map_err(failed)?, standing) {
            return Ok(made_of(&standing));
        }
        Ok(made_of(&ssm::put(control, wanted(&request, &name), Timestamp::now()).await.map_err(failed)?))
    }

    async fn update(&self, request: Request, current: Current) -> Result<Updated, ProviderError> {
        let control = &self.control;
        let name = current.physical_id.unwrap_or_default();
        let changed = ssm::put(control, wanted(&request, &name), Timestamp::now()).await.map_err(failed)?;
        let wanted = tags(&request);
        let gone: Vec<String> = changed.tags.keys().filter(|key| !wanted.contains_key(*key)).cloned().collect();
        ssm::retag(control, &name, &gone, &wanted).await.map_err(failed)?;
        Ok(Updated::InPlace(made_of(&changed)))
    }

    async fn delete(&self, request: Request, current: Current) -> Result<(), ProviderError> {
        let control = &self.control;
        let proposed = ParameterProvider::name(&request);
        let Some(name) = claims::to_delete(control, PARAMETER, &proposed, &current).await.map_err(failed)? else {
            return Ok(());
        };
        match ssm::delete(control, &name).await {
            Ok(()) | Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(failed(error)),
        }
        claims::release(control, PARAMETER, &name).await.map_err(failed)
    }
}
