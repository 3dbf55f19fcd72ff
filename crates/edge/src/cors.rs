//! Playback is for every origin: pages on any site may play, and service workers may read what they need. Tokens and restriction
//! policies may narrow that.

use axum::response::{IntoResponse, Response};
use headwater_model::playback::Origins;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, HeaderValue, VARY,
};
use http::{HeaderMap, StatusCode};

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// Which pages may read an answer. A handler that narrows it leaves this in the answer's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// All.
    Everyone,
    /// Those of this origin, which asked.
    This(HeaderValue),
    /// Not those that asked.
    Nobody,
}

impl Allowed {
    /// Who may read what is for pages of all these lists, when a page of this origin asks.
    pub(crate) fn by<'a>(lists: impl Iterator<Item = &'a Origins>, origin: Option<&str>) -> Self {
        let mut narrowed = lists.filter(|origins| !origins.is_empty()).peekable();
        if narrowed.peek().is_none() {
            return Allowed::Everyone;
        }
        let allowed = origin.filter(|origin| narrowed.all(|origins| origins.allow(origin)));
        match allowed.and_then(|origin| HeaderValue::from_str(origin).ok()) {
            Some(origin) => Allowed::This(origin),
            None => Allowed::Nobody,
        }
    }

    /// Leaves this in an answer.
    pub(crate) fn on(self, mut response: Response) -> Response {
        if self != Allowed::Everyone {
            response.extensions_mut().insert(self);
        }
        response
    }
}

/// Adds the headers to any answer, failures too: a page must be able to read why.
pub(crate) fn allow(mut response: Response) -> Response {
    let origin = match response.extensions_mut().remove::<Allowed>() {
        None | Some(Allowed::Everyone) => Some(HeaderValue::from_static("*")),
        Some(narrowed) => {
            // What one origin may read is no answer to another.
            response.headers_mut().insert(VARY, HeaderValue::from_static("Origin"));
            if let Allowed::This(origin) = narrowed { Some(origin) } else { None }
        }
    };
    let headers = response.headers_mut();
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
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
