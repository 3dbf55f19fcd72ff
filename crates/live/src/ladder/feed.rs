//! The encoder's input: what the session hands over, as an FLV file that goes on.

use super::Feed;
use super::process::{Ended, Runner};
use bytes::Bytes;
use headwater_media::flv::mux;
use headwater_media::{AccessUnit, Keyframe, Track, TrackKind};
use std::collections::VecDeque;
use tokio::io::AsyncWriteExt as _;
use tokio::process::ChildStdin;

/// FLV's milliseconds wrap after 24.8 days; the encoder is begun anew before.
const LIFE_MAX_MS: i64 = 20 * 86_400_000;

/// Writes what the session hands over to the encoder's input.
pub(super) async fn feed(
    runner: &mut Runner,
    mut stdin: ChildStdin,
    video: Track,
    first: VecDeque<AccessUnit>,
    base_ms: i64,
) -> Ended {
    let mut audio = runner.audio.clone();
    let mut tags = vec![Bytes::from_static(mux::FILE_HEADER)];
    tags.extend(mux::frame_rate_tag(runner.source_rate_millis));
    tags.extend(mux::config_tag(&video));
    tags.extend(audio.iter().flat_map(mux::config_tag));
    let mut units = first;
    loop {
        for unit in units.drain(..) {
            match (unit.kind, &audio) {
                (TrackKind::Video, _) => tags.extend(mux::unit_tag(&video, &unit, base_ms)),
                (TrackKind::Audio, Some(audio)) => tags.extend(mux::unit_tag(audio, &unit, base_ms)),
                (TrackKind::Audio, None) => {}
            }
        }
        let bytes: Vec<u8> = tags.concat();
        tags.clear();
        if let Err(error) = stdin.write_all(&bytes).await {
            return Ended::Failed(format!("its input is closed: {error}"));
        }
        match runner.fed.recv().await {
            None => return Ended::Over,
            Some(Feed::Track(track)) => {
                let kind = track.kind;
                let known = match kind {
                    TrackKind::Video => Some(&video),
                    TrackKind::Audio => audio.as_ref(),
                };
                let same = known == Some(&track);
                runner.configure(track);
                if !same && (kind == TrackKind::Video || audio.is_some()) {
                    return Ended::Anew;
                }
                audio = runner.audio.clone();
                if !same {
                    tags.extend(audio.iter().flat_map(mux::config_tag));
                }
            }
            Some(Feed::Unit(unit)) => {
                let late = video.timescale.ms_of_ticks(unit.dts) - base_ms > LIFE_MAX_MS;
                if late && unit.kind == TrackKind::Video && unit.keyframe == Keyframe::Yes {
                    return Ended::Anew;
                }
                units.push_back(unit);
            }
        }
    }
}
