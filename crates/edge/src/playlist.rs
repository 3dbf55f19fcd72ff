//! Multivariant and media playlists.

use crate::Shared;
use crate::admission::{self, Asking, Denied};
use crate::cors::Allowed;
use crate::counting::{self, SESSION};
use crate::query::{self, Directives, SoundAlone, WaitFor};
use crate::respond::{self, Lifetime};
use crate::traffic::{Kind, Outcome};
use crate::wait::{self, GivenUp, Look, Snapshots};
use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use headwater_hls::playlist::{AUDIO_ONLY, Facts, Variant};
use headwater_hls::{Delta, Position, Reach, Snapshot, playlist};
use headwater_live::{LiveStream, Rendition, RenditionState};
use headwater_model::ivs::MaximumResolution;
use headwater_model::playback::{self, Refusal};
use http::header::ORIGIN;
use http::{HeaderMap, StatusCode, Uri};
use std::sync::Arc;
use std::time::Duration;

/// An answer to a blocking reload is of use for six target durations. rfc8216bis, "Low-Latency Server Configuration Profile",
/// on caching.
const EDGE_TARGET_DURATIONS: u64 = 6;

/// How long a viewer who wants the sound alone waits for it: it begins with the next segment, and the first playlist has a closed one.
const SOUND_ALONE_WAIT: Duration = Duration::from_secs(6);

/// `GET /api/video/v1/{region}.{account}.channel.{id}.m3u8`.
pub(crate) async fn multivariant(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    peer: counting::Peer,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let query = uri.query().unwrap_or_default();
    let unknown = || {
        let error = "Can not find channel";
        respond::playback_failure(StatusCode::NOT_FOUND, uri.path(), error, "transcode_does_not_exist")
    };
    let Some(id) = channel_id(&shared, &name) else {
        return unknown();
    };
    let Some(channel) = shared.channels.channel(id).await else {
        return unknown();
    };
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    let stream = shared.hub.stream(id);
    if let Some(stream) = &stream
        && let Some(resumed) = resume(&shared, stream, query::viewer_session(query), origin)
    {
        // Who watches goes on, also while as many watch as may.
        if !shared.viewers.knows(resumed.number) && shared.viewers.turns_away() {
            return respond_full(uri.path());
        }
        return resumed.respond(stream, sound_alone(stream, query).await, uri.path());
    }
    let admitted = if admission::is_guarded(&channel) {
        let token = query::token(query);
        let asking = Asking { token: token.as_deref(), origin, address: counting::address(&peer) };
        match shared.gate.enter(&channel, &asking).await {
            Ok(admitted) => Some(admitted),
            Err(denied) => return respond_denied(&denied, uri.path()),
        }
    } else {
        None
    };
    let Some(stream) = stream else {
        return unknown();
    };
    if shared.viewers.turns_away() {
        return respond_full(uri.path());
    }
    let sound_alone = sound_alone(&stream, query).await;
    let Some(admitted) = admitted else {
        let listing = Listing { sound_alone, class: None, addresses: Addresses::Counted(shared.gate.count(&stream)) };
        let text = variants(&stream, &listing).unwrap_or_default();
        return respond::playlist(Bytes::from(text), Lifetime::Newest);
    };
    // Spent last, when nothing but this can fail any more.
    let class = admitted.maximum_resolution();
    if class.is_some() && variants(&stream, &Listing { sound_alone, class, addresses: Addresses::Plain }).is_none() {
        return respond_denied(&Denied::from(Refusal::Resolution), uri.path());
    }
    let session = match shared.gate.begin(&stream, &admitted).await {
        Ok(session) => session,
        Err(denied) => return respond_denied(&denied, uri.path()),
    };
    let listing = Listing { sound_alone, class, addresses: Addresses::Of(session) };
    let text = variants(&stream, &listing).unwrap_or_default();
    admitted.allowed.on(respond::playlist(Bytes::from(text), Lifetime::Once))
}

/// A viewer session that goes on: the multivariant playlist is answered for it again, no token is looked at, and none is spent.
struct Resumed {
    /// Of the viewer.
    number: u64,
    class: Option<MaximumResolution>,
    addresses: Addresses,
    allowed: Allowed,
}

/// The session that a request names, if it is good for the stream. One that is not is as none: then the token decides.
fn resume(shared: &Shared, stream: &LiveStream, name: Option<&str>, origin: Option<&str>) -> Option<Resumed> {
    let name = name?;
    if admission::is_guarded(&stream.channel) {
        let pass = shared.gate.pass(stream, name, origin).ok()?;
        let addresses = Addresses::Of(name.to_owned());
        return Some(Resumed { number: pass.number, class: pass.maximum_resolution, addresses, allowed: pass.allowed });
    }
    shared.gate.knows(stream, name).then(|| Resumed {
        number: counting::number(shared, stream, name),
        class: None,
        addresses: Addresses::Counted(name.to_owned()),
        allowed: Allowed::Everyone,
    })
}

