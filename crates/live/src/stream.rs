//! What others see of a session that is live.

use crate::audience::Audience;
use crate::counters::{Ingested, IngestedRead};
use crate::demand::Demand;
use crate::doctor::Finding;
use crate::session::Identity;
use headwater_hls::Snapshot;
use headwater_hls::lint::{self, Report};
use headwater_hls::playlist::Facts;
use headwater_model::Timestamp;
use headwater_model::ivs::{Channel, StreamHealth};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::watch;

/// How a stream's ladder is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LadderState {
    /// This server makes none.
    #[default]
    Off,
    /// The channel's type and source ask for none.
    NotNeeded,
    /// The publisher sends one itself, as further tracks: nothing is encoded here.
    Sent,
    /// The source is not known yet, or the encoder has not made a picture yet.
    Waiting,
    /// So many renditions are made. The others sleep.
    Running(usize),
    /// Nobody wants a rendition, and none is made.
    Asleep,
    /// The machine cannot keep up: so many renditions, from the top, are no longer made.
    Shed(usize),
    /// There is the source only; why.
    Unavailable(String),
}

impl LadderState {
    /// A stable name.
    pub fn as_str(&self) -> &'static str {
        match self {
            LadderState::Off => "off",
            LadderState::NotNeeded => "not_needed",
            LadderState::Sent => "sent",
            LadderState::Waiting => "waiting",
            LadderState::Running(_) => "running",
            LadderState::Asleep => "asleep",
            LadderState::Shed(_) => "shed",
            LadderState::Unavailable(_) => "unavailable",
        }
    }
}

/// What becomes of a rendition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RenditionState {
    /// Nobody wants it, so it is not made. A request wakes it.
    Asleep,
    /// It is wanted; its first picture is awaited.
    Waking,
    /// It is made.
    Made,
    /// It is no longer made: the machine cannot keep up, the source changed, or there is no encoder.
    Gone,
}

impl RenditionState {
    /// A stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            RenditionState::Asleep => "asleep",
            RenditionState::Waking => "waking",
            RenditionState::Made => "made",
            RenditionState::Gone => "gone",
        }
    }
}

/// A rendition besides the source.
#[derive(Clone, Debug)]
pub struct Rendition {
    /// As it stands in URLs, and as IVS names its group: `480p30`.
    pub name: String,
    /// What becomes of it.
    pub state: RenditionState,
    /// What it will be like, known before it is made.
    pub(crate) promise: Arc<Facts>,
    /// From its first picture on.
    pub(crate) sender: Option<Arc<watch::Sender<Arc<Snapshot>>>>,
    pub(crate) demand: Arc<Demand>,
}

impl Rendition {
    /// Whether the multivariant playlist lists it.
    pub fn offered(&self) -> bool {
        self.state != RenditionState::Gone
    }

    /// Its snapshots; `None` if it was never made. The newest may be old while it sleeps.
    pub fn watch(&self) -> Option<watch::Receiver<Arc<Snapshot>>> {
        self.sender.as_ref().map(|sender| sender.subscribe())
    }

    /// What the multivariant playlist says of it: as it was made last, else as it will be.
    pub fn facts(&self) -> Facts {
        match &self.sender {
            Some(sender) => Facts::from(&**sender.borrow()),
            None => (*self.promise).clone(),
        }
    }
}

/// What viewers may choose from.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Whether the encoder's own stream is listed.
    pub source: bool,
    /// Whether the channel's type has the rendition without pictures, and not only those who ask for it.
    pub sound_alone_by_type: bool,
    /// The others, from the top down.
    pub renditions: Vec<Rendition>,
    /// Whether there is a ladder.
    pub ladder: LadderState,
    /// Which encoder makes it instead of the configured one, and why.
    pub encoder_note: Option<String>,
}

