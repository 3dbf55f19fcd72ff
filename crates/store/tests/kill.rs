//! A process is killed while it writes: what it acknowledged is there, and nothing is there by half.
#![allow(clippy::unwrap_used, reason = "a failing step is a failing test")]

use headwater_model::Timestamp;
use headwater_model::event::Event;
use headwater_model::poll::Answer;
use headwater_store::{Batch, Expect, Record, SqliteStore, Store, Write};
use serde_json::json;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

/// Set in the child, to the file that it writes.
const CHILD_FILE: &str = "HEADWATER_STORE_KILL_TEST_FILE";
const ACKNOWLEDGED_BEFORE_KILL: usize = 300;
const WRITERS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_commits_outlive_sigkill() {
    if let Some(file) = std::env::var_os(CHILD_FILE) {
        write_until_killed(Path::new(&file)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let acknowledged = kill_while_writing(&path);
    assert!(acknowledged.len() >= ACKNOWLEDGED_BEFORE_KILL);

    let store = SqliteStore::open(&path).await.unwrap();
    for id in &acknowledged {
        assert!(store.record("left", id).await.unwrap().is_some(), "{id} was acknowledged");
        assert!(store.answer("poll", id).await.unwrap().is_some(), "{id} was acknowledged");
    }
    let left = store.records("left", Default::default()).await.unwrap();
    let right = store.records("right", Default::default()).await.unwrap();
    let answers = store.answers("poll", 0, 0).await.unwrap();
    let ids = |records: &[Record]| records.iter().map(|record| record.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&left), ids(&right));
    assert_eq!(store.events(0, 0).await.unwrap().len(), left.len());
    assert_eq!(answers.len(), left.len());
    assert_eq!(store.tally("poll").await.unwrap(), [(0, left.len() as u64)]);
}

/// Starts this very test as the child and kills it in the middle. Returns the ids that it acknowledged.
fn kill_while_writing(path: &Path) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["acknowledged_commits_outlive_sigkill", "--exact", "--nocapture"])
        .env(CHILD_FILE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    while acknowledged.len() < ACKNOWLEDGED_BEFORE_KILL {
        let line = lines.next().expect("the child writes until it is killed").unwrap();
        acknowledged.extend(line.strip_prefix("acknowledged ").map(str::to_owned));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What the pipe still held was acknowledged too; a last line without its end was not.
    let rest = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("acknowledged ").map(str::to_owned));
    acknowledged.extend(rest.filter(|id| id.ends_with('.')));
    acknowledged
}

async fn write_until_killed(path: &Path) {
    let store = SqliteStore::open(path).await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        writers.spawn(async move {
            for n in 0.. {
                let id = format!("{writer}-{n}.");
                store.commit(batch(&id)).await.unwrap();
                writeln!(std::io::stdout().lock(), "acknowledged {id}").unwrap();
            }
        });
    }
    writers.join_next().await.unwrap().unwrap();
}

fn batch(id: &str) -> Batch {
    let at = Timestamp(1);
    let record = |kind: &str| Record {
        kind: kind.into(),
        id: id.into(),
        parent: String::new(),
        rank: None,
        body: json!({"text": "x".repeat(500)}),
        revision: 0,
    };
    let mut batch = Batch::new();
    batch.writes.push(Write::Put(record("left"), Expect::Absent));
    batch.event(Event {
        id: id.into(),
        source: "test".into(),
        detail_type: "Test".into(),
        time: at,
        resources: vec![],
        detail: json!({}),
    });
    batch.answer(Answer { poll: "poll".into(), viewer: id.into(), choice: 0, at, playhead: None });
    batch.writes.push(Write::Put(record("right"), Expect::Absent));
    batch
}
