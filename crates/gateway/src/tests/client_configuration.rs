//! What encoders ask before they go live, as OBS 32 and IVS' documentation word it.

use super::*;
use crate::client_configuration::{PATH, REQUESTS_MAX, router};
use axum::extract::ConnectInfo;
use std::net::SocketAddr;
use tokio_util::io::ReaderStream;

const HERE: &str = "127.0.0.1:5000";
const ELSEWHERE: &str = "192.0.2.7:5000";

/// Made of a request of OBS 32.2 on Linux.
fn obs(key: &str) -> Value {
    json!({
        "service": "IVS",
        "schema_version": "2025-01-25",
        "authentication": key,
        "client": {"name": "obs-studio", "version": "32.2.2", "supported_codecs": ["av1", "h264", "h265"]},
        "capabilities": {
            "cpu": {"physical_cores": 8, "logical_cores": 16, "speed": 3_600, "name": "AMD Ryzen 7"},
            "memory": {"total": 33_000_000_000_u64, "free": 16_000_000_000_u64},
            "gaming_features": null,
            "system": {
                "version": "13", "name": "Debian GNU/Linux", "build": 0, "release": "6.12", "revision": "", "bits": 64,
                "arm": false, "armEmulation": false,
            },
            "gpu": [{
                "model": "GeForce RTX 3060", "vendor_id": 0x10de, "device_id": 1, "dedicated_video_memory": 1,
                "shared_system_memory": 1, "driver_version": "4.6.0 NVIDIA 550.54.14",
            }],
        },
        "preferences": {
            "maximum_aggregate_bitrate": null,
            "maximum_video_tracks": null,
            "vod_track_audio": false,
            "composition_gpu_index": 0,
            "audio_samples_per_sec": 48_000,
            "audio_channels": 2,
            "audio_max_buffering_ms": 960,
            "audio_fixed_buffering": false,
            "canvases": [{
                "width": 1_920, "height": 1_080, "canvas_width": 1_920, "canvas_height": 1_080,
                "framerate": {"numerator": 60, "denominator": 1},
            }],
        },
    })
}

