//! A session's further renditions: which there are, who wants them, their packagers, and what others see of them.

mod leaving;
mod sent;

use crate::demand::Demand;
use crate::ladder::plan::{self, Audio, Passthrough, Plan, Source, TopOfStandard};
use crate::ladder::{self, Begin, Encoder, Ladder, Made, Policy, Relay, Start, Told, Which, promise};
use crate::stream::{LadderState, LiveStream, Offer, Rendition, RenditionState};
use headwater_hls::follow::{Follower, Options, Pictures, Sound};
use headwater_hls::playlist::Facts;
use headwater_hls::{Cut, Packager, Snapshot, playlist};
use headwater_media::{AccessUnit, Keyframe, StreamMetadata, Track, TrackKind};
use headwater_model::ivs::Channel;
use leaving::Leaving;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
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
/// How long a rendition that was shed is not offered. Then it may be woken, and tried, again.
const SHED_FOR: Duration = Duration::from_secs(120);

/// One further rendition.
struct Slot {
    follower: Follower,
    /// Made with the first snapshot.
    sender: Option<Arc<watch::Sender<Arc<Snapshot>>>>,
    origin: Origin,
    awake: bool,
    demand: Arc<Demand>,
    promise: Arc<Facts>,
    /// What others were told.
    told: Option<RenditionState>,
}

