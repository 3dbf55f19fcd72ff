//! Headwater's own API, for the command line: `POST /_headwater/v1/OPERATION`, signed for the service `headwater`, a
//! JSON object in and out. Errors are `{"error": {"code", "message", "problems": […]}}`.
//!
//! | operation | input | answer |
//! |---|---|---|
//! | `deploy` | `template`, `stack_name`, `parameters`? | `stack_id`, `action` |
//! | `plan` | the same | `changes` |
//! | `stacks` | – | `stacks` |
//! | `stack` | `stack_name` (or ARN), `seen`?, `wait_ms`? | `stack`, `revision` |
//! | `delete` | `stack_name` | `stack_id` |
//! | `events` | `after`? or `from`? (number, id or time of an event), `limit`?, `wait_ms`? | `events`, `last` |
//! | `replay` | `rule`, `replay_name`, `after`? or `from`?, `until`? | `matched`, `last`, `until`, `more` |
//! | `logs` | `function`, `after`?, `limit`?, `wait_ms`? | `lines` |
//! | `polls` | `channel`? | `polls` |
//! | `poll_answers` | `poll`, `skip`?, `limit`? | `answers` |
//! | `channels` | – | `channels` |
//! | `diagnose` | `channel` (id or name) | `stream_id`, `health`, `findings`, `audience`, `ladder` |
//! | `lint` | `channel` (id or name) | `stream_id`, `revisions`, `rules`, `problems` |
//!
//! Four paths beside it are not signed: `/healthz`; `/metrics`, for peers on loopback and in `metrics.allow`; the address that custom resources answer to, whose token is the
//! secret; and `/lint/CHANNEL_ID`, the same as `lint`, for people and scripts on this machine: only peers on loopback are
//! answered, and neither a page of another origin nor what comes through a proxy. It tells nothing that a viewer could
//! not see.

use crate::{Call, Gateway, Input, Reply, ServiceError};
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use headwater_control::operator;
use headwater_control::stacks::custom;
use headwater_control::{Control, Error};
use headwater_model::policy::ip_within;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, FORWARDED, ORIGIN};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, request};
use serde_json::json;
use std::net::SocketAddr;
use std::time::Duration;

/// Where this API's paths begin.
pub(crate) const PREFIX: &str = "/_headwater/v1/";
/// Where custom resources answer; the rest of the path is a token that only the function knows.
pub(crate) const RESPONSE_PATH: &str = "/_headwater/cloudformation/response/";

/// Characters of a channel's id.
const CHANNEL_ID_CHARACTERS: usize = 12;
/// Items in a page unless asked otherwise.
const PAGE: u32 = 100;

/// The operation, which is the path's end.
pub(crate) fn route(method: &Method, path: &str) -> Option<(String, Input)> {
    let operation = path.strip_prefix(PREFIX)?;
    let is_name = !operation.is_empty() && operation.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    (*method == Method::POST && is_name).then(|| (operation.into(), Input::default()))
}

