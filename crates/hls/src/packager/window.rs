//! The window: closed segments, the open one, init segments, cues, and the snapshots made of them.

use super::Tracks;
use super::learn::{MS, Targets};
use crate::fill::Still;
use crate::snapshot::{AdMark, CUES_MAX, DateRange, Part, Position, RETIRED_SEGMENTS, Segment, Snapshot, window_start};
use bytes::Bytes;
use headwater_media::scte35::SpliceEdge;
use headwater_media::{AccessUnit, WallTime, fmp4};
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

#[derive(Debug)]
pub(crate) struct Window {
    epoch: String,
    rendition: String,
    targets: Targets,
    revision: u64,
    segments: VecDeque<Arc<Segment>>,
    open: Option<Segment>,
    /// What will stand for the outage before the open segment, until that has a part.
    bridge: Option<Segment>,
    open_weight: u64,
    next_msn: u64,
    discontinuities: u64,
    inits: Vec<(u32, Bytes)>,
    init_tracks: Tracks,
    still: Option<Arc<Still>>,
    /// Whether there was a gap since the still picture.
    wants_still: bool,
    cues: VecDeque<Arc<DateRange>>,
    ad_marks: VecDeque<Arc<AdMark>>,
    all_independent: bool,
    ended: bool,
    peak_bandwidth: u64,
    announced_bandwidth: u64,
    changed: bool,
    siblings: Arc<[String]>,
}

impl Window {
    pub(crate) fn new(epoch: &str, rendition: &str, targets: Targets) -> Self {
        Window {
            epoch: epoch.to_owned(),
            rendition: rendition.to_owned(),
            targets,
            revision: 0,
            segments: VecDeque::new(),
            open: None,
            bridge: None,
            open_weight: 0,
            next_msn: 0,
            discontinuities: 0,
            inits: Vec::new(),
            init_tracks: Tracks::default(),
            still: None,
            wants_still: false,
            cues: VecDeque::new(),
            ad_marks: VecDeque::new(),
            all_independent: true,
            ended: false,
            peak_bandwidth: 0,
            announced_bandwidth: 0,
            changed: false,
            siblings: Arc::default(),
        }
    }

    /// The other renditions, as the playlist reports them from the next snapshot on.
    pub(crate) fn set_siblings(&mut self, siblings: &Arc<[String]>) {
        self.siblings = Arc::clone(siblings);
    }

    /// Discontinuities from the session's start to the open segment.
    pub(crate) fn discontinuities(&self) -> u64 {
        self.discontinuities
    }

    /// The next segment is this one, after so many discontinuities: another window's place.
    pub(crate) fn go_to(&mut self, msn: u64, discontinuities: u64) {
        self.next_msn = msn;
        self.discontinuities = discontinuities;
    }

    pub(crate) fn announce(&mut self, bandwidth: u64) {
        self.announced_bandwidth = bandwidth;
    }

    /// Uses these tracks from the next segment on; makes an init segment if they differ.
    pub(crate) fn set_tracks(&mut self, tracks: &Tracks) {
        if self.inits.is_empty() || self.init_tracks != *tracks {
            let index = self.inits.last().map_or(0, |(index, _)| index + 1);
            let init = fmp4::init_segment(tracks.video.as_ref(), tracks.audio.as_ref());
            self.inits.push((index, init));
            self.init_tracks = tracks.clone();
        }
    }

    /// Opens a segment; the one before must be closed.
    pub(crate) fn open_segment(&mut self, program_date_time: WallTime, independent: bool, discontinuity: bool) {
        self.discontinuities += u64::from(discontinuity);
        self.all_independent &= independent;
        self.open = Some(Segment {
            msn: self.next_msn,
            parts: Vec::new(),
            duration: 0,
            program_date_time,
            independent,
            discontinuity,
            discontinuities: self.discontinuities,
            init: self.inits.last().map_or(0, |(index, _)| *index),
            bridge: false,
        });
    }

    /// Opens a segment after an outage that began then. A bridge comes before it, with the discontinuity; its part is owed.
    pub(crate) fn open_after_outage(&mut self, began: WallTime, program_date_time: WallTime, independent: bool) {
        self.open_segment(began, independent, true);
        self.bridge = self.open.take().map(|segment| Segment { bridge: true, ..segment });
        self.next_msn += 1;
        self.open_segment(program_date_time, independent, false);
    }

    /// Whether the part of a bridge is owed before the next part.
    pub(crate) fn owes_bridge(&self) -> bool {
        self.bridge.is_some()
    }

    /// The part of the bridge. Its rate of bits says nothing about the stream.
    pub(crate) fn push_bridge(&mut self, part: Part) {
        if let Some(bridge) = self.bridge.take() {
            self.wants_still |= part.gap;
            self.segments.push_back(Arc::new(Segment {
                duration: part.duration,
                parts: vec![Arc::new(part)],
                ..bridge
            }));
            self.changed = true;
        }
    }

    /// The place of the part that comes next, unless a bridge is owed before it.
    pub(crate) fn next(&self) -> Position {
        let part = self.open.as_ref().map_or(0, |segment| segment.parts.len());
        Position { msn: self.next_msn, part }
    }

