//! Listings of objects.

use super::Face;
use super::convert::{Keys, common_prefixes, etag, limit, listed_object, number, some, timestamp};
use crate::listing::ListObjects;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

impl Face {
    /// The first listing.
    pub(super) async fn list_objects_page(
        &self,
        req: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let input = req.input;
        let keys = Keys::of(input.encoding_type.as_ref());
        let max = limit(input.max_keys)?;
        let select = ListObjects {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone(),
            after: input.marker.clone().filter(|marker| !marker.is_empty()),
            limit: max,
        };
        let listing = self.sites.list_objects(&input.bucket, select).await?;
        let folded = input.delimiter.is_some();
        Ok(S3Response::new(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: Some(keys.write(input.prefix.unwrap_or_default())),
            marker: Some(keys.write(input.marker.unwrap_or_default())),
            max_keys: i32::try_from(max).ok(),
            is_truncated: Some(listing.next_after.is_some()),
            // Without a delimiter, the last key is the marker, and who lists knows it.
            next_marker: listing.next_after.filter(|_| folded).map(|next| keys.write(next)),
            contents: some(listing.objects.into_iter().map(|object| listed_object(object, keys)).collect()),
            common_prefixes: some(common_prefixes(listing.common_prefixes, keys)),
            delimiter: input.delimiter.map(|delimiter| keys.write(delimiter)),
            encoding_type: input.encoding_type,
            ..Default::default()
        }))
    }

    /// The second listing, with a token of where it goes on: the last key in hex.
    pub(super) async fn list_objects_v2_page(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = req.input;
        let keys = Keys::of(input.encoding_type.as_ref());
        let max = limit(input.max_keys)?;
        let after = match &input.continuation_token {
            Some(token) => Some(
                hex::decode(token)
                    .ok()
                    .and_then(|bytes| String::from_utf8(bytes).ok())
                    .ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))?,
            ),
            None => input.start_after.clone().filter(|after| !after.is_empty()),
        };
        let select = ListObjects {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone(),
            after,
            limit: max,
        };
        let listing = self.sites.list_objects(&input.bucket, select).await?;
        let count = listing.objects.len() + listing.common_prefixes.len();
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(keys.write(input.prefix.unwrap_or_default())),
            max_keys: i32::try_from(max).ok(),
            key_count: i32::try_from(count).ok(),
            is_truncated: Some(listing.next_after.is_some()),
            continuation_token: input.continuation_token,
            next_continuation_token: listing.next_after.map(hex::encode),
            contents: some(listing.objects.into_iter().map(|object| listed_object(object, keys)).collect()),
            common_prefixes: some(common_prefixes(listing.common_prefixes, keys)),
            delimiter: input.delimiter.map(|delimiter| keys.write(delimiter)),
            encoding_type: input.encoding_type,
            start_after: input.start_after.map(|after| keys.write(after)),
            ..Default::default()
        }))
    }

    /// Every object as its only version.
    pub(super) async fn list_object_versions_page(
        &self,
        req: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        let input = req.input;
        let keys = Keys::of(input.encoding_type.as_ref());
        let max = limit(input.max_keys)?;
        let select = ListObjects {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone(),
            after: input.key_marker.clone().filter(|marker| !marker.is_empty()),
            limit: max,
        };
        let listing = self.sites.list_objects(&input.bucket, select).await?;
        let versions = listing.objects.into_iter().map(|object| ObjectVersion {
            e_tag: Some(etag(&object)),
            is_latest: Some(true),
            last_modified: Some(timestamp(object.last_modified)),
            size: number(object.size),
            storage_class: Some(ObjectVersionStorageClass::from_static(ObjectVersionStorageClass::STANDARD)),
            version_id: Some("null".into()),
            key: Some(keys.write(object.key)),
            ..Default::default()
        });
        Ok(S3Response::new(ListObjectVersionsOutput {
            name: Some(input.bucket),
            prefix: Some(keys.write(input.prefix.unwrap_or_default())),
            key_marker: Some(keys.write(input.key_marker.unwrap_or_default())),
            max_keys: i32::try_from(max).ok(),
            is_truncated: Some(listing.next_after.is_some()),
            next_version_id_marker: listing.next_after.as_ref().map(|_| "null".into()),
            next_key_marker: listing.next_after.map(|next| keys.write(next)),
            versions: some(versions.collect()),
            common_prefixes: some(common_prefixes(listing.common_prefixes, keys)),
            delimiter: input.delimiter.map(|delimiter| keys.write(delimiter)),
            encoding_type: input.encoding_type,
            ..Default::default()
        }))
    }
}
