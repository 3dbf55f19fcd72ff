//! HTTP connections: one loop for the plain listeners and for what the TLS listener hands over.
//!
//! hyper speaks HTTP/1.1 and HTTP/2; here stand the bounds: how many connections, how long a peer may take for its
//! headers, and how the end goes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::patience::Patient;

/// Connections of one listener; more wait in the system's backlog until one ends. Viewers of LL-HLS hold one each.
const CONNECTIONS_MAX: usize = 20_000;
/// How long a peer may take to send the head of a request; also closes idle connections that never ask.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a peer may take to say what it wants, and to go on reading what it asked for. A reader on a bad link gets on within seconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// Head of a request: the AWS SDKs stay below 16 KiB, private playback will carry 2 KiB tokens.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Requests at once on one HTTP/2 connection: a player needs a handful.
const HTTP2_STREAMS_MAX: u32 = 100;
/// After a failed accept (no more file descriptors, mostly), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves a router on a listener until cancelled, then lets requests end for at most `drain`.
pub async fn serve(listener: TcpListener, router: Router, cancel: CancellationToken, drain: Duration) {
    let turns = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let turn = tokio::select! {
            turn = Arc::clone(&turns).acquire_owned() => turn.expect("the semaphore is never closed"),
            () = cancel.cancelled() => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = cancel.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                // A part is complete when it is written: waiting for more would only delay it.
                let _ = stream.set_nodelay(true);
                let (router, cancel) = (router.clone(), cancel.clone());
                connections.spawn(async move {
                    connection(stream, peer, router, cancel).await;
                    drop(turn);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(drain, async { while connections.join_next().await.is_some() {} }).await;
}

/// Serves a router on one connection until the peer leaves or the server ends.
pub async fn connection<S>(stream: S, peer: SocketAddr, router: Router, cancel: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request.map(axum::body::Body::new))
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES_MAX);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(HTTP2_STREAMS_MAX);
    builder.http2().keep_alive_interval(Some(HEAD_TIMEOUT)).max_header_list_size(HEAD_BYTES_MAX as u32);
    let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(Patient::new(stream, PATIENCE)), service));
    let outcome = tokio::select! {
        outcome = serving.as_mut() => outcome,
        () = cancel.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%peer, %error, "an HTTP connection broke off");
    }
}
