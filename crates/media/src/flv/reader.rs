//! Takes fields from the front of a message body; knows which message is short.

use super::Error;
use crate::track::TrackKind;
use bytes::{Buf, Bytes};

/// Bytes that a unit may keep in memory besides its own, if it is smaller than they are: headers have a dozen.
const PINNED_BYTES_MAX: usize = 64;

pub(super) struct Reader {
    kind: TrackKind,
    bytes: usize,
    rest: Bytes,
}

impl Reader {
    pub(super) fn new(kind: TrackKind, body: Bytes) -> Self {
        Reader { kind, bytes: body.len(), rest: body }
    }

    pub(super) fn u8(&mut self) -> Result<u8, Error> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Error> {
        self.array().map(u16::from_be_bytes)
    }

    /// An unsigned 24-bit integer: sizes.
    pub(super) fn u24(&mut self) -> Result<usize, Error> {
        self.array().map(|[a, b, c]| usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c))
    }

    /// A signed 24-bit integer: composition times.
    pub(super) fn i24(&mut self) -> Result<i32, Error> {
        self.array().map(|[a, b, c]| i32::from_be_bytes([a, b, c, 0]) >> 8)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let Some(head) = self.rest.first_chunk::<N>().copied() else {
            return Err(self.short());
        };
        self.rest.advance(N);
        Ok(head)
    }

    pub(super) fn skip(&mut self, count: usize) -> Result<(), Error> {
        if count > self.rest.len() {
            return Err(self.short());
        }
        self.rest.advance(count);
        Ok(())
    }

    /// A reader of the next `count` bytes.
    pub(super) fn split(&mut self, count: usize) -> Result<Reader, Error> {
        if count > self.rest.len() {
            return Err(self.short());
        }
        Ok(Reader { kind: self.kind, bytes: self.bytes, rest: self.rest.split_to(count) })
    }

    /// A reader of all that is left; this one is at its end then.
    pub(super) fn split_rest(&mut self) -> Reader {
        Reader { kind: self.kind, bytes: self.bytes, rest: std::mem::take(&mut self.rest) }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is left, unless it is larger than an access unit may be. It is a slice of its message, or a copy if it would keep too much else in
    /// memory: another track's share, or modifiers.
    pub(super) fn rest(self) -> Result<Bytes, Error> {
        let length = self.rest.len();
        if length > super::ACCESS_UNIT_BYTES_MAX {
            return Err(Error::Long { kind: self.kind, bytes: self.bytes });
        }
        let pinned = self.bytes - length;
        Ok(if pinned > length.max(PINNED_BYTES_MAX) { Bytes::copy_from_slice(&self.rest) } else { self.rest })
    }

    pub(super) fn kind(&self) -> TrackKind {
        self.kind
    }

    fn short(&self) -> Error {
        Error::Short { kind: self.kind, bytes: self.bytes }
    }
}

/// Passes over ModEx headers (Enhanced RTMP v2, "ModEx"): data of a stated size, then the packet type that they modify.
///
/// Their only type so far adds nanoseconds to the timestamp, below what we keep.
pub(super) fn skip_modifiers(reader: &mut Reader, mut packet_type: u8) -> Result<u8, Error> {
    /// The packet type that announces a modifier.
    const MOD_EX: u8 = 7;
    while packet_type == MOD_EX {
        let mut size = usize::from(reader.u8()?) + 1;
        if size == 256 {
            size = usize::from(reader.u16()?) + 1;
        }
        reader.skip(size)?;
        packet_type = reader.u8()? & 0x0f;
    }
    Ok(packet_type)
}
