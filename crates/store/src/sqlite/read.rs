//! Queries on a reader's connection.

use crate::{Error, Job, JobId, LogLine, LogSelect, Order, Record, Select};
use headwater_model::Timestamp;
use headwater_model::event::Event;
use headwater_model::poll::Answer;
use serde::de::DeserializeOwned;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{QueryBuilder, Row, Sqlite};

/// SQLite's integers are signed. Our numbers count from 1 and do not get there.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(row: &SqliteRow, column: usize) -> Result<u64, Error> {
    Ok(row.try_get::<i64, _>(column)?.unsigned_abs())
}

/// SQLite reads a negative limit as none.
fn limit(rows: u32) -> i64 {
    if rows == 0 { -1 } else { i64::from(rows) }
}

fn parse<T: DeserializeOwned>(kind: &str, id: impl FnOnce() -> String, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|source| Error::Document { kind: kind.into(), id: id(), source })
}

pub(super) async fn record(connection: &mut SqliteConnection, kind: &str, id: &str) -> Result<Option<Record>, Error> {
    let row = sqlx::query("SELECT id, parent, rank, revision, body FROM records WHERE kind = ? AND id = ?")
        .bind(kind)
        .bind(id)
        .fetch_optional(connection)
        .await?;
    row.map(|row| to_record(kind, &row)).transpose()
}

pub(super) async fn records(
    connection: &mut SqliteConnection,
    kind: &str,
    select: Select,
) -> Result<Vec<Record>, Error> {
    let mut query = match select.label {
        None => {
            let mut query =
                QueryBuilder::<Sqlite>::new("SELECT id, parent, rank, revision, body FROM records WHERE kind = ");
            query.push_bind(kind.to_owned());
            query
        }
        // CROSS JOIN: SQLite then walks the labels in order and looks each record up, never the other way round.
        Some(label) => {
            let mut query = QueryBuilder::<Sqlite>::new(
                "SELECT id, parent, rank, revision, body FROM record_labels CROSS JOIN records USING (kind, id) WHERE kind = ",
            );
            query.push_bind(kind.to_owned()).push(" AND label = ").push_bind(label);
            query
        }
    };
    if let Some(parent) = select.parent {
        query.push(" AND parent = ").push_bind(parent);
    }
    if let Some(after) = select.after {
        query.push(" AND id > ").push_bind(after);
    }
    push_prefix(&mut query, "id", select.prefix.as_deref());
    match select.order {
        Order::ById => query.push(" ORDER BY id"),
        Order::GreatestRankFirst { after } => {
            query.push(" AND rank IS NOT NULL");
            if let Some((rank, id)) = after {
                query.push(" AND (rank, id) < (").push_bind(rank).push(", ").push_bind(id).push(")");
            }
            query.push(" ORDER BY rank DESC, id DESC")
        }
    };
    query.push(" LIMIT ").push_bind(limit(select.limit));
    let rows = query.build().fetch_all(connection).await?;
    rows.iter().map(|row| to_record(kind, row)).collect()
}

/// A range rather than a pattern, so that an index serves it. SQLite compares text by its UTF-8 bytes, which is the
/// order of code points.
fn push_prefix(query: &mut QueryBuilder<Sqlite>, column: &str, prefix: Option<&str>) {
    let Some(prefix) = prefix.filter(|prefix| !prefix.is_empty()) else { return };
    query.push(format_args!(" AND {column} >= ")).push_bind(prefix.to_owned());
    if let Some(end) = prefix_end(prefix) {
        query.push(format_args!(" AND {column} < ")).push_bind(end);
    }
}

/// The least text that is greater than all texts with this prefix, if there is one.
fn prefix_end(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            end.push(next);
            return Some(end);
        }
    }
    None
}

fn to_record(kind: &str, row: &SqliteRow) -> Result<Record, Error> {
    let id: String = row.try_get(0)?;
    let body = parse(kind, || id.clone(), row.try_get(4)?)?;
    let (parent, rank, revision) = (row.try_get(1)?, row.try_get(2)?, number(row, 3)?);
    Ok(Record { kind: kind.into(), id, parent, rank, body, revision })
}

pub(super) async fn events(
    connection: &mut SqliteConnection,
    after: u64,
    rows: u32,
) -> Result<Vec<(u64, Event)>, Error> {
    let rows = sqlx::query("SELECT seq, body FROM events WHERE seq > ? ORDER BY seq LIMIT ?")
        .bind(integer(after))
        .bind(limit(rows))
        .fetch_all(connection)
        .await?;
    let to_event = |row: &SqliteRow| {
        let seq = number(row, 0)?;
        Ok((seq, parse("event", || seq.to_string(), row.try_get(1)?)?))
    };
    rows.iter().map(to_event).collect()
}

pub(super) async fn last_event(connection: &mut SqliteConnection) -> Result<u64, Error> {
    number(&sqlx::query("SELECT coalesce(max(seq), 0) FROM events").fetch_one(connection).await?, 0)
}

pub(super) async fn cursor(connection: &mut SqliteConnection, name: &str) -> Result<u64, Error> {
    let row = sqlx::query("SELECT seq FROM cursors WHERE name = ?").bind(name).fetch_optional(connection).await?;
    row.map_or(Ok(0), |row| number(&row, 0))
}

