//! Stream keys: made, read, listed, deleted, and found by what an encoder shows.

use super::resource::{self, check_arn, one_more};
use super::{Batch as BatchGot, Listing, Page, PageRequest, batch_get, channel, tags};
use crate::{Control, Error};
use headwater_model::Timestamp;
use headwater_model::ivs::{Channel, ClientKey, Shown, StreamKey, Tags};
use headwater_store::{Batch, Document, Select, load};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Most keys of a page (model, `MaxStreamKeyResults`).
const LISTED_MAX: usize = 50;
/// Longest text that is looked up as a stream key; ours have fewer than 50 characters.
const VALUE_LENGTH_MAX: usize = 256;

/// Finds a key by its value without reading every key: the record's id is the value's hash, so neither an index nor a
/// log of its ids holds a value, and how long a look-up takes says nothing of how near a guess is.
#[derive(Serialize, Deserialize)]
struct ByValue {
    /// Lowercase hex SHA-256 of the value.
    hash: String,
    key_arn: String,
}

impl Document for ByValue {
    const KIND: &'static str = "stream-key-by-value";
    fn id(&self) -> String {
        self.hash.clone()
    }
    fn parent(&self) -> String {
        self.key_arn.clone()
    }
}

fn hash(value: &str) -> String {
    hex::encode(Sha256::digest(value.as_bytes()))
}

/// Adds a new key to a batch.
pub(super) fn insert(batch: &mut Batch, key: &StreamKey) -> Result<(), Error> {
    batch.insert(key)?;
    batch.insert(&ByValue { hash: hash(key.value.expose()), key_arn: key.arn.clone() })?;
    Ok(())
}

/// Adds a key's removal to a batch.
pub(super) fn remove(batch: &mut Batch, key: &StreamKey) {
    batch.delete::<ByValue>(&hash(key.value.expose()));
    batch.delete::<StreamKey>(&key.arn);
}

/// Keys of a channel.
pub(super) async fn of_channel(control: &Control, channel_arn: &str) -> Result<Vec<StreamKey>, Error> {
    let select = Select { parent: Some(channel_arn.into()), ..Select::default() };
    Ok(headwater_store::list(control.store(), select).await?)
}

/// What a key opens, and what was shown by it.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// The channel.
    pub channel: Channel,
    /// Whether it is the stream key or one that was made of it.
    pub shown: Shown,
}

/// The channel that a text opens, if it is a stream key or the key of a configuration ([`super::client_configuration`]).
///
/// # Errors
/// [`Error::Store`].
pub async fn resolve_key(control: &Control, value: &str, now: Timestamp) -> Result<Option<Opened>, Error> {
    if let Some(client_key) = ClientKey::parse(value) {
        return resolve_client_key(control, &client_key, now).await;
    }
    let Some(key) = by_value(control, value).await? else { return Ok(None) };
    let channel = headwater_store::find(control.store(), &key.channel_arn).await?;
    Ok(channel.map(|channel| Opened { channel, shown: Shown::StreamKey }))
}

/// The stream key with this value.
pub(super) async fn by_value(control: &Control, value: &str) -> Result<Option<StreamKey>, Error> {
    if value.len() > VALUE_LENGTH_MAX {
        return Ok(None);
    }
    let store = control.store();
    let Some(found) = headwater_store::find::<ByValue>(store, &hash(value)).await? else { return Ok(None) };
    let key = headwater_store::find::<StreamKey>(store, &found.key_arn).await?;
    Ok(key.filter(|key| key.value.matches(value)))
}

/// With its stream key gone nobody can check it, so it opens nothing any more.
async fn resolve_client_key(
    control: &Control,
    client_key: &ClientKey<'_>,
    now: Timestamp,
) -> Result<Option<Opened>, Error> {
    let arn = control.realm().ivs_arn(StreamKey::KIND, client_key.stream_key_id());
    let Some(key) = headwater_store::find::<StreamKey>(control.store(), &arn).await? else { return Ok(None) };
    let Some(configuration) = client_key.open(&key) else { return Ok(None) };
    let channel = headwater_store::find(control.store(), &key.channel_arn).await?;
    let is_over = now >= configuration.expires_at;
    let shown = if is_over { Shown::Expired } else { Shown::Configured(configuration) };
    Ok(channel.map(|channel| Opened { channel, shown }))
}

