//! Which renditions are made: those of the plan for the source, as far as somebody wants them.

use super::leaving::Leaving;
use super::slot::Origin;
use super::{Renditions, SOUND_BITS};
use crate::ladder::plan::{self, Audio, Plan, Source, TopOfStandard};
use crate::ladder::{self, Begin, Policy, Relay, promise};
use crate::stream::LadderState;
use headwater_hls::Packager;
use headwater_hls::follow::{Pictures, Sound};
use headwater_media::{StreamMetadata, Track};
use std::sync::Arc;
use std::time::Duration;

/// How long a rendition that was shed is not offered. Then it may be woken, and tried, again.
const SHED_FOR: Duration = Duration::from_secs(120);

impl Renditions {
    /// Makes or changes the plan when the source is known, from the keyframe at this presentation time on.
    pub(super) fn plan(
        &mut self,
        from: i64,
        tracks: &[Option<Track>; 2],
        metadata: &StreamMetadata,
        packager: &mut Packager,
    ) {
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
    pub(super) fn finished(&mut self) {
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

    /// Puts to sleep what nobody wants, at a keyframe, and wakes what somebody wants.
    pub(super) fn arrange(&mut self, begin: Begin) {
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
    pub(super) fn forgive(&mut self) {
        let Some((count, since)) = self.shed else { return };
        let watched = (0..count).any(|place| self.at(place).is_some());
        if !watched && since.elapsed() >= SHED_FOR {
            self.shed = None;
            self.changed = true;
        }
    }
}
