//! Failover slates on the wire: shape FailoverSlateConfiguration.

use super::wire::name_of;
use super::{Failure, page_of, page_request};
use crate::{Call, Input, ServiceError};
use headwater_control::Control;
use headwater_control::ivs::resource::get;
use headwater_control::ivs::slates::{self, Settings};
use headwater_model::ivs::FailoverSlate;
use serde_json::{Value, json};

/// `FailoverSlateConfiguration`, also in a stream session.
pub(super) fn members(slate: &FailoverSlate) -> Value {
    json!({
        "arn": slate.arn,
        "name": slate.name,
        "activationThresholdSeconds": slate.activation_s,
        "minSlateDisplaySeconds": slate.display_min_s,
        "maxSlateDisplaySeconds": slate.display_max_s,
        "state": name_of(slate.state),
        "tags": slate.tags,
    })
}

fn settings(input: &Input) -> Result<Settings, ServiceError> {
    // The model keeps the numbers in range.
    let seconds =
        |name| -> Result<_, ServiceError> { Ok(input.integer(name)?.and_then(|number| u32::try_from(number).ok())) };
    Ok(Settings {
        name: input.text("name")?.map(String::from),
        activation_s: seconds("activationThresholdSeconds")?,
        display_min_s: seconds("minSlateDisplaySeconds")?,
        display_max_s: seconds("maxSlateDisplaySeconds")?,
    })
}

fn answer(slate: &FailoverSlate) -> Value {
    json!({"failoverSlateConfiguration": members(slate)})
}

pub(super) async fn create(control: &Control, call: &Call) -> Result<Value, Failure> {
    let tags = call.input.text_map("tags")?.unwrap_or_default();
    Ok(answer(&slates::create(control, &settings(&call.input)?, tags, call.now).await?))
}

pub(super) async fn read(control: &Control, input: &Input) -> Result<Value, Failure> {
    Ok(answer(&get(control, input.required("arn")?).await?))
}

pub(super) async fn update(control: &Control, input: &Input) -> Result<Value, Failure> {
    Ok(answer(&slates::update(control, input.required("arn")?, &settings(input)?).await?))
}

pub(super) async fn list(control: &Control, input: &Input) -> Result<Value, Failure> {
    Ok(page_of("failoverSlateConfigurations", slates::list(control, &page_request(input)?).await?, members))
}
