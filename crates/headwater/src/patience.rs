//! How long a peer of HTTP may keep a connection without getting on: for its first bytes, and for taking what it asked for.
//!
//! hyper bounds the time for a request's head, but not the wait for the bytes that tell HTTP/1.1 and HTTP/2 apart, nor a reader that stands still:
//! that one would keep the segments it asked for in memory for ever.
//!
//! Here is also seen that a peer of HTTP/1 leaves while its answer is waited for. hyper can see that too, with a buffer of 8 KB for each that waits;
//! a byte does.

use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// Bytes by which HTTP/1.1 and HTTP/2 are told apart: HTTP/2's preface.
const PREFACE_BYTES: usize = 24;
/// How that begins; no method of HTTP/1 is called so.
const PREFACE: &[u8] = b"PRI";

/// A stream that fails when its peer does not get on.
pub struct Patient<S> {
    stream: S,
    patience: Duration,
    /// Runs out for the first bytes, later for a write that makes no progress.
    timer: Pin<Box<Sleep>>,
    received: usize,
    answered: bool,
    /// Whether a write waits, so that the timer runs.
    stuck: bool,
    /// Whether what came so far begins as HTTP/2 does.
    is_preface: bool,
    /// Whether the peer will send no more, which was passed on.
    ended: bool,
    /// Read and not passed on: the connection's first byte, or that of a request that was pipelined.
    ahead: Option<u8>,
}

impl<S> Patient<S> {
    /// Waits `patience` for the first bytes, and for each write to make progress.
    pub fn new(stream: S, patience: Duration) -> Self {
        let timer = Box::pin(sleep(patience));
        let (answered, stuck, is_preface, ended) = (false, false, true, false);
        Patient { stream, patience, timer, received: 0, answered, stuck, is_preface, ended, ahead: None }
    }

    fn late(what: &'static str) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, what)
    }

    /// Passes a write's outcome on; `Pending` for too long is an error.
    fn written<T>(&mut self, outcome: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            (self.answered, self.stuck) = (true, false);
            return outcome;
        }
        if !self.stuck {
            self.stuck = true;
            self.timer.as_mut().reset(Instant::now() + self.patience);
        }
        ready!(self.timer.as_mut().poll(context));
        Poll::Ready(Err(Self::late("the peer does not read")))
    }
}

