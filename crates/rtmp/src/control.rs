//! Bodies of control messages, written once for both sides. Source: RTMP 1.0, "Protocol Control Messages" and "User Control Messages".

use crate::chunk::{self, ChunkStreamId, Reader, Writer};
use crate::message::{Kind, Message, MessageStreamId};
use bytes::{BufMut as _, Bytes, BytesMut};

/// Event types of user control messages.
mod event {
    pub(super) const STREAM_BEGIN: u16 = 0;
    pub(super) const PING_REQUEST: u16 = 6;
    pub(super) const PING_RESPONSE: u16 = 7;
}

/// "Dynamic": hard if the last limit was.
const LIMIT_DYNAMIC: u8 = 2;

/// A control message, as both sides send it: on the connection's own streams, at time 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// The chunk size of what follows.
    ChunkSize(u32),
    /// Bytes received so far, modulo 2^32.
    Acknowledgement(u32),
    /// After how many bytes an acknowledgement is wanted.
    WindowAcknowledgementSize(u32),
    /// How much may be sent unacknowledged.
    PeerBandwidth(u32),
    /// A message stream can be used.
    StreamBegin(MessageStreamId),
    /// The answer to a ping, with its time.
    PingResponse([u8; 4]),
}

impl Control {
    fn kind(self) -> Kind {
        match self {
            Control::ChunkSize(_) => Kind::SetChunkSize,
            Control::Acknowledgement(_) => Kind::Acknowledgement,
            Control::WindowAcknowledgementSize(_) => Kind::WindowAcknowledgementSize,
            Control::PeerBandwidth(_) => Kind::SetPeerBandwidth,
            Control::StreamBegin(_) | Control::PingResponse(_) => Kind::UserControl,
        }
    }

    fn body(self) -> Bytes {
        let mut body = BytesMut::with_capacity(6);
        match self {
            Control::ChunkSize(value) | Control::Acknowledgement(value) | Control::WindowAcknowledgementSize(value) => {
                body.put_u32(value);
            }
            Control::PeerBandwidth(value) => {
                body.put_u32(value);
                body.put_u8(LIMIT_DYNAMIC);
            }
            Control::StreamBegin(message_stream) => {
                body.put_u16(event::STREAM_BEGIN);
                body.put_u32(message_stream.0);
            }
            Control::PingResponse(time) => {
                body.put_u16(event::PING_RESPONSE);
                body.put_slice(&time);
            }
        }
        body.freeze()
    }

    /// Appends the message to `out`. A new chunk size holds for what follows.
    ///
    /// # Errors
    /// A chunk size out of bounds.
    pub(crate) fn write(self, writer: &mut Writer, out: &mut BytesMut) -> Result<(), chunk::Error> {
        let message =
            Message { timestamp_ms: 0, kind: self.kind(), message_stream: MessageStreamId(0), body: self.body() };
        writer.write(ChunkStreamId::CONTROL, &message, out)?;
        match self {
            Control::ChunkSize(size) => writer.set_chunk_size(size),
            _ => Ok(()),
        }
    }
}

/// What a peer's control message asks of our side, beyond what the reader has taken of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Nothing more.
    Nothing,
    /// To acknowledge after so many bytes; never 0, which would ask for an acknowledgement of nothing, for ever.
    Window(u32),
    /// To answer.
    Answer(Control),
}

/// Takes a control message: chunk size and abort go to the reader. Others than control messages ask nothing.
///
/// # Errors
/// A chunk size out of bounds.
pub(crate) fn take(message: &Message, reader: &mut Reader) -> Result<Asked, chunk::Error> {
    let number = message.body.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
    match (message.kind, number) {
        (Kind::SetChunkSize, Some(size)) => reader.set_chunk_size(size)?,
        (Kind::Abort, Some(id)) => reader.abort(ChunkStreamId(id)),
        (Kind::WindowAcknowledgementSize, Some(size)) if size > 0 => return Ok(Asked::Window(size)),
        (Kind::UserControl, _) => {
            if let Some(time) = message.body.strip_prefix(&event::PING_REQUEST.to_be_bytes()) {
                let time = time.first_chunk().copied().unwrap_or_default();
                return Ok(Asked::Answer(Control::PingResponse(time)));
            }
        }
        _ => {}
    }
    Ok(Asked::Nothing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::Admission;

    #[test]
    fn what_one_side_writes_the_other_reads() {
        let (mut writer, mut out) = (Writer::new(), BytesMut::new());
        let all = [
            Control::WindowAcknowledgementSize(2_500_000),
            Control::PeerBandwidth(2_500_000),
            Control::ChunkSize(4_096),
            Control::Acknowledgement(7),
            Control::StreamBegin(MessageStreamId(1)),
            Control::PingResponse([1, 2, 3, 4]),
        ];
        for control in all {
            control.write(&mut writer, &mut out).expect("within the bounds");
        }
        let mut reader = Reader::new();
        reader.admit(Admission::Publisher);
        let (mut input, mut asked, mut kinds) = (&out[..], Vec::new(), Vec::new());
        while let Some(message) = reader.read(&mut input).expect("it is well formed") {
            kinds.push(message.kind);
            asked.push(take(&message, &mut reader).expect("it is within the bounds"));
        }
        assert_eq!(kinds, all.map(Control::kind));
        assert_eq!(asked[0], Asked::Window(2_500_000));
        assert!(asked[1..].iter().all(|asked| *asked == Asked::Nothing));
    }

    #[test]
    fn a_ping_is_answered_and_nonsense_asks_nothing() {
        let message = |kind, body: &'static [u8]| Message {
            timestamp_ms: 0,
            kind,
            message_stream: MessageStreamId(0),
            body: Bytes::from_static(body),
        };
        let take = |kind, body| take(&message(kind, body), &mut Reader::new());
        assert_eq!(
            take(Kind::UserControl, &[0, 6, 9, 8, 7, 6]),
            Ok(Asked::Answer(Control::PingResponse([9, 8, 7, 6])))
        );
        assert_eq!(take(Kind::UserControl, &[0, 6]), Ok(Asked::Answer(Control::PingResponse([0; 4]))));
        assert_eq!(take(Kind::WindowAcknowledgementSize, &[0; 4]), Ok(Asked::Nothing));
        assert_eq!(take(Kind::SetChunkSize, &[1]), Ok(Asked::Nothing));
        assert!(take(Kind::SetChunkSize, &[0; 4]).is_err());
    }
}
