//! The rules that playlists must keep, checked on the text alone.
//!
//! [`Linter`] reads one media playlist after another, as a client would, with a reader of its own; it shares nothing with the writer. Within a text
//! it checks what rfc8216bis demands; between texts, what a client relies on: that nothing changes once it was said.
//!
//! A [`Finding`] of [`Severity::Error`] breaks a player or a MUST; [`Severity::Advice`] is about quality.

mod across;
mod follow;
mod read;
mod rules;

pub use across::across;
pub use follow::{Report, follow};
pub use read::{Problem, ReadPart, ReadPlaylist, ReadSegment, read};

use rules::Findings;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Advice,
    /// Players may fail.
    Error,
}

/// One rule that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The rule's short name, stable.
    pub rule: &'static str,
    /// What was found.
    pub detail: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.rule, self.detail)
    }
}

/// Every rule by its name.
pub const RULES: &[&str] = &[
    "block-reload",
    "change-after-end",
    "date",
    "date-back",
    "date-gap",
    "date-range-id",
    "date-range-start",
    "delta",
    "discontinuity-sequence",
    "duration",
    "full-playlist",
    "hint",
    "hint-after-end",
    "hint-broken",
    "hint-known",
    "hold-back",
    "long-part",
    "map",
    "map-change",
    "media-sequence-back",
    "missing-parts",
    "old-parts",
    "part-hold-back",
    "part-inf",
    "parts-changed",
    "parts-sum",
    "segment-changed",
    "segment-lost",
    "short-part",
    "skip-boundary",
    "syntax",
    "target-duration",
    "uri",
    "version",
    "window",
];

/// Follows one media playlist over its life.
#[derive(Debug, Default)]
pub struct Linter {
    previous: Option<ReadPlaylist>,
}

impl Linter {
    /// A linter that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks a full playlist, by itself and against the one before.
    pub fn check(&mut self, text: &str) -> Vec<Finding> {
        let mut findings = Findings::default();
        match read(text) {
            Ok(playlist) => {
                if playlist.skipped > 0 {
                    findings.error("full-playlist", "EXT-X-SKIP in a playlist that was asked for in full".into());
                }
                rules::within(&playlist, &mut findings);
                if let Some(previous) = &self.previous {
                    rules::between(previous, &playlist, &mut findings);
                }
                self.previous = Some(playlist);
            }
            Err(problem) => findings.error("syntax", problem.to_string()),
        }
        findings.into_vec()
    }

    /// Checks a delta update against the full playlist of the same moment, which [`check`](Self::check) has just seen.
    pub fn check_delta(&self, text: &str) -> Vec<Finding> {
        let mut findings = Findings::default();
        match (read(text), &self.previous) {
            (Ok(delta), Some(full)) => rules::delta(&delta, full, &mut findings),
            (Ok(_), None) => {}
            (Err(problem), _) => findings.error("syntax", problem.to_string()),
        }
        findings.into_vec()
    }
}

#[cfg(test)]
mod tests;
