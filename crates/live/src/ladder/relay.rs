//! The encoder of the renditions that are wanted, and how another set of them is taken over: the new encoder begins while the old one goes on, and
//! the old one leaves at a keyframe that both have made. So whoever watches one rendition never notices that another wakes or falls asleep.

use super::kept::Kept;
use super::plan::Plan;
use super::{Ladder, Made, Options, Past, Start};
use headwater_hls::Cut;
use headwater_media::{AccessUnit, Keyframe, Timescale, Track, TrackKind};
use std::collections::VecDeque;

/// How near to the source a new encoder must be before it takes over.
const CAUGHT_UP_MS: i64 = 500;
/// Keyframes after which it takes over in any case: two encoders at once are more than a slow machine has room for.
const KEYFRAMES_MAX: u32 = 4;
/// A rendition that wakes has a keyframe in each part for so long: more than its first request may be held, and than a player then takes. It costs
/// the picture some of its bits.
const DENSE_MS: i64 = 5_000;
/// Units of the new encoder that wait for the last ones of the old: two seconds. Full: what the old one still has is lost.
const HELD_MAX: usize = 256;

/// Where an encoder begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// With the keyframe that comes now, at this presentation time.
    Here(i64),
    /// With what is kept.
    Kept,
}

/// Which encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Present,
    Next,
}

/// What followers are told. Renditions are told by their place in the whole plan.
#[derive(Debug)]
pub(crate) enum Told {
    /// See [`Made::From`].
    From(usize, i64),
    /// Nothing comes for now.
    Lost(usize),
    /// See [`Made::Track`].
    Track(usize, Track),
    /// See [`Made::Unit`].
    Unit(usize, AccessUnit),
    /// So many of the whole plan, from the top, cannot be made.
    Shed(usize),
    /// See [`Made::Instead`].
    Instead(String),
    /// See [`Made::Unavailable`].
    Unavailable(String),
}

/// One encoder.
struct Leg {
    ladder: Ladder,
    /// The places that it makes, in its own order.
    places: Vec<usize>,
    /// Configurations of places that the encoder before it makes as well.
    tracks: Vec<(usize, Track)>,
    caught_up: bool,
    /// Presentation time at which it was started, if renditions wake by it.
    wakes_at: Option<i64>,
    keyframes: u32,
    /// Nothing more comes from it.
    over: bool,
}

/// A place that both encoders make, at the handover.
struct Held {
    place: usize,
    /// Whether the old encoder has reached the border, with its pictures and its sound; `None` if it has none.
    video: Option<bool>,
    audio: Option<bool>,
    waiting: VecDeque<AccessUnit>,
}

/// The encoder of the renditions that are wanted.
pub(crate) struct Relay {
    options: Options,
    start: Start,
    plan: Plan,
    source_rate_millis: u32,
    present: Option<Leg>,
    next: Option<Leg>,
    /// Presentation time from which on the next encoder's pictures count, ticks of 90 kHz.
    border: Option<i64>,
    held: Vec<Held>,
    /// The source's.
    tracks: [Option<Track>; 2],
    /// Of encoded sound.
    audio_scale: Timescale,
    kept: Kept,
    /// PART-TARGET; 0 while it is not known.
    part_target_ms: i64,
    newest: i64,
    /// The source is over.
    finishing: bool,
}

impl Relay {
    /// No encoder yet. Tracks are the source's.
    pub(crate) fn new(options: Options, start: Start, plan: Plan, source_rate_millis: u32) -> Self {
        Relay {
            options,
            start,
            plan,
            source_rate_millis,
            present: None,
            next: None,
            border: None,
            held: Vec::new(),
            tracks: [None, None],
            audio_scale: Timescale::VIDEO,
            kept: Kept::default(),
            part_target_ms: 0,
            newest: 0,
            finishing: false,
        }
    }

    /// The places that are made, or about to be.
    pub(crate) fn places(&self) -> &[usize] {
        self.next.as_ref().or(self.present.as_ref()).map_or(&[], |leg| &leg.places)
    }

