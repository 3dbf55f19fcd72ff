//! The task that owns one stream session: timeline, packager, reconnect window, health, events.

mod attach;
mod intake;
mod record;
mod show;

pub(crate) use record::conclude;
pub(crate) use show::Progress;

use crate::counters::Ingested;
use crate::doctor::Doctor;
use crate::hub::{AdBreakError, CueError, Publish, PublishError, PutCue, Shared};
use crate::journal::SessionEventKind;
use crate::publisher::{CutReason, Input, Publisher};
use crate::renditions::Renditions;
use crate::timeline::Timeline;
use attach::{Attached, lost};
use headwater_hls::{Latency, Packager, Splice};
use headwater_media::{Cue, CueOwner, StreamMetadata, Track, WallTime};
use headwater_model::ivs::{AdBreak, Channel, LatencyMode, StreamHealth};
use headwater_model::{Timestamp, id};
use show::Published;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// No data for this long makes a stream STARVING.
pub const STARVATION_AFTER: Duration = Duration::from_secs(3);
/// A channel's tag with its own reconnect window, whole seconds up to [`RECONNECT_WINDOW_S_MAX`].
pub const RECONNECT_WINDOW_TAG: &str = "headwater:reconnect-window-s";
/// Longest reconnect window of a channel.
pub const RECONNECT_WINDOW_S_MAX: u64 = 300;
/// Commands and units that wait for a session's task. Full: wait, so that back pressure reaches the encoder through TCP.
pub(crate) const INBOX: usize = 32;
/// How long before the end the last part is published: a player that waits for it needs one request to hear of it and one to fetch it.
const LAST_PART_LEAD: Duration = Duration::from_millis(250);
/// How long the renditions' end waits for the encoder's last pictures, which take about a quarter of this.
const LADDER_END_MAX: Duration = Duration::from_secs(1);
/// The name of the rendition that is the encoder's own.
const SOURCE_RENDITION: &str = "source";

/// What a session is asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    Attach { publish: Box<Publish>, reply: oneshot::Sender<Result<Publisher, PublishError>> },
    Media { publisher: u64, input: Input },
    Leave { publisher: u64 },
    Cue { payload: String, reply: oneshot::Sender<Result<PutCue, CueError>> },
    AdBreak { asked: AdBreak, reply: oneshot::Sender<Result<AdBreak, AdBreakError>> },
    Stop { reply: oneshot::Sender<()> },
}

/// What is fixed for a session's life.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) channel: Channel,
    pub(crate) stream_id: String,
    pub(crate) epoch: String,
    pub(crate) started_at: Timestamp,
    pub(crate) ingested: Arc<Ingested>,
}

/// Whether the session goes on.
#[derive(Debug)]
enum Flow {
    Continue,
    Over { cut: CutReason, stopped: Option<oneshot::Sender<()>> },
}

impl Flow {
    fn over(cut: CutReason) -> Flow {
        Flow::Over { cut, stopped: None }
    }
}

pub(crate) struct Session {
    shared: Arc<Shared>,
    identity: Identity,
    progress: Arc<Progress>,
    inbox: mpsc::Receiver<Command>,
    /// Handed to publishers; the session itself holds no strong sender, else its inbox would never close.
    sender: mpsc::WeakSender<Command>,
    packager: Packager,
    renditions: Renditions,
    timeline: Timeline,
    doctor: Doctor,
    tracks: [Option<Track>; 2],
    metadata: StreamMetadata,
    publisher: Option<Attached>,
    publishers: u64,
    takeovers: u32,
    /// Ad breaks so far; also the newest one's id in SCTE-35.
    ad_breaks: u32,
    window: Duration,
    /// When media came last, or when a publisher came or went, if that was later.
    last_sign: Instant,
    last_media: Instant,
    health: StreamHealth,
}

