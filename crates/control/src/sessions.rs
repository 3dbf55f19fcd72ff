//! The journal of stream sessions: the session's record and its events, written in one commit.
//!
//! Every change of a stream session's state appends one line to the session's record (`truncatedEvents` of
//! `GetStreamSession`) and one event to the event log, both or neither: rules see exactly what the record tells.
//! Source: IVS "Using Amazon EventBridge with Amazon IVS".

use crate::Error;
use async_trait::async_trait;
use headwater_interact::Interact;
use headwater_live::{Journal, JournalError, SessionEvent, SessionEventKind};
use headwater_model::event::Event;
use headwater_model::ivs::{Channel, SESSION_DAYS_KEPT, SESSION_EVENTS_MAX, StreamEvent, StreamSession};
use headwater_model::{Realm, Timestamp};
use headwater_store::{Batch, Select, Store, load};
use serde_json::{Value, json};
use std::sync::Arc;

const STATE_CHANGE: &str = "IVS Stream State Change";
const HEALTH_CHANGE: &str = "IVS Stream Health Change";
const LIMIT_BREACH: &str = "IVS Limit Breach";
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Sessions removed in one commit.
const REMOVED_AT_ONCE: usize = 500;

fn name(kind: &SessionEventKind) -> &'static str {
    match kind {
        SessionEventKind::Created => "Session Created",
        SessionEventKind::Start { .. } => "Stream Start",
        SessionEventKind::End => "Stream End",
        SessionEventKind::Ended => "Session Ended",
        SessionEventKind::Takeover => "Stream Takeover",
        SessionEventKind::TakeoverFailure(_) => "Stream Takeover Failure",
        SessionEventKind::LimitBreach(breach) => breach.name(),
        SessionEventKind::StarvationStart => "Starvation Start",
        SessionEventKind::StarvationEnd => "Starvation End",
    }
}

fn detail_type(kind: &SessionEventKind) -> &'static str {
    match kind {
        SessionEventKind::StarvationStart | SessionEventKind::StarvationEnd => HEALTH_CHANGE,
        SessionEventKind::LimitBreach(_) => LIMIT_BREACH,
        _ => STATE_CHANGE,
    }
}

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
        let mut sessions: Vec<StreamSession> = headwater_store::list(&*self.store, Select::default()).await?;
        sessions.retain(|session| session.end_time.is_none());
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

    /// Removes sessions that ended more than [`SESSION_DAYS_KEPT`] days ago; returns how many.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn remove_old(&self, now: Timestamp) -> Result<usize, Error> {
        let oldest = now.plus_ms(-SESSION_DAYS_KEPT * DAY_MS);
        let sessions: Vec<StreamSession> = headwater_store::list(&*self.store, Select::default()).await?;
        let old: Vec<&StreamSession> =
            sessions.iter().filter(|session| session.end_time.is_some_and(|end| end < oldest)).collect();
        for chunk in old.chunks(REMOVED_AT_ONCE) {
            let mut batch = Batch::new();
            for session in chunk {
                batch.delete::<StreamSession>(&session.stream_id);
            }
            self.store.commit(batch).await?;
        }
        Ok(old.len())
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
            let mut session = stored.map(|stored| stored.value).unwrap_or_else(|| StreamSession {
                stream_id: stream_id.into(),
                channel: channel.clone(),
                start_time: at,
                end_time: None,
                live: false,
                events: Vec::new(),
                video: None,
                audio: None,
                has_error_event: false,
            });
            let mut batch = Batch::new();
            for kind in kinds {
                // A commit that failed to be acknowledged is tried again and may have taken place.
                if session.events.iter().rev().any(|event| event.name == name(kind) && event.event_time == at) {
                    continue;
                }
                apply(&mut session, kind, at);
                batch.event(self.event(&session, kind, at));
            }
            if batch.writes.is_empty() {
                return Ok(());
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

    fn event(&self, session: &StreamSession, kind: &SessionEventKind, at: Timestamp) -> Event {
        Event {
            id: uuid::Uuid::new_v4().to_string(),
            source: "aws.ivs".into(),
            detail_type: detail_type(kind).into(),
            time: at,
            resources: vec![session.channel.arn.clone()],
            detail: detail(session, kind),
        }
    }
}

/// The members that the kind of event has in IVS.
fn detail(session: &StreamSession, kind: &SessionEventKind) -> Value {
    let (channel_name, stream_id) = (&session.channel.name, &session.stream_id);
    match kind {
        SessionEventKind::LimitBreach(breach) => json!({
            "limit_name": breach.name(),
            "limit_value": breach.value,
            "exceeded_by": breach.exceeded_by(),
            "limit_unit": breach.unit(),
            "channel_name": channel_name,
            "stream_id": stream_id,
        }),
        SessionEventKind::TakeoverFailure(refusal) => json!({
            "event_name": name(kind),
            "channel_name": channel_name,
            "stream_id": stream_id,
            "code": refusal.code(),
        }),
        _ => json!({"event_name": name(kind), "channel_name": channel_name, "stream_id": stream_id}),
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

fn apply(session: &mut StreamSession, kind: &SessionEventKind, at: Timestamp) {
    match kind {
        SessionEventKind::Created => session.start_time = at,
        SessionEventKind::Start { video, audio } => {
            session.live = true;
            session.video.clone_from(video);
            session.audio.clone_from(audio);
        }
        SessionEventKind::End => session.live = false,
        SessionEventKind::Ended => {
            session.live = false;
            session.end_time = Some(at);
        }
        SessionEventKind::TakeoverFailure(_) | SessionEventKind::LimitBreach(_) => session.has_error_event = true,
        SessionEventKind::Takeover | SessionEventKind::StarvationStart | SessionEventKind::StarvationEnd => {}
    }
    session.events.push(StreamEvent {
        name: name(kind).into(),
        event_type: detail_type(kind).into(),
        event_time: at,
        code: match kind {
            SessionEventKind::TakeoverFailure(refusal) => refusal.code().into(),
            _ => String::new(),
        },
    });
    let excess = session.events.len().saturating_sub(SESSION_EVENTS_MAX);
    session.events.drain(..excess);
}

#[cfg(test)]
mod tests;
