//! Between the protocol's types and ours.

use crate::Error;
use crate::conditions::{ByteRange, Conditions};
use crate::listing::LIST_MAX;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use headwater_model::Timestamp;
use headwater_model::bucket::{Object, PublicAccessBlock, Website};
use http::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{self, ETag, ETagCondition, StreamingBlob};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use std::collections::BTreeMap;

/// Headers that are kept with an object and returned with it.
const KEPT: [&str; 7] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
    "x-amz-tagging",
    "x-amz-website-redirect-location",
];

/// Everything but what RFC 3986 calls unreserved, and slashes.
const KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

impl From<Error> for S3Error {
    fn from(error: Error) -> Self {
        use S3ErrorCode as Code;
        let code = match &error {
            Error::NoSuchBucket(_) => Code::NoSuchBucket,
            Error::BucketExists(_) => Code::BucketAlreadyOwnedByYou,
            Error::BucketNotEmpty(_) => Code::BucketNotEmpty,
            Error::InvalidBucketName(_) => Code::InvalidBucketName,
            Error::NoSuchKey { .. } => Code::NoSuchKey,
            Error::InvalidKey(0) => Code::InvalidArgument,
            Error::InvalidKey(_) => Code::KeyTooLongError,
            Error::NoSuchUpload(_) => Code::NoSuchUpload,
            Error::InvalidPartNumber(_) => Code::InvalidArgument,
            Error::InvalidPart(_) => Code::InvalidPart,
            Error::InvalidPartOrder => Code::InvalidPartOrder,
            Error::PartTooSmall { .. } => Code::EntityTooSmall,
            Error::TooLarge => Code::EntityTooLarge,
            Error::BadDigest { .. } => Code::BadDigest,
            Error::InvalidDigest(_) => Code::InvalidDigest,
            Error::Incomplete { .. } | Error::Upload(_) => Code::IncompleteBody,
            Error::PreconditionFailed => Code::PreconditionFailed,
            Error::InvalidRange { .. } => Code::InvalidRange,
            Error::Policy(_) | Error::PolicyOutside(_) | Error::PolicyTooLarge(_) => Code::MalformedPolicy,
            Error::PublicPolicyBlocked(_) => Code::AccessDenied,
            Error::InvalidWebsite(_) => Code::InvalidArgument,
            Error::Blob(_) | Error::Store(_) => return super::guard::internal(error),
        };
        let message = match &error {
            Error::NoSuchBucket(_) => "The specified bucket does not exist".to_owned(),
            Error::NoSuchKey { .. } => "The specified key does not exist.".to_owned(),
            // The parser's words name the path, which is what who wrote the policy needs.
            Error::Policy(source) => source.to_string(),
            other => other.to_string(),
        };
        tracing::debug!(code = code.as_str(), message, "an S3 request was refused");
        let mut refused = S3Error::with_message(code, message);
        if let Error::InvalidRange { size } = error
            && let Ok(value) = format!("bytes */{size}").parse()
        {
            refused.set_headers(HeaderMap::from_iter([(http::header::CONTENT_RANGE, value)]));
        }
        refused
    }
}

pub(super) fn timestamp(at: Timestamp) -> dto::Timestamp {
    dto::Timestamp::from(at.to_datetime())
}

pub(super) fn epoch_seconds(at: dto::Timestamp) -> i64 {
    time::OffsetDateTime::from(at).unix_timestamp()
}

pub(super) fn etag(object: &Object) -> ETag {
    ETag::Strong(object.etag.clone())
}

fn condition(value: ETagCondition) -> String {
    match value {
        ETagCondition::Any => "*".into(),
        ETagCondition::ETag(tag) => tag.into_value(),
    }
}

pub(super) fn conditions(
    if_match: Option<ETagCondition>,
    if_none_match: Option<ETagCondition>,
    if_modified_since: Option<dto::Timestamp>,
    if_unmodified_since: Option<dto::Timestamp>,
) -> Conditions {
    Conditions {
        if_match: if_match.map(condition),
        if_none_match: if_none_match.map(condition),
        if_modified_since: if_modified_since.map(epoch_seconds),
        if_unmodified_since: if_unmodified_since.map(epoch_seconds),
    }
}

pub(super) fn range(range: dto::Range) -> ByteRange {
    match range {
        dto::Range::Int { first, last } => ByteRange::From { first, last },
        dto::Range::Suffix { length } => ByteRange::Last(length),
    }
}

/// Reads a `Content-MD5`.
pub(super) fn md5(text: Option<&String>) -> Result<Option<[u8; 16]>, Error> {
    let Some(text) = text else { return Ok(None) };
    let bytes = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.map(Some).ok_or(Error::InvalidDigest("Content-MD5"))
}

/// A length that the wire gives as a signed number.
pub(super) fn length(value: Option<i64>) -> Option<u64> {
    value.and_then(|value| u64::try_from(value).ok())
}

/// The request's headers that stay with the object. `aws-chunked` says how the body came, not what it is.
pub(super) fn kept_headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut kept = BTreeMap::new();
    for name in KEPT {
        let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) else {
            continue;
        };
        let value = if name == "content-encoding" {
            let codings: Vec<&str> = value.split(',').map(str::trim).filter(|c| *c != "aws-chunked").collect();
            codings.join(", ")
        } else {
            value.to_owned()
        };
        if !value.is_empty() {
            kept.insert(name.to_owned(), value);
        }
    }
    kept
}

pub(super) fn metadata(metadata: Option<dto::Metadata>) -> BTreeMap<String, String> {
    metadata.map(|metadata| metadata.into_iter().collect()).unwrap_or_default()
}

