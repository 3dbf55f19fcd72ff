//! The SQLite engine: one writer task that groups waiting commits, a few readers, one file.
//!
//! A commit travels through a bounded queue to the writer, which takes all that wait, gives each a savepoint in one SQL
//! transaction, and pays for one flush to the disk. Readers have connections of their own and see committed state.

mod apply;
mod read;
mod readers;
mod topics;
mod writer;

use crate::{Batch, Committed, Error, Job, LogLine, LogSelect, Record, Select, Store, Topic};
use async_trait::async_trait;
use headwater_model::Timestamp;
use headwater_model::event::Event;
use headwater_model::measure::Durations;
use headwater_model::poll::Answer;
use readers::Readers;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use topics::Topics;
use writer::Writer;

/// How long a connection waits for another process that holds the file, such as a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// State in one SQLite file. Clones share it; when the last one is dropped, the writer finishes what waits and ends.
#[derive(Clone)]
pub struct SqliteStore {
    readers: Arc<Readers>,
    writer: Writer,
    topics: Arc<Topics>,
    commits: Arc<Durations>,
    /// Last, so that the connections are gone before the files are.
    _scratch: Option<Arc<Scratch>>,
}

impl SqliteStore {
    /// Opens the file, makes it (mode 0600: it holds secrets) if need be, and brings its tables up to date.
    ///
    /// # Errors
    /// [`Error::Engine`] if the file cannot be opened, is no database, or was written by a newer version.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        create_private(path).map_err(|source| Error::Engine(Box::new(source)))?;
        SqliteStore::open_with(path, SqliteSynchronous::Full, None).await
    }

    /// A store for tests: a file in the system's temporary folder that is removed with the last clone. It is not
    /// flushed to the disk.
    ///
    /// # Errors
    /// [`Error::Engine`] if the folder cannot be made.
    pub async fn in_memory() -> Result<Self, Error> {
        let scratch = Scratch::create().map_err(|source| Error::Engine(Box::new(source)))?;
        let path = scratch.0.join("state.db");
        SqliteStore::open_with(&path, SqliteSynchronous::Off, Some(Arc::new(scratch))).await
    }

    async fn open_with(
        path: &Path,
        synchronous: SqliteSynchronous,
        scratch: Option<Arc<Scratch>>,
    ) -> Result<Self, Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        let mut connection = SqliteConnection::connect_with(&options).await?;
        sqlx::migrate!("./migrations").run(&mut connection).await?;
        let topics = Arc::new(Topics::default());
        let readers = Arc::new(Readers::open(&options).await?);
        let writer = Writer::spawn(connection, Arc::clone(&topics));
        Ok(SqliteStore { readers, writer, topics, commits: Arc::default(), _scratch: scratch })
    }

    /// How long commits took so far, from the caller's side: the wait for their turn included.
    pub fn commits(&self) -> &Arc<Durations> {
        &self.commits
    }

    /// Finishes what waits and closes the file. Later commits fail with [`Error::Engine`].
    ///
    /// # Errors
    /// [`Error::Engine`] if the file could not be closed in order; what was acknowledged is safe nevertheless.
    pub async fn close(&self) -> Result<(), Error> {
        self.writer.close().await
    }
}

impl From<sqlx::Error> for Error {
    fn from(source: sqlx::Error) -> Self {
        Error::Engine(Box::new(source))
    }
}

impl From<sqlx::migrate::MigrateError> for Error {
    fn from(source: sqlx::migrate::MigrateError) -> Self {
        Error::Engine(Box::new(source))
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, batch: Batch) -> Result<Committed, Error> {
        let began = Instant::now();
        let committed = self.writer.commit(batch).await;
        self.commits.note_us(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
        committed
    }

    async fn record(&self, kind: &str, id: &str) -> Result<Option<Record>, Error> {
        read::record(&mut *self.readers.acquire().await?, kind, id).await
    }

    async fn records(&self, kind: &str, select: Select) -> Result<Vec<Record>, Error> {
        read::records(&mut *self.readers.acquire().await?, kind, select).await
    }

    async fn events(&self, after: u64, limit: u32) -> Result<Vec<(u64, Event)>, Error> {
        read::events(&mut *self.readers.acquire().await?, after, limit).await
    }

    async fn last_event(&self) -> Result<u64, Error> {
        read::last_event(&mut *self.readers.acquire().await?).await
    }

    async fn cursor(&self, name: &str) -> Result<u64, Error> {
        read::cursor(&mut *self.readers.acquire().await?, name).await
    }

    async fn due_jobs(&self, queue: &str, now: Timestamp, limit: u32) -> Result<Vec<Job>, Error> {
        read::due_jobs(&mut *self.readers.acquire().await?, queue, now, limit).await
    }

    async fn next_due(&self, queue: &str) -> Result<Option<Timestamp>, Error> {
        read::next_due(&mut *self.readers.acquire().await?, queue).await
    }

    async fn log_lines(&self, group: &str, select: LogSelect) -> Result<Vec<(u64, LogLine)>, Error> {
        read::log_lines(&mut *self.readers.acquire().await?, group, select).await
    }

    async fn log_groups(&self, prefix: &str) -> Result<Vec<String>, Error> {
        read::log_groups(&mut *self.readers.acquire().await?, prefix).await
    }

    async fn log_streams(&self, group: &str) -> Result<Vec<(String, Timestamp, Timestamp)>, Error> {
        read::log_streams(&mut *self.readers.acquire().await?, group).await
    }

    async fn answer(&self, poll: &str, viewer: &str) -> Result<Option<Answer>, Error> {
        read::answer(&mut *self.readers.acquire().await?, poll, viewer).await
    }

    async fn tally(&self, poll: &str) -> Result<Vec<(u32, u64)>, Error> {
        read::tally(&mut *self.readers.acquire().await?, poll).await
    }

    async fn answers(&self, poll: &str, skip: u64, limit: u32) -> Result<Vec<Answer>, Error> {
        read::answers(&mut *self.readers.acquire().await?, poll, skip, limit).await
    }

    fn watch(&self, topic: Topic) -> watch::Receiver<u64> {
        self.topics.watch(topic)
    }
}

/// SQLite gives its side files the mode of the database file.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// A folder that goes when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn create() -> std::io::Result<Self> {
        let name = format!("headwater-store-{}", headwater_model::id::random_lower_alphanumeric(20));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder)?;
        Ok(Scratch(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests;
