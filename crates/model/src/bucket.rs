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
    /// What is kept private whatever policies say.
    #[serde(default)]
    pub public_access_block: Option<PublicAccessBlock>,
    /// Set by who made the bucket, so that the same order repeated after a crash finds its own work.
    #[serde(default)]
    pub creation_token: Option<String>,
    /// When the bucket was made.
    pub created_at: Timestamp,
}

impl Bucket {
    /// Whether `name` may be a bucket's: 3–63 of `[a-z0-9.-]`, beginning and ending with a letter or digit, no two
    /// dots in a row, not in the form of an IP address. Source: S3 user guide, "Bucket naming rules".
    pub fn is_valid_name(name: &str) -> bool {
        let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = name.as_bytes();
        (3..=63).contains(&bytes.len())
            && bytes.iter().all(|&b| alphanumeric(b) || b == b'.' || b == b'-')
            && alphanumeric(bytes[0])
            && alphanumeric(bytes[bytes.len() - 1])
            && !name.contains("..")
            && name.parse::<std::net::Ipv4Addr>().is_err()
    }
}

/// What is kept private whatever policies say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicAccessBlock {
    /// Kept for who asks; there are no ACLs here that it could block.
    pub block_public_acls: bool,
    /// Kept for who asks; there are no ACLs here that it could ignore.
    pub ignore_public_acls: bool,
    /// A policy that grants to everybody is refused.
    pub block_public_policy: bool,
    /// A policy that grants to everybody grants to nobody unknown.
    pub restrict_public_buckets: bool,
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

/// Most bytes of an object's key. Source: S3 user guide, "Naming Amazon S3 objects".
pub const KEY_BYTES_MAX: usize = 1024;
/// Most bytes of one upload or part. Source: S3 user guide, "Uploading objects".
pub const UPLOAD_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;
/// Least bytes of a part that is not the last.
pub const PART_BYTES_MIN: u64 = 5 * 1024 * 1024;
/// Highest number of a part.
pub const PART_NUMBER_MAX: u16 = 10_000;
/// Most bytes of a bucket policy. Source: S3 user guide, "Bucket policies".
pub const POLICY_BYTES_MAX: usize = 20 * 1024;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names_follow_the_rules() {
        for good in ["abc", "a-b.c", "live-s3ivswebsite-abcdefghijkl", "1.2.3", &"a".repeat(63)] {
            assert!(Bucket::is_valid_name(good), "{good}");
        }
        for bad in ["", "ab", "Abc", "a_b", "-abc", "abc.", "a..b", "10.0.0.1", "a/b", "äbc", &"a".repeat(64)] {
            assert!(!Bucket::is_valid_name(bad), "{bad}");
        }
    }
}
