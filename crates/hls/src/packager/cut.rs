//! Decides where parts and segments end.
//!
//! One track leads: video, or audio if there is no video. All reckoning is in ticks of 90 kHz decode time. A part covers `[start, end)`;
//! `end` is usually the decode time of the unit after it. A picture that lasts longer than a part reaches over the boundary: the part's end
//! is then set at PART-TARGET, and the parts after it hold the sound of that time. So no part is longer than PART-TARGET, and one
//! shorter than 85 % of it is the last of its segment, or contains a keyframe.

use super::domain::{Domain, Drift, OpenPart};
use super::learn::{Lesson, MS, OUTAGE_MIN_MS, SEGMENT_MIN, Targets, ticks};
use super::part::{self, Content, PlacedCue};
use super::splice::{Splice, Splices};
use super::window::Window;
use super::{CUES_WAITING_MAX, Error, Options, SEGMENT_BYTES_MAX, Tracks, weight};
use crate::follow::{Beginning, Cut, Opening, PartCut};
use crate::snapshot::Snapshot;
use headwater_media::{AccessUnit, Cue, Keyframe, MediaTime, StreamMetadata, Timescale, TrackKind, WallTime};
use std::collections::VecDeque;
use std::sync::Arc;

/// A pause in the leading track from which on the stream is not continuous.
const GAP_MAX: i64 = 4_000 * MS;
/// A step back in the leading track from which on the stream is not continuous; smaller ones are an encoder's slip.
const STEP_BACK_MAX: i64 = 500 * MS;
/// Sound without pictures for this long makes the stream one of sound only, until pictures come back.
const VIDEO_STALL_MAX: i64 = 3_000 * MS;
/// While a keyframe is awaited, so long.
const KEYFRAME_WAIT_MAX: i64 = 6_000 * MS;

/// How much sound the last part may hold beyond its end: more than any encoder delays pictures to reorder them.
const OVERHANG_MAX: i64 = 1_000 * MS;

#[derive(Debug)]
pub(super) struct Cutter {
    /// PART-TARGET in ticks.
    part_target: i64,
    /// Longest segment in ticks: it still rounds to EXT-X-TARGETDURATION.
    segment_max: i64,
    lead: TrackKind,
    /// When the newest unit arrived.
    now: WallTime,
    /// Smoothed duration of a unit of the leading track.
    unit_ticks: i64,
    /// The tracks of the init segment in use.
    tracks: Tracks,
    domain: Option<Domain>,
    /// Whether the next keyframe begins a new domain for the sake of another rendition.
    renews: bool,
    /// Sound that waits for its part, when video leads.
    audio: VecDeque<AccessUnit>,
    audio_weight: u64,
    /// What the units of the open part count.
    part_weight: u64,
    audio_last: Option<i64>,
    /// How far sound may reach over the end of the part that is being closed, ticks.
    overhang: i64,
    cues: VecDeque<Cue>,
    splices: Splices,
    cue_number: u32,
    sequence: u32,
    /// When the newest segment ends, by its date.
    wall_end: Option<WallTime>,
    window: Window,
    targets: Targets,
    /// What followers are told, if there are any.
    cuts: Option<VecDeque<Cut>>,
}

impl Cutter {
    pub(super) fn new(options: &Options, lesson: &Lesson, metadata: &StreamMetadata, tracks: &Tracks) -> Self {
        let targets = Targets::learn(lesson, options.latency, metadata, tracks);
        let mut cutter = Cutter {
            part_target: targets.part_target_ms * MS,
            segment_max: targets.target_duration_s * 1_000 * MS + 499 * MS,
            lead: lesson.primary,
            now: WallTime(0),
            unit_ticks: targets.unit_ticks,
            tracks: Tracks::default(),
            domain: None,
            renews: false,
            audio: VecDeque::new(),
            audio_weight: 0,
            part_weight: 0,
            audio_last: None,
            overhang: 0,
            cues: VecDeque::new(),
            splices: Splices::default(),
            cue_number: 1,
            sequence: 1,
            wall_end: None,
            window: Window::new(&options.epoch, &options.rendition, targets),
            targets,
            cuts: None,
        };
        cutter.announce(metadata);
        cutter
    }

    pub(super) fn announce(&mut self, metadata: &StreamMetadata) {
        let rates = [metadata.video_bitrate, metadata.audio_bitrate];
        self.window.announce(rates.into_iter().flatten().sum());
    }

    /// From now on, cuts are told to followers.
    pub(super) fn follow(&mut self) {
        if self.cuts.is_none() {
            self.cuts = Some(VecDeque::from([Cut::Begin(Beginning(self.targets))]));
        }
    }

