//! Synchronous invocation: a turn, a warm process or a fresh one, an outcome.

use crate::code::{self, CodeStore};
use crate::instance::{Instance, StartError, Workshop};
use crate::interpreters::{Interpreters, Missing};
use crate::limits::Guard;
use crate::output::LogWriter;
use crate::runtime_files::RuntimeFiles;
use crate::{Config, Credentials, CredentialsError, DeployError, DeployedCode, Package, Runtime, UnknownRuntime};
use bytes::Bytes;
use headwater_model::function::Function;
use headwater_model::measure::{Counter, Durations};
use headwater_store::{Select, Store};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Lambda: a request is at most 6 MB.
pub const PAYLOAD_BYTES_MAX: usize = 6 * 1024 * 1024;
/// What `X-Amz-Function-Error` says of every function that failed.
pub const UNHANDLED: &str = "Unhandled";
/// How much longer than any use of them credentials last.
const CREDENTIALS_MARGIN: Duration = Duration::from_secs(900);

/// What goes along with an invocation.
#[derive(Clone, Debug, Default)]
pub struct InvokeOptions {
    /// Given for a repeated try; a fresh one is made otherwise.
    pub request_id: Option<String>,
    /// JSON for the context's `client_context`.
    pub client_context: Option<String>,
}

/// What an invocation that took place came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// A UUID.
    pub request_id: String,
    /// What the function returned, or an error payload.
    pub payload: Bytes,
    /// [`UNHANDLED`] if the function failed.
    pub function_error: Option<String>,
    /// The last 4 KB of what the invocation logged.
    pub log_tail: String,
}

