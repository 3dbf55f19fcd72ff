//! Who is live: publishing, commands, drain.

use crate::counters::Totals;
use crate::journal::{Journal, JournalError, SessionEvent, SessionEventKind};
use crate::publisher::Publisher;
use crate::session::{Command, INBOX, Identity, Progress, Session, conclude};
use crate::stream::LiveStream;
use crate::takeover::{Claim, TakeoverRefusal};
use headwater_media::{StreamMetadata, Track};
use headwater_model::ivs::{AdBreak, Channel, MultitrackCode};
use headwater_model::{Timestamp, id};
use std::collections::{HashMap, hash_map};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// Characters of an epoch: 32 of 36 letters and digits hold 165 bits.
const EPOCH_CHARACTERS: usize = 32;
/// Sessions that a publisher tries when each ends just as it comes.
const ATTACH_TRIES_MAX: usize = 4;

/// How often the same refusal of a channel is recorded.
const REFUSAL_TOLD_EVERY: Duration = Duration::from_secs(60);

/// How sessions behave.
#[derive(Clone)]
pub struct Options {
    /// How long a session waits for its publisher to come back, and for a connected one to send.
    pub reconnect_window: Duration,
    /// How long the last snapshot stays reachable by epoch after the end.
    pub linger: Duration,
    /// How further renditions are made.
    pub ladder: crate::ladder::Options,
    /// The wall clock.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            reconnect_window: Duration::from_secs(30),
            linger: Duration::from_secs(60),
            ladder: crate::ladder::Options::default(),
            clock: Arc::new(Timestamp::now),
        }
    }
}

/// What a publisher showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyShown {
    /// The channel's stream key.
    StreamKey,
    /// The key of a configuration that was made for it.
    Configured,
}

/// A publisher that was found to be welcome.
#[derive(Clone, Debug)]
pub struct Publish {
    /// The channel whose key it showed.
    pub channel: Channel,
    /// Its address, for the log.
    pub peer: String,
    /// What it said about its stream, if that came before it was accepted.
    pub encoder: Option<StreamMetadata>,
    /// What it claims against a publisher that is connected.
    pub claim: Claim,
    /// Its tracks, as far as they are known: compared if it claims a priority. They are still to be sent.
    pub tracks: Vec<Track>,
    /// What it showed.
    pub key: KeyShown,
}

impl Publish {
    /// A publisher that claims nothing.
    pub fn new(channel: Channel, peer: impl Into<String>) -> Self {
        Publish {
            channel,
            peer: peer.into(),
            encoder: None,
            claim: Claim::None,
            tracks: Vec::new(),
            key: KeyShown::StreamKey,
        }
    }
}

/// Why a publisher is not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The server is being drained.
    #[error("server is shutting down")]
    ShuttingDown,
    /// The session could not be recorded.
    #[error("session could not be recorded")]
    Journal(#[source] Arc<JournalError>),
    /// Another publisher is connected and stays.
    #[error("stream may not be taken over")]
    Takeover(#[source] TakeoverRefusal),
    /// The session ended while the publisher was being attached.
    #[error("session failed")]
    SessionFailed,
}

/// The channel has no live stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("channel is not broadcasting")]
pub struct NotBroadcasting;

/// Why a cue is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CueError {
    /// The channel has no live stream.
    #[error("channel is not broadcasting")]
    NotBroadcasting,
    /// More cues wait than the stream can take up; the encoder may be away.
    #[error("too many cues wait")]
    TooMany,
}

/// Why an ad break is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdBreakError {
    /// The channel has no live stream.
    #[error("channel is not broadcasting")]
    NotBroadcasting,
    /// Another one is not over.
    #[error("ad break {id} is not over")]
    Runs {
        /// Its id.
        id: String,
    },
}

/// A cue that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutCue {
    /// Its id, the same in the media and in the playlist.
    pub cue_id: String,
    /// The session that took it.
    pub stream_id: String,
    /// When about it is presented, on the axis of EXT-X-PROGRAM-DATE-TIME; exact in EXT-X-DATERANGE.
    pub pdt: Timestamp,
}

/// Whether a drain kept its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Drained {
    /// Every session ended and was recorded.
    InTime,
    /// So many sessions were left behind.
    Late(usize),
}

/// A session's entry.
#[derive(Clone)]
struct Entry {
    stream_id: String,
    inbox: mpsc::Sender<Command>,
    /// Cancelled when the session is over and its entry gone.
    over: CancellationToken,
}

