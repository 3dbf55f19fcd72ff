//! `AWS::CDK::Metadata`: which constructs the CDK made a template of. It makes nothing.

use super::given::made;
use async_trait::async_trait;
use headwater_stacks::schema::{Kind, Property, Schema};
use headwater_stacks::{Current, Made, Provider, ProviderError, Request, Updated};

/// `AWS::CDK::Metadata`.
pub struct MetadataProvider {
    schema: Schema,
}

/// Needs no control: there is nothing to make.
impl Default for MetadataProvider {
    fn default() -> Self {
        let schema = Schema::new("AWS::CDK::Metadata").property(Property::new("Analytics", Kind::Text));
        MetadataProvider { schema }
    }
}

#[async_trait]
impl Provider for MetadataProvider {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    async fn create(&self, request: Request) -> Result<Made, ProviderError> {
        Ok(made(&request.proposal, &[]))
    }

    async fn update(&self, request: Request, current: Current) -> Result<Updated, ProviderError> {
        Ok(Updated::InPlace(made(current.physical_id.unwrap_or(request.proposal), &[])))
    }

    async fn delete(&self, _: Request, _: Current) -> Result<(), ProviderError> {
        Ok(())
    }
}
