//! Inputs to begin with: what real encoders sent, cut into what each target reads, and the examples.

use crate::messages::{self, Message, What};
use crate::wire::{command, message};
use bytes::{Bytes, BytesMut};
use headwater_hls::{Latency, Options, Packager};
use headwater_media::codec::{CodecConfig, av1, avc, hevc};
use headwater_media::flv::{Demuxer, Unit, mux};
use headwater_media::{FurtherTrack, Track, WallTime, fmp4};
use headwater_rtmp::Server;
use headwater_rtmp::amf0::{self, Object, Value};
use headwater_rtmp::server::{Capabilities, Deadlines, Event};
use std::time::Instant;

const CAPTURES: [&[u8]; 4] = [
    include_bytes!("../../rtmp/tests/data/ffmpeg-h264-aac.rtmp"),
    include_bytes!("../../rtmp/tests/data/ffmpeg-extended-timestamps.rtmp"),
    include_bytes!("../../rtmp/tests/data/gstreamer-librtmp.rtmp"),
    include_bytes!("../../rtmp/tests/data/gstreamer-rtmp2sink.rtmp"),
];

/// Longest file: enough for several fragments.
const FILE_BYTES_MAX: usize = 64 << 10;

#[cfg(feature = "services")]
fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Bytes of a connection's handshake: C0, C1 and C2.
const HANDSHAKE: usize = 1 + 2 * 1536;

/// Connections from their first byte, and how they are to be cut.
pub fn captures() -> Vec<Vec<u8>> {
    CAPTURES.iter().map(|capture| [capture, &[255][..]].concat()).collect()
}

/// The same without their handshakes: whole, up to the first pictures, and with what no capture has.
pub fn sessions() -> Vec<Vec<u8>> {
    let after = CAPTURES.iter().filter_map(|capture| capture.get(HANDSHAKE..));
    let mut sessions: Vec<Vec<u8>> = after
        .flat_map(|capture| [capture, &capture[..capture.len().min(3_000)]])
        .map(|capture| [capture, &[255]].concat())
        .collect();
    sessions.push(aggregated());
    sessions
}

/// A session that publishes by Enhanced RTMP's words and sends an aggregate.
fn aggregated() -> Vec<u8> {
    let values = |values: &[Value]| {
        let mut bytes = BytesMut::new();
        amf0::encode_all(values, &mut bytes);
        bytes.to_vec()
    };
    let properties = Object::new()
        .with("app", "app/x?y=z")
        .with("fourCcList", Value::StrictArray(vec![Value::from("hvc1"), Value::from("*")]))
        .with("videoFourCcInfoMap", Value::Object(Object::new().with("av01", 7.0)))
        .with("capsEx", 15.0);
    let fcpublish = values(&[Value::from("FCPublish"), Value::Number(3.0), Value::Null, Value::from("sk_key")]);
    let [key, kind] = ["sk_key?a=b", "live"].map(Value::from);
    let aggregate =
        [9, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0x17, 0, 0, 0, 0, 0, 14, 8, 0, 0, 1, 0, 0, 9, 0, 0, 0, 0, 0xaf, 0, 0, 0, 12];
    let mut out = [
        command(&[Value::from("connect"), Value::Number(1.0), Value::Object(properties)]),
        command(&[Value::from("releaseStream"), Value::Number(2.0), Value::Null, Value::from("sk_key")]),
        message(17, &[&[0][..], &fcpublish].concat()),
        command(&[Value::from("createStream"), Value::Number(4.0), Value::Null]),
        command(&[Value::from("publish"), Value::Number(5.0), Value::Null, key, kind]),
        message(18, &values(&[Value::from("@setDataFrame"), Value::from("onMetaData"), Value::EcmaArray(words())])),
        message(22, &aggregate),
        message(4, &[0, 6, 0, 0, 0, 1]),
        message(2, &[0, 0, 0, 3]),
        message(5, &[0, 0, 1, 0]),
        command(&[Value::from("FCUnpublish"), Value::Number(6.0), Value::Null, Value::from("sk_key")]),
        command(&[Value::from("deleteStream"), Value::Number(7.0), Value::Null, Value::Number(1.0)]),
    ]
    .concat();
    out.push(63);
    out
}

/// What an encoder says of a stream with a further track.
fn words() -> Object {
    let further = Object::new().with("1", Value::Object(Object::new().with("framerate", 30.0)));
    Object::new().with("width", 1280.0).with("videoTrackIdInfoMap", Value::Object(further))
}