/// Makes a key for a channel that has none.
///
/// # Errors
/// [`Error::QuotaExceeded`] if it has one; [`Error::NotFound`]; [`Error::Invalid`]; [`Error::Store`].
pub async fn create_stream_key(
    control: &Control,
    channel_arn: &str,
    tags: Tags,
    now: Timestamp,
) -> Result<StreamKey, Error> {
    let key = StreamKey::new(control.realm(), channel_arn, now);
    add_stream_key(control, key, tags).await
}

/// Makes a key under an id that its maker chose; made again under it, it is the first one. For stacks, whose creates
/// are repeated after a crash.
pub(crate) async fn create_stream_key_as(
    control: &Control,
    id: &str,
    channel_arn: &str,
    tags: Tags,
    now: Timestamp,
) -> Result<StreamKey, Error> {
    let arn = control.realm().ivs_arn("stream-key", id);
    if let Some(standing) = headwater_store::find::<StreamKey>(control.store(), &arn).await? {
        return Ok(standing);
    }
    let key = StreamKey { id: id.into(), arn, ..StreamKey::new(control.realm(), channel_arn, now) };
    add_stream_key(control, key, tags).await
}

async fn add_stream_key(control: &Control, mut key: StreamKey, tags: Tags) -> Result<StreamKey, Error> {
    let channel_arn = key.channel_arn.clone();
    let channel_arn = channel_arn.as_str();
    check_arn(channel_arn, "channel")?;
    tags::check(&tags)?;
    key.tags = tags;
    loop {
        let Some(channel) = load::<Channel>(control.store(), channel_arn).await? else {
            return Err(Error::not_found("channel", channel_arn));
        };
        let limit = control.quotas().stream_keys_per_channel;
        if of_channel(control, channel_arn).await?.len() as u64 >= limit {
            return Err(Error::QuotaExceeded { quota: "stream keys per channel", limit });
        }
        let mut batch = Batch::new();
        // The channel is written again so that of two keys made at once, and of a key and the channel's deletion, one
        // fails and looks again.
        batch.update(&channel.value, channel.revision)?;
        insert(&mut batch, &key)?;
        match control.store().commit(batch).await {
            Ok(_) => return Ok(key),
            Err(headwater_store::Error::Conflict { .. } | headwater_store::Error::Missing { .. }) => continue,
            Err(error) => return Err(error.into()),
        }
    }
}

/// The key with this ARN.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`]; [`Error::Store`].
pub async fn stream_key(control: &Control, arn: &str) -> Result<StreamKey, Error> {
    resource::get(control, arn).await
}

/// The keys with these ARNs.
///
/// # Errors
/// [`Error::Invalid`] if there are none or more than [`super::BATCH_MAX`], or one is no key's ARN; [`Error::Store`].
pub async fn batch_get_stream_key(control: &Control, arns: &[String]) -> Result<BatchGot<StreamKey>, Error> {
    batch_get(control, arns).await
}

/// Keys of a channel in ascending order of their ARNs; one in a page unless asked otherwise.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`]; [`Error::Store`].
pub async fn list_stream_keys(
    control: &Control,
    channel_arn: &str,
    request: &PageRequest,
) -> Result<Page<StreamKey>, Error> {
    channel(control, channel_arn).await?;
    let size = request.size(1, LISTED_MAX)?;
    let listing = Listing::new("ListStreamKeys", [channel_arn]);
    let select = Select {
        parent: Some(channel_arn.into()),
        after: request.after(&listing)?,
        limit: one_more(size),
        ..Select::default()
    };
    let keys = headwater_store::list(control.store(), select).await?;
    Ok(listing.page(keys, size, |key: &StreamKey| &key.arn))
}

/// Deletes a key. A stream that was opened with it goes on.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`]; [`Error::Store`].
pub async fn delete_stream_key(control: &Control, arn: &str) -> Result<(), Error> {
    let key = stream_key(control, arn).await?;
    let mut batch = Batch::new();
    remove(&mut batch, &key);
    control.store().commit(batch).await?;
    Ok(())
}
