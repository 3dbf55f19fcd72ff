//! EventBridge's shapes to and from the domain's.

use crate::{Input, ServiceError};
use headwater_control::events::{Entry, FailedEntry, default_bus_arn};
use headwater_model::event::{Rule, RuleState, Target, TargetInput};
use headwater_model::{Realm, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub(super) fn state(text: &str) -> Result<RuleState, ServiceError> {
    serde_json::from_value(Value::from(text)).map_err(|_| {
        ServiceError::validation("State must be ENABLED, DISABLED or ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS")
    })
}

/// `Tags`, a list of pairs.
pub(super) fn tags(input: &Input) -> Result<BTreeMap<String, String>, ServiceError> {
    let pair = |tag: &Input| Ok((tag.required("Key")?.to_owned(), tag.required("Value")?.to_owned()));
    input.structures("Tags")?.iter().map(pair).collect()
}

/// Shape `Rule`.
pub(super) fn listed_rule(rule: &Rule) -> Value {
    let mut members = Map::new();
    members.insert("Name".into(), rule.name.as_str().into());
    members.insert("Arn".into(), rule.arn.as_str().into());
    if let Some(pattern) = &rule.event_pattern {
        members.insert("EventPattern".into(), pattern.to_string().into());
    }
    members.insert("State".into(), json!(rule.state));
    if !rule.description.is_empty() {
        members.insert("Description".into(), rule.description.as_str().into());
    }
    if let Some(role_arn) = &rule.role_arn {
        members.insert("RoleArn".into(), role_arn.as_str().into());
    }
    if let Some(managed_by) = &rule.managed_by {
        members.insert("ManagedBy".into(), managed_by.as_str().into());
    }
    members.insert("EventBusName".into(), "default".into());
    Value::Object(members)
}

/// Output of `DescribeRule`.
pub(super) fn described_rule(rule: &Rule, realm: &Realm) -> Value {
    let mut members = listed_rule(rule);
    members["CreatedBy"] = realm.account.as_str().into();
    members
}

pub(super) fn target(input: &Input) -> Result<Target, ServiceError> {
    let id = input.required("Id")?;
    let mut target = Target::new(id, input.required("Arn")?);
    target.input = match (input.text("Input")?, input.text("InputPath")?, input.structure("InputTransformer")?) {
        (None, None, None) => TargetInput::Event,
        (Some(text), None, None) => TargetInput::Constant(text.into()),
        (None, Some(path), None) => TargetInput::Path(path.into()),
        (None, None, Some(transformer)) => TargetInput::Transformer {
            paths: transformer.text_map("InputPathsMap")?.unwrap_or_default(),
            template: transformer.required("InputTemplate")?.into(),
        },
        _ => {
            return Err(ServiceError::validation(format!(
                "Only one of Input, InputPath, or InputTransformer must be provided for target {id}."
            )));
        }
    };
    if let Some(policy) = input.structure("RetryPolicy")? {
        // What does not fit is out of range anyway, and refused as such.
        let number = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
        target.retry_attempts_max = policy.integer("MaximumRetryAttempts")?.map(number);
        target.event_age_s_max = policy.integer("MaximumEventAgeInSeconds")?.map(number);
    }
    if let Some(config) = input.structure("DeadLetterConfig")? {
        target.dead_letter_arn = config.text("Arn")?.map(Into::into);
    }
    target.role_arn = input.text("RoleArn")?.map(Into::into);
    Ok(target)
}

pub(super) fn described_target(target: &Target) -> Value {
    let mut members = Map::new();
    members.insert("Id".into(), target.id.as_str().into());
    members.insert("Arn".into(), target.arn.as_str().into());
    if let Some(role_arn) = &target.role_arn {
        members.insert("RoleArn".into(), role_arn.as_str().into());
    }
    match &target.input {
        TargetInput::Event => {}
        TargetInput::Constant(text) => drop(members.insert("Input".into(), text.as_str().into())),
        TargetInput::Path(path) => drop(members.insert("InputPath".into(), path.as_str().into())),
        TargetInput::Transformer { paths, template } => {
            let transformer = json!({"InputPathsMap": paths, "InputTemplate": template});
            members.insert("InputTransformer".into(), transformer);
        }
    }
    let mut policy = Map::new();
    if let Some(attempts) = target.retry_attempts_max {
        policy.insert("MaximumRetryAttempts".into(), attempts.into());
    }
    if let Some(age) = target.event_age_s_max {
        policy.insert("MaximumEventAgeInSeconds".into(), age.into());
    }
    if !policy.is_empty() {
        members.insert("RetryPolicy".into(), policy.into());
    }
    if let Some(arn) = &target.dead_letter_arn {
        members.insert("DeadLetterConfig".into(), json!({"Arn": arn}));
    }
    Value::Object(members)
}

pub(super) fn failed_entry(failed: &FailedEntry) -> Value {
    json!({"TargetId": failed.target_id, "ErrorCode": failed.code, "ErrorMessage": failed.message})
}

/// `EventBus`, and the output of `DescribeEventBus`.
pub(super) fn default_bus(realm: &Realm) -> Value {
    json!({"Name": "default", "Arn": default_bus_arn(realm)})
}

pub(super) fn entry(input: &Input) -> Result<Entry, ServiceError> {
    Ok(Entry {
        time: input.value("Time").map(time).transpose()?,
        source: input.text("Source")?.map(Into::into),
        detail_type: input.text("DetailType")?.map(Into::into),
        detail: input.text("Detail")?.map(Into::into),
        resources: input.texts("Resources")?,
        event_bus: input.text("EventBusName")?.map(Into::into),
    })
}

/// JSON 1.1 writes times as seconds since the epoch, with or without a fraction.
fn time(value: &Value) -> Result<Timestamp, ServiceError> {
    /// The year 9999 ends; beyond it no time can be written.
    const SECONDS_MAX: f64 = 253_402_300_799.0;
    match value.as_f64() {
        #[expect(clippy::cast_possible_truncation, reason = "bounded just before")]
        Some(seconds) if (0.0..=SECONDS_MAX).contains(&seconds) => Ok(Timestamp((seconds * 1_000.0).round() as i64)),
        _ => Err(ServiceError::validation("Time must be a number of seconds since 1970")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step is a failing test")]
    use super::*;

    fn input(value: Value) -> Input {
        Input(value.as_object().unwrap().clone())
    }

    #[test]
    fn a_target_comes_back_as_it_was_put() {
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
        let targets = [
            json!({"Id": "a", "Arn": arn}),
            json!({"Id": "a", "Arn": arn, "RoleArn": "arn:role", "Input": "{\"a\":1}"}),
            json!({"Id": "a", "Arn": arn, "InputPath": "$.detail", "RetryPolicy": {"MaximumRetryAttempts": 0}}),
            json!({"Id": "a", "Arn": arn,
                   "InputTransformer": {"InputPathsMap": {"x": "$.id"}, "InputTemplate": "<x>"},
                   "RetryPolicy": {"MaximumRetryAttempts": 5, "MaximumEventAgeInSeconds": 60},
                   "DeadLetterConfig": {"Arn": "arn:queue"}}),
        ];
        for value in targets {
            assert_eq!(described_target(&target(&input(value.clone())).unwrap()), value);
        }
    }

    #[test]
    fn a_target_with_two_inputs_is_refused() {
        let both = input(json!({"Id": "a", "Arn": "arn", "Input": "1", "InputPath": "$"}));
        let error = target(&both).unwrap_err();
        assert_eq!((error.code.as_ref(), error.status.as_u16()), ("ValidationException", 400));
        let negative = input(json!({"Id": "a", "Arn": "arn", "RetryPolicy": {"MaximumRetryAttempts": -1}}));
        assert_eq!(target(&negative).unwrap().retry_attempts_max, Some(u32::MAX));
    }

    #[test]
    fn a_rule_is_told_with_the_members_of_its_shapes() {
        let realm = Realm::default();
        let mut rule: Rule = serde_json::from_value(json!({
            "name": "r", "arn": "arn:r", "event_pattern": {"source": ["aws.ivs"]}, "state": "DISABLED",
        }))
        .unwrap();
        let listed = json!({"Name": "r", "Arn": "arn:r", "EventPattern": "{\"source\":[\"aws.ivs\"]}",
                            "State": "DISABLED", "EventBusName": "default"});
        assert_eq!(listed_rule(&rule), listed);
        rule.description = "d".into();
        rule.role_arn = Some("arn:role".into());
        rule.managed_by = Some("stack".into());
        let mut described = listed;
        for (name, value) in [("Description", "d"), ("RoleArn", "arn:role"), ("ManagedBy", "stack")] {
            described[name] = value.into();
        }
        described["CreatedBy"] = "000000000000".into();
        assert_eq!(described_rule(&rule, &realm), described);
    }

    #[test]
    fn times_are_seconds() {
        let at = |time: Value| entry(&input(json!({"Time": time}))).map(|entry| entry.time);
        assert_eq!(at(json!(1_795_498_182.5)).unwrap(), Some(Timestamp(1_795_498_182_500)));
        assert_eq!(at(json!(1_795_498_182)).unwrap(), Some(Timestamp(1_795_498_182_000)));
        assert_eq!(at(Value::Null).unwrap(), None);
        for wrong in [json!(-1), json!(1e300), json!("2026-11-24T05:29:42Z")] {
            assert!(at(wrong).is_err());
        }
    }

    #[test]
    fn states_have_their_names() {
        assert_eq!(state("ENABLED").unwrap(), RuleState::Enabled);
        let cloud_trail = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS";
        assert_eq!(json!(state(cloud_trail).unwrap()), json!(cloud_trail));
        assert!(state("enabled").is_err());
    }
}