impl<S: AsyncRead + Unpin> Patient<S> {
    /// The first byte, which is still to be read; `None` if the peer left without one.
    ///
    /// # Errors
    /// The connection's, and that the peer says nothing.
    pub async fn first(&mut self) -> io::Result<Option<u8>> {
        poll_fn(|context| {
            let mut byte = [0];
            let mut buffer = ReadBuf::new(&mut byte);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Pending => {
                    ready!(self.timer.as_mut().poll(context));
                    return Poll::Ready(Err(Self::late("the peer does not say what it wants")));
                }
                Poll::Ready(outcome) => outcome?,
            }
            self.ahead = buffer.filled().first().copied();
            Poll::Ready(Ok(self.ahead))
        })
        .await
    }

    /// What the stream says, after what came ahead, in one piece: hyper doubles a buffer that already has a byte in it.
    fn take_in(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buffer.remaining() > 0
            && let Some(byte) = self.ahead.take()
        {
            buffer.put_slice(&[byte]);
            return match Pin::new(&mut self.stream).poll_read(context, buffer) {
                Poll::Pending => Poll::Ready(Ok(())),
                ready => ready,
            };
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }

    /// Fails if the peer has left. hyper flushes whenever it has looked after a connection, also where there is nothing to write.
    fn listen(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ended || self.ahead.is_some() {
            return Poll::Ready(Ok(()));
        }
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        if let Poll::Ready(outcome) = Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
            outcome?;
            match buffer.filled() {
                [] => return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the peer has left"))),
                byte => self.ahead = byte.first().copied(),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = self.take_in(context, buffer);
        let came = &buffer.filled()[before..];
        let expected = PREFACE.get(self.received..).unwrap_or_default();
        self.is_preface &= came.iter().zip(expected).all(|(byte, expected)| byte == expected);
        self.ended |= outcome.is_ready() && came.is_empty() && buffer.remaining() > 0;
        self.received = self.received.saturating_add(came.len());
        let introduced = self.answered || self.stuck || self.received >= PREFACE_BYTES;
        if outcome.is_pending() && !introduced {
            ready!(self.timer.as_mut().poll(context));
            return Poll::Ready(Err(Self::late("the peer does not say what it wants")));
        }
        outcome
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(outcome, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, buffers);
        self.written(outcome, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Of TCP it is always ready, which is no progress of the peer's.
        match Pin::new(&mut self.stream).poll_flush(context) {
            Poll::Pending => self.written(Poll::Pending, context),
            Poll::Ready(Ok(())) if !self.is_preface => self.listen(context),
            ready => ready,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(context);
        self.written(outcome, context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_says_too_little_is_let_go() {
        for said in [&b""[..], b"PRI * HTTP"] {
            let (mut peer, ours) = duplex(1_024);
            let began = Instant::now();
            let mut patient = Patient::new(ours, PATIENCE);
            peer.write_all(said).await.expect("there is room");
            let mut read = Vec::new();
            let error = patient.read_to_end(&mut read).await.expect_err("it is late");
            assert_eq!((error.kind(), &read[..]), (io::ErrorKind::TimedOut, said));
            assert_eq!(began.elapsed(), PATIENCE);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stands_still_is_let_go_and_a_slow_one_is_not() {
        let (mut peer, ours) = duplex(16);
        let mut patient = Patient::new(ours, PATIENCE);
        let reading = tokio::spawn(async move {
            let mut bytes = [0; 16];
            for _ in 0..8 {
                tokio::time::sleep(PATIENCE - Duration::from_secs(1)).await;
                peer.read_exact(&mut bytes).await.expect("it is sent");
            }
            peer
        });
        patient.write_all(&[7; 8 * 16]).await.expect("it is taken, if slowly");
        let _peer = reading.await.expect("it read all");
        let began = Instant::now();
        let error = patient.write_all(&[7; 17]).await.expect_err("nobody reads");
        assert_eq!((error.kind(), began.elapsed()), (io::ErrorKind::TimedOut, PATIENCE));
    }

    #[tokio::test]
    async fn a_peer_of_http1_that_leaves_is_seen_by_flushing() {
        for (said, seen) in [("GET", true), ("POST", true), ("PRI * HTTP/2.0", false)] {
            let (mut peer, ours) = duplex(1_024);
            let mut patient = Patient::new(ours, PATIENCE);
            for byte in said.bytes() {
                peer.write_u8(byte).await.expect("there is room");
                assert_eq!(patient.read_u8().await.expect("it came"), byte);
            }
            patient.flush().await.expect("the peer is there");
            drop(peer);
            assert_eq!(patient.flush().await.is_err(), seen, "{said}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_byte_is_looked_at_and_still_read() {
        let (mut peer, ours) = duplex(1_024);
        let mut patient = Patient::new(ours, PATIENCE);
        peer.write_all(b"GET").await.expect("there is room");
        assert_eq!(patient.first().await.expect("it came"), Some(b'G'));
        let mut read = [0; 8];
        assert_eq!(patient.read(&mut read).await.expect("it came"), 3, "in one piece");
        assert_eq!(&read[..3], b"GET");
        let (_peer, ours) = duplex(1_024);
        let error = Patient::new(ours, PATIENCE).first().await.expect_err("it is late");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn what_comes_while_an_answer_is_waited_for_is_not_lost() {
        let (mut peer, ours) = duplex(1_024);
        let mut patient = Patient::new(ours, PATIENCE);
        peer.write_all(b"one").await.expect("there is room");
        patient.read_exact(&mut [0; 3]).await.expect("it came");
        peer.write_all(b"two").await.expect("there is room");
        patient.flush().await.expect("the peer is there");
        patient.flush().await.expect("the peer is there");
        drop(peer);
        let mut read = String::new();
        patient.read_to_string(&mut read).await.expect("it came");
        assert_eq!(read, "two");
        patient.flush().await.expect("its end was passed on");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_was_answered_may_be_silent() {
        let (mut peer, ours) = duplex(64);
        let mut patient = Patient::new(ours, PATIENCE);
        patient.write_all(b"answer").await.expect("there is room");
        let silent = tokio::time::timeout(PATIENCE * 2, patient.read_u8()).await;
        assert!(silent.is_err(), "hyper decides how long");
        peer.write_all(b"x").await.expect("there is room");
        assert_eq!(patient.read_u8().await.expect("it came"), b'x');
    }
}
