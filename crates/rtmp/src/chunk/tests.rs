//! Chunk streams: identity of what was written, limits, and what senders in the field do differently.

use super::*;
use crate::limits::*;
use crate::message::{Kind, Message, MessageStreamId};
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

fn read_all(reader: &mut Reader, mut input: &[u8]) -> Result<Vec<Message>, Error> {
    let mut messages = Vec::new();
    while let Some(message) = reader.read(&mut input)? {
        messages.push(message);
    }
    Ok(messages)
}

fn publisher() -> Reader {
    let mut reader = Reader::new();
    reader.admit(Admission::Publisher);
    reader
}

fn message(timestamp_ms: u32, kind: Kind, body: &[u8]) -> Message {
    Message { timestamp_ms, kind, message_stream: MessageStreamId(1), body: Bytes::copy_from_slice(body) }
}

fn timestamps() -> impl Strategy<Value = u32> {
    prop_oneof![0u32..2000, Just(0xFF_FFFE), Just(0xFF_FFFF), Just(0x0100_0000), Just(u32::MAX), any::<u32>()]
}

fn messages() -> impl Strategy<Value = Vec<(u32, Message)>> {
    let kind = prop_oneof![Just(Kind::Audio), Just(Kind::Video), Just(Kind::Data), Just(Kind::Other(99))];
    let body = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        prop::collection::vec(any::<u8>(), 120..300),
        Just(vec![7; 100]),
    ];
    let id = prop_oneof![Just(2u32), Just(3), 4u32..8, Just(63), Just(64), Just(319), Just(320), Just(65_599)];
    let one = (id, timestamps(), kind, 0u32..3, body).prop_map(|(id, timestamp_ms, kind, stream, body)| {
        (id, Message { timestamp_ms, kind, message_stream: MessageStreamId(stream), body: body.into() })
    });
    // Steady runs bring the writer to formats 2 and 3.
    let run = (4u32..6, 0u32..100, 1u32..50, 1usize..6).prop_map(|(id, start, step, count)| {
        (0..count as u32).map(|i| (id, message(start + i * step, Kind::Audio, &[i as u8; 90]))).collect::<Vec<_>>()
    });
    prop::collection::vec(prop_oneof![one.prop_map(|one| vec![one]), run], 0..12).prop_map(|runs| runs.concat())
}

proptest! {
    #[test]
    fn reading_what_was_written_is_identity_however_it_is_split(
        sent in messages(),
        chunk_size in prop_oneof![Just(1u32), Just(128), Just(4096), 1u32..300],
        splits in prop::collection::vec(1usize..40, 1..20),
    ) {
        let mut writer = Writer::new();
        writer.set_chunk_size(chunk_size).expect("in bounds");
        let mut wire = BytesMut::new();
        for (id, message) in &sent {
            writer.write(ChunkStreamId(*id), message, &mut wire).expect("short");
        }
        let mut reader = publisher();
        reader.set_chunk_size(chunk_size).expect("in bounds");
        let mut received = Vec::new();
        let mut rest = &wire[..];
        for split in splits.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*split).min(rest.len()));
            received.extend(read_all(&mut reader, piece).expect("written by us"));
            rest = after;
        }
        let sent: Vec<_> = sent.into_iter().map(|(_, message)| message).collect();
        prop_assert_eq!(received, sent);
        prop_assert_eq!(reader.allocated_bytes(), 0);
    }

    #[test]
    fn no_bytes_panic_or_hold_more_than_the_cap(bytes in prop::collection::vec(any::<u8>(), 0..4096), split in 1usize..64) {
        for (admission, max) in [(Admission::Guest, GUEST_PENDING_BYTES_MAX), (Admission::Publisher, PUBLISHER_PENDING_BYTES_MAX)] {
            let mut reader = Reader::new();
            reader.admit(admission);
            for piece in bytes.chunks(split) {
                let ended = read_all(&mut reader, piece).is_err();
                prop_assert!(reader.allocated_bytes() <= max);
                if ended {
                    break;
                }
            }
        }
    }
}

/// A chunk of format 0 on chunk stream 4 with a whole header.
fn header(timestamp: [u8; 3], length: u32, kind: Kind) -> Vec<u8> {
    let mut bytes = vec![0x04];
    bytes.extend_from_slice(&timestamp);
    bytes.extend_from_slice(&length.to_be_bytes()[1..]);
    bytes.push(kind.into());
    bytes.extend_from_slice(&[1, 0, 0, 0]);
    bytes
}

#[test]
fn a_message_of_format_3_repeats_the_difference_and_after_format_0_the_time() {
    let mut wire = header([0, 0, 23], 1, Kind::Audio);
    wire.push(b'a');
    wire.extend_from_slice(&[0xC4, b'b']);
    wire.extend_from_slice(&[0x84, 0, 0, 20, b'c']);
    wire.extend_from_slice(&[0xC4, b'd']);
    let messages = read_all(&mut publisher(), &wire).expect("good");
    let times: Vec<_> = messages.iter().map(|m| m.timestamp_ms).collect();
    assert_eq!(times, [23, 46, 66, 86]);
}

