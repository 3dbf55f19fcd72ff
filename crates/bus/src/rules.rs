//! What can be done to the rules of the default event bus and their targets.
//!
//! Changes are single commits on a rule's record that fail and start over if somebody else changes the rule meanwhile,
//! so concurrent changes do not lose one another.

mod targets;

pub use targets::{
    FailedEntry, TARGET_SERVICES, list_rule_names_by_target, list_targets_by_rule, put_targets, remove_targets,
};

use crate::input::InputError;
use crate::{Pattern, PatternError};
use headwater_model::Realm;
use headwater_model::event::{Rule, RuleState};
use headwater_store::{Batch, Document, Select, Store};
use serde_json::Value;
use std::collections::BTreeMap;

/// Rules on the bus (service quota "rules").
pub const RULES_MAX: usize = 300;
/// Longest description (`events` 2015-10-07, RuleDescription).
pub const DESCRIPTION_CHARS_MAX: usize = 512;
/// Items of a page unless fewer are asked for (`events` 2015-10-07, LimitMax100).
pub const PAGE_ITEMS_MAX: u32 = 100;
/// Tags of a rule (service quota "tags per resource").
pub const TAGS_MAX: usize = 50;

/// Why an operation on rules did not take place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The pattern is none.
    #[error("event pattern is not valid: {0}")]
    InvalidEventPattern(PatternError),
    /// The event that a pattern is to be tried on is none.
    #[error("parameter Event is not valid: {0}")]
    InvalidEvent(String),
    /// A member breaks a rule.
    #[error("parameter {member} is not valid: {reason}")]
    Invalid {
        /// EventBridge's name for it.
        member: &'static str,
        /// Which rule, in words.
        reason: String,
    },
    /// A target's input cannot be made of any event.
    #[error("input of target {target_id}: {problem}")]
    Input {
        /// The target.
        target_id: String,
        /// What is wrong.
        problem: InputError,
    },
    /// There is no such rule.
    #[error("rule {name} does not exist on event bus default")]
    RuleMissing {
        /// As it was asked for.
        name: String,
    },
    /// There is no such bus.
    #[error("event bus {name} does not exist")]
    BusMissing {
        /// As it was asked for.
        name: String,
    },
    /// There is no such resource with tags.
    #[error("resource {arn} does not exist")]
    ResourceMissing {
        /// As it was asked for.
        arn: String,
    },
    /// Something else made the rule and alone changes it.
    #[error("rule {name} is managed by {managed_by}")]
    Managed {
        /// The rule.
        name: String,
        /// Its owner.
        managed_by: String,
    },
    /// Targets must be removed first.
    #[error("rule {name} cannot be deleted since it has targets")]
    HasTargets {
        /// The rule.
        name: String,
    },
    /// There would be too many.
    #[error("at most {limit} {what} are allowed")]
    LimitExceeded {
        /// What is counted.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// Durable state could not be read or written.
    #[error("store")]
    Store(#[source] headwater_store::Error),
}

impl From<headwater_store::Error> for Error {
    fn from(error: headwater_store::Error) -> Self {
        match error {
            headwater_store::Error::Missing { kind, id } if kind == Rule::KIND => Error::RuleMissing { name: id },
            error => Error::Store(error),
        }
    }
}

/// Whether a rule that something else manages may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Managed {
    /// It is refused: the caller is anybody.
    Refuse,
    /// It is done: the caller is the owner, or forces it.
    Allow,
}

/// A rule as it is to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PutRule {
    /// `[\.\-_A-Za-z0-9]+`, 1–64.
    pub name: String,
    /// The pattern's text.
    pub event_pattern: Option<String>,
    /// Refused: there are no schedules.
    pub schedule_expression: Option<String>,
    /// Enabled unless it says otherwise.
    pub state: RuleState,
    /// Up to 512 characters.
    pub description: String,
    /// Kept for its owner.
    pub role_arn: Option<String>,
    /// Only for a rule that does not exist yet; ignored otherwise, as EventBridge does.
    pub tags: BTreeMap<String, String>,
    /// Name or ARN of the default bus, or nothing.
    pub event_bus: Option<String>,
    /// The owner that alone may change the rule from now on.
    pub managed_by: Option<String>,
}

