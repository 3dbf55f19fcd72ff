//! What viewers read: an immutable picture of the window, made anew at each change.

use crate::fill::{Missing, Still};
use bytes::Bytes;
use headwater_media::scte35::SpliceEdge;
use headwater_media::{Track, WallTime};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// Parts that a client may ask for beyond the newest one before it is told that it is wrong. rfc8216bis, "Playlist Delivery Directives":
/// the Advance Part Limit is 3 for part targets of a second or more, else ⌈3 / part target⌉; this is its value at 200 ms.
pub const ADVANCE_PARTS_MAX: usize = 15;

/// The playlist holds so many target durations at least: one beyond the skip boundary of delta updates, which is six.
pub const WINDOW_TARGET_DURATIONS: i64 = 7;
/// The playlist holds so many segments at most, however short they are after discontinuities.
pub const WINDOW_SEGMENTS_MAX: usize = 64;
/// Segments kept after they left the playlist, for clients that read it a moment ago.
pub const RETIRED_SEGMENTS: usize = 1;
/// Cues that the playlist mirrors: five a second for longer than the window lasts. Full: the oldest leaves.
pub const CUES_MAX: usize = 256;

/// The index of the first segment that the playlist lists: the shortest tail that lasts [`WINDOW_TARGET_DURATIONS`]. It depends on
/// the segments alone, so that the same place in the stream always gives the same playlist.
pub(crate) fn window_start(segments: &[Arc<Segment>], target_duration_s: i64) -> usize {
    let wanted = WINDOW_TARGET_DURATIONS * target_duration_s * 90_000;
    let mut lasts = 0;
    for (index, segment) in segments.iter().enumerate().rev() {
        lasts += segment.duration;
        if lasts >= wanted || segments.len() - index == WINDOW_SEGMENTS_MAX {
            return index;
        }
    }
    0
}

/// A part's place: the media sequence number of its segment and its index there, from 0.
///
/// A whole segment's place is that of its last part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Media sequence number.
    pub msn: u64,
    /// Index in the segment.
    pub part: usize,
}

/// Whether what a client waits for is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Reach {
    /// Answer now.
    Ready,
    /// Wait for another snapshot.
    Pending,
    /// Further ahead than a sound client asks for: 400.
    TooFar,
}

/// One part: a `moof` with its `mdat`, ready to be sent.
#[derive(Clone, Debug)]
pub struct Part {
    /// Headers (with `emsg` boxes), then the samples' payloads.
    pub(crate) body: Bytes,
    /// Ticks of 90 kHz, rounded to nearest when the track has another scale.
    pub(crate) duration: i64,
    pub(crate) independent: bool,
    pub(crate) gap: bool,
    /// Of a gap: what may stand for it.
    pub(crate) missing: Option<Missing>,
}

impl Part {
    /// One whose media is missing, with what may stand for it.
    pub(crate) fn absent(duration: i64, missing: Option<Missing>) -> Part {
        Part { body: Bytes::new(), duration, independent: false, gap: true, missing }
    }

    /// Whether its media is missing (GAP=YES): it has no body.
    pub fn gap(&self) -> bool {
        self.gap
    }

    /// The body, in one buffer of its own.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Length of the body.
    pub fn bytes(&self) -> u64 {
        self.body.len() as u64
    }

    /// Duration in microseconds, as the playlist states it.
    pub fn duration_us(&self) -> i64 {
        self.duration * 100 / 9
    }

    /// Whether it contains a keyframe: rfc8216bis, "EXT-X-PART", INDEPENDENT.
    pub fn independent(&self) -> bool {
        self.independent
    }
}

/// One segment: its parts, one after another.
#[derive(Clone, Debug)]
pub struct Segment {
    pub(crate) msn: u64,
    pub(crate) parts: Vec<Arc<Part>>,
    /// Ticks of 90 kHz: the sum of its parts'.
    pub(crate) duration: i64,
    pub(crate) program_date_time: WallTime,
    pub(crate) independent: bool,
    /// Whether it is not continuous with the segment before.
    pub(crate) discontinuity: bool,
    /// How many discontinuities there were from the session's start to this segment, its own included.
    pub(crate) discontinuities: u64,
    pub(crate) init: u32,
    pub(crate) bridge: bool,
}

impl Segment {
    /// Media sequence number.
    pub fn msn(&self) -> u64 {
        self.msn
    }

    /// Its parts.
    pub fn parts(&self) -> &[Arc<Part>] {
        &self.parts
    }

