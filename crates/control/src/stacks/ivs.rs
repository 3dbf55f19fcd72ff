//! `AWS::IVS::Channel`, `AWS::IVS::StreamKey`, and what channels refer to: [`configurations`].

pub mod configurations;

use super::given::{Given, failed, id_of, made};
use crate::ivs::channels::{
    Settings, create_channel_as, delete_channel, ingest_endpoint, playback_url, update_channel, with_settings,
};
use crate::ivs::keys::{create_stream_key_as, delete_stream_key, stream_key};
use crate::ivs::{channel, streams, tags};
use crate::{Control, Error};
use async_trait::async_trait;
use headwater_model::Timestamp;
use headwater_model::ivs::{Channel, ChannelType, ContainerFormat, LatencyMode, MultitrackInput, StreamKey};
use headwater_stacks::schema::{Kind, Property, Schema};
use headwater_stacks::{Current, Made, Provider, ProviderError, Request, Updated};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Length of a resource id in IVS' ARNs.
const ID_LENGTH: usize = 12;

/// `AWS::IVS::Channel`.
pub struct ChannelProvider {
    control: Control,
    schema: Schema,
}

impl ChannelProvider {
    /// Works through a control.
    pub fn new(control: &Control) -> Self {
        let multitrack = Kind::Object(vec![
            Property::new("Enabled", Kind::Flag),
            Property::new("MaximumResolution", Kind::OneOf(&["SD", "HD", "FULL_HD"])),
            Property::new("Policy", Kind::OneOf(&["ALLOW", "REQUIRE"])),
        ]);
        let schema = Schema::new("AWS::IVS::Channel")
            .property(Property::new("Name", Kind::Text))
            .property(Property::new("Type", Kind::OneOf(&["STANDARD", "BASIC", "ADVANCED_SD", "ADVANCED_HD"])))
            .property(Property::new("LatencyMode", Kind::OneOf(&["LOW", "NORMAL"])))
            .property(Property::new("Authorized", Kind::Flag))
            .property(Property::new("InsecureIngest", Kind::Flag))
            .property(Property::new(
                "Preset",
                Kind::OneOf(&["", "CONSTRAINED_BANDWIDTH_DELIVERY", "HIGHER_BANDWIDTH_DELIVERY"]),
            ))
            .property(Property::new("RecordingConfigurationArn", Kind::Text))
            .property(Property::new("ContainerFormat", Kind::OneOf(&["TS", "FRAGMENTED_MP4"])))
            .property(Property::new("MultitrackInputConfiguration", multitrack))
            .property(Property::new("Tags", Kind::tags()))
            .attributes(&["Arn", "IngestEndpoint", "PlaybackUrl"]);
        ChannelProvider { control: control.clone(), schema }
    }

    fn made(&self, channel: &Channel) -> Made {
        made(
            channel.arn.clone(),
            &[
                ("Arn", channel.arn.clone()),
                ("IngestEndpoint", ingest_endpoint(&self.control)),
                ("PlaybackUrl", playback_url(&self.control, channel)),
            ],
        )
    }
}

/// A wire name as the model's enum; the schema has refused other names.
fn named<T: DeserializeOwned>(name: &str) -> Option<T> {
    serde_json::from_value(name.into()).ok()
}

/// All settings: what a template leaves out has its default, also in an update.
fn settings(given: Given<'_>) -> Settings {
    let multitrack = given.inner("MultitrackInputConfiguration").map(|given| MultitrackInput {
        enabled: given.flag("Enabled").unwrap_or(false),
        maximum_resolution: given.text("MaximumResolution").and_then(named),
        policy: given.text("Policy").and_then(named),
    });
    Settings {
        // The resource schema's default.
        name: Some(given.text("Name").unwrap_or("-").to_owned()),
        latency_mode: Some(given.text("LatencyMode").and_then(named::<LatencyMode>).unwrap_or_default()),
        channel_type: Some(given.text("Type").and_then(named::<ChannelType>).unwrap_or_default()),
        preset: Some(given.text("Preset").unwrap_or_default().to_owned()),
        authorized: Some(given.flag("Authorized").unwrap_or(false)),
        insecure_ingest: Some(given.flag("InsecureIngest").unwrap_or(false)),
        recording_configuration_arn: Some(given.text("RecordingConfigurationArn").unwrap_or_default().to_owned()),
        playback_restriction_policy_arn: None,
        ad_configuration_arn: None,
        failover_slate_configuration_arn: None,
        multitrack: Some(multitrack.unwrap_or_default()),
        container_format: Some(given.text("ContainerFormat").and_then(named::<ContainerFormat>).unwrap_or_default()),
    }
}

