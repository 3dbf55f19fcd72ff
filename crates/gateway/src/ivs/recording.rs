//! Recording configurations on the wire: shapes RecordingConfiguration and RecordingConfigurationSummary.

use super::wire::{choice, name_of};
use super::{Failure, page_of, page_request};
use crate::{Call, Input, ServiceError};
use headwater_control::Control;
use headwater_control::ivs::Identity;
use headwater_control::ivs::recording::{self, Settings};
use headwater_control::ivs::resource::get;
use headwater_model::ivs::{
    RecordingConfiguration, RecordingMode, Rendition, RenditionSelection, ThumbnailStorage, Thumbnails,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// `RecordingConfiguration`, also in a stream session.
pub(super) fn members(configuration: &RecordingConfiguration) -> Value {
    let mut members = summary(configuration);
    members["thumbnailConfiguration"] = thumbnails(&configuration.thumbnails);
    members["recordingReconnectWindowSeconds"] = configuration.reconnect_window_s.into();
    members["renditionConfiguration"] = match &configuration.renditions {
        RenditionSelection::All => json!({"renditionSelection": "ALL", "renditions": []}),
        RenditionSelection::None => json!({"renditionSelection": "NONE", "renditions": []}),
        RenditionSelection::Custom(renditions) => {
            json!({"renditionSelection": "CUSTOM", "renditions": name_of(renditions)})
        }
    };
    members
}

fn summary(configuration: &RecordingConfiguration) -> Value {
    json!({
        "arn": configuration.arn,
        "name": configuration.name,
        "destinationConfiguration": {"s3": {"bucketName": configuration.bucket}},
        "state": name_of(configuration.state),
        "tags": configuration.tags,
    })
}

fn thumbnails(thumbnails: &Thumbnails) -> Value {
    let mut members = json!({"recordingMode": name_of(thumbnails.mode)});
    if let Some(interval) = thumbnails.interval_s {
        members["targetIntervalSeconds"] = interval.into();
        members["storage"] = name_of(&thumbnails.storage);
    }
    if let Some(resolution) = thumbnails.resolution {
        members["resolution"] = name_of(resolution);
    }
    members
}

/// Entries of a list that is one of an enumeration's texts each.
fn choices<T: DeserializeOwned>(input: &Input, name: &str) -> Result<Vec<T>, ServiceError> {
    let wrong = || ServiceError::validation(format!("{name} has an entry that is no value of it"));
    input.list(name)?.iter().map(|value| serde_json::from_value(value.clone()).map_err(|_| wrong())).collect()
}

fn settings(input: &Input) -> Result<Settings, ServiceError> {
    let destination = input.structure("destinationConfiguration")?.unwrap_or_default();
    let s3 = destination
        .structure("s3")?
        .ok_or_else(|| ServiceError::validation("destinationConfiguration.s3 is required"))?;
    // The model keeps the number in range.
    let window = input.integer("recordingReconnectWindowSeconds")?.and_then(|window| u32::try_from(window).ok());
    Ok(Settings {
        name: input.text("name")?.unwrap_or_default().into(),
        bucket: s3.required("bucketName")?.into(),
        reconnect_window_s: window.unwrap_or(0),
        thumbnails: match input.structure("thumbnailConfiguration")? {
            Some(given) => given_thumbnails(&given)?,
            None => Thumbnails::default(),
        },
        renditions: match input.structure("renditionConfiguration")? {
            Some(given) => given_renditions(&given)?,
            None => RenditionSelection::default(),
        },
    })
}

fn given_thumbnails(given: &Input) -> Result<Thumbnails, ServiceError> {
    let usual = Thumbnails::default();
    let mode = choice(given, "recordingMode")?.unwrap_or(usual.mode);
    let interval = given.integer("targetIntervalSeconds")?.and_then(|interval| u32::try_from(interval).ok());
    let storage: Vec<ThumbnailStorage> = choices(given, "storage")?;
    Ok(Thumbnails {
        mode,
        interval_s: interval.or(if mode == RecordingMode::Interval { usual.interval_s } else { None }),
        resolution: choice(given, "resolution")?,
        storage: if storage.is_empty() { usual.storage } else { storage },
    })
}

fn given_renditions(given: &Input) -> Result<RenditionSelection, ServiceError> {
    let renditions: Vec<Rendition> = choices(given, "renditions")?;
    Ok(match given.text("renditionSelection")? {
        Some("CUSTOM") => RenditionSelection::Custom(renditions),
        Some("NONE") => RenditionSelection::None,
        _ => RenditionSelection::All,
    })
}

fn answer(configuration: &RecordingConfiguration) -> Value {
    json!({"recordingConfiguration": members(configuration)})
}

pub(super) async fn create(control: &Control, call: &Call) -> Result<Value, Failure> {
    let tags = call.input.text_map("tags")?.unwrap_or_default();
    Ok(answer(&recording::create(control, settings(&call.input)?, tags, Identity::Fresh, call.now).await?))
}

pub(super) async fn read(control: &Control, input: &Input) -> Result<Value, Failure> {
    Ok(answer(&get(control, input.required("arn")?).await?))
}

pub(super) async fn list(control: &Control, input: &Input) -> Result<Value, Failure> {
    Ok(page_of("recordingConfigurations", recording::list(control, &page_request(input)?).await?, summary))
}
