//! Uploads in parts.

use super::Face;
use super::checksum::{NAMES, Verifier};
use super::convert::{
    body, conditions, done, etag, kept_headers, length, limit, md5, metadata, number, only_owner, some, timestamp,
};
use crate::conditions::ByteRange;
use crate::objects::PutObject;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};
use std::collections::BTreeMap;

impl Face {
    /// Begins an upload.
    pub(super) async fn create_multipart_upload_step(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        only_owner(&req, req.input.acl.as_ref().map(ObjectCannedACL::as_str))?;
        let input = req.input;
        let put = PutObject {
            bucket: input.bucket,
            key: input.key,
            content_type: input.content_type,
            headers: kept_headers(&req.headers),
            metadata: metadata(input.metadata),
            ..Default::default()
        };
        let upload = self.sites.create_upload(put).await?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(upload.bucket),
            key: Some(upload.key),
            upload_id: Some(upload.id),
            checksum_algorithm: input.checksum_algorithm,
            ..Default::default()
        }))
    }

    /// Writes a part.
    pub(super) async fn upload_part_step(
        &self,
        req: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let verifier = Verifier::new(&req.headers, req.trailing_headers);
        let input = req.input;
        let announced = (length(input.content_length), md5(input.content_md5.as_ref())?);
        let bytes = verifier.watch(body(input.body));
        let mut sums = BTreeMap::new();
        let number = i64::from(input.part_number);
        let part = self
            .sites
            .put_part(&input.bucket, &input.key, &input.upload_id, number, bytes, announced, || {
                sums = verifier.verify()?;
                Ok(())
            })
            .await?;
        Ok(S3Response::new(UploadPartOutput {
            e_tag: Some(ETag::Strong(part.etag)),
            checksum_crc32: sums.remove(NAMES[0]),
            checksum_crc32c: sums.remove(NAMES[1]),
            checksum_crc64nvme: sums.remove(NAMES[2]),
            checksum_sha1: sums.remove(NAMES[3]),
            checksum_sha256: sums.remove(NAMES[4]),
            ..Default::default()
        }))
    }

    /// Writes a part out of an object.
    pub(super) async fn upload_part_copy_step(
        &self,
        req: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let (bucket, key) = self.copy_source(&req, &req.input.copy_source).await?;
        let input = req.input;
        let part = match &input.copy_source_range {
            Some(text) => Some(
                ByteRange::parse(text)
                    .ok_or_else(|| s3_error!(InvalidArgument, "x-amz-copy-source-range must be bytes=FIRST-LAST"))?,
            ),
            None => None,
        };
        let source = self.sites.get_object(&bucket, &key, part).await?;
        let announced = (Some(source.range.end - source.range.start), None);
        let number = i64::from(input.part_number);
        let part = self
            .sites
            .put_part(&input.bucket, &input.key, &input.upload_id, number, source.body, announced, || Ok(()))
            .await?;
        Ok(S3Response::new(UploadPartCopyOutput {
            copy_part_result: Some(CopyPartResult {
                e_tag: Some(ETag::Strong(part.etag)),
                last_modified: Some(timestamp(part.last_modified)),
                ..Default::default()
            }),
            ..Default::default()
        }))
    }

    /// Makes the object.
    pub(super) async fn complete_multipart_upload_step(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = req.input;
        let upload = self.sites.upload(&input.bucket, &input.key, &input.upload_id).await?;
        let mut named = Vec::new();
        for part in input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default() {
            match (part.part_number.and_then(|number| u16::try_from(number).ok()), part.e_tag) {
                (Some(number), Some(tag)) => named.push((number, tag.into_value())),
                _ => return Err(s3_error!(MalformedXML, "a part needs PartNumber and ETag")),
            }
        }
        let wanted = conditions(input.if_match, input.if_none_match, None, None);
        let object = self.sites.complete_upload(&upload, &named, &wanted).await?;
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", object.bucket, object.key)),
            e_tag: Some(etag(&object)),
            bucket: Some(object.bucket),
            key: Some(object.key),
            ..Default::default()
        }))
    }

    /// Drops an upload.
    pub(super) async fn abort_multipart_upload_step(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = req.input;
        let upload = self.sites.upload(&input.bucket, &input.key, &input.upload_id).await?;
        self.sites.abort_upload(&upload).await?;
        done()
    }

    /// Parts of an upload.
    pub(super) async fn list_parts_step(
        &self,
        req: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        let input = req.input;
        let upload = self.sites.upload(&input.bucket, &input.key, &input.upload_id).await?;
        let max = limit(input.max_parts)? as usize;
        let after = input.part_number_marker.unwrap_or(0);
        let mut parts = self.sites.parts(&upload).await?;
        parts.retain(|part| i32::from(part.number) > after);
        let truncated = parts.len() > max;
        parts.truncate(max);
        let next = parts.last().map(|part| i32::from(part.number)).filter(|_| truncated);
        let parts = parts.into_iter().map(|part| Part {
            e_tag: Some(ETag::Strong(part.etag)),
            last_modified: Some(timestamp(part.last_modified)),
            part_number: Some(i32::from(part.number)),
            size: number(part.size),
            ..Default::default()
        });
        Ok(S3Response::new(ListPartsOutput {
            bucket: Some(upload.bucket),
            key: Some(upload.key),
            upload_id: Some(upload.id),
            max_parts: i32::try_from(max).ok(),
            part_number_marker: Some(after),
            is_truncated: Some(truncated),
            next_part_number_marker: next,
            parts: some(parts.collect()),
            ..Default::default()
        }))
    }

    /// Uploads of a bucket.
    pub(super) async fn list_multipart_uploads_step(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = req.input;
        let max = limit(input.max_uploads)? as usize;
        let mut uploads = self.sites.uploads(&input.bucket).await?;
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = (input.key_marker.clone().unwrap_or_default(), input.upload_id_marker.clone().unwrap_or_default());
        let whole_key = input.upload_id_marker.is_none();
        uploads.retain(|upload| {
            let later = if whole_key { upload.key > after.0 } else { (&upload.key, &upload.id) > (&after.0, &after.1) };
            upload.key.starts_with(&prefix) && (input.key_marker.is_none() || later)
        });
        let truncated = uploads.len() > max;
        uploads.truncate(max);
        let last = uploads.last().filter(|_| truncated).map(|upload| (upload.key.clone(), upload.id.clone()));
        let uploads = uploads.into_iter().map(|upload| MultipartUpload {
            initiated: Some(timestamp(upload.initiated_at)),
            key: Some(upload.key),
            upload_id: Some(upload.id),
            ..Default::default()
        });
        Ok(S3Response::new(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            prefix: input.prefix,
            key_marker: input.key_marker,
            max_uploads: i32::try_from(max).ok(),
            is_truncated: Some(truncated),
            next_key_marker: last.as_ref().map(|(key, _)| key.clone()),
            next_upload_id_marker: last.map(|(_, id)| id),
            uploads: some(uploads.collect()),
            ..Default::default()
        }))
    }
}
