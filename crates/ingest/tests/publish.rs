//! Publishing over real sockets on loopback: into live, refusals in words, takeover, limits.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod support;

use headwater_ingest::Limits;
use headwater_rtmp::client::Event;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{CLIP_PICTURES, Clip, Encoder, Served, count_samples, eventually};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[tokio::test]
async fn what_an_encoder_sends_is_what_viewers_get_and_a_clean_end_ends_the_session() {
    let mut served = Served::new();
    let address = served.rtmp(Limits::default()).await;
    let clip = Clip::load();
    let mut encoder = Encoder::connect(address, &served.key()).await;
    encoder.begin().await;
    encoder.client.send_metadata(clip.metadata.clone()).unwrap();
    encoder.send(clip.repeated(3)).await.unwrap();
    served.snapshot(|snapshot| snapshot.last().is_some()).await;
    let stream = served.hub.stream(served.channel_id()).expect("live");
    encoder.client.finish().unwrap();
    assert_eq!(encoder.event().await, Some(Event::Unpublished));
    let ended = tokio::time::timeout(support::PATIENCE, stream.watch.clone().wait_for(|snapshot| snapshot.ended()))
        .await
        .expect("in time")
        .expect("an end")
        .clone();
    assert_eq!(count_samples(&ended)["vide"], 3 * CLIP_PICTURES);
    eventually(|| (served.journal.names() == ["created", "start", "end", "ended"]).then_some(())).await;
}

#[tokio::test]
async fn a_connection_that_vanishes_keeps_its_session() {
    let mut served = Served::new();
    let address = served.rtmp(Limits::default()).await;
    let clip = Clip::load();
    let mut encoder = Encoder::connect(address, &served.key()).await;
    encoder.begin().await;
    encoder.send(clip.repeated(2)).await.unwrap();
    let epoch = served.snapshot(|_| true).await.epoch().to_owned();
    drop(encoder);
    let mut encoder = Encoder::connect(address, &served.key()).await;
    encoder.begin().await;
    encoder.send(clip.repeated(3)).await.unwrap();
    encoder.client.finish().unwrap();
    assert_eq!(encoder.event().await, Some(Event::Unpublished));
    eventually(|| served.journal.names().contains(&"ended").then_some(())).await;
    let names = served.journal.names();
    assert_eq!(names.iter().filter(|name| **name == "created").count(), 1, "one session: {names:?}");
    let stream = served.hub.stream_by_epoch(&epoch).expect("lingers");
    assert!(stream.snapshot().ended());
}

#[tokio::test]
async fn the_newest_encoder_wins_and_the_other_is_told() {
    let mut served = Served::new();
    let address = served.rtmp(Limits::default()).await;
    let clip = Clip::load();
    let mut first = Encoder::connect(address, &served.key()).await;
    first.begin().await;
    first.send(clip.repeated(2)).await.unwrap();
    served.snapshot(|_| true).await;
    let mut second = Encoder::connect(address, &format!("{}?priority=1", served.key())).await;
    second.begin().await;
    second.send(clip.repeated(1)).await.unwrap();
    let (code, description) = first.refusal().await;
    assert_eq!(
        (code.as_str(), description.as_str()),
        ("NetStream.Publish.Denied", "another encoder took over this stream")
    );
    second.send(clip.repeated(2)).await.unwrap();
    second.client.finish().unwrap();
    assert_eq!(second.event().await, Some(Event::Unpublished));
}

#[tokio::test]
async fn an_encoder_of_lower_priority_is_refused_in_words_and_interrupts_nobody() {
    let mut served = Served::new();
    let address = served.rtmp(Limits::default()).await;
    let clip = Clip::load();
    let mut first = Encoder::connect(address, &format!("{}?priority=2", served.key())).await;
    first.begin().await;
    first.send(clip.repeated(2)).await.unwrap();
    served.snapshot(|_| true).await;
    let mut second = Encoder::connect(address, &format!("{}?priority=1", served.key())).await;
    second.begin().await;
    first.send(clip.repeated(1)).await.unwrap();
    second.send(clip.repeated(1)).await.unwrap();
    let (code, description) = second.refusal().await;
    assert_eq!(code, "NetStream.Publish.Denied");
    assert!(description.starts_with("StreamTakeoverInvalidPriority: "), "{description}");
    assert_eq!(served.journal.names(), ["created", "start", "StreamTakeoverInvalidPriority"]);
    first.send(clip.repeated(1)).await.expect("still connected");
}

#[tokio::test]
async fn a_codec_that_is_not_taken_is_refused_by_name_and_interrupts_nobody() {
    let mut served = Served::new();
    let address = served.rtmp(Limits::default()).await;
    let clip = Clip::load();
    let mut on_air = Encoder::connect(address, &served.key()).await;
    on_air.begin().await;
    on_air.send(clip.repeated(2)).await.unwrap();
    let mut other = Encoder::connect(address, &served.key()).await;
    other.begin().await;
    // Sorenson H.263, a keyframe.
    other.client.send_video(0, bytes::Bytes::from_static(&[0x12, 0, 0, 0])).unwrap();
    let (code, description) = other.refusal().await;
    assert_eq!(code, "NetStream.Failed");
    assert!(description.contains("codec 2") && description.contains("H.264"), "{description}");
    assert!(!served.journal.names().contains(&"takeover"));
    on_air.send(clip.repeated(1)).await.expect("still connected");
}

