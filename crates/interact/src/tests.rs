//! Polls over a real store, through the operations and through the routes.

#![allow(clippy::unwrap_used, reason = "tests")]

use crate::channels::Snapshot;
use crate::{AnswerError, Choice, GiveAnswer, Interact, export, router};
use axum::body::Body;
use axum::extract::ConnectInfo;
use futures_util::future::join_all;
use headwater_model::ivs::Channel;
use headwater_model::poll::Poll;
use headwater_model::{Realm, Timestamp};
use headwater_store::{Batch, SqliteStore, Store, find};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use tower::ServiceExt;

const NOW: Timestamp = Timestamp(1_795_498_182_123);
const STREAM: &str = "st-1234567890abcdefghijklm";

struct Room {
    store: Arc<dyn Store>,
    interact: Interact,
    channel: Channel,
}

impl Room {
    async fn new() -> Room {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::in_memory().await.unwrap());
        let realm = Realm::default();
        let channel = Channel::new(&realm, "room", NOW);
        let mut batch = Batch::new();
        batch.insert(&channel).unwrap();
        store.commit(batch).await.unwrap();
        Room { interact: Interact::new(store.clone(), realm), store, channel }
    }

    /// The same store after the process was killed and started again.
    fn restarted(&self) -> Room {
        let interact = Interact::new(self.store.clone(), Realm::default());
        Room { store: self.store.clone(), interact, channel: self.channel.clone() }
    }

    async fn ask(&self, poll_id: &str) -> Poll {
        let payload = json!({"question": "Tea?", "answers": ["yes", "no"], "poll_id": poll_id}).to_string();
        let cue_id = format!("cue-{poll_id}");
        let asked = self.interact.cue(&self.channel.arn, STREAM, &cue_id, &payload, NOW);
        asked.await.unwrap().unwrap()
    }

    async fn answer(&self, poll: &Poll, viewer: &str, choice: u32) -> Result<(u32, bool, Vec<u64>), AnswerError> {
        let given =
            GiveAnswer { poll: poll.id.clone(), viewer: viewer.into(), choice: Choice::Index(choice), playhead: None };
        self.interact.answer(given, Timestamp::now()).await.map(|done| (done.choice, done.counted, done.tally))
    }

    async fn shown(&self) -> Option<(String, Vec<u64>)> {
        let shown: Snapshot = self.interact.open_poll(&self.channel.arn).await.unwrap();
        shown.map(|standing| (standing.poll.id.clone(), standing.tally.clone()))
    }

    async fn request(&self, method: Method, path: &str, body: &str) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).unwrap();
        let peer: SocketAddr = "192.0.2.7:1234".parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = router(self.interact.clone()).oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }
}

#[tokio::test]
async fn only_questions_open_a_poll() {
    let room = Room::new().await;
    let cue = room.interact.cue(&room.channel.arn, STREAM, "c", "hello", NOW).await.unwrap();
    assert_eq!(cue, None);
    assert_eq!(room.shown().await, None);
    let poll = room.ask("p1").await;
    assert_eq!(poll.id, format!("{STREAM}:p1"));
    assert_eq!(room.shown().await, Some((poll.id, vec![0, 0])));
}

#[tokio::test]
async fn the_next_question_closes_the_one_before_it() {
    let room = Room::new().await;
    let first = room.ask("p1").await;
    let second = room.ask("p2").await;
    assert_eq!(room.shown().await.unwrap().0, second.id);
    let first = find::<Poll>(&*room.store, &first.id).await.unwrap().unwrap();
    assert_eq!(first.closed_at, Some(NOW));
    assert!(matches!(room.answer(&first, "viewer-1", 0).await, Err(AnswerError::Closed(_))));
    assert_eq!(room.answer(&second, "viewer-1", 0).await.unwrap(), (0, true, vec![1, 0]));
}

