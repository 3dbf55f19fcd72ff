//! The listener's one door: caps, CORS, request ids, authentication, policy check, dispatch.

use crate::protocol::{failure, stray_failure, success};
use crate::services::{self, Definition, Protocol};
use crate::sigv4::SigningKeys;
use crate::{Access, Call, Input, Requests, ServiceError, authenticate, cbor, compressed, native, query, s3};
use ::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN, REFERER, USER_AGENT};
use ::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, request};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::response::Response;
use bytes::Bytes;
use headwater_control::Control;
use headwater_control::iam::Facts;
use headwater_model::Timestamp;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
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
    /// Where answered requests are counted.
    pub requests: Arc<Requests>,
    /// What `/metrics` shows; without it, there is no such page.
    pub metrics: Option<MetricsPage>,
}

/// The page of metrics, and who may see it.
#[derive(Clone)]
pub struct MetricsPage {
    /// Makes the text.
    pub text: Arc<dyn Fn() -> String + Send + Sync>,
    /// Its media type.
    pub content_type: &'static str,
    /// Networks besides loopback from which it may be read, such as `10.0.0.0/8`.
    pub allow: Vec<String>,
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
pub struct Gateway(Arc<Inner>);

struct Inner {
    parts: Parts,
    signing_keys: SigningKeys,
}

impl Gateway {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        Gateway(Arc::new(Inner { parts, signing_keys: SigningKeys::default() }))
    }

    /// The operations.
    pub fn control(&self) -> &Control {
        &self.0.parts.control
    }

    pub(crate) fn metrics(&self) -> Option<&MetricsPage> {
        self.0.parts.metrics.as_ref()
    }

