//! The viewers' HTTP: playlists, parts, blocking reload.
