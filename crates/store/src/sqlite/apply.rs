//! One batch's writes as SQL, inside the writer's transaction.

use super::read::integer;
use crate::{Batch, Committed, Error, Expect, Job, JobId, LogLine, Record, Topic, Write};
use headwater_model::Timestamp;
use headwater_model::event::Event;
use headwater_model::poll::Answer;
use serde_json::Value;
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

/// Lines that make room at once when a group is full: a twentieth, so that trimming costs little for each line.
const TRIM_LINES: u64 = LogLine::GROUP_LINES_MAX / 20;

/// Events that are kept; older ones make room once every reader with a cursor has dealt with them. A busy server makes a
/// few thousand a day, each under a kilobyte.
const EVENTS_KEPT: u64 = 1_000_000;
/// The log is trimmed with each event whose number this divides, so that trimming costs little for each event.
const TRIM_EVENTS: u64 = 1_000;

/// Writes everything, or returns at the first write that cannot be: the caller then undoes those before it. Adds what
/// changed to `touched`.
pub(super) async fn batch(
    connection: &mut SqliteConnection,
    batch: &Batch,
    touched: &mut Vec<Topic>,
) -> Result<Committed, Error> {
    let mut committed = Committed::default();
    for write in &batch.writes {
        match write {
            Write::Put(record, expect) => {
                put(connection, record, *expect).await?;
                touched.push(Topic::Kind(record.kind.clone()));
            }
            Write::Delete { kind, id, expect } => {
                delete(connection, kind, id, *expect).await?;
                touched.push(Topic::Kind(kind.clone()));
            }
            Write::Label { kind, id, labels } => label(connection, kind, id, labels).await?,
            Write::Require { kind, id } => require(connection, kind, id).await?,
            Write::Within { kind, max } => within(connection, kind, *max).await?,
            Write::Unlabelled { kind, label } => unlabelled(connection, kind, label).await?,
            Write::Event(event) => {
                let seq = append_event(connection, event).await?;
                committed.events.push(seq);
                touched.push(Topic::Events);
                if seq.is_multiple_of(TRIM_EVENTS) {
                    trim_events(connection, seq, EVENTS_KEPT).await?;
                }
            }
            Write::Enqueue(job) => {
                committed.jobs.push(enqueue(connection, job).await?);
                touched.push(Topic::Queue(job.queue.clone()));
            }
            Write::Complete(id) => complete(connection, *id).await?,
            Write::Reschedule { id, due, attempt, body } => {
                if let Some(queue) = reschedule(connection, *id, *due, *attempt, body.as_ref()).await? {
                    touched.push(Topic::Queue(queue));
                }
            }
            Write::Advance { name, seq } => advance(connection, name, *seq).await?,
            Write::Log(line) => {
                append_line(connection, line).await?;
                touched.push(Topic::LogGroup(line.group.clone()));
            }
            Write::ClearLog { group } => {
                clear_log(connection, group).await?;
                touched.push(Topic::LogGroup(group.clone()));
            }
            Write::Answer(answer) => match store_answer(connection, answer).await? {
                Some(earlier) => committed.answers.push(earlier),
                None => {
                    committed.answers.push(answer.clone());
                    touched.push(Topic::Poll(answer.poll.clone()));
                }
            },
        }
    }
    Ok(committed)
}

async fn put(connection: &mut SqliteConnection, record: &Record, expect: Expect) -> Result<(), Error> {
    let body = record.body.to_string();
    let query = match expect {
        Expect::Absent => sqlx::query(
            "INSERT INTO records (kind, id, parent, rank, revision, body) VALUES (?, ?, ?, ?, 1, ?) \
             ON CONFLICT DO NOTHING",
        ),
        Expect::Anything => sqlx::query(
            "INSERT INTO records (kind, id, parent, rank, revision, body) VALUES (?, ?, ?, ?, 1, ?) \
             ON CONFLICT (kind, id) DO UPDATE \
             SET parent = excluded.parent, rank = excluded.rank, revision = revision + 1, body = excluded.body",
        ),
        Expect::Revision(_) => sqlx::query(
            "UPDATE records SET parent = ?3, rank = ?4, revision = revision + 1, body = ?5 \
             WHERE kind = ?1 AND id = ?2 AND revision = ?6",
        ),
    };
    let mut query = query.bind(&record.kind).bind(&record.id).bind(&record.parent).bind(record.rank).bind(body);
    if let Expect::Revision(revision) = expect {
        query = query.bind(integer(revision));
    }
    if query.execute(&mut *connection).await?.rows_affected() == 1 {
        return Ok(());
    }
    match expect {
        Expect::Absent => Err(Error::Exists { kind: record.kind.clone(), id: record.id.clone() }),
        _ => Err(moved_on(connection, &record.kind, &record.id).await?),
    }
}

