//! A site with one channel, for tests that need a whole server.

use async_trait::async_trait;
use headwater_edge::Channels;
use headwater_ingest::{Admission, Directory, Refusal, Transport};
use headwater_live::{Journal, JournalError, SessionEvent};
use headwater_model::ivs::Channel;
use std::net::SocketAddr;

/// Somebody who knows one channel and lets everybody publish on it.
pub struct Site(pub Channel);

#[async_trait]
impl Directory for Site {
    async fn resolve(&self, _: &str, _: Transport, _: SocketAddr) -> Result<Admission, Refusal> {
        Ok(Admission::by_stream_key(self.0.clone()))
    }
}

#[async_trait]
impl Channels for Site {
    async fn channel(&self, id: &str) -> Option<Channel> {
        (id == self.0.id).then(|| self.0.clone())
    }
}

#[async_trait]
impl Journal for Site {
    async fn record(&self, _: SessionEvent) -> Result<(), JournalError> {
        Ok(())
    }
}
