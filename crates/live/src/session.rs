//! The task that owns one stream session: timeline, packager, reconnect window, health, events.

use crate::doctor::Doctor;
use crate::hub::{CueError, Publish, PublishError, PutCue, Shared};
use crate::journal::{JournalError, SessionEvent, SessionEventKind};
use crate::publisher::{CutReason, Input, Publisher};
use crate::renditions::Renditions;
use crate::stream::{LiveStream, end_here};
use crate::takeover::{Claim, Entrance, Incumbent, TakeoverRefusal};
use crate::timeline::{Placed, Timeline};
use headwater_hls::{Latency, Packager, Snapshot};
use headwater_media::{AccessUnit, Cue, CueOwner, StreamMetadata, Timescale, Track, TrackKind, WallTime};
use headwater_model::ivs::{AudioIngest, Channel, LatencyMode, StreamHealth, VideoIngest};
use headwater_model::{Timestamp, id};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

/// No data for this long makes a stream STARVING.
pub const STARVATION_AFTER: Duration = Duration::from_secs(3);
/// A channel's tag with its own reconnect window, whole seconds up to [`RECONNECT_WINDOW_S_MAX`].
pub const RECONNECT_WINDOW_TAG: &str = "headwater:reconnect-window-s";
/// Longest reconnect window of a channel.
pub const RECONNECT_WINDOW_S_MAX: u64 = 300;
/// Commands and units that wait for a session's task. Full: wait, so that back pressure reaches the encoder through TCP.
pub(crate) const INBOX: usize = 32;
/// Tries to record an event before the session goes on without it, loudly: about 20 s. A publisher waits for the first event only
/// [`CREATE_TRIES_MAX`] tries.
const RECORD_TRIES_MAX: u32 = 12;
const CREATE_TRIES_MAX: u32 = 3;
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(50);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(4);
/// How long before the end the last part is published: a player that waits for it needs one request to hear of it and one to fetch it.
const LAST_PART_LEAD: Duration = Duration::from_millis(250);
/// The name of the rendition that is the encoder's own.
const SOURCE_RENDITION: &str = "source";

/// What a session is asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    Attach { publish: Box<Publish>, reply: oneshot::Sender<Result<Publisher, PublishError>> },
    Media { publisher: u64, input: Input },
    Leave { publisher: u64 },
    Cue { payload: String, reply: oneshot::Sender<Result<PutCue, CueError>> },
    Stop { reply: oneshot::Sender<()> },
}

/// How far a session got: kept outside its task, so that its end can be told also after a panic.
#[derive(Debug, Default)]
pub(crate) struct Progress(Mutex<Stage>);

#[derive(Debug, Default)]
struct Stage {
    created: bool,
    live: Option<Live>,
    ended: bool,
}

#[derive(Clone, Debug)]
struct Live {
    stream: Arc<LiveStream>,
    snapshots: Arc<watch::Sender<Arc<Snapshot>>>,
}

impl Progress {
    fn with<T>(&self, act: impl FnOnce(&mut Stage) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn epoch(&self) -> Option<String> {
        self.with(|stage| stage.live.as_ref().map(|live| live.stream.epoch.clone()))
    }
}

/// What is fixed for a session's life.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) channel: Channel,
    pub(crate) stream_id: String,
    pub(crate) epoch: String,
    pub(crate) started_at: Timestamp,
}

