//! Native resources: the built-in site for a channel, and questions that are put a while after a stream starts.
//!
//! A question is a rule on "Stream Start" with a delayed target of the server's own, so it survives a crash as every
//! delivery does.

use crate::delivery::cue_target_arn;
use crate::events::{self, Managed, PutRule};
use crate::ivs::channels::playback_url;
use crate::{Control, Error, ivs};
use headwater_model::event::{Target, TargetInput};
use headwater_model::poll::Question;
use headwater_store::{Batch, Document, find};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Longest name: it is one label of a host name (RFC 1035 §2.3.4).
pub const SITE_NAME_LENGTH_MAX: usize = 63;
/// Longest delay of a question, seconds: a day.
pub const DELAY_S_MAX: u32 = 86_400;
/// How long the question may still be put after its time, seconds: the least that targets have.
const LATE_S_MAX: u32 = 60;

/// A built-in site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// First label of its host name.
    pub name: String,
    /// What it shows.
    pub channel_arn: String,
    /// Its headline.
    pub title: String,
    /// Who made it: the same one making it again changes it, another is refused.
    pub owner: String,
}

impl Document for Site {
    const KIND: &'static str = "live-site";
    fn id(&self) -> String {
        self.name.clone()
    }
}

/// Makes or changes a site.
///
/// # Errors
/// [`Error::Invalid`] for its name; [`Error::NotFound`] for its channel; [`Error::Exists`] if another has the name, or a
/// bucket; [`Error::Store`].
pub async fn put_site(control: &Control, site: Site) -> Result<(), Error> {
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let name = &site.name;
    if name.is_empty()
        || name.len() > SITE_NAME_LENGTH_MAX
        || !name.bytes().all(letters)
        || name.starts_with('-')
        || name.ends_with('-')
    {
        return Err(Error::invalid(
            "a site's name has 1 to 63 lowercase letters, digits and hyphens, none at its ends",
        ));
    }
    ivs::channel(control, &site.channel_arn).await?;
    let exists = || Error::Exists { kind: "site", id: name.clone() };
    if control.store().record(<headwater_model::bucket::Bucket as Document>::KIND, name).await?.is_some() {
        return Err(Error::Exists { kind: "bucket", id: name.clone() });
    }
    if let Some(standing) = find::<Site>(control.store(), name).await?
        && standing.owner != site.owner
    {
        return Err(exists());
    }
    let mut batch = Batch::new();
    batch.put(&site)?;
    control.store().commit(batch).await?;
    Ok(())
}

/// Removes a site of this owner; a missing one is fine, another's is left alone.
///
/// # Errors
/// [`Error::Store`].
pub async fn delete_site(control: &Control, name: &str, owner: &str) -> Result<(), Error> {
    if find::<Site>(control.store(), name).await?.is_some_and(|site| site.owner == owner) {
        let mut batch = Batch::new();
        batch.delete::<Site>(name);
        control.store().commit(batch).await?;
    }
    Ok(())
}

/// What a site's pages read as `/config.json`; `None` if there is no such site, or its channel is gone.
///
/// # Errors
/// [`Error::Store`].
pub async fn site_config(control: &Control, name: &str) -> Result<Option<Value>, Error> {
    let Some(site) = find::<Site>(control.store(), name).await? else { return Ok(None) };
    let channel = match ivs::channel(control, &site.channel_arn).await {
        Ok(channel) => channel,
        Err(Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let web = &control.endpoints().web_url;
    Ok(Some(json!({
        "title": site.title,
        "channelId": channel.id,
        "playbackUrl": playback_url(control, &channel),
        "playerScript": format!("{web}/player/v1/headwater-player.js"),
        "interactUrl": format!("{web}/interact/v1"),
    })))
}

/// A question that is put by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledPoll {
    /// Name of its rule.
    pub name: String,
    /// Where it is put.
    pub channel_arn: String,
    /// What is asked.
    pub question: Question,
    /// Seconds after the stream's start.
    pub delay_s: u32,
    /// Who made it; nobody else can change it.
    pub owner: String,
}

/// Makes or changes a scheduled question.
///
/// # Errors
/// [`Error::Invalid`] if it is no question or too long; [`Error::NotFound`] for its channel; [`Error::Conflict`] if
/// another's rule has the name; [`Error::Store`].
pub async fn put_poll(control: &Control, poll: ScheduledPoll) -> Result<(), Error> {
    let channel = ivs::channel(control, &poll.channel_arn).await?;
    let Question { question, answers, poll_id } = &poll.question;
    let payload = json!({ "question": question, "answers": answers, "poll_id": poll_id }).to_string();
    if Question::parse(&payload).is_none() {
        return Err(Error::invalid("a question needs a text and 2 to 12 answers, none of them empty"));
    }
    if payload.len() > headwater_model::ivs::METADATA_BYTES_MAX {
        let max = headwater_model::ivs::METADATA_BYTES_MAX;
        return Err(Error::invalid(format!(
            "question and answers have {} bytes as JSON, {max} fit a cue",
            payload.len()
        )));
    }
    if poll.delay_s > DELAY_S_MAX {
        return Err(Error::invalid(format!("a question may wait {DELAY_S_MAX} s")));
    }
    let standing = match events::describe_rule(control, &poll.name, None).await {
        Ok(rule) => Some(rule),
        Err(events::Error::RuleMissing { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    if standing.is_some_and(|rule| rule.managed_by.as_deref() != Some(&*poll.owner)) {
        return Err(Error::Exists { kind: "rule", id: poll.name });
    }
    let pattern = json!({
        "source": ["aws.ivs"],
        "detail-type": ["IVS Stream State Change"],
        "resources": [poll.channel_arn],
        "detail": { "event_name": ["Stream Start"] },
    });
    let put = PutRule {
        name: poll.name.clone(),
        event_pattern: Some(pattern.to_string()),
        description: format!("puts a question {} s after the stream's start", poll.delay_s),
        managed_by: Some(poll.owner),
        ..PutRule::default()
    };
    events::put_rule(control, put).await?;
    let target = Target {
        input: TargetInput::Constant(payload),
        delay_ms: u64::from(poll.delay_s) * 1000,
        event_age_s_max: Some(LATE_S_MAX),
        ..Target::new("Question", cue_target_arn(control.realm(), &channel.id))
    };
    Ok(events::put_targets(control, &poll.name, None, vec![target], Managed::Allow).await?)
}

/// Removes a scheduled question of this owner; a missing one is fine, another's rule is left alone.
///
/// # Errors
/// [`Error::Store`].
pub async fn delete_poll(control: &Control, name: &str, owner: &str) -> Result<(), Error> {
    let rule = match events::describe_rule(control, name, None).await {
        Ok(rule) => rule,
        Err(events::Error::RuleMissing { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if rule.managed_by.as_deref() != Some(owner) {
        return Ok(());
    }
    let ids: Vec<String> = rule.targets.into_iter().map(|target| target.id).collect();
    if !ids.is_empty() {
        events::remove_targets(control, name, None, &ids, Managed::Allow).await?;
    }
    Ok(events::delete_rule(control, name, None, Managed::Allow).await?)
}
