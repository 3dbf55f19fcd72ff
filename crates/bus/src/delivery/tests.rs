#![allow(clippy::unwrap_used, reason = "a failing step is a failing test")]

use super::*;
use crate::clock::manual::ManualClock;
use crate::rules::{Managed, PutRule, put_rule, put_targets};
use crate::{Bus, event};
use headwater_model::Realm;
use headwater_store::{LogSelect, SqliteStore};
use proptest::prelude::*;
use serde_json::json;
use std::collections::VecDeque;
use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

const START: Timestamp = Timestamp(1_795_498_182_000);
/// Real time after which a test gives up waiting.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the target does at each try, in order; then it takes everything.
#[derive(Clone, Copy)]
enum Try {
    Later,
    Never,
    Panic,
    Hang,
}

struct Target {
    tries: StdMutex<VecDeque<Try>>,
    seen: mpsc::UnboundedSender<(Timestamp, Delivery)>,
    clock: Arc<ManualClock>,
}

#[async_trait]
impl Deliver for Target {
    async fn deliver(&self, delivery: Delivery) -> Result<(), DeliveryError> {
        let next = self.tries.lock().unwrap().pop_front();
        self.seen.send((self.clock.now(), delivery)).unwrap();
        match next {
            None => Ok(()),
            Some(Try::Later) => Err(DeliveryError::Retry { code: "THROTTLING", reason: "busy".into() }),
            Some(Try::Never) => Err(DeliveryError::Permanent { code: "NO_PERMISSIONS", reason: "not allowed".into() }),
            Some(Try::Panic) => panic!("the target's code is broken"),
            Some(Try::Hang) => std::future::pending().await,
        }
    }
}

struct Bench {
    store: Arc<SqliteStore>,
    clock: Arc<ManualClock>,
    seen: mpsc::UnboundedReceiver<(Timestamp, Delivery)>,
    cancel: CancellationToken,
    bus: tokio::task::JoinHandle<()>,
}

impl Bench {
    /// A running bus with a rule `r` on source `s` and the target.
    async fn new(tries: &[Try], target: headwater_model::event::Target) -> Bench {
        let store = Arc::new(SqliteStore::in_memory().await.unwrap());
        add_rule(&*store, target).await;
        Bench::on(store, tries)
    }

    fn on(store: Arc<SqliteStore>, tries: &[Try]) -> Bench {
        let clock = Arc::new(ManualClock::at(START));
        let (sender, seen) = mpsc::unbounded_channel();
        let target =
            Target { tries: StdMutex::new(tries.iter().copied().collect()), seen: sender, clock: clock.clone() };
        let bus = Bus::new(store.clone(), Realm::default(), Arc::new(target), clock.clone(), Options::default());
        let cancel = CancellationToken::new();
        let bus = tokio::spawn(bus.run(cancel.clone()));
        Bench { store, clock, seen, cancel, bus }
    }

    async fn happen(&self, n: u32) {
        let mut batch = Batch::new();
        batch.event(event("s", "t", vec![], json!({"n": n}), self.clock.now()));
        self.store.commit(batch).await.unwrap();
    }

    async fn next(&mut self) -> (Timestamp, Delivery) {
        tokio::time::timeout(PATIENCE, self.seen.recv()).await.unwrap().unwrap()
    }

    /// When the only job is due next, once that is later than the try at `tried`.
    async fn rescheduled(&self, tried: Timestamp) -> Timestamp {
        eventually(async || self.store.next_due(DELIVERIES).await.unwrap().filter(|due| *due > tried)).await
    }

    /// Nothing is delivered, though the bus has time for it: a delivery takes fewer looks into the store.
    async fn nothing_happens(&mut self) {
        for _ in 0..50 {
            self.store.next_due(DELIVERIES).await.unwrap();
        }
        assert!(self.seen.try_recv().is_err());
    }

    async fn queue_is_empty(&self) {
        eventually(async || self.store.next_due(DELIVERIES).await.unwrap().is_none().then_some(())).await;
    }

    async fn letters(&self) -> Vec<DeadLetter> {
        headwater_store::list(&*self.store, Select::default()).await.unwrap()
    }

    async fn stop(self) -> Arc<SqliteStore> {
        self.cancel.cancel();
        self.bus.await.unwrap();
        self.store
    }
}

async fn add_rule(store: &dyn Store, target: headwater_model::event::Target) {
    let pattern = Some(r#"{"source": ["s"]}"#.to_owned());
    let rule = PutRule { name: "r".into(), event_pattern: pattern, ..PutRule::default() };
    put_rule(store, &Realm::default(), rule).await.unwrap();
    put_targets(store, &Realm::default(), "r", None, vec![target], Managed::Refuse).await.unwrap();
}

async fn eventually<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let polling = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, polling).await.unwrap()
}

fn target() -> headwater_model::event::Target {
    headwater_model::event::Target::new("t", "arn:aws:lambda:us-east-1:000000000000:function:f")
}