#[tokio::test]
async fn the_same_question_again_is_the_same_poll_and_keeps_its_answers() {
    let room = Room::new().await;
    let first = room.ask("p1").await;
    room.answer(&first, "viewer-1", 1).await.unwrap();
    assert_eq!(room.ask("p1").await, first);
    assert_eq!(room.shown().await, Some((first.id.clone(), vec![0, 1])));
    room.ask("p2").await;
    let again = room.ask("p1").await;
    assert_eq!((again.id.as_str(), again.closed_at), (first.id.as_str(), None));
    assert_eq!(room.shown().await, Some((first.id.clone(), vec![0, 1])));
    // Another question under the same id is another poll.
    let payload = json!({"question": "Coffee?", "answers": ["yes", "no", "both"], "poll_id": "p1"}).to_string();
    let other = room.interact.cue(&room.channel.arn, STREAM, "cue-9", &payload, NOW).await.unwrap().unwrap();
    assert_ne!(other.id, first.id);
    assert_eq!(room.shown().await, Some((other.id, vec![0, 0, 0])));
}

#[tokio::test]
async fn the_first_answer_counts_and_repeating_changes_nothing() {
    let room = Room::new().await;
    let poll = room.ask("p1").await;
    assert_eq!(room.answer(&poll, "viewer-1", 1).await.unwrap(), (1, true, vec![0, 1]));
    assert_eq!(room.answer(&poll, "viewer-1", 1).await.unwrap(), (1, false, vec![0, 1]));
    assert_eq!(room.answer(&poll, "viewer-1", 0).await.unwrap(), (1, false, vec![0, 1]));
    assert_eq!(room.answer(&poll, "viewer-2", 0).await.unwrap(), (0, true, vec![1, 1]));
    assert!(matches!(room.answer(&poll, "viewer-3", 2).await, Err(AnswerError::Choice { offered: 2 })));
    assert!(matches!(room.answer(&poll, "short", 0).await, Err(AnswerError::Viewer)));
    room.interact.session_ended(&room.channel.arn, STREAM, NOW).await.unwrap();
    assert_eq!(room.answer(&poll, "viewer-2", 1).await.unwrap(), (0, false, vec![1, 1]), "it stands after the end");
}

#[tokio::test]
async fn concurrent_answers_are_all_counted_once() {
    let room = Room::new().await;
    let poll = room.ask("p1").await;
    let answers = (0..300).map(|n| {
        let (room, poll) = (&room, &poll);
        // Each of a hundred viewers answers three times at once.
        async move { room.answer(poll, &format!("viewer-{}", n % 100), n % 2).await.unwrap().1 }
    });
    let counted = join_all(answers).await.into_iter().filter(|counted| *counted).count();
    assert_eq!(counted, 100);
    let (_, tally) = room.shown().await.unwrap();
    assert_eq!(tally.iter().sum::<u64>(), 100);
    assert_eq!(room.restarted().shown().await.unwrap().1, tally, "the store says the same");
}

#[tokio::test]
async fn a_restart_keeps_the_open_question_and_its_answers() {
    let room = Room::new().await;
    let poll = room.ask("p1").await;
    room.answer(&poll, "viewer-1", 1).await.unwrap();
    let room = room.restarted();
    assert_eq!(room.answer(&poll, "viewer-2", 1).await.unwrap(), (1, true, vec![0, 2]));
    assert_eq!(room.answer(&poll, "viewer-1", 0).await.unwrap(), (1, false, vec![0, 2]));
    assert_eq!(room.shown().await, Some((poll.id, vec![0, 2])));
}

#[tokio::test]
async fn the_sessions_end_closes_its_own_poll_only() {
    let room = Room::new().await;
    let poll = room.ask("p1").await;
    let other = room.interact.session_ended(&room.channel.arn, "st-another", NOW).await.unwrap();
    assert_eq!(other, None);
    assert!(room.shown().await.is_some());
    let closed = room.interact.session_ended(&room.channel.arn, STREAM, NOW.plus_ms(5)).await.unwrap().unwrap();
    assert_eq!((closed.id.as_str(), closed.closed_at), (poll.id.as_str(), Some(NOW.plus_ms(5))));
    assert_eq!(room.shown().await, None);
    assert_eq!(room.restarted().shown().await, None);
    assert_eq!(room.interact.session_ended(&room.channel.arn, STREAM, NOW).await.unwrap(), None);
}

