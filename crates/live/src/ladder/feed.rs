//! The encoder's input: what the session hands over, as a file that goes on, and the backlog of it for the next encoder.

use super::backlog::Backlog;
use super::command::Container;
use super::process::Ended;
use super::{Feed, Shared};
use bytes::Bytes;
use headwater_media::flv::mux;
use headwater_media::{AccessUnit, Keyframe, Track, TrackKind, matroska};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::io::AsyncWriteExt as _;
use tokio::process::ChildStdin;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// FLV's milliseconds wrap after 24.8 days; the encoder is begun anew before.
const LIFE_MAX_MS: i64 = 20 * 86_400_000;
/// Where an encoder's clock begins: sound that it makes begins a little before its input.
const LEAD_MS: i64 = 1_000;

/// What came from the session.
enum Taken {
    /// A unit, which the backlog has as well.
    Unit(AccessUnit),
    /// A track has another configuration.
    Changed,
    /// A track has its first configuration.
    Configured(Track),
    /// Nothing that matters.
    Nothing,
    /// The session is over.
    Over,
}

/// The receiving end of what the session hands over.
#[derive(Debug)]
pub(super) struct Intake {
    fed: mpsc::Receiver<Feed>,
    shared: Arc<Shared>,
    pub(super) source_rate_millis: u32,
    video: Option<Track>,
    audio: Option<Track>,
    pub(super) backlog: Backlog,
}

impl Intake {
    pub(super) fn new(fed: mpsc::Receiver<Feed>, shared: Arc<Shared>, source_rate_millis: u32) -> Self {
        Intake { fed, shared, source_rate_millis, video: None, audio: None, backlog: Backlog::default() }
    }

    /// Takes until there is a keyframe to begin with. `false`: the session is over.
    pub(super) async fn keyframe(&mut self) -> bool {
        while !self.backlog.has_keyframe() {
            if let Taken::Over = self.take().await {
                return false;
            }
        }
        true
    }

    /// Takes until then, so that the queue does not fill up. `false`: the session is over.
    pub(super) async fn wait(&mut self, until: Instant) -> bool {
        loop {
            match tokio::time::timeout_at(until, self.take()).await {
                Ok(Taken::Over) => return false,
                Ok(_) => {}
                Err(_) => return true,
            }
        }
    }

    /// Cancel-safe.
    async fn take(&mut self) -> Taken {
        match self.fed.recv().await {
            None => Taken::Over,
            Some(Feed::Track(track)) => self.configure(track),
            Some(Feed::Unit(unit)) => {
                if unit.kind == TrackKind::Audio || self.video.is_some() {
                    self.backlog.push(unit.clone(), self.shared.delivered.load(Ordering::Relaxed));
                }
                Taken::Unit(unit)
            }
        }
    }

    fn configure(&mut self, track: Track) -> Taken {
        let slot = match track.kind {
            TrackKind::Video => &mut self.video,
            TrackKind::Audio => &mut self.audio,
        };
        match slot.replace(track.clone()) {
            Some(known) if known == track => Taken::Nothing,
            None => Taken::Configured(track),
            Some(_) => {
                match track.kind {
                    TrackKind::Video => self.backlog.clear(),
                    TrackKind::Audio => self.backlog.forget_sound(),
                }
                Taken::Changed
            }
        }
    }

    /// What an encoder's clock begins with, in milliseconds of the session's timeline; `None` without a keyframe.
    pub(super) fn base_ms(&self) -> Option<i64> {
        let (video, keyframe) = (self.video.as_ref()?, self.backlog.keyframe()?);
        Some(video.timescale.ms_of_ticks(keyframe.dts.min(keyframe.pts)) - LEAD_MS)
    }

    /// Writes the backlog and what comes after it to an encoder's input.
    pub(super) async fn feed(&mut self, mut stdin: ChildStdin, base_ms: i64) -> Ended {
        let mut tags = self.header();
        for unit in self.backlog.units() {
            self.write(&unit, base_ms, &mut tags);
        }
        loop {
            let bytes: Vec<u8> = tags.concat();
            tags.clear();
            if let Err(error) = stdin.write_all(&bytes).await {
                return Ended::Failed(format!("its input is closed: {error}"));
            }
            match self.take().await {
                Taken::Over => return Ended::Over,
                Taken::Changed => return Ended::Anew,
                Taken::Configured(track) if self.container() == Container::Flv => tags.extend(mux::config_tag(&track)),
                // Matroska's tracks stand in its head.
                Taken::Configured(_) => return Ended::Anew,
                Taken::Nothing => {}
                Taken::Unit(unit) => {
                    if unit.kind == TrackKind::Video && unit.keyframe == Keyframe::Yes && self.is_over(&unit, base_ms) {
                        return Ended::Anew;
                    }
                    self.write(&unit, base_ms, &mut tags);
                }
            }
        }
    }

    /// Whether another encoder is to go on from this keyframe.
    fn is_over(&self, keyframe: &AccessUnit, base_ms: i64) -> bool {
        let at_ms = self.video.as_ref().map_or(0, |video| video.timescale.ms_of_ticks(keyframe.dts));
        self.shared.anew.swap(false, Ordering::Relaxed) || at_ms - base_ms > LIFE_MAX_MS
    }

    fn write(&self, unit: &AccessUnit, base_ms: i64, tags: &mut Vec<Bytes>) {
        let track = match unit.kind {
            TrackKind::Video => &self.video,
            TrackKind::Audio => &self.audio,
        };
        let Some(track) = track else { return };
        match self.container() {
            Container::Flv => tags.extend(mux::unit_tag(track, unit, base_ms)),
            Container::Matroska => tags.extend(matroska::block(track, unit, base_ms)),
        }
    }

    /// What carries the source's pictures.
    pub(super) fn container(&self) -> Container {
        self.video.as_ref().map_or_else(Container::default, |video| Container::of(&video.config))
    }

    fn header(&self) -> Vec<Bytes> {
        let tracks: Vec<&Track> = self.video.iter().chain(&self.audio).collect();
        match self.container() {
            Container::Flv => {
                let mut tags = vec![Bytes::from_static(mux::FILE_HEADER)];
                tags.extend(mux::frame_rate_tag(self.source_rate_millis));
                tags.extend(tracks.into_iter().flat_map(mux::config_tag));
                tags
            }
            Container::Matroska => vec![matroska::header(&tracks, self.source_rate_millis)],
        }
    }
}
