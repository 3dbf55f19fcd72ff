//! What a publisher sends, on its way to the packager: the doctor sees it first, then the timeline places it.

use super::show::Published;
use super::{Flow, Session};
use crate::journal::SessionEventKind;
use crate::publisher::{CutReason, Input};
use crate::timeline::Placed;
use headwater_media::{AccessUnit, FurtherTrack, Keyframe, StreamMetadata, Timescale, TrackKind, WallTime};
use headwater_model::Timestamp;
use headwater_model::ivs::StreamHealth;
use tokio::time::Instant;

impl Session {
    pub(super) async fn handle_input(&mut self, input: Input) -> Flow {
        match input {
            Input::Metadata(metadata) => self.handle_metadata(metadata),
            Input::Track(track) => {
                self.tracks[slot(track.kind)] = Some(track.clone());
                self.doctor.handle_track(&track);
                self.renditions.track(&track);
                self.packager.handle_track(track);
            }
            Input::Unit(unit) => return self.handle_unit(unit).await,
            Input::FurtherTrack(further, track) => {
                self.doctor.handle_further_track(further);
                self.renditions.sent_track(further, track, &mut self.packager);
            }
            Input::FurtherUnit(further, unit) => self.handle_further_unit(further, unit),
            Input::FurtherSound(_) => self.doctor.handle_further_sound(),
        }
        Flow::Continue
    }

    async fn handle_unit(&mut self, unit: AccessUnit) -> Flow {
        let Some(track) = &self.tracks[slot(unit.kind)] else { return Flow::Continue };
        let scale = track.timescale;
        let now = (self.shared.options.clock)();
        self.identity.ingested.note(&unit, scale);
        self.last_media = Instant::now();
        self.last_sign = self.last_media;
        if self.health == StreamHealth::Starving {
            self.set_health(StreamHealth::Healthy);
            self.record_firmly(SessionEventKind::StarvationEnd).await;
        }
        self.examine(&unit, scale, now).await;
        let unit = match self.timeline.place(unit, scale, now) {
            Placed::Here(unit) => unit,
            Placed::Apart(unit) => {
                self.packager.discontinuity();
                unit
            }
            Placed::Straggler => return Flow::Continue,
        };
        self.renditions.unit(&unit, &self.tracks, &self.metadata, &mut self.packager);
        if let Err(error) = self.packager.handle_unit(unit, WallTime(now.0)) {
            tracing::warn!(error = &error as &dyn std::error::Error, "stream is ended");
            return Flow::over(CutReason::TooMuch);
        }
        if self.publish_snapshot() == Published::First {
            self.set_health(StreamHealth::Healthy);
            self.show_findings();
            let (video, audio) = self.facts();
            tracing::info!("stream is live");
            self.record_firmly(SessionEventKind::Start { video, audio }).await;
        }
        Flow::Continue
    }

    /// A unit of a rendition that the publisher makes itself. It is no sign of life: the first track is what viewers begin with.
    fn handle_further_unit(&mut self, further: FurtherTrack, unit: AccessUnit) {
        let now = (self.shared.options.clock)();
        let Some(unit) = self.timeline.accompany(unit, Timescale::VIDEO, now) else { return };
        let dimensions = self.tracks[slot(TrackKind::Video)].as_ref().and_then(|track| track.config.dimensions());
        let height = dimensions.map(|(_, height)| height).or(self.metadata.height);
        self.renditions.sent_unit(further, unit, height, &self.metadata, &mut self.packager);
        self.publish_renditions();
    }

    /// Shows a unit to the doctor, and tells what changed.
    async fn examine(&mut self, unit: &AccessUnit, scale: Timescale, now: Timestamp) {
        if unit.keyframe == Keyframe::Yes && unit.kind == TrackKind::Video {
            self.doctor.handle_unaligned(self.renditions.unaligned());
        }
        let Some(change) = self.doctor.handle_unit(unit, scale, now) else { return };
        change.log();
        self.show_findings();
        for breach in change.breaches {
            self.record_firmly(SessionEventKind::LimitBreach(breach)).await;
        }
    }

    pub(super) fn handle_metadata(&mut self, metadata: StreamMetadata) {
        self.packager.handle_metadata(&metadata);
        self.metadata = metadata;
    }
}

fn slot(kind: TrackKind) -> usize {
    match kind {
        TrackKind::Video => 0,
        TrackKind::Audio => 1,
    }
}