/// Why an invocation did not take place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvokeError {
    /// The payload is longer than [`PAYLOAD_BYTES_MAX`].
    #[error("the payload has {bytes} bytes, at most {max} are taken")]
    PayloadTooLarge {
        /// How long it is.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// No turn came in time.
    #[error("{running} invocations are running and none ended within {waited:?}")]
    TooManyRequests {
        /// How many may run at the same time.
        running: usize,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The function has a runtime that this server has no process for.
    #[error(transparent)]
    Runtime(#[from] UnknownRuntime),
    /// An interpreter has gone since the function was deployed.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// The function's unpacked package is not in the data folder.
    #[error("code {sha256} of function {function:?} is not in the data folder")]
    CodeMissing {
        /// The function's name.
        function: String,
        /// Digest of its package.
        sha256: String,
    },
    /// Its role gave no credentials.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The system refused a process.
    #[error("start a process for function {function:?}")]
    Start {
        /// The function's name.
        function: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Deploys and runs functions. Clones share everything.
///
/// *Ownership*: processes are owned by the invocation that uses them, then by the pool of idle ones; when the last clone
/// is dropped they are killed.
#[derive(Clone)]
pub struct Functions {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) workshop: Workshop,
    credentials: Arc<dyn Credentials>,
    code: CodeStore,
    /// Packages deployed by this process: a function may be about to refer to them.
    deployed: Mutex<HashSet<String>>,
    turns: Arc<Semaphore>,
    idle: Mutex<Vec<Instance>>,
    invoked: Invoked,
}

/// How invocations went, since the server started.
#[derive(Debug, Default)]
pub struct Invoked {
    /// Those that ran, each with what it took, the start of a process included.
    pub took: Durations,
    /// Those of them in which the function failed.
    pub failed: Counter,
    /// Those that did not run.
    pub refused: Counter,
}

impl Functions {
    /// Prepares the data folder. Call it inside a tokio runtime: it starts the log's writer.
    ///
    /// # Errors
    /// If the data folder cannot be written.
    pub fn new(config: Config, store: Arc<dyn Store>, credentials: Arc<dyn Credentials>) -> Result<Self, io::Error> {
        let folder = config.data_dir.join("functions");
        let files = RuntimeFiles::in_folder(&folder);
        files.write()?;
        let scratch = folder.join("scratch");
        match std::fs::remove_dir_all(&scratch) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let workshop = Workshop {
            files,
            interpreters: Interpreters::new(&config),
            guard: Arc::new(Guard::start()),
            writer: LogWriter::start(Arc::clone(&store)),
            scratch,
            config,
        };
        Ok(Functions {
            inner: Arc::new(Inner {
                credentials,
                code: CodeStore::in_folder(&folder),
                deployed: Mutex::default(),
                turns: Arc::new(Semaphore::new(workshop.config.concurrency_max)),
                idle: Mutex::default(),
                invoked: Invoked::default(),
                store,
                workshop,
            }),
        })
    }

    /// Checks a package and unpacks it. The same package again costs nothing. `handler` is looked up when the function
    /// runs, as Lambda does.
    ///
    /// # Errors
    /// [`DeployError`]; if an interpreter or boto3 is missing it names the command that installs it.
    pub async fn deploy(&self, package: Package, runtime: &str, _handler: &str) -> Result<DeployedCode, DeployError> {
        let kind = code::check(&package, runtime, &self.inner.workshop.interpreters).await?;
        let store = self.inner.code.clone();
        let unpacked = tokio::task::spawn_blocking(move || store.unpack(&package, kind)).await;
        let code = unpacked.map_err(io::Error::other)??;
        lock(&self.inner.deployed).insert(code.sha256.clone());
        Ok(code)
    }

    /// Runs a function and waits for its answer. That the function failed is an outcome, not an error.
    ///
    /// Not cancel-safe: a dropped call kills the function's process.
    ///
    /// # Errors
    /// [`InvokeError`], if it did not run.
    pub async fn invoke(
        &self,
        function: &Function,
        payload: Bytes,
        options: InvokeOptions,
    ) -> Result<Outcome, InvokeError> {
        let began = Instant::now();
        let outcome = self.run_once(function, payload, options).await;
        let invoked = &self.inner.invoked;
        match &outcome {
            Ok(outcome) => {
                invoked.took.note_us(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
                if outcome.function_error.is_some() {
                    invoked.failed.increment();
                }
            }
            Err(_) => invoked.refused.increment(),
        }
        outcome
    }

    /// How invocations went so far.
    pub fn invoked(&self) -> &Invoked {
        &self.inner.invoked
    }

    async fn run_once(
        &self,
        function: &Function,
        payload: Bytes,
        options: InvokeOptions,
    ) -> Result<Outcome, InvokeError> {
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(InvokeError::PayloadTooLarge { bytes: payload.len(), max: PAYLOAD_BYTES_MAX });
        }
        let _turn = self.turn().await?;
        let request_id = options.request_id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let (mut instance, ready) = match self.take_idle(function) {
            Some(instance) => (instance, Ok(())),
            None => {
                let mut instance = self.start(function).await?;
                let timeout = Duration::from_secs(function.timeout_s.into());
                let ready = instance.ready(self.inner.workshop.config.init_max.max(timeout)).await;
                (instance, ready)
            }
        };
        let payload = if payload.is_empty() { Bytes::from_static(b"{}") } else { payload };
        let done = instance.run(function, &request_id, options.client_context, payload, ready).await;
        if done.ending.is_reusable() {
            self.keep_idle(instance);
        }
        let (payload, failed) = done.ending.payload(&request_id, function.timeout_s);
        let function_error = failed.then(|| UNHANDLED.to_owned());
        tracing::debug!(function = %function.name, %request_id, failed, "function invoked");
        Ok(Outcome { request_id, payload, function_error, log_tail: done.tail })
    }

    /// Invocations that run at the same time; more wait.
    pub fn concurrency_max(&self) -> usize {
        self.inner.workshop.config.concurrency_max
    }

    /// Ends the idle processes of a function, after it was deleted.
    pub fn retire(&self, function: &str) {
        let retired: Vec<Instance> =
            lock(&self.inner.idle).extract_if(.., |instance| instance.function_name == function).collect();
        drop(retired);
    }

    /// Waits until every line that functions have printed so far and that was read is stored.
    pub async fn flush_logs(&self) {
        self.inner.workshop.writer.flush().await;
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, InvokeError> {
        let config = &self.inner.workshop.config;
        let turn = Arc::clone(&self.inner.turns).acquire_owned();
        match tokio::time::timeout(config.turn_wait, turn).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(InvokeError::TooManyRequests { running: config.concurrency_max, waited: config.turn_wait }),
        }
    }

    async fn start(&self, function: &Function) -> Result<Instance, InvokeError> {
        let runtime = Runtime::parse(&function.runtime)?;
        let code = self.inner.code.path(&function.code_sha256).filter(|path| path.is_dir());
        let code = code.ok_or_else(|| InvokeError::CodeMissing {
            function: function.name.clone(),
            sha256: function.code_sha256.clone(),
        })?;
        let config = &self.inner.workshop.config;
        let ttl = config.instance_age_max
            + config.init_max
            + Duration::from_secs(2 * u64::from(function.timeout_s))
            + CREDENTIALS_MARGIN;
        let access = self.inner.credentials.role_session(&function.role_arn, &function.name, ttl).await?;
        let started = self.inner.workshop.start(function, runtime, &code, &access, instance_key(function)).await;
        started.map_err(|error| match error {
            StartError::Missing(missing) => InvokeError::Missing(missing),
            StartError::Io(source) => InvokeError::Start { function: function.name.clone(), source },
        })
    }

    /// The idle process that worked last: the others may rest long enough to be ended.
    fn take_idle(&self, function: &Function) -> Option<Instance> {
        let key = instance_key(function);
        let age_max = self.inner.workshop.config.instance_age_max;
        let mut idle = lock(&self.inner.idle);
        // Processes of an earlier form of the function, and those that are too old or gone, go.
        let gone: Vec<Instance> = idle
            .extract_if(.., |instance| {
                instance.function_name == function.name
                    && (instance.key != key || instance.started.elapsed() >= age_max || !instance.is_sound())
            })
            .collect();
        let found = idle.iter().rposition(|instance| instance.key == key).map(|at| idle.remove(at));
        drop(idle);
        drop(gone);
        found
    }

    fn keep_idle(&self, instance: Instance) {
        let mut idle = lock(&self.inner.idle);
        idle.push(instance);
        let surplus = idle.len().saturating_sub(self.inner.workshop.config.warm_max);
        let gone: Vec<Instance> = idle.drain(..surplus).collect();
        drop(idle);
        drop(gone);
    }

    /// Ends processes that have been idle for too long, are too old, have grown or are gone. Returns when to look
    /// again.
    pub(crate) fn end_tired(&self) -> Instant {
        let config = &self.inner.workshop.config;
        let gone: Vec<Instance> = lock(&self.inner.idle)
            .extract_if(.., |instance| {
                instance.idle_since.elapsed() >= config.warm_idle
                    || instance.started.elapsed() >= config.instance_age_max
                    || !instance.is_sound()
            })
            .collect();
        drop(gone);
        Instant::now() + (config.warm_idle / 4).clamp(Duration::from_millis(100), Duration::from_secs(30))
    }

    /// Ends all idle processes.
    pub(crate) fn end_idle(&self) {
        let gone = std::mem::take(&mut *lock(&self.inner.idle));
        drop(gone);
    }

    /// Removes unpacked packages that no function refers to.
    pub(crate) async fn sweep_code(&self) {
        let functions = match headwater_store::list::<Function>(&*self.inner.store, Select::default()).await {
            Ok(functions) => functions,
            Err(error) => {
                tracing::warn!(%error, "packages without a function are left in the data folder");
                return;
            }
        };
        let used: HashSet<String> = functions.into_iter().map(|function| function.code_sha256).collect();
        let inner = Arc::clone(&self.inner);
        let swept = tokio::task::spawn_blocking(move || {
            inner.code.sweep(|name| used.contains(name) || lock(&inner.deployed).contains(name))
        });
        match swept.await {
            Ok(Ok(0)) => {}
            Ok(Ok(removed)) => tracing::debug!(removed, "packages without a function removed"),
            Ok(Err(error)) => {
                tracing::warn!(%error, "packages without a function are left in the data folder")
            }
            Err(error) => tracing::error!(%error, "sweep of packages ended early"),
        }
    }
}

/// What a process is made of: another form of any of it needs another process. A digest, since the environment may hold
/// secrets.
fn instance_key(function: &Function) -> String {
    let form = json!([
        function.arn,
        function.runtime,
        function.handler,
        function.role_arn,
        function.memory_mb,
        function.environment,
        function.code_sha256,
        function.log_stream,
    ]);
    hex::encode(Sha256::digest(form.to_string()))
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
