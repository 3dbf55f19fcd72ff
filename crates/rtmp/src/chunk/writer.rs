//! Cuts messages into chunks.

use super::{ChunkStreamId, EXTENDED, Error, chunk_size};
use crate::limits::{CHUNK_SIZE_INITIAL, CHUNK_SIZE_MAX};
use crate::message::{Kind, Message, MessageStreamId};
use bytes::{BufMut, BytesMut};

/// Cuts messages into chunks, each with the shortest header that the one before allows.
///
/// Remembers a header for each chunk stream that it was told to use: the caller uses a handful.
#[derive(Debug)]
pub struct Writer {
    chunk_size: u32,
    sent: Vec<Sent>,
}

#[derive(Debug)]
struct Sent {
    id: ChunkStreamId,
    timestamp_ms: u32,
    /// The timestamp field as sent last: absolute or a difference.
    field: u32,
    length: usize,
    kind: Kind,
    message_stream: MessageStreamId,
}

impl Default for Writer {
    fn default() -> Self {
        Writer::new()
    }
}

impl Writer {
    /// A writer at the start of a chunk stream.
    pub fn new() -> Self {
        Writer { chunk_size: CHUNK_SIZE_INITIAL, sent: Vec::new() }
    }

    /// The chunk size from now on. The peer must have been told by the message before.
    ///
    /// # Errors
    /// The size is 0 or has the highest bit set.
    pub fn set_chunk_size(&mut self, size: u32) -> Result<(), Error> {
        self.chunk_size = chunk_size(size)?;
        Ok(())
    }

    /// Appends a message's chunks to `out`.
    ///
    /// # Errors
    /// The body does not fit the wire's 24 bits of length.
    pub fn write(&mut self, id: ChunkStreamId, message: &Message, out: &mut BytesMut) -> Result<(), Error> {
        let length = message.body.len();
        if length > CHUNK_SIZE_MAX as usize {
            let max = CHUNK_SIZE_MAX as usize;
            return Err(Error::MessageTooLong { kind: message.kind.into(), length, max });
        }
        let place = self.sent.iter().position(|sent| sent.id == id);
        let (format, field) = match place.map(|place| &self.sent[place]) {
            Some(sent)
                if sent.message_stream == message.message_stream && message.timestamp_ms >= sent.timestamp_ms =>
            {
                let difference = message.timestamp_ms - sent.timestamp_ms;
                let format = match (sent.length == length && sent.kind == message.kind, sent.field == difference) {
                    (true, true) => 3,
                    (true, false) => 2,
                    (false, _) => 1,
                };
                (format, difference)
            }
            _ => (0, message.timestamp_ms),
        };
        put_basic_header(format, id, out);
        let extended = field >= EXTENDED;
        if format < 3 {
            put_u24(field.min(EXTENDED), out);
        }
        if format < 2 {
            put_u24(length as u32, out);
            out.put_u8(message.kind.into());
        }
        if format < 1 {
            out.put_u32_le(message.message_stream.0);
        }
        if extended {
            out.put_u32(field);
        }
        for (index, payload) in message.body.chunks(self.chunk_size as usize).enumerate() {
            if index > 0 {
                put_basic_header(3, id, out);
                if extended {
                    out.put_u32(field);
                }
            }
            out.put_slice(payload);
        }
        let sent = Sent {
            id,
            timestamp_ms: message.timestamp_ms,
            field,
            length,
            kind: message.kind,
            message_stream: message.message_stream,
        };
        match place {
            Some(place) => self.sent[place] = sent,
            None => self.sent.push(sent),
        }
        Ok(())
    }
}

fn put_basic_header(format: u8, id: ChunkStreamId, out: &mut BytesMut) {
    let format = format << 6;
    match id.0 {
        0..=63 => out.put_u8(format | id.0.max(2) as u8),
        64..=319 => {
            out.put_u8(format);
            out.put_u8((id.0 - 64) as u8);
        }
        id => {
            let id = (id - 64).min(0xFFFF) as u16;
            out.put_u8(format | 1);
            out.put_u16_le(id);
        }
    }
}

fn put_u24(value: u32, out: &mut BytesMut) {
    out.put_slice(&value.to_be_bytes()[1..]);
}