#[tokio::test]
async fn the_routes_speak_json_and_say_what_is_wrong() {
    let room = Room::new().await;
    let base = format!("/interact/v1/channels/{}", room.channel.id);
    assert_eq!(room.request(Method::GET, &format!("{base}/poll"), "").await, (StatusCode::OK, json!({"poll": null})));
    assert_eq!(room.request(Method::GET, "/interact/v1/channels/none/poll", "").await.0, StatusCode::NOT_FOUND);
    let poll = room.ask("p 1/x").await;
    let (_, state) = room.request(Method::GET, &format!("{base}/poll"), "").await;
    assert_eq!(
        state["poll"],
        json!({
            "id": poll.id, "poll_id": "p 1/x", "question": "Tea?", "answers": ["yes", "no"], "tally": [0, 0],
            "total": 0, "opened_at": "2026-11-24T05:29:42.123Z", "cue_id": "cue-p 1/x", "closed": false
        })
    );
    let path = format!("/interact/v1/polls/{}/answers", poll.id.replace(' ', "%20").replace('/', "%2F"));
    let post = async |body: Value| {
        let (status, value) = room.request(Method::POST, &path, &body.to_string()).await;
        (status.as_u16(), value)
    };
    let ok = json!({"viewer": "viewer-1", "answer": "no", "playhead": "2026-11-24T05:29:43.5Z"});
    assert_eq!(post(ok).await, (200, json!({"choice": 1, "counted": true, "tally": [0, 1], "total": 1})));
    let again = json!({"viewer": "viewer-1", "choice": 0});
    assert_eq!(post(again).await, (200, json!({"choice": 1, "counted": false, "tally": [0, 1], "total": 1})));
    let stored = room.store.answer(&poll.id, "viewer-1").await.unwrap().unwrap();
    assert_eq!(stored.playhead.unwrap().iso_millis(), "2026-11-24T05:29:43.500Z");
    for bad in [
        json!({"viewer": "viewer-2"}),
        json!({"viewer": "viewer-2", "choice": 2}),
        json!({"viewer": "viewer-2", "choice": -1}),
        json!({"viewer": "viewer-2", "answer": "maybe"}),
        json!({"viewer": "v", "choice": 0}),
        json!({"viewer": "viewer 22", "choice": 0}),
        json!({"viewer": "viewer-2", "choice": 0, "playhead": "now"}),
        json!([]),
    ] {
        assert_eq!(post(bad.clone()).await.0, 400, "{bad}");
    }
    assert_eq!(
        room.request(Method::POST, "/interact/v1/polls/none/answers", "{\"viewer\":\"viewer-1\",\"choice\":0}").await.0,
        404
    );
    room.interact.session_ended(&room.channel.arn, STREAM, NOW).await.unwrap();
    assert_eq!(post(json!({"viewer": "viewer-2", "choice": 0})).await.0, 409);
    let large = json!({"viewer": "viewer-2", "answer": "x".repeat(5000)});
    assert_eq!(post(large).await.0, 413);
}

#[tokio::test]
async fn a_viewer_who_answers_without_end_is_slowed_down() {
    let room = Room::new().await;
    let poll = room.ask("p1").await;
    let path = format!("/interact/v1/polls/{}/answers", poll.id);
    let body = json!({"viewer": "viewer-1", "choice": 0}).to_string();
    let statuses = join_all((0..30).map(|_| room.request(Method::POST, &path, &body))).await;
    assert!(statuses.iter().any(|(status, _)| *status == StatusCode::TOO_MANY_REQUESTS));
    assert_eq!(statuses[0].0, StatusCode::OK);
    let other = json!({"viewer": "viewer-2", "choice": 0}).to_string();
    assert_eq!(room.request(Method::POST, &path, &other).await.0, StatusCode::OK, "others are not touched");
}

