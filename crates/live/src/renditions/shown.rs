//! What others see of the renditions.

use super::Renditions;
use super::slot::Origin;
use crate::ladder::plan::Passthrough;
use crate::stream::{LadderState, LiveStream, Offer, Rendition, RenditionState};
use headwater_hls::playlist;
use std::sync::Arc;
use tokio::sync::watch;

impl Renditions {
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
