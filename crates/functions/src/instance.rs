//! One process of a function: start, one invocation at a time, end.

use crate::environment::Surroundings;
use crate::interpreters::{Interpreters, Missing};
use crate::limits::{self, Group, Guard};
use crate::output::{Destination, LogWriter, Output, Tail};
use crate::runtime_api::{Answer, Invocation, Phase, RESPONSE_BYTES_MAX, RuntimeApi};
use crate::runtime_files::RuntimeFiles;
use crate::{Config, Runtime};
use bytes::Bytes;
use headwater_model::function::{Function, LATEST};
use headwater_model::iam::AccessKey;
use headwater_model::{Timestamp, id};
use rustix::process::Pid;
use serde_json::json;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::time::{Instant, MissedTickBehavior};

/// How often memory is looked at while a process works: a quick leak gains at most a few hundred MB in between.
const MEMORY_INTERVAL: Duration = Duration::from_millis(50);
/// How long an answer that was under way when its process ended is waited for.
const LAST_ANSWER_WAIT: Duration = Duration::from_millis(100);
/// One millisecond in the unit that durations of reports are in.
const MILLISECOND: f64 = 1000.0;

/// What every process of the server is started with.
#[derive(Debug)]
pub(crate) struct Workshop {
    pub(crate) config: Config,
    pub(crate) files: RuntimeFiles,
    pub(crate) interpreters: Interpreters,
    pub(crate) guard: Arc<Guard>,
    pub(crate) writer: LogWriter,
    /// Folders of processes: each has one of its own in it.
    pub(crate) scratch: PathBuf,
}

/// Why a process could not be started; what it does once it runs is an [`Ending`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StartError {
    #[error(transparent)]
    Missing(#[from] Missing),
    #[error("start the process")]
    Io(#[from] io::Error),
}

/// A running process.
#[derive(Debug)]
pub(crate) struct Instance {
    /// Tells which function in which form it runs.
    pub(crate) key: String,
    pub(crate) function_name: String,
    pub(crate) started: Instant,
    /// Since when it has had nothing to do.
    pub(crate) idle_since: Instant,
    /// Time from its start to its first request for work; taken by the report of its first invocation.
    init: Option<Duration>,
    memory_peak: u64,
    memory_max: u64,
    api: RuntimeApi,
    output: Output,
    // The group is killed before the process is let go of, and the folder goes last.
    group: Group,
    child: Child,
    _scratch: Scratch,
}

/// How an invocation ended.
#[derive(Debug)]
pub(crate) enum Ending {
    Response(Bytes),
    /// The function said so itself; its process lives on.
    Error(Bytes),
    TooLarge,
    /// The process could not load its function.
    InitError(Bytes),
    TimedOut,
    OutOfMemory,
    Exited(Option<ExitStatus>),
}

/// What came of an invocation.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) ending: Ending,
    pub(crate) tail: String,
}

impl Ending {
    /// Whether the process may take another invocation.
    pub(crate) fn is_reusable(&self) -> bool {
        matches!(self, Ending::Response(_) | Ending::Error(_) | Ending::TooLarge)
    }

    /// The payload as the caller gets it, and whether it is an error.
    pub(crate) fn payload(self, request_id: &str, timeout_s: u32) -> (Bytes, bool) {
        let error = |kind: &str, message: String| {
            (Bytes::from(json!({ "errorType": kind, "errorMessage": message }).to_string()), true)
        };
        match self {
            Ending::Response(payload) => (payload, false),
            Ending::Error(payload) | Ending::InitError(payload) => (payload, true),
            Ending::TooLarge => error(
                "Function.ResponseSizeTooLarge",
                format!("Response payload size exceeded maximum allowed payload size ({RESPONSE_BYTES_MAX} bytes)."),
            ),
            Ending::TimedOut => error(
                "Sandbox.Timedout",
                format!("RequestId: {request_id} Error: Task timed out after {timeout_s}.00 seconds"),
            ),
            Ending::OutOfMemory => error(
                "Runtime.OutOfMemory",
                format!("RequestId: {request_id} Error: Runtime exited with error: signal: killed"),
            ),
            Ending::Exited(status) => {
                error("Runtime.ExitError", format!("RequestId: {request_id} Error: Runtime exited {}", Exit(status)))
            }
        }
    }
}

