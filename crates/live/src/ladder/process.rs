//! The encoder's life: started, restarted, shed.

use super::child::{listen, spawn};
use super::command::Job;
use super::feed::feed;
use super::output::Reader;
use super::plan::Plan;
use super::{Feed, Made, Options};
use headwater_media::{AccessUnit, Keyframe, Track, TrackKind};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Pause before a restart; doubled while the encoder does not live, up to the other.
const RESTART_AFTER: Duration = Duration::from_millis(200);
const RESTART_AFTER_MAX: Duration = Duration::from_secs(15);
/// An encoder that lived so long was well.
const WELL_AFTER: Duration = Duration::from_secs(10);
/// An encoder that made nothing so many times is not tried again in this session.
const FRUITLESS_MAX: u32 = 6;
/// Where an encoder's clock begins: sound that it makes begins a little before its input.
const LEAD_MS: i64 = 1_000;
/// Blocks of sound before the first keyframe that wait for the encoder: more than it is delayed by. Full: the oldest leaves.
const EARLY_MAX: usize = 4;

pub(super) struct Runner {
    options: Options,
    plan: Plan,
    pub(super) source_rate_millis: u32,
    pub(super) fed: mpsc::Receiver<Feed>,
    give: mpsc::Sender<Made>,
    /// Presentation time of the newest picture of the source.
    newest: Arc<AtomicI64>,
    video: Option<Track>,
    pub(super) audio: Option<Track>,
    shed: usize,
}

/// How an encoder ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The session is over.
    Over,
    /// It is to begin anew at the next keyframe: it lived its time, or the source changed.
    Anew,
    /// It, or its pipe, failed.
    Failed(String),
    /// It cannot be started at all.
    Impossible(String),
    /// It is too slow.
    Behind,
}

impl Runner {
    pub(super) fn new(
        options: Options,
        plan: Plan,
        source_rate_millis: u32,
        fed: mpsc::Receiver<Feed>,
        give: mpsc::Sender<Made>,
        newest: Arc<AtomicI64>,
    ) -> Self {
        Runner { options, plan, source_rate_millis, fed, give, newest, video: None, audio: None, shed: 0 }
    }

    /// Runs encoders until the session is over or nothing is left to try.
    pub(super) async fn run(mut self) {
        let (mut pause, mut fruitless) = (RESTART_AFTER, 0);
        loop {
            let Some(first) = self.next_keyframe().await else { return };
            let began = Instant::now();
            let (ended, made) = self.encode(first).await;
            if self.give.send(Made::Lost).await.is_err() {
                return;
            }
            match ended {
                Ended::Over => return,
                Ended::Anew => pause = RESTART_AFTER,
                Ended::Impossible(reason) => {
                    let _ = self.give.send(Made::Unavailable(reason)).await;
                    return;
                }
                Ended::Behind => {
                    self.shed += 1;
                    tracing::warn!(shed = self.shed, "encoder does not keep up; the ladder is shed from the top");
                    let told = if Job::of(&self.plan, self.shed, self.source_rate_millis).has_pictures() {
                        Made::Shed(self.shed)
                    } else {
                        Made::Unavailable("this machine cannot keep up with any rendition".into())
                    };
                    let over = matches!(told, Made::Unavailable(_));
                    if self.give.send(told).await.is_err() || over {
                        return;
                    }
                }
                Ended::Failed(reason) => {
                    fruitless = if made { 0 } else { fruitless + 1 };
                    pause = if began.elapsed() >= WELL_AFTER { RESTART_AFTER } else { pause };
                    tracing::warn!(reason, "encoder failed; it is started again");
                    if fruitless == FRUITLESS_MAX {
                        let _ = self.give.send(Made::Unavailable(format!("the encoder does not work: {reason}"))).await;
                        return;
                    }
                    self.wait(pause).await;
                    pause = if made { RESTART_AFTER } else { (pause * 2).min(RESTART_AFTER_MAX) };
                }
            }
        }
    }

