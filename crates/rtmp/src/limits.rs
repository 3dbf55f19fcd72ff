//! Every bound on what a peer may make us keep, with its reason.

/// Longest audio or video message. A keyframe at 50 Mb/s and 60 frames a second is near 1 MB; intra-only 4K stays
/// below 4 MB. The wire's own limit is 16 MB, which no encoder for live streams needs.
pub const MEDIA_MESSAGE_BYTES_MAX: usize = 8 << 20;

/// Longest command or data message. `connect` with all its properties is below 1 KB, `onMetaData` with extras below 8 KB.
pub const COMMAND_MESSAGE_BYTES_MAX: usize = 64 << 10;

/// Longest protocol control message (the specification's are of 4 to 10 bytes).
pub const CONTROL_MESSAGE_BYTES_MAX: usize = 64;

/// Most bytes that unfinished messages may announce together while nobody has accepted the publish: one command.
pub const GUEST_PENDING_BYTES_MAX: usize = COMMAND_MESSAGE_BYTES_MAX;

/// Most bytes that unfinished messages may announce together while publishing: one of the longest and change.
pub const PUBLISHER_PENDING_BYTES_MAX: usize = MEDIA_MESSAGE_BYTES_MAX + (1 << 20);

/// Chunk streams of one connection. Encoders use four to six; the wire allows 65,597.
pub const CHUNK_STREAMS_MAX: usize = 32;

/// Largest chunk size a message can make use of: lengths have 24 bits. A larger announcement means the same.
pub const CHUNK_SIZE_MAX: u32 = 0xFF_FFFF;

/// Chunk size of both directions until one side changes it (specification, "Set Chunk Size").
pub const CHUNK_SIZE_INITIAL: u32 = 128;

/// Chunk size of what we send: any of our replies fits one chunk.
pub const CHUNK_SIZE_SENT: u32 = 4096;

/// Messages that are taken from an aggregate; servers put in those of a second or less. What comes after them is passed over.
pub const AGGREGATED_MAX: usize = 1024;

/// Largest body for which memory is taken when its first byte arrives. A longer one grows as its bytes come, so a
/// header alone pins little.
pub const BODY_RESERVE_BYTES_MAX: usize = 256 << 10;

/// Window that both sides are told at connect, in bytes: what Adobe's server uses.
pub const ACKNOWLEDGEMENT_WINDOW_BYTES: u32 = 2_500_000;

/// Replies that may wait to be sent. Reached only by a peer that asks and does not read: the session fails.
pub const TRANSMIT_BYTES_MAX: usize = 64 << 10;

/// Message streams that a connection may create. Encoders create one.
pub const MESSAGE_STREAMS_MAX: u32 = 8;

/// How deep AMF values may nest. Metadata nests two deep.
pub const AMF_DEPTH_MAX: usize = 16;

/// Values in one AMF message, those within values counted too.
pub const AMF_VALUES_MAX: usize = 1024;

/// Bytes of one AMF string or key.
pub const AMF_STRING_BYTES_MAX: usize = 16 << 10;

/// Bytes of a publish name with its query. Stream keys have 40 to 60 characters.
pub const PUBLISH_NAME_BYTES_MAX: usize = 1024;

/// Parameters of a publish name's query.
pub const QUERY_PARAMETERS_MAX: usize = 16;

/// Characters kept of what the encoder calls itself.
pub const ENCODER_NAME_CHARS_MAX: usize = 128;

/// FourCCs read from a `connect`.
pub const FOUR_CCS_MAX: usize = 32;