    pub(super) fn poll_cut(&mut self) -> Option<Cut> {
        self.cuts.as_mut()?.pop_front()
    }

    pub(super) fn frame_rate_millis(&self) -> Option<u32> {
        self.targets.frame_rate_millis
    }

    pub(super) fn set_siblings(&mut self, siblings: &Arc<[String]>) {
        self.window.set_siblings(siblings);
    }

    fn tell(&mut self, cut: impl FnOnce() -> Cut) {
        if let Some(cuts) = &mut self.cuts {
            cuts.push_back(cut());
        }
    }

    fn open_segment(&mut self, date: WallTime, independent: bool, discontinuity: bool) {
        self.window.open_segment(date, independent, discontinuity);
        self.tell_opening(date, discontinuity, None);
    }

    fn tell_opening(&mut self, date: WallTime, discontinuity: bool, outage: Option<WallTime>) {
        let (msn, discontinuities) = (self.window.next().msn, self.window.discontinuities());
        self.tell(|| Cut::Open(Opening { msn, date, discontinuity, discontinuities, outage }));
    }

    fn close_segment(&mut self) {
        self.window.close_segment();
        self.tell(|| Cut::Close);
    }

    pub(super) fn snapshot(&mut self) -> Option<Snapshot> {
        self.window.snapshot()
    }

    pub(super) fn push_cue(&mut self, cue: Cue) -> Result<WallTime, Error> {
        if !self.window.is_published() {
            return Err(Error::NotLive);
        }
        let open = self.domain.as_ref().map_or(0, |domain| domain.part.cues.len());
        if self.cues.len() + open >= CUES_WAITING_MAX {
            return Err(Error::CuesFull);
        }
        if let Some(domain) = &mut self.domain
            && let Some(newest) = domain.part.last(&self.tracks)
        {
            let at = newest + domain.shift;
            domain.part.cues.push((cue, Some(at)));
            return Ok(domain.wall_at(at));
        }
        self.cues.push_back(cue);
        Ok(self.next_part())
    }

    /// When about the next part will be presented.
    fn next_part(&self) -> WallTime {
        let next_part =
            self.domain.as_ref().map(|domain| domain.wall_at(domain.part.start + self.part_target + domain.shift));
        next_part.or(self.wall_end).unwrap_or(WallTime(0))
    }

    pub(super) fn push_splice(&mut self, splice: Splice) -> Result<WallTime, Error> {
        if !self.window.is_published() {
            return Err(Error::NotLive);
        }
        let start = splice.start.max(self.next_part());
        self.splices.begin(Splice { start, ..splice }).map_err(|id| Error::AdBreakRuns { id })?;
        Ok(start)
    }

    /// At the next keyframe a new domain begins.
    pub(super) fn renew(&mut self) {
        self.renews = true;
    }

    /// Closes what is open; the next unit that is taken begins a new domain.
    pub(super) fn discontinuity(&mut self) {
        self.finish_domain();
        self.audio.clear();
        self.audio_weight = 0;
        self.audio_last = None;
    }

    /// Closes what is open, with the cues that wait.
    pub(super) fn flush(&mut self) {
        if let Some(domain) = &mut self.domain {
            domain.part.cues.extend(unplaced(&mut self.cues));
        }
        self.discontinuity();
    }

    pub(super) fn end(&mut self) {
        self.flush();
        self.window.end();
        self.tell(|| Cut::End);
    }

    pub(super) fn push(&mut self, unit: AccessUnit, now: WallTime, configured: &Tracks) -> Result<(), Error> {
        self.now = now;
        let (active, wanted) = match unit.kind {
            TrackKind::Video => (&self.tracks.video, &configured.video),
            TrackKind::Audio => (&self.tracks.audio, &configured.audio),
        };
        if wanted.is_none() {
            return Ok(());
        }
        let usable = active == wanted;
        match (unit.kind, self.lead) {
            (TrackKind::Video, TrackKind::Audio) if unit.keyframe == Keyframe::Yes => {
                // Pictures came, or came back.
                self.discontinuity();
                self.lead = TrackKind::Video;
                self.push_lead(unit, now, configured);
            }
            (TrackKind::Video, TrackKind::Audio) => {}
            (TrackKind::Audio, TrackKind::Video) => {
                if usable || self.domain.is_none() {
                    self.push_audio(unit, now, configured);
                }
            }
            (_, _) => {
                let same = usable && self.tracks.audio == configured.audio;
                let keyframe = unit.keyframe == Keyframe::Yes;
                if (!same || self.renews) && keyframe {
                    self.change_tracks(&unit, configured);
                }
                if usable || keyframe {
                    self.push_lead(unit, now, configured);
                }
            }
        }
        let bytes = self.window.open_weight() + self.part_weight + self.audio_weight;
        if bytes > SEGMENT_BYTES_MAX {
            return Err(Error::SegmentTooLarge { bytes });
        }
        Ok(())
    }

