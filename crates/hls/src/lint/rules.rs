//! The rules, one function each. Sources: rfc8216bis by section title; the pitfalls are those that peers' users met.

use super::read::{ReadPlaylist, ReadSegment, date, micros};
use super::{Finding, Severity};
use std::collections::{BTreeMap, BTreeSet};

/// Slack for decimals that were rounded, microseconds.
const ROUNDING_US: i64 = 20;
/// Slack between dates, which are whole milliseconds, and durations.
const DATE_SLACK_US: i64 = 2_500;

#[derive(Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn error(&mut self, rule: &'static str, detail: String) {
        self.0.push(Finding { severity: Severity::Error, rule, detail });
    }

    fn advice(&mut self, rule: &'static str, detail: String) {
        self.0.push(Finding { severity: Severity::Advice, rule, detail });
    }

    pub(super) fn into_vec(self) -> Vec<Finding> {
        self.0
    }
}

/// The rules of one text.
pub(super) fn within(playlist: &ReadPlaylist, findings: &mut Findings) {
    segments(playlist, findings);
    server_control(playlist, findings);
    parts(playlist, findings);
    dates(playlist, findings);
    hint(playlist, findings);
    date_ranges(playlist, findings);
    uris(playlist, findings);
}

/// "EXT-X-TARGETDURATION": each EXTINF, rounded, is at most the target duration. "EXT-X-MAP": fMP4 needs an init segment.
fn segments(playlist: &ReadPlaylist, findings: &mut Findings) {
    if playlist.version < 9 {
        findings.error("version", format!("{} is below 9, which EXT-X-SKIP needs", playlist.version));
    }
    for segment in closed(playlist) {
        if (segment.duration_us + 500_000) / 1_000_000 > playlist.target_duration_s {
            findings.error(
                "target-duration",
                format!("{} lasts {} µs, target {} s", name(segment), segment.duration_us, playlist.target_duration_s),
            );
        }
        if segment.duration_us <= 0 {
            findings.error("duration", format!("{} lasts {} µs", name(segment), segment.duration_us));
        }
    }
    for segment in &playlist.segments {
        if segment.map.is_none() {
            findings.error("map", format!("{} has no EXT-X-MAP before it", name(segment)));
        }
    }
    let lasts: i64 = closed(playlist).map(|segment| segment.duration_us).sum();
    if !playlist.ended && playlist.media_sequence > 0 && lasts < 3 * playlist.target_duration_s * 1_000_000 {
        findings.error("window", format!("segments last {lasts} µs, below three target durations"));
    }
}

/// "EXT-X-SERVER-CONTROL": the hold-backs and the skip boundary have minima.
fn server_control(playlist: &ReadPlaylist, findings: &mut Findings) {
    let value = |name: &str| playlist.server_control.get(name).and_then(|text| micros(text));
    let target_us = playlist.target_duration_s * 1_000_000;
    if playlist.server_control.get("CAN-BLOCK-RELOAD").is_none_or(|yes| yes != "YES") {
        findings.error("block-reload", "CAN-BLOCK-RELOAD is not YES".into());
    }
    if value("CAN-SKIP-UNTIL").is_some_and(|skip| skip < 6 * target_us) {
        findings.error("skip-boundary", "CAN-SKIP-UNTIL is below six target durations".into());
    }
    if value("HOLD-BACK").is_some_and(|hold_back| hold_back < 3 * target_us) {
        findings.error("hold-back", "HOLD-BACK is below three target durations".into());
    }
    if let Some(part_target) = playlist.part_target_us {
        match value("PART-HOLD-BACK") {
            None => findings.error("part-hold-back", "parts without PART-HOLD-BACK".into()),
            Some(held) if held < 2 * part_target => {
                findings.error("part-hold-back", format!("{held} µs is below two part targets"));
            }
            Some(held) if held < 3 * part_target => {
                findings.advice("part-hold-back", format!("{held} µs is below three part targets"));
            }
            Some(_) => {}
        }
    }
}

/// "EXT-X-PART": at most the part target; at least 85 % of it, unless it is independent, a gap, before a gap, or its segment's last. Parts make up
/// their segment, and are listed near the end only ("Server Recommendations").
fn parts(playlist: &ReadPlaylist, findings: &mut Findings) {
    let Some(target) = playlist.part_target_us else {
        if playlist.segments.iter().any(|segment| !segment.parts.is_empty()) {
            findings.error("part-inf", "parts without EXT-X-PART-INF".into());
        }
        return;
    };
    let mut after_us = 0;
    for segment in playlist.segments.iter().rev() {
        let sum: i64 = segment.parts.iter().map(|part| part.duration_us).sum();
        let closed = segment.uri.is_some();
        if closed && !segment.parts.is_empty() {
            if (sum - segment.duration_us).abs() > ROUNDING_US * (segment.parts.len() as i64 + 1) {
                findings.error(
                    "parts-sum",
                    format!("{}: parts last {sum} µs, the segment {} µs", name(segment), segment.duration_us),
                );
            }
            if after_us > 3 * playlist.target_duration_s * 1_000_000 {
                findings.advice("old-parts", format!("{} lists parts {after_us} µs from the end", name(segment)));
            }
        }
        if closed && segment.parts.is_empty() && after_us < 2 * playlist.target_duration_s * 1_000_000 {
            findings.error("missing-parts", format!("{} lists no parts near the end", name(segment)));
        }
        after_us += if closed { segment.duration_us } else { sum };
        for (index, part) in segment.parts.iter().enumerate() {
            if part.duration_us > target {
                findings.error("long-part", format!("{} lasts {} µs, target {target}", part.uri, part.duration_us));
            }
            let next = segment.parts.get(index + 1);
            // The newest part of an open segment may be its last.
            let exempt = part.independent || part.gap || next.is_none_or(|next| next.gap);
            if !exempt && part.duration_us * 100 < target * 85 {
                findings.error("short-part", format!("{} lasts {} µs, target {target}", part.uri, part.duration_us));
            }
        }
    }
}

