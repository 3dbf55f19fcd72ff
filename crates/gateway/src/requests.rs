//! What was asked of the gateway: counted by service, operation and status, for metrics.

use headwater_model::measure::{Durations, DurationsRead};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Rows that are kept. All operations of all services with their usual statuses are fewer; what comes then is counted
/// as [`OTHER`].
const ROWS_MAX: usize = 2_048;
/// The operation of what is not counted by itself.
pub const OTHER: &str = "other";

/// Answered requests, since the server started.
#[derive(Debug, Default)]
pub struct Requests {
    rows: Mutex<BTreeMap<Row, u64>>,
    took: Mutex<BTreeMap<&'static str, Durations>>,
}

/// What requests have in common that are counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// The signing name, such as `ivs`.
    pub service: &'static str,
    /// Name in the service model, or [`OTHER`].
    pub operation: String,
    /// HTTP status.
    pub status: u16,
}

impl Requests {
    /// Counts one.
    pub(crate) fn note(&self, service: &'static str, operation: Option<&str>, status: u16, took_us: u64) {
        let mut row = Row { service, operation: operation.unwrap_or(OTHER).into(), status };
        let mut rows = lock(&self.rows);
        if rows.len() >= ROWS_MAX && !rows.contains_key(&row) {
            row.operation = OTHER.into();
        }
        *rows.entry(row).or_default() += 1;
        drop(rows);
        lock(&self.took).entry(service).or_default().note_us(took_us);
    }

    /// How many there were, by what they have in common.
    pub fn rows(&self) -> Vec<(Row, u64)> {
        lock(&self.rows).iter().map(|(row, count)| (row.clone(), *count)).collect()
    }

    /// How long they took, by service.
    pub fn took(&self) -> Vec<(&'static str, DurationsRead)> {
        lock(&self.took).iter().map(|(service, took)| (*service, took.read())).collect()
    }
}

/// The maps are whole at each step, so a panic elsewhere does not spoil them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