impl Session {
    pub(crate) fn new(
        shared: Arc<Shared>,
        identity: Identity,
        progress: Arc<Progress>,
        inbox: mpsc::Receiver<Command>,
        sender: mpsc::WeakSender<Command>,
    ) -> Self {
        let mut packager = Packager::new(headwater_hls::Options {
            epoch: identity.epoch.clone(),
            rendition: SOURCE_RENDITION.to_owned(),
            latency: match identity.channel.latency_mode {
                LatencyMode::Low => Latency::Low,
                LatencyMode::Normal => Latency::Normal,
            },
        });
        let now = Instant::now();
        let window = reconnect_window(&identity.channel, shared.options.reconnect_window);
        packager.follow();
        let ladder = shared.options.ladder.clone();
        let renditions = Renditions::new(ladder, &identity.channel, &identity.epoch, SOURCE_RENDITION);
        Session {
            timeline: Timeline::new(identity.started_at),
            doctor: Doctor::new(&identity.channel),
            shared,
            identity,
            progress,
            inbox,
            sender,
            packager,
            renditions,
            tracks: [None, None],
            metadata: StreamMetadata::default(),
            publisher: None,
            publishers: 0,
            takeovers: 0,
            ad_breaks: 0,
            window,
            last_sign: now,
            last_media: now,
            health: StreamHealth::Unknown,
        }
    }

    /// Runs to the session's end. The last events are left to [`conclude`], which also serves a session that panicked.
    pub(crate) async fn run(mut self) {
        let cancel = self.shared.cancel.clone();
        let (cut, stopped) = loop {
            let deadline = self.next_deadline();
            let flow = tokio::select! {
                biased;
                () = cancel.cancelled() => Flow::over(CutReason::SessionOver),
                command = self.inbox.recv() => match command {
                    Some(command) => self.handle(command).await,
                    None => Flow::over(CutReason::SessionOver),
                },
                event = self.renditions.next() => {
                    self.renditions.handle(event);
                    self.publish_renditions();
                    Flow::Continue
                }
                () = lost(&mut self.publisher) => self.publisher_lost(),
                () = tokio::time::sleep_until(deadline) => self.handle_timeout().await,
            };
            if let Flow::Over { cut, stopped } = flow {
                break (cut, stopped);
            }
        };
        self.inbox.close();
        if let Some(publisher) = self.publisher.take() {
            publisher.cut.send_replace(Some(cut));
        }
        self.finish().await;
        conclude(&self.shared, &self.identity, &self.progress).await;
        if let Some(stopped) = stopped {
            let _ = stopped.send(());
        }
    }

    /// Publishes what is left, then the end: of the source at its time, of the renditions when the encoder's last pictures are in.
    async fn finish(&mut self) {
        let began = Instant::now();
        self.packager.flush();
        // Players drop a part that they first see beside EXT-X-ENDLIST.
        let lead = if self.publish_snapshot() == Published::Next { LAST_PART_LEAD } else { Duration::ZERO };
        self.renditions.finish();
        let early = self.take_last(began + lead).await;
        tokio::time::sleep_until(began + lead).await;
        self.packager.end();
        self.publish_source();
        let drained = match early {
            Some(at) => Some(at),
            None => self.take_last(began + LADDER_END_MAX).await,
        };
        if let Some(at) = drained {
            tokio::time::sleep_until(at + lead).await;
        }
        self.tell_renditions();
        self.renditions.end();
        self.publish_renditions();
    }

    /// Takes what the encoder still makes. Tells when that was all, if it was before `until`.
    async fn take_last(&mut self, until: Instant) -> Option<Instant> {
        while let Some(event) = tokio::time::timeout_at(until, self.renditions.last()).await.ok()? {
            self.renditions.handle(event);
            self.publish_renditions();
        }
        self.renditions.drained();
        self.publish_renditions();
        Some(Instant::now())
    }