#[tokio::test]
async fn a_matching_event_reaches_its_target_and_the_job_ends() {
    let mut bench = Bench::new(&[], target()).await;
    bench.happen(7).await;
    let (_, delivery) = bench.next().await;
    assert_eq!(delivery.target_arn, target().arn);
    assert_eq!(delivery.rule_arn, Realm::default().rule_arn("r"));
    assert_eq!(delivery.payload["detail"], json!({"n": 7}));
    assert_eq!(delivery.payload["id"], json!(delivery.event_id));
    bench.queue_is_empty().await;
    assert_eq!(bench.letters().await, vec![]);
}

#[tokio::test]
async fn a_target_that_cannot_yet_is_tried_again_with_longer_waits() {
    let mut bench = Bench::new(&[Try::Later, Try::Panic, Try::Later], target()).await;
    bench.happen(1).await;
    let mut due = bench.next().await.0;
    for (least, most) in [(500, 1_000), (1_000, 2_000), (2_000, 4_000)] {
        let now = bench.clock.now();
        due = bench.rescheduled(due).await;
        let wait = due.since_ms(now);
        assert!((least..=most).contains(&wait), "{wait} ms");
        bench.clock.advance_ms(wait - 1);
        bench.nothing_happens().await;
        bench.clock.advance_ms(1);
        assert_eq!(bench.next().await.0, due);
    }
    bench.queue_is_empty().await;
    assert_eq!(bench.letters().await, vec![]);
}

#[tokio::test]
async fn a_target_that_hangs_is_tried_again() {
    let mut bench = Bench::new(&[Try::Hang], target()).await;
    bench.happen(1).await;
    let (at, _) = bench.next().await;
    // The deadline is set about when the target is called, not before, and the second try waits for the clock as well.
    let (again, _) = eventually(async || {
        bench.clock.advance_ms(10_000);
        bench.seen.try_recv().ok()
    })
    .await;
    assert!(again.since_ms(at) >= Options::default().delivery_timeout_ms);
    bench.queue_is_empty().await;
}

#[tokio::test]
async fn what_can_never_be_delivered_becomes_a_dead_letter_at_once() {
    let mut bench = Bench::new(&[Try::Never], target()).await;
    bench.happen(1).await;
    let (_, delivery) = bench.next().await;
    bench.queue_is_empty().await;
    let letters = bench.letters().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].delivery, serde_json::to_value(&delivery).unwrap());
    assert_eq!((letters[0].error_code.as_str(), letters[0].attempts), ("NO_PERMISSIONS", 1));
    assert_eq!(letters[0].exhausted, None);
    let lines = bench.store.log_lines("/aws/events/r", LogSelect::default()).await.unwrap();
    assert_eq!(lines.len(), 1);
    let message = &lines[0].1.message;
    assert!(message.contains(&delivery.event_id) && message.contains("not allowed"), "{message}");
}

#[tokio::test]
async fn tries_are_counted() {
    let target = headwater_model::event::Target { retry_attempts_max: Some(2), ..target() };
    let mut bench = Bench::new(&[Try::Later; 3], target).await;
    bench.happen(1).await;
    for _ in 0..2 {
        let (at, _) = bench.next().await;
        bench.rescheduled(at).await;
        bench.clock.advance_ms(10_000);
    }
    bench.next().await;
    bench.queue_is_empty().await;
    let letters = bench.letters().await;
    assert_eq!((letters[0].exhausted, letters[0].attempts), (Some(Exhausted::MaximumRetryAttempts), 3));
}

#[tokio::test]
async fn age_ends_the_retries_but_not_the_first_try() {
    let target = headwater_model::event::Target { event_age_s_max: Some(60), ..target() };
    let store = Arc::new(SqliteStore::in_memory().await.unwrap());
    add_rule(&*store, target).await;
    let bench = Bench::on(Arc::clone(&store), &[]);
    bench.cancel.cancel();
    bench.happen(1).await;
    bench.stop().await;
    let mut bench = Bench::on(store, &[Try::Later, Try::Later]);
    let (at, _) = bench.next().await;
    bench.rescheduled(at).await;
    bench.clock.advance_ms(60_000);
    bench.next().await;
    bench.queue_is_empty().await;
    let letters = bench.letters().await;
    assert_eq!((letters[0].exhausted, letters[0].attempts), (Some(Exhausted::MaximumEventAgeInSeconds), 2));
}

#[tokio::test]
async fn a_delay_counts_from_the_event() {
    let target = headwater_model::event::Target { delay_ms: 15_000, ..target() };
    let mut bench = Bench::new(&[], target).await;
    bench.happen(1).await;
    eventually(async || bench.store.next_due(DELIVERIES).await.unwrap()).await;
    bench.clock.advance_ms(14_999);
    bench.nothing_happens().await;
    bench.clock.advance_ms(1);
    assert_eq!(bench.next().await.0, START.plus_ms(15_000));
}

