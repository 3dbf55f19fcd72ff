//! Sessions in virtual time: what happens to publishers, viewers and the journal.

mod honest;
mod multitrack;
mod takeover_rules;

use super::*;
use async_trait::async_trait;
use bytes::Bytes;
use headwater_hls::lint::Linter;
use headwater_hls::playlist::{self, Delta};
use headwater_media::codec::{CodecConfig, aac, avc};
use headwater_media::{AccessUnit, Keyframe, StreamMetadata, Track, TrackKind};
use headwater_model::ivs::{Channel, StreamHealth};
use headwater_model::{Realm, Timestamp};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until, timeout};

const START: Timestamp = Timestamp(1_795_498_182_123);

/// What a journal does with an event besides noting it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Panic,
    Refuse,
}

/// A journal that can be told to misbehave, and whose notes can be read.
struct Notes {
    events: Mutex<Vec<SessionEvent>>,
    /// For a channel and the name of a kind, how often.
    moods: Mutex<Vec<(String, &'static str, Mood, usize)>>,
    /// Taken for each event; closed doors keep sessions waiting.
    doors: Semaphore,
}

fn name(kind: &SessionEventKind) -> &'static str {
    match kind {
        SessionEventKind::Created => "Created",
        SessionEventKind::Start { .. } => "Start",
        SessionEventKind::Takeover => "Takeover",
        SessionEventKind::TakeoverFailure(refusal) => refusal.code(),
        SessionEventKind::LimitBreach(breach) => breach.name(),
        SessionEventKind::AdBreak(_) => "AdBreak",
        SessionEventKind::StarvationStart => "StarvationStart",
        SessionEventKind::StarvationEnd => "StarvationEnd",
        SessionEventKind::End => "End",
        SessionEventKind::Ended => "Ended",
        SessionEventKind::Refused(code) => code.as_str(),
    }
}

#[async_trait]
impl Journal for Notes {
    async fn record(&self, event: SessionEvent) -> Result<(), JournalError> {
        let _open = self.doors.acquire().await;
        let mood = {
            let mut moods = self.moods.lock().unwrap();
            moods
                .iter_mut()
                .find(|(channel, kind, _, left)| {
                    *channel == event.channel.id && *kind == name(&event.kind) && *left > 0
                })
                .map(|(_, _, mood, left)| {
                    *left -= 1;
                    *mood
                })
        };
        match mood {
            Some(Mood::Panic) => panic!("the journal was told to panic"),
            Some(Mood::Refuse) => return Err(JournalError("disk full".into())),
            None => {}
        }
        self.events.lock().unwrap().push(event);
        Ok(())
    }
}

impl Notes {
    fn of(&self, channel: &Channel) -> Vec<&'static str> {
        let events = self.events.lock().unwrap();
        events.iter().filter(|event| event.channel.id == channel.id).map(|event| name(&event.kind)).collect()
    }
}

struct World {
    hub: Hub,
    notes: Arc<Notes>,
    channel: Channel,
}

fn channel() -> Channel {
    Channel::new(&Realm::default(), "show", START)
}

fn world() -> World {
    let notes = Arc::new(Notes { events: Mutex::default(), moods: Mutex::default(), doors: Semaphore::new(1) });
    let begun = Instant::now();
    let clock = move || START.plus_ms(begun.elapsed().as_millis() as i64);
    let options = Options { clock: Arc::new(clock), ..Options::default() };
    World { hub: Hub::new(options, notes.clone()), notes, channel: channel() }
}

impl World {
    async fn publish(&self) -> Publisher {
        self.hub.publish(self.request(&self.channel)).await.unwrap()
    }

    fn request(&self, channel: &Channel) -> Publish {
        let encoder = StreamMetadata {
            encoder: Some("fixture".into()),
            frame_rate_millis: Some(30_000),
            video_bitrate: Some(2_500_000),
            ..StreamMetadata::default()
        };
        Publish { encoder: Some(encoder), ..Publish::new(channel.clone(), "127.0.0.1:9") }
    }

