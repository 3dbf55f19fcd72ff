//! Channels: made with their key, read, listed, changed, deleted.

use super::resource::{self, check_arn, check_name, one_more, refused};
use super::{Batch as BatchGot, Listing, Page, PageRequest, batch_get, channel, keys, streams, tags};
use crate::{Control, Error};
use headwater_model::Timestamp;
use headwater_model::ivs::{
    AdConfiguration, Channel, ChannelType, ContainerFormat, FailoverSlate, LatencyMode, MultitrackInput,
    PlaybackRestrictionPolicy, RecordingConfiguration, StreamKey, Tags, name_label, reference_label,
};
use headwater_store::{Batch, Select, load};

/// Records read at once while a list is filtered.
const CHUNK: u32 = 500;

/// What a caller says of a channel. `None` means the default when the channel is made, and no change when it is
/// changed. An empty ARN detaches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// `[a-zA-Z0-9-_]*`, up to 128 characters.
    pub name: Option<String>,
    /// How close to live viewers are kept.
    pub latency_mode: Option<LatencyMode>,
    /// What is made of the encoder's picture.
    pub channel_type: Option<ChannelType>,
    /// Only for advanced types.
    pub preset: Option<String>,
    /// Whether playback needs a token.
    pub authorized: Option<bool>,
    /// Whether RTMP without TLS is welcome from other machines.
    pub insecure_ingest: Option<bool>,
    /// Recording configuration.
    pub recording_configuration_arn: Option<String>,
    /// Restriction policy.
    pub playback_restriction_policy_arn: Option<String>,
    /// Ad configuration.
    pub ad_configuration_arn: Option<String>,
    /// Failover slate.
    pub failover_slate_configuration_arn: Option<String>,
    /// How several tracks from one encoder are taken.
    pub multitrack: Option<MultitrackInput>,
    /// What viewers' media lies in.
    pub container_format: Option<ContainerFormat>,
}

const DEFAULT_ADVANCED_PRESET: &str = "HIGHER_BANDWIDTH_DELIVERY";
const PRESETS: &[&str] = &[DEFAULT_ADVANCED_PRESET, "CONSTRAINED_BANDWIDTH_DELIVERY"];

impl Settings {
    /// Puts the settings on a channel, or says which rule they break.
    fn apply(&self, channel: &mut Channel) -> Result<(), Error> {
        if let Some(name) = &self.name {
            check_name(name)?;
            channel.name.clone_from(name);
        }
        channel.latency_mode = self.latency_mode.unwrap_or(channel.latency_mode);
        channel.channel_type = self.channel_type.unwrap_or(channel.channel_type);
        channel.authorized = self.authorized.unwrap_or(channel.authorized);
        channel.insecure_ingest = self.insecure_ingest.unwrap_or(channel.insecure_ingest);
        channel.container_format = self.container_format.unwrap_or(channel.container_format);
        channel.multitrack = self.multitrack.unwrap_or(channel.multitrack);
        self.apply_preset(channel)?;
        apply_reference(
            &mut channel.recording_configuration_arn,
            &self.recording_configuration_arn,
            "recording-configuration",
        )?;
        apply_reference(
            &mut channel.playback_restriction_policy_arn,
            &self.playback_restriction_policy_arn,
            "playback-restriction-policy",
        )?;
        apply_reference(&mut channel.ad_configuration_arn, &self.ad_configuration_arn, "ad-configuration")?;
        apply_reference(
            &mut channel.failover_slate_configuration_arn,
            &self.failover_slate_configuration_arn,
            "failover-slate-configuration",
        )?;
        check_multitrack(channel, self.container_format)?;
        if channel.container_format == ContainerFormat::FragmentedMp4 && !channel.ad_configuration_arn.is_empty() {
            return Err(Error::invalid("a channel with an adConfigurationArn must have containerFormat TS"));
        }
        Ok(())
    }