/// What a capture's publisher said.
struct Said {
    metadata: Option<Object>,
    messages: Vec<Message>,
}

fn said(capture: &[u8]) -> Said {
    let now = Instant::now();
    let mut session = Server::new(now, 1, Deadlines::default(), Capabilities::default());
    let mut said = Said { metadata: None, messages: Vec::new() };
    let mut last_ms = 0u32;
    for piece in capture.chunks(256) {
        session.handle_input(now, piece).expect("a capture is what an encoder sent");
        while session.poll_transmit().is_some() {}
        while let Some(event) = session.poll_event() {
            let (what, timestamp_ms, body) = match event {
                Event::PublishRequested(_) => {
                    session.accept(now);
                    continue;
                }
                Event::Metadata(values) => {
                    said.metadata = Some(values);
                    continue;
                }
                Event::Video { timestamp_ms, body } => (What::Video, timestamp_ms, body),
                Event::Audio { timestamp_ms, body } => (What::Audio, timestamp_ms, body),
                _ => continue,
            };
            let step_ms = i16::try_from(i64::from(timestamp_ms) - i64::from(last_ms)).unwrap_or(0);
            last_ms = timestamp_ms;
            said.messages.push(Message { what, step_ms, body });
        }
    }
    said
}

/// `onMetaData`.
pub fn metadata() -> Vec<Vec<u8>> {
    let written = |metadata| {
        let mut bytes = BytesMut::new();
        amf0::encode_all(&[Value::from("onMetaData"), Value::Object(metadata)], &mut bytes);
        bytes.to_vec()
    };
    CAPTURES.iter().filter_map(|capture| said(capture).metadata).map(written).collect()
}

/// `onMetaData` as the body of a data message, as encoders send it; and with every word that is read.
#[cfg(feature = "services")]
pub fn data_messages() -> Vec<Vec<u8>> {
    let written = |values: Value| {
        let mut bytes = BytesMut::new();
        amf0::encode_all(&[Value::from("@setDataFrame"), Value::from("onMetaData"), values], &mut bytes);
        bytes.to_vec()
    };
    let said = CAPTURES.iter().filter_map(|capture| said(capture).metadata).map(Value::EcmaArray);
    let further = |kbps: f64| Value::Object(Object::new().with("framerate", 29.97).with("videodatarate", kbps));
    let further = Object::new().with("1", further(700.0)).with("2", further(1e6)).with("255", further(1.0));
    let all = Object::new()
        .with("encoder", "obs-output module (libobs version 32.2.2)")
        .with("width", 1920.0)
        .with("height", 1080.0)
        .with("framerate", 60.0)
        .with("videodatarate", 6000.0)
        .with("audiodatarate", 160.0)
        .with("videoTrackIdInfoMap", Value::Object(further));
    let all = [Value::Object(all), Value::EcmaArray(words())].map(written);
    said.map(written).chain(all).chain(metadata()).collect()
}

/// A stream of H.264 and AAC: nine seconds.
#[cfg(feature = "services")]
pub(crate) fn plain_stream() -> Vec<Message> {
    stream(Sent::Legacy)
}

/// What happens to a stream, as [`messages::read`] reads it: what captures hold, and short streams of every codec and layout.
pub fn messages() -> Vec<Vec<u8>> {
    // Several times over, so that segments are complete.
    let plain = |capture: &&[u8]| [&said(capture).messages[..]; 3].concat();
    let captured = CAPTURES.iter().map(plain).flat_map(|sent| [written(&twice(&sent)), written(&sent)]);
    let made = [Sent::Legacy, Sent::Hevc, Sent::Av1, Sent::Tracks(1), Sent::Tracks(2), Sent::Sound, Sent::Pictures];
    captured
        .chain([written(&renewed())])
        .chain(made.into_iter().flat_map(|sent| [written(&stream(sent)), written(&eventful(&stream(sent)))]))
        .collect()
}

/// How a made stream is sent.
#[derive(Clone, Copy, PartialEq)]
enum Sent {
    Legacy,
    Hevc,
    Av1,
    /// Two tracks of each kind in each message, in the layout of that number.
    Tracks(u8),
    Sound,
    Pictures,
}

/// An avcC of 320x240, baseline.
const AVCC: &[u8] = &[
    1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 9, 0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xf6, 0x40, 1, 0, 4, 0x68, 0xce,
    0x3c, 0x80,
];
/// An av1C of 1280x720.
const AV1C: &[u8] =
    &[0x81, 0x05, 0x0c, 0x00, 0x0a, 0x0b, 0x00, 0x00, 0x00, 0x2d, 0x4c, 0xff, 0xb3, 0xc0, 0x00, 0x00, 0x00];

