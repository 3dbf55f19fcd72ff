//! Further renditions of a stream, cut where its source is.
//!
//! The source's [`Packager`](crate::Packager) decides where segments and parts end and tells it as [`Cut`]s; a [`Follower`] for each
//! further rendition obeys. So all renditions have the same media sequence numbers, parts, dates, targets and cues, and a player may
//! change from one to another at any segment. What an encoder did not deliver in time becomes a gap (EXT-X-GAP), never a delay.
//!
//! A rendition is either encoded here, with a keyframe wherever the source has one, or a further track that the publisher sends. The latter keeps
//! its own decode times and B-frames; if its keyframes are not the source's, its segments begin without one, and say so. If its configuration
//! changes, the source is to have a discontinuity ([`poll_renewal`](Follower::poll_renewal)); what comes before that is a gap.

mod cuts;
mod hold;

use crate::fill::Missing;
use crate::packager::learn::{MS, Targets, ticks};
use crate::packager::part::{self, Content};
use crate::packager::window::Window;
use crate::packager::{SEGMENT_BYTES_MAX, Tracks, weight};
use crate::snapshot::{Part, Snapshot};
pub use cuts::{Beginning, Cut, Opening, PartCut};
use headwater_media::{AccessUnit, Keyframe, Timescale, Track, TrackKind};
use hold::Hold;
pub use hold::WAKE_HOLD_MAX_MS;
use std::collections::VecDeque;
use std::sync::Arc;

/// How far a rendition may be behind its source before what is missing becomes a gap: ten times what a sound encoder needs.
pub const LAG_MAX_MS: i64 = 2_500;
/// Segments whose cuts a sleeping rendition keeps, the open one included: it wakes in one of them.
pub const KEPT_SEGMENTS: usize = 3;
/// Units that wait for their part, of each kind: more than [`LAG_MAX_MS`] holds at 240 pictures a second, and what comes before the source's
/// first segment is complete. Full: the oldest leaves. Their bytes are bounded like a segment's.
const WAITING_MAX: usize = 1_024;
/// How far an encoder's time may be from the source's: it counts in milliseconds.
const TOLERANCE: i64 = MS;
/// Pictures of the source in a part from which on a part of the rendition without any is a gap, and not a lower frame rate.
const GAP_PICTURES_MIN: usize = 2;

/// Whether a rendition has pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pictures {
    /// They are handed over in presentation order, as an encoder without B-frames makes them. Decode times are the source's.
    Encoded,
    /// They are handed over in decode order, with decode times of their own: a further track of the publisher.
    Sent,
    /// It is sound only.
    None,
}

/// Where a rendition's sound comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sound {
    /// It is the source's own.
    Source,
    /// It is handed over.
    Encoded,
}

/// What a follower is told at its start.
#[derive(Clone, Debug)]
pub struct Options {
    /// The unguessable name of the stream session in media URLs.
    pub epoch: String,
    /// The rendition's name in media URLs.
    pub rendition: String,
    /// Whether there are pictures.
    pub pictures: Pictures,
    /// Where the sound comes from.
    pub sound: Sound,
    /// Bits a second that the rendition is encoded at.
    pub bandwidth: u64,
    /// Most frames in 1000 seconds.
    pub frame_rate_millis_max: Option<u32>,
}

/// A unit with the configuration that it needs.
#[derive(Debug)]
struct Waiting {
    unit: AccessUnit,
    track: Track,
    /// Where it is cut, on the axis of presentation: for pictures in decode order, their decode time and what their last keyframe was shown later
    /// than decoded. Never decreases within a track.
    at: i64,
}

/// Whether anybody wants a rendition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Awake,
    Asleep,
}

/// What a segment begins with.
struct Start {
    decodable: bool,
    missing: bool,
    tracks: Tracks,
}

