//! A STANDARD channel with real encoders on both sides: the ladder is aligned, plays, and outlives its encoder.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod support;

use headwater_edge::{Channels, State, router};
use headwater_hls::lint::{Linter, ReadPlaylist, Severity, across, read};
use headwater_hls::{Delta, playlist};
use headwater_ingest::{Directory, Limits, serve_rtmp};
use headwater_live::ladder::{self, Encoder};
use headwater_live::{Hub, Journal, LadderState, LiveStream, Options};
use headwater_model::ivs::Channel;
use headwater_model::{Realm, Timestamp};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use support::Site;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(25);

/// A server with one channel, and somebody who publishes.
struct Stage {
    hub: Hub,
    channel_id: String,
    master: String,
    publish_to: String,
    _servers: JoinSet<()>,
}

impl Stage {
    async fn new(ladder: ladder::Options) -> Stage {
        let site = Arc::new(Site(Channel::new(&Realm::default(), "test", Timestamp(0))));
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
        let state = State { hub: hub.clone(), channels, realm: Realm::default() };
        servers.spawn(async move { axum::serve(web, router(state)).await.unwrap() });
        let channel_id = site.0.id.clone();
        Stage {
            hub,
            master: format!("http://{watch_at}/api/video/v1/us-east-1.000000000000.channel.{channel_id}.m3u8"),
            channel_id,
            publish_to: format!("rtmp://{publish_at}/app/key"),
            _servers: servers,
        }
    }

    /// 640x480 with 30 pictures a second, a keyframe each second.
    fn publish(&self) -> Child {
        let arguments = "-hide_banner -loglevel error -nostdin -re -f lavfi -i testsrc2=size=640x480:rate=30 \
                         -f lavfi -i sine=frequency=440:sample_rate=48000 -t 60 -c:v libx264 -preset ultrafast -bf 2 \
                         -pix_fmt yuv420p -g 30 -c:a aac -b:a 64k -f flv";
        let mut command = Command::new("ffmpeg");
        command.args(arguments.split_whitespace()).arg(&self.publish_to).stdin(Stdio::null()).kill_on_drop(true);
        command.spawn().expect("ffmpeg is installed")
    }

