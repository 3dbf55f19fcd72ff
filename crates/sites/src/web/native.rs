//! Native sites: the built-in pages, with a configuration of their own.

use super::pages::Page;
use super::{Face, Visit};
use async_trait::async_trait;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;

/// A site that is not a bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct NativeSite {
    /// What its pages read as `/config.json`.
    pub config: Value,
}

/// A file of the built-in pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// The content.
    pub bytes: Bytes,
    /// For `Content-Type`.
    pub content_type: &'static str,
    /// For `ETag`, with its quotes.
    pub etag: &'static str,
    /// For `Cache-Control`.
    pub cache_control: &'static str,
}

/// Where native sites and their files come from.
#[async_trait]
pub trait NativeSites: Send + Sync + 'static {
    /// The site of this name.
    async fn site(&self, name: &str) -> Option<NativeSite>;

    /// The file at a path such as `/` or `/assets/index.js`; the same for every native site.
    fn asset(&self, path: &str) -> Option<Asset>;

    /// The content security policy of the pages; `web` is the origin of the web listener.
    fn content_security_policy(&self, web: &str) -> String;
}

pub(super) fn answer(face: &Face, site: &NativeSite, visit: &Visit, request: &Parts) -> Response {
    let mut response = match visit.path.as_str() {
        "/config.json" => {
            let bytes = Bytes::from(site.config.to_string());
            let asset = Asset { bytes, content_type: "application/json", etag: "", cache_control: "no-cache" };
            file(asset, request)
        }
        path => match face.native.asset(path).or_else(|| page_of(face, path)) {
            Some(asset) => file(asset, request),
            None => Page::NotFound.response(&request.method),
        },
    };
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&face.native.content_security_policy(&face.sites.web().origin)) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin"));
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    headers.insert(
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), microphone=(), geolocation=()"),
    );
    response
}

/// A path without an extension is a place in the page, which the page itself shows.
fn page_of(face: &Face, path: &str) -> Option<Asset> {
    let last = path.rsplit('/').next().unwrap_or_default();
    if last.contains('.') { None } else { face.native.asset("/") }
}

fn file(asset: Asset, request: &Parts) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(asset.cache_control));
    if !asset.etag.is_empty() {
        headers.insert(ETAG, HeaderValue::from_static(asset.etag));
        let seen = request.headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        let known = |tags: &str| tags.split(',').map(str::trim).any(|tag| tag.trim_start_matches("W/") == asset.etag);
        if seen.is_some_and(known) {
            return with(StatusCode::NOT_MODIFIED, headers, Body::empty());
        }
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(asset.bytes.len()));
    let body = if request.method == Method::HEAD { Body::empty() } else { Body::from(asset.bytes) };
    with(StatusCode::OK, headers, body)
}

fn with(status: StatusCode, headers: HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