/// What a viewer who asks for a rendition finds.
#[derive(Clone, Debug)]
pub enum Asked {
    /// Its snapshots.
    Made(watch::Receiver<Arc<Snapshot>>),
    /// It is being woken. What it had before, if anything, is still there.
    Asleep(Option<watch::Receiver<Arc<Snapshot>>>),
    /// It is not made any more. What it had before, if anything, is still there.
    Gone(Option<watch::Receiver<Arc<Snapshot>>>),
}

impl Asked {
    /// Its snapshots, if it ever had one.
    pub fn watch(self) -> Option<watch::Receiver<Arc<Snapshot>>> {
        match self {
            Asked::Made(watch) => Some(watch),
            Asked::Asleep(watch) | Asked::Gone(watch) => watch,
        }
    }
}

/// A stream from its first playlist on; still there for a while after its end, for players that ask for it by epoch.
#[derive(Debug)]
pub struct LiveStream {
    /// `st-…`.
    pub stream_id: String,
    /// The channel as it was when the session was made.
    pub channel: Channel,
    /// When the session was made.
    pub started_at: Timestamp,
    /// The unguessable name of the session in media URLs.
    pub epoch: String,
    /// The newest snapshot; clone it to wait for the next.
    pub watch: watch::Receiver<Arc<Snapshot>>,
    ingested: Arc<Ingested>,
    health: AtomicU8,
    findings: Mutex<Vec<Finding>>,
    audience: Mutex<Audience>,
    offer: watch::Sender<Arc<Offer>>,
    sound_alone_wanted: AtomicBool,
    /// Wants all renditions whenever one is asked for, the source's included.
    watched: OnceLock<Arc<Demand>>,
}

impl LiveStream {
    pub(crate) fn new(identity: &Identity, watch: watch::Receiver<Arc<Snapshot>>) -> Self {
        LiveStream {
            stream_id: identity.stream_id.clone(),
            channel: identity.channel.clone(),
            started_at: identity.started_at,
            epoch: identity.epoch.clone(),
            watch,
            ingested: Arc::clone(&identity.ingested),
            health: AtomicU8::new(0),
            findings: Mutex::default(),
            audience: Mutex::default(),
            offer: watch::Sender::new(Arc::new(Offer {
                source: true,
                sound_alone_by_type: false,
                renditions: Vec::new(),
                ladder: LadderState::default(),
                encoder_note: None,
            })),
            sound_alone_wanted: AtomicBool::new(false),
            watched: OnceLock::new(),
        }
    }

    /// Names of all its renditions in URLs, the source's first.
    pub fn rendition_names(&self) -> Vec<String> {
        let source = self.watch.borrow().rendition().to_owned();
        let offer = self.offer.borrow();
        std::iter::once(source).chain(offer.renditions.iter().map(|rendition| rendition.name.clone())).collect()
    }

    /// What its publishers sent so far.
    pub fn ingested(&self) -> IngestedRead {
        self.ingested.read()
    }

    /// What viewers may choose from at present.
    pub fn offer(&self) -> Arc<Offer> {
        self.offer.borrow().clone()
    }

    /// Changes of the offer.
    pub fn offers(&self) -> watch::Receiver<Arc<Offer>> {
        self.offer.subscribe()
    }

    /// A rendition by its name in URLs, the source's included. Whoever asks for it wants it.
    pub fn rendition(&self, name: &str) -> Option<Asked> {
        if let Some(watched) = self.watched.get() {
            watched.note();
        }
        if self.watch.borrow().rendition() == name {
            return Some(Asked::Made(self.watch.clone()));
        }
        let offer = self.offer.borrow();
        let rendition = offer.renditions.iter().find(|rendition| rendition.name == name)?;
        if rendition.state != RenditionState::Gone {
            rendition.demand.note();
        }
        match rendition.state {
            RenditionState::Made => rendition.watch().map(Asked::Made),
            RenditionState::Gone => Some(Asked::Gone(rendition.watch())),
            RenditionState::Asleep | RenditionState::Waking => Some(Asked::Asleep(rendition.watch())),
        }
    }

