//! The encoder's life: started, fed, read, restarted, shed.

use super::command::Job;
use super::plan::Plan;
use super::{Feed, Made, Options};
use bytes::Bytes;
use headwater_media::flv::mux;
use headwater_media::fmp4::demux::{self, Demuxer, Item};
use headwater_media::{AccessUnit, Keyframe, Timescale, Track, TrackKind};
use rustix::process::{Pid, Resource, Rlimit};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Pause before a restart; doubled while the encoder does not live, up to the other.
const RESTART_AFTER: Duration = Duration::from_millis(200);
const RESTART_AFTER_MAX: Duration = Duration::from_secs(15);
/// An encoder that lived so long was well.
const WELL_AFTER: Duration = Duration::from_secs(10);
/// An encoder that made nothing so many times is not tried again in this session.
const FRUITLESS_MAX: u32 = 6;
/// How long a new encoder has to catch up before it is judged, and how long it must be behind.
const CATCH_UP: Duration = Duration::from_secs(6);
const BEHIND_FOR: Duration = Duration::from_secs(3);
/// Where an encoder's clock begins: sound that it makes begins a little before its input.
const LEAD_MS: i64 = 1_000;
/// FLV's milliseconds wrap after 24.8 days; the encoder is begun anew before.
const LIFE_MAX_MS: i64 = 20 * 86_400_000;
/// Bytes read from the pipe at once.
const CHUNK: usize = 64 * 1024;
/// Bytes of the encoder's last words that are kept for the log.
const WORDS_MAX: usize = 600;
/// Blocks of sound before the first keyframe that wait for the encoder: more than it is delayed by. Full: the oldest leaves.
const EARLY_MAX: usize = 4;
/// Address space, and the size of a file that it may write.
const MEMORY_MAX: u64 = 4 * 1024 * 1024 * 1024;
const NICENESS: i32 = 5;

pub(super) struct Runner {
    options: Options,
    plan: Plan,
    source_rate_millis: u32,
    fed: mpsc::Receiver<Feed>,
    give: mpsc::Sender<Made>,
    /// Presentation time of the newest picture of the source.
    newest: Arc<AtomicI64>,
    video: Option<Track>,
    audio: Option<Track>,
    shed: usize,
}