/// Part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// What [`Page::next_token`] was.
    pub next_token: Option<String>,
    /// 1–100; 100 if absent.
    pub limit: Option<u32>,
}

/// Part of a list, and how to go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// In order.
    pub items: Vec<T>,
    /// Present if there are more.
    pub next_token: Option<String>,
}

impl<T> Page<T> {
    /// Cuts a page out of all items, which are in order of `key`. A token is the key of the last item before it, so
    /// that a page begins where it should although items before it have come or gone.
    fn cut(all: Vec<T>, request: &PageRequest, key: impl Fn(&T) -> &str) -> Result<Self, Error> {
        let limit = request.limit.unwrap_or(PAGE_ITEMS_MAX);
        if limit == 0 || limit > PAGE_ITEMS_MAX {
            return Err(invalid("Limit", format!("{limit} is not between 1 and {PAGE_ITEMS_MAX}")));
        }
        let after = |item: &T| request.next_token.as_deref().is_none_or(|token| key(item) > token);
        let mut items: Vec<T> = all.into_iter().filter(after).collect();
        let limit = limit as usize;
        let next_token = items.get(limit).map(|_| key(&items[limit - 1]).to_owned());
        items.truncate(limit);
        Ok(Page { items, next_token })
    }
}

fn invalid(member: &'static str, reason: impl Into<String>) -> Error {
    Error::Invalid { member, reason: reason.into() }
}

/// Name of the only bus.
pub const DEFAULT_BUS: &str = "default";

/// ARN of the only bus.
pub fn default_bus_arn(realm: &Realm) -> String {
    realm.arn("events", "event-bus/default")
}

/// Whether a name or ARN means the only bus.
pub fn is_default_bus(realm: &Realm, bus: &str) -> bool {
    bus == DEFAULT_BUS || bus == default_bus_arn(realm)
}

/// Refuses every bus but the only one.
///
/// # Errors
/// [`Error::BusMissing`].
pub fn check_bus(realm: &Realm, bus: Option<&str>) -> Result<(), Error> {
    match bus.filter(|bus| !is_default_bus(realm, bus)) {
        Some(bus) => Err(Error::BusMissing { name: bus.into() }),
        None => Ok(()),
    }
}

/// Names of rules and ids of targets: `[\.\-_A-Za-z0-9]+`, 1–64.
fn check_name(member: &'static str, name: &str) -> Result<(), Error> {
    let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if name.is_empty() || name.len() > 64 || !name.bytes().all(valid) {
        return Err(invalid(member, format!("{name:?} is not 1 to 64 letters, digits, dots, hyphens and underscores")));
    }
    Ok(())
}

fn check_unmanaged(rule: &Rule, managed: Managed) -> Result<(), Error> {
    match (&rule.managed_by, managed) {
        (Some(managed_by), Managed::Refuse) => {
            Err(Error::Managed { name: rule.name.clone(), managed_by: managed_by.clone() })
        }
        _ => Ok(()),
    }
}

