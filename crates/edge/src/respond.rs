//! Answers: headers, ranges, failures.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderValue, IF_RANGE, RANGE,
    RETRY_AFTER,
};
use http::{HeaderMap, StatusCode};
use std::convert::Infallible;

const PLAYLIST_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.apple.mpegurl");
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("video/mp4");
/// The address names the stream session and the place in it, so what it shows never changes: seven days.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=604800, immutable");
/// A cache may keep it but asks each time; so it never shows an old live edge.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");
/// What is not there may be there in a moment: no cache may remember.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// How long a playlist holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// The next one differs.
    Newest,
    /// It is for one viewer, and what let them see it may be used up.
    Once,
    /// It never changes; nobody asks for it after this many seconds.
    Fixed(u64),
}

pub(crate) fn playlist(text: Bytes, lifetime: Lifetime) -> Response {
    let cache = match lifetime {
        Lifetime::Newest => REVALIDATE,
        Lifetime::Once => NO_STORE,
        Lifetime::Fixed(seconds) => HeaderValue::from_str(&format!("public, max-age={seconds}")).unwrap_or(REVALIDATE),
    };
    let length = HeaderValue::from(text.len());
    ([(CONTENT_TYPE, PLAYLIST_TYPE), (CACHE_CONTROL, cache), (CONTENT_LENGTH, length)], Body::from(text))
        .into_response()
}

/// Media of `length` bytes in all, in order; the range that `request` asks for, or everything.
pub(crate) fn media(request: &HeaderMap, chunks: impl Iterator<Item = Bytes>, length: u64) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, MEDIA_TYPE);
    headers.insert(CACHE_CONTROL, IMMUTABLE);
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let (status, start, end) = match range(request, length) {
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
            return (StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response();
        }
    };
    headers.insert(CONTENT_LENGTH, HeaderValue::from(end - start));
    let chunks: Vec<_> = cut(chunks, start, end).map(Ok::<_, Infallible>).collect();
    (status, headers, Body::from_stream(futures_util::stream::iter(chunks))).into_response()
}

/// The slices of `chunks` that cover the bytes from `start` to before `end`.
fn cut(chunks: impl Iterator<Item = Bytes>, start: u64, end: u64) -> impl Iterator<Item = Bytes> {
    let mut at = 0;
    chunks.filter_map(move |chunk| {
        let (from, to) = (at, at + chunk.len() as u64);
        at = to;
        let (first, last) = (start.max(from), end.min(to));
        // Within the chunk, so they fit its length.
        (first < last).then(|| chunk.slice((first - from) as usize..(last - from) as usize))
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    All,
    /// From `start` to before `end`, not empty.
    Part {
        start: u64,
        end: u64,
    },
    Unsatisfiable,
}

/// One range of bytes. What is malformed, or several ranges, is answered with everything. Source: RFC 9110, "Range Requests".
fn range(request: &HeaderMap, length: u64) -> Wanted {
    // We send no validator, so none can match.
    let Some(value) = request.get(RANGE).filter(|_| !request.contains_key(IF_RANGE)) else {
        return Wanted::All;
    };
    let Some(spec) = value.to_str().ok().and_then(|value| value.trim().strip_prefix("bytes=")) else {
        return Wanted::All;
    };
    let Some((first, last)) = spec.split_once('-') else {
        return Wanted::All;
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(first) || !digits(last) {
        return Wanted::All;
    }
    // More digits than fit mean "to the end".
    let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
    match (first, last) {
        ("", "") => Wanted::All,
        ("", suffix) => match number(suffix).min(length) {
            0 => Wanted::Unsatisfiable,
            suffix => Wanted::Part { start: length - suffix, end: length },
        },
        (first, last) => {
            let start = number(first);
            let end = if last.is_empty() { length } else { number(last).saturating_add(1).min(length) };
            match start {
                start if start >= length => Wanted::Unsatisfiable,
                start if !last.is_empty() && number(last) < start => Wanted::All,
                start => Wanted::Part { start, end },
            }
        }
    }
}

/// As `response`, but no cache that several viewers share may keep it: it would go on when the viewer's session has ended.
pub(crate) fn for_one_viewer(mut response: Response) -> Response {
    let shared = response.headers().get(CACHE_CONTROL).and_then(|value| value.to_str().ok()?.strip_prefix("public,"));
    if let Some(rest) = shared
        && let Ok(private) = HeaderValue::from_str(&format!("private,{rest}"))
    {
        response.headers_mut().insert(CACHE_CONTROL, private);
    }
    response
}

/// A failure in a sentence, for people; players go by the status.
pub(crate) fn failure(status: StatusCode, sentence: &str) -> Response {
    let mut response = (status, [(CACHE_CONTROL, NO_STORE)], format!("{sentence}\n")).into_response();
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

    fn wanted(value: &str, length: u64) -> Wanted {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, HeaderValue::from_str(value).unwrap());
        range(&headers, length)
    }

    #[test]
    fn one_range_is_understood() {
        assert_eq!(wanted("bytes=0-0", 10), Wanted::Part { start: 0, end: 1 });
        assert_eq!(wanted("bytes=3-", 10), Wanted::Part { start: 3, end: 10 });
        assert_eq!(wanted("bytes=-4", 10), Wanted::Part { start: 6, end: 10 });
        assert_eq!(wanted("bytes=-40", 10), Wanted::Part { start: 0, end: 10 });
        assert_eq!(wanted("bytes=2-99999999999999999999999", 10), Wanted::Part { start: 2, end: 10 });
        assert_eq!(wanted("bytes=10-", 10), Wanted::Unsatisfiable);
        assert_eq!(wanted("bytes=-0", 10), Wanted::Unsatisfiable);
        for other in ["bytes=5-2", "bytes=0-1,3-4", "items=0-1", "bytes=a-b", "bytes=-", "bytes"] {
            assert_eq!(wanted(other, 10), Wanted::All, "{other}");
        }
    }

    proptest! {
        #[test]
        fn a_range_is_the_same_bytes_whatever_the_buffers(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..8),
            start in 0u64..70,
            count in 1u64..70,
        ) {
            let whole = chunks.concat();
            let end = (start + count).min(whole.len() as u64);
            let expected = whole.get(start as usize..end as usize).unwrap_or_default();
            let got: Vec<u8> = cut(chunks.into_iter().map(Bytes::from), start, end).flatten().collect();
            prop_assert_eq!(got, expected);
        }

        #[test]
        fn no_range_panics_or_leaves_the_body(value in "(bytes=)?[0-9]{0,22}-?[0-9]{0,22}", length in 0u64..100) {
            if let Wanted::Part { start, end } = wanted(&value, length) {
                prop_assert!(start < end && end <= length);
            }
        }
    }
}
