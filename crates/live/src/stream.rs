//! What others see of a session that is live.

use crate::doctor::Finding;
use crate::session::Identity;
use headwater_hls::Snapshot;
use headwater_hls::lint::{self, Report};
use headwater_model::Timestamp;
use headwater_model::ivs::{Channel, StreamHealth};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

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
    health: AtomicU8,
    findings: Mutex<Vec<Finding>>,
}

impl LiveStream {
    pub(crate) fn new(identity: &Identity, watch: watch::Receiver<Arc<Snapshot>>) -> Self {
        LiveStream {
            stream_id: identity.stream_id.clone(),
            channel: identity.channel.clone(),
            started_at: identity.started_at,
            epoch: identity.epoch.clone(),
            watch,
            health: AtomicU8::new(0),
            findings: Mutex::default(),
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
