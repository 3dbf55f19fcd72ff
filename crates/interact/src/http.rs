//! The viewers' routes: the open poll, its changes as server-sent events, answers.
//!
//! Source: WHATWG HTML "Server-sent events". Every answer is JSON and readable by pages of any origin.

use crate::channels::{Snapshot, Standing};
use crate::polls::{AnswerError, Choice, Counted, GiveAnswer, Interact, is_viewer};
use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use futures_util::stream;
use headwater_model::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower_http::cors::{Any, CorsLayer};

/// A reader hears of changes at most this often: ten times a second is as fast as anybody reads numbers.
const CHANGES_APART: Duration = Duration::from_millis(100);
/// Silence after which a comment is sent, so that proxies and phones keep the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// When a page comes back after its connection broke.
const RETRY: Duration = Duration::from_secs(2);
/// Largest body of an answer.
const ANSWER_BYTES_MAX: usize = 4096;
/// How long browsers remember that they may ask.
const PREFLIGHT_AGE: Duration = Duration::from_secs(86_400);

/// The routes below `/interact/v1`.
pub fn router(interact: Interact) -> Router {
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::CONTENT_TYPE])
        .max_age(PREFLIGHT_AGE);
    Router::new()
        .route("/interact/v1/channels/{channel}/poll", get(poll))
        .route("/interact/v1/channels/{channel}/events", get(events))
        .route("/interact/v1/polls/{poll}/answers", post(answer))
        .layer(DefaultBodyLimit::max(ANSWER_BYTES_MAX))
        .layer(middleware::map_response(async |mut response: Response| {
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }))
        .layer(middleware::from_fn(peer))
        .layer(cors)
        .with_state(interact)
}

/// Where a request comes from, if the listener says so.
#[derive(Clone, Copy)]
struct Peer(Option<SocketAddr>);

async fn peer(mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer);
    request.extensions_mut().insert(Peer(peer));
    next.run(request).await
}

/// Why a request was not answered. What stands in `message` is for who wrote the page.
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Refusal { status, code, message: message.into() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(json!({"error": self.code, "message": self.message}))).into_response();
        if self.status == StatusCode::TOO_MANY_REQUESTS || self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<headwater_store::Error> for Refusal {
    fn from(error: headwater_store::Error) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "polls could not be read or written");
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something failed on the server")
    }
}

impl From<AnswerError> for Refusal {
    fn from(error: AnswerError) -> Self {
        let (status, code) = match error {
            AnswerError::UnknownPoll(_) => (StatusCode::NOT_FOUND, "unknown_poll"),
            AnswerError::Closed(_) => (StatusCode::CONFLICT, "closed"),
            AnswerError::Viewer => (StatusCode::BAD_REQUEST, "viewer"),
            AnswerError::Choice { .. } => (StatusCode::BAD_REQUEST, "choice"),
            AnswerError::Store(error) => return error.into(),
        };
        Refusal::new(status, code, error.to_string())
    }
}

fn state(snapshot: &Snapshot) -> Value {
    json!({"poll": snapshot.as_deref().map(view)})
}

fn view(standing: &Standing) -> Value {
    let poll = &standing.poll;
    json!({
        "id": poll.id,
        "poll_id": poll.question.poll_id,
        "question": poll.question.question,
        "answers": poll.question.answers,
        "tally": standing.tally,
        "total": standing.total(),
        "opened_at": poll.opened_at.iso_millis(),
        "cue_id": poll.cue_id,
        "closed": poll.closed_at.is_some(),
    })
}

async fn known_channel(interact: &Interact, id: &str) -> Result<String, Refusal> {
    let arn = interact.channel_arn(id);
    if interact.channel_exists(&arn).await? {
        Ok(arn)
    } else {
        Err(Refusal::new(StatusCode::NOT_FOUND, "unknown_channel", format!("no channel {id:?}")))
    }
}

async fn poll(State(interact): State<Interact>, Path(channel): Path<String>) -> Result<Response, Refusal> {
    let arn = known_channel(&interact, &channel).await?;
    Ok(Json(state(&interact.open_poll(&arn).await?)).into_response())
}

