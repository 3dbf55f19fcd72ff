//! One connection's loop: bytes, time and cuts into the RTMP session, its events into the broadcast, its replies out.

use crate::broadcast::{Broadcast, Over, farewell};
use crate::limits::{FAREWELL_BYTES_MAX, GUEST_READ_BYTES, Limits, PUBLISHER_READ_BYTES};
use crate::lobby::Guest;
use headwater_live::Ending;
use headwater_media::TrackKind;
use headwater_rtmp::server::{Capabilities, Event, Refusal, Status};
use headwater_rtmp::{Server, server};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// How a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    #[error("the peer closed the connection")]
    Peer,
    #[error("the session is over")]
    Session,
    #[error("the peer broke the protocol")]
    Protocol(#[from] server::Error),
    #[error("the connection failed")]
    Socket(#[from] std::io::Error),
    #[error("the peer does not read our replies")]
    Unread,
    #[error("the peer waited longest of too many without a key")]
    Dismissed,
}

/// Drives one connection to its end. A live session that it leaves behind without a clean end is lost, not ended.
pub(crate) async fn run<S>(
    mut stream: S,
    mut broadcast: Broadcast,
    guest: Guest,
    limits: &Limits,
    cancel: CancellationToken,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let session = Server::new(Instant::now().into_std(), rand::random(), limits.deadlines, Capabilities::default());
    let mut connection = Connection { session, guest: Some(guest), limits };
    let end = match connection.drive(&mut stream, &mut broadcast, cancel).await {
        Ok(end) | Err(end) => end,
    };
    broadcast.finish(Ending::Lost).await;
    if matches!(end, End::Session | End::Protocol(_)) {
        connection.say_farewell(&mut stream).await;
    }
    end
}

struct Connection<'a> {
    session: Server,
    /// Its place in the lobby until it is admitted.
    guest: Option<Guest>,
    limits: &'a Limits,
}

/// What woke the loop.
enum Wake {
    Read(std::io::Result<usize>),
    Deadline,
    Cut(headwater_live::CutReason),
    Dismissed,
    Stopping,
}

impl Connection<'_> {
    async fn drive<S>(
        &mut self,
        stream: &mut S,
        broadcast: &mut Broadcast,
        cancel: CancellationToken,
    ) -> Result<End, End>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut buffer = vec![0; GUEST_READ_BYTES];
        let mut stopping = false;
        loop {
            // Local work first: what was read is carried on and answered before more is read.
            while let Some(event) = self.session.poll_event() {
                if let Err(over) = self.handle_event(event, broadcast).await {
                    self.leave(over);
                    break;
                }
            }
            self.transmit(stream).await?;
            if self.session.is_closed() {
                return Ok(End::Session);
            }
            if self.guest.is_none() && buffer.len() < PUBLISHER_READ_BYTES {
                buffer = vec![0; PUBLISHER_READ_BYTES];
            }
            let deadline = self.session.poll_timeout().map(Instant::from_std);
            let wake = tokio::select! {
                // A cut must not wait behind an encoder that always has bytes.
                biased;
                () = cancel.cancelled(), if !stopping => Wake::Stopping,
                reason = broadcast.cut() => Wake::Cut(reason),
                () = dismissed(self.guest.as_ref()) => Wake::Dismissed,
                () = at(deadline) => Wake::Deadline,
                read = stream.read(&mut buffer) => Wake::Read(read),
            };
            match wake {
                Wake::Read(read) => match read? {
                    0 => return Ok(End::Peer),
                    length => self.session.handle_input(Instant::now().into_std(), &buffer[..length])?,
                },
                Wake::Deadline => self.session.handle_timeout(Instant::now().into_std())?,
                Wake::Cut(reason) => self.leave(Over::Cut(reason)),
                Wake::Dismissed => return Ok(End::Dismissed),
                Wake::Stopping => {
                    stopping = true;
                    self.leave(Over::Refused(Refusal::new(Status::Failed, "the server is stopping")));
                }
            }
        }
    }

    async fn handle_event(&mut self, event: Event, broadcast: &mut Broadcast) -> Result<(), Over> {
        match event {
            Event::Connected(connect) => {
                tracing::debug!(encoder = connect.encoder, four_ccs = ?connect.four_ccs, "encoder connected");
                Ok(())
            }
            Event::PublishRequested(request) => {
                match broadcast.admit(&request).await {
                    Ok(()) => {
                        self.guest = None;
                        self.session.accept(Instant::now().into_std());
                    }
                    Err(refusal) => self.session.refuse(&refusal),
                }
                Ok(())
            }
            Event::Video { timestamp_ms, body } => broadcast.media(TrackKind::Video, timestamp_ms, body).await,
            Event::Audio { timestamp_ms, body } => broadcast.media(TrackKind::Audio, timestamp_ms, body).await,
            Event::Metadata(values) => broadcast.metadata(&values).await,
            Event::PublishEnded => {
                broadcast.finish(Ending::Clean).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn leave(&mut self, over: Over) {
        let refusal = match over {
            Over::Refused(refusal) => refusal,
            Over::Cut(reason) => {
                tracing::info!(?reason, "encoder cut");
                farewell(reason)
            }
        };
        self.session.close(&refusal);
    }

    async fn transmit<S: AsyncWrite + Unpin>(&mut self, stream: &mut S) -> Result<(), End> {
        while let Some(bytes) = self.session.poll_transmit() {
            match timeout(self.limits.write, stream.write_all(&bytes)).await {
                Ok(written) => written?,
                Err(_) => return Err(End::Unread),
            }
        }
        // TLS keeps what it has until it is flushed.
        match timeout(self.limits.write, stream.flush()).await {
            Ok(flushed) => Ok(flushed?),
            Err(_) => Err(End::Unread),
        }
    }

    /// Sends the last words and gives them time to arrive: a socket that is closed with unread input drops its output.
    async fn say_farewell<S>(&mut self, stream: &mut S)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        // Whatever fails here, the connection is over.
        if self.transmit(stream).await.is_err() {
            return;
        }
        let _ = timeout(self.limits.farewell, async {
            stream.shutdown().await?;
            let mut thrown_away = 0;
            let mut buffer = vec![0; GUEST_READ_BYTES];
            while thrown_away < FAREWELL_BYTES_MAX {
                match stream.read(&mut buffer).await? {
                    0 => break,
                    length => thrown_away += length,
                }
            }
            std::io::Result::Ok(())
        })
        .await;
    }
}

async fn dismissed(guest: Option<&Guest>) {
    match guest {
        Some(guest) => guest.dismissed().await,
        None => std::future::pending().await,
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
