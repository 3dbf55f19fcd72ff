//! Rules and targets of the default event bus.
//!
//! What they mean stands in [`headwater_bus::rules`]; here they are operations of this server. Errors keep the bus' own
//! words, because EventBridge tells more of them apart than [`crate::Error`] does; `From` folds them into it for callers
//! that do not.

use crate::Control;
use headwater_bus::rules;
use headwater_model::Timestamp;
use headwater_model::event::{Rule, RuleState, Target};
use std::collections::BTreeMap;

pub use headwater_bus::rules::{
    Error, FailedEntry, Managed, Page, PageRequest, PutRule, default_bus_arn, test_event_pattern,
};
pub use headwater_bus::{Entry, EntryError, PutEventsError};

impl From<Error> for crate::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::RuleMissing { name } => crate::Error::not_found("rule", name),
            Error::BusMissing { name } => crate::Error::not_found("event bus", name),
            Error::ResourceMissing { arn } => crate::Error::not_found("resource", arn),
            Error::LimitExceeded { what, limit } => crate::Error::QuotaExceeded { quota: what, limit: limit as u64 },
            Error::Store(error) => crate::Error::Store(error),
            Error::Managed { .. } | Error::HasTargets { .. } => crate::Error::conflict(error.to_string()),
            invalid => crate::Error::invalid(invalid.to_string()),
        }
    }
}

/// Makes or changes a rule; see [`rules::put_rule`].
///
/// # Errors
/// As there.
pub async fn put_rule(control: &Control, put: PutRule) -> Result<Rule, Error> {
    rules::put_rule(control.store(), control.realm(), put).await
}

/// One rule.
///
/// # Errors
/// As [`rules::describe_rule`].
pub async fn describe_rule(control: &Control, name: &str, bus: Option<&str>) -> Result<Rule, Error> {
    rules::describe_rule(control.store(), control.realm(), name, bus).await
}

/// Removes a rule without targets.
///
/// # Errors
/// As [`rules::delete_rule`].
pub async fn delete_rule(control: &Control, name: &str, bus: Option<&str>, managed: Managed) -> Result<(), Error> {
    rules::delete_rule(control.store(), control.realm(), name, bus, managed).await
}

/// Rules whose names begin so.
///
/// # Errors
/// As [`rules::list_rules`].
pub async fn list_rules(
    control: &Control,
    prefix: Option<&str>,
    bus: Option<&str>,
    page: &PageRequest,
) -> Result<Page<Rule>, Error> {
    rules::list_rules(control.store(), control.realm(), prefix, bus, page).await
}

/// Adds or replaces targets.
///
/// # Errors
/// As [`rules::put_targets`].
pub async fn put_targets(
    control: &Control,
    rule: &str,
    bus: Option<&str>,
    targets: Vec<Target>,
    managed: Managed,
) -> Result<(), Error> {
    rules::put_targets(control.store(), control.realm(), rule, bus, targets, managed).await
}

/// Removes targets.
///
/// # Errors
/// As [`rules::remove_targets`].
pub async fn remove_targets(
    control: &Control,
    rule: &str,
    bus: Option<&str>,
    ids: &[String],
    managed: Managed,
) -> Result<Vec<FailedEntry>, Error> {
    rules::remove_targets(control.store(), control.realm(), rule, bus, ids, managed).await
}

/// Enables or disables a rule.
///
/// # Errors
/// As [`rules::set_state`].
pub async fn set_state(control: &Control, name: &str, bus: Option<&str>, state: RuleState) -> Result<(), Error> {
    rules::set_state(control.store(), control.realm(), name, bus, state, Managed::Refuse).await
}

/// Targets of a rule.
///
/// # Errors
/// As [`rules::list_targets_by_rule`].
pub async fn list_targets_by_rule(
    control: &Control,
    rule: &str,
    bus: Option<&str>,
    page: &PageRequest,
) -> Result<Page<Target>, Error> {
    rules::list_targets_by_rule(control.store(), control.realm(), rule, bus, page).await
}

/// Names of the rules with a target.
///
/// # Errors
/// As [`rules::list_rule_names_by_target`].
pub async fn list_rule_names_by_target(
    control: &Control,
    target_arn: &str,
    bus: Option<&str>,
    page: &PageRequest,
) -> Result<Page<String>, Error> {
    rules::list_rule_names_by_target(control.store(), control.realm(), target_arn, bus, page).await
}

/// Refuses every bus but the default one.
///
/// # Errors
/// [`Error::BusMissing`].
pub fn check_bus(control: &Control, bus: Option<&str>) -> Result<(), Error> {
    rules::check_bus(control.realm(), bus)
}

/// Adds tags to a rule.
///
/// # Errors
/// As [`rules::tag`].
pub async fn tag(control: &Control, arn: &str, tags: BTreeMap<String, String>) -> Result<(), Error> {
    rules::tag(control.store(), control.realm(), arn, tags).await
}

/// Removes tags from a rule.
///
/// # Errors
/// As [`rules::untag`].
pub async fn untag(control: &Control, arn: &str, keys: &[String]) -> Result<(), Error> {
    rules::untag(control.store(), control.realm(), arn, keys).await
}

/// Tags of a rule.
///
/// # Errors
/// As [`rules::tags`].
pub async fn tags(control: &Control, arn: &str) -> Result<BTreeMap<String, String>, Error> {
    rules::tags(control.store(), control.realm(), arn).await
}

/// Appends events to the log.
///
/// # Errors
/// As [`headwater_bus::put_events`].
pub async fn put_events(
    control: &Control,
    entries: Vec<Entry>,
    now: Timestamp,
) -> Result<Vec<Result<String, EntryError>>, PutEventsError> {
    headwater_bus::put_events(control.store(), control.realm(), entries, now).await
}
