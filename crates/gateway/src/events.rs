//! EventBridge: `events` 2015-10-07, JSON 1.1.
//!
//! There is one bus, `default`, and no schedules, archives, pipes or API destinations.

mod wire;

use crate::{Access, Call, Gateway, Input, Reply, ServiceError};
use ::http::StatusCode;
use headwater_control::events::{self, Error, Managed, Page, PageRequest, PutEventsError, PutRule};
use headwater_control::{Control, Error as ControlError};
use headwater_model::Realm;
use headwater_model::event::RuleState;
use serde_json::{Map, Value, json};

/// The rule that the operation is about, the bus for `PutEvents`, or what is tagged.
pub(crate) fn access(realm: &Realm, operation: &str, input: &Input) -> Option<Access> {
    let member = |name: &str| input.0.get(name).and_then(Value::as_str);
    let resource = match operation {
        "PutRule" | "DescribeRule" | "DeleteRule" | "EnableRule" | "DisableRule" => realm.rule_arn(member("Name")?),
        "PutTargets" | "RemoveTargets" | "ListTargetsByRule" => realm.rule_arn(member("Rule")?),
        "PutEvents" | "DescribeEventBus" => events::default_bus_arn(realm),
        "TagResource" | "UntagResource" | "ListTagsForResource" => member("ResourceARN")?.to_owned(),
        _ => return None,
    };
    Some(Access { action: format!("events:{operation}"), resource })
}

/// Answers one operation.
///
/// # Errors
/// As the service model says.
pub async fn call(gateway: &Gateway, call: Call) -> Result<Reply, ServiceError> {
    answer(gateway.control(), call).await
}

async fn answer(control: &Control, call: Call) -> Result<Reply, ServiceError> {
    let input = &call.input;
    match call.operation.as_str() {
        "PutRule" => put_rule(control, input).await,
        "DescribeRule" => {
            let rule = events::describe_rule(control, input.required("Name")?, bus(input)?).await.map_err(worded)?;
            Ok(members(wire::described_rule(&rule, control.realm())))
        }
        "DeleteRule" => {
            let (name, managed) = (input.required("Name")?, managed(input)?);
            events::delete_rule(control, name, bus(input)?, managed).await.map_err(worded)?;
            Ok(Reply::Empty(StatusCode::OK))
        }
        "EnableRule" => set_state(control, input, RuleState::Enabled).await,
        "DisableRule" => set_state(control, input, RuleState::Disabled).await,
        "ListRules" => {
            let (prefix, page) = (input.text("NamePrefix")?, page(input)?);
            let rules = events::list_rules(control, prefix, bus(input)?, &page).await.map_err(worded)?;
            Ok(paged("Rules", rules, |rule| wire::listed_rule(&rule)))
        }
        "PutTargets" => {
            let rule = input.required("Rule")?;
            let targets = input.structures("Targets")?.iter().map(wire::target).collect::<Result<_, _>>()?;
            events::put_targets(control, rule, bus(input)?, targets, Managed::Refuse).await.map_err(worded)?;
            Ok(members(json!({"FailedEntryCount": 0, "FailedEntries": []})))
        }
        "RemoveTargets" => {
            let (rule, ids, managed) = (input.required("Rule")?, input.texts("Ids")?, managed(input)?);
            let failed = events::remove_targets(control, rule, bus(input)?, &ids, managed).await.map_err(worded)?;
            let entries: Vec<Value> = failed.iter().map(wire::failed_entry).collect();
            Ok(members(json!({"FailedEntryCount": entries.len(), "FailedEntries": entries})))
        }
        "ListTargetsByRule" => {
            let (rule, page) = (input.required("Rule")?, page(input)?);
            let targets = events::list_targets_by_rule(control, rule, bus(input)?, &page).await.map_err(worded)?;
            Ok(paged("Targets", targets, |target| wire::described_target(&target)))
        }
        "ListRuleNamesByTarget" => {
            let (arn, page) = (input.required("TargetArn")?, page(input)?);
            let names = events::list_rule_names_by_target(control, arn, bus(input)?, &page).await.map_err(worded)?;
            Ok(paged("RuleNames", names, Value::from))
        }
        "PutEvents" => put_events(control, &call).await,
        "TestEventPattern" => {
            let (pattern, event) = (input.required("EventPattern")?, input.required("Event")?);
            let result = events::test_event_pattern(pattern, event).map_err(worded)?;
            Ok(members(json!({"Result": result})))
        }
        "DescribeEventBus" => {
            events::check_bus(control, input.text("Name")?).map_err(worded)?;
            Ok(members(wire::default_bus(control.realm())))
        }
        "ListEventBuses" => {
            let shown = input.text("NamePrefix")?.is_none_or(|prefix| "default".starts_with(prefix));
            let buses: Vec<Value> = shown.then(|| wire::default_bus(control.realm())).into_iter().collect();
            Ok(members(json!({"EventBuses": buses})))
        }
        "TagResource" => {
            let (arn, tags) = (input.required("ResourceARN")?, wire::tags(input)?);
            events::tag(control, arn, tags).await.map_err(worded)?;
            Ok(Reply::none())
        }
        "UntagResource" => {
            let (arn, keys) = (input.required("ResourceARN")?, input.texts("TagKeys")?);
            events::untag(control, arn, &keys).await.map_err(worded)?;
            Ok(Reply::none())
        }
        "ListTagsForResource" => {
            let tags = events::tags(control, input.required("ResourceARN")?).await.map_err(worded)?;
            let tags: Vec<Value> = tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
            Ok(members(json!({"Tags": tags})))
        }
        operation => Err(ServiceError::unknown_operation(operation)),
    }
}

