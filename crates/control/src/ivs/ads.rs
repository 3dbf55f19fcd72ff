//! Ad configurations, and ad breaks of live streams.

use super::resource::{self, Identity, check_name};
use super::{Page, PageRequest, channel};
use crate::broadcasts::AdBreakRefusal;
use crate::{Control, Error};
use headwater_model::ivs::{AdBreak, AdConfiguration, ContainerFormat, PostRoll, Tags};
use headwater_model::{Timestamp, id};
use std::time::Duration;

/// Characters of a MediaTailor ARN (model).
const PLAYBACK_CONFIGURATION_ARN_LENGTH_MAX: usize = 128;
/// How far ahead a break may be asked for: it stands in the way of others until it is over.
const TARGET_AHEAD_MAX: Duration = Duration::from_secs(60 * 60);

/// What a caller says of an ad configuration. `None` means the default when it is made, and no change when it is
/// changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// May be empty.
    pub name: Option<String>,
    /// ARNs of MediaTailor playback configurations.
    pub playback_configuration_arns: Option<Vec<String>>,
    /// The break after the stream's end.
    pub post_roll: Option<PostRoll>,
}

impl Settings {
    fn apply(&self, configuration: &mut AdConfiguration) -> Result<(), Error> {
        if let Some(name) = &self.name {
            check_name(name)?;
            configuration.name.clone_from(name);
        }
        if let Some(arns) = &self.playback_configuration_arns {
            let max = AdConfiguration::PLAYBACK_CONFIGURATIONS_MAX;
            if arns.is_empty() || arns.len() > max {
                return Err(Error::invalid(format!("mediaTailorPlaybackConfigurations must have 1 to {max} entries")));
            }
            arns.iter().try_for_each(|arn| check_playback_configuration(arn))?;
            configuration.playback_configuration_arns.clone_from(arns);
        }
        if let Some(post_roll) = self.post_roll {
            check_duration(post_roll.duration_s)?;
            configuration.post_roll = post_roll;
        }
        Ok(())
    }
}

fn check_playback_configuration(arn: &str) -> Result<(), Error> {
    let is_arn = || {
        let mut parts = arn.strip_prefix("arn:aws:mediatailor:")?.splitn(3, ':');
        let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
        let name = resource.strip_prefix("playbackConfiguration/")?;
        let is_good = arn.len() <= PLAYBACK_CONFIGURATION_ARN_LENGTH_MAX
            && !region.is_empty()
            && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !account.is_empty()
            && account.bytes().all(|b| b.is_ascii_digit())
            && !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        is_good.then_some(())
    };
    is_arn().ok_or_else(|| Error::invalid("playbackConfigurationArn is not the ARN of a MediaTailor configuration"))
}

fn check_duration(seconds: u32) -> Result<(), Error> {
    if (1..=AdBreak::DURATION_S_MAX).contains(&seconds) {
        return Ok(());
    }
    Err(Error::invalid(format!("durationSeconds must be between 1 and {}", AdBreak::DURATION_S_MAX)))
}

/// Makes an ad configuration.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::QuotaExceeded`]; [`Error::Store`].
pub async fn create(
    control: &Control,
    settings: &Settings,
    tags: Tags,
    identity: Identity<'_>,
    now: Timestamp,
) -> Result<AdConfiguration, Error> {
    let mut configuration = AdConfiguration { tags, ..AdConfiguration::new(control.realm(), now) };
    let given = settings.playback_configuration_arns.clone().unwrap_or_default();
    Settings { playback_configuration_arns: Some(given), ..settings.clone() }.apply(&mut configuration)?;
    let quota = ("ad configurations", control.quotas().ad_configurations);
    resource::make(control, configuration, identity, quota, |_, _| {}).await
}

/// Changes an ad configuration.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::NotFound`]; [`Error::Store`].
pub async fn update(control: &Control, arn: &str, settings: &Settings) -> Result<AdConfiguration, Error> {
    resource::update(control, arn, |configuration| settings.apply(configuration)).await
}

/// Ad configurations in ascending order of their ARNs; 100 in a page unless asked otherwise.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::Store`].
pub async fn list(control: &Control, request: &PageRequest) -> Result<Page<AdConfiguration>, Error> {
    resource::list(control, "ListAdConfigurations", request, resource::LISTED_MAX).await
}

/// An ad break as it is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Seconds.
    pub duration_s: u32,
    /// 12 alphanumerics; a random one if `None`.
    pub id: Option<String>,
    /// When it is to begin; as soon as may be if `None` or past.
    pub target_start: Option<Timestamp>,
}

/// Marks an ad break in a live stream: in its playlists, and by the event `Ad Break Inserted`. Returns it with the time
/// that it begins at.
///
/// # Errors
/// [`Error::Conflict`] while another one runs or is due; [`Error::NotBroadcasting`]; [`Error::NotFound`];
/// [`Error::Invalid`]; [`Error::Store`].
pub async fn insert_break(
    control: &Control,
    channel_arn: &str,
    wanted: Wanted,
    now: Timestamp,
) -> Result<AdBreak, Error> {
    check_duration(wanted.duration_s)?;
    let id = wanted.id.unwrap_or_else(|| id::random_alphanumeric(AdBreak::ID_LENGTH));
    if id.len() != AdBreak::ID_LENGTH || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Error::invalid(format!("adBreakId must have {} letters and digits", AdBreak::ID_LENGTH)));
    }
    let target_start = wanted.target_start.unwrap_or(now);
    if target_start.since_ms(now) > i64::try_from(TARGET_AHEAD_MAX.as_millis()).unwrap_or(i64::MAX) {
        return Err(Error::invalid(format!("targetStartAt may be {} s ahead", TARGET_AHEAD_MAX.as_secs())));
    }
    let channel = channel(control, channel_arn).await?;
    if channel.container_format == ContainerFormat::FragmentedMp4 {
        return Err(Error::invalid("ad breaks are for channels with containerFormat TS"));
    }
    let asked = AdBreak { id, duration_s: wanted.duration_s, target_start };
    control.broadcasts().insert_ad_break(&channel.id, asked).await.map_err(|refusal| match refusal {
        AdBreakRefusal::NotBroadcasting => Error::NotBroadcasting { channel_arn: channel_arn.into() },
        AdBreakRefusal::Runs { id } => Error::conflict(format!("ad break {id} is not over yet")),
    })
}
