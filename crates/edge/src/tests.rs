//! The router against a live stream that the test feeds.

mod counted;
mod counting;
mod lagging;
mod private;

use super::*;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use headwater_hls::{Position, Snapshot};
use headwater_live::{Ending, Input, Journal, JournalError, Options, Publish, Publisher, SessionEvent};
use headwater_media::{AccessUnit, Keyframe, Track, TrackKind, flv};
use headwater_model::Timestamp;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use std::time::Duration;
use tokio::time::Instant;
use tower::ServiceExt as _;

struct NoJournal;

#[async_trait]
impl Journal for NoJournal {
    async fn record(&self, _: SessionEvent) -> Result<(), JournalError> {
        Ok(())
    }
}

struct Listed(Vec<Channel>);

#[async_trait]
impl Channels for Listed {
    async fn channel(&self, id: &str) -> Option<Channel> {
        self.0.iter().find(|channel| channel.id == id).cloned()
    }
}

/// A router with the short way before it, a channel that a test feeds, and one that wants tokens.
struct Site {
    router: Router,
    media: Media,
    hub: Hub,
    viewers: Viewers,
    traffic: Traffic,
    channel: Channel,
    private: Channel,
}

/// By the short way if that takes it.
async fn answer(router: &Router, media: &Media, request: Request<Body>) -> Response {
    match media.answer(None, request) {
        Way::Short(answer) => answer.await,
        Way::Long(request) => by_router(router, request).await,
    }
}

async fn by_router(router: &Router, request: Request<Body>) -> Response {
    router.clone().oneshot(request).await.unwrap_or_else(|never| match never {})
}

/// An encoder: 30 pictures a second, a keyframe every two seconds, no sound.
struct Feed {
    publisher: Publisher,
    pictures: i64,
}

const PICTURE_TICKS: i64 = 3_000;
const PICTURES_A_KEYFRAME: i64 = 60;
/// 160×90, constrained baseline, as ffmpeg sent it.
const AVC_CONFIG: [u8; 44] = [
    0x17, 0x00, 0x00, 0x00, 0x00, 0x01, 0x42, 0xd0, 0x0b, 0xff, 0xe1, 0x00, 0x18, 0x67, 0x42, 0xd0, 0x0b, 0xda, 0x0a,
    0x37, 0xe4, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0x78, 0x3c, 0x48, 0x9a, 0x80, 0x01,
    0x00, 0x04, 0x68, 0xce, 0x3c, 0x80,
];

impl Site {
    /// Waits until the end is recorded: the last snapshot is shown before.
    async fn ended(&self, channel_id: &str) {
        let recorded = async {
            while self.hub.stream(channel_id).is_some() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), recorded).await.expect("the end is recorded");
    }

    fn new() -> Self {
        Self::with(Gate::closed())
    }

    fn with(gate: Gate) -> Self {
        let realm = Realm::default();
        let channel = Channel::new(&realm, "open", Timestamp(0));
        let private = Channel { authorized: true, ..Channel::new(&realm, "private", Timestamp(0)) };
        let hub = Hub::new(Options::default(), Arc::new(NoJournal));
        let channels = Arc::new(Listed(vec![channel.clone(), private.clone()]));
        let viewers = Viewers::new(viewers::VIEWS_MAX);
        let traffic = Traffic::default();
        let state = State {
            gate,
            viewers: viewers.clone(),
            traffic: traffic.clone(),
            ..State::new(hub.clone(), channels, realm)
        };
        let (router, media) = playback(state);
        Site { router, media, hub, viewers, traffic, channel, private }
    }

    /// On air with its first playlist.
    async fn live() -> (Self, Feed) {
        let site = Site::new();
        let feed = site.on_air(&site.channel).await;
        (site, feed)
    }

    /// Begins a stream on a channel.
    async fn on_air(&self, channel: &Channel) -> Feed {
        let publisher = self.hub.publish(Publish::new(channel.clone(), "test")).await.unwrap();
        publisher.send(Input::Track(track())).await.unwrap();
        let mut feed = Feed { publisher, pictures: 0 };
        // Two segments and a little, so that there is one to learn from and one that is whole.
        feed.send(2 * PICTURES_A_KEYFRAME + 10).await;
        let mut waited = 0;
        while self.hub.stream(&channel.id).is_none_or(|stream| stream.snapshot().segment(1).is_none()) {
            waited += 1;
            assert!(waited < 10_000, "the stream starts");
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        feed
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.hub.stream(&self.channel.id).expect("live").snapshot()
    }

    /// Address of a file of the live stream.
    fn file(&self, name: &str) -> String {
        let snapshot = self.snapshot();
        format!("/media/{}/{}/{name}", snapshot.epoch(), snapshot.rendition())
    }

    fn master(channel: &Channel) -> String {
        format!("/api/video/v1/us-east-1.000000000000.channel.{}.m3u8", channel.id)
    }

    async fn ask(&self, method: Method, uri: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(&self.router, &self.media, request.body(Body::empty()).unwrap()).await
    }

    async fn get(&self, uri: &str) -> Response {
        self.ask(Method::GET, uri, &[]).await
    }

    /// Asks in the background, and lets it begin to wait.
    async fn waiting(&self, uri: &str) -> tokio::task::JoinHandle<Response> {
        let (router, media) = (self.router.clone(), self.media.clone());
        let request = Request::get(uri).body(Body::empty()).unwrap();
        let task = tokio::spawn(async move { answer(&router, &media, request).await });
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        assert!(!task.is_finished(), "{uri} is not there yet");
        task
    }
}

