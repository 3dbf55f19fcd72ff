//! Channels, stream keys, streams and timed metadata.

/// How often `PutMetadata` was called for each channel in the last second.
#[derive(Default)]
pub struct MetadataRate {}