    /// Whether one set is being taken over from another, which is to be done before it is changed again; or whether the source is over.
    pub(crate) fn is_busy(&self) -> bool {
        self.next.is_some() || self.finishing
    }

    /// The source is over: what is being encoded still comes.
    pub(crate) fn finish(&mut self) {
        self.finishing = true;
        for leg in [&mut self.present, &mut self.next].into_iter().flatten() {
            leg.ladder.finish();
        }
    }

    /// What the encoders still make after [`finish`](Self::finish); `None` when that was all. Cancel-safe.
    pub(crate) async fn last(&mut self) -> Option<(Which, Made)> {
        let present = self.present.as_mut()?;
        if !present.over {
            if let Some(made) = present.ladder.made().await {
                return Some((Which::Present, made));
            }
            present.over = true;
            if self.next.is_some() {
                return Some((Which::Present, Made::Lost));
            }
        }
        Some((Which::Next, self.next.as_mut()?.ladder.made().await?))
    }

    /// Whether [`Begin::Kept`] is of use.
    pub(crate) fn keeps_something(&self) -> bool {
        !self.kept.is_empty()
    }

    /// Whoever wants one more rendition need not wait for a handover by which none wakes or falls asleep: it is put off, unless it is at its last step.
    pub(crate) fn put_off(&mut self) {
        let same = |next: &Leg| self.present.as_ref().is_some_and(|present| present.places == next.places);
        if self.border.is_none() && self.next.as_ref().is_some_and(same) {
            self.next = None;
        }
    }

    /// Whether another encoder is to go on with what woke a while ago: players have gone over to it, and it need not have a keyframe in each part.
    pub(crate) fn is_dense(&self) -> bool {
        let woke = self.present.as_ref().and_then(|present| present.wakes_at);
        woke.is_some_and(|at| self.newest - at >= Timescale::VIDEO.ticks_of_ms(DENSE_MS))
    }

    fn pictures_of_a_part(&self, place: usize) -> Option<u32> {
        let rendition = self.plan.renditions.get(place).filter(|rendition| rendition.size.is_some())?;
        let pictures = (self.part_target_ms * i64::from(rendition.frame_rate_millis) + 500_000) / 1_000_000;
        u32::try_from(pictures).ok().filter(|&pictures| pictures > 0)
    }

    /// Makes these places from now on. Returns the presentation time of the first picture, if it is known. Not while it [is busy](Self::is_busy).
    pub(crate) fn make(&mut self, places: Vec<usize>, begin: Begin) -> Option<i64> {
        if places.is_empty() {
            self.present = None;
            return None;
        }
        let plan = Plan {
            source: self.plan.source,
            renditions: places.iter().filter_map(|&place| self.plan.renditions.get(place).cloned()).collect(),
        };
        let kept = match begin {
            Begin::Kept => self.kept.units(),
            Begin::Here(_) => Vec::new(),
        };
        // What the present encoder makes as well is not made of the past again.
        let present = self.present.as_ref().filter(|_| begin == Begin::Kept).map_or(&[][..], |leg| &leg.places);
        let delivered = places.iter().map(|place| present.contains(place).then_some(self.newest)).collect();
        let wakes = |place: &usize| begin == Begin::Kept && !present.contains(place);
        let each = |place: &usize| if wakes(place) { self.pictures_of_a_part(*place) } else { None };
        let keyframe_each: Vec<Option<u32>> = places.iter().map(each).collect();
        let wakes_at = keyframe_each.iter().any(Option::is_some).then_some(self.newest);
        let from = match begin {
            Begin::Here(presentation) => Some(presentation),
            Begin::Kept => kept.first().map(|keyframe| keyframe.pts),
        };
        let tracks: Vec<Track> = self.tracks.iter().flatten().cloned().collect();
        let ladder = (self.start)(
            self.options.clone(),
            plan,
            self.source_rate_millis,
            tracks,
            Past { units: kept, delivered, keyframe_each },
        );
        let leg = Leg { ladder, places, tracks: Vec::new(), caught_up: false, wakes_at, keyframes: 0, over: false };
        match &self.present {
            Some(present) if present.places.iter().any(|place| leg.places.contains(place)) => self.next = Some(leg),
            _ => self.present = Some(leg),
        }
        from
    }

