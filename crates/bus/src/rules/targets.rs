//! Targets of rules.

use super::{Error, Managed, Page, PageRequest, check_bus, check_name, check_unmanaged, describe_rule, invalid};
use crate::input;
use headwater_model::Realm;
use headwater_model::event::{Rule, Target};
use headwater_store::{Select, Store};

/// Targets in one call (`events` 2015-10-07, TargetList and TargetIdList).
pub const TARGETS_PER_CALL_MAX: usize = 100;

/// Services whose ARNs can be targets: functions and native resources. Others are refused when they are put, rather
/// than given up at each event.
pub const TARGET_SERVICES: [&str; 2] = ["lambda", "headwater"];

/// A target of a call that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedEntry {
    /// Which.
    pub target_id: String,
    /// EventBridge's name for the reason.
    pub code: &'static str,
    /// In words.
    pub message: String,
}

/// Adds targets to a rule, or replaces those with the same ids: all of them or none.
///
/// # Errors
/// [`Error::RuleMissing`], [`Error::Managed`], [`Error::LimitExceeded`], [`Error::Invalid`], [`Error::Input`],
/// [`Error::BusMissing`], [`Error::Store`].
pub async fn put_targets(
    store: &dyn Store,
    realm: &Realm,
    rule: &str,
    bus: Option<&str>,
    targets: Vec<Target>,
    managed: Managed,
) -> Result<(), Error> {
    check_bus(realm, bus)?;
    check_count(targets.len())?;
    targets.iter().try_for_each(check_target)?;
    let change = |rule: &mut Rule| {
        check_unmanaged(rule, managed)?;
        for target in &targets {
            match rule.targets.iter_mut().find(|present| present.id == target.id) {
                Some(present) => present.clone_from(target),
                None => rule.targets.push(target.clone()),
            }
        }
        if rule.targets.len() > Rule::TARGETS_MAX {
            return Err(Error::LimitExceeded { what: "targets of a rule", limit: Rule::TARGETS_MAX });
        }
        Ok(())
    };
    headwater_store::update(store, rule, change).await.map(drop)
}

fn check_count(count: usize) -> Result<(), Error> {
    if count == 0 || count > TARGETS_PER_CALL_MAX {
        return Err(invalid("Targets", format!("{count} targets, 1 to {TARGETS_PER_CALL_MAX} are allowed in a call")));
    }
    Ok(())
}

fn check_target(target: &Target) -> Result<(), Error> {
    check_name("Target.Id", &target.id)?;
    let parts: Vec<&str> = target.arn.splitn(6, ':').collect();
    if parts.len() != 6 || parts[0] != "arn" || parts[2].is_empty() || parts[5].is_empty() {
        return Err(invalid("Target.Arn", format!("{:?} is not an ARN", target.arn)));
    }
    if !TARGET_SERVICES.contains(&parts[2]) {
        let reason = format!("{:?} is no function; other services cannot be targets here", target.arn);
        return Err(invalid("Target.Arn", reason));
    }
    if target.retry_attempts_max.is_some_and(|attempts| attempts > 185) {
        return Err(invalid("RetryPolicy.MaximumRetryAttempts", "0 to 185 are allowed"));
    }
    if target.event_age_s_max.is_some_and(|age| !(60..=86_400).contains(&age)) {
        return Err(invalid("RetryPolicy.MaximumEventAgeInSeconds", "60 to 86400 are allowed"));
    }
    input::check(&target.input).map_err(|problem| Error::Input { target_id: target.id.clone(), problem })
}

/// Removes targets from a rule. Those that it does not have come back as failures.
///
/// # Errors
/// [`Error::RuleMissing`], [`Error::Managed`], [`Error::Invalid`], [`Error::BusMissing`], [`Error::Store`].
pub async fn remove_targets(
    store: &dyn Store,
    realm: &Realm,
    rule: &str,
    bus: Option<&str>,
    ids: &[String],
    managed: Managed,
) -> Result<Vec<FailedEntry>, Error> {
    check_bus(realm, bus)?;
    check_count(ids.len())?;
    let mut failed = Vec::new();
    let change = |rule: &mut Rule| {
        check_unmanaged(rule, managed)?;
        failed.clear();
        for id in ids {
            let before = rule.targets.len();
            rule.targets.retain(|target| target.id != *id);
            if rule.targets.len() == before {
                failed.push(FailedEntry {
                    target_id: id.clone(),
                    code: "ResourceNotFoundException",
                    message: format!("rule {} has no target {id}", rule.name),
                });
            }
        }
        Ok::<(), Error>(())
    };
    headwater_store::update(store, rule, change).await?;
    Ok(failed)
}

/// Targets of a rule, in order of their ids.
///
/// # Errors
/// [`Error::RuleMissing`], [`Error::BusMissing`], [`Error::Invalid`], [`Error::Store`].
pub async fn list_targets_by_rule(
    store: &dyn Store,
    realm: &Realm,
    rule: &str,
    bus: Option<&str>,
    page: &PageRequest,
) -> Result<Page<Target>, Error> {
    let mut targets = describe_rule(store, realm, rule, bus).await?.targets;
    targets.sort_by(|a, b| a.id.cmp(&b.id));
    Page::cut(targets, page, |target| &target.id)
}

/// Names of the rules that have a target with this ARN, in order.
///
/// # Errors
/// [`Error::BusMissing`], [`Error::Invalid`], [`Error::Store`].
pub async fn list_rule_names_by_target(
    store: &dyn Store,
    realm: &Realm,
    target_arn: &str,
    bus: Option<&str>,
    page: &PageRequest,
) -> Result<Page<String>, Error> {
    check_bus(realm, bus)?;
    let rules: Vec<Rule> = headwater_store::list(store, Select::default()).await?;
    let aims = |rule: &Rule| rule.targets.iter().any(|target| target.arn == target_arn);
    let names = rules.into_iter().filter(aims).map(|rule| rule.name).collect();
    Page::cut(names, page, |name: &String| name)
}
