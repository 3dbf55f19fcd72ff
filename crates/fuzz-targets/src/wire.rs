//! RTMP sessions and AMF0.

use bytes::BytesMut;
use headwater_rtmp::Server;
use headwater_rtmp::handshake::PACKET_BYTES;
use headwater_rtmp::limits::{AGGREGATED_MAX, PUBLISHER_PENDING_BYTES_MAX, TRANSMIT_BYTES_MAX};
use headwater_rtmp::server::{Capabilities, Deadlines, Event, Refusal, Status};
use std::time::{Duration, Instant};

/// Replies to one more message than fills [`TRANSMIT_BYTES_MAX`], and a handshake.
const REPLIES_OVER: usize = 4_096 + 3_073;
/// What vectors reserve beyond what they hold.
const RESERVED_OVER: usize = 2;

/// A publish session, from its first byte on: it neither panics nor holds more than its limits. The last byte says how long the pieces are and what
/// is answered to a publish.
pub fn rtmp_server(input: &[u8]) {
    session(&[], input);
}

/// The same after a handshake, so that all of an input is messages.
pub fn rtmp_session(input: &[u8]) {
    let mut handshake = vec![0; 1 + 2 * PACKET_BYTES];
    handshake[0] = 3;
    session(&handshake, input);
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
    use headwater_rtmp::amf0;
    let Ok(values) = amf0::decode_all(input) else { return };
    let mut written = BytesMut::new();
    amf0::encode_all(&values, &mut written);
    let again = amf0::decode_all(&written).expect("what we write can be read");
    // Not a number is not equal to itself.
    assert_eq!(format!("{values:?}"), format!("{again:?}"));
}