    pub(crate) fn s3(&self) -> Option<&s3s::service::S3Service> {
        self.0.parts.s3.as_ref()
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
    } else if let Err(error) = check_headers(request.headers(), gateway.0.parts.limits) {
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
    if path_is_metrics(&parts) {
        return native::metrics(gateway, &parts);
    }
    if let Some(channel) = native::lint_target(&parts) {
        return native::lint(gateway, &channel, parts.headers.get(http::header::ACCEPT)).await;
    }
    let began = Instant::now();
    let requests = &gateway.0.parts.requests;
    let took_us = || u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    match destination(&parts) {
        Ok(Destination::Objects) => {
            let response = s3::handle(gateway, Request::from_parts(parts, body), request_id).await;
            requests.note("s3", None, response.status().as_u16(), took_us());
            response
        }
        Ok(Destination::Service(definition)) => match serve(gateway, definition, parts, body, request_id).await {
            Ok((operation, response)) => {
                let status = response.status().as_u16();
                requests.note(definition.signing_name, Some(&operation), status, took_us());
                response
            }
            Err((operation, error)) => {
                let status = error.status.as_u16();
                // A name that no service has stays out of the count: callers could make up any number of them.
                let known = operation.as_deref().filter(|_| !is_unknown_operation(&error));
                requests.note(definition.signing_name, known, status, took_us());
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
        let definition = Definition::by_signing_name(&service).map(|definition| definition.spoken(&parts.headers));
        return definition.map(Destination::Service).ok_or_else(|| {
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

fn path_is_metrics(parts: &request::Parts) -> bool {
    parts.method == Method::GET && parts.uri.path() == "/metrics" && !parts.headers.contains_key(AUTHORIZATION)
}

fn is_unknown_operation(error: &ServiceError) -> bool {
    matches!(error.code.as_ref(), "UnknownOperationException" | "InvalidAction")
}

/// Answers a request for a service; with the answer or the error comes the operation, as far as it was found out.
async fn serve(
    gateway: &Gateway,
    definition: &'static Definition,
    parts: request::Parts,
    body: Body,
    request_id: &str,
) -> Result<(String, Response), (Option<String>, ServiceError)> {
    let (access, call) = take(gateway, definition, parts, body, request_id).await.map_err(|error| (None, error))?;
    let operation = call.operation.clone();
    let answered = async {
        let control = gateway.control();
        authenticate::check_policies(control, definition, &call.caller, &access, &call.facts, call.now).await?;
        services::call(definition.service, gateway, call).await
    };
    match answered.await {
        Ok(reply) => {
            tracing::debug!(service = definition.signing_name, operation, "answered");
            let response = success(definition, &operation, reply, request_id);
            Ok((operation, response))
        }
        Err(error) => Err((Some(operation), error)),
    }
}

/// A request's call, verified, and the leave that it needs.
async fn take(
    gateway: &Gateway,
    definition: &'static Definition,
    parts: request::Parts,
    body: Body,
    request_id: &str,
) -> Result<(Access, Call), ServiceError> {
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
    let keys = &gateway.0.signing_keys;
    let (caller, body) = authenticate::key(gateway.control(), keys, definition, target, &body, now).await?;
    let body = compressed::inflate(definition, &parts.headers, body)?;
    let query: Vec<(String, String)> = form_urlencoded::parse(target.query.as_bytes()).into_owned().collect();
    let (operation, input) = decode(definition, &parts, &query, &body)?;
    let access = services::access(definition, gateway.control().realm(), &operation, &input);
    let facts = facts(&parts, &input);
    let path = parts.uri.path().to_string();
    let call = Call {
        operation,
        principal: caller.key.principal.clone(),
        caller,
        facts,
        request_id: request_id.into(),
        now,
        method: parts.method,
        path,
        query,
        headers: parts.headers,
        body,
        input,
    };
    Ok((access, call))
}

/// What conditions of policies can look at besides who asks for what.
fn facts(parts: &request::Parts, input: &Input) -> Facts {
    let text = |name| parts.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(String::from);
    Facts {
        source_ip: parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip()),
        user_agent: text(USER_AGENT),
        referer: text(REFERER),
        request_tags: request_tags(input),
        others: Vec::new(),
    }
}

/// Tags that a request gives to what it makes: a map (`tags`), or a list of keys and values (`Tags`).
fn request_tags(input: &Input) -> Vec<(String, String)> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(String::from);
    let mut tags = Vec::new();
    for name in ["tags", "Tags"] {
        match input.value(name) {
            Some(Value::Object(map)) => {
                tags.extend(map.iter().filter_map(|(key, value)| Some((key.clone(), text(Some(value))?))));
            }
            Some(Value::Array(list)) => {
                let pair = |tag: &Value| Some((text(tag.get("Key"))?, text(tag.get("Value")).unwrap_or_default()));
                tags.extend(list.iter().filter_map(pair));
            }
            _ => {}
        }
    }
    tags
}

/// A whole body, of so many bytes at most.
pub(crate) async fn read(body: Body, bytes_max: usize) -> Result<Bytes, ServiceError> {
    read_within(body, bytes_max, BODY_TIMEOUT).await
}

/// Likewise, and not later than this.
pub(crate) async fn read_within(body: Body, bytes_max: usize, time: Duration) -> Result<Bytes, ServiceError> {
    let collected = tokio::time::timeout(time, Limited::new(body, bytes_max).collect()).await.map_err(|_| {
        let message = format!("the request's body did not arrive in {} seconds", time.as_secs());
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
        Protocol::Cbor => {
            let path = parts.uri.path();
            let operation = path
                .strip_prefix("/service/")
                .and_then(|rest| rest.strip_prefix(definition.target)?.strip_prefix("/operation/"))
                .ok_or_else(|| ServiceError::unknown_operation(path))?;
            let members = cbor::members(body).map_err(|error| {
                ServiceError::new("SerializationException", StatusCode::BAD_REQUEST, error.to_string())
            })?;
            Ok((operation.into(), Input(members)))
        }
        Protocol::Json11 | Protocol::Json10 => {
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
