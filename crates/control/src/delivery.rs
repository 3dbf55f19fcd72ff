//! Brings events to the targets of rules: functions, and cues of live streams.

use crate::lambda::{self, permissions};
use crate::{Control, Error, ivs};
use async_trait::async_trait;
use bytes::Bytes;
use headwater_bus::{Deliver, Delivery, DeliveryError};
use headwater_functions::InvokeOptions;
use headwater_model::measure::Counter;
use headwater_model::{Realm, Timestamp};
use serde_json::Value;

/// On whose behalf functions are invoked for rules.
const EVENTS_SERVICE: &str = "events.amazonaws.com";
/// Resource part of a cue target's ARN, before the channel's id.
const CUE: &str = "cue/";

/// ARN of a native target: what is delivered to it becomes a cue of the stream that is live on the channel. A text goes
/// into the cue as it is, anything else as JSON.
pub fn cue_target_arn(realm: &Realm, channel_id: &str) -> String {
    realm.native_arn(&format!("{CUE}{channel_id}"))
}

/// How deliveries went, since the server started.
#[derive(Debug, Default)]
pub struct Outcomes {
    /// Those that reached their target.
    pub delivered: Counter,
    /// Tries that failed and are repeated while the target's limits allow it.
    pub retried: Counter,
    /// Those that no repetition can bring to their target.
    pub refused: Counter,
}

/// The bus' way to targets.
#[derive(Clone)]
pub struct Delivering {
    control: Control,
}

impl Delivering {
    /// Delivers through a control's operations.
    pub fn new(control: Control) -> Self {
        Delivering { control }
    }

    async fn to_function(&self, delivery: Delivery) -> Result<(), DeliveryError> {
        let arn = &delivery.target_arn;
        match permissions::permits(&self.control, arn, EVENTS_SERVICE, &delivery.rule_arn).await {
            Ok(true) => {}
            Ok(false) => {
                return Err(DeliveryError::Permanent {
                    code: "NO_PERMISSIONS",
                    reason: format!("{arn} does not let {EVENTS_SERVICE} invoke it for {}", delivery.rule_arn),
                });
            }
            Err(error) => return Err(failed(arn, &error)),
        }
        let payload = Bytes::from(delivery.payload.to_string());
        lambda::invoke_async(&self.control, arn, payload, InvokeOptions::default())
            .await
            .map(|_| ())
            .map_err(|error| failed(arn, &error))
    }

    async fn to_cue(&self, channel_id: &str, payload: &Value) -> Result<(), DeliveryError> {
        let arn = self.control.realm().ivs_arn("channel", channel_id);
        let text = match payload {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let error = match ivs::metadata::put_metadata(&self.control, &arn, &text, Timestamp::now()).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let reason = error.to_string();
        Err(match error {
            // "Stream Start" is durable a moment before the stream can be found, and it may be stopped and come back;
            // the target's retry limits say how long that is waited for.
            Error::NotBroadcasting { .. } => DeliveryError::Retry { code: "CHANNEL_NOT_BROADCASTING", reason },
            Error::Throttled { .. } => DeliveryError::Retry { code: "THROTTLING", reason },
            Error::Invalid { .. } => DeliveryError::Permanent { code: "INVALID_PAYLOAD", reason },
            Error::NotFound { .. } => DeliveryError::Permanent { code: "RESOURCE_NOT_FOUND", reason },
            _ => DeliveryError::Retry { code: "INTERNAL_ERROR", reason },
        })
    }
}

fn failed(arn: &str, error: &lambda::Error) -> DeliveryError {
    let reason = format!("{arn}: {error}");
    match error {
        lambda::Error::Control(Error::NotFound { .. }) => {
            DeliveryError::Permanent { code: "RESOURCE_NOT_FOUND", reason }
        }
        lambda::Error::Enqueue(headwater_functions::EnqueueError::PayloadTooLarge { .. }) => {
            DeliveryError::Permanent { code: "INVALID_PAYLOAD", reason }
        }
        _ => DeliveryError::Retry { code: "INTERNAL_ERROR", reason },
    }
}

#[async_trait]
impl Deliver for Delivering {
    async fn deliver(&self, delivery: Delivery) -> Result<(), DeliveryError> {
        let outcome = self.to_target(delivery).await;
        let outcomes = self.control.delivered();
        match &outcome {
            Ok(()) => outcomes.delivered.increment(),
            Err(DeliveryError::Retry { .. }) => outcomes.retried.increment(),
            Err(_) => outcomes.refused.increment(),
        }
        outcome
    }
}

impl Delivering {
    async fn to_target(&self, delivery: Delivery) -> Result<(), DeliveryError> {
        let realm = self.control.realm();
        if delivery.target_arn.starts_with(&realm.function_arn("")) {
            return self.to_function(delivery).await;
        }
        if let Some(channel_id) = delivery.target_arn.strip_prefix(&cue_target_arn(realm, "")) {
            return self.to_cue(channel_id, &delivery.payload).await;
        }
        Err(DeliveryError::Permanent {
            code: "RESOURCE_NOT_FOUND",
            reason: format!("targets like {} are not known here", delivery.target_arn),
        })
    }
}

#[cfg(test)]
mod tests;
