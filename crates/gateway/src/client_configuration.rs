//! `POST /api/v3/GetClientConfiguration` on the viewers' listener, where encoders are that come from outside: JSON in and out, not
//! signed. Source: IVS "Broadcast Software Integration API Reference"; OBS Studio, `frontend/utility/models/multitrack-video.hpp`.
//!
//! *Errors*: whoever sits at the encoder is told what to do in `status.html_en_us`, and OBS reads an answer of 200 only; so a
//! request that was understood is answered with 200, also if there is nothing to configure. 400, 413, 408, 500 and 503 are for programs.
//!
//! *Guesses*: a stream key has 142 bits and is looked up by its hash, so guessing finds none and learns nothing; the bounds below
//! keep guesses from taking the store's time, and those who send slowly from taking the places of others. What is shown as a key is
//! never logged or sent back.

use crate::ServiceError;
use crate::http::read_within;
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::response::Response;
use axum::routing::post;
use headwater_control::Control;
use headwater_control::ivs::client_configuration::{
    Configuration, Declined, Endpoint, FrameRate, Gpu, Machine, Preferences, Request as Asked, Rung, VideoEncoder,
};
use headwater_control::ivs::get_client_configuration;
use headwater_model::ivs::MaximumResolution;
use headwater_model::{Secret, Timestamp};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, FORWARDED, VIA};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// The path, as IVS' service has it.
pub const PATH: &str = "/api/v3/GetClientConfiguration";

/// Largest request. OBS sends 2 KB, and 1 KB for each screen of names of encoders.
const BODY_BYTES_MAX: usize = 32 << 10;
/// How long a request may take to arrive: OBS itself waits 5 s for the answer.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// Requests at once, most of which are still being read: 64 MB at [`BODY_BYTES_MAX`] each. One more is answered with 503.
pub(crate) const REQUESTS_MAX: usize = 2_048;
/// Of them, those that the store is asked for at once. The others wait for that: a moment, since it is asked for three records.
const ASKING_MAX: usize = 32;
/// Seconds between keyframes.
const KEYFRAME_SECONDS: u32 = 2;
/// Version of requests and answers; IVS documents the first, OBS 31 and later speak the second.
const SCHEMA_VERSIONS: [&str; 2] = ["2024-06-04", "2025-01-25"];
/// The only service that is spoken for.
const SERVICE: &str = "IVS";

#[derive(Clone)]
struct Shared {
    control: Control,
    places: Arc<Semaphore>,
    asking: Arc<Semaphore>,
}

/// The route.
pub fn router(control: Control) -> Router {
    let [places, asking] = [REQUESTS_MAX, ASKING_MAX].map(|count| Arc::new(Semaphore::new(count)));
    let shared = Shared { control, places, asking };
    Router::new().route(PATH, post(answer)).with_state(shared)
}

async fn answer(State(shared): State<Shared>, request: Request<Body>) -> Response {
    let Ok(_place) = shared.places.try_acquire() else {
        return respond(StatusCode::SERVICE_UNAVAILABLE, refusal(None, "The server is busy. Try again in a moment."));
    };
    let peer = peer(&request);
    let body = match read_within(request.into_body(), BODY_BYTES_MAX, BODY_TIMEOUT).await {
        Ok(body) => body,
        Err(ServiceError { status, message, .. }) => return respond(status, refusal(None, &message)),
    };
    let (version, asked) = match read(&body) {
        Ok(read) => read,
        Err((status, refusal)) => return respond(status, refusal),
    };
    let _turn = shared.asking.acquire().await.expect("the semaphore is never closed");
    match get_client_configuration(&shared.control, &asked, peer, Timestamp::now()).await {
        Ok(configuration) => respond(StatusCode::OK, configured(version, &configuration)),
        Err(declined @ Declined::Failed(_)) => {
            tracing::error!(error = &declined as &dyn std::error::Error, "a client configuration could not be made");
            respond(StatusCode::INTERNAL_SERVER_ERROR, refusal(version, &declined.to_string()))
        }
        Err(declined) => {
            tracing::warn!(?peer, reason = %declined, "an encoder is not configured");
            respond(StatusCode::OK, refusal(version, &declined.to_string()))
        }
    }
}

/// What is asked for, and in which version of the schema; or the answer to what is none.
pub(crate) fn read(body: &[u8]) -> Result<(Option<String>, Asked), (StatusCode, Value)> {
    // The error's text may quote the request, and with it the key.
    let Ok(wire) = serde_json::from_slice::<Wire>(body) else {
        let text = "The request is not JSON of the documented form.";
        return Err((StatusCode::BAD_REQUEST, refusal(None, text)));
    };
    let version = wire.schema_version.clone();
    if wire.service.as_deref() != Some(SERVICE) {
        return Err((StatusCode::OK, refusal(version, "The member service of the request must be IVS.")));
    }
    Ok((version, wire.into()))
}

