//! Ad configurations and ad breaks on the wire: shapes AdConfiguration and InsertAdBreakRequest.

use super::{Failure, page_of, page_request};
use crate::{Call, Input, ServiceError};
use headwater_control::Control;
use headwater_control::ivs::Identity;
use headwater_control::ivs::ads::{self, Settings, Wanted};
use headwater_control::ivs::resource::get;
use headwater_model::Timestamp;
use headwater_model::ivs::{AdConfiguration, PostRoll};
use serde_json::{Value, json};

fn members(configuration: &AdConfiguration) -> Value {
    let arns = configuration.playback_configuration_arns.iter();
    let PostRoll { enabled, duration_s } = configuration.post_roll;
    json!({
        "arn": configuration.arn,
        "name": configuration.name,
        "mediaTailorPlaybackConfigurations":
            arns.map(|arn| json!({"playbackConfigurationArn": arn})).collect::<Vec<_>>(),
        "postRollConfiguration": {"enabled": enabled, "durationSeconds": duration_s},
        "tags": configuration.tags,
    })
}

fn settings(input: &Input) -> Result<Settings, ServiceError> {
    let arns = |input: &Input| -> Result<Vec<String>, ServiceError> {
        let entries = input.structures("mediaTailorPlaybackConfigurations")?;
        entries.iter().map(|entry| entry.required("playbackConfigurationArn").map(String::from)).collect()
    };
    let post_roll = match input.structure("postRollConfiguration")? {
        None => None,
        Some(given) => Some(PostRoll {
            enabled: given.boolean("enabled")?.unwrap_or(false),
            duration_s: seconds(&given, "durationSeconds")?,
        }),
    };
    Ok(Settings {
        name: input.text("name")?.map(String::from),
        playback_configuration_arns: input
            .value("mediaTailorPlaybackConfigurations")
            .map(|_| arns(input))
            .transpose()?,
        post_roll,
    })
}

/// A number of seconds, which the model keeps in range.
fn seconds(input: &Input, name: &str) -> Result<u32, ServiceError> {
    Ok(input.integer(name)?.and_then(|number| u32::try_from(number).ok()).unwrap_or(0))
}

fn answer(configuration: &AdConfiguration) -> Value {
    json!({"adConfiguration": members(configuration)})
}

pub(super) async fn create(control: &Control, call: &Call) -> Result<Value, Failure> {
    let tags = call.input.text_map("tags")?.unwrap_or_default();
    Ok(answer(&ads::create(control, &settings(&call.input)?, tags, Identity::Fresh, call.now).await?))
}

pub(super) async fn read(control: &Control, input: &Input) -> Result<Value, Failure> {
    Ok(answer(&get(control, input.required("arn")?).await?))
}

pub(super) async fn update(control: &Control, input: &Input) -> Result<Value, Failure> {
    Ok(answer(&ads::update(control, input.required("arn")?, &settings(input)?).await?))
}

pub(super) async fn list(control: &Control, input: &Input) -> Result<Value, Failure> {
    Ok(page_of("adConfigurations", ads::list(control, &page_request(input)?).await?, members))
}

pub(super) async fn insert_break(control: &Control, call: &Call) -> Result<Value, Failure> {
    let input = &call.input;
    let wanted = Wanted {
        duration_s: seconds(input, "durationSeconds")?,
        id: input.text("adBreakId")?.map(String::from),
        target_start: input.text("targetStartAt")?.and_then(Timestamp::parse_iso),
    };
    let inserted = ads::insert_break(control, input.required("channelArn")?, wanted, call.now).await?;
    Ok(json!({"adBreakId": inserted.id, "targetStartAt": inserted.target_start.iso_millis()}))
}
