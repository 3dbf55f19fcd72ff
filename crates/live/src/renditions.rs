//! A session's further renditions: which there are, their packagers, and what others see of them.

mod sent;

use crate::ladder::plan::{self, Audio, Passthrough, Plan, Source, TopOfStandard};
use crate::ladder::{self, Encoder, Ladder, Made};
use crate::stream::{LadderState, LiveStream, Offer, Rendition};
use headwater_hls::follow::{Follower, Options, Pictures, Sound};
use headwater_hls::{Cut, Packager, Snapshot, playlist};
use headwater_media::{AccessUnit, Keyframe, StreamMetadata, Track, TrackKind};
use headwater_model::ivs::Channel;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::watch;

/// Bits a second that a source's sound is taken for until it is measured.
const SOUND_BITS: u64 = 128_000;
/// Renditions of a session, over all changes of its source. Full: no more are made.
const RENDITIONS_MAX: usize = 16;

/// Segments whose cuts are remembered: as many as a window of two-second segments has.
const RECENT_SEGMENTS: usize = 9;

#[derive(Debug)]
struct Slot {
    follower: Follower,
    /// Made with the first snapshot.
    sender: Option<Arc<watch::Sender<Arc<Snapshot>>>>,
    /// Whether it is made at present.
    made: bool,
}

/// A session's further renditions. Its source is packaged by the session.
pub(crate) struct Renditions {
    options: ladder::Options,
    channel: Channel,
    epoch: String,
    source_name: &'static str,
    ladder: Option<Ladder>,
    /// What the plan was made for.
    planned_for: Option<Source>,
    source_offered: Passthrough,
    slots: Vec<Slot>,
    /// The slot of each rendition of the plan.
    of_plan: Vec<usize>,
    state: LadderState,
    encoder_note: Option<String>,
    /// Further tracks of the publisher.
    sent: Vec<sent::Sent>,
    /// What the state is again when a publisher comes that sends none.
    before_sent: LadderState,
    /// How many of the plan are shed.
    shed: usize,
    gaps: u64,
    changed: bool,
    /// What the source's packager told first, and the cuts of its newest segments: a follower that comes later needs them too.
    beginning: Option<Cut>,
    recent: VecDeque<Cut>,
    recent_segments: usize,
}

impl Renditions {
    pub(crate) fn new(options: ladder::Options, channel: &Channel, epoch: &str, source_name: &'static str) -> Self {
        let state = if options.encoder == Encoder::Off { LadderState::Off } else { LadderState::Waiting };
        Renditions {
            options,
            channel: channel.clone(),
            epoch: epoch.to_owned(),
            source_name,
            ladder: None,
            planned_for: None,
            source_offered: Passthrough::Top,
            slots: Vec::new(),
            of_plan: Vec::new(),
            before_sent: state.clone(),
            state,
            encoder_note: None,
            sent: Vec::new(),
            shed: 0,
            gaps: 0,
            changed: false,
            beginning: None,
            recent: VecDeque::new(),
            recent_segments: 0,
        }
    }

    /// A track of the source.
    pub(crate) fn track(&mut self, track: &Track) {
        if let Some(ladder) = &mut self.ladder {
            ladder.track(track.clone());
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
            if self.state.may_change() {
                self.plan(tracks, metadata, packager);
            }
        }
        if let Some(ladder) = &mut self.ladder {
            ladder.unit(unit.clone());
        }
    }

    /// Makes or changes the ladder when the source is known.
    fn plan(&mut self, tracks: &[Option<Track>; 2], metadata: &StreamMetadata, packager: &mut Packager) {
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
        self.ladder = None;
        self.shed = 0;
        for slot in self.slots.iter_mut().filter(|slot| slot.follower.rendition() != playlist::AUDIO_ONLY) {
            slot.made = false;
            slot.follower.expect_from(None);
        }
        self.changed = true;
        self.source_offered = plan.source;
        if plan.renditions.is_empty() {
            self.state = LadderState::NotNeeded;
            return;
        }
        tracing::info!(
            renditions = %plan.renditions.iter().map(|rendition| rendition.name.as_str()).collect::<Vec<_>>().join(" "),
            "ladder is planned"
        );
        self.follow(&plan, packager);
        let mut ladder = Ladder::start(self.options.clone(), plan, frame_rate_millis);
        tracks.iter().flatten().for_each(|track| ladder.track(track.clone()));
        self.ladder = Some(ladder);
        self.state = LadderState::Waiting;
    }

    /// A packager for each rendition of the plan.
    fn follow(&mut self, plan: &Plan, packager: &mut Packager) {
        self.of_plan.clear();
        for rendition in &plan.renditions {
            let sound = match rendition.audio {
                Audio::Encoded(bits) => (Sound::Encoded, u64::from(bits)),
                Audio::Source => (Sound::Source, SOUND_BITS),
                Audio::None => (Sound::Source, 0),
            };
            let pictures = if rendition.size.is_some() { Pictures::Encoded } else { Pictures::None };
            let rate = (u64::from(rendition.video_bitrate), Some(rendition.frame_rate_millis));
            let index = self.slot(&rendition.name, pictures, sound, rate);
            self.slots[index].follower.set_sound(sound.0);
            self.slots[index].made = true;
            self.of_plan.push(index);
        }
        self.report(packager);
    }