/// EXT-X-PROGRAM-DATE-TIME stands on every segment and agrees with the durations, except across a discontinuity, or after it if nothing but a
/// part's time lies between: the segment that stands for an outage has the discontinuity. It never goes back.
fn dates(playlist: &ReadPlaylist, findings: &mut Findings) {
    for segment in &playlist.segments {
        if segment.date_us.is_none() {
            findings.error("date", format!("{} has no EXT-X-PROGRAM-DATE-TIME", name(segment)));
        }
    }
    for pair in playlist.segments.windows(2) {
        let [before, after] = pair else { continue };
        let (Some(start), Some(next)) = (before.date_us, after.date_us) else { continue };
        let expected = start + before.duration_us;
        if next < expected - DATE_SLACK_US {
            findings.error(
                "date-back",
                format!("{} begins {} µs before {} ends", name(after), expected - next, name(before)),
            );
        }
        let bridge = before.discontinuity && playlist.part_target_us.is_some_and(|target| before.duration_us <= target);
        if !after.discontinuity && !bridge && next > expected + DATE_SLACK_US {
            findings.error(
                "date-gap",
                format!("{} begins {} µs after {} ends", name(after), next - expected, name(before)),
            );
        }
        if !after.discontinuity && before.map != after.map {
            findings.error("map-change", format!("{} has another init segment without a discontinuity", name(after)));
        }
    }
}

/// "EXT-X-PRELOAD-HINT": one hint of a part that is not listed, while the playlist is open.
fn hint(playlist: &ReadPlaylist, findings: &mut Findings) {
    match (playlist.ended, &playlist.hints[..]) {
        (true, []) => {}
        (true, _) => findings.error("hint-after-end", "EXT-X-PRELOAD-HINT beside EXT-X-ENDLIST".into()),
        (false, [hint]) => {
            let listed = playlist.segments.iter().flat_map(|segment| &segment.parts);
            if listed.into_iter().any(|part| part.uri == *hint) {
                findings.error("hint-known", format!("{hint} is listed already"));
            }
        }
        (false, hints) => findings.error("hint", format!("{} preload hints", hints.len())),
    }
}

/// "EXT-X-DATERANGE": ids are unique, but for the two ends of an ad break ("Mapping SCTE-35 into EXT-X-DATERANGE"); those
/// agree in what both say. The start is a date.
fn date_ranges(playlist: &ReadPlaylist, findings: &mut Findings) {
    let mut ids = BTreeMap::new();
    for range in &playlist.date_ranges {
        match range.get("ID") {
            Some(id) => match ids.insert(id, range) {
                None => {}
                Some(out) if out.contains_key("SCTE35-OUT") && range.contains_key("SCTE35-IN") => {
                    let contrary = range.iter().find(|(name, value)| out.get(*name).is_some_and(|out| out != *value));
                    if let Some((name, _)) = contrary {
                        findings.error("date-range-id", format!("the two ends of {id} differ in {name}"));
                    }
                }
                Some(_) => findings.error("date-range-id", format!("{id} comes twice")),
            },
            None => findings.error("date-range-id", "EXT-X-DATERANGE without ID".into()),
        }
        if range.get("START-DATE").and_then(|text| date(text)).is_none() {
            findings.error("date-range-start", format!("{range:?} has no START-DATE"));
        }
    }
}

/// A URI names one thing.
fn uris(playlist: &ReadPlaylist, findings: &mut Findings) {
    let mut seen = BTreeSet::new();
    for segment in &playlist.segments {
        let parts = segment.parts.iter().map(|part| &part.uri);
        for uri in segment.uri.iter().chain(parts) {
            if !seen.insert(uri) {
                findings.error("uri", format!("{uri} comes twice"));
            }
        }
    }
}

