//! How an input holds several of RTMP's media messages, and what else happens to a stream.

use bytes::Bytes;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A message of video: an FLV body.
    Video,
    /// A message of audio: an FLV body.
    Audio,
    /// A cue with this payload.
    Cue,
    /// An ad break; the body's first byte is its length in seconds.
    Break,
    /// A command to the packager; the body's first byte says which.
    Command,
}

const ALL: [What; 5] = [What::Video, What::Audio, What::Cue, What::Break, What::Command];

/// What happens to a stream, as an input holds it: a byte of kind, two bytes of milliseconds since the one before (big endian, signed), two bytes
/// of length, the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What happens.
    pub what: What,
    /// Milliseconds since the message before.
    pub step_ms: i16,
    /// Its body.
    pub body: Bytes,
}

/// Reads messages until the input is at its end; a body that is cut short is taken as it is.
pub fn read(mut input: &[u8]) -> Vec<Message> {
    let mut messages = Vec::new();
    while let Some((&[kind, high, low, length_high, length_low], rest)) = input.split_first_chunk::<5>() {
        let length = usize::from(u16::from_be_bytes([length_high, length_low])).min(rest.len());
        let (body, rest) = rest.split_at(length);
        let step_ms = i16::from_be_bytes([high, low]);
        let what = ALL[usize::from(kind) % ALL.len()];
        messages.push(Message { what, step_ms, body: Bytes::copy_from_slice(body) });
        input = rest;
    }
    messages
}

/// Writes a message; bodies longer than 64 KiB are cut.
pub fn write(message: &Message, out: &mut Vec<u8>) {
    let body = &message.body[..message.body.len().min(usize::from(u16::MAX))];
    out.push(ALL.iter().position(|what| *what == message.what).map_or(0, |place| place as u8));
    out.extend(message.step_ms.to_be_bytes());
    out.extend(u16::try_from(body.len()).expect("cut above").to_be_bytes());
    out.extend(body);
}