    /// The body as buffers, in order: one for each part that has media.
    pub fn chunks(&self) -> impl Iterator<Item = &Bytes> {
        self.parts.iter().map(|part| &part.body).filter(|body| !body.is_empty())
    }

    /// Length of the body.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes()).sum()
    }

    /// Duration in microseconds.
    pub fn duration_us(&self) -> i64 {
        self.duration * 100 / 9
    }

    /// When its first frame was presented at the encoder, by the server's clock; of a [`bridge`](Self::bridge), when the outage began.
    pub fn program_date_time(&self) -> WallTime {
        self.program_date_time
    }

    /// Whether it begins with a keyframe.
    pub fn independent(&self) -> bool {
        self.independent
    }

    /// Whether it is not continuous with the segment before.
    pub fn discontinuity(&self) -> bool {
        self.discontinuity
    }

    /// Whether some of its media is missing (EXT-X-GAP).
    pub fn gap(&self) -> bool {
        self.parts.iter().any(|part| part.gap)
    }

    /// Whether it stands for an outage before the next segment: it shows the first picture of that once before. Players that take jumps of the
    /// date out where the discontinuity sequence changes (Shaka) find none there: it has the discontinuity and goes on where the date was, and the
    /// next segment has its own date.
    pub fn bridge(&self) -> bool {
        self.bridge
    }

    /// Which init segment it needs.
    pub fn init(&self) -> u32 {
        self.init
    }
}

/// A cue as the playlist mirrors it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DateRange {
    /// The cue's id.
    pub id: String,
    /// The cue's owner.
    pub class: &'static str,
    /// The cue's presentation time.
    pub start: WallTime,
    /// The cue's payload.
    pub payload: String,
    /// The part whose `emsg` carries it.
    pub position: Position,
}

/// One end of an ad break as the playlist marks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdMark {
    /// The break's id, the same at both ends.
    pub id: String,
    /// When the break begins.
    pub start: WallTime,
    /// Milliseconds.
    pub duration_ms: u32,
    /// Which end.
    pub edge: SpliceEdge,
    /// The SCTE-35 message.
    pub message: Vec<u8>,
    /// The part that brought it.
    pub position: Position,
    /// The part at which it is over: of the way out, that of the way back. Until then it stays in the playlist, also
    /// when the window has gone on: who joins in the middle of a break must know.
    pub last: Option<Position>,
}

impl AdMark {
    /// Whether the playlist from `first` up to before `next` has it.
    pub(crate) fn is_listed(&self, first: u64, next: Position) -> bool {
        self.position < next && !self.is_over(first)
    }

    /// Whether the window, that now begins with `first`, has left it behind.
    pub(crate) fn is_over(&self, first: u64) -> bool {
        match self.edge {
            SpliceEdge::Out { .. } => self.last.is_some_and(|last| last.msn < first),
            SpliceEdge::In => self.position.msn < first,
        }
    }
}

/// The window at one revision. Viewers hold an `Arc` of it; it never changes.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(crate) epoch: String,
    pub(crate) rendition: String,
    pub(crate) revision: u64,
    /// Milliseconds.
    pub(crate) part_target_ms: i64,
    /// Seconds.
    pub(crate) target_duration_s: i64,
    /// Closed segments, oldest first; the first few may have left the playlist and are kept for clients that still ask.
    pub(crate) segments: Vec<Arc<Segment>>,
    /// The segment that is being filled, if it has a part already.
    pub(crate) open: Option<Arc<Segment>>,
    pub(crate) next: Position,
    pub(crate) inits: Vec<(u32, Bytes)>,
    /// What gaps are filled with.
    pub(crate) still: Option<Arc<Still>>,
    pub(crate) cues: Vec<Arc<DateRange>>,
    pub(crate) ad_marks: Vec<Arc<AdMark>>,
    pub(crate) ended: bool,
    pub(crate) all_independent: bool,
    pub(crate) video: Option<Track>,
    pub(crate) audio: Option<Track>,
    pub(crate) frame_rate_millis: Option<u32>,
    /// Bits a second: what the encoder announced or the highest rate of a segment so far, whichever is more.
    pub(crate) bandwidth: u64,
    pub(crate) average_bandwidth: u64,
    /// The other renditions of the stream, as rendition reports name them.
    pub(crate) siblings: Arc<[String]>,
    pub(crate) published_at: OnceLock<Instant>,
}