    /// A track of the source. What was kept of another one cannot be decoded any more.
    pub(crate) fn track(&mut self, track: &Track) {
        let slot = match track.kind {
            TrackKind::Video => &mut self.tracks[0],
            TrackKind::Audio => &mut self.tracks[1],
        };
        if slot.as_ref() == Some(track) {
            return;
        }
        *slot = Some(track.clone());
        self.kept.clear();
        for leg in [&mut self.present, &mut self.next].into_iter().flatten() {
            leg.ladder.track(track.clone());
        }
    }

    /// A unit of the source.
    pub(crate) fn unit(&mut self, unit: &AccessUnit) {
        if unit.kind == TrackKind::Video {
            self.newest = unit.pts;
            if unit.keyframe == Keyframe::Yes {
                self.hand_over_at(unit.pts);
            }
        }
        self.kept.unit(unit);
        for leg in [&mut self.present, &mut self.next].into_iter().flatten() {
            leg.ladder.unit(unit.clone());
        }
    }

    /// What the source's packager told: where segments start.
    pub(crate) fn cut(&mut self, cut: &Cut) {
        if let Cut::Begin(beginning) = cut {
            self.part_target_ms = beginning.part_target_ms();
        }
        self.kept.cut(cut);
    }

    /// A keyframe of the source: the next encoder takes over there, if it is far enough.
    fn hand_over_at(&mut self, presentation: i64) {
        let (Some(present), Some(next)) = (&self.present, &mut self.next) else { return };
        next.keyframes += 1;
        if self.border.is_some() || (!next.caught_up && next.keyframes < KEYFRAMES_MAX) {
            return;
        }
        self.border = Some(presentation);
        let shared = present.places.iter().filter(|place| next.places.contains(place));
        self.held = shared
            .map(|&place| {
                let rendition = self.plan.renditions.get(place);
                let encoded =
                    rendition.is_some_and(|rendition| matches!(rendition.audio, super::plan::Audio::Encoded(_)));
                Held {
                    place,
                    video: rendition.and_then(|rendition| rendition.size).map(|_| false),
                    audio: encoded.then_some(false),
                    waiting: VecDeque::new(),
                }
            })
            .collect();
    }

    /// What an encoder made next; never resolves without one. Cancel-safe.
    pub(crate) async fn made(&mut self) -> (Which, Made) {
        let made = match (&mut self.present, &mut self.next) {
            (Some(present), Some(next)) => tokio::select! {
                made = present.ladder.made() => (Which::Present, made),
                made = next.ladder.made() => (Which::Next, made),
            },
            (Some(present), None) => (Which::Present, present.ladder.made().await),
            (None, _) => std::future::pending().await,
        };
        (made.0, made.1.unwrap_or_else(|| Made::Unavailable("the ladder failed".into())))
    }

    /// Sorts what an encoder made.
    pub(crate) fn handle(&mut self, which: Which, made: Made) -> Vec<Told> {
        let mut told = Vec::new();
        match made {
            Made::Unavailable(reason) => told.push(Told::Unavailable(reason)),
            Made::Instead(said) => {
                // The next one need not find out again.
                self.options.encoder = self.options.fallback;
                told.push(Told::Instead(said));
            }
            Made::Shed(count) => {
                if let Some(leg) = self.leg(which) {
                    let shed = count.checked_sub(1).and_then(|last| leg.places.get(last)).map_or(0, |place| place + 1);
                    told.push(Told::Shed(shed));
                }
            }
            Made::From(presentation) => {
                told.extend(self.fed_by(which).into_iter().map(|place| Told::From(place, presentation)));
            }
            Made::Lost if which == Which::Present && self.border.is_some() => self.promote(&mut told),
            Made::Lost => {
                if which == Which::Next {
                    // It begins anew, and has to catch up again.
                    self.border = None;
                    self.held.clear();
                    if let Some(next) = &mut self.next {
                        next.caught_up = false;
                    }
                }
                told.extend(self.fed_by(which).into_iter().map(Told::Lost));
            }
            Made::Track(index, track) => {
                if track.kind == TrackKind::Audio {
                    self.audio_scale = track.timescale;
                }
                if let Some(place) = self.leg(which).and_then(|leg| leg.places.get(index).copied()) {
                    self.sort(which, place, Made::Track(place, track), &mut told);
                }
            }
            Made::Unit(index, unit) => {
                if let Some(place) = self.leg(which).and_then(|leg| leg.places.get(index).copied()) {
                    self.sort(which, place, Made::Unit(place, unit), &mut told);
                }
            }
        }
        told
    }

