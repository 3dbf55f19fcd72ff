//! Renditions that are made when somebody watches them, by a real encoder.

use super::stage::{PATIENCE, Stage, TURN, check, encoders, on_demand, run, texts};
use headwater_hls::lint::read;
use headwater_live::{LadderState, LiveStream, RenditionState};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A playlist's text, and how long the answer took.
async fn fetch(url: &str) -> (String, Duration) {
    let asked = Instant::now();
    let text = run("curl", &["-sS", "-f", "--max-time", "20", url]).await;
    (text, asked.elapsed())
}

async fn states(stage: &Stage, what: &str, ladder: LadderState) -> Arc<LiveStream> {
    stage.stream(what, |stream| stream.offer().ladder == ladder && stream.snapshot().next().msn >= 3).await
}

/// The longest time between two parts of the source, while it is watched for so many.
async fn longest_pause(stream: Arc<LiveStream>, parts: usize) -> Duration {
    let mut watch = stream.watch.clone();
    let (mut longest, mut last) = (Duration::ZERO, Instant::now());
    for _ in 0..parts {
        if tokio::time::timeout(PATIENCE, watch.changed()).await.is_err() {
            return PATIENCE;
        }
        longest = longest.max(last.elapsed());
        last = Instant::now();
    }
    longest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_wakes_a_rendition_and_silence_puts_it_to_sleep() {
    let _turn = TURN.lock().await;
    let stage = Stage::new(headwater_live::ladder::Options { linger: Duration::from_secs(2), ..on_demand() }).await;
    let _publisher = stage.publish_with(
        1,
        "testsrc2=size=640x480:rate=30",
        "-t 60 -c:v libx264 -preset ultrafast -bf 0 -g 60 -sc_threshold 0",
    );
    let stream = states(&stage, "all sleep", LadderState::Asleep).await;
    assert_eq!(encoders().await.len(), 0, "nobody watches");

    // All are listed, as they will be.
    let (master, _) = fetch(&stage.master).await;
    assert_eq!(master.matches("#EXT-X-STREAM-INF").count(), 3, "{master}");
    assert!(master.contains("avc1.4D401F,mp4a.40.2\",RESOLUTION=480x360,FRAME-RATE=30.000"), "{master}");
    assert!(master.contains("#EXT-X-INDEPENDENT-SEGMENTS"), "{master}");

    // The first request is held until there are pictures, and the source never waits.
    let origin = stage.master.split("/api/").next().unwrap().to_owned();
    let url = format!("{origin}/media/{}/160p30/media.m3u8", stream.epoch);
    let pauses = tokio::spawn(longest_pause(Arc::clone(&stream), 20));
    let ((text, waited), pictured) = (fetch(&url).await, stream.snapshot().last());
    println!("woken after {waited:?}");
    let playlist = read(&text).unwrap();
    let newest = playlist.segments.last().unwrap();
    assert!(newest.parts.first().is_some_and(|part| part.independent) || !newest.gap, "{text}");
    assert!(playlist.segments.first().unwrap().gap, "what nobody watched is a gap: {text}");
    assert!(pictured.is_some());
    assert!(stream.offer().renditions.iter().any(|one| one.name == "360p30" && one.state == RenditionState::Asleep));
    assert_eq!(encoders().await.len(), 1);
    check(&texts(&stream));
    let pause = pauses.await.unwrap();
    println!("longest pause of the source: {pause:?}");
    assert!(pause < Duration::from_secs(2), "{pause:?}");

    // A second one: whoever watches the first has no gap. The encoder is one again soon.
    let watched = tokio::spawn({
        let url = url.clone();
        async move {
            let until = Instant::now() + Duration::from_secs(6);
            while Instant::now() < until {
                fetch(&url).await;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    });
    let first_pictured = stream.snapshot().next().msn;
    let (_, waited) = fetch(&format!("{origin}/media/{}/360p30/media.m3u8", stream.epoch)).await;
    println!("woken after {waited:?}");
    let began = Instant::now();
    while encoders().await.len() != 1 {
        assert!(began.elapsed() < PATIENCE, "one encoder makes both");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    watched.await.unwrap();
    let playlists = check(&texts(&stream));
    let small = &playlists[2];
    let gaps: Vec<i64> = (small.media_sequence..)
        .zip(&small.segments)
        .filter(|(msn, segment)| *msn >= first_pictured as i64 && segment.gap)
        .map(|(msn, _)| msn)
        .collect();
    assert!(gaps.is_empty(), "{gaps:?} in {:?}", texts(&stream)[2]);

    // Nobody asks any more: no encoder is left. A target duration of two seconds makes it eight.
    states(&stage, "all sleep again", LadderState::Asleep).await;
    let began = Instant::now();
    while !encoders().await.is_empty() {
        assert!(began.elapsed() < PATIENCE, "no encoder is left");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // And it is woken again.
    fetch(&format!("{url}?_HLS_msn={}&_HLS_part=0", stream.snapshot().next().msn)).await;
    check(&texts(&stream)[..1]);
    assert_eq!(encoders().await.len(), 1);
}
