//! Renditions that the publisher makes itself: its further video tracks.
//!
//! They replace the ladder that would be encoded: an encoder that sends several sizes has paid for them. A track becomes a rendition with its
//! first keyframe, when its size and frame rate are known and with them its name. One that stops is no longer listed, until its next keyframe.

use super::slot::Origin;
use super::{RENDITIONS_MAX, Renditions};
use crate::ladder::plan::Passthrough;
use crate::stream::LadderState;
use headwater_hls::Packager;
use headwater_hls::follow::{Pictures, Sound};
use headwater_hls::playlist::Facts;
use headwater_media::{AccessUnit, FurtherTrack, Keyframe, StreamMetadata, Timescale, Track, flv};

/// How far a track may fall behind the first before it is no longer listed: more than its followers wait, less than players take for the end.
const SILENT_MS_MAX: i64 = 5_000;

/// A further track of the publisher.
#[derive(Debug)]
pub(super) struct Sent {
    id: FurtherTrack,
    track: Track,
    /// Its rendition, once it has one.
    slot: Option<usize>,
    /// Whether its pictures are taken: from a keyframe on, until it is silent.
    runs: bool,
    /// Decode time of its newest picture, ticks of 90 kHz.
    newest: i64,
}

impl Renditions {
    /// Another publisher comes; whether it sends further tracks is to be seen.
    pub(crate) fn new_source(&mut self) {
        self.stop_sent();
        self.sent.clear();
        if let Some(LadderState::Sent) = self.settled {
            self.settled = self.before_sent.take();
            self.planned_for = None;
        }
    }

    fn stop_sent(&mut self) {
        for sent in &mut self.sent {
            sent.runs = false;
            if let Some(index) = sent.slot {
                self.slots[index].rest();
                self.changed = true;
            }
        }
    }

    /// The tracks that the publisher sends besides its first.
    pub(crate) fn sent_tracks(&self) -> impl Iterator<Item = &Track> {
        self.sent().map(|(_, track)| track)
    }

    /// The same, each with what the publisher calls it by.
    pub(crate) fn sent(&self) -> impl Iterator<Item = (FurtherTrack, &Track)> {
        self.sent.iter().map(|sent| (sent.id, &sent.track))
    }

    /// How many of them begin segments without a keyframe at present.
    pub(crate) fn unaligned(&self) -> u64 {
        let runs = self.sent.iter().filter(|sent| sent.runs).filter_map(|sent| sent.slot);
        runs.filter(|&index| !self.slots[index].follower.is_aligned()).count() as u64
    }

    /// A further track's configuration: new, changed or repeated.
    pub(crate) fn sent_track(&mut self, id: FurtherTrack, track: Track, packager: &mut Packager) {
        if let Some(sent) = self.sent.iter_mut().find(|sent| sent.id == id) {
            if let Some(index) = sent.slot {
                self.slots[index].follower.handle_track(track.clone());
                self.slots[index].renew(packager);
            }
            sent.track = track;
            return;
        }
        // The demuxer takes no more.
        if self.sent.len() + 1 >= flv::TRACKS_MAX {
            return;
        }
        if self.sent.is_empty() {
            self.replace_ladder();
        }
        tracing::info!(track = id.id(), "the encoder sends a further rendition");
        self.sent.push(Sent { id, track, slot: None, runs: false, newest: i64::MIN });
    }

    /// No ladder is encoded beside what the publisher sends.
    fn replace_ladder(&mut self) {
        self.leaving = None;
        if self.relay.take().is_some() {
            tracing::info!("the ladder is no longer encoded: the encoder sends one");
        }
        for slot in self.slots.iter_mut().filter(|slot| slot.origin != Origin::Source) {
            slot.rest();
        }
        (self.shed, self.encoder_note) = (None, None);
        self.before_sent = match self.settled.take() {
            Some(LadderState::NotNeeded) => None,
            settled => settled,
        };
        self.settled = Some(LadderState::Sent);
        self.source_offered = Passthrough::Top;
        self.changed = true;
    }