/// The encoder's own address: not told by a proxy, whose headers anybody may write.
fn peer(request: &Request<Body>) -> Option<IpAddr> {
    let proxied = |headers: &HeaderMap| {
        let names = [FORWARDED, VIA, HeaderName::from_static("x-forwarded-for"), HeaderName::from_static("x-real-ip")];
        names.iter().any(|name| headers.contains_key(name))
    };
    let ConnectInfo(peer) = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
    (!proxied(request.headers())).then(|| peer.ip())
}

fn respond(status: StatusCode, body: Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

// What comes in. Members that are not read are passed over, and so are wishes that this server has no answer to.

#[derive(Deserialize)]
struct Wire {
    service: Option<String>,
    schema_version: Option<String>,
    authentication: Option<Secret>,
    #[serde(default)]
    client: WireClient,
    #[serde(default)]
    capabilities: WireCapabilities,
    #[serde(default)]
    preferences: WirePreferences,
}

#[derive(Default, Deserialize)]
struct WireClient {
    supported_codecs: Option<Vec<String>>,
    supported_encoders: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
struct WireCapabilities {
    cpu: Option<WireCpu>,
    gpu: Option<Vec<WireGpu>>,
    system: Option<WireSystem>,
}

#[derive(Deserialize)]
struct WireCpu {
    logical_cores: Option<i64>,
}

#[derive(Deserialize)]
struct WireGpu {
    vendor_id: Option<u32>,
    driver_version: Option<String>,
}

#[derive(Deserialize)]
struct WireSystem {
    name: Option<String>,
    release: Option<String>,
    arm: Option<bool>,
}

/// The picture stands in `canvases` since schema 2025-01-25, the first being the main one; before that beside the rest.
#[derive(Default, Deserialize)]
struct WirePreferences {
    width: Option<u32>,
    height: Option<u32>,
    framerate: Option<WireRate>,
    canvases: Option<Vec<WireCanvas>>,
    composition_gpu_index: Option<usize>,
    maximum_aggregate_bitrate: Option<u64>,
    maximum_streaming_bandwidth: Option<u64>,
    maximum_video_tracks: Option<u32>,
    maximum_resolution: Option<String>,
    vod_track_audio: Option<bool>,
    audio_channels: Option<u32>,
}

#[derive(Deserialize)]
struct WireCanvas {
    width: u32,
    height: u32,
    framerate: WireRate,
}

#[derive(Clone, Copy, Deserialize)]
struct WireRate {
    numerator: u32,
    denominator: u32,
}

impl From<Wire> for Asked {
    fn from(wire: Wire) -> Self {
        let Wire { authentication, client, capabilities, preferences, .. } = wire;
        let WireCapabilities { cpu, gpu: gpus, system } = capabilities;
        let (system, is_arm) = system.map_or_else(Default::default, |system| {
            // Of Linux, OBS tells the distribution's name and the kernel's beside it.
            let names = [system.name, system.release].map(Option::unwrap_or_default).join(" ");
            (names, system.arm.unwrap_or(false))
        });
        let gpu = |gpu: WireGpu| Gpu {
            vendor_id: gpu.vendor_id.unwrap_or(0),
            driver_version: gpu.driver_version.unwrap_or_default(),
        };
        let main = preferences.canvases.as_ref().and_then(|canvases| canvases.first());
        let size = match main {
            Some(canvas) => Some((canvas.width, canvas.height)),
            None => preferences.width.zip(preferences.height),
        };
        let rate = main.map(|canvas| canvas.framerate).or(preferences.framerate);
        let bandwidths = [preferences.maximum_aggregate_bitrate, preferences.maximum_streaming_bandwidth];
        Asked {
            authentication,
            machine: Machine {
                system,
                is_arm,
                logical_cores: cpu.and_then(|cpu| cpu.logical_cores).and_then(|cores| u32::try_from(cores).ok()),
                gpus: gpus.unwrap_or_default().into_iter().map(gpu).collect(),
                composition_gpu: preferences.composition_gpu_index,
                codecs: client.supported_codecs.unwrap_or_default(),
                encoders: client.supported_encoders,
            },
            preferences: Preferences {
                size,
                frame_rate: rate.map(|rate| FrameRate { numerator: rate.numerator, denominator: rate.denominator }),
                tracks_max: preferences.maximum_video_tracks,
                bandwidth_kbps_max: bandwidths.into_iter().flatten().min(),
                maximum_resolution: preferences.maximum_resolution.as_deref().and_then(resolution),
            },
            audio_channels: preferences.audio_channels,
            wants_vod_audio: preferences.vod_track_audio.unwrap_or(false),
        }
    }
}

fn resolution(name: &str) -> Option<MaximumResolution> {
    match name {
        "SD" => Some(MaximumResolution::Sd),
        "HD" => Some(MaximumResolution::Hd),
        "FULL_HD" => Some(MaximumResolution::FullHd),
        _ => None,
    }
}

// What goes out.

/// The version that the client speaks, if it is known; else the newest.
fn meta(version: Option<String>, config_id: &str) -> Value {
    let [.., newest] = SCHEMA_VERSIONS;
    let version = SCHEMA_VERSIONS.into_iter().find(|known| version.as_deref() == Some(known)).unwrap_or(newest);
    json!({"service": SERVICE, "schema_version": version, "config_id": config_id})
}

/// Nothing to send, and why. Clients show the text as HTML.
fn refusal(version: Option<String>, text: &str) -> Value {
    let html = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    json!({
        "meta": meta(version, ""),
        "status": {"result": "error", "html_en_us": html},
        "ingest_endpoints": [],
        "encoder_configurations": [],
        "audio_configurations": {"live": []},
    })
}

pub(crate) fn configured(version: Option<String>, configuration: &Configuration) -> Value {
    let Configuration { id, encoder, tracks, audio: (kbps, channels), vod_audio, endpoints, authentication } =
        configuration;
    let endpoint = |endpoint: &Endpoint| {
        json!({
            "protocol": endpoint.protocol,
            "url_template": endpoint.url_template,
            "authentication": authentication.expose(),
        })
    };
    let sound =
        |track: u32| json!({"codec": "aac", "track_id": track, "channels": channels, "settings": {"bitrate": kbps}});
    let mut audio = json!({"live": [sound(1)]});
    if *vod_audio {
        audio["vod"] = json!([sound(2)]);
    }
    json!({
        "meta": meta(version, &id.to_string()),
        "status": {"result": "success"},
        "ingest_endpoints": endpoints.iter().map(endpoint).collect::<Vec<_>>(),
        "encoder_configurations": tracks.iter().map(|rung| video(*encoder, rung)).collect::<Vec<_>>(),
        "audio_configurations": audio,
    })
}

fn video(encoder: VideoEncoder, rung: &Rung) -> Value {
    let FrameRate { numerator, denominator } = rung.frame_rate;
    json!({
        "type": encoder.id(),
        "width": rung.width,
        "height": rung.height,
        "framerate": {"numerator": numerator, "denominator": denominator},
        "gpu_scale_type": "OBS_SCALE_BICUBIC",
        "colorspace": "VIDEO_CS_709",
        "range": "VIDEO_RANGE_PARTIAL",
        "format": "VIDEO_FORMAT_NV12",
        "canvas_index": 0,
        "settings": settings(encoder, rung.kbps),
    })
}

/// As each encoder names them. A constant bit rate, no reordered pictures, and keyframes nowhere but at the interval, so that those of
/// all tracks fall together.
fn settings(encoder: VideoEncoder, kbps: u32) -> Value {
    let mut settings = json!({
        "rate_control": "CBR",
        "bitrate": kbps,
        "keyint_sec": KEYFRAME_SECONDS,
        "bf": 0,
        "profile": "high",
    });
    let own = match encoder {
        // `preset2` and `psycho_aq` are the older names of `preset` and `adaptive_quantization`.
        VideoEncoder::Nvenc => json!({
            "preset": "p5", "preset2": "p5", "tune": "ll", "multipass": "qres", "lookahead": false,
            "adaptive_quantization": true, "psycho_aq": true,
        }),
        VideoEncoder::Amf => json!({"preset": "balanced"}),
        VideoEncoder::QuickSync => json!({"target_usage": "TU4", "bframes": 0, "latency": "low"}),
        VideoEncoder::VideoToolbox => json!({"bframes": false}),
        VideoEncoder::Vaapi => json!({}),
        VideoEncoder::X264 => json!({"preset": "veryfast", "tune": "zerolatency", "x264opts": "bframes=0 scenecut=0"}),
    };
    if let (Value::Object(settings), Value::Object(own)) = (&mut settings, own) {
        settings.extend(own);
    }
    settings
}
