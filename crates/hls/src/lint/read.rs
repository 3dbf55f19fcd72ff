//! Reads the text of a media playlist. Durations are microseconds.

use std::collections::BTreeMap;

/// Why a text could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct Problem {
    /// From 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

/// A part as the playlist lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadPart {
    /// As written.
    pub uri: String,
    /// DURATION.
    pub duration_us: i64,
    /// INDEPENDENT=YES.
    pub independent: bool,
    /// GAP=YES.
    pub gap: bool,
}

/// A segment as the playlist lists it; the last may be open: parts without a segment yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadSegment {
    /// Its URI; absent while it is open.
    pub uri: Option<String>,
    /// EXTINF.
    pub duration_us: i64,
    /// Its parts, if they are listed.
    pub parts: Vec<ReadPart>,
    /// EXT-X-PROGRAM-DATE-TIME, microseconds since the Unix epoch.
    pub date_us: Option<i64>,
    /// EXT-X-DISCONTINUITY stands before it.
    pub discontinuity: bool,
    /// EXT-X-GAP stands before it.
    pub gap: bool,
    /// The URI of the init segment in force.
    pub map: Option<String>,
}

/// A media playlist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadPlaylist {
    /// EXT-X-VERSION.
    pub version: i64,
    /// EXT-X-TARGETDURATION, seconds.
    pub target_duration_s: i64,
    /// EXT-X-MEDIA-SEQUENCE.
    pub media_sequence: i64,
    /// EXT-X-DISCONTINUITY-SEQUENCE.
    pub discontinuity_sequence: i64,
    /// The attributes of EXT-X-SERVER-CONTROL.
    pub server_control: BTreeMap<String, String>,
    /// PART-TARGET.
    pub part_target_us: Option<i64>,
    /// SKIPPED-SEGMENTS of EXT-X-SKIP.
    pub skipped: i64,
    /// Closed segments, then the open one if it has a part.
    pub segments: Vec<ReadSegment>,
    /// The attributes of each EXT-X-RENDITION-REPORT.
    pub reports: Vec<BTreeMap<String, String>>,
    /// URIs of EXT-X-PRELOAD-HINT.
    pub hints: Vec<String>,
    /// The attributes of each EXT-X-DATERANGE.
    pub date_ranges: Vec<BTreeMap<String, String>>,
    /// EXT-X-ENDLIST.
    pub ended: bool,
}