/// The words that Lambda has for the end of a process.
struct Exit(Option<ExitStatus>);

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use std::os::unix::process::ExitStatusExt;
        let Some(status) = self.0.filter(|status| !status.success()) else {
            return f.write_str("without providing a reason");
        };
        match (status.code(), status.signal()) {
            (Some(code), _) => write!(f, "with error: exit status {code}"),
            (None, Some(9)) => f.write_str("with error: signal: killed"),
            (None, Some(11)) => f.write_str("with error: signal: segmentation fault"),
            (None, signal) => write!(f, "with error: signal: {}", signal.unwrap_or_default()),
        }
    }
}

/// A folder of a process's own; it goes with it.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Scratch {
    fn make(parent: &Path) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let path = parent.join(id::random_lower_alphanumeric(16));
        std::fs::create_dir_all(parent)?;
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::debug!(%error, "folder of a function's process not removed");
        }
    }
}

impl Workshop {
    /// Starts a process; it is not waited for.
    pub(crate) async fn start(
        &self,
        function: &Function,
        runtime: Runtime,
        code: &Path,
        access: &AccessKey,
        key: String,
    ) -> Result<Instance, StartError> {
        let api = RuntimeApi::listen().await?;
        let scratch = Scratch::make(&self.scratch)?;
        let mut command = match runtime {
            Runtime::Python => {
                let mut command = Command::new(self.interpreters.python().await?);
                command.arg(self.files.python_bootstrap());
                command
            }
            Runtime::Node => {
                let mut command = Command::new(self.interpreters.node().await?);
                command.arg(self.files.node_bootstrap());
                command
            }
            Runtime::Provided => Command::new(code.join("bootstrap")),
        };
        let surroundings = Surroundings {
            config: &self.config,
            function,
            runtime,
            files: &self.files,
            key: access,
            api: api.address,
            code,
            scratch: &scratch.0,
        };
        let (reader, writer) = io::pipe()?;
        command
            .env_clear()
            .envs(surroundings.variables())
            .current_dir(code)
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0)
            .kill_on_drop(true);
        let started = Instant::now();
        let child = command.spawn()?;
        // The command keeps its ends of the pipe, and the environment's secrets, for as long as it lives.
        drop(command);
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("the process has no id"))?;
        let group = Group::adopt(pid, Arc::clone(&self.guard));
        limits::confine(pid);
        let destination = Destination {
            group: function.log_group(),
            stream: function.log_stream.clone(),
            secrets: [Some(&access.secret_access_key), access.session_token.as_ref()]
                .into_iter()
                .flatten()
                .filter(|secret| !secret.expose().is_empty())
                .cloned()
                .collect(),
        };
        let reader = pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?;
        Ok(Instance {
            key,
            function_name: function.name.clone(),
            started,
            idle_since: started,
            init: None,
            memory_peak: 0,
            memory_max: u64::from(function.memory_mb) * 1024 * 1024,
            api,
            output: Output::start(reader, destination, self.writer.clone()),
            group,
            child,
            _scratch: scratch,
        })
    }
}

impl Instance {
    /// Waits until the process asks for work. Returns how it ended if it did not.
    ///
    /// Cancel-safe: whoever drops the instance ends the process.
    pub(crate) async fn ready(&mut self, init_max: Duration) -> Result<(), Ending> {
        let mut phase = self.api.phase();
        let deadline = self.started + init_max;
        let mut memory = memory_ticks();
        let settled = loop {
            tokio::select! {
                biased;
                settled = phase.wait_for(|phase| *phase != Phase::Starting) => {
                    break settled.map_or(Phase::Starting, |phase| phase.clone());
                }
                status = self.child.wait() => return Err(Ending::Exited(status.ok())),
                () = tokio::time::sleep_until(deadline) => return Err(Ending::TimedOut),
                _ = memory.tick() => self.check_memory()?,
            }
        };
        match settled {
            Phase::Failed(payload) => {
                // It ends by itself and prints its last words meanwhile.
                let _ = tokio::time::timeout(LAST_ANSWER_WAIT, self.child.wait()).await;
                Err(Ending::InitError(payload))
            }
            Phase::Ready | Phase::Starting => {
                self.init = Some(self.started.elapsed());
                Ok(())
            }
        }
    }