/// An hvcC of 1280x720, with its SPS alone.
fn hvcc() -> Vec<u8> {
    const SPS: [u8; 43] = [
        0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x5d,
        0xa0, 0x02, 0x80, 0x80, 0x2d, 0x16, 0x59, 0x59, 0xa4, 0x93, 0x2b, 0xc0, 0x5a, 0x02, 0x00, 0x00, 0x03, 0x00,
        0x02, 0x00, 0x00, 0x03, 0x00, 0x3c, 0x10,
    ];
    let head = [
        1, 0x01, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93, 0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, 0, 0x0f, 1, 0xa1, 0, 1, 0,
        43,
    ];
    [&head[..], &SPS].concat()
}

/// Nine seconds of ten pictures each, with a keyframe every two seconds, and of sound.
fn stream(sent: Sent) -> Vec<Message> {
    const PICTURES: usize = 90;
    let message = |what, step_ms, body: Vec<u8>| Message { what, step_ms, body: Bytes::from(body) };
    // A picture as one NAL unit of two bytes; four bytes of AV1 are as good.
    let picture = |number: usize| vec![0, 0, 0, 2, 0x65, number as u8];
    let several = |layout: u8, packet: u8, fourcc: &[u8; 4], shares: [Vec<u8>; 2]| {
        let mut body = vec![layout << 4 | packet];
        body.extend(if layout == 1 { &fourcc[..] } else { &[] });
        for (id, share) in shares.iter().enumerate() {
            body.extend(if layout == 2 { &fourcc[..] } else { &[] });
            body.push(id as u8);
            body.extend(&u32::try_from(share.len()).expect("small").to_be_bytes()[1..]);
            body.extend(share);
        }
        body
    };
    let coded = |head: u8, start: bool, number: usize| -> Vec<u8> {
        let key = if number.is_multiple_of(20) { 1 } else { 2 };
        // Pictures out of order: each second one is shown later.
        let composition: &[u8] = &[0, 0, if number.is_multiple_of(2) { 100 } else { 0 }];
        match (sent, start) {
            (Sent::Hevc, true) => [&[0x90][..], b"hvc1", &hvcc()].concat(),
            (Sent::Hevc, false) => [&[0x81 | key << 4][..], b"hvc1", composition, &picture(number)].concat(),
            (Sent::Av1, true) => [&[0x90][..], b"av01", AV1C].concat(),
            (Sent::Av1, false) => [&[0x81 | key << 4][..], b"av01", &picture(number)].concat(),
            (Sent::Tracks(layout), true) => {
                [&[0x96][..], &several(layout, 0, b"avc1", [AVCC.to_vec(), AVCC.to_vec()])].concat()
            }
            (Sent::Tracks(layout), false) => {
                let share = [composition, &picture(number)].concat();
                // A modifier of nanoseconds before it.
                let head = [0x87 | key << 4, 2, 0, 0, 1, 0x06];
                [&head[..], &several(layout, 1, b"avc1", [share.clone(), share])].concat()
            }
            (_, true) => [&[0x17, 0, 0, 0, 0][..], AVCC].concat(),
            (_, false) => [&[head | key << 4, 1][..], composition, &picture(number)].concat(),
        }
    };
    let sound = |start: bool| -> Vec<u8> {
        match (sent, start) {
            (Sent::Tracks(layout), true) => {
                [&[0x95][..], &several(layout, 0, b"mp4a", [vec![0x11, 0x90], vec![0x12, 0x10]])].concat()
            }
            (Sent::Tracks(layout), false) => {
                [&[0x95][..], &several(layout, 1, b"mp4a", [vec![1, 2], vec![3]])].concat()
            }
            (Sent::Av1, true) => b"\x90mp4a\x2b\x11\x88\x00".to_vec(),
            (Sent::Av1, false) => b"\x91mp4a\x01\x02".to_vec(),
            (_, true) => vec![0xaf, 0, 0x11, 0x90],
            (_, false) => vec![0xaf, 1, 1, 2],
        }
    };
    let mut messages = Vec::new();
    for (what, body) in [(What::Video, coded(7, true, 0)), (What::Audio, sound(true))] {
        messages.push(message(what, 0, body));
    }
    for number in 0..PICTURES {
        messages.push(message(What::Video, 60, coded(7, false, number)));
        messages.push(message(What::Audio, 20, sound(false)));
        messages.push(message(What::Audio, 20, sound(false)));
    }
    let left_out = match sent {
        Sent::Sound => Some(What::Video),
        Sent::Pictures => Some(What::Audio),
        _ => None,
    };
    for message in messages.iter_mut().filter(|message| message.step_ms == 60 && left_out == Some(What::Audio)) {
        message.step_ms = 100;
    }
    messages.retain(|message| left_out != Some(message.what));
    messages
}

