//! A bus is killed while it delivers: after the next start each event has reached its target.
#![allow(clippy::unwrap_used, reason = "a failing step is a failing test")]

use async_trait::async_trait;
use headwater_bus::rules::{Managed, PutRule, put_rule, put_targets};
use headwater_bus::{DELIVERIES, Deliver, Delivery, DeliveryError};
use headwater_model::event::Target;
use headwater_model::{Realm, Timestamp};
use headwater_store::{Batch, SqliteStore, Store};
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Set in the child, to the file that holds its state.
const CHILD_FILE: &str = "HEADWATER_BUS_KILL_TEST_FILE";
const EVENTS: u64 = 400;
const DELIVERED_BEFORE_KILL: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_reaches_its_target_although_the_bus_is_killed() {
    if let Some(file) = std::env::var_os(CHILD_FILE) {
        run_until_killed(Path::new(&file)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    prepare(&path).await;
    let mut delivered = kill_while_delivering(&path);
    assert!(delivered.len() < EVENTS as usize, "it was killed in the middle");

    let store = Arc::new(SqliteStore::open(&path).await.unwrap());
    let (sender, mut deliveries) = mpsc::unbounded_channel();
    let cancel = CancellationToken::new();
    let target = Arc::new(Tell(move |event_id: &str| sender.send(event_id.to_owned()).unwrap()));
    let bus = tokio::spawn(headwater_bus::run(store.clone(), Realm::default(), target, cancel.clone()));
    while delivered.len() < EVENTS as usize {
        let event_id = tokio::time::timeout(Duration::from_secs(20), deliveries.recv()).await.unwrap().unwrap();
        *delivered.entry(event_id).or_default() += 1;
    }
    let drained = async {
        while store.next_due(DELIVERIES).await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), drained).await.unwrap();
    cancel.cancel();
    bus.await.unwrap();
    while let Ok(event_id) = deliveries.try_recv() {
        *delivered.entry(event_id).or_default() += 1;
    }
    let events: HashSet<String> = store.events(0, 0).await.unwrap().into_iter().map(|(_, event)| event.id).collect();
    assert_eq!(delivered.keys().cloned().collect::<HashSet<_>>(), events);
    // What was under way at the kill comes twice, nothing comes three times.
    assert!(delivered.values().all(|times| *times <= 2), "{delivered:?}");
}

async fn prepare(path: &Path) {
    let store = SqliteStore::open(path).await.unwrap();
    let realm = Realm::default();
    let pattern = Some(r#"{"source": ["s"]}"#.to_owned());
    let rule = PutRule { name: "r".into(), event_pattern: pattern, ..PutRule::default() };
    put_rule(&store, &realm, rule).await.unwrap();
    let target = Target::new("t", realm.function_arn("f"));
    put_targets(&store, &realm, "r", None, vec![target], Managed::Refuse).await.unwrap();
    let mut batch = Batch::new();
    for n in 0..EVENTS {
        batch.event(headwater_bus::event("s", "t", vec![], json!({"n": n}), Timestamp::now()));
    }
    store.commit(batch).await.unwrap();
    store.close().await.unwrap();
}

/// Starts this very test as the child and kills it in the middle. Returns how often it delivered which event.
fn kill_while_delivering(path: &Path) -> HashMap<String, u32> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["every_event_reaches_its_target_although_the_bus_is_killed", "--exact", "--nocapture"])
        .env(CHILD_FILE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let told = |line: String| line.strip_prefix("delivered ").and_then(|id| id.strip_suffix('.')).map(str::to_owned);
    let mut delivered: HashMap<String, u32> = HashMap::new();
    while delivered.len() < DELIVERED_BEFORE_KILL {
        let line = lines.next().expect("the child delivers until it is killed");
        if let Some(event_id) = told(line) {
            *delivered.entry(event_id).or_default() += 1;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    for event_id in lines.filter_map(told) {
        *delivered.entry(event_id).or_default() += 1;
    }
    delivered
}

async fn run_until_killed(path: &Path) {
    let store = Arc::new(SqliteStore::open(path).await.unwrap());
    let print = |event_id: &str| writeln!(std::io::stdout().lock(), "delivered {event_id}.").unwrap();
    headwater_bus::run(store, Realm::default(), Arc::new(Tell(print)), CancellationToken::new()).await;
}

/// A target that takes everything and tells of it.
struct Tell<F>(F);

#[async_trait]
impl<F: Fn(&str) + Send + Sync + 'static> Deliver for Tell<F> {
    async fn deliver(&self, delivery: Delivery) -> Result<(), DeliveryError> {
        (self.0)(&delivery.event_id);
        Ok(())
    }
}
