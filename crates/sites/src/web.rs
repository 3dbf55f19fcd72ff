//! The website face: a bucket or a native site by host name, or by path for who cannot resolve `*.localhost`.
//!
//! Only what a bucket's policy lets everybody read is served. Objects' types are served as stored, without `nosniff`:
//! pages are in use whose scripts are stored as `text/html`, and browsers run those.
//!
//! Source: S3 user guide, "Hosting a static website using Amazon S3". Deliberate difference: a missing page is 404
//! where everybody may read it, whether or not they may list the bucket.

mod native;
mod pages;
mod website;

pub use native::{Asset, NativeSite, NativeSites};

use crate::{Sites, WebAddress};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::header::{ALLOW, HOST};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use pages::Page;
use std::sync::Arc;
use tower::ServiceExt;

/// Where the path form begins: `/website/NAME/…`.
const PATH_FORM: &str = "/website/";

#[derive(Clone)]
struct Face {
    sites: Sites,
    native: Arc<dyn NativeSites>,
}

/// Serves websites: those of their hosts and, on any host, `/website/NAME/…`. Everything else is not found.
pub fn router(sites: Sites, native: Arc<dyn NativeSites>) -> Router {
    with_sites(sites, native, Router::new().fallback(|| async { Page::NoSite.response(&Method::GET) }))
}

/// Serves websites on their hosts and below `/website/`, and the rest of the web listener elsewhere. Whatever a
/// website's host is asked for belongs to the website: its pages never share an origin with anything else here.
pub fn with_sites(sites: Sites, native: Arc<dyn NativeSites>, rest: Router) -> Router {
    let face = Face { sites, native };
    Router::new().fallback(dispatch).with_state((face, rest))
}

/// The website that a request is for by its host, if it is for one.
pub fn site_of_request<B>(address: &WebAddress, request: &http::Request<B>) -> Option<String> {
    let host = request
        .headers()
        .get(HOST)
        .and_then(|value| value.to_str().ok())
        .or_else(|| request.uri().authority().map(|authority| authority.as_str()));
    site_of_host(address, host.unwrap_or_default())
}

/// The website that a host name means, if it is one of ours: `NAME.s3-website.localhost`,
/// `NAME.s3-website-REGION.…`, or `NAME` under a configured suffix. The port does not matter.
///
/// Asked for each request, so nothing is allocated for hosts that are no website's.
pub fn site_of_host(address: &WebAddress, host: &str) -> Option<String> {
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let host = host.trim_end_matches('.');
    let named = |name: &str| (!name.is_empty()).then(|| name.to_ascii_lowercase());
    for suffix in std::iter::once(&address.suffix).chain(&address.more_suffixes) {
        if let Some(name) = strip_suffix_of_any_case(host, suffix).and_then(|rest| rest.strip_suffix('.')) {
            return named(name);
        }
    }
    let at = find_of_any_case(host, ".s3-website.").or_else(|| find_of_any_case(host, ".s3-website-"))?;
    named(&host[..at])
}

fn strip_suffix_of_any_case<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let (rest, end) = text.split_at_checked(text.len().checked_sub(suffix.len())?)?;
    end.eq_ignore_ascii_case(suffix).then_some(rest)
}

/// Where an ASCII text begins in another.
fn find_of_any_case(text: &str, wanted: &str) -> Option<usize> {
    text.as_bytes().windows(wanted.len()).position(|window| window.eq_ignore_ascii_case(wanted.as_bytes()))
}

async fn dispatch(State((face, rest)): State<(Face, Router)>, request: Request) -> Response {
    if let Some(name) = site_of_request(face.sites.web(), &request) {
        let path = request.uri().path().to_owned();
        return face.answer(Visit { name, path, base: String::new() }, request.into_parts().0).await;
    }
    if let Some(named) = request.uri().path().strip_prefix(PATH_FORM) {
        let (name, path) = match named.find('/') {
            Some(slash) => (named[..slash].to_owned(), named[slash..].to_owned()),
            None => (named.to_owned(), String::new()),
        };
        let base = format!("{PATH_FORM}{name}");
        return face.answer(Visit { name, path, base }, request.into_parts().0).await;
    }
    match rest.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// What is asked for.
struct Visit {
    /// The website.
    name: String,
    /// Path below the website as sent, percent-encoded; empty or beginning with a slash.
    path: String,
    /// What stands before it on this host: nothing, or `/website/NAME`.
    base: String,
}

impl Face {
    async fn answer(&self, visit: Visit, request: Parts) -> Response {
        if !matches!(request.method, Method::GET | Method::HEAD) {
            let mut response = Page::OnlyReading.response(&request.method);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        if visit.path.is_empty() {
            let query = request.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
            return redirect(StatusCode::FOUND, &format!("{}/{query}", visit.base));
        }
        match self.native.site(&visit.name).await {
            Some(site) => native::answer(self, &site, &visit, &request),
            None => website::answer(&self.sites, &visit, &request).await,
        }
    }
}

fn redirect(status: StatusCode, location: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    match HeaderValue::from_str(location) {
        Ok(location) => {
            response.headers_mut().insert(http::header::LOCATION, location);
            response
        }
        Err(_) => Page::NotFound.response(&Method::GET),
    }
}

#[cfg(test)]
mod tests;
