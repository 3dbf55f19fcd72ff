//! Durable state behind one trait: [`Store`].
//!
//! Everything that must survive a crash goes through here, in one of six shapes:
//!
//! | shape | for | written by |
//! |---|---|---|
//! | [`Record`] | resources: one JSON document by kind and id, with a revision | [`Batch::insert`], [`Batch::update`], [`Batch::put`], [`Batch::delete`] |
//! | event log | what happened, in order, numbered from 1; the newest million, and all that a cursor has not passed | [`Batch::event`] |
//! | [`Job`] | work that must be done even if the process dies: deliveries, invocations, stack operations | [`Batch::enqueue`], [`Batch::complete`], [`Batch::reschedule`] |
//! | cursor | how far a reader of the event log has come | [`Batch::advance`] |
//! | log line | what functions print | [`Batch::log`] |
//! | answer | viewers' answers, one for each poll and viewer | [`Batch::answer`] |
//!
//! A [`Batch`] is committed whole or not at all, and what [`Store::commit`] acknowledged is on the disk
//! (`synchronous=FULL`). Readers see committed state only. Objects' bytes lie in [`Blobs`].
//!
//! Concurrent changes do not lose one another: [`Batch::update`] names the revision that it read and fails with
//! [`Error::Conflict`] if the record has moved on; [`update`] is the loop around it. What must hold of other records is part
//! of the batch too: [`Batch::require`], [`Batch::within`], [`Batch::unlabelled`].

mod batch;
mod blobs;
mod documents;
mod error;
mod sqlite;

pub use batch::{Batch, Committed, Expect, Job, JobId, LogLine, Record, Write};
pub use blobs::{BlobError, Blobs};
pub use documents::{Document, Versioned, find, list, load, update};
pub use error::Error;
pub use sqlite::SqliteStore;

use async_trait::async_trait;
use headwater_model::Timestamp;
use headwater_model::event::Event;
use headwater_model::poll::Answer;
use tokio::sync::watch;

/// What [`Store::watch`] tells about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// The event log grew.
    Events,
    /// A queue got a job or one of its jobs was rescheduled.
    Queue(String),
    /// A record of this kind changed.
    Kind(String),
    /// A log group grew.
    LogGroup(String),
    /// A poll, by its unique id, got an answer.
    Poll(String),
}

/// In which order [`Store::records`] returns records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Ascending by id.
    #[default]
    ById,
    /// Only those with a rank ([`Document::rank`]), descending by it, and by id where it is the same. To be asked of one
    /// parent's records: an index serves it then.
    GreatestRankFirst {
        /// Only those that come after this rank and id.
        after: Option<(i64, String)>,
    },
}

/// Which records of a kind [`Store::records`] returns.
#[derive(Clone, Debug, Default)]
pub struct Select {
    /// Only those with this parent.
    pub parent: Option<String>,
    /// Only those with this label ([`Document::labels`]).
    pub label: Option<String>,
    /// Only ids greater than this.
    pub after: Option<String>,
    /// Only ids that begin so.
    pub prefix: Option<String>,
    /// Which come first.
    pub order: Order,
    /// At most so many; 0 means all.
    pub limit: u32,
}

/// Which lines of a log group [`Store::log_lines`] returns, in order of their number.
#[derive(Clone, Debug, Default)]
pub struct LogSelect {
    /// Only this stream of the group.
    pub stream: Option<String>,
    /// Only lines with a greater number.
    pub after: u64,
    /// Only lines with a smaller number.
    pub before: Option<u64>,
    /// Only lines at or after this time.
    pub from: Option<Timestamp>,
    /// Only lines before this time.
    pub to: Option<Timestamp>,
    /// At most so many; 0 means all that are kept.
    pub limit: u32,
    /// If there are more than `limit`, the newest instead of the oldest.
    pub newest: bool,
}

/// Durable state. All methods are cancel-safe; a dropped [`Store::commit`] either took place whole or not at all.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Writes everything in the batch, or nothing.
    ///
    /// # Errors
    /// [`Error::Exists`] if an inserted record exists; [`Error::Conflict`] if an updated record is at another
    /// revision; [`Error::Missing`] if it, or a required one, is gone; [`Error::Full`] and [`Error::Labelled`] if the
    /// batch says so; [`Error::Engine`] if the storage engine failed.
    async fn commit(&self, batch: Batch) -> Result<Committed, Error>;

    /// One record.
    async fn record(&self, kind: &str, id: &str) -> Result<Option<Record>, Error>;

    /// Records of a kind, in the order asked for.
    async fn records(&self, kind: &str, select: Select) -> Result<Vec<Record>, Error>;

    /// Events with a number greater than `after`, ascending.
    async fn events(&self, after: u64, limit: u32) -> Result<Vec<(u64, Event)>, Error>;

    /// Number of the newest event, 0 if there is none.
    async fn last_event(&self) -> Result<u64, Error>;

    /// How far a reader has come; 0 at first.
    async fn cursor(&self, name: &str) -> Result<u64, Error>;

    /// Jobs of a queue that are due at `now`, earliest first.
    async fn due_jobs(&self, queue: &str, now: Timestamp, limit: u32) -> Result<Vec<Job>, Error>;

    /// When the next job of a queue is due, if there is one.
    async fn next_due(&self, queue: &str) -> Result<Option<Timestamp>, Error>;

    /// Lines of a log group with their numbers, ascending.
    async fn log_lines(&self, group: &str, select: LogSelect) -> Result<Vec<(u64, LogLine)>, Error>;

    /// Names of log groups that begin so and have lines, ascending.
    async fn log_groups(&self, prefix: &str) -> Result<Vec<String>, Error>;

    /// Streams of a log group with the times of their first and last lines, ascending by name.
    async fn log_streams(&self, group: &str) -> Result<Vec<(String, Timestamp, Timestamp)>, Error>;

    /// The answer that a viewer gave, if any.
    async fn answer(&self, poll: &str, viewer: &str) -> Result<Option<Answer>, Error>;

    /// Count of answers by choice, ascending by choice; choices without answers are left out.
    async fn tally(&self, poll: &str) -> Result<Vec<(u32, u64)>, Error>;

    /// Answers to a poll in order of their storing, after the first `skip`.
    async fn answers(&self, poll: &str, skip: u64, limit: u32) -> Result<Vec<Answer>, Error>;

    /// A number that changes after each commit that touches the topic. Level-triggered: read state after
    /// `changed()`, not from the number.
    fn watch(&self, topic: Topic) -> watch::Receiver<u64>;
}
