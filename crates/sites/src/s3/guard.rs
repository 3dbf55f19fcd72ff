//! Who calls, and whether policies let them.

use super::{Face, OverTls};
use crate::access::object_arn;
use crate::{Error, Sites};
use axum::extract::ConnectInfo;
use headwater_model::iam::{Principal, Session};
use headwater_model::policy::{Context, Decision, Policy, Request, evaluate, evaluate_session};
use headwater_model::{Realm, Timestamp};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::path::S3Path;
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use std::net::SocketAddr;
use std::sync::Arc;

const TOKEN: &str = "x-amz-security-token";

/// Who calls an operation. It rides in the request's extensions from the check to the operation, which may have to
/// judge more: each key of a multi-object delete, the source of a copy.
#[derive(Clone)]
pub(super) struct Caller {
    principal: Principal,
    policies: Arc<Vec<Policy>>,
    /// Session policies, if the caller's session has any.
    narrowing: Option<Arc<Vec<Policy>>>,
    context: Context,
}

/// A request's extension: the access key of a signature that was verified before the request came here without it.
#[derive(Clone)]
pub(super) struct SignedBy(pub(super) String);

#[async_trait::async_trait]
impl S3Auth for Face {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let key = self.keys.access_key(access_key).await.map_err(internal)?;
        let key = key.ok_or_else(unknown_key)?;
        if key.expires_at.is_some_and(|end| end <= Timestamp::now()) {
            return Err(s3_error!(ExpiredToken, "The provided token has expired."));
        }
        Ok(SecretKey::from(key.secret_access_key.expose()))
    }
}

#[async_trait::async_trait]
impl S3Access for Face {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let caller = self.caller(cx).await?;
        let operation = cx.s3_op().name();
        let (bucket, resource) = match cx.s3_path() {
            S3Path::Root => (None, "*".to_owned()),
            S3Path::Bucket { bucket } => (Some(bucket.to_string()), Realm::bucket_arn(bucket)),
            S3Path::Object { bucket, key } => (Some(bucket.to_string()), object_arn(bucket, key)),
        };
        let allowed = match (operation, &bucket) {
            // Each key is judged by itself.
            ("DeleteObjects", _) => true,
            // Whoever owns the server cannot lock themselves out of a bucket's policy.
            ("GetBucketPolicy" | "PutBucketPolicy" | "DeleteBucketPolicy", Some(bucket))
                if caller.principal == Principal::Root =>
            {
                self.sites.bucket(bucket).await?;
                true
            }
            ("CreateBucket", _) | (_, None) => {
                caller.identity_decision(&self.sites, &action(operation), &resource).is_allowed()
            }
            (_, Some(bucket)) => self.permits(&caller, bucket, &action(operation), &resource).await?,
        };
        if !allowed {
            return Err(denied());
        }
        cx.extensions_mut().insert(caller);
        Ok(())
    }
}

impl Face {
    async fn caller(&self, cx: &mut S3AccessContext<'_>) -> S3Result<Caller> {
        let query: Vec<(String, String)> = cx
            .uri()
            .query()
            .map(|query| form_urlencoded::parse(query.as_bytes()).into_owned().collect())
            .unwrap_or_default();
        let parameter =
            |name: &str| query.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
        let mut context = Context::new().at(Timestamp::now());
        for (name, key) in [("prefix", "s3:prefix"), ("delimiter", "s3:delimiter"), ("max-keys", "s3:max-keys")] {
            if let Some(value) = parameter(name) {
                context.add(key, value);
            }
        }
        let token =
            cx.headers().get(TOKEN).and_then(|value| value.to_str().ok()).or(parameter(TOKEN)).map(String::from);
        let access_key = cx.credentials().map(|credentials| credentials.access_key.clone());
        let extensions = cx.extensions_mut();
        let access_key = access_key.or_else(|| extensions.get::<SignedBy>().map(|key| key.0.clone()));
        if let Some(ConnectInfo(peer)) = extensions.get::<ConnectInfo<SocketAddr>>() {
            context.add("aws:SourceIp", peer.ip().to_canonical().to_string());
        }
        context.add("aws:SecureTransport", extensions.get::<OverTls>().is_some().to_string());
        let mut session = Session::default();
        let principal = match access_key {
            None => Principal::Anonymous,
            Some(id) => {
                let key = self.keys.access_key(&id).await.map_err(internal)?;
                let key = key.ok_or_else(unknown_key)?;
                let shown = match (&key.session_token, &token) {
                    (Some(expected), Some(token)) => expected.matches(token),
                    (None, None) => true,
                    _ => false,
                };
                if !shown {
                    return Err(s3_error!(InvalidToken, "The provided token is malformed or otherwise invalid."));
                }
                session = key.session;
                key.principal
            }
        };
        let account = &self.sites.realm().account;
        match &principal {
            Principal::Root => context.add("aws:PrincipalArn", format!("arn:aws:iam::{account}:root")),
            Principal::Role { role, .. } => context.add("aws:PrincipalArn", self.sites.realm().role_arn(role)),
            Principal::User { user } => context.add("aws:PrincipalArn", format!("arn:aws:iam::{account}:user/{user}")),
            Principal::Service(_) | Principal::Anonymous => {}
        }
        if principal != Principal::Anonymous {
            context.add("aws:PrincipalAccount", account);
        }
        let policies = match &principal {
            Principal::Anonymous => Vec::new(),
            principal => self.keys.policies(principal).await.map_err(internal)?,
        };
        let narrowing = session.narrowing().map(Arc::new);
        Ok(Caller { principal, policies: Arc::new(policies), narrowing, context })
    }

