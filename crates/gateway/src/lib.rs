//! The AWS face: route, verify, decode, call control, encode.
