//! The encoder's output: read, put on the session's timeline, handed on unless an encoder before it delivered the same.

use super::process::Ended;
use super::shed::{Judge, LOOK_EVERY, Look, Verdict};
use super::{Made, Shared};
use headwater_media::fmp4::demux::{Demuxer, Item};
use headwater_media::{AccessUnit, MediaTime, Timescale, Track, TrackKind};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::io::AsyncReadExt as _;
use tokio::process::ChildStdout;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Bytes read from the pipe at once.
const CHUNK: usize = 64 * 1024;
/// How much of a block of sound may be there already: half of one of 1024 samples, as two encoders' blocks do not begin at the same places.
const SOUND_TOLERANCE: i64 = 11 * 90;

/// How far the renditions got, by their place in the plan: ticks of 90 kHz on the session's timeline.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    /// Presentation time of the newest picture.
    pub(super) pictures: Vec<Option<i64>>,
    /// Where the newest sound ends.
    sound: Vec<Option<i64>>,
}

impl Delivered {
    /// Nothing yet, but for what others have delivered up to these times.
    pub(super) fn new(renditions: usize, by_others: &[Option<i64>]) -> Self {
        let mut pictures = by_others.to_vec();
        pictures.resize(renditions, None);
        Delivered { sound: vec![None; renditions], pictures }
    }

    /// Notes a unit, unless the rendition has it already.
    fn is_new(&mut self, rendition: usize, unit: &AccessUnit, scale: Timescale) -> bool {
        let begin = MediaTime::new(unit.pts, scale).rescale(Timescale::VIDEO).ticks;
        let (slot, least, end) = match unit.kind {
            TrackKind::Video => (self.pictures.get_mut(rendition), 1, begin),
            TrackKind::Audio => {
                let length = MediaTime::new(BLOCK_SAMPLES, scale).rescale(Timescale::VIDEO).ticks;
                (self.sound.get_mut(rendition), -SOUND_TOLERANCE, begin.saturating_add(length))
            }
        };
        let Some(slot) = slot else { return false };
        let is_new = slot.is_none_or(|newest| begin >= newest.saturating_add(least));
        if is_new {
            *slot = Some(end);
        }
        is_new
    }
}

/// Samples of a block of AAC.
const BLOCK_SAMPLES: i64 = 1_024;