async fn delete(connection: &mut SqliteConnection, kind: &str, id: &str, expect: Expect) -> Result<(), Error> {
    let deleted = match expect {
        Expect::Anything | Expect::Absent => {
            sqlx::query("DELETE FROM records WHERE kind = ? AND id = ?")
                .bind(kind)
                .bind(id)
                .execute(&mut *connection)
                .await?;
            return Ok(());
        }
        Expect::Revision(revision) => sqlx::query("DELETE FROM records WHERE kind = ? AND id = ? AND revision = ?")
            .bind(kind)
            .bind(id)
            .bind(integer(revision))
            .execute(&mut *connection)
            .await?
            .rows_affected(),
    };
    if deleted == 1 { Ok(()) } else { Err(moved_on(connection, kind, id).await?) }
}

/// Why no record was at the expected revision.
async fn moved_on(connection: &mut SqliteConnection, kind: &str, id: &str) -> Result<Error, Error> {
    let row = sqlx::query("SELECT 1 FROM records WHERE kind = ? AND id = ?")
        .bind(kind)
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    let (kind, id) = (kind.to_owned(), id.to_owned());
    Ok(if row.is_some() { Error::Conflict { kind, id } } else { Error::Missing { kind, id } })
}

async fn label(connection: &mut SqliteConnection, kind: &str, id: &str, labels: &[String]) -> Result<(), Error> {
    sqlx::query("DELETE FROM record_labels WHERE kind = ? AND id = ?")
        .bind(kind)
        .bind(id)
        .execute(&mut *connection)
        .await?;
    for label in labels {
        sqlx::query("INSERT INTO record_labels (kind, label, id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
            .bind(kind)
            .bind(label)
            .bind(id)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn require(connection: &mut SqliteConnection, kind: &str, id: &str) -> Result<(), Error> {
    match moved_on(connection, kind, id).await? {
        missing @ Error::Missing { .. } => Err(missing),
        _ => Ok(()),
    }
}

async fn within(connection: &mut SqliteConnection, kind: &str, max: u64) -> Result<(), Error> {
    let row = sqlx::query("SELECT 1 FROM record_counts WHERE kind = ? AND count > ?")
        .bind(kind)
        .bind(integer(max))
        .fetch_optional(&mut *connection)
        .await?;
    if row.is_some() { Err(Error::Full { kind: kind.to_owned(), max }) } else { Ok(()) }
}

async fn unlabelled(connection: &mut SqliteConnection, kind: &str, label: &str) -> Result<(), Error> {
    let row = sqlx::query("SELECT 1 FROM record_labels WHERE kind = ? AND label = ? LIMIT 1")
        .bind(kind)
        .bind(label)
        .fetch_optional(&mut *connection)
        .await?;
    if row.is_some() { Err(Error::Labelled { kind: kind.to_owned(), label: label.to_owned() }) } else { Ok(()) }
}

async fn append_event(connection: &mut SqliteConnection, event: &Event) -> Result<u64, Error> {
    let body = serde_json::to_string(event).map_err(|source| Error::Document {
        kind: "event".into(),
        id: event.id.clone(),
        source,
    })?;
    let done = sqlx::query("INSERT INTO events (body) VALUES (?)").bind(body).execute(&mut *connection).await?;
    Ok(done.last_insert_rowid().unsigned_abs())
}

/// Removes the events that lie more than `kept` before the newest, unless a reader still has to deal with them.
pub(super) async fn trim_events(connection: &mut SqliteConnection, newest: u64, kept: u64) -> Result<(), Error> {
    sqlx::query("DELETE FROM events WHERE seq <= min(?, (SELECT coalesce(min(seq), 0) FROM cursors))")
        .bind(integer(newest.saturating_sub(kept)))
        .execute(&mut *connection)
        .await?;
    Ok(())
}

async fn enqueue(connection: &mut SqliteConnection, job: &Job) -> Result<JobId, Error> {
    let done = sqlx::query("INSERT INTO jobs (queue, due, attempt, created, body) VALUES (?, ?, ?, ?, ?)")
        .bind(&job.queue)
        .bind(job.due.0)
        .bind(job.attempt)
        .bind(job.created.0)
        .bind(job.body.to_string())
        .execute(&mut *connection)
        .await?;
    Ok(JobId(done.last_insert_rowid().unsigned_abs()))
}

async fn complete(connection: &mut SqliteConnection, id: JobId) -> Result<(), Error> {
    sqlx::query("DELETE FROM jobs WHERE id = ?").bind(integer(id.0)).execute(&mut *connection).await?;
    Ok(())
}

/// Returns the job's queue, or nothing if it was completed before.
async fn reschedule(
    connection: &mut SqliteConnection,
    id: JobId,
    due: Timestamp,
    attempt: u32,
    body: Option<&Value>,
) -> Result<Option<String>, Error> {
    let row =
        sqlx::query("UPDATE jobs SET due = ?, attempt = ?, body = coalesce(?, body) WHERE id = ? RETURNING queue")
            .bind(due.0)
            .bind(attempt)
            .bind(body.map(Value::to_string))
            .bind(integer(id.0))
            .fetch_optional(&mut *connection)
            .await?;
    row.map(|row| row.try_get(0).map_err(Error::from)).transpose()
}

async fn advance(connection: &mut SqliteConnection, name: &str, seq: u64) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO cursors (name, seq) VALUES (?, ?) \
         ON CONFLICT (name) DO UPDATE SET seq = max(seq, excluded.seq)",
    )
    .bind(name)
    .bind(integer(seq))
    .execute(&mut *connection)
    .await?;
    Ok(())
}

async fn append_line(connection: &mut SqliteConnection, line: &LogLine) -> Result<(), Error> {
    let row = sqlx::query(
        "INSERT INTO log_groups (name, line_count) VALUES (?, 1) \
         ON CONFLICT (name) DO UPDATE SET line_count = line_count + 1 RETURNING line_count",
    )
    .bind(&line.group)
    .fetch_one(&mut *connection)
    .await?;
    let line_count: i64 = row.try_get(0)?;
    sqlx::query("INSERT INTO log_lines (log_group, stream, at, message) VALUES (?, ?, ?, ?)")
        .bind(&line.group)
        .bind(&line.stream)
        .bind(line.at.0)
        .bind(cut(&line.message))
        .execute(&mut *connection)
        .await?;
    if line_count > integer(LogLine::GROUP_LINES_MAX) { trim(connection, &line.group).await } else { Ok(()) }
}

async fn trim(connection: &mut SqliteConnection, group: &str) -> Result<(), Error> {
    let trimmed = sqlx::query(
        "DELETE FROM log_lines WHERE seq IN \
         (SELECT seq FROM log_lines WHERE log_group = ? ORDER BY seq LIMIT ?)",
    )
    .bind(group)
    .bind(integer(TRIM_LINES))
    .execute(&mut *connection)
    .await?
    .rows_affected();
    sqlx::query("UPDATE log_groups SET line_count = line_count - ? WHERE name = ?")
        .bind(integer(trimmed))
        .bind(group)
        .execute(&mut *connection)
        .await?;
    Ok(())
}

/// The longest beginning of whole characters that is kept.
fn cut(message: &str) -> &str {
    &message[..message.floor_char_boundary(LogLine::MESSAGE_BYTES_MAX)]
}

async fn clear_log(connection: &mut SqliteConnection, group: &str) -> Result<(), Error> {
    sqlx::query("DELETE FROM log_groups WHERE name = ?").bind(group).execute(&mut *connection).await?;
    Ok(())
}

/// Returns the earlier answer if there is one; then nothing is written.
async fn store_answer(connection: &mut SqliteConnection, answer: &Answer) -> Result<Option<Answer>, Error> {
    let stored = sqlx::query(
        "INSERT INTO answers (poll, viewer, choice, at, playhead) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(&answer.poll)
    .bind(&answer.viewer)
    .bind(answer.choice)
    .bind(answer.at.0)
    .bind(answer.playhead.map(|at| at.0))
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if stored == 0 {
        return super::read::answer(connection, &answer.poll, &answer.viewer).await;
    }
    sqlx::query(
        "INSERT INTO tallies (poll, choice, count) VALUES (?, ?, 1) \
         ON CONFLICT (poll, choice) DO UPDATE SET count = count + 1",
    )
    .bind(&answer.poll)
    .bind(answer.choice)
    .execute(&mut *connection)
    .await?;
    Ok(None)
}