pub(super) async fn due_jobs(
    connection: &mut SqliteConnection,
    queue: &str,
    now: Timestamp,
    rows: u32,
) -> Result<Vec<Job>, Error> {
    let rows = sqlx::query(
        "SELECT id, due, attempt, created, body FROM jobs WHERE queue = ? AND due <= ? ORDER BY due, id LIMIT ?",
    )
    .bind(queue)
    .bind(now.0)
    .bind(limit(rows))
    .fetch_all(connection)
    .await?;
    let to_job = |row: &SqliteRow| {
        let id = number(row, 0)?;
        Ok(Job {
            id: JobId(id),
            queue: queue.into(),
            due: Timestamp(row.try_get(1)?),
            attempt: row.try_get(2)?,
            created: Timestamp(row.try_get(3)?),
            body: parse("job", || id.to_string(), row.try_get(4)?)?,
        })
    };
    rows.iter().map(to_job).collect()
}

pub(super) async fn next_due(connection: &mut SqliteConnection, queue: &str) -> Result<Option<Timestamp>, Error> {
    let row = sqlx::query("SELECT min(due) FROM jobs WHERE queue = ?").bind(queue).fetch_one(connection).await?;
    Ok(row.try_get::<Option<i64>, _>(0)?.map(Timestamp))
}

pub(super) async fn log_lines(
    connection: &mut SqliteConnection,
    group: &str,
    select: LogSelect,
) -> Result<Vec<(u64, LogLine)>, Error> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT seq, stream, at, message FROM log_lines WHERE log_group = ");
    query.push_bind(group.to_owned()).push(" AND seq > ").push_bind(integer(select.after));
    if let Some(before) = select.before {
        query.push(" AND seq < ").push_bind(integer(before));
    }
    if let Some(stream) = select.stream {
        query.push(" AND stream = ").push_bind(stream);
    }
    if let Some(from) = select.from {
        query.push(" AND at >= ").push_bind(from.0);
    }
    if let Some(to) = select.to {
        query.push(" AND at < ").push_bind(to.0);
    }
    let newest = select.newest && select.limit > 0;
    query.push(if newest { " ORDER BY seq DESC LIMIT " } else { " ORDER BY seq LIMIT " });
    query.push_bind(limit(select.limit));
    let mut rows = query.build().fetch_all(connection).await?;
    if newest {
        rows.reverse();
    }
    let to_line = |row: &SqliteRow| {
        let line = LogLine {
            group: group.into(),
            stream: row.try_get(1)?,
            at: Timestamp(row.try_get(2)?),
            message: row.try_get(3)?,
        };
        Ok((number(row, 0)?, line))
    };
    rows.iter().map(to_line).collect()
}

pub(super) async fn log_groups(connection: &mut SqliteConnection, prefix: &str) -> Result<Vec<String>, Error> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT name FROM log_groups WHERE line_count > 0");
    push_prefix(&mut query, "name", Some(prefix));
    query.push(" ORDER BY name");
    let rows = query.build().fetch_all(connection).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

pub(super) async fn log_streams(
    connection: &mut SqliteConnection,
    group: &str,
) -> Result<Vec<(String, Timestamp, Timestamp)>, Error> {
    let rows = sqlx::query(
        "SELECT stream, min(at), max(at) FROM log_lines WHERE log_group = ? GROUP BY stream ORDER BY stream",
    )
    .bind(group)
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, Timestamp(row.try_get(1)?), Timestamp(row.try_get(2)?)))).collect()
}

pub(super) async fn answer(
    connection: &mut SqliteConnection,
    poll: &str,
    viewer: &str,
) -> Result<Option<Answer>, Error> {
    let row = sqlx::query("SELECT viewer, choice, at, playhead FROM answers WHERE poll = ? AND viewer = ?")
        .bind(poll)
        .bind(viewer)
        .fetch_optional(connection)
        .await?;
    row.map(|row| to_answer(poll, &row)).transpose()
}

pub(super) async fn tally(connection: &mut SqliteConnection, poll: &str) -> Result<Vec<(u32, u64)>, Error> {
    let rows = sqlx::query("SELECT choice, count FROM tallies WHERE poll = ? ORDER BY choice")
        .bind(poll)
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, number(row, 1)?))).collect()
}

pub(super) async fn answers(
    connection: &mut SqliteConnection,
    poll: &str,
    skip: u64,
    rows: u32,
) -> Result<Vec<Answer>, Error> {
    let rows =
        sqlx::query("SELECT viewer, choice, at, playhead FROM answers WHERE poll = ? ORDER BY seq LIMIT ? OFFSET ?")
            .bind(poll)
            .bind(limit(rows))
            .bind(integer(skip))
            .fetch_all(connection)
            .await?;
    rows.iter().map(|row| to_answer(poll, row)).collect()
}

fn to_answer(poll: &str, row: &SqliteRow) -> Result<Answer, Error> {
    Ok(Answer {
        poll: poll.into(),
        viewer: row.try_get(0)?,
        choice: row.try_get(1)?,
        at: Timestamp(row.try_get(2)?),
        playhead: row.try_get::<Option<i64>, _>(3)?.map(Timestamp),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_end_of_a_prefix_divides_what_begins_so_from_what_follows(prefix in "\\PC{1,4}", rest in "\\PC{0,3}", other in "\\PC{0,6}") {
            let end = prefix_end(&prefix).expect("no text of the largest character only");
            let longer = format!("{prefix}{rest}");
            prop_assert!(longer >= prefix && longer < end);
            prop_assert_eq!(other >= prefix && other < end, other.starts_with(&prefix));
        }
    }

    #[test]
    fn the_largest_character_has_no_end() {
        assert_eq!(prefix_end("\u{10ffff}"), None);
        assert_eq!(prefix_end("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(prefix_end("\u{d7ff}").as_deref(), Some("\u{e000}"));
    }
}
