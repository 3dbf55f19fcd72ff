//! Buckets, objects, policies and website hosting.
//!
//! [`Sites`] holds the operations: what is known of buckets and objects lies in the store, objects' bytes lie in the
//! blob store under random names. No key ever becomes part of a path, so there is nothing to traverse. An object is
//! replaced by one commit that points its record to the new bytes; the old bytes are removed after it, and what a
//! crash leaves behind is removed by [`Sites::clean_leftovers`] at the next start.
//!
//! | module | what stands there |
//! |---|---|
//! | [`buckets`] | buckets and their settings |
//! | [`objects`] | writing, reading, copying and deleting objects |
//! | [`listing`] | objects by prefix and delimiter |
//! | [`upload`] | uploads in parts |
//! | [`conditions`] | byte ranges and preconditions, for both faces |
//! | [`access`] | who may do what: identity and bucket policies together |
//! | [`s3`] | the S3 face, on `s3s` |
//! | [`web`] | the website face, by host name or path |

pub mod access;
pub mod buckets;
pub mod conditions;
mod error;
pub mod listing;
pub mod objects;
pub mod s3;
pub mod upload;
pub mod web;

pub use error::Error;

use headwater_model::Realm;
use headwater_store::{Blobs, Store};
use std::sync::Arc;
use tokio::sync::RwLock;

/// Folder of the blob store that is ours.
const BLOB_FOLDER: &str = "objects";

/// Where websites are reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebAddress {
    /// Origin of the web listener without a slash at its end, such as `http://localhost:8080`.
    pub origin: String,
    /// `http` or `https`.
    pub scheme: String,
    /// A website's host is its name, a dot and this, such as `s3-website.localhost`.
    pub suffix: String,
    /// Further suffixes that are answered, such as `web.example.com`.
    pub more_suffixes: Vec<String>,
    /// Left out of URLs if it is the scheme's own.
    pub port: u16,
}

impl WebAddress {
    /// Websites under `s3-website.localhost` at a port of this machine.
    pub fn localhost(port: u16) -> WebAddress {
        WebAddress {
            origin: if port == 80 { "http://localhost".into() } else { format!("http://localhost:{port}") },
            scheme: "http".into(),
            suffix: "s3-website.localhost".into(),
            more_suffixes: Vec::new(),
            port,
        }
    }

    /// Address of a website, without a slash at its end: `http://NAME.s3-website.localhost:8080`.
    pub fn website_url(&self, name: &str) -> String {
        let own = if self.scheme == "https" { 443 } else { 80 };
        let port = if self.port == own { String::new() } else { format!(":{}", self.port) };
        format!("{}://{name}.{}{port}", self.scheme, self.suffix)
    }
}

/// Buckets and objects. Cheap to clone.
#[derive(Clone)]
pub struct Sites {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    blobs: Blobs,
    realm: Realm,
    web: WebAddress,
    /// Held for reading while an object is committed into a bucket that was seen to exist, and for writing while a
    /// bucket is seen to be empty and removed, or an upload is ended. It spans commits only, never a transfer.
    gate: RwLock<()>,
}

impl Sites {
    /// Works on a store and its blobs.
    pub fn new(store: Arc<dyn Store>, blobs: Blobs, realm: Realm, web: WebAddress) -> Sites {
        Sites { inner: Arc::new(Inner { store, blobs, realm, web, gate: RwLock::new(()) }) }
    }

    /// Where websites are reached.
    pub fn web(&self) -> &WebAddress {
        &self.inner.web
    }

    /// Address of a bucket's website, as `AWS::S3::Bucket`'s `WebsiteURL`.
    pub fn website_url(&self, name: &str) -> String {
        self.inner.web.website_url(name)
    }

    /// The Region and account that everything here belongs to.
    pub fn realm(&self) -> &Realm {
        &self.inner.realm
    }

    fn store(&self) -> &dyn Store {
        self.inner.store.as_ref()
    }

    fn blobs(&self) -> &Blobs {
        &self.inner.blobs
    }

    fn blob_name() -> String {
        format!("{BLOB_FOLDER}/{}", Blobs::name())
    }

    /// Removes bytes that no record points to any more. They stay until the next start if that fails.
    async fn discard(&self, blob: &str) {
        if let Err(error) = self.blobs().delete(blob).await {
            tracing::warn!(blob, error = &error as &dyn std::error::Error, "bytes are left until the next start");
        }
    }
}

#[cfg(test)]
mod tests;
