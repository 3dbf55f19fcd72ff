//! From one ffmpeg to another: RTMP in, HLS out over real HTTP, every picture and block of sound counted.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod support;

use headwater_edge::{Channels, State, router};
use headwater_ingest::{Directory, Limits, serve_rtmp};
use headwater_live::{Hub, Journal, Options};
use headwater_model::ivs::Channel;
use headwater_model::{Realm, Timestamp};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use support::Site;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(40);

/// Runs it to its end and gives what it wrote.
async fn run(program: &str, arguments: &[&str]) -> String {
    let child = Command::new(program).args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, child).await.expect("in time").expect("it is installed");
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn publish(url: &str) {
    let arguments = "-hide_banner -loglevel error -nostdin -re -f lavfi -i testsrc2=size=320x180:rate=30 \
                     -f lavfi -i sine=frequency=440:sample_rate=48000 -t 8 -c:v libx264 -preset ultrafast -bf 0 \
                     -pix_fmt yuv420p -g 60 -c:a aac -b:a 64k -f flv";
    let mut arguments: Vec<_> = arguments.split_whitespace().collect();
    arguments.push(url);
    run("ffmpeg", &arguments).await;
}

/// Watches from the multivariant playlist on, to the end, and counts packets of either kind.
async fn watch(hub: &Hub, channel_id: &str, master: &str) -> (usize, usize) {
    let began = tokio::time::Instant::now();
    while hub.stream(channel_id).is_none() {
        assert!(began.elapsed() < PATIENCE, "the stream starts");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let arguments =
        ["-v", "error", "-live_start_index", "0", "-show_entries", "packet=codec_type", "-of", "csv=p=0", master];
    let packets = run("ffprobe", &arguments).await;
    let count = |kind: &str| packets.lines().filter(|line| line.starts_with(kind)).count();
    (count("video"), count("audio"))
}

#[tokio::test]
async fn a_viewer_gets_every_picture_that_was_published() {
    let site = Arc::new(Site(Channel::new(&Realm::default(), "test", Timestamp(0))));
    let hub = Hub::new(Options::default(), Arc::clone(&site) as Arc<dyn Journal>);
    let (rtmp, web) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let (publish_at, watch_at) = (rtmp.local_addr().unwrap(), web.local_addr().unwrap());
    let mut servers = JoinSet::new();
    let directory = Arc::clone(&site) as Arc<dyn Directory>;
    servers.spawn(serve_rtmp(rtmp, directory, hub.clone(), Limits::default(), CancellationToken::new()));
    let state = State::new(hub.clone(), Arc::clone(&site) as Arc<dyn Channels>, Realm::default());
    servers.spawn(async move { axum::serve(web, router(state)).await.unwrap() });
    let id = &site.0.id;
    let master = format!("http://{watch_at}/api/video/v1/us-east-1.000000000000.channel.{id}.m3u8");
    let to = format!("rtmp://{publish_at}/app/key");
    let ((video, audio), ()) = tokio::join!(watch(&hub, id, &master), publish(&to));
    assert_eq!(video, 240);
    // 8 s of 48 kHz in blocks of 1024 samples, and the encoder's first block.
    assert!((374..=376).contains(&audio), "{audio}");
}