/// Packages one further rendition.
///
/// Input: [`handle_cut`](Self::handle_cut), [`handle_track`](Self::handle_track), [`handle_unit`](Self::handle_unit). Commands:
/// [`expect_from`](Self::expect_from), [`sleep`](Self::sleep), [`wake`](Self::wake), [`set_siblings`](Self::set_siblings). Output: [`poll_snapshot`](Self::poll_snapshot), to be asked
/// after each. It is published from the first segment on that it has a keyframe for; when it was woken, from the moment on that players can use it:
/// the segment that it begins with is whole, and it has caught up with the source.
///
/// *Units*: pictures come in the order that [`Pictures`] says, on the source's timeline, exact to a millisecond.
#[derive(Debug)]
pub struct Follower {
    options: Options,
    targets: Option<Targets>,
    window: Option<Window>,
    siblings: Arc<[String]>,
    cuts: VecDeque<Cut>,
    /// Ticks of the parts that wait, and how many may.
    waiting_ticks: i64,
    waiting_ticks_max: i64,
    /// Segments that begin among the cuts that wait.
    waiting_segments: usize,
    state: State,
    configured: Tracks,
    /// The tracks of the init segment in use.
    tracks: Tracks,
    video: VecDeque<Waiting>,
    audio: VecDeque<Waiting>,
    /// Bytes of the pictures that wait.
    video_weight: u64,
    /// By how much the newest keyframe is shown later than decoded, for pictures in decode order.
    shift: i64,
    /// Pictures before this presentation time will not come.
    expected_from: i64,
    newest_video: i64,
    newest_audio: i64,
    opening: Option<Opening>,
    /// Pictures are of no use before the next keyframe.
    wants_keyframe: bool,
    last_dts: i64,
    sequence: u32,
    gaps: u64,
    /// The configuration that a discontinuity was asked for.
    renewal: Option<Track>,
    /// Whether the newest segment with pictures begins with a keyframe.
    aligned: bool,
    /// Whether it has a part that is no gap; nothing is published before.
    began: bool,
    /// Set when it is woken, until players can use it; nothing is published before.
    hold: Option<Hold>,
    fresh: Option<Arc<Snapshot>>,
}

impl Follower {
    /// A follower that has seen nothing, and expects no pictures.
    pub fn new(options: Options) -> Self {
        Follower {
            options,
            targets: None,
            window: None,
            siblings: Arc::default(),
            cuts: VecDeque::new(),
            waiting_ticks: 0,
            waiting_ticks_max: LAG_MAX_MS * MS,
            waiting_segments: 0,
            state: State::Awake,
            configured: Tracks::default(),
            tracks: Tracks::default(),
            video: VecDeque::new(),
            audio: VecDeque::new(),
            video_weight: 0,
            shift: 0,
            expected_from: i64::MAX,
            newest_video: i64::MIN,
            newest_audio: i64::MIN,
            opening: None,
            wants_keyframe: true,
            last_dts: i64::MIN,
            sequence: 1,
            gaps: 0,
            renewal: None,
            aligned: true,
            began: false,
            hold: None,
            fresh: None,
        }
    }

    /// The rendition's name.
    pub fn rendition(&self) -> &str {
        &self.options.rendition
    }

    /// Where the sound comes from, from now on.
    pub fn set_sound(&mut self, sound: Sound) {
        self.options.sound = sound;
    }

    /// How pictures are handed over, from now on. Those that wait are dropped if it changes.
    pub fn set_pictures(&mut self, pictures: Pictures) {
        if self.options.pictures != pictures {
            self.options.pictures = pictures;
            self.video.clear();
            self.video_weight = 0;
            self.wants_keyframe = true;
        }
    }

    /// Parts that were published as gaps.
    pub fn gaps(&self) -> u64 {
        self.gaps
    }

    /// Whether the newest segment with pictures begins with a keyframe.
    pub fn is_aligned(&self) -> bool {
        self.aligned
    }

    #[cfg(test)]
    pub(crate) fn waiting_weight(&self) -> u64 {
        self.video_weight
    }

    /// The other renditions of the stream.
    pub fn set_siblings(&mut self, siblings: &Arc<[String]>) {
        self.siblings = Arc::clone(siblings);
        if let Some(window) = &mut self.window {
            window.set_siblings(siblings);
        }
    }

    /// The encoder will deliver pictures from this presentation time on (ticks of 90 kHz), with a keyframe first; `None`: it will not.
    /// What is cut before is not waited for. A sleeping rendition expects nothing until it is woken.
    pub fn expect_from(&mut self, presentation: Option<i64>) {
        if self.state == State::Asleep {
            return;
        }
        self.expected_from = presentation.unwrap_or(i64::MAX);
        self.newest_video = i64::MIN;
        self.newest_audio = i64::MIN;
        self.proceed();
    }

