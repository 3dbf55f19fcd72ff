//! Who may do what: the policies of an identity and of a bucket, judged together.

use crate::Sites;
use async_trait::async_trait;
use headwater_model::Realm;
use headwater_model::bucket::Bucket;
use headwater_model::iam::{AccessKey, Principal};
use headwater_model::policy::{Context, Decision, Policy, Request, evaluate};

/// Where access keys and the policies of their owners come from: one store for every service.
#[async_trait]
pub trait Keys: Send + Sync + 'static {
    /// The key of this id, if it exists; expired ones may be returned.
    async fn access_key(&self, access_key_id: &str) -> Result<Option<AccessKey>, KeysError>;

    /// Policies that are attached to the principal.
    async fn policies(&self, principal: &Principal) -> Result<Vec<Policy>, KeysError>;
}

/// The store of access keys failed.
#[derive(Debug, thiserror::Error)]
#[error("access keys")]
pub struct KeysError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

impl Sites {
    /// Judges an action on a bucket or one of its objects by the bucket's policy and those of the identity. Either
    /// may grant, as both belong to the same account; a deny of either wins.
    pub fn decide(
        &self,
        bucket: &Bucket,
        identity: &[Policy],
        principal: &Principal,
        action: &str,
        resource: &str,
        context: &Context,
    ) -> Decision {
        let account = self.realm().account.as_str();
        let request = Request { principal, account, action, resource, context };
        let restricted = bucket.public_access_block.is_some_and(|block| block.restrict_public_buckets);
        let policy = match &bucket.policy {
            None => None,
            Some(document) => match Policy::parse_resource_policy(document) {
                Ok(policy) if restricted && *principal == Principal::Anonymous && policy.is_public() => None,
                Ok(policy) => Some(policy),
                // It was valid when it was set; one that cannot be read any more may have denied this.
                Err(_) => return Decision::ExplicitlyDenied,
            },
        };
        evaluate(identity.iter().chain(&policy), &request)
    }

    /// Whether everybody may read an object.
    pub fn is_public(&self, bucket: &Bucket, key: &str, context: &Context) -> bool {
        let resource = object_arn(&bucket.name, key);
        self.decide(bucket, &[], &Principal::Anonymous, "s3:GetObject", &resource, context).is_allowed()
    }
}

/// ARN of an object.
pub fn object_arn(bucket: &str, key: &str) -> String {
    format!("{}/{key}", Realm::bucket_arn(bucket))
}
