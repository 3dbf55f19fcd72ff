//! The encoder's process: how it is started, limited and listened to.

use super::command::Job;
use super::{Encoder, Options};
use rustix::process::{Pid, Resource, Rlimit};
use std::convert::Infallible;
use std::process::Stdio;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr, Command};

/// Bytes of the encoder's last words that are kept for the log.
const WORDS_MAX: usize = 600;
/// Address space, and the size of a file that it may write.
const MEMORY_MAX: u64 = 4 * 1024 * 1024 * 1024;
const NICENESS: i32 = 5;

pub(super) fn spawn(options: &Options, job: &Job<'_>) -> std::io::Result<Child> {
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
    if options.encoder == Encoder::X264 {
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
            if self.words.len() > WORDS_MAX {
                let mut cut = self.words.len() - WORDS_MAX;
                while !self.words.is_char_boundary(cut) {
                    cut += 1;
                }
                self.words.drain(..cut);
            }
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
