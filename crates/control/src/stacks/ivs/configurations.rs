//! `AWS::IVS::PlaybackKeyPair`, `…::PlaybackRestrictionPolicy`, `…::RecordingConfiguration`, `…::AdConfiguration`.

use super::super::given::{Given, failed, id_of, made};
use super::{ID_LENGTH, named, set_tags};
use crate::ivs::resource::{self, Identity, Resource};
use crate::ivs::{ads, key_pairs, recording, restriction_policies};
use crate::{Control, Error};
use async_trait::async_trait;
use headwater_model::Timestamp;
use headwater_model::ivs::{
    AdBreak, AdConfiguration, PlaybackKeyPair, PlaybackRestrictionPolicy, PostRoll, RecordingConfiguration,
    RecordingMode, RecordingState, Rendition, RenditionSelection, ThumbnailStorage, Thumbnails,
};
use headwater_stacks::schema::{Kind, Property, Schema};
use headwater_stacks::{Current, Made, Provider, ProviderError, Request, Updated};
use serde::de::DeserializeOwned;

/// One of these types: how its properties become a resource, and back.
#[async_trait]
pub trait Configuration: Resource + Sync + Send + 'static {
    /// As templates see it.
    fn schema() -> Schema;

    /// Makes it under this id, or finds what an earlier try made.
    async fn create(control: &Control, request: &Request, id: &str) -> Result<Self, Error>;

    /// Changes what may be changed of it, besides tags.
    async fn update(control: &Control, request: &Request, arn: &str) -> Result<Self, Error>;

    /// What `Fn::GetAtt` gives besides `Arn`.
    fn attributes(&self) -> Vec<(&'static str, String)>;
}

/// The provider of such a type.
pub struct ConfigurationProvider<C> {
    control: Control,
    schema: Schema,
    of: std::marker::PhantomData<fn() -> C>,
}

impl<C: Configuration> ConfigurationProvider<C> {
    /// Works through a control.
    pub fn new(control: &Control) -> Self {
        ConfigurationProvider { control: control.clone(), schema: C::schema(), of: std::marker::PhantomData }
    }
}

fn made_of<C: Configuration>(configuration: &C) -> Made {
    let mut attributes = configuration.attributes();
    attributes.push(("Arn", configuration.arn().to_owned()));
    made(configuration.arn(), &attributes)
}

#[async_trait]
impl<C: Configuration> Provider for ConfigurationProvider<C> {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    async fn create(&self, request: Request) -> Result<Made, ProviderError> {
        let id = id_of(&request.token, ID_LENGTH);
        Ok(made_of(&C::create(&self.control, &request, &id).await.map_err(failed)?))
    }

    async fn update(&self, request: Request, current: Current) -> Result<Updated, ProviderError> {
        let arn = current.physical_id.unwrap_or_default();
        let changed = C::update(&self.control, &request, &arn).await.map_err(failed)?;
        let tags = Given(&request.properties).tags(&request.stack.tags);
        set_tags(&self.control, &arn, changed.tags(), &tags).await.map_err(failed)?;
        Ok(Updated::InPlace(made_of(&changed)))
    }

    async fn delete(&self, _: Request, current: Current) -> Result<(), ProviderError> {
        let chosen = || self.control.realm().ivs_arn(C::KIND, &id_of(&current.token, ID_LENGTH));
        let arn = current.physical_id.clone().unwrap_or_else(chosen);
        match resource::delete::<C>(&self.control, &arn).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }
}

/// Texts of an enumeration as its values; the schema has refused other texts.
fn values<T: DeserializeOwned>(given: Given<'_>, name: &str) -> Vec<T> {
    given.texts(name).iter().filter_map(|text| named(text)).collect()
}

#[async_trait]
impl Configuration for PlaybackKeyPair {
    fn schema() -> Schema {
        Schema::new("AWS::IVS::PlaybackKeyPair")
            .property(Property::new("Name", Kind::Text).replaces())
            .property(Property::new("PublicKeyMaterial", Kind::Text).required().replaces())
            .property(Property::new("Tags", Kind::tags()))
            .attributes(&["Arn", "Fingerprint"])
    }

