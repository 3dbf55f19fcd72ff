//! Multivariant and media playlists as text: a snapshot in, a string out.
//!
//! URIs of the media playlist are relative to its own: `init-N.mp4`, `sMSN.m4s`, `sMSN.pPART.m4s`.

use crate::snapshot::{AdMark, DateRange, Part, Position, Segment, Snapshot, window_start};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_media::scte35::SpliceEdge;
use std::fmt::Write as _;
use std::sync::Arc;

/// EXT-X-VERSION: EXT-X-SKIP needs 9; nothing here needs 10 (skipped date ranges).
const VERSION: u32 = 9;
/// CAN-SKIP-UNTIL in target durations: the least that is allowed.
const SKIP_TARGETS: i64 = 6;
/// HOLD-BACK in target durations and PART-HOLD-BACK in part targets.
pub(crate) const HOLD_BACK_TARGETS: i64 = 3;
/// Parts are listed for so many target durations from the end.
const PARTS_LISTED_TARGETS: i64 = 3;
/// The attribute of EXT-X-DATERANGE that carries a cue's payload, in base64 since a quoted string holds no quotes or line breaks.
pub const PAYLOAD_ATTRIBUTE: &str = "X-HEADWATER-PAYLOAD";

/// Whether a client asked for a delta update (`_HLS_skip=YES`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delta {
    /// The whole playlist.
    #[default]
    Full,
    /// Without the segments older than the skip boundary.
    Skip,
}

/// What the multivariant playlist says of a rendition: read off its snapshot, or promised before there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Bits a second, the highest and on average.
    pub bandwidth: u64,
    /// See [`bandwidth`](Self::bandwidth).
    pub average_bandwidth: u64,
    /// RFC 6381's names, pictures first.
    pub codecs: Vec<String>,
    /// Width and height in pixels.
    pub size: Option<(u32, u32)>,
    /// Frames in 1000 seconds.
    pub frame_rate_millis: Option<u32>,
    /// Whether each segment begins with a keyframe.
    pub independent: bool,
}

impl From<&Snapshot> for Facts {
    fn from(snapshot: &Snapshot) -> Self {
        let tracks = [&snapshot.video, &snapshot.audio].into_iter().flatten();
        Facts {
            bandwidth: snapshot.bandwidth,
            average_bandwidth: snapshot.average_bandwidth,
            codecs: tracks.map(|track| track.config.rfc6381()).collect(),
            size: snapshot.video.as_ref().and_then(|track| track.config.dimensions()),
            frame_rate_millis: snapshot.frame_rate_millis,
            independent: snapshot.all_independent,
        }
    }
}

/// One rendition as the multivariant playlist lists it.
#[derive(Clone, Copy, Debug)]
pub struct Variant<'a> {
    /// What is said of it.
    pub facts: &'a Facts,
    /// Where its media playlist is, relative or absolute.
    pub uri: &'a str,
    /// Its group, such as `720p60`, `480p30` or `audio_only`.
    pub group: &'a str,
}

/// The name of the group of a rendition that is `height` pixels high: `720p60`. Without a known size, `source`.
pub fn group(snapshot: &Snapshot) -> String {
    let height = snapshot.video.as_ref().and_then(|track| track.config.dimensions()).map(|(_, height)| height);
    match (height, &snapshot.video) {
        (Some(height), _) => {
            let frames = snapshot.frame_rate_millis.map_or(30, |millis| (millis + 500) / 1_000);
            format!("{height}p{frames}")
        }
        (None, Some(_)) => "source".to_owned(),
        (None, None) => AUDIO_ONLY.to_owned(),
    }
}

/// The multivariant playlist of one rendition; `uri` is that of its media playlist, relative or absolute.
pub fn multivariant(facts: &Facts, uri: &str) -> String {
    let mut out = multivariant_head([facts].into_iter());
    line(&mut out, format_args!("#EXT-X-STREAM-INF:{}", stream_attributes(facts)));
    line(&mut out, format_args!("{uri}"));
    out
}