#[tokio::test]
async fn an_encoder_that_goes_on_sending_still_reads_why_it_was_refused() {
    let mut served = Served::new();
    let address = served.rtmp(Limits::default()).await;
    let mut encoder = Encoder::connect(address, &served.key()).await;
    encoder.begin().await;
    encoder.client.send_video(0, bytes::Bytes::from_static(&[0x12, 0, 0, 0])).unwrap();
    for ms in 1..40 {
        encoder.client.send_video(ms, bytes::Bytes::from(vec![0x12; 50_000])).unwrap();
    }
    encoder.flush().await.expect("the server reads on");
    let mut answer = Vec::new();
    // A close with unread input would reset the connection, and some systems then throw the answer away.
    encoder.stream.read_to_end(&mut answer).await.expect("an end, not a reset");
    let said = String::from_utf8_lossy(&answer).into_owned();
    assert!(said.contains("NetStream.Failed"), "{said}");
}

/// Everything that was logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_wrong_key_is_refused_and_no_key_is_logged() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // This test's runtime has one thread, so its default sees every task.
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut served = Served::new();
    let address = served.rtmp(Limits::default()).await;
    let wrong = "sk_us-east-1_wrongwrongwrong";
    let (code, description) = Encoder::connect(address, wrong).await.refusal().await;
    assert_eq!((code.as_str(), description.as_str()), ("NetStream.Publish.BadName", "wrong stream key"));
    let mut encoder = Encoder::connect(address, &served.key()).await;
    encoder.begin().await;
    encoder.send(Clip::load().repeated(2)).await.unwrap();
    encoder.client.finish().unwrap();
    assert_eq!(encoder.event().await, Some(Event::Unpublished));
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("publish refused") && text.contains("127.0.0.1"), "{text}");
    assert!(text.contains("encoder on air"), "{text}");
    for key in [wrong, &served.key()] {
        assert!(!text.contains(key) && !text.contains(&key[13..]), "a key is in the log: {text}");
    }
}

#[tokio::test]
async fn a_panic_ends_its_own_connection_only() {
    let mut served = Served::new();
    let address = served.rtmp(Limits::default()).await;
    let clip = Clip::load();
    let mut on_air = Encoder::connect(address, &served.key()).await;
    on_air.begin().await;
    on_air.send(clip.repeated(2)).await.unwrap();
    served.snapshot(|_| true).await;
    let mut other = Encoder::connect(address, support::PANIC_KEY).await;
    while let Some(event) = other.event().await {
        assert!(matches!(event, Event::Connected(_)), "{event:?}");
    }
    on_air.send(clip.repeated(1)).await.expect("it goes on");
    let mut newcomer = Encoder::connect(address, &served.key()).await;
    newcomer.begin().await;
}

#[tokio::test]
async fn more_encoders_than_allowed_are_closed_at_once() {
    let mut served = Served::new();
    let address = served.rtmp(Limits { encoders_max: 1, ..Limits::default() }).await;
    let mut first = Encoder::connect(address, &served.key()).await;
    first.begin().await;
    assert_eq!(Encoder::connect(address, &served.key()).await.event().await, None);
    first.send(Clip::load().repeated(2)).await.expect("the first goes on");
    served.snapshot(|_| true).await;
}

#[tokio::test]
async fn a_thousand_silent_connections_leave_room_and_an_encoder_on_air_alone() {
    let mut served = Served::new();
    let limits = Limits { guests_max: 50, ..Limits::default() };
    let address = served.rtmp(limits).await;
    let clip = Clip::load();
    let mut on_air = Encoder::connect(address, &served.key()).await;
    on_air.begin().await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&[3, 0, 0]).await.unwrap();
        silent.push(stream);
    }
    let mut newcomer = Encoder::connect(address, "wrong").await;
    assert_eq!(newcomer.refusal().await.0, "NetStream.Publish.BadName", "a newcomer is heard");
    // The first of them had to make room.
    let mut byte = [0];
    let closed = tokio::time::timeout(support::PATIENCE, silent[0].read(&mut byte)).await.expect("closed in time");
    assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
    on_air.send(clip.repeated(2)).await.expect("on air");
    served.snapshot(|_| true).await;
}

#[tokio::test]
async fn a_stopping_server_tells_its_encoders_and_ends_in_time() {
    let mut served = Served::new();
    let address = served.rtmp(Limits::default()).await;
    let mut encoder = Encoder::connect(address, &served.key()).await;
    encoder.begin().await;
    served.cancel.cancel();
    assert_eq!(encoder.refusal().await, ("NetStream.Failed".to_owned(), "the server is stopping".to_owned()));
    drop(encoder);
    let drained =
        tokio::time::timeout(Duration::from_secs(10), async { while served.tasks.join_next().await.is_some() {} });
    drained.await.expect("drained");
    assert!(TcpStream::connect(address).await.is_err(), "the listener is closed");
}