    fn apply_preset(&self, channel: &mut Channel) -> Result<(), Error> {
        let is_advanced = matches!(channel.channel_type, ChannelType::AdvancedSd | ChannelType::AdvancedHd);
        let asked = self.preset.as_deref().unwrap_or("");
        if !asked.is_empty() && !PRESETS.contains(&asked) {
            return Err(Error::invalid(format!("preset must be one of {}", PRESETS.join(", "))));
        }
        if !is_advanced {
            if !asked.is_empty() {
                return Err(Error::invalid("preset is only for channels of type ADVANCED_SD and ADVANCED_HD"));
            }
            channel.preset.clear();
        } else if !asked.is_empty() {
            channel.preset = asked.into();
        } else if channel.preset.is_empty() {
            channel.preset = DEFAULT_ADVANCED_PRESET.into();
        }
        Ok(())
    }
}

/// Multitrack input needs a STANDARD channel, a policy, a resolution and fragmented MP4, all said together.
fn check_multitrack(channel: &Channel, container_format: Option<ContainerFormat>) -> Result<(), Error> {
    let multitrack = channel.multitrack;
    if !multitrack.enabled {
        return Ok(());
    }
    if channel.channel_type != ChannelType::Standard {
        return Err(Error::invalid("multitrackInputConfiguration may be enabled for channels of type STANDARD only"));
    }
    let is_fragmented = channel.container_format == ContainerFormat::FragmentedMp4
        && container_format.is_none_or(|format| format == ContainerFormat::FragmentedMp4);
    if multitrack.policy.is_none() || multitrack.maximum_resolution.is_none() || !is_fragmented {
        return Err(Error::invalid(
            "an enabled multitrackInputConfiguration needs policy, maximumResolution and containerFormat FRAGMENTED_MP4",
        ));
    }
    Ok(())
}

/// Attaches or detaches. Whether what is attached exists is seen when the channel is written ([`require_references`]).
fn apply_reference(current: &mut String, asked: &Option<String>, kind: &'static str) -> Result<(), Error> {
    let Some(arn) = asked else { return Ok(()) };
    if !arn.is_empty() {
        check_arn(arn, kind)?;
    }
    current.clone_from(arn);
    Ok(())
}

/// Has a batch that writes a channel fail unless all that the channel refers to is there.
fn require_references(batch: &mut Batch, channel: &Channel) {
    if !channel.recording_configuration_arn.is_empty() {
        batch.require::<RecordingConfiguration>(&channel.recording_configuration_arn);
    }
    if !channel.playback_restriction_policy_arn.is_empty() {
        batch.require::<PlaybackRestrictionPolicy>(&channel.playback_restriction_policy_arn);
    }
    if !channel.ad_configuration_arn.is_empty() {
        batch.require::<AdConfiguration>(&channel.ad_configuration_arn);
    }
    if !channel.failover_slate_configuration_arn.is_empty() {
        batch.require::<FailoverSlate>(&channel.failover_slate_configuration_arn);
    }
}

/// Commits a batch with a new channel in it. What the channel refers to must be there, and the quota must have room: both
/// are part of the commit, so they also hold of channels made at once, and no channel is read for it.
async fn commit_new(control: &Control, channel: &Channel, mut batch: Batch) -> Result<(), Error> {
    let limit = control.quotas().channels;
    require_references(&mut batch, channel);
    batch.insert(channel)?.within::<Channel>(limit);
    control.store().commit(batch).await.map_err(|error| refused(error, ("channels", limit)))?;
    tracing::info!(channel = channel.arn, name = channel.name, "channel created");
    Ok(())
}

/// Makes a channel and one stream key, both or neither. The tags are the channel's.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::NotFound`] for a resource that the settings name; [`Error::QuotaExceeded`];
/// [`Error::Store`].
pub async fn create_channel(
    control: &Control,
    settings: &Settings,
    tags: Tags,
    now: Timestamp,
) -> Result<(Channel, StreamKey), Error> {
    let channel = prepare(Channel::new(control.realm(), "", now), settings, tags)?;
    let key = StreamKey::new(control.realm(), &channel.arn, now);
    let mut batch = Batch::new();
    keys::insert(&mut batch, &key)?;
    commit_new(control, &channel, batch).await?;
    Ok((channel, key))
}