/// The multivariant playlist of a ladder, in the order given, in the shape that Amazon IVS has: an EXT-X-MEDIA of the type VIDEO before
/// each variant. A group that was listed is left out.
pub fn ladder(variants: &[Variant<'_>]) -> String {
    let mut out = multivariant_head(variants.iter().map(|variant| variant.facts));
    for (index, variant) in variants.iter().enumerate() {
        let group = variant.group;
        if variants[..index].iter().any(|earlier| earlier.group == group) {
            continue;
        }
        let choice = if group == AUDIO_ONLY { "NO" } else { "YES" };
        line(
            &mut out,
            format_args!(
                "#EXT-X-MEDIA:TYPE=VIDEO,GROUP-ID=\"{group}\",NAME=\"{}\",AUTOSELECT={choice},DEFAULT={choice}",
                display_name(group)
            ),
        );
        let attributes = stream_attributes(variant.facts);
        line(&mut out, format_args!("#EXT-X-STREAM-INF:{attributes},VIDEO=\"{group}\""));
        line(&mut out, format_args!("{}", variant.uri));
    }
    out
}

/// The group and name of the rendition without pictures.
pub const AUDIO_ONLY: &str = "audio_only";

/// A group's name for people: 30 frames a second are not mentioned.
fn display_name(group: &str) -> &str {
    match group.strip_suffix("p30") {
        Some(height) => &group[..=height.len()],
        None => group,
    }
}

fn multivariant_head<'a>(mut listed: impl Iterator<Item = &'a Facts>) -> String {
    let mut out = String::with_capacity(512);
    out.push_str("#EXTM3U\n");
    line(&mut out, format_args!("#EXT-X-VERSION:{VERSION}"));
    if listed.all(|facts| facts.independent) {
        out.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    }
    out
}

fn stream_attributes(facts: &Facts) -> String {
    let mut attributes = format!(
        "BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"{}\"",
        facts.bandwidth,
        facts.average_bandwidth.min(facts.bandwidth),
        facts.codecs.join(","),
    );
    if let Some((width, height)) = facts.size {
        let _ = write!(attributes, ",RESOLUTION={width}x{height}");
    }
    if let Some(millis) = facts.frame_rate_millis {
        let _ = write!(attributes, ",FRAME-RATE={}.{:03}", millis / 1_000, millis % 1_000);
    }
    attributes
}

/// The media playlist at this snapshot.
pub fn media(snapshot: &Snapshot, delta: Delta) -> String {
    let listed = Listed {
        closed: &snapshot.segments,
        open: snapshot.open.as_deref().map(|open| (open, &open.parts[..])),
        next: snapshot.next,
        ended: snapshot.ended,
    };
    render(snapshot, &listed, delta)
}

/// The media playlist as it was when `position` was the newest part: the same text for the same position, whenever it is asked
/// for. `None` when the window no longer covers it or the part is not there yet.
pub fn media_at(snapshot: &Snapshot, position: Position, delta: Delta) -> Option<String> {
    if snapshot.last() == Some(position) {
        return Some(media(snapshot, delta));
    }
    let first = snapshot.segments.first()?.msn;
    let closed_before = usize::try_from(position.msn.checked_sub(first)?).ok()?;
    let segment = match &snapshot.open {
        Some(open) if open.msn == position.msn => open,
        _ => snapshot.segments.get(closed_before)?,
    };
    let parts = segment.parts.get(..=position.part)?;
    let closes = segment.parts.len() == parts.len() && closed_before < snapshot.segments.len();
    let (closed, open, next) = if closes {
        let next = Position { msn: position.msn + 1, part: 0 };
        (closed_before + 1, None, next)
    } else {
        let next = Position { msn: position.msn, part: position.part + 1 };
        (closed_before, Some((&**segment, parts)), next)
    };
    let closed = &snapshot.segments[..closed];
    let start = window_start(closed, snapshot.target_duration_s);
    let lasts: i64 = closed[start.min(closed.len())..].iter().map(|segment| segment.duration).sum();
    // What left memory might have been listed then.
    if start == 0 && first > 0 && lasts < whole_window(snapshot) {
        return None;
    }
    Some(render(snapshot, &Listed { closed, open, next, ended: false }, delta))
}

fn whole_window(snapshot: &Snapshot) -> i64 {
    crate::snapshot::WINDOW_TARGET_DURATIONS * snapshot.target_duration_s * 90_000
}

/// What a playlist is about: a snapshot's content, up to some part.
struct Listed<'a> {
    closed: &'a [Arc<Segment>],
    open: Option<(&'a Segment, &'a [Arc<Part>])>,
    next: Position,
    ended: bool,
}

