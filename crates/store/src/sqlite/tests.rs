#![allow(clippy::unwrap_used, reason = "a failing step is a failing test")]

use super::*;
use crate::{Expect, JobId, Order, Write};
use serde_json::{Value, json};

fn record(kind: &str, id: &str, body: Value) -> Record {
    Record { kind: kind.into(), id: id.into(), parent: String::new(), rank: None, body, revision: 0 }
}

fn put(record: Record, expect: Expect) -> Batch {
    Batch { writes: vec![Write::Put(record, expect)] }
}

fn event(id: &str) -> Event {
    Event {
        id: id.into(),
        source: "test".into(),
        detail_type: "Test".into(),
        time: Timestamp(1_000),
        resources: vec!["arn:one".into()],
        detail: json!({"z": 1, "a": [1.5, null]}),
    }
}

fn line(group: &str, stream: &str, at: i64, message: &str) -> LogLine {
    LogLine { group: group.into(), stream: stream.into(), at: Timestamp(at), message: message.into() }
}

fn answer(poll: &str, viewer: &str, choice: u32) -> Answer {
    Answer { poll: poll.into(), viewer: viewer.into(), choice, at: Timestamp(5), playhead: Some(Timestamp(3)) }
}

#[tokio::test]
async fn a_record_goes_through_its_life() {
    let store = SqliteStore::in_memory().await.unwrap();
    assert_eq!(store.record("k", "a").await.unwrap(), None);
    store.commit(put(record("k", "a", json!({"n": 1})), Expect::Absent)).await.unwrap();
    store.commit(put(record("k", "a", json!({"n": 2})), Expect::Revision(1))).await.unwrap();
    store.commit(put(record("k", "a", json!({"n": 3})), Expect::Anything)).await.unwrap();
    let got = store.record("k", "a").await.unwrap().unwrap();
    assert_eq!((got.body, got.revision), (json!({"n": 3}), 3));
    let delete = Write::Delete { kind: "k".into(), id: "a".into(), expect: Expect::Revision(3) };
    store.commit(Batch { writes: vec![delete] }).await.unwrap();
    assert_eq!(store.record("k", "a").await.unwrap(), None);
}

fn labelled(id: &str, labels: &[&str]) -> Batch {
    let labels = labels.iter().map(|label| (*label).to_owned()).collect();
    let mut batch = put(record("k", id, json!(1)), Expect::Anything);
    batch.writes.push(Write::Label { kind: "k".into(), id: id.into(), labels });
    batch
}

#[tokio::test]
async fn records_are_found_by_their_labels_in_order_of_their_ids() {
    let store = SqliteStore::in_memory().await.unwrap();
    for (id, labels) in [("c", &["x"][..]), ("a", &["x", "y"]), ("b", &["y"]), ("d", &["x"])] {
        store.commit(labelled(id, labels)).await.unwrap();
    }
    let found = async |label: &str, after: Option<&str>, limit| {
        let select = Select { label: Some(label.into()), after: after.map(Into::into), limit, ..Select::default() };
        let records = store.records("k", select).await.unwrap();
        records.into_iter().map(|record| record.id).collect::<Vec<_>>()
    };
    assert_eq!(found("x", None, 0).await, ["a", "c", "d"]);
    assert_eq!(found("x", Some("a"), 1).await, ["c"]);
    store.commit(labelled("a", &["y"])).await.unwrap();
    let mut delete = Batch::new();
    delete.writes.push(Write::Delete { kind: "k".into(), id: "b".into(), expect: Expect::Anything });
    store.commit(delete).await.unwrap();
    assert_eq!(found("x", None, 0).await, ["c", "d"], "labels are replaced");
    assert_eq!(found("y", None, 0).await, ["a"], "labels go with their record");
}

