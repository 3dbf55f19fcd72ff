//! The journal of stream sessions: the session's record and its events, written in one commit.

use headwater_model::Realm;
use headwater_store::Store;
use std::sync::Arc;

/// Writes what happens to stream sessions. Needs nothing but the store, so it exists before the live hub.
#[derive(Clone)]
pub struct Sessions {
    realm: Realm,
    store: Arc<dyn Store>,
}

impl Sessions {
    /// A journal over the store.
    pub fn new(realm: Realm, store: Arc<dyn Store>) -> Self {
        Sessions { realm, store }
    }
}