fn render(snapshot: &Snapshot, listed: &Listed<'_>, delta: Delta) -> String {
    let target = snapshot.target_duration_s;
    let start = window_start(listed.closed, target);
    let segments = &listed.closed[start..];
    let open_duration: i64 = listed.open.iter().flat_map(|(_, parts)| parts.iter()).map(|part| part.duration).sum();
    // Ticks from each segment's end to the end of the playlist.
    let mut ages = vec![0; segments.len()];
    let mut age = open_duration;
    for (segment, slot) in segments.iter().zip(&mut ages).rev() {
        *slot = age;
        age += segment.duration;
    }
    let skipped = match delta {
        Delta::Full => 0,
        Delta::Skip => ages.iter().take_while(|&&age| age > SKIP_TARGETS * target * 90_000).count(),
    };

    let mut out = String::with_capacity(4096);
    out.push_str("#EXTM3U\n");
    line(&mut out, format_args!("#EXT-X-VERSION:{VERSION}"));
    line(&mut out, format_args!("#EXT-X-TARGETDURATION:{target}"));
    line(
        &mut out,
        format_args!(
            "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL={}.0,HOLD-BACK={}.0,PART-HOLD-BACK={}",
            SKIP_TARGETS * target,
            HOLD_BACK_TARGETS * target,
            Announced(snapshot.part_target_ms * 90).times(HOLD_BACK_TARGETS),
        ),
    );
    line(&mut out, format_args!("#EXT-X-PART-INF:PART-TARGET={}", Announced(snapshot.part_target_ms * 90)));
    let first = segments.first().map(|segment| &**segment).or(listed.open.map(|(open, _)| open));
    let media_sequence = first.map_or(listed.next.msn, |segment| segment.msn);
    line(&mut out, format_args!("#EXT-X-MEDIA-SEQUENCE:{media_sequence}"));
    let removed = first.map_or(0, |first| first.discontinuities - u64::from(first.discontinuity));
    if removed > 0 {
        line(&mut out, format_args!("#EXT-X-DISCONTINUITY-SEQUENCE:{removed}"));
    }
    if skipped > 0 {
        line(&mut out, format_args!("#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}"));
    }
    let mut init = None;
    for (segment, age) in segments.iter().zip(&ages).skip(skipped) {
        head(&mut out, segment, &mut init);
        if *age < PARTS_LISTED_TARGETS * target * 90_000 {
            list_parts(&mut out, segment.msn, &segment.parts);
        }
        if segment.gap() {
            out.push_str("#EXT-X-GAP\n");
        }
        line(&mut out, format_args!("#EXTINF:{},", Seconds(segment.duration)));
        line(&mut out, format_args!("s{}.m4s", segment.msn));
    }
    if let Some((open, parts)) = listed.open {
        head(&mut out, open, &mut init);
        list_parts(&mut out, open.msn, parts);
    }
    for cue in &snapshot.cues {
        if cue.position < listed.next && cue.position.msn >= media_sequence {
            date_range(&mut out, cue);
        }
    }
    for mark in &snapshot.ad_marks {
        if mark.is_listed(media_sequence, listed.next) {
            ad_mark(&mut out, mark);
        }
    }
    if listed.ended {
        out.push_str("#EXT-X-ENDLIST\n");
    } else {
        let Position { msn, part } = listed.next;
        line(&mut out, format_args!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"s{msn}.p{part}.m4s\""));
        reports(&mut out, snapshot, listed);
    }
    out
}

/// The other renditions are cut where this one is, so their newest part is taken for the same: a part that is still being encoded is
/// waited for. So the text for a place never depends on when it was asked for.
fn reports(out: &mut String, snapshot: &Snapshot, listed: &Listed<'_>) {
    let last = match (listed.next, listed.closed.last()) {
        (Position { msn, part }, _) if part > 0 => Position { msn, part: part - 1 },
        (_, Some(segment)) => Position { msn: segment.msn, part: segment.parts.len().saturating_sub(1) },
        (_, None) => return,
    };
    for sibling in snapshot.siblings.iter() {
        line(
            out,
            format_args!(
                "#EXT-X-RENDITION-REPORT:URI=\"../{sibling}/media.m3u8\",LAST-MSN={},LAST-PART={}",
                last.msn, last.part
            ),
        );
    }
}

/// The tags before a segment.
fn head(out: &mut String, segment: &Segment, init: &mut Option<u32>) {
    if segment.discontinuity {
        out.push_str("#EXT-X-DISCONTINUITY\n");
    }
    if *init != Some(segment.init) {
        *init = Some(segment.init);
        line(out, format_args!("#EXT-X-MAP:URI=\"init-{}.mp4\"", segment.init));
    }
    line(out, format_args!("#EXT-X-PROGRAM-DATE-TIME:{}", segment.program_date_time));
}

