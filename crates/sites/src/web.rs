//! The website face.