/// How an encoder ended.
#[derive(Debug)]
enum Ended {
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
    fn configure(&mut self, track: Track) -> bool {
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

fn spawn(options: &Options, job: &Job<'_>) -> std::io::Result<Child> {
    let mut command = Command::new(&options.ffmpeg);
    command.args(job.arguments(options)).env_clear().current_dir("/").kill_on_drop(true);
    // It needs the way to its libraries and drivers, and nothing else that we know.
    for name in ["PATH", "LD_LIBRARY_PATH", "LIBVA_DRIVER_NAME", "CUDA_VISIBLE_DEVICES"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
        limit(pid, options);
    }
    Ok(child)
}

/// What strangers sent is decoded there: it may write no files, take no more memory than it needs, and stands back behind the rest.
fn limit(pid: Pid, options: &Options) {
    let mut limits = vec![(Resource::Fsize, 0), (Resource::Core, 0), (Resource::Nofile, 64)];
    if options.encoder == super::Encoder::X264 {
        // Graphics drivers map far more than they use.
        limits.push((Resource::As, MEMORY_MAX));
    }
    for (resource, most) in limits {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        if let Err(error) = rustix::process::prlimit(Some(pid), resource, limit) {
            tracing::warn!(error = &error as &dyn std::error::Error, ?resource, "encoder has no limit");
        }
    }
    if let Err(error) = rustix::process::setpriority_process(Some(pid), NICENESS) {
        tracing::debug!(error = &error as &dyn std::error::Error, "encoder keeps its priority");
    }
}

/// Writes what the session hands over to the encoder's input.
async fn feed(
    runner: &mut Runner,
    mut stdin: ChildStdin,
    video: Track,
    first: VecDeque<AccessUnit>,
    base_ms: i64,
) -> Ended {
    let mut audio = runner.audio.clone();
    let mut tags = vec![Bytes::from_static(mux::FILE_HEADER)];
    tags.extend(mux::frame_rate_tag(runner.source_rate_millis));
    tags.extend(mux::config_tag(&video));
    tags.extend(audio.iter().flat_map(mux::config_tag));
    let mut units = first;
    loop {
        for unit in units.drain(..) {
            match (unit.kind, &audio) {
                (TrackKind::Video, _) => tags.extend(mux::unit_tag(&video, &unit, base_ms)),
                (TrackKind::Audio, Some(audio)) => tags.extend(mux::unit_tag(audio, &unit, base_ms)),
                (TrackKind::Audio, None) => {}
            }
        }
        let bytes: Vec<u8> = tags.concat();
        tags.clear();
        if let Err(error) = stdin.write_all(&bytes).await {
            return Ended::Failed(format!("its input is closed: {error}"));
        }
        match runner.fed.recv().await {
            None => return Ended::Over,
            Some(Feed::Track(track)) => {
                let kind = track.kind;
                let known = match kind {
                    TrackKind::Video => Some(&video),
                    TrackKind::Audio => audio.as_ref(),
                };
                let same = known == Some(&track);
                runner.configure(track);
                if !same && (kind == TrackKind::Video || audio.is_some()) {
                    return Ended::Anew;
                }
                audio = runner.audio.clone();
                if !same {
                    tags.extend(audio.iter().flat_map(mux::config_tag));
                }
            }
            Some(Feed::Unit(unit)) => {
                let late = video.timescale.ms_of_ticks(unit.dts) - base_ms > LIFE_MAX_MS;
                if late && unit.kind == TrackKind::Video && unit.keyframe == Keyframe::Yes {
                    return Ended::Anew;
                }
                units.push_back(unit);
            }
        }
    }
}

/// Keeps the encoder's last words.
async fn listen(mut stderr: ChildStderr, words: &mut String) {
    let mut buffer = [0; 512];
    while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
        let text = String::from_utf8_lossy(&buffer[..count]);
        tracing::debug!(said = %text.trim().escape_debug(), "encoder");
        words.push_str(&text);
        if words.len() > WORDS_MAX {
            let mut cut = words.len() - WORDS_MAX;
            while !words.is_char_boundary(cut) {
                cut += 1;
            }
            words.drain(..cut);
        }
    }
}

struct Reader {
    give: mpsc::Sender<Made>,
    tracks: Vec<Vec<usize>>,
    base_ms: i64,
    /// The tracks' timescales.
    scales: Vec<Timescale>,
    newest_in: Arc<AtomicI64>,
    began: Instant,
    behind_since: Option<Instant>,
    behind_max_ms: i64,
    made: bool,
}

impl Reader {
    /// Reads what the encoder makes, until it fails or falls behind.
    async fn read(&mut self, mut stdout: ChildStdout) -> Ended {
        let mut demuxer = Demuxer::new();
        let mut buffer = vec![0; CHUNK];
        loop {
            let items = match stdout.read(&mut buffer).await {
                Ok(0) => return Ended::Failed("it ended".into()),
                Ok(count) => demuxer.push(&buffer[..count]),
                Err(error) => return Ended::Failed(format!("its output is closed: {error}")),
            };
            match items {
                Ok(items) => {
                    for item in items {
                        if let Some(ended) = self.pass_on(item).await {
                            return ended;
                        }
                    }
                }
                Err(error) => return Ended::Failed(unreadable(&error)),
            }
        }
    }

    async fn pass_on(&mut self, item: Item) -> Option<Ended> {
        let index = match &item {
            Item::Track(index, _) | Item::Unit(index, _) => *index,
        };
        if let Item::Track(_, track) = &item {
            self.scales.push(track.timescale);
        }
        let users = self.tracks.get(index).cloned().unwrap_or_default();
        for rendition in users {
            let made = match &item {
                Item::Track(_, track) => Made::Track(rendition, track.clone()),
                Item::Unit(_, unit) => Made::Unit(rendition, self.on_the_timeline(index, unit)),
            };
            if self.give.send(made).await.is_err() {
                return Some(Ended::Over);
            }
        }
        let Item::Unit(_, unit) = item else { return None };
        self.made = true;
        (unit.kind == TrackKind::Video && self.is_behind(&unit)).then_some(Ended::Behind)
    }

    /// The encoder's clock begins anew with each encoder.
    fn on_the_timeline(&self, index: usize, unit: &AccessUnit) -> AccessUnit {
        let ticks = self.scales.get(index).map_or(0, |scale| scale.ticks_of_ms(self.base_ms));
        AccessUnit { dts: unit.dts.saturating_add(ticks), pts: unit.pts.saturating_add(ticks), ..unit.clone() }
    }

    /// Whether the encoder has been too far behind its input for too long.
    fn is_behind(&mut self, unit: &AccessUnit) -> bool {
        let now = Instant::now();
        let newest = self.newest_in.load(Ordering::Relaxed) / 90;
        let lag_ms = newest - (unit.pts / 90 + self.base_ms);
        if lag_ms <= self.behind_max_ms || now - self.began < CATCH_UP {
            self.behind_since = None;
            return false;
        }
        let since = *self.behind_since.get_or_insert(now);
        now - since >= BEHIND_FOR
    }
}

fn unreadable(error: &demux::Error) -> String {
    format!("its output cannot be read: {error}")
}
