//! The S3 face, on `s3s`: it verifies signatures and speaks the protocol, we judge access and do the work.
//!
//! Source: S3 `s3` 2006-03-01. Left out: versions (every object has the version `null`), ACLs that let others in,
//! encryption, locks, lifecycle, replication; they answer `NotImplemented`.
//!
//! Deliberate difference: who may read an object but not list its bucket gets 404, not 403, for a missing object.

mod acls;
mod answers;
mod checksum;
mod convert;
mod guard;
mod host;
mod listings;
mod operations;
mod parts;
mod ranges;

use crate::Sites;
use crate::access::Keys;
use axum::body::Body;
use http::{HeaderName, HeaderValue, Request, Response};
use s3s::service::{S3Service, S3ServiceBuilder};
use std::sync::Arc;

pub use host::bucket_of_host;

/// What `s3s` calls: the operations with the policies of who calls them.
#[derive(Clone)]
struct Face {
    sites: Sites,
    keys: Arc<dyn Keys>,
}

/// The S3 protocol over these sites. The service is cheap to clone; [`call`] is the way to use it.
pub fn service(sites: Sites, keys: Arc<dyn Keys>) -> S3Service {
    let face = Face { sites, keys };
    let service = builder(face.clone()).build();
    let mut builder = builder(face);
    builder.set_route(ranges::Ranges { service });
    builder.build()
}

fn builder(face: Face) -> S3ServiceBuilder {
    let mut builder = S3ServiceBuilder::new(face.clone());
    builder.set_auth(face.clone());
    builder.set_access(face);
    builder.set_host(host::Hosts);
    builder
}

/// Answers a request. Put [`axum::extract::ConnectInfo`] into its extensions, so that policies can look at the
/// peer's address, and [`OverTls`] if it came so.
///
/// # Cancel safety
/// A dropped call has either taken place or not; bytes of an upload that broke off are removed at the next start.
pub async fn call(service: &S3Service, request: Request<Body>, request_id: &str) -> Response<Body> {
    let request = request.map(s3s::Body::http_body_unsync);
    let mut response = match service.call(request).await {
        Ok(response) => answers::mend(response),
        Err(error) => {
            let error: Box<dyn std::error::Error + Send + Sync> = error.into();
            tracing::error!(request_id, error = error.as_ref(), "an S3 request could not be answered");
            answers::internal()
        }
    };
    if let Ok(id) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert(HeaderName::from_static("x-amz-request-id"), id);
    }
    response
}

/// A request's extension: it came over TLS.
#[derive(Clone, Copy, Debug)]
pub struct OverTls;

#[cfg(test)]
mod tests;