    async fn stream(&self, what: &str, enough: impl Fn(&LiveStream) -> bool) -> Arc<LiveStream> {
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
fn texts(stream: &LiveStream) -> Vec<(String, String)> {
    let offer = stream.offer();
    let mut all = vec![stream.snapshot()];
    all.extend(offer.renditions.iter().map(|rendition| rendition.watch.borrow().clone()));
    all.iter().map(|snapshot| (snapshot.rendition().to_owned(), playlist::media(snapshot, Delta::Full))).collect()
}

fn check(texts: &[(String, String)]) -> Vec<ReadPlaylist> {
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
async fn run(program: &str, arguments: &[&str]) -> String {
    let child = Command::new(program).args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, child).await.expect("in time").expect("it is installed");
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The encoders that this process started, by their parent.
async fn encoders() -> Vec<i32> {
    let own = std::process::id().to_string();
    let listed = run("ps", &["-o", "pid=,args=", "--ppid", &own]).await;
    let encoders = listed.lines().filter(|line| line.contains("filter_complex"));
    encoders.filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}

/// Both tests look for their own process's children, so they take turns.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ladder_is_aligned_plays_and_outlives_its_encoder() {
    let _turn = TURN.lock().await;
    let stage = Stage::new(ladder::Options { encoder: Encoder::X264, ..ladder::Options::default() }).await;
    let _publisher = stage.publish();
    let stream = stage.stream("two renditions", |stream| stream.offer().renditions.len() == 2).await;
    let names: Vec<String> = stream.offer().renditions.iter().map(|rendition| rendition.name.clone()).collect();
    assert_eq!(names, ["360p30", "160p30"]);
    assert_eq!(stream.offer().ladder, LadderState::Running);

    // The multivariant playlist has the source first.
    let master = run("curl", &["-s", &stage.master]).await;
    let uris: Vec<&str> = master.lines().filter(|line| !line.starts_with('#')).collect();
    let wanted = ["source", "360p30", "160p30"].map(|name| format!("/media/{}/{name}/media.m3u8", stream.epoch));
    assert_eq!(uris, wanted, "{master}");
    assert!(master.contains("GROUP-ID=\"480p30\",NAME=\"480p\""), "{master}");
    assert!(master.contains("RESOLUTION=480x360,FRAME-RATE=30.000,VIDEO=\"360p30\""), "{master}");

    // Each rendition's pictures and sound are decoded; boundaries are keyframes at the source's times.
    let origin = stage.master.split("/api/").next().unwrap();
    let mut boundaries = Vec::new();
    for uri in &wanted {
        let url = format!("{origin}{uri}");
        let arguments = [
            "-v",
            "error",
            "-live_start_index",
            "0",
            "-read_intervals",
            "%+#40",
            "-select_streams",
            "v",
            "-show_entries",
            "frame=pts_time,key_frame",
            "-of",
            "csv=p=0",
            &url,
        ];
        let frames = run("ffprobe", &arguments).await;
        let keyframes: Vec<f64> = frames
            .lines()
            .filter_map(|line| line.split_once(',').filter(|(key, _)| *key == "1"))
            .map(|(_, at)| at.trim_end_matches(',').parse().unwrap())
            .collect();
        assert!(frames.lines().count() >= 40 && keyframes.len() >= 2, "{frames}");
        boundaries.push(keyframes);
    }
    for other in &boundaries[1..] {
        let near = |a: f64, b: f64| (a - b).abs() < 0.002;
        assert!(other.iter().all(|at| boundaries[0].iter().any(|own| near(*at, *own))), "{boundaries:?}");
    }
    let playlists = check(&texts(&stream));
    assert!(playlists.iter().all(|playlist| playlist.segments.iter().all(|segment| !segment.gap)));

    // How long after the source a rendition has a part.
    let mut worst = Duration::ZERO;
    let (mut source, mut small) = (stream.watch.clone(), stream.rendition("160p30").unwrap());
    for _ in 0..8 {
        source.changed().await.unwrap();
        let (at, place) = (Instant::now(), source.borrow_and_update().last());
        let reached = small.wait_for(|snapshot| snapshot.last() >= place);
        tokio::time::timeout(PATIENCE, reached).await.unwrap().unwrap();
        worst = worst.max(at.elapsed());
    }
    println!("worst added latency: {worst:?}");

    // The encoder dies: the source goes on, and the ladder is back within a few keyframes.
    let before = encoders().await;
    assert_eq!(before.len(), 1);
    run("kill", &["-9", &before[0].to_string()]).await;
    let died = Instant::now();
    let newest = stream.snapshot().next();
    let mut small = stream.rendition("160p30").unwrap();
    let whole_again = small.wait_for(|snapshot| {
        let last = snapshot.last().and_then(|last| snapshot.segment(last.msn.checked_sub(1)?).cloned());
        snapshot.next().msn > newest.msn + 1 && last.is_some_and(|segment| !segment.gap())
    });
    tokio::time::timeout(PATIENCE, whole_again).await.expect("it is made again").unwrap();
    println!("whole again after {:?}", died.elapsed());
    let after = encoders().await;
    assert!(after.len() == 1 && after != before, "{after:?}");
    let playlists = check(&texts(&stream));
    assert!(playlists[0].segments.iter().all(|segment| !segment.gap), "the source has none");
    assert!(playlists[1].segments.iter().filter(|segment| segment.gap).count() <= 2);

    // Whoever asks gets the sound alone.
    let master = run("curl", &["-s", &format!("{}?allow_audio_only=true", stage.master)]).await;
    assert!(master.contains("GROUP-ID=\"audio_only\""), "{master}");
    // The second encoder knows its input as well as the first did: level 3.0 at 480x360.
    assert!(master.contains("avc1.4D401E,mp4a.40.2\",RESOLUTION=480x360"), "{master}");
    let url = format!("{origin}/media/{}/audio_only/media.m3u8", stream.epoch);
    let streams = run("ffprobe", &["-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", &url]).await;
    // Told for the program and for the file.
    assert!(streams.contains("aac") && streams.split_whitespace().all(|codec| codec == "aac"), "{streams}");
    // The others report it with their next part.
    let reported = |stream: &LiveStream| {
        texts(stream).iter().all(|(name, text)| name == "audio_only" || text.contains("../audio_only/media.m3u8"))
    };
    check(&texts(&*stage.stream("it is reported", reported).await));

    // The encoder goes with the session.
    stage.hub.stop(&stage.channel_id).await.unwrap();
    let began = Instant::now();
    while !encoders().await.is_empty() {
        assert!(began.elapsed() < PATIENCE, "the encoder is gone");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(texts(&stream).iter().all(|(_, text)| text.ends_with("#EXT-X-ENDLIST\n")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_encoder_the_source_streams_alone_and_says_so() {
    let _turn = TURN.lock().await;
    let options = ladder::Options { encoder: Encoder::X264, ffmpeg: "/nowhere/ffmpeg".into(), ..Default::default() };
    let stage = Stage::new(options).await;
    let _publisher = stage.publish();
    let given_up = |stream: &LiveStream| matches!(stream.offer().ladder, LadderState::Unavailable(_));
    let stream = stage.stream("it gives up", given_up).await;
    let LadderState::Unavailable(reason) = stream.offer().ladder.clone() else { unreachable!() };
    assert!(reason.contains("/nowhere/ffmpeg"), "{reason}");
    let master = run("curl", &["-s", &stage.master]).await;
    assert_eq!(master.matches("#EXT-X-STREAM-INF").count(), 1, "{master}");
    assert!(!master.contains("EXT-X-MEDIA"), "{master}");
}
