//! From `PutMetadata` to the part that holds the cue.

use crate::api::{Api, Caller, Channel};
use crate::server::Server;
use crate::{ms, percentile};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::json;
use std::time::{Duration, Instant};

/// Channels that are watched while all are live.
const WATCHED: usize = 8;
/// Between two cues of a channel, so that their calls fall on all places within a part.
const PAUSE: Duration = Duration::from_millis(433);

pub async fn run(server: &Server, api: &Api, channels: &[Channel], window: Duration) {
    let mut viewers = tokio::task::JoinSet::new();
    for channel in channels.iter().take(WATCHED) {
        viewers.spawn(watch(server.web_port, api.clone(), channel.clone(), Instant::now() + window));
    }
    let seen = viewers.join_all().await;
    let mut answered: Vec<f64> = seen.iter().flatten().map(|(answered, _)| *answered).collect();
    let mut fetched: Vec<f64> = seen.iter().flatten().map(|(_, fetched)| *fetched).collect();
    println!(
        "\n| live streams | cues | call answered p50 ms | p99 ms | call → cue in a part p50 ms | p95 ms |\n|-|-|-|-|-|-|"
    );
    println!(
        "| {} | {} | {:.2} | {:.2} | {:.0} | {:.0} |",
        channels.len(),
        fetched.len(),
        percentile(&mut answered, 0.5),
        percentile(&mut answered, 0.99),
        percentile(&mut fetched, 0.5),
        percentile(&mut fetched, 0.95),
    );
}

/// Puts cue after cue and follows the live edge until each has come; ms to the call's answer and to the part.
async fn watch(port: u16, api: Api, channel: Channel, until: Instant) -> Vec<(f64, f64)> {
    let mut caller = Caller::open(&api).await;
    let mut viewer = Viewer::open(port, &channel.playback_path).await;
    viewer.new_parts().await;
    let mut seen = Vec::new();
    for n in 0.. {
        if Instant::now() > until {
            break;
        }
        let payload = format!("cue-{n}-of-{}", channel.arn);
        let input = json!({"channelArn": channel.arn, "metadata": payload}).to_string();
        let sent = Instant::now();
        let (status, text) = caller.ivs("PutMetadata", &input).await;
        let answered = sent.elapsed();
        assert!(status < 300, "{text}");
        let fetched = viewer.until_part_with(payload.as_bytes()).await - sent;
        seen.push((ms(answered), ms(fetched)));
        let pause = PAUSE.saturating_sub(sent.elapsed());
        tokio::time::sleep(pause).await;
        // What has come meanwhile holds no cue.
        viewer.new_parts().await;
    }
    seen
}

/// A viewer that follows the live edge with blocking reloads.
struct Viewer {
    http: Client<HttpConnector, Empty<Bytes>>,
    base: String,
    /// Path of the media playlist.
    media: String,
    query: String,
    newest: Option<String>,
}

impl Viewer {
    async fn open(port: u16, playback_path: &str) -> Viewer {
        let http = Client::builder(TokioExecutor::new()).build_http();
        let base = format!("http://127.0.0.1:{port}");
        let mut viewer = Viewer { http, base, media: playback_path.into(), query: String::new(), newest: None };
        let master = viewer.fetch(playback_path).await;
        let master = std::str::from_utf8(&master).unwrap();
        let uri = master.lines().find(|line| !line.starts_with('#') && !line.is_empty()).unwrap();
        viewer.media = viewer.absolute(uri);
        viewer
    }

    async fn fetch(&self, path: &str) -> Bytes {
        let answer = self.http.get(format!("{}{path}", self.base).parse().unwrap()).await.unwrap();
        assert!(answer.status().is_success(), "{} for {path}", answer.status());
        answer.into_body().collect().await.unwrap().to_bytes()
    }

    fn absolute(&self, uri: &str) -> String {
        if let Some((_, rest)) = uri.split_once("://") {
            return format!("/{}", rest.split_once('/').unwrap().1);
        }
        if uri.starts_with('/') {
            return uri.into();
        }
        format!("{}/{uri}", self.media.split('?').next().unwrap().rsplit_once('/').unwrap().0)
    }

    /// Paths of the parts that came since the last time; waits for one.
    async fn new_parts(&mut self) -> Vec<String> {
        let text = self.fetch(&format!("{}{}", self.media, self.query)).await;
        let text = std::str::from_utf8(&text).unwrap();
        let parts = text.lines().filter(|line| line.starts_with("#EXT-X-PART:"));
        let parts: Vec<String> = parts.map(|line| self.absolute(attribute(line, "URI").unwrap())).collect();
        let known = self.newest.as_ref().and_then(|newest| parts.iter().position(|part| part == newest));
        self.query = next(text);
        self.newest = parts.last().cloned();
        parts[known.map_or(0, |at| at + 1)..].to_vec()
    }

    /// When the last byte of the part with this payload had come.
    async fn until_part_with(&mut self, payload: &[u8]) -> Instant {
        loop {
            for part in self.new_parts().await {
                let bytes = self.fetch(&part).await;
                let now = Instant::now();
                if bytes.windows(payload.len()).any(|window| window == payload) {
                    return now;
                }
            }
        }
    }
}

fn attribute<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split_once(&format!("{name}=\""))?.1.split('"').next()
}

/// What waits for the part after the last one of a playlist, behind the viewer's name in the query.
fn next(text: &str) -> String {
    let sequence: u64 =
        text.lines().find_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:")).unwrap().parse().unwrap();
    let whole = text.lines().filter(|line| line.starts_with("#EXTINF:")).count() as u64;
    let tail = text.rsplit("#EXTINF:").next().unwrap_or(text);
    let open = tail.lines().filter(|line| line.starts_with("#EXT-X-PART:")).count();
    format!("&_HLS_msn={}&_HLS_part={open}", sequence + whole)
}