#[tokio::test]
async fn what_a_stopped_bus_left_is_delivered_by_the_next() {
    let bench = Bench::new(&[], target()).await;
    let store = bench.stop().await;
    let mut batch = Batch::new();
    for n in 0..250 {
        batch.event(event("s", "t", vec![], json!({"n": n}), START));
        batch.event(event("other", "t", vec![], json!({"n": n}), START));
    }
    store.commit(batch).await.unwrap();
    let mut bench = Bench::on(store, &[]);
    let mut seen: Vec<u64> = Vec::new();
    for _ in 0..250 {
        seen.push(bench.next().await.1.payload["detail"]["n"].as_u64().unwrap());
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..250).collect::<Vec<u64>>());
    bench.queue_is_empty().await;
    bench.nothing_happens().await;
}

#[tokio::test]
async fn a_disabled_rule_lets_events_pass_until_it_is_enabled() {
    use headwater_model::event::RuleState;
    let mut bench = Bench::new(&[], target()).await;
    let set = async |state| {
        crate::rules::set_state(&*bench.store, &Realm::default(), "r", None, state, Managed::Refuse).await.unwrap();
    };
    set(RuleState::Disabled).await;
    bench.happen(1).await;
    eventually(async || (bench.store.cursor("rules").await.unwrap() == 1).then_some(())).await;
    set(RuleState::Enabled).await;
    bench.happen(2).await;
    assert_eq!(bench.next().await.1.payload["detail"]["n"], json!(2));
}

struct Crowd {
    inside: AtomicUsize,
    most: AtomicUsize,
    arrived: mpsc::UnboundedSender<()>,
    gate: Semaphore,
}

#[async_trait]
impl Deliver for Arc<Crowd> {
    async fn deliver(&self, _: Delivery) -> Result<(), DeliveryError> {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(inside, Ordering::SeqCst);
        self.arrived.send(()).unwrap();
        self.gate.acquire().await.unwrap().forget();
        self.inside.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }
}

#[tokio::test]
async fn deliveries_at_a_time_are_bounded() {
    let store = Arc::new(SqliteStore::in_memory().await.unwrap());
    add_rule(&*store, target()).await;
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let crowd = Arc::new(Crowd { inside: 0.into(), most: 0.into(), arrived, gate: Semaphore::new(0) });
    let options = Options { concurrency: 3, ..Options::default() };
    let clock = Arc::new(ManualClock::at(START));
    let bus = Bus::new(store.clone(), Realm::default(), Arc::new(Arc::clone(&crowd)), clock, options);
    let cancel = CancellationToken::new();
    let bus = tokio::spawn(bus.run(cancel.clone()));
    let mut batch = Batch::new();
    for n in 0..20 {
        batch.event(event("s", "t", vec![], json!({"n": n}), START));
    }
    store.commit(batch).await.unwrap();
    for n in 0..20 {
        tokio::time::timeout(PATIENCE, arrivals.recv()).await.unwrap().unwrap();
        if n >= 2 {
            crowd.gate.add_permits(1);
        }
    }
    crowd.gate.add_permits(2);
    eventually(async || store.next_due(DELIVERIES).await.unwrap().is_none().then_some(())).await;
    assert_eq!(crowd.most.load(Ordering::SeqCst), 3);
    cancel.cancel();
    bus.await.unwrap();
}

#[tokio::test]
async fn dead_letters_are_bounded_and_the_newest_stay() {
    let store = Arc::new(SqliteStore::in_memory().await.unwrap());
    let clock = Arc::new(ManualClock::at(START));
    let (sender, _seen) = mpsc::unbounded_channel();
    let target = Target { tries: StdMutex::default(), seen: sender, clock: clock.clone() };
    let worker = Worker::new(store.clone(), Arc::new(target), clock, Options::default());
    let error = DeliveryError::Permanent { code: "X", reason: "y".into() };
    let total = DEAD_LETTERS_MAX + 5;
    for n in 1..=total {
        let id = JobId(n as u64);
        let job = Job { id, queue: DELIVERIES.into(), due: START, attempt: 0, created: START, body: json!({}) };
        worker.shared.bury(&job, None, &error, None).await.unwrap();
    }
    let records = store.records(DeadLetter::KIND, Select::default()).await.unwrap();
    assert_eq!(records.len(), DEAD_LETTERS_MAX);
    assert_eq!(records[0].id, format!("{:020}", 6));
    assert_eq!(records.last().unwrap().id, format!("{total:020}"));
}

#[tokio::test]
async fn a_job_that_cannot_be_read_does_not_block_the_queue() {
    let mut bench = Bench::new(&[], target()).await;
    let mut batch = Batch::new();
    batch.enqueue(DELIVERIES, START, START, json!({"written": "by another version"}));
    bench.store.commit(batch).await.unwrap();
    bench.happen(1).await;
    bench.next().await;
    bench.queue_is_empty().await;
    assert_eq!(bench.letters().await[0].error_code, "MALFORMED_DELIVERY");
}

proptest! {
    #[test]
    fn waits_grow_to_the_maximum_and_stay_there(attempt in 0_u32..200, random: u64) {
        let options = Options::default();
        let wait = back_off_ms(&options, attempt, random);
        let whole = (options.retry_ms_min << attempt.min(20)).min(options.retry_ms_max);
        prop_assert!(whole / 2 <= wait && wait <= whole, "{} ms after try {}", wait, attempt);
    }
}
