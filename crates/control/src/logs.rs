//! Log groups, streams and events.
//!
//! A group or stream exists if somebody made it or if lines were written to it: functions write without asking. Lines
//! are numbered by the store; a page's token is the number of a line, so that pages neither repeat nor skip lines while
//! others are appended. Lines older than their group's retention are not shown; the store bounds how many it keeps
//! ([`LogLine::GROUP_LINES_MAX`]).
//!
//! Source: CloudWatch Logs `logs` 2014-03-28.

mod filter;
mod read;

pub use filter::{FilterPattern, FilterPatternError};
pub use read::{
    Direction, EVENTS_MAX, FilterEvents, FilteredPage, GetEvents, NumberedLine, StreamPage, filter_events, get_events,
};

use crate::{Control, Error};
use headwater_model::Timestamp;
use headwater_store::{Batch, Document, LogLine, Select};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Events of one call (`logs` 2014-03-28, InputLogEvents).
pub const PUT_EVENTS_MAX: usize = 10_000;
/// Bytes of one call: the messages' UTF-8 and [`EVENT_OVERHEAD_BYTES`] each (API reference, PutLogEvents).
pub const PUT_BYTES_MAX: usize = 1_048_576;
/// What each event counts besides its message (same place).
pub const EVENT_OVERHEAD_BYTES: usize = 26;
/// Time between the first and last event of one call, 24 hours (same place).
pub const PUT_SPAN_MS_MAX: i64 = 24 * 3_600_000;
/// An event further in the future is rejected, 2 hours (same place).
const TOO_NEW_MS: i64 = 2 * 3_600_000;
/// An event further in the past is rejected, 14 days (same place).
const TOO_OLD_MS: i64 = 14 * DAY_MS;
const DAY_MS: i64 = 86_400_000;
/// Retentions that can be chosen, in days (API reference, PutRetentionPolicy).
pub const RETENTION_DAYS: [u32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];
/// Tags of a group (service quota "tags per resource").
const TAGS_MAX: usize = 50;

/// A log group that somebody made, or set something of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogGroup {
    /// `[\.\-_/#A-Za-z0-9]+`, 1–512.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// How long lines are shown; for ever if absent.
    pub retention_days: Option<u32>,
    /// Tags, by key.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

impl Document for LogGroup {
    const KIND: &'static str = "log-group";
    fn id(&self) -> String {
        self.name.clone()
    }
}

/// A log stream that somebody made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct MadeStream {
    group: String,
    name: String,
    created_at: Timestamp,
}

impl MadeStream {
    /// Neither part has a colon, so the two cannot be confused.
    fn id_of(group: &str, name: &str) -> String {
        format!("{group}:{name}")
    }
}

impl Document for MadeStream {
    const KIND: &'static str = "log-stream";
    fn id(&self) -> String {
        MadeStream::id_of(&self.group, &self.name)
    }
    fn parent(&self) -> String {
        self.group.clone()
    }
}

/// A log stream, made or written to.
#[derive(Clone, Debug, PartialEq)]
pub struct LogStream {
    /// `[^:*]+`, 1–512.
    pub name: String,
    /// When it was made, or its first line written.
    pub created_at: Timestamp,
    /// Times of its first and last lines, if it has any.
    pub lines: Option<(Timestamp, Timestamp)>,
}

/// Events of a call that were left out, as indices into it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    /// This one and those after it are too far in the future.
    pub too_new_from: Option<usize>,
    /// Those before this one are too far in the past.
    pub too_old_before: Option<usize>,
    /// Those before this one are past the group's retention.
    pub expired_before: Option<usize>,
}

fn group_not_found(name: &str) -> Error {
    Error::not_found("log group", name)
}

