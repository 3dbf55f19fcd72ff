//! Lambda: `lambda` 2015-03-31, rest-json.

use crate::{Access, Call, Gateway, Input, Reply, ServiceError};
use headwater_model::Realm;
use ::http::Method;

/// Operation and path members by method and path.
pub(crate) fn route(_method: &Method, _path: &str) -> Option<(String, Input)> {
    None
}

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
