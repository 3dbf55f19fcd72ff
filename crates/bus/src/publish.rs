//! How events come into the log.

use crate::rules;
use headwater_model::event::Event;
use headwater_model::{Realm, Timestamp};
use headwater_store::{Batch, Store};
use serde_json::Value;

/// Entries of one call (`events` 2015-10-07, PutEventsRequestEntryList).
pub const ENTRIES_MAX: usize = 10;
/// Bytes of one call (service quota "PutEvents request size").
pub const ENTRIES_BYTES_MAX: usize = 256 * 1024;
/// Longest detail type (EventBridge API reference, PutEventsRequestEntry).
pub const DETAIL_TYPE_CHARS_MAX: usize = 128;

/// A new event with a fresh id, for a batch that also holds what it tells of.
pub fn event(
    source: impl Into<String>,
    detail_type: impl Into<String>,
    resources: Vec<String>,
    detail: Value,
    now: Timestamp,
) -> Event {
    Event {
        id: uuid::Uuid::new_v4().to_string(),
        source: source.into(),
        detail_type: detail_type.into(),
        time: now,
        resources,
        detail,
    }
}

/// An event as a caller sends it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// When it happened; now if absent.
    pub time: Option<Timestamp>,
    /// Who says so. Unlike EventBridge we let `aws.…` through: that is how a rule is tried without a stream.
    pub source: Option<String>,
    /// What sort of thing happened.
    pub detail_type: Option<String>,
    /// A JSON object as text.
    pub detail: Option<String>,
    /// What it is about.
    pub resources: Vec<String>,
    /// Name or ARN of the default bus, or nothing.
    pub event_bus: Option<String>,
}

/// Why one entry did not become an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// A member is missing or empty.
    #[error("parameter {0} is not valid: it is a required argument")]
    Required(&'static str),
    /// The detail type is too long.
    #[error("parameter DetailType is not valid: {0} characters, at most {DETAIL_TYPE_CHARS_MAX} are allowed")]
    DetailType(usize),
    /// The detail is no JSON object.
    #[error("detail is malformed: it must be a JSON object")]
    MalformedDetail,
    /// There is no such bus.
    #[error("event bus {0} does not exist")]
    BusMissing(String),
}

impl EntryError {
    /// EventBridge's name for it.
    pub fn code(&self) -> &'static str {
        match self {
            EntryError::Required(_) | EntryError::DetailType(_) => "InvalidArgument",
            EntryError::MalformedDetail => "MalformedDetail",
            EntryError::BusMissing(_) => "ResourceNotFoundException",
        }
    }
}

/// Why no entry of a call was looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PutEventsError {
    /// None, or too many.
    #[error("{0} entries, 1 to {ENTRIES_MAX} are allowed")]
    Count(usize),
    /// Too large.
    #[error("the entries have {0} bytes, at most {ENTRIES_BYTES_MAX} are allowed")]
    TooLarge(usize),
    /// They could not be written; then none was.
    #[error("append to the event log")]
    Store(#[source] headwater_store::Error),
}

/// Appends the valid entries to the event log, in order and in one commit. Returns an event id or a reason for each.
///
/// # Errors
/// [`PutEventsError`]: then none was appended.
pub async fn put_events(
    store: &dyn Store,
    realm: &Realm,
    entries: Vec<Entry>,
    now: Timestamp,
) -> Result<Vec<Result<String, EntryError>>, PutEventsError> {
    if entries.is_empty() || entries.len() > ENTRIES_MAX {
        return Err(PutEventsError::Count(entries.len()));
    }
    let bytes = entries.iter().map(entry_bytes).sum();
    if bytes > ENTRIES_BYTES_MAX {
        return Err(PutEventsError::TooLarge(bytes));
    }
    let mut batch = Batch::new();
    let mut results = Vec::with_capacity(entries.len());
    for entry in entries {
        results.push(to_event(realm, entry, now).map(|event| {
            let id = event.id.clone();
            batch.event(event);
            id
        }));
    }
    if !batch.writes.is_empty() {
        store.commit(batch).await.map_err(PutEventsError::Store)?;
    }
    Ok(results)
}

