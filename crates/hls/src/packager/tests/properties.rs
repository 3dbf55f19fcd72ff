//! Whatever an encoder does, the playlist is valid at every revision.