#[test]
fn an_extended_timestamp_is_read_with_and_without_its_repetition() {
    let body: Vec<u8> = (0..200).map(|i| i as u8).collect();
    for repetition in [&[1u8, 0, 0, 5][..], &[]] {
        let mut wire = header([0xFF; 3], 200, Kind::Video);
        wire.extend_from_slice(&[1, 0, 0, 5]);
        wire.extend_from_slice(&body[..128]);
        wire.push(0xC4);
        wire.extend_from_slice(repetition);
        wire.extend_from_slice(&body[128..]);
        for split in 1..wire.len() {
            let mut reader = publisher();
            let mut messages = read_all(&mut reader, &wire[..split]).expect("good");
            messages.extend(read_all(&mut reader, &wire[split..]).expect("good"));
            assert_eq!(messages, [message(0x0100_0005, Kind::Video, &body)], "cut at {split}");
        }
    }
}

#[test]
fn interleaved_messages_come_out_as_they_end() {
    let mut wire = header([0, 0, 1], 130, Kind::Video);
    wire.extend_from_slice(&[1; 128]);
    let mut audio = header([0, 0, 2], 1, Kind::Audio);
    audio[0] = 0x05;
    wire.extend_from_slice(&audio);
    wire.push(9);
    wire.extend_from_slice(&[0xC4, 1, 1]);
    let messages = read_all(&mut publisher(), &wire).expect("good");
    assert_eq!(messages, [message(2, Kind::Audio, &[9]), message(1, Kind::Video, &[1; 130])]);
}

#[test]
fn an_aborted_message_frees_its_place() {
    let mut reader = publisher();
    let mut wire = header([0, 0, 1], 300, Kind::Video);
    wire.extend_from_slice(&[1; 128]);
    assert_eq!(read_all(&mut reader, &wire), Ok(vec![]));
    assert!(reader.allocated_bytes() > 0);
    reader.abort(ChunkStreamId(4));
    reader.abort(ChunkStreamId(99));
    assert_eq!(reader.allocated_bytes(), 0);
    let mut wire = header([0, 0, 2], 1, Kind::Audio);
    wire.push(5);
    assert_eq!(read_all(&mut reader, &wire), Ok(vec![message(2, Kind::Audio, &[5])]));
}

#[test]
fn a_guest_may_not_announce_media_and_nobody_16_mb() {
    let wire = header([0; 3], 100_000, Kind::Video);
    let refused = read_all(&mut Reader::new(), &wire);
    assert_eq!(refused, Err(Error::MessageTooLong { kind: 9, length: 100_000, max: GUEST_PENDING_BYTES_MAX }));
    assert_eq!(read_all(&mut publisher(), &wire), Ok(vec![]));
    let wire = header([0; 3], 0xFF_FFFF, Kind::Video);
    let refused = read_all(&mut publisher(), &wire);
    assert_eq!(refused, Err(Error::MessageTooLong { kind: 9, length: 0xFF_FFFF, max: MEDIA_MESSAGE_BYTES_MAX }));
}

#[test]
fn many_unfinished_messages_are_counted_together() {
    let mut wire = Vec::new();
    for id in 4..30u8 {
        let mut one = header([0; 3], 4096, Kind::Audio);
        one[0] = id;
        wire.extend_from_slice(&one);
        wire.extend_from_slice(&[0; 128]);
    }
    let mut reader = Reader::new();
    let refused = read_all(&mut reader, &wire);
    assert_eq!(refused, Err(Error::Pending { bytes: 17 * 4096, max: GUEST_PENDING_BYTES_MAX }));
}

#[test]
fn a_large_announcement_takes_memory_only_as_bytes_arrive() {
    let mut reader = publisher();
    assert_eq!(read_all(&mut reader, &header([0; 3], 8 << 20, Kind::Video)), Ok(vec![]));
    assert!(reader.allocated_bytes() <= BODY_RESERVE_BYTES_MAX);
}

#[test]
fn chunk_streams_are_counted() {
    let mut wire = Vec::new();
    for id in 0..=CHUNK_STREAMS_MAX as u8 {
        wire.extend_from_slice(&[0x00, id, 0, 0, 0, 0, 0, 0, 8, 1, 0, 0, 0]);
    }
    assert_eq!(read_all(&mut publisher(), &wire), Err(Error::ChunkStreams));
}

#[test]
fn a_header_cannot_refer_to_one_that_was_never_sent() {
    assert_eq!(read_all(&mut publisher(), &[0xC7]), Err(Error::HeaderMissing { id: 7, format: 3 }));
    assert_eq!(read_all(&mut publisher(), &[0x87]), Err(Error::HeaderMissing { id: 7, format: 2 }));
    // librtmp answers a ping on a fresh chunk stream with format 1.
    let ping = [0x42, 0, 0, 0, 0, 0, 1, 4, 9];
    let messages = read_all(&mut publisher(), &ping).expect("tolerated");
    assert_eq!((messages[0].kind, &messages[0].body[..]), (Kind::UserControl, &[9][..]));
}

#[test]
fn chunk_sizes_out_of_bounds_are_refused_and_huge_ones_mean_one_chunk() {
    let mut reader = publisher();
    assert_eq!(reader.set_chunk_size(0), Err(Error::ChunkSize { size: 0 }));
    assert_eq!(reader.set_chunk_size(1 << 31), Err(Error::ChunkSize { size: 1 << 31 }));
    assert_eq!(reader.set_chunk_size(0x7FFF_FFFF), Ok(()));
}
