//! IAM: `iam` 2010-05-08, query.

use crate::{Access, Call, Gateway, Input, Reply, ServiceError};
use headwater_model::Realm;

/// Which leave an operation needs; `None` means the action of its name on any resource.
pub(crate) fn access(_realm: &Realm, _operation: &str, _input: &Input) -> Option<Access> {
    None
}

/// Answers one operation.
///
/// # Errors
/// As the service model says.
pub async fn call(_gateway: &Gateway, call: Call) -> Result<Reply, ServiceError> {
    Err(ServiceError::unknown_operation(&call.operation))
}
