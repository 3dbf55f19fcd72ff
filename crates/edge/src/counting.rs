//! Which viewer a request for an open channel is of, and the beacons of players.

use crate::cmcd::{BYTES_MAX, Told};
use crate::viewers::{Asked, Newcomer};
use crate::{Shared, admission, guarded, media};
use axum::Extension;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use headwater_live::LiveStream;
use headwater_model::Timestamp;
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

/// Who asks, as far as an open channel's requests say.
struct Asker<'a> {
    query: &'a str,
    headers: &'a HeaderMap,
    peer: &'a Peer,
}

/// Counts whoever asks for a rendition's media playlist.
pub(crate) fn note(
    shared: &Shared,
    stream: &Arc<LiveStream>,
    rendition: &str,
    query: &str,
    headers: &HeaderMap,
    peer: &Peer,
) {
    let asker = Asker { query, headers, peer };
    asker.note(shared, stream, Some(rendition), Told::by_request(query, headers), Newcomer::Counts);
}

/// Hears what a request for media tells; without that it is not counted, as players ask for playlists too.
pub(crate) fn hear(shared: &Shared, stream: &Arc<LiveStream>, query: &str, peer: &Peer) {
    let mut told = Told::by_query(query);
    if let Some(sid) = told.sid.take() {
        let asked = Asked { rendition: None, told, address: address(peer), countries: shared.gate.countries() };
        shared.viewers.note(stream, shared.viewers.number((&stream.epoch, sid)), &asked);
    }
}

impl Asker<'_> {
    /// Counts it under the best name that it has. Names that anybody can make up are `newcomer`s' as it says; one that the multivariant
    /// playlist gave always counts. Whether it counts.
    fn note(
        &self,
        shared: &Shared,
        stream: &Arc<LiveStream>,
        rendition: Option<&str>,
        mut told: Told,
        newcomer: Newcomer,
    ) -> bool {
        let viewers = &shared.viewers;
        let (sid, address) = (told.sid.take(), address(self.peer));
        let asked = Asked { rendition, told, address, countries: shared.gate.countries() };
        if let Some(sid) = sid
            && viewers.note_if(stream, viewers.number((&stream.epoch, sid)), &asked, || newcomer)
        {
            return true;
        }
        if let Some(name) = session(self.query) {
            // The name itself tells viewers apart; its code is looked at once, when it is new.
            let given = || if shared.gate.knows(stream, name) { Newcomer::Counts } else { Newcomer::IsNobody };
            if viewers.note_if(stream, number(shared, stream, name), &asked, given) {
                return true;
            }
        }
        let agent = self.headers.get(USER_AGENT).map(|agent| agent.as_bytes());
        let number = viewers.number((&stream.epoch, address, agent));
        viewers.note_if(stream, number, &asked, || newcomer)
    }
}

/// The number of a viewer of an open channel by the name that the multivariant playlist gave.
pub(crate) fn number(shared: &Shared, stream: &LiveStream, name: &str) -> u64 {
    shared.viewers.number((&stream.epoch, name))
}

/// The viewer session in a query; its characters need no decoding.
fn session(query: &str) -> Option<&str> {
    query
        .split(['&', '?'])
        .find_map(|pair| pair.strip_prefix(SESSION)?.strip_prefix('='))
        .filter(|name| !name.is_empty())
}

/// `POST /media/{epoch}/beacon`: a CMCD dictionary as the body. The answer does not say whether anything was believed.
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
    let asker = Asker { query: query.as_deref().unwrap_or_default(), headers: &headers, peer: &peer };
    // Whoever watches has asked for a playlist, or has a name that the multivariant playlist gave.
    let counts = asker.note(&shared, &stream, None, told(&body), Newcomer::IsNobody);
    let told = shared.viewers.told();
    if counts {
        told.beacons.increment()
    } else {
        told.beacons_ignored.increment()
    }
    StatusCode::NO_CONTENT.into_response()
}

/// `POST /media/v/{session}/{epoch}/beacon`.
pub(crate) async fn guarded_beacon(
    State(shared): State<Arc<Shared>>,
    Path((session, epoch)): Path<(String, String)>,
    peer: Peer,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(stream) = shared.hub.stream_by_epoch(&epoch) else {
        return media::not_found("there is no such stream");
    };
    match guarded::let_in(&shared, &stream, &session, &headers) {
        Ok(pass) => {
            let (address, countries) = (address(&peer), shared.gate.countries());
            shared.viewers.note(
                &stream,
                pass.number,
                &Asked { rendition: None, told: told(&body), address, countries },
            );
            shared.viewers.told().beacons.increment();
            pass.allowed.on(StatusCode::NO_CONTENT.into_response())
        }
        Err(refusal) => guarded::refused(&refusal),
    }
}

fn told(body: &[u8]) -> Told {
    std::str::from_utf8(body).map(Told::parse).unwrap_or_default().arrived_at(Timestamp::now())
}