/// What the hub and its sessions share.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) cancel: CancellationToken,
    pub(crate) totals: Totals,
    tracker: TaskTracker,
    /// By channel id.
    sessions: Mutex<HashMap<String, Entry>>,
    /// By channel id.
    live: Mutex<HashMap<String, Arc<LiveStream>>>,
    /// By epoch.
    reachable: Mutex<HashMap<String, Arc<LiveStream>>>,
    /// When a refusal was last recorded, by channel id and code: those of the last [`REFUSAL_TOLD_EVERY`].
    refused: Mutex<HashMap<(String, MultitrackCode), Instant>>,
}

impl Shared {
    pub(crate) fn show(&self, stream: Arc<LiveStream>) {
        lock(&self.reachable).insert(stream.epoch.clone(), stream.clone());
        lock(&self.live).insert(stream.channel.id.clone(), stream);
    }

    pub(crate) fn hide(&self, stream: &LiveStream) {
        let mut live = lock(&self.live);
        if live.get(&stream.channel.id).is_some_and(|known| known.epoch == stream.epoch) {
            live.remove(&stream.channel.id);
        }
    }

    fn remove(&self, channel_id: &str, stream_id: &str) {
        let mut sessions = lock(&self.sessions);
        if sessions.get(channel_id).is_some_and(|entry| entry.stream_id == stream_id) {
            sessions.remove(channel_id);
        }
    }
}

/// No invariant spans two steps under these locks, so a panic elsewhere does not spoil them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who is live. Clones share one.
#[derive(Clone)]
pub struct Hub(Arc<Shared>);

impl Hub {
    /// A hub without sessions.
    pub fn new(options: Options, journal: Arc<dyn Journal>) -> Self {
        Hub(Arc::new(Shared {
            options,
            journal,
            cancel: CancellationToken::new(),
            totals: Totals::default(),
            tracker: TaskTracker::new(),
            sessions: Mutex::default(),
            live: Mutex::default(),
            reachable: Mutex::default(),
            refused: Mutex::default(),
        }))
    }

    /// Attaches a publisher: to the channel's session if it has one (taking over from its publisher), else to a new session. Returns when
    /// the session is recorded. Cancelled, the publisher may have been attached for a moment.
    ///
    /// # Errors
    /// [`PublishError`].
    pub async fn publish(&self, publish: Publish) -> Result<Publisher, PublishError> {
        for _ in 0..ATTACH_TRIES_MAX {
            if self.0.cancel.is_cancelled() {
                return Err(PublishError::ShuttingDown);
            }
            let entry = self.session(&publish.channel);
            let (reply, answer) = oneshot::channel();
            let command = Command::Attach { publish: Box::new(publish.clone()), reply };
            if entry.inbox.send(command).await.is_ok()
                && let Ok(attached) = answer.await
            {
                return attached;
            }
            // It ended meanwhile; the next one begins when its end is recorded.
            entry.over.cancelled().await;
        }
        Err(PublishError::SessionFailed)
    }

    /// Records that a publisher with a good key was refused: as a session that was created and ended by this code. Nothing is recorded
    /// while the channel has a session, whose end it is not, and the same of a channel once a minute: encoders try
    /// again every few seconds.
    pub async fn refuse(&self, channel: &Channel, code: MultitrackCode) {
        if self.entry(&channel.id).is_some() || !self.is_news(channel, code) {
            return;
        }
        let event = SessionEvent {
            channel: channel.clone(),
            stream_id: id::stream_id(),
            at: (self.0.options.clock)(),
            kind: SessionEventKind::Refused(code),
        };
        if let Err(error) = self.0.journal.record(event).await {
            tracing::error!(error = &error as &dyn std::error::Error, ?code, "event is lost: the journal refused it");
        }
    }

    fn is_news(&self, channel: &Channel, code: MultitrackCode) -> bool {
        let now = Instant::now();
        let mut refused = lock(&self.0.refused);
        refused.retain(|_, told| now.duration_since(*told) < REFUSAL_TOLD_EVERY);
        match refused.entry((channel.id.clone(), code)) {
            hash_map::Entry::Occupied(_) => false,
            hash_map::Entry::Vacant(free) => {
                free.insert(now);
                true
            }
        }
    }

    /// The channel's live stream, from its first playlist to its end.
    pub fn stream(&self, channel_id: &str) -> Option<Arc<LiveStream>> {
        lock(&self.0.live).get(channel_id).cloned()
    }

    /// A stream by the epoch in its media URLs, also for a while after its end.
    pub fn stream_by_epoch(&self, epoch: &str) -> Option<Arc<LiveStream>> {
        lock(&self.0.reachable).get(epoch).cloned()
    }

    /// All live streams.
    pub fn streams(&self) -> Vec<Arc<LiveStream>> {
        lock(&self.0.live).values().cloned().collect()
    }

