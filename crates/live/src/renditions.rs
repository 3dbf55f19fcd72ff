//! A session's further renditions: which there are, who wants them, their packagers, and what others see of them.
//!
//! | module | what stands there |
//! |---|---|
//! | `arrange` | which are made: the plan, who wakes, who falls asleep |
//! | `leaving` | the encoder of a plan that is over |
//! | `sent` | those that the publisher makes itself |
//! | `shown` | what others see of them |
//! | `slot` | one of them |

mod arrange;
mod leaving;
mod sent;
mod shown;
mod slot;

use crate::demand::Demand;
use crate::ladder::plan::{Passthrough, Source};
use crate::ladder::{self, Begin, Encoder, Ladder, Made, Policy, Relay, Start, Told, Which};
use crate::stream::{LadderState, LiveStream};
use headwater_hls::follow::{Follower, Options, Pictures, Sound};
use headwater_hls::playlist::Facts;
use headwater_hls::{Cut, Packager, playlist};
use headwater_media::{AccessUnit, Keyframe, StreamMetadata, Track, TrackKind};
use headwater_model::ivs::Channel;
use leaving::Leaving;
use slot::{Origin, Slot};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Bits a second that a source's sound is taken for until it is measured.
const SOUND_BITS: u64 = 128_000;
/// Renditions of a session, over all changes of its source. Full: no more are made.
const RENDITIONS_MAX: usize = 16;
/// Segments whose cuts are remembered: as many as a window of two-second segments has.
const RECENT_SEGMENTS: usize = 8;
/// Target durations that a rendition is wanted for after a request, at least: a player asks again each target duration, a request may be held
/// for three.
const LINGER_TARGETS: u64 = 4;

/// What the session waits for.
pub(crate) enum Event {
    /// An encoder made something.
    Made(Which, Made),
    /// The encoder of the plan before made something.
    Finishing(Which, Made),
    /// It has nothing more, or no more time.
    Finished,
    /// Somebody wants a rendition that sleeps.
    Wanted,
}

/// A session's further renditions. Its source is packaged by the session.
pub(crate) struct Renditions {
    options: ladder::Options,
    start: Start,
    channel: Channel,
    epoch: String,
    source_name: &'static str,
    /// From the plan on, unless nothing is to be made.
    relay: Option<Relay>,
    /// The encoder of the plan before, while it finishes what it has. The present one is not heard meanwhile.
    leaving: Option<Leaving>,
    /// What the plan was made for.
    planned_for: Option<Source>,
    source_offered: Passthrough,
    slots: Vec<Slot>,
    /// Rung by whoever wants a rendition that sleeps.
    bell: Arc<Notify>,
    /// Whoever wants any rendition, with [`Policy::Watched`]: it is that of all.
    watched: Option<Arc<Demand>>,
    linger: Duration,
    /// Why there will be nothing, or that nothing is needed.
    settled: Option<LadderState>,
    /// How many of the plan are shed, and since when.
    shed: Option<(usize, Instant)>,
    state: LadderState,
    encoder_note: Option<String>,
    /// Further tracks of the publisher.
    sent: Vec<sent::Sent>,
    /// What is settled again when a publisher comes that sends none.
    before_sent: Option<LadderState>,
    gaps: u64,
    changed: bool,
    /// What the source's packager told first, and the cuts of its newest segments: a follower that comes later needs them too.
    beginning: Option<Cut>,
    recent: VecDeque<Cut>,
    recent_segments: usize,
}

impl Renditions {
    pub(crate) fn new(options: ladder::Options, channel: &Channel, epoch: &str, source_name: &'static str) -> Self {
        Self::with(Arc::new(Ladder::start), options, channel, epoch, source_name)
    }

    fn with(start: Start, options: ladder::Options, channel: &Channel, epoch: &str, source_name: &'static str) -> Self {
        let bell = Arc::default();
        let watched = (options.demand == Policy::Watched).then(|| Arc::new(Demand::new(Arc::clone(&bell))));
        Renditions {
            settled: (options.encoder == Encoder::Off).then_some(LadderState::Off),
            linger: options.linger,
            options,
            start,
            channel: channel.clone(),
            epoch: epoch.to_owned(),
            source_name,
            relay: None,
            leaving: None,
            planned_for: None,
            source_offered: Passthrough::Top,
            slots: Vec::new(),
            bell,
            watched,
            shed: None,
            state: LadderState::Waiting,
            encoder_note: None,
            sent: Vec::new(),
            before_sent: None,
            gaps: 0,
            changed: true,
            beginning: None,
            recent: VecDeque::new(),
            recent_segments: 0,
        }
    }