fn prepare(mut channel: Channel, settings: &Settings, tags: Tags) -> Result<Channel, Error> {
    settings.apply(&mut channel)?;
    tags::check(&tags)?;
    channel.tags = tags;
    Ok(channel)
}

/// Makes a channel without a key under an id that its maker chose; made again under it, it is the first one. For
/// stacks: CloudFormation's channels come without a key, and a create is repeated after a crash.
pub(crate) async fn create_channel_as(
    control: &Control,
    id: &str,
    settings: &Settings,
    tags: Tags,
    now: Timestamp,
) -> Result<Channel, Error> {
    let arn = control.realm().ivs_arn("channel", id);
    if let Some(standing) = headwater_store::find::<Channel>(control.store(), &arn).await? {
        return Ok(standing);
    }
    let named = Channel { id: id.into(), arn, ..Channel::new(control.realm(), "", now) };
    let channel = prepare(named, settings, tags)?;
    commit_new(control, &channel, Batch::new()).await?;
    Ok(channel)
}

/// What a channel would be with these settings.
pub(crate) fn with_settings(mut channel: Channel, settings: &Settings) -> Result<Channel, Error> {
    settings.apply(&mut channel)?;
    Ok(channel)
}

/// The channels with these ARNs.
///
/// # Errors
/// [`Error::Invalid`] if there are none or more than [`super::BATCH_MAX`], or one is no channel's ARN;
/// [`Error::Store`].
pub async fn batch_get_channel(control: &Control, arns: &[String]) -> Result<BatchGot<Channel>, Error> {
    batch_get(control, arns).await
}

/// Which channels a list has; at most one filter may be set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Channels of exactly this name.
    pub name: Option<String>,
    /// Channels with this recording configuration.
    pub recording_configuration_arn: Option<String>,
    /// Channels with this restriction policy.
    pub playback_restriction_policy_arn: Option<String>,
    /// Channels with this ad configuration.
    pub ad_configuration_arn: Option<String>,
    /// Channels with this failover slate.
    pub failover_slate_configuration_arn: Option<String>,
}

impl Filter {
    fn members(&self) -> [&Option<String>; 5] {
        [
            &self.name,
            &self.recording_configuration_arn,
            &self.playback_restriction_policy_arn,
            &self.ad_configuration_arn,
            &self.failover_slate_configuration_arn,
        ]
    }

    fn accepts(&self, channel: &Channel) -> bool {
        let values = [
            &channel.name,
            &channel.recording_configuration_arn,
            &channel.playback_restriction_policy_arn,
            &channel.ad_configuration_arn,
            &channel.failover_slate_configuration_arn,
        ];
        self.members().iter().zip(values).all(|(wanted, value)| wanted.as_ref().is_none_or(|wanted| wanted == value))
    }

    /// The label of the channels that it lets through. Empty texts have none.
    fn label(&self) -> Option<String> {
        let [name, references @ ..] = self.members();
        let not_empty = |text: &&String| !text.is_empty();
        let name = name.as_ref().filter(not_empty).map(|name| name_label(name));
        let mut references = references.into_iter().filter_map(|arn| arn.as_ref().filter(not_empty));
        name.or_else(|| references.next().map(|arn| reference_label(arn)))
    }
}

