//! The publish session as an encoder sees it: for tests, load tools and pushing onwards.

use crate::amf0::{self, Object, Value};
use crate::chunk::{self, Admission, ChunkStreamId, Reader, Writer};
use crate::control::{self, Asked, Control};
use crate::handshake::{self, ClientHandshake, Progress};
use crate::message::{Kind, Message, MessageStreamId};
use crate::server::Extensions;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// Transactions of the commands that a publish needs, in their order.
const CONNECT: f64 = 1.0;
const RELEASE_STREAM: f64 = 2.0;
const FC_PUBLISH: f64 = 3.0;
const CREATE_STREAM: f64 = 4.0;
const PUBLISH: f64 = 5.0;
const FC_UNPUBLISH: f64 = 6.0;

/// What to publish, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// App, `app` on Headwater and IVS.
    pub app: String,
    /// Stream key with its query.
    pub name: crate::StreamKey,
    /// The whole address without the key, such as `rtmp://127.0.0.1:1935/app`.
    pub tc_url: String,
    /// Chunk size that we announce, 1 to 2³¹ − 1.
    pub chunk_size: u32,
    /// FourCCs for Enhanced RTMP; none is plain RTMP.
    pub four_ccs: Vec<String>,
    /// Extensions of Enhanced RTMP v2; `None` is version 1 or plain RTMP.
    pub extensions: Option<Extensions>,
}

