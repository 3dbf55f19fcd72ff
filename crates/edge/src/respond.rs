//! Answers: headers, bodies, failures.

use crate::range::{Range, Wanted};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderValue, RETRY_AFTER,
};
use http::{HeaderMap, StatusCode};
use std::convert::Infallible;

pub(crate) const PLAYLIST_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.apple.mpegurl");
pub(crate) const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("video/mp4");
/// The address names the stream session and the place in it, so what it shows never changes: seven days.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=604800, immutable");
/// A cache may keep it but asks each time; so it never shows an old live edge.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");
/// What is not there may be there in a moment: no cache may remember.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Headers of an answer, CORS' and the connection's own included.
const HEADERS: usize = 8;

/// How long a playlist holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// The next one differs.
    Newest,
    /// It is for one viewer, and what let them see it may be used up.
    Once,
    /// It is the newest for those who ask for it in time, and a cache between them and here may keep it for so many seconds. The viewer's own may
    /// not: one that asks for the same again wants what is new.
    AtTheEdge(u64),
}

pub(crate) fn playlist(text: Bytes, lifetime: Lifetime) -> Response {
    let cache = match lifetime {
        Lifetime::Newest => REVALIDATE,
        Lifetime::Once => NO_STORE,
        Lifetime::AtTheEdge(seconds) => {
            HeaderValue::from_str(&format!("public, max-age=0, s-maxage={seconds}")).unwrap_or(REVALIDATE)
        }
    };
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(CONTENT_TYPE, PLAYLIST_TYPE);
    headers.insert(CACHE_CONTROL, cache);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    let mut response = Response::new(Body::from(text));
    *response.headers_mut() = headers;
    response
}

/// Media of `length` bytes in all, in order; the range that was asked for, or everything.
pub(crate) fn media<'a>(range: Range, mut chunks: impl Iterator<Item = &'a Bytes>, length: u64) -> Response {
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(CONTENT_TYPE, MEDIA_TYPE);
    headers.insert(CACHE_CONTROL, IMMUTABLE);
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let (status, start, end) = match range.of(length) {
        Wanted::All => (StatusCode::OK, 0, length),
        Wanted::Part { start, end } => {
            let text = format!("bytes {start}-{}/{length}", end - 1);
            headers.insert(CONTENT_RANGE, HeaderValue::from_str(&text).expect("digits, spaces and dashes"));
            (StatusCode::PARTIAL_CONTENT, start, end)
        }
        Wanted::Unsatisfiable => {
            let text = format!("bytes */{length}");
            headers.insert(CONTENT_RANGE, HeaderValue::from_str(&text).expect("digits and a star"));
            headers.insert(CACHE_CONTROL, NO_STORE);
            headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
            return (StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response();
        }
    };
    headers.insert(CONTENT_LENGTH, HeaderValue::from(end - start));
    let first = chunks.next();
    let body = match (first, chunks.next()) {
        // A part is one buffer, so that is what viewers ask for most.
        (first, None) => Body::from(first.map(|chunk| chunk.slice(start as usize..end as usize)).unwrap_or_default()),
        (first, second) => {
            let all = first.into_iter().chain(second).chain(chunks);
            let chunks: Vec<_> = cut(all, start, end).map(Ok::<_, Infallible>).collect();
            Body::from_stream(futures_util::stream::iter(chunks))
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// What stands for a segment with gaps, whole, whatever range was asked for: it may be another one a moment later, so nobody may keep it or piece it
/// together.
pub(crate) fn stand_in(chunks: &[Bytes]) -> Response {
    let length = chunks.iter().map(|chunk| chunk.len() as u64).sum();
    let mut response = media(Range::All, chunks.iter(), length);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.remove(ACCEPT_RANGES);
    response
}

/// The slices of `chunks` that cover the bytes from `start` to before `end`.
fn cut<'a>(chunks: impl Iterator<Item = &'a Bytes>, start: u64, end: u64) -> impl Iterator<Item = Bytes> {
    let mut at = 0;
    chunks.filter_map(move |chunk| {
        let (from, to) = (at, at + chunk.len() as u64);
        at = to;
        let (first, last) = (start.max(from), end.min(to));
        // Within the chunk, so they fit its length.
        (first < last).then(|| chunk.slice((first - from) as usize..(last - from) as usize))
    })
}

/// As `response`, but no cache that several viewers share may keep it: it would go on when the viewer's session has ended.
pub(crate) fn for_one_viewer(mut response: Response) -> Response {
    let shared = response.headers().get(CACHE_CONTROL).and_then(|value| value.to_str().ok()?.strip_prefix("public,"));
    if let Some(rest) = shared.and_then(|rest| rest.split(", s-maxage").next())
        && let Ok(private) = HeaderValue::from_str(&format!("private,{rest}"))
    {
        response.headers_mut().insert(CACHE_CONTROL, private);
    }
    response
}

/// A failure in a sentence, for people; players go by the status.
pub(crate) fn failure(status: StatusCode, sentence: &str) -> Response {
    let text = format!("{sentence}\n");
    let length = HeaderValue::from(text.len());
    let mut response = (status, [(CACHE_CONTROL, NO_STORE), (CONTENT_LENGTH, length)], text).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// A failure of the multivariant playlist, as IVS words it: a JSON array with one object. The query is left out, it may hold a token.
pub(crate) fn playback_failure(status: StatusCode, path: &str, error: &str, error_code: &str) -> Response {
    let body = serde_json::json!([{ "url": path, "error": error, "error_code": error_code, "type": "error" }]);
    let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/json")), (CACHE_CONTROL, NO_STORE)];
    (status, headers, body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_range_is_the_same_bytes_whatever_the_buffers(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..8),
            start in 0u64..70,
            count in 1u64..70,
        ) {
            let whole = chunks.concat();
            let end = (start + count).min(whole.len() as u64);
            let chunks: Vec<Bytes> = chunks.into_iter().map(Bytes::from).collect();
            let expected = whole.get(start as usize..end as usize).unwrap_or_default();
            let got: Vec<u8> = cut(chunks.iter(), start, end).flatten().collect();
            prop_assert_eq!(got, expected);
        }
    }
}
