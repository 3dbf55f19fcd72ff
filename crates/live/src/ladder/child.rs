//! The encoder's process: how it is started, limited and listened to.

use super::command::Job;
use super::{Encoder, Options};
use headwater_confine::{Confinement, REPORT, User};
use rustix::process::{Pid, Resource, Rlimit};
use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Once;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr, Command};

/// Bytes of the encoder's last words that are kept for the log.
const WORDS_MAX: usize = 600;
/// Address space, and the size of a file that it may write.
const MEMORY_MAX: u64 = 4 * 1024 * 1024 * 1024;
const NICENESS: i32 = 5;

/// What an encoder takes from the server's environment: the way to its drivers.
const ENVIRONMENT: [&str; 3] = ["LD_LIBRARY_PATH", "LIBVA_DRIVER_NAME", "CUDA_VISIBLE_DEVICES"];
const OPEN_FILES_MAX: u64 = 64;

/// Starts an encoder. It dies with this thread at the latest, which is a worker's.
pub(super) fn spawn(options: &Options, job: &Job<'_>) -> io::Result<Child> {
    let mut command = Command::from(program(options)?);
    command.args(job.arguments(options)).kill_on_drop(true);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid.filter(|_| options.confiner.is_none()) {
        limit(pid, options);
    }
    Ok(child)
}

/// What a ladder would be made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// What ffmpeg calls itself.
    pub version: String,
    /// What this kernel does not confine.
    pub not_confined: Vec<String>,
}

/// Runs ffmpeg as encoders are run, to see whether that works. Blocks for a moment.
///
/// # Errors
/// Why it does not run.
pub fn try_out(options: &Options) -> io::Result<Trial> {
    let output = program(options)?.args(["-hide_banner", "-version"]).stdin(Stdio::null()).output()?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(io::Error::other(complaints.trim().to_owned()));
    }
    let not_confined = complaints.lines().filter_map(|line| line.strip_prefix(REPORT)).map(str::to_owned).collect();
    let said = String::from_utf8_lossy(&output.stdout);
    let first = said.lines().next().unwrap_or_default();
    let version = first.split_once(" Copyright").map_or(first, |(version, _)| version).to_owned();
    Ok(Trial { version, not_confined })
}

/// The program as it is run, confined if that is asked for, with few of the server's variables.
fn program(options: &Options) -> io::Result<std::process::Command> {
    let program = find(&options.ffmpeg)?;
    let mut command = match &options.confiner {
        Some(confiner) => {
            let confinement = confinement(options.encoder, confiner.user);
            confinement.command(&confiner.program, &confiner.subcommand, &program)
        }
        None => {
            let mut command = std::process::Command::new(&program);
            command.env_clear().current_dir("/");
            command
        }
    };
    for name in ENVIRONMENT {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    Ok(command)
}

/// The program's file; a bare name is looked for in `PATH`.
fn find(program: &Path) -> io::Result<PathBuf> {
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    if program.components().count() > 1 {
        return if program.is_file() { std::path::absolute(program) } else { Err(missing()) };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|place| place.is_file());
    std::path::absolute(found.ok_or_else(missing)?)
}

/// It decodes what strangers sent: it reads libraries, writes nothing, and reaches nobody.
fn confinement(encoder: Encoder, user: Option<User>) -> Confinement {
    let mut confinement =
        Confinement { user, open_files_max: Some(OPEN_FILES_MAX), niceness: NICENESS, ..Confinement::of_a_program() };
    if !encoder.is_hardware() {
        // Graphics drivers map far more than they use.
        confinement.memory_max = Some(MEMORY_MAX);
        return confinement;
    }
    let nodes = match encoder {
        Encoder::Nvenc => std::fs::read_dir("/dev").into_iter().flatten().flatten().map(|entry| entry.path()).collect(),
        _ => vec![PathBuf::from("/dev/dri")],
    };
    let is_theirs = |path: &PathBuf| encoder != Encoder::Nvenc || path.starts_with("/dev") && is_nvidia(path);
    confinement.devices.extend(nodes.into_iter().filter(is_theirs));
    // Drivers ask the kernel which devices there are.
    confinement
        .read
        .extend(["/sys", "/proc/driver", "/proc/devices", "/proc/modules", "/proc/self"].map(PathBuf::from));
    confinement
}

fn is_nvidia(node: &Path) -> bool {
    node.file_name().is_some_and(|name| name.to_string_lossy().starts_with("nvidia"))
}

/// The same limits from outside, where there is no confiner.
fn limit(pid: Pid, options: &Options) {
    let mut limits = vec![(Resource::Fsize, 0), (Resource::Core, 0), (Resource::Nofile, OPEN_FILES_MAX)];
    if !options.encoder.is_hardware() {
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

/// What the kernel lacks is the same for each encoder, and told once.
static TOLD: Once = Once::new();

/// Keeps an encoder's last words.
#[derive(Debug)]
pub(super) struct Listener {
    stderr: ChildStderr,
    words: String,
}

impl Listener {
    pub(super) fn new(stderr: ChildStderr) -> Self {
        Listener { stderr, words: String::new() }
    }

    /// Listens until the encoder says nothing more. Cancel-safe.
    pub(super) async fn listen(&mut self) {
        let mut buffer = [0; 512];
        while let Ok(count @ 1..) = self.stderr.read(&mut buffer).await {
            let text = String::from_utf8_lossy(&buffer[..count]);
            tracing::debug!(said = %text.trim().escape_debug(), "encoder");
            self.words.push_str(&text);
            self.hear_reports();
            if self.words.len() > WORDS_MAX {
                let mut cut = self.words.len() - WORDS_MAX;
                while !self.words.is_char_boundary(cut) {
                    cut += 1;
                }
                self.words.drain(..cut);
            }
        }
    }

    /// What is not confined is said first of all.
    fn hear_reports(&mut self) {
        let mut reports = Vec::new();
        while self.words.starts_with(REPORT)
            && let Some(end) = self.words.find('\n')
        {
            let line: String = self.words.drain(..=end).collect();
            reports.push(line.trim_start_matches(REPORT).trim().to_owned());
        }
        if !reports.is_empty() {
            TOLD.call_once(|| tracing::warn!(reports = reports.join("; "), "encoders are not fully confined"));
        }
    }

    /// Listens for ever. Cancel-safe.
    pub(super) async fn keep_listening(&mut self) -> Infallible {
        self.listen().await;
        std::future::pending().await
    }

    /// A failure with what the encoder said of it.
    pub(super) fn explain(&self, reason: String) -> String {
        if self.words.is_empty() { reason } else { format!("{reason}: {}", self.words.trim()) }
    }
}