impl Feed {
    async fn send(&mut self, pictures: i64) {
        for _ in 0..pictures {
            self.publisher.send(Input::Unit(picture(self.pictures))).await.unwrap();
            self.pictures += 1;
        }
    }
}

fn picture(number: i64) -> AccessUnit {
    let keyframe = number % PICTURES_A_KEYFRAME == 0;
    let mut data = vec![0, 0, 0, 60, if keyframe { 0x65 } else { 0x41 }];
    data.resize(64, number as u8);
    AccessUnit {
        kind: TrackKind::Video,
        dts: number * PICTURE_TICKS,
        pts: number * PICTURE_TICKS,
        keyframe: if keyframe { Keyframe::Yes } else { Keyframe::No },
        data: Bytes::from(data),
    }
}

fn track() -> Track {
    let units = flv::Demuxer::new().video(0, Bytes::from_static(&AVC_CONFIG)).unwrap();
    match &units[..] {
        [flv::Unit::Config(track)] => track.clone(),
        units => panic!("{units:?}"),
    }
}

async fn body(response: Response) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

async fn text(response: Response) -> String {
    String::from_utf8(body(response).await.to_vec()).unwrap()
}

/// Status and headers, sorted, as one text.
fn head(response: &Response) -> String {
    let mut lines: Vec<_> =
        response.headers().iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap())).collect();
    lines.sort();
    format!("{}\n{}", response.status(), lines.concat())
}

const CORS: &str = "access-control-allow-origin: *\n\
                    access-control-expose-headers: Age, Content-Length, Content-Range, Date, Retry-After\n";

fn reload(position: Position) -> String {
    format!("media.m3u8?_HLS_msn={}&_HLS_part={}", position.msn, position.part)
}

fn part_file(position: Position) -> String {
    format!("s{}.p{}.m4s", position.msn, position.part)
}

#[tokio::test]
async fn an_offline_or_unknown_channel_is_a_404_with_ivs_words() {
    let site = Site::new();
    let known = Site::master(&site.channel);
    for uri in [
        known.clone(),
        "/api/video/v1/us-east-1.000000000000.channel.AAAAAAAAAAAA.m3u8".to_owned(),
        known.replace("us-east-1", "eu-west-1"),
        known.replace(".m3u8", ""),
        known.replace(".channel.", "."),
    ] {
        let response = site.get(&format!("{uri}?token=hush")).await;
        let expected = format!(
            "[{{\"url\":\"{uri}\",\"error\":\"Can not find channel\",\
             \"error_code\":\"transcode_does_not_exist\",\"type\":\"error\"}}]"
        );
        let length = expected.len();
        assert_eq!(
            head(&response),
            format!(
                "404 Not Found\n{CORS}cache-control: no-store\ncontent-length: {length}\n\
                 content-type: application/json\n"
            )
        );
        assert_eq!(text(response).await, expected);
    }
}