    /// What happened in all sessions so far.
    pub fn totals(&self) -> &Totals {
        &self.0.totals
    }

    /// Puts timed metadata into the channel's stream: into the next part that is opened.
    ///
    /// # Errors
    /// [`CueError`].
    pub async fn put_cue(&self, channel_id: &str, payload: String) -> Result<PutCue, CueError> {
        let entry = self.entry(channel_id).ok_or(CueError::NotBroadcasting)?;
        let (reply, answer) = oneshot::channel();
        let command = Command::Cue { payload, reply };
        entry.inbox.send(command).await.map_err(|_| CueError::NotBroadcasting)?;
        answer.await.map_err(|_| CueError::NotBroadcasting)?
    }

    /// Marks an ad break in the playlists of the channel's stream. Returns it, with the time that it begins at, when its
    /// event is recorded.
    ///
    /// # Errors
    /// [`AdBreakError`].
    pub async fn insert_ad_break(&self, channel_id: &str, asked: AdBreak) -> Result<AdBreak, AdBreakError> {
        let entry = self.entry(channel_id).ok_or(AdBreakError::NotBroadcasting)?;
        let (reply, answer) = oneshot::channel();
        let command = Command::AdBreak { asked, reply };
        entry.inbox.send(command).await.map_err(|_| AdBreakError::NotBroadcasting)?;
        answer.await.map_err(|_| AdBreakError::NotBroadcasting)?
    }

    /// Ends the channel's session and cuts its publisher. Returns when the end is recorded.
    ///
    /// # Errors
    /// [`NotBroadcasting`].
    pub async fn stop(&self, channel_id: &str) -> Result<(), NotBroadcasting> {
        let entry = self.entry(channel_id).ok_or(NotBroadcasting)?;
        let (reply, answer) = oneshot::channel();
        entry.inbox.send(Command::Stop { reply }).await.map_err(|_| NotBroadcasting)?;
        answer.await.map_err(|_| NotBroadcasting)
    }

    /// Ends every session and waits for their last events, at most `deadline`.
    pub async fn shutdown(&self, deadline: Duration) -> Drained {
        self.0.cancel.cancel();
        self.0.tracker.close();
        match tokio::time::timeout(deadline, self.0.tracker.wait()).await {
            Ok(()) => Drained::InTime,
            Err(_) => Drained::Late(self.0.tracker.len()),
        }
    }

    fn entry(&self, channel_id: &str) -> Option<Entry> {
        lock(&self.0.sessions).get(channel_id).cloned()
    }

    /// The channel's session, made if there is none.
    fn session(&self, channel: &Channel) -> Entry {
        let mut sessions = lock(&self.0.sessions);
        if let Some(entry) = sessions.get(&channel.id) {
            return entry.clone();
        }
        let identity = Identity {
            channel: channel.clone(),
            stream_id: id::stream_id(),
            epoch: id::random_lower_alphanumeric(EPOCH_CHARACTERS),
            started_at: (self.0.options.clock)(),
            ingested: Arc::default(),
        };
        self.0.totals.sessions.increment();
        let (inbox, commands) = mpsc::channel(INBOX);
        let entry =
            Entry { stream_id: identity.stream_id.clone(), inbox: inbox.clone(), over: CancellationToken::new() };
        let span = tracing::info_span!(
            "session",
            channel = %channel.id,
            stream_session = %identity.stream_id,
        );
        let progress = Arc::new(Progress::default());
        let session = Session::new(self.0.clone(), identity.clone(), progress.clone(), commands, inbox.downgrade());
        self.0
            .tracker
            .spawn(supervise(self.0.clone(), session, identity, progress, entry.over.clone()).instrument(span));
        sessions.insert(channel.id.clone(), entry.clone());
        entry
    }
}

/// Runs a session, ends it properly should it panic, and keeps its last snapshot reachable for a while.
async fn supervise(
    shared: Arc<Shared>,
    session: Session,
    identity: Identity,
    progress: Arc<Progress>,
    over: CancellationToken,
) {
    let running = tokio::spawn(session.run().in_current_span());
    if let Err(error) = running.await {
        tracing::error!(error = &error as &dyn std::error::Error, "session failed");
        conclude(&shared, &identity, &progress).await;
    }
    shared.remove(&identity.channel.id, &identity.stream_id);
    over.cancel();
    if let Some(epoch) = progress.epoch() {
        tokio::select! {
            () = tokio::time::sleep(shared.options.linger) => {}
            () = shared.cancel.cancelled() => {}
        }
        lock(&shared.reachable).remove(&epoch);
    }
}
