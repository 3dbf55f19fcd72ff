//! What a viewer and an address may do: token buckets in bounded tables.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Answers a second that one address may give for long. A school or an office is one address, so this is not little.
const ADDRESS_ANSWERS_PER_SECOND: u32 = 50;
/// Answers that one address may give at once: everybody in a room who answers as soon as the question appears.
const ADDRESS_ANSWERS_AT_ONCE: u32 = 500;
/// Answers a second that one viewer may give for long; more than one only in error, as the first counts.
const VIEWER_ANSWERS_PER_SECOND: u32 = 2;
/// Answers that one viewer may give at once: a page that tries again after a short loss of its network.
const VIEWER_ANSWERS_AT_ONCE: u32 = 10;
/// Addresses or viewers that are remembered. When full, those whose bucket has filled up again are forgotten; if all
/// are busy, newcomers are refused until some are not.
const REMEMBERED_MAX: usize = 65_536;
/// Event streams that are open at once; more are refused. Each costs a socket and some kilobytes.
const SUBSCRIBERS_MAX: usize = 20_000;

/// The limits of one server.
pub(crate) struct Limits {
    addresses: Buckets<IpAddr>,
    viewers: Buckets<String>,
    subscribers: Arc<Semaphore>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            addresses: Buckets::new(ADDRESS_ANSWERS_PER_SECOND, ADDRESS_ANSWERS_AT_ONCE),
            viewers: Buckets::new(VIEWER_ANSWERS_PER_SECOND, VIEWER_ANSWERS_AT_ONCE),
            subscribers: Arc::new(Semaphore::new(SUBSCRIBERS_MAX)),
        }
    }
}

impl Limits {
    /// Whether this viewer at this address may answer now. Loopback is not counted: it is a proxy in front, which
    /// knows its own viewers, or the owner of the machine.
    pub(crate) fn allow_answer(&self, address: Option<IpAddr>, viewer: &str, now: Instant) -> bool {
        let address = address.map(network).filter(|address| !address.is_loopback());
        address.is_none_or(|address| self.addresses.take(address, now)) && self.viewers.take(viewer.to_owned(), now)
    }

    /// A place among those who listen.
    pub(crate) fn subscriber(&self) -> Option<OwnedSemaphorePermit> {
        self.subscribers.clone().try_acquire_owned().ok()
    }
}

/// Who has one IPv6 address has a /64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        other => other,
    }
}

struct Buckets<K> {
    per_second: u32,
    at_once: u32,
    /// Tokens left, in thousandths, and when that was so.
    by_key: Mutex<HashMap<K, (u64, Instant)>>,
}

impl<K: Eq + Hash> Buckets<K> {
    fn new(per_second: u32, at_once: u32) -> Self {
        Buckets { per_second, at_once, by_key: Mutex::new(HashMap::new()) }
    }

    fn full(&self) -> u64 {
        u64::from(self.at_once) * 1000
    }

    fn filled(&self, (left, since): (u64, Instant), now: Instant) -> u64 {
        let elapsed_ms = u64::try_from(now.saturating_duration_since(since).as_millis()).unwrap_or(u64::MAX);
        // A thousandth of a token for each token a second and millisecond.
        left.saturating_add(elapsed_ms.saturating_mul(u64::from(self.per_second))).min(self.full())
    }

    fn take(&self, key: K, now: Instant) -> bool {
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        if by_key.len() >= REMEMBERED_MAX && !by_key.contains_key(&key) {
            by_key.retain(|_, bucket| self.filled(*bucket, now) < self.full());
            if by_key.len() >= REMEMBERED_MAX {
                return false;
            }
        }
        let bucket = by_key.entry(key).or_insert((self.full(), now));
        let left = self.filled(*bucket, now);
        *bucket = (left.saturating_sub(if left >= 1000 { 1000 } else { 0 }), now);
        left >= 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let buckets = Buckets::new(2, 3);
        let start = Instant::now();
        let taken = |at: Duration| buckets.take("anna", start + at);
        assert_eq!([0, 0, 0, 0].map(|ms| taken(Duration::from_millis(ms))), [true, true, true, false]);
        assert!(!taken(Duration::from_millis(499)));
        assert!(taken(Duration::from_millis(500)));
        assert!(!taken(Duration::from_millis(501)));
        assert_eq!([9, 9, 9, 9].map(|s| taken(Duration::from_secs(s))), [true, true, true, false]);
    }

    #[test]
    fn a_full_table_forgets_the_idle_and_refuses_when_all_are_busy() {
        let buckets = Buckets::new(1, 1);
        let start = Instant::now();
        for key in 0..REMEMBERED_MAX {
            assert!(buckets.take(key, start));
        }
        assert!(!buckets.take(REMEMBERED_MAX, start));
        assert!(buckets.take(REMEMBERED_MAX, start + Duration::from_secs(1)));
        assert_eq!(buckets.by_key.lock().map(|by_key| by_key.len()).ok(), Some(1));
    }

    #[test]
    fn addresses_count_by_network_and_loopback_does_not() {
        assert_eq!(
            network("2001:db8::1".parse().expect("an address")),
            network("2001:db8::ffff:2".parse().expect("an address"))
        );
        let limits = Limits::default();
        let now = Instant::now();
        let try_many = |address: &str| {
            let address: IpAddr = address.parse().expect("an address");
            (0..600).filter(|n| limits.allow_answer(Some(address), &format!("{address}-{n}"), now)).count()
        };
        assert_eq!(try_many("192.0.2.1"), ADDRESS_ANSWERS_AT_ONCE as usize);
        assert_eq!(try_many("::ffff:192.0.2.1"), 0);
        assert_eq!(try_many("127.0.0.1"), 600);
        assert!((0..20).filter(|_| limits.allow_answer(None, "one-viewer", now)).count() == 10);
    }
}