    /// Whether anything was published, or is about to be.
    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.open.is_none()
    }

    /// Adds a part to the open segment; `weight` is what its units count.
    pub(crate) fn push_part(&mut self, part: Part, weight: u64) {
        let open = self.open.as_mut().expect("a part is closed only after its segment was opened");
        open.duration += part.duration;
        self.wants_still |= part.gap;
        open.parts.push(Arc::new(part));
        self.open_weight += weight;
        self.changed = true;
    }

    /// A keyframe of the tracks in use: the first one after a gap is what gaps are filled with.
    pub(crate) fn offer_still(&mut self, keyframe: &AccessUnit) {
        if let Some((init, _)) = self.inits.last()
            && std::mem::take(&mut self.wants_still)
        {
            self.still = Some(Arc::new(Still::new(keyframe, &self.init_tracks, *init)));
        }
    }

    pub(crate) fn push_cue(&mut self, cue: DateRange) {
        self.cues.push_back(Arc::new(cue));
        if self.cues.len() > CUES_MAX {
            self.cues.pop_front();
        }
    }

    /// Adds the mark of one end of an ad break, at the part that comes next. The way back tells its way out until when it
    /// stays.
    pub(crate) fn push_ad_mark(&mut self, mark: &AdMark) {
        let position = self.next();
        if mark.edge == SpliceEdge::In {
            for out in self.ad_marks.iter_mut().filter(|out| out.id == mark.id) {
                *out = Arc::new(AdMark { last: Some(position), ..(**out).clone() });
            }
        }
        self.ad_marks.push_back(Arc::new(AdMark { position, ..mark.clone() }));
        if self.ad_marks.len() > CUES_MAX {
            self.ad_marks.pop_front();
        }
    }

    /// What the units of the open segment count.
    pub(crate) fn open_weight(&self) -> u64 {
        self.open_weight
    }

    /// Closes the open segment; one without parts is dropped.
    pub(crate) fn close_segment(&mut self) {
        let Some(segment) = self.open.take() else { return };
        self.open_weight = 0;
        if segment.parts.is_empty() {
            let bridge = u64::from(self.bridge.take().is_some());
            self.next_msn -= bridge;
            self.discontinuities -= u64::from(segment.discontinuity) + bridge;
            return;
        }
        self.next_msn += 1;
        self.changed = true;
        self.peak_bandwidth = self.peak_bandwidth.max(bits_per_second(segment.bytes(), segment.duration));
        self.segments.push_back(Arc::new(segment));
        let listed = window_start(self.segments.make_contiguous(), self.targets.target_duration_s);
        for _ in RETIRED_SEGMENTS..listed {
            self.segments.pop_front();
        }
        if let Some(first) = self.segments.front() {
            while self.cues.front().is_some_and(|cue| cue.position.msn < first.msn) {
                self.cues.pop_front();
            }
            self.ad_marks.retain(|mark| !mark.is_over(first.msn));
            self.inits.retain(|(index, _)| *index >= first.init);
        }
    }

    /// Nothing more will come.
    pub(crate) fn end(&mut self) {
        self.ended = true;
        self.changed = true;
    }

    /// Whether a snapshot was made.
    pub(crate) fn is_published(&self) -> bool {
        self.revision > 0
    }

    /// A new snapshot if anything changed since the last. The first one waits for a closed segment: players take a playlist without one for empty.
    pub(crate) fn snapshot(&mut self) -> Option<Snapshot> {
        if self.segments.is_empty() || !std::mem::take(&mut self.changed) {
            return None;
        }
        self.revision += 1;
        let (bytes, duration) = self
            .segments
            .iter()
            .fold((0, 0), |(bytes, duration), segment| (bytes + segment.bytes(), duration + segment.duration));
        Some(Snapshot {
            epoch: self.epoch.clone(),
            rendition: self.rendition.clone(),
            revision: self.revision,
            part_target_ms: self.targets.part_target_ms,
            target_duration_s: self.targets.target_duration_s,
            segments: self.segments.iter().cloned().collect(),
            open: self.open.as_ref().filter(|open| !open.parts.is_empty()).cloned().map(Arc::new),
            next: self.bridge.as_ref().map_or(self.next(), |bridge| Position { msn: bridge.msn, part: 0 }),
            inits: self.inits.clone(),
            still: self.still.clone(),
            cues: self.cues.iter().cloned().collect(),
            ad_marks: self.ad_marks.iter().cloned().collect(),
            ended: self.ended,
            all_independent: self.all_independent,
            video: self.init_tracks.video.clone(),
            audio: self.init_tracks.audio.clone(),
            frame_rate_millis: self.init_tracks.video.as_ref().and(self.targets.frame_rate_millis),
            bandwidth: self.announced_bandwidth.max(self.peak_bandwidth).max(1),
            siblings: Arc::clone(&self.siblings),
            published_at: OnceLock::new(),
            average_bandwidth: bits_per_second(bytes, duration).max(1),
        })
    }
}

fn bits_per_second(bytes: u64, ticks: i64) -> u64 {
    u64::try_from(ticks).ok().and_then(|ticks| (bytes * 8 * 1_000 * MS as u64).checked_div(ticks)).unwrap_or(0)
}
