//! The writer: the one task that changes the file.

use super::apply;
use super::topics::Topics;
use crate::{Batch, Committed, Error, Topic};
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Commits that wait for the writer; when it is full, the next ones wait for room.
const QUEUE_BATCHES_MAX: usize = 1024;
/// Commits that share one flush. More would let the first one wait for the last for no gain: at this number the flush
/// is already a small part of the cost.
const GROUP_BATCHES_MAX: usize = 256;

/// Handle of the writer task.
#[derive(Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Command>,
}

enum Command {
    Commit { batch: Batch, reply: Reply },
    Close { reply: oneshot::Sender<Result<(), Error>> },
}

type Reply = oneshot::Sender<Result<Committed, Error>>;

/// The writer was closed or has died.
#[derive(Debug, thiserror::Error)]
#[error("the writer has ended")]
struct Ended;

fn ended() -> Error {
    Error::Engine(Box::new(Ended))
}

/// A failure of the file that a whole group of commits met.
#[derive(Debug, thiserror::Error)]
#[error("group commit")]
struct GroupError(#[source] Arc<Error>);

impl Writer {
    /// The task ends when all handles are gone and the queue is empty, or by [`Writer::close`].
    pub(super) fn spawn(connection: SqliteConnection, topics: Arc<Topics>) -> Self {
        let (queue, commands) = mpsc::channel(QUEUE_BATCHES_MAX);
        tokio::spawn(run(connection, topics, commands));
        Writer { queue }
    }

    pub(super) async fn commit(&self, batch: Batch) -> Result<Committed, Error> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(Command::Commit { batch, reply }).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    pub(super) async fn close(&self) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        if self.queue.send(Command::Close { reply }).await.is_err() {
            return Ok(());
        }
        answer.await.unwrap_or(Ok(()))
    }
}

async fn run(mut connection: SqliteConnection, topics: Arc<Topics>, mut commands: mpsc::Receiver<Command>) {
    let mut waiting = Vec::with_capacity(GROUP_BATCHES_MAX);
    let mut group = Vec::with_capacity(GROUP_BATCHES_MAX);
    while commands.recv_many(&mut waiting, GROUP_BATCHES_MAX).await > 0 {
        let mut close = None;
        for command in waiting.drain(..) {
            match command {
                Command::Commit { batch, reply } if close.is_none() => group.push((batch, reply)),
                Command::Commit { reply, .. } => drop(reply.send(Err(ended()))),
                Command::Close { reply } => close = Some(reply),
            }
        }
        write_group(&mut connection, &topics, &mut group).await;
        if let Some(reply) = close {
            let _ = reply.send(connection.close().await.map_err(Error::from));
            return;
        }
    }
    if let Err(error) = connection.close().await {
        tracing::warn!(error = &error as &dyn std::error::Error, "state file was not closed in order");
    }
}

/// Commits the group in one transaction. If the engine itself fails in it, each batch is tried by itself, so that one
/// that cannot be written (too big, say) does not take the others along.
async fn write_group(connection: &mut SqliteConnection, topics: &Topics, group: &mut Vec<(Batch, Reply)>) {
    if group.is_empty() {
        return;
    }
    let batches: Vec<&Batch> = group.iter().map(|(batch, _)| batch).collect();
    match write_transaction(connection, &batches).await {
        Ok(outcome) => finish(topics, outcome, group.drain(..).map(|(_, reply)| reply)),
        Err(error) if group.len() == 1 => {
            for (_, reply) in group.drain(..) {
                let _ = reply.send(Err(Error::Engine(Box::new(GroupError(Arc::clone(&error))))));
            }
        }
        Err(_) => {
            for (batch, reply) in group.drain(..) {
                match write_transaction(connection, &[&batch]).await {
                    Ok(outcome) => finish(topics, outcome, [reply].into_iter()),
                    Err(error) => drop(reply.send(Err(Error::Engine(Box::new(GroupError(error)))))),
                }
            }
        }
    }
}

/// What a committed transaction made: an answer for each of its batches, and what changed.
struct Outcome {
    results: Vec<Result<Committed, Error>>,
    touched: Vec<Topic>,
}

/// Wakes readers, then answers.
fn finish(topics: &Topics, outcome: Outcome, replies: impl Iterator<Item = Reply>) {
    topics.bump(&outcome.touched);
    for (result, reply) in outcome.results.into_iter().zip(replies) {
        // Whoever has stopped waiting for a commit does not need its answer.
        let _ = reply.send(result);
    }
}

async fn write_transaction(connection: &mut SqliteConnection, batches: &[&Batch]) -> Result<Outcome, Arc<Error>> {
    match try_transaction(connection, batches).await {
        Ok(outcome) => Ok(outcome),
        Err(error) => {
            // Fails if the engine has rolled back already or the transaction did not begin: then there is nothing to
            // undo.
            let _ = sqlx::query("ROLLBACK").execute(&mut *connection).await;
            Err(Arc::new(error))
        }
    }
}

async fn try_transaction(connection: &mut SqliteConnection, batches: &[&Batch]) -> Result<Outcome, Error> {
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    let mut outcome = Outcome { results: Vec::with_capacity(batches.len()), touched: Vec::new() };
    for batch in batches {
        sqlx::query("SAVEPOINT batch").execute(&mut *connection).await?;
        let touched_before = outcome.touched.len();
        match apply::batch(connection, batch, &mut outcome.touched).await {
            Ok(committed) => outcome.results.push(Ok(committed)),
            Err(error @ Error::Engine(_)) => return Err(error),
            Err(refusal) => {
                sqlx::query("ROLLBACK TO batch").execute(&mut *connection).await?;
                outcome.touched.truncate(touched_before);
                outcome.results.push(Err(refusal));
            }
        }
        sqlx::query("RELEASE batch").execute(&mut *connection).await?;
    }
    sqlx::query("COMMIT").execute(&mut *connection).await?;
    Ok(outcome)
}