fn list_parts(out: &mut String, msn: u64, parts: &[Arc<Part>]) {
    for (index, part) in parts.iter().enumerate() {
        let state = match part {
            part if part.gap => ",GAP=YES",
            part if part.independent => ",INDEPENDENT=YES",
            _ => "",
        };
        line(out, format_args!("#EXT-X-PART:DURATION={},URI=\"s{msn}.p{index}.m4s\"{state}", Announced(part.duration)));
    }
}

fn date_range(out: &mut String, cue: &DateRange) {
    line(
        out,
        format_args!(
            "#EXT-X-DATERANGE:ID=\"{}\",CLASS=\"{}\",START-DATE=\"{}\",DURATION=0.0,{PAYLOAD_ATTRIBUTE}=\"{}\"",
            cue.id,
            cue.class,
            cue.start,
            STANDARD.encode(&cue.payload),
        ),
    );
}

/// rfc8216bis, "Mapping SCTE-35 into EXT-X-DATERANGE": the two ends have the same id and start; the way out has what is
/// planned, the way back what came of it.
fn ad_mark(out: &mut String, mark: &AdMark) {
    let (duration, attribute) = match mark.edge {
        SpliceEdge::Out { .. } => ("PLANNED-DURATION", "SCTE35-OUT"),
        SpliceEdge::In => ("DURATION", "SCTE35-IN"),
    };
    let message: String = mark.message.iter().map(|byte| format!("{byte:02X}")).collect();
    line(
        out,
        format_args!(
            "#EXT-X-DATERANGE:ID=\"{}\",START-DATE=\"{}\",{duration}={}.{:03},{attribute}=0x{message}",
            mark.id,
            mark.start,
            mark.duration_ms / 1_000,
            mark.duration_ms % 1_000,
        ),
    );
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("writing to a string does not fail");
}

/// Ticks of 90 kHz as decimal seconds, rounded to 10 µs.
struct Seconds(i64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        TensOfMicros((self.0 * 10 + 4) / 9).fmt(f)
    }
}

/// A part's duration, or the target of all of them, as the playlist announces it: always longer than it is, by 10 µs at most.
///
/// So each part but a segment's first seems to begin a little later than its pictures say, never earlier. Shaka moves what it appends to
/// where the playlist has it; seconds are floating-point numbers to it, it leaves be what is off by less than a millisecond, and it puts
/// a millisecond on what it moves. With exact durations each part is off by just that, give or take the last bit of the number; where that bit
/// is too much, Shaka resets the source buffer, which then drops pictures up to the next keyframe. At a segment's begin that costs nothing.
struct Announced(i64);

impl Announced {
    fn tens_of_micros(&self) -> i64 {
        self.0 * 10 / 9 + 1
    }

    /// So many durations as they are announced.
    fn times(&self, count: i64) -> TensOfMicros {
        TensOfMicros(self.tens_of_micros() * count)
    }
}

impl std::fmt::Display for Announced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.times(1).fmt(f)
    }
}

/// Decimal seconds, with the fourth and fifth decimal place only where they are not 0.
struct TensOfMicros(i64);

impl std::fmt::Display for TensOfMicros {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, rest) = (self.0 / 100_000, self.0 % 100_000);
        if rest % 100 == 0 { write!(f, "{whole}.{:03}", rest / 100) } else { write!(f, "{whole}.{rest:05}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_announced_longer_than_it_is_by_ten_microseconds_at_most() {
        for ticks in (1..=900_000).step_by(7).chain([18_000, 17_982, 81_000]) {
            // In ninths of a microsecond times ten: a tick is 100/9 µs.
            let excess = Announced(ticks).tens_of_micros() * 9 - ticks * 10;
            assert!((1..=9).contains(&excess), "{ticks}: {excess}");
        }
    }

    #[test]
    fn no_part_is_announced_longer_than_the_target_and_three_targets_are_held_back() {
        let target = Announced(18_000);
        assert_eq!([target.to_string(), target.times(3).to_string()], ["0.20001", "0.60003"]);
        assert_eq!(Announced(17_991).to_string(), "0.19991");
        assert!((1..=18_000).all(|ticks| Announced(ticks).tens_of_micros() <= target.tens_of_micros()));
    }
}
