//! Viewers are counted by session, whatever they ask for and however often.

use super::*;
use headwater_live::{Audience, Troubles};
use std::net::SocketAddr;

impl Site {
    /// The media playlist's address for a new viewer.
    async fn joined(&self) -> String {
        let master = text(self.get(&Site::master(&self.channel)).await).await;
        master.lines().find(|line| line.starts_with("/media/")).expect("media").to_owned()
    }

    fn audience(&self) -> Audience {
        self.viewers.publish(&self.hub);
        self.hub.stream(&self.channel.id).expect("live").audience()
    }

    async fn beacon(&self, uri: &str, dictionary: &'static str) -> StatusCode {
        let request = Request::post(uri).body(Body::from(dictionary)).unwrap();
        self.router.clone().oneshot(request).await.unwrap_or_else(|never| match never {}).status()
    }

    /// The source's name in URLs.
    fn rendition(&self) -> String {
        self.hub.stream(&self.channel.id).expect("live").snapshot().rendition().to_owned()
    }

    /// Asks from an address, with a user agent.
    async fn ask_from(&self, uri: &str, address: &str, agent: &str) {
        let peer: SocketAddr = address.parse().unwrap();
        let mut request = Request::get(uri).header("user-agent", agent).body(Body::empty()).unwrap();
        request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
        let response = by_router(&self.router, request).await;
        assert_eq!(response.status(), StatusCode::OK);
    }
}

/// Where the viewer of a media playlist tells how it fares.
fn beacon_of(playlist: &str) -> String {
    let (path, query) = playlist.split_once('?').unwrap();
    let epoch = path.split('/').nth(2).unwrap();
    format!("/media/{epoch}/beacon?{query}")
}

#[tokio::test]
async fn a_viewer_is_a_session_not_a_request() {
    let (site, _feed) = Site::live().await;
    assert_eq!(site.audience().viewers, 0);
    let (one, two) = (site.joined().await, site.joined().await);
    assert_ne!(one, two);
    assert_eq!(site.audience().viewers, 0, "who reads the multivariant playlist does not watch yet");
    for _ in 0..5 {
        site.get(&one).await;
        site.get(&format!("{one}&_HLS_skip=YES")).await;
        site.get(&site.file("s0.p0.m4s")).await;
    }
    assert_eq!(site.audience().viewers, 1);
    // Behind one address, with one user agent.
    site.get(&two).await;
    assert_eq!(site.audience().viewers, 2);
}

#[tokio::test(start_paused = true)]
async fn a_viewer_shows_within_fifteen_seconds_and_is_gone_within_sixty() {
    let (site, _feed) = Site::live().await;
    let cancel = tokio_util::sync::CancellationToken::new();
    let publishing = tokio::spawn(site.viewers.clone().run(site.hub.clone(), cancel.clone()));
    let stream = site.hub.stream(&site.channel.id).expect("live");
    site.get(&site.joined().await).await;
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert_eq!(stream.audience().viewers, 1);
    tokio::time::sleep(Duration::from_secs(45)).await;
    assert_eq!(stream.audience().viewers, 0);
    cancel.cancel();
    publishing.await.unwrap();
}

#[tokio::test]
async fn a_player_that_drops_the_query_is_told_apart_by_address_and_agent() {
    let (site, _feed) = Site::live().await;
    let bare = site.file("media.m3u8");
    for (address, agent) in
        [("192.0.2.1:1", "VLC"), ("192.0.2.1:2", "VLC"), ("192.0.2.1:3", "ffmpeg"), ("192.0.2.2:1", "VLC")]
    {
        site.ask_from(&bare, address, agent).await;
    }
    assert_eq!(site.audience().viewers, 3);
    // A session that nobody was given is no session: those are told apart by their address too.
    for made_up in ["x", "y", "z"] {
        site.ask_from(&format!("{bare}?v={made_up}"), "192.0.2.3:1", "script").await;
    }
    assert_eq!(site.audience().viewers, 4);
}

