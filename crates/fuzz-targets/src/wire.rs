//! RTMP sessions and AMF0.

use bytes::BytesMut;
use headwater_rtmp::Server;
use headwater_rtmp::amf0::{self, Object, Value};
use headwater_rtmp::handshake::PACKET_BYTES;
use headwater_rtmp::limits::{AGGREGATED_MAX, PUBLISHER_PENDING_BYTES_MAX, TRANSMIT_BYTES_MAX};
use headwater_rtmp::server::{Capabilities, Deadlines, Event, Refusal, Status};
use std::time::{Duration, Instant};

/// Replies to one more message than fills [`TRANSMIT_BYTES_MAX`], and a handshake.
const REPLIES_OVER: usize = 4_096 + 3_073;
/// What vectors reserve beyond what they hold.
const RESERVED_OVER: usize = 2;

/// A message, in chunks of 128 bytes: so long are they until another size is told.
pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("inputs are small").to_be_bytes();
    let mut out = vec![3, 0, 0, 0, length[1], length[2], length[3], kind, 1, 0, 0, 0];
    for (number, chunk) in body.chunks(128).enumerate() {
        out.extend(if number == 0 { &[][..] } else { &[0xc3] });
        out.extend(chunk);
    }
    out
}

/// A command.
pub(crate) fn command(values: &[Value]) -> Vec<u8> {
    let mut body = BytesMut::new();
    amf0::encode_all(values, &mut body);
    message(20, &body)
}

/// What a publisher sends up to the answer to its publish.
#[cfg(feature = "services")]
pub(crate) fn publish() -> Vec<u8> {
    let mut bytes = handshake();
    let properties = Object::new().with("app", "app");
    bytes.extend(command(&[Value::from("connect"), Value::Number(1.0), Value::Object(properties)]));
    bytes.extend(command(&[Value::from("createStream"), Value::Number(2.0), Value::Null]));
    let [key, kind] = ["sk_key", "live"].map(Value::from);
    bytes.extend(command(&[Value::from("publish"), Value::Number(3.0), Value::Null, key, kind]));
    bytes
}

fn handshake() -> Vec<u8> {
    let mut bytes = vec![0; 1 + 2 * PACKET_BYTES];
    bytes[0] = 3;
    bytes
}

/// A publish session, from its first byte on: it neither panics nor holds more than its limits. The last byte says how long the pieces are and what
/// is answered to a publish.
pub fn rtmp_server(input: &[u8]) {
    session(&[], input);
}

/// The same after a handshake, so that all of an input is messages.
pub fn rtmp_session(input: &[u8]) {
    session(&handshake(), input);
}

fn session(before: &[u8], input: &[u8]) {
    let Some((&how, bytes)) = input.split_last() else { return };
    let mut now = Instant::now();
    let mut session = Server::new(now, 7, Deadlines::default(), Capabilities::default());
    if !before.is_empty() {
        session.handle_input(now, before).expect("a handshake");
        while session.poll_transmit().is_some() {}
    }
    // Some peers are so slow that they are late.
    let step = if how % 16 == 7 { Duration::from_secs(3) } else { Duration::from_millis(u64::from(how) / 16) };
    for piece in bytes.chunks(usize::from(how).max(1)) {
        now += step;
        let failed = session.handle_input(now, piece).is_err();
        let mut bodies = 0;
        while let Some(event) = session.poll_event() {
            match event {
                Event::PublishRequested(request) => {
                    assert!(!format!("{request:?}").contains(request.key.expose()) || request.key.expose().len() < 12);
                    match how % 8 {
                        0 => session.refuse(&Refusal::new(Status::BadName, "no")),
                        _ => session.accept(now),
                    }
                }
                Event::Audio { .. } | Event::Video { .. } => bodies += 1,
                _ => {}
            }
        }
        assert!(bodies <= piece.len().max(AGGREGATED_MAX), "{bodies} bodies of {} bytes", piece.len());
        let mut sent = 0;
        while let Some(bytes) = session.poll_transmit() {
            sent += bytes.len();
        }
        assert!(sent <= TRANSMIT_BYTES_MAX + REPLIES_OVER, "{sent} bytes of replies");
        let held = session.allocated_bytes();
        assert!(held <= RESERVED_OVER * (PUBLISHER_PENDING_BYTES_MAX + TRANSMIT_BYTES_MAX), "{held} bytes are held");
        let late = session.poll_timeout().is_some_and(|at| at <= now) && session.handle_timeout(now).is_err();
        if failed || late || session.is_closed() {
            break;
        }
    }
}

/// AMF0: what was read and is written again reads the same.
pub fn amf0(input: &[u8]) {
    let Ok(values) = amf0::decode_all(input) else { return };
    let mut written = BytesMut::new();
    amf0::encode_all(&values, &mut written);
    let again = amf0::decode_all(&written).expect("what we write can be read");
    // Not a number is not equal to itself.
    assert_eq!(format!("{values:?}"), format!("{again:?}"));
}