async fn put_rule(control: &Control, input: &Input) -> Result<Reply, ServiceError> {
    let put = PutRule {
        name: input.required("Name")?.into(),
        event_pattern: input.text("EventPattern")?.map(Into::into),
        schedule_expression: input.text("ScheduleExpression")?.map(Into::into),
        state: input.text("State")?.map_or(Ok(RuleState::Enabled), wire::state)?,
        description: input.text("Description")?.unwrap_or_default().into(),
        role_arn: input.text("RoleArn")?.map(Into::into),
        tags: wire::tags(input)?,
        event_bus: bus(input)?.map(Into::into),
        managed_by: None,
    };
    let rule = events::put_rule(control, put).await.map_err(worded)?;
    Ok(members(json!({"RuleArn": rule.arn})))
}

async fn set_state(control: &Control, input: &Input, state: RuleState) -> Result<Reply, ServiceError> {
    events::set_state(control, input.required("Name")?, bus(input)?, state).await.map_err(worded)?;
    Ok(Reply::Empty(StatusCode::OK))
}

async fn put_events(control: &Control, call: &Call) -> Result<Reply, ServiceError> {
    let entries = call.input.structures("Entries")?.iter().map(wire::entry).collect::<Result<_, _>>()?;
    let results = events::put_events(control, entries, call.now).await.map_err(|error| match error {
        PutEventsError::Store(_) => internal(&error),
        refused => ServiceError::validation(refused.to_string()),
    })?;
    let failed = results.iter().filter(|result| result.is_err()).count();
    let entries: Vec<Value> = results
        .iter()
        .map(|result| match result {
            Ok(id) => json!({"EventId": id}),
            Err(error) => json!({"ErrorCode": error.code(), "ErrorMessage": error.to_string()}),
        })
        .collect();
    Ok(members(json!({"FailedEntryCount": failed, "Entries": entries})))
}

fn bus(input: &Input) -> Result<Option<&str>, ServiceError> {
    input.text("EventBusName")
}

fn managed(input: &Input) -> Result<Managed, ServiceError> {
    Ok(if input.boolean("Force")? == Some(true) { Managed::Allow } else { Managed::Refuse })
}

fn page(input: &Input) -> Result<PageRequest, ServiceError> {
    let limit = input.integer("Limit")?.map(|limit| u32::try_from(limit).unwrap_or(0));
    Ok(PageRequest { next_token: input.text("NextToken")?.map(Into::into), limit })
}