/// Answers one operation.
///
/// # Errors
/// `InvalidInput`, `NotFound`, `Conflict`, `InvalidTemplate` with one problem a mistake, `UnknownOperation`.
pub async fn call(gateway: &Gateway, call: Call) -> Result<Reply, ServiceError> {
    let control = gateway.control();
    let input = &call.input;
    let reply = match call.operation.as_str() {
        "deploy" => {
            let parameters = input.text_map("parameters")?.unwrap_or_default();
            let (name, template) = (input.required("stack_name")?, input.required("template")?);
            json!(operator::deploy(control, name, template, &parameters).await.map_err(worded)?)
        }
        "plan" => {
            let parameters = input.text_map("parameters")?.unwrap_or_default();
            let (name, template) = (input.required("stack_name")?, input.required("template")?);
            json!(operator::plan(control, name, template, &parameters).await.map_err(worded)?)
        }
        "stacks" => json!({"stacks": operator::stacks(control).await.map_err(worded)?}),
        "stack" => {
            let seen = number(input, "seen")?;
            let view = operator::stack(control, input.required("stack_name")?, seen, wait(input)?);
            json!(view.await.map_err(worded)?)
        }
        "delete" => {
            let stack_id = operator::delete(control, input.required("stack_name")?).await.map_err(worded)?;
            json!({ "stack_id": stack_id })
        }
        "events" => {
            let after = after(control, input).await?;
            json!(operator::events(control, after, limit(input)?, wait(input)?).await.map_err(worded)?)
        }
        "replay" => {
            let after = after(control, input).await?;
            let (rule, name) = (input.required("rule")?, input.required("replay_name")?);
            json!(operator::replay(control, rule, name, after, number(input, "until")?).await.map_err(worded)?)
        }
        "logs" => {
            let after = number(input, "after")?.unwrap_or(0);
            let page = operator::logs(control, input.required("function")?, after, limit(input)?, wait(input)?);
            json!(page.await.map_err(worded)?)
        }
        "polls" => json!({"polls": operator::polls(control, input.text("channel")?).await.map_err(worded)?}),
        "poll_answers" => {
            let skip = number(input, "skip")?.unwrap_or(0);
            let answers = operator::answers(control, input.required("poll")?, skip, limit(input)?);
            json!({"answers": answers.await.map_err(worded)?})
        }
        "channels" => json!({"channels": operator::channels(control).await.map_err(worded)?}),
        "diagnose" => json!(operator::diagnose(control, input.required("channel")?).await.map_err(worded)?),
        "lint" => json!(operator::lint(control, input.required("channel")?).await.map_err(worded)?),
        other => return Err(ServiceError::unknown_operation(other)),
    };
    Ok(Reply::Members(reply))
}

/// Where a page of the event log begins: after the number of an event, or from the event that is named.
async fn after(control: &Control, input: &Input) -> Result<u64, ServiceError> {
    match input.text("from")? {
        Some(from) => operator::before(control, from).await.map_err(worded),
        None => Ok(number(input, "after")?.unwrap_or(0)),
    }
}

fn number(input: &Input, name: &str) -> Result<Option<u64>, ServiceError> {
    let Some(number) = input.integer(name)? else { return Ok(None) };
    u64::try_from(number).map(Some).map_err(|_| ServiceError::validation(format!("{name} may not be negative")))
}

fn limit(input: &Input) -> Result<u32, ServiceError> {
    Ok(number(input, "limit")?.map_or(PAGE, |limit| u32::try_from(limit).unwrap_or(u32::MAX)))
}

fn wait(input: &Input) -> Result<Duration, ServiceError> {
    Ok(number(input, "wait_ms")?.map_or(Duration::ZERO, Duration::from_millis))
}

fn worded(error: operator::Error) -> ServiceError {
    use headwater_control::operator::StackRefusal;
    let problems = error.problems();
    let (code, status) = match &error {
        operator::Error::Control(Error::Invalid { .. }) => ("InvalidInput", StatusCode::BAD_REQUEST),
        operator::Error::Control(Error::NotFound { .. }) => ("NotFound", StatusCode::NOT_FOUND),
        operator::Error::Control(Error::NotBroadcasting { .. }) => ("NotBroadcasting", StatusCode::NOT_FOUND),
        operator::Error::Control(Error::Conflict { .. }) => ("Conflict", StatusCode::CONFLICT),
        operator::Error::Stacks(refusal) => match operator::refusal(refusal) {
            StackRefusal::Template => ("InvalidTemplate", StatusCode::BAD_REQUEST),
            StackRefusal::NotFound => ("NotFound", StatusCode::NOT_FOUND),
            StackRefusal::Input => ("InvalidInput", StatusCode::BAD_REQUEST),
            StackRefusal::State => ("Conflict", StatusCode::CONFLICT),
            StackRefusal::Server => return ServiceError::internal(&error),
        },
        _ => return ServiceError::internal(&error),
    };
    // The mistakes stand one by one beside the message.
    let message = match problems.len() {
        0 => error.to_string(),
        1 => "the template has a mistake".into(),
        count => format!("the template has {count} mistakes"),
    };
    ServiceError::new(code, status, message).with("problems", problems)
}

/// 200 while the store answers, else 503. Not signed: it says nothing else.
pub(crate) async fn health(gateway: &Gateway) -> Response {
    let (status, text) = match gateway.control().store().last_event().await {
        Ok(_) => (StatusCode::OK, "ok\n"),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the store does not answer");
            (StatusCode::SERVICE_UNAVAILABLE, "store\n")
        }
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}

