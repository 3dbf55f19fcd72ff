//! A publish session, from its first byte on: it neither panics nor holds more than its limits.
#![no_main]

use headwater_rtmp::Server;
use headwater_rtmp::server::{Capabilities, Deadlines, Event, Refusal, Status};
use libfuzzer_sys::fuzz_target;
use std::time::{Duration, Instant};

fuzz_target!(|input: &[u8]| {
    let Some((&how, bytes)) = input.split_last() else { return };
    let mut now = Instant::now();
    let mut session = Server::new(now, 7, Deadlines::default(), Capabilities::default());
    for piece in bytes.chunks(usize::from(how).max(1)) {
        now += Duration::from_millis(u64::from(how) / 16);
        let failed = session.handle_input(now, piece).is_err();
        while let Some(event) = session.poll_event() {
            if let Event::PublishRequested(_) = event {
                match how % 8 {
                    0 => session.refuse(&Refusal::new(Status::BadName, "no")),
                    _ => session.accept(now),
                }
            }
        }
        let mut sent = 0;
        while let Some(bytes) = session.poll_transmit() {
            sent += bytes.len();
        }
        assert!(sent <= headwater_rtmp::limits::TRANSMIT_BYTES_MAX + 4_096 + 3_073);
        if failed || session.is_closed() || session.poll_timeout().is_some_and(|at| at <= now && session.handle_timeout(now).is_err()) {
            break;
        }
    }
});
