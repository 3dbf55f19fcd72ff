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
        self.0.credentials().access_key(access_key_id).await.map_err(failed)
    }

    async fn policies(&self, principal: &Principal) -> Result<Vec<Policy>, KeysError> {
        iam::policies_of(&self.0, principal).await.map_err(failed)
    }
}

fn failed(error: Error) -> KeysError {
    KeysError(Box::new(error))
}
