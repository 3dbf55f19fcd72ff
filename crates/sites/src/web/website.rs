//! Buckets as websites.

use super::pages::Page;
use super::{Visit, redirect};
use crate::conditions::{ByteRange, Conditions, Outcome, http_date, parse_http_date};
use crate::objects::Reading;
use crate::s3::OverTls;
use crate::{Error, Sites};
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use headwater_model::Timestamp;
use headwater_model::bucket::{Bucket, Object, Website};
use headwater_model::policy::Context;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_MATCH, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LAST_MODIFIED, RANGE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::net::SocketAddr;

/// Stored headers that a reader gets.
const PASSED_ON: [&str; 4] = ["content-disposition", "content-encoding", "content-language", "expires"];
/// What keeps its form in a redirect's path.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

pub(super) async fn answer(sites: &Sites, visit: &Visit, request: &Parts) -> Response {
    match find(sites, visit, request).await {
        Ok(response) => response,
        Err(Error::NoSuchBucket(_)) => Page::NoSite.response(&request.method),
        Err(error) => {
            let bucket = visit.name.as_str();
            tracing::error!(bucket, error = &error as &dyn std::error::Error, "a page could not be read");
            Page::Broken.response(&request.method)
        }
    }
}

async fn find(sites: &Sites, visit: &Visit, request: &Parts) -> Result<Response, Error> {
    let method = &request.method;
    let bucket = sites.bucket(&visit.name).await?;
    let Some(website) = &bucket.website else {
        return Ok(Page::NoWebsite.response(method));
    };
    if let Some((host, protocol)) = &website.redirect_all {
        let protocol = protocol.as_deref().unwrap_or("http");
        let query = request.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        return Ok(redirect(StatusCode::MOVED_PERMANENTLY, &format!("{protocol}://{host}{}{query}", visit.path)));
    }
    let Ok(path) = percent_decode_str(&visit.path).decode_utf8() else {
        return Ok(Page::BadAddress.response(method));
    };
    let asked = path.strip_prefix('/').unwrap_or(&path);
    let index = website.index_document.as_deref().unwrap_or("index.html");
    let folder = asked.is_empty() || asked.ends_with('/');
    let key = if folder { format!("{asked}{index}") } else { asked.to_owned() };
    let context = context(request);
    let public = sites.is_public(&bucket, &key, &context);
    match sites.object(&bucket.name, &key).await {
        Ok(object) if public => return serve(sites, object, request, StatusCode::OK).await,
        Ok(_) => {}
        Err(Error::NoSuchKey { .. }) => {
            let inside = format!("{key}/{index}");
            if !folder
                && sites.is_public(&bucket, &inside, &context)
                && present(sites.object(&bucket.name, &inside).await)?
            {
                return Ok(redirect(StatusCode::FOUND, &folder_address(visit, &key, request)));
            }
        }
        // No object can have such a key.
        Err(Error::InvalidKey(_)) => {}
        Err(error) => return Err(error),
    }
    let page = if public { Page::NotFound } else { Page::Forbidden };
    refuse(sites, &bucket, website, page, &context, request).await
}

