//! The operation over a store in memory, and the key that it gives.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::ivs::channels::{Settings, create_channel, delete_channel};
use crate::ivs::keys::{create_stream_key, delete_stream_key, resolve_key};
use crate::testing::{Bench, bench, bench_over};
use headwater_model::ivs::{ContainerFormat, MaximumResolution, MultitrackInput, Quotas, Shown, StreamKey, Tags};
use headwater_store::SqliteStore;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

const NOW: Timestamp = Timestamp(1_795_498_182_000);
const LOOPBACK: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
const ELSEWHERE: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));

fn input(policy: MultitrackPolicy, maximum: MaximumResolution) -> MultitrackInput {
    MultitrackInput { enabled: true, policy: Some(policy), maximum_resolution: Some(maximum) }
}

async fn made(bench: &Bench, multitrack: MultitrackInput, insecure: bool) -> (Channel, StreamKey) {
    let settings = Settings {
        multitrack: Some(multitrack),
        container_format: Some(ContainerFormat::FragmentedMp4),
        insecure_ingest: Some(insecure),
        ..Settings::default()
    };
    create_channel(&bench.control, &settings, Tags::new(), NOW).await.unwrap()
}

fn asks(key: &str) -> Request {
    Request {
        authentication: Some(Secret::new(key)),
        preferences: Preferences {
            size: Some((1_280, 720)),
            frame_rate: Some(FrameRate { numerator: 30, denominator: 1 }),
            ..Preferences::default()
        },
        ..Request::default()
    }
}

async fn ask(bench: &Bench, request: &Request, peer: Option<IpAddr>) -> Result<Configuration, Declined> {
    get_client_configuration(&bench.control, request, peer, NOW).await
}

async fn opens(bench: &Bench, key: &Secret, at: Timestamp) -> Option<crate::ivs::Opened> {
    resolve_key(&bench.control, key.expose(), at).await.unwrap()
}

#[tokio::test]
async fn the_key_that_comes_with_a_configuration_opens_the_channel_for_two_days_or_as_long_as_its_stream_key_stands() {
    let store = Arc::new(SqliteStore::in_memory().await.unwrap());
    let bench = bench_over(store.clone(), Quotas::default()).await;
    let (channel, key) = made(&bench, input(MultitrackPolicy::Allow, MaximumResolution::Hd), false).await;
    let told = ask(&bench, &asks(key.value.expose()), LOOPBACK).await.unwrap();
    assert_eq!(told.tracks.iter().map(|rung| rung.height).collect::<Vec<_>>(), [720, 480, 360, 160]);
    assert_eq!((told.encoder, told.audio, told.vod_audio), (VideoEncoder::X264, (160, 2), false));
    let opened = opens(&bench, &told.authentication, NOW).await.unwrap();
    assert_eq!(opened.channel, channel);
    let Shown::Configured(configured) = opened.shown else { panic!("{:?}", opened.shown) };
    assert_eq!(configured.id, told.id);
    assert_eq!(configured.tracks, told.tracks.iter().map(configured_track).collect::<Vec<_>>());
    assert_eq!(
        configured.tracks[0],
        ConfiguredTrack {
            video: VideoTrack { codec: VideoCodec::H264, width: 1_280, height: 720 },
            frame_rate_millis: 30_000,
            kbps: 2_000,
        }
    );

    // A server that starts anew on the same store knows it.
    let again = bench_over(store, Quotas::default()).await;
    assert!(opens(&again, &told.authentication, NOW).await.is_some());
    let end = NOW.plus_ms(48 * HOUR_MS);
    assert!(matches!(opens(&bench, &told.authentication, end.plus_ms(-1)).await.unwrap().shown, Shown::Configured(_)));
    assert_eq!(opens(&bench, &told.authentication, end).await.unwrap().shown, Shown::Expired);

    delete_stream_key(&bench.control, &key.arn).await.unwrap();
    assert_eq!(opens(&bench, &told.authentication, NOW).await, None);
    let second = create_stream_key(&bench.control, &channel.arn, Tags::new(), NOW).await.unwrap();
    assert_eq!(opens(&bench, &told.authentication, NOW).await, None, "the old one's");
    let told = ask(&bench, &asks(second.value.expose()), LOOPBACK).await.unwrap();
    assert!(opens(&bench, &told.authentication, NOW).await.is_some());
    delete_channel(&bench.control, &channel.arn).await.unwrap();
    assert_eq!(opens(&bench, &told.authentication, NOW).await, None);
}

