//! Media of private and restricted channels: as that of the others, for requests that a viewer session lets in.

use crate::admission::Pass;
use crate::cmcd::Told;
use crate::direct::File;
use crate::range::Range;
use crate::resource::Resource;
use crate::traffic::Outcome;
use crate::viewers::Asked;
use crate::{Shared, counting, media, respond};
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use headwater_live::LiveStream;
use headwater_model::playback::{self, Refusal};
use http::header::ORIGIN;
use http::{HeaderMap, StatusCode};
use std::sync::Arc;

/// `GET /media/v/{session}/{epoch}/{rendition}/{file}`.
pub(crate) async fn file(
    State(shared): State<Arc<Shared>>,
    Path((session, epoch, rendition, file)): Path<(String, String, String, String)>,
    RawQuery(query): RawQuery,
    peer: counting::Peer,
    headers: HeaderMap,
) -> Response {
    let Some(stream) = shared.hub.stream_by_epoch(&epoch) else {
        return media::not_found("there is no such stream");
    };
    let mut pass = match let_in(&shared, &stream, &session, &headers) {
        Ok(pass) => pass,
        Err(refusal) => return refused(&refusal),
    };
    if !is_small_enough(&stream, &rendition, &pass) {
        return refused(&Refusal::Resolution);
    }
    let query = query.as_deref().unwrap_or_default();
    let watched = (file == Resource::PLAYLIST).then_some(rendition.as_str());
    let asked = Asked {
        rendition: watched,
        told: Told::by_request(query, &headers),
        address: counting::address(&peer),
        countries: shared.gate.countries(),
    };
    shared.viewers.note(&stream, pass.number, &asked);
    let allowed = pass.allowed.clone();
    let file = File { epoch: &epoch, rendition: &rendition, name: &file };
    let step = media::step(stream, file, query, Range::read(&headers));
    drop(headers);
    let response = tokio::select! {
        response = media::finish(&shared, step) => response,
        () = pass.revoked() => refused(&Refusal::Revoked),
    };
    allowed.on(respond::for_one_viewer(response))
}

/// Lets a request for something of a stream in by its session.
///
/// # Errors
/// As [`crate::admission::Gate::pass`].
pub(crate) fn let_in(
    shared: &Shared,
    stream: &LiveStream,
    session: &str,
    headers: &HeaderMap,
) -> Result<Pass, Refusal> {
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    shared.gate.pass(stream, session, origin)
}

/// A 403 for people; players go by the status.
pub(crate) fn refused(refusal: &Refusal) -> Response {
    Outcome::from(refusal).on(respond::failure(StatusCode::FORBIDDEN, &refusal.to_string()))
}

/// Whoever may not see a rendition in the multivariant playlist does not get it by its name either.
fn is_small_enough(stream: &LiveStream, rendition: &str, pass: &Pass) -> bool {
    let Some(class) = pass.maximum_resolution else { return true };
    let size = stream.facts(rendition).and_then(|facts| facts.size);
    size.is_none_or(|(width, height)| playback::is_within(class, width, height))
}
