//! Low-Latency HLS packager as a sans-IO core: parts, segments, window, playlist text.
//!
//! Tracks, access units, cues and the time go into a [`Packager`]; immutable [`Snapshot`]s come out, one for each change that a viewer
//! can see; [`playlist`] turns a snapshot into text. No I/O, no clock, no locks.
//!
//! | module | what stands there |
//! |---|---|
//! | [`snapshot`] | what viewers read: window of segments and parts, init segments, cues |
//! | [`packager`] | cuts access units into parts and segments |
//! | [`follow`] | further renditions, cut where the first is |
//! | [`playlist`] | multivariant and media playlists as text |
//! | [`lint`] | the rules that playlists must keep, checked on the text alone |
//!
//! Source: rfc8216bis ("HTTP Live Streaming 2nd Edition"), cited by section title since drafts renumber. Left out: byte ranges,
//! encryption, I-frame playlists, DATERANGE skipping.

mod fill;
pub mod follow;
pub mod lint;
pub mod packager;
pub mod playlist;
pub mod snapshot;

pub use follow::{Cut, Follower};
pub use packager::{Error, Latency, Options, Packager, Splice};
pub use playlist::Delta;
pub use snapshot::{Part, Position, Reach, Segment, Snapshot};