/// The same with cues, breaks, commands and a jump of the clock.
fn eventful(sent: &[Message]) -> Vec<Message> {
    let event = |what, step_ms, body: &'static [u8]| Message { what, step_ms, body: Bytes::from_static(body) };
    let mut messages = sent.to_vec();
    for (place, message) in [
        (260, event(What::Command, 0, &[4])),
        (240, event(What::Command, 0, &[1])),
        (200, event(What::Command, 9_000, &[0])),
        (180, event(What::Command, 0, &[3])),
        (130, event(What::Break, 0, &[2])),
        (120, event(What::Cue, 0, b"{\"question\":1}")),
    ] {
        messages.insert(place.min(messages.len()), message);
    }
    messages
}

/// Two tracks, of which the second is configured anew at its third keyframe, and the first is not.
fn renewed() -> Vec<Message> {
    let mut messages = stream(Sent::Tracks(1));
    let mut body = messages[0].body.to_vec();
    let level = body.len() - AVCC.len() + 3;
    body[level] = 0x1f;
    // Two configurations, and three messages for each picture.
    messages.insert(2 + 3 * 40, Message { what: What::Video, step_ms: 0, body: Bytes::from(body) });
    messages
}

fn written(sent: &[Message]) -> Vec<u8> {
    let mut out = vec![0];
    sent.iter().for_each(|message| messages::write(message, &mut out));
    out
}

/// The same with each video message sent again as that of a further track.
fn twice(sent: &[Message]) -> Vec<Message> {
    let further = FurtherTrack::new(1).expect("not 0");
    let doubled = sent.iter().flat_map(|message| {
        let body = if message.what == What::Video { mux::further_body(further, &message.body) } else { None };
        let again = body.map(|body| Message { what: What::Video, step_ms: 0, body });
        std::iter::once(message.clone()).chain(again)
    });
    doubled.collect()
}

/// Codec configuration records.
pub fn codec_headers() -> Vec<Vec<u8>> {
    let mut headers: Vec<Vec<u8>> = CAPTURES
        .iter()
        .flat_map(|capture| said(capture).messages)
        .filter(|message| message.body.get(1) == Some(&0))
        .filter_map(|message| message.body.get(if message.what == What::Video { 5 } else { 2 }..).map(<[u8]>::to_vec))
        .collect();
    headers.extend([AVCC.to_vec(), hvcc(), AV1C.to_vec(), vec![0x2b, 0x11, 0x88, 0x00]]);
    // Parameter sets alone: the SPS of each.
    headers.extend([AVCC[9..17].to_vec(), hvcc()[28..].to_vec(), AV1C[6..].to_vec()]);
    headers.sort_unstable();
    headers.dedup();
    headers
}

/// Fragmented MP4, and how it is to be cut: init segments with the parts after them.
pub fn files() -> Vec<Vec<u8>> {
    let sent = CAPTURES.iter().map(|capture| said(capture).messages);
    let made = [Sent::Legacy, Sent::Hevc, Sent::Av1, Sent::Sound].map(stream);
    let files = sent.chain(made).map(|sent| file(&sent)).filter(|file| file.len() > 1);
    let configs = [
        avc::Config::parse(AVCC).map(CodecConfig::Avc),
        hevc::Config::parse(&hvcc()).map(CodecConfig::Hevc),
        av1::Config::parse(AV1C).map(CodecConfig::Av1),
    ];
    let tracks = configs.into_iter().flatten().map(Track::new);
    let heads = tracks.map(|track| [&fmp4::init_segment(Some(&track), None)[..], &[7]].concat());
    files.chain(heads).collect()
}

