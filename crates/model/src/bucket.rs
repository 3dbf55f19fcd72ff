//! Buckets, objects, website configuration. Source: S3 `s3` 2006-03-01.

use crate::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// 3–63 characters of `[a-z0-9.-]`.
    pub name: String,
    /// Whether and how it is served as a website.
    pub website: Option<Website>,
    /// Bucket policy, as given.
    pub policy: Option<Value>,
    /// Tags, by key.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// When the bucket was made.
    pub created_at: Timestamp,
}

/// How a bucket is served as a website.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Website {
    /// Object that answers for a folder, such as `index.html`.
    pub index_document: Option<String>,
    /// Object that answers errors.
    pub error_document: Option<String>,
    /// Host that every request is sent to, with its protocol or none.
    pub redirect_all: Option<(String, Option<String>)>,
}

/// What is known of an object. Its bytes lie in the blob store under `blob`, a random name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Object {
    /// The bucket that it lies in.
    pub bucket: String,
    /// 1–1024 bytes of UTF-8; never part of a file's name.
    pub key: String,
    /// Name of its bytes in the blob store.
    pub blob: String,
    /// Bytes.
    pub size: u64,
    /// Entity tag without quotes: lowercase hex MD5, or MD5 of MD5s with `-PARTS`.
    pub etag: String,
    /// As given, else by the key's extension.
    pub content_type: String,
    /// `Cache-Control`, `Content-Disposition`, … as given, by lowercase header name.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// `x-amz-meta-…`, by name without the prefix.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// When it was written.
    pub last_modified: Timestamp,
}
