//! `cargo bench --package headwater --bench gateway`: signed calls against the release binary, over loopback.
//!
//! | figure | how |
//! |---|---|
//! | calls a second | signed calls one after the other on so many connections; each is signed anew |
//! | CPU µs a call, calls a core | user and system time of the server process (`/proc/PID/stat`) over the window, by calls, and its inverse |
//! | call → cue in a part | from the sending of `PutMetadata` until a viewer with blocking reloads has the last byte of the part that holds the payload |
//!
//! Publishers, callers and viewers run in this process and share the machine with the server. `BENCH_SECONDS` (10) and
//! `BENCH_STREAMS` (100) change the load, `HEADWATER_BINARY` the server that is measured. It needs ffmpeg to make its clip.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on may panic")]

mod api;
mod cues;
mod encoders;
#[path = "../support/flv.rs"]
mod flv;
mod server;

use api::{Api, Caller};
use server::Server;
use std::time::{Duration, Instant};

/// Streams settle for so long before anything is measured.
const SETTLE: Duration = Duration::from_secs(6);
/// Connections that call at the same time.
const CONNECTIONS: [usize; 3] = [1, 4, 16];

fn main() {
    // `cargo test --benches` runs this with --test: then it only has to be there.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let window = Duration::from_secs(setting("BENCH_SECONDS", "10").parse().unwrap());
    let streams: usize = setting("BENCH_STREAMS", "100").parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let clip = encoders::Clip::make(folder.path());
    let server = Server::start(folder.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run(&server, clip, streams, window));
}

fn setting(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.into())
}

async fn run(server: &Server, clip: encoders::Clip, streams: usize, window: Duration) {
    let api = Api::new(server);
    let mut channels = Vec::new();
    let mut owner = Caller::open(&api).await;
    for n in 0..streams {
        channels.push(owner.create_channel(&format!("bench{n}")).await);
    }
    let mut publishers = tokio::task::JoinSet::new();
    publishers.spawn(encoders::publish(server.rtmp_port, channels[0].key.clone(), clip.clone(), Duration::ZERO));
    tokio::time::sleep(SETTLE).await;
    println!(
        "\n| signed call | connections | calls a second | p50 ms | p99 ms | CPU µs a call | calls a core |\n|-|-|-|-|-|-|-|"
    );
    for connections in CONNECTIONS {
        call("GetStream", server, &api, connections, window, &channels[0].arn).await;
    }
    let user = owner.create_user().await;
    let narrow = Api { signer: user, ..api.clone() };
    call("GetStream, a user with two policies", server, &narrow, 4, window, &channels[0].arn).await;
    for (n, channel) in channels.iter().enumerate().skip(1) {
        // Encoders do not beat in step.
        let offset = Duration::from_millis((n as u64 * 37) % 1000);
        publishers.spawn(encoders::publish(server.rtmp_port, channel.key.clone(), clip.clone(), offset));
    }
    tokio::time::sleep(SETTLE).await;
    cues::run(server, &api, &channels, window).await;
    assert!(publishers.try_join_next().is_none(), "an encoder left");
    publishers.abort_all();
}

/// Calls `GetStream` for so long and prints a row.
async fn call(name: &str, server: &Server, api: &Api, connections: usize, window: Duration, arn: &str) {
    let body = serde_json::json!({ "channelArn": arn }).to_string();
    let (cpu, began) = (server.cpu(), Instant::now());
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let (api, body) = (api.clone(), body.clone());
        callers.spawn(async move {
            let mut caller = Caller::open(&api).await;
            let mut took = Vec::new();
            while began.elapsed() < window {
                let sent = Instant::now();
                let (status, text) = caller.ivs("GetStream", &body).await;
                took.push(ms(sent.elapsed()));
                assert_eq!(status, 200, "{text}");
            }
            took
        });
    }
    let mut took: Vec<f64> = callers.join_all().await.concat();
    let (cpu, lasted, calls) = (server.cpu() - cpu, began.elapsed(), took.len() as f64);
    let cpu_us = cpu.as_secs_f64() * 1e6 / calls;
    println!(
        "| {name} | {connections} | {:.0} | {:.2} | {:.2} | {cpu_us:.0} | {:.0} |",
        calls / lasted.as_secs_f64(),
        percentile(&mut took, 0.5),
        percentile(&mut took, 0.99),
        1e6 / cpu_us,
    );
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (values.len() as f64 * share).ceil() as usize;
    values.get(at.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}
