//! A STANDARD channel with real encoders on both sides: the ladder is aligned, plays, and outlives its encoder.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

#[path = "ladder/demand.rs"]
mod demand;
#[path = "ladder/life.rs"]
mod life;
#[path = "ladder/multitrack.rs"]
mod multitrack;
#[path = "ladder/pace.rs"]
mod pace;
#[path = "ladder/slow.rs"]
mod slow;
#[path = "ladder/sources.rs"]
mod sources;
#[path = "ladder/stage.rs"]
mod stage;
mod support;
#[path = "ladder/types.rs"]
mod types;

use headwater_live::ladder;
use headwater_live::{LadderState, LiveStream};
use stage::{PATIENCE, Stage, TURN, always, check, encoders, made, on_demand, run, texts};
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ladder_is_aligned_plays_and_outlives_its_encoder() {
    let _turn = TURN.lock().await;
    let stage = Stage::new(always()).await;
    let _publisher = stage.publish();
    let stream = stage.stream("two renditions", |stream| stream.offer().ladder == LadderState::Running(2)).await;
    let names: Vec<String> = stream.offer().renditions.iter().map(|rendition| rendition.name.clone()).collect();
    assert_eq!(names, ["360p30", "160p30"]);

    // The multivariant playlist has the source first. Its addresses tell viewers apart by their query.
    let master = run("curl", &["-s", &stage.master]).await;
    let lines = master.lines().filter(|line| !line.starts_with('#'));
    let uris: Vec<&str> = lines.map(|uri| uri.split("?v=").next().unwrap()).collect();
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

    // The encoder dies: the source goes on, and the ladder is back within a few keyframes.
    let before = encoders().await;
    assert_eq!(before.len(), 1);
    run("kill", &["-9", &before[0].to_string()]).await;
    let newest = stream.snapshot().next();
    let mut small = made(&stream, "160p30");
    let whole_again = small.wait_for(|snapshot| {
        let last = snapshot.last().and_then(|last| snapshot.segment(last.msn.checked_sub(1)?).cloned());
        snapshot.next().msn > newest.msn + 1 && last.is_some_and(|segment| !segment.gap())
    });
    tokio::time::timeout(PATIENCE, whole_again).await.expect("it is made again").unwrap();
    let after = encoders().await;
    assert!(after.len() == 1 && after != before, "{after:?}");
    let playlists = check(&texts(&stream));
    assert!(playlists[0].segments.iter().all(|segment| !segment.gap), "the source has none");
    assert!(playlists[1].segments.iter().filter(|segment| segment.gap).count() <= 2);

    // Whoever asks gets the sound alone.
    let master = run("curl", &["-s", &format!("{}?allow_audio_only=true", stage.master)]).await;
    assert!(master.contains("GROUP-ID=\"audio_only\""), "{master}");
    // As it was promised, also by the second encoder.
    assert!(master.contains("avc1.4D401F,mp4a.40.2\",RESOLUTION=480x360"), "{master}");
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
    let options = ladder::Options { ffmpeg: "/nowhere/ffmpeg".into(), ..on_demand() };
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
