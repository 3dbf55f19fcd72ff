//! A server with one channel, a real encoder's publisher, and what tests of ladders look at.

use super::support::Site;
use headwater_edge::{Channels, State, router};
use headwater_hls::lint::{Linter, ReadPlaylist, Severity, across, read};
use headwater_hls::{Delta, Snapshot, playlist};
use headwater_ingest::{Directory, Limits, serve_rtmp};
use headwater_live::ladder::{self, Encoder, Policy};
use headwater_live::{Asked, Hub, Journal, LiveStream, Options};
use headwater_model::ivs::{Channel, ChannelType};
use headwater_model::{Realm, Timestamp};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Longer than anything takes on a busy machine: four segments that are shot in slow motion, a third of the speed, are 24 s alone.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// x264, whether or not anybody watches.
pub fn always() -> ladder::Options {
    ladder::Options { demand: Policy::Always, ..on_demand() }
}

/// x264, for what somebody watches.
pub fn on_demand() -> ladder::Options {
    ladder::Options { encoder: Encoder::X264, ..ladder::Options::default() }
}

/// A server with one channel, and somebody who publishes.
pub struct Stage {
    pub hub: Hub,
    pub channel: Channel,
    pub channel_id: String,
    pub master: String,
    pub publish_to: String,
    _servers: JoinSet<()>,
}

impl Stage {
    /// Of a `STANDARD` channel.
    pub async fn new(ladder: ladder::Options) -> Stage {
        Stage::of(ChannelType::Standard, "", ladder).await
    }

    pub async fn of(channel_type: ChannelType, preset: &str, ladder: ladder::Options) -> Stage {
        let mut channel = Channel::new(&Realm::default(), "test", Timestamp(0));
        channel.channel_type = channel_type;
        channel.preset = preset.to_owned();
        let site = Arc::new(Site(channel));
        let options = Options { ladder, ..Options::default() };
        let hub = Hub::new(options, Arc::clone(&site) as Arc<dyn Journal>);
        let (rtmp, web) =
            (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let (publish_at, watch_at) = (rtmp.local_addr().unwrap(), web.local_addr().unwrap());
        let mut servers = JoinSet::new();
        let directory = Arc::clone(&site) as Arc<dyn Directory>;
        let serving = serve_rtmp(rtmp, directory, hub.clone(), Limits::default(), CancellationToken::new());
        servers.spawn(async move {
            serving.await;
        });
        let channels = Arc::clone(&site) as Arc<dyn Channels>;
        let state = State::new(hub.clone(), channels, Realm::default());
        servers.spawn(async move { axum::serve(web, router(state)).await.unwrap() });
        let channel_id = site.0.id.clone();
        Stage {
            hub,
            channel: site.0.clone(),
            master: format!("http://{watch_at}/api/video/v1/us-east-1.000000000000.channel.{channel_id}.m3u8"),
            channel_id,
            publish_to: format!("rtmp://{publish_at}/app/key"),
            _servers: servers,
        }
    }

    /// 640x480 with 30 pictures a second, a keyframe each second, for longer than any test waits.
    pub fn publish(&self) -> Child {
        self.publish_with(1, "testsrc2=size=640x480:rate=30", "-t 900 -c:v libx264 -preset ultrafast -bf 2 -g 30")
    }

    /// What ffmpeg makes of a test picture, with a tone. It is shot in slow motion, so that a busy machine has so many times the time for all.
    pub fn publish_with(&self, slower: u32, picture: &str, how: &str) -> Child {
        let rate = 1.0 / f64::from(slower);
        let arguments = format!(
            "-hide_banner -loglevel error -nostdin -readrate {rate} -f lavfi -i {picture} \
             -f lavfi -i sine=frequency=440:sample_rate=48000 {how} -pix_fmt yuv420p -c:a aac -b:a 64k -f flv"
        );
        let mut command = Command::new("ffmpeg");
        command.args(arguments.split_whitespace()).arg(&self.publish_to).stdin(Stdio::null()).kill_on_drop(true);
        command.spawn().expect("ffmpeg is installed")
    }

    /// Waits for a stream that is over, and that the hub need not know any more.
    pub async fn ended(&self, stream: &LiveStream, has_ended: impl Fn(&LiveStream) -> bool) {
        let began = Instant::now();
        while !has_ended(stream) {
            assert!(began.elapsed() < PATIENCE, "it ends");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn stream(&self, what: &str, enough: impl Fn(&LiveStream) -> bool) -> Arc<LiveStream> {
        let began = Instant::now();
        loop {
            if let Some(stream) = self.hub.stream(&self.channel_id).filter(|stream| enough(stream)) {
                return stream;
            }
            assert!(began.elapsed() < PATIENCE, "{what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The media playlists, the source's first. They are read at one moment.
pub fn texts(stream: &LiveStream) -> Vec<(String, String)> {
    let offer = stream.offer();
    let mut all = vec![stream.snapshot()];
    let made = offer.renditions.iter().filter_map(|rendition| rendition.watch());
    all.extend(made.map(|watch| watch.borrow().clone()));
    all.iter().map(|snapshot| (snapshot.rendition().to_owned(), playlist::media(snapshot, Delta::Full))).collect()
}

pub fn check(texts: &[(String, String)]) -> Vec<ReadPlaylist> {
    let pairs: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert_eq!(across(&pairs), [], "{texts:#?}");
    for (name, text) in texts {
        let mut findings = Linter::new().check(text);
        findings.retain(|finding| finding.severity == Severity::Error);
        assert_eq!(findings, [], "{name}: {text}");
    }
    texts.iter().map(|(_, text)| read(text).unwrap()).collect()
}

/// What a program says.
pub async fn run(program: &str, arguments: &[&str]) -> String {
    let child = Command::new(program).args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, child).await.expect("in time").expect("it is installed");
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The snapshots of a rendition that is made.
pub fn made(stream: &LiveStream, name: &str) -> watch::Receiver<Arc<Snapshot>> {
    match stream.rendition(name) {
        Some(Asked::Made(watch)) => watch,
        other => panic!("{name}: {other:?}"),
    }
}

/// The encoders that this process started, by their parent.
pub async fn encoders() -> Vec<i32> {
    let own = std::process::id().to_string();
    let listed = run("ps", &["-o", "pid=,args=", "--ppid", &own]).await;
    let encoders = listed.lines().filter(|line| line.contains("filter_complex"));
    encoders.filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}

/// Tests look for their own process's children, so they take turns.
pub static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
