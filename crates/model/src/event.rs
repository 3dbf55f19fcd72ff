//! The event envelope, rules and targets. Source: EventBridge `events` 2015-10-07.

use crate::{Realm, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One event of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// A UUID.
    pub id: String,
    /// `aws.ivs`, or what `PutEvents` said.
    pub source: String,
    /// Such as `IVS Stream State Change`.
    pub detail_type: String,
    /// When it happened.
    pub time: Timestamp,
    /// ARNs that it is about.
    pub resources: Vec<String>,
    /// A JSON object.
    pub detail: Value,
}

impl Event {
    /// The envelope as rules see it and targets get it.
    pub fn envelope(&self, realm: &Realm) -> Value {
        json!({
            "version": "0",
            "id": self.id,
            "detail-type": self.detail_type,
            "source": self.source,
            "account": realm.account,
            "time": self.time.iso_seconds(),
            "region": realm.region,
            "resources": self.resources,
            "detail": self.detail,
        })
    }
}

/// Whether a rule is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RuleState {
    /// Events are matched.
    #[default]
    Enabled,
    /// Events pass by.
    Disabled,
    /// As `Enabled`: the events that it adds are CloudTrail's, and there are none here.
    EnabledWithAllCloudtrailManagementEvents,
}

impl RuleState {
    /// Whether events are matched.
    pub fn matches_events(self) -> bool {
        self != RuleState::Disabled
    }
}

/// A rule of the default event bus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// `[\.\-_A-Za-z0-9]+`, 1–64.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// The pattern as it was given; absent for a schedule.
    pub event_pattern: Option<Value>,
    /// Up to 512 characters.
    #[serde(default)]
    pub description: String,
    /// Whether it is looked at.
    #[serde(default)]
    pub state: RuleState,
    /// At most [`Rule::TARGETS_MAX`].
    #[serde(default)]
    pub targets: Vec<Target>,
    /// A role that targets without one of their own would be reached with; kept for its owner.
    #[serde(default)]
    pub role_arn: Option<String>,
    /// Who alone changes the rule, such as a native resource of a stack.
    #[serde(default)]
    pub managed_by: Option<String>,
    /// Tags, by key.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

impl Rule {
    /// Targets of a rule (service quota "targets per rule").
    pub const TARGETS_MAX: usize = 5;
}

/// Where a rule sends its events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// `[\.\-_A-Za-z0-9]+`, 1–64, unique in its rule.
    pub id: String,
    /// A function's ARN, or a native resource's.
    pub arn: String,
    /// What it gets instead of the whole event.
    #[serde(default)]
    pub input: TargetInput,
    /// Native: how long after the event it is delivered, in milliseconds.
    #[serde(default)]
    pub delay_ms: u64,
    /// Tries after the first, 0–185.
    pub retry_attempts_max: Option<u32>,
    /// How long delivery is retried, 60–86400 s.
    pub event_age_s_max: Option<u32>,
    /// The role that the target is reached with; kept for its owner.
    #[serde(default)]
    pub role_arn: Option<String>,
    /// Where its owner wants dead letters; they are kept here, whatever it says.
    #[serde(default)]
    pub dead_letter_arn: Option<String>,
}

impl Target {
    /// A target that gets whole events, at once, with the default retries.
    pub fn new(id: impl Into<String>, arn: impl Into<String>) -> Self {
        Target {
            id: id.into(),
            arn: arn.into(),
            input: TargetInput::Event,
            delay_ms: 0,
            retry_attempts_max: None,
            event_age_s_max: None,
            role_arn: None,
            dead_letter_arn: None,
        }
    }
}

/// What a target gets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum TargetInput {
    /// The whole envelope.
    #[default]
    Event,
    /// A constant JSON text.
    Constant(String),
    /// The part of the envelope at a JSONPath.
    Path(String),
    /// A template with named paths.
    Transformer {
        /// Name to JSONPath.
        paths: BTreeMap<String, String>,
        /// Text with `<name>` placeholders.
        template: String,
    },
}