    fn stream(&self) -> Arc<LiveStream> {
        self.hub.stream(&self.channel.id).expect("the stream is live")
    }
}

fn tracks() -> [Track; 2] {
    let avcc = [
        1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 9, 0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xf6, 0x40, 1, 0, 4, 0x68,
        0xce, 0x3c, 0x80,
    ];
    [
        Track::new(CodecConfig::Avc(avc::Config::parse(&avcc).unwrap())),
        Track::new(CodecConfig::Aac(aac::Config::parse(&[0x11, 0x90]).unwrap())),
    ]
}

async fn configure(publisher: &Publisher) {
    for track in tracks() {
        publisher.send(Input::Track(track)).await.unwrap();
    }
}

/// Configures and sends `ms` of media in real time: 30 frames a second with a keyframe each second, and sound. Its clock begins at 77 s.
async fn stream(publisher: &Publisher, ms: i64) -> Result<(), Superseded> {
    configure(publisher).await;
    let begun = Instant::now();
    for frame in 0..ms * 30 / 1_000 {
        let at = frame * 1_000 / 30;
        sleep_until(begun + Duration::from_millis(at as u64)).await;
        let keyframe = if frame % 30 == 0 { Keyframe::Yes } else { Keyframe::No };
        for (kind, scale) in [(TrackKind::Video, 90), (TrackKind::Audio, 48)] {
            let dts = (77_000 + at) * scale;
            let keyframe = if kind == TrackKind::Audio { Keyframe::Yes } else { keyframe };
            let data = Bytes::from_static(b"payload");
            publisher.send(Input::Unit(AccessUnit { kind, dts, pts: dts, keyframe, data })).await?;
        }
    }
    Ok(())
}