/// What a rendition is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// The encoder's output at this place of the plan.
    Encoder(usize),
    /// The source's sound.
    Source,
    /// A further track of the publisher.
    Sent,
    /// Nothing any more.
    Nothing,
}

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

    /// Makes or changes the plan when the source is known, from the keyframe at this presentation time on.
    fn plan(&mut self, from: i64, tracks: &[Option<Track>; 2], metadata: &StreamMetadata, packager: &mut Packager) {
        let [Some(video), sound] = tracks else { return };
        let said = metadata.width.zip(metadata.height);
        let Some((width, height)) = video.config.dimensions().or(said) else { return };
        let rates = [metadata.frame_rate_millis, video.config.frame_rate_millis(), packager.frame_rate_millis()];
        let Some(frame_rate_millis) = rates.into_iter().flatten().next() else { return };
        let source = Source { width, height, frame_rate_millis, sound: sound.is_some() };
        if self.planned_for == Some(source) {
            return;
        }
        self.planned_for = Some(source);
        let plan = plan::plan(self.channel.channel_type, &self.channel.preset, TopOfStandard::default(), &source);
        self.let_finish(from);
        self.shed = None;
        self.changed = true;
        let finishing = self.leaving.as_ref();
        for (index, slot) in self.slots.iter_mut().enumerate().filter(|(_, slot)| slot.origin != Origin::Source) {
            // What goes on under its name is watched by the same viewers.
            let stays = plan.renditions.iter().any(|rendition| rendition.name == slot.follower.rendition());
            if !stays || !slot.awake || slot.origin == Origin::Sent {
                slot.leave();
            }
            if !finishing.is_some_and(|leaving| leaving.fed().any(|fed| fed == index)) {
                slot.follower.expect_from(None);
            }
        }
        self.source_offered = plan.source;
        if plan.renditions.is_empty() {
            self.settled = Some(LadderState::NotNeeded);
            return;
        }
        if !ladder::is_there(&self.options.ffmpeg) {
            return self.give_up(format!("{} is not there", self.options.ffmpeg.display()));
        }
        self.settled = None;
        tracing::info!(
            renditions = %plan.renditions.iter().map(|rendition| rendition.name.as_str()).collect::<Vec<_>>().join(" "),
            "ladder is planned"
        );
        self.follow(&plan, sound.as_ref(), packager);
        let mut relay = Relay::new(self.options.clone(), Arc::clone(&self.start), plan, frame_rate_millis);
        tracks.iter().flatten().for_each(|track| relay.track(track));
        self.beginning.iter().chain(&self.recent).for_each(|cut| relay.cut(cut));
        self.relay = Some(relay);
    }

    /// The encoder gets nothing more, and finishes what it has before the keyframe at this presentation time.
    fn let_finish(&mut self, border: i64) {
        // Of two that are over, only the newer one is waited for.
        self.finished();
        let Some(relay) = self.relay.take() else { return };
        let fed = self.slots.iter().enumerate().filter(|(_, slot)| slot.awake);
        let fed = fed.filter_map(|(index, slot)| match slot.origin {
            Origin::Encoder(place) => Some((place, index)),
            _ => None,
        });
        self.leaving = Some(Leaving::new(relay, fed.collect(), border));
    }

    /// What the encoder of the plan before has made by now is all.
    fn finished(&mut self) {
        let Some(leaving) = self.leaving.take() else { return };
        for index in leaving.fed() {
            let slot = &mut self.slots[index];
            let goes_on = slot.awake && self.relay.is_some() && matches!(slot.origin, Origin::Encoder(_));
            slot.follower.expect_from(goes_on.then_some(leaving.border()));
        }
    }

    /// A packager for each rendition of the plan. Those that come sleep until [`arrange`](Self::arrange) finds who is wanted.
    fn follow(&mut self, plan: &Plan, source_sound: Option<&Track>, packager: &mut Packager) {
        for (place, rendition) in plan.renditions.iter().enumerate() {
            let sound = match rendition.audio {
                Audio::Encoded(_) => Sound::Encoded,
                Audio::Source | Audio::None => Sound::Source,
            };
            let pictures = if rendition.size.is_some() { Pictures::Encoded } else { Pictures::None };
            let facts = promise(rendition, source_sound, SOUND_BITS);
            let index = self.slot(&rendition.name, pictures, sound, facts);
            let slot = &mut self.slots[index];
            slot.follower.set_pictures(pictures);
            slot.follower.set_sound(sound);
            if !slot.awake {
                slot.follower.sleep();
            }
            slot.origin = Origin::Encoder(place);
        }
        self.report(packager);
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

    /// Puts to sleep what nobody wants, at a keyframe, and wakes what somebody wants.
    fn arrange(&mut self, begin: Begin) {
        let Some(relay) = &mut self.relay else { return };
        let shed = self.shed.map_or(0, |(count, _)| count);
        let always = self.options.demand == Policy::Always;
        let (mut places, mut woken) = (Vec::new(), Vec::new());
        for (index, slot) in self.slots.iter_mut().enumerate() {
            let Origin::Encoder(place) = slot.origin else { continue };
            let wanted = always || slot.demand.is_wanted(self.linger);
            let at_keyframe = matches!(begin, Begin::Here(_));
            if slot.awake && !wanted && at_keyframe && slot.demand.try_sleep(self.linger) {
                tracing::debug!(rendition = slot.follower.rendition(), "nobody watches; it is not made");
                slot.awake = false;
                slot.follower.sleep();
                self.leaving.iter_mut().for_each(|leaving| leaving.forget(index));
            }
            if place < shed {
                continue;
            }
            if !slot.awake && wanted {
                woken.push(index);
            }
            if slot.awake || wanted {
                places.push(place);
            }
        }
        if !woken.is_empty() {
            relay.put_off();
        }
        let present = relay.places().iter().filter(|&&place| place >= shed);
        let goes_on = matches!(begin, Begin::Here(_)) && relay.is_dense();
        if relay.is_busy() || (present.eq(&places) && !goes_on) {
            return;
        }
        let begin = match begin {
            Begin::Here(_) if !woken.is_empty() && relay.keeps_something() => Begin::Kept,
            begin => begin,
        };
        let from = relay.make(places, begin);
        for index in woken {
            let slot = &mut self.slots[index];
            tracing::debug!(rendition = slot.follower.rendition(), "somebody watches; it is made");
            slot.awake = true;
            slot.demand.wake();
            slot.follower.wake(from.unwrap_or(i64::MAX));
        }
    }

    /// Offers again what was shed, when nobody has watched it for a while.
    fn forgive(&mut self) {
        let Some((count, since)) = self.shed else { return };
        let watched = (0..count).any(|place| self.at(place).is_some());
        if !watched && since.elapsed() >= SHED_FOR {
            self.shed = None;
            self.changed = true;
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

    /// Shows what is new.
    pub(crate) fn publish(&mut self, live: &LiveStream) {
        if let Some(watched) = &self.watched {
            live.is_watched_by(watched);
        }
        let shed = self.shed.map_or(0, |(count, _)| count);
        let mut changed = std::mem::take(&mut self.changed);
        for slot in &mut self.slots {
            if let Some(snapshot) = slot.follower.poll_snapshot() {
                snapshot.note_published(std::time::Instant::now());
                match &slot.sender {
                    Some(sender) => {
                        sender.send_replace(snapshot);
                    }
                    None => slot.sender = Some(Arc::new(watch::channel(snapshot).0)),
                }
            }
            let state = slot.state(shed);
            changed |= slot.told.replace(state) != Some(state);
        }
        let state = self.state();
        changed |= state != self.state;
        self.state = state;
        if changed {
            live.show(self.offer());
        }
    }

    fn offer(&self) -> Offer {
        let shown = self.slots.iter().map(|slot| Rendition {
            name: slot.follower.rendition().to_owned(),
            state: slot.told.unwrap_or(RenditionState::Gone),
            promise: Arc::clone(&slot.promise),
            sender: slot.sender.clone(),
            demand: Arc::clone(&slot.demand),
        });
        let mut renditions: Vec<Rendition> = shown.collect();
        if self.state == LadderState::Sent {
            // Their numbers say nothing of their order.
            let pixels = |one: &Rendition| one.facts().size.map_or(0, |(wide, high)| u64::from(wide) * u64::from(high));
            renditions.sort_by_key(|one| (std::cmp::Reverse(pixels(one)), one.name.clone()));
        }
        let pictures = renditions.iter().any(|rendition| rendition.offered() && rendition.name != playlist::AUDIO_ONLY);
        let source = self.source_offered == Passthrough::Top || !pictures;
        let sound_alone_by_type = self
            .slots
            .iter()
            .any(|slot| matches!(slot.origin, Origin::Encoder(_)) && slot.follower.rendition() == playlist::AUDIO_ONLY);
        let encoder_note = self.encoder_note.clone();
        Offer { source, sound_alone_by_type, renditions, ladder: self.state.clone(), encoder_note }
    }

    fn state(&self) -> LadderState {
        if let Some(settled) = &self.settled {
            return settled.clone();
        }
        if let Some((count, _)) = self.shed {
            return LadderState::Shed(count);
        }
        let encoded = || self.slots.iter().filter(|slot| matches!(slot.origin, Origin::Encoder(_)));
        let made = encoded().filter(|slot| slot.told == Some(RenditionState::Made)).count();
        match (made, encoded().any(|slot| slot.awake)) {
            (1.., _) => LadderState::Running(made),
            (0, true) => LadderState::Waiting,
            (0, false) if self.relay.is_some() => LadderState::Asleep,
            (0, false) => LadderState::Waiting,
        }
    }
}

impl Slot {
    /// It is made of nothing any more.
    fn rest(&mut self) {
        self.leave();
        self.follower.expect_from(None);
    }

    /// The same, once what is made of it is there.
    fn leave(&mut self) {
        (self.origin, self.awake) = (Origin::Nothing, false);
        self.demand.sleep();
    }

    fn state(&self, shed: usize) -> RenditionState {
        match self.origin {
            Origin::Nothing => RenditionState::Gone,
            // What it is like is known from its playlist.
            Origin::Sent if self.sender.is_none() => RenditionState::Gone,
            Origin::Encoder(place) if place < shed => RenditionState::Gone,
            // At a stream's beginning there is no playlist before a segment is closed.
            _ if self.awake && self.follower.is_shown() && self.sender.is_some() => RenditionState::Made,
            _ if self.awake => RenditionState::Waking,
            _ => RenditionState::Asleep,
        }
    }
}

#[cfg(test)]
mod tests;
