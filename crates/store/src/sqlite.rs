//! The SQLite engine. Being written.

/// State in one SQLite file.
pub struct SqliteStore {}
