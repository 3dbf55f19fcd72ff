//! The journal of stream sessions: the session's record and its events, written in one commit.
//!
//! Every change of a stream session's state appends one line to the session's record (`truncatedEvents` of
//! `GetStreamSession`) and one event to the event log, both or neither: rules see exactly what the record tells.
//! Source: IVS "Using Amazon EventBridge with Amazon IVS".

mod detail;

use crate::Error;
use crate::expiries::{self, Expiry};
use async_trait::async_trait;
use detail::{Told, told};
pub(crate) use detail::{too_many_broadcasts, too_many_viewers};
use headwater_interact::Interact;
use headwater_live::{Journal, JournalError, SessionEvent, SessionEventKind};
use headwater_model::ivs::{Channel, SESSION_DAYS_KEPT, SESSION_EVENTS_MAX, StreamEvent, StreamSession};
use headwater_model::{Realm, Timestamp};
use headwater_store::{Batch, Document, Select, Store, load};
use std::sync::Arc;

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Writes what happens to stream sessions. Needs no control, so it exists before the live hub.
#[derive(Clone)]
pub struct Sessions {
    realm: Realm,
    store: Arc<dyn Store>,
    interact: Interact,
}

impl Sessions {
    /// A journal over the store, that closes the polls of sessions that end.
    pub fn new(realm: Realm, store: Arc<dyn Store>, interact: Interact) -> Self {
        Sessions { realm, store, interact }
    }

    /// Region and account of the sessions.
    pub fn realm(&self) -> &Realm {
        &self.realm
    }

    /// Ends the sessions that a crash left open, each with `Stream End` (if it was live) and `Session Ended`. Called
    /// before encoders are let in; returns the sessions.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn end_open(&self, now: Timestamp) -> Result<Vec<StreamSession>, Error> {
        let select = Select { label: Some(StreamSession::OPEN.into()), ..Select::default() };
        let sessions: Vec<StreamSession> = headwater_store::list(&*self.store, select).await?;
        for session in &sessions {
            let mut kinds = Vec::new();
            if session.live {
                kinds.push(SessionEventKind::End);
            }
            kinds.push(SessionEventKind::Ended);
            self.write(&session.channel, &session.stream_id, now, &kinds).await?;
            self.close_polls(&session.channel.arn, &session.stream_id, now).await?;
        }
        Ok(sessions)
    }

    /// Removes sessions that ended more than [`SESSION_DAYS_KEPT`] days ago, and what else has had its time: a bounded
    /// number in one call. Returns how many records went.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn remove_old(&self, now: Timestamp) -> Result<usize, Error> {
        expiries::remove_due(&*self.store, now).await
    }

    async fn close_polls(&self, channel_arn: &str, stream_id: &str, now: Timestamp) -> Result<(), Error> {
        self.interact.session_ended(channel_arn, stream_id, now).await?;
        Ok(())
    }

    async fn write(
        &self,
        channel: &Channel,
        stream_id: &str,
        at: Timestamp,
        kinds: &[SessionEventKind],
    ) -> Result<(), Error> {
        loop {
            let stored = load::<StreamSession>(&*self.store, stream_id).await?;
            let revision = stored.as_ref().map(|stored| stored.revision);
            let mut session = match stored {
                Some(stored) => stored.value,
                None => StreamSession::new(channel.clone(), stream_id.into(), at),
            };
            if kinds.iter().any(|kind| matches!(kind, SessionEventKind::Start { .. })) {
                // As they are when the stream goes live: a recording configuration may have become usable since.
                session.recording_configuration = self.referred(&channel.recording_configuration_arn).await?;
                session.failover_slate = self.referred(&channel.failover_slate_configuration_arn).await?;
            }
            let mut batch = Batch::new();
            let events: Vec<Told> = kinds.iter().flat_map(|kind| told(&session, kind)).collect();
            for told in events {
                // A commit that failed to be acknowledged is tried again and may have taken place.
                let line = told.line(at);
                if session.events.iter().rev().any(|event| event.name == line.name && event.event_time == at) {
                    continue;
                }
                batch.event(told.event(channel, at));
                note(&mut session, line, &told);
            }
            if batch.writes.is_empty() {
                return Ok(());
            }
            for kind in kinds {
                apply(&mut session, kind, at);
            }
            if session.end_time == Some(at) {
                let expiry = Expiry { kind: StreamSession::KIND.into(), id: stream_id.into() };
                expiries::enqueue(&mut batch, expiry, at, at.plus_ms(SESSION_DAYS_KEPT * DAY_MS));
            }
            match revision {
                Some(revision) => batch.update(&session, revision)?,
                None => batch.insert(&session)?,
            };
            match self.store.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(headwater_store::Error::Conflict { .. } | headwater_store::Error::Exists { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn referred<T: Document>(&self, arn: &str) -> Result<Option<T>, Error> {
        if arn.is_empty() { Ok(None) } else { Ok(headwater_store::find(&*self.store, arn).await?) }
    }
}

#[async_trait]
impl Journal for Sessions {
    async fn record(&self, event: SessionEvent) -> Result<(), JournalError> {
        let failed = |error: Error| JournalError(Box::new(error));
        let SessionEvent { channel, stream_id, at, kind } = event;
        self.write(&channel, &stream_id, at, std::slice::from_ref(&kind)).await.map_err(failed)?;
        if kind == SessionEventKind::Ended {
            self.close_polls(&channel.arn, &stream_id, at).await.map_err(failed)?;
        }
        Ok(())
    }
}

/// What a kind of event changes of the session, besides the line that it adds.
fn apply(session: &mut StreamSession, kind: &SessionEventKind, at: Timestamp) {
    match kind {
        SessionEventKind::Created => session.start_time = at,
        SessionEventKind::Start { video, audio } => {
            session.live = true;
            session.video.clone_from(video);
            session.audio.clone_from(audio);
        }
        SessionEventKind::End => session.live = false,
        SessionEventKind::Ended | SessionEventKind::Refused(_) => {
            session.live = false;
            session.end_time = Some(at);
        }
        _ => {}
    }
}

/// Adds a line to the session's history; the oldest make room.
fn note(session: &mut StreamSession, line: StreamEvent, told: &Told) {
    session.has_error_event |= told.is_error;
    session.events.push(line);
    let excess = session.events.len().saturating_sub(SESSION_EVENTS_MAX);
    session.events.drain(..excess);
}

#[cfg(test)]
mod tests;
