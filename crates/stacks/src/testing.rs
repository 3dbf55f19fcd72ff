//! For tests: a store in memory that can break off at any commit, and a world of things that a provider makes.

use crate::provider::{Current, Made, Provider, ProviderError, Registry, Request, Updated};
use crate::schema::{Case, Kind, Property, Schema};
use async_trait::async_trait;
use headwater_model::Timestamp;
use headwater_model::event::Event;
use headwater_model::poll::Answer;
use headwater_store::{
    Batch, Committed, Error, Expect, Job, JobId, LogLine, LogSelect, Record, Select, Store, Topic, Write,
};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, watch};

/// When a commit that is one too many breaks off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    /// Nothing of it is stored.
    Before,
    /// All of it is stored, and its caller never learns of it.
    After,
}

#[derive(Default)]
struct State {
    records: BTreeMap<(String, String), Record>,
    jobs: BTreeMap<u64, Job>,
    last_job: u64,
    commits_left: Option<(usize, Break)>,
    watches: HashMap<Topic, watch::Sender<u64>>,
}

/// Records and jobs in memory.
#[derive(Clone, Default)]
pub(crate) struct MemoryStore {
    state: Arc<Mutex<State>>,
    pub(crate) broken: Arc<Notify>,
}

impl MemoryStore {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After so many commits the next one never returns.
    pub(crate) fn break_after(&self, commits: usize, when: Break) {
        self.state().commits_left = Some((commits, when));
    }

    pub(crate) fn mend(&self) {
        self.state().commits_left = None;
    }

    pub(crate) fn jobs(&self) -> usize {
        self.state().jobs.len()
    }

    pub(crate) fn count(&self, kind: &str) -> usize {
        self.state().records.keys().filter(|(other, _)| other == kind).count()
    }
}

fn apply(state: &mut State, batch: Batch) -> Result<Committed, Error> {
    let mut records = state.records.clone();
    let mut committed = Committed::default();
    for write in &batch.writes {
        match write {
            Write::Put(record, expect) => {
                let key = (record.kind.clone(), record.id.clone());
                let (kind, id) = key.clone();
                let standing = records.get(&key).map(|record| record.revision);
                match (expect, standing) {
                    (Expect::Absent, Some(_)) => return Err(Error::Exists { kind, id }),
                    (Expect::Revision(_), None) => return Err(Error::Missing { kind, id }),
                    (Expect::Revision(expected), Some(revision)) if *expected != revision => {
                        return Err(Error::Conflict { kind, id });
                    }
                    _ => {}
                }
                records.insert(key, Record { revision: standing.unwrap_or(0) + 1, ..record.clone() });
            }
            Write::Delete { kind, id, .. } => {
                records.remove(&(kind.clone(), id.clone()));
            }
            _ => {}
        }
    }
    state.records = records;
    let mut topics = Vec::new();
    for write in batch.writes {
        match write {
            Write::Put(Record { kind, .. }, _) | Write::Delete { kind, .. } => topics.push(Topic::Kind(kind)),
            Write::Enqueue(mut job) => {
                state.last_job += 1;
                job.id = JobId(state.last_job);
                committed.jobs.push(job.id);
                topics.push(Topic::Queue(job.queue.clone()));
                state.jobs.insert(state.last_job, job);
            }
            Write::Complete(id) => {
                state.jobs.remove(&id.0);
            }
            Write::Reschedule { id, due, attempt, .. } => {
                if let Some(job) = state.jobs.get_mut(&id.0) {
                    job.due = due;
                    job.attempt = attempt;
                    topics.push(Topic::Queue(job.queue.clone()));
                }
            }
            _ => {}
        }
    }
    for topic in topics {
        if let Some(sender) = state.watches.get(&topic) {
            sender.send_modify(|number| *number += 1);
        }
    }
    Ok(committed)
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, batch: Batch) -> Result<Committed, Error> {
        let breaks = {
            let mut state = self.state();
            match &mut state.commits_left {
                None => None,
                Some((0, when)) => Some(*when),
                Some((left, _)) => {
                    *left -= 1;
                    None
                }
            }
        };
        match breaks {
            None => apply(&mut self.state(), batch),
            Some(when) => {
                if when == Break::After {
                    // Only the first one; what comes after the end of the process is nothing.
                    let mut state = self.state();
                    state.commits_left = Some((0, Break::Before));
                    let _ = apply(&mut state, batch);
                }
                self.broken.notify_one();
                std::future::pending().await
            }
        }
    }

    async fn record(&self, kind: &str, id: &str) -> Result<Option<Record>, Error> {
        Ok(self.state().records.get(&(kind.to_owned(), id.to_owned())).cloned())
    }

    async fn records(&self, kind: &str, select: Select) -> Result<Vec<Record>, Error> {
        let state = self.state();
        let of_kind = state.records.values().filter(|record| record.kind == kind);
        let of_parent = of_kind.filter(|record| select.parent.as_ref().is_none_or(|parent| record.parent == *parent));
        Ok(of_parent.cloned().collect())
    }

    async fn events(&self, _: u64, _: u32) -> Result<Vec<(u64, Event)>, Error> {
        Ok(Vec::new())
    }

    async fn last_event(&self) -> Result<u64, Error> {
        Ok(0)
    }

    async fn cursor(&self, _: &str) -> Result<u64, Error> {
        Ok(0)
    }

    async fn due_jobs(&self, queue: &str, now: Timestamp, limit: u32) -> Result<Vec<Job>, Error> {
        let state = self.state();
        let due = state.jobs.values().filter(|job| job.queue == queue && job.due <= now);
        Ok(due.take(limit as usize).cloned().collect())
    }

    async fn next_due(&self, queue: &str) -> Result<Option<Timestamp>, Error> {
        Ok(self.state().jobs.values().filter(|job| job.queue == queue).map(|job| job.due).min())
    }

    async fn log_lines(&self, _: &str, _: LogSelect) -> Result<Vec<(u64, LogLine)>, Error> {
        Ok(Vec::new())
    }

    async fn log_groups(&self, _: &str) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }

    async fn log_streams(&self, _: &str) -> Result<Vec<(String, Timestamp, Timestamp)>, Error> {
        Ok(Vec::new())
    }

    async fn answer(&self, _: &str, _: &str) -> Result<Option<Answer>, Error> {
        Ok(None)
    }

    async fn tally(&self, _: &str) -> Result<Vec<(u32, u64)>, Error> {
        Ok(Vec::new())
    }

    async fn answers(&self, _: &str, _: u64, _: u32) -> Result<Vec<Answer>, Error> {
        Ok(Vec::new())
    }

    fn watch(&self, topic: Topic) -> watch::Receiver<u64> {
        self.state().watches.entry(topic).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }
}