impl Options {
    /// Publishes `key` on the app `app` in chunks of 4,096 bytes.
    pub fn new(key: impl Into<String>) -> Self {
        Options {
            app: "app".to_owned(),
            name: crate::StreamKey::new(key),
            tc_url: "rtmp://localhost/app".to_owned(),
            chunk_size: 4096,
            four_ccs: Vec::new(),
            extensions: None,
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The server answered `connect`; its properties, for Enhanced RTMP.
    Connected(Object),
    /// Media may be sent.
    Publishing,
    /// A status with level `error`, or a failed call.
    Refused {
        /// Such as `NetStream.Publish.BadName`.
        code: String,
        /// The server's sentence.
        description: String,
    },
    /// The server confirmed the end.
    Unpublished,
}

/// The publish session as an encoder sees it.
///
/// Feed it with [`handle_input`](Client::handle_input), then drain [`poll_event`](Client::poll_event) and
/// [`poll_transmit`](Client::poll_transmit). It begins by itself; from [`Event::Publishing`] on, send media.
#[derive(Debug)]
pub struct Client {
    options: Options,
    handshake: Option<ClientHandshake>,
    reader: Reader,
    writer: Writer,
    out: BytesMut,
    events: VecDeque<Event>,
    message_stream: MessageStreamId,
}

impl Client {
    /// A session at its start: the first transmission is the handshake's.
    ///
    /// # Errors
    /// The chunk size is out of bounds.
    pub fn new(seed: u64, options: Options) -> Result<Self, Error> {
        let mut out = BytesMut::new();
        let handshake = ClientHandshake::start(seed, &mut out);
        // Checked now, applied when the server is told.
        Writer::new().set_chunk_size(options.chunk_size)?;
        let mut reader = Reader::new();
        reader.admit(Admission::Publisher);
        Ok(Client {
            options,
            handshake: Some(handshake),
            reader,
            writer: Writer::new(),
            out,
            events: VecDeque::new(),
            message_stream: MessageStreamId(0),
        })
    }

    /// Takes what the server sent.
    ///
    /// # Errors
    /// The server broke the protocol.
    pub fn handle_input(&mut self, mut input: &[u8]) -> Result<(), Error> {
        if let Some(handshake) = &mut self.handshake {
            match handshake.read(&mut input, &mut self.out)? {
                Progress::Pending => return Ok(()),
                Progress::Done => {
                    self.handshake = None;
                    self.connect()?;
                }
            }
        }
        while let Some(message) = self.reader.read(&mut input)? {
            match message.kind {
                Kind::Command => self.handle_command(&message.body)?,
                _ => match control::take(&message, &mut self.reader)? {
                    Asked::Answer(answer) => answer.write(&mut self.writer, &mut self.out)?,
                    // Whoever publishes receives too little to acknowledge.
                    Asked::Window(_) | Asked::Nothing => {}
                },
            }
        }
        Ok(())
    }

    /// What happened, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Bytes for the server.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        if self.out.is_empty() { None } else { Some(self.out.split().freeze()) }
    }

    /// Queues `onMetaData`.
    ///
    /// # Errors
    /// It is longer than a message can be.
    pub fn send_metadata(&mut self, metadata: Object) -> Result<(), Error> {
        let values = [Value::from("@setDataFrame"), Value::from("onMetaData"), Value::EcmaArray(metadata)];
        self.send_values(ChunkStreamId::STREAM, self.message_stream, Kind::Data, &values)
    }

    /// Queues the body of an FLV video tag.
    ///
    /// # Errors
    /// It is longer than a message can be.
    pub fn send_video(&mut self, timestamp_ms: u32, body: Bytes) -> Result<(), Error> {
        self.send(ChunkStreamId::VIDEO, self.message_stream, Kind::Video, timestamp_ms, body)
    }

    /// Queues the body of an FLV audio tag.
    ///
    /// # Errors
    /// It is longer than a message can be.
    pub fn send_audio(&mut self, timestamp_ms: u32, body: Bytes) -> Result<(), Error> {
        self.send(ChunkStreamId::AUDIO, self.message_stream, Kind::Audio, timestamp_ms, body)
    }

    /// Queues the clean end: FCUnpublish and deleteStream.
    ///
    /// # Errors
    /// The key is longer than a message can be.
    pub fn finish(&mut self) -> Result<(), Error> {
        let key = Value::from(self.options.name.expose());
        self.call("FCUnpublish", FC_UNPUBLISH, &[Value::Null, key])?;
        let stream = Value::Number(f64::from(self.message_stream.0));
        self.call("deleteStream", 0.0, &[Value::Null, stream])
    }

    fn connect(&mut self) -> Result<(), Error> {
        Control::ChunkSize(self.options.chunk_size).write(&mut self.writer, &mut self.out)?;
        let mut properties = Object::new()
            .with("app", self.options.app.as_str())
            .with("type", "nonprivate")
            .with("flashVer", "FMLE/3.0 (compatible; headwater)")
            .with("tcUrl", self.options.tc_url.as_str());
        if !self.options.four_ccs.is_empty() {
            let list = self.options.four_ccs.iter().map(|four_cc| Value::from(four_cc.as_str())).collect();
            properties = properties.with("fourCcList", Value::StrictArray(list));
        }
        if let Some(extensions) = self.options.extensions {
            properties = properties.with("capsEx", f64::from(extensions.0));
        }
        self.call("connect", CONNECT, &[Value::Object(properties)])
    }

    fn handle_command(&mut self, body: &[u8]) -> Result<(), Error> {
        let values = amf0::decode_all(body)?;
        let name = values.first().and_then(Value::as_str).unwrap_or_default();
        let transaction = values.get(1).and_then(Value::as_number).unwrap_or(0.0);
        let key = || Value::from(self.options.name.expose());
        if name == "_result" && transaction == CONNECT {
            let properties = values.get(2).and_then(Value::as_object).cloned().unwrap_or_default();
            self.events.push_back(Event::Connected(properties));
            let key = key();
            self.call("releaseStream", RELEASE_STREAM, &[Value::Null, key.clone()])?;
            self.call("FCPublish", FC_PUBLISH, &[Value::Null, key])?;
            return self.call("createStream", CREATE_STREAM, &[Value::Null]);
        }
        if name == "_result" && transaction == CREATE_STREAM {
            // Saturates for numbers that are no id; the server then ignores what we send there.
            self.message_stream = MessageStreamId(values.get(3).and_then(Value::as_number).unwrap_or(0.0) as u32);
            let values = [Value::from("publish"), Value::Number(PUBLISH), Value::Null, key(), Value::from("live")];
            return self.send_values(ChunkStreamId::STREAM, self.message_stream, Kind::Command, &values);
        }
        if name != "onStatus" && name != "_error" {
            return Ok(());
        }
        let information = values.get(3).and_then(Value::as_object);
        let text = |name: &str| {
            information.and_then(|object| object.get(name)).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let event = match (text("level").as_str(), text("code").as_str()) {
            ("status", "NetStream.Publish.Start") => Event::Publishing,
            ("status", "NetStream.Unpublish.Success") => Event::Unpublished,
            ("status", _) => return Ok(()),
            (_, code) => Event::Refused { code: code.to_owned(), description: text("description") },
        };
        self.events.push_back(event);
        Ok(())
    }

    fn call(&mut self, name: &str, transaction: f64, arguments: &[Value]) -> Result<(), Error> {
        let values: Vec<_> =
            [Value::from(name), Value::Number(transaction)].into_iter().chain(arguments.iter().cloned()).collect();
        self.send_values(ChunkStreamId::COMMAND, MessageStreamId(0), Kind::Command, &values)
    }

    fn send_values(
        &mut self,
        id: ChunkStreamId,
        message_stream: MessageStreamId,
        kind: Kind,
        values: &[Value],
    ) -> Result<(), Error> {
        let mut body = BytesMut::new();
        amf0::encode_all(values, &mut body);
        self.send(id, message_stream, kind, 0, body.freeze())
    }

    fn send(
        &mut self,
        id: ChunkStreamId,
        message_stream: MessageStreamId,
        kind: Kind,
        timestamp_ms: u32,
        body: Bytes,
    ) -> Result<(), Error> {
        let message = Message { timestamp_ms, kind, message_stream, body };
        Ok(self.writer.write(id, &message, &mut self.out)?)
    }
}

/// Why a session failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The handshake.
    #[error("the handshake failed")]
    Handshake(#[from] handshake::Error),
    /// The chunk stream, ours or the server's.
    #[error("the chunk stream is broken")]
    Chunk(#[from] chunk::Error),
    /// A command or its arguments.
    #[error("a command cannot be read")]
    Amf(#[from] amf0::Error),
}
