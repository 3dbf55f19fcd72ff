//! Real processes: Python, Node.js and `provided` functions against a store in memory.
#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod async_invocations;
mod processes;
mod runtimes;

use crate::*;
use async_trait::async_trait;
use bytes::Bytes;
use headwater_model::function::Function;
use headwater_model::iam::{AccessKey, Principal};
use headwater_model::{Realm, Secret, Timestamp, function};
use headwater_store::{LogSelect, SqliteStore, Store};
use serde_json::Value;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for something that a loaded machine will do.
const PATIENCE: Duration = Duration::from_secs(60);

/// Names the role in the key's secret, so that a test sees what reached the process.
struct Keys;

#[async_trait]
impl Credentials for Keys {
    async fn role_session(
        &self,
        role_arn: &str,
        session_name: &str,
        ttl: Duration,
    ) -> Result<AccessKey, CredentialsError> {
        if role_arn.ends_with("/missing") {
            return Err(CredentialsError::UnknownRole(role_arn.into()));
        }
        let now = Timestamp::now();
        let principal = Principal::Role { role: role_arn.into(), session: session_name.into() };
        let secret = Secret::new(format!("secret of {role_arn}"));
        Ok(AccessKey {
            session_token: Some(Secret::new("token-of-the-session")),
            expires_at: Some(now.plus_ms(ttl.as_millis() as i64)),
            ..AccessKey::new("ASIATEST", secret, principal, now)
        })
    }
}

struct Bench {
    functions: Functions,
    store: Arc<SqliteStore>,
    folder: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        Bench::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::in_memory().await.unwrap());
        let functions = functions(folder.path(), store.clone(), change);
        Bench { functions, store, folder }
    }

    /// Deploys a function and stores it.
    async fn function(
        &self,
        name: &str,
        runtime: &str,
        package: Package,
        change: impl FnOnce(&mut Function),
    ) -> Function {
        let code = self.functions.deploy(package, runtime, "index.handler").await.unwrap();
        let mut function = described(name, runtime, code);
        change(&mut function);
        let mut batch = headwater_store::Batch::new();
        batch.put(&function).unwrap();
        self.store.commit(batch).await.unwrap();
        function
    }

    async fn python(&self, name: &str, source: &str) -> Function {
        self.function(name, "python3.8", Package::Inline(source.into()), |_| {}).await
    }

    async fn invoke(&self, function: &Function, payload: &str) -> Outcome {
        let payload = Bytes::copy_from_slice(payload.as_bytes());
        self.functions.invoke(function, payload, InvokeOptions::default()).await.unwrap()
    }

    async fn log(&self, function: &Function) -> Vec<String> {
        self.functions.flush_logs().await;
        let lines = self.store.log_lines(&function.log_group(), LogSelect::default()).await.unwrap();
        assert!(lines.iter().all(|(_, line)| line.stream == function.log_stream));
        lines.into_iter().map(|(_, line)| line.message).collect()
    }
}

fn functions(folder: &Path, store: Arc<dyn Store>, change: impl FnOnce(&mut Config)) -> Functions {
    let mut config = Config::new(folder, "http://127.0.0.1:4566", Realm::default());
    config.init_max = PATIENCE;
    change(&mut config);
    Functions::new(config, store, Arc::new(Keys)).unwrap()
}

fn described(name: &str, runtime: &str, code: DeployedCode) -> Function {
    let realm = Realm::default();
    let now = Timestamp::now();
    Function {
        name: name.into(),
        arn: realm.function_arn(name),
        runtime: runtime.into(),
        handler: "index.handler".into(),
        role_arn: realm.role_arn("worker"),
        timeout_s: 30,
        memory_mb: 256,
        description: String::new(),
        environment: Default::default(),
        code_sha256: code.sha256,
        code_bytes: code.bytes,
        log_stream: function::log_stream_name(now),
        revision_id: "1".into(),
        last_modified: now,
        permissions: vec![],
        tags: Default::default(),
        retry_attempts_max: None,
        event_age_s_max: None,
    }
}

fn json(outcome: &Outcome) -> Value {
    serde_json::from_slice(&outcome.payload).unwrap()
}

/// Waits for a condition that a process of its own brings about.
async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what} took too long");
}
