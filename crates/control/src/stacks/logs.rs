//! `AWS::Logs::LogGroup`.

use super::claims::{self, Found};
use super::given::{Given, failed, made};
use crate::{Control, Error, logs};
use async_trait::async_trait;
use headwater_model::Timestamp;
use headwater_stacks::schema::{Case, Kind, Property, Schema};
use headwater_stacks::{Current, Made, Provider, ProviderError, Request, Updated};

const GROUP: &str = "log group";

/// `AWS::Logs::LogGroup`.
pub struct LogGroupProvider {
    control: Control,
    schema: Schema,
}

impl LogGroupProvider {
    /// Works through a control.
    pub fn new(control: &Control) -> Self {
        let schema = Schema::new("AWS::Logs::LogGroup")
            .named("LogGroupName", 512, Case::Kept)
            .property(Property::new("LogGroupName", Kind::Text).replaces())
            .property(Property::new("RetentionInDays", Kind::Integer { min: 1, max: 3653 }))
            .property(Property::new("Tags", Kind::tags()))
            .attributes(&["Arn"]);
        LogGroupProvider { control: control.clone(), schema }
    }

    fn name(request: &Request) -> String {
        Given(&request.properties).text("LogGroupName").unwrap_or(&request.proposal).to_owned()
    }

    fn made(&self, name: &str) -> Made {
        made(name, &[("Arn", format!("{}:*", self.control.realm().log_group_arn(name)))])
    }
}

#[async_trait]
impl Provider for LogGroupProvider {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    async fn create(&self, request: Request) -> Result<Made, ProviderError> {
        let control = &self.control;
        let given = Given(&request.properties);
        let name = LogGroupProvider::name(&request);
        let exists = match logs::group(control, &name).await {
            Ok(_) => true,
            Err(Error::NotFound { .. }) => false,
            Err(error) => return Err(failed(error)),
        };
        let found = claims::claim(control, GROUP, &name, &request.token, exists).await.map_err(failed)?;
        if found == Found::Nothing {
            let tags = given.tags(&request.stack.tags);
            logs::create_group(control, &name, tags, Timestamp::now()).await.map_err(failed)?;
        }
        let retention = logs::set_retention(control, &name, given.number("RetentionInDays")).await;
        retention.map_err(|error| ProviderError::leaving(failed(error).message, name.clone()))?;
        Ok(self.made(&name))
    }

    async fn update(&self, request: Request, current: Current) -> Result<Updated, ProviderError> {
        let control = &self.control;
        let given = Given(&request.properties);
        let name = current.physical_id.unwrap_or_default();
        logs::set_retention(control, &name, given.number("RetentionInDays")).await.map_err(failed)?;
        let present = logs::group(control, &name).await.map_err(failed)?.tags;
        let wanted = given.tags(&request.stack.tags);
        let gone: Vec<String> = present.keys().filter(|key| !wanted.contains_key(*key)).cloned().collect();
        logs::untag_group(control, &name, &gone).await.map_err(failed)?;
        logs::tag_group(control, &name, wanted).await.map_err(failed)?;
        Ok(Updated::InPlace(self.made(&name)))
    }

    async fn delete(&self, request: Request, current: Current) -> Result<(), ProviderError> {
        let control = &self.control;
        let proposed = LogGroupProvider::name(&request);
        let Some(name) = claims::to_delete(control, GROUP, &proposed, &current).await.map_err(failed)? else {
            return Ok(());
        };
        match logs::delete_group(control, &name).await {
            Ok(()) | Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(failed(error)),
        }
        claims::release(control, GROUP, &name).await.map_err(failed)
    }
}