/// As EventBridge counts: 14 for a time, and the UTF-8 of the texts (User Guide, "Calculating event entry size").
fn entry_bytes(entry: &Entry) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let time = if entry.time.is_some() { 14 } else { 0 };
    let resources: usize = entry.resources.iter().map(String::len).sum();
    time + text(&entry.source) + text(&entry.detail_type) + text(&entry.detail) + resources
}

fn to_event(realm: &Realm, entry: Entry, now: Timestamp) -> Result<Event, EntryError> {
    let required =
        |member, text: Option<String>| text.filter(|text| !text.is_empty()).ok_or(EntryError::Required(member));
    let source = required("Source", entry.source)?;
    let detail_type = required("DetailType", entry.detail_type)?;
    let detail = required("Detail", entry.detail)?;
    let chars = detail_type.chars().count();
    if chars > DETAIL_TYPE_CHARS_MAX {
        return Err(EntryError::DetailType(chars));
    }
    let detail: Value = serde_json::from_str(&detail).map_err(|_| EntryError::MalformedDetail)?;
    if !detail.is_object() {
        return Err(EntryError::MalformedDetail);
    }
    if let Some(bus) = entry.event_bus.filter(|bus| !rules::is_default_bus(realm, bus)) {
        return Err(EntryError::BusMissing(bus));
    }
    Ok(event(source, detail_type, entry.resources, detail, entry.time.unwrap_or(now)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step is a failing test")]
    use super::*;
    use headwater_store::SqliteStore;

    fn entry(source: &str, detail: &str) -> Entry {
        Entry {
            source: Some(source.into()),
            detail_type: Some("T".into()),
            detail: Some(detail.into()),
            ..Entry::default()
        }
    }

    #[tokio::test]
    async fn each_entry_succeeds_or_fails_alone_and_in_order() {
        let store = SqliteStore::in_memory().await.unwrap();
        let realm = Realm::default();
        let entries = vec![
            entry("one", "{}"),
            entry("", "{}"),
            entry("two", "[]"),
            Entry { event_bus: Some("other".into()), ..entry("three", "{}") },
            Entry { event_bus: Some("default".into()), time: Some(Timestamp(5)), ..entry("four", r#"{"a":1}"#) },
            Entry { detail_type: Some("x".repeat(129)), ..entry("five", "{}") },
        ];
        let results = put_events(&store, &realm, entries, Timestamp(9)).await.unwrap();
        let codes: Vec<_> = results.iter().map(|r| r.as_ref().err().map(EntryError::code)).collect();
        assert_eq!(
            codes,
            [
                None,
                Some("InvalidArgument"),
                Some("MalformedDetail"),
                Some("ResourceNotFoundException"),
                None,
                Some("InvalidArgument")
            ]
        );
        let events = store.events(0, 0).await.unwrap();
        let seen: Vec<_> = events.iter().map(|(_, e)| (e.source.as_str(), e.time, &e.id)).collect();
        let ids: Vec<_> = results.iter().flatten().collect();
        assert_eq!(seen, [("one", Timestamp(9), ids[0]), ("four", Timestamp(5), ids[1])]);
    }

    #[tokio::test]
    async fn a_call_has_bounds() {
        let store = SqliteStore::in_memory().await.unwrap();
        let realm = Realm::default();
        let put = async |entries| put_events(&store, &realm, entries, Timestamp(9)).await;
        assert!(matches!(put(vec![]).await, Err(PutEventsError::Count(0))));
        assert!(matches!(put(vec![entry("s", "{}"); 11]).await, Err(PutEventsError::Count(11))));
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(ENTRIES_BYTES_MAX));
        assert!(matches!(put(vec![entry("s", &large)]).await, Err(PutEventsError::TooLarge(_))));
        assert_eq!(store.last_event().await.unwrap(), 0);
    }
}
