//! The publish session as a server sees it.

mod command;
mod event;

pub use event::{Connect, Event, Extensions, PublishRequest, Refusal, Status};

use crate::amf0;
use crate::chunk::{self, Admission, ChunkStreamId, Reader, Writer};
use crate::control::{self, Asked, Control};
use crate::handshake::{self, Progress, ServerHandshake};
use crate::limits::{ACKNOWLEDGEMENT_WINDOW_BYTES, CHUNK_SIZE_SENT, TRANSMIT_BYTES_MAX};
use crate::message::{Kind, Message, MessageStreamId, aggregated};
use crate::name;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a peer may take for what is expected of it.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// From the start to the end of the handshake.
    pub handshake: Duration,
    /// From the start to a publish, and from the end of a publish to the next.
    pub publish: Duration,
    /// From one audio or video message to the next.
    pub idle: Duration,
}

impl Default for Deadlines {
    /// 10 s for a handshake of three packets and 10 s to publish are ten times what a slow mobile link takes;
    /// 30 s without media is when IVS ends a session.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Deadlines { handshake: seconds(10), publish: seconds(10), idle: seconds(30) }
    }
}

/// What the session offers to encoders of Enhanced RTMP.
#[derive(Clone, Debug)]
pub struct Capabilities {
    /// FourCCs of video codecs beyond the ones of plain RTMP.
    pub video: Vec<&'static str>,
    /// FourCCs of audio codecs beyond the ones of plain RTMP.
    pub audio: Vec<&'static str>,
    /// Extensions of version 2.
    pub extensions: Extensions,
}

impl Default for Capabilities {
    fn default() -> Self {
        Capabilities {
            video: vec!["avc1", "hvc1", "av01"],
            audio: vec!["mp4a"],
            // Modifiers are read over: their only kind adds less than a millisecond.
            extensions: Extensions::MULTITRACK.and(Extensions::MOD_EX),
        }
    }
}

/// The publish session as a server sees it: a state machine over bytes and time.
///
/// Its methods are of four families. *Input*: [`handle_input`](Server::handle_input) and
/// [`handle_timeout`](Server::handle_timeout). *Output*: [`poll_event`](Server::poll_event),
/// [`poll_transmit`](Server::poll_transmit) and [`poll_timeout`](Server::poll_timeout). *Commands*:
/// [`accept`](Server::accept), [`refuse`](Server::refuse), [`close`](Server::close). *Getters*:
/// [`is_closed`](Server::is_closed). After one input or command, drain events and transmissions until both are `None`;
/// then wait for bytes or for the deadline. When it is closed and everything is sent, close the connection.
///
/// Events hold at most as many bodies as one input has bytes; so the shell's read size bounds them.
#[derive(Debug)]
pub struct Server {
    phase: Phase,
    reader: Reader,
    writer: Writer,
    out: BytesMut,
    events: VecDeque<Event>,
    timers: Timers,
    deadlines: Deadlines,
    capabilities: Capabilities,
    /// What `connect` named, once it did.
    app: Option<String>,
    message_streams: u32,
    /// Whether the encoder announced its publish by FCPublish and expects the answer that goes with it.
    announced: bool,
    /// All bytes from the peer, the handshake's too.
    received_bytes: u64,
    acknowledged_bytes: u64,
    /// After how many bytes the peer wants an acknowledgement.
    window_bytes: u64,
}

#[derive(Debug)]
enum Phase {
    Handshake(ServerHandshake),
    /// Commands are taken, nothing is published.
    Open,
    /// A publish waits for the caller's word.
    Requested(MessageStreamId),
    Publishing(MessageStreamId),
    Closed,
}

/// When what is overdue, one place for each [`Deadline`].
#[derive(Debug, Default)]
struct Timers {
    at: [Option<Instant>; 3],
}

/// What a peer is late with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// The handshake.
    Handshake,
    /// A publish.
    Publish,
    /// Audio or video.
    Media,
}

const DEADLINES: [Deadline; 3] = [Deadline::Handshake, Deadline::Publish, Deadline::Media];

impl Timers {
    fn set(&mut self, deadline: Deadline, at: Instant) {
        self.at[deadline as usize] = Some(at);
    }

    fn stop(&mut self, deadline: Deadline) {
        self.at[deadline as usize] = None;
    }

    fn next(&self) -> Option<Instant> {
        self.at.iter().flatten().min().copied()
    }

    fn expired(&self, now: Instant) -> Option<Deadline> {
        DEADLINES.into_iter().find(|deadline| self.at[*deadline as usize].is_some_and(|at| at <= now))
    }
}

