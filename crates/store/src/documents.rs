use crate::{Batch, Error, Record, Select, Store};
use headwater_model::{bucket, event, function, iam, ivs, poll, ssm};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A type that is stored as a record.
pub trait Document: Serialize + DeserializeOwned + Send + Sync {
    /// What sort of thing it is; part of the stored format.
    const KIND: &'static str;
    /// Unique among its kind.
    fn id(&self) -> String;
    /// What it belongs to, or empty.
    fn parent(&self) -> String {
        String::new()
    }
    /// Where it stands among those of its parent ([`crate::Order::GreatestRankFirst`]), if it has such a place.
    fn rank(&self) -> Option<i64> {
        None
    }
    /// What it can be found by besides ([`Select::label`]), written with it; `None` if its kind has no labels.
    fn labels(&self) -> Option<Vec<String>> {
        None
    }
}

/// A document with the revision that it was read at.
#[derive(Clone, Debug, PartialEq)]
pub struct Versioned<T> {
    /// The document.
    pub value: T,
    /// For [`Batch::update`].
    pub revision: u64,
}

fn decode<T: Document>(record: Record) -> Result<Versioned<T>, Error> {
    let Record { id, body, revision, .. } = record;
    match serde_json::from_value(body) {
        Ok(value) => Ok(Versioned { value, revision }),
        Err(source) => Err(Error::Document { kind: T::KIND.into(), id, source }),
    }
}

/// Reads one document with its revision.
///
/// # Errors
/// [`Error::Document`] if it has another shape; [`Error::Engine`].
pub async fn load<T: Document>(store: &dyn Store, id: &str) -> Result<Option<Versioned<T>>, Error> {
    store.record(T::KIND, id).await?.map(decode).transpose()
}

/// Reads one document.
///
/// # Errors
/// As [`load`].
pub async fn find<T: Document>(store: &dyn Store, id: &str) -> Result<Option<T>, Error> {
    Ok(load(store, id).await?.map(|versioned| versioned.value))
}

/// Reads documents of a kind, in the order asked for.
///
/// # Errors
/// As [`load`].
pub async fn list<T: Document>(store: &dyn Store, select: Select) -> Result<Vec<T>, Error> {
    let records = store.records(T::KIND, select).await?;
    records.into_iter().map(|record| decode(record).map(|versioned| versioned.value)).collect()
}

/// Changes a document by a function that may run more than once, until nobody else interferes. Returns the new form.
///
/// # Errors
/// [`Error::Missing`] if there is no such document; whatever `change` returns; [`Error::Engine`].
pub async fn update<T, E, F>(store: &dyn Store, id: &str, mut change: F) -> Result<T, E>
where
    T: Document,
    E: From<Error>,
    F: FnMut(&mut T) -> Result<(), E>,
{
    loop {
        let Some(mut versioned) = load::<T>(store, id).await? else {
            return Err(Error::Missing { kind: T::KIND.into(), id: id.into() }.into());
        };
        change(&mut versioned.value)?;
        let mut batch = Batch::new();
        batch.update(&versioned.value, versioned.revision)?;
        match store.commit(batch).await {
            Ok(_) => return Ok(versioned.value),
            Err(Error::Conflict { .. }) => continue,
            Err(error) => return Err(error.into()),
        }
    }
}

impl Document for ivs::Channel {
    const KIND: &'static str = "channel";
    fn id(&self) -> String {
        self.arn.clone()
    }
    fn labels(&self) -> Option<Vec<String>> {
        Some(self.labels())
    }
}

impl Document for ivs::StreamKey {
    const KIND: &'static str = "stream-key";
    fn id(&self) -> String {
        self.arn.clone()
    }
    fn parent(&self) -> String {
        self.channel_arn.clone()
    }
}

impl Document for ivs::StreamSession {
    const KIND: &'static str = "stream-session";
    fn id(&self) -> String {
        self.stream_id.clone()
    }
    fn parent(&self) -> String {
        self.channel.arn.clone()
    }
    fn rank(&self) -> Option<i64> {
        Some(self.start_time.0)
    }
    fn labels(&self) -> Option<Vec<String>> {
        Some(self.labels())
    }
}

impl Document for ivs::PlaybackKeyPair {
    const KIND: &'static str = "playback-key";
    fn id(&self) -> String {
        self.arn.clone()
    }
    fn labels(&self) -> Option<Vec<String>> {
        Some(vec![self.label()])
    }
}

impl Document for ivs::PlaybackRestrictionPolicy {
    const KIND: &'static str = "playback-restriction-policy";
    fn id(&self) -> String {
        self.arn.clone()
    }
}

impl Document for ivs::RecordingConfiguration {
    const KIND: &'static str = "recording-configuration";
    fn id(&self) -> String {
        self.arn.clone()
    }
}

impl Document for ivs::AdConfiguration {
    const KIND: &'static str = "ad-configuration";
    fn id(&self) -> String {
        self.arn.clone()
    }
}

impl Document for ivs::FailoverSlate {
    const KIND: &'static str = "failover-slate-configuration";
    fn id(&self) -> String {
        self.arn.clone()
    }
}

impl Document for ivs::ViewerRevocation {
    const KIND: &'static str = "viewer-revocation";
    /// `CHANNEL-ARN/VIEWER-ID`: all ARNs of channels have as many slashes, so the two cannot be confused.
    fn id(&self) -> String {
        ivs::ViewerRevocation::record_id(&self.channel_arn, &self.viewer_id)
    }
    fn parent(&self) -> String {
        self.channel_arn.clone()
    }
}

impl Document for event::Rule {
    const KIND: &'static str = "rule";
    fn id(&self) -> String {
        self.name.clone()
    }
}

impl Document for iam::Role {
    const KIND: &'static str = "role";
    fn id(&self) -> String {
        self.name.clone()
    }
}

impl Document for iam::AccessKey {
    const KIND: &'static str = "access-key";
    fn id(&self) -> String {
        self.access_key_id.clone()
    }
}

impl Document for function::Function {
    const KIND: &'static str = "function";
    fn id(&self) -> String {
        self.name.clone()
    }
}

impl Document for bucket::Bucket {
    const KIND: &'static str = "bucket";
    fn id(&self) -> String {
        self.name.clone()
    }
}

impl Document for bucket::Object {
    const KIND: &'static str = "object";
    /// `BUCKET/KEY`: a bucket's name has no slash, so the two cannot be confused.
    fn id(&self) -> String {
        format!("{}/{}", self.bucket, self.key)
    }
    fn parent(&self) -> String {
        self.bucket.clone()
    }
}

impl Document for ssm::Parameter {
    const KIND: &'static str = "parameter";
    fn id(&self) -> String {
        self.name.clone()
    }
}

impl Document for poll::Poll {
    const KIND: &'static str = "poll";
    fn id(&self) -> String {
        self.id.clone()
    }
    fn parent(&self) -> String {
        self.channel_arn.clone()
    }
}

impl Document for poll::OpenPoll {
    const KIND: &'static str = "open-poll";
    fn id(&self) -> String {
        self.channel_arn.clone()
    }
}
