//! The operations of the protocol, each a call of ours between two conversions.

use super::answers::is_xml;
use super::checksum::{NAMES, Verifier};
use super::convert::{
    access_block, access_block_output, body, conditions, done, etag, header, kept_headers, length, md5, metadata,
    number, only_null_version, only_owner, range, some, timestamp, website, website_output,
};
use super::guard::{Caller, denied};
use super::{Face, acls, convert};
use crate::access::object_arn;
use crate::buckets::CreateBucket;
use crate::conditions::{Conditions, Outcome};
use crate::objects::{Attributes, PutObject, Reading};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use headwater_model::bucket::Object;
use headwater_store::BlobError;
use http_body_util::StreamBody;
use hyper::body::Frame;
use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use std::collections::BTreeMap;

// What is longer than a conversion and a call stands in `listings` and `parts`.

/// Bytes of ours as the body of an answer.
fn stream(bytes: BoxStream<'static, Result<Bytes, BlobError>>) -> StreamingBlob {
    let frames = bytes.map(|chunk| chunk.map(Frame::data));
    StreamingBlob::from(s3s::Body::http_body_unsync(StreamBody::new(frames)))
}

/// What a conditional read comes to.
fn proceed(conditions: &Conditions, object: &Object) -> S3Result<()> {
    match conditions.judge(object) {
        Outcome::Proceed => Ok(()),
        Outcome::NotModified => Err(s3_error!(NotModified)),
        Outcome::Failed => Err(crate::Error::PreconditionFailed.into()),
    }
}

impl Face {
    /// The object that a copy reads, if the caller may read it.
    pub(super) async fn copy_source<T>(&self, req: &S3Request<T>, source: &CopySource) -> S3Result<(String, String)> {
        let CopySource::Bucket { bucket, key, version_id } = source else {
            return Err(s3_error!(NotImplemented, "access points are not implemented"));
        };
        only_null_version(version_id.as_deref())?;
        let caller = req.extensions.get::<Caller>().ok_or_else(denied)?;
        if !self.permits(caller, bucket, "s3:GetObject", &object_arn(bucket, key)).await? {
            return Err(denied());
        }
        Ok((bucket.to_string(), key.to_string()))
    }
}

#[async_trait::async_trait]
impl S3 for Face {
    async fn list_buckets(&self, _req: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        let buckets = self.sites.buckets().await?;
        let buckets = buckets.into_iter().map(|bucket| Bucket {
            name: Some(bucket.name),
            creation_date: Some(timestamp(bucket.created_at)),
            bucket_region: None,
        });
        let account = self.sites.realm().account.clone();
        Ok(S3Response::new(ListBucketsOutput {
            buckets: Some(buckets.collect()),
            owner: Some(Owner { id: Some(account), display_name: None }),
            ..Default::default()
        }))
    }

