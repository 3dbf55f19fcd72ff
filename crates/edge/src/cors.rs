//! Playback is for every origin: pages on any site may play, and service workers may read what they need.

use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, HeaderValue,
};
use http::{HeaderMap, StatusCode};

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// Adds the headers to any answer, failures too: a page must be able to read why.
pub(crate) async fn allow_every_origin(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("Age, Content-Length, Content-Range, Date, Retry-After"),
    );
    response
}

/// Answers OPTIONS, be it a preflight or not.
pub(crate) async fn preflight() -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(ALLOW, METHODS);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    (StatusCode::OK, headers).into_response()
}
