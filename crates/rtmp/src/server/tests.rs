//! The publish session: both sides against each other, hostile peers, deadlines in virtual time, real captures.

use super::*;
use crate::amf0::{Object, Value};
use crate::client::{self, Client};
use crate::limits::*;
use proptest::prelude::*;

struct Pair {
    now: Instant,
    server: Server,
    client: Client,
    server_events: Vec<Event>,
    client_events: Vec<client::Event>,
    answer: Result<(), Refusal>,
}

fn server(now: Instant) -> Server {
    Server::new(now, 5, Deadlines::default(), Capabilities::default())
}

#[expect(clippy::disallowed_methods, reason = "the origin of this test's virtual time")]
fn start() -> Instant {
    Instant::now()
}

impl Pair {
    fn new(options: client::Options) -> Self {
        let now = start();
        Pair {
            now,
            server: server(now),
            client: Client::new(3, options).expect("chunk size in bounds"),
            server_events: Vec::new(),
            client_events: Vec::new(),
            answer: Ok(()),
        }
    }

    /// Until neither side has anything to say.
    fn drive(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(bytes) = self.client.poll_transmit() {
                quiet = false;
                self.server.handle_input(self.now, &bytes).expect("our client keeps to the protocol");
            }
            while let Some(event) = self.server.poll_event() {
                if let Event::PublishRequested(_) = event {
                    match &self.answer {
                        Ok(()) => self.server.accept(self.now),
                        Err(refusal) => self.server.refuse(refusal),
                    }
                }
                self.server_events.push(event);
            }
            while let Some(bytes) = self.server.poll_transmit() {
                quiet = false;
                self.client.handle_input(&bytes).expect("our server keeps to the protocol");
            }
            while let Some(event) = self.client.poll_event() {
                self.client_events.push(event);
            }
            if quiet {
                return;
            }
        }
    }
}

#[test]
fn a_publish_goes_from_hello_to_its_clean_end() {
    let mut pair = Pair::new(client::Options::new("KEY?priority=2"));
    pair.drive();
    assert_eq!(pair.client_events.last(), Some(&client::Event::Publishing));
    let metadata = Object::new().with("width", 1280.0).with("encoder", "test");
    pair.client.send_metadata(metadata.clone()).expect("short");
    pair.client.send_video(0, Bytes::from(vec![1; 10_000])).expect("short");
    pair.client.send_audio(21, Bytes::from_static(b"sound")).expect("short");
    pair.drive();
    pair.client.finish().expect("short");
    pair.drive();
    let [Event::Connected(connect), Event::PublishRequested(request), rest @ ..] = &pair.server_events[..] else {
        panic!("{:?}", pair.server_events)
    };
    assert!(connect.encoder.starts_with("FMLE/3.0"));
    assert_eq!((request.app.as_str(), request.key.expose()), ("app", "KEY"));
    assert_eq!(request.parameter("priority"), Some("2"));
    assert_eq!(
        rest,
        [
            Event::Metadata(metadata),
            Event::Video { timestamp_ms: 0, body: Bytes::from(vec![1; 10_000]) },
            Event::Audio { timestamp_ms: 21, body: Bytes::from_static(b"sound") },
            Event::PublishEnded,
        ]
    );
    assert_eq!(pair.client_events.last(), Some(&client::Event::Unpublished));
    assert!(!pair.server.is_closed());
}

#[test]
fn a_wrong_key_is_refused_in_words_and_the_session_closes() {
    let mut pair = Pair::new(client::Options::new("WRONG"));
    pair.answer = Err(Refusal::new(Status::BadName, "this stream key opens no channel"));
    pair.drive();
    assert_eq!(
        pair.client_events.last(),
        Some(&client::Event::Refused {
            code: "NetStream.Publish.BadName".into(),
            description: "this stream key opens no channel".into()
        })
    );
    assert!(pair.server.is_closed());
    assert_eq!(pair.server.poll_timeout(), None);
    assert_eq!(pair.server.handle_input(pair.now, &[0xFF; 100]), Ok(()), "what still comes is ignored");
}