    async fn create_bucket(&self, req: S3Request<CreateBucketInput>) -> S3Result<S3Response<CreateBucketOutput>> {
        only_owner(&req, req.input.acl.as_ref().map(BucketCannedACL::as_str))?;
        let bucket = self.sites.create_bucket(CreateBucket { name: req.input.bucket, ..Default::default() }).await?;
        Ok(S3Response::new(CreateBucketOutput { location: Some(format!("/{}", bucket.name)) }))
    }

    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.sites.bucket(&req.input.bucket).await?;
        Ok(S3Response::new(HeadBucketOutput {
            bucket_region: Some(self.sites.realm().region.clone()),
            ..Default::default()
        }))
    }

    async fn delete_bucket(&self, req: S3Request<DeleteBucketInput>) -> S3Result<S3Response<DeleteBucketOutput>> {
        self.sites.delete_bucket(&req.input.bucket).await?;
        done()
    }

    async fn get_bucket_location(
        &self,
        req: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.sites.bucket(&req.input.bucket).await?;
        // The first Region has no name here.
        let region = Some(self.sites.realm().region.clone()).filter(|region| region != "us-east-1");
        Ok(S3Response::new(GetBucketLocationOutput { location_constraint: region.map(BucketLocationConstraint::from) }))
    }

    async fn get_bucket_acl(&self, req: S3Request<GetBucketAclInput>) -> S3Result<S3Response<GetBucketAclOutput>> {
        self.sites.bucket(&req.input.bucket).await?;
        let (owner, grants) = acls::of(&self.sites.realm().account);
        Ok(S3Response::new(GetBucketAclOutput { owner: Some(owner), grants: Some(grants) }))
    }

    async fn put_bucket_acl(&self, req: S3Request<PutBucketAclInput>) -> S3Result<S3Response<PutBucketAclOutput>> {
        self.sites.bucket(&req.input.bucket).await?;
        only_owner(&req, req.input.acl.as_ref().map(BucketCannedACL::as_str))?;
        acls::only_the_owners(&self.sites.realm().account, req.input.access_control_policy.as_ref())?;
        done()
    }

    async fn get_object_acl(&self, req: S3Request<GetObjectAclInput>) -> S3Result<S3Response<GetObjectAclOutput>> {
        only_null_version(req.input.version_id.as_deref())?;
        self.sites.object(&req.input.bucket, &req.input.key).await?;
        let (owner, grants) = acls::of(&self.sites.realm().account);
        Ok(S3Response::new(GetObjectAclOutput { owner: Some(owner), grants: Some(grants), ..Default::default() }))
    }

    async fn put_object_acl(&self, req: S3Request<PutObjectAclInput>) -> S3Result<S3Response<PutObjectAclOutput>> {
        only_null_version(req.input.version_id.as_deref())?;
        self.sites.object(&req.input.bucket, &req.input.key).await?;
        only_owner(&req, req.input.acl.as_ref().map(ObjectCannedACL::as_str))?;
        acls::only_the_owners(&self.sites.realm().account, req.input.access_control_policy.as_ref())?;
        done()
    }

    async fn get_bucket_versioning(
        &self,
        req: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        self.sites.bucket(&req.input.bucket).await?;
        done()
    }

    async fn get_bucket_policy(
        &self,
        req: S3Request<GetBucketPolicyInput>,
    ) -> S3Result<S3Response<GetBucketPolicyOutput>> {
        let bucket = self.sites.bucket(&req.input.bucket).await?;
        let Some(policy) = bucket.policy else {
            return Err(s3_error!(NoSuchBucketPolicy, "The bucket policy does not exist"));
        };
        Ok(S3Response::new(GetBucketPolicyOutput { policy: Some(policy.to_string()) }))
    }

    async fn put_bucket_policy(
        &self,
        req: S3Request<PutBucketPolicyInput>,
    ) -> S3Result<S3Response<PutBucketPolicyOutput>> {
        let document = serde_json::from_str(&req.input.policy)
            .map_err(|_| s3_error!(MalformedPolicy, "Policies must be valid JSON"))?;
        self.sites.put_policy(&req.input.bucket, document).await?;
        done()
    }

    async fn delete_bucket_policy(
        &self,
        req: S3Request<DeleteBucketPolicyInput>,
    ) -> S3Result<S3Response<DeleteBucketPolicyOutput>> {
        self.sites.delete_policy(&req.input.bucket).await?;
        done()
    }

    async fn get_bucket_website(
        &self,
        req: S3Request<GetBucketWebsiteInput>,
    ) -> S3Result<S3Response<GetBucketWebsiteOutput>> {
        match self.sites.bucket(&req.input.bucket).await?.website {
            Some(website) => Ok(S3Response::new(website_output(website))),
            None => {
                Err(s3_error!(NoSuchWebsiteConfiguration, "The specified bucket does not have a website configuration"))
            }
        }
    }

    async fn put_bucket_website(
        &self,
        req: S3Request<PutBucketWebsiteInput>,
    ) -> S3Result<S3Response<PutBucketWebsiteOutput>> {
        self.sites.put_website(&req.input.bucket, Some(website(req.input.website_configuration)?)).await?;
        done()
    }

    async fn delete_bucket_website(
        &self,
        req: S3Request<DeleteBucketWebsiteInput>,
    ) -> S3Result<S3Response<DeleteBucketWebsiteOutput>> {
        self.sites.put_website(&req.input.bucket, None).await?;
        done()
    }

    async fn get_bucket_tagging(
        &self,
        req: S3Request<GetBucketTaggingInput>,
    ) -> S3Result<S3Response<GetBucketTaggingOutput>> {
        let tags = self.sites.bucket(&req.input.bucket).await?.tags;
        if tags.is_empty() {
            return Err(s3_error!(NoSuchTagSet, "The TagSet does not exist"));
        }
        let tag_set = tags.into_iter().map(|(key, value)| Tag { key: Some(key), value: Some(value) }).collect();
        Ok(S3Response::new(GetBucketTaggingOutput { tag_set }))
    }

    async fn put_bucket_tagging(
        &self,
        req: S3Request<PutBucketTaggingInput>,
    ) -> S3Result<S3Response<PutBucketTaggingOutput>> {
        let mut tags = BTreeMap::new();
        for Tag { key, value } in req.input.tagging.tag_set {
            let Some(key) = key.filter(|key| !key.is_empty()) else {
                return Err(s3_error!(InvalidTag, "a tag has no key"));
            };
            if tags.insert(key, value.unwrap_or_default()).is_some() {
                return Err(s3_error!(InvalidTag, "a tag's key is given twice"));
            }
        }
        self.sites.put_tags(&req.input.bucket, tags).await?;
        done()
    }

    async fn delete_bucket_tagging(
        &self,
        req: S3Request<DeleteBucketTaggingInput>,
    ) -> S3Result<S3Response<DeleteBucketTaggingOutput>> {
        self.sites.put_tags(&req.input.bucket, BTreeMap::new()).await?;
        done()
    }

    async fn get_public_access_block(
        &self,
        req: S3Request<GetPublicAccessBlockInput>,
    ) -> S3Result<S3Response<GetPublicAccessBlockOutput>> {
        let Some(block) = self.sites.bucket(&req.input.bucket).await?.public_access_block else {
            let code = s3s::S3ErrorCode::Custom("NoSuchPublicAccessBlockConfiguration".into());
            let mut error = s3s::S3Error::with_message(code, "The public access block configuration was not found");
            error.set_status_code(http::StatusCode::NOT_FOUND);
            return Err(error);
        };
        let public_access_block_configuration = Some(access_block_output(block));
        Ok(S3Response::new(GetPublicAccessBlockOutput { public_access_block_configuration }))
    }

    async fn put_public_access_block(
        &self,
        req: S3Request<PutPublicAccessBlockInput>,
    ) -> S3Result<S3Response<PutPublicAccessBlockOutput>> {
        let block = access_block(&req.input.public_access_block_configuration);
        self.sites.put_public_access_block(&req.input.bucket, Some(block)).await?;
        done()
    }

    async fn delete_public_access_block(
        &self,
        req: S3Request<DeletePublicAccessBlockInput>,
    ) -> S3Result<S3Response<DeletePublicAccessBlockOutput>> {
        self.sites.put_public_access_block(&req.input.bucket, None).await?;
        done()
    }

    async fn put_object(&self, req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        only_owner(&req, req.input.acl.as_ref().map(ObjectCannedACL::as_str))?;
        let verifier = Verifier::new(&req.headers, req.trailing_headers);
        let input = req.input;
        let put = PutObject {
            bucket: input.bucket,
            key: input.key,
            content_type: input.content_type,
            headers: kept_headers(&req.headers),
            metadata: metadata(input.metadata),
            content_md5: md5(input.content_md5.as_ref())?,
            content_length: length(input.content_length),
            conditions: conditions(input.if_match, input.if_none_match, None, None),
        };
        let bytes = verifier.watch(body(input.body));
        let object = self
            .sites
            .put_object_checked(put, bytes, |object| {
                object.headers.extend(verifier.verify()?);
                Ok(())
            })
            .await?;
        Ok(S3Response::new(PutObjectOutput {
            e_tag: Some(etag(&object)),
            checksum_crc32: header(&object, NAMES[0]),
            checksum_crc32c: header(&object, NAMES[1]),
            checksum_crc64nvme: header(&object, NAMES[2]),
            checksum_sha1: header(&object, NAMES[3]),
            checksum_sha256: header(&object, NAMES[4]),
            ..Default::default()
        }))
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = req.input;
        only_null_version(input.version_id.as_deref())?;
        let wanted =
            conditions(input.if_match, input.if_none_match, input.if_modified_since, input.if_unmodified_since);
        proceed(&wanted, &self.sites.object(&input.bucket, &input.key).await?)?;
        let part = input.range.map(range);
        let Reading { object, range, body } = self.sites.get_object(&input.bucket, &input.key, part).await?;
        // A sum over the whole object says nothing of a part of it.
        let sums = if input.checksum_mode.is_some() && part.is_none() { Some(&object) } else { None };
        let sum = |name| sums.and_then(|object| header(object, name));
        let checksum_type = sums
            .filter(|object| NAMES.iter().any(|name| object.headers.contains_key(*name)))
            .map(|_| ChecksumType::from_static(ChecksumType::FULL_OBJECT));
        let content_range =
            part.map(|_| format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), object.size));
        let output = GetObjectOutput {
            accept_ranges: Some("bytes".into()),
            content_length: number(range.end - range.start),
            content_range,
            e_tag: Some(etag(&object)),
            last_modified: Some(timestamp(object.last_modified)),
            cache_control: header(&object, "cache-control"),
            content_disposition: header(&object, "content-disposition"),
            content_encoding: header(&object, "content-encoding"),
            content_language: header(&object, "content-language"),
            expires: expires(&object),
            website_redirect_location: header(&object, "x-amz-website-redirect-location"),
            checksum_crc32: sum(NAMES[0]),
            checksum_crc32c: sum(NAMES[1]),
            checksum_crc64nvme: sum(NAMES[2]),
            checksum_sha1: sum(NAMES[3]),
            checksum_sha256: sum(NAMES[4]),
            checksum_type,
            content_type: Some(object.content_type),
            metadata: Some(object.metadata.into_iter().collect()),
            body: Some(stream(body)),
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = req.input;
        only_null_version(input.version_id.as_deref())?;
        let object = self.sites.object(&input.bucket, &input.key).await?;
        let wanted =
            conditions(input.if_match, input.if_none_match, input.if_modified_since, input.if_unmodified_since);
        proceed(&wanted, &object)?;
        let part = input.range.map(|part| range(part).within(object.size)).transpose()?;
        let sum = |name| input.checksum_mode.as_ref().and_then(|_| header(&object, name));
        Ok(S3Response::new(HeadObjectOutput {
            accept_ranges: Some("bytes".into()),
            content_length: number(part.as_ref().map_or(object.size, |part| part.end - part.start)),
            content_range: part.map(|part| format!("bytes {}-{}/{}", part.start, part.end - 1, object.size)),
            e_tag: Some(etag(&object)),
            last_modified: Some(timestamp(object.last_modified)),
            cache_control: header(&object, "cache-control"),
            content_disposition: header(&object, "content-disposition"),
            content_encoding: header(&object, "content-encoding"),
            content_language: header(&object, "content-language"),
            expires: expires(&object),
            website_redirect_location: header(&object, "x-amz-website-redirect-location"),
            checksum_crc32: sum(NAMES[0]),
            checksum_crc32c: sum(NAMES[1]),
            checksum_crc64nvme: sum(NAMES[2]),
            checksum_sha1: sum(NAMES[3]),
            checksum_sha256: sum(NAMES[4]),
            content_type: Some(object.content_type.clone()),
            metadata: Some(object.metadata.clone().into_iter().collect()),
            ..Default::default()
        }))
    }

    async fn delete_object(&self, req: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        only_null_version(req.input.version_id.as_deref())?;
        self.sites.delete_object(&req.input.bucket, &req.input.key).await?;
        done()
    }

    async fn delete_objects(&self, req: S3Request<DeleteObjectsInput>) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let caller = req.extensions.get::<Caller>().cloned().ok_or_else(denied)?;
        let DeleteObjectsInput { bucket, delete, .. } = req.input;
        // What the protocol allows.
        if delete.objects.len() > 1000 {
            return Err(s3_error!(MalformedXML, "at most 1000 keys"));
        }
        // XML has no form for such a key, so the answer could not tell what became of it. Refused before any is deleted.
        if delete.objects.iter().any(|object| !object.key.chars().all(is_xml)) {
            return Err(s3_error!(
                MalformedXML,
                "A key has a character that XML 1.0 cannot hold; delete that object with DeleteObject."
            ));
        }
        self.sites.bucket(&bucket).await?;
        let quiet = delete.quiet.unwrap_or_default();
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for ObjectIdentifier { key, version_id, .. } in delete.objects {
            let outcome = async {
                only_null_version(version_id.as_deref())?;
                if !self.permits(&caller, &bucket, "s3:DeleteObject", &object_arn(&bucket, &key)).await? {
                    return Err(denied());
                }
                Ok(self.sites.delete_object(&bucket, &key).await?)
            };
            match outcome.await {
                Ok(()) if quiet => {}
                Ok(()) => deleted.push(DeletedObject { key: Some(key), version_id, ..Default::default() }),
                Err(error) => errors.push(Error {
                    code: Some(error.code().as_str().to_owned()),
                    key: Some(key),
                    message: error.message().map(str::to_owned),
                    version_id,
                }),
            }
        }
        Ok(S3Response::new(DeleteObjectsOutput { deleted: some(deleted), errors: some(errors), ..Default::default() }))
    }

    async fn copy_object(&self, req: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        only_owner(&req, req.input.acl.as_ref().map(ObjectCannedACL::as_str))?;
        let (bucket, key) = self.copy_source(&req, &req.input.copy_source).await?;
        let kept = kept_headers(&req.headers);
        let input = req.input;
        let wanted = conditions(
            input.copy_source_if_match,
            input.copy_source_if_none_match,
            input.copy_source_if_modified_since,
            input.copy_source_if_unmodified_since,
        );
        // A copy has no "not modified": whatever is not so of the source fails it.
        if wanted.judge(&self.sites.object(&bucket, &key).await?) != Outcome::Proceed {
            return Err(crate::Error::PreconditionFailed.into());
        }
        let replace = input.metadata_directive.is_some_and(|d| d.as_str() == MetadataDirective::REPLACE);
        if !replace && bucket == input.bucket && key == input.key {
            return Err(s3_error!(InvalidRequest, "a copy onto itself must replace the metadata"));
        }
        let put = PutObject {
            bucket: input.bucket,
            key: input.key,
            content_type: input.content_type,
            headers: kept,
            metadata: metadata(input.metadata),
            ..Default::default()
        };
        let attributes = if replace { Attributes::Replace } else { Attributes::Keep };
        let object = self.sites.copy_object((&bucket, &key), put, attributes).await?;
        Ok(S3Response::new(CopyObjectOutput {
            copy_object_result: Some(CopyObjectResult {
                e_tag: Some(etag(&object)),
                last_modified: Some(timestamp(object.last_modified)),
                ..Default::default()
            }),
            ..Default::default()
        }))
    }

    async fn list_objects(&self, req: S3Request<ListObjectsInput>) -> S3Result<S3Response<ListObjectsOutput>> {
        self.list_objects_page(req).await
    }

    async fn list_objects_v2(&self, req: S3Request<ListObjectsV2Input>) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.list_objects_v2_page(req).await
    }

    async fn list_object_versions(
        &self,
        req: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        self.list_object_versions_page(req).await
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.create_multipart_upload_step(req).await
    }

    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        self.upload_part_step(req).await
    }

    async fn upload_part_copy(
        &self,
        req: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        self.upload_part_copy_step(req).await
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        self.complete_multipart_upload_step(req).await
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.abort_multipart_upload_step(req).await
    }

    async fn list_parts(&self, req: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        self.list_parts_step(req).await
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        self.list_multipart_uploads_step(req).await
    }
}

/// The `Expires` header as it was given, if it is a date.
fn expires(object: &Object) -> Option<Timestamp> {
    let seconds = crate::conditions::parse_http_date(object.headers.get("expires")?)?;
    Some(convert::timestamp(headwater_model::Timestamp(seconds.checked_mul(1000)?)))
}