impl Resumed {
    fn respond(self, stream: &LiveStream, sound_alone: SoundAlone, path: &str) -> Response {
        let lifetime = if let Addresses::Of(_) = self.addresses { Lifetime::Once } else { Lifetime::Newest };
        let listing = Listing { sound_alone, class: self.class, addresses: self.addresses };
        match variants(stream, &listing) {
            Some(text) => self.allowed.on(respond::playlist(Bytes::from(text), lifetime)),
            None => respond_denied(&Denied::from(Refusal::Resolution), path),
        }
    }
}

/// Whether the viewer wants the sound alone; then it is there, if it can be.
async fn sound_alone(stream: &LiveStream, query: &str) -> SoundAlone {
    let asked = query::sound_alone(query);
    if asked == SoundAlone::Asked {
        wait_for_sound_alone(stream).await;
    }
    asked
}

/// Which renditions a viewer is shown, and under which addresses.
struct Listing {
    sound_alone: SoundAlone,
    /// Larger ones are left out.
    class: Option<MaximumResolution>,
    addresses: Addresses,
}

/// How media playlists are named.
enum Addresses {
    /// As they are.
    Plain,
    /// With a viewer session to count by in the query, so that all viewers' media has one address.
    Counted(String),
    /// Below a viewer session.
    Of(String),
}

impl Addresses {
    fn of(&self, epoch: &str, rendition: &str) -> String {
        match self {
            Addresses::Plain => format!("/media/{epoch}/{rendition}/media.m3u8"),
            Addresses::Counted(session) => format!("/media/{epoch}/{rendition}/media.m3u8?{SESSION}={session}"),
            Addresses::Of(session) => format!("/media/v/{session}/{epoch}/{rendition}/media.m3u8"),
        }
    }
}

/// One more than may watch, as IVS answers it.
fn respond_full(path: &str) -> Response {
    let error = "as many viewers watch as may";
    respond::playback_failure(StatusCode::TOO_MANY_REQUESTS, path, error, "concurrent_views_exceeded")
}

/// A request that is not let in, as IVS words it.
fn respond_denied(denied: &Denied, path: &str) -> Response {
    match denied {
        Denied::Refused(refusal) => {
            let (error, code) = (refusal.to_string(), refusal.code());
            Outcome::from(refusal).on(respond::playback_failure(StatusCode::FORBIDDEN, path, &error, code))
        }
        Denied::Unavailable(_) => {
            let error = "something failed on the server";
            respond::playback_failure(StatusCode::SERVICE_UNAVAILABLE, path, error, "unavailable")
        }
    }
}

/// The rendition without pictures is made when it is first asked for, from a segment's start on.
async fn wait_for_sound_alone(stream: &LiveStream) {
    let snapshot = stream.snapshot();
    if snapshot.audio().is_none() || snapshot.ended() {
        return;
    }
    stream.want_sound_alone();
    let mut offers = stream.offers();
    let made = |rendition: &Rendition| rendition.name == AUDIO_ONLY && rendition.state != RenditionState::Waking;
    let there = offers.wait_for(|offer| offer.renditions.iter().any(made));
    // Without it the answer is the others: an encoder that stands still is no reason to fail.
    let _ = tokio::time::timeout(SOUND_ALONE_WAIT, there).await;
}

/// The source first, then the ladder from the top down; the sound alone where the channel's type or the viewer wants it. `None` if no
/// rendition is small enough for this viewer.
fn variants(stream: &LiveStream, listing: &Listing) -> Option<String> {
    let offer = stream.offer();
    let source = stream.snapshot();
    let own = || (Facts::from(&*source), source.rendition().to_owned(), playlist::group(&source));
    let mut listed: Vec<(Facts, String, String)> = Vec::with_capacity(offer.renditions.len() + 1);
    if offer.source {
        listed.push(own());
    }
    for rendition in offer.renditions.iter().filter(|rendition| rendition.offered()) {
        let without_pictures = rendition.name == AUDIO_ONLY;
        if !without_pictures || offer.sound_alone_by_type || listing.sound_alone == SoundAlone::Asked {
            listed.push((rendition.facts(), rendition.name.clone(), rendition.name.clone()));
        }
    }
    if listed.is_empty() {
        listed.push(own());
    }
    if let Some(class) = listing.class {
        listed.retain(|(facts, ..)| facts.size.is_none_or(|(width, height)| playback::is_within(class, width, height)));
    }
    let uris: Vec<String> =
        listed.iter().map(|(_, rendition, _)| listing.addresses.of(&stream.epoch, rendition)).collect();
    match (&listed[..], &uris[..]) {
        ([], _) => None,
        ([(only, ..)], [uri]) => Some(playlist::multivariant(only, uri)),
        _ => {
            let variants: Vec<Variant<'_>> =
                listed.iter().zip(&uris).map(|((facts, _, group), uri)| Variant { facts, uri, group }).collect();
            Some(playlist::ladder(&variants))
        }
    }
}

