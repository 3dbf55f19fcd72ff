//! Each type of channel, end to end: what goes in by RTMP, and what ffprobe finds in each rendition that comes out.

use super::stage::{PATIENCE, Stage, TURN, always, check, on_demand, run, texts};
use headwater_live::{LadderState, ladder};
use headwater_model::ivs::ChannelType;

/// A rendition as the multivariant playlist lists it: its name, and the rest of the line.
fn listed(master: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = master.lines().collect();
    let variants = lines.windows(2).filter(|pair| pair[0].starts_with("#EXT-X-STREAM-INF:"));
    variants.map(|pair| (pair[1].rsplit('/').nth(1).unwrap().to_owned(), pair[0].to_owned())).collect()
}

/// What ffprobe says of a rendition: codec, profile, size, level and rate of the pictures; codec, rate and channels of the sound.
async fn probed(stage: &Stage, epoch: &str, name: &str) -> Vec<String> {
    let origin = stage.master.split("/api/").next().unwrap();
    let url = format!("{origin}/media/{epoch}/{name}/media.m3u8");
    let entries = "stream=codec_name,profile,width,height,level,avg_frame_rate,sample_rate,channels";
    let arguments =
        ["-v", "error", "-live_start_index", "-2", "-show_entries", entries, "-of", "compact=p=0:nk=0", &url];
    let text = run("ffprobe", &arguments).await;
    let mut lines: Vec<String> = text.lines().filter(|line| line.contains("codec_name")).map(str::to_owned).collect();
    // Told for the program and for the file.
    lines.dedup();
    let half = lines.len() / 2;
    if lines.len().is_multiple_of(2) && lines[..half] == lines[half..] {
        lines.truncate(half);
    }
    lines
}

/// Bits a second of a rendition's sound, over a few segments.
async fn sound_bits(stage: &Stage, epoch: &str, name: &str) -> u64 {
    let origin = stage.master.split("/api/").next().unwrap();
    let url = format!("{origin}/media/{epoch}/{name}/media.m3u8");
    let arguments = [
        "-v",
        "error",
        "-live_start_index",
        "-3",
        "-read_intervals",
        "%+3",
        "-select_streams",
        "a",
        "-show_entries",
        "packet=size",
        "-of",
        "csv=p=0",
        &url,
    ];
    let text = run("ffprobe", &arguments).await;
    let sizes: Vec<u64> = text.lines().filter_map(|line| line.trim_end_matches(',').parse().ok()).collect();
    assert!(sizes.len() > 40, "{name}: {text}");
    sizes.iter().sum::<u64>() * 8 * 48_000 / (1_024 * sizes.len() as u64)
}

/// Streams noise beside the picture, whose sound costs what it is allowed, and waits for all renditions.
async fn on_air(stage: &Stage, picture: &str, rate: u32, made: usize) -> std::sync::Arc<headwater_live::LiveStream> {
    let how = format!("-t 90 -c:v libx264 -preset ultrafast -bf 0 -g {rate} -sc_threshold 0");
    let publisher = stage.publish_with(3, picture, &how);
    // It lives as long as the test's process group; the stage ends its stream.
    tokio::spawn(async move {
        let mut publisher = publisher;
        let _ = publisher.wait().await;
    });
    let all = |stream: &headwater_live::LiveStream| {
        stream.offer().ladder == LadderState::Running(made) && stream.snapshot().next().msn >= 4
    };
    stage.stream("all renditions", all).await
}

struct Wanted {
    name: &'static str,
    size: (u32, u32),
    level: u32,
    /// kb/s of pictures and sound.
    rates: (u64, u64),
}

