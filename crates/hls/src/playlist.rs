//! Multivariant and media playlists as text.

use crate::snapshot::{Position, Snapshot};

/// Whether a client asked for a delta update (`_HLS_skip=YES`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delta {
    /// The whole playlist.
    #[default]
    Full,
    /// Without the segments older than the skip boundary.
    Skip,
}

/// The multivariant playlist; `uri` is that of the media playlist, relative or absolute.
pub fn multivariant(_snapshot: &Snapshot, _uri: &str) -> String {
    todo!()
}

/// The media playlist at this snapshot.
pub fn media(_snapshot: &Snapshot, _delta: Delta) -> String {
    todo!()
}

/// The media playlist as it was when `position` was the newest part: the same text for the same position, whenever it is asked
/// for. `None` when the window no longer covers it or the part is not there yet.
pub fn media_at(_snapshot: &Snapshot, _position: Position, _delta: Delta) -> Option<String> {
    todo!()
}
