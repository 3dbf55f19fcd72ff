//! Lambda Runtime API, child processes with limits, logs.
//!
//! A function's package is unpacked once ([`Functions::deploy`]) into a folder that its SHA-256 names. An invocation
//! takes a warm `instance` of the function or starts one: a child process in a process group of its own, that asks a
//! loopback listener of its own for work. The listener speaks the Lambda Runtime API, so our Python and Node.js
//! bootstraps and anybody's `provided` binary are served alike.
//!
//! | specification | what we leave out |
//! |---|---|
//! | Lambda Runtime API 2018-06-01 | SnapStart (`restore`), response streaming, extensions, telemetry |
//! | Lambda asynchronous invocation: two retries after 1 and 2 minutes, six hours at most | destinations, dead-letter queues |
//!
//! | module | what stands there |
//! |---|---|
//! | `config` | limits and places |
//! | `code` | packages, unpacked safely |
//! | `interpreters` | Python, boto3 and Node.js: found, or the command that installs them |
//! | `runtime_api` | the listener that one process talks to |
//! | `instance` | one process: start, one invocation at a time, end |
//! | `output` | what a process prints, line by line, into the log |
//! | `limits` | memory in use, resource limits, process groups, death with the server |
//! | `environment` | the environment of a process: nothing of the server's own |
//! | `invoke` | synchronous invocation, warm instances, concurrency |
//! | `events` | asynchronous invocation: durable jobs with retries |
//!
//! Invariants: a process never outlives the server, also after `kill -9` (`limits`); nothing of the server's
//! environment reaches a process; a role's secrets reach its process and never the log; whatever a process prints is
//! read at the pace of the log, so memory does not grow with it; an instance runs one invocation at a time.
//!
//! What this is not: a sandbox. A process runs as the server's user and can read what that user can read. Deploy only
//! code that you would run yourself.

mod code;
mod config;
mod credentials;
mod environment;
mod events;
mod instance;
mod interpreters;
mod invoke;
mod limits;
mod output;
mod runtime_api;
mod runtime_files;

pub use code::{DeployError, DeployedCode, Package};
pub use config::Config;
pub use credentials::{Credentials, CredentialsError};
pub use events::{EVENT_BYTES_MAX, EnqueueError, QUEUE};
pub use interpreters::{Runtime, UnknownRuntime};
pub use invoke::{Functions, InvokeError, InvokeOptions, Invoked, Outcome, PAYLOAD_BYTES_MAX, UNHANDLED};

#[cfg(test)]
mod tests;
