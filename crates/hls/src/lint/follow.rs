//! Checks a live window as a client would have met it: revision after revision, each with its delta update.

use super::{Finding, Linter, RULES};
use crate::playlist::{self, Delta};
use crate::snapshot::{Position, Snapshot};

/// Different findings that a report holds.
const FINDINGS_MAX: usize = 50;

/// What was checked and found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Playlists that were read, each in full and as a delta update.
    pub revisions: usize,
    /// The names of the rules that were checked.
    pub rules: &'static [&'static str],
    /// Each finding once, worst first; at most fifty.
    pub findings: Vec<Finding>,
}

/// Follows the playlist through all the revisions that the window still holds.
pub fn follow(snapshot: &Snapshot) -> Report {
    let mut linter = Linter::new();
    let mut report = Report { revisions: 0, rules: RULES, findings: Vec::new() };
    for segment in snapshot.segments.iter().chain(&snapshot.open) {
        for part in 0..segment.parts.len() {
            let position = Position { msn: segment.msn, part };
            if let (Some(full), Some(delta)) = (
                playlist::media_at(snapshot, position, Delta::Full),
                playlist::media_at(snapshot, position, Delta::Skip),
            ) {
                report.read(&mut linter, &full, &delta);
            }
        }
    }
    report.read(&mut linter, &playlist::media(snapshot, Delta::Full), &playlist::media(snapshot, Delta::Skip));
    report.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    report
}

impl Report {
    fn read(&mut self, linter: &mut Linter, full: &str, delta: &str) {
        self.revisions += 1;
        for finding in linter.check(full).into_iter().chain(linter.check_delta(delta)) {
            if self.findings.len() < FINDINGS_MAX && !self.findings.contains(&finding) {
                self.findings.push(finding);
            }
        }
    }
}
