//! Which viewer a request for an open channel is of, and the beacons of players.

use crate::cmcd::{BYTES_MAX, Told};
use crate::{Shared, admission, guarded, media};
use axum::Extension;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use headwater_live::LiveStream;
use headwater_model::playback::Refusal;
use http::header::USER_AGENT;
use http::{HeaderMap, StatusCode};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Query parameter of media playlists that names the viewer session.
pub(crate) const SESSION: &str = "v";
/// Largest beacon.
pub(crate) const BEACON_BYTES_MAX: usize = BYTES_MAX;

/// Where a request comes from, if the listener says so.
pub(crate) type Peer = Option<Extension<ConnectInfo<SocketAddr>>>;

pub(crate) fn address(peer: &Peer) -> Option<IpAddr> {
    peer.as_ref().map(|Extension(ConnectInfo(peer))| peer.ip().to_canonical())
}

/// Counts whoever asks for a media playlist.
pub(crate) fn note(shared: &Shared, stream: &Arc<LiveStream>, query: &str, headers: &HeaderMap, peer: &Peer) {
    note_told(shared, stream, query, headers, peer, Told::by_request(query, headers));
}

/// Hears what a request for media tells; without that it is not counted, as players ask for playlists too.
pub(crate) fn hear(shared: &Shared, stream: &Arc<LiveStream>, query: &str) {
    let mut told = Told::by_query(query);
    if let Some(sid) = told.sid.take() {
        shared.viewers.note(stream, shared.viewers.number((&stream.epoch, sid)), told);
    }
}

fn note_told(shared: &Shared, stream: &Arc<LiveStream>, query: &str, headers: &HeaderMap, peer: &Peer, mut told: Told) {
    if let Some(sid) = told.sid.take() {
        return shared.viewers.note(stream, shared.viewers.number((&stream.epoch, sid)), told);
    }
    if let Some(name) = session(query) {
        // The name itself tells viewers apart; its code is looked at once, when it is new.
        let number = shared.viewers.number((&stream.epoch, name));
        let is_good = || shared.gate.knows(stream, name);
        if shared.viewers.note_if(stream, number, told.clone(), is_good) {
            return;
        }
    }
    let agent = headers.get(USER_AGENT).map(|agent| agent.as_bytes());
    shared.viewers.note(stream, shared.viewers.number((&stream.epoch, address(peer), agent)), told);
}

/// The viewer session in a query; its characters need no decoding.
fn session(query: &str) -> Option<&str> {
    query
        .split(['&', '?'])
        .find_map(|pair| pair.strip_prefix(SESSION)?.strip_prefix('='))
        .filter(|name| !name.is_empty())
}

/// `POST /media/{epoch}/beacon`: a CMCD dictionary as the body.
pub(crate) async fn beacon(
    State(shared): State<Arc<Shared>>,
    Path(epoch): Path<String>,
    RawQuery(query): RawQuery,
    peer: Peer,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(stream) = shared.hub.stream_by_epoch(&epoch) else {
        return media::not_found("there is no such stream");
    };
    if admission::is_guarded(&stream.channel) {
        return guarded::refused(&Refusal::Session);
    }
    note_told(&shared, &stream, query.as_deref().unwrap_or_default(), &headers, &peer, told(&body));
    StatusCode::NO_CONTENT.into_response()
}

/// `POST /media/v/{session}/{epoch}/beacon`.
pub(crate) async fn guarded_beacon(
    State(shared): State<Arc<Shared>>,
    Path((session, epoch)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(stream) = shared.hub.stream_by_epoch(&epoch) else {
        return media::not_found("there is no such stream");
    };
    match guarded::let_in(&shared, &stream, &session, &headers) {
        Ok(pass) => {
            shared.viewers.note(&stream, pass.number, told(&body));
            pass.allowed.on(StatusCode::NO_CONTENT.into_response())
        }
        Err(refusal) => guarded::refused(&refusal),
    }
}

fn told(body: &[u8]) -> Told {
    std::str::from_utf8(body).map(Told::parse).unwrap_or_default()
}
