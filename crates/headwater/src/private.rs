//! Private playback's ports: what the viewers' side asks of the records, and who may take part around a private stream.

use std::path::Path;
use std::sync::{Arc, Once};

use anyhow::Context as _;
use async_trait::async_trait;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use headwater_control::{Control, playback};
use headwater_edge::admission::{PlaybackKey, Records, Restriction, Revocation, Spent, Unavailable};
use headwater_edge::{Countries, Gate};
use headwater_live::Hub;
use headwater_model::Timestamp;
use headwater_model::ivs::{Channel, PlaybackRestrictionPolicy};
use headwater_model::playback::{Origins, Refusal};
use headwater_model::poll::Poll;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, ORIGIN};
use http::{Method, StatusCode};
use tokio_util::sync::CancellationToken;

/// Query parameter of the viewers' routes around a stream that names the viewer session.
const SESSION: &str = "session";

/// Who may take part around a stream.
#[derive(Clone)]
struct Doors {
    control: Control,
    hub: Hub,
    gate: Gate,
}

/// Polls and their events are for whoever may watch: on a private or restricted channel that is who shows a viewer session.
pub fn guard_answers(answers: Router, control: Control, hub: Hub, gate: Gate) -> Router {
    let doors = Doors { control, hub, gate };
    answers.layer(axum::middleware::from_fn_with_state(doors, take_part))
}

async fn take_part(State(doors): State<Doors>, request: Request, next: Next) -> Response {
    if request.method() == Method::OPTIONS {
        return next.run(request).await;
    }
    let query = request.uri().query().unwrap_or_default();
    let session = query.split('&').find_map(|pair| pair.strip_prefix(SESSION)?.strip_prefix('='));
    let origin = request.headers().get(ORIGIN).and_then(|origin| origin.to_str().ok());
    match doors.admit(request.uri().path(), session, origin).await {
        Ok(()) => next.run(request).await,
        Err(refusal) => {
            let body = serde_json::json!({"error": "session", "message": refusal.to_string()}).to_string();
            let headers = [(ACCESS_CONTROL_ALLOW_ORIGIN, "*"), (CACHE_CONTROL, "no-store")];
            (StatusCode::FORBIDDEN, headers, body).into_response()
        }
    }
}

impl Doors {
    async fn admit(&self, path: &str, session: Option<&str>, origin: Option<&str>) -> Result<(), Refusal> {
        let unreadable = |error: headwater_store::Error| {
            tracing::error!(error = &error as &dyn std::error::Error, "whom a channel lets in cannot be read");
            Refusal::Session
        };
        let Some(channel_id) = self.channel_id(path).await.map_err(unreadable)? else { return Ok(()) };
        if let Some(stream) = self.hub.stream(&channel_id) {
            return self.gate.take_part(&stream, session, origin);
        }
        // No stream, no session that could be good for it.
        let arn = self.control.realm().ivs_arn("channel", &channel_id);
        let channel = headwater_store::find::<Channel>(self.control.store(), &arn).await.map_err(unreadable)?;
        if channel.as_ref().is_some_and(headwater_edge::admission::is_guarded) {
            return Err(Refusal::Session);
        }
        Ok(())
    }

    /// The channel that a path is about; `None` where there is nothing to guard.
    async fn channel_id(&self, path: &str) -> Result<Option<String>, headwater_store::Error> {
        let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let Some(rest) = path.strip_prefix("/interact/v1/") else { return Ok(None) };
        if let Some(rest) = rest.strip_prefix("channels/") {
            return Ok(rest.split('/').next().map(decode));
        }
        let Some(poll) = rest.strip_prefix("polls/").and_then(|rest| rest.split('/').next()) else { return Ok(None) };
        let poll = headwater_store::find::<Poll>(self.control.store(), &decode(poll)).await?;
        Ok(poll.and_then(|poll| poll.channel_arn.rsplit('/').next().map(str::to_owned)))
    }
}

/// The records, for the gate.
pub struct AccountRecords(pub Control);

fn unreadable(error: &headwater_control::Error) -> Unavailable {
    tracing::error!(error = error as &dyn std::error::Error, "records for private playback cannot be read");
    Unavailable
}

#[async_trait]
impl Records for AccountRecords {
    async fn keys(&self) -> Result<Vec<PlaybackKey>, Unavailable> {
        let limit = u32::try_from(headwater_edge::admission::KEYS_TRIED_MAX).unwrap_or(u32::MAX);
        let keys = playback::keys(&self.0, limit).await.map_err(|error| unreadable(&error))?;
        Ok(keys.into_iter().map(PlaybackKey).collect())
    }

    async fn restriction(&self, arn: &str) -> Result<Option<Restriction>, Unavailable> {
        let policy = playback::restriction(&self.0, arn).await.map_err(|error| unreadable(&error))?;
        Ok(policy.map(restriction))
    }

    async fn revoked_up_to(&self, channel_arn: &str, viewer_id: &str) -> Result<Option<i64>, Unavailable> {
        let revoked = headwater_control::ivs::revocations::revoked_up_to(&self.0, channel_arn, viewer_id).await;
        revoked.map_err(|error| unreadable(&error))
    }

    async fn spend(&self, uuid: &str, until: Timestamp) -> Result<Spent, Unavailable> {
        match playback::spend(&self.0, uuid, until, Timestamp::now()).await {
            Ok(playback::Use::First) => Ok(Spent::Now),
            Ok(playback::Use::Again) => Ok(Spent::Before),
            Err(error) => Err(unreadable(&error)),
        }
    }
}

fn restriction(policy: PlaybackRestrictionPolicy) -> Restriction {
    Restriction {
        arn: policy.arn,
        countries: policy.allowed_countries,
        origins: Origins::from_list(&policy.allowed_origins),
        strict_origin: policy.strict_origin,
    }
}

/// A gate by the records, with the country database that the configuration names.
///
/// # Errors
/// If the database cannot be read.
pub fn gate(control: &Control, countries: Option<&Path>) -> anyhow::Result<Gate> {
    let countries = match countries {
        Some(path) => Countries::open(path).with_context(|| {
            format!("read {} (playback.country_database); it must be of MaxMind's format", path.display())
        })?,
        None => Countries::default(),
    };
    Ok(Gate::new(Arc::new(AccountRecords(control.clone())), countries))
}

/// Whether this server can tell in which country an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountriesKnown {
    /// By a database.
    Yes,
    /// There is no database.
    No,
}

/// Tells the gate of policies and revocations until cancelled. Says once that a policy's countries are not enforced, if they cannot be.
pub async fn follow(control: Control, gate: Gate, known: CountriesKnown, cancel: CancellationToken) {
    let said = Once::new();
    let tell = move |standing: playback::Standing| {
        if known == CountriesKnown::No
            && let Some(policy) = standing.restrictions.iter().find(|policy| !policy.allowed_countries.is_empty())
        {
            said.call_once(|| {
                tracing::warn!(
                    policy = policy.arn,
                    "a restriction policy names countries, which are not enforced without playback.country_database"
                );
            });
        }
        gate.restrict(standing.restrictions.into_iter().map(restriction));
        gate.revoke(standing.revocations.into_iter().map(|revocation| Revocation {
            channel_arn: revocation.channel_arn,
            viewer_id: revocation.viewer_id,
            versions_up_to: revocation.versions_up_to,
        }));
    };
    playback::follow(control, tell, cancel).await;
}