    /// Ends the domain before a keyframe of a changed configuration.
    fn change_tracks(&mut self, unit: &AccessUnit, configured: &Tracks) {
        let Some(domain) = &self.domain else { return };
        let before = domain.part.last(&self.tracks).unwrap_or(domain.part.start);
        let at = ticks(unit, configured);
        if at > before && at - before <= GAP_MAX {
            self.finish_domain_at(at);
        } else {
            self.finish_domain();
        }
        if self.tracks.audio != configured.audio {
            self.audio.clear();
            self.audio_weight = 0;
            self.audio_last = None;
        }
    }

    /// Sound beside pictures: it waits for the part that covers it.
    fn push_audio(&mut self, unit: AccessUnit, now: WallTime, configured: &Tracks) {
        if self.audio_last.is_some_and(|last| unit.dts <= last) {
            if self.audio_last.is_some_and(|last| {
                let scale = configured.audio.as_ref().map(|track| track.timescale);
                scale.is_some_and(|scale| last - unit.dts > scale.ticks_of_ms(STEP_BACK_MAX / MS))
            }) {
                self.discontinuity();
                self.push_audio(unit, now, configured);
            }
            return;
        }
        self.audio_last = Some(unit.dts);
        self.audio_weight += weight(&unit);
        self.audio.push_back(unit);
        let (Some(first), Some(last)) = (self.audio.front(), self.audio.back()) else { return };
        let (first, last) = (ticks(first, configured), ticks(last, configured));
        let pictures = self.domain.as_ref().map(|domain| domain.part.last(&self.tracks).unwrap_or(domain.part.start));
        let (stalled, limit) = match pictures {
            Some(pictures) => (last - first.max(pictures), VIDEO_STALL_MAX),
            None => (last - first, KEYFRAME_WAIT_MAX),
        };
        if stalled > limit {
            let queued = std::mem::take(&mut self.audio);
            self.discontinuity();
            self.lead = TrackKind::Audio;
            self.audio_weight = 0;
            for unit in queued {
                let arrived = now.plus_ms((ticks(&unit, configured) - last) / MS);
                self.push_lead(unit, arrived, configured);
            }
        }
    }

    /// A unit of the leading track.
    fn push_lead(&mut self, mut unit: AccessUnit, now: WallTime, configured: &Tracks) {
        let keyframe = unit.keyframe == Keyframe::Yes;
        let Some(domain) = &mut self.domain else {
            if keyframe {
                self.start_domain(unit, now, configured);
            }
            return;
        };
        let mut at = ticks(&unit, &self.tracks);
        let before = domain.part.last(&self.tracks).unwrap_or(domain.part.start);
        if at <= before {
            if before - at > STEP_BACK_MAX {
                self.discontinuity();
                return self.push_lead(unit, now, configured);
            }
            match (self.lead, domain.part.units.last()) {
                (TrackKind::Video, Some(last)) => unit.dts = last.dts + 1,
                (TrackKind::Video, None) => unit.dts = before + 1,
                // Sound that comes twice.
                (TrackKind::Audio, _) => return,
            }
            at = ticks(&unit, &self.tracks);
        }
        if at - before > GAP_MAX {
            self.discontinuity();
            return self.push_lead(unit, now, configured);
        }
        if !domain.part.units.is_empty() {
            self.unit_ticks = (self.unit_ticks * 7 + (at - before)) / 8;
        }
        self.close_parts_before(at);
        let Some(domain) = &mut self.domain else { return };
        let length = at - domain.part.start;
        let segment_length = at - domain.segment_start;
        let ends_segment =
            keyframe && segment_length > 0 && (segment_length >= SEGMENT_MIN || !domain.segment_independent);
        // All-intra streams are left to the other rule, else each picture would be a part.
        let long_enough = length * 100 >= self.part_target * 85;
        let keyframe_within = keyframe && self.lead == TrackKind::Video && !domain.last_was_keyframe && long_enough;
        let tolerance = (2 * MS).max(self.unit_ticks / 4);
        let full = long_enough && length + self.unit_ticks > self.part_target + tolerance;
        if length > 0 && (ends_segment || keyframe_within || full) {
            let border = if keyframe { unit.pts } else { at + domain.shift };
            self.close_part(at, at, at, border);
        }
        if ends_segment {
            self.next_segment(at, unit.keyframe);
        }
        if let Some(domain) = &mut self.domain {
            domain.last_was_keyframe = keyframe;
            self.part_weight += weight(&unit);
            domain.part.units.push(unit);
        }
    }