    /// Nobody wants it: nothing is expected, and nothing is published until it is woken and has a picture again. What is cut meanwhile is kept for
    /// [`KEPT_SEGMENTS`], then it is a gap.
    pub fn sleep(&mut self) {
        self.expect_from(None);
        self.state = State::Asleep;
        self.video.clear();
        self.video_weight = 0;
        self.audio.clear();
        self.wants_keyframe = true;
        self.began = false;
        self.hold = None;
    }

    /// Somebody wants it: the encoder will deliver pictures from this presentation time on, which may be in the past, and then catches up. It is
    /// published when it has, and not in the middle of its first segment, unless that takes longer than [`WAKE_HOLD_MAX_MS`].
    pub fn wake(&mut self, presentation: i64) {
        if self.state == State::Awake {
            return;
        }
        self.state = State::Awake;
        self.hold = Some(Hold::default());
        self.waiting_ticks_max = self.waiting_ticks + LAG_MAX_MS * MS;
        self.expect_from(Some(presentation));
    }

    #[cfg(test)]
    pub(crate) fn is_awake(&self) -> bool {
        self.state == State::Awake
    }

    /// Whether the source is to begin anew with a discontinuity at its next keyframe ([`Packager::renew`](crate::Packager::renew)), because the
    /// publisher has configured this track anew; told once for each configuration.
    pub fn poll_renewal(&mut self) -> bool {
        let changed = self.options.pictures == Pictures::Sent
            && self.tracks.video.is_some()
            && self.tracks.video != self.configured.video
            && self.renewal != self.configured.video;
        let announced = |cut: &Cut| matches!(cut, Cut::Open(opening) if opening.discontinuity);
        let comes =
            self.opening.as_ref().is_some_and(|opening| opening.discontinuity) || self.cuts.iter().any(announced);
        if changed && !comes {
            self.renewal.clone_from(&self.configured.video);
        }
        changed && !comes
    }

    /// Whether it is published: it has had a picture, or sound if it has no pictures, and is held back no more since it was woken.
    pub fn is_shown(&self) -> bool {
        self.began && self.hold.is_none()
    }

    /// What the source's packager told.
    pub fn handle_cut(&mut self, cut: Cut) {
        match &cut {
            Cut::Part(part) => {
                let ticks = part.end - part.start;
                self.waiting_ticks += ticks;
                self.hold.iter_mut().for_each(|hold| hold.cut(ticks));
            }
            Cut::Open(_) => self.waiting_segments += 1,
            Cut::Begin(_) | Cut::Close | Cut::End => {}
        }
        self.cuts.push_back(cut);
        self.proceed();
    }

    /// The configuration of the units that follow.
    pub fn handle_track(&mut self, track: Track) {
        match track.kind {
            TrackKind::Video => self.configured.video = Some(track),
            TrackKind::Audio => self.configured.audio = Some(track),
        }
    }

    /// A unit of the encoder, on the source's timeline.
    pub fn handle_unit(&mut self, unit: AccessUnit) {
        if self.state == State::Asleep {
            return;
        }
        match unit.kind {
            TrackKind::Video => self.handle_picture(unit),
            TrackKind::Audio => self.handle_block(unit),
        }
        self.proceed();
    }

    fn handle_picture(&mut self, unit: AccessUnit) {
        let Some(track) = self.configured.video.clone() else { return };
        let at = match self.options.pictures {
            Pictures::Encoded => unit.pts,
            Pictures::Sent => {
                if unit.keyframe == Keyframe::Yes {
                    self.shift = unit.pts.saturating_sub(unit.dts);
                }
                unit.dts.saturating_add(self.shift)
            }
            Pictures::None => return,
        };
        self.newest_video = self.newest_video.max(at);
        self.video_weight += weight(&unit);
        self.video.push_back(Waiting { unit, track, at });
        while self.video.len() > WAITING_MAX || self.video_weight > SEGMENT_BYTES_MAX {
            self.pop_picture();
            self.wants_keyframe = true;
        }
    }

