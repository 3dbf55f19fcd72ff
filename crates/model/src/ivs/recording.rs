//! Recording configurations (shapes RecordingConfiguration, ThumbnailConfiguration, RenditionConfiguration).

use super::{MaximumResolution, Tags};
use crate::{Realm, Timestamp, id};
use serde::{Deserialize, Serialize};

/// Where a recording configuration is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RecordingState {
    /// Its bucket is being looked at.
    Creating,
    /// Its bucket cannot be recorded to.
    CreateFailed,
    /// It can be used.
    Active,
}

/// Whether thumbnails are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordingMode {
    /// None.
    Disabled,
    /// One in each interval.
    #[default]
    Interval,
}

/// A class of picture sizes. Source: IVS "Auto-Record to Amazon S3".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Rendition {
    /// 361 to 480 lines.
    Sd,
    /// 481 to 720 lines.
    Hd,
    /// 721 to 1080 lines.
    FullHd,
    /// 160 to 360 lines.
    LowestResolution,
}

impl From<MaximumResolution> for Rendition {
    fn from(resolution: MaximumResolution) -> Self {
        match resolution {
            MaximumResolution::Sd => Rendition::Sd,
            MaximumResolution::Hd => Rendition::Hd,
            MaximumResolution::FullHd => Rendition::FullHd,
        }
    }
}

/// How thumbnails are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ThumbnailStorage {
    /// All of them.
    Sequential,
    /// The newest, in one place.
    Latest,
}

/// How thumbnails are recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Thumbnails {
    /// Whether they are.
    pub mode: RecordingMode,
    /// Seconds between two, 1 to [`Thumbnails::INTERVAL_S_MAX`]; only with [`RecordingMode::Interval`].
    pub interval_s: Option<u32>,
    /// Size; the source's if absent.
    pub resolution: Option<Rendition>,
    /// How they are kept.
    pub storage: Vec<ThumbnailStorage>,
}

impl Thumbnails {
    /// Longest interval, seconds; also the default.
    pub const INTERVAL_S_MAX: u32 = 60;
}

impl Default for Thumbnails {
    fn default() -> Self {
        Thumbnails {
            mode: RecordingMode::default(),
            interval_s: Some(Thumbnails::INTERVAL_S_MAX),
            resolution: None,
            storage: vec![ThumbnailStorage::Sequential],
        }
    }
}

/// Which renditions are recorded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum RenditionSelection {
    /// All.
    #[default]
    All,
    /// None.
    None,
    /// These, or the best there is instead of a missing one.
    Custom(Vec<Rendition>),
}

/// Where and how a channel's streams are recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordingConfiguration {
    /// `arn:aws:ivs:REGION:ACCOUNT:recording-configuration/ID`.
    pub arn: String,
    /// May be empty, need not be unique.
    pub name: String,
    /// The bucket that is recorded to.
    pub bucket: String,
    /// Where it is in its life.
    pub state: RecordingState,
    /// Seconds within which the next stream goes on with the same recording, up to
    /// [`RecordingConfiguration::RECONNECT_WINDOW_S_MAX`].
    pub reconnect_window_s: u32,
    /// How thumbnails are recorded.
    pub thumbnails: Thumbnails,
    /// Which renditions are recorded.
    pub renditions: RenditionSelection,
    /// Tags, by key.
    #[serde(default)]
    pub tags: Tags,
    /// When it was made.
    pub created_at: Timestamp,
}

impl RecordingConfiguration {
    /// Longest window, seconds.
    pub const RECONNECT_WINDOW_S_MAX: u32 = 300;

    /// One that is being made, with the defaults of the API, under a fresh random id.
    pub fn new(realm: &Realm, bucket: impl Into<String>, created_at: Timestamp) -> Self {
        RecordingConfiguration {
            arn: realm.ivs_arn("recording-configuration", &id::resource_id()),
            name: String::new(),
            bucket: bucket.into(),
            state: RecordingState::Creating,
            reconnect_window_s: 0,
            thumbnails: Thumbnails::default(),
            renditions: RenditionSelection::default(),
            tags: Tags::new(),
            created_at,
        }
    }
}
