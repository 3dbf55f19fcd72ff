//! Headwater's own API under `/_headwater/v1/`, for the command line.

use crate::{Call, Gateway, Input, Reply, ServiceError};
use axum::body::Body;
use axum::response::Response;
use http::{Method, Request, StatusCode};

/// Where this API's paths begin.
pub(crate) const PREFIX: &str = "/_headwater/v1/";
/// Where custom resources answer; the rest of the path is a token that only the function knows.
pub(crate) const RESPONSE_PATH: &str = "/_headwater/cloudformation/response/";

/// Operation and path members by method and path.
pub(crate) fn route(_method: &Method, _path: &str) -> Option<(String, Input)> {
    None
}

/// Answers one operation.
///
/// # Errors
/// As the operation says.
pub async fn call(_gateway: &Gateway, call: Call) -> Result<Reply, ServiceError> {
    Err(ServiceError::unknown_operation(&call.operation))
}

/// 200 while the store answers, else 503. Not signed: it says nothing else.
pub(crate) async fn health(gateway: &Gateway) -> Response {
    let (status, text) = match gateway.control().store().last_event().await {
        Ok(_) => (StatusCode::OK, "ok\n"),
        Err(error) => {
            tracing::error!(%error, "the store does not answer");
            (StatusCode::SERVICE_UNAVAILABLE, "store\n")
        }
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}

/// A custom resource's answer to its stack. Not signed: the token is the secret.
pub(crate) async fn custom_resource_response(_gateway: &Gateway, _request: Request<Body>) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}