fn check_group_name(name: &str) -> Result<(), Error> {
    let valid = |b: u8| b.is_ascii_alphanumeric() || b".-_/#".contains(&b);
    if name.is_empty() || name.len() > 512 || !name.bytes().all(valid) {
        return Err(Error::invalid(format!("logGroupName {name:?} is not 1 to 512 of [.-_/#A-Za-z0-9]")));
    }
    Ok(())
}

fn check_stream_name(name: &str) -> Result<(), Error> {
    if name.is_empty() || name.chars().count() > 512 || name.contains([':', '*']) {
        return Err(Error::invalid(format!("logStreamName {name:?} is not 1 to 512 characters without : and *")));
    }
    Ok(())
}

fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), Error> {
    if tags.len() > TAGS_MAX {
        return Err(Error::invalid(format!("at most {TAGS_MAX} tags are allowed")));
    }
    Ok(())
}

/// The name of a group given by name or ARN.
pub fn group_name(control: &Control, identifier: &str) -> String {
    let prefix = control.realm().log_group_arn("");
    let name = identifier.strip_prefix(&prefix).unwrap_or(identifier);
    name.strip_suffix(":*").unwrap_or(name).to_owned()
}

/// Makes a group. If lines were written to it already, it is there, and making it fails as for one that was made.
///
/// # Errors
/// [`Error::Invalid`], [`Error::Exists`], [`Error::Store`].
pub async fn create_group(
    control: &Control,
    name: &str,
    tags: BTreeMap<String, String>,
    now: Timestamp,
) -> Result<(), Error> {
    check_group_name(name)?;
    check_tags(&tags)?;
    let exists = || Error::Exists { kind: "log group", id: name.into() };
    if has_lines(control, name).await? {
        return Err(exists());
    }
    let group = LogGroup { name: name.into(), created_at: now, retention_days: None, tags };
    let mut batch = Batch::new();
    batch.insert(&group)?;
    match control.store().commit(batch).await {
        Ok(_) => Ok(()),
        Err(headwater_store::Error::Exists { .. }) => Err(exists()),
        Err(error) => Err(error.into()),
    }
}

async fn has_lines(control: &Control, group: &str) -> Result<bool, Error> {
    Ok(control.store().log_groups(group).await?.first().is_some_and(|first| first == group))
}

/// One group.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Store`].
pub async fn group(control: &Control, name: &str) -> Result<LogGroup, Error> {
    match headwater_store::find::<LogGroup>(control.store(), name).await? {
        Some(group) => Ok(group),
        None => implicit_group(control, name).await?.ok_or_else(|| group_not_found(name)),
    }
}

/// A group that nobody made, but lines were written to.
async fn implicit_group(control: &Control, name: &str) -> Result<Option<LogGroup>, Error> {
    let streams = control.store().log_streams(name).await?;
    let first = streams.iter().map(|(_, first, _)| *first).min();
    Ok(first.map(|created_at| LogGroup { name: name.into(), created_at, retention_days: None, tags: BTreeMap::new() }))
}

/// Removes a group with its streams and lines.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Store`].
pub async fn delete_group(control: &Control, name: &str) -> Result<(), Error> {
    group(control, name).await?;
    let streams = Select { parent: Some(name.into()), ..Select::default() };
    let streams: Vec<MadeStream> = headwater_store::list(control.store(), streams).await?;
    let mut batch = Batch::new();
    batch.delete::<LogGroup>(name).clear_log(name);
    for stream in streams {
        batch.delete::<MadeStream>(&stream.id());
    }
    control.store().commit(batch).await?;
    Ok(())
}

/// Groups whose names begin so, in order of their names.
///
/// # Errors
/// [`Error::Store`].
pub async fn groups(control: &Control, prefix: &str) -> Result<Vec<LogGroup>, Error> {
    let select = Select { prefix: Some(prefix.into()), ..Select::default() };
    let made: Vec<LogGroup> = headwater_store::list(control.store(), select).await?;
    let mut groups: BTreeMap<String, LogGroup> = made.into_iter().map(|group| (group.name.clone(), group)).collect();
    for name in control.store().log_groups(prefix).await? {
        if !groups.contains_key(&name)
            && let Some(group) = implicit_group(control, &name).await?
        {
            groups.insert(name, group);
        }
    }
    Ok(groups.into_values().collect())
}

