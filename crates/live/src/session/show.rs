//! What others see of a session: its stage, its snapshots, its health.

use super::Session;
use crate::stream::LiveStream;
use headwater_hls::Snapshot;
use headwater_model::ivs::{AudioIngest, StreamHealth, VideoIngest};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// How far a session got: kept outside its task, so that its end can be told also after a panic.
#[derive(Debug, Default)]
pub(crate) struct Progress(Mutex<Stage>);

#[derive(Debug, Default)]
pub(super) struct Stage {
    pub(super) created: bool,
    pub(super) live: Option<Live>,
    pub(super) ended: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) stream: Arc<LiveStream>,
    pub(super) snapshots: Arc<watch::Sender<Arc<Snapshot>>>,
}

impl Progress {
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Stage) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn epoch(&self) -> Option<String> {
        self.with(|stage| stage.live.as_ref().map(|live| live.stream.epoch.clone()))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Published {
    Nothing,
    First,
    Next,
}

impl Session {
    pub(super) fn show_findings(&self) {
        self.progress.with(|stage| {
            if let Some(live) = &stage.live {
                live.stream.set_findings(self.doctor.findings());
            }
        });
    }

    pub(super) fn publish_snapshot(&mut self) -> Published {
        let published = self.publish_source();
        if published != Published::Nothing {
            self.tell_renditions();
            self.publish_renditions();
        }
        published
    }

    /// Hands the source's cuts on.
    pub(super) fn tell_renditions(&mut self) {
        let live = self.progress.with(|stage| stage.live.as_ref().map(|live| live.stream.clone()));
        self.renditions.tell(&mut self.packager, live.as_deref());
    }

    pub(super) fn publish_renditions(&mut self) {
        let live = self.progress.with(|stage| stage.live.as_ref().map(|live| live.stream.clone()));
        if let Some(stream) = live {
            self.renditions.publish(&stream);
        }
    }

    pub(super) fn publish_source(&mut self) -> Published {
        let Some(snapshot) = self.packager.poll_snapshot() else { return Published::Nothing };
        self.shared.totals.parts.increment();
        snapshot.note_published(std::time::Instant::now());
        let first = self.progress.with(|stage| match &stage.live {
            Some(live) => {
                live.snapshots.send_replace(snapshot);
                None
            }
            None => {
                let (sender, watch) = watch::channel(snapshot);
                let stream = Arc::new(LiveStream::new(&self.identity, watch));
                stage.live = Some(Live { stream: stream.clone(), snapshots: Arc::new(sender) });
                Some(stream)
            }
        });
        match first {
            Some(stream) => {
                // Seen before the event is recorded: whoever acts on the event finds the stream.
                self.shared.show(stream);
                Published::First
            }
            None => Published::Next,
        }
    }

    pub(super) fn set_health(&mut self, health: StreamHealth) {
        self.health = health;
        self.progress.with(|stage| {
            if let Some(live) = &stage.live {
                live.stream.set_health(health);
            }
        });
    }

    /// What the encoder sends, `Track0` first.
    pub(super) fn facts(&self) -> (Vec<VideoIngest>, Vec<AudioIngest>) {
        let metadata = &self.metadata;
        let snapshot = self.progress.with(|stage| stage.live.as_ref().map(|live| live.stream.snapshot()));
        let Some(snapshot) = snapshot else { return (Vec::new(), Vec::new()) };
        let first = snapshot.video().into_iter().map(|track| (None, track));
        let further = self.renditions.sent().map(|(id, track)| (Some(id), track));
        let video = first.chain(further).map(|(further, track)| {
            // Of each track, what the encoder says of it.
            let (bitrate, frame_rate_millis, size) = match further {
                None => (metadata.video_bitrate, metadata.frame_rate_millis, metadata.width.zip(metadata.height)),
                Some(id) => (
                    metadata.of(id).and_then(|said| said.video_bitrate),
                    metadata.of(id).and_then(|said| said.frame_rate_millis),
                    None,
                ),
            };
            let (width, height) = track.config.dimensions().or(size).unwrap_or((0, 0));
            VideoIngest {
                codec: track.config.rfc6381(),
                encoder: metadata.encoder.clone().unwrap_or_default(),
                target_bitrate: bitrate.unwrap_or(0),
                target_framerate: frame_rate_millis.map_or(0, |millis| u64::from(millis + 500) / 1_000),
                width,
                height,
            }
        });
        let audio = snapshot.audio().map(|track| {
            let channels = match &*track.config {
                headwater_media::CodecConfig::Aac(config) => u32::from(config.channels),
                _ => 0,
            };
            AudioIngest {
                codec: track.config.rfc6381(),
                target_bitrate: metadata.audio_bitrate.unwrap_or(0),
                sample_rate: track.timescale.ticks_per_second(),
                channels,
            }
        });
        (video.collect(), audio.into_iter().collect())
    }
}