/// The rules between a text and the one after it ("Client Responsibilities", "Server Responsibilities").
pub(super) fn between(before: &ReadPlaylist, after: &ReadPlaylist, findings: &mut Findings) {
    let constant = [
        ("target-duration-change", before.target_duration_s == after.target_duration_s),
        ("part-target-change", before.part_target_us == after.part_target_us),
        ("server-control-change", before.server_control == after.server_control),
        ("version-change", before.version == after.version),
    ];
    for (rule, kept) in constant {
        if !kept {
            findings.error(rule, "changed in the life of the playlist".into());
        }
    }
    if before.ended && before != after {
        findings.error("change-after-end", "the playlist changed after EXT-X-ENDLIST".into());
    }
    let removed = after.media_sequence - before.media_sequence;
    if removed < 0 {
        findings.error("media-sequence-back", format!("went back by {}", -removed));
        return;
    }
    let removed = usize::try_from(removed).unwrap_or(usize::MAX).min(before.segments.len());
    let gone = before.segments[..removed].iter().filter(|segment| segment.discontinuity).count();
    if before.discontinuity_sequence + gone as i64 != after.discontinuity_sequence {
        findings.error(
            "discontinuity-sequence",
            format!(
                "{gone} discontinuities left, {} became {}",
                before.discontinuity_sequence, after.discontinuity_sequence
            ),
        );
    }
    let kept = &before.segments[removed..];
    for (index, old) in kept.iter().enumerate() {
        match after.segments.get(index) {
            Some(new) => same_segment(old, new, findings),
            None => findings.error("segment-lost", format!("{} is no longer listed", name(old))),
        }
    }
    if let [hint] = &before.hints[..]
        && !after.ended
    {
        let known = after.segments.iter().flat_map(|segment| &segment.parts).any(|part| part.uri == *hint);
        if !known && !after.hints.contains(hint) && !overtaken(hint, after) {
            findings.error("hint-broken", format!("{hint} was announced and never came"));
        }
    }
}

/// Whether nothing can be held against an announced part that is not listed: its segment is so old already that its parts are no
/// longer listed, or a discontinuity ended the segment. An encoder that breaks off or jumps just after a part was closed leaves
/// nothing to fill the announced one with; rfc8216bis "EXT-X-PRELOAD-HINT" has clients bear that.
fn overtaken(hint: &str, after: &ReadPlaylist) -> bool {
    let Some((segment, _)) = hint.split_once(".p") else { return false };
    let uri = Some(format!("{segment}.m4s"));
    let Some(at) = after.segments.iter().position(|segment| segment.uri == uri) else { return false };
    let next = after.segments.get(at + 1);
    after.segments[at].parts.is_empty() || next.is_some_and(|segment| segment.discontinuity)
}

fn same_segment(old: &ReadSegment, new: &ReadSegment, findings: &mut Findings) {
    let fixed = old.date_us == new.date_us && old.discontinuity == new.discontinuity && old.map == new.map;
    if !fixed {
        findings.error("segment-changed", format!("{} has other tags than before", name(new)));
    }
    if old.uri.is_some() {
        if (&old.uri, old.duration_us) != (&new.uri, new.duration_us) {
            findings.error("segment-changed", format!("{} became {}", name(old), name(new)));
        }
        // Parts may leave once the segment is old.
        if !new.parts.is_empty() && new.parts != old.parts {
            findings.error("parts-changed", format!("{} has other parts than before", name(new)));
        }
    } else if !(new.parts.starts_with(&old.parts) || new.parts.is_empty() && new.uri.is_some()) {
        findings.error("parts-changed", format!("{} lost or changed parts", name(new)));
    }
}

/// "Playlist Delta Updates": the skipped part lies beyond the boundary, and the rest is the full playlist's.
pub(super) fn delta(delta: &ReadPlaylist, full: &ReadPlaylist, findings: &mut Findings) {
    let skipped = usize::try_from(delta.skipped).unwrap_or(usize::MAX);
    if skipped == 0 {
        if delta != full {
            findings.error("delta", "differs from the full playlist although nothing is skipped".into());
        }
        return;
    }
    let Some(kept) = full.segments.get(skipped..) else {
        findings.error("delta", format!("{skipped} segments are skipped of {}", full.segments.len()));
        return;
    };
    if kept != &delta.segments[..] {
        findings.error("delta", "what is not skipped differs from the full playlist".into());
    }
    let head = |playlist: &ReadPlaylist| {
        (playlist.media_sequence, playlist.discontinuity_sequence, playlist.target_duration_s, playlist.ended)
    };
    if head(delta) != head(full) || delta.date_ranges != full.date_ranges || delta.hints != full.hints {
        findings.error("delta", "its tags differ from the full playlist's".into());
    }
    let boundary = full.server_control.get("CAN-SKIP-UNTIL").and_then(|text| micros(text)).unwrap_or(0);
    // The boundary counts from the end of the playlist, which is that of its last part.
    let open = |segment: &ReadSegment| segment.parts.iter().map(|part| part.duration_us).sum();
    let lasts: i64 =
        kept.iter().map(|segment| if segment.uri.is_some() { segment.duration_us } else { open(segment) }).sum();
    if lasts < boundary {
        findings.error("skip-boundary", format!("only {lasts} µs remain, boundary {boundary}"));
    }
}

fn closed(playlist: &ReadPlaylist) -> impl Iterator<Item = &ReadSegment> {
    playlist.segments.iter().filter(|segment| segment.uri.is_some())
}

fn name(segment: &ReadSegment) -> &str {
    segment.uri.as_deref().unwrap_or("the open segment")
}
