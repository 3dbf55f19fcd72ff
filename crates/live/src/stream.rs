//! What others see of a session that is live.

use crate::audience::Audience;
use crate::counters::{Ingested, IngestedRead};
use crate::doctor::Finding;
use crate::session::Identity;
use headwater_hls::Snapshot;
use headwater_hls::lint::{self, Report};
use headwater_model::Timestamp;
use headwater_model::ivs::{Channel, StreamHealth};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Whether the stream has a ladder.
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
    /// The encoder has not made a segment yet.
    Waiting,
    /// All renditions are made.
    Running,
    /// The machine cannot keep up: so many renditions, from the top, are no longer made.
    Shed(usize),
    /// There is the source only; why.
    Unavailable(String),
}

impl LadderState {
    pub(crate) fn may_change(&self) -> bool {
        !matches!(self, LadderState::Off | LadderState::Unavailable(_) | LadderState::Sent)
    }
}

/// A rendition besides the source.
#[derive(Clone, Debug)]
pub struct Rendition {
    /// As it stands in URLs, and as IVS names its group: `480p30`.
    pub name: String,
    /// The newest snapshot; clone it to wait for the next.
    pub watch: watch::Receiver<Arc<Snapshot>>,
    /// Whether the multivariant playlist lists it; one that is no longer made has gaps only.
    pub offered: bool,
    pub(crate) sender: Arc<watch::Sender<Arc<Snapshot>>>,
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
        }
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

    /// The snapshots of a rendition by its name in URLs, the source's included.
    pub fn rendition(&self, name: &str) -> Option<watch::Receiver<Arc<Snapshot>>> {
        if self.watch.borrow().rendition() == name {
            return Some(self.watch.clone());
        }
        let offer = self.offer.borrow();
        offer.renditions.iter().find(|rendition| rendition.name == name).map(|rendition| rendition.watch.clone())
    }

    /// Someone wants the sound alone: that rendition begins with one of the next segments, if there is sound.
    pub fn want_sound_alone(&self) {
        self.sound_alone_wanted.store(true, Ordering::Relaxed);
    }

    pub(crate) fn sound_alone_is_wanted(&self) -> bool {
        self.sound_alone_wanted.load(Ordering::Relaxed)
    }

    pub(crate) fn show(&self, offer: Offer) {
        self.offer.send_replace(Arc::new(offer));
    }

    /// Ends renditions whose session is gone.
    pub(crate) fn end_renditions(&self) {
        for rendition in &self.offer().renditions {
            end_here(&rendition.sender);
        }
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
        *self.audience.lock().unwrap_or_else(PoisonError::into_inner)
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