fn file(sent: &[Message]) -> Vec<u8> {
    let (mut demuxer, mut timestamp_ms) = (Demuxer::new(), 0u32);
    let options = Options { epoch: "e".into(), rendition: "source".into(), latency: Latency::Low };
    let mut packager = Packager::new(options);
    // Twice, so that a first segment is complete.
    for message in sent.iter().chain(sent) {
        timestamp_ms = timestamp_ms.wrapping_add_signed(i32::from(message.step_ms).max(0));
        let now = WallTime(1_795_498_182_123).plus_ms(i64::from(timestamp_ms));
        let units = match message.what {
            What::Video => demuxer.video(timestamp_ms, message.body.clone()),
            _ => demuxer.audio(timestamp_ms, message.body.clone()),
        };
        for unit in units.unwrap_or_default() {
            match unit {
                Unit::Config(track) => packager.handle_track(track),
                Unit::Access(unit) => packager.handle_unit(unit, now).expect("a capture is small"),
                _ => {}
            }
        }
    }
    packager.end();
    let mut file = Vec::new();
    if let Some(snapshot) = packager.poll_snapshot() {
        file.extend(snapshot.init(0).into_iter().flatten());
        let segments = (0..=snapshot.next().msn).filter_map(|msn| snapshot.segment(msn));
        file.extend(segments.flat_map(|segment| segment.chunks()).flatten().copied().take(FILE_BYTES_MAX));
    }
    file.push(64);
    file
}

/// Queries of media playlists.
#[cfg(feature = "services")]
pub fn playlist_queries() -> Vec<Vec<u8>> {
    texts(&["_HLS_msn=7&_HLS_part=3", "_HLS_skip=YES", "_HLS_msn=7&_HLS_skip=v2", "allow_audio_only=true"])
}

/// Forms of the query protocol.
#[cfg(feature = "services")]
pub fn forms() -> Vec<Vec<u8>> {
    texts(&[
        "Action=CreateStack&StackName=s&Tags.member.1.Key=a&Tags.member.1.Value=b&Tags.member.10.Key=c",
        "Action=X&Attributes.entry.1.key=a&Attributes.entry.1.value=b&Template=%7B%22a%22%3A1%7D",
    ])
}

/// Signatures, in a query and in headers.
#[cfg(feature = "services")]
pub fn signatures() -> Vec<Vec<u8>> {
    const KEY: &str = "AKIAEXAMPLE";
    let scope = "20261124/us-east-1/ivs/aws4_request";
    let signature = "0123456789abcdef".repeat(4);
    texts(&[
        &format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={KEY}/{scope}&X-Amz-Date=20261124T052942Z\
             &X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature={signature}"
        ),
        &format!(
            "\nx-amz-date: 20261124T052942Z\nx-amz-security-token: t\nauthorization: AWS4-HMAC-SHA256 \
             Credential={KEY}/{scope}, SignedHeaders=host;x-amz-date, Signature={signature}"
        ),
    ])
}

/// Requests of viewers.
#[cfg(feature = "services")]
pub fn viewer_requests() -> Vec<Vec<u8>> {
    texts(&[
        "_HLS_msn=7&_HLS_part=3&CMCD=br%3D3200%2Cbs%2Csid%3D%226e2f%22%2Cltc%3D1800\ns7.p3.m4s\nrange: bytes=0-99\ncmcd-session: sid=\"a\\\"b\"",
        "session=abc\nbr=1,bs,bsa=3,bsda=400,dfa=7,msd=900,bsd=20,headwater-pdt=1795498180000\nrange: bytes=-5",
        "?_HLS_skip=v2\ninit-0.mp4\nrange: bytes=99-\nif-range: \"x\"\ncmcd-status: bs",
    ])
}

/// Playback tokens, and claims.
#[cfg(feature = "services")]
pub fn playback_tokens() -> Vec<Vec<u8>> {
    texts(&[
        "eyJhbGciOiJFUzM4NCIsInR5cCI6IkpXVCJ9.eyJhd3M6Y2hhbm5lbC1hcm4iOiJhIiwiZXhwIjoxNzk1NDk4NDgyfQ.AAAA",
        "{\"aws:channel-arn\":\"arn:aws:ivs:us-east-1:000000000000:channel/abc\",\"exp\":1795498482.5,\
         \"aws:access-control-allow-origin\":\"https://*.a.example,HTTP://b.example:80\",\"aws:strict-origin-enforcement\":true,\
         \"aws:single-use-uuid\":\"b9dee4f1-9c2c-4d3c-8b5a-3c1f3a4f2a11\",\"aws:viewer-id\":\"v\",\"aws:viewer-session-version\":3,\
         \"aws:maximum-resolution\":\"HD\"}\nhttps://x.a.example",
    ])
}

