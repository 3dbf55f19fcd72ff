//! The rules that playlists must keep, checked on the text alone.
