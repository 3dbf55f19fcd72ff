//! Renditions that are made when somebody watches them, by a real encoder.

use super::stage::{PATIENCE, Stage, TURN, check, encoders, on_demand, run, texts};
use headwater_hls::lint::{ReadPlaylist, read};
use headwater_hls::{Delta, playlist};
use headwater_live::{LadderState, LiveStream, RenditionState, ladder};
use std::path::PathBuf;
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
    let stage = Stage::new(ladder::Options { linger: Duration::from_secs(2), ..on_demand() }).await;
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
    // Who asks for the gap all the same is answered, with what nobody keeps: another picture may stand there later.
    let gap = url.replace("media.m3u8", &format!("s{}.m4s", playlist.media_sequence));
    let told = "%{http_code} %header{cache-control}";
    let told = run("curl", &["-sS", "-r", "0-9", "-o", "/dev/null", "-w", told, "--max-time", "20", &gap]).await;
    assert_eq!(told, "200 no-store");
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

/// How long each segment is, or each of its parts if they are listed, in microseconds; and whether it is a gap.
fn pieces(playlist: &ReadPlaylist) -> Vec<(i64, bool)> {
    let pieces = playlist.segments.iter().flat_map(|segment| match &segment.parts[..] {
        [] => vec![(segment.duration_us, segment.gap)],
        parts => parts.iter().map(|part| (part.duration_us, part.gap)).collect(),
    });
    pieces.collect()
}

fn lasts_us(playlist: &ReadPlaylist) -> i64 {
    pieces(playlist).iter().map(|(length, _)| length).sum()
}

/// Where players are: PART-HOLD-BACK before the end of the playlist. Microseconds from its beginning, and the segment or part there.
fn where_players_are(playlist: &ReadPlaylist) -> (i64, bool) {
    let hold_back_s: f64 = playlist.server_control["PART-HOLD-BACK"].parse().unwrap();
    let at = lasts_us(playlist) - (hold_back_s * 1e6) as i64;
    let pieces = pieces(playlist);
    let mut end = 0;
    let found = pieces.into_iter().find(|(length, _)| {
        end += length;
        end > at
    });
    (at, found.is_some_and(|(_, gap)| !gap))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_woken_rendition_has_a_whole_segment_and_pictures_where_players_are() {
    let _turn = TURN.lock().await;
    for gop in [30, 60] {
        let stage = Stage::new(on_demand()).await;
        let how = format!("-t 60 -c:v libx264 -preset ultrafast -bf 0 -g {gop} -sc_threshold 0");
        let _publisher = stage.publish_with(2, "testsrc2=size=640x480:rate=30", &how);
        let stream = states(&stage, "all sleep", LadderState::Asleep).await;
        let origin = stage.master.split("/api/").next().unwrap();
        for (others, name) in ["160p30", "360p30"].into_iter().enumerate() {
            let source = stream.snapshot();
            let url = format!("{origin}/media/{}/{name}/", stream.epoch);
            let (text, waited) = fetch(&format!("{url}media.m3u8")).await;
            println!("a keyframe each {gop} pictures, {others} others awake: answered after {waited:?}");
            check(&[(name.to_owned(), text.clone())]);
            let playlist = read(&text).unwrap();
            let complete = playlist.segments.iter().rfind(|segment| segment.uri.is_some()).unwrap();
            assert!(!complete.gap, "{text}");
            assert!(playlist.segments[0].gap, "what nobody wanted is a gap: {text}");
            let (at, has_pictures) = where_players_are(&playlist);
            assert!(has_pictures, "{at} us: {text}");
            // It has caught up with what the source had when it was asked for, but for half a second.
            let source = read(&playlist::media(&source, Delta::Full)).unwrap();
            assert_eq!(playlist.media_sequence, source.media_sequence, "the window is not full yet");
            assert!(lasts_us(&source) - lasts_us(&playlist) <= 500_000, "{text}");
            // A player that begins here reads a keyframe first.
            let uri = format!("{url}{}", complete.uri.as_deref().unwrap());
            let init = format!("{url}{}", complete.map.as_deref().unwrap());
            let input = format!("concat:{init}|{uri}");
            let shown = "-v error -protocol_whitelist concat,http,tcp -select_streams v -show_entries frame=pict_type -of csv=p=0";
            let arguments: Vec<&str> = shown.split(' ').chain([input.as_str()]).collect();
            let frames = run("ffprobe", &arguments).await;
            assert!(frames.starts_with('I'), "{frames}");
            assert!(frames.lines().filter(|line| line.starts_with(['I', 'P'])).count() >= 57, "{frames}");
        }
        check(&texts(&stream));
    }
}

/// An ffmpeg of a machine that takes so long to start it.
fn that_starts_late(folder: &std::path::Path) -> PathBuf {
    let program = folder.join("ffmpeg");
    std::fs::write(&program, "#!/bin/sh\nsleep 2.2\nexec ffmpeg \"$@\"\n").unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    program
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encoder_that_starts_late_is_waited_for_and_so_is_what_its_source_has_already() {
    let _turn = TURN.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(ladder::Options { ffmpeg: that_starts_late(folder.path()), ..on_demand() }).await;
    let how = "-t 60 -c:v libx264 -preset ultrafast -bf 0 -g 60 -sc_threshold 0";
    let _publisher = stage.publish_with(1, "testsrc2=size=640x480:rate=30", how);
    let stream = states(&stage, "all sleep", LadderState::Asleep).await;
    let origin = stage.master.split("/api/").next().unwrap();
    let url = format!("{origin}/media/{}/160p30/media.m3u8", stream.epoch);
    let (text, waited) = fetch(&url).await;
    println!("answered after {waited:?}");
    assert!(waited > Duration::from_secs(2), "{waited:?}: {text}");
    check(&[("160p30".to_owned(), text)]);
    // Rendition reports say that it is where its source is.
    let next = stream.snapshot().next();
    let (text, _) = fetch(&format!("{url}?_HLS_msn={}&_HLS_part={}", next.msn, next.part)).await;
    let playlist = read(&text).unwrap();
    assert!(playlist.media_sequence as u64 + playlist.segments.len() as u64 > next.msn, "{text}");
}
