//! Init segments, segments and parts. What a playlist announces and does not hold yet is waited for.

use crate::direct::File;
use crate::query::Directives;
use crate::range::Range;
use crate::resource::Resource;
use crate::traffic::Kind;
use crate::wait::{self, Look, Snapshots};
use crate::{Shared, admission, counting, guarded, playlist, respond};
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use bytes::Bytes;
use headwater_hls::snapshot::ADVANCE_PARTS_MAX;
use headwater_hls::{Position, Segment, Snapshot};
use headwater_live::{self as live, LiveStream};
use headwater_model::playback::Refusal;
use http::{HeaderMap, StatusCode};
use std::sync::Arc;

/// A request for a file of a stream.
pub(crate) struct Asked<'a> {
    pub(crate) file: File<'a>,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) peer: &'a counting::Peer,
}

/// `GET /media/{epoch}/{rendition}/{file}`.
pub(crate) async fn file(
    State(shared): State<Arc<Shared>>,
    Path((epoch, rendition, name)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
    peer: counting::Peer,
    headers: HeaderMap,
) -> Response {
    let file = File { epoch: &epoch, rendition: &rendition, name: &name };
    let query = query.as_deref().unwrap_or_default();
    let step = open(&shared, &Asked { file, query, headers: &headers, peer: &peer });
    // They are slices of the connection's read buffer, which a waiting viewer is not to pin.
    drop(headers);
    finish(&shared, step).await
}

/// How an answer comes about. It keeps nothing of the request: thousands wait like that.
pub(crate) enum Step {
    Answer(Response),
    Wait { stream: Arc<LiveStream>, wanted: Wanted },
}

/// What is waited for.
pub(crate) enum Wanted {
    /// A playlist, which may have to wait for a part.
    Playlist(Snapshots, Directives),
    /// A playlist of a rendition that is not made.
    Made(Box<str>, Directives),
    Segment(Snapshots, u64, Range),
    Part(Snapshots, Position, Range),
}

/// What comes of a request for a file of an open channel.
pub(crate) fn open(shared: &Shared, asked: &Asked<'_>) -> Step {
    let Asked { file, query, headers, peer } = *asked;
    let Some(stream) = shared.hub.stream_by_epoch(file.epoch) else {
        return Step::Answer(not_found("there is no such stream"));
    };
    if admission::is_guarded(&stream.channel) {
        return Step::Answer(guarded::refused(&Refusal::Session));
    }
    if file.name == Resource::PLAYLIST {
        counting::note(shared, &stream, file.rendition, query, headers, peer);
    } else if !query.is_empty() {
        counting::hear(shared, &stream, query, peer);
    }
    step(stream, file, query, Range::read(headers))
}

/// What comes of a request that may have a file of the stream.
pub(crate) fn step(stream: Arc<LiveStream>, file: File<'_>, query: &str, range: Range) -> Step {
    let Some(resource) = Resource::parse(file.name) else {
        return Step::Answer(not_found("there is no such file"));
    };
    let found = match stream.rendition(file.rendition) {
        Some(live::Asked::Made(watch)) => Some(watch),
        Some(live::Asked::Asleep(_)) if resource == Resource::Playlist => None,
        // What it had before may still be fetched.
        Some(live::Asked::Asleep(Some(watch)) | live::Asked::Gone(Some(watch))) => Some(watch),
        Some(live::Asked::Asleep(None) | live::Asked::Gone(None)) | None => {
            return Step::Answer(not_found("there is no such rendition"));
        }
    };
    let directives = match resource {
        Resource::Playlist => Directives::parse(query),
        _ => Ok(Directives::default()),
    };
    let directives = match directives {
        Ok(directives) => directives,
        Err(error) => return Step::Answer(respond::failure(StatusCode::BAD_REQUEST, &error.to_string())),
    };
    let wanted = match (resource, found) {
        (Resource::Playlist, Some(watch)) => Wanted::Playlist(watch, directives),
        (Resource::Init(index), Some(watch)) => return Step::Answer(init(&watch, index, range)),
        (Resource::Segment(msn), Some(watch)) => Wanted::Segment(watch, msn, range),
        (Resource::Part(position), Some(watch)) => Wanted::Part(watch, position, range),
        (_, None) => Wanted::Made(file.rendition.into(), directives),
    };
    Step::Wait { stream, wanted }
}

/// The answer, when it is there.
pub(crate) async fn finish(shared: &Shared, step: Step) -> Response {
    let (stream, wanted) = match step {
        Step::Answer(response) => return response,
        Step::Wait { stream, wanted } => (stream, wanted),
    };
    match wanted {
        Wanted::Playlist(watch, directives) => playlist::media(shared, &stream, watch, directives).await,
        // Seldom, and of another size than the rest.
        Wanted::Made(rendition, directives) => {
            Box::pin(playlist::when_made(shared, &stream, &rendition, directives)).await
        }
        Wanted::Segment(watch, msn, range) => segment(shared, watch, msn, range).await,
        Wanted::Part(watch, position, range) => part(shared, watch, position, range).await,
    }
}

fn init(watch: &Snapshots, index: u32, range: Range) -> Response {
    match snapshot(watch).init(index) {
        Some(bytes) => respond::media(range, std::iter::once(bytes), bytes.len() as u64),
        None => not_found("there is no such init segment"),
    }
}

fn snapshot(watch: &Snapshots) -> Arc<Snapshot> {
    watch.borrow().clone()
}

/// A segment as it is sent.
enum Whole {
    Made(Arc<Segment>),
    /// One with gaps, for who does not know the tag: see [`Snapshot::filled`].
    Filled(Vec<Bytes>),
}

async fn segment(shared: &Shared, watch: Snapshots, msn: u64, range: Range) -> Response {
    let found = wait::for_answer(watch, &shared.waiting, Kind::Media, |snapshot| match snapshot.segment(msn) {
        Some(segment) if segment.gap() => Look::Answer(snapshot.filled(segment).map(Whole::Filled)),
        Some(segment) => Look::Answer(Some(Whole::Made(Arc::clone(segment)))),
        None if msn == snapshot.next().msn && !snapshot.ended() => Look::Wait,
        None => Look::Answer(None),
    });
    match found.await {
        Ok(Some(Whole::Made(segment))) => respond::media(range, segment.chunks(), segment.bytes()),
        Ok(Some(Whole::Filled(chunks))) => respond::stand_in(&chunks),
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