/// Requests for objects.
#[cfg(feature = "services")]
pub fn object_requests() -> Vec<Vec<u8>> {
    texts(&[
        "bucket.s3.us-east-1.localhost:4566\nrange: bytes=0-499\nif-none-match: \"a\", W/\"d41d8cd98f00b204e9800998ecf8427e\"",
        "bucket.localhost\nrange: bytes=-500\nif-modified-since: Sun, 06 Nov 1994 08:49:37 GMT\nif-match: *",
        "s3.localhost\nrange: Bytes=5-\nif-unmodified-since: Tue, 24 Nov 2026 05:29:42 GMT",
    ])
}

/// Bodies of CBOR.
#[cfg(feature = "services")]
pub fn cbor_bodies() -> Vec<Vec<u8>> {
    vec![
        b"\xa2\x61a\x82\x01\x61b\x61t\xc1\x1a\x6b\x05\x00\x00".to_vec(),
        b"\xbf\x6aTimestamps\x9f\xc1\xfb\x3f\xf8\x00\x00\x00\x00\x00\x00\x3b\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x61x\x61y\xff\xf6\xff".to_vec(),
        b"\xa1\x61a\xa1\x61b\x84\xf4\xf5\xf7\xfa\x7f\xc0\x00\x00".to_vec(),
    ]
}

/// Bodies in chunks.
#[cfg(feature = "services")]
pub fn chunked_bodies() -> Vec<Vec<u8>> {
    let signature = "0".repeat(64);
    texts(&[
        "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n",
        &format!("5;chunk-signature={signature}\r\nhello\r\n0;chunk-signature={signature}\r\n\r\n"),
        &format!("0\r\na:b\r\nx-amz-trailer-signature:{signature}\r\n\r\n"),
    ])
}

