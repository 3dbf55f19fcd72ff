//! Puts messages together from chunks.

use super::{ChunkStreamId, EXTENDED, Error, chunk_size};
use crate::limits::{
    BODY_RESERVE_BYTES_MAX, CHUNK_SIZE_INITIAL, CHUNK_STREAMS_MAX, COMMAND_MESSAGE_BYTES_MAX,
    CONTROL_MESSAGE_BYTES_MAX, GUEST_PENDING_BYTES_MAX, MEDIA_MESSAGE_BYTES_MAX, PUBLISHER_PENDING_BYTES_MAX,
};
use crate::message::{Kind, Message, MessageStreamId};
use bytes::{Bytes, BytesMut};

/// Basic header 3, message header 11, extended timestamp 4.
const HEADER_BYTES_MAX: usize = 18;

/// How much a peer may make us keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Nobody has looked at its key yet: short messages only.
    Guest,
    /// It may publish.
    Publisher,
}

/// Puts messages together from chunks.
///
/// Bytes of a body are copied once, from the input to the message. What is kept between inputs is the unfinished
/// messages (their announced lengths are summed and capped, see [`Admission`]) and at most one incomplete header.
#[derive(Debug)]
pub struct Reader {
    chunk_size: u32,
    admission: Admission,
    chunk_streams: Vec<ChunkStream>,
    /// Sum of the announced lengths of unfinished messages, bytes.
    pending: usize,
    /// Bytes of an incomplete header.
    carry: Vec<u8>,
    /// The chunk whose payload is being read: place of its chunk stream, bytes still to come.
    payload: Option<(usize, usize)>,
}

#[derive(Debug)]
struct ChunkStream {
    id: u32,
    /// The timestamp field as sent last, extended or not: absolute after format 0, otherwise the difference.
    field: u32,
    /// Whether it was sent in four bytes behind the header. Then chunks of format 3 repeat it.
    extended: bool,
    timestamp_ms: u32,
    length: usize,
    kind: Kind,
    message_stream: MessageStreamId,
    /// The unfinished message, if there is one.
    body: Option<BytesMut>,
}

#[derive(Debug)]
struct Header {
    id: u32,
    format: u8,
    field: u32,
    extended: bool,
    length: usize,
    kind: Kind,
    message_stream: MessageStreamId,
    bytes: usize,
}

impl Default for Reader {
    fn default() -> Self {
        Reader::new()
    }
}

impl Reader {
    /// A reader at the start of a chunk stream, for a guest.
    pub fn new() -> Self {
        Reader {
            chunk_size: CHUNK_SIZE_INITIAL,
            admission: Admission::Guest,
            chunk_streams: Vec::new(),
            pending: 0,
            carry: Vec::new(),
            payload: None,
        }
    }

    /// Sets how much the peer may make us keep, for messages that begin from now on.
    pub fn admit(&mut self, admission: Admission) {
        self.admission = admission;
    }

    /// The peer's chunk size from now on. To be called as soon as its message was read.
    ///
    /// # Errors
    /// The size is 0 or has the highest bit set.
    pub fn set_chunk_size(&mut self, size: u32) -> Result<(), Error> {
        self.chunk_size = chunk_size(size)?;
        Ok(())
    }

    /// Forgets the unfinished message of a chunk stream.
    pub fn abort(&mut self, id: ChunkStreamId) {
        if let Some(place) = self.chunk_streams.iter().position(|stream| stream.id == id.0)
            && self.chunk_streams[place].body.take().is_some()
        {
            self.pending -= self.chunk_streams[place].length;
        }
    }

    /// Bytes that unfinished messages hold in memory.
    pub fn allocated_bytes(&self) -> usize {
        self.chunk_streams.iter().filter_map(|stream| stream.body.as_ref()).map(BytesMut::capacity).sum()
    }

