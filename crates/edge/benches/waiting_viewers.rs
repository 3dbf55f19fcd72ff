//! Thousands of viewers that wait for each part of one stream: how late they get it, what it costs.
//!
//! `cargo bench -p headwater-edge`, or with `-- VIEWERS SECONDS` for one run. One stream, 30 pictures a second, 2.5 Mb/s, parts of the `LOW`
//! mode. Each viewer asks for the next part's playlist, which blocks, then for that part. Viewers call the router within the process:
//! no sockets, no HTTP parsing, so the figures are what waiting, waking, playlist text and bodies cost.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a bench that fails may panic; it measures time")]

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use headwater_edge::{Channels, State, router};
use headwater_hls::Position;
use headwater_live::{Hub, Input, Journal, JournalError, Options, Publish, SessionEvent};
use headwater_media::{AccessUnit, Keyframe, TrackKind, flv};
use headwater_model::ivs::Channel;
use headwater_model::{Realm, Timestamp};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

const PICTURE_BYTES: usize = 2_500_000 / 8 / 30;
const AVC_CONFIG: [u8; 44] = [
    0x17, 0x00, 0x00, 0x00, 0x00, 0x01, 0x42, 0xd0, 0x0b, 0xff, 0xe1, 0x00, 0x18, 0x67, 0x42, 0xd0, 0x0b, 0xda, 0x0a,
    0x37, 0xe4, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0x78, 0x3c, 0x48, 0x9a, 0x80, 0x01,
    0x00, 0x04, 0x68, 0xce, 0x3c, 0x80,
];

struct NoJournal;

#[async_trait]
impl Journal for NoJournal {
    async fn record(&self, _: SessionEvent) -> Result<(), JournalError> {
        Ok(())
    }
}

struct One(Channel);

