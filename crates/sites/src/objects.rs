//! Writing, reading, copying and deleting objects.

use crate::conditions::{ByteRange, Conditions};
use crate::{Error, Sites};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use headwater_model::Timestamp;
use headwater_model::bucket::{KEY_BYTES_MAX, Object, UPLOAD_BYTES_MAX};
use headwater_store::{Batch, BlobError, Error as StoreError, find, load};
use md5::{Digest, Md5};
use std::collections::BTreeMap;
use std::ops::Range;
use std::pin::pin;

/// Type of an object whose type was not said and cannot be told from its key.
pub const UNKNOWN_TYPE: &str = "binary/octet-stream";

/// What is to be written, besides the bytes.
#[derive(Clone, Debug, Default)]
pub struct PutObject {
    /// The bucket.
    pub bucket: String,
    /// 1–1024 bytes.
    pub key: String,
    /// Told from the key's extension if absent.
    pub content_type: Option<String>,
    /// `Cache-Control`, `Content-Disposition`, … by lowercase header name.
    pub headers: BTreeMap<String, String>,
    /// `x-amz-meta-…`, by name without the prefix.
    pub metadata: BTreeMap<String, String>,
    /// MD5 that the bytes must have.
    pub content_md5: Option<[u8; 16]>,
    /// Bytes that must come.
    pub content_length: Option<u64>,
    /// What must be so of the object that is replaced.
    pub conditions: Conditions,
}

/// An object that is being read.
pub struct Reading {
    /// What is known of it.
    pub object: Object,
    /// The bytes that come.
    pub range: Range<u64>,
    /// The bytes.
    pub body: BoxStream<'static, Result<Bytes, BlobError>>,
}

/// What a stream turned out to hold.
pub(crate) struct Received {
    pub size: u64,
    pub md5: [u8; 16],
}

/// The sender's stream is longer than one upload may be.
#[derive(Debug, thiserror::Error)]
#[error("more bytes than one upload may have")]
struct Overlong;

impl Sites {
    /// Writes an object. It is there, whole, when this returns; before it and on failure what was there before is.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`]; [`Error::InvalidKey`]; [`Error::BadDigest`]; [`Error::Incomplete`];
    /// [`Error::TooLarge`]; [`Error::PreconditionFailed`]; [`Error::Upload`] if the stream fails; [`Error::Blob`];
    /// [`Error::Store`].
    pub async fn put_object<E>(
        &self,
        put: PutObject,
        stream: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<Object, Error>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.put_object_checked(put, stream, |_| Ok(())).await
    }

