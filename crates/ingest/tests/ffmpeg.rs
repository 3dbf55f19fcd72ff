//! ffmpeg publishes for real, in the clear and within TLS; what viewers would get is counted against the file that the same run wrote.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod support;

use headwater_ingest::ca::LocalCa;
use headwater_ingest::{Directory, Limits, TlsConnection, serve_tls};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use support::{PATIENCE, Served, count_samples, eventually};
use tokio::net::TcpListener;
use tokio::process::Command;

/// Six seconds of test picture and tone, to the server and to a file at once, as fast as it goes.
async fn publish(url: &str, file: &Path, encoder: &[&str]) {
    let outputs = format!("[f=flv]{}|[f=flv]{url}", file.display());
    let child = Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "error", "-nostdin"])
        .args([
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=320x180:rate=30",
            "-f",
            "lavfi",
            "-i",
            "sine=frequency=440:sample_rate=48000",
        ])
        .args([
            "-t",
            "6",
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-pix_fmt",
            "yuv420p",
            "-g",
            "60",
            "-keyint_min",
            "60",
        ])
        .args(encoder)
        .args([
            "-c:a",
            "aac",
            "-b:a",
            "64k",
            "-map",
            "0:v",
            "-map",
            "1:a",
            "-flags",
            "+global_header",
            "-f",
            "tee",
            &outputs,
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, child).await.expect("ffmpeg in time").expect("ffmpeg is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Access units of an FLV file: pictures and blocks of audio.
fn access_units(file: &Path) -> (usize, usize) {
    let bytes = std::fs::read(file).unwrap();
    let (mut video, mut audio, mut at) = (0, 0, 13);
    while at + 11 < bytes.len() {
        let length = u32::from_be_bytes([0, bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize;
        match (bytes[at], bytes[at + 12]) {
            (9, 1) => video += 1,
            (8, 1) => audio += 1,
            _ => {}
        }
        at += 11 + length + 4;
    }
    (video, audio)
}

/// `tail`: blocks of sound that may be missing at the very end, where the packager ends with the last picture's decode time.
async fn all_of_it_arrives(served: &Served, url: String, encoder: &[&str], tail: usize) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sent.flv");
    let epoch = async { served.snapshot(|_| true).await.epoch().to_owned() };
    let (epoch, ()) = tokio::join!(epoch, publish(&url, &file, encoder));
    let stream = served.hub.stream_by_epoch(&epoch).expect("it lingers after its end");
    let mut watch = stream.watch.clone();
    let ended = tokio::time::timeout(PATIENCE, watch.wait_for(|snapshot| snapshot.ended())).await;
    let counts = count_samples(&ended.expect("in time").expect("an end"));
    let (video, audio) = access_units(&file);
    assert_eq!(video, 180);
    assert_eq!(counts["vide"], video);
    assert!((audio - tail..=audio).contains(&counts["soun"]), "{} of {audio} blocks of sound", counts["soun"]);
    eventually(|| (served.journal.names() == ["created", "start", "end", "ended"]).then_some(())).await;
}

#[tokio::test]
async fn ffmpeg_publishes_in_the_clear() {
    let mut served = Served::new();
    let address = served.rtmp(Limits::default()).await;
    all_of_it_arrives(&served, format!("rtmp://{address}/app/{}", served.key()), &["-bf", "0"], 0).await;
}

#[tokio::test]
async fn ffmpeg_publishes_b_frames_with_a_query_on_the_key() {
    let mut served = Served::new();
    let address = served.rtmp(Limits::default()).await;
    let url = format!("rtmp://{address}/app/{}?priority=1", served.key());
    all_of_it_arrives(&served, url, &["-bf", "2", "-b_strategy", "0"], 4).await;
}

async fn no_http(_: TlsConnection, _: SocketAddr) {
    panic!("ffmpeg speaks RTMP here");
}

#[tokio::test]
async fn ffmpeg_publishes_within_tls() {
    let mut served = Served::new();
    let folder = tempfile::tempdir().unwrap();
    let ca = LocalCa::load_or_create(folder.path(), &[]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let directory = Arc::clone(&served.directory) as Arc<dyn Directory>;
    let (hub, cancel) = (served.hub.clone(), served.cancel.clone());
    let config = ca.server_config().unwrap();
    served.tasks.spawn(serve_tls(listener, config, directory, hub, Limits::default(), cancel, no_http));
    all_of_it_arrives(&served, format!("rtmps://localhost:{port}/app/{}", served.key()), &["-bf", "0"], 0).await;
}

#[tokio::test]
async fn ffmpeg_with_a_wrong_key_fails_and_says_so() {
    let mut served = Served::new();
    let address = served.rtmp(Limits::default()).await;
    let child = Command::new("ffmpeg")
        .args([
            "-hide_banner",
            "-loglevel",
            "warning",
            "-nostdin",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=64x64:rate=5",
            "-t",
            "1",
        ])
        .args(["-c:v", "libx264", "-f", "flv", &format!("rtmp://{address}/app/wrong")])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, child).await.expect("ffmpeg in time").expect("ffmpeg is installed");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("wrong stream key"), "{said}");
    assert!(served.journal.names().is_empty());
}