#[test]
fn a_taken_over_publish_is_told_so() {
    let mut pair = Pair::new(client::Options::new("KEY"));
    pair.drive();
    pair.server.close(&Refusal::new(Status::Denied, "another encoder took over"));
    pair.drive();
    let Some(client::Event::Refused { code, description }) = pair.client_events.last() else {
        panic!("{:?}", pair.client_events)
    };
    assert_eq!((code.as_str(), description.as_str()), ("NetStream.Publish.Denied", "another encoder took over"));
    assert!(pair.server.is_closed());
}

#[test]
fn each_encoder_is_told_what_we_can_do_in_the_words_of_its_version() {
    let asks = Extensions::RECONNECT.and(Extensions::MULTITRACK);
    for (four_ccs, extensions) in
        [(vec![], None), (vec!["hvc1".to_owned()], None), (vec!["*".to_owned()], Some(asks)), (vec![], Some(asks))]
    {
        let options = client::Options { four_ccs: four_ccs.clone(), extensions, ..client::Options::new("KEY") };
        let mut pair = Pair::new(options);
        pair.drive();
        let Some(client::Event::Connected(properties)) = pair.client_events.first() else {
            panic!("{:?}", pair.client_events)
        };
        let (first, second) = (!four_ccs.is_empty() || extensions.is_some(), extensions.is_some());
        assert_eq!(properties.get("fourCcList").is_some(), first);
        let map = properties.get("videoFourCcInfoMap").and_then(Value::as_object);
        assert_eq!(map.and_then(|map| map.get("hvc1")).and_then(Value::as_number), second.then_some(4.0));
        // Several tracks and modifiers; we ask nobody to reconnect.
        assert_eq!(properties.get("capsEx").and_then(Value::as_number), second.then_some(6.0));
        let Event::Connected(connect) = &pair.server_events[0] else { panic!("{:?}", pair.server_events) };
        assert_eq!((&connect.four_ccs, connect.extensions), (&four_ccs, extensions));
        assert!(extensions.is_none_or(|extensions| extensions.has(Extensions::MULTITRACK)));
    }
}

#[test]
fn media_before_the_answer_is_dropped_and_a_guest_sends_no_long_ones() {
    let mut pair = Pair::new(client::Options::new("KEY"));
    pair.answer = Ok(());
    pair.client.send_video(0, Bytes::from_static(b"early")).expect("short");
    // The handshake's packet and the early message come together; ours is no chunk stream yet, so send it apart.
    let mut writer = Writer::new();
    let mut wire = BytesMut::new();
    let long = Message {
        timestamp_ms: 0,
        kind: Kind::Video,
        message_stream: MessageStreamId(1),
        body: vec![0; 70_000].into(),
    };
    let short = Message { body: Bytes::from_static(b"early"), ..long.clone() };
    writer.write(ChunkStreamId::VIDEO, &short, &mut wire).expect("short");
    let mut session = established(pair.now);
    assert_eq!(session.handle_input(pair.now, &wire.split()), Ok(()));
    assert_eq!(session.poll_event(), None);
    writer.write(ChunkStreamId::VIDEO, &long, &mut wire).expect("fits the wire");
    let refused = session.handle_input(pair.now, &wire);
    assert!(matches!(refused, Err(Error::Chunk(chunk::Error::MessageTooLong { length: 70_000, .. }))), "{refused:?}");
    assert!(session.is_closed());
}

/// A session whose handshake is done and whose replies were taken.
fn established(now: Instant) -> Server {
    let mut session = server(now);
    let mut hello = vec![3];
    hello.resize(1 + 2 * handshake::PACKET_BYTES, 0);
    session.handle_input(now, &hello).expect("a handshake");
    assert!(session.is_established());
    while session.poll_transmit().is_some() {}
    session
}

fn command(values: &[Value]) -> BytesMut {
    let mut body = BytesMut::new();
    amf0::encode_all(values, &mut body);
    wire(Kind::Command, &body)
}

fn wire(kind: Kind, body: &[u8]) -> BytesMut {
    let message =
        Message { timestamp_ms: 0, kind, message_stream: MessageStreamId(0), body: Bytes::copy_from_slice(body) };
    let mut wire = BytesMut::new();
    Writer::new().write(ChunkStreamId::COMMAND, &message, &mut wire).expect("short");
    wire
}

fn call(name: &str, transaction: f64) -> BytesMut {
    command(&[Value::from(name), Value::Number(transaction), Value::Null])
}