    /// A track of the source.
    pub(crate) fn track(&mut self, track: &Track) {
        if let Some(relay) = &mut self.relay {
            relay.track(track);
        }
    }

    /// A unit of the source, on the session's timeline, before it is packaged.
    pub(crate) fn unit(
        &mut self,
        unit: &AccessUnit,
        tracks: &[Option<Track>; 2],
        metadata: &StreamMetadata,
        packager: &mut Packager,
    ) {
        if unit.kind == TrackKind::Video && unit.keyframe == Keyframe::Yes {
            self.look_for_silent(unit.dts);
            if !matches!(self.settled, Some(LadderState::Off | LadderState::Sent | LadderState::Unavailable(_))) {
                self.plan(unit.pts, tracks, metadata, packager);
            }
            self.forgive();
            self.arrange(Begin::Here(unit.pts));
        }
        if let Some(relay) = &mut self.relay {
            relay.unit(unit);
        }
    }

    /// The rendition of that name, made if there is none.
    fn slot(&mut self, name: &str, pictures: Pictures, sound: Sound, facts: Facts) -> usize {
        if let Some(index) = self.slots.iter().position(|slot| slot.follower.rendition() == name) {
            self.slots[index].promise = Arc::new(facts);
            return index;
        }
        let mut follower = Follower::new(Options {
            epoch: self.epoch.clone(),
            rendition: name.to_owned(),
            pictures,
            sound,
            bandwidth: facts.bandwidth,
            frame_rate_millis_max: facts.frame_rate_millis,
        });
        for cut in self.beginning.iter().chain(&self.recent) {
            follower.handle_cut(cut.clone());
        }
        self.slots.push(Slot {
            follower,
            sender: None,
            origin: Origin::Source,
            awake: false,
            demand: self.watched.clone().unwrap_or_else(|| Arc::new(Demand::new(Arc::clone(&self.bell)))),
            promise: Arc::new(facts),
            told: None,
        });
        self.slots.len() - 1
    }

    /// Tells each rendition of the others.
    fn report(&mut self, packager: &mut Packager) {
        let names: Vec<String> = std::iter::once(self.source_name.to_owned())
            .chain(self.slots.iter().map(|slot| slot.follower.rendition().to_owned()))
            .collect();
        let others = |own: &str| -> Arc<[String]> { names.iter().filter(|name| *name != own).cloned().collect() };
        packager.set_siblings(&others(self.source_name));
        for slot in &mut self.slots {
            let others = others(slot.follower.rendition());
            slot.follower.set_siblings(&others);
        }
    }

    /// Hands the source's cuts on. Someone may have asked for the sound alone.
    pub(crate) fn tell(&mut self, packager: &mut Packager, live: Option<&LiveStream>) {
        let asked = live.is_some_and(LiveStream::sound_alone_is_wanted)
            && self.slots.len() < RENDITIONS_MAX
            && !self.slots.iter().any(|slot| slot.follower.rendition() == playlist::AUDIO_ONLY);
        if let (true, Some(live)) = (asked, live) {
            let sound = live.snapshot().audio().map(|track| track.config.rfc6381());
            let facts = Facts {
                bandwidth: SOUND_BITS,
                average_bandwidth: SOUND_BITS,
                codecs: sound.into_iter().collect(),
                size: None,
                frame_rate_millis: None,
                independent: true,
            };
            let index = self.slot(playlist::AUDIO_ONLY, Pictures::None, Sound::Source, facts);
            self.slots[index].awake = true;
            self.report(packager);
            self.changed = true;
        }
        while let Some(cut) = packager.poll_cut() {
            if let (Cut::Begin(beginning), None) = (&cut, &self.beginning) {
                let targets = u64::try_from(beginning.target_duration_s()).unwrap_or(1) * LINGER_TARGETS;
                self.linger = self.linger.max(Duration::from_secs(targets));
            }
            self.remember(&cut);
            if let Some(relay) = &mut self.relay {
                relay.cut(&cut);
            }
            for slot in &mut self.slots {
                slot.follower.handle_cut(cut.clone());
            }
        }
    }

    fn remember(&mut self, cut: &Cut) {
        match cut {
            Cut::Begin(_) => {
                self.beginning = Some(cut.clone());
                return;
            }
            Cut::Open(_) => self.recent_segments += 1,
            _ => {}
        }
        self.recent.push_back(cut.clone());
        while self.recent_segments > RECENT_SEGMENTS || !matches!(self.recent.front(), None | Some(Cut::Open(_))) {
            if let Some(Cut::Open(_)) = self.recent.pop_front() {
                self.recent_segments -= 1;
            }
        }
    }

