//! Commands of a publish session and their answers. Source: RTMP 1.0, "RTMP Command Messages"; Enhanced RTMP v2,
//! "Enhancing NetConnection connect Command"; for `releaseStream`, `FCPublish` and `_checkbw`, which no specification
//! describes, what encoders wait for.

use super::{Connect, Deadline, Error, Event, Extensions, Phase, Server, Status};
use crate::amf0::{self, Object, Value};
use crate::chunk::ChunkStreamId;
use crate::control::Control;
use crate::limits::{ENCODER_NAME_CHARS_MAX, FOUR_CCS_MAX, MESSAGE_STREAMS_MAX};
use crate::message::{Kind, MessageStreamId};
use crate::name::PublishName;
use bytes::BytesMut;
use std::time::Instant;

/// "CanForward" of FourCcInfoMask: we pass the codec on as it is.
const CAN_FORWARD: f64 = 4.0;

impl Server {
    pub(super) fn handle_command(
        &mut self,
        now: Instant,
        message_stream: MessageStreamId,
        body: &[u8],
    ) -> Result<(), Error> {
        let values = amf0::decode_all(body)?;
        let Some(name) = values.first().and_then(Value::as_str) else {
            return Ok(());
        };
        let transaction = values.get(1).and_then(Value::as_number).unwrap_or(0.0);
        let argument = values.get(3);
        match name {
            "connect" => self.connect(transaction, values.get(2).and_then(Value::as_object))?,
            "createStream" => self.create_stream(transaction)?,
            "releaseStream" | "_checkbw" => self.result(transaction, &[Value::Null, Value::Undefined]),
            "FCPublish" => {
                self.announced = true;
                self.result(transaction, &[Value::Null, Value::Undefined]);
            }
            "publish" => self.publish(message_stream, argument.and_then(Value::as_str).unwrap_or_default())?,
            "FCUnpublish" => {
                self.end_publish(now);
                self.announcement("onFCUnpublish", Status::UnpublishSuccess);
                self.result(transaction, &[Value::Null, Value::Undefined]);
            }
            "deleteStream" | "closeStream" => self.end_publish(now),
            // A call that we do not know gets an answer if it waits for one; answers of the peer's own do not.
            "_result" | "_error" | "onStatus" => {}
            _ if transaction != 0.0 => self.error(transaction, "unknown method"),
            _ => {}
        }
        Ok(())
    }

    fn connect(&mut self, transaction: f64, properties: Option<&Object>) -> Result<(), Error> {
        if self.app.is_some() {
            return Err(Error::Command { command: "connect" });
        }
        let property = |name: &str| properties.and_then(|properties| properties.get(name));
        self.app = Some(property("app").and_then(Value::as_str).unwrap_or_default().to_owned());
        let connect = Connect {
            encoder: printable(property("flashVer").and_then(Value::as_str).unwrap_or_default()),
            four_ccs: four_ccs(properties),
            extensions: extensions(properties),
        };
        self.announce_windows();
        self.control(Control::StreamBegin(MessageStreamId(0)));
        let mut server = Object::new().with("fmsVer", "FMS/3,0,1,123").with("capabilities", 31.0).with("mode", 1.0);
        if connect.extensions.is_some() {
            server = self.extensions_into(self.codecs_into(server));
        } else if !connect.four_ccs.is_empty() {
            server = self.codecs_into(server);
        }
        let information = Object::new()
            .with("level", "status")
            .with("code", "NetConnection.Connect.Success")
            .with("description", "connected")
            .with("objectEncoding", 0.0);
        self.result(transaction, &[Value::Object(server), Value::Object(information)]);
        self.events.push_back(Event::Connected(connect));
        Ok(())
    }

    /// The codecs in the words of version 1, which version 2 kept.
    fn codecs_into(&self, server: Object) -> Object {
        let (video, audio) = (&self.capabilities.video, &self.capabilities.audio);
        let list = video.iter().chain(audio).map(|four_cc| Value::from(*four_cc)).collect();
        server.with("fourCcList", Value::StrictArray(list))
    }

    /// What version 2 added.
    fn extensions_into(&self, server: Object) -> Object {
        let map = |four_ccs: &[&str]| {
            Value::Object(four_ccs.iter().fold(Object::new(), |map, four_cc| map.with(four_cc, CAN_FORWARD)))
        };
        server
            .with("videoFourCcInfoMap", map(&self.capabilities.video))
            .with("audioFourCcInfoMap", map(&self.capabilities.audio))
            .with("capsEx", f64::from(self.capabilities.extensions.0))
    }

