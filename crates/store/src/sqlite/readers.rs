//! The readers' connections.
//!
//! No timer is involved, so that a test on virtual time cannot run into a pool's timeout while the disk works.

use crate::Error;
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Reads that run at the same time; more wait. Reads are short, and each connection costs a thread and a page cache.
const READERS: usize = 4;

pub(super) struct Readers {
    /// One for each idle connection.
    permits: Semaphore,
    idle: Mutex<Vec<SqliteConnection>>,
}

impl Readers {
    pub(super) async fn open(options: &SqliteConnectOptions) -> Result<Self, Error> {
        let options = options.clone().pragma("query_only", "ON");
        let mut idle = Vec::with_capacity(READERS);
        for _ in 0..READERS {
            idle.push(SqliteConnection::connect_with(&options).await?);
        }
        Ok(Readers { permits: Semaphore::new(READERS), idle: Mutex::new(idle) })
    }

    pub(super) async fn acquire(&self) -> Result<Reader<'_>, Error> {
        let permit = self.permits.acquire().await.map_err(|closed| Error::Engine(Box::new(closed)))?;
        let connection = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Ok(Reader { connection, readers: self, _permit: permit })
    }
}

/// A connection on loan. A read that was dropped half-way leaves nothing behind in it.
pub(super) struct Reader<'a> {
    connection: Option<SqliteConnection>,
    readers: &'a Readers,
    /// Given back after the connection.
    _permit: SemaphorePermit<'a>,
}

impl Deref for Reader<'_> {
    type Target = SqliteConnection;
    fn deref(&self) -> &SqliteConnection {
        self.connection.as_ref().expect("a permit stands for an idle connection")
    }
}

impl DerefMut for Reader<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        self.connection.as_mut().expect("a permit stands for an idle connection")
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let connection = self.connection.take();
        self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).extend(connection);
    }
}