    async fn create(control: &Control, request: &Request, id: &str) -> Result<Self, Error> {
        let given = Given(&request.properties);
        let (pem, name) = (given.required("PublicKeyMaterial"), given.text("Name").unwrap_or_default());
        let tags = given.tags(&request.stack.tags);
        key_pairs::import(control, pem, name, tags, Identity::Chosen(id), Timestamp::now()).await
    }

    async fn update(control: &Control, _: &Request, arn: &str) -> Result<Self, Error> {
        resource::get(control, arn).await
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("Fingerprint", self.fingerprint.clone())]
    }
}

/// All settings: what a template leaves out has its default, also in an update.
fn policy_settings(given: Given<'_>) -> restriction_policies::Settings {
    restriction_policies::Settings {
        name: Some(given.text("Name").unwrap_or_default().to_owned()),
        allowed_countries: Some(given.texts("AllowedCountries")),
        allowed_origins: Some(given.texts("AllowedOrigins")),
        strict_origin: Some(given.flag("EnableStrictOriginEnforcement").unwrap_or(false)),
    }
}

#[async_trait]
impl Configuration for PlaybackRestrictionPolicy {
    fn schema() -> Schema {
        Schema::new("AWS::IVS::PlaybackRestrictionPolicy")
            .property(Property::new("AllowedCountries", Kind::list(Kind::Text)))
            .property(Property::new("AllowedOrigins", Kind::list(Kind::Text)))
            .property(Property::new("EnableStrictOriginEnforcement", Kind::Flag))
            .property(Property::new("Name", Kind::Text))
            .property(Property::new("Tags", Kind::tags()))
            .attributes(&["Arn"])
    }

    async fn create(control: &Control, request: &Request, id: &str) -> Result<Self, Error> {
        let given = Given(&request.properties);
        let tags = given.tags(&request.stack.tags);
        let settings = policy_settings(given);
        restriction_policies::create(control, &settings, tags, Identity::Chosen(id), Timestamp::now()).await
    }

