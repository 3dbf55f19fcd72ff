//! The tags of an FLV file, which encoders send over and over. Both benchmarks of the server use it.

use bytes::Bytes;

/// Sound or picture, as RTMP carries it.
#[derive(Clone)]
pub struct Tag {
    pub video: bool,
    pub timestamp_ms: u32,
    pub body: Bytes,
}

/// Audio and video tags of an FLV file (FLV 10.1, annex E).
pub fn read(bytes: &[u8]) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut at = 13;
    while at + 11 <= bytes.len() {
        let size = u32::from_be_bytes([0, bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize;
        let timestamp_ms = u32::from_be_bytes([bytes[at + 7], bytes[at + 4], bytes[at + 5], bytes[at + 6]]);
        if matches!(bytes[at], 8 | 9) {
            let body = Bytes::copy_from_slice(&bytes[at + 11..at + 11 + size]);
            tags.push(Tag { video: bytes[at] == 9, timestamp_ms, body });
        }
        at += 11 + size + 4;
    }
    tags
}
