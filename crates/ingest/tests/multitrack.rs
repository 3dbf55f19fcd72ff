//! What publishers of several video tracks are held against: the channel's policy, and the configuration that they were given.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod support;

use bytes::Bytes;
use headwater_ingest::Limits;
use headwater_ingest::limits::HELD_INPUTS_MAX;
use headwater_live::LadderState;
use headwater_media::flv::mux::further_body;
use headwater_media::{FurtherTrack, TrackKind};
use headwater_model::Timestamp;
use headwater_model::ivs::{
    ClientConfiguration, ClientKey, ConfiguredTrack, MaximumResolution, MultitrackInput, MultitrackPolicy, VideoCodec,
    VideoTrack,
};
use headwater_rtmp::client::Event;
use std::net::SocketAddr;
use support::{Clip, Encoder, Served, eventually};

/// The size of the clip's pictures.
const CLIP: VideoTrack = VideoTrack { codec: VideoCodec::H264, width: 160, height: 90 };
const OTHER: VideoTrack = VideoTrack { width: 320, ..CLIP };

const REQUIRED: MultitrackInput = MultitrackInput {
    enabled: true,
    policy: Some(MultitrackPolicy::Require),
    maximum_resolution: Some(MaximumResolution::FullHd),
};

/// The clip's media, with its video again as so many further tracks; all configurations come first.
fn with_further(clip: &Clip, further: u8, times: u32) -> Vec<(TrackKind, u32, Bytes)> {
    let mut messages = Vec::new();
    for message in clip.repeated(times) {
        let (kind, at, body) = message.clone();
        messages.push(message);
        if kind == TrackKind::Video {
            let number = |number| FurtherTrack::new(number).unwrap();
            messages.extend((1..=further).map(|own| (kind, at, further_body(number(own), &body).unwrap())));
        }
    }
    messages
}

fn configured(video: &VideoTrack) -> ConfiguredTrack {
    ConfiguredTrack { video: *video, frame_rate_millis: 15_000, kbps: 60 }
}

/// The key of a configuration of these tracks, good until `expires_at`.
fn key(served: &Served, tracks: &[VideoTrack], expires_at: Timestamp) -> String {
    let id = uuid::Uuid::from_u128(5);
    let configuration = ClientConfiguration { id, expires_at, tracks: tracks.iter().map(configured).collect() };
    ClientKey::make(&served.directory.key, &configuration).unwrap().expose().to_owned()
}

fn tomorrow() -> Timestamp {
    Timestamp::now().plus_ms(24 * 60 * 60 * 1_000)
}

/// What the server says to a publisher of that.
async fn refusal(address: SocketAddr, name: &str, messages: Vec<(TrackKind, u32, Bytes)>) -> String {
    let mut encoder = Encoder::connect(address, name).await;
    encoder.begin().await;
    // The server may go before all is sent.
    let _ = encoder.send(messages).await;
    let (code, description) = encoder.refusal().await;
    assert_eq!(code, "NetStream.Publish.Denied");
    description
}

#[tokio::test]
async fn a_publisher_that_sends_what_was_configured_goes_live() {
    let mut served = Served::with(REQUIRED);
    let address = served.rtmp(Limits::default()).await;
    let name =
        format!("{}?clientConfigId=00000000-0000-0000-0000-000000000005", key(&served, &[CLIP, CLIP], tomorrow()));
    let mut encoder = Encoder::connect(address, &name).await;
    encoder.begin().await;
    encoder.send(with_further(&Clip::load(), 1, 3)).await.unwrap();
    served.snapshot(|_| true).await;
    let stream = served.hub.stream(served.channel_id()).expect("live");
    eventually(|| (stream.offer().ladder == LadderState::Sent).then_some(())).await;
    encoder.client.finish().unwrap();
    assert_eq!(encoder.event().await, Some(Event::Unpublished));
    eventually(|| (served.journal.names() == ["created", "start", "end", "ended"]).then_some(())).await;
}

#[tokio::test]
async fn a_publisher_that_sends_something_else_is_refused_at_its_start() {
    let mut served = Served::with(MultitrackInput { policy: Some(MultitrackPolicy::Allow), ..REQUIRED });
    let address = served.rtmp(Limits::default()).await;
    let clip = Clip::load();
    let two = key(&served, &[CLIP, CLIP], tomorrow());
    // One track too few: known when no other has come for a second.
    let few = clip.repeated(3);
    assert!(few.len() > HELD_INPUTS_MAX);
    for (name, messages, code) in [
        (two.as_str(), few, "InvalidMultitrackInputTrackCount"),
        (&two, with_further(&clip, 2, 1), "InvalidMultitrackInputTrackCount"),
        (
            &key(&served, &[CLIP, OTHER], tomorrow()),
            with_further(&clip, 1, 1),
            "InvalidMultitrackInputVideoTrackMediaProperties",
        ),
    ] {
        let said = refusal(address, name, messages).await;
        assert!(said.starts_with(&format!("{code}: ")), "{said}");
        assert_eq!(served.journal.names().last(), Some(&code));
    }
    assert!(!served.journal.names().contains(&"created"));
    assert!(served.hub.stream(served.channel_id()).is_none());
}

#[tokio::test]
async fn a_key_that_is_over_or_anothers_is_refused_before_anything_is_sent() {
    let mut served = Served::with(MultitrackInput { policy: Some(MultitrackPolicy::Allow), ..REQUIRED });
    let address = served.rtmp(Limits::default()).await;
    let good = key(&served, &[CLIP, CLIP], tomorrow());
    for name in [
        key(&served, &[CLIP, CLIP], Timestamp(0)),
        format!("{good}?clientConfigId=00000000-0000-0000-0000-000000000006"),
    ] {
        let mut encoder = Encoder::connect(address, &name).await;
        let (code, description) = encoder.refusal().await;
        assert_eq!(code, "NetStream.Publish.Denied");
        assert!(description.starts_with("InvalidGetClientConfigurationStreamKey: "), "{description}");
    }
    assert_eq!(served.journal.names(), ["InvalidGetClientConfigurationStreamKey"], "told once a minute");
    let mut encoder = Encoder::connect(address, &format!("{}x", &good[..good.len() - 1])).await;
    assert_eq!(encoder.refusal().await.0, "NetStream.Publish.BadName");
    assert_eq!(served.journal.names().len(), 1, "whoever has no key makes no session");
}

#[tokio::test]
async fn a_channel_that_requires_several_tracks_refuses_one_and_takes_several_by_its_stream_key() {
    let mut served = Served::with(REQUIRED);
    let address = served.rtmp(Limits::default()).await;
    let clip = Clip::load();
    let said = refusal(address, &served.key(), clip.repeated(3)).await;
    assert!(said.starts_with("MultitrackInputRequired: ") && said.contains("Enhanced Broadcasting"), "{said}");
    assert_eq!(served.journal.names(), ["MultitrackInputRequired"]);
    let mut encoder = Encoder::connect(address, &served.key()).await;
    encoder.begin().await;
    encoder.send(with_further(&clip, 1, 2)).await.unwrap();
    served.snapshot(|_| true).await;
    // One that is on air stays there when another is refused, and nothing is recorded of that.
    let said = refusal(address, &served.key(), clip.repeated(3)).await;
    assert!(said.starts_with("MultitrackInputRequired: "), "{said}");
    encoder.send(clip.repeated(1)).await.expect("still connected");
    assert_eq!(served.journal.names(), ["MultitrackInputRequired", "created", "start"]);
}
