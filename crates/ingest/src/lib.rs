//! The encoders' side: sockets, TLS and deadlines around the protocol cores.
//!
//! One task for each connection owns its socket, its RTMP session ([`headwater_rtmp::Server`]) and its place in the live stream
//! ([`headwater_live::Publisher`]). Bytes go one way: socket → RTMP → FLV → live; what flows back is small: replies, and being cut.
//! When live is behind, the connection waits, then TCP, then the encoder.
//!
//! | module | what stands there |
//! |---|---|
//! | [`ca`] | a certificate authority of our own for localhost |
//! | [`directory`] | who may publish: the question that ingest asks of the rest |
//! | [`limits`] | every bound on connections and their time |
//! | [`listener`] | [`serve_rtmp`] and [`serve_tls`] |
//! | `connection` | one connection's loop |
//! | `broadcast` | what a session says, carried into live |
//! | `held` | what an encoder sends before it may join |
//! | `lobby` | where connections wait that have not shown a key yet |
//! | [`doors`] | what fuzzing reaches |
//!
//! *Logs*: a span `connection` with protocol and peer around everything. Keys appear as a fingerprint of 32 bits at most.

pub mod ca;
pub mod directory;
pub mod doors;
pub mod limits;
pub mod listener;

mod broadcast;
mod connection;
mod held;
mod lobby;

pub use directory::{Admission, Directory, Refusal, Transport};
pub use limits::Limits;
pub use listener::{TlsConnection, serve_rtmp, serve_tls};