/// A kept header of an object.
pub(super) fn header(object: &Object, name: &str) -> Option<String> {
    object.headers.get(name).cloned()
}

/// There are no versions: each object's is `null`.
pub(super) fn only_null_version(version: Option<&str>) -> S3Result<()> {
    match version {
        None | Some("null") => Ok(()),
        Some(_) => Err(s3_error!(NoSuchVersion, "The specified version does not exist.")),
    }
}

/// Access is a matter of policies: a request that asks for more with an ACL is refused, in place of an object that
/// others cannot read although its owner was told so. `acl` is what a form's field says; signed addresses have it in
/// their query.
pub(super) fn only_owner<T>(req: &S3Request<T>, acl: Option<&str>) -> S3Result<()> {
    let query = form_urlencoded::parse(req.uri.query().unwrap_or_default().as_bytes());
    let query = query.map(|(name, value)| (name.to_ascii_lowercase(), value));
    let headers = req.headers.iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes())));
    let field = acl.map(|acl| ("x-amz-acl".to_owned(), acl.into()));
    for (name, value) in headers.chain(query).chain(field) {
        let asked = match name.as_str() {
            "x-amz-acl" => !matches!(value.as_ref(), "private" | "bucket-owner-full-control"),
            other => other.starts_with("x-amz-grant-"),
        };
        if asked {
            return Err(s3_error!(
                NotImplemented,
                "{name} asks for an ACL, which is not implemented: use a bucket policy to let others in. The ACLs \
                 private and bucket-owner-full-control are accepted."
            ));
        }
    }
    Ok(())
}

/// How keys are written in a listing.
#[derive(Clone, Copy)]
pub(super) enum Keys {
    Plain,
    Url,
}

impl Keys {
    pub(super) fn of(encoding: Option<&dto::EncodingType>) -> Keys {
        match encoding {
            Some(encoding) if encoding.as_str() == dto::EncodingType::URL => Keys::Url,
            _ => Keys::Plain,
        }
    }

    pub(super) fn write(self, text: String) -> String {
        match self {
            Keys::Plain => text,
            Keys::Url => utf8_percent_encode(&text, KEY).to_string(),
        }
    }
}

pub(super) fn listed_object(object: Object, keys: Keys) -> dto::Object {
    dto::Object {
        e_tag: Some(etag(&object)),
        last_modified: Some(timestamp(object.last_modified)),
        size: i64::try_from(object.size).ok(),
        storage_class: Some(dto::ObjectStorageClass::from_static(dto::ObjectStorageClass::STANDARD)),
        key: Some(keys.write(object.key)),
        ..Default::default()
    }
}

pub(super) fn common_prefixes(prefixes: Vec<String>, keys: Keys) -> Vec<dto::CommonPrefix> {
    prefixes.into_iter().map(|prefix| dto::CommonPrefix { prefix: Some(keys.write(prefix)) }).collect()
}

/// A list member that is left out if it is empty.
pub(super) fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

pub(super) fn website(configuration: dto::WebsiteConfiguration) -> S3Result<Website> {
    if configuration.routing_rules.is_some_and(|rules| !rules.is_empty()) {
        return Err(s3_error!(NotImplemented, "RoutingRules are not implemented"));
    }
    Ok(Website {
        index_document: configuration.index_document.map(|document| document.suffix),
        error_document: configuration.error_document.map(|document| document.key),
        redirect_all: configuration
            .redirect_all_requests_to
            .map(|redirect| (redirect.host_name, redirect.protocol.map(|protocol| protocol.as_str().to_owned()))),
    })
}

pub(super) fn website_output(website: Website) -> dto::GetBucketWebsiteOutput {
    dto::GetBucketWebsiteOutput {
        index_document: website.index_document.map(|suffix| dto::IndexDocument { suffix }),
        error_document: website.error_document.map(|key| dto::ErrorDocument { key }),
        redirect_all_requests_to: website.redirect_all.map(|(host_name, protocol)| dto::RedirectAllRequestsTo {
            host_name,
            protocol: protocol.map(dto::Protocol::from),
        }),
        routing_rules: None,
    }
}

pub(super) fn access_block(configuration: &dto::PublicAccessBlockConfiguration) -> PublicAccessBlock {
    PublicAccessBlock {
        block_public_acls: configuration.block_public_acls.unwrap_or_default(),
        ignore_public_acls: configuration.ignore_public_acls.unwrap_or_default(),
        block_public_policy: configuration.block_public_policy.unwrap_or_default(),
        restrict_public_buckets: configuration.restrict_public_buckets.unwrap_or_default(),
    }
}

pub(super) fn access_block_output(block: PublicAccessBlock) -> dto::PublicAccessBlockConfiguration {
    dto::PublicAccessBlockConfiguration {
        block_public_acls: Some(block.block_public_acls),
        ignore_public_acls: Some(block.ignore_public_acls),
        block_public_policy: Some(block.block_public_policy),
        restrict_public_buckets: Some(block.restrict_public_buckets),
    }
}

/// A request without a body writes no bytes.
pub(super) fn body(body: Option<StreamingBlob>) -> StreamingBlob {
    body.unwrap_or_else(|| StreamingBlob::from(s3s::Body::empty()))
}

pub(super) fn number(value: u64) -> Option<i64> {
    i64::try_from(value).ok()
}

pub(super) fn limit(value: Option<i32>) -> S3Result<u32> {
    match value {
        None => Ok(LIST_MAX),
        Some(value) => u32::try_from(value)
            .map(|value| value.min(LIST_MAX))
            .map_err(|_| s3_error!(InvalidArgument, "max-keys must not be negative")),
    }
}

pub(super) fn done<T: Default>() -> S3Result<S3Response<T>> {
    Ok(S3Response::new(T::default()))
}
