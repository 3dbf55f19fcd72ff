//! The viewers' HTTP: playlists, parts, blocking reload.
//!
//! [`router`] answers from immutable snapshots ([`headwater_hls::Snapshot`]). A request for what does not exist yet waits on the stream's
//! `watch` channel; it never locks or disturbs the stream. Bodies are lists of buffers that every viewer shares. [`playback`] also gives
//! [`Media`], by which a listener answers plain requests for media without the router.
//!
//! | address | what it is | cached |
//! |---|---|---|
//! | `/api/video/v1/{region}.{account}.channel.{id}.m3u8` | multivariant playlist; 404 while offline | not |
//! | the same with `allow_audio_only=true` | with the rendition `audio_only` | not |
//! | `/media/{epoch}/{rendition}/media.m3u8` | newest media playlist | not |
//! | the same with `_HLS_msn` and `_HLS_part` | the media playlist once it has that part | briefly if it ends with it, else not |
//! | `/media/{epoch}/beacon` (POST) | what a player measured | – |
//! | `/media/v/{session}/{epoch}/…` | the same of a private or restricted channel, for one viewer session | by its viewer |
//! | `/media/{epoch}/{rendition}/init-{n}.mp4`, `s{msn}.m4s`, `s{msn}.p{part}.m4s` | init segment, segment, part | for days, never changes |
//! | a segment with gaps | what stands in for it, as it is now | not |
//!
//! Source: rfc8216bis, "Playlist Delivery Directives", "Blocking Playlist Reload", "Partial Segments"; for the multivariant playlist's
//! address and its failures, Amazon IVS. Left out: compression (playlists are below 4 KB).
//!
//! | module | what stands there |
//! |---|---|
//! | [`doors`] | what fuzzing reaches |
//! | [`admission`] | tokens, restriction policies, viewer sessions |
//! | [`traffic`] | what is counted of requests and answers |
//! | [`viewers`] | how many watch each stream, and how they fare |

pub mod admission;
mod cmcd;
mod cors;
mod counting;
mod direct;
pub mod doors;
mod guarded;
mod media;
mod playlist;
pub mod query;
mod range;
mod resource;
mod respond;
mod text;
pub mod traffic;
pub mod viewers;
mod wait;

pub use admission::{Countries, Gate};
pub use direct::{Media, Way};
pub use traffic::Traffic;
pub use viewers::Viewers;

use async_trait::async_trait;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::Response;
use axum::routing::{get, post};
use headwater_live::Hub;
use headwater_model::Realm;
use headwater_model::ivs::Channel;
use std::sync::Arc;

/// Requests that may wait for a part at once. Each costs some kilobytes; more are answered with 503.
pub const WAITING_MAX: usize = 50_000;

/// What the viewers' HTTP needs from the rest.
#[derive(Clone)]
pub struct State {
    /// Who is live.
    pub hub: Hub,
    /// Which channels there are.
    pub channels: Arc<dyn Channels>,
    /// The Region and account in playback URLs.
    pub realm: Realm,
    /// Lets viewers of private and restricted channels in.
    pub gate: Gate,
    /// Counts viewers.
    pub viewers: Viewers,
    /// Counts requests.
    pub traffic: Traffic,
}

impl State {
    /// With a gate that lets nobody in to private and restricted channels, and as many views as IVS allows.
    pub fn new(hub: Hub, channels: Arc<dyn Channels>, realm: Realm) -> Self {
        let viewers = Viewers::new(viewers::VIEWS_MAX);
        State { hub, channels, realm, gate: Gate::closed(), viewers, traffic: Traffic::default() }
    }
}

/// Which channels there are.
#[async_trait]
pub trait Channels: Send + Sync {
    /// The channel with that id, if there is one.
    async fn channel(&self, id: &str) -> Option<Channel>;
}

/// The playback routes, with CORS. Merge it into the web listener's router.
pub fn router(state: State) -> Router {
    playback(state).0
}

/// The playback routes, and the short way to media, which a listener asks first.
pub fn playback(state: State) -> (Router, Media) {
    let shared = Arc::new(Shared {
        hub: state.hub,
        channels: state.channels,
        realm: state.realm,
        gate: state.gate,
        viewers: state.viewers,
        texts: text::Texts::default(),
        waiting: wait::Room::new(WAITING_MAX, state.traffic.clone()),
        traffic: state.traffic,
    });
    let finishing = Arc::clone(&shared);
    let router = Router::new()
        .route("/api/video/v1/{name}", get(playlist::multivariant).options(cors::preflight))
        .route("/media/{epoch}/{rendition}/{file}", get(media::file).options(cors::preflight))
        .route("/media/v/{session}/{epoch}/{rendition}/{file}", get(guarded::file).options(cors::preflight))
        .route("/media/{epoch}/beacon", post(counting::beacon))
        .route("/media/v/{session}/{epoch}/beacon", post(counting::guarded_beacon))
        .layer(DefaultBodyLimit::max(counting::BEACON_BYTES_MAX))
        .layer(axum::middleware::map_response(move |response| std::future::ready(finishing.finish(response))))
        .with_state(Arc::clone(&shared));
    (router, Media(shared))
}

/// What all requests share.
struct Shared {
    hub: Hub,
    channels: Arc<dyn Channels>,
    realm: Realm,
    gate: Gate,
    viewers: Viewers,
    texts: text::Texts,
    waiting: wait::Room,
    traffic: Traffic,
}

impl Shared {
    /// Counts an answer and says who may read it.
    fn finish(&self, mut response: Response) -> Response {
        self.traffic.count(&mut response);
        cors::allow(response)
    }
}

#[cfg(test)]
mod tests;