#[derive(Debug)]
struct Attached {
    number: u64,
    peer: String,
    claim: Claim,
    cut: watch::Sender<Option<CutReason>>,
    gone: oneshot::Receiver<Infallible>,
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
            doctor: Doctor::new(identity.channel.channel_type),
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
                made = self.renditions.made() => {
                    self.renditions.handle_made(made);
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
        // Players drop a part that they first see beside EXT-X-ENDLIST.
        self.packager.flush();
        if self.publish_snapshot() == Published::Next {
            tokio::time::sleep(LAST_PART_LEAD).await;
        }
        self.packager.end();
        self.publish_snapshot();
        self.renditions.end();
        self.publish_renditions();
        conclude(&self.shared, &self.identity, &self.progress).await;
        if let Some(stopped) = stopped {
            let _ = stopped.send(());
        }
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
            Command::Stop { reply } => {
                tracing::info!("stream is stopped");
                Flow::Over { cut: CutReason::Stopped, stopped: Some(reply) }
            }
        }
    }

    async fn attach(&mut self, publish: Box<Publish>, reply: oneshot::Sender<Result<Publisher, PublishError>>) -> Flow {
        let created = self.progress.with(|stage| stage.created);
        if !created {
            if let Err(error) = self.record(SessionEventKind::Created, CREATE_TRIES_MAX).await {
                tracing::error!(error = &error as &dyn std::error::Error, "session is not recorded");
                let _ = reply.send(Err(PublishError::Journal(error)));
                return Flow::over(CutReason::SessionOver);
            }
            self.progress.with(|stage| stage.created = true);
        }
        let Some(inbox) = self.sender.upgrade() else {
            return Flow::over(CutReason::SessionOver);
        };
        if let Err(refusal) = self.make_way(&publish).await {
            let _ = reply.send(Err(PublishError::Takeover(refusal)));
            return Flow::Continue;
        }
        if self.publishers > 0 {
            self.packager.new_source();
            self.timeline.new_source();
            self.doctor.new_source();
            self.tracks = [None, None];
            self.publish_snapshot();
        }
        self.publishers += 1;
        let number = self.publishers;
        let (cut, cut_seen) = watch::channel(None);
        let (alive, gone) = oneshot::channel();
        self.publisher = Some(Attached { number, peer: publish.peer.clone(), claim: publish.claim, cut, gone });
        self.last_sign = Instant::now();
        tracing::info!(peer = %publish.peer, "publisher is attached");
        if let Some(metadata) = publish.encoder {
            self.handle_metadata(metadata);
        }
        let stream_id = self.identity.stream_id.clone();
        // Dropped with the reply if the caller is gone: then its `alive` tells us.
        let _ = reply.send(Ok(Publisher { stream_id, number, inbox, cut: cut_seen, alive }));
        Flow::Continue
    }

    /// Cuts the present publisher for a newcomer, if there is one and the rules allow it.
    async fn make_way(&mut self, newcomer: &Publish) -> Result<(), TakeoverRefusal> {
        let Some(present) = &self.publisher else { return Ok(()) };
        let incumbent = Incumbent {
            claim: present.claim,
            peer: &present.peer,
            silent: self.last_sign.elapsed(),
            tracks: &self.tracks,
            takeovers: self.takeovers,
        };
        let entrance = match incumbent.yields_to(newcomer) {
            Ok(entrance) => entrance,
            Err(refusal) => {
                tracing::warn!(peer = %newcomer.peer, code = refusal.code(), "takeover is refused");
                self.record_firmly(SessionEventKind::TakeoverFailure(refusal)).await;
                return Err(refusal);
            }
        };
        if let Some(former) = self.publisher.take() {
            former.cut.send_replace(Some(CutReason::TakenOver));
        }
        match entrance {
            Entrance::Reconnect => tracing::info!(peer = %newcomer.peer, "publisher is back before it was missed"),
            Entrance::Takeover => {
                self.takeovers += 1;
                tracing::info!(peer = %newcomer.peer, takeovers = self.takeovers, "publisher is taken over");
                self.record_firmly(SessionEventKind::Takeover).await;
            }
        }
        Ok(())
    }

    async fn handle_input(&mut self, input: Input) -> Flow {
        match input {
            Input::Metadata(metadata) => self.handle_metadata(metadata),
            Input::Track(track) => {
                self.tracks[slot(track.kind)] = Some(track.clone());
                self.doctor.handle_track(&track);
                self.renditions.track(&track);
                self.packager.handle_track(track);
            }
            Input::Unit(unit) => return self.handle_unit(unit).await,
        }
        Flow::Continue
    }

    async fn handle_unit(&mut self, unit: AccessUnit) -> Flow {
        let Some(track) = &self.tracks[slot(unit.kind)] else { return Flow::Continue };
        let scale = track.timescale;
        let now = (self.shared.options.clock)();
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

    /// Shows a unit to the doctor, and tells what changed.
    async fn examine(&mut self, unit: &AccessUnit, scale: Timescale, now: Timestamp) {
        let Some(change) = self.doctor.handle_unit(unit, scale, now) else { return };
        change.log();
        self.show_findings();
        for breach in change.breaches {
            self.record_firmly(SessionEventKind::LimitBreach(breach)).await;
        }
    }

    fn show_findings(&self) {
        self.progress.with(|stage| {
            if let Some(live) = &stage.live {
                live.stream.set_findings(self.doctor.findings());
            }
        });
    }

    fn handle_metadata(&mut self, metadata: StreamMetadata) {
        self.packager.handle_metadata(&metadata);
        self.metadata = metadata;
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

    fn publish_snapshot(&mut self) -> Published {
        let published = self.publish_source();
        if published != Published::Nothing {
            let live = self.progress.with(|stage| stage.live.as_ref().map(|live| live.stream.clone()));
            self.renditions.tell(&mut self.packager, live.as_deref());
            self.publish_renditions();
        }
        published
    }

    fn publish_renditions(&mut self) {
        let live = self.progress.with(|stage| stage.live.as_ref().map(|live| live.stream.clone()));
        if let Some(stream) = live {
            self.renditions.publish(&stream);
        }
    }

    fn publish_source(&mut self) -> Published {
        let Some(snapshot) = self.packager.poll_snapshot() else { return Published::Nothing };
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

    fn set_health(&mut self, health: StreamHealth) {
        self.health = health;
        self.progress.with(|stage| {
            if let Some(live) = &stage.live {
                live.stream.set_health(health);
            }
        });
    }

    fn facts(&self) -> (Option<VideoIngest>, Option<AudioIngest>) {
        let metadata = &self.metadata;
        let snapshot = self.progress.with(|stage| stage.live.as_ref().map(|live| live.stream.snapshot()));
        let Some(snapshot) = snapshot else { return (None, None) };
        let video = snapshot.video().map(|track| {
            let said = (metadata.width.unwrap_or(0), metadata.height.unwrap_or(0));
            let (width, height) = track.config.dimensions().unwrap_or(said);
            VideoIngest {
                codec: track.config.rfc6381(),
                encoder: metadata.encoder.clone().unwrap_or_default(),
                target_bitrate: metadata.video_bitrate.unwrap_or(0),
                target_framerate: metadata.frame_rate_millis.map_or(0, |millis| u64::from(millis + 500) / 1_000),
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
        (video, audio)
    }

    async fn record(&self, kind: SessionEventKind, tries: u32) -> Result<(), Arc<JournalError>> {
        record(&self.shared, &self.identity, kind, tries).await
    }

    async fn record_firmly(&self, kind: SessionEventKind) {
        record_firmly(&self.shared, &self.identity, kind).await;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Published {
    Nothing,
    First,
    Next,
}

fn slot(kind: TrackKind) -> usize {
    match kind {
        TrackKind::Video => 0,
        TrackKind::Audio => 1,
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

/// Resolves when the publisher dropped its end.
async fn lost(publisher: &mut Option<Attached>) {
    match publisher {
        Some(publisher) => {
            // Nothing is ever sent: it resolves when the other end is dropped.
            let _ = (&mut publisher.gone).await;
        }
        None => std::future::pending().await,
    }
}

/// Ends what others see of a session and records its last events, once.
pub(crate) async fn conclude(shared: &Shared, identity: &Identity, progress: &Progress) {
    let (created, live, ended) =
        progress.with(|stage| (stage.created, stage.live.clone(), std::mem::replace(&mut stage.ended, true)));
    if ended || !created {
        return;
    }
    if let Some(Live { stream, snapshots }) = live {
        // After a panic the packager is gone; the last snapshot ends where it stands.
        end_here(&snapshots);
        stream.end_renditions();
        shared.hide(&stream);
        record_firmly(shared, identity, SessionEventKind::End).await;
    }
    record_firmly(shared, identity, SessionEventKind::Ended).await;
    tracing::info!("session is over");
}

async fn record_firmly(shared: &Shared, identity: &Identity, kind: SessionEventKind) {
    if let Err(error) = record(shared, identity, kind.clone(), RECORD_TRIES_MAX).await {
        let error = &error as &dyn std::error::Error;
        tracing::error!(error, ?kind, "event is lost: the journal refused it");
    }
}

async fn record(
    shared: &Shared,
    identity: &Identity,
    kind: SessionEventKind,
    tries: u32,
) -> Result<(), Arc<JournalError>> {
    let event = SessionEvent {
        channel: identity.channel.clone(),
        stream_id: identity.stream_id.clone(),
        at: (shared.options.clock)(),
        kind,
    };
    let mut pause = RETRY_PAUSE_MIN;
    let mut tried = 0;
    loop {
        tried += 1;
        match shared.journal.record(event.clone()).await {
            Ok(()) => return Ok(()),
            Err(error) if tried >= tries => return Err(Arc::new(error)),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "event is recorded again");
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_PAUSE_MAX);
    }
}
