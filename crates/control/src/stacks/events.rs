//! `AWS::Events::Rule`.

use super::claims;
use super::given::{Given, failed, made};
use crate::Control;
use crate::events::{self, Managed, PutRule};
use async_trait::async_trait;
use headwater_model::event::{Rule, RuleState, Target, TargetInput};
use headwater_stacks::schema::{Case, Kind, Property, Schema};
use headwater_stacks::{Current, Made, Provider, ProviderError, Request, Updated};
use std::collections::BTreeMap;

const RULE: &str = "rule";

/// `AWS::Events::Rule`.
pub struct RuleProvider {
    control: Control,
    schema: Schema,
}

impl RuleProvider {
    /// Works through a control.
    pub fn new(control: &Control) -> Self {
        let transformer = Kind::Object(vec![
            Property::new("InputPathsMap", Kind::MapOf(Box::new(Kind::Text))),
            Property::new("InputTemplate", Kind::Text).required(),
        ]);
        let retries = Kind::Object(vec![
            Property::new("MaximumRetryAttempts", Kind::Integer { min: 0, max: 185 }),
            Property::new("MaximumEventAgeInSeconds", Kind::Integer { min: 60, max: 86_400 }),
        ]);
        let target = Kind::Object(vec![
            Property::new("Id", Kind::Text).required(),
            Property::new("Arn", Kind::Text).required(),
            Property::new("Input", Kind::Text),
            Property::new("InputPath", Kind::Text),
            Property::new("InputTransformer", transformer),
            Property::new("RoleArn", Kind::Text),
            Property::new("RetryPolicy", retries),
            Property::new("DeadLetterConfig", Kind::Object(vec![Property::new("Arn", Kind::Text)])),
        ]);
        let states = &["ENABLED", "DISABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"];
        let schema = Schema::new("AWS::Events::Rule")
            .named("Name", 64, Case::Kept)
            .property(Property::new("Name", Kind::Text).replaces())
            .property(Property::new("EventBusName", Kind::Text).replaces())
            .property(Property::new("EventPattern", Kind::Json))
            .property(Property::new("ScheduleExpression", Kind::Text))
            .property(Property::new("State", Kind::OneOf(states)))
            .property(Property::new("Description", Kind::Text))
            .property(Property::new("RoleArn", Kind::Text))
            .property(Property::new("Targets", Kind::list(target)))
            .property(Property::new("Tags", Kind::tags()))
            .attributes(&["Arn"]);
        RuleProvider { control: control.clone(), schema }
    }

    fn name(request: &Request) -> String {
        Given(&request.properties).text("Name").unwrap_or(&request.proposal).to_owned()
    }

    async fn put(&self, name: &str, request: &Request) -> Result<Made, events::Error> {
        let control = &self.control;
        let given = Given(&request.properties);
        let pattern = given.value("EventPattern").map(|pattern| match pattern.as_str() {
            Some(text) => text.to_owned(),
            None => pattern.to_string(),
        });
        let put = PutRule {
            name: name.to_owned(),
            event_pattern: pattern,
            schedule_expression: given.owned("ScheduleExpression"),
            state: if given.text("State") == Some("DISABLED") { RuleState::Disabled } else { RuleState::Enabled },
            description: given.text("Description").unwrap_or_default().to_owned(),
            role_arn: given.owned("RoleArn"),
            tags: given.tags(&request.stack.tags),
            event_bus: given.owned("EventBusName"),
            managed_by: None,
        };
        let rule = events::put_rule(control, put).await?;
        let targets: Vec<Target> = given.list("Targets").iter().map(|given| target(Given(given))).collect();
        let gone: Vec<String> = rule
            .targets
            .iter()
            .filter(|old| targets.iter().all(|new| new.id != old.id))
            .map(|old| old.id.clone())
            .collect();
        if !gone.is_empty() {
            events::remove_targets(control, name, None, &gone, Managed::Refuse).await?;
        }
        if !targets.is_empty() {
            events::put_targets(control, name, None, targets, Managed::Refuse).await?;
        }
        Ok(made(name, &[("Arn", rule.arn)]))
    }
}

fn target(given: Given<'_>) -> Target {
    let input = match (given.text("Input"), given.text("InputPath"), given.inner("InputTransformer")) {
        (Some(constant), _, _) => TargetInput::Constant(constant.to_owned()),
        (None, Some(path), _) => TargetInput::Path(path.to_owned()),
        (None, None, Some(transformer)) => {
            let paths = transformer.value("InputPathsMap").and_then(|paths| paths.as_object());
            let paths: BTreeMap<String, String> = paths
                .into_iter()
                .flatten()
                .map(|(name, path)| (name.clone(), path.as_str().unwrap_or_default().to_owned()))
                .collect();
            TargetInput::Transformer { paths, template: transformer.required("InputTemplate").to_owned() }
        }
        (None, None, None) => TargetInput::Event,
    };
    let retries = given.inner("RetryPolicy");
    Target {
        input,
        retry_attempts_max: retries.and_then(|retries| retries.number("MaximumRetryAttempts")),
        event_age_s_max: retries.and_then(|retries| retries.number("MaximumEventAgeInSeconds")),
        role_arn: given.owned("RoleArn"),
        dead_letter_arn: given.inner("DeadLetterConfig").and_then(|config| config.owned("Arn")),
        ..Target::new(given.required("Id"), given.required("Arn"))
    }
}

#[async_trait]
impl Provider for RuleProvider {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    async fn create(&self, request: Request) -> Result<Made, ProviderError> {
        let name = RuleProvider::name(&request);
        let control = &self.control;
        let standing = headwater_store::find::<Rule>(control.store(), &name).await.map_err(failed)?;
        claims::claim(control, RULE, &name, &request.token, standing.is_some()).await.map_err(failed)?;
        let put = self.put(&name, &request).await;
        put.map_err(|error| ProviderError::leaving(failed(error).message, name))
    }

    async fn update(&self, request: Request, current: Current) -> Result<Updated, ProviderError> {
        let name = current.physical_id.unwrap_or_default();
        Ok(Updated::InPlace(self.put(&name, &request).await.map_err(failed)?))
    }

    async fn delete(&self, request: Request, current: Current) -> Result<(), ProviderError> {
        let control = &self.control;
        let proposed = RuleProvider::name(&request);
        let Some(name) = claims::to_delete(control, RULE, &proposed, &current).await.map_err(failed)? else {
            return Ok(());
        };
        if let Some(rule) = headwater_store::find::<Rule>(control.store(), &name).await.map_err(failed)? {
            let ids: Vec<String> = rule.targets.into_iter().map(|target| target.id).collect();
            if !ids.is_empty() {
                events::remove_targets(control, &name, None, &ids, Managed::Refuse).await.map_err(failed)?;
            }
            events::delete_rule(control, &name, None, Managed::Refuse).await.map_err(failed)?;
        }
        claims::release(control, RULE, &name).await.map_err(failed)
    }
}