/// Reads a media playlist.
///
/// # Errors
/// [`Problem`]: a line that is not what the specification allows, or that this reader does not know.
pub fn read(text: &str) -> Result<ReadPlaylist, Problem> {
    let mut playlist = ReadPlaylist::default();
    let mut current = ReadSegment::default();
    let mut extinf = None;
    let mut target_seen = false;
    if !text.starts_with("#EXTM3U\n") {
        return Err(Problem { line: 1, what: "EXTM3U is not the first line" });
    }
    for (index, line) in text.lines().enumerate().skip(1) {
        let problem = |what| Problem { line: index + 1, what };
        if line.is_empty() {
            continue;
        }
        let Some(tag) = line.strip_prefix('#') else {
            current.duration_us = extinf.take().ok_or_else(|| problem("segment without EXTINF"))?;
            current.uri = Some(line.to_owned());
            let map = current.map.clone();
            playlist.segments.push(std::mem::take(&mut current));
            current.map = map;
            continue;
        };
        let (name, value) = tag.split_once(':').unwrap_or((tag, ""));
        let integer = |text: &str| text.parse::<i64>().map_err(|_| problem("not an integer"));
        match name {
            "EXT-X-VERSION" => playlist.version = integer(value)?,
            "EXT-X-TARGETDURATION" => {
                playlist.target_duration_s = integer(value)?;
                target_seen = true;
            }
            "EXT-X-MEDIA-SEQUENCE" => playlist.media_sequence = integer(value)?,
            "EXT-X-DISCONTINUITY-SEQUENCE" => playlist.discontinuity_sequence = integer(value)?,
            "EXT-X-SERVER-CONTROL" => {
                playlist.server_control = attributes(value).map_err(problem)?;
            }
            "EXT-X-PART-INF" => {
                let attributes = attributes(value).map_err(problem)?;
                let target = attributes.get("PART-TARGET").and_then(|text| micros(text));
                playlist.part_target_us = Some(target.ok_or_else(|| problem("PART-INF without PART-TARGET"))?);
            }
            "EXT-X-SKIP" => {
                if !playlist.segments.is_empty() || !current.parts.is_empty() {
                    return Err(problem("EXT-X-SKIP after a segment"));
                }
                let attributes = attributes(value).map_err(problem)?;
                playlist.skipped = attributes
                    .get("SKIPPED-SEGMENTS")
                    .and_then(|text| text.parse().ok())
                    .ok_or_else(|| problem("SKIP without SKIPPED-SEGMENTS"))?;
            }
            "EXTINF" => {
                let (seconds, _title) = value.split_once(',').ok_or_else(|| problem("EXTINF without a comma"))?;
                extinf = Some(micros(seconds).ok_or_else(|| problem("EXTINF is not a decimal"))?);
            }
            "EXT-X-PART" => {
                let attributes = attributes(value).map_err(problem)?;
                let duration = attributes.get("DURATION").and_then(|text| micros(text));
                current.parts.push(ReadPart {
                    uri: attributes.get("URI").cloned().ok_or_else(|| problem("PART without URI"))?,
                    duration_us: duration.ok_or_else(|| problem("PART without DURATION"))?,
                    independent: attributes.get("INDEPENDENT").is_some_and(|yes| yes == "YES"),
                    gap: attributes.get("GAP").is_some_and(|yes| yes == "YES"),
                });
            }
            "EXT-X-PROGRAM-DATE-TIME" => {
                current.date_us = Some(date(value).ok_or_else(|| problem("not a date and time in UTC"))?);
            }
            "EXT-X-DISCONTINUITY" => current.discontinuity = true,
            "EXT-X-MAP" => {
                let attributes = attributes(value).map_err(problem)?;
                let uri = attributes.get("URI").cloned();
                current.map = Some(uri.ok_or_else(|| problem("MAP without URI"))?);
            }
            "EXT-X-DATERANGE" => {
                playlist.date_ranges.push(attributes(value).map_err(problem)?);
            }
            "EXT-X-PRELOAD-HINT" => {
                let attributes = attributes(value).map_err(problem)?;
                let uri = attributes.get("URI").cloned();
                playlist.hints.push(uri.ok_or_else(|| problem("PRELOAD-HINT without URI"))?);
            }
            "EXT-X-GAP" => current.gap = true,
            "EXT-X-RENDITION-REPORT" => {
                playlist.reports.push(attributes(value).map_err(problem)?);
            }
            "EXT-X-ENDLIST" => playlist.ended = true,
            _ if name.starts_with("EXT") => return Err(problem("unknown tag")),
            _ => {}
        }
    }
    if !target_seen {
        return Err(Problem { line: 1, what: "no EXT-X-TARGETDURATION" });
    }
    if !current.parts.is_empty() {
        playlist.segments.push(current);
    }
    Ok(playlist)
}

/// An attribute list (rfc8216bis, "Attribute Lists"): quoted values without their quotes. A name must not come twice.
fn attributes(mut text: &str) -> Result<BTreeMap<String, String>, &'static str> {
    let mut attributes = BTreeMap::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once('=').ok_or("attribute without a value")?;
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-') {
            return Err("attribute name has other characters than A-Z, 0-9 and -");
        }
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or("quote is not closed")?,
            None => rest.split_at(rest.find(',').unwrap_or(rest.len())),
        };
        if attributes.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err("attribute comes twice");
        }
        text = match rest.strip_prefix(',') {
            Some(more) if !more.is_empty() => more,
            None if rest.is_empty() => rest,
            _ => return Err("attributes are not separated by commas"),
        };
    }
    Ok(attributes)
}

/// Decimal seconds as microseconds.
pub(super) fn micros(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 6 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let padded = format!("{fraction:0<6}");
    whole.parse::<i64>().ok()?.checked_mul(1_000_000)?.checked_add(padded.parse().ok()?)
}

/// `YYYY-MM-DDTHH:MM:SS.mmmZ` as microseconds since the Unix epoch.
pub(super) fn date(text: &str) -> Option<i64> {
    let text = text.strip_suffix('Z')?;
    let (day, time) = text.split_once('T')?;
    let mut day = day.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, dom) = (day.next()?.ok()?, day.next()?.ok()?, day.next()?.ok()?);
    let mut time = time.splitn(3, ':');
    let (hour, minute) = (time.next()?.parse::<i64>().ok()?, time.next()?.parse::<i64>().ok()?);
    let second = micros(time.next()?)?;
    let in_range = (1..=12).contains(&month) && (1..=31).contains(&dom) && hour < 24 && minute < 60;
    if !in_range {
        return None;
    }
    // Days before each month of a common year, and the leap days before the date.
    let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][(month - 1) as usize];
    let leap_year = if month > 2 { year } else { year - 1 };
    let leaps = leap_year / 4 - leap_year / 100 + leap_year / 400;
    let days = (year - 1970) * 365 + before + (dom - 1) + leaps - 477;
    Some((days * 86_400 + hour * 3_600 + minute * 60) * 1_000_000 + second)
}
