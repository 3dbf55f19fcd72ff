//! A session's events, durable before it goes on, and its end.

use super::show::{Live, Progress};
use super::{Identity, Session};
use crate::hub::Shared;
use crate::journal::{JournalError, SessionEvent, SessionEventKind};
use crate::stream::end_here;
use std::sync::Arc;
use std::time::Duration;

/// Tries to record an event before the session goes on without it, loudly: about 20 s. A publisher waits for the first event only
/// [`CREATE_TRIES_MAX`] tries.
const RECORD_TRIES_MAX: u32 = 12;
pub(super) const CREATE_TRIES_MAX: u32 = 3;
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(50);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(4);

impl Session {
    pub(super) async fn record(&self, kind: SessionEventKind, tries: u32) -> Result<(), Arc<JournalError>> {
        record(&self.shared, &self.identity, kind, tries).await
    }

    pub(super) async fn record_firmly(&self, kind: SessionEventKind) {
        record_firmly(&self.shared, &self.identity, kind).await;
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