    /// Runs one invocation, from its START line to its REPORT line. `ready` is what [`Instance::ready`] said of a
    /// fresh process.
    pub(crate) async fn run(
        &mut self,
        function: &Function,
        request_id: &str,
        client_context: Option<String>,
        payload: Bytes,
        ready: Result<(), Ending>,
    ) -> Done {
        let cold = self.init.is_some() || ready.is_err();
        let tail = if cold { Tail::Continued } else { Tail::Fresh };
        self.output.say(format!("START RequestId: {request_id} Version: {LATEST}"), tail).await;
        let began = Instant::now();
        let ending = match ready {
            Err(ending) => ending,
            Ok(()) => {
                let timeout = Duration::from_secs(function.timeout_s.into());
                let invocation = Invocation {
                    request_id: request_id.to_owned(),
                    function_arn: function.arn.clone(),
                    deadline: Timestamp::now().plus_ms(i64::from(function.timeout_s) * 1000),
                    client_context,
                    payload,
                };
                self.exchange(invocation, began + timeout).await
            }
        };
        let took = began.elapsed();
        if !ending.is_reusable() {
            // What the process does after its time must not be seen, nor its children hold the pipe.
            self.group.kill();
        }
        self.memory_peak = self.memory_peak.max(self.memory());
        self.say_end(function, request_id, &ending, took).await;
        let tail = self.output.tail().await;
        self.idle_since = Instant::now();
        Done { ending, tail }
    }

    async fn exchange(&mut self, invocation: Invocation, deadline: Instant) -> Ending {
        let mut answer = self.api.submit(invocation);
        let mut memory = memory_ticks();
        let answered = loop {
            tokio::select! {
                biased;
                answered = &mut answer => break answered.ok(),
                status = self.child.wait() => {
                    match tokio::time::timeout(LAST_ANSWER_WAIT, &mut answer).await {
                        Ok(Ok(answered)) => break Some(answered),
                        _ => return Ending::Exited(status.ok()),
                    }
                }
                () = tokio::time::sleep_until(deadline) => return Ending::TimedOut,
                _ = memory.tick() => {
                    if let Err(ending) = self.check_memory() {
                        return ending;
                    }
                }
            }
        };
        match answered {
            Some(Answer::Response(payload)) => Ending::Response(payload),
            Some(Answer::Error(payload)) => Ending::Error(payload),
            Some(Answer::TooLarge) => Ending::TooLarge,
            None => Ending::Exited(None),
        }
    }

    async fn say_end(&mut self, function: &Function, request_id: &str, ending: &Ending, took: Duration) {
        match ending {
            Ending::TimedOut => {
                let at = Timestamp::now().iso_millis();
                let seconds = function.timeout_s;
                let line = format!("{at} {request_id} Task timed out after {seconds}.00 seconds");
                self.output.say(line, Tail::Continued).await;
            }
            Ending::OutOfMemory => {
                let line = format!("RequestId: {request_id} Error: Runtime exited with error: signal: killed");
                self.output.say(line, Tail::Continued).await;
                self.output.say("Runtime.OutOfMemory".into(), Tail::Continued).await;
            }
            Ending::Exited(status) => {
                let line = format!("RequestId: {request_id} Error: Runtime exited {}", Exit(*status));
                self.output.say(line, Tail::Continued).await;
                self.output.say("Runtime.ExitError".into(), Tail::Continued).await;
            }
            _ => {}
        }
        self.output.say(format!("END RequestId: {request_id}"), Tail::Continued).await;
        let took_ms = took.as_secs_f64() * MILLISECOND;
        let mut report = format!(
            "REPORT RequestId: {request_id}\tDuration: {took_ms:.2} ms\tBilled Duration: {} ms\tMemory Size: {} MB\t\
             Max Memory Used: {} MB",
            took_ms.ceil(),
            function.memory_mb,
            self.memory_peak.div_ceil(1024 * 1024),
        );
        if let Some(init) = self.init.take() {
            report.push_str(&format!("\tInit Duration: {:.2} ms", init.as_secs_f64() * MILLISECOND));
        }
        if matches!(ending, Ending::TimedOut) {
            report.push_str("\tStatus: timeout");
        }
        self.output.say(report, Tail::Continued).await;
    }

    /// Whether an idle process is still there and within its memory.
    pub(crate) fn is_sound(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None)) && self.check_memory().is_ok()
    }

    fn memory(&self) -> u64 {
        limits::memory_bytes(self.group.leader(), self.memory_max)
    }

    fn check_memory(&mut self) -> Result<(), Ending> {
        let used = self.memory();
        self.memory_peak = self.memory_peak.max(used);
        if used > self.memory_max { Err(Ending::OutOfMemory) } else { Ok(()) }
    }
}

fn memory_ticks() -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(MEMORY_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}