    /// What the multivariant playlist says of a rendition, the source included. Whoever asks for this does not want it yet.
    pub fn facts(&self, name: &str) -> Option<Facts> {
        let source = self.watch.borrow();
        if source.rendition() == name {
            return Some(Facts::from(&**source));
        }
        let offer = self.offer.borrow();
        offer.renditions.iter().find(|rendition| rendition.name == name).map(Rendition::facts)
    }

    /// The snapshots of a rendition when it is made: at once, or after it was woken. `None` if it is not made any more. Cancel-safe.
    pub async fn made(&self, name: &str) -> Option<watch::Receiver<Arc<Snapshot>>> {
        let mut offers = self.offer.subscribe();
        loop {
            match self.rendition(name)? {
                Asked::Made(watch) => return Some(watch),
                Asked::Gone(_) => return None,
                Asked::Asleep(_) => offers.changed().await.ok()?,
            }
        }
    }

    /// Someone wants the sound alone: that rendition begins with one of the next segments, if there is sound.
    pub fn want_sound_alone(&self) {
        self.sound_alone_wanted.store(true, Ordering::Relaxed);
    }

    /// From now on whoever watches it at all wants what this stands for.
    pub(crate) fn is_watched_by(&self, demand: &Arc<Demand>) {
        self.watched.get_or_init(|| Arc::clone(demand));
    }

    pub(crate) fn sound_alone_is_wanted(&self) -> bool {
        self.sound_alone_wanted.load(Ordering::Relaxed)
    }

    pub(crate) fn show(&self, offer: Offer) {
        self.offer.send_replace(Arc::new(offer));
    }

    /// Ends renditions whose session is gone. Those that sleep are not made any more.
    pub(crate) fn end_renditions(&self) {
        self.offer.send_modify(|offer| {
            for rendition in &mut Arc::make_mut(offer).renditions {
                if let Some(sender) = &rendition.sender {
                    end_here(sender);
                }
                if rendition.state != RenditionState::Made {
                    rendition.state = RenditionState::Gone;
                }
            }
        });
    }

    /// The newest snapshot.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.watch.borrow().clone()
    }

    /// How well the encoder keeps up.
    pub fn health(&self) -> StreamHealth {
        match self.health.load(Ordering::Relaxed) {
            1 => StreamHealth::Healthy,
            2 => StreamHealth::Starving,
            _ => StreamHealth::Unknown,
        }
    }

    /// What is wrong with the encoder now, problems first.
    pub fn findings(&self) -> Vec<Finding> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who watches, as it was published last.
    pub fn audience(&self) -> Audience {
        self.audience.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Publishes who watches.
    pub fn show_audience(&self, audience: Audience) {
        *self.audience.lock().unwrap_or_else(PoisonError::into_inner) = audience;
    }

    /// Checks the playlists of the whole window, as a client would have met them. Some milliseconds of work. The epoch, which is a secret of viewers,
    /// is not in it.
    pub fn conformance(&self) -> Report {
        let mut report = lint::follow(&self.snapshot());
        for finding in &mut report.findings {
            finding.detail = finding.detail.replace(&self.epoch, "EPOCH");
        }
        report
    }

    pub(crate) fn set_findings(&self, findings: Vec<Finding>) {
        *self.findings.lock().unwrap_or_else(PoisonError::into_inner) = findings;
    }

    pub(crate) fn set_health(&self, health: StreamHealth) {
        let value = match health {
            StreamHealth::Unknown => 0,
            StreamHealth::Healthy => 1,
            StreamHealth::Starving => 2,
        };
        self.health.store(value, Ordering::Relaxed);
    }
}

/// Ends a window where it stands, unless it has ended.
pub(crate) fn end_here(snapshots: &watch::Sender<Arc<Snapshot>>) {
    snapshots.send_if_modified(|snapshot| {
        let open = !snapshot.ended();
        if open {
            *snapshot = Arc::new(snapshot.ended_here());
        }
        open
    });
}