#[tokio::test]
async fn the_greatest_ranks_of_a_parent_come_first_and_page_by_page() {
    let store = SqliteStore::in_memory().await.unwrap();
    let ranked = |id: &str, parent: &str, rank| Record { parent: parent.into(), rank, ..record("k", id, json!(1)) };
    for (id, parent, rank) in [
        ("c", "p", Some(2)),
        ("a", "p", Some(9)),
        ("b", "p", Some(2)),
        ("d", "p", None),
        ("e", "other", Some(5)),
        ("f", "p", Some(-1)),
    ] {
        store.commit(put(ranked(id, parent, rank), Expect::Absent)).await.unwrap();
    }
    let found = async |after: Option<(i64, &str)>, limit| {
        let order = Order::GreatestRankFirst { after: after.map(|(rank, id)| (rank, id.to_owned())) };
        let select = Select { parent: Some("p".into()), order, limit, ..Select::default() };
        let records = store.records("k", select).await.unwrap();
        records.into_iter().map(|record| record.id).collect::<Vec<_>>()
    };
    assert_eq!(found(None, 0).await, ["a", "c", "b", "f"]);
    assert_eq!(found(None, 2).await, ["a", "c"]);
    assert_eq!(found(Some((2, "c")), 0).await, ["b", "f"]);
    assert_eq!(found(Some((-1, "f")), 0).await, Vec::<String>::new());
    store.commit(put(ranked("b", "p", Some(10)), Expect::Revision(1))).await.unwrap();
    store.commit(put(ranked("a", "p", None), Expect::Anything)).await.unwrap();
    assert_eq!(found(None, 0).await, ["b", "c", "f"], "a change changes the rank");
}

#[tokio::test]
async fn what_a_batch_wants_of_other_records_holds_when_it_is_committed() {
    let store = SqliteStore::in_memory().await.unwrap();
    let insert = |id: &str, max| {
        let mut batch = put(record("k", id, json!(1)), Expect::Absent);
        batch.writes.push(Write::Within { kind: "k".into(), max });
        batch
    };
    store.commit(insert("a", 2)).await.unwrap();
    store.commit(put(record("k", "a", json!(2)), Expect::Anything)).await.unwrap();
    store.commit(insert("b", 2)).await.unwrap();
    assert!(matches!(store.commit(insert("c", 2)).await, Err(Error::Full { kind, max: 2 }) if kind == "k"));
    assert_eq!(store.record("k", "c").await.unwrap(), None, "nothing of the batch was written");
    let mut delete = Batch::new();
    delete.writes.push(Write::Delete { kind: "k".into(), id: "a".into(), expect: Expect::Anything });
    store.commit(delete).await.unwrap();
    store.commit(insert("c", 2)).await.unwrap();

    let with = |write| Batch { writes: vec![Write::Put(record("l", "x", json!(1)), Expect::Anything), write] };
    let require = |id: &str| with(Write::Require { kind: "k".into(), id: id.into() });
    store.commit(require("c")).await.unwrap();
    assert!(matches!(store.commit(require("a")).await, Err(Error::Missing { kind, id }) if kind == "k" && id == "a"));
    store.commit(labelled("c", &["used"])).await.unwrap();
    let unlabelled = |label: &str| with(Write::Unlabelled { kind: "k".into(), label: label.into() });
    store.commit(unlabelled("free")).await.unwrap();
    assert!(matches!(store.commit(unlabelled("used")).await, Err(Error::Labelled { label, .. }) if label == "used"));
}

#[tokio::test]
async fn refusals_name_the_record_and_the_reason() {
    let store = SqliteStore::in_memory().await.unwrap();
    store.commit(put(record("k", "a", json!(1)), Expect::Absent)).await.unwrap();

    let exists = store.commit(put(record("k", "a", json!(2)), Expect::Absent)).await.unwrap_err();
    assert!(matches!(exists, Error::Exists { kind, id } if kind == "k" && id == "a"));
    let conflict = store.commit(put(record("k", "a", json!(2)), Expect::Revision(7))).await.unwrap_err();
    assert!(matches!(conflict, Error::Conflict { kind, id } if kind == "k" && id == "a"));
    let missing = store.commit(put(record("k", "b", json!(2)), Expect::Revision(1))).await.unwrap_err();
    assert!(matches!(missing, Error::Missing { kind, id } if kind == "k" && id == "b"));

    let delete = |id: &str, expect| Batch { writes: vec![Write::Delete { kind: "k".into(), id: id.into(), expect }] };
    assert!(matches!(store.commit(delete("a", Expect::Revision(2))).await, Err(Error::Conflict { .. })));
    assert!(matches!(store.commit(delete("b", Expect::Revision(2))).await, Err(Error::Missing { .. })));
    store.commit(delete("b", Expect::Anything)).await.unwrap();
    assert_eq!(store.record("k", "a").await.unwrap().unwrap().body, json!(1));

    let shape = store.commit(put(record("rule", "r", json!({"name": 5})), Expect::Absent)).await;
    shape.unwrap();
    let unreadable = crate::find::<headwater_model::event::Rule>(&store, "r").await.unwrap_err();
    assert!(matches!(unreadable, Error::Document { kind, id, .. } if kind == "rule" && id == "r"));
}