    /// A further track's unit, on the session's timeline. `source_height` is that of the first track.
    pub(crate) fn sent_unit(
        &mut self,
        id: FurtherTrack,
        unit: AccessUnit,
        source_height: Option<u32>,
        metadata: &StreamMetadata,
        packager: &mut Packager,
    ) {
        let Some(place) = self.sent.iter().position(|sent| sent.id == id) else { return };
        if !self.sent[place].runs {
            if unit.keyframe == Keyframe::No {
                return;
            }
            let index = match self.sent[place].slot.or_else(|| self.sent_slot(place, source_height, metadata, packager))
            {
                Some(index) => index,
                None => return,
            };
            let slot = &mut self.slots[index];
            (slot.origin, slot.awake) = (Origin::Sent, true);
            slot.follower.wake(unit.pts);
            slot.follower.handle_track(self.sent[place].track.clone());
            slot.follower.expect_from(Some(unit.pts));
            (self.sent[place].slot, self.sent[place].runs, self.changed) = (Some(index), true, true);
        }
        self.sent[place].newest = unit.dts;
        if let Some(index) = self.sent[place].slot {
            self.slots[index].follower.handle_unit(unit);
            // Its place may have had another configuration before.
            self.slots[index].renew(packager);
        }
    }

    /// A rendition for a track, if its name is known.
    fn sent_slot(
        &mut self,
        place: usize,
        source_height: Option<u32>,
        metadata: &StreamMetadata,
        packager: &mut Packager,
    ) -> Option<usize> {
        let Sent { id, track, .. } = &self.sent[place];
        let (width, height) = track.config.dimensions()?;
        let words = metadata.of(*id);
        let rates = [
            words.and_then(|words| words.frame_rate_millis),
            track.config.frame_rate_millis(),
            metadata.frame_rate_millis,
            packager.frame_rate_millis(),
        ];
        let rate = rates.into_iter().flatten().next()?;
        // As the ladder is named: by the short side.
        let usual = format!("{}p{}", width.min(height), (rate + 500) / 1_000);
        // Whoever comes first: the number decides which of two alike is called plainly.
        let alike = |other: &Sent| {
            let lines =
                other.track.config.dimensions().map(|(other_width, other_height)| other_width.min(other_height));
            other.id < *id && lines == Some(width.min(height))
        };
        let taken = source_height == Some(height) || self.sent.iter().any(alike);
        let name = if taken { format!("{usual}-{}", id.id()) } else { usual };
        if self.slots.len() >= RENDITIONS_MAX && !self.slots.iter().any(|slot| slot.follower.rendition() == name) {
            return None;
        }
        let bits = words.and_then(|words| words.video_bitrate).unwrap_or(0);
        // Without the encoder's word the rate is what is measured.
        let sound = if bits > 0 { metadata.audio_bitrate.unwrap_or(0) } else { 0 };
        let facts = Facts {
            bandwidth: bits + sound,
            average_bandwidth: bits + sound,
            codecs: vec![track.config.rfc6381()],
            size: Some((width, height)),
            frame_rate_millis: Some(rate),
            independent: true,
        };
        let index = self.slot(&name, Pictures::Sent, Sound::Source, facts);
        self.slots[index].follower.set_pictures(Pictures::Sent);
        self.slots[index].follower.set_sound(Sound::Source);
        self.report(packager);
        Some(index)
    }

    /// The first track is here, in ticks of 90 kHz: tracks that are far behind it are not waited for any longer.
    pub(super) fn look_for_silent(&mut self, dts: i64) {
        for sent in self.sent.iter_mut().filter(|sent| sent.runs) {
            if dts.saturating_sub(sent.newest) <= Timescale::VIDEO.ticks_of_ms(SILENT_MS_MAX) {
                continue;
            }
            sent.runs = false;
            tracing::info!(track = sent.id.id(), "a further rendition is silent");
            if let Some(index) = sent.slot {
                self.slots[index].rest();
                self.changed = true;
            }
        }
    }
}
