//! Private and restricted channels: tokens at the door, sessions on every class of URL.

use super::*;
use crate::admission::token_tests::Signer;
use crate::admission::{PlaybackKey, Records, Restriction, Revocation, Spent, Unavailable};
use headwater_model::playback::Origins;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Mutex;

const POLICY: &str = "arn:aws:ivs:us-east-1:000000000000:playback-restriction-policy/AbCdef1G2hij";
const UUID: &str = "0e0b4a9c-6d8f-4a49-9f1e-0123456789ab";

/// Records that a test writes.
#[derive(Default)]
struct Written {
    keys: Mutex<Vec<PlaybackKey>>,
    restriction: Mutex<Option<Restriction>>,
    revoked_up_to: Mutex<Option<i64>>,
    spent: Mutex<HashSet<String>>,
}

#[async_trait]
impl Records for Written {
    async fn keys(&self) -> Result<Vec<PlaybackKey>, Unavailable> {
        Ok(self.keys.lock().unwrap().clone())
    }

    async fn restriction(&self, _: &str) -> Result<Option<Restriction>, Unavailable> {
        Ok(self.restriction.lock().unwrap().clone())
    }

    async fn revoked_up_to(&self, _: &str, _: &str) -> Result<Option<i64>, Unavailable> {
        Ok(*self.revoked_up_to.lock().unwrap())
    }

    async fn spend(&self, uuid: &str, _: Timestamp) -> Result<Spent, Unavailable> {
        Ok(if self.spent.lock().unwrap().insert(uuid.into()) { Spent::Now } else { Spent::Before })
    }
}

/// A private channel, whose owner signs tokens.
struct Private {
    site: Site,
    gate: Gate,
    records: Arc<Written>,
    signer: Signer,
}

impl Private {
    fn new() -> Self {
        let records = Arc::new(Written::default());
        let signer = Signer::new();
        records.keys.lock().unwrap().extend([Signer::new().key(), signer.key()]);
        let gate = Gate::new(Arc::clone(&records) as Arc<dyn Records>, Countries::default());
        Private { site: Site::with(gate.clone()), gate, records, signer }
    }

    async fn live() -> (Self, Feed) {
        let private = Self::new();
        let feed = private.site.on_air(&private.site.private).await;
        (private, feed)
    }

    /// Claims of a token that is good for ten minutes.
    fn claims(&self) -> Value {
        json!({"aws:channel-arn": self.site.private.arn, "exp": Timestamp::now().0 / 1000 + 590})
    }

    fn master(&self, claims: &Value) -> String {
        format!("{}?token={}", Site::master(&self.site.private), self.signer.sign(claims))
    }

    /// Folder of the source's media for a viewer with these claims.
    async fn folder(&self, claims: &Value, headers: &[(&str, &str)]) -> String {
        let response = self.site.ask(Method::GET, &self.master(claims), headers).await;
        assert_eq!(response.status(), StatusCode::OK);
        let master = text(response).await;
        let media = master.lines().find(|line| line.starts_with("/media/v/")).expect("a session in the path");
        media.strip_suffix("media.m3u8").expect("a media playlist").to_owned()
    }

    fn stream(&self) -> Arc<headwater_live::LiveStream> {
        self.site.hub.stream(&self.site.private.id).expect("live")
    }

    /// One address of each class of media, some of which block.
    fn classes(&self) -> Vec<String> {
        let next = self.stream().snapshot().next();
        vec![
            "media.m3u8".into(),
            "media.m3u8?_HLS_skip=YES".into(),
            "media.m3u8?_HLS_msn=0".into(),
            reload(next),
            "init-0.mp4".into(),
            "s0.m4s".into(),
            "s0.p0.m4s".into(),
            part_file(next),
        ]
    }

    async fn status(&self, uri: &str, headers: &[(&str, &str)]) -> StatusCode {
        self.site.ask(Method::GET, uri, headers).await.status()
    }

    async fn refusal(&self, claims: &Value) -> String {
        let response = self.site.get(&self.master(claims)).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        code(response).await
    }
}