    /// Closes parts until the open one can reach to `at` without being longer than PART-TARGET, nor its segment than it may be.
    fn close_parts_before(&mut self, at: i64) {
        while let Some(domain) = &self.domain {
            let start = domain.part.start;
            let segment_end = domain.segment_start + self.segment_max;
            let furthest = segment_end.min(start + self.part_target);
            if at <= furthest {
                break;
            }
            let last = domain.part.last(&self.tracks).filter(|&last| last > start);
            let closes_segment = furthest == segment_end;
            let exact = last
                .filter(|&last| last <= furthest && (closes_segment || (last - start) * 100 >= self.part_target * 85));
            match exact {
                Some(last) => {
                    let shift = domain.shift;
                    let held = self.domain.as_mut().and_then(|domain| domain.part.units.pop());
                    let keyframe = held.as_ref().filter(|unit| unit.keyframe == Keyframe::Yes);
                    self.close_part(last, last, last, keyframe.map_or(last + shift, |unit| unit.pts));
                    if let Some(unit) = held {
                        if closes_segment {
                            self.next_segment(last, unit.keyframe);
                        }
                        if let Some(domain) = &mut self.domain {
                            self.part_weight += weight(&unit);
                            domain.part.units.push(unit);
                        }
                    }
                }
                None => {
                    let border = furthest + domain.shift;
                    self.close_part(furthest, at, furthest, border);
                    if closes_segment {
                        self.next_segment(furthest, Keyframe::No);
                    }
                }
            }
        }
    }

    /// Closes the open part at `end` and opens the next one at `next`. `units_end` is when its last picture ends, `border` where followers cut, in
    /// presentation time of the lead.
    fn close_part(&mut self, end: i64, units_end: i64, next: i64, border: i64) {
        let Some(domain) = &mut self.domain else { return };
        let opened = OpenPart { start: next, units: Vec::new(), cues: unplaced(&mut self.cues).collect() };
        let closed = std::mem::replace(&mut domain.part, opened);
        let mut sound = Vec::new();
        if self.lead == TrackKind::Video {
            while let Some(unit) = self.audio.front()
                && ticks(unit, &self.tracks) < end + self.overhang
            {
                self.audio_weight -= weight(unit);
                sound.extend(self.audio.pop_front());
            }
        }
        let (video, audio) = match self.lead {
            TrackKind::Video => (&closed.units[..], &sound[..]),
            TrackKind::Audio => (&[][..], &closed.units[..]),
        };
        let first = match closed.units.first() {
            Some(unit) if self.lead == TrackKind::Video => unit.pts,
            Some(unit) => ticks(unit, &self.tracks),
            None => closed.start + domain.shift,
        };
        // The newest picture may have moved on to the next part; its cue does not wait for that.
        let latest = (end + domain.shift - 1).max(first);
        let place = |(cue, at): (Cue, Option<i64>)| {
            let at = at.unwrap_or(first).min(latest);
            PlacedCue { cue, at, date: domain.wall_at(at) }
        };
        let cues: Vec<PlacedCue> = closed.cues.into_iter().map(place).collect();
        let independent = closed.units.iter().any(|unit| unit.keyframe == Keyframe::Yes);
        let content = Content {
            start: closed.start,
            end,
            video,
            video_end: units_end,
            audio,
            cues: &cues,
            cue_number: self.cue_number,
            independent,
        };
        if self.window.owes_bridge() {
            self.window.push_bridge(part::bridge(self.sequence, &content, self.targets.bridge_ticks(), &self.tracks));
            self.sequence = self.sequence.wrapping_add(1);
        }
        let written = part::write(self.sequence, &content, &self.tracks);
        self.sequence = self.sequence.wrapping_add(1);
        let position = self.window.next();
        let ad_marks = self.splices.marks(domain.wall_at(first));
        if self.cuts.is_some() {
            let pictures = if self.lead == TrackKind::Audio { 0 } else { closed.units.len() };
            let cut = Cut::Part(Arc::new(PartCut {
                start: closed.start,
                end,
                border: if self.lead == TrackKind::Audio { end } else { border },
                shift: if self.lead == TrackKind::Audio { 0 } else { domain.shift },
                pictures,
                blocks: part::sound(&written, audio),
                sound: self.tracks.audio.clone(),
                cues: cues.clone(),
                cue_number: self.cue_number,
                ad_marks: ad_marks.clone(),
            }));
            self.tell(|| cut);
        }
        for cue in &cues {
            self.cue_number = self.cue_number.wrapping_add(1);
            self.window.push_cue(cue.date_range(position));
        }
        for mark in &ad_marks {
            self.window.push_ad_mark(mark);
        }
        let held = closed.units.iter().chain(&sound).map(weight).sum();
        self.part_weight = 0;
        self.window.push_part(written, held);
    }

