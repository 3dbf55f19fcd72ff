//! What an encoder's death and a stream's end cost the renditions: nothing.

use super::stage::{PATIENCE, Stage, TURN, always, check, encoders, made, run, texts};
use headwater_hls::Snapshot;
use headwater_live::{LadderState, LiveStream};
use std::sync::Arc;

/// Waits for that many renditions, and gives the stream.
pub async fn with_renditions(stage: &Stage, count: usize) -> Arc<LiveStream> {
    stage.stream("all renditions", |stream| stream.offer().ladder == LadderState::Running(count)).await
}

fn has_ended(stream: &LiveStream) -> bool {
    stream.offer().renditions.iter().all(|rendition| rendition.watch().is_some_and(|watch| watch.borrow().ended()))
}

/// How many pictures each rendition's playlist holds, the source's first.
async fn pictures(stage: &Stage, stream: &LiveStream) -> Vec<(String, usize)> {
    let mut counted = Vec::new();
    for (name, _) in texts(stream) {
        let origin = stage.master.split("/api/").next().unwrap();
        let url = format!("{origin}/media/{}/{name}/media.m3u8", stream.epoch);
        let arguments =
            ["-v", "error", "-live_start_index", "0", "-select_streams", "v", "-show_entries", "frame=key_frame"];
        let frames = run("ffprobe", &[&arguments[..], &["-of", "csv=p=0", &url]].concat()).await;
        counted.push((name, frames.lines().filter(|line| !line.is_empty()).count()));
    }
    counted
}

/// The newest part is no gap.
pub fn whole(snapshot: &Snapshot) -> bool {
    snapshot.last().and_then(|last| snapshot.part(last)).is_some_and(|part| !part.gap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_encoder_and_a_clean_end_cost_no_picture() {
    let _turn = TURN.lock().await;
    let stage = Stage::new(always()).await;
    // Keyframes are so far apart that waiting for one would show.
    let mut publisher = stage.publish_with(
        2,
        "testsrc2=size=640x480:rate=30",
        "-t 9 -c:v libx264 -preset ultrafast -bf 2 -g 120 -sc_threshold 0",
    );
    let stream = with_renditions(&stage, 2).await;
    // In the middle between two keyframes.
    let mut source = stream.watch.clone();
    let middle = source.wait_for(|snapshot| snapshot.last().is_some_and(|last| last.msn == 1 && last.part >= 9));
    tokio::time::timeout(PATIENCE, middle).await.unwrap().unwrap();
    let encoder = encoders().await;
    assert_eq!(encoder.len(), 1);
    run("kill", &["-9", &encoder[0].to_string()]).await;
    let newest = stream.snapshot().last();
    let mut small = made(&stream, "160p30");
    let again = small.wait_for(|snapshot| snapshot.last() > newest && whole(snapshot));
    tokio::time::timeout(PATIENCE, again).await.expect("it is made again").unwrap();
    assert_eq!(stream.snapshot().last().unwrap().msn, newest.unwrap().msn, "before the source's next keyframe");
    check(&texts(&stream));

    // It ends by itself.
    tokio::time::timeout(PATIENCE, publisher.wait()).await.expect("in time").unwrap();
    stage.ended(&stream, has_ended).await;
    let playlists = check(&texts(&stream));
    for playlist in &playlists {
        assert!(playlist.segments.iter().all(|segment| !segment.gap), "{playlist:?}");
    }
    let counted = pictures(&stage, &stream).await;
    assert_eq!(counted[0].1, 9 * 30, "{counted:?}");
    assert!(counted.iter().all(|(_, count)| *count == counted[0].1), "{counted:?}");
}