    fn pop_picture(&mut self) -> Option<Waiting> {
        let first = self.video.pop_front()?;
        self.video_weight -= weight(&first.unit);
        Some(first)
    }

    fn handle_block(&mut self, unit: AccessUnit) {
        let Some(track) = self.configured.audio.clone().filter(|_| self.options.sound == Sound::Encoded) else {
            return;
        };
        let tracks = Tracks { video: None, audio: Some(track.clone()) };
        self.newest_audio = self.newest_audio.max(part::audio_end(&unit, &tracks));
        let at = ticks(&unit, &tracks);
        self.audio.push_back(Waiting { unit, track, at });
        if self.audio.len() > WAITING_MAX {
            self.audio.pop_front();
        }
    }

    /// The newest snapshot, if it has not been taken yet.
    pub fn poll_snapshot(&mut self) -> Option<Arc<Snapshot>> {
        self.fresh.take()
    }

    /// Handles the cuts whose media is there.
    fn proceed(&mut self) {
        while let Some(cut) = self.cuts.front() {
            if self.must_wait(cut) {
                break;
            }
            match self.cuts.pop_front() {
                Some(Cut::Begin(Beginning(targets))) => self.targets = Some(targets),
                Some(Cut::Open(opening)) => {
                    self.waiting_segments -= 1;
                    self.opening = Some(opening);
                }
                Some(Cut::Part(part)) => {
                    self.waiting_ticks -= part.end - part.start;
                    self.waiting_ticks_max = self.waiting_ticks_max.min(self.waiting_ticks + LAG_MAX_MS * MS);
                    self.write(&part);
                }
                Some(Cut::Close) => {
                    self.opening = None;
                    self.hold.iter_mut().for_each(Hold::closed);
                    if let Some(window) = &mut self.window {
                        window.close_segment();
                    }
                }
                Some(Cut::End) => {
                    self.hold = None;
                    if let Some(window) = &mut self.window {
                        window.end();
                    }
                }
                None => {}
            }
        }
        let part_ticks = self.targets.map_or(0, |targets| targets.part_target_ms * MS);
        if self.hold.as_ref().is_some_and(|hold| hold.is_over(self.waiting_ticks, part_ticks)) {
            self.hold = None;
        }
        if self.is_shown()
            && let Some(snapshot) = self.window.as_mut().and_then(Window::snapshot)
        {
            self.fresh = Some(Arc::new(snapshot));
        }
    }

    /// Whether it is too early for a cut.
    fn must_wait(&self, cut: &Cut) -> bool {
        let over = matches!(self.cuts.back(), Some(Cut::End));
        match (self.state, cut) {
            (State::Asleep, Cut::Begin(_)) => false,
            (State::Asleep, _) => self.waiting_segments <= KEPT_SEGMENTS && !over,
            (State::Awake, Cut::Part(part)) => !self.is_complete(part) && self.waiting_ticks <= self.waiting_ticks_max,
            (State::Awake, _) => false,
        }
    }

    /// Whether all that belongs to a part is there, or will not come.
    fn is_complete(&self, part: &PartCut) -> bool {
        let no_pictures = self.options.pictures == Pictures::None || part.pictures == 0;
        let pictures = no_pictures || self.newest_video >= part.border - TOLERANCE;
        let no_sound = self.options.sound == Sound::Source || part.blocks.is_empty();
        let sound = no_sound || self.newest_audio >= part.end;
        (pictures && sound) || part.border <= self.expected_from.saturating_add(TOLERANCE)
    }

