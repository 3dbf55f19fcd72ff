//! One rendition: what it is made of, and who wants it.

use crate::demand::Demand;
use crate::stream::RenditionState;
use headwater_hls::follow::Follower;
use headwater_hls::playlist::Facts;
use headwater_hls::{Packager, Snapshot};
use std::sync::Arc;
use tokio::sync::watch;

/// One further rendition.
pub(super) struct Slot {
    pub(super) follower: Follower,
    /// Made with the first snapshot.
    pub(super) sender: Option<Arc<watch::Sender<Arc<Snapshot>>>>,
    pub(super) origin: Origin,
    pub(super) awake: bool,
    pub(super) demand: Arc<Demand>,
    pub(super) promise: Arc<Facts>,
    /// What others were told.
    pub(super) told: Option<RenditionState>,
}

/// What a rendition is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The encoder's output at this place of the plan.
    Encoder(usize),
    /// The source's sound.
    Source,
    /// A further track of the publisher.
    Sent,
    /// Nothing any more.
    Nothing,
}

impl Slot {
    /// It is made of nothing any more.
    pub(super) fn rest(&mut self) {
        self.leave();
        self.follower.expect_from(None);
    }

    /// The same, once what is made of it is there.
    pub(super) fn leave(&mut self) {
        (self.origin, self.awake) = (Origin::Nothing, false);
        self.demand.sleep();
    }

    /// The stream has a discontinuity if what is sent for it is configured anew.
    pub(super) fn renew(&mut self, packager: &mut Packager) {
        if self.follower.poll_renewal() {
            packager.renew();
        }
    }

    pub(super) fn state(&self, shed: usize) -> RenditionState {
        match self.origin {
            Origin::Nothing => RenditionState::Gone,
            // What it is like is known from its playlist.
            Origin::Sent if self.sender.is_none() => RenditionState::Gone,
            Origin::Encoder(place) if place < shed => RenditionState::Gone,
            // At a stream's beginning there is no playlist before a segment is closed.
            _ if self.awake && self.follower.is_shown() && self.sender.is_some() => RenditionState::Made,
            _ if self.awake => RenditionState::Waking,
            _ => RenditionState::Asleep,
        }
    }
}
