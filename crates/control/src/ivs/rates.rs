//! How often operations may be called, per second and for all callers together. Source: IVS "Service Quotas", "API Call
//! Rate Quotas".

use crate::{Control, Error};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The window in which calls are counted.
pub(super) const WINDOW: Duration = Duration::from_secs(1);

/// Calls a second that IVS allows. `PutMetadata` has quotas of its own ([`super::metadata`]). Where IVS publishes no
/// number (failover slates, `UpdateAdConfiguration`), it is that of the other configurations.
const RATES: [(&str, u64); 45] = [
    ("BatchGetChannel", 5),
    ("BatchGetStreamKey", 5),
    ("BatchStartViewerSessionRevocation", 2),
    ("CreateAdConfiguration", 3),
    ("CreateChannel", 5),
    ("CreateFailoverSlateConfiguration", 3),
    ("CreatePlaybackRestrictionPolicy", 5),
    ("CreateRecordingConfiguration", 3),
    ("CreateStreamKey", 5),
    ("DeleteAdConfiguration", 3),
    ("DeleteChannel", 5),
    ("DeleteFailoverSlateConfiguration", 3),
    ("DeletePlaybackKeyPair", 3),
    ("DeletePlaybackRestrictionPolicy", 5),
    ("DeleteRecordingConfiguration", 3),
    ("DeleteStreamKey", 5),
    ("GetAdConfiguration", 3),
    ("GetChannel", 5),
    ("GetFailoverSlateConfiguration", 3),
    ("GetPlaybackKeyPair", 3),
    ("GetPlaybackRestrictionPolicy", 5),
    ("GetRecordingConfiguration", 3),
    ("GetStream", 5),
    ("GetStreamKey", 5),
    ("GetStreamSession", 5),
    ("ImportPlaybackKeyPair", 3),
    ("InsertAdBreak", 1),
    ("ListAdConfigurations", 3),
    ("ListChannels", 5),
    ("ListFailoverSlateConfigurations", 3),
    ("ListPlaybackKeyPairs", 3),
    ("ListPlaybackRestrictionPolicies", 5),
    ("ListRecordingConfigurations", 3),
    ("ListStreamKeys", 5),
    ("ListStreamSessions", 5),
    ("ListStreams", 5),
    ("ListTagsForResource", 10),
    ("StartViewerSessionRevocation", 10),
    ("StopStream", 5),
    ("TagResource", 10),
    ("UntagResource", 10),
    ("UpdateAdConfiguration", 3),
    ("UpdateChannel", 5),
    ("UpdateFailoverSlateConfiguration", 3),
    ("UpdatePlaybackRestrictionPolicy", 5),
];

/// When each operation was called in the last second.
pub struct OperationRates([Mutex<Recent>; RATES.len()]);

impl Default for OperationRates {
    fn default() -> Self {
        OperationRates(std::array::from_fn(|_| Mutex::default()))
    }
}

/// Counts a call of an operation; stacks and the command line, which do not come through IVS' API, are not counted. An
/// operation that IVS does not have passes.
///
/// # Errors
/// [`Error::Throttled`] if there were as many in the second before as IVS' rate for it, times the quota's factor.
pub fn admit(control: &Control, operation: &str) -> Result<(), Error> {
    control.operation_rates().admit(operation, control.quotas().operation_rate_factor, Instant::now())
}

impl OperationRates {
    /// Counts a call at `now`, unless there were too many. Without a factor there are never too many.
    fn admit(&self, operation: &str, factor: u64, now: Instant) -> Result<(), Error> {
        let found = RATES.binary_search_by_key(&operation, |(name, _)| name);
        let Ok(index) = found else { return Ok(()) };
        if factor == 0 {
            return Ok(());
        }
        let (operation, rate) = RATES[index];
        let per_second = rate * factor;
        // The counts are whole at each step, so a panic elsewhere does not spoil them.
        let mut recent = self.0[index].lock().unwrap_or_else(PoisonError::into_inner);
        if !recent.has_room(per_second, now) {
            return Err(Error::Throttled { operation, per_second, scope: "the account" });
        }
        recent.note(now);
        Ok(())
    }
}

/// Calls of the last second, as many as their quota lets through.
#[derive(Default)]
pub(super) struct Recent(VecDeque<Instant>);

impl Recent {
    /// Forgets what is old; whether one more call may be counted.
    pub(super) fn has_room(&mut self, limit: u64, now: Instant) -> bool {
        while self.0.front().is_some_and(|at| now.duration_since(*at) >= WINDOW) {
            self.0.pop_front();
        }
        (self.0.len() as u64) < limit
    }

    /// Counts a call.
    pub(super) fn note(&mut self, now: Instant) {
        self.0.push_back(now);
    }

    /// Whether there was a call in the last second.
    pub(super) fn is_busy(&self, now: Instant) -> bool {
        self.0.back().is_some_and(|at| now.duration_since(*at) < WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        assert!(RATES.is_sorted_by_key(|(name, _)| name), "it is searched by halves");
        assert!(RATES.binary_search_by_key(&"PutMetadata", |(name, _)| name).is_err(), "it has quotas of its own");
    }

    #[test]
    fn an_operation_passes_as_often_as_its_rate_and_the_factor_say() {
        let (rates, start) = (OperationRates::default(), Instant::now());
        let admit = |operation, factor, ms| rates.admit(operation, factor, start + Duration::from_millis(ms));
        for _ in 0..5 {
            assert!(admit("GetStream", 1, 0).is_ok());
        }
        let refused = admit("GetStream", 1, 999);
        let expected = "GetStream allows 5 calls a second for the account";
        assert_eq!(refused.map_err(|error| error.to_string()), Err(expected.to_owned()));
        assert!(admit("GetChannel", 1, 999).is_ok(), "each operation has its own count");
        assert!(admit("GetStream", 2, 999).is_ok(), "twice as many pass");
        assert!(admit("GetStream", 1, 1_000).is_ok(), "five are a second old");
        assert!((0..100).all(|_| admit("GetStream", 0, 1_000).is_ok()), "no factor, no limit");
        assert!((0..100).all(|_| admit("PutMetadata", 1, 1_000).is_ok()));
    }
}
