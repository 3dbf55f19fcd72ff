//! Bodies that SDKs compress: those of `PutMetricData` from 10 KB on.
//!
//! Source: Smithy "requestCompression trait", which CloudWatch's model has with `gzip`. What is signed is the compressed body, so it is
//! inflated after the signature was verified.

use crate::ServiceError;
use crate::services::{Definition, Service};
use ::http::header::CONTENT_ENCODING;
use ::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use flate2::read::GzDecoder;
use std::io::Read as _;

/// A body as it was before its compression, of as many bytes at most as the service's bodies may have.
///
/// # Errors
/// An encoding that is not `gzip`, a body that is not of it, or one that is too large.
pub(crate) fn inflate(definition: &Definition, headers: &HeaderMap, body: Bytes) -> Result<Bytes, ServiceError> {
    let Some(encoding) = headers.get(CONTENT_ENCODING).filter(|_| definition.service == Service::CloudWatch) else {
        return Ok(body);
    };
    if encoding.as_bytes().eq_ignore_ascii_case(b"identity") {
        return Ok(body);
    }
    if !encoding.as_bytes().eq_ignore_ascii_case(b"gzip") {
        let message = "a body may be compressed by gzip only";
        return Err(ServiceError::new("UnsupportedMediaTypeException", StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let bytes_max = definition.body_bytes_max;
    let mut inflated = Vec::new();
    let one_more = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    GzDecoder::new(&body[..]).take(one_more).read_to_end(&mut inflated).map_err(|_| {
        ServiceError::new("SerializationException", StatusCode::BAD_REQUEST, "the body is not compressed by gzip")
    })?;
    if inflated.len() > bytes_max {
        return Err(ServiceError::new(
            "RequestEntityTooLargeException",
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("a request to this service may have {bytes_max} bytes, also when it is not compressed any more"),
        ));
    }
    Ok(inflated.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write as _;

    fn gzip(text: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap().into()
    }

    fn inflated(service: &str, encoding: &'static str, body: Bytes) -> Result<Bytes, ServiceError> {
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, encoding.parse().unwrap())]);
        inflate(Definition::by_signing_name(service).unwrap(), &headers, body)
    }

    #[test]
    fn a_compressed_body_is_read_and_one_that_is_not_is_refused() {
        assert_eq!(inflated("monitoring", "gzip", gzip(b"{}")).unwrap(), "{}");
        assert_eq!(inflated("monitoring", "identity", Bytes::from("{}")).unwrap(), "{}");
        assert_eq!(inflated("monitoring", "br", gzip(b"{}")).unwrap_err().status, 415);
        assert_eq!(inflated("monitoring", "gzip", Bytes::from("{}")).unwrap_err().status, 400);
        let cut = gzip(b"hello").slice(..12);
        assert_eq!(inflated("monitoring", "gzip", cut).unwrap_err().status, 400);
        // Other services' bodies are theirs: a function's payload may be compressed.
        assert_eq!(inflated("lambda", "gzip", gzip(b"{}")).unwrap(), gzip(b"{}"));
    }

    #[test]
    fn a_small_body_that_becomes_a_large_one_is_refused() {
        let bomb = gzip(&vec![0_u8; 64 << 20]);
        assert!(bomb.len() < 100_000);
        assert_eq!(inflated("monitoring", "gzip", bomb).unwrap_err().status, 413);
    }
}
