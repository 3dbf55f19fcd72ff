//! Where ports meet: what one room asks for through a trait, answered by another that it may not know.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;
use futures_util::future::Either;
use headwater_control::Control;
use headwater_control::ivs::Opened;
use headwater_control::ivs::ingest::takes_plain;
use headwater_edge::{Media, Way};
use headwater_gateway::client_configuration;
use headwater_ingest::{Admission, Directory, Refusal, Transport};
use headwater_model::Timestamp;
use headwater_model::ivs::Channel;
use headwater_sites::web::{Asset, NativeSite, NativeSites};
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Request, StatusCode};
use hyper::body::Incoming;

use crate::http_server::Face;

/// Stream keys, for ingest.
pub struct StreamKeys {
    /// Knows the keys.
    pub control: Control,
}

#[async_trait]
impl Directory for StreamKeys {
    async fn resolve(&self, key: &str, transport: Transport, peer: SocketAddr) -> Result<Admission, Refusal> {
        let now = Timestamp::now();
        let Opened { channel, shown } = match headwater_control::ivs::resolve_key(&self.control, key, now).await {
            Ok(Some(opened)) => opened,
            Ok(None) => return Err(Refusal::UnknownKey),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "stream keys cannot be read");
                return Err(Refusal::Unavailable);
            }
        };
        if transport == Transport::Plain && !takes_plain(&self.control, &channel, Some(peer.ip())) {
            return Err(Refusal::TlsRequired);
        }
        match headwater_control::ivs::streams::admit(&self.control, &channel, now).await {
            Ok(()) => Ok(Admission { channel, shown }),
            Err(headwater_control::Error::QuotaExceeded { .. }) => Err(Refusal::Unavailable),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the quota of streams cannot be told");
                Err(Refusal::Unavailable)
            }
        }
    }
}

/// Channels, for the viewers' side.
pub struct Channels(pub Control);

#[async_trait]
impl headwater_edge::Channels for Channels {
    async fn channel(&self, id: &str) -> Option<Channel> {
        let arn = self.0.realm().ivs_arn("channel", id);
        match headwater_control::ivs::channel(&self.0, &arn).await {
            Ok(channel) => Some(Arc::unwrap_or_clone(channel)),
            Err(headwater_control::Error::NotFound { .. }) => None,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "channels cannot be read");
                None
            }
        }
    }
}

/// Sites that templates asked for, with the pages that are embedded in the binary.
pub struct BuiltInSites(pub Control);

#[async_trait]
impl NativeSites for BuiltInSites {
    async fn site(&self, name: &str) -> Option<NativeSite> {
        match headwater_control::native::site_config(&self.0, name).await {
            Ok(config) => config.map(|config| NativeSite { config }),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "sites cannot be read");
                None
            }
        }
    }

    fn asset(&self, path: &str) -> Option<Asset> {
        let asset = headwater_assets::site(path)?;
        Some(Asset {
            bytes: Bytes::from_static(asset.bytes),
            content_type: asset.content_type,
            etag: asset.etag,
            cache_control: asset.cache_control(),
        })
    }

    fn content_security_policy(&self, web: &str) -> String {
        headwater_assets::site_csp(web)
    }
}

/// Serves the player script to pages of every origin.
pub fn player() -> Router {
    Router::new().route(&format!("/{}", headwater_assets::PLAYER_PATH), get(player_script))
}

async fn player_script(headers: HeaderMap) -> Response {
    let Some(asset) = headwater_assets::asset(headwater_assets::PLAYER_PATH) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let common = [
        (ETAG, asset.etag),
        (CACHE_CONTROL, asset.cache_control()),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    if headers.get(IF_NONE_MATCH).is_some_and(|seen| seen.as_bytes() == asset.etag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, [(CONTENT_TYPE, asset.content_type)], asset.bytes).into_response()
}

/// The web listener: media by its short way, else the routes of playback, player script, answers and encoders' questions; websites by their host in front of all.
#[derive(Clone)]
pub struct Web {
    sites: headwater_sites::Sites,
    media: Media,
    routes: Router,
}

impl Web {
    /// Of its parts.
    pub fn new(
        control: &Control,
        (playback, media): (Router, Media),
        answers: Router,
        sites: headwater_sites::Sites,
    ) -> Self {
        let rest = playback.merge(answers).merge(player()).merge(client_configuration::router(control.clone()));
        let rest = rest.route("/healthz", get(|| async { "ok\n" }));
        let native = Arc::new(BuiltInSites(control.clone()));
        Web { routes: headwater_sites::web::with_sites(sites.clone(), native, rest), sites, media }
    }

    /// The same for what comes through TLS.
    pub fn over_tls(self) -> Self {
        Web { routes: self.routes.layer(axum::Extension(headwater_sites::s3::OverTls)), ..self }
    }
}

impl Face for Web {
    fn answer(&self, peer: SocketAddr, request: Request<Incoming>) -> impl Future<Output = Response> + Send + use<> {
        let is_website = headwater_sites::web::site_of_request(self.sites.web(), &request).is_some();
        let way = if is_website { Way::Long(request) } else { self.media.answer(Some(peer), request) };
        match way {
            Way::Short(media) => Either::Left(media),
            Way::Long(request) => Either::Right(self.routes.answer(peer, request)),
        }
    }
}
