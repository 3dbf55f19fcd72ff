//! Where connections wait that have not shown a key yet: a bounded number, and when one too many comes, the one that has waited longest goes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// Counts guests. Cloning gives another handle on the same lobby.
#[derive(Clone, Debug)]
pub(crate) struct Lobby {
    guests_max: usize,
    guests: Arc<Mutex<Guests>>,
}

#[derive(Debug, Default)]
struct Guests {
    next: u64,
    /// By the order in which they came.
    waiting: BTreeMap<u64, CancellationToken>,
}

/// One guest's place. Dropping it, on admission or at the end, frees it.
#[derive(Debug)]
pub(crate) struct Guest {
    number: u64,
    dismissed: CancellationToken,
    lobby: Lobby,
}

impl Lobby {
    pub(crate) fn new(guests_max: usize) -> Self {
        Lobby { guests_max, guests: Arc::default() }
    }

    /// Lets one in. Under attack the oldest is the likeliest to be dead, and an honest encoder needs less than a second.
    pub(crate) fn enter(&self) -> Guest {
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        if guests.waiting.len() >= self.guests_max
            && let Some((_, oldest)) = guests.waiting.pop_first()
        {
            oldest.cancel();
        }
        let (number, dismissed) = (guests.next, CancellationToken::new());
        guests.next += 1;
        guests.waiting.insert(number, dismissed.clone());
        Guest { number, dismissed, lobby: self.clone() }
    }
}

impl Guest {
    /// Ends when the guest must go.
    pub(crate) async fn dismissed(&self) {
        self.dismissed.cancelled().await;
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.lobby.guests.lock().unwrap_or_else(PoisonError::into_inner).waiting.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guest_that_waited_longest_makes_room() {
        let lobby = Lobby::new(2);
        let (first, second) = (lobby.enter(), lobby.enter());
        assert!(!first.dismissed.is_cancelled());
        let third = lobby.enter();
        assert!(first.dismissed.is_cancelled() && !second.dismissed.is_cancelled());
        drop(second);
        let fourth = lobby.enter();
        assert!(!third.dismissed.is_cancelled() && !fourth.dismissed.is_cancelled(), "an admitted one left a place");
    }
}
