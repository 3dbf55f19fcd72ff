//! Uploads in parts: each part's bytes wait under their own name until the upload is completed or aborted.

use crate::conditions::Conditions;
use crate::objects::{PutObject, content_type_of, validate_key};
use crate::{Error, Sites};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use headwater_model::Timestamp;
use headwater_model::bucket::{Object, PART_BYTES_MIN, PART_NUMBER_MAX};
use headwater_store::{Batch, BlobError, Blobs, Document, Error as StoreError, Select, find, list, load};
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};

/// An upload in parts that is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Upload {
    /// Random.
    pub id: String,
    /// The bucket.
    pub bucket: String,
    /// Key that the object will have.
    pub key: String,
    /// Type that the object will have.
    pub content_type: String,
    /// Headers that the object will have.
    pub headers: BTreeMap<String, String>,
    /// Metadata that the object will have.
    pub metadata: BTreeMap<String, String>,
    /// When it began.
    pub initiated_at: Timestamp,
}

impl Document for Upload {
    const KIND: &'static str = "object-upload";
    fn id(&self) -> String {
        self.id.clone()
    }
    fn parent(&self) -> String {
        self.bucket.clone()
    }
}

/// A part that was uploaded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UploadedPart {
    /// The upload.
    pub upload: String,
    /// 1–10000.
    pub number: u16,
    /// Name of its bytes in the blob store.
    pub blob: String,
    /// Bytes.
    pub size: u64,
    /// Lowercase hex MD5.
    pub etag: String,
    /// When it was written.
    pub last_modified: Timestamp,
}

impl Document for UploadedPart {
    const KIND: &'static str = "object-upload-part";
    fn id(&self) -> String {
        // Padded, so that the order of ids is the order of numbers.
        format!("{}/{:05}", self.upload, self.number)
    }
    fn parent(&self) -> String {
        self.upload.clone()
    }
}

impl Sites {
    /// Begins an upload in parts. Digest, length and conditions of `put` are not looked at.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`]; [`Error::InvalidKey`]; [`Error::Store`].
    pub async fn create_upload(&self, put: PutObject) -> Result<Upload, Error> {
        validate_key(&put.key)?;
        let upload = Upload {
            id: headwater_model::id::random_alphanumeric(48),
            content_type: put.content_type.unwrap_or_else(|| content_type_of(&put.key)),
            bucket: put.bucket,
            key: put.key,
            headers: put.headers,
            metadata: put.metadata,
            initiated_at: Timestamp::now(),
        };
        let _gate = self.inner.gate.read().await;
        self.bucket(&upload.bucket).await?;
        let mut batch = Batch::new();
        batch.insert(&upload)?;
        self.store().commit(batch).await?;
        Ok(upload)
    }

    /// An upload that is under way.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`], also if it is for another key; [`Error::Store`].
    pub async fn upload(&self, bucket: &str, key: &str, id: &str) -> Result<Upload, Error> {
        match find::<Upload>(self.store(), id).await? {
            Some(upload) if upload.bucket == bucket && upload.key == key => Ok(upload),
            _ => Err(Error::NoSuchUpload(id.into())),
        }
    }

    /// Uploads of a bucket that are under way, ascending by key.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`]; [`Error::Store`].
    pub async fn uploads(&self, bucket: &str) -> Result<Vec<Upload>, Error> {
        self.bucket(bucket).await?;
        let select = Select { parent: Some(bucket.into()), ..Default::default() };
        let mut uploads: Vec<Upload> = list(self.store(), select).await?;
        uploads.sort_by(|a, b| (&a.key, &a.id).cmp(&(&b.key, &b.id)));
        Ok(uploads)
    }

