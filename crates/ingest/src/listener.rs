//! [`serve_rtmp`] and [`serve_tls`]: accept, tell protocols apart, give each connection a task, drain.

use crate::broadcast::Broadcast;
use crate::connection::{self, End};
use crate::directory::{Directory, Transport};
use crate::limits::Limits;
use crate::lobby::{Guest, Lobby};
use headwater_live::Hub;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

/// RTMP's version, the first byte of a connection. No HTTP request begins with it.
const RTMP_FIRST_BYTE: u8 = 3;

/// After a failed accept (no more file descriptors, mostly), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Takes RTMP connections until `cancel`, then tells each encoder and waits for at most [`Limits::drain`].
pub async fn serve_rtmp(
    listener: TcpListener,
    directory: Arc<dyn Directory>,
    hub: Hub,
    limits: Limits,
    cancel: CancellationToken,
) {
    let shared = Shared::new(directory, hub, limits, &cancel);
    let max = shared.limits.encoders_max;
    let task = |shared: Arc<Shared>, stream: TcpStream, peer: SocketAddr| async move {
        let guest = shared.lobby.enter();
        shared.encoder(stream, peer, Transport::Plain, guest).await;
    };
    serve(listener, shared, max, cancel, "rtmp", task).await;
}

/// Takes TLS connections until `cancel`: RTMPS is served here, everything else goes to `http`.
///
/// A connection is HTTP if ALPN chose a protocol (the configuration offers `h2` and `http/1.1`), else the first byte decides.
/// `http` is to end its connections when the server stops; what it leaves after [`Limits::drain`] is dropped.
pub async fn serve_tls<H, F>(
    listener: TcpListener,
    config: Arc<rustls::ServerConfig>,
    directory: Arc<dyn Directory>,
    hub: Hub,
    limits: Limits,
    cancel: CancellationToken,
    http: H,
) where
    H: Fn(TlsConnection, SocketAddr) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let shared = Shared::new(directory, hub, limits, &cancel);
    let max = shared.limits.encoders_max.saturating_add(shared.limits.http_connections_max);
    let (acceptor, http) = (TlsAcceptor::from(config), Arc::new(http));
    let task = move |shared: Arc<Shared>, stream: TcpStream, peer: SocketAddr| {
        let (acceptor, http) = (acceptor.clone(), Arc::clone(&http));
        async move {
            let guest = shared.lobby.enter();
            let told_apart = tokio::select! {
                () = guest.dismissed() => return,
                () = shared.cancel.cancelled() => return,
                told_apart = timeout(shared.limits.tls, tell_apart(acceptor, stream)) => told_apart,
            };
            match told_apart {
                Ok(Ok((stream, Protocol::Rtmp))) => match shared.encoders.enter(shared.limits.encoders_max) {
                    Some(_place) => shared.encoder(stream, peer, Transport::Tls, guest).await,
                    None => tracing::warn!("encoder turned away: there are too many"),
                },
                Ok(Ok((stream, Protocol::Http))) => {
                    drop(guest);
                    match shared.https.enter(shared.limits.http_connections_max) {
                        Some(_place) => http(stream, peer).await,
                        None => tracing::warn!("HTTP connection turned away: there are too many"),
                    }
                }
                Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                Err(_) => tracing::debug!("the peer is late with its TLS handshake"),
            }
        }
    };
    serve(listener, shared, max, cancel, "tls", task).await;
}

/// What all connections of a listener share.
struct Shared {
    directory: Arc<dyn Directory>,
    hub: Hub,
    limits: Limits,
    lobby: Lobby,
    encoders: Count,
    https: Count,
    cancel: CancellationToken,
}

impl Shared {
    fn new(directory: Arc<dyn Directory>, hub: Hub, limits: Limits, cancel: &CancellationToken) -> Arc<Self> {
        Arc::new(Shared {
            directory,
            hub,
            lobby: Lobby::new(limits.guests_max),
            limits,
            encoders: Count::default(),
            https: Count::default(),
            cancel: cancel.clone(),
        })
    }

    async fn encoder<S>(&self, stream: S, peer: SocketAddr, transport: Transport, guest: Guest)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let broadcast = Broadcast::new(Arc::clone(&self.directory), self.hub.clone(), peer, transport);
        let end = connection::run(stream, broadcast, guest, &self.limits, self.cancel.clone()).await;
        match end {
            End::Dismissed => tracing::warn!("a connection without a key made room for another"),
            end => tracing::debug!(error = &end as &dyn std::error::Error, "connection ended"),
        }
    }
}

/// Counts connections of one sort.
#[derive(Debug, Default)]
struct Count(AtomicUsize);

struct Place<'a>(&'a Count);

impl Count {
    fn enter(&self, max: usize) -> Option<Place<'_>> {
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        let place = Place(self);
        if before < max { Some(place) } else { None }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One accept loop for every listener. Its tasks end with it.
async fn serve<T, F>(
    listener: TcpListener,
    shared: Arc<Shared>,
    connections_max: usize,
    cancel: CancellationToken,
    protocol: &'static str,
    task: T,
) where
    T: Fn(Arc<Shared>, TcpStream, SocketAddr) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = cancel.cancelled() => break,
            Some(ended) = connections.join_next() => report(ended),
            accepted = listener.accept() => match accepted {
                Ok((_, peer)) if connections.len() >= connections_max => {
                    tracing::warn!(protocol, %peer, "connection turned away: there are too many");
                }
                Ok((stream, peer)) => {
                    // Replies are short and awaited: they must not be held back to be joined with others.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%peer, %error, "TCP_NODELAY was not set");
                    }
                    let span = tracing::info_span!("connection", protocol, %peer);
                    connections.spawn(task(Arc::clone(&shared), stream, peer).instrument(span));
                }
                Err(error) => {
                    tracing::warn!(protocol, %error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let drained = timeout(shared.limits.drain, async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    });
    if drained.await.is_err() {
        tracing::warn!(protocol, connections = connections.len(), "connections were dropped: they did not end in time");
    }
}

/// A panic ends one connection, and is ours to mend.
fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection's task panicked");
    }
}

enum Protocol {
    Rtmp,
    Http,
}

async fn tell_apart(acceptor: TlsAcceptor, stream: TcpStream) -> io::Result<(TlsConnection, Protocol)> {
    let mut stream = acceptor.accept(stream).await?;
    if stream.get_ref().1.alpn_protocol().is_some() {
        return Ok((TlsConnection { first: None, stream }, Protocol::Http));
    }
    let first = stream.read_u8().await?;
    let protocol = if first == RTMP_FIRST_BYTE { Protocol::Rtmp } else { Protocol::Http };
    Ok((TlsConnection { first: Some(first), stream }, protocol))
}

/// A TLS connection whose first byte may have been read already; it is given out again.
#[derive(Debug)]
pub struct TlsConnection {
    first: Option<u8>,
    stream: TlsStream<TcpStream>,
}

impl TlsConnection {
    /// Whether the peer chose HTTP/2 by ALPN.
    pub fn is_http2(&self) -> bool {
        self.stream.get_ref().1.alpn_protocol() == Some(b"h2")
    }
}

impl AsyncRead for TlsConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() > 0
            && let Some(first) = self.first.take()
        {
            buffer.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for TlsConnection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
