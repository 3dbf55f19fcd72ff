//! Durable jobs: tries, drops, order, and a server that is killed.

use super::*;
use headwater_model::function::Function;
use headwater_store::Batch;
use std::path::PathBuf;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const QUICK: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(100)];

impl Bench {
    fn worker(&self) -> (JoinHandle<()>, CancellationToken) {
        let (functions, cancel) = (self.functions.clone(), CancellationToken::new());
        let stop = cancel.clone();
        (tokio::spawn(async move { functions.run(stop).await }), cancel)
    }

    async fn drained(&self) {
        queue_is_empty(&*self.store).await;
    }

    /// A function that appends its request id and event to a file, and then fails if the event says so.
    async fn recorder(&self, change: impl FnOnce(&mut Function)) -> (Function, PathBuf) {
        let record = self.folder.path().join("record");
        let source = format!(
            "def handler(event, context):\n    with open({record:?}, 'a') as f: f.write('%s %s\\n' % (context.aws_request_id, event['n']))\n    \
             if event.get('fail'): raise Exception('on purpose')"
        );
        (self.function("recorder", "python3.8", Package::Inline(source), change).await, record)
    }
}

async fn queue_is_empty(store: &dyn Store) {
    until("invocations", || async { store.next_due(QUEUE).await.unwrap().is_none() }).await;
}