/// Changes what is set of a group; one that nobody made is made by it.
async fn change_group(
    control: &Control,
    name: &str,
    mut change: impl FnMut(&mut LogGroup) -> Result<(), Error>,
) -> Result<(), Error> {
    let present = group(control, name).await?;
    let mut batch = Batch::new();
    batch.insert(&present)?;
    match control.store().commit(batch).await {
        Ok(_) | Err(headwater_store::Error::Exists { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    match headwater_store::update::<LogGroup, Error, _>(control.store(), name, &mut change).await {
        Err(Error::Store(headwater_store::Error::Missing { .. })) => Err(group_not_found(name)),
        changed => changed.map(drop),
    }
}

/// Sets how many days lines are shown; for ever if absent.
///
/// # Errors
/// [`Error::Invalid`] unless it is one of [`RETENTION_DAYS`]; [`Error::NotFound`]; [`Error::Store`].
pub async fn set_retention(control: &Control, name: &str, days: Option<u32>) -> Result<(), Error> {
    if days.is_some_and(|days| !RETENTION_DAYS.contains(&days)) {
        return Err(Error::invalid(format!("retentionInDays must be one of {RETENTION_DAYS:?}")));
    }
    let set = |group: &mut LogGroup| {
        group.retention_days = days;
        Ok(())
    };
    change_group(control, name, set).await
}

/// Adds tags to a group.
///
/// # Errors
/// [`Error::Invalid`], [`Error::NotFound`], [`Error::Store`].
pub async fn tag_group(control: &Control, name: &str, tags: BTreeMap<String, String>) -> Result<(), Error> {
    let add = |group: &mut LogGroup| {
        group.tags.extend(tags.clone());
        check_tags(&group.tags)
    };
    change_group(control, name, add).await
}

/// Removes tags from a group.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Store`].
pub async fn untag_group(control: &Control, name: &str, keys: &[String]) -> Result<(), Error> {
    let remove = |group: &mut LogGroup| {
        group.tags.retain(|key, _| !keys.contains(key));
        Ok(())
    };
    change_group(control, name, remove).await
}

/// Makes a stream in a group.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::NotFound`] for the group; [`Error::Exists`]; [`Error::Store`].
pub async fn create_stream(control: &Control, group_name: &str, name: &str, now: Timestamp) -> Result<(), Error> {
    check_stream_name(name)?;
    let exists = || Error::Exists { kind: "log stream", id: name.into() };
    if streams(control, group_name, name).await?.iter().any(|stream| stream.name == name) {
        return Err(exists());
    }
    let stream = MadeStream { group: group_name.into(), name: name.into(), created_at: now };
    let mut batch = Batch::new();
    batch.insert(&stream)?;
    match control.store().commit(batch).await {
        Ok(_) => Ok(()),
        Err(headwater_store::Error::Exists { .. }) => Err(exists()),
        Err(error) => Err(error.into()),
    }
}

/// Streams of a group whose names begin so, in order of their names.
///
/// # Errors
/// [`Error::NotFound`] for the group; [`Error::Store`].
pub async fn streams(control: &Control, group_name: &str, prefix: &str) -> Result<Vec<LogStream>, Error> {
    group(control, group_name).await?;
    let select = Select { parent: Some(group_name.into()), ..Select::default() };
    let made: Vec<MadeStream> = headwater_store::list(control.store(), select).await?;
    let mut streams: BTreeMap<String, LogStream> = made
        .into_iter()
        .map(|made| (made.name.clone(), LogStream { name: made.name, created_at: made.created_at, lines: None }))
        .collect();
    for (name, first, last) in control.store().log_streams(group_name).await? {
        let stream = streams.entry(name.clone()).or_insert(LogStream { name, created_at: first, lines: None });
        stream.lines = Some((first, last));
    }
    Ok(streams.into_values().filter(|stream| stream.name.starts_with(prefix)).collect())
}

/// Appends events to a stream, except those that are too old or too new. They must be in order of time.
///
/// # Errors
/// [`Error::Invalid`] if there are none, too many, too long ones, or they are out of order; [`Error::NotFound`] for the
/// group or stream; [`Error::Store`].
pub async fn put_events(
    control: &Control,
    group_name: &str,
    stream: &str,
    events: Vec<(Timestamp, String)>,
    now: Timestamp,
) -> Result<Rejected, Error> {
    check_events(&events)?;
    let group = group(control, group_name).await?;
    if !streams(control, group_name, stream).await?.iter().any(|present| present.name == stream) {
        return Err(Error::not_found("log stream", stream));
    }
    let oldest = now.plus_ms(-TOO_OLD_MS);
    let shown_from = group.shown_from(now);
    let newest = now.plus_ms(TOO_NEW_MS);
    // They are in order of time: the rejected ones stand at the ends.
    let end_of = |limit: Timestamp| events.partition_point(|(at, _)| *at < limit);
    let too_old = end_of(oldest);
    let expired = end_of(shown_from);
    let too_new = events.partition_point(|(at, _)| *at <= newest);
    let rejected = Rejected {
        too_new_from: (too_new < events.len()).then_some(too_new),
        too_old_before: (too_old > 0).then_some(too_old),
        expired_before: (expired > too_old).then_some(expired),
    };
    let first = too_old.max(expired).min(too_new);
    let mut batch = Batch::new();
    for (at, message) in events.into_iter().take(too_new).skip(first) {
        batch.log(LogLine { group: group_name.into(), stream: stream.into(), at, message });
    }
    if !batch.writes.is_empty() {
        control.store().commit(batch).await?;
    }
    Ok(rejected)
}

fn check_events(events: &[(Timestamp, String)]) -> Result<(), Error> {
    if events.is_empty() || events.len() > PUT_EVENTS_MAX {
        return Err(Error::invalid(format!("{} log events, 1 to {PUT_EVENTS_MAX} are allowed", events.len())));
    }
    let bytes: usize = events.iter().map(|(_, message)| message.len() + EVENT_OVERHEAD_BYTES).sum();
    if bytes > PUT_BYTES_MAX {
        return Err(Error::invalid(format!("{bytes} bytes of log events, at most {PUT_BYTES_MAX} are allowed")));
    }
    if events.iter().any(|(_, message)| message.is_empty()) {
        return Err(Error::invalid("the message of a log event must not be empty"));
    }
    if events.iter().any(|(_, message)| message.len() > LogLine::MESSAGE_BYTES_MAX) {
        let limit = LogLine::MESSAGE_BYTES_MAX;
        return Err(Error::invalid(format!("the message of a log event has at most {limit} bytes")));
    }
    if !events.is_sorted_by_key(|(at, _)| *at) {
        return Err(Error::invalid("log events in a single PutLogEvents request must be in chronological order"));
    }
    let span_ms = match (events.first(), events.last()) {
        (Some((first, _)), Some((last, _))) => last.since_ms(*first),
        _ => 0,
    };
    if span_ms > PUT_SPAN_MS_MAX {
        return Err(Error::invalid("log events in a single PutLogEvents request must not span more than 24 hours"));
    }
    Ok(())
}

impl LogGroup {
    /// Lines before this time are past the retention.
    fn shown_from(&self, now: Timestamp) -> Timestamp {
        match self.retention_days {
            Some(days) => now.plus_ms(-i64::from(days) * DAY_MS),
            None => Timestamp(i64::MIN),
        }
    }
}

#[cfg(test)]
mod tests;