    fn write(&mut self, cut: &Arc<PartCut>) {
        let mut pictures = self.take_pictures(cut);
        let (blocks, sound) = self.take_sound(cut);
        let heard = sound.clone();
        let begins = pictures.first().is_some_and(|first| first.unit.keyframe == Keyframe::Yes);
        let weight = pictures.iter().map(|picture| weight(&picture.unit)).sum::<u64>();
        let missing = match self.options.pictures {
            Pictures::Encoded => pictures.is_empty() && (cut.pictures >= GAP_PICTURES_MIN || self.wants_keyframe),
            // Of a track that goes on, a stretch without pictures is a low frame rate.
            Pictures::Sent => {
                pictures.is_empty() && (self.wants_keyframe || self.newest_video < cut.border - TOLERANCE)
            }
            Pictures::None => blocks.is_empty() && !cut.blocks.is_empty(),
        };
        if missing && matches!(self.cuts.back(), Some(Cut::End)) {
            // What was still being encoded at the end is left out.
            return;
        }
        if let Some(opening) = self.opening.take() {
            let video = match self.options.pictures {
                // Its keyframe may come later in the segment, and so may the configuration that a discontinuity was asked for.
                Pictures::Sent => {
                    let first = pictures.first().filter(|_| begins || self.renewal.is_none());
                    first.map(|first| &first.track).or(self.configured.video.as_ref()).cloned()
                }
                Pictures::Encoded | Pictures::None => pictures.first().map(|first| first.track.clone()),
            };
            let begins = begins || (self.options.pictures == Pictures::None && sound.is_some());
            if !missing {
                self.aligned = begins;
            }
            let start = Start { decodable: begins && !missing, tracks: Tracks { video, audio: sound }, missing };
            self.open(&opening, start);
        }
        let Some(window) = &mut self.window else { return };
        let position = window.next();
        for cue in &cut.cues {
            window.push_cue(cue.date_range(position));
        }
        for mark in &cut.ad_marks {
            window.push_ad_mark(mark);
        }
        // A configuration changes only where a segment begins. The first one is that of the gaps before it, too.
        if self.tracks == Tracks::default() && begins && !missing {
            self.tracks = Tracks { video: pictures.first().map(|first| first.track.clone()), audio: heard };
            window.set_tracks(&self.tracks);
        }
        let unconfigured = self.tracks == Tracks::default();
        let foreign = pictures.iter().any(|picture| self.tracks.video.as_ref() != Some(&picture.track));
        let too_large = window.open_weight() + weight > SEGMENT_BYTES_MAX;
        if missing || foreign || unconfigured || too_large {
            if window.owes_bridge() {
                let ticks = self.targets.map_or(MS, |targets| targets.bridge_ticks());
                let missing = Missing { sequence: self.sequence, cut: Arc::new(cut.bridge(ticks)) };
                self.sequence = self.sequence.wrapping_add(1);
                window.push_bridge(Part::absent(ticks, Some(missing)));
            }
            self.gaps += u64::from(self.began);
            self.wants_keyframe = true;
            let missing = Missing { sequence: self.sequence, cut: Arc::clone(cut) };
            self.sequence = self.sequence.wrapping_add(1);
            window.push_part(Part::absent(cut.end - cut.start, Some(missing)), 0);
            return;
        }
        let sent = self.options.pictures == Pictures::Sent;
        let decoded = |picture: &Waiting| if sent { picture.unit.dts } else { picture.unit.pts - cut.shift };
        // Where the part ends for this track's decoder.
        let decode_end = pictures.last().map_or(cut.end, |last| cut.border - (last.at - decoded(last)));
        for picture in &mut pictures {
            let dts = decoded(picture).max(self.last_dts.saturating_add(1));
            picture.unit.dts = dts;
            self.last_dts = dts;
        }
        let video: Vec<AccessUnit> = pictures.into_iter().map(|picture| picture.unit).collect();
        let next = self.video.front().map(decoded);
        let video_end = next.filter(|&next| next > self.last_dts && next - decode_end < LAG_MAX_MS * MS);
        let content = Content {
            start: cut.start,
            end: cut.end,
            video: &video,
            video_end: video_end.unwrap_or(decode_end.max(self.last_dts.saturating_add(1))),
            audio: &blocks,
            cues: &cut.cues,
            cue_number: cut.cue_number,
            independent: self.options.pictures == Pictures::None
                || video.iter().any(|unit| unit.keyframe == Keyframe::Yes),
        };
        if window.owes_bridge() {
            let ticks = self.targets.map_or(MS, |targets| targets.bridge_ticks());
            window.push_bridge(part::bridge(self.sequence, &content, ticks, &self.tracks));
            self.sequence = self.sequence.wrapping_add(1);
        }
        let written = part::write(self.sequence, &content, &self.tracks);
        self.sequence = self.sequence.wrapping_add(1);
        window.push_part(written, weight);
        if begins
            && !sent
            && let Some(keyframe) = video.first()
        {
            window.offer_still(keyframe);
        }
        self.began = true;
        self.hold.iter_mut().for_each(|hold| hold.wrote(position.part));
    }

