//! What goes through the viewers' HTTP: requests that wait, how they ended, how late what they waited for came, and bytes.

use axum::response::Response;
use headwater_model::measure::{Counter, Durations};
use headwater_model::playback::Refusal;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// What is counted. Clones share one.
#[derive(Clone, Debug, Default)]
pub struct Traffic(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    waiting: AtomicUsize,
    delivery: [Durations; Kind::ALL.len()],
    answers: [Counter; Outcome::ALL.len()],
    bytes: [Counter; Kind::ALL.len()],
}

/// What an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Init segments, segments, parts.
    Media,
    /// Playlists.
    Playlist,
    /// Failures and the rest.
    Other,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 3] = [Kind::Media, Kind::Playlist, Kind::Other];

    /// As a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Media => "media",
            Kind::Playlist => "playlist",
            Kind::Other => "other",
        }
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With what was asked for.
    Served,
    /// 400: directives that are none, or too far ahead.
    BadRequest,
    /// 404: not there, not any more, or nobody is live.
    NotFound,
    /// 416.
    Range,
    /// 429: as many watch as may.
    TooManyViews,
    /// 403: a token that is missing or not good.
    Token,
    /// 403: a token that was used.
    TokenUsed,
    /// 403: no viewer session that is good for the stream.
    Session,
    /// 403: a viewer session that was revoked.
    Revoked,
    /// 403: another page's.
    Origin,
    /// 403: from a country that may not watch.
    Country,
    /// 403: a rendition larger than the token allows.
    Resolution,
    /// 503: nothing came from the encoder in time.
    Late,
    /// 503: as many requests wait as may.
    RoomFull,
    /// 503: the records cannot be read.
    Unavailable,
    /// Whoever waited left before there was an answer.
    Abandoned,
    /// Something else.
    Other,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Outcome; 17] = [
        Outcome::Served,
        Outcome::BadRequest,
        Outcome::NotFound,
        Outcome::Range,
        Outcome::TooManyViews,
        Outcome::Token,
        Outcome::TokenUsed,
        Outcome::Session,
        Outcome::Revoked,
        Outcome::Origin,
        Outcome::Country,
        Outcome::Resolution,
        Outcome::Late,
        Outcome::RoomFull,
        Outcome::Unavailable,
        Outcome::Abandoned,
        Outcome::Other,
    ];

    /// As a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Served => "served",
            Outcome::BadRequest => "bad_request",
            Outcome::NotFound => "not_found",
            Outcome::Range => "range",
            Outcome::TooManyViews => "too_many_views",
            Outcome::Token => "token",
            Outcome::TokenUsed => "token_used",
            Outcome::Session => "session",
            Outcome::Revoked => "revoked",
            Outcome::Origin => "origin",
            Outcome::Country => "country",
            Outcome::Resolution => "resolution",
            Outcome::Late => "late",
            Outcome::RoomFull => "room_full",
            Outcome::Unavailable => "unavailable",
            Outcome::Abandoned => "abandoned",
            Outcome::Other => "other",
        }
    }

    fn of_status(status: StatusCode) -> Self {
        match status {
            status if status.is_success() => Outcome::Served,
            StatusCode::BAD_REQUEST => Outcome::BadRequest,
            StatusCode::NOT_FOUND => Outcome::NotFound,
            StatusCode::RANGE_NOT_SATISFIABLE => Outcome::Range,
            StatusCode::TOO_MANY_REQUESTS => Outcome::TooManyViews,
            StatusCode::SERVICE_UNAVAILABLE => Outcome::Unavailable,
            _ => Outcome::Other,
        }
    }

    /// Leaves this in an answer whose status does not say it.
    pub(crate) fn on(self, mut response: Response) -> Response {
        response.extensions_mut().insert(self);
        response
    }
}

impl From<&Refusal> for Outcome {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Used => Outcome::TokenUsed,
            Refusal::Revoked => Outcome::Revoked,
            Refusal::Origin => Outcome::Origin,
            Refusal::Country => Outcome::Country,
            Refusal::Resolution => Outcome::Resolution,
            Refusal::Session => Outcome::Session,
            _ => Outcome::Token,
        }
    }
}

impl Traffic {
    /// Requests that wait now.
    pub fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::Relaxed)
    }

    /// From the moment something was published to the answer of a request that had waited for it.
    pub fn delivery(&self, kind: Kind) -> &Durations {
        &self.0.delivery[kind as usize]
    }

    /// Requests that ended so.
    pub fn answers(&self, outcome: Outcome) -> u64 {
        self.0.answers[outcome as usize].count()
    }

    /// Bytes of answers' bodies, counted when an answer begins.
    pub fn bytes(&self, kind: Kind) -> u64 {
        self.0.bytes[kind as usize].count()
    }

    pub(crate) fn note(&self, outcome: Outcome) {
        self.0.answers[outcome as usize].increment();
    }

    /// A request that waited is about to be answered with what was published then.
    pub(crate) fn delivered(&self, kind: Kind, published_at: Option<Instant>) {
        if let Some(at) = published_at {
            self.delivery(kind).note_us(u64::try_from(at.elapsed().as_micros()).unwrap_or(u64::MAX));
        }
    }

    /// Counts an answer.
    pub(crate) fn count(&self, response: &mut Response) {
        let outcome = response.extensions_mut().remove::<Outcome>();
        self.note(outcome.unwrap_or_else(|| Outcome::of_status(response.status())));
        let headers = response.headers();
        let kind = match headers.get(CONTENT_TYPE) {
            Some(kind) if *kind == crate::respond::MEDIA_TYPE => Kind::Media,
            Some(kind) if *kind == crate::respond::PLAYLIST_TYPE => Kind::Playlist,
            _ => Kind::Other,
        };
        let length = headers.get(CONTENT_LENGTH).and_then(|text| text.to_str().ok()?.parse().ok());
        self.0.bytes[kind as usize].add(length.unwrap_or(0));
    }

    /// One more waits; how many did before.
    pub(crate) fn enter(&self) -> usize {
        self.0.waiting.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn leave(&self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_place_and_a_label_of_its_own() {
        let labels: std::collections::HashSet<_> = Outcome::ALL.iter().map(|outcome| outcome.as_str()).collect();
        assert_eq!(labels.len(), Outcome::ALL.len());
        for (place, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, place);
        }
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
        }
    }
}