    /// Whether the caller may do this to something in a bucket.
    pub(super) async fn permits(
        &self,
        caller: &Caller,
        bucket: &str,
        action: &str,
        resource: &str,
    ) -> Result<bool, Error> {
        // That a bucket does not exist is no secret: names are taken from one space.
        let bucket = self.sites.bucket(bucket).await?;
        let decision =
            self.sites.decide(&bucket, &caller.policies, &caller.principal, action, resource, &caller.context);
        Ok(decision.is_allowed() && caller.session_allows(&self.sites, action, resource))
    }
}

impl Caller {
    /// Whether the caller's own policies let them; where there is no bucket that could say something.
    fn identity_decision(&self, sites: &Sites, action: &str, resource: &str) -> Decision {
        let account = sites.realm().account.as_str();
        let request = Request { principal: &self.principal, account, action, resource, context: &self.context };
        evaluate_session(&self.policies, self.narrowing.as_ref().map(|policies| policies.as_slice()), &request)
    }

    /// Whether the session's policies let them too; there may be none.
    fn session_allows(&self, sites: &Sites, action: &str, resource: &str) -> bool {
        let Some(narrowing) = &self.narrowing else { return true };
        let account = sites.realm().account.as_str();
        let nobody = Principal::Anonymous;
        let request = Request { principal: &nobody, account, action, resource, context: &self.context };
        evaluate(narrowing.iter(), &request).is_allowed()
    }
}

fn unknown_key() -> S3Error {
    s3_error!(InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist in our records.")
}

pub(super) fn denied() -> S3Error {
    S3Error::with_message(S3ErrorCode::AccessDenied, "Access Denied")
}

pub(super) fn internal(error: impl std::error::Error + 'static) -> S3Error {
    tracing::error!(error = &error as &dyn std::error::Error, "an S3 request failed");
    S3Error::with_message(S3ErrorCode::InternalError, "We encountered an internal error. Please try again.")
}

/// The IAM action of an operation. Source: S3 user guide, "Required permissions for Amazon S3 API operations".
fn action(operation: &str) -> String {
    let name = match operation {
        "ListBuckets" => "ListAllMyBuckets",
        "HeadBucket" | "ListObjects" | "ListObjectsV2" => "ListBucket",
        "ListObjectVersions" => "ListBucketVersions",
        "ListMultipartUploads" => "ListBucketMultipartUploads",
        "ListParts" => "ListMultipartUploadParts",
        "HeadObject" => "GetObject",
        "CopyObject"
        | "PostObject"
        | "CreateMultipartUpload"
        | "UploadPart"
        | "UploadPartCopy"
        | "CompleteMultipartUpload" => "PutObject",
        "DeleteBucketTagging" => "PutBucketTagging",
        "GetPublicAccessBlock" => "GetBucketPublicAccessBlock",
        "PutPublicAccessBlock" | "DeletePublicAccessBlock" => "PutBucketPublicAccessBlock",
        other => other,
    };
    format!("s3:{name}")
}