    /// As [`Sites::put_object`], with a last look at the object before it takes its place: `check` may add headers, or
    /// refuse what turned out to be other than announced.
    ///
    /// # Errors
    /// As [`Sites::put_object`]; whatever `check` returns.
    pub async fn put_object_checked<E>(
        &self,
        put: PutObject,
        stream: impl Stream<Item = Result<Bytes, E>> + Send,
        check: impl FnOnce(&mut Object) -> Result<(), Error>,
    ) -> Result<Object, Error>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        validate_key(&put.key)?;
        self.bucket(&put.bucket).await?;
        let blob = Sites::blob_name();
        let received = self.receive(&blob, stream, put.content_length, put.content_md5).await?;
        let mut object = Object {
            content_type: put.content_type.unwrap_or_else(|| content_type_of(&put.key)),
            bucket: put.bucket,
            key: put.key,
            blob: blob.clone(),
            size: received.size,
            etag: hex::encode(received.md5),
            headers: put.headers,
            metadata: put.metadata,
            last_modified: Timestamp::now(),
        };
        let placed = match check(&mut object) {
            Ok(()) => self.place(&object, &put.conditions, |_| {}).await,
            Err(error) => Err(error),
        };
        match placed {
            Ok(()) => Ok(object),
            Err(error) => {
                self.discard(&blob).await;
                Err(error)
            }
        }
    }

    /// What is known of an object.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`]; [`Error::NoSuchKey`]; [`Error::Store`].
    pub async fn object(&self, bucket: &str, key: &str) -> Result<Object, Error> {
        match find::<Object>(self.store(), &format!("{bucket}/{key}")).await? {
            Some(object) => Ok(object),
            None => {
                self.bucket(bucket).await?;
                Err(Error::NoSuchKey { bucket: bucket.into(), key: key.into() })
            }
        }
    }

    /// Reads an object, or a range of it.
    ///
    /// # Errors
    /// As [`Sites::object`]; [`Error::InvalidRange`]; [`Error::Blob`].
    pub async fn get_object(&self, bucket: &str, key: &str, range: Option<ByteRange>) -> Result<Reading, Error> {
        let object = self.object(bucket, key).await?;
        match self.read(object, range).await {
            // It was replaced between the record and the bytes: the new record has its bytes.
            Err(Error::Blob(BlobError::Missing(_))) => self.read(self.object(bucket, key).await?, range).await,
            other => other,
        }
    }

    /// Reads the bytes of a known object.
    ///
    /// # Errors
    /// [`Error::InvalidRange`]; [`Error::Blob`], with [`BlobError::Missing`] if it was replaced or deleted meanwhile.
    pub async fn read(&self, object: Object, range: Option<ByteRange>) -> Result<Reading, Error> {
        let part = range.map(|range| range.within(object.size)).transpose()?;
        let range = part.clone().unwrap_or(0..object.size);
        let body = self.blobs().stream(&object.blob, part).await?;
        Ok(Reading { object, range, body })
    }

    /// Reads an object at once; for small ones.
    ///
    /// # Errors
    /// As [`Sites::get_object`].
    pub async fn object_bytes(&self, bucket: &str, key: &str) -> Result<Bytes, Error> {
        let object = self.object(bucket, key).await?;
        Ok(self.blobs().bytes(&object.blob).await?)
    }

    /// Removes an object, if it is there.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`]; [`Error::Store`].
    pub async fn delete_object(&self, bucket: &str, key: &str) -> Result<(), Error> {
        let id = format!("{bucket}/{key}");
        loop {
            let Some(current) = load::<Object>(self.store(), &id).await? else {
                self.bucket(bucket).await?;
                return Ok(());
            };
            let mut batch = Batch::new();
            batch.delete_revision::<Object>(&id, current.revision);
            match self.store().commit(batch).await {
                Ok(_) => {
                    self.discard(&current.value.blob).await;
                    return Ok(());
                }
                Err(StoreError::Conflict { .. } | StoreError::Missing { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Copies an object. `put` says where to; with [`Attributes::Keep`] its type, headers and metadata are the
    /// source's.
    ///
    /// # Errors
    /// As [`Sites::get_object`] and [`Sites::put_object`].
    pub async fn copy_object(
        &self,
        (from_bucket, from_key): (&str, &str),
        mut put: PutObject,
        attributes: Attributes,
    ) -> Result<Object, Error> {
        let Reading { object, body, .. } = self.get_object(from_bucket, from_key, None).await?;
        if attributes == Attributes::Keep {
            put.content_type = Some(object.content_type);
            put.headers = object.headers;
            put.metadata = object.metadata;
        }
        put.content_length = Some(object.size);
        self.put_object(put, body).await
    }

    /// Removes bytes that no object and no part points to: a crash left them. Call it before anything is served, as
    /// an upload that is under way looks the same. Returns how many there were.
    ///
    /// # Errors
    /// [`Error::Blob`]; [`Error::Store`].
    pub async fn clean_leftovers(&self) -> Result<u64, Error> {
        let known = self.known_blobs().await?;
        let mut names = self.blobs().names(crate::BLOB_FOLDER);
        let mut removed = 0;
        while let Some(name) = names.next().await {
            let name = name?;
            if !known.contains(&name) {
                self.blobs().delete(&name).await?;
                removed += 1;
            }
        }
        if removed > 0 {
            tracing::info!(removed, "bytes that a crash left behind are gone");
        }
        Ok(removed)
    }

    /// Writes a stream under a blob's name and looks at what it holds; nothing is left if that is not what was said.
    pub(crate) async fn receive<E>(
        &self,
        blob: &str,
        stream: impl Stream<Item = Result<Bytes, E>> + Send,
        announced: Option<u64>,
        md5: Option<[u8; 16]>,
    ) -> Result<Received, Error>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut digest = Md5::new();
        let mut size: u64 = 0;
        let counted = stream.map(|chunk| {
            let chunk = chunk.map_err(Into::into)?;
            size += chunk.len() as u64;
            if size > UPLOAD_BYTES_MAX {
                return Err(Box::new(Overlong) as Box<dyn std::error::Error + Send + Sync>);
            }
            digest.update(&chunk);
            Ok(chunk)
        });
        let written = self.blobs().put_stream(blob, pin!(counted)).await;
        match written {
            Ok(_) => {}
            Err(BlobError::Upload(source)) if source.is::<Overlong>() => {
                return Err(Error::TooLarge);
            }
            Err(error) => return Err(error.into()),
        }
        let received = Received { size, md5: digest.finalize().into() };
        let wrong = if announced.is_some_and(|announced| announced != size) {
            Some(Error::Incomplete { announced: announced.unwrap_or_default(), received: size })
        } else if md5.is_some_and(|md5| md5 != received.md5) {
            Some(Error::BadDigest { algorithm: "Content-MD5" })
        } else {
            None
        };
        match wrong {
            None => Ok(received),
            Some(error) => {
                self.discard(blob).await;
                Err(error)
            }
        }
    }

    /// Points the record of a key to new bytes, in one commit with whatever `along` adds, and removes the old bytes.
    pub(crate) async fn place(
        &self,
        object: &Object,
        conditions: &Conditions,
        along: impl Fn(&mut Batch),
    ) -> Result<(), Error> {
        let id = format!("{}/{}", object.bucket, object.key);
        let replaced = {
            let _gate = self.inner.gate.read().await;
            self.bucket(&object.bucket).await?;
            loop {
                let current = load::<Object>(self.store(), &id).await?;
                conditions.allow_write(&object.bucket, &object.key, current.as_ref().map(|c| &c.value))?;
                let mut batch = Batch::new();
                match &current {
                    Some(current) => batch.update(object, current.revision)?,
                    None => batch.insert(object)?,
                };
                along(&mut batch);
                match self.store().commit(batch).await {
                    Ok(_) => break current.map(|current| current.value.blob),
                    // Somebody else wrote, or deleted, the same key: look again.
                    Err(
                        StoreError::Conflict { kind, .. }
                        | StoreError::Missing { kind, .. }
                        | StoreError::Exists { kind, .. },
                    ) if kind == <Object as headwater_store::Document>::KIND => {}
                    Err(error) => return Err(error.into()),
                }
            }
        };
        if let Some(blob) = replaced {
            self.discard(&blob).await;
        }
        Ok(())
    }
}

/// Whether a copy keeps its source's type, headers and metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attributes {
    /// The source's.
    Keep,
    /// Those of the request.
    Replace,
}

pub(crate) fn validate_key(key: &str) -> Result<(), Error> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX { Err(Error::InvalidKey(key.len())) } else { Ok(()) }
}

/// The type that a key's extension stands for.
pub fn content_type_of(key: &str) -> String {
    match mime_guess::from_path(key).first() {
        // A text of ours has no other encoding: what a browser would guess otherwise is Windows-1252.
        Some(mime) if mime.type_() == "text" => format!("{mime}; charset=utf-8"),
        Some(mime) => mime.to_string(),
        None => UNKNOWN_TYPE.into(),
    }
}
