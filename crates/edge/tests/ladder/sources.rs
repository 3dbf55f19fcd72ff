//! Sources of other sorts than H.264 in eight bits: what comes out is a ladder that everything plays.

use super::stage::{PATIENCE, Stage, TURN, always, check, made, run, texts};
use headwater_live::{Ending, Input, LadderState, LiveStream, Publish, Publisher};
use headwater_media::fmp4::demux::{Demuxer, Item};
use headwater_media::{AccessUnit, StreamMetadata, Track, TrackKind};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::Instant;

/// What an encoder made, in decode order.
struct Clip {
    tracks: Vec<Track>,
    units: Vec<AccessUnit>,
}

impl Clip {
    /// Four seconds of a test picture with a tone, keyframes each second.
    async fn new(size: &str, encoder: &str) -> Clip {
        let arguments = format!(
            "-v error -f lavfi -i testsrc2=size={size}:rate=25 -f lavfi -i sine=sample_rate=48000 -t 4 -g 25 {encoder} \
             -c:a aac -movflags delay_moov+default_base_moof+frag_every_frame -f mp4 pipe:1"
        );
        let mut command = Command::new("ffmpeg");
        command.args(arguments.split_whitespace()).stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE * 2, command.output()).await.expect("in time").unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let (mut tracks, mut units) = (Vec::new(), Vec::new());
        for item in Demuxer::new().push(&output.stdout).unwrap() {
            match item {
                Item::Track(_, track) => tracks.push(track),
                Item::Unit(_, unit) => units.push(unit),
            }
        }
        let ms = |unit: &AccessUnit| scale(&tracks, unit.kind).timescale.ms_of_ticks(unit.dts);
        units.sort_by_key(ms);
        Clip { tracks, units }
    }

    /// Publishes it as it was shot, `after_ms` on the publisher's clock.
    async fn publish(&self, publisher: &Publisher, after_ms: i64) {
        let began = Instant::now();
        for track in &self.tracks {
            publisher.send(Input::Track(track.clone())).await.unwrap();
        }
        for unit in &self.units {
            let scale = scale(&self.tracks, unit.kind).timescale;
            let at = Duration::from_millis(scale.ms_of_ticks(unit.dts).try_into().unwrap_or(0));
            tokio::time::sleep_until(began + at).await;
            let shift = scale.ticks_of_ms(after_ms);
            let unit = AccessUnit { dts: unit.dts + shift, pts: unit.pts + shift, ..unit.clone() };
            publisher.send(Input::Unit(unit)).await.unwrap();
        }
    }
}

fn scale(tracks: &[Track], kind: TrackKind) -> &Track {
    tracks.iter().find(|track| track.kind == kind).unwrap()
}

async fn stage() -> (Stage, Publisher) {
    let stage = Stage::new(always()).await;
    // As encoders say in onMetaData; HEVC's and AV1's configurations are not asked for it.
    let said = StreamMetadata { frame_rate_millis: Some(25_000), ..StreamMetadata::default() };
    let publish = Publish { encoder: Some(said), ..Publish::new(stage.channel.clone(), "test") };
    let publisher = stage.hub.publish(publish).await.unwrap();
    (stage, publisher)
}

/// Codec, pixel format and size of what a rendition's playlist holds, and how many pictures.
async fn probe(stage: &Stage, stream: &LiveStream, name: &str) -> (String, usize) {
    let origin = stage.master.split("/api/").next().unwrap();
    let url = format!("{origin}/media/{}/{name}/media.m3u8", stream.epoch);
    let entries = "stream=codec_name,profile,pix_fmt,width,height,nb_read_frames";
    let arguments = ["-v", "error", "-live_start_index", "0", "-count_frames", "-select_streams", "v:0"];
    let told = run("ffprobe", &[&arguments[..], &["-show_entries", entries, "-of", "csv=p=0", &url]].concat()).await;
    let line = told.lines().find(|line| !line.is_empty()).unwrap().trim_end_matches(',').to_owned();
    let (what, frames) = line.rsplit_once(',').unwrap();
    (what.to_owned(), frames.parse().unwrap())
}

async fn ended(stage: &Stage, stream: &Arc<LiveStream>) {
    let over = |stream: &LiveStream| {
        stream.offer().renditions.iter().all(|one| one.watch().is_some_and(|watch| watch.borrow().ended()))
    };
    stage.ended(stream, over).await;
}

/// Publishes a clip and looks at what comes of it.
async fn becomes(size: &str, encoder: &str, expected: &[(&str, &str)]) {
    let clip = Clip::new(size, encoder).await;
    let (stage, publisher) = stage().await;
    clip.publish(&publisher, 0).await;
    let stream =
        stage.stream("its renditions", |stream| stream.offer().ladder == LadderState::Running(expected.len())).await;
    publisher.finish(Ending::Clean).await;
    ended(&stage, &stream).await;
    for playlist in check(&texts(&stream)) {
        assert!(playlist.segments.iter().all(|segment| !segment.gap), "{encoder}: {playlist:?}");
    }
    for (name, what) in expected {
        assert_eq!(probe(&stage, &stream, name).await, ((*what).to_owned(), 100), "{encoder}: {name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hevc_in_ten_bits_becomes_h264_in_eight() {
    let _turn = TURN.lock().await;
    let hevc = "-c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=25:open-gop=0:bframes=2 \
                -pix_fmt yuv420p10le -tag:v hvc1";
    becomes("640x360", hevc, &[("160p25", "h264,Main,284,160,yuv420p")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn av1_becomes_h264() {
    let _turn = TURN.lock().await;
    let av1 = "-c:v libaom-av1 -cpu-used 8 -usage realtime -row-mt 1 -pix_fmt yuv420p";
    becomes("640x360", av1, &[("160p25", "h264,Main,284,160,yuv420p")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_sizes_become_even_ones() {
    let _turn = TURN.lock().await;
    let odd = "-c:v libx264 -preset ultrafast -pix_fmt yuv444p10le";
    becomes("641x363", odd, &[("360p25", "h264,Main,640,360,yuv420p"), ("160p25", "h264,Main,284,160,yuv420p")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_telephone_that_is_turned_has_a_ladder_on_both_sides() {
    let _turn = TURN.lock().await;
    let encoder = "-c:v libx264 -preset ultrafast -bf 0 -pix_fmt yuv420p";
    let (upright, level) = (Clip::new("360x640", encoder).await, Clip::new("640x360", encoder).await);
    let (stage, publisher) = stage().await;
    upright.publish(&publisher, 0).await;
    let stream = stage.stream("a rendition", |stream| stream.offer().ladder == LadderState::Running(1)).await;
    level.publish(&publisher, 4_000).await;
    publisher.finish(Ending::Clean).await;
    ended(&stage, &stream).await;
    let (upright, level) = (made(&stream, "160p25").borrow().clone(), check(&texts(&stream)));
    assert_eq!(upright.video().unwrap().config.dimensions(), Some((284, 160)), "as it ended");
    let rendition = &level[1];
    assert_eq!(rendition.segments.iter().filter(|segment| segment.discontinuity).count(), 1, "{rendition:?}");
    // The first encoder finished what it had when the picture turned.
    assert!(rendition.segments.iter().all(|segment| !segment.gap), "{rendition:?}");
    let (_, pictures) = probe(&stage, &stream, "160p25").await;
    assert_eq!(pictures, 200);
}