    /// Writes a part; one of the same number is replaced. `check` may refuse it by what it turned out to be.
    ///
    /// # Errors
    /// [`Error::InvalidPartNumber`]; [`Error::NoSuchUpload`]; those of the bytes as [`Sites::put_object`]; whatever
    /// `check` returns.
    #[expect(clippy::too_many_arguments, reason = "the address of a part has four members, as in the protocol")]
    pub async fn put_part<E>(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        number: i64,
        stream: impl Stream<Item = Result<Bytes, E>> + Send,
        (announced, md5): (Option<u64>, Option<[u8; 16]>),
        check: impl FnOnce() -> Result<(), Error>,
    ) -> Result<UploadedPart, Error>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let number = u16::try_from(number)
            .ok()
            .filter(|number| (1..=PART_NUMBER_MAX).contains(number))
            .ok_or(Error::InvalidPartNumber(number))?;
        self.upload(bucket, key, id).await?;
        let blob = Sites::blob_name();
        let received = self.receive(&blob, stream, announced, md5).await?;
        let part = UploadedPart {
            upload: id.into(),
            number,
            blob: blob.clone(),
            size: received.size,
            etag: hex::encode(received.md5),
            last_modified: Timestamp::now(),
        };
        let stored = match check() {
            Ok(()) => self.store_part(bucket, key, &part).await,
            Err(error) => Err(error),
        };
        match stored {
            Ok(replaced) => {
                if let Some(blob) = replaced {
                    self.discard(&blob).await;
                }
                Ok(part)
            }
            Err(error) => {
                self.discard(&blob).await;
                Err(error)
            }
        }
    }

    async fn store_part(&self, bucket: &str, key: &str, part: &UploadedPart) -> Result<Option<String>, Error> {
        let _gate = self.inner.gate.read().await;
        self.upload(bucket, key, &part.upload).await?;
        loop {
            let current = load::<UploadedPart>(self.store(), &part.id()).await?;
            let mut batch = Batch::new();
            match &current {
                Some(current) => batch.update(part, current.revision)?,
                None => batch.insert(part)?,
            };
            match self.store().commit(batch).await {
                Ok(_) => return Ok(current.map(|current| current.value.blob)),
                Err(StoreError::Conflict { .. } | StoreError::Exists { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Parts of an upload, ascending by number.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn parts(&self, upload: &Upload) -> Result<Vec<UploadedPart>, Error> {
        let select = Select { parent: Some(upload.id.clone()), ..Default::default() };
        Ok(list(self.store(), select).await?)
    }

    /// Makes the object out of the named parts. Parts that are not named are dropped.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`]; [`Error::InvalidPartOrder`]; [`Error::InvalidPart`]; [`Error::PartTooSmall`];
    /// [`Error::PreconditionFailed`]; [`Error::Blob`]; [`Error::Store`].
    pub async fn complete_upload(
        &self,
        upload: &Upload,
        named: &[(u16, String)],
        conditions: &Conditions,
    ) -> Result<Object, Error> {
        if named.is_empty() || named.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return Err(Error::InvalidPartOrder);
        }
        let stored: BTreeMap<u16, UploadedPart> =
            self.parts(upload).await?.into_iter().map(|part| (part.number, part)).collect();
        let mut parts = Vec::with_capacity(named.len());
        for (number, etag) in named {
            match stored.get(number) {
                Some(part) if part.etag == etag.trim_matches('"') => parts.push(part.clone()),
                _ => return Err(Error::InvalidPart(*number)),
            }
        }
        if let Some((_, but_last)) = parts.split_last()
            && let Some(small) = but_last.iter().find(|part| part.size < PART_BYTES_MIN)
        {
            return Err(Error::PartTooSmall { number: small.number, size: small.size });
        }
        // The entity tag of such an object is the MD5 of its parts' MD5s, and their number.
        let mut digest = Md5::new();
        for part in &parts {
            digest.update(hex::decode(&part.etag).unwrap_or_default());
        }
        let blob = Sites::blob_name();
        let names = parts.iter().map(|part| part.blob.clone()).collect();
        let size = self.blobs().put_stream(&blob, one_after_another(self.blobs().clone(), names)).await?;
        let object = Object {
            bucket: upload.bucket.clone(),
            key: upload.key.clone(),
            blob: blob.clone(),
            size,
            etag: format!("{}-{}", hex::encode(digest.finalize()), parts.len()),
            content_type: upload.content_type.clone(),
            headers: upload.headers.clone(),
            metadata: upload.metadata.clone(),
            last_modified: Timestamp::now(),
        };
        if let Err(error) = self.end_upload(upload, Some((&object, conditions))).await {
            self.discard(&blob).await;
            return Err(error);
        }
        Ok(object)
    }

    /// Drops an upload and its parts.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`] if it ended meanwhile; [`Error::Store`].
    pub async fn abort_upload(&self, upload: &Upload) -> Result<(), Error> {
        self.end_upload(upload, None).await
    }

    /// Ends an upload, and puts its object in place in the same commit. Parts that come later find no upload.
    async fn end_upload(&self, upload: &Upload, object: Option<(&Object, &Conditions)>) -> Result<(), Error> {
        let current = load::<Upload>(self.store(), &upload.id).await?;
        let Some(current) = current else {
            return Err(Error::NoSuchUpload(upload.id.clone()));
        };
        match object {
            Some((object, conditions)) => {
                let placed = self.place(object, conditions, |batch| {
                    batch.delete_revision::<Upload>(&upload.id, current.revision);
                });
                match placed.await {
                    Err(Error::Store(StoreError::Conflict { kind, .. } | StoreError::Missing { kind, .. }))
                        if kind == Upload::KIND =>
                    {
                        return Err(Error::NoSuchUpload(upload.id.clone()));
                    }
                    other => other?,
                }
            }
            None => {
                let mut batch = Batch::new();
                batch.delete::<Upload>(&upload.id);
                self.store().commit(batch).await?;
            }
        }
        // No part can be added any more once those that saw the upload have let go of the gate.
        let parts = {
            let _gate = self.inner.gate.write().await;
            let parts = self.parts(upload).await?;
            let mut batch = Batch::new();
            for part in &parts {
                batch.delete::<UploadedPart>(&part.id());
            }
            self.store().commit(batch).await?;
            parts
        };
        for part in parts {
            self.discard(&part.blob).await;
        }
        Ok(())
    }

    /// Adds the removal of a bucket's uploads to a batch. Returns the blobs to discard after it.
    pub(crate) async fn forget_uploads(&self, bucket: &str, batch: &mut Batch) -> Result<Vec<String>, Error> {
        let mut blobs = Vec::new();
        for upload in self.uploads(bucket).await? {
            for part in self.parts(&upload).await? {
                batch.delete::<UploadedPart>(&part.id());
                blobs.push(part.blob);
            }
            batch.delete::<Upload>(&upload.id);
        }
        Ok(blobs)
    }

    /// Names of all bytes that a record points to.
    pub(crate) async fn known_blobs(&self) -> Result<HashSet<String>, Error> {
        let mut known = HashSet::new();
        let mut after = None;
        loop {
            let select = Select { after: after.take(), limit: 1000, ..Default::default() };
            let page: Vec<Object> = list(self.store(), select).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id());
            known.extend(page.into_iter().map(|object| object.blob));
        }
        let uploads: Vec<Upload> = list(self.store(), Select::default()).await?;
        let uploads: HashSet<String> = uploads.into_iter().map(|upload| upload.id).collect();
        let parts: Vec<UploadedPart> = list(self.store(), Select::default()).await?;
        let mut batch = Batch::new();
        for part in parts {
            if uploads.contains(&part.upload) {
                known.insert(part.blob);
            } else {
                // Its upload ended, and a crash came before its parts were removed.
                batch.delete::<UploadedPart>(&part.id());
            }
        }
        if !batch.writes.is_empty() {
            self.store().commit(batch).await?;
        }
        Ok(known)
    }
}

/// The bytes of several blobs in a row. A type of its own, as the compiler cannot tell otherwise that it may move
/// between threads.
fn one_after_another(blobs: Blobs, names: Vec<String>) -> BoxStream<'static, Result<Bytes, BlobError>> {
    let open = move |name: String| {
        let blobs = blobs.clone();
        async move { blobs.stream(&name, None).await }
    };
    stream::iter(names).then(open).try_flatten().boxed()
}