#[tokio::test]
async fn what_players_tell_is_summed_up() {
    let (site, _feed) = Site::live().await;
    let (one, two, three) = (site.joined().await, site.joined().await, site.joined().await);
    for uri in [&one, &two, &three] {
        site.get(uri).await;
    }
    assert_eq!(site.beacon(&beacon_of(&one), "br=3000,ltc=1500").await, StatusCode::NO_CONTENT);
    assert_eq!(site.beacon(&beacon_of(&two), "br=1000,bsd=400,ltc=2500").await, StatusCode::NO_CONTENT);
    let expected = Audience {
        viewers: 3,
        measured: 2,
        stalled: 1,
        latency_p50_ms: Some(1500),
        latency_p95_ms: Some(2500),
        bitrate_p50_bps: Some(1_000_000),
        last_minute: Troubles { stalls: 1, stalled_ms: 400, dropped_frames: 0 },
        countries: vec![("UNKNOWN".into(), 3)],
        renditions: vec![(site.rendition(), 3)],
        ..Audience::default()
    };
    assert_eq!(site.audience(), expected);
    assert_eq!(site.beacon("/media/none/beacon", "br=1").await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_foreign_player_s_cmcd_on_parts_is_its_playlist_s_viewer() {
    let (site, _feed) = Site::live().await;
    let uri = site.joined().await;
    site.get(&format!("{uri}&CMCD=sf%3Dh%2Csid%3D%22a%22")).await;
    site.get(&site.file("s0.p0.m4s?CMCD=br%3D900%2Cbs%2Csid%3D%22a%22")).await;
    site.get(&site.file("s0.p1.m4s?CMCD=br%3D900%2Csid%3D%22a%22")).await;
    let audience = site.audience();
    assert_eq!((audience.viewers, audience.measured, audience.stalled), (1, 1, 1));
    assert_eq!(audience.bitrate_p50_bps, Some(900_000));
}

#[tokio::test]
async fn one_more_viewer_than_may_watch_is_a_429() {
    let site = Site { viewers: Viewers::new(1), ..Site::new() };
    let state = State {
        viewers: site.viewers.clone(),
        ..State::new(site.hub.clone(), Arc::new(Listed(vec![site.channel.clone()])), Realm::default())
    };
    let (router, media) = playback(state);
    let site = Site { router, media, ..site };
    let _feed = site.on_air(&site.channel).await;
    let uri = site.joined().await;
    site.get(&uri).await;
    let turned_away = site.viewers.turned_away();
    let response = site.get(&Site::master(&site.channel)).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(*turned_away.borrow(), 1);
    let name = uri.split_once("?v=").unwrap().1;
    let again = site.get(&format!("{}?session={name}", Site::master(&site.channel))).await;
    assert_eq!(again.status(), StatusCode::OK, "who watches goes on");
    assert_eq!(site.get(&uri).await.status(), StatusCode::OK, "who watches goes on");
}

#[tokio::test(start_paused = true)]
async fn a_beacon_is_believed_as_far_as_it_can_be_true_and_of_known_viewers_only() {
    let (site, _feed) = Site::live().await;
    let uri = site.joined().await;
    let beacon = beacon_of(&uri);
    let bare = beacon.split_once('?').unwrap().0.to_owned();
    for made_up in [bare.clone(), format!("{bare}?v=x"), format!("{bare}?v={}", "A".repeat(800))] {
        assert_eq!(site.beacon(&made_up, "sid=\"me\",br=1,bsa=9,ltc=1").await, StatusCode::NO_CONTENT);
    }
    assert_eq!(site.audience(), Audience::default(), "nobody became a viewer by a beacon alone");
    assert_eq!(site.viewers.told().beacons_ignored.count(), 3);
    // Behind a cache that answers playlists, the beacon is all that comes of a viewer.
    assert_eq!(site.beacon(&beacon, "bsa=0,bsda=0,dfa=0,msd=400,ltc=900").await, StatusCode::NO_CONTENT);
    tokio::time::sleep(Duration::from_secs(10)).await;
    for _ in 0..100 {
        site.beacon(&beacon, "bsa=4000000,bsda=86000000,dfa=86000000").await;
    }
    let audience = site.audience();
    assert_eq!((audience.viewers, audience.latency_p50_ms, audience.startup_p95_ms), (1, Some(900), Some(400)));
    assert_eq!(audience.last_minute, Troubles { stalls: 10, stalled_ms: 10_000, dropped_frames: 2_400 });
    assert_eq!(site.viewers.told().stalls.count(), 10);
    let large = Request::post(&beacon).body(Body::from("a".repeat(2049))).unwrap();
    let response = site.router.clone().oneshot(large).await.unwrap_or_else(|never| match never {});
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_player_that_names_its_session_goes_on_as_the_same_viewer() {
    let (site, _feed) = Site::live().await;
    let uri = site.joined().await;
    site.get(&uri).await;
    let name = uri.split_once("?v=").unwrap().1;
    let again = text(site.get(&format!("{}?session={name}", Site::master(&site.channel))).await).await;
    assert!(again.lines().any(|line| line == uri), "{again}");
    let other = text(site.get(&format!("{}?session=made-up", Site::master(&site.channel))).await).await;
    assert!(!other.contains("made-up") && other.contains("?v="));
    site.get(&uri).await;
    assert_eq!(site.audience().viewers, 1);
}

#[tokio::test]
async fn viewers_are_told_by_the_country_of_their_address() {
    let site =
        Site::with(Gate::new(Arc::new(crate::admission::NoKeys), crate::admission::country_tests::half_german()));
    let _feed = site.on_air(&site.channel).await;
    for (address, viewers) in [("10.1.2.3:1", 2), ("192.0.2.1:1", 1)] {
        for _ in 0..viewers {
            site.ask_from(&site.joined().await, address, "player").await;
        }
    }
    assert_eq!(site.audience().countries, [("DE".to_owned(), 2), ("UNKNOWN".to_owned(), 1)]);
}