    async fn update(control: &Control, request: &Request, arn: &str) -> Result<Self, Error> {
        restriction_policies::update(control, arn, &policy_settings(Given(&request.properties))).await
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

const RENDITIONS: Kind = Kind::OneOf(&["SD", "HD", "FULL_HD", "LOWEST_RESOLUTION"]);

fn thumbnails(given: Option<Given<'_>>) -> Thumbnails {
    let usual = Thumbnails::default();
    let Some(given) = given else { return usual };
    let mode = given.text("RecordingMode").and_then(named).unwrap_or(usual.mode);
    let storage: Vec<ThumbnailStorage> = values(given, "Storage");
    Thumbnails {
        mode,
        interval_s: match mode {
            RecordingMode::Interval => given.number("TargetIntervalSeconds").or(usual.interval_s),
            RecordingMode::Disabled => given.number("TargetIntervalSeconds"),
        },
        resolution: given.text("Resolution").and_then(named),
        storage: if storage.is_empty() { usual.storage } else { storage },
    }
}

fn renditions(given: Option<Given<'_>>) -> RenditionSelection {
    let Some(given) = given else { return RenditionSelection::default() };
    let renditions: Vec<Rendition> = values(given, "Renditions");
    match given.text("RenditionSelection") {
        Some("CUSTOM") => RenditionSelection::Custom(renditions),
        Some("NONE") => RenditionSelection::None,
        _ => RenditionSelection::All,
    }
}

#[async_trait]
impl Configuration for RecordingConfiguration {
    fn schema() -> Schema {
        let bucket = Kind::Object(vec![Property::new("BucketName", Kind::Text).required()]);
        let destination = Kind::Object(vec![Property::new("S3", bucket).required()]);
        let rendition = Kind::Object(vec![
            Property::new("RenditionSelection", Kind::OneOf(&["ALL", "NONE", "CUSTOM"])),
            Property::new("Renditions", Kind::list(RENDITIONS)),
        ]);
        let thumbnail = Kind::Object(vec![
            Property::new("RecordingMode", Kind::OneOf(&["INTERVAL", "DISABLED"])),
            Property::new("Resolution", RENDITIONS),
            Property::new("Storage", Kind::list(Kind::OneOf(&["SEQUENTIAL", "LATEST"]))),
            Property::new("TargetIntervalSeconds", Kind::Integer { min: 1, max: 60 }),
        ]);
        Schema::new("AWS::IVS::RecordingConfiguration")
            .property(Property::new("DestinationConfiguration", destination).required().replaces())
            .property(Property::new("Name", Kind::Text).replaces())
            .property(Property::new("RecordingReconnectWindowSeconds", Kind::Integer { min: 0, max: 300 }).replaces())
            .property(Property::new("RenditionConfiguration", rendition).replaces())
            .property(Property::new("ThumbnailConfiguration", thumbnail).replaces())
            .property(Property::new("Tags", Kind::tags()))
            .attributes(&["Arn", "State"])
    }

    /// Waits for the bucket to be looked at: CloudFormation's resource is there when it can be used.
    async fn create(control: &Control, request: &Request, id: &str) -> Result<Self, Error> {
        let given = Given(&request.properties);
        let bucket = given.inner("DestinationConfiguration").and_then(|destination| destination.inner("S3"));
        let settings = recording::Settings {
            name: given.text("Name").unwrap_or_default().to_owned(),
            bucket: bucket.map(|s3| s3.required("BucketName").to_owned()).unwrap_or_default(),
            reconnect_window_s: given.number("RecordingReconnectWindowSeconds").unwrap_or(0),
            thumbnails: thumbnails(given.inner("ThumbnailConfiguration")),
            renditions: renditions(given.inner("RenditionConfiguration")),
        };
        let tags = given.tags(&request.stack.tags);
        let made = recording::create(control, settings, tags, Identity::Chosen(id), Timestamp::now()).await?;
        let settled = recording::settled(control, &made.arn).await?;
        if settled.state == RecordingState::CreateFailed {
            resource::delete::<RecordingConfiguration>(control, &settled.arn).await?;
            return Err(Error::invalid(format!("there is no bucket {:?} in this Region and account", settled.bucket)));
        }
        Ok(settled)
    }

    async fn update(control: &Control, _: &Request, arn: &str) -> Result<Self, Error> {
        resource::get(control, arn).await
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let state = match self.state {
            RecordingState::Creating => "CREATING",
            RecordingState::CreateFailed => "CREATE_FAILED",
            RecordingState::Active => "ACTIVE",
        };
        vec![("State", state.to_owned())]
    }
}

/// All settings: what a template leaves out has its default, also in an update.
fn ad_settings(given: Given<'_>) -> ads::Settings {
    let configurations = given.list("MediaTailorPlaybackConfigurations").iter();
    let post_roll = given.inner("PostRollConfiguration").map(|given| PostRoll {
        enabled: given.flag("Enabled").unwrap_or(false),
        duration_s: given.number("DurationSeconds").unwrap_or(PostRoll::default().duration_s),
    });
    ads::Settings {
        name: Some(given.text("Name").unwrap_or_default().to_owned()),
        playback_configuration_arns: Some(
            configurations.map(|entry| Given(entry).required("PlaybackConfigurationArn").to_owned()).collect(),
        ),
        post_roll: Some(post_roll.unwrap_or_default()),
    }
}

#[async_trait]
impl Configuration for AdConfiguration {
    fn schema() -> Schema {
        let playback = Kind::Object(vec![Property::new("PlaybackConfigurationArn", Kind::Text).required()]);
        let seconds = Kind::Integer { min: 1, max: i64::from(AdBreak::DURATION_S_MAX) };
        let post_roll = Kind::Object(vec![
            Property::new("DurationSeconds", seconds).required(),
            Property::new("Enabled", Kind::Flag).required(),
        ]);
        Schema::new("AWS::IVS::AdConfiguration")
            .property(Property::new("MediaTailorPlaybackConfigurations", Kind::list(playback)).required())
            .property(Property::new("Name", Kind::Text))
            .property(Property::new("PostRollConfiguration", post_roll))
            .property(Property::new("Tags", Kind::tags()))
            .attributes(&["Arn"])
    }

    async fn create(control: &Control, request: &Request, id: &str) -> Result<Self, Error> {
        let given = Given(&request.properties);
        let tags = given.tags(&request.stack.tags);
        ads::create(control, &ad_settings(given), tags, Identity::Chosen(id), Timestamp::now()).await
    }

    async fn update(control: &Control, request: &Request, arn: &str) -> Result<Self, Error> {
        ads::update(control, arn, &ad_settings(Given(&request.properties))).await
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}