    /// Takes bytes from the front of `input` until a message is whole (`Some`) or nothing is left (`None`).
    ///
    /// # Errors
    /// The bytes break the protocol or a limit; the reader is of no more use then.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Message>, Error> {
        loop {
            if let Some((place, left)) = self.payload {
                let left = self.take_payload(place, left, input);
                if left > 0 {
                    self.payload = Some((place, left));
                    return Ok(None);
                }
                self.payload = None;
                if let Some(message) = self.finish(place) {
                    return Ok(Some(message));
                }
            }
            let Some(header) = self.take_header(input)? else {
                return Ok(None);
            };
            self.payload = Some(self.begin(&header)?);
        }
    }

    /// Moves payload to the message, from the carried bytes first. Returns how much of the chunk is still to come.
    fn take_payload(&mut self, place: usize, mut left: usize, input: &mut &[u8]) -> usize {
        let Some(body) = self.chunk_streams[place].body.as_mut() else {
            return 0;
        };
        let carried = self.carry.len().min(left);
        if carried > 0 {
            body.extend_from_slice(&self.carry[..carried]);
            self.carry.drain(..carried);
            left -= carried;
        }
        let taken = input.len().min(left);
        body.extend_from_slice(&input[..taken]);
        *input = &input[taken..];
        left - taken
    }

    fn take_header(&mut self, input: &mut &[u8]) -> Result<Option<Header>, Error> {
        if self.carry.is_empty() {
            return Ok(match self.parse_header(input)? {
                Some(header) => {
                    *input = &input[header.bytes..];
                    Some(header)
                }
                None => {
                    self.carry.extend_from_slice(input);
                    *input = &[];
                    None
                }
            });
        }
        let mut joined = [0; HEADER_BYTES_MAX];
        let carried = self.carry.len();
        let borrowed = input.len().min(HEADER_BYTES_MAX - carried);
        joined[..carried].copy_from_slice(&self.carry);
        joined[carried..carried + borrowed].copy_from_slice(&input[..borrowed]);
        let Some(header) = self.parse_header(&joined[..carried + borrowed])? else {
            self.carry.extend_from_slice(&input[..borrowed]);
            *input = &input[borrowed..];
            return Ok(None);
        };
        // A format 3 header may turn out shorter than what was carried: the rest is payload.
        let from_carry = header.bytes.min(carried);
        self.carry.drain(..from_carry);
        *input = &input[header.bytes - from_carry..];
        Ok(Some(header))
    }

    /// Reads one header from the front of at least as many bytes as there are. `None`: it is incomplete.
    fn parse_header(&self, bytes: &[u8]) -> Result<Option<Header>, Error> {
        let Some((&first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        let format = first >> 6;
        let (id, rest) = match (first & 0x3F, rest) {
            (0, [low, rest @ ..]) => (64 + u32::from(*low), rest),
            (1, [low, high, rest @ ..]) => (64 + u32::from(*low) + 256 * u32::from(*high), rest),
            (0 | 1, _) => return Ok(None),
            (id, rest) => (u32::from(id), rest),
        };
        let known = self.chunk_streams.iter().find(|stream| stream.id == id);
        let mut header = match known {
            Some(stream) => Header {
                id,
                format,
                field: stream.field,
                extended: stream.extended,
                length: stream.length,
                kind: stream.kind,
                message_stream: stream.message_stream,
                bytes: 0,
            },
            // librtmp begins chunk stream 2 with format 1 when it answers a ping.
            None if format <= 1 => Header {
                id,
                format,
                field: 0,
                extended: false,
                length: 0,
                kind: Kind::Other(0),
                message_stream: MessageStreamId(0),
                bytes: 0,
            },
            None => return Err(Error::HeaderMissing { id, format }),
        };
        let fixed = [11, 7, 3, 0][usize::from(format)];
        let Some((fields, mut rest)) = rest.split_at_checked(fixed) else {
            return Ok(None);
        };
        if let [t0, t1, t2, fields @ ..] = fields {
            header.field = u32::from_be_bytes([0, *t0, *t1, *t2]);
            header.extended = header.field == EXTENDED;
            if let [l0, l1, l2, kind, fields @ ..] = fields {
                header.length = u32::from_be_bytes([0, *l0, *l1, *l2]) as usize;
                header.kind = Kind::from(*kind);
                if let [s0, s1, s2, s3] = fields {
                    header.message_stream = MessageStreamId(u32::from_le_bytes([*s0, *s1, *s2, *s3]));
                }
            }
        }
        if header.extended {
            let Some((field, after)) = rest.split_first_chunk::<4>() else {
                return Ok(None);
            };
            let field = u32::from_be_bytes(*field);
            // "Extended Timestamp" says that format 3 repeats it. Some senders leave it out, some repeat the absolute time:
            // the value tells, and four bytes of payload look like it once in four billion chunks.
            let repeated = known.is_some_and(|stream| field == stream.field || field == stream.timestamp_ms);
            if format < 3 {
                header.field = field;
                rest = after;
            } else if repeated {
                rest = after;
            }
        }
        header.bytes = bytes.len() - rest.len();
        Ok(Some(header))
    }

    /// Applies a header. Returns the chunk to read: place of its chunk stream, bytes of payload.
    fn begin(&mut self, header: &Header) -> Result<(usize, usize), Error> {
        let place = match self.chunk_streams.iter().position(|stream| stream.id == header.id) {
            Some(place) => place,
            None if self.chunk_streams.len() == CHUNK_STREAMS_MAX => {
                return Err(Error::ChunkStreams);
            }
            None => {
                self.chunk_streams.push(ChunkStream {
                    id: header.id,
                    field: 0,
                    extended: false,
                    timestamp_ms: 0,
                    length: 0,
                    kind: Kind::Other(0),
                    message_stream: MessageStreamId(0),
                    body: None,
                });
                self.chunk_streams.len() - 1
            }
        };
        let stream = &mut self.chunk_streams[place];
        match (&stream.body, header.format) {
            (Some(_), 3) => {}
            (Some(_), _) => return Err(Error::Interrupted { id: header.id }),
            (None, format) => {
                self.pending = admitted(self.admission, header, self.pending)?;
                stream.timestamp_ms = match format {
                    0 => header.field,
                    // Also format 3: it repeats the field, be it absolute or a difference (specification, "Type 3").
                    _ => stream.timestamp_ms.wrapping_add(header.field),
                };
                stream.field = header.field;
                stream.extended = header.extended;
                stream.length = header.length;
                stream.kind = header.kind;
                stream.message_stream = header.message_stream;
                stream.body = Some(BytesMut::with_capacity(header.length.min(BODY_RESERVE_BYTES_MAX)));
            }
        }
        let received = stream.body.as_ref().map_or(0, BytesMut::len);
        Ok((place, (stream.length - received).min(self.chunk_size as usize)))
    }

    /// Takes the message out if it is whole.
    fn finish(&mut self, place: usize) -> Option<Message> {
        let stream = &mut self.chunk_streams[place];
        let body = stream.body.take_if(|body| body.len() == stream.length)?;
        self.pending -= stream.length;
        Some(Message {
            timestamp_ms: stream.timestamp_ms,
            kind: stream.kind,
            message_stream: stream.message_stream,
            body: if body.is_empty() { Bytes::new() } else { body.freeze() },
        })
    }
}

/// The new sum of announced lengths, if this message may be read.
fn admitted(admission: Admission, header: &Header, pending: usize) -> Result<usize, Error> {
    let by_kind = match header.kind {
        Kind::Audio | Kind::Video | Kind::Aggregate => MEDIA_MESSAGE_BYTES_MAX,
        Kind::SetChunkSize
        | Kind::Abort
        | Kind::Acknowledgement
        | Kind::UserControl
        | Kind::WindowAcknowledgementSize
        | Kind::SetPeerBandwidth => CONTROL_MESSAGE_BYTES_MAX,
        Kind::DataAmf3 | Kind::CommandAmf3 | Kind::Data | Kind::Command | Kind::Other(_) => COMMAND_MESSAGE_BYTES_MAX,
    };
    let pending_max = match admission {
        Admission::Guest => GUEST_PENDING_BYTES_MAX,
        Admission::Publisher => PUBLISHER_PENDING_BYTES_MAX,
    };
    let max = by_kind.min(pending_max);
    if header.length > max {
        return Err(Error::MessageTooLong { kind: header.kind.into(), length: header.length, max });
    }
    let bytes = pending + header.length;
    if bytes > pending_max { Err(Error::Pending { bytes, max: pending_max }) } else { Ok(bytes) }
}