    fn create_stream(&mut self, transaction: f64) -> Result<(), Error> {
        if self.app.is_none() || self.message_streams == MESSAGE_STREAMS_MAX {
            return Err(Error::Command { command: "createStream" });
        }
        self.message_streams += 1;
        self.result(transaction, &[Value::Null, Value::Number(f64::from(self.message_streams))]);
        Ok(())
    }

    fn publish(&mut self, message_stream: MessageStreamId, name: &str) -> Result<(), Error> {
        let (Phase::Open, Some(app)) = (&self.phase, &self.app) else {
            return Err(Error::Command { command: "publish" });
        };
        let request = PublishName::parse(app, name)?;
        self.phase = Phase::Requested(message_stream);
        self.timers.stop(Deadline::Publish);
        self.events.push_back(Event::PublishRequested(request));
        Ok(())
    }

    fn end_publish(&mut self, now: Instant) {
        let message_stream = match self.phase {
            Phase::Publishing(message_stream) | Phase::Requested(message_stream) => message_stream,
            Phase::Handshake(_) | Phase::Open | Phase::Closed => return,
        };
        self.phase = Phase::Open;
        self.timers.stop(Deadline::Media);
        self.timers.set(Deadline::Publish, now + self.deadlines.publish);
        self.status(message_stream, Status::UnpublishSuccess, "ended");
        self.events.push_back(Event::PublishEnded);
    }

    pub(super) fn status(&mut self, message_stream: MessageStreamId, status: Status, description: &str) {
        let information = Object::new()
            .with("level", status.level())
            .with("code", status.code())
            .with("description", description)
            .with("clientid", "headwater");
        let values = [Value::from("onStatus"), Value::Number(0.0), Value::Null, Value::Object(information)];
        self.send_command(ChunkStreamId::STREAM, message_stream, &values);
    }

    /// `onFCPublish` and `onFCUnpublish`: FMLE and its heirs wait for them.
    pub(super) fn announcement(&mut self, name: &str, status: Status) {
        let information = Object::new().with("code", status.code()).with("description", "");
        let values = [Value::from(name), Value::Number(0.0), Value::Null, Value::Object(information)];
        self.send_command(ChunkStreamId::COMMAND, MessageStreamId(0), &values);
    }

    fn result(&mut self, transaction: f64, answer: &[Value]) {
        let values: Vec<_> =
            [Value::from("_result"), Value::Number(transaction)].into_iter().chain(answer.iter().cloned()).collect();
        self.send_command(ChunkStreamId::COMMAND, MessageStreamId(0), &values);
    }

    fn error(&mut self, transaction: f64, description: &str) {
        let information = Object::new()
            .with("level", "error")
            .with("code", "NetConnection.Call.Failed")
            .with("description", description);
        let values = [Value::from("_error"), Value::Number(transaction), Value::Null, Value::Object(information)];
        self.send_command(ChunkStreamId::COMMAND, MessageStreamId(0), &values);
    }

    fn send_command(&mut self, id: ChunkStreamId, message_stream: MessageStreamId, values: &[Value]) {
        let mut body = BytesMut::new();
        amf0::encode_all(values, &mut body);
        self.send(id, message_stream, Kind::Command, body.freeze());
    }
}

/// `capsEx`, or none of it if there are only the maps of version 2.
fn extensions(properties: Option<&Object>) -> Option<Extensions> {
    let property = |name: &str| properties.and_then(|properties| properties.get(name));
    let told = property("capsEx").and_then(Value::as_number);
    // Saturates for numbers that are no mask.
    let mapped = ["videoFourCcInfoMap", "audioFourCcInfoMap"].into_iter().any(|name| property(name).is_some());
    told.map(|mask| Extensions(mask as u32)).or_else(|| mapped.then(Extensions::default))
}

/// The FourCCs that an encoder names, by the list of version 1 or the maps of version 2.
fn four_ccs(properties: Option<&Object>) -> Vec<String> {
    let property = |name: &str| properties.and_then(|properties| properties.get(name));
    let listed = match property("fourCcList") {
        Some(Value::StrictArray(values)) => values.as_slice(),
        _ => &[],
    };
    let mapped = ["videoFourCcInfoMap", "audioFourCcInfoMap"]
        .into_iter()
        .filter_map(|name| property(name).and_then(Value::as_object))
        .flat_map(|map| map.iter().map(|(name, _)| name));
    listed.iter().filter_map(Value::as_str).chain(mapped).take(FOUR_CCS_MAX).map(printable).collect()
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(ENCODER_NAME_CHARS_MAX).collect()
}
