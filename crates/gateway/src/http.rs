//! The listener's one door: caps, CORS, request ids, authentication, policy check, dispatch.

use crate::protocol::{failure, stray_failure, success};
use crate::services::{self, Definition, Protocol};
use crate::{Call, Input, ServiceError, authenticate, native, query, s3};
use ::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use ::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, request};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use headwater_control::Control;
use headwater_model::Timestamp;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument;

/// How long a caller may take to send a body; a code package of 50 MB needs 7 Mb/s.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// What a [`Gateway`] is made of.
pub struct Parts {
    /// The operations.
    pub control: Control,
    /// Buckets and objects; without it, S3 is answered with `NotImplemented`.
    pub s3: Option<s3s::service::S3Service>,
    /// Caps on what callers send.
    pub limits: Limits,
}

/// Caps on what callers send. Bodies are capped by service, in the table of services.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most headers of a request. hyper itself takes 100 lines.
    pub headers_max: usize,
    /// Most bytes of all header names and values. AWS' load balancers take 64 KB; SDKs send less than 8.
    pub header_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { headers_max: 100, header_bytes_max: 64 << 10 }
    }
}

/// The AWS face of one server. Cheap to clone.
#[derive(Clone)]
pub struct Gateway(Arc<Parts>);

impl Gateway {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        Gateway(Arc::new(parts))
    }

    /// The operations.
    pub fn control(&self) -> &Control {
        &self.0.control
    }

    pub(crate) fn s3(&self) -> Option<&s3s::service::S3Service> {
        self.0.s3.as_ref()
    }
}

/// Everything that the api listener answers.
pub fn router(gateway: Gateway) -> Router {
    Router::new().fallback(answer).with_state(gateway)
}

async fn answer(State(gateway): State<Gateway>, request: Request<Body>) -> Response {
    let request_id = uuid::Uuid::new_v4().to_string();
    let span = tracing::info_span!("request", request_id);
    respond(gateway, request, request_id).instrument(span).await
}

async fn respond(gateway: Gateway, request: Request<Body>, request_id: String) -> Response {
    let has_origin = request.headers().contains_key(ORIGIN);
    let mut response = if request.method() == Method::OPTIONS && has_origin {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    } else if let Err(error) = check_headers(request.headers(), gateway.0.limits) {
        stray_failure(request.headers(), &error, &request_id)
    } else {
        route(&gateway, request, &request_id).await
    };
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        headers.entry("x-amzn-requestid").or_insert_with(|| value.clone());
        headers.entry("x-amz-request-id").or_insert(value);
    }
    add_cors(headers);
    response
}

/// SDKs in browsers call from any origin. Requests are signed, so another origin's script can do nothing here without
/// the secret; cookies play no part, and `*` keeps browsers from sending any.
fn add_cors(headers: &mut HeaderMap) {
    for (name, value) in [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-methods", "GET, HEAD, PUT, POST, DELETE, PATCH"),
        ("access-control-allow-headers", "*, authorization"),
        (
            "access-control-expose-headers",
            "x-amzn-requestid, x-amz-request-id, x-amzn-errortype, x-amz-function-error, x-amz-log-result, \
             x-amz-executed-version, etag, content-length, content-type, date",
        ),
        ("access-control-max-age", "86400"),
    ] {
        if !headers.contains_key(name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}

fn check_headers(headers: &HeaderMap, limits: Limits) -> Result<(), ServiceError> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() > limits.headers_max || bytes > limits.header_bytes_max {
        return Err(ServiceError::new(
            "RequestHeaderSectionTooLarge",
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            format!("a request may have {} headers of {} bytes in all", limits.headers_max, limits.header_bytes_max),
        ));
    }
    Ok(())
}

async fn route(gateway: &Gateway, request: Request<Body>, request_id: &str) -> Response {
    let path = request.uri().path();
    if path == "/healthz" || path == "/_headwater/healthz" {
        return native::health(gateway).await;
    }
    if path.starts_with(native::RESPONSE_PATH) {
        return native::custom_resource_response(gateway, request, request_id).await;
    }
    let (parts, body) = request.into_parts();
    if let Some(channel) = native::lint_target(&parts) {
        return native::lint(gateway, &channel, parts.headers.get(http::header::ACCEPT)).await;
    }
    match destination(&parts) {
        Ok(Destination::Objects) => s3::handle(gateway, Request::from_parts(parts, body), request_id).await,
        Ok(Destination::Service(definition)) => match serve(gateway, definition, parts, body, request_id).await {
            Ok(response) => response,
            Err(error) => {
                tracing::debug!(
                    service = definition.signing_name,
                    code = %error.code,
                    status = error.status.as_u16(),
                    "a request is refused"
                );
                failure(definition, &error, request_id)
            }
        },
        Err(error) => stray_failure(&parts.headers, &error, request_id),
    }
}

enum Destination {
    Objects,
    Service(&'static Definition),
}

/// Which service a request is for: by the credential scope, else by `X-Amz-Target`, else by the path. What is none of
/// ours and is not signed for an unknown service is for S3, whose paths may be anything.
fn destination(parts: &request::Parts) -> Result<Destination, ServiceError> {
    let query = parts.uri.query().unwrap_or("");
    if let Some(service) = authenticate::scope_service(&parts.headers, query) {
        if service == "s3" {
            return Ok(Destination::Objects);
        }
        return Definition::by_signing_name(&service).map(Destination::Service).ok_or_else(|| {
            let message = format!("the service {service} is not known here");
            ServiceError::new("UnknownService", StatusCode::NOT_FOUND, message)
        });
    }
    if let Some(target) = parts.headers.get("x-amz-target").and_then(|value| value.to_str().ok())
        && let Some(definition) = Definition::by_target(target)
    {
        return Ok(Destination::Service(definition));
    }
    if parts.uri.path().starts_with(native::PREFIX) {
        return Ok(Destination::Service(native_definition()));
    }
    let has_type =
        |name: &str| parts.headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(name.as_bytes()));
    let path = parts.uri.path();
    if path == "/" && (has_type("application/x-www-form-urlencoded") || query.contains("Action=")) {
        return Err(authenticate::missing_token(Protocol::Query));
    }
    // S3 has no JSON bodies: this is a call that somebody forgot to sign.
    if parts.method == Method::POST && has_type("application/json") {
        let service = if path.starts_with("/20") { "lambda" } else { "ivs" };
        return Definition::by_signing_name(service)
            .map(Destination::Service)
            .ok_or_else(|| authenticate::missing_token(Protocol::RestJson));
    }
    Ok(Destination::Objects)
}

fn native_definition() -> &'static Definition {
    Definition::by_signing_name("headwater").expect("the table has the native API")
}