/// Waits, in virtual time, for what other tasks bring about.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if holds() {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
    panic!("never: {what}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_starts_with_its_facts_and_ends_at_once_when_it_says_so() {
    let world = world();
    let publisher = world.publish().await;
    assert_eq!(world.notes.of(&world.channel), ["Created"]);
    assert!(world.hub.stream(&world.channel.id).is_none());
    stream(&publisher, 4_500).await.unwrap();
    let live = world.stream();
    assert_eq!((live.health(), &live.stream_id[..]), (StreamHealth::Healthy, publisher.stream_id()));
    assert_eq!(live.epoch.len(), 32);
    let start = world.notes.events.lock().unwrap()[1].clone();
    let SessionEventKind::Start { video, audio } = start.kind else { panic!("expected a start") };
    let ([video], [audio]) = (&video[..], &audio[..]) else { panic!("expected one track of each kind") };
    assert_eq!((&video.codec[..], &video.encoder[..]), ("avc1.42C01E", "fixture"));
    assert_eq!((video.width, video.height, video.target_framerate), (640, 480, 30));
    assert_eq!((&audio.codec[..], audio.sample_rate, audio.channels), ("mp4a.40.2", 48_000, 2));

    publisher.finish(Ending::Clean).await;
    until("ended", || world.notes.of(&world.channel).len() == 4).await;
    assert_eq!(world.notes.of(&world.channel), ["Created", "Start", "End", "Ended"]);
    assert!(world.hub.stream(&world.channel.id).is_none());
    let kept = world.hub.stream_by_epoch(&live.epoch).unwrap();
    let snapshot = kept.snapshot();
    assert!(snapshot.ended());
    // What was sent before the end is all there.
    let total: i64 = (0..=2).map(|msn| snapshot.segment(msn).unwrap().duration_us()).sum();
    assert!((4_450_000..=4_550_000).contains(&total), "{total}");
    sleep(Duration::from_secs(61)).await;
    assert!(world.hub.stream_by_epoch(&live.epoch).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_reconnect_in_the_window_goes_on_with_the_same_session() {
    let world = world();
    let publisher = world.publish().await;
    stream(&publisher, 5_000).await.unwrap();
    let live = world.stream();
    let mut linter = Linter::new();
    assert_eq!(linter.check(&playlist::media(&live.snapshot(), Delta::Full)), []);
    drop(publisher);
    sleep(Duration::from_secs(25)).await;
    assert_eq!(live.health(), StreamHealth::Starving);
    assert_eq!(linter.check(&playlist::media(&live.snapshot(), Delta::Full)), []);
    let again = world.publish().await;
    assert_eq!(again.stream_id(), live.stream_id);
    stream(&again, 5_000).await.unwrap();
    let text = playlist::media(&live.snapshot(), Delta::Full);
    assert_eq!(linter.check(&text), []);
    assert_eq!(text.matches("#EXT-X-DISCONTINUITY\n").count(), 1, "{text}");
    // A picture stands for the outage and says when it began; after it the wall-clock distance is kept: the last frame at 4.966 s, 25 s away.
    let bridge = text.split("#EXT-X-DISCONTINUITY\n").nth(1).unwrap();
    let dates: Vec<&str> =
        bridge.lines().filter_map(|line| line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:")).take(2).collect();
    assert_eq!(dates, ["2026-11-24T05:29:47.122Z", "2026-11-24T05:30:12.089Z"], "{text}");
    assert_eq!(bridge.lines().find_map(|line| line.strip_prefix("#EXTINF:")), Some("0.03333,"), "{text}");
    assert_eq!(world.notes.of(&world.channel), ["Created", "Start", "StarvationStart", "StarvationEnd"]);
}

#[tokio::test(start_paused = true)]
async fn after_the_window_the_session_is_over_once() {
    let world = world();
    let publisher = world.publish().await;
    stream(&publisher, 5_000).await.unwrap();
    let live = world.stream();
    let mut watch = live.watch.clone();
    drop(publisher);
    sleep(Duration::from_millis(29_500)).await;
    assert!(world.hub.stream(&world.channel.id).is_some());
    timeout(Duration::from_secs(1), watch.wait_for(|snapshot| snapshot.ended())).await.unwrap().unwrap();
    until("ended", || world.notes.of(&world.channel).last() == Some(&"Ended")).await;
    assert_eq!(world.notes.of(&world.channel), ["Created", "Start", "StarvationStart", "End", "Ended"]);
    let next = world.publish().await;
    assert_ne!(next.stream_id(), live.stream_id);
}

#[tokio::test(start_paused = true)]
async fn the_newest_publisher_takes_over_at_once() {
    let world = world();
    let first = world.publish().await;
    stream(&first, 5_000).await.unwrap();
    let live = world.stream();
    let second = world.publish().await;
    assert_eq!(first.cut().await, CutReason::TakenOver);
    let refused = first.send(Input::Track(tracks()[0].clone())).await;
    assert_eq!(refused, Err(Superseded(CutReason::TakenOver)));
    stream(&second, 3_000).await.unwrap();
    // The first one's leaving concerns nobody any more.
    first.finish(Ending::Clean).await;
    stream(&second, 1_000).await.unwrap();
    assert_eq!(second.stream_id(), live.stream_id);
    assert_eq!(world.stream().epoch, live.epoch);
    assert_eq!(world.notes.of(&world.channel), ["Created", "Start", "Takeover"]);
}

#[tokio::test(start_paused = true)]
async fn a_connected_publisher_that_is_silent_starves_and_is_cut_at_last() {
    let world = world();
    let publisher = world.publish().await;
    stream(&publisher, 5_000).await.unwrap();
    let live = world.stream();
    sleep(Duration::from_millis(2_900)).await;
    assert_eq!(live.health(), StreamHealth::Healthy);
    sleep(Duration::from_millis(200)).await;
    assert_eq!(live.health(), StreamHealth::Starving);
    let cut = timeout(Duration::from_secs(40), publisher.cut()).await.unwrap();
    assert_eq!(cut, CutReason::Silent);
    until("ended", || world.notes.of(&world.channel).last() == Some(&"Ended")).await;
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_never_sends_leaves_no_stream_behind() {
    let world = world();
    let publisher = world.publish().await;
    assert_eq!(publisher.cut().await, CutReason::Silent);
    until("ended", || world.notes.of(&world.channel) == ["Created", "Ended"]).await;
    let lost = world.publish().await;
    drop(lost);
    until("ended", || world.notes.of(&world.channel).len() == 4).await;
    assert!(world.hub.streams().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_one_session() {
    let world = world();
    let other = channel();
    let calm = world.hub.publish(world.request(&other)).await.unwrap();
    let publisher = world.publish().await;
    world.notes.moods.lock().unwrap().push((world.channel.id.clone(), "StarvationStart", Mood::Panic, 1));
    let (a, b) = tokio::join!(stream(&publisher, 3_000), stream(&calm, 3_000));
    a.and(b).unwrap();
    let live = world.stream();
    let feeding = async {
        stream(&calm, 5_000).await.unwrap();
    };
    let ((), cut) = tokio::join!(feeding, publisher.cut());
    assert_eq!(cut, CutReason::SessionOver);
    assert!(live.snapshot().ended());
    assert_eq!(world.notes.of(&world.channel), ["Created", "Start", "End", "Ended"]);
    assert_eq!(world.notes.of(&other), ["Created", "Start"]);
    assert!(world.hub.stream(&other.id).is_some());
    // The channel is free again.
    let next = world.publish().await;
    assert_ne!(next.stream_id(), live.stream_id);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_refused_is_recorded_again_and_a_session_without_its_first_is_refused() {
    let world = world();
    let id = world.channel.id.clone();
    world.notes.moods.lock().unwrap().extend([
        (id.clone(), "Created", Mood::Refuse, 3),
        (id.clone(), "Start", Mood::Refuse, 4),
        (id, "End", Mood::Refuse, 5),
    ]);
    let refused = world.hub.publish(world.request(&world.channel)).await;
    assert!(matches!(refused, Err(PublishError::Journal(_))));
    assert!(world.notes.of(&world.channel).is_empty());
    let publisher = world.publish().await;
    stream(&publisher, 5_000).await.unwrap();
    publisher.finish(Ending::Clean).await;
    until("ended", || world.notes.of(&world.channel).len() == 4).await;
    assert_eq!(world.notes.of(&world.channel), ["Created", "Start", "End", "Ended"]);
}

#[tokio::test(start_paused = true)]
async fn cues_are_taken_while_the_stream_is_live() {
    let world = world();
    let put = || world.hub.put_cue(&world.channel.id, "{}".into());
    assert_eq!(put().await, Err(CueError::NotBroadcasting));
    let publisher = world.publish().await;
    assert_eq!(put().await, Err(CueError::NotBroadcasting));
    stream(&publisher, 5_000).await.unwrap();
    let (first, second) = (put().await.unwrap(), put().await.unwrap());
    assert_ne!(first.cue_id, second.cue_id);
    stream(&publisher, 1_000).await.unwrap();
    let snapshot = world.stream().snapshot();
    let ids: Vec<_> = snapshot.cues().iter().map(|cue| cue.id.clone()).collect();
    assert_eq!(ids, [first.cue_id, second.cue_id]);
    assert_eq!(snapshot.cues()[0].payload, "{}");
    assert_eq!(first.stream_id, publisher.stream_id());
    let off = snapshot.cues()[0].start.0 - first.pdt.0;
    assert!(off.abs() <= 300, "{off} ms off");
    publisher.finish(Ending::Clean).await;
    until("hidden", || world.hub.stream(&world.channel.id).is_none()).await;
    assert_eq!(put().await, Err(CueError::NotBroadcasting));
}

#[tokio::test(start_paused = true)]
async fn an_ad_break_is_marked_and_told_and_no_other_begins_before_it_is_over() {
    use headwater_model::ivs::AdBreak;
    let world = world();
    let asked = |id: &str| AdBreak { id: id.into(), duration_s: 2, target_start: Timestamp(0) };
    let insert = async |id| world.hub.insert_ad_break(&world.channel.id, asked(id)).await;
    assert_eq!(insert("first").await, Err(AdBreakError::NotBroadcasting));
    let publisher = world.publish().await;
    stream(&publisher, 5_000).await.unwrap();
    let first = insert("first").await.unwrap();
    assert!(first.target_start > Timestamp(0), "it begins with the next part, not in the past");
    assert_eq!(world.notes.of(&world.channel), ["Created", "Start", "AdBreak"]);
    assert_eq!(insert("second").await, Err(AdBreakError::Runs { id: "first".into() }));
    stream(&publisher, 1_000).await.unwrap();
    let starts = |snapshot: &headwater_hls::Snapshot| {
        snapshot.ad_marks().iter().map(|mark| (mark.id.clone(), mark.start.0)).collect::<Vec<_>>()
    };
    let out = ("first".to_owned(), first.target_start.0);
    assert_eq!(starts(&world.stream().snapshot()), std::slice::from_ref(&out));
    stream(&publisher, 2_000).await.unwrap();
    assert_eq!(starts(&world.stream().snapshot()), [out.clone(), out]);
    insert("second").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn cue_ids_are_unique_under_load() {
    let world = world();
    let publisher = world.publish().await;
    stream(&publisher, 3_000).await.unwrap();
    let mut ids = HashSet::new();
    let mut refused = 0;
    for _ in 0..100 {
        match world.hub.put_cue(&world.channel.id, String::new()).await {
            Ok(put) => assert!(ids.insert(put.cue_id)),
            Err(error) => {
                assert_eq!(error, CueError::TooMany);
                refused += 1;
            }
        }
    }
    assert_eq!((ids.len(), refused), (64, 36));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_stream_is_recorded_before_the_answer() {
    let world = world();
    assert_eq!(world.hub.stop(&world.channel.id).await, Err(NotBroadcasting));
    let publisher = world.publish().await;
    stream(&publisher, 3_000).await.unwrap();
    assert_eq!(world.hub.stop(&world.channel.id).await, Ok(()));
    assert_eq!(world.notes.of(&world.channel), ["Created", "Start", "End", "Ended"]);
    assert_eq!(publisher.cut().await, CutReason::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_every_session_and_says_whether_it_was_in_time() {
    let world = world();
    let other = channel();
    let (first, second) = (world.publish().await, world.hub.publish(world.request(&other)).await.unwrap());
    let (a, b) = tokio::join!(stream(&first, 3_000), stream(&second, 3_000));
    a.and(b).unwrap();
    assert_eq!(world.hub.shutdown(Duration::from_secs(5)).await, Drained::InTime);
    for channel in [&world.channel, &other] {
        assert_eq!(world.notes.of(channel), ["Created", "Start", "End", "Ended"]);
    }
    assert_eq!(first.cut().await, CutReason::SessionOver);
    let refused = world.hub.publish(world.request(&other)).await;
    assert!(matches!(refused, Err(PublishError::ShuttingDown)));
}

#[tokio::test(start_paused = true)]
async fn a_drain_does_not_wait_for_ever() {
    let world = world();
    let publisher = world.publish().await;
    stream(&publisher, 3_000).await.unwrap();
    let closed = world.notes.doors.acquire().await.unwrap();
    assert_eq!(world.hub.shutdown(Duration::from_secs(2)).await, Drained::Late(1));
    drop(closed);
}

#[tokio::test(start_paused = true)]
async fn a_full_inbox_makes_the_publisher_wait() {
    let world = world();
    let publisher = world.publish().await;
    stream(&publisher, 1_900).await.unwrap();
    // The session waits for its Start to be recorded.
    let closed = world.notes.doors.acquire().await.unwrap();
    let blocked = timeout(Duration::from_secs(10), stream(&publisher, 5_000)).await;
    assert!(blocked.is_err(), "the publisher was not held back");
    drop(closed);
    stream(&publisher, 1_000).await.unwrap();
    assert_eq!(world.notes.of(&world.channel)[..2], ["Created", "Start"]);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_publisher_is_told_when_it_is_cut() {
    let world = world();
    let publisher = world.publish().await;
    stream(&publisher, 3_000).await.unwrap();
    let other = world.publish();
    let (sent, _other) = tokio::join!(stream(&publisher, 60_000), other);
    assert_eq!(sent, Err(Superseded(CutReason::TakenOver)));
}
