//! Playback restriction policies on the wire: shape PlaybackRestrictionPolicy.

use super::{Failure, page_of, page_request};
use crate::{Call, Input, ServiceError};
use headwater_control::Control;
use headwater_control::ivs::Identity;
use headwater_control::ivs::resource::get;
use headwater_control::ivs::restriction_policies::{self, Settings};
use headwater_model::ivs::PlaybackRestrictionPolicy;
use serde_json::{Value, json};

fn members(policy: &PlaybackRestrictionPolicy) -> Value {
    json!({
        "arn": policy.arn,
        "name": policy.name,
        "allowedCountries": policy.allowed_countries,
        "allowedOrigins": policy.allowed_origins,
        "enableStrictOriginEnforcement": policy.strict_origin,
        "tags": policy.tags,
    })
}

fn settings(input: &Input) -> Result<Settings, ServiceError> {
    let list = |name| input.value(name).map(|_| input.texts(name)).transpose();
    Ok(Settings {
        name: input.text("name")?.map(String::from),
        allowed_countries: list("allowedCountries")?,
        allowed_origins: list("allowedOrigins")?,
        strict_origin: input.boolean("enableStrictOriginEnforcement")?,
    })
}

fn answer(policy: &PlaybackRestrictionPolicy) -> Value {
    json!({"playbackRestrictionPolicy": members(policy)})
}

pub(super) async fn create(control: &Control, call: &Call) -> Result<Value, Failure> {
    let tags = call.input.text_map("tags")?.unwrap_or_default();
    let settings = settings(&call.input)?;
    Ok(answer(&restriction_policies::create(control, &settings, tags, Identity::Fresh, call.now).await?))
}

pub(super) async fn read(control: &Control, input: &Input) -> Result<Value, Failure> {
    Ok(answer(&get(control, input.required("arn")?).await?))
}

pub(super) async fn update(control: &Control, input: &Input) -> Result<Value, Failure> {
    Ok(answer(&restriction_policies::update(control, input.required("arn")?, &settings(input)?).await?))
}

pub(super) async fn list(control: &Control, input: &Input) -> Result<Value, Failure> {
    let page = restriction_policies::list(control, &page_request(input)?).await?;
    Ok(page_of("playbackRestrictionPolicies", page, members))
}