async fn serve(
    gateway: &Gateway,
    definition: &'static Definition,
    parts: request::Parts,
    body: Body,
    request_id: &str,
) -> Result<Response, ServiceError> {
    let now = Timestamp::now();
    let body = read(body, definition.body_bytes_max).await?;
    let host = parts
        .headers
        .get(HOST)
        .and_then(|value| value.to_str().ok())
        .or_else(|| parts.uri.authority().map(|authority| authority.as_str()))
        .unwrap_or("");
    let target = crate::sigv4::Target {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or(""),
        headers: &parts.headers,
        host,
    };
    let key = authenticate::key(gateway.control(), definition, target, &body, now).await?;
    let query: Vec<(String, String)> = form_urlencoded::parse(target.query.as_bytes()).into_owned().collect();
    let (operation, input) = decode(definition, &parts, &query, &body)?;
    let access = services::access(definition, gateway.control().realm(), &operation, &input);
    authenticate::check_policies(gateway.control(), definition, &key.principal, &access, now).await?;
    let path = parts.uri.path().to_string();
    let call = Call {
        operation: operation.clone(),
        principal: key.principal.clone(),
        key,
        request_id: request_id.into(),
        now,
        method: parts.method,
        path,
        query,
        headers: parts.headers,
        body,
        input,
    };
    let reply = services::call(definition.service, gateway, call).await?;
    tracing::debug!(service = definition.signing_name, operation, "answered");
    Ok(success(definition, &operation, reply, request_id))
}

/// A whole body, of so many bytes at most.
pub(crate) async fn read(body: Body, bytes_max: usize) -> Result<Bytes, ServiceError> {
    let collected =
        tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, bytes_max).collect()).await.map_err(|_| {
            let message = format!("the request's body did not arrive in {} seconds", BODY_TIMEOUT.as_secs());
            ServiceError::new("RequestTimeout", StatusCode::REQUEST_TIMEOUT, message)
        })?;
    match collected {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ServiceError::new(
            "RequestEntityTooLargeException",
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("a request to this service may have {bytes_max} bytes"),
        )),
        Err(_) => Err(ServiceError::new("IncompleteBody", StatusCode::BAD_REQUEST, "the request's body broke off")),
    }
}

/// Operation and input by the service's protocol.
fn decode(
    definition: &Definition,
    parts: &request::Parts,
    query: &[(String, String)],
    body: &Bytes,
) -> Result<(String, Input), ServiceError> {
    match definition.protocol {
        Protocol::RestJson => {
            let path = parts.uri.path();
            let (operation, named) = services::route(definition.service, &parts.method, path).ok_or_else(|| {
                let mut error = ServiceError::unknown_operation(&format!("{} {path}", parts.method));
                error.status = StatusCode::NOT_FOUND;
                error
            })?;
            // An invocation's body is the function's own: any JSON, or none; its module judges it.
            let mut input = if operation == "Invoke" { Input::default() } else { json_members(body)? };
            input.0.extend(named.0);
            Ok((operation, input))
        }
        Protocol::Json11 => {
            let target = parts.headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or("");
            let operation = target
                .strip_prefix(definition.target)
                .and_then(|rest| rest.strip_prefix('.'))
                .ok_or_else(|| ServiceError::unknown_operation(target))?;
            Ok((operation.into(), json_members(body)?))
        }
        Protocol::Query => {
            let form: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
            let pairs = || query.iter().chain(&form).filter(|(name, _)| !name.starts_with("X-Amz-"));
            let operation =
                pairs().find(|(name, _)| name == "Action").map(|(_, value)| value.clone()).ok_or_else(|| {
                    ServiceError::new("MissingAction", StatusCode::BAD_REQUEST, "the parameter Action is missing")
                })?;
            // Element names of the answer are made of it.
            if operation.is_empty() || !operation.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(ServiceError::new("InvalidAction", StatusCode::BAD_REQUEST, "there is no such action"));
            }
            let members = query::members(pairs().cloned())
                .map_err(|error| ServiceError::new("MalformedInput", StatusCode::BAD_REQUEST, error.to_string()))?;
            Ok((operation, Input(members)))
        }
    }
}

/// A JSON body's members. No body is no members; a body that is not an object, such as a function's payload, has none
/// either and stands in [`Call::body`].
fn json_members(body: &Bytes) -> Result<Input, ServiceError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Input::default());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(Input(members)),
        Ok(_) => Err(ServiceError::new(
            "SerializationException",
            StatusCode::BAD_REQUEST,
            "the body is JSON, but not an object",
        )),
        Err(error) => Err(ServiceError::new(
            "SerializationException",
            StatusCode::BAD_REQUEST,
            format!("the body is not JSON: line {} column {}", error.line(), error.column()),
        )),
    }
}
