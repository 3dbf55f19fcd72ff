//! How an input holds several of RTMP's media messages.

use bytes::Bytes;

/// A message of RTMP's media, as an input holds it: a byte of kind (even is video), two bytes of milliseconds since the one before (big
/// endian, signed), two bytes of length, the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Video, else audio.
    pub is_video: bool,
    /// Milliseconds since the message before.
    pub step_ms: i16,
    /// An FLV body.
    pub body: Bytes,
}

/// Reads messages until the input is at its end; a body that is cut short is taken as it is.
pub fn read(mut input: &[u8]) -> Vec<Message> {
    let mut messages = Vec::new();
    while let Some((&[kind, high, low, length_high, length_low], rest)) = input.split_first_chunk::<5>() {
        let length = usize::from(u16::from_be_bytes([length_high, length_low])).min(rest.len());
        let (body, rest) = rest.split_at(length);
        let step_ms = i16::from_be_bytes([high, low]);
        messages.push(Message { is_video: kind % 2 == 0, step_ms, body: Bytes::copy_from_slice(body) });
        input = rest;
    }
    messages
}

/// Writes a message; bodies longer than 64 KiB are cut.
pub fn write(message: &Message, out: &mut Vec<u8>) {
    let body = &message.body[..message.body.len().min(usize::from(u16::MAX))];
    out.push(u8::from(!message.is_video));
    out.extend(message.step_ms.to_be_bytes());
    out.extend(u16::try_from(body.len()).expect("cut above").to_be_bytes());
    out.extend(body);
}