fn members(members: Value) -> Reply {
    Reply::Members(members)
}

fn paged<T>(name: &str, page: Page<T>, item: impl FnMut(T) -> Value) -> Reply {
    let mut members = Map::new();
    members.insert(name.into(), page.items.into_iter().map(item).collect());
    if let Some(token) = page.next_token {
        members.insert("NextToken".into(), token.into());
    }
    Reply::Members(Value::Object(members))
}

/// EventBridge's names; JSON 1.1 knows no other status for a caller's mistake than 400.
fn worded(error: Error) -> ServiceError {
    let code = match &error {
        Error::InvalidEventPattern(_) => "InvalidEventPatternException",
        Error::RuleMissing { .. } | Error::BusMissing { .. } | Error::ResourceMissing { .. } => {
            "ResourceNotFoundException"
        }
        Error::Managed { .. } => "ManagedRuleException",
        Error::LimitExceeded { .. } => "LimitExceededException",
        Error::InvalidEvent(_) | Error::Invalid { .. } | Error::Input { .. } | Error::HasTargets { .. } => {
            "ValidationException"
        }
        _ => return internal(&ControlError::from(error)),
    };
    let message = match &error {
        Error::InvalidEventPattern(problem) => format!("Event pattern is not valid. Reason: {problem}"),
        Error::RuleMissing { name } => format!("Rule {name} does not exist on EventBus default."),
        Error::BusMissing { name } => format!("Event bus {name} does not exist."),
        Error::HasTargets { .. } => "Rule can't be deleted since it has targets.".into(),
        other => other.to_string(),
    };
    ServiceError::new(code, StatusCode::BAD_REQUEST, message)
}

fn internal(error: &(dyn std::error::Error + 'static)) -> ServiceError {
    ServiceError::internal(error).named(
        "InternalServerException",
        "InternalException",
        StatusCode::INTERNAL_SERVER_ERROR,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_control::events::test_event_pattern;

    #[test]
    fn errors_have_the_service_models_names() {
        let name = |error| {
            let error = worded(error);
            assert_eq!(error.status, StatusCode::BAD_REQUEST);
            (error.code.into_owned(), error.message)
        };
        let pattern = test_event_pattern(r#"{"source": "s"}"#, "{}").expect_err("it is no array");
        assert_eq!(
            name(pattern),
            (
                "InvalidEventPatternException".into(),
                "Event pattern is not valid. Reason: source: must be an object or an array of values".into()
            )
        );
        let missing = name(Error::RuleMissing { name: "r".into() });
        assert_eq!(missing, ("ResourceNotFoundException".into(), "Rule r does not exist on EventBus default.".into()));
        let managed = Error::Managed { name: "r".into(), managed_by: "stack".into() };
        assert_eq!(name(managed).0, "ManagedRuleException");
        assert_eq!(name(Error::HasTargets { name: "r".into() }).0, "ValidationException");
        assert_eq!(name(Error::LimitExceeded { what: "rules", limit: 300 }).0, "LimitExceededException");
        let broken = internal(&std::io::Error::other("disk full"));
        assert_eq!((broken.code.as_ref(), broken.status), ("InternalException", StatusCode::INTERNAL_SERVER_ERROR));
        assert!(!broken.message.contains("disk"));
    }

    #[test]
    fn policies_are_asked_about_the_rule() {
        let realm = Realm::default();
        let resource = |operation: &str, members: Value| {
            let input = Input(members.as_object().cloned().unwrap_or_default());
            access(&realm, operation, &input).map(|access| (access.action, access.resource))
        };
        let rule = Some(("events:PutTargets".into(), realm.rule_arn("r")));
        assert_eq!(resource("PutTargets", json!({"Rule": "r"})), rule);
        let bus = "arn:aws:events:us-east-1:000000000000:event-bus/default".to_owned();
        assert_eq!(resource("PutEvents", json!({})), Some(("events:PutEvents".into(), bus)));
        assert_eq!(resource("ListRules", json!({})), None);
    }
}