impl Snapshot {
    /// The unguessable name of the stream session in media URLs.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// The rendition's name in media URLs.
    pub fn rendition(&self) -> &str {
        &self.rendition
    }

    /// Counts snapshots of the session from 1.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// PART-TARGET. Constant in a session.
    pub fn part_target_ms(&self) -> i64 {
        self.part_target_ms
    }

    /// EXT-X-TARGETDURATION. Constant in a session.
    pub fn target_duration_s(&self) -> i64 {
        self.target_duration_s
    }

    /// Whether the stream is over (EXT-X-ENDLIST).
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// The newest part, or `None` if no part was ever published.
    pub fn last(&self) -> Option<Position> {
        let segment = self.open.as_ref().or(self.segments.last())?;
        Some(Position { msn: segment.msn, part: segment.parts.len().saturating_sub(1) })
    }

    /// The place that the next part will have.
    pub fn next(&self) -> Position {
        self.next
    }

    /// A closed segment.
    pub fn segment(&self, msn: u64) -> Option<&Arc<Segment>> {
        let first = self.segments.first()?.msn;
        self.segments.get(usize::try_from(msn.checked_sub(first)?).ok()?)
    }

    /// A part, of a closed segment or of the open one.
    pub fn part(&self, position: Position) -> Option<&Arc<Part>> {
        let segment = match &self.open {
            Some(open) if open.msn == position.msn => open,
            _ => self.segment(position.msn)?,
        };
        segment.parts.get(position.part)
    }

    /// An init segment.
    pub fn init(&self, index: u32) -> Option<&Bytes> {
        self.inits.iter().find(|(known, _)| *known == index).map(|(_, bytes)| bytes)
    }

    /// The video track, if there is one.
    pub fn video(&self) -> Option<&Track> {
        self.video.as_ref()
    }

    /// The audio track, if there is one.
    pub fn audio(&self) -> Option<&Track> {
        self.audio.as_ref()
    }

    /// Frames in 1000 seconds, as announced or measured.
    pub fn frame_rate_millis(&self) -> Option<u32> {
        self.frame_rate_millis
    }

    /// Bits a second: what the multivariant playlist states as BANDWIDTH.
    pub fn bandwidth(&self) -> u64 {
        self.bandwidth
    }

    /// The cues that the window still covers, oldest first.
    pub fn cues(&self) -> &[Arc<DateRange>] {
        &self.cues
    }

    /// The ends of ad breaks that the window still covers, oldest first.
    pub fn ad_marks(&self) -> &[Arc<AdMark>] {
        &self.ad_marks
    }

    /// The same window, over: for when whoever made it is gone.
    #[must_use]
    pub fn ended_here(&self) -> Snapshot {
        Snapshot { ended: true, revision: self.revision + 1, published_at: OnceLock::new(), ..self.clone() }
    }

    /// Notes when it was shown to viewers; the first time counts.
    pub fn note_published(&self, at: Instant) {
        let _ = self.published_at.set(at);
    }

    /// When it was shown to viewers, if whoever did that noted it.
    pub fn published_at(&self) -> Option<Instant> {
        self.published_at.get().copied()
    }

    /// Whether a blocking reload for `_HLS_msn` and `_HLS_part` can be answered. rfc8216bis, "Blocking Playlist Reload".
    ///
    /// Without a part, it waits for the whole segment. A part past the end of a closed segment means the first part of the next one.
    pub fn reach(&self, msn: u64, part: Option<usize>) -> Reach {
        if self.ended {
            return Reach::Ready;
        }
        if msn < self.next.msn {
            return match part {
                Some(part) if msn + 1 == self.next.msn && self.next.part == 0 => {
                    let parts = self.segment(msn).map_or(0, |segment| segment.parts.len());
                    match part {
                        part if part < parts => Reach::Ready,
                        part if part < parts + ADVANCE_PARTS_MAX => Reach::Pending,
                        _ => Reach::TooFar,
                    }
                }
                _ => Reach::Ready,
            };
        }
        if msn > self.next.msn + 1 {
            return Reach::TooFar;
        }
        match part {
            None => Reach::Pending,
            Some(part) if msn == self.next.msn => match part {
                part if part < self.next.part => Reach::Ready,
                part if part < self.next.part + ADVANCE_PARTS_MAX => Reach::Pending,
                _ => Reach::TooFar,
            },
            Some(part) if part < ADVANCE_PARTS_MAX => Reach::Pending,
            Some(_) => Reach::TooFar,
        }
    }
}