    /// Waits without letting the queue fill up.
    async fn wait(&mut self, pause: Duration) {
        let until = Instant::now() + pause;
        while let Ok(Some(feed)) = tokio::time::timeout_at(until, self.fed.recv()).await {
            if let Feed::Track(track) = feed {
                self.configure(track);
            }
        }
    }

    /// Whether the track was another one.
    pub(super) fn configure(&mut self, track: Track) -> bool {
        let slot = match track.kind {
            TrackKind::Video => &mut self.video,
            TrackKind::Audio => &mut self.audio,
        };
        let changed = slot.as_ref() != Some(&track);
        *slot = Some(track);
        changed
    }

    /// The next keyframe, and the sound just before it.
    async fn next_keyframe(&mut self) -> Option<VecDeque<AccessUnit>> {
        let mut early = VecDeque::new();
        loop {
            match self.fed.recv().await? {
                Feed::Track(track) => {
                    self.configure(track);
                }
                Feed::Unit(unit) if unit.kind == TrackKind::Audio => {
                    early.push_back(unit);
                    if early.len() > EARLY_MAX {
                        early.pop_front();
                    }
                }
                Feed::Unit(unit) if unit.keyframe == Keyframe::Yes && self.video.is_some() => {
                    // First, for the encoder looks at the first few bytes only to know what comes.
                    early.push_front(unit);
                    return Some(early);
                }
                Feed::Unit(_) => {}
            }
        }
    }

    /// Runs one encoder from a keyframe on. Tells whether it made anything.
    async fn encode(&mut self, first: VecDeque<AccessUnit>) -> (Ended, bool) {
        let (Some(video), Some(keyframe)) = (self.video.clone(), first.front().cloned()) else {
            return (Ended::Anew, true);
        };
        let plan = self.plan.clone();
        let job = Job::of(&plan, self.shed, self.source_rate_millis);
        let mut child = match spawn(&self.options, &job) {
            Ok(child) => child,
            Err(error) => {
                let reason = format!("{} cannot be started: {error}", self.options.ffmpeg.display());
                let transient = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::OutOfMemory);
                return (if transient { Ended::Failed(reason) } else { Ended::Impossible(reason) }, false);
            }
        };
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return (Ended::Failed("it has no pipes".into()), false);
        };
        tracing::info!(renditions = job.renditions.len(), "encoder started");
        if self.give.send(Made::From(keyframe.pts)).await.is_err() {
            return (Ended::Over, true);
        }
        let base_ms = video.timescale.ms_of_ticks(keyframe.dts.min(keyframe.pts)) - LEAD_MS;
        let mut reader = Reader {
            give: self.give.clone(),
            tracks: job.layout().tracks,
            base_ms,
            scales: Vec::new(),
            newest_in: Arc::clone(&self.newest),
            began: Instant::now(),
            behind_since: None,
            behind_max_ms: i64::try_from(self.options.behind_max.as_millis()).unwrap_or(i64::MAX),
            made: false,
        };
        let mut words = String::new();
        let ended = {
            let feeding = feed(self, stdin, video, first, base_ms);
            let listening = listen(stderr, &mut words);
            tokio::pin!(feeding, listening);
            tokio::select! {
                ended = &mut feeding => ended,
                ended = reader.read(stdout) => ended,
                ended = async { listening.await; std::future::pending().await } => ended,
            }
        };
        if let Ended::Failed(_) = &ended {
            // Its last words come with its end.
            let _ = tokio::time::timeout(Duration::from_millis(100), child.wait()).await;
        }
        if let Err(error) = child.kill().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "encoder is not killed");
        }
        let ended = match ended {
            Ended::Failed(reason) if !words.is_empty() => Ended::Failed(format!("{reason}: {}", words.trim())),
            ended => ended,
        };
        (ended, reader.made)
    }
}
