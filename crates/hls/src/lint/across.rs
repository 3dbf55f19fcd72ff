//! The rules that the renditions of one stream must keep among themselves, so that a player may change between them.

use super::read::{ReadPlaylist, ReadSegment, read};
use super::rules::Findings;
use super::{Finding, Severity};

/// Checks the media playlists of one stream against the first of them: name and text of each, read at about the same time.
///
/// rfc8216bis, "EXT-X-STREAM-INF" and "Server Responsibilities": matching content has matching sequence numbers, dates and discontinuities, and
/// target durations are the same. "EXT-X-RENDITION-REPORT": each playlist reports the others.
pub fn across(renditions: &[(&str, &str)]) -> Vec<Finding> {
    let mut findings = Findings::default();
    let mut playlists = Vec::new();
    for (name, text) in renditions {
        match read(text) {
            Ok(playlist) => playlists.push((*name, playlist)),
            Err(problem) => findings.error("syntax", format!("{name}: {problem}")),
        }
    }
    let Some((_, lead)) = playlists.first() else { return findings.into_vec() };
    for (name, playlist) in &playlists[1..] {
        if playlist.target_duration_s != lead.target_duration_s || playlist.part_target_us != lead.part_target_us {
            findings.error("same-targets", format!("{name} has other targets"));
        }
        for (msn, segment) in numbered(playlist) {
            if let Some((_, other)) = numbered(lead).find(|(known, _)| *known == msn) {
                compare(name, msn, segment, other, &mut findings);
            }
        }
        for range in &playlist.date_ranges {
            let mut others = lead.date_ranges.iter().filter(|other| other.get("ID") == range.get("ID")).peekable();
            if others.peek().is_some() && !others.any(|other| other == range) {
                findings.error("same-cues", format!("{name} has another {:?}", range.get("ID")));
            }
        }
    }
    for (name, playlist) in &playlists {
        let missing = playlists.iter().filter(|(other, _)| other != name).find(|(other, _)| {
            let uri = format!("../{other}/media.m3u8");
            !playlist.reports.iter().any(|report| report.get("URI") == Some(&uri))
        });
        if let (Some((other, _)), false) = (missing, playlist.ended) {
            findings.error("rendition-report", format!("{name} does not report {other}"));
        }
    }
    let mut findings = findings.into_vec();
    findings.retain(|finding| finding.severity == Severity::Error);
    findings
}

fn numbered(playlist: &ReadPlaylist) -> impl Iterator<Item = (i64, &ReadSegment)> {
    (playlist.media_sequence..).zip(&playlist.segments)
}

fn compare(name: &str, msn: i64, segment: &ReadSegment, other: &ReadSegment, findings: &mut Findings) {
    if segment.date_us != other.date_us {
        findings.error("same-dates", format!("{name}: segment {msn} has another date"));
    }
    if segment.discontinuity != other.discontinuity {
        findings.error("same-discontinuities", format!("{name}: segment {msn} differs in its discontinuity"));
    }
    // At the end a rendition may lack what was still being encoded.
    let whole = segment.parts.len() == other.parts.len();
    if whole && segment.uri.is_some() && other.uri.is_some() && segment.duration_us != other.duration_us {
        findings.error("same-durations", format!("{name}: segment {msn} has another duration"));
    }
    let differs =
        segment.parts.iter().zip(&other.parts).position(|(part, other)| part.duration_us != other.duration_us);
    if let Some(part) = differs {
        findings.error("same-parts", format!("{name}: part {part} of segment {msn} has another duration"));
    }
}
