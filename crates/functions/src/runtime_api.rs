//! The listener that one process talks to: the Lambda Runtime API, 2018-06-01.
//!
//! Each process has a loopback port of its own, so its address (`AWS_LAMBDA_RUNTIME_API`) says who is talking. One
//! invocation is handed out at a time; the next waits for the process to ask.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use headwater_model::{Timestamp, id};
use serde_json::json;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;

/// Lambda: a response is at most 6 MB and a little.
pub(crate) const RESPONSE_BYTES_MAX: usize = 6_291_556;
/// An error report with its stack trace; longer ones are refused.
const ERROR_BYTES_MAX: usize = 256 * 1024;

/// What a process is asked to do.
#[derive(Clone, Debug)]
pub(crate) struct Invocation {
    pub(crate) request_id: String,
    pub(crate) function_arn: String,
    /// When the process will be killed.
    pub(crate) deadline: Timestamp,
    pub(crate) client_context: Option<String>,
    pub(crate) payload: Bytes,
}

/// What a process answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Response(Bytes),
    /// The error payload as it was sent.
    Error(Bytes),
    /// It tried to send more than [`RESPONSE_BYTES_MAX`].
    TooLarge,
}

/// How far a process has come with its start.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Phase {
    Starting,
    /// It has asked for work.
    Ready,
    /// It reported that it cannot work, with this error payload.
    Failed(Bytes),
}

/// The listener of one process; it closes when this is dropped.
#[derive(Debug)]
pub(crate) struct RuntimeApi {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    work: Mutex<Work>,
    arrived: Notify,
    phase: watch::Sender<Phase>,
}

#[derive(Debug, Default)]
struct Work {
    waiting: Option<(Invocation, oneshot::Sender<Answer>)>,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    request_id: String,
    /// Changes with each hand-out, so that an answer to an earlier try cannot pass for one to this.
    invocation_id: String,
    answer: oneshot::Sender<Answer>,
}

impl Shared {
    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RuntimeApi {
    /// Listens on a free loopback port.
    ///
    /// # Errors
    /// If the system has no port to give.
    pub(crate) async fn listen() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            work: Mutex::default(),
            arrived: Notify::new(),
            phase: watch::Sender::new(Phase::Starting),
        });
        let routes = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                tracing::warn!(%error, "runtime API listener ended");
            }
        });
        Ok(RuntimeApi { address, shared, server })
    }

    pub(crate) fn phase(&self) -> watch::Receiver<Phase> {
        self.shared.phase.subscribe()
    }

    /// Leaves work for the process to fetch. The answer comes through the receiver; it is cut off when other work is
    /// left or the listener closes.
    pub(crate) fn submit(&self, invocation: Invocation) -> oneshot::Receiver<Answer> {
        let (sender, answer) = oneshot::channel();
        let mut work = self.shared.work();
        work.current = None;
        work.waiting = Some((invocation, sender));
        drop(work);
        self.shared.arrived.notify_one();
        answer
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    shared.phase.send_if_modified(|phase| {
        let started = *phase == Phase::Starting;
        if started {
            *phase = Phase::Ready;
        }
        started
    });
    loop {
        let arrived = shared.arrived.notified();
        let invocation = {
            let mut work = shared.work();
            work.waiting.take().map(|(invocation, answer)| {
                let current = Current {
                    request_id: invocation.request_id.clone(),
                    invocation_id: uuid::Uuid::new_v4().to_string(),
                    answer,
                };
                let invocation_id = current.invocation_id.clone();
                work.current = Some(current);
                (invocation, invocation_id)
            })
        };
        match invocation {
            Some((invocation, invocation_id)) => return handed_out(invocation, &invocation_id),
            None => arrived.await,
        }
    }
}

