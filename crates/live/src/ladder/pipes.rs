//! An encoder that a test plays: what it was started with, what it was fed, and a way to say what it made.

use super::plan::Plan;
use super::{Feed, Ladder, MADE, Made, Past, QUEUE, Shared, Start};
use headwater_media::{AccessUnit, Keyframe, Timescale, Track, TrackKind};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;
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
    /// `None` once it has come to its end.
    give: Option<mpsc::Sender<Made>>,
    /// The configuration of what it is fed, and of what it makes.
    tracks: Vec<Track>,
    waiting: Vec<AccessUnit>,
    began: bool,
    /// Makes nothing while this is set.
    pub(crate) stuck: bool,
    /// So many units stay in it until it is fed the next ones, or no more.
    pub(crate) lag: usize,
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
                give: Some(give),
                tracks: tracks.clone(),
                waiting: Vec::new(),
                began: false,
                stuck: false,
                lag: 0,
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
        self.with(|all| all.iter().filter(|pipe| pipe.is_wanted()).map(names).collect())
    }

    /// Each encoder makes of all that it was fed the pictures and the sound of all its renditions.
    pub(crate) fn work(&self) {
        self.with(|all| all.iter_mut().for_each(Pipe::work));
    }
}

impl Pipe {
    fn is_wanted(&self) -> bool {
        self.give.as_ref().is_some_and(|give| !give.is_closed())
    }

    fn work(&mut self) {
        let over = loop {
            match self.fed.try_recv() {
                Ok(Feed::Unit(unit)) => self.waiting.push(unit),
                Ok(Feed::Track(_)) => {}
                Err(error) => break error == TryRecvError::Disconnected,
            }
        };
        if self.stuck {
            return;
        }
        let ready = if over { self.waiting.len() } else { self.waiting.len().saturating_sub(self.lag) };
        for unit in self.waiting.drain(..ready).collect::<Vec<_>>() {
            let starts = unit.kind == TrackKind::Video && unit.keyframe == Keyframe::Yes;
            if !self.began && !starts {
                continue;
            }
            if !std::mem::replace(&mut self.began, true) {
                self.say(Made::From(unit.pts));
                for index in 0..self.plan.renditions.len() {
                    self.tracks.iter().for_each(|track| self.say(Made::Track(index, track.clone())));
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
        if over {
            self.give = None;
        }
    }

    pub(crate) fn say(&self, made: Made) {
        // One that is no longer wanted says it to nobody.
        if let Some(give) = &self.give {
            let _ = give.try_send(made);
        }
    }
}
