//! The encoders' life: started, restarted, handed over from one to the next, ended.
//!
//! An encoder that goes on for another decodes the backlog from its keyframe on and encodes from the first picture that a rendition lacks,
//! which it makes a keyframe. So nobody waits for the source's next keyframe, and nothing is delivered twice.

use super::child::{Listener, spawn};
use super::command::Job;
use super::feed::Intake;
use super::output::{Delivered, Reader};
use super::plan::Plan;
use super::shed::Judge;
use super::{Encoder, Feed, Made, Options, Shared};
use headwater_media::Timescale;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Pause before the second restart within [`WELL_AFTER`]; doubled with each further one, up to the other. The first one is at once.
const RESTART_AFTER: Duration = Duration::from_millis(200);
const RESTART_AFTER_MAX: Duration = Duration::from_secs(15);
/// An encoder that lived so long was well.
const WELL_AFTER: Duration = Duration::from_secs(10);
/// An encoder that made nothing so many times is not tried again in this session.
const FRUITLESS_MAX: u32 = 6;
/// The same of hardware that another encoder stands in for: it is there or it is not.
const HARDWARE_FRUITLESS_MAX: u32 = 2;
/// How long an encoder may take for its last pictures, once its input is closed: four times what a sound one needs.
const DRAIN_MAX: Duration = Duration::from_secs(1);
/// How much of what was missed is encoded: less than [`headwater_hls::follow::LAG_MAX_MS`], after which it is a gap in any case.
const MAKE_UP_MAX_MS: i64 = 1_500;

/// Runs a session's encoders, one after another.
pub(super) struct Runner {
    options: Options,
    plan: Plan,
    intake: Intake,
    give: mpsc::Sender<Made>,
    shared: Arc<Shared>,
    delivered: Delivered,
    keyframe_each: Vec<Option<u32>>,
    judge: Judge,
    /// Whether the session knows that nothing comes.
    lost: bool,
    restarts: Restarts,
}

/// What the first encoder is told of what is there already; see [`super::Past`].
pub(super) struct Begin {
    pub(super) delivered: Delivered,
    pub(super) keyframe_each: Vec<Option<u32>>,
}

/// How an encoder ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The session is over.
    Over,
    /// Another one is to go on: it lived its time, the source changed, or another choice of renditions is to be made.
    Anew,
    /// It, or its pipe, failed.
    Failed(String),
    /// It cannot be started at all.
    Impossible(String),
    /// It is too slow.
    Behind,
}

/// Whether there is more to do.
enum Next {
    GoOn,
    Over,
}

impl Runner {
    pub(super) fn new(
        options: Options,
        plan: Plan,
        source_rate_millis: u32,
        (fed, give): (mpsc::Receiver<Feed>, mpsc::Sender<Made>),
        Begin { delivered, keyframe_each }: Begin,
        shared: Arc<Shared>,
    ) -> Self {
        Runner {
            judge: Judge::new(options.behind_max, options.restore_after, Instant::now()),
            delivered,
            keyframe_each,
            intake: Intake::new(fed, Arc::clone(&shared), source_rate_millis),
            options,
            plan,
            give,
            shared,
            lost: true,
            restarts: Restarts::default(),
        }
    }

    /// Runs encoders until the session is over or nothing is left to try.
    pub(super) async fn run(mut self) {
        while self.intake.keyframe().await {
            let began = Instant::now();
            let (ended, has_made) = self.encode().await;
            let next = match ended {
                Ended::Over => return,
                Ended::Anew => self.hand_over().await,
                Ended::Impossible(reason) => {
                    self.tell(Made::Unavailable(reason)).await;
                    return;
                }
                Ended::Behind => self.shed().await,
                Ended::Failed(reason) => self.restart(reason, has_made, began.elapsed()).await,
            };
            if let Next::Over = next {
                return;
            }
        }
    }

    async fn tell(&mut self, made: Made) -> Next {
        match made {
            Made::Lost => self.lost = true,
            Made::From(_) => self.lost = false,
            _ => {}
        }
        if self.give.send(made).await.is_ok() { Next::GoOn } else { Next::Over }
    }

