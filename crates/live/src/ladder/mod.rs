//! Further renditions of a stream, made by one encoder process.
//!
//! | module | what stands there |
//! |---|---|
//! | [`plan`] | which renditions a channel has |
//! | `command` | the encoder's command line |
//! | `promise` | what a rendition will be like, before it is made |
//! | `relay` | the encoder of the renditions that are wanted; one set of them taken over from another |
//! | `process` | the encoders' life: started, restarted, handed over, ended |
//! | `child` | one encoder's process: how it is started, limited and listened to |
//! | `feed`, `output` | its input and its output |
//! | `kept` | what a rendition that is woken begins with |
//! | `backlog` | what the next encoder needs to go on where the last one stopped |
//! | `shed` | when there are fewer renditions, and when there are more again |
//!
//! The session hands over its access units, on its own timeline, and gets those of the renditions back. Nothing here makes the source wait:
//! what does not fit into the queue is dropped up to the next keyframe, and counted.

mod backlog;
mod child;
mod command;
mod feed;
mod kept;
mod output;
#[cfg(test)]
pub(crate) mod pipes;
pub mod plan;
mod process;
mod promise;
mod relay;
mod shed;

pub use child::{Trial, try_out};
pub use headwater_confine::User;
use headwater_media::{AccessUnit, Keyframe, Track, TrackKind};
use plan::Plan;
pub(crate) use promise::promise;
pub(crate) use relay::{Begin, Relay, Told, Which};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

/// Units that wait for the encoder: about two seconds. Full: drop to the next keyframe and count.
const QUEUE: usize = 160;
/// What the encoder made and the session has not taken yet. Full: the encoder waits.
const MADE: usize = 256;

/// What encodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoder {
    /// Nothing: streams have their source only.
    #[default]
    Off,
    /// x264, on the processor.
    X264,
    /// Nvidia's.
    Nvenc,
    /// Through VA-API.
    Vaapi,
    /// Intel's.
    Qsv,
}

impl Encoder {
    /// As the configuration has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Encoder::Off => "off",
            Encoder::X264 => "x264",
            Encoder::Nvenc => "nvenc",
            Encoder::Vaapi => "vaapi",
            Encoder::Qsv => "qsv",
        }
    }

    /// Whether it is a part of the machine that may be missing.
    pub fn is_hardware(self) -> bool {
        matches!(self, Encoder::Nvenc | Encoder::Vaapi | Encoder::Qsv)
    }
}

/// How the encoder is confined: it decodes what strangers sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confiner {
    /// A program that hands its arguments after the first to [`headwater_confine::confine`].
    pub program: PathBuf,
    /// That first one.
    pub subcommand: String,
    /// Who the encoder runs as if the server is root.
    pub user: Option<User>,
}

/// How ladders are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What encodes.
    pub encoder: Encoder,
    /// What encodes in its place if it is hardware that this machine lacks.
    pub fallback: Encoder,
    /// How the encoder's process is confined; `None`: by limits only.
    pub confiner: Option<Confiner>,
    /// The ffmpeg program; a bare name is looked for in `PATH`.
    pub ffmpeg: PathBuf,
    /// How far the encoder may be behind before the ladder is shed, once it has run for a while.
    pub behind_max: Duration,
    /// How long an encoder must have time to spare before a rendition that was shed is tried again; longer each time that was too early.
    pub restore_after: Duration,
    /// Whether renditions are made that nobody watches.
    pub demand: Policy,
    /// How long a rendition is wanted after a request for it, if that is longer than viewers may take to ask again.
    pub linger: Duration,
}

/// Whether renditions are made that nobody watches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Only those that somebody watches are made.
    #[default]
    OnDemand,
    /// All are made while somebody watches the stream, whichever rendition it is.
    Watched,
    /// All are made all the time.
    Always,
}

/// How long a rendition is wanted after a request for it: players that try a quality for a few segments, and come back to it, find it there.
pub const LINGER: Duration = Duration::from_secs(30);

impl Default for Options {
    fn default() -> Self {
        Options {
            encoder: Encoder::Off,
            fallback: Encoder::X264,
            confiner: None,
            ffmpeg: PathBuf::from("ffmpeg"),
            behind_max: Duration::from_millis(1_500),
            restore_after: Duration::from_secs(30),
            demand: Policy::default(),
            linger: LINGER,
        }
    }
}

/// What goes to the encoder.
#[derive(Debug)]
enum Feed {
    Track(Track),
    Unit(AccessUnit),
}

/// What comes back. Renditions are told by their place in the plan.
#[derive(Debug)]
pub(crate) enum Made {
    /// The encoder works, and will deliver pictures from this presentation time on. One that goes on where the last one stopped is not told.
    From(i64),
    /// The encoder is gone: nothing comes until the next [`Made::From`].
    Lost,
    /// A rendition's configuration.
    Track(usize, Track),
    /// A rendition's access unit, on the session's timeline.
    Unit(usize, AccessUnit),
    /// So many renditions are not made, counted from the top, because the machine cannot keep up. Zero: all are made again.
    Shed(usize),
    /// Another encoder than the configured one makes them; which, and why.
    Instead(String),
    /// There will be no renditions; why.
    Unavailable(String),
}

