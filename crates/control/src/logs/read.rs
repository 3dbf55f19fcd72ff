//! Pages of log events.

use super::{FilterPattern, group, streams};
use crate::{Control, Error};
use headwater_model::Timestamp;
use headwater_store::{LogLine, LogSelect};

/// Events of a page unless fewer are asked for (`logs` 2014-03-28, EventsLimit).
pub const EVENTS_MAX: u32 = 10_000;
/// Bytes of a page's messages; a page ends before it has more, but has at least one event (API reference,
/// FilterLogEvents: 1 MB).
const PAGE_BYTES_MAX: usize = 1 << 20;
/// Lines that are looked through at once for a filter.
const LINES_PER_READ: u32 = 2_000;

/// A line with its number in the store.
pub type NumberedLine = (u64, LogLine);

/// Which way a page lies from a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// After the line with this number.
    Forward(u64),
    /// Before the line with this number.
    Backward(u64),
}

/// What is asked of one stream.
#[derive(Clone, Debug, PartialEq)]
pub struct GetEvents {
    /// The group.
    pub group: String,
    /// The stream.
    pub stream: String,
    /// Only events at or after this time.
    pub from: Option<Timestamp>,
    /// Only events before this time.
    pub to: Option<Timestamp>,
    /// Where the page lies; at the newest events if absent.
    pub direction: Option<Direction>,
    /// At most so many, 1–[`EVENTS_MAX`].
    pub limit: u32,
}

/// Events of one stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamPage {
    /// In order.
    pub lines: Vec<NumberedLine>,
    /// Number to go forward from.
    pub forward: u64,
    /// Number to go backward from.
    pub backward: u64,
}

/// A page of one stream's events.
///
/// # Errors
/// [`Error::Invalid`] for the limit; [`Error::NotFound`] for the group or stream; [`Error::Store`].
pub async fn get_events(control: &Control, get: &GetEvents, now: Timestamp) -> Result<StreamPage, Error> {
    check_limit(get.limit)?;
    let shown_from = group(control, &get.group).await?.shown_from(now);
    if !streams(control, &get.group, &get.stream).await?.iter().any(|stream| stream.name == get.stream) {
        return Err(Error::not_found("log stream", &get.stream));
    }
    let (after, before, newest) = match get.direction {
        Some(Direction::Forward(after)) => (after, None, false),
        Some(Direction::Backward(before)) => (0, Some(before), true),
        None => (0, None, true),
    };
    let select = LogSelect {
        stream: Some(get.stream.clone()),
        after,
        before,
        from: get.from.max(Some(shown_from)),
        to: get.to,
        limit: get.limit,
        newest,
    };
    let mut lines = control.store().log_lines(&get.group, select).await?;
    if newest {
        let dropped = lines.len() - bytes_bounded(lines.iter().rev());
        lines.drain(..dropped);
    } else {
        lines.truncate(bytes_bounded(lines.iter()));
    }
    let (forward, backward) = match (lines.first(), lines.last(), get.direction) {
        (Some((first, _)), Some((last, _)), _) => (*last, *first),
        (_, _, Some(Direction::Forward(after))) => (after, after.saturating_add(1)),
        (_, _, Some(Direction::Backward(before))) => (before.saturating_sub(1), before),
        (_, _, None) => (0, 0),
    };
    Ok(StreamPage { lines, forward, backward })
}

fn check_limit(limit: u32) -> Result<(), Error> {
    if limit == 0 || limit > EVENTS_MAX {
        return Err(Error::invalid(format!("limit {limit} is not between 1 and {EVENTS_MAX}")));
    }
    Ok(())
}

/// How many of the lines fit into a page.
fn bytes_bounded<'l>(lines: impl Iterator<Item = &'l NumberedLine>) -> usize {
    let mut bytes = 0;
    let fit = lines.take_while(|(_, line)| {
        let fits = bytes == 0 || bytes + line.message.len() <= PAGE_BYTES_MAX;
        bytes += line.message.len();
        fits
    });
    fit.count()
}

/// What is asked of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterEvents {
    /// The group.
    pub group: String,
    /// Only these streams; all if there are none.
    pub streams: Vec<String>,
    /// Only streams that begin so.
    pub stream_prefix: Option<String>,
    /// Only events at or after this time.
    pub from: Option<Timestamp>,
    /// Only events before this time.
    pub to: Option<Timestamp>,
    /// Only events that match.
    pub pattern: FilterPattern,
    /// Goes on after the line with this number.
    pub after: u64,
    /// At most so many, 1–[`EVENTS_MAX`].
    pub limit: u32,
}

/// Events of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct FilteredPage {
    /// In order.
    pub lines: Vec<NumberedLine>,
    /// Number to go on after, if there are more.
    pub next: Option<u64>,
}

/// A page of a group's events.
///
/// # Errors
/// [`Error::Invalid`] for the limit; [`Error::NotFound`] for the group or a named stream; [`Error::Store`].
pub async fn filter_events(control: &Control, filter: &FilterEvents, now: Timestamp) -> Result<FilteredPage, Error> {
    check_limit(filter.limit)?;
    let shown_from = group(control, &filter.group).await?.shown_from(now);
    if !filter.streams.is_empty() {
        let present = streams(control, &filter.group, "").await?;
        if let Some(missing) = filter.streams.iter().find(|name| !present.iter().any(|s| s.name == **name)) {
            return Err(Error::not_found("log stream", missing));
        }
    }
    let wanted = |line: &LogLine| {
        (filter.streams.is_empty() || filter.streams.contains(&line.stream))
            && filter.stream_prefix.as_ref().is_none_or(|prefix| line.stream.starts_with(prefix.as_str()))
            && filter.pattern.matches(&line.message)
    };
    let mut page = FilteredPage { lines: Vec::new(), next: None };
    let mut bytes = 0;
    let mut after = filter.after;
    loop {
        let select = LogSelect {
            after,
            from: filter.from.max(Some(shown_from)),
            to: filter.to,
            limit: LINES_PER_READ,
            ..LogSelect::default()
        };
        let lines = control.store().log_lines(&filter.group, select).await?;
        let is_last_read = lines.len() < LINES_PER_READ as usize;
        for (number, line) in lines {
            if wanted(&line) {
                bytes += line.message.len();
                let full = page.lines.len() >= filter.limit as usize;
                if full || (bytes > PAGE_BYTES_MAX && !page.lines.is_empty()) {
                    page.next = Some(after);
                    return Ok(page);
                }
                page.lines.push((number, line));
            }
            after = number;
        }
        if is_last_read {
            return Ok(page);
        }
    }
}