fn lines(record: &Path) -> Vec<String> {
    std::fs::read_to_string(record).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn invocations_run_in_order_and_leave_the_queue() {
    let bench = Bench::with(|config| config.event_concurrency_max = 1).await;
    let (_, record) = bench.recorder(|_| {}).await;
    let mut expected = Vec::new();
    for n in 0..4 {
        let id = bench.functions.enqueue("recorder", Bytes::from(format!(r#"{{"n":{n}}}"#))).await.unwrap();
        expected.push(format!("{id} {n}"));
    }
    let (worker, cancel) = bench.worker();
    bench.drained().await;
    assert_eq!(lines(&record), expected);
    // It also wakes for what comes later.
    let id = bench.functions.enqueue("recorder", Bytes::from_static(br#"{"n":4}"#)).await.unwrap();
    bench.drained().await;
    assert_eq!(lines(&record).last(), Some(&format!("{id} 4")));
    cancel.cancel();
    worker.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_function_is_tried_three_times_with_one_request_id() {
    let bench = Bench::with(|config| config.retry_delays = QUICK).await;
    let (_, record) = bench.recorder(|_| {}).await;
    let (worker, cancel) = bench.worker();
    let id = bench.functions.enqueue("recorder", Bytes::from_static(br#"{"n":1,"fail":true}"#)).await.unwrap();
    bench.drained().await;
    assert_eq!(lines(&record), vec![format!("{id} 1"); 3]);
    cancel.cancel();
    worker.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_retry_comes_after_a_minute() {
    let bench = Bench::new().await;
    let (_, record) = bench.recorder(|_| {}).await;
    let (worker, cancel) = bench.worker();
    let before = Timestamp::now();
    bench.functions.enqueue("recorder", Bytes::from_static(br#"{"n":1,"fail":true}"#)).await.unwrap();
    let far = Timestamp(i64::MAX);
    until("the first try", || async { bench.store.due_jobs(QUEUE, far, 1).await.unwrap()[0].attempt == 1 }).await;
    let job = bench.store.due_jobs(QUEUE, far, 1).await.unwrap().remove(0);
    let wait = job.due.since_ms(before);
    assert!((60_000..=60_000 + Timestamp::now().since_ms(before)).contains(&wait), "{wait} ms");
    assert_eq!(lines(&record).len(), 1);
    cancel.cancel();
    worker.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_may_want_fewer_tries_or_younger_events() {
    let bench = Bench::with(|config| config.retry_delays = QUICK).await;
    let (mut function, record) = bench.recorder(|f| f.retry_attempts_max = Some(0)).await;
    let (worker, cancel) = bench.worker();
    bench.functions.enqueue("recorder", Bytes::from_static(br#"{"n":1,"fail":true}"#)).await.unwrap();
    bench.drained().await;
    assert_eq!(lines(&record).len(), 1);

    function.event_age_s_max = Some(60);
    let mut batch = Batch::new();
    batch.put(&function).unwrap();
    let options = InvokeOptions::default();
    bench.functions.enqueue_in(&mut batch, "recorder", Bytes::from_static(br#"{"n":2}"#), options).unwrap();
    for write in &mut batch.writes {
        if let headwater_store::Write::Enqueue(job) = write {
            job.created = job.created.plus_ms(-61_000);
        }
    }
    bench.store.commit(batch).await.unwrap();
    bench.drained().await;
    assert_eq!(lines(&record).len(), 1, "it was too old");
    cancel.cancel();
    worker.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invocation_of_a_deleted_function_is_dropped() {
    let bench = Bench::new().await;
    bench.functions.enqueue("gone", Bytes::from_static(b"{}")).await.unwrap();
    let (worker, cancel) = bench.worker();
    bench.drained().await;
    cancel.cancel();
    worker.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_cannot_run_now_is_kept_for_later() {
    let bench = Bench::new().await;
    let (_, record) = bench.recorder(|f| f.role_arn = Realm::default().role_arn("missing")).await;
    let (worker, cancel) = bench.worker();
    let id = bench.functions.enqueue("recorder", Bytes::from_static(br#"{"n":1}"#)).await.unwrap();
    let far = Timestamp(i64::MAX);
    until("the refusal", || async { bench.store.due_jobs(QUEUE, far, 1).await.unwrap()[0].body["refusals"] != 0 })
        .await;
    assert_eq!(bench.store.due_jobs(QUEUE, far, 1).await.unwrap()[0].attempt, 0, "it was no try of the function");
    headwater_store::update::<Function, headwater_store::Error, _>(&*bench.store, "recorder", |function| {
        function.role_arn = Realm::default().role_arn("worker");
        Ok(())
    })
    .await
    .unwrap();
    bench.drained().await;
    assert_eq!(lines(&record), [format!("{id} 1")]);
    cancel.cancel();
    worker.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_json_of_up_to_a_megabyte_is_taken() {
    let bench = Bench::new().await;
    let not_json = bench.functions.enqueue("f", Bytes::from_static(b"{")).await;
    assert!(matches!(not_json, Err(EnqueueError::NotJson(_))), "{not_json:?}");
    let large = bench.functions.enqueue("f", Bytes::from(vec![b'1'; EVENT_BYTES_MAX + 1])).await;
    assert!(matches!(large, Err(EnqueueError::PayloadTooLarge { .. })), "{large:?}");
    assert_eq!(bench.store.next_due(QUEUE).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn packages_that_no_function_refers_to_go_at_the_start() {
    let bench = Bench::new().await;
    let kept = bench.python("kept", "x = 1").await;
    let orphan = bench.functions.deploy(Package::Inline("x = 2".into()), "python3.8", "index.handler").await.unwrap();
    let code = bench.folder.path().join("functions/code");
    bench.functions.sweep_code().await;
    assert!(code.join(&orphan.sha256).exists(), "a function may be about to refer to it");
    let restarted = functions(bench.folder.path(), bench.store.clone(), |_| {});
    restarted.sweep_code().await;
    assert!(!code.join(&orphan.sha256).exists());
    assert!(code.join(&kept.code_sha256).exists());
}

/// Set for the process that [`an_invocation_survives_the_death_of_the_server`] kills: the folder of its state.
const VICTIM: &str = "HEADWATER_TEST_VICTIM";

/// The server of the test below. Does nothing unless it is started by it.
#[tokio::test(flavor = "multi_thread")]
async fn victim() {
    let Some(folder) = std::env::var_os(VICTIM).map(PathBuf::from) else {
        return;
    };
    let store = Arc::new(SqliteStore::open(&folder.join("state")).await.unwrap());
    let functions = functions(&folder, store.clone(), |_| {});
    // The first run says that it is there and waits to be killed; a later one finds that and is done.
    let source = format!(
        "import os, time\ndef handler(event, context):\n    first = not os.path.exists({folder:?} + '/first')\n    \
         name = '/first' if first else '/second'\n    \
         open({folder:?} + name + '.new', 'w').write('%d %s' % (os.getpid(), context.aws_request_id))\n    \
         os.rename({folder:?} + name + '.new', {folder:?} + name)\n    if first: time.sleep(600)"
    );
    let code = functions.deploy(Package::Inline(source), "python3.8", "index.handler").await.unwrap();
    let mut function = described("survivor", "python3.8", code);
    function.timeout_s = 900;
    let mut batch = Batch::new();
    batch.put(&function).unwrap();
    store.commit(batch).await.unwrap();
    functions.enqueue("survivor", Bytes::from_static(b"{}")).await.unwrap();
    functions.run(CancellationToken::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invocation_survives_the_death_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::async_invocations::victim", "--nocapture"])
        .env(VICTIM, folder.path())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    until("the first run", || async { first.exists() }).await;
    server.start_kill().unwrap();
    server.wait().await.unwrap();
    let (pid, id) = std::fs::read_to_string(&first).map(|text| split(&text)).unwrap();
    let process = PathBuf::from(format!("/proc/{pid}/cmdline"));
    // A process without a command line is a zombie or gone.
    until("the function's death", || async { std::fs::read(&process).unwrap_or_default().is_empty() }).await;
    assert!(!second.exists());

    let store = Arc::new(SqliteStore::open(&folder.path().join("state")).await.unwrap());
    let functions = functions(folder.path(), store.clone(), |_| {});
    let cancel = CancellationToken::new();
    let worker = tokio::spawn({
        let (functions, cancel) = (functions.clone(), cancel.clone());
        async move { functions.run(cancel).await }
    });
    queue_is_empty(&*store).await;
    let (_, again) = std::fs::read_to_string(&second).map(|text| split(&text)).unwrap();
    assert_eq!(again, id, "the request id stays");
    cancel.cancel();
    worker.await.unwrap();
}

fn split(text: &str) -> (String, String) {
    let (pid, id) = text.split_once(' ').unwrap();
    (pid.into(), id.into())
}