async fn compare(stage: &Stage, epoch: &str, wanted: &[Wanted], frame_rate: &str) {
    let master = run("curl", &["-sS", "-f", &stage.master]).await;
    let listed = listed(&master);
    let names: Vec<&str> = listed.iter().map(|(name, _)| name.as_str()).collect();
    let expected: Vec<&str> = wanted.iter().map(|wanted| wanted.name).collect();
    assert_eq!(names, expected, "{master}");
    for (Wanted { name, size: (width, height), level, rates: (video, sound) }, (_, line)) in wanted.iter().zip(&listed)
    {
        let found = probed(stage, epoch, name).await.join("\n");
        if *width > 0 {
            assert!(line.contains(&format!("RESOLUTION={width}x{height},FRAME-RATE={frame_rate}")), "{line}");
            assert!(line.contains(&format!("CODECS=\"avc1.4D40{level:02X},mp4a.40.2\"")), "{line}");
            let said = format!("codec_name=h264|profile=Main|width={width}|height={height}");
            assert!(found.contains(&said) && found.contains(&format!("level={level}")), "{name}: {found}");
        } else {
            assert!(line.contains("CODECS=\"mp4a.40.2\"") && !line.contains("RESOLUTION"), "{line}");
            assert!(!found.contains("h264"), "{found}");
        }
        assert!(found.contains("codec_name=aac|profile=LC"), "{name}: {found}");
        let bandwidth: u64 = line.split("BANDWIDTH=").nth(1).unwrap().split(',').next().unwrap().parse().unwrap();
        assert!(bandwidth >= (video + sound) * 1_000, "{name} promises too little: {line}");
        if *sound > 0 {
            let bits = sound_bits(stage, epoch, name).await;
            assert!((bits / 1_000).abs_diff(*sound) <= sound / 4, "{name}: {bits} b/s of sound, {sound} kb/s wanted");
        }
    }
    let playlists = check(&texts(&*stage.stream("it is live", |_| true).await));
    assert!(playlists.iter().all(|playlist| playlist.segments.iter().rev().skip(1).take(2).all(|one| !one.gap)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn advanced_sd_has_its_own_renditions_only() {
    let _turn = TURN.lock().await;
    let stage = Stage::of(ChannelType::AdvancedSd, "CONSTRAINED_BANDWIDTH_DELIVERY", always()).await;
    let stream = on_air(&stage, "testsrc2=size=1280x720:rate=30", 30, 4).await;
    let wanted = [
        Wanted { name: "480p30", size: (852, 480), level: 31, rates: (800, 128) },
        Wanted { name: "360p30", size: (640, 360), level: 31, rates: (400, 64) },
        Wanted { name: "160p30", size: (284, 160), level: 31, rates: (220, 48) },
        Wanted { name: "audio_only", size: (0, 0), level: 0, rates: (0, 64) },
    ];
    compare(&stage, &stream.epoch, &wanted, "30.000").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn advanced_hd_keeps_sixty_frames_at_the_top() {
    let _turn = TURN.lock().await;
    let stage = Stage::of(ChannelType::AdvancedHd, "HIGHER_BANDWIDTH_DELIVERY", always()).await;
    let stream = on_air(&stage, "testsrc2=size=1280x720:rate=60", 60, 5).await;
    let master = run("curl", &["-sS", "-f", &stage.master]).await;
    let lines = listed(&master);
    let names: Vec<&str> = lines.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["720p60", "480p30", "360p30", "160p30", "audio_only"], "{master}");
    assert!(lines[0].1.contains("CODECS=\"avc1.4D4020,mp4a.40.2\",RESOLUTION=1280x720,FRAME-RATE=60.000"), "{master}");
    assert!(lines[1].1.contains("CODECS=\"avc1.4D401F,mp4a.40.2\",RESOLUTION=852x480,FRAME-RATE=30.000"), "{master}");
    let found = probed(&stage, &stream.epoch, "720p60").await.join("\n");
    assert!(found.contains("width=1280|height=720") && found.contains("level=32"), "{found}");
    let found = probed(&stage, &stream.epoch, "480p30").await.join("\n");
    assert!(found.contains("width=852|height=480") && found.contains("avg_frame_rate=30"), "{found}");
    check(&texts(&stream));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_720p_source_stands_at_the_top_of_a_standard_ladder_and_sound_alone_comes_when_asked_for() {
    let _turn = TURN.lock().await;
    let stage = Stage::new(always()).await;
    let stream = on_air(&stage, "testsrc2=size=1280x720:rate=30", 30, 3).await;
    let master = run("curl", &["-sS", "-f", &stage.master]).await;
    let lines = listed(&master);
    let names: Vec<&str> = lines.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["source", "480p30", "360p30", "160p30"], "{master}");
    assert!(master.contains("GROUP-ID=\"720p30\",NAME=\"720p\""), "{master}");
    // The source's own sound at the top and at 480p; less below.
    for (name, kbps) in [("source", 64), ("480p30", 64), ("160p30", 48)] {
        let bits = sound_bits(&stage, &stream.epoch, name).await;
        assert!((bits / 1_000).abs_diff(kbps) <= kbps / 4, "{name}: {bits} b/s");
    }
    let master = run("curl", &["-sS", "-f", &format!("{}?allow_audio_only=true", stage.master)]).await;
    assert_eq!(listed(&master).last().unwrap().0, "audio_only", "{master}");
    let found = probed(&stage, &stream.epoch, "audio_only").await.join("\n");
    assert!(found.contains("codec_name=aac") && !found.contains("h264"), "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_alone_is_made_alone_when_nobody_wants_pictures() {
    let _turn = TURN.lock().await;
    let options = ladder::Options { linger: PATIENCE, ..on_demand() };
    let stage = Stage::of(ChannelType::AdvancedSd, "", options).await;
    let _publisher = stage.publish();
    let stream = stage.stream("it is live", |stream| stream.offer().ladder == LadderState::Asleep).await;
    // The source is not offered, and the sound not promised with pictures.
    let master = run("curl", &["-sS", "-f", &stage.master]).await;
    assert_eq!(
        listed(&master).iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["480p30", "360p30", "160p30", "audio_only"]
    );
    let found = probed(&stage, &stream.epoch, "audio_only").await.join("\n");
    assert!(found.contains("codec_name=aac") && !found.contains("h264"), "{found}");
    assert_eq!(stream.offer().ladder, LadderState::Running(1));
    // Longer than an encoder that makes no pictures would be taken for one that hangs.
    let from = stream.snapshot().next().msn;
    stage.stream("it goes on", |stream| stream.snapshot().next().msn >= from + 6).await;
    let playlists = check(&texts(&stream));
    let sound = playlists.last().unwrap();
    assert!(sound.segments.iter().rev().skip(1).take(5).all(|segment| !segment.gap), "{sound:?}");
}