impl Server {
    /// A session whose connection was made `now`. `seed` makes the handshake's bytes differ; it need not be secret.
    pub fn new(now: Instant, seed: u64, deadlines: Deadlines, capabilities: Capabilities) -> Self {
        let mut timers = Timers::default();
        timers.set(Deadline::Handshake, now + deadlines.handshake);
        timers.set(Deadline::Publish, now + deadlines.publish);
        Server {
            phase: Phase::Handshake(ServerHandshake::new(seed)),
            reader: Reader::new(),
            writer: Writer::new(),
            out: BytesMut::new(),
            events: VecDeque::new(),
            timers,
            deadlines,
            capabilities,
            app: None,
            message_streams: 0,
            announced: false,
            received_bytes: 0,
            acknowledged_bytes: 0,
            window_bytes: u64::from(ACKNOWLEDGEMENT_WINDOW_BYTES),
        }
    }

    /// Takes what the peer sent. Bytes after the session closed are ignored.
    ///
    /// # Errors
    /// The peer broke the protocol or a limit. Send what [`poll_transmit`](Server::poll_transmit) still has, then close
    /// the connection: the session is closed.
    pub fn handle_input(&mut self, now: Instant, bytes: &[u8]) -> Result<(), Error> {
        let outcome = self.take(now, bytes);
        if outcome.is_err() {
            self.phase = Phase::Closed;
        }
        outcome
    }