/// The channel whose playlists are to be checked, if that is what an unsigned request asks.
pub(crate) fn lint_target(parts: &request::Parts) -> Option<String> {
    let channel = parts.uri.path().strip_prefix("/lint/")?;
    let is_id = channel.len() == CHANNEL_ID_CHARACTERS && channel.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (parts.method == Method::GET && is_id && is_from(parts, &[])).then(|| channel.to_owned())
}

/// Whether a request comes from this machine or from one of the networks, and neither from a page of another origin nor
/// through a proxy.
fn is_from(parts: &request::Parts, networks: &[String]) -> bool {
    let Some(ConnectInfo(peer)) = parts.extensions.get::<ConnectInfo<SocketAddr>>() else { return false };
    let address = peer.ip().to_canonical();
    let elsewhere = [ORIGIN, AUTHORIZATION, FORWARDED, HeaderName::from_static("x-forwarded-for")];
    let within = |network: &String| ip_within(network, &address.to_string()) == Some(true);
    (address.is_loopback() || networks.iter().any(within))
        && !elsewhere.iter().any(|name| parts.headers.contains_key(name))
}

/// The page of metrics: 403 for peers that may not see it, 404 if there is none.
pub(crate) fn metrics(gateway: &Gateway, parts: &request::Parts) -> Response {
    let mut response = Response::new(Body::empty());
    match gateway.metrics() {
        None => *response.status_mut() = StatusCode::NOT_FOUND,
        Some(page) if !is_from(parts, &page.allow) => *response.status_mut() = StatusCode::FORBIDDEN,
        Some(page) => {
            *response.body_mut() = Body::from((page.text)());
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(page.content_type));
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
    }
    response
}

/// Checks a channel's playlists: JSON if that is asked for, else text. 200 if they keep the rules, 409 if not, 404 if nothing is live.
pub(crate) async fn lint(gateway: &Gateway, channel: &str, accept: Option<&HeaderValue>) -> Response {
    let as_json = accept.and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains("json"));
    let (status, text, report) = match operator::lint(gateway.control(), channel).await {
        Ok(report) => {
            let broken = report.problems.iter().any(|problem| problem.severity == "error");
            let status = if broken { StatusCode::CONFLICT } else { StatusCode::OK };
            (status, lint_text(&report), json!(report))
        }
        Err(error) => {
            let error = worded(error);
            let message = json!({"error": {"code": error.code, "message": error.message}});
            (error.status, format!("{}\n", error.message), message)
        }
    };
    let (kind, body) = match as_json {
        true => ("application/json", report.to_string()),
        false => ("text/plain; charset=utf-8", text),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn lint_text(report: &operator::Conformance) -> String {
    let mut text = format!(
        "{}: {} playlists read, {} rules checked, {} problems\n",
        report.stream_id,
        report.revisions,
        report.rules.len(),
        report.problems.len()
    );
    for problem in &report.problems {
        text += &format!("{} {}: {}\n", problem.severity, problem.rule, problem.detail);
    }
    text += &format!("rules: {}\n", report.rules.join(" "));
    text
}

/// A custom resource's answer to its stack: `PUT` of a JSON text. Not signed: the token is the secret.
pub(crate) async fn custom_resource_response(gateway: &Gateway, request: Request<Body>, request_id: &str) -> Response {
    let (parts, body) = request.into_parts();
    let address = parts.uri.path().strip_prefix(RESPONSE_PATH).unwrap_or_default();
    let status = match parts.method {
        Method::PUT => match crate::http::read(body, custom::ANSWER_BYTES_MAX).await {
            Ok(body) => match custom::answer(gateway.control(), address, &body).await {
                Ok(()) => StatusCode::OK,
                Err(Error::NotFound { .. }) => StatusCode::NOT_FOUND,
                Err(Error::Invalid { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
                Err(error) => ServiceError::internal(&error).status,
            },
            Err(error) => error.status,
        },
        _ => StatusCode::METHOD_NOT_ALLOWED,
    };
    if !status.is_success() {
        // The address is a secret: it stays out of the log.
        tracing::debug!(request_id, status = status.as_u16(), "an answer of a custom resource is refused");
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
