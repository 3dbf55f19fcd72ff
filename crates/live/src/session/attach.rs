//! How publishers come to a session and go: the newest wins, unless the rules of priority keep it out.

use super::record::CREATE_TRIES_MAX;
use super::{Flow, Session};
use crate::hub::{Publish, PublishError};
use crate::journal::SessionEventKind;
use crate::publisher::{CutReason, Publisher};
use crate::takeover::{Claim, Entrance, Incumbent, TakeoverRefusal};
use std::convert::Infallible;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

#[derive(Debug)]
pub(super) struct Attached {
    pub(super) number: u64,
    pub(super) peer: String,
    pub(super) claim: Claim,
    pub(super) cut: watch::Sender<Option<CutReason>>,
    gone: oneshot::Receiver<Infallible>,
}

impl Session {
    pub(super) async fn attach(
        &mut self,
        publish: Box<Publish>,
        reply: oneshot::Sender<Result<Publisher, PublishError>>,
    ) -> Flow {
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
            self.renditions.new_source();
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
        self.doctor.handle_key(publish.key);
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
            tracks: self.tracks.iter().flatten().chain(self.renditions.sent_tracks()).collect(),
            takeovers: self.takeovers,
        };
        let entrance = match incumbent.yields_to(newcomer) {
            Ok(entrance) => entrance,
            Err(refusal) => {
                self.shared.totals.takeovers_refused.increment();
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
                self.shared.totals.takeovers.increment();
                tracing::info!(peer = %newcomer.peer, takeovers = self.takeovers, "publisher is taken over");
                self.record_firmly(SessionEventKind::Takeover).await;
            }
        }
        Ok(())
    }
}

/// Resolves when the publisher dropped its end.
pub(super) async fn lost(publisher: &mut Option<Attached>) {
    match publisher {
        Some(publisher) => {
            // Nothing is ever sent: it resolves when the other end is dropped.
            let _ = (&mut publisher.gone).await;
        }
        None => std::future::pending().await,
    }
}