async fn set_tags(
    control: &Control,
    arn: &str,
    present: &BTreeMap<String, String>,
    wanted: &BTreeMap<String, String>,
) -> Result<(), Error> {
    let gone: Vec<String> = present.keys().filter(|key| !wanted.contains_key(*key)).cloned().collect();
    if !gone.is_empty() {
        tags::untag(control, arn, &gone).await?;
    }
    if present != wanted {
        tags::tag(control, arn, wanted).await?;
    }
    Ok(())
}

#[async_trait]
impl Provider for ChannelProvider {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    async fn create(&self, request: Request) -> Result<Made, ProviderError> {
        let given = Given(&request.properties);
        let id = id_of(&request.token, ID_LENGTH);
        let tags = given.tags(&request.stack.tags);
        let channel = create_channel_as(&self.control, &id, &settings(given), tags, Timestamp::now()).await;
        Ok(self.made(&channel.map_err(failed)?))
    }

    async fn update(&self, request: Request, current: Current) -> Result<Updated, ProviderError> {
        let given = Given(&request.properties);
        let arn = current.physical_id.unwrap_or_default();
        let present = Arc::unwrap_or_clone(channel(&self.control, &arn).await.map_err(failed)?);
        let wanted = settings(given);
        // A live channel cannot be changed; one that is as it should be need not be, as when a change is taken back.
        let changed = match with_settings(present.clone(), &wanted).map_err(failed)? {
            same if same == present => present,
            _ => update_channel(&self.control, &arn, &wanted).await.map_err(failed)?,
        };
        let tags = given.tags(&request.stack.tags);
        set_tags(&self.control, &arn, &changed.tags, &tags).await.map_err(failed)?;
        Ok(Updated::InPlace(self.made(&changed)))
    }

    /// A stream that is live on it is ended: whoever deletes the stack means it.
    async fn delete(&self, _: Request, current: Current) -> Result<(), ProviderError> {
        let chosen = || self.control.realm().ivs_arn("channel", &id_of(&current.token, ID_LENGTH));
        let arn = current.physical_id.clone().unwrap_or_else(chosen);
        match streams::stop_stream(&self.control, &arn).await {
            Ok(()) | Err(Error::NotBroadcasting { .. } | Error::NotFound { .. }) => {}
            Err(error) => return Err(failed(error)),
        }
        match delete_channel(&self.control, &arn).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }
}

/// `AWS::IVS::StreamKey`.
pub struct StreamKeyProvider {
    control: Control,
    schema: Schema,
}

impl StreamKeyProvider {
    /// Works through a control.
    pub fn new(control: &Control) -> Self {
        let schema = Schema::new("AWS::IVS::StreamKey")
            .property(Property::new("ChannelArn", Kind::Text).required().replaces())
            .property(Property::new("Tags", Kind::tags()))
            .attributes(&["Arn", "Value"]);
        StreamKeyProvider { control: control.clone(), schema }
    }
}

fn made_key(key: &StreamKey) -> Made {
    made(key.arn.clone(), &[("Arn", key.arn.clone()), ("Value", key.value.expose().to_owned())])
}

#[async_trait]
impl Provider for StreamKeyProvider {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    async fn create(&self, request: Request) -> Result<Made, ProviderError> {
        let given = Given(&request.properties);
        let id = id_of(&request.token, ID_LENGTH);
        let tags = given.tags(&request.stack.tags);
        let key = create_stream_key_as(&self.control, &id, given.required("ChannelArn"), tags, Timestamp::now()).await;
        Ok(made_key(&key.map_err(failed)?))
    }

    async fn update(&self, request: Request, current: Current) -> Result<Updated, ProviderError> {
        let arn = current.physical_id.unwrap_or_default();
        let key = stream_key(&self.control, &arn).await.map_err(failed)?;
        let tags = Given(&request.properties).tags(&request.stack.tags);
        set_tags(&self.control, &arn, &key.tags, &tags).await.map_err(failed)?;
        Ok(Updated::InPlace(made_key(&key)))
    }

    async fn delete(&self, _: Request, current: Current) -> Result<(), ProviderError> {
        let chosen = || self.control.realm().ivs_arn("stream-key", &id_of(&current.token, ID_LENGTH));
        let arn = current.physical_id.clone().unwrap_or_else(chosen);
        match delete_stream_key(&self.control, &arn).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }
}
