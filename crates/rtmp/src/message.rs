//! Messages and their kinds. Source: RTMP 1.0, "RTMP Message Formats" and "RTMP Command Messages".

use crate::limits::AGGREGATED_MAX;
use bytes::Bytes;

/// Which stream within the connection a message belongs to: 0 for the connection itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageStreamId(pub u32);

/// What a message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The sender's chunk size from now on.
    SetChunkSize,
    /// Forget the unfinished message of a chunk stream.
    Abort,
    /// How many bytes the sender has received.
    Acknowledgement,
    /// Pings and the state of streams.
    UserControl,
    /// After how many bytes the sender wants an acknowledgement.
    WindowAcknowledgementSize,
    /// How much the receiver may send unacknowledged.
    SetPeerBandwidth,
    /// An FLV audio tag's body.
    Audio,
    /// An FLV video tag's body.
    Video,
    /// AMF0 data, with a leading byte.
    DataAmf3,
    /// AMF0 command, with a leading byte.
    CommandAmf3,
    /// Named AMF0 data, such as `onMetaData`.
    Data,
    /// A call, its answer, or a status.
    Command,
    /// Several audio, video and data messages in one.
    Aggregate,
    /// Anything else; ignored.
    Other(u8),
}

impl From<u8> for Kind {
    fn from(id: u8) -> Self {
        match id {
            1 => Kind::SetChunkSize,
            2 => Kind::Abort,
            3 => Kind::Acknowledgement,
            4 => Kind::UserControl,
            5 => Kind::WindowAcknowledgementSize,
            6 => Kind::SetPeerBandwidth,
            8 => Kind::Audio,
            9 => Kind::Video,
            15 => Kind::DataAmf3,
            17 => Kind::CommandAmf3,
            18 => Kind::Data,
            20 => Kind::Command,
            22 => Kind::Aggregate,
            id => Kind::Other(id),
        }
    }
}

impl From<Kind> for u8 {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::SetChunkSize => 1,
            Kind::Abort => 2,
            Kind::Acknowledgement => 3,
            Kind::UserControl => 4,
            Kind::WindowAcknowledgementSize => 5,
            Kind::SetPeerBandwidth => 6,
            Kind::Audio => 8,
            Kind::Video => 9,
            Kind::DataAmf3 => 15,
            Kind::CommandAmf3 => 17,
            Kind::Data => 18,
            Kind::Command => 20,
            Kind::Aggregate => 22,
            Kind::Other(id) => id,
        }
    }
}

/// One whole message, as chunks carried it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Milliseconds of the sender's clock, modulo 2³².
    pub timestamp_ms: u32,
    /// What the body is.
    pub kind: Kind,
    /// Which stream of the connection it belongs to.
    pub message_stream: MessageStreamId,
    /// The body. It owns its allocation alone: keeping a slice of it pins no other message.
    pub body: Bytes,
}

/// The messages within an aggregate: FLV tags, each followed by its length. Stops quietly where they are malformed and after
/// [`AGGREGATED_MAX`], and moves their time so that the first has the aggregate's. Each has a copy of its body: one that is kept pins no
/// other. Source: RTMP 1.0, "Aggregate Message".
pub(crate) fn aggregated(aggregate: &Message) -> impl Iterator<Item = Message> + '_ {
    const TAG_HEADER: usize = 11;
    const PREVIOUS_LENGTH: usize = 4;
    let mut rest = &aggregate.body[..];
    let (base_ms, message_stream) = (aggregate.timestamp_ms, aggregate.message_stream);
    let mut first_ms = None;
    std::iter::from_fn(move || {
        let header = rest.first_chunk::<TAG_HEADER>()?;
        let length = u32::from_be_bytes([0, header[1], header[2], header[3]]) as usize;
        let tag_ms = u32::from_be_bytes([header[7], header[4], header[5], header[6]]);
        let kind = Kind::from(header[0]);
        if rest.len() < TAG_HEADER + length {
            return None;
        }
        let body = Bytes::copy_from_slice(&rest[TAG_HEADER..TAG_HEADER + length]);
        rest = &rest[(TAG_HEADER + length + PREVIOUS_LENGTH).min(rest.len())..];
        let offset_ms = tag_ms.wrapping_sub(*first_ms.get_or_insert(tag_ms));
        Some(Message { timestamp_ms: base_ms.wrapping_add(offset_ms), kind, message_stream, body })
    })
    .take(AGGREGATED_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_keep_their_numbers() {
        for id in 0..=u8::MAX {
            assert_eq!(u8::from(Kind::from(id)), id);
        }
    }

    #[test]
    fn an_aggregate_is_taken_apart_and_moved_to_its_own_time() {
        let mut body = Vec::new();
        for (kind, ms, payload) in [(9u8, 500u32, &b"video"[..]), (8, 520, b"a")] {
            body.push(kind);
            body.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
            body.extend_from_slice(&ms.to_be_bytes()[1..]);
            body.extend_from_slice(&[0, 0, 0, 0]);
            body.extend_from_slice(payload);
            body.extend_from_slice(&(payload.len() as u32 + 11).to_be_bytes());
        }
        body.extend_from_slice(b"a cut tag");
        let aggregate = Message {
            timestamp_ms: 7000,
            kind: Kind::Aggregate,
            message_stream: MessageStreamId(1),
            body: body.into(),
        };
        let parts: Vec<_> = aggregated(&aggregate).map(|m| (m.timestamp_ms, m.kind, m.body)).collect();
        assert_eq!(
            parts,
            [(7000, Kind::Video, Bytes::from_static(b"video")), (7020, Kind::Audio, Bytes::from_static(b"a"))]
        );
    }

    #[test]
    fn an_aggregate_has_so_many_messages_and_they_pin_nothing() {
        let tag = [9, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 12];
        let body = Bytes::from(tag.repeat(AGGREGATED_MAX + 1));
        let (timestamp_ms, message_stream) = (0, MessageStreamId(1));
        let aggregate = Message { timestamp_ms, kind: Kind::Aggregate, message_stream, body: body.clone() };
        assert_eq!(aggregated(&aggregate).count(), AGGREGATED_MAX);
        let first = aggregated(&aggregate).next().unwrap();
        assert_ne!(first.body.as_ptr(), body[11..].as_ptr());
    }
}
