//! Chunk streams: how messages are cut into chunks and put together again. Source: RTMP 1.0, "Chunking".

mod reader;
mod writer;

pub use reader::{Admission, Reader};
pub use writer::Writer;

use crate::limits::{CHUNK_SIZE_MAX, CHUNK_STREAMS_MAX};

/// A timestamp field with this value says that four bytes with the real one follow the header.
const EXTENDED: u32 = 0xFF_FFFF;

/// Which chunk stream a chunk belongs to: 2 to 65,599.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkStreamId(pub u32);

impl ChunkStreamId {
    /// Protocol control messages.
    pub const CONTROL: ChunkStreamId = ChunkStreamId(2);
    /// Commands of the connection.
    pub const COMMAND: ChunkStreamId = ChunkStreamId(3);
    /// Audio of the one published stream, as a client sends it.
    pub const AUDIO: ChunkStreamId = ChunkStreamId(4);
    /// Commands and data of the one published stream.
    pub const STREAM: ChunkStreamId = ChunkStreamId(5);
    /// Video of the one published stream, as a client sends it.
    pub const VIDEO: ChunkStreamId = ChunkStreamId(6);
}

/// Why bytes are no chunk stream that we read. After an error a reader is of no more use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A chunk leaves out parts of a header that was never sent.
    #[error("a chunk of format {format} begins chunk stream {id}")]
    HeaderMissing {
        /// Chunk stream.
        id: u32,
        /// Header format 0 to 3.
        format: u8,
    },
    /// A new message begins within an unfinished one.
    #[error("a message on chunk stream {id} begins within another one")]
    Interrupted {
        /// Chunk stream.
        id: u32,
    },
    /// [`CHUNK_STREAMS_MAX`] exceeded.
    #[error("more than {CHUNK_STREAMS_MAX} chunk streams")]
    ChunkStreams,
    /// A message's length exceeds what its kind may have.
    #[error("a message of kind {kind} with {length} bytes, at most {max} are read now")]
    MessageTooLong {
        /// Message type id.
        kind: u8,
        /// What its header announces, in bytes.
        length: usize,
        /// What is read, in bytes.
        max: usize,
    },
    /// Unfinished messages announce too much together.
    #[error("unfinished messages announce {bytes} bytes, at most {max} are kept now")]
    Pending {
        /// What they announce, in bytes.
        bytes: usize,
        /// What is kept, in bytes.
        max: usize,
    },
    /// A chunk size outside 1 to 2³¹ − 1.
    #[error("a chunk size of {size}")]
    ChunkSize {
        /// What the peer sent.
        size: u32,
    },
}

/// The chunk size that an announcement means, `Err` if it is out of the specification's bounds.
fn chunk_size(size: u32) -> Result<u32, Error> {
    match size {
        1..=0x7FFF_FFFF => Ok(size.min(CHUNK_SIZE_MAX)),
        size => Err(Error::ChunkSize { size }),
    }
}

#[cfg(test)]
mod tests;