    /// The next encoder goes on, with one more rendition if it is time for that.
    async fn hand_over(&mut self) -> Next {
        let now = Instant::now();
        if self.judge.shed() == 0 || now < self.judge.restore_at() {
            return Next::GoOn;
        }
        self.judge.restore_one(now);
        let shed = self.judge.shed();
        tracing::info!(shed, "the machine has time to spare; one more rendition is made");
        self.tell(Made::Shed(shed)).await
    }

    /// One rendition fewer. If none is left, none is made for a while.
    async fn shed(&mut self) -> Next {
        let now = Instant::now();
        self.judge.shed_one(now);
        let shed = self.judge.shed();
        tracing::warn!(shed, "encoder does not keep up; the ladder is shed from the top");
        if let Next::Over = self.tell(Made::Shed(shed)).await {
            return Next::Over;
        }
        if Job::of(&self.plan, shed, 0).has_pictures() {
            return Next::GoOn;
        }
        tracing::warn!("this machine cannot keep up with any rendition; the stream has its source only");
        let over = matches!(self.tell(Made::Lost).await, Next::Over);
        if over || !self.intake.wait(self.judge.restore_at()).await {
            return Next::Over;
        }
        self.hand_over().await
    }

    /// After a failure: at once where that makes sense.
    async fn restart(&mut self, reason: String, has_made: bool, lived: Duration) -> Next {
        tracing::warn!(reason, "encoder failed; it is started again");
        if !has_made {
            // It may have died of what it was given.
            self.intake.backlog.clear();
        }
        let fruitless_max = if self.options.encoder.is_hardware() { HARDWARE_FRUITLESS_MAX } else { FRUITLESS_MAX };
        let Some(pause) = self.restarts.after(has_made, lived, fruitless_max) else {
            if self.options.encoder.is_hardware() && self.options.fallback == Encoder::X264 {
                return self.fall_back(reason).await;
            }
            self.tell(Made::Unavailable(format!("the encoder does not work: {reason}"))).await;
            return Next::Over;
        };
        if pause.is_zero() && self.intake.backlog.has_keyframe() {
            return Next::GoOn;
        }
        let over = matches!(self.tell(Made::Lost).await, Next::Over);
        if over || !self.intake.wait(Instant::now() + pause).await { Next::Over } else { Next::GoOn }
    }

    /// The hardware is not there: the processor encodes.
    async fn fall_back(&mut self, reason: String) -> Next {
        let encoder = self.options.encoder.as_str();
        tracing::error!(encoder, reason, "this machine cannot use the configured encoder; x264 encodes in its place");
        self.options.encoder = Encoder::X264;
        self.restarts = Restarts::default();
        self.tell(Made::Instead(format!("{encoder} cannot be used here, so x264 encodes: {reason}"))).await
    }