#[tokio::test]
async fn a_closed_store_and_a_foreign_file_are_engine_errors() {
    let store = SqliteStore::in_memory().await.unwrap();
    store.commit(put(record("k", "a", json!(1)), Expect::Absent)).await.unwrap();
    store.close().await.unwrap();
    let refused = store.commit(put(record("k", "b", json!(1)), Expect::Absent)).await.unwrap_err();
    assert!(matches!(refused, Error::Engine(_)));

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("not-a-database");
    std::fs::write(&path, "x".repeat(8192)).unwrap();
    assert!(matches!(SqliteStore::open(&path).await.err(), Some(Error::Engine(_))));
}

#[tokio::test]
async fn a_batch_that_fails_in_the_middle_leaves_nothing() {
    let store = SqliteStore::in_memory().await.unwrap();
    store.commit(put(record("k", "there", json!(1)), Expect::Absent)).await.unwrap();
    let events = store.watch(Topic::Events);
    let mut batch = Batch::new();
    batch.writes.push(Write::Put(record("k", "new", json!(1)), Expect::Absent));
    batch.event(event("e")).enqueue("q", Timestamp(1), Timestamp(1), json!(1)).advance("reader", 5);
    batch.log(line("g", "s", 1, "text")).answer(answer("p", "v", 0));
    batch.writes.push(Write::Put(record("k", "there", json!(2)), Expect::Absent));
    assert!(matches!(store.commit(batch).await, Err(Error::Exists { .. })));

    assert_eq!(store.record("k", "new").await.unwrap(), None);
    assert_eq!(store.last_event().await.unwrap(), 0);
    assert_eq!(store.next_due("q").await.unwrap(), None);
    assert_eq!(store.cursor("reader").await.unwrap(), 0);
    assert_eq!(store.log_groups("").await.unwrap(), Vec::<String>::new());
    assert_eq!(store.answer("p", "v").await.unwrap(), None);
    assert_eq!(store.tally("p").await.unwrap(), vec![]);
    assert!(!events.has_changed().unwrap());
}