fn replies(session: &mut Server) -> Vec<Message> {
    let mut reader = Reader::new();
    // As after connect: all tests that look at replies are shorter than either size.
    let mut messages = Vec::new();
    while let Some(bytes) = session.poll_transmit() {
        let mut input = &bytes[..];
        while let Some(message) = reader.read(&mut input).expect("written by us") {
            messages.push(message);
        }
    }
    messages
}

#[test]
fn calls_that_nobody_knows_get_an_answer_if_they_wait_for_one() {
    let now = start();
    let mut session = established(now);
    for (name, transaction, answer) in
        [("_checkbw", 2.0, Some("_result")), ("mystery", 3.0, Some("_error")), ("mystery", 0.0, None)]
    {
        session.handle_input(now, &call(name, transaction)).expect("taken");
        let answers = replies(&mut session);
        let got = answers.first().map(|message| amf0::decode_all(&message.body).expect("ours"));
        let got = got.as_ref().and_then(|values| Some((values[0].as_str()?, values[1].as_number()?)));
        assert_eq!(got, answer.map(|answer| (answer, transaction)));
    }
}

#[test]
fn a_command_of_kind_17_is_read_with_its_leading_byte() {
    let now = start();
    let mut session = established(now);
    let mut body = BytesMut::from(&[0u8][..]);
    amf0::encode_all(&[Value::from("connect"), Value::Number(1.0), Value::Object(Object::new())], &mut body);
    session.handle_input(now, &wire(Kind::CommandAmf3, &body)).expect("taken");
    assert!(matches!(session.poll_event(), Some(Event::Connected(_))));
}

#[test]
fn a_ping_comes_back_with_its_time() {
    let now = start();
    let mut session = established(now);
    session.handle_input(now, &wire(Kind::UserControl, &[0, 6, 1, 2, 3, 4])).expect("taken");
    let answers = replies(&mut session);
    assert_eq!((answers[0].kind, &answers[0].body[..]), (Kind::UserControl, &[0, 7, 1, 2, 3, 4][..]));
}

#[test]
fn received_bytes_are_acknowledged_each_window_and_a_window_of_0_is_ignored() {
    let now = start();
    let mut session = established(now);
    session.handle_input(now, &wire(Kind::WindowAcknowledgementSize, &[0; 4])).expect("taken");
    assert_eq!(replies(&mut session), []);
    session.handle_input(now, &wire(Kind::WindowAcknowledgementSize, &4000u32.to_be_bytes())).expect("taken");
    let total = 1 + 2 * handshake::PACKET_BYTES as u32;
    assert_eq!(replies(&mut session), [], "{total} bytes so far");
    session.handle_input(now, &wire(Kind::Other(200), &[0; 1500])).expect("taken");
    let answers = replies(&mut session);
    let count = answers[0].body.first_chunk().map(|count| u32::from_be_bytes(*count)).expect("four bytes");
    assert_eq!(answers[0].kind, Kind::Acknowledgement);
    assert!(count > total + 1500 && count < total + 1600, "{count}");
    session.handle_input(now, &wire(Kind::Other(200), &[0; 100])).expect("taken");
    assert_eq!(replies(&mut session), []);
}

#[test]
fn a_peer_that_asks_and_does_not_read_fails() {
    let now = start();
    let mut session = established(now);
    let outcome = (0..10_000).find_map(|_| session.handle_input(now, &call("_checkbw", 2.0)).err());
    assert_eq!(outcome, Some(Error::Unread));
    assert!(session.allocated_bytes() <= 4 * TRANSMIT_BYTES_MAX);
}

#[test]
fn commands_out_of_order_fail_by_name() {
    let now = start();
    for name in ["createStream", "publish"] {
        let outcome = established(now).handle_input(now, &call(name, 2.0));
        assert_eq!(outcome, Err(Error::Command { command: name }));
    }
    let mut session = established(now);
    session.handle_input(now, &call("connect", 1.0)).expect("the first is taken");
    assert_eq!(session.handle_input(now, &call("connect", 1.0)), Err(Error::Command { command: "connect" }));
}