#[tokio::test]
async fn a_private_channel_is_a_403_without_a_token() {
    let site = Site::new();
    let response = site.get(&Site::master(&site.private)).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert!(text(response).await.contains("\"error_code\":\"invalid_playback_auth_token\""));
}

#[tokio::test]
async fn every_address_in_the_playlists_is_there() {
    let (site, _feed) = Site::live().await;
    let response = site.get(&Site::master(&site.channel)).await;
    let length = response.headers()["content-length"].to_str().unwrap().to_owned();
    assert_eq!(
        head(&response),
        format!(
            "200 OK\n{CORS}cache-control: no-cache\ncontent-length: {length}\ncontent-type: application/vnd.apple.mpegurl\n"
        )
    );
    let master = text(response).await;
    let media = master.lines().find(|line| line.starts_with("/media/")).expect("an absolute path").to_owned();
    let (address, session) = media.split_once("?v=").expect("a session to count by");
    assert_eq!(address, site.file("media.m3u8"));
    assert!(session.len() >= 50, "{session}");
    let response = site.get(&media).await;
    assert_eq!(
        head(&response),
        format!(
            "200 OK\n{CORS}cache-control: no-cache\ncontent-length: {}\ncontent-type: application/vnd.apple.mpegurl\n",
            response.headers()["content-length"].to_str().unwrap()
        )
    );
    let playlist = text(response).await;
    let mut files = Vec::new();
    for line in playlist.lines() {
        if line.starts_with("#EXT-X-PRELOAD-HINT") || line.starts_with("#EXT-X-RENDITION-REPORT") {
            continue;
        }
        let uri = line.split("URI=\"").nth(1).and_then(|rest| rest.split('"').next());
        files.extend(uri.or(Some(line).filter(|line| !line.starts_with('#') && !line.is_empty())).map(str::to_owned));
    }
    assert!(files.iter().any(|file| file.starts_with("init-")), "{playlist}");
    assert!(files.iter().filter(|file| file.contains(".p")).count() >= 10, "{playlist}");
    assert!(files.iter().any(|file| file.ends_with(".m4s") && !file.contains(".p")), "{playlist}");
    for file in files {
        let response = site.get(&site.file(&file)).await;
        let length: usize = response.headers()["content-length"].to_str().unwrap().parse().unwrap();
        assert_eq!(
            head(&response),
            format!(
                "200 OK\naccept-ranges: bytes\n{CORS}cache-control: public, max-age=604800, immutable\n\
                 content-length: {length}\ncontent-type: video/mp4\n"
            ),
            "{file}"
        );
        assert_eq!(body(response).await.len(), length, "{file}");
    }
}

#[tokio::test]
async fn the_short_way_answers_as_the_router_does() {
    let (site, _feed) = Site::live().await;
    let _private_feed = site.on_air(&site.private).await;
    let private = site.hub.stream(&site.private.id).expect("live").epoch.clone();
    let next = site.snapshot().next();
    let plain = [
        site.file("media.m3u8"),
        site.file("media.m3u8?_HLS_skip=YES"),
        site.file("media.m3u8?_HLS_msn=0&_HLS_part=0&v=nobody"),
        site.file("media.m3u8?_HLS_msn=9999999"),
        site.file("media.m3u8?_HLS_part=1"),
        site.file("init-0.mp4"),
        site.file("init-9.mp4"),
        site.file("s0.m4s"),
        site.file("s0.p0.m4s"),
        site.file(&part_file(Position { msn: next.msn + 5, part: 0 })),
        site.file("other.txt"),
        format!("/media/{}/9000p/s0.m4s", site.snapshot().epoch()),
        "/media/nobody/160p/s0.m4s".to_owned(),
        format!("/media/{private}/160p/s0.m4s"),
    ];
    for uri in &plain {
        for range in [None, Some("bytes=1-8"), Some("bytes=99999999-")] {
            let request = || {
                let request = Request::get(uri);
                let request = if let Some(range) = range { request.header("range", range) } else { request };
                request.body(Body::empty()).unwrap()
            };
            let Way::Short(short) = site.media.answer(None, request()) else { panic!("{uri}") };
            let (short, long) = (short.await, by_router(&site.router, request()).await);
            assert_eq!(head(&short), head(&long), "{uri} {range:?}");
            assert_eq!(body(short).await, body(long).await, "{uri} {range:?}");
        }
        for method in [Method::HEAD, Method::OPTIONS, Method::POST] {
            let request = Request::builder().method(method).uri(uri).body(()).unwrap();
            assert!(matches!(site.media.answer(None, request), Way::Long(_)), "{uri}");
        }
    }
    for other in
        ["/media/v/session/epoch/160p/media.m3u8", "/media/epoch/beacon", "/healthz", &Site::master(&site.channel)]
    {
        let way = site.media.answer(None, Request::get(other).body(()).unwrap());
        assert!(matches!(way, Way::Long(_)), "{other}");
    }
}