#[tokio::test]
async fn grouped_commits_succeed_or_fail_alone() {
    let store = SqliteStore::in_memory().await.unwrap();
    // All are queued before the writer gets to run: this is a current-thread runtime.
    let commits = (0..100).map(|n| {
        let mut batch = Batch::new();
        batch.event(event(&n.to_string()));
        batch.writes.push(Write::Put(record("k", &(n / 2).to_string(), json!(n)), Expect::Absent));
        store.commit(batch)
    });
    let results = futures_util::future::join_all(commits).await;
    for (n, result) in results.iter().enumerate() {
        assert_eq!(result.is_ok(), n % 2 == 0, "{n}: {result:?}");
    }
    let ids: Vec<String> = store.events(0, 0).await.unwrap().into_iter().map(|(_, event)| event.id).collect();
    assert_eq!(ids, (0..100).step_by(2).map(|n: i32| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_updates_lose_nothing() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Counter(u64);
    impl crate::Document for Counter {
        const KIND: &'static str = "counter";
        fn id(&self) -> String {
            "one".into()
        }
    }
    let store = SqliteStore::in_memory().await.unwrap();
    let mut batch = Batch::new();
    batch.insert(&Counter(0)).unwrap();
    store.commit(batch).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        tasks.spawn(async move {
            for _ in 0..50 {
                crate::update::<Counter, Error, _>(&store, "one", |counter| {
                    counter.0 += 1;
                    Ok(())
                })
                .await
                .unwrap();
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let counter = crate::load::<Counter>(&store, "one").await.unwrap().unwrap();
    assert_eq!((counter.value.0, counter.revision), (400, 401));
}

#[tokio::test]
async fn records_are_selected_by_parent_prefix_and_place() {
    let store = SqliteStore::in_memory().await.unwrap();
    let mut batch = Batch::new();
    for id in ["a/1", "a/2", "a0", "b/1", "a/ü", "A"] {
        let mut record = record("k", id, json!(id));
        record.parent = id[..1].into();
        batch.writes.push(Write::Put(record, Expect::Absent));
    }
    batch.writes.push(Write::Put(record("other", "a/3", json!(0)), Expect::Absent));
    store.commit(batch).await.unwrap();
    let ids = async |select| -> Vec<String> {
        store.records("k", select).await.unwrap().into_iter().map(|record| record.id).collect()
    };
    assert_eq!(ids(Select::default()).await, ["A", "a/1", "a/2", "a/ü", "a0", "b/1"]);
    assert_eq!(ids(Select { prefix: Some("a/".into()), ..Select::default() }).await, ["a/1", "a/2", "a/ü"]);
    assert_eq!(ids(Select { parent: Some("a".into()), limit: 2, ..Select::default() }).await, ["a/1", "a/2"]);
    let page = Select { prefix: Some("a".into()), after: Some("a/2".into()), ..Select::default() };
    assert_eq!(ids(page).await, ["a/ü", "a0"]);
}

#[tokio::test]
async fn events_come_back_in_order_and_unchanged() {
    let store = SqliteStore::in_memory().await.unwrap();
    let mut batch = Batch::new();
    batch.event(event("first")).event(event("second"));
    assert_eq!(store.commit(batch).await.unwrap().events, [1, 2]);
    assert_eq!(store.events(0, 1).await.unwrap(), [(1, event("first"))]);
    assert_eq!(store.events(1, 10).await.unwrap(), [(2, event("second"))]);
    assert_eq!(store.last_event().await.unwrap(), 2);
}

#[tokio::test]
async fn a_cursor_only_moves_forward() {
    let store = SqliteStore::in_memory().await.unwrap();
    for seq in [3, 9, 4] {
        let mut batch = Batch::new();
        batch.advance("reader", seq);
        store.commit(batch).await.unwrap();
    }
    assert_eq!(store.cursor("reader").await.unwrap(), 9);
}

#[tokio::test]
async fn jobs_are_due_in_order_until_they_are_complete() {
    let store = SqliteStore::in_memory().await.unwrap();
    let mut queue = store.watch(Topic::Queue("q".into()));
    let mut batch = Batch::new();
    for (name, due) in [("late", 30), ("early", 10), ("middle", 20)] {
        batch.enqueue("q", Timestamp(1), Timestamp(due), json!(name));
    }
    batch.enqueue("other", Timestamp(1), Timestamp(1), json!("other"));
    let jobs = store.commit(batch).await.unwrap().jobs;
    assert!(queue.has_changed().unwrap());
    queue.mark_unchanged();
    let names = async |now| -> Vec<Value> {
        store.due_jobs("q", Timestamp(now), 10).await.unwrap().into_iter().map(|job| job.body).collect()
    };
    assert_eq!(names(9).await, Vec::<Value>::new());
    assert_eq!(names(20).await, [json!("early"), json!("middle")]);
    assert_eq!(store.next_due("q").await.unwrap(), Some(Timestamp(10)));

    let mut batch = Batch::new();
    batch.complete(jobs[1]).reschedule(jobs[2], Timestamp(40), 1);
    store.commit(batch).await.unwrap();
    assert!(queue.has_changed().unwrap());
    assert_eq!(names(100).await, [json!("late"), json!("middle")]);
    assert_eq!(store.due_jobs("q", Timestamp(100), 10).await.unwrap()[1].attempt, 1);

    let mut batch = Batch::new();
    let body = Some(json!("changed"));
    batch.writes.push(Write::Reschedule { id: jobs[0], due: Timestamp(5), attempt: 2, body });
    batch.complete(jobs[1]).complete(JobId(999)).reschedule(JobId(999), Timestamp(1), 1);
    store.commit(batch).await.unwrap();
    assert_eq!(names(100).await, [json!("changed"), json!("middle")]);
}

#[tokio::test]
async fn a_log_group_keeps_its_newest_lines() {
    let store = SqliteStore::in_memory().await.unwrap();
    for chunk in 0..21 {
        let mut batch = Batch::new();
        for n in 0..1000 {
            batch.log(line("g", "s", chunk * 1000 + n, "text"));
        }
        store.commit(batch).await.unwrap();
    }
    let lines = store.log_lines("g", LogSelect::default()).await.unwrap();
    assert!(lines.len() as u64 <= LogLine::GROUP_LINES_MAX, "{}", lines.len());
    assert!(lines.len() as u64 >= LogLine::GROUP_LINES_MAX * 9 / 10, "{}", lines.len());
    let times: Vec<i64> = lines.iter().map(|(_, line)| line.at.0).collect();
    let first = times[0];
    assert_eq!(times, (first..21_000).collect::<Vec<_>>());

    let mut batch = Batch::new();
    batch.clear_log("g");
    store.commit(batch).await.unwrap();
    assert_eq!(store.log_lines("g", LogSelect::default()).await.unwrap(), vec![]);
    assert_eq!(store.log_groups("").await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn log_lines_are_selected_by_stream_time_and_place() {
    let store = SqliteStore::in_memory().await.unwrap();
    let mut batch = Batch::new();
    batch.log(line("g", "a", 10, "1")).log(line("g", "b", 20, "2")).log(line("g", "a", 30, "3"));
    batch.log(line("h", "a", 40, &"é".repeat(LogLine::MESSAGE_BYTES_MAX)));
    store.commit(batch).await.unwrap();
    let messages = async |select| -> Vec<String> {
        store.log_lines("g", select).await.unwrap().into_iter().map(|(_, line)| line.message).collect()
    };
    assert_eq!(messages(LogSelect { stream: Some("a".into()), ..LogSelect::default() }).await, ["1", "3"]);
    assert_eq!(messages(LogSelect { after: 1, limit: 1, ..LogSelect::default() }).await, ["2"]);
    assert_eq!(messages(LogSelect { limit: 2, newest: true, ..LogSelect::default() }).await, ["2", "3"]);
    let before = LogSelect { before: Some(3), limit: 1, newest: true, ..LogSelect::default() };
    assert_eq!(messages(before).await, ["2"]);
    let times = LogSelect { from: Some(Timestamp(10)), to: Some(Timestamp(30)), ..LogSelect::default() };
    assert_eq!(messages(times).await, ["1", "2"]);
    assert_eq!(store.log_groups("g").await.unwrap(), ["g"]);
    let streams = store.log_streams("g").await.unwrap();
    assert_eq!(streams, [("a".into(), Timestamp(10), Timestamp(30)), ("b".into(), Timestamp(20), Timestamp(20))]);
    let long = store.log_lines("h", LogSelect::default()).await.unwrap();
    assert_eq!(long[0].1.message.len(), LogLine::MESSAGE_BYTES_MAX);
}

#[tokio::test]
async fn a_viewers_first_answer_stands() {
    let store = SqliteStore::in_memory().await.unwrap();
    let poll = store.watch(Topic::Poll("p".into()));
    let mut batch = Batch::new();
    batch.answer(answer("p", "v", 1)).answer(answer("p", "w", 0)).answer(answer("p", "v", 2));
    let committed = store.commit(batch).await.unwrap();
    let choices: Vec<u32> = committed.answers.iter().map(|answer| answer.choice).collect();
    assert_eq!(choices, [1, 0, 1]);
    assert_eq!(store.tally("p").await.unwrap(), [(0, 1), (1, 1)]);
    assert_eq!(store.answers("p", 1, 10).await.unwrap(), [answer("p", "w", 0)]);
    assert_eq!(store.answer("p", "v").await.unwrap(), Some(answer("p", "v", 1)));
    assert!(poll.has_changed().unwrap());
}

#[tokio::test]
async fn a_repeated_answer_wakes_nobody() {
    let store = SqliteStore::in_memory().await.unwrap();
    let mut batch = Batch::new();
    batch.answer(answer("p", "v", 1));
    store.commit(batch.clone()).await.unwrap();
    let poll = store.watch(Topic::Poll("p".into()));
    store.commit(batch).await.unwrap();
    assert!(!poll.has_changed().unwrap());
}

#[tokio::test]
async fn reopening_sees_everything_and_only_its_owner_may_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let mut batch = Batch::new();
    batch.writes.push(Write::Put(record("k", "a", json!({"b": [1, "ü"]})), Expect::Absent));
    batch.event(event("e")).enqueue("q", Timestamp(1), Timestamp(2), json!("do")).advance("reader", 1);
    batch.log(line("g", "s", 1, "text")).answer(answer("p", "v", 0));
    store.commit(batch).await.unwrap();
    store.close().await.unwrap();
    drop(store);

    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(store.record("k", "a").await.unwrap().unwrap().body, json!({"b": [1, "ü"]}));
    assert_eq!(store.events(0, 0).await.unwrap(), [(1, event("e"))]);
    assert_eq!(store.due_jobs("q", Timestamp(2), 0).await.unwrap()[0].body, json!("do"));
    assert_eq!(store.cursor("reader").await.unwrap(), 1);
    assert_eq!(store.log_lines("g", LogSelect::default()).await.unwrap()[0].1, line("g", "s", 1, "text"));
    assert_eq!(store.tally("p").await.unwrap(), [(0, 1)]);
    #[cfg(unix)]
    for file in std::fs::read_dir(folder.path()).unwrap() {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(file.unwrap().metadata().unwrap().permissions().mode() & 0o077, 0);
    }
}

#[tokio::test]
async fn a_dropped_read_leaves_its_connection_usable() {
    let store = SqliteStore::in_memory().await.unwrap();
    let mut batch = Batch::new();
    for n in 0..500 {
        batch.event(event(&n.to_string()));
    }
    store.commit(batch).await.unwrap();
    for _ in 0..50 {
        let read = store.events(0, 0);
        // Polled once, then dropped while the query runs.
        let _ = futures_util::future::select(read, std::future::ready(())).await;
    }
    assert_eq!(store.events(0, 0).await.unwrap().len(), 500);
}

#[tokio::test]
async fn a_batch_that_the_engine_refuses_does_not_take_others_along() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let options = SqliteConnectOptions::new().filename(&path);
    let mut outside = SqliteConnection::connect_with(&options).await.unwrap();
    let trigger = "CREATE TRIGGER refuse BEFORE INSERT ON records WHEN new.id = 'poison' \
                   BEGIN SELECT RAISE(ROLLBACK, 'refused'); END";
    sqlx::query(trigger).execute(&mut outside).await.unwrap();
    let ids = ["a", "poison", "b"];
    let commits = ids.iter().map(|id| store.commit(put(record("k", id, json!(1)), Expect::Absent)));
    let results = futures_util::future::join_all(commits).await;
    assert!(results[0].is_ok() && matches!(results[1], Err(Error::Engine(_))) && results[2].is_ok(), "{results:?}");
    assert_eq!(store.records("k", Select::default()).await.unwrap().len(), 2);
}

#[tokio::test]
async fn events_make_room_only_when_their_readers_are_past_them() {
    let store = SqliteStore::in_memory().await.unwrap();
    let path = &store._scratch.as_ref().unwrap().0.join("state.db");
    let mut outside = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path)).await.unwrap();
    let mut batch = Batch::new();
    for n in 0..20 {
        batch.event(event(&n.to_string()));
    }
    store.commit(batch).await.unwrap();
    let first = async || store.events(0, 1).await.unwrap()[0].0;
    apply::trim_events(&mut outside, 20, 5).await.unwrap();
    assert_eq!(first().await, 1);
    for (reader, seq) in [("slow", 7), ("quick", 20)] {
        let mut batch = Batch::new();
        batch.advance(reader, seq);
        store.commit(batch).await.unwrap();
    }
    apply::trim_events(&mut outside, 20, 5).await.unwrap();
    assert_eq!(first().await, 8);
    let mut batch = Batch::new();
    batch.advance("slow", 20).event(event("next"));
    store.commit(batch).await.unwrap();
    apply::trim_events(&mut outside, 21, 5).await.unwrap();
    assert_eq!((first().await, store.last_event().await.unwrap()), (17, 21));
}
