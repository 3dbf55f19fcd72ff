//! Revocation of viewers' sessions on the wire.

use super::Failure;
use crate::{Call, Input, ServiceError};
use headwater_control::Control;
use headwater_control::ivs::revocations::{self, Viewer};
use serde_json::{Value, json};

fn viewer(input: &Input) -> Result<Viewer, ServiceError> {
    Ok(Viewer {
        channel_arn: input.required("channelArn")?.into(),
        viewer_id: input.required("viewerId")?.into(),
        versions_up_to: input.integer("viewerSessionVersionsLessThanOrEqualTo")?.unwrap_or(0),
    })
}

pub(super) async fn start(control: &Control, call: &Call) -> Result<Value, Failure> {
    revocations::start(control, &viewer(&call.input)?, call.now).await?;
    Ok(json!({}))
}

pub(super) async fn start_batch(control: &Control, call: &Call) -> Result<Value, Failure> {
    let sessions = call.input.structures("viewerSessions")?;
    let viewers = sessions.iter().map(viewer).collect::<Result<Vec<_>, _>>()?;
    let refused = revocations::start_batch(control, &viewers, call.now).await?;
    let errors = refused.into_iter().map(|(viewer, error)| {
        let ServiceError { code, message, .. } = super::worded(&call.operation, error);
        json!({"channelArn": viewer.channel_arn, "viewerId": viewer.viewer_id, "code": code, "message": message})
    });
    Ok(json!({"errors": errors.collect::<Vec<_>>()}))
}
