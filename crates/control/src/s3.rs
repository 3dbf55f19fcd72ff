//! Buckets and objects: the S3 face over [`headwater_sites`], with this server's access keys and policies.
//!
//! The operations themselves are those of [`headwater_sites::Sites`], which [`Control::sites`] hands out: they take
//! typed input and know no HTTP, so there is nothing to add here.

use crate::{Control, Error, iam};
use async_trait::async_trait;
use headwater_model::iam::{AccessKey, Principal};
use headwater_model::policy::Policy;
use headwater_sites::access::KeysError;

pub use headwater_sites::s3::{OverTls, call};

/// Access keys and policies of this server, for the S3 face: the same ones that every other service is judged by.
#[derive(Clone)]
pub struct Keys(Control);

impl Keys {
    /// Keys and policies that this control knows.
    pub fn new(control: Control) -> Self {
        Keys(control)
    }
}

#[async_trait]
impl headwater_sites::access::Keys for Keys {
    async fn access_key(&self, access_key_id: &str) -> Result<Option<AccessKey>, KeysError> {
        let known = self.0.credentials().access_key(access_key_id).await.map_err(failed)?;
        Ok(known.map(|known| known.key.clone()))
    }

    async fn policies(&self, principal: &Principal) -> Result<Vec<Policy>, KeysError> {
        Ok(iam::policies_of(&self.0, principal).await.map_err(failed)?.to_vec())
    }
}

fn failed(error: Error) -> KeysError {
    KeysError(Box::new(error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::iam::roles;
    use crate::testing::bench;
    use headwater_model::Timestamp;
    use headwater_sites::access::Keys as _;
    use serde_json::json;

    const NOW: Timestamp = Timestamp(1_795_498_182_123);

    #[tokio::test]
    async fn the_s3_face_knows_the_keys_and_policies_of_all_services() {
        let bench = bench().await;
        let control = bench.control.clone();
        let keys = Keys::new(control.clone());
        let root = control.credentials().root().await.unwrap();
        assert_eq!(keys.access_key(&root.access_key_id).await.unwrap(), Some(root));
        assert_eq!(keys.access_key("AKIANONE").await.unwrap(), None);
        let trust = json!({"Statement": {
            "Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"
        }});
        let new = roles::NewRole { name: "Uploader".into(), assume_role_policy: trust, ..Default::default() };
        let role = roles::create_role(&control, new, NOW).await.unwrap();
        let session = control.credentials().role_session(&role.arn, "fn", 900, Timestamp::now()).await.unwrap();
        assert_eq!(keys.policies(&session.principal).await.unwrap(), Vec::new());
        let document = json!({"Statement": {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}});
        roles::put_role_policy(&control, "Uploader", "objects", &document).await.unwrap();
        assert_eq!(keys.policies(&session.principal).await.unwrap(), [Policy::parse(&document).unwrap()]);
        assert_eq!(keys.access_key(&session.access_key_id).await.unwrap(), Some(session));
        assert_eq!(keys.policies(&Principal::Anonymous).await.unwrap(), Vec::new());
    }
}