    /// Tells the time, at or after [`poll_timeout`](Server::poll_timeout).
    ///
    /// # Errors
    /// The peer is late: the session is closed.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        match self.timers.expired(now) {
            Some(late) if !self.is_closed() => {
                if let Phase::Publishing(message_stream) = self.phase {
                    self.status(message_stream, Status::Idle, "no audio or video arrived for too long");
                }
                self.phase = Phase::Closed;
                Err(Error::Late { deadline: late })
            }
            _ => Ok(()),
        }
    }

    /// What happened, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Bytes for the peer.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        if self.out.is_empty() { None } else { Some(self.out.split().freeze()) }
    }

    /// When [`handle_timeout`](Server::handle_timeout) wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.is_closed() { None } else { self.timers.next() }
    }

    /// Lets the requested publish begin. Without a request it does nothing.
    pub fn accept(&mut self, now: Instant) {
        let Phase::Requested(message_stream) = self.phase else {
            return;
        };
        self.reader.admit(Admission::Publisher);
        self.phase = Phase::Publishing(message_stream);
        self.timers.set(Deadline::Media, now + self.deadlines.idle);
        self.control(Control::StreamBegin(message_stream));
        if std::mem::take(&mut self.announced) {
            self.announcement("onFCPublish", Status::PublishStart);
        }
        self.status(message_stream, Status::PublishStart, "publishing");
    }

    /// Refuses the requested publish and closes the session. Encoders show the refusal's text.
    pub fn refuse(&mut self, refusal: &Refusal) {
        if let Phase::Requested(message_stream) = self.phase {
            self.status(message_stream, refusal.status, &refusal.description);
        }
        self.phase = Phase::Closed;
    }

    /// Ends whatever goes on, from our side, and says why.
    pub fn close(&mut self, refusal: &Refusal) {
        match self.phase {
            Phase::Requested(stream) | Phase::Publishing(stream) => {
                self.status(stream, refusal.status, &refusal.description);
            }
            Phase::Open if self.app.is_some() => {
                self.status(MessageStreamId(0), refusal.status, &refusal.description);
            }
            Phase::Handshake(_) | Phase::Open | Phase::Closed => {}
        }
        self.phase = Phase::Closed;
    }

    /// Whether the session is over: send what there is to send, then close the connection.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// Whether the handshake is done.
    pub fn is_established(&self) -> bool {
        !matches!(self.phase, Phase::Handshake(_))
    }

    /// Bytes that unfinished messages and waiting replies hold in memory.
    pub fn allocated_bytes(&self) -> usize {
        self.reader.allocated_bytes() + self.out.capacity()
    }

    fn take(&mut self, now: Instant, mut input: &[u8]) -> Result<(), Error> {
        self.received_bytes += input.len() as u64;
        if let Phase::Handshake(handshake) = &mut self.phase {
            match handshake.read(&mut input, &mut self.out)? {
                Progress::Pending => return Ok(()),
                Progress::Done => {
                    self.phase = Phase::Open;
                    self.timers.stop(Deadline::Handshake);
                }
            }
        }
        while !self.is_closed()
            && let Some(message) = self.reader.read(&mut input)?
        {
            self.handle_message(now, message)?;
            if self.out.len() > TRANSMIT_BYTES_MAX {
                return Err(Error::Unread);
            }
        }
        if !self.is_closed() && self.received_bytes - self.acknowledged_bytes >= self.window_bytes {
            self.acknowledged_bytes = self.received_bytes;
            // The count is modulo 2³² by the specification.
            let count = (self.received_bytes & u64::from(u32::MAX)) as u32;
            self.control(Control::Acknowledgement(count));
        }
        Ok(())
    }

    fn handle_message(&mut self, now: Instant, message: Message) -> Result<(), Error> {
        match message.kind {
            Kind::Audio | Kind::Video => self.handle_media(now, message),
            Kind::Aggregate => {
                for part in aggregated(&message) {
                    if matches!(part.kind, Kind::Audio | Kind::Video) {
                        self.handle_media(now, part);
                    }
                }
            }
            Kind::Data => self.handle_data(&message.body)?,
            Kind::DataAmf3 => self.handle_data(after_format_byte(&message.body))?,
            Kind::Command => self.handle_command(now, message.message_stream, &message.body)?,
            Kind::CommandAmf3 => {
                self.handle_command(now, message.message_stream, after_format_byte(&message.body))?;
            }
            _ => match control::take(&message, &mut self.reader)? {
                Asked::Nothing => {}
                Asked::Window(size) => self.window_bytes = u64::from(size),
                Asked::Answer(answer) => self.control(answer),
            },
        }
        Ok(())
    }

    /// Passes media on, whichever message stream it says: one connection publishes once, and encoders differ.
    fn handle_media(&mut self, now: Instant, message: Message) {
        if !matches!(self.phase, Phase::Publishing(_)) || message.body.is_empty() {
            return;
        }
        self.timers.set(Deadline::Media, now + self.deadlines.idle);
        let Message { timestamp_ms, kind, body, .. } = message;
        self.events.push_back(match kind {
            Kind::Audio => Event::Audio { timestamp_ms, body },
            _ => Event::Video { timestamp_ms, body },
        });
    }

    fn handle_data(&mut self, body: &[u8]) -> Result<(), Error> {
        if !matches!(self.phase, Phase::Publishing(_)) {
            return Ok(());
        }
        let mut values = amf0::decode_all(body)?.into_iter().peekable();
        values.next_if_eq(&amf0::Value::from("@setDataFrame"));
        if values.next().as_ref().and_then(amf0::Value::as_str) != Some("onMetaData") {
            return Ok(());
        }
        if let Some(amf0::Value::Object(metadata) | amf0::Value::EcmaArray(metadata)) = values.next() {
            self.events.push_back(Event::Metadata(metadata));
        }
        Ok(())
    }

    fn control(&mut self, control: Control) {
        control.write(&mut self.writer, &mut self.out).expect("our chunk size is a constant within the bounds");
    }

    /// What follows `connect`: windows and our chunk size.
    fn announce_windows(&mut self) {
        self.control(Control::WindowAcknowledgementSize(ACKNOWLEDGEMENT_WINDOW_BYTES));
        self.control(Control::PeerBandwidth(ACKNOWLEDGEMENT_WINDOW_BYTES));
        self.control(Control::ChunkSize(CHUNK_SIZE_SENT));
    }

    fn send(&mut self, id: ChunkStreamId, message_stream: MessageStreamId, kind: Kind, body: Bytes) {
        let message = Message { timestamp_ms: 0, kind, message_stream, body };
        self.writer.write(id, &message, &mut self.out).expect("replies are far shorter than 16 MB");
    }
}

/// Messages of AMF3 kinds begin with the number of a format: encoders write 0 and go on in AMF0.
fn after_format_byte(body: &[u8]) -> &[u8] {
    match body {
        [0, rest @ ..] => rest,
        body => body,
    }
}

/// Why a session failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The handshake.
    #[error("the handshake failed")]
    Handshake(#[from] handshake::Error),
    /// The chunk stream.
    #[error("the chunk stream is broken")]
    Chunk(#[from] chunk::Error),
    /// A command or its arguments.
    #[error("a command or its data cannot be read")]
    Amf(#[from] amf0::Error),
    /// App and publish name.
    #[error("the publish name cannot be read")]
    Name(#[from] name::Error),
    /// A command that is out of order or too often.
    #[error("unexpected command {command}")]
    Command {
        /// One of the names that this session knows.
        command: &'static str,
    },
    /// [`TRANSMIT_BYTES_MAX`] exceeded.
    #[error("the peer asks for more than {TRANSMIT_BYTES_MAX} bytes of replies at once")]
    Unread,
    /// A deadline passed.
    #[error("the peer is late with its {deadline:?}")]
    Late {
        /// What it is late with.
        deadline: Deadline,
    },
}

#[cfg(test)]
mod tests;
