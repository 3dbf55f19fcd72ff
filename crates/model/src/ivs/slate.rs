//! Failover slates (shape FailoverSlateConfiguration).

use super::Tags;
use crate::{Realm, Timestamp, id};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// Where a slate is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SlateState {
    /// It is being made.
    Creating,
    /// It cannot be used.
    CreateFailed,
    /// It can be used. A slate has no picture in this API version, so there is nothing to wait for.
    #[default]
    Created,
    /// It is being changed.
    Updating,
}

/// When viewers would see a slate instead of a stream that stands still.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailoverSlate {
    /// `arn:aws:ivs:REGION:ACCOUNT:failover-slate-configuration/ID`.
    pub arn: String,
    /// May be empty, need not be unique.
    pub name: String,
    /// Seconds without media before it is shown, [`FailoverSlate::ACTIVATION_S`].
    pub activation_s: u32,
    /// Least seconds that it is shown, [`FailoverSlate::DISPLAY_MIN_S`].
    pub display_min_s: u32,
    /// Most seconds that it is shown, [`FailoverSlate::DISPLAY_MAX_S`].
    pub display_max_s: u32,
    /// Where it is in its life.
    pub state: SlateState,
    /// Tags, by key.
    #[serde(default)]
    pub tags: Tags,
    /// When it was made.
    pub created_at: Timestamp,
}

impl FailoverSlate {
    /// Bounds of `activationThresholdSeconds`.
    pub const ACTIVATION_S: RangeInclusive<u32> = 3..=5;
    /// Bounds of `minSlateDisplaySeconds`.
    pub const DISPLAY_MIN_S: RangeInclusive<u32> = 3..=10;
    /// Bounds of `maxSlateDisplaySeconds`.
    pub const DISPLAY_MAX_S: RangeInclusive<u32> = 60..=180;

    /// One with the defaults of the API, under a fresh random id.
    pub fn new(realm: &Realm, created_at: Timestamp) -> Self {
        FailoverSlate {
            arn: realm.ivs_arn("failover-slate-configuration", &id::resource_id()),
            name: String::new(),
            activation_s: *FailoverSlate::ACTIVATION_S.start(),
            display_min_s: *FailoverSlate::DISPLAY_MIN_S.start(),
            display_max_s: *FailoverSlate::DISPLAY_MAX_S.start(),
            state: SlateState::default(),
            tags: Tags::new(),
            created_at,
        }
    }
}
