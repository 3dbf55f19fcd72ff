//! Where a function's temporary credentials come from.

use async_trait::async_trait;
use headwater_model::iam::AccessKey;
use std::time::Duration;

/// Why a role gave no credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// There is no such role.
    #[error("role {0:?} does not exist")]
    UnknownRole(String),
    /// They could not be made or stored.
    #[error("make credentials for role {role:?}")]
    Failed {
        /// ARN of the role.
        role: String,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Makes temporary credentials of roles.
#[async_trait]
pub trait Credentials: Send + Sync + 'static {
    /// A key of a role for a session, that works for `ttl` from now.
    ///
    /// # Errors
    /// [`CredentialsError::UnknownRole`]; [`CredentialsError::Failed`].
    async fn role_session(
        &self,
        role_arn: &str,
        session_name: &str,
        ttl: Duration,
    ) -> Result<AccessKey, CredentialsError>;
}
