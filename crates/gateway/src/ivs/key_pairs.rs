//! Playback key pairs on the wire: shapes PlaybackKeyPair and PlaybackKeyPairSummary.

use super::{Failure, page_of, page_request};
use crate::{Call, Input};
use headwater_control::Control;
use headwater_control::ivs::resource::get;
use headwater_control::ivs::{Identity, key_pairs};
use headwater_model::ivs::PlaybackKeyPair;
use serde_json::{Value, json};

fn members(pair: &PlaybackKeyPair) -> Value {
    let mut members = summary(pair);
    members["fingerprint"] = pair.fingerprint.as_str().into();
    members
}

fn summary(pair: &PlaybackKeyPair) -> Value {
    json!({"arn": pair.arn, "name": pair.name, "tags": pair.tags})
}

pub(super) async fn import(control: &Control, call: &Call) -> Result<Value, Failure> {
    let input = &call.input;
    let (pem, name) = (input.required("publicKeyMaterial")?, input.text("name")?.unwrap_or_default());
    let tags = input.text_map("tags")?.unwrap_or_default();
    let pair = key_pairs::import(control, pem, name, tags, Identity::Fresh, call.now).await?;
    Ok(json!({"keyPair": members(&pair)}))
}

pub(super) async fn read(control: &Control, input: &Input) -> Result<Value, Failure> {
    Ok(json!({"keyPair": members(&get(control, input.required("arn")?).await?)}))
}

pub(super) async fn list(control: &Control, input: &Input) -> Result<Value, Failure> {
    Ok(page_of("keyPairs", key_pairs::list(control, &page_request(input)?).await?, summary))
}