    async fn handle(&mut self, command: Command) -> Flow {
        match command {
            Command::Attach { publish, reply } => self.attach(publish, reply).await,
            Command::Media { publisher, input } => {
                if self.publisher.as_ref().is_some_and(|attached| attached.number == publisher) {
                    self.handle_input(input).await
                } else {
                    Flow::Continue
                }
            }
            Command::Leave { publisher } => {
                if self.publisher.as_ref().is_some_and(|attached| attached.number == publisher) {
                    tracing::info!("publisher left");
                    Flow::over(CutReason::SessionOver)
                } else {
                    Flow::Continue
                }
            }
            Command::Cue { payload, reply } => {
                let _ = reply.send(self.put_cue(payload));
                Flow::Continue
            }
            Command::AdBreak { asked, reply } => {
                let inserted = self.insert_ad_break(asked);
                if let Ok(ad_break) = &inserted {
                    self.record_firmly(SessionEventKind::AdBreak(ad_break.clone())).await;
                }
                let _ = reply.send(inserted);
                Flow::Continue
            }
            Command::Stop { reply } => {
                tracing::info!("stream is stopped");
                Flow::Over { cut: CutReason::Stopped, stopped: Some(reply) }
            }
        }
    }

    fn publisher_lost(&mut self) -> Flow {
        self.publisher = None;
        self.last_sign = Instant::now();
        tracing::info!("publisher is lost; the reconnect window begins");
        if self.progress.with(|stage| stage.live.is_none()) {
            // Nobody watches yet, so there is nothing to go on with.
            return Flow::over(CutReason::SessionOver);
        }
        self.packager.discontinuity();
        self.publish_snapshot();
        Flow::Continue
    }

    /// How long nothing may come: a connected encoder is given the usual time also on a channel that waits for nobody.
    fn patience(&self) -> Duration {
        if self.publisher.is_some() { self.window.max(self.shared.options.reconnect_window) } else { self.window }
    }

    fn next_deadline(&self) -> Instant {
        let over = self.last_sign + self.patience();
        if self.health == StreamHealth::Healthy { over.min(self.last_media + STARVATION_AFTER) } else { over }
    }

    async fn handle_timeout(&mut self) -> Flow {
        let now = Instant::now();
        if now >= self.last_sign + self.patience() {
            tracing::info!("no media within the reconnect window");
            return Flow::over(CutReason::Silent);
        }
        if self.health == StreamHealth::Healthy && now >= self.last_media + STARVATION_AFTER {
            self.set_health(StreamHealth::Starving);
            tracing::info!("stream is starving");
            self.record_firmly(SessionEventKind::StarvationStart).await;
        }
        Flow::Continue
    }

    fn put_cue(&mut self, payload: String) -> Result<PutCue, CueError> {
        let cue_id = format!("cue-{}", id::random_lower_alphanumeric(20));
        let cue = Cue { id: cue_id.clone(), payload, owner: CueOwner::OutOfBand };
        let at = self.packager.handle_cue(cue).map_err(|error| match error {
            headwater_hls::Error::CuesFull => CueError::TooMany,
            _ => CueError::NotBroadcasting,
        })?;
        let stream_id = self.identity.stream_id.clone();
        Ok(PutCue { cue_id, stream_id, pdt: Timestamp(at.0) })
    }

    fn insert_ad_break(&mut self, asked: AdBreak) -> Result<AdBreak, AdBreakError> {
        self.ad_breaks += 1;
        let splice = Splice {
            id: asked.id.clone(),
            event_id: self.ad_breaks,
            start: WallTime(asked.target_start.0),
            duration_ms: asked.duration_s.saturating_mul(1_000),
        };
        let start = self.packager.handle_splice(splice).map_err(|error| match error {
            headwater_hls::Error::AdBreakRuns { id } => AdBreakError::Runs { id },
            _ => AdBreakError::NotBroadcasting,
        })?;
        Ok(AdBreak { target_start: Timestamp(start.0), ..asked })
    }
}

/// A channel's own reconnect window, if its tag says one; else the usual one.
fn reconnect_window(channel: &Channel, usual: Duration) -> Duration {
    match channel.tags.get(RECONNECT_WINDOW_TAG) {
        Some(text) => match text.parse::<u64>() {
            Ok(seconds @ 0..=RECONNECT_WINDOW_S_MAX) => Duration::from_secs(seconds),
            _ => {
                tracing::warn!(
                    channel = channel.arn,
                    tag = RECONNECT_WINDOW_TAG,
                    value = text,
                    "tag is no whole number of seconds up to {RECONNECT_WINDOW_S_MAX}; the usual window holds"
                );
                usual
            }
        },
        None => usual,
    }
}