#[test]
fn a_half_open_handshake_ends_by_deadline_even_if_bytes_trickle() {
    let now = start();
    let mut session = server(now);
    let deadline = session.poll_timeout().expect("a deadline");
    assert_eq!(deadline - now, Duration::from_secs(10));
    for second in 0..9 {
        let now = now + Duration::from_secs(second);
        session.handle_input(now, &[3]).expect("one byte of a handshake");
        assert_eq!(session.poll_timeout(), Some(deadline), "bytes move nothing");
        session.handle_timeout(now).expect("not yet");
    }
    assert_eq!(session.handle_timeout(deadline), Err(Error::Late { deadline: Deadline::Handshake }));
    assert!(session.is_closed());
}

#[test]
fn a_silent_guest_and_a_silent_publisher_end_by_deadline() {
    let now = start();
    let mut session = established(now);
    let deadline = session.poll_timeout().expect("a deadline");
    assert_eq!(session.handle_timeout(deadline), Err(Error::Late { deadline: Deadline::Publish }));

    let mut pair = Pair::new(client::Options::new("KEY"));
    pair.drive();
    pair.now += Duration::from_secs(29);
    pair.client.send_audio(0, Bytes::from_static(b"sound")).expect("short");
    pair.drive();
    let deadline = pair.server.poll_timeout().expect("a deadline");
    assert_eq!(deadline - pair.now, Duration::from_secs(30), "media moves it");
    let late = pair.server.handle_timeout(deadline);
    assert_eq!(late, Err(Error::Late { deadline: Deadline::Media }));
    pair.drive();
    assert!(
        matches!(pair.client_events.last(), Some(client::Event::Refused { code, .. }) if code == "NetStream.Publish.Idle")
    );
}

#[test]
fn no_deadline_runs_while_the_caller_thinks() {
    let now = start();
    let mut session = established(now);
    for call in [call("connect", 1.0), call("createStream", 2.0)] {
        session.handle_input(now, &call).expect("taken");
    }
    let publish = [Value::from("publish"), Value::Number(3.0), Value::Null, Value::from("KEY")];
    session.handle_input(now, &command(&publish)).expect("taken");
    assert_eq!(session.poll_timeout(), None);
}

/// Feeds a capture in pieces and tells what the publish held, in the form of the `.txt` beside it.
fn replay(capture: &[u8], split: usize) -> (Vec<Event>, String) {
    let now = start();
    let mut session = server(now);
    let (mut events, mut listing) = (Vec::new(), String::new());
    for piece in capture.chunks(split) {
        session.handle_input(now, piece).expect("encoders keep to the protocol");
        while session.poll_transmit().is_some() {}
        while let Some(event) = session.poll_event() {
            match &event {
                Event::PublishRequested(_) => session.accept(now),
                Event::Video { timestamp_ms, body } => listing += &line("video", *timestamp_ms, body),
                Event::Audio { timestamp_ms, body } => listing += &line("audio", *timestamp_ms, body),
                _ => {}
            }
            events.push(event);
        }
    }
    (events, listing)
}