    /// Runs one encoder from the backlog on. Tells whether it made anything.
    async fn encode(&mut self) -> (Ended, bool) {
        self.intake.backlog.trim(self.shared.delivered.load(Ordering::Relaxed));
        let Some(base_ms) = self.intake.base_ms() else { return (Ended::Anew, true) };
        let plan = self.plan.clone();
        let mut job = Job::of(&plan, self.judge.shed(), self.intake.source_rate_millis);
        job.input = self.intake.container();
        job.keyframe_each.clone_from(&self.keyframe_each);
        let from = self.resume(&mut job, base_ms);
        let mut child = match spawn(&self.options, &job) {
            Ok(child) => child,
            Err(error) => {
                let reason = format!("{} cannot be started: {error}", self.options.ffmpeg.display());
                let transient = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::OutOfMemory);
                return (if transient { Ended::Failed(reason) } else { Ended::Impossible(reason) }, false);
            }
        };
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(mut stdout), Some(stderr)) = pipes else {
            return (Ended::Failed("it has no pipes".into()), false);
        };
        tracing::info!(renditions = job.renditions.len(), "encoder started");
        if let Some(from) = from
            && let Next::Over = self.tell(Made::From(from)).await
        {
            return (Ended::Over, true);
        }
        self.judge.begin(Instant::now());
        let state = (&mut self.delivered, &mut self.judge);
        let mut reader = Reader::new(self.give.clone(), Arc::clone(&self.shared), state, job.layout().tracks, base_ms);
        let mut listener = Listener::new(stderr);
        let ended = tokio::select! {
            ended = self.intake.feed(stdin, base_ms) => ended,
            ended = reader.read(&mut stdout) => ended,
            never = listener.keep_listening() => match never {},
        };
        match &ended {
            Ended::Over | Ended::Anew => {
                // Its input is closed now.
                let drained = tokio::select! {
                    drained = tokio::time::timeout(DRAIN_MAX, reader.drain(&mut stdout)) => drained.is_ok(),
                    never = listener.keep_listening() => match never {},
                };
                if drained {
                    self.intake.backlog.skip_to_newest();
                }
            }
            // Its last words come with its end.
            Ended::Failed(_) => {
                let _ = tokio::time::timeout(Duration::from_millis(100), listener.listen()).await;
            }
            _ => {}
        }
        let has_made = reader.has_made();
        if let Err(error) = child.kill().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "encoder is not killed");
        }
        let ended = match ended {
            Ended::Failed(reason) => Ended::Failed(listener.explain(reason)),
            ended => ended,
        };
        (ended, has_made)
    }

    /// Has the job begin where renditions stopped. Gives the presentation time that the session is to be told of, if it does not just go on.
    fn resume(&mut self, job: &mut Job<'_>, base_ms: i64) -> Option<i64> {
        const TICKS_A_MS: i64 = 90;
        let keyframe = self.intake.backlog.keyframe()?.pts;
        let floor = self.shared.newest.load(Ordering::Relaxed).saturating_sub(MAKE_UP_MAX_MS * TICKS_A_MS);
        // Of sound alone, all is made.
        let mut first = if job.has_pictures() { i64::MAX } else { keyframe };
        let mut goes_on = !self.lost;
        for (index, rendition) in &job.renditions {
            if rendition.size.is_none() {
                continue;
            }
            let begin = match self.delivered.pictures.get(*index).copied().flatten() {
                Some(newest) => {
                    let next = newest.saturating_add(TICKS_A_MS);
                    goes_on &= next >= floor;
                    let begin = next.max(floor);
                    job.begins.push(Some(Timescale::VIDEO.ms_of_ticks(begin) - base_ms));
                    begin.max(keyframe)
                }
                None => {
                    goes_on = false;
                    job.begins.push(None);
                    keyframe
                }
            };
            first = first.min(begin);
        }
        (!goes_on || !job.has_pictures()).then_some(first)
    }
}

/// When an encoder that failed is started again.
#[derive(Debug, Default)]
struct Restarts {
    pause: Duration,
    fruitless: u32,
}

impl Restarts {
    /// How long to wait after an encoder that lived so long; `None`: it is not tried again.
    fn after(&mut self, has_made: bool, lived: Duration, fruitless_max: u32) -> Option<Duration> {
        self.fruitless = if has_made { 0 } else { self.fruitless + 1 };
        if self.fruitless >= fruitless_max {
            return None;
        }
        if lived >= WELL_AFTER {
            self.pause = Duration::ZERO;
        }
        let pause = self.pause;
        self.pause = (pause * 2).clamp(RESTART_AFTER, RESTART_AFTER_MAX);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_restart_is_at_once_and_further_ones_wait_longer_and_longer() {
        let mut restarts = Restarts::default();
        let short = Duration::from_secs(1);
        let pauses: Vec<u128> =
            (0..9).filter_map(|_| restarts.after(true, short, FRUITLESS_MAX)).map(|p| p.as_millis()).collect();
        assert_eq!(pauses, [0, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 15_000]);
        assert_eq!(restarts.after(true, WELL_AFTER, FRUITLESS_MAX), Some(Duration::ZERO));
    }

    #[test]
    fn an_encoder_that_never_makes_anything_is_given_up() {
        let mut restarts = Restarts::default();
        let tries = std::iter::from_fn(|| restarts.after(false, Duration::ZERO, FRUITLESS_MAX)).count();
        assert_eq!(tries as u32, FRUITLESS_MAX - 1);
    }
}