    /// The rendition of that name, made if there is none. Rates are in bits a second, and in frames in 1000 seconds.
    fn slot(&mut self, name: &str, pictures: Pictures, sound: (Sound, u64), video: (u64, Option<u32>)) -> usize {
        let (video_bits, frame_rate_millis_max) = video;
        if let Some(index) = self.slots.iter().position(|slot| slot.follower.rendition() == name) {
            return index;
        }
        let mut follower = Follower::new(Options {
            epoch: self.epoch.clone(),
            rendition: name.to_owned(),
            pictures,
            sound: sound.0,
            bandwidth: video_bits + sound.1,
            frame_rate_millis_max,
        });
        for cut in self.beginning.iter().chain(&self.recent) {
            follower.handle_cut(cut.clone());
        }
        self.slots.push(Slot { follower, sender: None, made: true });
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
        if asked {
            self.slot(playlist::AUDIO_ONLY, Pictures::None, (Sound::Source, SOUND_BITS), (0, None));
            self.report(packager);
            self.changed = true;
        }
        while let Some(cut) = packager.poll_cut() {
            self.remember(&cut);
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

    /// What the encoder made next; never resolves without one. Cancel-safe.
    pub(crate) async fn made(&mut self) -> Made {
        let made = match &mut self.ladder {
            Some(ladder) => ladder.made().await,
            None => std::future::pending().await,
        };
        made.unwrap_or_else(|| Made::Unavailable("the ladder failed".into()))
    }

    pub(crate) fn handle_made(&mut self, made: Made) {
        match made {
            Made::From(presentation) => {
                for (place, &index) in self.of_plan.iter().enumerate() {
                    let made = place >= self.shed;
                    self.slots[index].follower.expect_from(made.then_some(presentation));
                }
            }
            Made::Lost => {
                for slot in &mut self.slots {
                    slot.follower.expect_from(None);
                }
                let gaps = self.slots.iter().map(|slot| slot.follower.gaps()).sum();
                if gaps > self.gaps {
                    tracing::info!(gaps, "renditions have gaps");
                    self.gaps = gaps;
                }
            }
            Made::Track(place, track) => {
                if let Some(&index) = self.of_plan.get(place) {
                    self.slots[index].follower.handle_track(track);
                }
            }
            Made::Unit(place, unit) => {
                if let Some(&index) = self.of_plan.get(place) {
                    self.slots[index].follower.handle_unit(unit);
                }
            }
            Made::Shed(shed) => {
                self.shed = shed;
                for (place, &index) in self.of_plan.iter().enumerate() {
                    self.slots[index].made = place >= shed;
                }
                self.state = if shed == 0 { LadderState::Running } else { LadderState::Shed(shed) };
                self.changed = true;
            }
            Made::Instead(said) => {
                self.encoder_note = Some(said);
                self.changed = true;
            }
            Made::Unavailable(reason) => {
                tracing::error!(reason, "no ladder; the stream has its source only");
                self.state = LadderState::Unavailable(reason);
                self.ladder = None;
                for &index in &self.of_plan {
                    self.slots[index].made = false;
                }
                self.changed = true;
            }
        }
    }

    /// The source is over: the encoder is to make what it has.
    pub(crate) fn finish(&mut self) {
        if let Some(ladder) = &mut self.ladder {
            ladder.finish();
        }
    }

    /// What the encoder still makes after [`finish`](Self::finish); `None` when that was all. Cancel-safe.
    pub(crate) async fn last(&mut self) -> Option<Made> {
        self.ladder.as_mut()?.made().await
    }

    /// All that the encoder made is there: no part waits any more.
    pub(crate) fn drained(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.follower.expect_from(None));
    }

    /// Nothing more will come from the encoder; what waits for it is published as it is.
    pub(crate) fn end(&mut self) {
        self.ladder = None;
        self.slots.iter_mut().for_each(|slot| slot.follower.expect_from(None));
    }

    /// Shows what is new.
    pub(crate) fn publish(&mut self, live: &LiveStream) {
        let mut changed = std::mem::take(&mut self.changed);
        for slot in &mut self.slots {
            let Some(snapshot) = slot.follower.poll_snapshot() else { continue };
            match &slot.sender {
                Some(sender) => {
                    sender.send_replace(snapshot);
                }
                None => {
                    slot.sender = Some(Arc::new(watch::channel(snapshot).0));
                    changed = true;
                    if self.state == LadderState::Waiting {
                        self.state = LadderState::Running;
                    }
                }
            }
        }
        if changed {
            let mut renditions: Vec<Rendition> = self
                .slots
                .iter()
                .filter_map(|slot| {
                    let sender = slot.sender.clone()?;
                    let name = slot.follower.rendition().to_owned();
                    Some(Rendition { name, watch: sender.subscribe(), offered: slot.made, sender })
                })
                .collect();
            if self.state == LadderState::Sent {
                // Their numbers say nothing of their order.
                let pixels = |rendition: &Rendition| {
                    let size = rendition.watch.borrow().video().and_then(|track| track.config.dimensions());
                    size.map_or(0, |(width, height)| u64::from(width) * u64::from(height))
                };
                renditions.sort_by_key(|rendition| (std::cmp::Reverse(pixels(rendition)), rendition.name.clone()));
            }
            let pictures =
                renditions.iter().any(|rendition| rendition.offered && rendition.name != playlist::AUDIO_ONLY);
            let source = self.source_offered == Passthrough::Top || !pictures;
            let sound_alone_by_type =
                self.of_plan.iter().any(|&index| self.slots[index].follower.rendition() == playlist::AUDIO_ONLY);
            let encoder_note = self.encoder_note.clone();
            live.show(Offer { source, sound_alone_by_type, renditions, ladder: self.state.clone(), encoder_note });
        }
    }
}