/// The channel's id, if the name is of this Region and account.
fn channel_id<'a>(shared: &Shared, name: &'a str) -> Option<&'a str> {
    let rest = name.strip_suffix(".m3u8")?;
    let rest = rest.strip_prefix(shared.realm.region.as_str())?.strip_prefix('.')?;
    let rest = rest.strip_prefix(shared.realm.account.as_str())?;
    rest.strip_prefix(".channel.")
}

/// [`media`] of a rendition that sleeps: the request wakes it, and waits for its first pictures as long as for a part.
pub(crate) async fn when_made(
    shared: &Shared,
    stream: &Arc<LiveStream>,
    rendition: &str,
    directives: Directives,
) -> Response {
    let target_duration_s = stream.snapshot().target_duration_s();
    match wait::within(target_duration_s, &shared.waiting, stream.made(rendition)).await {
        Ok(Some(watch)) => media(shared, stream, watch, directives).await,
        Ok(None) => respond::failure(StatusCode::NOT_FOUND, "the rendition is not made"),
        Err(given_up) => respond_given_up(given_up),
    }
}

/// `GET /media/{epoch}/{rendition}/media.m3u8`.
pub(crate) async fn media(
    shared: &Shared,
    stream: &Arc<LiveStream>,
    watch: Snapshots,
    Directives { wait_for, delta }: Directives,
) -> Response {
    let Some(wait_for) = wait_for else {
        let text = shared.texts.newest(stream, &watch.borrow().clone(), delta);
        return respond::playlist(text, Lifetime::Newest);
    };
    let answered = wait::for_answer(watch, &shared.waiting, Kind::Playlist, |snapshot| {
        match snapshot.reach(wait_for.msn, wait_for.part) {
            Reach::Ready => Look::Answer(Ok(Arc::clone(snapshot))),
            Reach::Pending => Look::Wait,
            // A rendition may be behind its source, whose playlist reported it.
            Reach::TooFar => match stream.snapshot().reach(wait_for.msn, wait_for.part) {
                Reach::TooFar => Look::Answer(Err(())),
                Reach::Ready | Reach::Pending => Look::Wait,
            },
        }
    });
    match answered.await {
        Ok(Ok(snapshot)) => reloaded(shared, stream, &snapshot, wait_for, delta),
        Ok(Err(())) => respond::failure(StatusCode::BAD_REQUEST, "_HLS_msn or _HLS_part is too far ahead"),
        Err(given_up) => respond_given_up(given_up),
    }
}

/// The newest playlist, which a shared cache may keep if it ends with what was waited for.
///
/// Who comes too late for that, because its page was asleep or its network slow, is shown the live edge at once and not one part after the other.
/// And video.js' VHS, at the end of a segment, asks for its last part again until there is something new: it keeps the old list of parts when the
/// next segment is hinted and has none yet, and reckons from that.
fn reloaded(
    shared: &Shared,
    stream: &Arc<LiveStream>,
    snapshot: &Arc<Snapshot>,
    wait_for: WaitFor,
    delta: Delta,
) -> Response {
    let text = shared.texts.newest(stream, snapshot, delta);
    let at_the_edge = !snapshot.ended() && snapshot.last() == position(snapshot, wait_for);
    let lifetime = if at_the_edge {
        let target_s = u64::try_from(snapshot.target_duration_s()).unwrap_or(1);
        Lifetime::AtTheEdge(EDGE_TARGET_DURATIONS * target_s)
    } else {
        Lifetime::Newest
    };
    respond::playlist(text, lifetime)
}

/// Which part a reload waited for.
fn position(snapshot: &Snapshot, WaitFor { msn, part }: WaitFor) -> Option<Position> {
    let Some(segment) = snapshot.segment(msn) else {
        return Some(Position { msn, part: part? });
    };
    let parts = segment.parts().len();
    match part {
        None => Some(Position { msn, part: parts.checked_sub(1)? }),
        Some(part) if part < parts => Some(Position { msn, part }),
        // "A part past the end of its segment means the first of the next."
        Some(_) => Some(Position { msn: msn + 1, part: 0 }),
    }
}

pub(crate) fn respond_given_up(given_up: GivenUp) -> Response {
    let unavailable = |sentence| respond::failure(StatusCode::SERVICE_UNAVAILABLE, sentence);
    match given_up {
        GivenUp::Late => Outcome::Late.on(unavailable("nothing came from the encoder in time")),
        GivenUp::Full => Outcome::RoomFull.on(unavailable("too many requests wait")),
        GivenUp::Gone => respond::failure(StatusCode::NOT_FOUND, "the stream is gone"),
    }
}
