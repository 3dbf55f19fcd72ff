//! Pages of the event log, of functions' logs, of polls and their answers.

use super::{Error, Found, wait_for};
use crate::Control;
use headwater_bus::replay::{Progress, Replay, ReplayError};
use headwater_interact::export;
use headwater_model::Timestamp;
use headwater_model::event::Event;
use headwater_model::poll::Poll;
use headwater_store::{LogSelect, Topic};
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;

/// Characters of a replay's name (`events` 2015-10-07, `ReplayName`).
const REPLAY_NAME_LENGTH_MAX: usize = 64;
/// Most items of a page.
const PAGE_MAX: u32 = 1_000;

/// A page of the event log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventPage {
    /// In order.
    pub events: Vec<NumberedEvent>,
    /// Number of the newest event, 0 if there is none.
    pub last: u64,
}

/// An event with its number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NumberedEvent {
    /// From 1.
    pub seq: u64,
    /// As rules see it.
    pub event: Value,
}

/// Events with a greater number than `after`; waits until there is one or the time is up.
///
/// # Errors
/// [`Error::Control`].
pub async fn events(control: &Control, after: u64, limit: u32, wait: Duration) -> Result<EventPage, Error> {
    let store = control.store();
    let found = wait_for(control, Topic::Events, wait, || async {
        let events = store.events(after, limit.clamp(1, PAGE_MAX)).await?;
        let found = Found::from(!events.is_empty());
        Ok((events, found))
    })
    .await?;
    let events =
        found.into_iter().map(|(seq, event)| NumberedEvent { seq, event: event.envelope(control.realm()) }).collect();
    Ok(EventPage { events, last: store.last_event().await? })
}

/// Number of the event before the one that a text names: by its number, by its id, or as the first at or after a time
/// (ISO 8601). Reads the log from its beginning: events are not in the order of their times.
///
/// # Errors
/// [`crate::Error::Invalid`] if it is none of these; [`crate::Error::NotFound`] if no event is named so;
/// [`Error::Control`].
pub async fn before(control: &Control, from: &str) -> Result<u64, Error> {
    if let Ok(number) = from.parse::<u64>() {
        return Ok(number.saturating_sub(1));
    }
    let time = Timestamp::parse_iso(from);
    if time.is_none() && uuid::Uuid::parse_str(from).is_err() {
        return Err(crate::Error::invalid(format!("{from:?} is neither a number, an event's id nor a time")).into());
    }
    let mut after = 0;
    loop {
        let events = control.store().events(after, PAGE_MAX).await?;
        let Some((last, _)) = events.last() else { break };
        let last = *last;
        let is_named = |event: &Event| time.map_or(event.id == from, |time| event.time >= time);
        if let Some((seq, _)) = events.iter().find(|(_, event)| is_named(event)) {
            return Ok(seq.saturating_sub(1));
        }
        after = last;
    }
    // Nothing is that young yet: what comes will be.
    if time.is_some() { Ok(after) } else { Err(crate::Error::not_found("event", from).into()) }
}

/// How far a replay came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Replayed {
    /// Events that matched and are delivered again.
    pub matched: u64,
    /// Number of the last event that was looked at: where the next call goes on.
    pub last: u64,
    /// Where the replay ends.
    pub until: u64,
    /// Whether there is more.
    pub more: bool,
}

/// Delivers stored events with a greater number than `after` to a rule's targets once more, a bounded number in one
/// call. `until` is the end that the first call's answer told; `None` in that first call.
///
/// # Errors
/// [`crate::Error::NotFound`] if there is no such rule; [`crate::Error::Invalid`] if it has no pattern or the name is
/// empty; [`Error::Control`].
pub async fn replay(
    control: &Control,
    rule: &str,
    name: &str,
    after: u64,
    until: Option<u64>,
) -> Result<Replayed, Error> {
    if name.is_empty() || name.len() > REPLAY_NAME_LENGTH_MAX {
        return Err(crate::Error::invalid(format!("a replay's name has 1 to {REPLAY_NAME_LENGTH_MAX} bytes")).into());
    }
    let until = match until {
        Some(until) => until,
        None => control.store().last_event().await?,
    };
    let asked = Replay { name: name.into(), rule: rule.into(), after, until };
    let progress = headwater_bus::replay::replay(control.store(), control.realm(), &asked, Timestamp::now()).await;
    let Progress { matched, last, more } = progress.map_err(|error| match error {
        ReplayError::RuleMissing(name) => crate::Error::not_found("rule", name),
        ReplayError::Store(error) => error.into(),
        other => crate::Error::invalid(other.to_string()),
    })?;
    Ok(Replayed { matched, last, until, more })
}

