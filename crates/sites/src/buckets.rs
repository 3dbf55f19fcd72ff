//! Buckets and their settings.

use crate::listing::ListObjects;
use crate::{Error, Sites};
use headwater_model::bucket::{Bucket, POLICY_BYTES_MAX, PublicAccessBlock, Website};
use headwater_model::policy::{Pattern, Policy};
use headwater_model::{Realm, Timestamp};
use headwater_store::{Batch, Select, find, list, load, update};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a bucket is made of.
#[derive(Clone, Debug, Default)]
pub struct CreateBucket {
    /// 3–63 of `[a-z0-9.-]`.
    pub name: String,
    /// Whether and how it is served as a website.
    pub website: Option<Website>,
    /// Tags, by key.
    pub tags: BTreeMap<String, String>,
    /// What is kept private whatever policies say.
    pub public_access_block: Option<PublicAccessBlock>,
    /// Making a bucket again with the same token returns the first one, so that a crash bears repetition.
    pub token: Option<String>,
}

impl Sites {
    /// Makes a bucket.
    ///
    /// # Errors
    /// [`Error::InvalidBucketName`]; [`Error::InvalidWebsite`]; [`Error::BucketExists`]; [`Error::Store`].
    pub async fn create_bucket(&self, create: CreateBucket) -> Result<Bucket, Error> {
        let CreateBucket { name, website, tags, public_access_block, token } = create;
        if !Bucket::is_valid_name(&name) {
            return Err(Error::InvalidBucketName(name));
        }
        website.as_ref().map(validate_website).transpose()?;
        let bucket = Bucket {
            name: name.clone(),
            website,
            policy: None,
            tags,
            public_access_block,
            creation_token: token.clone(),
            created_at: Timestamp::now(),
        };
        let mut batch = Batch::new();
        batch.insert(&bucket)?;
        match self.store().commit(batch).await {
            Ok(_) => Ok(bucket),
            Err(headwater_store::Error::Exists { .. }) => match find::<Bucket>(self.store(), &name).await? {
                Some(earlier) if token.is_some() && earlier.creation_token == token => Ok(earlier),
                _ => Err(Error::BucketExists(name)),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// A bucket.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`]; [`Error::Store`].
    pub async fn bucket(&self, name: &str) -> Result<Bucket, Error> {
        find(self.store(), name).await?.ok_or_else(|| Error::NoSuchBucket(name.into()))
    }

    /// All buckets, ascending by name.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn buckets(&self) -> Result<Vec<Bucket>, Error> {
        Ok(list(self.store(), Select::default()).await?)
    }

    /// Removes an empty bucket with its settings and unfinished uploads.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], which who tidies up may tolerate; [`Error::BucketNotEmpty`]; [`Error::Store`].
    pub async fn delete_bucket(&self, name: &str) -> Result<(), Error> {
        let blobs = {
            let _gate = self.inner.gate.write().await;
            self.bucket(name).await?;
            let first = self.list_objects(name, ListObjects { limit: 1, ..Default::default() }).await?;
            if !first.objects.is_empty() {
                return Err(Error::BucketNotEmpty(name.into()));
            }
            let mut batch = Batch::new();
            let blobs = self.forget_uploads(name, &mut batch).await?;
            batch.delete::<Bucket>(name);
            self.store().commit(batch).await?;
            blobs
        };
        for blob in blobs {
            self.discard(&blob).await;
        }
        Ok(())
    }

    /// Removes every object of a bucket. Returns how many there were.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`]; [`Error::Store`].
    pub async fn empty_bucket(&self, name: &str) -> Result<u64, Error> {
        let mut removed = 0;
        loop {
            let page = self.list_objects(name, ListObjects { limit: 1000, ..Default::default() }).await?;
            if page.objects.is_empty() {
                return Ok(removed);
            }
            for object in page.objects {
                self.delete_object(name, &object.key).await?;
                removed += 1;
            }
        }
    }

    /// Sets how a bucket is served as a website, or ends it.
    ///
    /// # Errors
    /// [`Error::InvalidWebsite`]; [`Error::NoSuchBucket`]; [`Error::Store`].
    pub async fn put_website(&self, name: &str, website: Option<Website>) -> Result<(), Error> {
        website.as_ref().map(validate_website).transpose()?;
        self.change(name, |bucket| bucket.website = website.clone()).await
    }

    /// Sets a bucket's policy.
    ///
    /// # Errors
    /// [`Error::Policy`] with the path of what is malformed; [`Error::PolicyTooLarge`]; [`Error::PolicyOutside`];
    /// [`Error::PublicPolicyBlocked`]; [`Error::NoSuchBucket`]; [`Error::Store`].
    pub async fn put_policy(&self, name: &str, document: Value) -> Result<(), Error> {
        let policy = Policy::parse_resource_policy(&document)?;
        let bytes = document.to_string().len();
        if bytes > POLICY_BYTES_MAX {
            return Err(Error::PolicyTooLarge(bytes));
        }
        let arn = Realm::bucket_arn(name);
        let inside = |resource: &Pattern| {
            resource.literal_prefix().strip_prefix(&arn).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if !policy.resources_all(inside) {
            return Err(Error::PolicyOutside(name.into()));
        }
        let public = policy.is_public();
        update(self.store(), name, |bucket: &mut Bucket| {
            if public && bucket.public_access_block.is_some_and(|block| block.block_public_policy) {
                return Err(Error::PublicPolicyBlocked(name.into()));
            }
            bucket.policy = Some(document.clone());
            Ok(())
        })
        .await
        .map(drop)
        .map_err(missing_bucket)
    }

    /// Removes a bucket's policy, if it has one.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`]; [`Error::Store`].
    pub async fn delete_policy(&self, name: &str) -> Result<(), Error> {
        self.change(name, |bucket| bucket.policy = None).await
    }

    /// Sets a bucket's tags.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`]; [`Error::Store`].
    pub async fn put_tags(&self, name: &str, tags: BTreeMap<String, String>) -> Result<(), Error> {
        self.change(name, |bucket| bucket.tags = tags.clone()).await
    }

    /// Sets what is kept private whatever policies say.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`]; [`Error::Store`].
    pub async fn put_public_access_block(&self, name: &str, block: Option<PublicAccessBlock>) -> Result<(), Error> {
        self.change(name, |bucket| bucket.public_access_block = block).await
    }

    async fn change(&self, name: &str, mut change: impl FnMut(&mut Bucket)) -> Result<(), Error> {
        update(self.store(), name, |bucket: &mut Bucket| {
            change(bucket);
            Ok::<(), Error>(())
        })
        .await
        .map(drop)
        .map_err(missing_bucket)
    }

    /// Whether a bucket exists.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn bucket_exists(&self, name: &str) -> Result<bool, Error> {
        Ok(load::<Bucket>(self.store(), name).await?.is_some())
    }
}

/// A bucket's record that went away while it was changed is a bucket that is not there.
fn missing_bucket(error: Error) -> Error {
    match error {
        Error::Store(headwater_store::Error::Missing { id, .. }) => Error::NoSuchBucket(id),
        other => other,
    }
}

fn validate_website(website: &Website) -> Result<(), Error> {
    let documents = website.index_document.is_some() || website.error_document.is_some();
    match (&website.redirect_all, &website.index_document) {
        (Some((host, _)), _) if host.is_empty() || documents => {
            Err(Error::InvalidWebsite("a redirect of all requests names a host and no documents"))
        }
        (Some((_, Some(protocol))), _) if protocol != "http" && protocol != "https" => {
            Err(Error::InvalidWebsite("a redirect's protocol is http or https"))
        }
        (Some(_), _) => Ok(()),
        (None, Some(index)) if index.is_empty() || index.contains('/') => {
            Err(Error::InvalidWebsite("an index document's name is not empty and has no slash"))
        }
        (None, Some(_)) => Ok(()),
        (None, None) => Err(Error::InvalidWebsite("an index document is needed")),
    }
}