impl Server {
    async fn asks(&self, peer: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let mut request = Request::post(PATH).header("content-type", "application/json").body(body.into()).unwrap();
        request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
        for (name, value) in headers {
            request.headers_mut().insert(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        let response = router(self.control().clone()).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    async fn told(&self, body: &Value) -> Value {
        let answer = self.asks(HERE, &[], body.to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json()
    }

    /// The stream key of a channel that takes several tracks.
    async fn multitrack_key(&self, policy: &str) -> String {
        let made = self
            .ivs(
                "CreateChannel",
                json!({
                    "containerFormat": "FRAGMENTED_MP4",
                    "multitrackInputConfiguration": {"enabled": true, "policy": policy, "maximumResolution": "FULL_HD"},
                }),
            )
            .await
            .json();
        made["streamKey"]["value"].as_str().unwrap().to_owned()
    }
}

fn texts<'a>(list: &'a Value, member: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|entry| entry[member].as_str().unwrap()).collect()
}

/// Whether it tells what to do, and gives nothing.
fn declines(told: &Value, words: &str) -> bool {
    let says = told["status"]["html_en_us"].as_str().is_some_and(|text| text.contains(words));
    told["status"]["result"] == "error"
        && says
        && told["ingest_endpoints"] == json!([])
        && told["encoder_configurations"] == json!([])
}

#[tokio::test]
async fn obs_is_told_its_tracks_and_where_they_go() {
    let server = server().await;
    let key = server.multitrack_key("ALLOW").await;
    let answer = server.asks(HERE, &[], obs(&key).to_string()).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let told = answer.json();
    assert_eq!(told["status"], json!({"result": "success"}));
    assert_eq!((&told["meta"]["service"], &told["meta"]["schema_version"]), (&json!("IVS"), &json!("2025-01-25")));
    let id = told["meta"]["config_id"].as_str().unwrap();
    assert!(uuid::Uuid::parse_str(id).is_ok(), "{id}");
    let tracks = told["encoder_configurations"].as_array().unwrap();
    let heights: Vec<_> = tracks.iter().map(|track| track["height"].as_u64().unwrap()).collect();
    assert_eq!(heights, [1_080, 720, 480, 360, 160]);
    assert_eq!(
        tracks[2],
        json!({
            "type": "obs_nvenc_h264_tex",
            "width": 852,
            "height": 480,
            "framerate": {"numerator": 30, "denominator": 1},
            "gpu_scale_type": "OBS_SCALE_BICUBIC",
            "colorspace": "VIDEO_CS_709",
            "range": "VIDEO_RANGE_PARTIAL",
            "format": "VIDEO_FORMAT_NV12",
            "canvas_index": 0,
            "settings": {
                "rate_control": "CBR", "bitrate": 1_000, "keyint_sec": 2, "bf": 0, "profile": "high", "preset": "p5",
                "preset2": "p5", "tune": "ll", "multipass": "qres", "lookahead": false, "adaptive_quantization": true,
                "psycho_aq": true,
            },
        })
    );
    assert!(tracks.iter().all(|track| track["settings"]["keyint_sec"] == 2 && track["settings"]["bf"] == 0));
    let audio = json!({"codec": "aac", "track_id": 1, "channels": 2, "settings": {"bitrate": 160}});
    assert_eq!(told["audio_configurations"], json!({"live": [audio]}));
    let endpoints = &told["ingest_endpoints"];
    assert_eq!(texts(endpoints, "protocol"), ["RTMPS", "RTMP"]);
    assert_eq!(texts(endpoints, "url_template")[1], "rtmp://localhost:1935/app/{stream_key}");
    for own in texts(endpoints, "authentication") {
        assert_ne!(own, key);
        let opened = headwater_control::ivs::resolve_key(server.control(), own, Timestamp::now()).await.unwrap();
        assert!(
            matches!(opened.unwrap().shown, headwater_model::ivs::Shown::Configured(of) if of.id.to_string() == id)
        );
        assert!(!logged().contains(own) && !logged().contains(&key), "a key is logged");
    }
}

#[tokio::test]
async fn the_documented_form_of_a_request_is_read_too() {
    let server = server().await;
    let key = server.multitrack_key("ALLOW").await;
    let told = server
        .told(&json!({
            "service": "IVS",
            "schema_version": "2024-06-04",
            "authentication": format!("{key}?bandwidthtest=true"),
            "stream_attempt_start_time": "2026-11-24T16:00:00Z",
            "client": {"name": "own", "version": "1", "supported_codecs": ["h264"]},
            "capabilities": {"cpu": {"logical_cores": 4}, "memory": {"total": 1, "free": 1}, "system": {"bits": 64}},
            "preferences": {
                "canvas_width": 1_280, "canvas_height": 720, "width": 1_280, "height": 720,
                "framerate": {"numerator": 30, "denominator": 1}, "maximum_streaming_bandwidth": 3_000,
                "maximum_resolution": "HD", "maximum_video_tracks": 2, "vod_track_audio": true,
            },
        }))
        .await;
    assert_eq!(told["meta"]["schema_version"], "2024-06-04");
    assert_eq!(texts(&told["encoder_configurations"], "type"), ["obs_x264"; 2]);
    let bitrates: Vec<_> =
        told["encoder_configurations"].as_array().unwrap().iter().map(|track| &track["settings"]["bitrate"]).collect();
    assert_eq!(bitrates, [2_000, 500]);
    assert_eq!(told["audio_configurations"]["vod"][0]["track_id"], 2);
}

#[tokio::test]
async fn who_cannot_be_configured_is_told_what_to_do() {
    let server = server().await;
    let key = server.multitrack_key("REQUIRE").await;
    let plain = server.ivs("CreateChannel", json!({})).await.json();
    let plain = plain["streamKey"]["value"].as_str().unwrap();
    assert!(declines(&server.told(&obs("sk_us-east-1_guess")).await, "stream key is wrong"));
    assert!(declines(&server.told(&obs("")).await, "no stream key"));
    assert!(declines(&server.told(&obs(plain)).await, "multitrackInputConfiguration"));
    let change = |path: &str, value: Value| {
        let mut body = obs(&key);
        *body.pointer_mut(path).unwrap() = value;
        body
    };
    assert!(declines(
        &server.told(&change("/preferences/maximum_video_tracks", json!(1))).await,
        "several video tracks"
    ));
    assert!(declines(&server.told(&change("/preferences/maximum_aggregate_bitrate", json!(200))).await, "bandwidth"));
    assert!(declines(&server.told(&change("/preferences/canvases", json!([]))).await, "output resolution"));
    assert!(declines(&server.told(&change("/client/supported_codecs", json!(["av1"]))).await, "H.264"));
    assert!(declines(&server.told(&change("/service", json!("Twitch"))).await, "must be IVS"));
}

#[tokio::test]
async fn only_a_peer_that_is_here_for_sure_is_sent_to_rtmp_without_tls() {
    let server = server().await;
    let body = obs(&server.multitrack_key("ALLOW").await).to_string();
    for (peer, headers, expected) in [
        (HERE, &[][..], &["RTMPS", "RTMP"][..]),
        (ELSEWHERE, &[], &["RTMPS"]),
        (HERE, &[("x-forwarded-for", "127.0.0.1")], &["RTMPS"]),
        (HERE, &[("forwarded", "for=127.0.0.1")], &["RTMPS"]),
    ] {
        let told = server.asks(peer, headers, body.clone()).await.json();
        assert_eq!(texts(&told["ingest_endpoints"], "protocol"), expected, "{peer} {headers:?}");
    }
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_never_sent_back() {
    let server = server().await;
    let secret = "sk_us-east-1_notjson";
    for body in [
        "",
        "[]",
        "null",
        secret,
        &format!(r#"{{"service": "IVS", "authentication": ["{secret}"]}}"#),
        &format!(r#"{{"service": "IVS", "authentication": "{secret}", "client": "{secret}"}}"#),
        r#"{"service": "IVS", "preferences": {"width": -1}}"#,
        r#"{"service": "IVS", "preferences": {"width": 99999999999}}"#,
        &"[".repeat(30_000),
    ] {
        let answer = server.asks(HERE, &[], body.to_owned()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body:.60}: {answer:?}");
        assert!(!answer.text.contains(secret) && answer.json()["status"]["result"] == "error");
    }
    let large = format!(r#"{{"service": "IVS", "x": "{}"}}"#, "x".repeat(40_000));
    assert_eq!(server.asks(HERE, &[], large).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let get = Request::get(PATH).body(Body::empty()).unwrap();
    let response = router(server.control().clone()).oneshot(get).await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert!(!logged().contains(secret));
}

#[tokio::test]
async fn those_who_send_slowly_keep_nobody_out_until_there_are_very_many() {
    let server = server().await;
    let body = obs(&server.multitrack_key("ALLOW").await).to_string();
    let router = router(server.control().clone());
    let ask = |body: Body| router.clone().oneshot(Request::post(PATH).body(body).unwrap());
    let mut waiting = Vec::new();
    let mut add_silent = async || {
        let (sender, body) = tokio::io::duplex(1);
        let mut silent = Box::pin(ask(Body::from_stream(ReaderStream::new(body))));
        tokio::select! {
            biased;
            _ = &mut silent => panic!("nothing has come that could be answered"),
            () = std::future::ready(()) => waiting.push((sender, silent)),
        }
    };
    for _ in 0..1_000 {
        add_silent().await;
    }
    assert_eq!(ask(body.clone().into()).await.unwrap().status(), StatusCode::OK);
    for _ in 1_000..REQUESTS_MAX {
        add_silent().await;
    }
    assert_eq!(ask(body.clone().into()).await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(waiting);
    assert_eq!(ask(body.into()).await.unwrap().status(), StatusCode::OK);
}