fn present(found: Result<Object, Error>) -> Result<bool, Error> {
    match found {
        Ok(_) => Ok(true),
        Err(Error::NoSuchKey { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Address of a folder, from the key of it. A key that begins with a slash must not become another host's address.
fn folder_address(visit: &Visit, key: &str, request: &Parts) -> String {
    let mut path = utf8_percent_encode(key, PATH).to_string();
    if path.starts_with('/') {
        path.replace_range(..1, "%2F");
    }
    let query = request.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{path}/{query}", visit.base)
}

/// The website's own page for errors if everybody may read it, else ours.
async fn refuse(
    sites: &Sites,
    bucket: &Bucket,
    website: &Website,
    page: Page,
    context: &Context,
    request: &Parts,
) -> Result<Response, Error> {
    let plain = page.response(&request.method);
    let Some(key) = &website.error_document else {
        return Ok(plain);
    };
    if !sites.is_public(bucket, key, context) {
        return Ok(plain);
    }
    match sites.object(&bucket.name, key).await {
        Ok(object) => serve(sites, object, request, plain.status()).await,
        Err(Error::NoSuchKey { .. }) => Ok(plain),
        Err(error) => Err(error),
    }
}

/// Sends an object. With another status than 200 it is an error's page: no ranges, no conditions.
async fn serve(sites: &Sites, object: Object, request: &Parts, status: StatusCode) -> Result<Response, Error> {
    let method = &request.method;
    if let Some(location) = object.headers.get("x-amz-website-redirect-location") {
        return Ok(redirect(StatusCode::MOVED_PERMANENTLY, location));
    }
    let mut headers = describe(&object);
    let mut range = None;
    if status == StatusCode::OK {
        match conditions(&request.headers).judge(&object) {
            Outcome::Proceed => {}
            Outcome::NotModified => {
                headers.remove(CONTENT_TYPE);
                return Ok(respond(StatusCode::NOT_MODIFIED, headers, Body::empty()));
            }
            Outcome::Failed => return Ok(Page::PreconditionFailed.response(method)),
        }
        range = wanted_range(request, &object);
    }
    if method == Method::HEAD {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(object.size));
        return Ok(respond(status, headers, Body::empty()));
    }
    let (bucket, key, size) = (object.bucket.clone(), object.key.clone(), object.size);
    let read = match sites.read(object, range).await {
        // Replaced between the record and the bytes: once more, from the record.
        Err(Error::Blob(headwater_store::BlobError::Missing(_))) => {
            let reading = sites.get_object(&bucket, &key, range).await?;
            headers = describe(&reading.object);
            Ok(reading)
        }
        other => other,
    };
    let Reading { object, range: bytes, body } = match read {
        Ok(reading) => reading,
        Err(Error::InvalidRange { .. }) => {
            let mut response = Page::RangeUnsatisfiable.response(method);
            if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
                response.headers_mut().insert(CONTENT_RANGE, value);
            }
            return Ok(response);
        }
        Err(error) => return Err(error),
    };
    headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.end - bytes.start));
    let mut status = status;
    if range.is_some() {
        status = StatusCode::PARTIAL_CONTENT;
        insert(
            &mut headers,
            CONTENT_RANGE,
            &format!("bytes {}-{}/{}", bytes.start, bytes.end.saturating_sub(1), object.size),
        );
    }
    Ok(respond(status, headers, Body::from_stream(body)))
}

fn describe(object: &Object) -> HeaderMap {
    let mut headers = HeaderMap::new();
    insert(&mut headers, CONTENT_TYPE, &object.content_type);
    insert(&mut headers, ETAG, &format!("\"{}\"", object.etag));
    insert(&mut headers, LAST_MODIFIED, &http_date(object.last_modified));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let cache = object.headers.get("cache-control").map_or("no-cache", String::as_str);
    insert(&mut headers, CACHE_CONTROL, cache);
    for name in PASSED_ON {
        if let Some(value) = object.headers.get(name) {
            insert(&mut headers, HeaderName::from_static(name), value);
        }
    }
    headers
}

/// What cannot be a header's value is left out.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn conditions(headers: &HeaderMap) -> Conditions {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    Conditions {
        if_match: text(IF_MATCH).map(str::to_owned),
        if_none_match: text(IF_NONE_MATCH).map(str::to_owned),
        if_modified_since: text(IF_MODIFIED_SINCE).and_then(parse_http_date),
        if_unmodified_since: text(IF_UNMODIFIED_SINCE).and_then(parse_http_date),
    }
}

/// The range that is asked for, unless it is asked of another state of the object (RFC 9110 "If-Range").
fn wanted_range(request: &Parts, object: &Object) -> Option<ByteRange> {
    let text = |name| request.headers.get(name).and_then(|value| value.to_str().ok());
    let range = ByteRange::parse(text(RANGE)?)?;
    let same = match text(IF_RANGE) {
        None => true,
        Some(tag) if tag.starts_with('"') => tag.trim_matches('"') == object.etag,
        Some(date) => parse_http_date(date) == Some(object.last_modified.0.div_euclid(1000)),
    };
    same.then_some(range)
}

/// What bucket policies can look at.
fn context(request: &Parts) -> Context {
    let mut context = Context::new().at(Timestamp::now());
    if let Some(ConnectInfo(peer)) = request.extensions.get::<ConnectInfo<SocketAddr>>() {
        context.add("aws:SourceIp", peer.ip().to_canonical().to_string());
    }
    context.add("aws:SecureTransport", request.extensions.get::<OverTls>().is_some().to_string());
    if let Some(referer) = request.headers.get(http::header::REFERER).and_then(|value| value.to_str().ok()) {
        context.add("aws:Referer", referer);
    }
    context
}

fn respond(status: StatusCode, headers: HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
