//! Checksums that a sender announces in a header or a trailer of its body, verified while the bytes pass.

use crate::Error;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::HeaderMap;
use s3s::TrailingHeaders;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::dto::Checksum;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Header names of the checksums that there are.
pub(super) const NAMES: [&str; 5] = [
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
];

/// The checksums of one body.
pub(super) struct Verifier {
    announced: BTreeMap<&'static str, String>,
    trailers: Option<TrailingHeaders>,
    hasher: Arc<Mutex<ChecksumHasher>>,
}

impl Verifier {
    /// Looks at what the headers announce.
    pub(super) fn new(headers: &HeaderMap, trailers: Option<TrailingHeaders>) -> Verifier {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let coming: Vec<&str> = text("x-amz-trailer").unwrap_or_default().split(',').map(str::trim).collect();
        let mut announced = BTreeMap::new();
        let mut hasher = ChecksumHasher::default();
        for name in NAMES {
            if let Some(value) = text(name) {
                announced.insert(name, value.to_owned());
            } else if !coming.iter().any(|coming| coming.eq_ignore_ascii_case(name)) {
                continue;
            }
            match name {
                "x-amz-checksum-crc32" => hasher.crc32 = Some(Crc32::new()),
                "x-amz-checksum-crc32c" => hasher.crc32c = Some(Crc32c::new()),
                "x-amz-checksum-crc64nvme" => hasher.crc64nvme = Some(Crc64Nvme::new()),
                "x-amz-checksum-sha1" => hasher.sha1 = Some(Sha1::new()),
                _ => hasher.sha256 = Some(Sha256::new()),
            }
        }
        Verifier { announced, trailers, hasher: Arc::new(Mutex::new(hasher)) }
    }

    /// The same bytes, looked at as they pass.
    pub(super) fn watch<S, E>(&self, stream: S) -> impl Stream<Item = Result<Bytes, E>> + Send + use<S, E>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
    {
        let hasher = self.hasher.clone();
        stream.inspect(move |chunk| {
            if let Ok(chunk) = chunk {
                hasher.lock().unwrap_or_else(PoisonError::into_inner).update(chunk);
            }
        })
    }

    /// The checksums of the bytes that passed, by header name.
    ///
    /// # Errors
    /// [`Error::BadDigest`] if one differs from what was announced.
    pub(super) fn verify(mut self) -> Result<BTreeMap<String, String>, Error> {
        if let Some(trailers) = self.trailers.take().and_then(|trailers| trailers.take()) {
            for name in NAMES {
                if let Some(value) = trailers.get(name).and_then(|value| value.to_str().ok()) {
                    self.announced.insert(name, value.to_owned());
                }
            }
        }
        let hasher = std::mem::take(&mut *self.hasher.lock().unwrap_or_else(PoisonError::into_inner));
        let actual = by_name(hasher.finalize());
        for (name, announced) in &self.announced {
            if actual.get(*name).is_some_and(|actual| actual != announced) {
                return Err(Error::BadDigest { algorithm: name });
            }
        }
        Ok(actual)
    }
}

fn by_name(sums: Checksum) -> BTreeMap<String, String> {
    let values =
        [sums.checksum_crc32, sums.checksum_crc32c, sums.checksum_crc64nvme, sums.checksum_sha1, sums.checksum_sha256];
    NAMES.iter().zip(values).filter_map(|(name, value)| Some(((*name).to_owned(), value?))).collect()
}