#[tokio::test]
async fn pages_of_any_origin_may_ask_and_answer() {
    let room = Room::new().await;
    let request = Request::builder()
        .method(Method::OPTIONS)
        .uri("/interact/v1/polls/x/answers")
        .header("origin", "http://site.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type")
        .body(Body::empty())
        .unwrap();
    let response = router(room.interact.clone()).oneshot(request).await.unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    assert!(response.headers()["access-control-allow-methods"].to_str().unwrap().contains("POST"));
}

/// Server-sent events as they arrive.
struct Events {
    body: Body,
    text: String,
}

impl Events {
    async fn of(room: &Room) -> Events {
        let path = format!("/interact/v1/channels/{}/events", room.channel.id);
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let response = router(room.interact.clone()).oneshot(request).await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Events { body: response.into_body(), text: String::new() }
    }

    /// Name and data of the next event; `None` at the end.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                let event = field("event: ").zip(field("data: "));
                self.text = rest.to_owned();
                if let Some((name, data)) = event {
                    return Some((name, serde_json::from_str(&data).unwrap()));
                }
                continue;
            }
            let frame = self.body.frame().await?.unwrap();
            self.text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
    }
}

#[tokio::test]
async fn viewers_hear_of_questions_and_of_the_newest_tally() {
    let room = Room::new().await;
    let mut early = Events::of(&room).await;
    assert_eq!(early.next().await.unwrap(), ("poll".into(), json!({"poll": null})));
    let poll = room.ask("p1").await;
    let (name, data) = early.next().await.unwrap();
    assert_eq!((name.as_str(), &data["poll"]["id"], &data["poll"]["closed"]), ("poll", &json!(poll.id), &json!(false)));
    for viewer in 0..50 {
        room.answer(&poll, &format!("viewer-{viewer}"), 0).await.unwrap();
    }
    // Fifty answers, and far fewer events: the reader ends at the newest state.
    let mut events = 0;
    loop {
        let (name, data) = early.next().await.unwrap();
        events += 1;
        assert_eq!((name.as_str(), &data["id"]), ("tally", &json!(poll.id)));
        if data["total"] == json!(50) {
            assert_eq!(data["tally"], json!([50, 0]));
            break;
        }
    }
    assert!(events < 50, "{events}");
    let mut late = Events::of(&room).await;
    let (_, data) = late.next().await.unwrap();
    assert_eq!(data["poll"]["tally"], json!([50, 0]), "who joins late has the open question at once");
    room.interact.session_ended(&room.channel.arn, STREAM, NOW).await.unwrap();
    for viewer in [&mut early, &mut late] {
        let (name, data) = viewer.next().await.unwrap();
        assert_eq!((name.as_str(), &data["poll"]["closed"]), ("poll", &json!(true)));
    }
    let mut after = Events::of(&room).await;
    assert_eq!(after.next().await.unwrap().1, json!({"poll": null}), "a closed question is nobody's news");
    room.interact.end_subscriptions();
    assert_eq!(early.next().await, None);
    assert_eq!(after.next().await, None);
}

#[tokio::test]
async fn results_are_exported_as_json_and_csv() {
    let room = Room::new().await;
    let poll = room.ask("p1").await;
    room.answer(&poll, "viewer-1", 1).await.unwrap();
    room.answer(&poll, "viewer-2", 1).await.unwrap();
    let results = room.interact.results(Some(&room.channel.arn)).await.unwrap();
    let json = export::json(&results);
    assert_eq!((&json[0]["id"], &json[0]["tally"], &json[0]["total"]), (&json!(poll.id), &json!([0, 2]), &json!(2)));
    let mut csv = String::new();
    room.interact.answers_csv(&results, |piece| csv.push_str(&piece)).await.unwrap();
    let lines: Vec<&str> = csv.split("\r\n").collect();
    assert_eq!(lines.len(), 4);
    assert!(lines[1].contains(",p1,Tea?,viewer-1,1,no,"), "{csv}");
    assert_eq!(room.interact.results(Some("arn:none")).await.unwrap(), Vec::new());
    assert_eq!(room.interact.results(None).await.unwrap(), results);
}