fn handed_out(invocation: Invocation, invocation_id: &str) -> Response {
    let trace = format!(
        "Root=1-{:08x}-{};Parent={};Sampled=0",
        Timestamp::now().0 / 1000,
        id::random_hex(24),
        id::random_hex(16)
    );
    let mut headers = HeaderMap::new();
    let mut set = |name: &'static str, value: &str| {
        // A client context with line ends cannot be a header; the gateway has refused it before.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("content-type", "application/json");
    set("lambda-runtime-aws-request-id", &invocation.request_id);
    set("lambda-runtime-deadline-ms", &invocation.deadline.0.to_string());
    set("lambda-runtime-invoked-function-arn", &invocation.function_arn);
    set("lambda-runtime-trace-id", &trace);
    set("lambda-runtime-invocation-id", invocation_id);
    if let Some(context) = &invocation.client_context {
        set("lambda-runtime-client-context", context);
    }
    (headers, invocation.payload).into_response()
}

async fn response(State(shared): State<Arc<Shared>>, Path(id): Path<String>, request: Request) -> Response {
    if let Err(refusal) = check(&shared, &id, request.headers()) {
        return refusal;
    }
    let answer = read(request.into_body(), RESPONSE_BYTES_MAX).await.map_or(Answer::TooLarge, Answer::Response);
    let status = match answer {
        Answer::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::ACCEPTED,
    };
    settle(&shared, &id, answer, status)
}

async fn error(State(shared): State<Arc<Shared>>, Path(id): Path<String>, request: Request) -> Response {
    if let Err(refusal) = check(&shared, &id, request.headers()) {
        return refusal;
    }
    let kind = error_type(request.headers());
    let body = read(request.into_body(), ERROR_BYTES_MAX).await;
    settle(&shared, &id, Answer::Error(error_payload(body, kind)), StatusCode::ACCEPTED)
}

async fn init_error(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let kind = error_type(request.headers());
    let payload = error_payload(read(request.into_body(), ERROR_BYTES_MAX).await, kind);
    let started = shared.phase.send_if_modified(|phase| {
        let starting = *phase == Phase::Starting;
        if starting {
            *phase = Phase::Failed(payload);
        }
        starting
    });
    if started {
        accepted(StatusCode::ACCEPTED)
    } else {
        refused(StatusCode::FORBIDDEN, "InvalidStateTransition", "the runtime has asked for work before")
    }
}

/// The body within a limit; `None` if it is longer or breaks off.
async fn read(body: Body, max: usize) -> Option<Bytes> {
    axum::body::to_bytes(body, max).await.ok()
}

fn error_type(headers: &HeaderMap) -> Option<String> {
    headers.get("lambda-runtime-function-error-type")?.to_str().ok().map(str::to_owned)
}

/// The payload as sent; if it says nothing, what the header says.
fn error_payload(body: Option<Bytes>, kind: Option<String>) -> Bytes {
    match body {
        Some(body) if !body.is_empty() => body,
        _ => json!({ "errorMessage": "", "errorType": kind.unwrap_or_else(|| "Unhandled".into()) }).to_string().into(),
    }
}

/// Whether an answer is one to the invocation under way.
#[expect(clippy::result_large_err, reason = "the refusal is the response itself, made once")]
fn check(shared: &Shared, request_id: &str, headers: &HeaderMap) -> Result<(), Response> {
    let work = shared.work();
    let Some(current) = work.current.as_ref().filter(|current| current.request_id == request_id) else {
        return Err(refused(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID"));
    };
    match headers.get("lambda-runtime-invocation-id") {
        Some(echo) if echo.as_bytes() != current.invocation_id.as_bytes() => {
            Err(refused(StatusCode::BAD_REQUEST, "InvalidInvocationId", "Invalid invocation ID"))
        }
        _ => Ok(()),
    }
}

fn settle(shared: &Shared, request_id: &str, answer: Answer, status: StatusCode) -> Response {
    let current = shared.work().current.take_if(|current| current.request_id == request_id);
    match current {
        Some(current) => {
            let _ = current.answer.send(answer);
            accepted(status)
        }
        None => refused(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID"),
    }
}

fn accepted(status: StatusCode) -> Response {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        let message = format!("Exceeded maximum allowed payload size ({RESPONSE_BYTES_MAX} bytes).");
        return refused(status, "RequestEntityTooLarge", &message);
    }
    (status, [(header::CONTENT_TYPE, "application/json")], r#"{"status":"OK"}"#).into_response()
}

fn refused(status: StatusCode, kind: &str, message: &str) -> Response {
    let body = json!({ "errorMessage": message, "errorType": kind }).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
