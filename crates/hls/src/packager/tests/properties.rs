//! Whatever an encoder does, the playlist is valid at every revision, each part is what the playlist says, and no picture is lost or
//! sent twice.

use super::encoder::Encoder;
use super::*;
use headwater_media::{Cue, CueOwner, Keyframe};
use proptest::prelude::*;

/// How an episode follows the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Joint {
    /// The same publisher after a pause.
    Pause,
    /// The session was told that time is not continuous.
    Discontinuity,
    /// Another publisher.
    NewSource,
    /// The same publisher with other parameter sets.
    NewParameters,
}

#[derive(Clone, Debug)]
struct Episode {
    encoder: Encoder,
    duration_ms: i64,
    gap_ms: i64,
    joint: Joint,
    /// When cues come, ms after its start.
    cues: Vec<i64>,
}

fn encoder() -> impl Strategy<Value = Encoder> {
    let rates = prop_oneof![
        prop::sample::select(vec![
            1_000, 5_000, 10_000, 15_000, 23_976, 24_000, 25_000, 29_970, 30_000, 48_000, 50_000, 59_940, 60_000,
            120_000,
        ]),
        500..130_000i64,
    ];
    let jitter = prop_oneof![
        3 => Just(Vec::new()),
        1 => prop::collection::vec(0..8i64, 1..12),
        1 => prop::collection::vec(0..400i64, 1..12),
    ];
    let tracks = prop_oneof![8 => Just((true, true)), 1 => Just((true, false)), 1 => Just((false, true))];
    (rates, 1..400i64, 0..200i64, jitter, tracks).prop_map(|(rate_millis, gop, delay_ms, jitter_ms, (video, audio))| {
        Encoder { rate_millis, gop, delay_ms, jitter_ms, video, audio, ..Encoder::default() }
    })
}

fn episode() -> impl Strategy<Value = Episode> {
    let joint = prop::sample::select(vec![Joint::Pause, Joint::Discontinuity, Joint::NewSource, Joint::NewParameters]);
    let gap = prop_oneof![0..300i64, 0..6_000i64, 0..40_000i64];
    (encoder(), 500..14_000i64, gap, joint, prop::collection::vec(0..14_000i64, 0..6)).prop_map(
        |(encoder, duration_ms, gap_ms, joint, mut cues)| {
            cues.sort_unstable();
            Episode { encoder, duration_ms, gap_ms, joint, cues }
        },
    )
}

/// Plays the episodes; returns the stage and the ids of the cues that were taken.
fn play(stage: &mut Stage, episodes: &[Episode]) -> Vec<String> {
    let (mut clock_ms, mut number, mut taken) = (0, 0, Vec::new());
    for (index, episode) in episodes.iter().enumerate() {
        if index > 0 {
            clock_ms += episode.gap_ms;
            match episode.joint {
                Joint::Pause | Joint::NewParameters => {}
                Joint::Discontinuity => stage.packager.discontinuity(),
                Joint::NewSource => stage.packager.new_source(),
            }
            stage.look();
        }
        let variant = if episode.joint == Joint::NewParameters { index as u8 % 16 } else { 0 };
        if episode.encoder.video {
            stage.packager.handle_track(video_track(variant));
        }
        if episode.encoder.audio {
            stage.packager.handle_track(audio_track());
        }
        let encoder = Encoder { start_ms: 1_000 + clock_ms, first_number: number, ..episode.encoder.clone() };
        let mut cues = episode.cues.iter().peekable();
        for step in encoder.run(episode.duration_ms) {
            while cues.next_if(|&&at| at <= step.wall_ms).is_some() {
                let id = format!("cue-{index}-{}", taken.len());
                let payload = "\"quoted\",\n#EXT-X-ENDLIST".to_owned();
                let cue = Cue { id: id.clone(), payload, owner: CueOwner::OutOfBand };
                if stage.packager.handle_cue(cue).is_ok() {
                    taken.push(id);
                }
            }
            number += 1;
            stage.unit(step.unit, step.wall_ms + clock_ms);
        }
        clock_ms += episode.duration_ms + 1_000;
    }
    stage.end();
    taken
}

/// Each case is up to a minute of stream with every revision read back: few by default, `PROPTEST_CASES` for a long run.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(32)
}

fn is_subsequence(part: &[u32], whole: &[u32]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|wanted| whole.any(|number| number == wanted))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn any_encoder_gives_valid_playlists(
        normal: bool,
        episodes in prop::collection::vec(episode(), 1..5),
    ) {
        let mut stage = Stage::new(if normal { Latency::Normal } else { Latency::Low });
        play(&mut stage, &episodes);
        for (track, seen) in &stage.viewer.seen {
            prop_assert!(is_subsequence(seen, &stage.sent[track]), "track {track} is out of order");
        }
    }

    #[test]
    fn a_steady_encoder_loses_nothing_and_every_cue_comes_once(
        normal: bool,
        encoder in encoder(),
        duration_ms in 7_000..30_000i64,
        cues in prop::collection::vec(0..30_000i64, 0..12),
    ) {
        let mut cues = cues;
        cues.sort_unstable();
        // Slower than this, the encoder's pauses are taken for discontinuities.
        let rate_millis = encoder.rate_millis.max(2_000);
        let encoder = Encoder { rate_millis, ..encoder };
        let with_video = encoder.video;
        let episode = Episode { encoder, duration_ms, gap_ms: 0, joint: Joint::Pause, cues };
        let mut stage = Stage::new(if normal { Latency::Normal } else { Latency::Low });
        let taken = play(&mut stage, &[episode]);
        if stage.viewer.snapshots.is_empty() {
            return Ok(());
        }
        if with_video {
            prop_assert_eq!(stage.viewer.seen.get(&1), stage.sent.get(&1));
        }
        let lost = stage.sent.get(&2).map_or(0, Vec::len) - stage.viewer.seen.get(&2).map_or(0, Vec::len);
        // Sound before the first picture or after the last.
        prop_assert!(lost <= 25, "{lost} audio units lost");
        let kept: Vec<_> = stage.viewer.snapshot().cues().iter().map(|cue| cue.id.clone()).collect();
        prop_assert!(taken.ends_with(&kept));
    }

    /// Units that no encoder makes: the packager may refuse or drop them, and what it publishes stays valid.
    #[test]
    fn any_units_give_valid_playlists(
        units in prop::collection::vec(
            (any::<bool>(), any::<bool>(), -200..400i64, -500..500i64, any::<u8>()),
            0..600,
        ),
    ) {
        let mut stage = Stage::new(Latency::Low);
        stage.viewer.strict = false;
        stage.configure();
        let (mut at_ms, mut wall_ms) = (10_000i64, 0);
        for (number, (video, keyframe, step_ms, delay_ms, what)) in (0u32..).zip(units) {
            at_ms += step_ms;
            wall_ms += step_ms.abs();
            match what {
                0 => stage.packager.discontinuity(),
                1 => {
                    stage.packager.new_source();
                    stage.look();
                    stage.configure();
                }
                2 => stage.packager.handle_track(video_track(keyframe.into())),
                3 => at_ms += 30_000,
                4 => at_ms = 0,
                _ => {}
            }
            stage.look();
            let (kind, scale) = if video { (TrackKind::Video, 90) } else { (TrackKind::Audio, 48) };
            let unit = AccessUnit {
                kind,
                dts: at_ms * scale,
                pts: (at_ms + delay_ms) * scale,
                keyframe: if keyframe || !video { Keyframe::Yes } else { Keyframe::No },
                data: number.to_be_bytes().to_vec().into(),
            };
            stage.unit(unit, wall_ms);
        }
        stage.end();
    }
}