async fn events(State(interact): State<Interact>, Path(channel): Path<String>) -> Result<Response, Refusal> {
    let arn = known_channel(&interact, &channel).await?;
    let Some(place) = interact.inner.limits.subscriber() else {
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "full", "too many viewers listen"));
    };
    let hearing = Hearing {
        changes: interact.subscribe(&arn).await?,
        ended: interact.inner.ended.clone(),
        told: None,
        next: Instant::now(),
        _place: place,
    };
    let told = stream::unfold(hearing, |mut hearing| async move {
        let event = hearing.next().await?;
        Some((Ok::<_, Infallible>(event), hearing))
    });
    let mut response =
        Sse::new(told).keep_alive(KeepAlive::new().interval(KEEP_ALIVE).text("still here")).into_response();
    // nginx would otherwise hold events back until it has a buffer full.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// One reader of a channel's changes.
struct Hearing {
    changes: watch::Receiver<Snapshot>,
    ended: CancellationToken,
    /// What the reader knows; `None` before the first event.
    told: Option<Snapshot>,
    /// Not before this.
    next: Instant,
    _place: OwnedSemaphorePermit,
}

impl Hearing {
    /// The next event, or `None` when the server ends.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if self.told.is_some() {
                tokio::select! {
                    () = self.ended.cancelled() => return None,
                    changed = self.changes.changed() => changed.ok()?,
                }
                tokio::time::sleep_until(self.next).await;
            }
            let now = self.changes.borrow_and_update().clone();
            self.next = Instant::now() + CHANGES_APART;
            let event = match &self.told {
                // Who joins late hears of the open question, not of one that is over.
                None => {
                    let open = now.clone().filter(|standing| standing.poll.closed_at.is_none());
                    Some(Event::default().event("poll").retry(RETRY).data(state(&open).to_string()))
                }
                Some(told) => difference(told, &now),
            };
            self.told = Some(now);
            if event.is_some() {
                return event;
            }
        }
    }
}

/// What a reader must hear to know the new state.
fn difference(told: &Snapshot, now: &Snapshot) -> Option<Event> {
    match (told, now) {
        (Some(told), Some(now)) if told.poll == now.poll => (told.tally != now.tally).then(|| {
            let data = json!({"id": now.poll.id, "tally": now.tally, "total": now.total()});
            Event::default().event("tally").data(data.to_string())
        }),
        (None, None) => None,
        _ => Some(Event::default().event("poll").data(state(now).to_string())),
    }
}

/// The body of an answer, whatever its content type: beacons cannot say theirs.
#[derive(Deserialize)]
struct AnswerBody {
    viewer: String,
    choice: Option<u32>,
    answer: Option<String>,
    playhead: Option<String>,
}

async fn answer(
    State(interact): State<Interact>,
    Extension(Peer(peer)): Extension<Peer>,
    Path(poll): Path<String>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let bad = |code, message: &str| Refusal::new(StatusCode::BAD_REQUEST, code, message);
    let body: AnswerBody = serde_json::from_slice(&body)
        .map_err(|_| bad("body", "expected a JSON object with viewer, and choice (a number) or answer (a text)"))?;
    let choice = match (body.choice, body.answer) {
        (Some(index), _) => Choice::Index(index),
        (None, Some(text)) => Choice::Text(text),
        (None, None) => return Err(bad("choice", "choice or answer is missing")),
    };
    let playhead = match body.playhead {
        None => None,
        Some(text) => Some(instant(&text).ok_or_else(|| bad("playhead", "playhead must be an ISO 8601 time"))?),
    };
    if !is_viewer(&body.viewer) {
        return Err(AnswerError::Viewer.into());
    }
    if !interact.inner.limits.allow_answer(peer.map(|peer| peer.ip()), &body.viewer, Instant::now()) {
        return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many", "too many answers; try again in a second"));
    }
    let given = GiveAnswer { poll, viewer: body.viewer, choice, playhead };
    // A viewer who goes away must not leave an answer that is stored and not counted: this runs to its end.
    let stored = tokio::spawn(async move { interact.answer(given, Timestamp::now()).await });
    let Counted { choice, counted, tally } = stored.await.map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "an answer could not be stored");
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something failed on the server")
    })??;
    let total: u64 = tally.iter().sum();
    Ok(Json(json!({"choice": choice, "counted": counted, "tally": tally, "total": total})).into_response())
}

fn instant(text: &str) -> Option<Timestamp> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok().map(Timestamp)
}
