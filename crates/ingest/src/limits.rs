//! Every bound on connections and their time.

use headwater_rtmp::server::Deadlines;
use std::time::Duration;

/// Publishing and waiting encoders of one listener. More are closed at once, and that is counted.
pub const ENCODERS_MAX: usize = 2_000;

/// HTTP connections of one TLS listener. More are closed at once, and that is counted.
pub const HTTP_CONNECTIONS_MAX: usize = 20_000;

/// Connections of one listener that have not shown a good key yet: when one more comes, the oldest is closed. Each costs about 10 KB.
pub const GUESTS_MAX: usize = 1_000;

/// Bytes read at once from a guest: its commands are short.
pub const GUEST_READ_BYTES: usize = 4 << 10;

/// Bytes read at once from a publisher: most pictures of a 4 Mb/s stream in one read, a keyframe in ten. Each encoder holds a buffer of this size.
pub const PUBLISHER_READ_BYTES: usize = 16 << 10;

/// A refused encoder may have sent more than we want to read; while that is thrown away our last words reach it, where a close
/// would have the system drop them.
pub const FAREWELL_BYTES_MAX: usize = 4 << 20;

/// Configurations and access units that are held of an encoder whose tracks decide whether it may join, until they are known or it seems to have no
/// more of them: about a second. Full: what is known decides.
pub const HELD_INPUTS_MAX: usize = 64;
/// Bytes of those: a keyframe of the largest stream and more.
pub const HELD_BYTES_MAX: usize = 4 << 20;

/// How many unusable media messages a connection may send before it is refused: a damaged encoder, not a damaged frame.
pub const UNUSABLE_MESSAGES_MAX: u32 = 100;

/// What a listener grants.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Publishing and waiting encoders.
    pub encoders_max: usize,
    /// HTTP connections, on a TLS listener.
    pub http_connections_max: usize,
    /// Connections that have not shown a good key yet.
    pub guests_max: usize,
    /// For a TLS handshake and the first byte after it.
    pub tls: Duration,
    /// For what RTMP expects of a peer.
    pub deadlines: Deadlines,
    /// For taking one of our replies.
    pub write: Duration,
    /// For reading our last words before the connection is closed.
    pub farewell: Duration,
    /// For connections to end when the server stops.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Limits {
            encoders_max: ENCODERS_MAX,
            http_connections_max: HTTP_CONNECTIONS_MAX,
            guests_max: GUESTS_MAX,
            tls: seconds(10),
            deadlines: Deadlines::default(),
            write: seconds(5),
            farewell: seconds(1),
            drain: seconds(3),
        }
    }
}