#[tokio::test]
async fn a_segment_is_its_parts_and_ranges_cut_it() {
    let (site, _feed) = Site::live().await;
    let snapshot = site.snapshot();
    let segment = snapshot.segment(0).expect("the first");
    let mut parts = Vec::new();
    for part in 0..segment.parts().len() {
        let response = site.get(&site.file(&part_file(Position { msn: 0, part }))).await;
        parts.extend_from_slice(&body(response).await);
    }
    let uri = site.file("s0.m4s");
    let whole = body(site.get(&uri).await).await;
    assert!(!whole.is_empty() && whole == parts);
    let response = site.ask(Method::GET, &uri, &[("range", "bytes=7-1006")]).await;
    assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(response.headers()["content-range"], format!("bytes 7-1006/{}", whole.len()));
    assert_eq!(response.headers()["content-length"], "1000");
    assert_eq!(body(response).await, whole[7..1007]);
    let response = site.ask(Method::GET, &uri, &[("range", "bytes=99999999-")]).await;
    assert_eq!(response.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(response.headers()["content-range"], format!("bytes */{}", whole.len()));
    let response = site.ask(Method::GET, &uri, &[("range", "bytes=0-1"), ("if-range", "\"x\"")]).await;
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn head_and_options_answer_without_a_body() {
    let (site, _feed) = Site::live().await;
    for file in ["media.m3u8", "s0.m4s", "s0.p0.m4s", "init-0.mp4"] {
        let uri = site.file(file);
        let got = site.get(&uri).await;
        let asked = site.ask(Method::HEAD, &uri, &[]).await;
        assert_eq!(head(&got), head(&asked), "{file}");
        assert!(body(asked).await.is_empty());
        let response = site
            .ask(Method::OPTIONS, &uri, &[("origin", "https://a.example"), ("access-control-request-method", "GET")])
            .await;
        assert_eq!(
            head(&response),
            format!(
                "200 OK\naccess-control-allow-headers: *\naccess-control-allow-methods: GET, HEAD, OPTIONS\n\
                 {CORS}access-control-max-age: 86400\nallow: GET, HEAD, OPTIONS\ncontent-length: 0\n"
            )
        );
    }
    assert_eq!(site.ask(Method::POST, &site.file("media.m3u8"), &[]).await.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn what_never_was_is_a_404_that_no_cache_keeps() {
    let (site, _feed) = Site::live().await;
    let next = site.snapshot().next();
    let far = Position { msn: next.msn + 1, part: 1 };
    for uri in [
        site.file("s999.m4s"),
        site.file(&part_file(far)),
        site.file(&part_file(Position { msn: next.msn, part: next.part + 1000 })),
        site.file(&part_file(Position { msn: 0, part: 1000 })),
        site.file("init-7.mp4"),
        site.file("other.txt"),
        site.file("media.m3u8").replace(site.snapshot().epoch(), "0123456789abcdef0123456789"),
        site.file("media.m3u8").replace(site.snapshot().rendition(), "none"),
    ] {
        let response = site.get(&uri).await;
        assert_eq!(
            (response.status(), response.headers()["cache-control"].to_str().unwrap()),
            (StatusCode::NOT_FOUND, "no-store"),
            "{uri}"
        );
        assert_eq!(response.headers()["access-control-allow-origin"], "*");
    }
}

#[tokio::test]
async fn directives_that_no_client_should_send_are_a_400() {
    let (site, _feed) = Site::live().await;
    let next = site.snapshot().next();
    for query in [
        "_HLS_part=1".to_owned(),
        "_HLS_msn=x".to_owned(),
        "_HLS_skip=no".to_owned(),
        format!("_HLS_msn={}", next.msn + 2),
        format!("_HLS_msn={}&_HLS_part={}", next.msn, next.part + 1000),
        format!("_HLS_msn={}", u64::MAX),
        format!("_HLS_msn={}&_HLS_part={}", u64::MAX, u64::MAX),
    ] {
        let response = site.get(&site.file(&format!("media.m3u8?{query}"))).await;
        assert_eq!(
            (response.status(), response.headers()["cache-control"].to_str().unwrap()),
            (StatusCode::BAD_REQUEST, "no-store"),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_blocked_reload_ends_with_its_part_and_may_be_cached_and_one_that_is_late_shows_the_live_edge() {
    let (site, mut feed) = Site::live().await;
    let next = site.snapshot().next();
    let uri = site.file(&reload(next));
    let task = site.waiting(&uri).await;
    while !task.is_finished() {
        feed.send(1).await;
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
    let response = task.await.unwrap();
    let lifetime = 6 * site.snapshot().target_duration_s();
    assert_eq!(response.headers()["cache-control"], format!("public, max-age=0, s-maxage={lifetime}").as_str());
    let first = text(response).await;
    let last_part = first.lines().rfind(|line| line.starts_with("#EXT-X-PART:")).expect("parts").to_owned();
    assert!(last_part.contains(&part_file(next)), "{last_part}");
    // Asked for again at once, it is the same.
    let again = site.get(&uri).await;
    assert_eq!(again.headers()["cache-control"], format!("public, max-age=0, s-maxage={lifetime}").as_str());
    assert_eq!(text(again).await, first);
    // Later there are more parts; who asks for this one then has missed them.
    while site.snapshot().next() <= (Position { msn: next.msn, part: next.part + 1 }) {
        feed.send(6).await;
        tokio::task::yield_now().await;
    }
    let late = site.get(&uri).await;
    let newest = site.get(&site.file("media.m3u8")).await;
    assert_eq!(late.headers()["cache-control"], newest.headers()["cache-control"]);
    let late = text(late).await;
    assert_eq!(late, text(newest).await);
    assert_ne!(late, first);
}

#[tokio::test]
async fn a_reload_without_a_part_waits_for_the_whole_segment() {
    let (site, mut feed) = Site::live().await;
    let next = site.snapshot().next();
    let task = site.waiting(&site.file(&format!("media.m3u8?_HLS_msn={}", next.msn))).await;
    feed.send(6).await;
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    assert!(!task.is_finished(), "a part is not enough");
    feed.send(PICTURES_A_KEYFRAME).await;
    let playlist = text(task.await.unwrap()).await;
    let last = playlist.lines().rfind(|line| line.ends_with(".m4s") && !line.starts_with('#'));
    assert_eq!(last, Some(format!("s{}.m4s", next.msn).as_str()));
}

#[tokio::test]
async fn a_hinted_part_is_waited_for_and_a_hint_that_fails_is_a_404() {
    let (site, mut feed) = Site::live().await;
    let next = site.snapshot().next();
    let playlist = text(site.get(&site.file("media.m3u8")).await).await;
    let hint = playlist.lines().find(|line| line.starts_with("#EXT-X-PRELOAD-HINT")).expect("a hint");
    assert!(hint.contains(&format!("URI=\"{}\"", part_file(next))), "{hint}");
    let task = site.waiting(&site.file(&part_file(next))).await;
    // Beyond what the segment will hold: the keyframe closes it before.
    let never = Position { msn: next.msn, part: next.part + 12 };
    let failing = site.waiting(&site.file(&part_file(never))).await;
    feed.send(12).await;
    let response = task.await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(body(response).await, site.snapshot().part(next).expect("there").body());
    feed.send(PICTURES_A_KEYFRAME).await;
    assert_eq!(failing.await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_delta_update_leaves_old_segments_out() {
    let (site, mut feed) = Site::live().await;
    feed.send(20 * PICTURES_A_KEYFRAME).await;
    let mut watch = site.hub.stream(&site.channel.id).expect("live").watch.clone();
    watch.wait_for(|snapshot| snapshot.next().msn >= 20).await.unwrap();
    for skip in ["YES", "v2"] {
        let playlist = text(site.get(&site.file(&format!("media.m3u8?_HLS_skip={skip}"))).await).await;
        let whole = text(site.get(&site.file("media.m3u8")).await).await;
        assert!(playlist.len() <= whole.len());
        // A window that is too short for a skip is answered whole.
        let skippable = whole.contains("CAN-SKIP-UNTIL");
        assert_eq!(playlist.contains("#EXT-X-SKIP:"), skippable && playlist != whole, "{playlist}");
        assert!(skippable, "{whole}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reload_that_waits_in_vain_is_a_503_after_three_target_durations() {
    let (site, _feed) = Site::live().await;
    let began = Instant::now();
    let target = Duration::from_secs(u64::try_from(site.snapshot().target_duration_s()).unwrap());
    for uri in [site.file(&reload(site.snapshot().next())), site.file(&part_file(site.snapshot().next()))] {
        let task = site.waiting(&uri).await;
        let response = task.await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{uri}");
        assert_eq!(response.headers()["retry-after"], "1");
        assert_eq!(response.headers()["cache-control"], "no-store");
    }
    let took = began.elapsed();
    assert!(took >= 6 * target && took < 7 * target, "{took:?}");
}

#[tokio::test]
async fn the_end_answers_everyone_at_once() {
    let (site, feed) = Site::live().await;
    let (next, epoch_file) = (site.snapshot().next(), site.file("media.m3u8"));
    let beyond = Position { msn: next.msn + 1, part: 0 };
    let reloading = site.waiting(&site.file(&reload(beyond))).await;
    let (hinted, after_end) = (site.waiting(&site.file(&part_file(beyond))).await, site.file(&reload(beyond)));
    feed.publisher.finish(Ending::Clean).await;
    let response = reloading.await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(text(response).await.trim_end().ends_with("#EXT-X-ENDLIST"));
    assert_eq!(hinted.await.unwrap().status(), StatusCode::NOT_FOUND);
    for uri in [epoch_file, after_end] {
        assert!(text(site.get(&uri).await).await.trim_end().ends_with("#EXT-X-ENDLIST"));
    }
    site.ended(&site.channel.id).await;
    assert_eq!(site.get(&Site::master(&site.channel)).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_thousand_waiting_viewers_share_one_text() {
    let (site, mut feed) = Site::live().await;
    let uri = site.file(&reload(site.snapshot().next()));
    let mut tasks = Vec::new();
    for _ in 0..1000 {
        tasks.push(site.waiting(&uri).await);
    }
    feed.send(12).await;
    let mut texts = std::collections::BTreeSet::new();
    for task in tasks {
        let response = task.await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        texts.insert(body(response).await.as_ptr() as usize);
    }
    assert_eq!(texts.len(), 1, "written once, shared by all");
}

#[tokio::test]
async fn more_waiting_viewers_than_there_is_room_for_are_sent_away() {
    let room = wait::Room::new(1, Traffic::default());
    let (site, _feed) = Site::live().await;
    let stream = site.hub.stream(&site.channel.id).expect("live");
    let wait = || wait::for_answer::<()>(stream.watch.clone(), &room, traffic::Kind::Media, |_| wait::Look::Wait);
    let first = wait();
    tokio::pin!(first);
    assert!(futures_util::future::FutureExt::now_or_never(&mut first).is_none());
    assert_eq!(wait().await, Err(wait::GivenUp::Full));
    let answered = wait::for_answer(stream.watch.clone(), &room, traffic::Kind::Media, |_| wait::Look::Answer(1)).await;
    assert_eq!(answered, Ok(1), "an answer that is there needs no room");
}