#[async_trait]
impl Channels for One {
    async fn channel(&self, id: &str) -> Option<Channel> {
        (id == self.0.id).then(|| self.0.clone())
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let runs = match (arguments.next(), arguments.next()) {
        (Some(viewers), seconds) => vec![(viewers, seconds.unwrap_or(10))],
        _ => vec![(1, 6), (1_000, 8), (5_000, 8)],
    };
    println!(
        "| viewers | parts got | 503 or worse | late p50 ms | late p99 ms | CPU ms a viewer-minute | KB a viewer |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (viewers, seconds) in runs {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(run(viewers, Duration::from_secs(seconds as u64)));
    }
}

async fn run(viewers: usize, lasts: Duration) {
    let realm = Realm::default();
    let channel = Channel::new(&realm, "bench", Timestamp(0));
    let hub = Hub::new(Options::default(), Arc::new(NoJournal));
    let router = router(State::new(hub.clone(), Arc::new(One(channel.clone())), realm));
    let feed = tokio::spawn(feed(hub.clone(), channel.clone()));
    let stream = loop {
        if let Some(stream) = hub.stream(&channel.id) {
            break stream;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let (cpu_before, memory_before) = (cpu(), resident_bytes());
    let began = Instant::now();
    let seen = tokio::spawn(observe(stream.watch.clone(), began + lasts));
    let mut tasks = JoinSet::new();
    for _ in 0..viewers {
        let (router, base) = (router.clone(), format!("/media/{}/{}", stream.epoch, stream.snapshot().rendition()));
        let (watch, until) = (stream.watch.clone(), began + lasts);
        tasks.spawn(async move {
            let (mut parts, mut failed) = (Vec::new(), 0usize);
            let mut next = watch.borrow().next();
            while Instant::now() < until {
                let reload = format!("{base}/media.m3u8?_HLS_msn={}&_HLS_part={}", next.msn, next.part);
                let Some(text) = get(&router, &reload).await else {
                    failed += 1;
                    continue;
                };
                let Some(part) = last_part(&text) else {
                    failed += 1;
                    continue;
                };
                let file = format!("{base}/s{}.p{}.m4s", part.msn, part.part);
                failed += usize::from(get(&router, &file).await.is_none());
                parts.push((part, Instant::now()));
                next = Position { msn: part.msn, part: part.part + 1 };
            }
            (parts, failed)
        });
    }
    tokio::time::sleep(lasts / 2).await;
    let memory = resident_bytes().saturating_sub(memory_before) / viewers as u64 / 1024;
    let (mut got, mut failed) = (Vec::new(), 0);
    while let Some(ended) = tasks.join_next().await {
        let (parts, misses) = ended.unwrap();
        got.extend(parts);
        failed += misses;
    }
    let minutes = began.elapsed().as_secs_f64() / 60.0 * viewers as f64;
    let cpu_ms = (cpu() - cpu_before).as_secs_f64() * 1000.0 / minutes;
    feed.abort();
    let seen = seen.await.unwrap();
    let mut late: Vec<_> =
        got.iter().filter_map(|(part, at)| Some(at.saturating_duration_since(*seen.get(part)?))).collect();
    late.sort_unstable();
    let at = |quantile: f64| late[((late.len() - 1) as f64 * quantile) as usize].as_secs_f64() * 1000.0;
    let (p50, p99, got) = (at(0.5), at(0.99), got.len());
    println!("| {viewers} | {got} | {failed} | {p50:.1} | {p99:.1} | {cpu_ms:.1} | {memory} |");
}

/// When each part could first be seen. Its own wake-up is late like the others', by less than the first of them.
async fn observe(
    mut watch: tokio::sync::watch::Receiver<Arc<headwater_hls::Snapshot>>,
    until: Instant,
) -> HashMap<Position, Instant> {
    let mut seen = HashMap::new();
    while Instant::now() < until && watch.changed().await.is_ok() {
        let snapshot = watch.borrow_and_update().clone();
        if let Some(last) = snapshot.last() {
            seen.entry(last).or_insert_with(Instant::now);
        }
    }
    seen
}

/// Plays in real time until it is aborted.
async fn feed(hub: Hub, channel: Channel) {
    let publisher = hub.publish(Publish::new(channel, "bench")).await.unwrap();
    for unit in flv::Demuxer::new().video(0, Bytes::from_static(&AVC_CONFIG)).unwrap() {
        publisher.send(Input::from_flv(unit).unwrap()).await.unwrap();
    }
    let mut clock = tokio::time::interval(Duration::from_nanos(1_000_000_000 / 30));
    for picture in 0i64.. {
        // The first three seconds at once: a stream starts with its first segment.
        if picture > 90 {
            clock.tick().await;
        }
        let keyframe = picture % 60 == 0;
        let mut data = Vec::with_capacity(PICTURE_BYTES);
        data.extend_from_slice(&(PICTURE_BYTES as u32 - 4).to_be_bytes());
        data.push(if keyframe { 0x65 } else { 0x41 });
        data.resize(PICTURE_BYTES, 7);
        let unit = AccessUnit {
            kind: TrackKind::Video,
            dts: picture * 3_000,
            pts: picture * 3_000,
            keyframe: if keyframe { Keyframe::Yes } else { Keyframe::No },
            data: data.into(),
        };
        if publisher.send(Input::Unit(unit)).await.is_err() {
            return;
        }
    }
}

async fn get(router: &Router, uri: &str) -> Option<Bytes> {
    let request = Request::get(uri).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
    if response.status() != StatusCode::OK {
        return None;
    }
    Some(response.into_body().collect().await.unwrap().to_bytes())
}

fn last_part(playlist: &[u8]) -> Option<Position> {
    let text = std::str::from_utf8(playlist).ok()?;
    let line = text.lines().rfind(|line| line.starts_with("#EXT-X-PART:"))?;
    let name = line.split("URI=\"s").nth(1)?.split(".m4s").next()?;
    let (msn, part) = name.split_once(".p")?;
    Some(Position { msn: msn.parse().ok()?, part: part.parse().ok()? })
}

/// User and system time of this process.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // Fields 14 and 15 of proc(5), in ticks of 10 ms; the name and what is before it were cut off.
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096
}