/// Policies, one for each form.
#[cfg(feature = "services")]
pub fn policies() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*","ivs:*"],"Resource":"arn:aws:s3:::bucket/home/${aws:username}/*"}]}"#,
        r#"{"Statement":{"Sid":"x","Effect":"Deny","NotPrincipal":{"AWS":"arn:aws:iam::000000000000:root"},"NotAction":"s3:*","NotResource":["arn:aws:s3:::a?c"],"Condition":{"IpAddress":{"aws:SourceIp":["10.0.0.0/8","2001:db8::/32"]},"StringLikeIfExists":{"s3:prefix":"home/${aws:username}/*"},"Bool":{"aws:SecureTransport":"false"}}}}"#,
        r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*","Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":["one","two"]},"NumericLessThanEquals":{"aws:EpochTime":"1e10"},"DateGreaterThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"},"ArnLike":{"aws:SourceArn":"arn:aws:*:*:*:x"},"Null":{"aws:PrincipalTag/team":"false"}}}]}"#,
        r#"{"Statement":[{"Effect":"Allow","Principal":{"Service":["lambda.amazonaws.com"]},"Action":"sts:AssumeRole"}]}"#,
    ])
}

/// Metric math.
#[cfg(feature = "services")]
pub fn expressions() -> Vec<Vec<u8>> {
    texts(&[
        "100*(m1-m2)/m1\nSUM([m1,m2])\n-e0^2+IF(e1>=2 AND m2<1 || m1, 1, 0)",
        "FILL(METRICS(\"m\"), LINEAR)\nRATE(e2)\nDIFF(FIRST(SEARCH('{AWS/IVS,Channel} MetricName=\"IngestBitrate\"', 'Sum', 300)))",
        "AVG(METRICS())*STDDEV(m1)-PERIOD(m1)\nREMOVE_EMPTY(e0)\nRUNNING_SUM(FILL(m2,REPEAT))/METRIC_COUNT([m1,m2])\nTIME_SERIES(1.5e3)+LOG10(ABS(CEIL(m1)))",
    ])
}

/// Filter patterns of logs, and messages.
#[cfg(feature = "services")]
pub fn log_filters() -> Vec<Vec<u8>> {
    texts(&["ERROR timeout\nan ERROR: timeout", "?ERROR ?WARN -debug\nWARN", "\"a \\\"phrase\\\"\"\na \"phrase\" here"])
}

/// Inputs of targets: paths, and a template.
#[cfg(feature = "services")]
pub fn target_inputs() -> Vec<Vec<u8>> {
    texts(&[
        "name $.detail.a[*].b\nwhole $\nfirst $.resources[0]\n{\"n\": <name>, \"s\": \"it is <first>\", \"e\": <aws.events.event.json>, \"w\": <whole>}",
        "$.detail['text']",
        "t $.detail.text\n<t> says <aws.events.rule-name> \\<x",
    ])
}

/// Templates: the examples.
#[cfg(feature = "services")]
pub fn templates() -> Vec<Vec<u8>> {
    texts(&[
        include_str!("../../../examples/channel.yaml"),
        include_str!("../../../examples/live.yaml"),
        include_str!("../../../examples/blog-post.yaml"),
        FUNCTIONS,
        r#"{"Resources":{"C":{"Type":"AWS::IVS::Channel","Properties":{"Name":{"Fn::Sub":"${AWS::StackName}-c"}}}}}"#,
    ])
}

/// Updates: templates and what they may be changed to.
#[cfg(feature = "services")]
pub fn template_updates() -> Vec<Vec<u8>> {
    let (channel, live) = (include_str!("../../../examples/channel.yaml"), include_str!("../../../examples/live.yaml"));
    let changed = FUNCTIONS.replace("Name: n,", "Name: m,").replace("Count: \"4\"", "Count: \"5\"");
    let moved = FUNCTIONS.replace("Type: Custom::T", "Type: AWS::T").replace("DependsOn: [Other]", "DependsOn: []");
    let (one, two) = (SMALL, SMALL.replace("BASIC", "STANDARD").replace("Retain", "Delete"));
    let update = |parts: [&str; 4]| parts.join("\u{1e}");
    texts(&[
        channel,
        &update([channel, "", live, ""]),
        &update([live, "", channel, ""]),
        &update([FUNCTIONS, "Stage=prod", "", "Stage=test\nNames=p,q"]),
        &update([FUNCTIONS, "Size=4", &changed, "Size=5"]),
        &update([FUNCTIONS, "", &moved, ""]),
        &update([one, "P=a", &two, "P=a"]),
        &update([one, "P=a", "", "P=b"]),
        &update([&two, "", r#"{"Resources":{"C":{"Type":"AWS::C"}}}"#, ""]),
    ])
}

/// Resources that need one another, of which one is replaced.
#[cfg(feature = "services")]
const SMALL: &str = r#"{"Parameters":{"P":{"Type":"String","Default":"a"}},"Resources":{
"A":{"Type":"AWS::A","DeletionPolicy":"Retain","Properties":{"Type":"BASIC","Items":[{"Ref":"P"}]}},
"B":{"Type":"Custom::B","Properties":{"Name":{"Ref":"A"},"Variables":{"V":{"Fn::GetAtt":["A","Arn"]}}}},
"C":{"Type":"AWS::C","Properties":{"X":{"Fn::Sub":"${A.Whole.Part} ${B.Arn} ${P}"},"Document":{"Fn::GetAtt":["A","Whole"]}}}},
"Outputs":{"O":{"Value":{"Ref":"C"}}}}"#;

/// Keys of configurations, with the id that comes with one, and what a configuration may hold.
#[cfg(feature = "services")]
pub fn client_keys() -> Vec<Vec<u8>> {
    use crate::publisher::{configuration, stream_key};
    use headwater_model::ivs::ClientKey;
    let configuration = configuration();
    let key = ClientKey::make(&stream_key(), &configuration).expect("a configuration of two tracks");
    let track = [0, 0, 0, 7, 128, 0, 0, 4, 56, 0, 0, 234, 96, 0, 0, 23, 112];
    let held = [&1_795_498_182_000i64.to_be_bytes()[..], &[7; 16], &track, &track].concat();
    let whole = [format!("{}\n{}\n", key.expose(), configuration.id).as_bytes(), &held].concat();
    let mut seeds = texts(&["mt1.abcDEF012345.AAAA.AAAA\nx\n", "sk_us-east-1_abc\n\n"]);
    seeds.push(whole);
    seeds
}

/// Requests for a configuration, as OBS 32 words them on two machines, and as IVS documents the older schema.
#[cfg(feature = "services")]
pub fn client_configurations() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"service":"IVS","schema_version":"2025-01-25","authentication":"sk_a?bandwidthtest=true","client":{"name":"obs-studio","version":"32.2.2","supported_codecs":["av1","h264","h265"]},"capabilities":{"cpu":{"physical_cores":8,"logical_cores":16,"speed":3600,"name":"AMD Ryzen 7"},"memory":{"total":33000000000,"free":16000000000},"gaming_features":null,"system":{"version":"13","name":"Debian GNU/Linux","build":0,"release":"6.12","revision":"","bits":64,"arm":false,"armEmulation":false},"gpu":[{"model":"GeForce RTX 3060","vendor_id":4318,"device_id":1,"dedicated_video_memory":1,"shared_system_memory":1,"driver_version":"4.6.0 NVIDIA 550.54.14"}]},"preferences":{"maximum_aggregate_bitrate":null,"maximum_video_tracks":null,"vod_track_audio":false,"composition_gpu_index":0,"audio_samples_per_sec":48000,"audio_channels":2,"canvases":[{"width":1920,"height":1080,"canvas_width":1920,"canvas_height":1080,"framerate":{"numerator":60,"denominator":1}}]}}"#,
        r#"{"service":"IVS","schema_version":"2025-01-25","authentication":"sk_a","client":{"supported_codecs":["h264"],"supported_encoders":["obs_x264","ffmpeg_vaapi_tex"]},"capabilities":{"cpu":{"logical_cores":4},"gpu":null,"system":{"name":"Darwin","release":"","arm":true}},"preferences":{"audio_channels":6,"vod_track_audio":true,"maximum_aggregate_bitrate":4500,"maximum_video_tracks":3,"canvases":[{"width":640,"height":360,"framerate":{"numerator":30000,"denominator":1001}}]}}"#,
        r#"{"service":"IVS","schema_version":"2024-06-04","authentication":"sk_a","capabilities":{"system":{"name":"Windows"},"gpu":[{"vendor_id":4098},{"vendor_id":32902}]},"preferences":{"width":720,"height":1280,"framerate":{"numerator":144,"denominator":1},"composition_gpu_index":1,"maximum_streaming_bandwidth":9000,"maximum_resolution":"FULL_HD"}}"#,
    ])
}

/// A template with every section and function.
#[cfg(feature = "services")]
const FUNCTIONS: &str = r#"
Parameters:
  Stage: {Type: String, Default: prod, AllowedPattern: "[a-z]+", AllowedValues: [prod, test], MaxLength: 9}
  Names: {Type: CommaDelimitedList, Default: "x,y,z"}
  Size: {Type: Number, Default: 3, MinValue: 1, NoEcho: true}
  Stored: {Type: "AWS::SSM::Parameter::Value<List<String>>", Default: /stored}
Mappings: {Sizes: {us-east-1: {small: 1.10, many: [a, b]}}}
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
  Either: !Or [!Not [!Condition IsProd], !And [!Condition IsProd, !Equals [1, "1"]]]
Rules: {R: {RuleCondition: !Equals [!Ref Stage, prod], Assertions: [{Assert: !Contains [!Ref Names, x], AssertDescription: d}]}}
Resources:
  Other: {Type: AWS::A, Condition: IsProd, DeletionPolicy: Retain, Properties: &p {Name: n, Tags: [{Key: k, Value: v}]}}
  T:
    Type: Custom::T
    DependsOn: [Other]
    Properties:
      Name: !If [IsProd, !Ref "AWS::NoValue", !GetAtt Other.Arn]
      Count: "4"
      Authorized: "TRUE"
      Items: !Split ["|", !Join ["|", [a, 1, !Ref Stage]]]
      Variables: {A: !Sub ["${A} ${!B} ${Stage} ${Other} $x $", {A: !Select [1, !Ref Names]}]}
      Document:
        - !FindInMap [Sizes, !Ref "AWS::Region", many]
        - !Base64 "wörld"
        - !Length [a, b]
        - !ToJsonString {a: [1, !Ref Size]}
        - !GetAZs ""
        - !ImportValue exported
        - {"Fn::Sub": "${Other.Arn}", }
  U: {Type: AWS::B, Properties: *p}
Outputs: {O: {Value: !Ref T, Condition: IsProd, Description: d, Export: {Name: !Sub "${AWS::StackName}-o"}}}
"#;

/// Event patterns, one for each matcher.
#[cfg(feature = "services")]
pub fn event_patterns() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"source":["aws.ivs"],"detail":{"event_name":["Stream Start"]}}"#,
        r#"{"detail":{"exceeded_by":[{"numeric":[">",0,"<=",5e6]}],"x":[{"exists":false}]}}"#,
        r#"{"a":[{"prefix":"us-"},{"suffix":".png"},{"anything-but":["x"]},{"wildcard":"a*b"}]}"#,
        r#"{"$or":[{"a":[1]},{"b":[{"cidr":"10.0.0.0/24"},{"equals-ignore-case":"B"}]}]}"#,
    ])
}
