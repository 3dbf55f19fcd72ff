//! RTMP and Enhanced RTMP as a sans-IO core: handshake, chunk stream, AMF0, publish session.
//!
//! No sockets, no clock, no randomness: the shell hands in bytes and the time, and carries out what comes back.
//! [`Server`] is the receiving side of a publish session, [`Client`] the sending side (tests and load tools).
//!
//! | specification | version | what is left out |
//! |---|---|---|
//! | [RTMP](https://rtmp.veriskope.com/docs/spec/) | 1.0 | play, shared objects, RTMPE, RTMPT, the digest handshake (such clients get the simple form, which they all take) |
//! | [Enhanced RTMP](https://veovera.org/docs/enhanced/enhanced-rtmp-v2) | v2 | reconnect requests; media bodies are passed on unread |
//! | [AMF0](https://rtmp.veriskope.com/pdf/amf0-file-format-specification.pdf) | 0 | references, record sets, movie clips |
//! | AMF3 | 3 | everything: messages of kinds 15 and 17 are read as the AMF0 that encoders put into them |
//!
//! | module | what stands there |
//! |---|---|
//! | [`limits`] | every bound on what a peer may make us keep, with its reason |
//! | [`amf0`] | values, decoding, encoding |
//! | [`message`] | messages and their kinds |
//! | [`chunk`] | chunk streams: [`chunk::Reader`] and [`chunk::Writer`] |
//! | `control` | bodies of control messages, for both sides |
//! | [`handshake`] | C0 to S2 |
//! | [`name`] | which stream key a peer asked for |
//! | [`server`] | the publish session as a server sees it |
//! | [`client`] | the publish session as an encoder sees it |

pub mod amf0;
pub mod chunk;
pub mod client;
mod control;
pub mod handshake;
pub mod limits;
pub mod message;
pub mod name;
pub mod server;

pub use client::Client;
pub use message::Message;
pub use name::StreamKey;
pub use server::Server;