/// Reads one encoder's output.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) give: mpsc::Sender<Made>,
    pub(super) shared: Arc<Shared>,
    pub(super) delivered: &'a mut Delivered,
    pub(super) judge: &'a mut Judge,
    /// For each track, which renditions it is for.
    tracks: Vec<Vec<usize>>,
    base_ms: i64,
    demuxer: Demuxer,
    /// What the session has not taken yet: no more than one reading brought.
    ready: VecDeque<Made>,
    /// What the tracks say of themselves.
    known: Vec<Track>,
    /// Presentation time of the newest picture.
    newest: Option<i64>,
    has_made: bool,
    made_since_look: bool,
    dropped_before: u64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        give: mpsc::Sender<Made>,
        shared: Arc<Shared>,
        (delivered, judge): (&'a mut Delivered, &'a mut Judge),
        tracks: Vec<Vec<usize>>,
        base_ms: i64,
    ) -> Self {
        let dropped_before = shared.dropped.load(Ordering::Relaxed);
        Reader {
            give,
            shared,
            delivered,
            judge,
            tracks,
            base_ms,
            demuxer: Demuxer::new(),
            ready: VecDeque::new(),
            known: Vec::new(),
            newest: None,
            has_made: false,
            made_since_look: false,
            dropped_before,
        }
    }

    /// Whether it read any unit that nobody had delivered before.
    pub(super) fn has_made(&self) -> bool {
        self.has_made
    }

    /// Reads what the encoder makes, until it ends, fails, or is judged. Cancel-safe.
    pub(super) async fn read(&mut self, stdout: &mut ChildStdout) -> Ended {
        let mut buffer = vec![0; CHUNK];
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            if self.hand_on().await.is_err() {
                return Ended::Over;
            }
            let count = tokio::select! {
                read = stdout.read(&mut buffer) => match read {
                    Ok(0) => return Ended::Failed("it ended".into()),
                    Ok(count) => count,
                    Err(error) => return Ended::Failed(format!("its output is closed: {error}")),
                },
                _ = looks.tick() => match self.look() {
                    Some(ended) => return ended,
                    None => continue,
                },
            };
            match self.demuxer.push(&buffer[..count]) {
                Ok(items) => items.into_iter().for_each(|item| self.take(item)),
                Err(error) => return Ended::Failed(format!("its output cannot be read: {error}")),
            }
        }
    }

    /// Reads what is left after the input's end.
    pub(super) async fn drain(&mut self, stdout: &mut ChildStdout) {
        let mut buffer = vec![0; CHUNK];
        while self.hand_on().await.is_ok()
            && let Ok(count @ 1..) = stdout.read(&mut buffer).await
            && let Ok(items) = self.demuxer.push(&buffer[..count])
        {
            items.into_iter().for_each(|item| self.take(item));
        }
    }

    /// Gives the session what is ready for it. Cancel-safe.
    async fn hand_on(&mut self) -> Result<(), mpsc::error::SendError<()>> {
        while !self.ready.is_empty() {
            let place = self.give.reserve().await?;
            if let Some(made) = self.ready.pop_front() {
                place.send(made);
            }
        }
        Ok(())
    }

    fn take(&mut self, item: Item) {
        match item {
            Item::Track(index, track) => {
                for rendition in self.users(index) {
                    self.ready.push_back(Made::Track(rendition, track.clone()));
                }
                self.known.push(track);
            }
            Item::Unit(index, unit) => {
                let Some(scale) = self.known.get(index).map(|track| track.timescale) else { return };
                // The encoder's clock begins anew with each encoder.
                let ticks = scale.ticks_of_ms(self.base_ms);
                let unit =
                    AccessUnit { dts: unit.dts.saturating_add(ticks), pts: unit.pts.saturating_add(ticks), ..unit };
                for rendition in self.users(index) {
                    if self.delivered.is_new(rendition, &unit, scale) {
                        self.has_made = true;
                        self.ready.push_back(Made::Unit(rendition, unit.clone()));
                    }
                }
                // Sound alone is judged by its sound.
                let leads =
                    unit.kind == TrackKind::Video || self.known.iter().all(|track| track.kind == TrackKind::Audio);
                if leads {
                    let at = MediaTime::new(unit.pts, scale).rescale(Timescale::VIDEO).ticks;
                    self.newest = self.newest.max(Some(at));
                    self.made_since_look = true;
                    self.shared.delivered.store(self.all_delivered(), Ordering::Relaxed);
                }
            }
        }
    }

    fn users(&self, track: usize) -> Vec<usize> {
        self.tracks.get(track).cloned().unwrap_or_default()
    }

    /// The presentation time up to which all renditions that are made have pictures.
    fn all_delivered(&self) -> i64 {
        let made = self.tracks.iter().zip(&self.known).filter(|(_, track)| track.kind == TrackKind::Video);
        let newest = made.flat_map(|(users, _)| users).map(|&rendition| self.delivered.pictures.get(rendition));
        newest.map(|newest| newest.copied().flatten().unwrap_or(i64::MIN)).min().unwrap_or(i64::MIN)
    }

    /// Judges how the encoder does.
    fn look(&mut self) -> Option<Ended> {
        let newest_in = self.shared.newest.load(Ordering::Relaxed);
        let newest_out = self.newest.unwrap_or_else(|| Timescale::VIDEO.ticks_of_ms(self.base_ms));
        let dropped = self.shared.dropped.load(Ordering::Relaxed);
        let look = Look {
            lag_ms: Timescale::VIDEO.ms_of_ticks(newest_in.saturating_sub(newest_out)),
            made: std::mem::take(&mut self.made_since_look),
            dropped: std::mem::replace(&mut self.dropped_before, dropped) != dropped,
        };
        match self.judge.look(look, Instant::now()) {
            Verdict::GoOn => None,
            Verdict::Shed => Some(Ended::Behind),
            Verdict::Hangs => Some(Ended::Failed("it makes nothing any more".into())),
            Verdict::Restore => {
                if !self.shared.anew.swap(true, Ordering::Relaxed) {
                    tracing::debug!("one more rendition is tried at the next keyframe");
                }
                None
            }
        }
    }
}