fn line(kind: &str, timestamp_ms: u32, body: &[u8]) -> String {
    let (a, b) = body.iter().fold((1u32, 0u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    format!("{kind} {timestamp_ms} {} {}\n", body.len(), b << 16 | a)
}

macro_rules! captures {
    ($($name:literal),*) => {
        [$((
            $name,
            include_bytes!(concat!("../../tests/data/", $name, ".rtmp")).as_slice(),
            include_str!(concat!("../../tests/data/", $name, ".txt")),
        )),*]
    };
}

/// Name, what the encoder sent, what it wrote to a file.
const CAPTURES: [(&str, &[u8], &str); 4] =
    captures!("ffmpeg-h264-aac", "ffmpeg-extended-timestamps", "gstreamer-rtmp2sink", "gstreamer-librtmp");

#[test]
fn what_encoders_send_is_what_they_write_to_a_file() {
    for (name, capture, expected) in CAPTURES {
        // Its first command must not reach us together with media: that far, encoders wait for answers.
        for split in [1, 7, 100] {
            let (events, listing) = replay(capture, split);
            assert_eq!(listing, expected, "{name} in pieces of {split}");
            let Some(Event::PublishRequested(request)) = events.get(1) else { panic!("{:?}", &events[..2]) };
            assert_eq!((request.key.expose(), request.parameter("priority")), ("sk_test_capture", Some("1")));
            assert_eq!(events.last(), Some(&Event::PublishEnded));
            let Event::Metadata(metadata) = &events[2] else { panic!("{:?}", &events[2]) };
            assert_eq!(metadata.get("width"), Some(&Value::Number(160.0)));
            assert_eq!(metadata.get("framerate"), Some(&Value::Number(15.0)));
        }
    }
}

/// One thing that a peer or the shell may do.
#[derive(Clone, Debug)]
enum Step {
    Bytes(Vec<u8>),
    Command(&'static str, String),
    Media(u8, usize),
    Control(u8, Vec<u8>),
    Accept,
    Refuse,
    Close,
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Step> {
    let names = prop::sample::select(vec![
        "connect",
        "releaseStream",
        "FCPublish",
        "createStream",
        "publish",
        "FCUnpublish",
        "deleteStream",
        "closeStream",
        "_checkbw",
        "x",
    ]);
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..64).prop_map(Step::Bytes),
        8 => (names, "[a-z/? =&]{0,20}").prop_map(|(name, text)| Step::Command(name, text)),
        3 => (prop::sample::select(vec![8u8, 9, 15, 18, 22]), 0usize..400).prop_map(|(kind, length)| Step::Media(kind, length)),
        2 => (1u8..7, prop::collection::vec(any::<u8>(), 0..8)).prop_map(|(kind, body)| Step::Control(kind, body)),
        4 => Just(Step::Accept),
        1 => Just(Step::Refuse),
        1 => Just(Step::Close),
        1 => (0u64..12).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_stay_below_the_cap(
        capture in prop::sample::select(CAPTURES.to_vec()),
        good in any::<prop::sample::Index>(),
        junk in prop::collection::vec(any::<u8>(), 0..2048),
        split in 1usize..500,
    ) {
        let now = start();
        let mut session = server(now);
        let wire = [&capture.1[..good.index(capture.1.len())], &junk].concat();
        for piece in wire.chunks(split) {
            if session.handle_input(now, piece).is_err() {
                prop_assert!(session.is_closed());
            }
            while let Some(event) = session.poll_event() {
                if matches!(event, Event::PublishRequested(_)) {
                    session.accept(now);
                }
            }
            prop_assert!(session.allocated_bytes() <= PUBLISHER_PENDING_BYTES_MAX + 4 * TRANSMIT_BYTES_MAX);
            while session.poll_transmit().is_some() {}
        }
    }

    #[test]
    fn no_sequence_of_operations_panics_and_media_flows_only_while_publishing(steps in prop::collection::vec(steps(), 0..40)) {
        let mut now = start();
        let mut session = established(now);
        let mut publishing = false;
        for step in steps {
            let outcome = match step {
                Step::Bytes(bytes) => session.handle_input(now, &bytes),
                Step::Command(name, text) => {
                    let values = [Value::from(name), Value::Number(1.0), Value::Null, Value::from(text.as_str())];
                    session.handle_input(now, &command(&values))
                }
                Step::Media(kind, length) => session.handle_input(now, &wire(Kind::from(kind), &vec![0; length])),
                Step::Control(kind, body) => session.handle_input(now, &wire(Kind::from(kind), &body)),
                Step::Accept => {
                    session.accept(now);
                    Ok(())
                }
                Step::Refuse => {
                    session.refuse(&Refusal::new(Status::BadName, "no"));
                    Ok(())
                }
                Step::Close => {
                    session.close(&Refusal::new(Status::Denied, "no"));
                    Ok(())
                }
                Step::Wait(seconds) => {
                    now += Duration::from_secs(seconds);
                    session.handle_timeout(now)
                }
            };
            prop_assert!(outcome.is_ok() || session.is_closed());
            while let Some(event) = session.poll_event() {
                match event {
                    Event::Video { .. } | Event::Audio { .. } | Event::Metadata(_) => prop_assert!(publishing),
                    Event::PublishEnded => publishing = false,
                    _ => {}
                }
            }
            publishing |= matches!(session.phase, Phase::Publishing(_));
            while session.poll_transmit().is_some() {}
            if let Some(deadline) = session.poll_timeout() {
                prop_assert!(deadline <= now + Duration::from_secs(30));
            }
        }
    }
}