/// What an encoder begins with.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// Units of the source, a keyframe first.
    pub(crate) units: Vec<AccessUnit>,
    /// For each rendition, the presentation time up to which it needs no pictures: ticks of 90 kHz.
    pub(crate) delivered: Vec<Option<i64>>,
    /// For each rendition, so many pictures after a keyframe there is another one, whatever the source has; `None`: only where the source has one.
    pub(crate) keyframe_each: Vec<Option<u32>>,
}

/// Starts an encoder for a plan: with the source's frames in 1000 seconds, its tracks, and its past.
pub(crate) type Start = Arc<dyn Fn(Options, Plan, u32, Vec<Track>, Past) -> Ladder + Send + Sync>;

/// Whether the encoder's program is there: what nobody watches yet is not started, and is to be missed all the same.
pub(crate) fn is_there(program: &Path) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Box<dyn Iterator<Item = PathBuf>> = match program.components().count() {
        1 => Box::new(std::env::split_paths(&path).map(|folder| folder.join(program))),
        _ => Box::new(std::iter::once(program.to_owned())),
    };
    places.any(|place| place.is_file())
}

/// An encoder of a session's ladder. Dropping it ends the encoder.
#[derive(Debug)]
pub(crate) struct Ladder {
    /// `None` once it is to finish.
    feed: Option<mpsc::Sender<Feed>>,
    made: mpsc::Receiver<Made>,
    _task: AbortOnDropHandle<()>,
    wants_keyframe: bool,
    shared: Arc<Shared>,
}

/// What the session's side, the encoder's input and its output tell each other. Presentation times are ticks of 90 kHz.
#[derive(Debug)]
struct Shared {
    /// The newest picture that was to be encoded.
    newest: AtomicI64,
    /// What all renditions that are made have reached.
    delivered: AtomicI64,
    /// Units that the queue had no room for.
    dropped: AtomicU64,
    /// Another encoder is to go on from the next keyframe.
    anew: AtomicBool,
}

impl Default for Shared {
    fn default() -> Self {
        Shared {
            newest: AtomicI64::new(i64::MIN),
            delivered: AtomicI64::new(i64::MIN),
            dropped: AtomicU64::new(0),
            anew: AtomicBool::new(false),
        }
    }
}

impl Ladder {
    /// Starts an encoder that begins with units of the past, and then goes on with what it is handed.
    pub(crate) fn start(options: Options, plan: Plan, source_rate_millis: u32, tracks: Vec<Track>, past: Past) -> Self {
        let (feed, fed) = mpsc::channel(QUEUE + tracks.len() + past.units.len());
        let (give, made) = mpsc::channel(MADE);
        let shared = Arc::new(Shared::default());
        let delivered = output::Delivered::new(plan.renditions.len(), &past.delivered);
        let begin = process::Begin { delivered, keyframe_each: past.keyframe_each };
        let runner = process::Runner::new(options, plan, source_rate_millis, (fed, give), begin, Arc::clone(&shared));
        let task = tokio::spawn(runner.run().instrument(tracing::info_span!("ladder")));
        let mut ladder =
            Ladder { feed: Some(feed), made, _task: AbortOnDropHandle::new(task), wants_keyframe: true, shared };
        tracks.into_iter().for_each(|track| ladder.track(track));
        past.units.into_iter().for_each(|unit| ladder.unit(unit));
        ladder
    }

    /// Nothing more is handed over: what is being encoded still comes, then [`made`](Self::made) has no more.
    pub(crate) fn finish(&mut self) {
        self.feed = None;
    }

    /// Hands a track's configuration over.
    pub(crate) fn track(&mut self, track: Track) {
        self.send(Feed::Track(track));
    }

    /// Hands a unit over, or drops it.
    pub(crate) fn unit(&mut self, unit: AccessUnit) {
        if unit.kind == TrackKind::Video {
            self.shared.newest.fetch_max(unit.pts, Ordering::Relaxed);
            if self.wants_keyframe && unit.keyframe == Keyframe::No {
                return;
            }
            self.wants_keyframe = false;
        }
        self.send(Feed::Unit(unit));
    }

    fn send(&mut self, feed: Feed) {
        // A closed queue means that the runner gave up, and said so.
        if let Some(Err(TrySendError::Full(_))) = self.feed.as_ref().map(|queue| queue.try_send(feed)) {
            let dropped = self.shared.dropped.fetch_add(1, Ordering::Relaxed) + 1;
            if !std::mem::replace(&mut self.wants_keyframe, true) {
                tracing::warn!(dropped, "encoder does not keep up; pictures are dropped to the next keyframe");
            }
        }
    }

    /// What the encoder made next; `None` when there will be nothing more. Cancel-safe.
    pub(crate) async fn made(&mut self) -> Option<Made> {
        self.made.recv().await
    }
}