    /// What an encoder or a viewer does next; never resolves without a ladder. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Event {
        if let Some(leaving) = &mut self.leaving {
            return tokio::select! {
                event = leaving.next() => event,
                () = self.bell.notified() => Event::Wanted,
            };
        }
        let Some(relay) = &mut self.relay else { return std::future::pending().await };
        tokio::select! {
            (which, made) = relay.made() => Event::Made(which, made),
            () = self.bell.notified() => Event::Wanted,
        }
    }

    pub(crate) fn handle(&mut self, event: Event) {
        match event {
            Event::Wanted => self.arrange(Begin::Kept),
            Event::Made(which, made) => {
                let Some(relay) = &mut self.relay else { return };
                let was_busy = relay.is_busy();
                let told = relay.handle(which, made);
                let is_busy = relay.is_busy();
                told.into_iter().for_each(|told| self.hear(told));
                if was_busy && !is_busy {
                    // What was wanted meanwhile.
                    self.arrange(Begin::Kept);
                }
            }
            Event::Finishing(which, made) => {
                let told = self.leaving.as_mut().map(|leaving| leaving.handle(which, made)).unwrap_or_default();
                for (index, told) in told {
                    match told {
                        Told::Track(_, track) => self.slots[index].follower.handle_track(track),
                        Told::Unit(_, unit) => self.slots[index].follower.handle_unit(unit),
                        _ => {}
                    }
                }
            }
            Event::Finished => self.finished(),
        }
    }

    /// The rendition at a place of the plan, if it is to be made.
    fn at(&mut self, place: usize) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.origin == Origin::Encoder(place) && slot.awake)
    }

    fn hear(&mut self, told: Told) {
        match told {
            Told::From(place, presentation) => {
                let made = self.shed.is_none_or(|(count, _)| place >= count);
                if let Some(slot) = self.at(place) {
                    slot.follower.expect_from(made.then_some(presentation));
                }
            }
            Told::Lost(place) => {
                if let Some(slot) = self.at(place) {
                    slot.follower.expect_from(None);
                }
                let gaps = self.slots.iter().map(|slot| slot.follower.gaps()).sum();
                if gaps > self.gaps {
                    tracing::info!(gaps, "renditions have gaps");
                    self.gaps = gaps;
                }
            }
            Told::Track(place, track) => {
                if let Some(slot) = self.at(place) {
                    slot.follower.handle_track(track);
                }
            }
            Told::Unit(place, unit) => {
                if let Some(slot) = self.at(place) {
                    slot.follower.handle_unit(unit);
                }
            }
            Told::Shed(count) => {
                self.shed = (count > 0).then(|| (count, Instant::now()));
                self.changed = true;
                for place in 0..count {
                    if let Some(slot) = self.at(place) {
                        slot.follower.expect_from(None);
                    }
                }
            }
            Told::Instead(said) => {
                self.encoder_note = Some(said);
                self.changed = true;
            }
            Told::Unavailable(reason) => self.give_up(reason),
        }
    }

    fn give_up(&mut self, reason: String) {
        tracing::error!(reason, "no ladder; the stream has its source only");
        self.settled = Some(LadderState::Unavailable(reason));
        (self.relay, self.leaving) = (None, None);
        self.changed = true;
        self.slots.iter_mut().filter(|slot| slot.origin != Origin::Source).for_each(Slot::rest);
    }

    /// The source is over: the encoder is to make what it has.
    pub(crate) fn finish(&mut self) {
        if let Some(relay) = &mut self.relay {
            relay.finish();
        }
    }

    /// What the encoder still makes after [`finish`](Self::finish); `None` when that was all. Cancel-safe.
    pub(crate) async fn last(&mut self) -> Option<Event> {
        if let Some(leaving) = &mut self.leaving {
            return Some(leaving.next().await);
        }
        let (which, made) = self.relay.as_mut()?.last().await?;
        Some(Event::Made(which, made))
    }

    /// All that the encoder made is there: no part waits any more.
    pub(crate) fn drained(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.follower.expect_from(None));
    }

    /// Nothing more will come from the encoder; what waits for it is published as it is.
    pub(crate) fn end(&mut self) {
        (self.relay, self.leaving) = (None, None);
        self.slots.iter_mut().for_each(|slot| slot.follower.expect_from(None));
    }
}

#[cfg(test)]
mod tests;
