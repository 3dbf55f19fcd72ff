//! S3: `s3` 2006-03-01. Bodies are streams, and `s3s` verifies signatures itself.

use crate::Gateway;
use axum::body::Body;
use axum::response::Response;
use http::{Request, StatusCode};

/// Answers a request for buckets or objects.
pub(crate) async fn handle(_gateway: &Gateway, _request: Request<Body>, request_id: &str) -> Response {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NotImplemented</Code>\
         <Message>buckets are not served here</Message><RequestId>{request_id}</RequestId></Error>"
    );
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::NOT_IMPLEMENTED;
    response
}