#[tokio::test]
async fn without_a_good_key_nothing_is_told() {
    let bench = bench().await;
    let (_, key) = made(&bench, input(MultitrackPolicy::Allow, MaximumResolution::Hd), false).await;
    let value = key.value.expose();
    for good in [value.to_owned(), format!(" {value}"), format!("{value}?bandwidthtest=true")] {
        assert!(ask(&bench, &asks(&good), LOOPBACK).await.is_ok());
    }
    assert!(matches!(ask(&bench, &Request::default(), LOOPBACK).await, Err(Declined::NoKey)));
    assert!(matches!(ask(&bench, &asks(" ?x=1"), LOOPBACK).await, Err(Declined::NoKey)));
    let told = ask(&bench, &asks(value), LOOPBACK).await.unwrap();
    // A key of a configuration is for publishing.
    for wrong in [told.authentication.expose(), "sk_us-east-1_guess", &value[1..], &"x".repeat(10_000)] {
        let declined = ask(&bench, &asks(wrong), LOOPBACK).await.unwrap_err();
        assert!(matches!(declined, Declined::WrongKey));
        assert!(!declined.to_string().contains(wrong));
    }
}

#[tokio::test]
async fn a_channel_must_be_set_up_for_it() {
    let bench = bench().await;
    let (_, plain) = create_channel(&bench.control, &Settings::default(), Tags::new(), NOW).await.unwrap();
    let declined = ask(&bench, &asks(plain.value.expose()), LOOPBACK).await.unwrap_err();
    assert!(declined.to_string().contains("multitrackInputConfiguration"), "{declined}");

    let (_, required) = made(&bench, input(MultitrackPolicy::Require, MaximumResolution::FullHd), false).await;
    let (_, allowed) = made(&bench, input(MultitrackPolicy::Allow, MaximumResolution::FullHd), false).await;
    let one = |key: &StreamKey| {
        let asked = asks(key.value.expose());
        Request { preferences: Preferences { tracks_max: Some(1), ..asked.preferences.clone() }, ..asked }
    };
    assert!(matches!(ask(&bench, &one(&required), LOOPBACK).await, Err(Declined::OneTrack)));
    assert_eq!(ask(&bench, &one(&allowed), LOOPBACK).await.unwrap().tracks.len(), 1);
    let no_h264 = Machine { codecs: vec!["av1".into()], ..Machine::default() };
    let asked = Request { machine: no_h264, ..asks(allowed.value.expose()) };
    assert!(matches!(ask(&bench, &asked, LOOPBACK).await, Err(Declined::NoEncoder)));
    let asked = Request { preferences: Preferences::default(), ..asks(allowed.value.expose()) };
    assert!(matches!(ask(&bench, &asked, LOOPBACK).await, Err(Declined::Ladder(LadderDeclined::Picture))));
}

#[tokio::test]
async fn only_ways_in_that_the_channel_takes_are_told() {
    let bench = bench().await;
    let allowed = input(MultitrackPolicy::Allow, MaximumResolution::Hd);
    let (_, safe) = made(&bench, allowed, false).await;
    let (_, open) = made(&bench, allowed, true).await;
    for (key, peer, expected) in [
        (&safe, LOOPBACK, &["RTMPS", "RTMP"][..]),
        (&safe, Some(IpAddr::V6(Ipv6Addr::LOCALHOST)), &["RTMPS", "RTMP"]),
        (&safe, ELSEWHERE, &["RTMPS"]),
        (&safe, None, &["RTMPS"]),
        (&open, ELSEWHERE, &["RTMPS", "RTMP"]),
        (&open, None, &["RTMPS", "RTMP"]),
    ] {
        let told = ask(&bench, &asks(key.value.expose()), peer).await.unwrap();
        assert_eq!(told.endpoints.iter().map(|endpoint| endpoint.protocol).collect::<Vec<_>>(), expected, "{peer:?}");
    }
    let told = ask(&bench, &asks(open.value.expose()), None).await.unwrap();
    let addresses: Vec<&str> = told.endpoints.iter().map(|endpoint| endpoint.url_template.as_str()).collect();
    assert_eq!(addresses, ["rtmps://localhost:443/app/{stream_key}", "rtmp://localhost:1935/app/{stream_key}"]);
}
