//! Pages of the event log, of functions' logs, of polls and their answers.

use super::{Error, Found, wait_for};
use crate::Control;
use headwater_interact::export;
use headwater_model::poll::Poll;
use headwater_store::{LogSelect, Topic};
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;

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