/// Something that a provider made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Thing {
    pub(crate) logical_id: String,
    pub(crate) token: String,
    pub(crate) properties: Value,
}

#[derive(Default)]
struct Things {
    by_id: BTreeMap<String, Thing>,
    made: u64,
    calls: Vec<String>,
    now: usize,
    most: usize,
}

/// Everything that providers made. It lives on when an engine ends.
#[derive(Clone, Default)]
pub(crate) struct World(Arc<Mutex<Things>>);

impl World {
    fn things(&self) -> std::sync::MutexGuard<'_, Things> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.things().by_id.keys().cloned().collect()
    }

    pub(crate) fn of(&self, logical_id: &str) -> Option<(String, Thing)> {
        let things = self.things();
        let mut found = things.by_id.iter().filter(|(_, thing)| thing.logical_id == logical_id);
        let first = found.next().map(|(id, thing)| (id.clone(), thing.clone()));
        assert!(found.next().is_none(), "two things for {logical_id}");
        first
    }

    pub(crate) fn values(&self) -> BTreeMap<String, Value> {
        let things = self.things();
        things.by_id.values().map(|thing| (thing.logical_id.clone(), thing.properties["Value"].clone())).collect()
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.things().calls.clone()
    }

    pub(crate) fn most_at_once(&self) -> usize {
        self.things().most
    }

    pub(crate) fn registry(&self) -> Registry {
        let text = |name| Property::new(name, Kind::Text);
        let thing = Schema::new("Test::Thing")
            .named("Name", 40, Case::Kept)
            .property(text("Name").replaces())
            .property(text("Value"))
            .property(text("Kind").replaces())
            .property(Property::new("Count", Kind::Integer { min: 1, max: 10 }))
            .property(Property::new("On", Kind::Flag))
            .property(Property::new("Mode", Kind::OneOf(&["FAST", "SLOW"])))
            .property(Property::new("Items", Kind::list(Kind::Text)))
            .property(Property::new("Tags", Kind::tags()))
            .property(Property::new("Document", Kind::Json))
            // What the provider does instead: `create`, `update`, `delete`, `wait`, `leave`, `move`.
            .property(text("Does"))
            .attributes(&["Arn", "Secret"]);
        let strict = Schema::new("Test::Strict")
            .property(Property::new("Owner", Kind::Text).required().replaces())
            .property(text("Value"));
        let role = Schema::new("Test::Role")
            .named("RoleName", 64, Case::Kept)
            .property(text("RoleName").replaces())
            .needs_iam();
        let custom = Schema::new("Custom::*").property(Property::new("ServiceToken", Kind::Text).required()).open();
        let provider = |schema| Recorder { schema, world: self.clone() };
        Registry::new()
            .with(provider(thing))
            .with(provider(strict))
            .with(provider(role))
            .with_prefix("Custom::", provider(custom))
    }
}