/// Channels in ascending order of their ARNs; 100 in a page unless asked otherwise.
///
/// # Errors
/// [`Error::Conflict`] if two filters are set; [`Error::Invalid`]; [`Error::Store`].
pub async fn list_channels(control: &Control, filter: &Filter, request: &PageRequest) -> Result<Page<Channel>, Error> {
    if filter.members().iter().filter(|member| member.is_some()).count() > 1 {
        return Err(Error::conflict("only one filter may be given at a time"));
    }
    let size = request.size(resource::LISTED_MAX, resource::LISTED_MAX)?;
    let narrowed_by = filter.members().map(|member| member.as_deref().unwrap_or_default());
    let listing = Listing::new("ListChannels", narrowed_by);
    let mut after = request.after(&listing)?;
    let label = filter.label();
    // Only a filter for channels that have no name, or refer to nothing, is left to sift what is read.
    let limit = if label.is_some() || *filter == Filter::default() { one_more(size) } else { CHUNK };
    let mut found = Vec::new();
    loop {
        let select = Select { after: after.clone(), label: label.clone(), limit, ..Select::default() };
        let chunk: Vec<Channel> = headwater_store::list(control.store(), select).await?;
        let is_last = chunk.len() < limit as usize;
        after = chunk.last().map(|channel| channel.arn.clone());
        found.extend(chunk.into_iter().filter(|channel| filter.accepts(channel)));
        if is_last || found.len() > size {
            return Ok(listing.page(found, size, |channel| &channel.arn));
        }
    }
}

/// Changes a channel that is not live.
///
/// # Errors
/// [`Error::Conflict`] while the channel is live; [`Error::Invalid`]; [`Error::NotFound`]; [`Error::Store`].
pub async fn update_channel(control: &Control, arn: &str, settings: &Settings) -> Result<Channel, Error> {
    let standing = channel(control, arn).await?;
    refuse_live(control, &standing)?;
    loop {
        let Some(mut standing) = load::<Channel>(control.store(), arn).await? else {
            return Err(Error::not_found("channel", arn));
        };
        settings.apply(&mut standing.value)?;
        let mut batch = Batch::new();
        require_references(&mut batch, &standing.value);
        batch.update(&standing.value, standing.revision)?;
        match control.store().commit(batch).await {
            Ok(_) => return Ok(standing.value),
            Err(headwater_store::Error::Conflict { .. }) => continue,
            Err(error) => return Err(refused(error, ("channels", control.quotas().channels))),
        }
    }
}

/// Deletes a channel that is not live, with its keys.
///
/// # Errors
/// [`Error::Conflict`] while the channel is live; [`Error::NotFound`]; [`Error::Store`].
pub async fn delete_channel(control: &Control, arn: &str) -> Result<(), Error> {
    check_arn(arn, "channel")?;
    loop {
        let Some(channel) = load::<Channel>(control.store(), arn).await? else {
            return Err(Error::not_found("channel", arn));
        };
        refuse_live(control, &channel.value)?;
        let mut batch = Batch::new();
        for key in keys::of_channel(control, arn).await? {
            keys::remove(&mut batch, &key);
        }
        batch.delete_revision::<Channel>(arn, channel.revision);
        match control.store().commit(batch).await {
            Ok(_) => break,
            Err(headwater_store::Error::Conflict { .. } | headwater_store::Error::Missing { .. }) => continue,
            Err(error) => return Err(error.into()),
        }
    }
    // An encoder that was let in and is not live yet: with the channel gone, nobody could stop it.
    if let Some(id) = arn.rsplit('/').next() {
        control.broadcasts().stop(id).await;
    }
    tracing::info!(channel = arn, "channel deleted");
    Ok(())
}

fn refuse_live(control: &Control, channel: &Channel) -> Result<(), Error> {
    if streams::is_live(control, channel) {
        return Err(Error::conflict(format!("channel {} is live: stop its stream first", channel.arn)));
    }
    Ok(())
}

/// Host name that encoders connect to; `ingestEndpoint` of a channel.
pub fn ingest_endpoint(control: &Control) -> String {
    control.endpoints().ingest_host.clone()
}

/// Address of a channel's multivariant playlist; `playbackUrl` of a channel.
pub fn playback_url(control: &Control, channel: &Channel) -> String {
    let realm = control.realm();
    let web = &control.endpoints().web_url;
    format!("{web}/api/video/v1/{}.{}.channel.{}.m3u8", realm.region, realm.account, channel.id)
}
