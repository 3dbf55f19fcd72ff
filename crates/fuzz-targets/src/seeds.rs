//! Inputs to begin with: what real encoders sent, cut into what each target reads, and the examples.

use crate::messages::{self, Message};
use bytes::BytesMut;
use headwater_hls::{Latency, Options, Packager};
use headwater_media::flv::{Demuxer, Unit, mux};
use headwater_media::{FurtherTrack, WallTime};
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

/// Connections from their first byte, and how they are to be cut.
pub fn captures() -> Vec<Vec<u8>> {
    CAPTURES.iter().map(|capture| [capture, &[255][..]].concat()).collect()
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
            let (is_video, timestamp_ms, body) = match event {
                Event::PublishRequested(_) => {
                    session.accept(now);
                    continue;
                }
                Event::Metadata(values) => {
                    said.metadata = Some(values);
                    continue;
                }
                Event::Video { timestamp_ms, body } => (true, timestamp_ms, body),
                Event::Audio { timestamp_ms, body } => (false, timestamp_ms, body),
                _ => continue,
            };
            let step_ms = i16::try_from(i64::from(timestamp_ms) - i64::from(last_ms)).unwrap_or(0);
            last_ms = timestamp_ms;
            said.messages.push(Message { is_video, step_ms, body });
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

/// Media messages, as [`messages::read`] reads them.
pub fn messages() -> Vec<Vec<u8>> {
    // Several times over, so that segments are complete.
    let plain = |capture: &&[u8]| [&said(capture).messages[..]; 3].concat();
    CAPTURES.iter().map(plain).flat_map(|sent| [written(&twice(&sent)), written(&sent)]).collect()
}

fn written(sent: &[Message]) -> Vec<u8> {
    let mut out = Vec::new();
    sent.iter().for_each(|message| messages::write(message, &mut out));
    out
}

/// The same with each video message sent again as that of a further track.
fn twice(sent: &[Message]) -> Vec<Message> {
    let further = FurtherTrack::new(1).expect("not 0");
    let doubled = sent.iter().flat_map(|message| {
        let body = if message.is_video { mux::further_body(further, &message.body) } else { None };
        let again = body.map(|body| Message { is_video: true, step_ms: 0, body });
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
        .filter_map(|message| message.body.get(if message.is_video { 5 } else { 2 }..).map(<[u8]>::to_vec))
        .collect();
    headers.sort_unstable();
    headers.dedup();
    headers
}

/// Fragmented MP4, and how it is to be cut: init segments with the parts after them.
pub fn files() -> Vec<Vec<u8>> {
    CAPTURES.iter().map(|capture| file(&said(capture).messages)).filter(|file| file.len() > 1).collect()
}

fn file(sent: &[Message]) -> Vec<u8> {
    let (mut demuxer, mut timestamp_ms) = (Demuxer::new(), 0u32);
    let options = Options { epoch: "e".into(), rendition: "source".into(), latency: Latency::Low };
    let mut packager = Packager::new(options);
    // Twice, so that a first segment is complete.
    for message in sent.iter().chain(sent) {
        timestamp_ms = timestamp_ms.wrapping_add_signed(i32::from(message.step_ms).max(0));
        let now = WallTime(1_795_498_182_123).plus_ms(i64::from(timestamp_ms));
        let units = match message.is_video {
            true => demuxer.video(timestamp_ms, message.body.clone()),
            false => demuxer.audio(timestamp_ms, message.body.clone()),
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

/// Templates: the examples.
#[cfg(feature = "services")]
pub fn templates() -> Vec<Vec<u8>> {
    texts(&[
        include_str!("../../../examples/channel.yaml"),
        include_str!("../../../examples/live.yaml"),
        include_str!("../../../examples/blog-post.yaml"),
        r#"{"Resources":{"C":{"Type":"AWS::IVS::Channel","Properties":{"Name":{"Fn::Sub":"${AWS::StackName}-c"}}}}}"#,
    ])
}

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
