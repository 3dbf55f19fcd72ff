//! S3: `s3` 2006-03-01. Bodies are streams, and `s3s` verifies signatures itself, with the keys of all services.

use crate::Gateway;
use axum::body::Body;
use axum::response::Response;
use headwater_control::s3;
use http::{HeaderValue, Request, StatusCode};

/// Answers a request for buckets or objects.
pub(crate) async fn handle(gateway: &Gateway, request: Request<Body>, request_id: &str) -> Response {
    if let Some(service) = gateway.s3() {
        return s3::call(service, request, request_id).await;
    }
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NotImplemented</Code>\
         <Message>buckets are not served here</Message><RequestId>{request_id}</RequestId></Error>"
    );
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::NOT_IMPLEMENTED;
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}