/// A page of a function's log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LogPage {
    /// In order.
    pub lines: Vec<NumberedLine>,
}

/// A line with its number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NumberedLine {
    /// Ascending, not without gaps.
    pub seq: u64,
    /// ISO 8601.
    pub at: String,
    /// The process that printed it.
    pub stream: String,
    /// Without its line end.
    pub message: String,
}

/// Lines of a function with a greater number than `after`; waits until there is one or the time is up. The function
/// may be gone: its log stays for a while.
///
/// # Errors
/// [`crate::Error::NotFound`] if there is neither such a function nor a log of one; [`Error::Control`].
pub async fn logs(control: &Control, function: &str, after: u64, limit: u32, wait: Duration) -> Result<LogPage, Error> {
    let store = control.store();
    let group = format!("/aws/lambda/{function}");
    let is_function = headwater_store::find::<headwater_model::function::Function>(store, function).await?.is_some();
    if !is_function && !store.log_groups(&group).await?.contains(&group) {
        return Err(crate::Error::not_found("function", function).into());
    }
    let lines = wait_for(control, Topic::LogGroup(group.clone()), wait, || async {
        let select = LogSelect { after, limit: limit.clamp(1, PAGE_MAX), ..LogSelect::default() };
        let lines = store.log_lines(&group, select).await?;
        let found = Found::from(!lines.is_empty());
        Ok((lines, found))
    })
    .await?;
    let lines = lines
        .into_iter()
        .map(|(seq, line)| NumberedLine { seq, at: line.at.iso_millis(), stream: line.stream, message: line.message })
        .collect();
    Ok(LogPage { lines })
}

/// Polls of a channel, or of all channels, with their results so far, oldest first. The channel is named by its ARN, id
/// or name.
///
/// # Errors
/// [`crate::Error::NotFound`] if no channel is named so; [`Error::Control`].
pub async fn polls(control: &Control, channel: Option<&str>) -> Result<Value, Error> {
    let Some(named) = channel else { return Ok(export::json(&control.interact().results(None).await?)) };
    let arn = match named.starts_with("arn:") {
        true => named.to_owned(),
        false => super::channels::named(control, named).await?.arn,
    };
    Ok(export::json(&control.interact().results(Some(&arn)).await?))
}

/// A viewer's answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PollAnswer {
    /// The id that the viewer's browser made.
    pub viewer: String,
    /// Index into the question's answers.
    pub choice: u32,
    /// The answer's text.
    pub answer: String,
    /// ISO 8601.
    pub at: String,
    /// The playhead's program date-time, if the player said it.
    pub playhead: Option<String>,
}

/// Answers to a poll in the order of their storing, after the first `skip`.
///
/// # Errors
/// [`crate::Error::NotFound`]; [`Error::Control`].
pub async fn answers(control: &Control, poll_id: &str, skip: u64, limit: u32) -> Result<Vec<PollAnswer>, Error> {
    let store = control.store();
    let poll: Option<Poll> = headwater_store::find(store, poll_id).await?;
    let poll = poll.ok_or_else(|| crate::Error::not_found("poll", poll_id))?;
    let answers = store.answers(poll_id, skip, limit.clamp(1, PAGE_MAX)).await?;
    let text = |choice: u32| poll.question.answers.get(choice as usize).cloned().unwrap_or_default();
    Ok(answers
        .into_iter()
        .map(|answer| PollAnswer {
            answer: text(answer.choice),
            viewer: answer.viewer,
            choice: answer.choice,
            at: answer.at.iso_millis(),
            playhead: answer.playhead.map(|at| at.iso_millis()),
        })
        .collect())
}