async fn code(response: Response) -> String {
    let body: Value = serde_json::from_slice(&body(response).await).unwrap();
    assert_eq!(body[0]["type"], "error");
    body[0]["error_code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_opens_the_playlist_and_from_there_every_class_of_media() {
    let (private, mut feed) = Private::live().await;
    let folder = private.folder(&private.claims(), &[]).await;
    assert!(!folder.contains("token"));
    let mut asked = Vec::new();
    for file in private.classes() {
        let request = Request::get(format!("{folder}{file}")).body(Body::empty()).unwrap();
        asked.push((file, tokio::spawn(private.site.router.clone().oneshot(request))));
    }
    feed.send(12).await;
    for (file, task) in asked {
        let response = task.await.unwrap().unwrap_or_else(|never| match never {});
        assert_eq!(response.status(), StatusCode::OK, "{file}");
        let cache = response.headers()["cache-control"].to_str().unwrap();
        let private = cache.starts_with("private, max-age=") && !cache.contains("s-maxage");
        assert!(cache == "no-cache" || private, "{file}: {cache}");
    }
    let response = private.site.get(&private.master(&private.claims())).await;
    assert_eq!(response.headers()["cache-control"], "no-store", "it holds a viewer's session");
}

#[tokio::test]
async fn without_a_session_of_this_stream_every_class_of_media_is_a_403() {
    let (private, _feed) = Private::live().await;
    let _other = private.site.on_air(&private.site.channel).await;
    let open = text(private.site.get(&Site::master(&private.site.channel)).await).await;
    let foreign = open.lines().find_map(|line| line.split_once("?v=")).expect("a session").1.to_owned();
    let folder = private.folder(&private.claims(), &[]).await;
    let session = folder.split('/').nth(3).expect("a session").to_owned();
    let epoch = private.stream().epoch.clone();
    let rest = folder.split_once(&epoch).expect("an epoch").1.to_owned();
    for file in private.classes() {
        for folder in [
            format!("/media/{epoch}{rest}"),
            format!("/media/v/x/{epoch}{rest}"),
            format!("/media/v/{foreign}/{epoch}{rest}"),
            format!("/media/v/{}/{epoch}{rest}", &session[1..]),
        ] {
            let response = private.site.get(&format!("{folder}{file}")).await;
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{folder}{file}");
            assert_eq!(response.headers()["cache-control"], "no-store");
        }
    }
    let beacon = private.site.ask(Method::POST, &format!("/media/{epoch}/beacon"), &[]).await;
    assert_eq!(beacon.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_token_that_is_not_good_is_a_403_with_ivs_words() {
    let (private, _feed) = Private::live().await;
    let response = private.site.get(&Site::master(&private.site.private)).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(code(response).await, "invalid_playback_auth_token");
    let response = private.site.get(&format!("{}?token=x", Site::master(&private.site.private))).await;
    let expected = format!(
        "[{{\"url\":\"{}\",\"error\":\"token contains an invalid number of segments\",\
         \"error_code\":\"invalid_playback_auth_token\",\"type\":\"error\"}}]",
        Site::master(&private.site.private)
    );
    assert_eq!(text(response).await, expected);
    let with = |name: &str, value: Value| {
        let mut claims = private.claims();
        claims[name] = value;
        claims
    };
    assert_eq!(private.refusal(&with("aws:channel-arn", json!(private.site.channel.arn))).await, "playback_auth_error");
    assert_eq!(private.refusal(&with("exp", json!(1_600_000_000))).await, "playback_auth_error");
    let mut far = with("aws:viewer-id", json!("me"));
    far["exp"] = json!(Timestamp::now().0 / 1000 + 3600);
    assert_eq!(private.refusal(&far).await, "playback_auth_error");
    private.records.keys.lock().unwrap().clear();
    assert_eq!(private.refusal(&private.claims()).await, "invalid_playback_auth_token");
}

#[tokio::test]
async fn a_token_is_asked_for_before_anything_is_told_of_the_stream() {
    let private = Private::new();
    assert_eq!(private.status(&Site::master(&private.site.private), &[]).await, StatusCode::FORBIDDEN);
    assert_eq!(private.status(&private.master(&private.claims()), &[]).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_key_that_is_gone_ends_new_starts_only() {
    let (private, _feed) = Private::live().await;
    let folder = private.folder(&private.claims(), &[]).await;
    private.records.keys.lock().unwrap().clear();
    assert_eq!(private.status(&format!("{folder}media.m3u8"), &[]).await, StatusCode::OK);
    assert_eq!(private.status(&private.master(&private.claims()), &[]).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_token_for_one_use_dies_with_it_and_not_before() {
    let private = Private::new();
    let mut claims = private.claims();
    claims["aws:single-use-uuid"] = json!(UUID);
    // Nothing is live yet: the token is not spent.
    assert_eq!(private.status(&private.master(&claims), &[]).await, StatusCode::NOT_FOUND);
    let _feed = private.site.on_air(&private.site.private).await;
    let folder = private.folder(&claims, &[]).await;
    assert_eq!(private.refusal(&claims).await, "playback_auth_error");
    // Another token with the same use is spent too, and what began goes on.
    claims["aws:maximum-resolution"] = json!("HD");
    assert_eq!(private.refusal(&claims).await, "playback_auth_error");
    assert_eq!(private.status(&format!("{folder}media.m3u8"), &[]).await, StatusCode::OK);
}

#[tokio::test]
async fn revocation_ends_every_class_at_once_and_those_who_wait() {
    let (private, _feed) = Private::live().await;
    let viewer = |id: &str, version: i64| {
        let mut claims = private.claims();
        claims["aws:viewer-id"] = json!(id);
        claims["aws:viewer-session-version"] = json!(version);
        claims
    };
    let revoked = private.folder(&viewer("me", 2), &[]).await;
    let newer = private.folder(&viewer("me", 3), &[]).await;
    let other = private.folder(&viewer("you", 0), &[]).await;
    let next = private.stream().snapshot().next();
    let waiting = [
        private.site.waiting(&format!("{revoked}{}", reload(next))).await,
        private.site.waiting(&format!("{revoked}{}", part_file(next))).await,
    ];
    let channel_arn = private.site.private.arn.clone();
    private.gate.revoke([Revocation { channel_arn, viewer_id: "me".into(), versions_up_to: 2 }]);
    for task in waiting {
        assert_eq!(task.await.unwrap().status(), StatusCode::FORBIDDEN);
    }
    for file in private.classes() {
        assert_eq!(private.status(&format!("{revoked}{file}"), &[]).await, StatusCode::FORBIDDEN, "{file}");
    }
    for folder in [newer, other] {
        assert_eq!(private.status(&format!("{folder}media.m3u8"), &[]).await, StatusCode::OK);
    }
    *private.records.revoked_up_to.lock().unwrap() = Some(2);
    assert_eq!(private.refusal(&viewer("me", 2)).await, "playback_auth_error");
    assert_eq!(private.status(&private.master(&viewer("me", 3)), &[]).await, StatusCode::OK);
}

#[tokio::test]
async fn origins_are_a_matter_of_cors_unless_they_are_strict() {
    let (private, _feed) = Private::live().await;
    let (good, bad) = (("origin", "https://a.example"), ("origin", "https://b.example"));
    let mut claims = private.claims();
    claims["aws:access-control-allow-origin"] = json!("https://a.example");
    let response = private.site.ask(Method::GET, &private.master(&claims), &[good]).await;
    assert_eq!(response.headers()["access-control-allow-origin"], "https://a.example");
    assert_eq!(response.headers()["vary"], "Origin");
    let response = private.site.ask(Method::GET, &private.master(&claims), &[bad]).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(!response.headers().contains_key("access-control-allow-origin"));
    // Not a browser: no CORS, and not strict.
    let folder = private.folder(&claims, &[]).await;
    assert_eq!(private.status(&format!("{folder}media.m3u8"), &[bad]).await, StatusCode::OK);

    claims["aws:strict-origin-enforcement"] = json!(true);
    for headers in [&[][..], &[bad]] {
        let response = private.site.ask(Method::GET, &private.master(&claims), headers).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
    }
    let folder = private.folder(&claims, &[good]).await;
    for file in ["media.m3u8", "init-0.mp4", "s0.m4s", "s0.p0.m4s"] {
        let uri = format!("{folder}{file}");
        let response = private.site.ask(Method::GET, &uri, &[good]).await;
        assert_eq!(response.headers()["access-control-allow-origin"], "https://a.example", "{file}");
        assert_eq!(private.status(&uri, &[bad]).await, StatusCode::FORBIDDEN, "{file}");
        let response = private.site.get(&uri).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{file}");
        assert_eq!(text(response).await, "origin required\n");
    }
}

#[tokio::test]
async fn a_restriction_policy_holds_for_channels_without_tokens_too() {
    let private = Private::new();
    let channel = Channel { playback_restriction_policy_arn: POLICY.into(), ..private.site.channel.clone() };
    let policy = |strict_origin| Restriction {
        arn: POLICY.into(),
        countries: vec!["DE".into()],
        origins: Origins::parse("https://a.example"),
        strict_origin,
    };
    *private.records.restriction.lock().unwrap() = Some(policy(true));
    let _feed = private.site.on_air(&channel).await;
    let asking = |origin| admission::Asking { token: None, origin, address: "127.0.0.1".parse().ok() };
    // Without a database no address's country is known, and such viewers may watch.
    let admitted = private.gate.enter(&channel, &asking(Some("https://a.example"))).await.unwrap();
    assert!(private.gate.enter(&channel, &asking(None)).await.is_err());
    let stream = private.site.hub.stream(&channel.id).expect("live");
    let session = private.gate.begin(&stream, &admitted).await.unwrap();
    let uri = format!("/media/v/{session}/{}/{}/media.m3u8", stream.epoch, stream.snapshot().rendition());
    assert_eq!(private.status(&uri, &[("origin", "https://a.example")]).await, StatusCode::OK);
    assert_eq!(private.status(&uri, &[]).await, StatusCode::FORBIDDEN);
    let bare = format!("/media/{}/{}/media.m3u8", stream.epoch, stream.snapshot().rendition());
    assert_eq!(private.status(&bare, &[("origin", "https://a.example")]).await, StatusCode::FORBIDDEN);
    // The policy is changed while viewers watch.
    private.gate.restrict([policy(false)]);
    assert_eq!(private.status(&uri, &[]).await, StatusCode::OK);
    *private.records.restriction.lock().unwrap() = None;
    assert!(private.gate.enter(&channel, &asking(Some("https://a.example"))).await.is_err(), "a fault lets nobody in");
}

#[tokio::test]
async fn what_is_larger_than_the_token_allows_is_neither_listed_nor_served() {
    let (private, _feed) = Private::live().await;
    let mut claims = private.claims();
    claims["aws:maximum-resolution"] = json!("SD");
    let folder = private.folder(&claims, &[]).await;
    assert_eq!(private.status(&format!("{folder}media.m3u8"), &[]).await, StatusCode::OK, "160x90 is small enough");
}

#[tokio::test]
async fn sessions_go_on_when_the_stream_has_ended() {
    let (private, feed) = Private::live().await;
    let folder = private.folder(&private.claims(), &[]).await;
    let beyond = Position { msn: private.stream().snapshot().next().msn + 1, part: 0 };
    let reloading = private.site.waiting(&format!("{folder}{}", reload(beyond))).await;
    feed.publisher.finish(Ending::Clean).await;
    assert!(text(reloading.await.unwrap()).await.trim_end().ends_with("#EXT-X-ENDLIST"));
    assert_eq!(private.status(&format!("{folder}s0.m4s"), &[]).await, StatusCode::OK);
    private.site.ended(&private.site.private.id).await;
    assert_eq!(private.status(&private.master(&private.claims()), &[]).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn whoever_takes_part_needs_the_session_too() {
    let (private, _feed) = Private::live().await;
    let folder = private.folder(&private.claims(), &[]).await;
    let session = folder.split('/').nth(3).expect("a session");
    let stream = private.stream();
    assert_eq!(private.gate.take_part(&stream, Some(session), None), Ok(()));
    assert!(private.gate.take_part(&stream, Some("x"), None).is_err());
    assert!(private.gate.take_part(&stream, None, None).is_err());
}

#[tokio::test]
async fn a_session_goes_on_without_a_token_and_spends_none() {
    let (private, _feed) = Private::live().await;
    let mut claims = private.claims();
    claims["aws:single-use-uuid"] = UUID.into();
    claims["aws:maximum-resolution"] = "FULL_HD".into();
    claims["aws:viewer-id"] = "somebody".into();
    let folder = private.folder(&claims, &[]).await;
    let session = folder.strip_prefix("/media/v/").and_then(|rest| rest.split('/').next()).expect("a session");
    assert_eq!(private.refusal(&claims).await, "playback_auth_error", "the token is spent");
    let master = Site::master(&private.site.private);
    let token = private.signer.sign(&claims);
    for query in [format!("session={session}"), format!("token={token}&session={session}")] {
        let response = private.site.get(&format!("{master}?{query}")).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert!(text(response).await.contains(&format!("{folder}media.m3u8")), "the same session");
    }
    // A session that is not good is as none: the token decides.
    let mut fresh = private.claims();
    fresh["aws:single-use-uuid"] = "1e0b4a9c-6d8f-4a49-9f1e-0123456789ab".into();
    let fresh = private.signer.sign(&fresh);
    let made_up = format!("{master}?session=made-up&token={fresh}");
    assert_eq!(private.status(&made_up, &[]).await, StatusCode::OK);
    assert_eq!(private.status(&made_up, &[]).await, StatusCode::FORBIDDEN);
    assert_eq!(private.status(&format!("{master}?session=made-up"), &[]).await, StatusCode::FORBIDDEN);
    // What ends a session ends this too.
    private.gate.revoke([Revocation {
        channel_arn: private.site.private.arn.clone(),
        viewer_id: "somebody".into(),
        versions_up_to: 0,
    }]);
    assert_eq!(private.status(&format!("{master}?session={session}"), &[]).await, StatusCode::FORBIDDEN);
}