/// Makes a rule, or gives one another pattern, state, description and role; what is absent is then gone. Its targets
/// stay. Returns the rule.
///
/// # Errors
/// [`Error::InvalidEventPattern`], [`Error::Invalid`], [`Error::BusMissing`]; [`Error::Managed`] unless the owner named
/// in `put` is the rule's; [`Error::LimitExceeded`]; [`Error::Store`].
pub async fn put_rule(store: &dyn Store, realm: &Realm, put: PutRule) -> Result<Rule, Error> {
    check_bus(realm, put.event_bus.as_deref())?;
    check_name("Name", &put.name)?;
    if put.description.chars().count() > DESCRIPTION_CHARS_MAX {
        return Err(invalid("Description", format!("at most {DESCRIPTION_CHARS_MAX} characters are allowed")));
    }
    check_tags(&put.tags)?;
    if put.schedule_expression.is_some() {
        return Err(invalid("ScheduleExpression", "schedules are not supported here, only event patterns are"));
    }
    let Some(pattern) = &put.event_pattern else {
        return Err(invalid("EventPattern", "it is required"));
    };
    let (_, pattern) = Pattern::parse_text(pattern).map_err(Error::InvalidEventPattern)?;
    loop {
        let earlier = headwater_store::load::<Rule>(store, &put.name).await?;
        let mut batch = Batch::new();
        let rule = match earlier {
            None => {
                if store.records(Rule::KIND, Select::default()).await?.len() >= RULES_MAX {
                    return Err(Error::LimitExceeded { what: "rules", limit: RULES_MAX });
                }
                let rule = Rule {
                    name: put.name.clone(),
                    arn: realm.rule_arn(&put.name),
                    event_pattern: Some(pattern.clone()),
                    description: put.description.clone(),
                    state: put.state,
                    targets: Vec::new(),
                    role_arn: put.role_arn.clone(),
                    managed_by: put.managed_by.clone(),
                    tags: put.tags.clone(),
                };
                batch.insert(&rule)?;
                rule
            }
            Some(earlier) => {
                let mut rule = earlier.value;
                let by_owner = rule.managed_by == put.managed_by;
                check_unmanaged(&rule, if by_owner { Managed::Allow } else { Managed::Refuse })?;
                rule.event_pattern = Some(pattern.clone());
                rule.description.clone_from(&put.description);
                rule.state = put.state;
                rule.role_arn.clone_from(&put.role_arn);
                rule.managed_by.clone_from(&put.managed_by);
                batch.update(&rule, earlier.revision)?;
                rule
            }
        };
        match store.commit(batch).await {
            Ok(_) => return Ok(rule),
            Err(
                headwater_store::Error::Exists { .. }
                | headwater_store::Error::Conflict { .. }
                | headwater_store::Error::Missing { .. },
            ) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// One rule.
///
/// # Errors
/// [`Error::RuleMissing`], [`Error::BusMissing`], [`Error::Store`].
pub async fn describe_rule(store: &dyn Store, realm: &Realm, name: &str, bus: Option<&str>) -> Result<Rule, Error> {
    check_bus(realm, bus)?;
    headwater_store::find(store, name).await?.ok_or_else(|| Error::RuleMissing { name: name.into() })
}

/// Removes a rule that has no targets. A rule that is not there is fine.
///
/// # Errors
/// [`Error::HasTargets`], [`Error::Managed`], [`Error::BusMissing`], [`Error::Store`].
pub async fn delete_rule(
    store: &dyn Store,
    realm: &Realm,
    name: &str,
    bus: Option<&str>,
    managed: Managed,
) -> Result<(), Error> {
    check_bus(realm, bus)?;
    loop {
        let Some(rule) = headwater_store::load::<Rule>(store, name).await? else { return Ok(()) };
        check_unmanaged(&rule.value, managed)?;
        if !rule.value.targets.is_empty() {
            return Err(Error::HasTargets { name: name.into() });
        }
        let mut batch = Batch::new();
        batch.delete_revision::<Rule>(name, rule.revision);
        match store.commit(batch).await {
            Ok(_) => return Ok(()),
            Err(headwater_store::Error::Conflict { .. } | headwater_store::Error::Missing { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Rules whose names begin so, in order of their names.
///
/// # Errors
/// [`Error::BusMissing`], [`Error::Invalid`], [`Error::Store`].
pub async fn list_rules(
    store: &dyn Store,
    realm: &Realm,
    prefix: Option<&str>,
    bus: Option<&str>,
    page: &PageRequest,
) -> Result<Page<Rule>, Error> {
    check_bus(realm, bus)?;
    let select = Select { prefix: prefix.map(str::to_owned), ..Select::default() };
    Page::cut(headwater_store::list(store, select).await?, page, |rule: &Rule| &rule.name)
}

/// Enables or disables a rule.
///
/// # Errors
/// [`Error::RuleMissing`], [`Error::Managed`], [`Error::BusMissing`], [`Error::Store`].
pub async fn set_state(
    store: &dyn Store,
    realm: &Realm,
    name: &str,
    bus: Option<&str>,
    state: RuleState,
    managed: Managed,
) -> Result<(), Error> {
    check_bus(realm, bus)?;
    let change = |rule: &mut Rule| {
        check_unmanaged(rule, managed)?;
        rule.state = state;
        Ok::<(), Error>(())
    };
    headwater_store::update(store, name, change).await.map(drop)
}

fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), Error> {
    if tags.len() > TAGS_MAX {
        return Err(Error::LimitExceeded { what: "tags", limit: TAGS_MAX });
    }
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(invalid("Tags", format!("key {key:?} or its value is too long or empty")));
        }
    }
    Ok(())
}

/// The rule's name in its ARN. The default bus has no tags of its own here.
fn rule_of_arn<'a>(realm: &Realm, arn: &'a str) -> Result<&'a str, Error> {
    let prefix = realm.rule_arn("");
    let name = arn.strip_prefix(&prefix).map(|name| name.strip_prefix("default/").unwrap_or(name));
    name.ok_or_else(|| Error::ResourceMissing { arn: arn.into() })
}

/// Adds tags to the rule with this ARN, or gives them other values.
///
/// # Errors
/// [`Error::ResourceMissing`], [`Error::RuleMissing`], [`Error::Invalid`], [`Error::LimitExceeded`], [`Error::Store`].
pub async fn tag(store: &dyn Store, realm: &Realm, arn: &str, tags: BTreeMap<String, String>) -> Result<(), Error> {
    let change = |rule: &mut Rule| {
        rule.tags.extend(tags.clone());
        check_tags(&rule.tags)
    };
    headwater_store::update(store, rule_of_arn(realm, arn)?, change).await.map(drop)
}

/// Removes tags from the rule with this ARN.
///
/// # Errors
/// [`Error::ResourceMissing`], [`Error::RuleMissing`], [`Error::Store`].
pub async fn untag(store: &dyn Store, realm: &Realm, arn: &str, keys: &[String]) -> Result<(), Error> {
    let change = |rule: &mut Rule| {
        rule.tags.retain(|key, _| !keys.contains(key));
        Ok::<(), Error>(())
    };
    headwater_store::update(store, rule_of_arn(realm, arn)?, change).await.map(drop)
}

/// Tags of the rule with this ARN.
///
/// # Errors
/// [`Error::ResourceMissing`], [`Error::RuleMissing`], [`Error::Store`].
pub async fn tags(store: &dyn Store, realm: &Realm, arn: &str) -> Result<BTreeMap<String, String>, Error> {
    Ok(describe_rule(store, realm, rule_of_arn(realm, arn)?, None).await?.tags)
}

/// Whether a pattern's text matches an event's text.
///
/// # Errors
/// [`Error::InvalidEventPattern`]; [`Error::InvalidEvent`] if the event is not JSON or lacks a member of the envelope.
pub fn test_event_pattern(pattern: &str, event: &str) -> Result<bool, Error> {
    let (pattern, _) = Pattern::parse_text(pattern).map_err(Error::InvalidEventPattern)?;
    let event: Value =
        serde_json::from_str(event).map_err(|error| Error::InvalidEvent(format!("not JSON: {error}")))?;
    for member in ["id", "account", "source", "time", "region", "resources", "detail-type"] {
        if event.get(member).is_none() {
            return Err(Error::InvalidEvent(format!("it lacks {member:?}")));
        }
    }
    Ok(pattern.matches(&event))
}

#[cfg(test)]
mod tests;