    /// Closes the open segment and opens the next one of the same domain at `at`.
    fn next_segment(&mut self, at: i64, keyframe: Keyframe) {
        let Some(domain) = &mut self.domain else { return };
        domain.segment_start = at;
        domain.segment_independent = keyframe == Keyframe::Yes;
        let late_ms = self.now.since_ms(domain.wall_at(at + domain.shift));
        domain.wall = domain.wall.plus_ms(domain.drift.note(late_ms));
        let date = domain.wall_at(at + domain.shift);
        let independent = domain.segment_independent;
        self.close_segment();
        self.open_segment(date, independent, false);
    }

    fn start_domain(&mut self, unit: AccessUnit, now: WallTime, configured: &Tracks) {
        self.tracks = match self.lead {
            TrackKind::Video => configured.clone(),
            TrackKind::Audio => Tracks { video: None, audio: configured.audio.clone() },
        };
        self.window.set_tracks(&self.tracks);
        let start = ticks(&unit, &self.tracks);
        let presentation = match self.lead {
            TrackKind::Video => unit.pts,
            TrackKind::Audio => {
                let scale = configured.audio.as_ref().map_or(Timescale::MILLIS, |t| t.timescale);
                MediaTime::new(unit.pts, scale).rescale(Timescale::VIDEO).ticks
            }
        };
        // Sound from before the first picture has nothing to be heard with.
        while let Some(first) = self.audio.front()
            && part::audio_end(first, &self.tracks) <= start
        {
            self.audio_weight -= weight(first);
            self.audio.pop_front();
        }
        let wall = self.wall_end.map_or(now, |end| end.max(now));
        self.renews = false;
        match self.wall_end.filter(|began| !self.window.is_empty() && wall.since_ms(*began) > OUTAGE_MIN_MS) {
            Some(began) => {
                self.window.open_after_outage(began, wall, true);
                self.tell_opening(wall, true, Some(began));
            }
            None => {
                let discontinuity = !self.window.is_empty();
                self.open_segment(wall, true, discontinuity);
            }
        }
        self.part_weight = weight(&unit);
        let cues = unplaced(&mut self.cues).collect();
        self.domain = Some(Domain {
            wall,
            presentation,
            shift: presentation - start,
            segment_start: start,
            segment_independent: true,
            part: OpenPart { start, units: vec![unit], cues },
            last_was_keyframe: true,
            drift: Drift::default(),
        });
    }

    /// Closes the open part with a usual duration for its last unit, and the segment. Nothing follows on this stretch of time, so the last part
    /// also takes the sound that is heard with pictures which are shown later than they are decoded.
    fn finish_domain(&mut self) {
        let Some(domain) = &self.domain else { return };
        let last = domain.part.last(&self.tracks).unwrap_or(domain.part.start);
        let end = last + self.unit_ticks.max(1);
        if !domain.part.units.is_empty() {
            self.close_parts_before(end);
        }
        self.overhang = self.domain.as_ref().map_or(0, |domain| domain.shift.clamp(0, OVERHANG_MAX));
        self.finish_domain_at(end);
        self.overhang = 0;
    }

    /// Closes the open part at `end`, or as near to it as a part may reach, and the segment.
    fn finish_domain_at(&mut self, end: i64) {
        let Some(domain) = &self.domain else { return };
        if !domain.part.units.is_empty() {
            self.close_parts_before(end);
        }
        if let Some(domain) = &self.domain
            && !domain.part.units.is_empty()
            && end > domain.part.start
        {
            let border = end + domain.shift;
            self.close_part(end, end, end, border);
        }
        self.part_weight = 0;
        if let Some(domain) = self.domain.take() {
            // Cues of a part that never came wait for the next one.
            for (cue, _) in domain.part.cues.iter().rev() {
                self.cues.push_front(cue.clone());
            }
            self.wall_end = Some(domain.wall_at(domain.part.start + domain.shift));
        }
        self.close_segment();
    }
}

/// Takes the cues that wait, for a part that has no pictures yet.
fn unplaced(cues: &mut VecDeque<Cue>) -> impl Iterator<Item = (Cue, Option<i64>)> {
    cues.drain(..).map(|cue| (cue, None))
}
