//! What operations read and what they lose: nothing, however many channels and callers there are.

use super::*;
use crate::testing::bench_with;
use async_trait::async_trait;
use headwater_model::event::Event;
use headwater_model::ivs::{Channel, Quotas, RecordingConfiguration, StreamSession};
use headwater_model::poll::Answer;
use headwater_store::{
    Batch as Writes, Committed, Error as StoreError, Job, LogLine, LogSelect, Record, Select, Store, Topic,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::watch;

/// A store that counts the records that it gives.
struct Counting {
    inner: Arc<dyn Store>,
    given: AtomicUsize,
}

impl Counting {
    /// Records given since the last call.
    fn take(&self) -> usize {
        self.given.swap(0, Ordering::Relaxed)
    }
}

#[async_trait]
impl Store for Counting {
    async fn commit(&self, batch: Writes) -> Result<Committed, StoreError> {
        self.inner.commit(batch).await
    }
    async fn record(&self, kind: &str, id: &str) -> Result<Option<Record>, StoreError> {
        self.given.fetch_add(1, Ordering::Relaxed);
        self.inner.record(kind, id).await
    }
    async fn records(&self, kind: &str, select: Select) -> Result<Vec<Record>, StoreError> {
        let records = self.inner.records(kind, select).await?;
        self.given.fetch_add(records.len(), Ordering::Relaxed);
        Ok(records)
    }
    async fn events(&self, after: u64, limit: u32) -> Result<Vec<(u64, Event)>, StoreError> {
        self.inner.events(after, limit).await
    }
    async fn last_event(&self) -> Result<u64, StoreError> {
        self.inner.last_event().await
    }
    async fn cursor(&self, name: &str) -> Result<u64, StoreError> {
        self.inner.cursor(name).await
    }
    async fn due_jobs(&self, queue: &str, now: Timestamp, limit: u32) -> Result<Vec<Job>, StoreError> {
        self.inner.due_jobs(queue, now, limit).await
    }
    async fn next_due(&self, queue: &str) -> Result<Option<Timestamp>, StoreError> {
        self.inner.next_due(queue).await
    }
    async fn log_lines(&self, group: &str, select: LogSelect) -> Result<Vec<(u64, LogLine)>, StoreError> {
        self.inner.log_lines(group, select).await
    }
    async fn log_groups(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.inner.log_groups(prefix).await
    }
    async fn log_streams(&self, group: &str) -> Result<Vec<(String, Timestamp, Timestamp)>, StoreError> {
        self.inner.log_streams(group).await
    }
    async fn answer(&self, poll: &str, viewer: &str) -> Result<Option<Answer>, StoreError> {
        self.inner.answer(poll, viewer).await
    }
    async fn tally(&self, poll: &str) -> Result<Vec<(u32, u64)>, StoreError> {
        self.inner.tally(poll).await
    }
    async fn answers(&self, poll: &str, skip: u64, limit: u32) -> Result<Vec<Answer>, StoreError> {
        self.inner.answers(poll, skip, limit).await
    }
    fn watch(&self, topic: Topic) -> watch::Receiver<u64> {
        self.inner.watch(topic)
    }
}

/// The quota's number of channels, of which every tenth has a name of its own.
async fn fill(store: &dyn Store, count: usize) {
    let realm = headwater_model::Realm::default();
    for start in (0..count).step_by(500) {
        let mut batch = Writes::new();
        for index in start..(start + 500).min(count) {
            let name = if index % 10 == 0 { format!("own-{index}") } else { "common".into() };
            batch.insert(&Channel::new(&realm, name, NOW)).unwrap();
        }
        store.commit(batch).await.unwrap();
    }
}

#[tokio::test]
async fn no_operation_reads_more_channels_than_it_answers_with() {
    let inner: Arc<dyn Store> = Arc::new(headwater_store::SqliteStore::in_memory().await.unwrap());
    let counting = Arc::new(Counting { inner: Arc::clone(&inner), given: AtomicUsize::new(0) });
    fill(&*inner, 4_999).await;
    let bench = crate::testing::bench_over(counting.clone(), Quotas::default()).await;
    counting.take();
    let (channel, _) = create_channel(&bench.control, &named("last"), Tags::new(), NOW).await.unwrap();
    assert_eq!(counting.take(), 0, "making a channel reads none");
    let full = create_channel(&bench.control, &Settings::default(), Tags::new(), NOW).await;
    assert!(matches!(full, Err(Error::QuotaExceeded { quota: "channels", limit: 5_000 })));
    assert_eq!(counting.take(), 0, "nor does the quota");
    for (filter, found) in [("own-4990", 1), ("common", 100), ("none", 0), ("last", 1)] {
        let filter = Filter { name: Some(filter.into()), ..Filter::default() };
        let page = list_channels(&bench.control, &filter, &PageRequest::default()).await.unwrap();
        assert_eq!(page.items.len(), found);
        assert!(counting.take() <= found + 1, "{filter:?}");
    }
    let page = list_channels(&bench.control, &Filter::default(), &PageRequest::default()).await.unwrap();
    assert_eq!((page.items.len(), page.next_token.is_some(), counting.take()), (100, true, 101));
    delete_channel(&bench.control, &channel.arn).await.unwrap();
    assert!(counting.take() <= 2, "the channel and its key");
}

/// Sessions of channels that take turns, each of which began a second after the one before.
async fn fill_sessions(store: &dyn Store, channels: &[Channel], count: usize) {
    for start in (0..count).step_by(500) {
        let mut batch = Writes::new();
        for index in start..(start + 500).min(count) {
            let channel = channels[index % channels.len()].clone();
            let start_time = NOW.plus_ms(index as i64 * 1000);
            batch.insert(&StreamSession::new(channel, format!("st-{:023}", count - index), start_time)).unwrap();
        }
        store.commit(batch).await.unwrap();
    }
}

#[tokio::test]
async fn no_operation_reads_more_sessions_than_it_answers_with() {
    let inner: Arc<dyn Store> = Arc::new(headwater_store::SqliteStore::in_memory().await.unwrap());
    let counting = Arc::new(Counting { inner: Arc::clone(&inner), given: AtomicUsize::new(0) });
    let realm = headwater_model::Realm::default();
    let channels: Vec<_> = ["a", "b", "c"].map(|name| Channel::new(&realm, name, NOW)).into();
    fill_sessions(&*inner, &channels, 1_000).await;
    let bench = crate::testing::bench_over(counting.clone(), Quotas::default()).await;
    counting.take();
    let newest = streams::stream_session(&bench.control, &channels[1].arn, None).await.unwrap();
    assert_eq!((newest.start_time, counting.take()), (NOW.plus_ms(997_000), 1));
    let (mut listed, mut next_token, mut pages) = (Vec::new(), None, 0);
    loop {
        let request = PageRequest { max_results: Some(50), next_token };
        let page = streams::list_stream_sessions(&bench.control, &channels[1].arn, &request).await.unwrap();
        assert!(counting.take() <= page.items.len() + 1);
        listed.extend(page.items.into_iter().map(|session| session.start_time));
        pages += 1;
        next_token = page.next_token;
        if next_token.is_none() {
            break;
        }
    }
    let expected: Vec<_> = (0..1_000).rev().filter(|index| index % 3 == 1).collect();
    assert_eq!(listed, expected.iter().map(|index| NOW.plus_ms(index * 1000)).collect::<Vec<_>>());
    assert_eq!((pages, listed.len()), (7, 333));
}

/// Prints how long the calls about sessions take with so many channels (`BENCH_CHANNELS`, else 500), ten times the sessions, a tenth of
/// them of one channel. `docs/benchmarks.md` has the figures for the default quota of 5,000.
#[tokio::test]
async fn sessions_of_many_channels_are_found_page_by_page() {
    let count = std::env::var("BENCH_CHANNELS").map_or(500, |count| count.parse().expect("a number"));
    let store: Arc<dyn Store> = Arc::new(headwater_store::SqliteStore::in_memory().await.unwrap());
    let realm = headwater_model::Realm::default();
    let channels: Vec<_> = (0..count).map(|n| Channel::new(&realm, format!("c{n}"), NOW)).collect();
    fill_sessions(&*store, &channels, 9 * count).await;
    let busy = [Channel::new(&realm, "busy", NOW)];
    let mut batch = Writes::new();
    for index in 0..count {
        let start = NOW.plus_ms(i64::try_from(index).unwrap());
        batch.insert(&StreamSession::new(busy[0].clone(), format!("st-x{index:022}"), start)).unwrap();
    }
    store.commit(batch).await.unwrap();
    let bench = crate::testing::bench_over(store, Quotas::default()).await;
    for (sessions, arn) in [(9, &channels[count / 2].arn), (count, &busy[0].arn)] {
        let began = std::time::Instant::now();
        for _ in 0..200 {
            let latest = streams::stream_session(&bench.control, arn, None).await.unwrap();
            assert_eq!(latest.channel.arn, *arn);
        }
        let latest = began.elapsed() / 200;
        let began = std::time::Instant::now();
        let (mut request, mut pages, mut listed) = (PageRequest::default(), 0, 0);
        loop {
            let page = streams::list_stream_sessions(&bench.control, arn, &request).await.unwrap();
            pages += 1;
            listed += page.items.len();
            request.next_token = page.next_token;
            if request.next_token.is_none() {
                break;
            }
        }
        assert_eq!(listed, sessions);
        println!(
            "a channel of {sessions} sessions: the latest {latest:?}, a page {:?} ({pages} pages)",
            began.elapsed() / pages
        );
    }
}

#[tokio::test]
async fn a_channel_is_read_once_for_many_calls_about_its_stream_and_anew_when_it_changes() {
    let inner: Arc<dyn Store> = Arc::new(headwater_store::SqliteStore::in_memory().await.unwrap());
    let counting = Arc::new(Counting { inner: Arc::clone(&inner), given: AtomicUsize::new(0) });
    let bench = crate::testing::bench_over(counting.clone(), Quotas::default()).await;
    let (channel, _) = create_channel(&bench.control, &named("a"), Tags::new(), NOW).await.unwrap();
    bench.broadcasts.go_live(&channel);
    counting.take();
    for _ in 0..10 {
        streams::stream(&bench.control, &channel.arn).await.unwrap();
        super::super::channel(&bench.control, &channel.arn).await.unwrap();
    }
    assert_eq!(counting.take(), 1);
    tags::tag(&bench.control, &channel.arn, &Tags::from([("k".into(), "v".into())])).await.unwrap();
    let (changed, _) = streams::stream(&bench.control, &channel.arn).await.unwrap();
    assert_eq!(changed.tags.len(), 1);
    bench.broadcasts.live.lock().unwrap().clear();
    delete_channel(&bench.control, &channel.arn).await.unwrap();
    let gone = super::super::channel(&bench.control, &channel.arn).await;
    assert!(matches!(gone, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn changes_made_at_once_do_not_lose_one_another() {
    let bench = bench().await;
    let (channel, _) = create_channel(&bench.control, &named("a"), Tags::new(), NOW).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..40 {
        let (control, arn) = (bench.control.clone(), channel.arn.clone());
        tasks.spawn(async move {
            match index % 2 {
                0 => tags::tag(&control, &arn, &Tags::from([(format!("t{index}"), String::new())])).await.unwrap(),
                _ => drop(update_channel(&control, &arn, &named(&format!("n{index}"))).await.unwrap()),
            }
        });
    }
    tasks.join_all().await;
    let changed = super::super::channel(&bench.control, &channel.arn).await.unwrap();
    assert_eq!(changed.tags.len(), 20, "every tag is there");
    assert!(changed.name.starts_with('n'));
    let by_name = Filter { name: Some(changed.name.clone()), ..Filter::default() };
    let page = list_channels(&bench.control, &by_name, &PageRequest::default()).await.unwrap();
    assert_eq!(page.items.len(), 1, "it is found by its newest name");
    let old = Filter { name: Some("a".into()), ..Filter::default() };
    assert_eq!(list_channels(&bench.control, &old, &PageRequest::default()).await.unwrap().items, []);
}

#[tokio::test]
async fn a_quota_holds_also_of_what_is_made_at_once() {
    let bench = bench_with(Quotas { channels: 7, ..Quotas::default() }).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let control = bench.control.clone();
        tasks.spawn(async move { create_channel(&control, &Settings::default(), Tags::new(), NOW).await.is_ok() });
    }
    assert_eq!(tasks.join_all().await.into_iter().filter(|made| *made).count(), 7);
    let page = list_channels(&bench.control, &Filter::default(), &PageRequest::default()).await.unwrap();
    delete_channel(&bench.control, &page.items[0].arn).await.unwrap();
    create_channel(&bench.control, &Settings::default(), Tags::new(), NOW).await.unwrap();
}

#[tokio::test]
async fn no_channel_ever_refers_to_what_was_deleted() {
    let bench = bench().await;
    for _ in 0..10 {
        let settings = recording::Settings { bucket: "some-bucket".into(), ..Default::default() };
        let made = recording::create(&bench.control, settings, Tags::new(), Identity::Fresh, NOW).await.unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for index in 0..6 {
            let (control, arn) = (bench.control.clone(), made.arn.clone());
            tasks.spawn(async move {
                match index {
                    3 => resource::delete::<RecordingConfiguration>(&control, &arn).await.is_ok(),
                    _ => {
                        let settings = Settings { recording_configuration_arn: Some(arn), ..Settings::default() };
                        create_channel(&control, &settings, Tags::new(), NOW).await.is_ok()
                    }
                }
            });
        }
        tasks.join_all().await;
        let by_reference = Filter { recording_configuration_arn: Some(made.arn.clone()), ..Filter::default() };
        let users = list_channels(&bench.control, &by_reference, &PageRequest::default()).await.unwrap().items;
        let standing = resource::get::<RecordingConfiguration>(&bench.control, &made.arn).await.is_ok();
        assert_eq!(standing, !users.is_empty());
    }
}
