//! Init segments, segments and parts. What a playlist announces and does not hold yet is waited for.

use crate::range::Range;
use crate::resource::Resource;
use crate::traffic::Kind;
use crate::wait::{self, Look, Snapshots};
use crate::{Shared, admission, counting, guarded, playlist, respond};
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use headwater_hls::snapshot::ADVANCE_PARTS_MAX;
use headwater_hls::{Position, Snapshot};
use headwater_live::{Asked, LiveStream};
use headwater_model::playback::Refusal;
use http::{HeaderMap, StatusCode};
use std::sync::Arc;

/// `GET /media/{epoch}/{rendition}/{file}`.
pub(crate) async fn file(
    State(shared): State<Arc<Shared>>,
    Path((epoch, rendition, file)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
    peer: counting::Peer,
    headers: HeaderMap,
) -> Response {
    let Some(stream) = shared.hub.stream_by_epoch(&epoch) else {
        return not_found("there is no such stream");
    };
    if admission::is_guarded(&stream.channel) {
        return guarded::refused(&Refusal::Session);
    }
    let query = query.as_deref().unwrap_or_default();
    if file == Resource::PLAYLIST {
        counting::note(&shared, &stream, &rendition, query, &headers, &peer);
    } else if !query.is_empty() {
        counting::hear(&shared, &stream, query, &peer);
    }
    let range = Range::read(&headers);
    // They are slices of the connection's read buffer, which a waiting viewer is not to pin.
    drop(headers);
    answer(&shared, &stream, &rendition, &file, query, range).await
}

/// A file of a stream, for a request that may have it.
pub(crate) async fn answer(
    shared: &Shared,
    stream: &Arc<LiveStream>,
    rendition: &str,
    file: &str,
    query: &str,
    range: Range,
) -> Response {
    let Some(resource) = Resource::parse(file) else {
        return not_found("there is no such file");
    };
    let watch = match stream.rendition(rendition) {
        Some(Asked::Made(watch)) => watch,
        Some(Asked::Asleep(_)) if resource == Resource::Playlist => {
            return playlist::when_made(shared, stream, rendition, query).await;
        }
        // What it had before may still be fetched.
        Some(Asked::Asleep(Some(watch)) | Asked::Gone(Some(watch))) => watch,
        Some(Asked::Asleep(None) | Asked::Gone(None)) | None => return not_found("there is no such rendition"),
    };
    match resource {
        Resource::Playlist => playlist::media(shared, stream, watch, query).await,
        Resource::Init(index) => match snapshot(&watch).init(index) {
            Some(bytes) => respond::media(range, std::iter::once(bytes), bytes.len() as u64),
            None => not_found("there is no such init segment"),
        },
        Resource::Segment(msn) => segment(shared, watch, msn, range).await,
        Resource::Part(position) => part(shared, watch, position, range).await,
    }
}

fn snapshot(watch: &Snapshots) -> Arc<Snapshot> {
    watch.borrow().clone()
}

async fn segment(shared: &Shared, watch: Snapshots, msn: u64, range: Range) -> Response {
    let found = wait::for_answer(watch, &shared.waiting, Kind::Media, |snapshot| match snapshot.segment(msn) {
        Some(segment) => Look::Answer(Some(Arc::clone(segment)).filter(|segment| !segment.gap())),
        None if msn == snapshot.next().msn && !snapshot.ended() => Look::Wait,
        None => Look::Answer(None),
    });
    match found.await {
        Ok(Some(segment)) => respond::media(range, segment.chunks(), segment.bytes()),
        Ok(None) => not_found("there is no such segment"),
        Err(given_up) => playlist::respond_given_up(given_up),
    }
}

async fn part(shared: &Shared, watch: Snapshots, position: Position, range: Range) -> Response {
    let found = wait::for_answer(watch, &shared.waiting, Kind::Media, |snapshot| match snapshot.part(position) {
        Some(part) => Look::Answer(Some(Arc::clone(part)).filter(|part| !part.gap())),
        None if is_ahead(snapshot, position) => Look::Wait,
        None => Look::Answer(None),
    });
    match found.await {
        Ok(Some(part)) => respond::media(range, std::iter::once(part.body()), part.bytes()),
        Ok(None) => not_found("there is no such part"),
        Err(given_up) => playlist::respond_given_up(given_up),
    }
}

/// Whether a part that is not there may still come: the hinted one, or a little after it. A hint does not come true when its segment
/// closes first; then another segment is open.
fn is_ahead(snapshot: &Snapshot, position: Position) -> bool {
    let next = snapshot.next();
    let near = if position.msn == next.msn {
        position.part < next.part.saturating_add(ADVANCE_PARTS_MAX)
    } else {
        position.msn == next.msn + 1 && position.part == 0
    };
    !snapshot.ended() && near
}

pub(crate) fn not_found(sentence: &str) -> Response {
    respond::failure(StatusCode::NOT_FOUND, sentence)
}
