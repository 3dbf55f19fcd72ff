//! Who may publish: the question that ingest asks of the rest.

use async_trait::async_trait;
use headwater_model::ivs::{Channel, Shown};
use std::net::SocketAddr;

/// How a key came to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// In the clear.
    Plain,
    /// Within TLS.
    Tls,
}

/// What a key opens, and what it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Admission {
    /// The channel.
    pub channel: Channel,
    /// The stream key, or one that came with a configuration.
    pub shown: Shown,
}

impl Admission {
    /// By the channel's stream key.
    pub fn by_stream_key(channel: Channel) -> Self {
        Admission { channel, shown: Shown::StreamKey }
    }
}

/// Finds the channel that a stream key opens.
#[async_trait]
pub trait Directory: Send + Sync {
    /// The channel that `key` opens for this peer. Compares in constant time and never logs the key.
    async fn resolve(&self, key: &str, transport: Transport, peer: SocketAddr) -> Result<Admission, Refusal>;
}

/// Why a key opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No channel has this key.
    #[error("the stream key opens no channel")]
    UnknownKey,
    /// The channel takes RTMPS only.
    #[error("the channel takes no stream without TLS from other machines: use rtmps, or allow insecure ingest")]
    TlsRequired,
    /// The directory cannot be asked now; it logged why.
    #[error("stream keys cannot be checked at the moment")]
    Unavailable,
}
