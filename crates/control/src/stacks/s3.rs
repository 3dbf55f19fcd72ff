//! `AWS::S3::Bucket` and `AWS::S3::BucketPolicy`.

use super::given::{Given, failed, made};
use crate::Control;
use async_trait::async_trait;
use headwater_model::Realm;
use headwater_model::bucket::{Bucket, PublicAccessBlock, Website};
use headwater_sites::Error;
use headwater_sites::buckets::CreateBucket;
use headwater_stacks::schema::{Case, Kind, Property, Schema};
use headwater_stacks::{Current, Made, Provider, ProviderError, Request, Updated};

/// `AWS::S3::Bucket`.
pub struct BucketProvider {
    control: Control,
    schema: Schema,
}

impl BucketProvider {
    /// Works through a control.
    pub fn new(control: &Control) -> Self {
        let redirect = Kind::Object(vec![
            Property::new("HostName", Kind::Text).required(),
            Property::new("Protocol", Kind::OneOf(&["http", "https"])),
        ]);
        let website = Kind::Object(vec![
            Property::new("IndexDocument", Kind::Text),
            Property::new("ErrorDocument", Kind::Text),
            Property::new("RedirectAllRequestsTo", redirect),
        ]);
        let block = Kind::Object(vec![
            Property::new("BlockPublicAcls", Kind::Flag),
            Property::new("IgnorePublicAcls", Kind::Flag),
            Property::new("BlockPublicPolicy", Kind::Flag),
            Property::new("RestrictPublicBuckets", Kind::Flag),
        ]);
        let schema = Schema::new("AWS::S3::Bucket")
            .named("BucketName", 63, Case::Lower)
            .property(Property::new("BucketName", Kind::Text).replaces())
            .property(Property::new("WebsiteConfiguration", website))
            .property(Property::new("PublicAccessBlockConfiguration", block))
            // There are no ACLs here, so it does not matter whose objects are.
            .property(Property::new("OwnershipControls", Kind::Json))
            .property(Property::new("Tags", Kind::tags()))
            .attributes(&["Arn", "DomainName", "DualStackDomainName", "RegionalDomainName", "WebsiteURL"]);
        BucketProvider { control: control.clone(), schema }
    }

    fn made(&self, name: &str) -> Made {
        let region = &self.control.realm().region;
        made(
            name,
            &[
                ("Arn", Realm::bucket_arn(name)),
                ("DomainName", format!("{name}.s3.amazonaws.com")),
                ("DualStackDomainName", format!("{name}.s3.dualstack.{region}.amazonaws.com")),
                ("RegionalDomainName", format!("{name}.s3.{region}.amazonaws.com")),
                ("WebsiteURL", self.control.sites().website_url(name)),
            ],
        )
    }
}

fn website(given: Given<'_>) -> Option<Website> {
    given.inner("WebsiteConfiguration").map(|website| Website {
        index_document: website.owned("IndexDocument"),
        error_document: website.owned("ErrorDocument"),
        redirect_all: website
            .inner("RedirectAllRequestsTo")
            .map(|redirect| (redirect.required("HostName").to_owned(), redirect.owned("Protocol"))),
    })
}

fn public_access_block(given: Given<'_>) -> Option<PublicAccessBlock> {
    given.inner("PublicAccessBlockConfiguration").map(|block| PublicAccessBlock {
        block_public_acls: block.flag("BlockPublicAcls").unwrap_or(false),
        ignore_public_acls: block.flag("IgnorePublicAcls").unwrap_or(false),
        block_public_policy: block.flag("BlockPublicPolicy").unwrap_or(false),
        restrict_public_buckets: block.flag("RestrictPublicBuckets").unwrap_or(false),
    })
}

#[async_trait]
impl Provider for BucketProvider {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    async fn create(&self, request: Request) -> Result<Made, ProviderError> {
        let given = Given(&request.properties);
        let create = CreateBucket {
            name: given.text("BucketName").unwrap_or(&request.proposal).to_owned(),
            website: website(given),
            tags: given.tags(&request.stack.tags),
            public_access_block: public_access_block(given),
            token: Some(request.token.clone()),
        };
        let bucket = self.control.sites().create_bucket(create).await.map_err(failed)?;
        Ok(self.made(&bucket.name))
    }

    async fn update(&self, request: Request, current: Current) -> Result<Updated, ProviderError> {
        let given = Given(&request.properties);
        let name = current.physical_id.unwrap_or_default();
        let sites = self.control.sites();
        sites.put_website(&name, website(given)).await.map_err(failed)?;
        sites.put_public_access_block(&name, public_access_block(given)).await.map_err(failed)?;
        sites.put_tags(&name, given.tags(&request.stack.tags)).await.map_err(failed)?;
        Ok(Updated::InPlace(self.made(&name)))
    }

    /// A bucket that somebody has deleted before is deleted; one with objects is not, as in CloudFormation.
    async fn delete(&self, request: Request, current: Current) -> Result<(), ProviderError> {
        let name = match current.physical_id {
            Some(name) => name,
            None => {
                let name = Given(&request.properties).text("BucketName").unwrap_or(&request.proposal);
                let standing = headwater_store::find::<Bucket>(self.control.store(), name).await.map_err(failed)?;
                if standing.is_none_or(|bucket| bucket.creation_token.as_ref() != Some(&current.token)) {
                    return Ok(());
                }
                name.to_owned()
            }
        };
        match self.control.sites().delete_bucket(&name).await {
            Ok(()) | Err(Error::NoSuchBucket(_)) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }
}

/// `AWS::S3::BucketPolicy`.
pub struct BucketPolicyProvider {
    control: Control,
    schema: Schema,
}

impl BucketPolicyProvider {
    /// Works through a control.
    pub fn new(control: &Control) -> Self {
        let schema = Schema::new("AWS::S3::BucketPolicy")
            .property(Property::new("Bucket", Kind::Text).required().replaces())
            .property(Property::new("PolicyDocument", Kind::Json).required());
        BucketPolicyProvider { control: control.clone(), schema }
    }

    async fn put(&self, request: &Request) -> Result<Made, ProviderError> {
        let given = Given(&request.properties);
        let bucket = given.required("Bucket");
        let document = given.value("PolicyDocument").cloned().unwrap_or_default();
        self.control.sites().put_policy(bucket, document).await.map_err(failed)?;
        Ok(made(bucket, &[]))
    }
}

#[async_trait]
impl Provider for BucketPolicyProvider {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    async fn create(&self, request: Request) -> Result<Made, ProviderError> {
        self.put(&request).await
    }

    async fn update(&self, request: Request, _: Current) -> Result<Updated, ProviderError> {
        Ok(Updated::InPlace(self.put(&request).await?))
    }

    async fn delete(&self, request: Request, _: Current) -> Result<(), ProviderError> {
        match self.control.sites().delete_policy(Given(&request.properties).required("Bucket")).await {
            Ok(()) | Err(Error::NoSuchBucket(_)) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }
}
