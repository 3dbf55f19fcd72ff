//! An encoder that a test plays: what it was started with, what it was fed, and a way to say what it made.

use super::plan::Plan;
use super::{Feed, Ladder, MADE, Made, Past, QUEUE, Shared, Start};
use headwater_media::{AccessUnit, Keyframe, Timescale, Track, TrackKind};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// All encoders of a session, in the order in which they were started.
#[derive(Clone, Default)]
pub(crate) struct Pipes(Arc<Mutex<Vec<Pipe>>>);

pub(crate) struct Pipe {
    pub(crate) plan: Plan,
    /// Units of the past that it began with.
    pub(crate) past: usize,
    /// What each rendition needs no pictures up to.
    pub(crate) delivered: Vec<Option<i64>>,
    /// How often each rendition has a keyframe besides the source's.
    pub(crate) keyframe_each: Vec<Option<u32>>,
    fed: mpsc::Receiver<Feed>,
    give: mpsc::Sender<Made>,
    waiting: Vec<AccessUnit>,
    began: bool,
    /// Makes nothing while this is set.
    pub(crate) stuck: bool,
}

impl Pipes {
    pub(crate) fn start(&self) -> Start {
        let all = self.clone();
        Arc::new(move |_, plan, _, tracks: Vec<Track>, past: Past| {
            let (feed, fed) = mpsc::channel(QUEUE + tracks.len() + past.units.len());
            let (give, made) = mpsc::channel(MADE * 4);
            let (delivered, keyframe_each) = (past.delivered, past.keyframe_each);
            let pipe = Pipe {
                plan,
                past: past.units.len(),
                delivered,
                keyframe_each,
                fed,
                give,
                waiting: Vec::new(),
                began: false,
                stuck: false,
            };
            all.0.lock().unwrap_or_else(PoisonError::into_inner).push(pipe);
            let task = tokio::spawn(std::future::pending());
            let shared = Arc::new(Shared::default());
            let mut ladder =
                Ladder { feed: Some(feed), made, _task: AbortOnDropHandle::new(task), wants_keyframe: true, shared };
            tracks.into_iter().for_each(|track| ladder.track(track));
            past.units.into_iter().for_each(|unit| ladder.unit(unit));
            ladder
        })
    }

    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Vec<Pipe>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The names of what each encoder that is still wanted makes.
    pub(crate) fn running(&self) -> Vec<Vec<String>> {
        let names = |pipe: &Pipe| pipe.plan.renditions.iter().map(|rendition| rendition.name.clone()).collect();
        self.with(|all| all.iter().filter(|pipe| !pipe.give.is_closed()).map(names).collect())
    }

    /// Each encoder makes of all that it was fed the pictures and the sound of all its renditions, with these configurations.
    pub(crate) fn work(&self, tracks: &[Track; 2]) {
        self.with(|all| all.iter_mut().for_each(|pipe| pipe.work(tracks)));
    }
}

impl Pipe {
    fn work(&mut self, tracks: &[Track; 2]) {
        while let Ok(feed) = self.fed.try_recv() {
            if let Feed::Unit(unit) = feed {
                self.waiting.push(unit);
            }
        }
        if self.stuck {
            return;
        }
        for unit in std::mem::take(&mut self.waiting) {
            let starts = unit.kind == TrackKind::Video && unit.keyframe == Keyframe::Yes;
            if !self.began && !starts {
                continue;
            }
            if !std::mem::replace(&mut self.began, true) {
                self.say(Made::From(unit.pts));
                for index in 0..self.plan.renditions.len() {
                    tracks.iter().for_each(|track| self.say(Made::Track(index, track.clone())));
                }
            }
            // Encoders count in milliseconds.
            let pts = match unit.kind {
                TrackKind::Video => Timescale::VIDEO.ticks_of_ms(Timescale::VIDEO.ms_of_ticks(unit.pts)),
                TrackKind::Audio => unit.pts,
            };
            for index in 0..self.plan.renditions.len() {
                if self.delivered.get(index).copied().flatten().is_some_and(|newest| pts <= newest)
                    && unit.kind == TrackKind::Video
                {
                    continue;
                }
                self.say(Made::Unit(index, AccessUnit { pts, dts: pts, ..unit.clone() }));
            }
        }
    }

    pub(crate) fn say(&self, made: Made) {
        // One that is no longer wanted says it to nobody.
        let _ = self.give.try_send(made);
    }
}
