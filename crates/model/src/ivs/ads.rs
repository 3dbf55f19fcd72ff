//! Ad configurations and ad breaks (shapes AdConfiguration, PostRollConfiguration, InsertAdBreakRequest).

use super::Tags;
use crate::{Realm, Timestamp, id};
use serde::{Deserialize, Serialize};

/// What server-side ad insertion would be set up with. Kept for its owner: no ads are fetched here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdConfiguration {
    /// `arn:aws:ivs:REGION:ACCOUNT:ad-configuration/ID`.
    pub arn: String,
    /// May be empty, need not be unique.
    pub name: String,
    /// ARNs of MediaTailor playback configurations, 1 to [`AdConfiguration::PLAYBACK_CONFIGURATIONS_MAX`]; the first is
    /// the default.
    pub playback_configuration_arns: Vec<String>,
    /// The break after the stream's end.
    pub post_roll: PostRoll,
    /// Tags, by key.
    #[serde(default)]
    pub tags: Tags,
    /// When it was made.
    pub created_at: Timestamp,
}

impl AdConfiguration {
    /// MediaTailor playback configurations of one ad configuration.
    pub const PLAYBACK_CONFIGURATIONS_MAX: usize = 3;

    /// One without playback configurations, under a fresh random id.
    pub fn new(realm: &Realm, created_at: Timestamp) -> Self {
        AdConfiguration {
            arn: realm.ivs_arn("ad-configuration", &id::resource_id()),
            name: String::new(),
            playback_configuration_arns: Vec::new(),
            post_roll: PostRoll::default(),
            tags: Tags::new(),
            created_at,
        }
    }
}

/// The ad break after a stream's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostRoll {
    /// Whether there is one.
    pub enabled: bool,
    /// Seconds, 1 to [`AdBreak::DURATION_S_MAX`].
    pub duration_s: u32,
}

impl Default for PostRoll {
    fn default() -> Self {
        PostRoll { enabled: false, duration_s: 15 }
    }
}

/// A stretch of a live stream that ads may take the place of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdBreak {
    /// 12 alphanumerics.
    pub id: String,
    /// Seconds, 1 to [`AdBreak::DURATION_S_MAX`].
    pub duration_s: u32,
    /// When it begins, on the axis of EXT-X-PROGRAM-DATE-TIME.
    pub target_start: Timestamp,
}

impl AdBreak {
    /// Longest break, seconds.
    pub const DURATION_S_MAX: u32 = 300;
    /// Characters of a break's id.
    pub const ID_LENGTH: usize = 12;
}
