//! Private playback beside the media: who may take part around a private stream.

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use headwater_control::Control;
use headwater_edge::Gate;
use headwater_live::Hub;
use headwater_model::ivs::Channel;
use headwater_model::playback::Refusal;
use headwater_model::poll::Poll;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, ORIGIN};
use http::{Method, StatusCode};

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
        let Some(channel_id) = self.channel_id(path).await else { return Ok(()) };
        if let Some(stream) = self.hub.stream(&channel_id) {
            return self.gate.take_part(&stream, session, origin);
        }
        // No stream, no session that could be good for it.
        let arn = self.control.realm().ivs_arn("channel", &channel_id);
        match headwater_store::find::<Channel>(self.control.store(), &arn).await {
            Ok(channel) if !channel.as_ref().is_some_and(headwater_edge::admission::is_guarded) => Ok(()),
            Ok(_) => Err(Refusal::Session),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "channels cannot be read");
                Err(Refusal::Session)
            }
        }
    }

    /// The channel that a path is about; `None` where there is nothing to guard.
    async fn channel_id(&self, path: &str) -> Option<String> {
        let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let rest = path.strip_prefix("/interact/v1/")?;
        if let Some(rest) = rest.strip_prefix("channels/") {
            return rest.split('/').next().map(decode);
        }
        let poll = decode(rest.strip_prefix("polls/")?.split('/').next()?);
        let poll = headwater_store::find::<Poll>(self.control.store(), &poll).await.ok()??;
        poll.channel_arn.rsplit('/').next().map(str::to_owned)
    }
}