struct Recorder {
    schema: Schema,
    world: World,
}

/// Counts calls in flight, also those that are broken off.
struct InFlight(World);

impl InFlight {
    fn new(world: &World) -> Self {
        let mut things = world.things();
        things.now += 1;
        things.most = things.most.max(things.now);
        InFlight(world.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.things().now -= 1;
    }
}

impl Recorder {
    fn made(&self, id: &str) -> Made {
        let attributes = Map::from_iter([
            ("Arn".to_owned(), json!(format!("arn:{id}"))),
            ("Secret".to_owned(), json!(format!("secret-of-{id}"))),
        ]);
        Made { physical_id: id.to_owned(), attributes }
    }

    fn find(&self, current: &Current) -> Option<String> {
        let things = self.world.things();
        match &current.physical_id {
            Some(id) => things.by_id.contains_key(id).then(|| id.clone()),
            None => things.by_id.iter().find(|(_, thing)| thing.token == current.token).map(|(id, _)| id.clone()),
        }
    }

    async fn begin(&self, verb: &str, request: &Request) -> Result<InFlight, ProviderError> {
        let in_flight = InFlight::new(&self.world);
        self.world.things().calls.push(format!("{verb} {}", request.logical_id));
        tokio::task::yield_now().await;
        match request.properties["Does"].as_str() {
            Some("wait") if verb == "create" => std::future::pending().await,
            Some(does) if does == verb => Err(ProviderError::new(format!("{verb} went wrong"))),
            _ => Ok(in_flight),
        }
    }
}

#[async_trait]
impl Provider for Recorder {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    async fn create(&self, request: Request) -> Result<Made, ProviderError> {
        let _in_flight = self.begin("create", &request).await?;
        let id = {
            let mut things = self.world.things();
            let standing = things.by_id.iter().find(|(_, thing)| thing.token == request.token);
            match standing.map(|(id, _)| id.clone()) {
                Some(id) => id,
                None => {
                    things.made += 1;
                    let number = things.made;
                    let given = self.schema.naming.property.and_then(|name| request.properties[name].as_str());
                    let id = given.map_or_else(|| format!("id-{number}"), str::to_owned);
                    if things.by_id.contains_key(&id) {
                        return Err(ProviderError::new(format!("{id} exists")));
                    }
                    let thing = Thing {
                        logical_id: request.logical_id.clone(),
                        token: request.token.clone(),
                        properties: request.properties.clone(),
                    };
                    things.by_id.insert(id.clone(), thing);
                    id
                }
            }
        };
        tokio::task::yield_now().await;
        match request.properties["Does"].as_str() {
            Some("leave") => Err(ProviderError::leaving("made half", id)),
            Some("wait-after") => std::future::pending().await,
            _ => Ok(self.made(&id)),
        }
    }

    async fn update(&self, request: Request, current: Current) -> Result<Updated, ProviderError> {
        let _in_flight = self.begin("update", &request).await?;
        let id = self.find(&current).ok_or_else(|| ProviderError::new("gone"))?;
        if request.properties["Does"] == "move" && !request.token.ends_with("restore") {
            let moved = format!("{id}-moved");
            let thing = Thing {
                logical_id: format!("{}-moved", request.logical_id),
                token: current.token.clone(),
                properties: request.properties.clone(),
            };
            self.world.things().by_id.insert(moved.clone(), thing);
            return Ok(Updated::InPlace(self.made(&moved)));
        }
        if request.properties["Does"] == "replace" {
            return Ok(Updated::Replace);
        }
        if let Some(thing) = self.world.things().by_id.get_mut(&id) {
            thing.properties = request.properties.clone();
        }
        tokio::task::yield_now().await;
        match request.properties["Does"].as_str() {
            Some("half-update") => Err(ProviderError::new("changed half")),
            _ => Ok(Updated::InPlace(self.made(&id))),
        }
    }

    async fn delete(&self, request: Request, current: Current) -> Result<(), ProviderError> {
        let _in_flight = self.begin("delete", &request).await?;
        if let Some(id) = self.find(&current) {
            self.world.things().by_id.remove(&id);
        }
        tokio::task::yield_now().await;
        Ok(())
    }
}
