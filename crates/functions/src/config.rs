//! Limits and places: parsed by the binary, moved in once.

use headwater_model::Realm;
use std::path::PathBuf;
use std::time::Duration;

/// Where functions live and how much they may use.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server's data folder; functions live in `functions` inside it, a Python of their own in `python`.
    pub data_dir: PathBuf,
    /// What AWS SDKs in functions talk to, such as `http://127.0.0.1:4566`.
    pub endpoint_url: String,
    /// Region and account.
    pub realm: Realm,
    /// The Python to use; otherwise the data folder's, otherwise `python3` of the search path.
    pub python: Option<PathBuf>,
    /// The Node.js to use; otherwise `node` of the search path.
    pub node: Option<PathBuf>,
    /// Invocations that run at the same time; more wait.
    pub concurrency_max: usize,
    /// How long an invocation waits for its turn before it is refused.
    pub turn_wait: Duration,
    /// Idle processes kept for the next invocation; the longest idle makes room.
    pub warm_max: usize,
    /// How long a process is kept idle.
    pub warm_idle: Duration,
    /// How old a process may grow. Its credentials last longer.
    pub instance_age_max: Duration,
    /// How long a process may take from its start to its first request for work; a longer timeout of the function
    /// extends it.
    pub init_max: Duration,
    /// Asynchronous invocations that run at the same time.
    pub event_concurrency_max: usize,
    /// Waits before the second and third try of an asynchronous invocation.
    pub retry_delays: [Duration; 2],
    /// Oldest asynchronous invocation that is still tried, unless the function says otherwise.
    pub event_age_max: Duration,
}

impl Config {
    /// Lambda's figures where it has some.
    pub fn new(data_dir: impl Into<PathBuf>, endpoint_url: impl Into<String>, realm: Realm) -> Self {
        Config {
            data_dir: data_dir.into(),
            endpoint_url: endpoint_url.into(),
            realm,
            python: None,
            node: None,
            concurrency_max: 32,
            turn_wait: Duration::from_secs(30),
            warm_max: 16,
            warm_idle: Duration::from_secs(300),
            instance_age_max: Duration::from_secs(3600),
            init_max: Duration::from_secs(10),
            event_concurrency_max: 16,
            retry_delays: [Duration::from_secs(60), Duration::from_secs(120)],
            event_age_max: Duration::from_secs(6 * 3600),
        }
    }
}
