//! HTTP connections: one loop for the plain listeners and for what the TLS listener hands over.
//!
//! hyper speaks HTTP/1.1 and HTTP/2; here stand the bounds: how many connections, how long a peer may take for its
//! headers, and how the end goes.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{Request, Response};
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
/// How HTTP/2's preface begins, and some methods of HTTP/1.
const HTTP2_FIRST: u8 = b'P';
/// After a failed accept (no more file descriptors, mostly), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What answers requests. Clones share one.
pub trait Face: Clone + Send + 'static {
    /// The answer to a request of a peer.
    fn answer(
        &self,
        peer: SocketAddr,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Body>> + Send + use<Self>;
}

impl Face for Router {
    fn answer(
        &self,
        peer: SocketAddr,
        mut request: Request<Incoming>,
    ) -> impl Future<Output = Response<Body>> + Send + use<> {
        request.extensions_mut().insert(ConnectInfo(peer));
        let answering = self.clone().oneshot(request);
        async move { answering.await.unwrap_or_else(|never| match never {}) }
    }
}

/// Serves a face on a listener until cancelled, then lets requests end for at most `drain`.
pub async fn serve(listener: TcpListener, face: impl Face, cancel: CancellationToken, drain: Duration) {
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
                let (face, cancel) = (face.clone(), cancel.clone());
                // Called within: a future that is captured and then awaited lies in the task twice.
                connections.spawn(async move {
                    connection(stream, peer, face, cancel).await;
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

/// Serves a face on one connection until the peer leaves or the server ends.
pub async fn connection<S>(stream: S, peer: SocketAddr, face: impl Face, cancel: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let answering = face.answer(peer, request);
        async move { Ok::<_, Infallible>(answering.await) }
    });
    let mut stream = Patient::new(stream, PATIENCE);
    let first = tokio::select! {
        first = stream.first() => first,
        () = cancel.cancelled() => return,
    };
    let Ok(Some(first)) = first else { return };
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES_MAX);
    // Otherwise hyper keeps a second buffer of 8 KB for each request that waits, to see its peer leave: `Patient` sees that.
    builder.http1().half_close(true);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(HTTP2_STREAMS_MAX);
    builder.http2().keep_alive_interval(Some(HEAD_TIMEOUT)).max_header_list_size(HEAD_BYTES_MAX as u32);
    // Whatever begins otherwise is no HTTP/2. Told early, hyper reads a request in one piece, and its buffer stays at 8 KB.
    let builder = if first == HTTP2_FIRST { builder } else { builder.http1_only() };
    let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::sync::mpsc;

    /// Answers with the path when a turn is given; tells of each request that it begins and that it is done with.
    #[derive(Clone)]
    struct Slow {
        turns: Arc<Semaphore>,
        begun: mpsc::UnboundedSender<()>,
        done: mpsc::UnboundedSender<()>,
    }

    struct Tell(mpsc::UnboundedSender<()>);

    impl Drop for Tell {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }

    impl Face for Slow {
        fn answer(
            &self,
            _: SocketAddr,
            request: Request<Incoming>,
        ) -> impl Future<Output = Response<Body>> + Send + use<> {
            let (turns, done) = (Arc::clone(&self.turns), Tell(self.done.clone()));
            let _ = self.begun.send(());
            async move {
                let _done = done;
                turns.acquire().await.expect("it is never closed").forget();
                Response::new(Body::from(request.uri().path().to_owned()))
            }
        }
    }

    struct Stage {
        peer: TcpStream,
        turns: Arc<Semaphore>,
        begun: mpsc::UnboundedReceiver<()>,
        done: mpsc::UnboundedReceiver<()>,
        _server: JoinSet<()>,
    }

    async fn stage() -> Stage {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let turns = Arc::new(Semaphore::new(0));
        let (begin, begun) = mpsc::unbounded_channel();
        let (end, done) = mpsc::unbounded_channel();
        let face = Slow { turns: Arc::clone(&turns), begun: begin, done: end };
        let mut server = JoinSet::new();
        server.spawn(serve(listener, face, CancellationToken::new(), Duration::ZERO));
        let peer = TcpStream::connect(address).await.expect("it listens");
        Stage { peer, turns, begun, done, _server: server }
    }

    #[tokio::test]
    async fn a_request_is_dropped_when_its_peer_leaves() {
        let mut stage = stage().await;
        stage.peer.write_all(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("it is read");
        stage.begun.recv().await.expect("it is asked");
        assert!(stage.done.try_recv().is_err(), "it waits");
        drop(stage.peer);
        stage.done.recv().await.expect("nothing else ends it");
    }

    #[tokio::test]
    async fn a_request_that_comes_while_another_waits_is_answered_after_it() {
        let mut stage = stage().await;
        for path in ["/a", "/b", "/c"] {
            // The second comes while the first waits, the third with it.
            stage
                .peer
                .write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
                .await
                .expect("it is read");
            if path == "/a" {
                stage.begun.recv().await.expect("it is asked");
            }
        }
        stage.turns.add_permits(3);
        let mut read = String::new();
        while !read.ends_with("/c") {
            let mut bytes = [0; 1_024];
            let count = stage.peer.read(&mut bytes).await.expect("it answers");
            assert!(count > 0, "it closed after {read}");
            read.push_str(std::str::from_utf8(&bytes[..count]).expect("text"));
        }
        let bodies: Vec<&str> = read.split("\r\n\r\n").skip(1).map(|text| &text[..2]).collect();
        assert_eq!(bodies, ["/a", "/b", "/c"]);
    }
}