    fn leg(&self, which: Which) -> Option<&Leg> {
        match which {
            Which::Present => self.present.as_ref(),
            Which::Next => self.next.as_ref(),
        }
    }

    /// The places whose followers go by what this encoder says.
    fn fed_by(&self, which: Which) -> Vec<usize> {
        let Some(leg) = self.leg(which) else { return Vec::new() };
        match which {
            Which::Present => leg.places.clone(),
            Which::Next => leg.places.iter().copied().filter(|place| !self.is_shared(*place)).collect(),
        }
    }

    fn is_shared(&self, place: usize) -> bool {
        self.next.is_some() && self.present.as_ref().is_some_and(|present| present.places.contains(&place))
    }

    /// Passes a track or a unit on, holds it back, or drops it.
    fn sort(&mut self, which: Which, place: usize, made: Made, told: &mut Vec<Told>) {
        if let (Which::Next, Made::Unit(_, unit), Some(next)) = (which, &made, &mut self.next)
            && unit.kind == TrackKind::Video
        {
            next.caught_up |= self.newest - unit.pts <= Timescale::VIDEO.ticks_of_ms(CAUGHT_UP_MS);
        }
        let beyond = match (&made, self.border) {
            (Made::Unit(_, unit), Some(border)) => {
                let scale = if unit.kind == TrackKind::Video { Timescale::VIDEO } else { self.audio_scale };
                // Encoders count in milliseconds.
                scale.ms_of_ticks(unit.pts) + 1 >= Timescale::VIDEO.ms_of_ticks(border)
            }
            _ => false,
        };
        match which {
            Which::Next if !self.is_shared(place) => told.extend(pass(made)),
            Which::Next => match (self.held.iter_mut().find(|held| held.place == place), made) {
                (_, Made::Track(_, track)) => {
                    if let Some(next) = &mut self.next {
                        next.tracks.push((place, track));
                    }
                }
                (Some(held), Made::Unit(_, unit)) if beyond => {
                    held.waiting.push_back(unit);
                    if held.waiting.len() > HELD_MAX {
                        self.promote(told);
                    }
                }
                _ => {}
            },
            Which::Present => {
                let held = self.held.iter_mut().find(|held| held.place == place);
                match (held, &made) {
                    (Some(held), Made::Unit(_, unit)) if beyond => {
                        match unit.kind {
                            TrackKind::Video => held.video = held.video.map(|_| true),
                            TrackKind::Audio => held.audio = held.audio.map(|_| true),
                        }
                        if self.held.iter().all(|held| held.video != Some(false) && held.audio != Some(false)) {
                            self.promote(told);
                        }
                    }
                    _ => told.extend(pass(made)),
                }
            }
        }
    }

    /// The old encoder leaves.
    fn promote(&mut self, told: &mut Vec<Told>) {
        self.border = None;
        let Some(next) = self.next.take() else { return };
        told.extend(next.tracks.iter().map(|(place, track)| Told::Track(*place, track.clone())));
        for held in self.held.drain(..) {
            told.extend(held.waiting.into_iter().map(|unit| Told::Unit(held.place, unit)));
        }
        self.present = Some(Leg { tracks: Vec::new(), ..next });
    }
}

fn pass(made: Made) -> Option<Told> {
    match made {
        Made::Track(place, track) => Some(Told::Track(place, track)),
        Made::Unit(place, unit) => Some(Told::Unit(place, unit)),
        _ => None,
    }
}
