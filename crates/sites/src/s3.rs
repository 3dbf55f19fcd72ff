//! The S3 face.