    /// Opens a segment. What was cut before the rendition began is a gap, so that its window is as long as the source's.
    fn open(&mut self, opening: &Opening, start: Start) {
        let Some(targets) = self.targets else { return };
        if self.window.is_none() {
            let frame_rate_millis = match (targets.frame_rate_millis, self.options.frame_rate_millis_max) {
                (Some(rate), Some(max)) => Some(rate.min(max)),
                (rate, _) => rate,
            };
            let targets = Targets { frame_rate_millis, ..targets };
            let mut window = Window::new(&self.options.epoch, &self.options.rendition, targets);
            window.announce(self.options.bandwidth);
            window.set_siblings(&self.siblings);
            self.window = Some(window);
        }
        let Some(window) = &mut self.window else { return };
        // A track that is not aligned never begins a segment, and its configuration may change all the same; but only at a discontinuity, as the
        // sound's does.
        let usable = match self.options.pictures {
            Pictures::Sent => {
                let same = start.tracks.video == self.tracks.video && start.decodable;
                start.tracks.video.is_some() && (same || opening.discontinuity || self.tracks == Tracks::default())
            }
            Pictures::Encoded | Pictures::None => start.decodable,
        };
        if opening.discontinuity {
            self.renewal = None;
        }
        if usable {
            let audio = start.tracks.audio.or_else(|| self.tracks.audio.take());
            self.tracks = Tracks { video: start.tracks.video, audio };
        }
        // A gap needs no keyframe.
        let independent = start.decodable || start.missing;
        if self.tracks != Tracks::default() {
            window.set_tracks(&self.tracks);
        }
        let before = opening.discontinuities - u64::from(opening.discontinuity);
        match opening.outage {
            Some(began) => {
                window.go_to(opening.msn - 1, before);
                window.open_after_outage(began, opening.date, independent);
            }
            None => {
                window.go_to(opening.msn, before);
                window.open_segment(opening.date, independent, opening.discontinuity);
            }
        }
    }

    /// The pictures of a part; those that cannot be decoded are dropped.
    fn take_pictures(&mut self, cut: &PartCut) -> Vec<Waiting> {
        let mut taken = Vec::new();
        while let Some(next) = self.video.front()
            && next.at < cut.border - TOLERANCE
        {
            let Some(mut next) = self.pop_picture() else { break };
            let begin = cut.start + cut.shift;
            if next.at < begin - TOLERANCE {
                // Its part is published already, as a gap or without it.
                self.wants_keyframe = true;
                continue;
            }
            if self.wants_keyframe && next.unit.keyframe == Keyframe::No {
                continue;
            }
            self.wants_keyframe = false;
            if self.options.pictures == Pictures::Encoded {
                // The source's time, which the encoder rounded.
                next.unit.pts = next.unit.pts.max(begin);
            }
            taken.push(next);
        }
        taken
    }

    fn take_sound(&mut self, cut: &PartCut) -> (Vec<AccessUnit>, Option<Track>) {
        if self.options.sound == Sound::Source {
            return (cut.blocks.clone(), cut.sound.clone());
        }
        let (mut blocks, mut sound) = (Vec::new(), None);
        while let Some(next) = self.audio.front() {
            if next.at >= cut.end {
                break;
            }
            let tracks = Tracks { video: None, audio: Some(next.track.clone()) };
            let Some(next) = self.audio.pop_front() else { break };
            if part::audio_end(&next.unit, &tracks) > cut.start {
                sound.get_or_insert_with(|| next.track.clone());
                blocks.push(next.unit);
            }
        }
        let first = self.opening.is_some() || self.tracks == Tracks::default();
        let usable = first || sound.is_none() || sound == self.tracks.audio;
        if usable { (blocks, sound) } else { (Vec::new(), None) }
    }
}

/// A follower's time is that of video.
const _: () = assert!(Timescale::VIDEO.ticks_per_second() as i64 == 1_000 * MS);
