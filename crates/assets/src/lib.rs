//! The web assets, built by npm and embedded in the binary.
