//! Records and events of sessions, as rules and `GetStreamSession` see them.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use headwater_model::ivs::VideoIngest;
use headwater_store::SqliteStore;
use serde_json::json;

const NOW: Timestamp = Timestamp(1_795_498_182_123);

async fn journal() -> (Sessions, Arc<dyn Store>, Channel) {
    let store: Arc<dyn Store> = Arc::new(SqliteStore::in_memory().await.unwrap());
    let realm = Realm::default();
    let channel = Channel::new(&realm, "Your-Channel", NOW);
    (Sessions::new(realm.clone(), Arc::clone(&store), Interact::new(Arc::clone(&store), realm)), store, channel)
}

fn event(channel: &Channel, id: &str, kind: SessionEventKind) -> SessionEvent {
    SessionEvent { channel: channel.clone(), stream_id: id.into(), at: NOW, kind }
}

async fn session(store: &dyn Store, id: &str) -> StreamSession {
    headwater_store::find(store, id).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_broadcast_leaves_its_record_and_the_documented_events() {
    let (journal, store, channel) = journal().await;
    let video = VideoIngest { codec: "avc1.42C028".into(), ..VideoIngest::default() };
    for kind in [
        SessionEventKind::Created,
        SessionEventKind::Created,
        SessionEventKind::Start { video: vec![video.clone()], audio: Vec::new() },
        SessionEventKind::StarvationStart,
        SessionEventKind::StarvationEnd,
        SessionEventKind::End,
        SessionEventKind::Ended,
    ] {
        journal.record(event(&channel, "st-1", kind)).await.unwrap();
    }
    let events = store.events(0, 100).await.unwrap();
    let names: Vec<(&str, &str)> = events
        .iter()
        .map(|(_, event)| (event.detail_type.as_str(), event.detail["event_name"].as_str().unwrap()))
        .collect();
    assert_eq!(
        names,
        [
            ("IVS Stream State Change", "Session Created"),
            ("IVS Stream State Change", "Stream Start"),
            ("IVS Stream Health Change", "Starvation Start"),
            ("IVS Stream Health Change", "Starvation End"),
            ("IVS Stream State Change", "Stream End"),
            ("IVS Stream State Change", "Session Ended"),
        ]
    );
    let start = &events[1].1;
    assert_eq!(
        start.envelope(journal.realm()),
        json!({
            "version": "0",
            "id": start.id,
            "detail-type": "IVS Stream State Change",
            "source": "aws.ivs",
            "account": "000000000000",
            "time": "2026-11-24T05:29:42Z",
            "region": "us-east-1",
            "resources": [channel.arn],
            "detail": {"event_name": "Stream Start", "channel_name": "Your-Channel", "stream_id": "st-1"},
        })
    );
    let session = session(&*store, "st-1").await;
    assert_eq!(session.video, [video]);
    assert_eq!(session.end_time, Some(NOW));
    assert!(!session.live && !session.has_error_event);
    assert_eq!(session.events.len(), 6);
}

#[tokio::test]
async fn sessions_that_a_crash_left_open_are_ended_once() {
    let (journal, store, channel) = journal().await;
    journal.record(event(&channel, "st-live", SessionEventKind::Created)).await.unwrap();
    let start = SessionEventKind::Start { video: Vec::new(), audio: Vec::new() };
    journal.record(event(&channel, "st-live", start)).await.unwrap();
    journal.record(event(&channel, "st-young", SessionEventKind::Created)).await.unwrap();
    let later = NOW.plus_ms(60_000);
    assert_eq!(journal.end_open(later).await.unwrap().len(), 2);
    assert_eq!(journal.end_open(later).await.unwrap().len(), 0);
    let names = |session: StreamSession| session.events.into_iter().map(|event| event.name).collect::<Vec<_>>();
    let live = session(&*store, "st-live").await;
    assert_eq!(live.end_time, Some(later));
    assert_eq!(names(live), ["Session Created", "Stream Start", "Stream End", "Session Ended"]);
    assert_eq!(names(session(&*store, "st-young").await), ["Session Created", "Session Ended"]);
    assert_eq!(store.last_event().await.unwrap(), 6);
}

#[tokio::test]
async fn a_session_keeps_its_newest_events_and_goes_after_sixty_days() {
    let (journal, store, channel) = journal().await;
    journal.record(event(&channel, "st-1", SessionEventKind::Created)).await.unwrap();
    let mut kept = session(&*store, "st-1").await;
    for n in 0..SESSION_EVENTS_MAX as i64 {
        for told in told(&kept, &SessionEventKind::StarvationStart) {
            note(&mut kept, told.line(NOW.plus_ms(n)), &told);
        }
    }
    let mut batch = Batch::new();
    batch.put(&kept).unwrap();
    store.commit(batch).await.unwrap();
    let kept = session(&*store, "st-1").await.events;
    assert_eq!(kept.len(), SESSION_EVENTS_MAX);
    assert_eq!(kept[0].name, "Starvation Start");
    let much_later = NOW.plus_ms(61 * DAY_MS);
    assert_eq!(journal.remove_old(much_later).await.unwrap(), 0, "it is still open");
    journal.record(event(&channel, "st-1", SessionEventKind::Ended)).await.unwrap();
    assert_eq!(journal.remove_old(NOW.plus_ms(59 * DAY_MS)).await.unwrap(), 0);
    assert_eq!(journal.remove_old(much_later).await.unwrap(), 1);
}

#[tokio::test]
async fn breaches_and_refused_takeovers_have_the_documented_members_and_mark_the_session() {
    use headwater_live::doctor::{IngestLimit, LimitBreach};
    let (journal, store, channel) = journal().await;
    let breach = |limit, value, measured| SessionEventKind::LimitBreach(LimitBreach { limit, value, measured });
    for (id, kind) in [
        ("st-1", breach(IngestLimit::Bitrate, 8_500_000, 12_000_000)),
        ("st-2", breach(IngestLimit::Pixels, 2_100_000, 3_686_400)),
        ("st-3", breach(IngestLimit::PixelsPerEdge, 1_920, 2_560)),
        ("st-4", SessionEventKind::TakeoverFailure(headwater_live::TakeoverRefusal::MediaMismatch)),
    ] {
        journal.record(event(&channel, id, SessionEventKind::Created)).await.unwrap();
        journal.record(event(&channel, id, kind)).await.unwrap();
        assert!(session(&*store, id).await.has_error_event, "{id}");
    }
    let events = store.events(0, 100).await.unwrap();
    let told: Vec<_> =
        events.iter().skip(1).step_by(2).map(|(_, event)| (&event.detail_type[..], &event.detail)).collect();
    let member = |name: &str, value: u64, by: u64, unit: &str, stream: &str| {
        json!({"limit_name": name, "limit_value": value, "exceeded_by": by, "limit_unit": unit,
            "channel_name": "Your-Channel", "stream_id": stream})
    };
    assert_eq!(
        told,
        [
            ("IVS Limit Breach", &member("Ingest Bitrate", 8_500_000, 3_500_000, "bits per second", "st-1")),
            ("IVS Limit Breach", &member("Ingest Resolution", 2_100_000, 1_586_400, "total pixels", "st-2")),
            ("IVS Limit Breach", &member("Ingest Resolution", 1_920, 640, "pixels per edge", "st-3")),
            (
                "IVS Stream State Change",
                &json!({"event_name": "Stream Takeover Failure", "channel_name": "Your-Channel",
            "stream_id": "st-4", "code": "StreamTakeoverMediaMismatch"})
            ),
        ]
    );
    let failure = &session(&*store, "st-4").await.events[1];
    assert_eq!((&failure.name[..], &failure.code[..]), ("Stream Takeover Failure", "StreamTakeoverMediaMismatch"));
    let breach = &session(&*store, "st-1").await.events[1];
    assert_eq!((&breach.event_type[..], &breach.name[..]), ("IVS Limit Breach", "Ingest Bitrate"));
}

#[tokio::test]
async fn an_ad_break_is_told_with_its_members() {
    use headwater_model::ivs::AdBreak;
    let (journal, store, channel) = journal().await;
    let ad_break = AdBreak { id: "AbCdEf123456".into(), duration_s: 30, target_start: NOW };
    journal.record(event(&channel, "st-1", SessionEventKind::AdBreak(ad_break))).await.unwrap();
    let told = &store.events(0, 10).await.unwrap()[0].1;
    assert_eq!(told.detail_type, "IVS Ad Break State Change");
    assert_eq!(
        told.detail,
        json!({
            "event_name": "Ad Break Inserted",
            "channel_name": "Your-Channel",
            "stream_id": "st-1",
            "ad_break_id": "AbCdEf123456",
            "duration_seconds": 30,
            "target_start_time": "2026-11-24T05:29:42.123Z",
        })
    );
}

#[tokio::test]
async fn a_sweep_removes_all_that_is_old_however_much_it_is_and_nothing_else() {
    let (journal, store, channel) = journal().await;
    let day = |days: i64| NOW.plus_ms(days * DAY_MS);
    for index in 0..1_100_i64 {
        let at = day(index % 2);
        let event = |kind| SessionEvent { channel: channel.clone(), stream_id: format!("st-{index}"), at, kind };
        journal.record(event(SessionEventKind::Ended)).await.unwrap();
    }
    assert_eq!(journal.remove_old(day(60).plus_ms(-1)).await.unwrap(), 0);
    assert_eq!(journal.remove_old(day(60)).await.unwrap(), 550, "those of the first day");
    assert_eq!(journal.remove_old(day(60)).await.unwrap(), 0);
    let left: Vec<StreamSession> = headwater_store::list(&*store, Select::default()).await.unwrap();
    assert!(left.len() == 550 && left.iter().all(|session| session.end_time == Some(day(1))));
    assert_eq!(journal.remove_old(day(100)).await.unwrap(), 550);
}

#[test]
fn sessions_that_were_stored_with_one_track_are_read() {
    let channel = Channel::new(&Realm::default(), "a", NOW);
    let mut stored = serde_json::to_value(StreamSession::new(channel.clone(), "st-1".into(), NOW)).unwrap();
    stored["video"] = json!({"codec": "avc1.42C028", "encoder": "", "target_bitrate": 0, "target_framerate": 0,
        "width": 640, "height": 360});
    stored["audio"] = json!(null);
    let read: StreamSession = serde_json::from_value(stored).unwrap();
    assert_eq!((read.video.len(), read.video[0].width, read.audio.len()), (1, 640, 0));
}
