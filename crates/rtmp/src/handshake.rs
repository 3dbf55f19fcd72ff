//! C0 to S2, both sides. Source: RTMP 1.0, "Handshake".
//!
//! Only the simple form is spoken. A client that starts the digest form (a non-zero version in C1) sees the zero version
//! in S1 and goes on with the simple form.

use bytes::{BufMut, BytesMut};

/// Bytes of C1, C2, S1 and S2.
pub const PACKET_BYTES: usize = 1536;
const VERSION: u8 = 3;

/// The server's side of one handshake. Keeps at most one packet.
#[derive(Debug)]
pub struct ServerHandshake {
    received: Vec<u8>,
    step: ServerStep,
    seed: u64,
}

#[derive(Debug)]
enum ServerStep {
    Hello,
    Echo,
}

/// Whether a handshake has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Progress {
    /// All input was used and more is needed.
    Pending,
    /// Done. What is left of the input belongs to the chunk stream.
    Done,
}

impl ServerHandshake {
    /// `seed` makes the bytes of S1; they need not be secret, only different from one connection to the next.
    pub fn new(seed: u64) -> Self {
        ServerHandshake { received: Vec::new(), step: ServerStep::Hello, seed }
    }

    /// Takes bytes from the front of `input`, appends replies to `out`.
    ///
    /// # Errors
    /// The first byte is not RTMP's version.
    pub fn read(&mut self, input: &mut &[u8], out: &mut BytesMut) -> Result<Progress, Error> {
        loop {
            let wanted = match self.step {
                ServerStep::Hello => 1 + PACKET_BYTES,
                ServerStep::Echo => PACKET_BYTES,
            };
            let taken = input.len().min(wanted - self.received.len());
            self.received.extend_from_slice(&input[..taken]);
            *input = &input[taken..];
            if let (ServerStep::Hello, Some(&version)) = (&self.step, self.received.first())
                && version != VERSION
            {
                return Err(Error::Version { version });
            }
            if self.received.len() < wanted {
                return Ok(Progress::Pending);
            }
            match self.step {
                ServerStep::Hello => {
                    out.put_u8(VERSION);
                    put_packet(self.seed, out);
                    out.put_slice(&self.received[1..]);
                    self.received.clear();
                    self.step = ServerStep::Echo;
                }
                // C2 should repeat S1. Encoders in use send other things, and nothing depends on it.
                ServerStep::Echo => return Ok(Progress::Done),
            }
        }
    }
}

/// The client's side of one handshake.
#[derive(Debug)]
pub struct ClientHandshake {
    received: Vec<u8>,
}

impl ClientHandshake {
    /// Begins: C0 and C1 are appended to `out`.
    pub fn start(seed: u64, out: &mut BytesMut) -> Self {
        out.put_u8(VERSION);
        put_packet(seed, out);
        ClientHandshake { received: Vec::new() }
    }

    /// Takes bytes from the front of `input`, appends C2 to `out` at the end.
    ///
    /// # Errors
    /// The first byte is not RTMP's version.
    pub fn read(&mut self, input: &mut &[u8], out: &mut BytesMut) -> Result<Progress, Error> {
        let wanted = 1 + 2 * PACKET_BYTES;
        let taken = input.len().min(wanted - self.received.len());
        self.received.extend_from_slice(&input[..taken]);
        *input = &input[taken..];
        match self.received.first() {
            Some(&version) if version != VERSION => Err(Error::Version { version }),
            _ if self.received.len() < wanted => Ok(Progress::Pending),
            _ => {
                out.put_slice(&self.received[1..=PACKET_BYTES]);
                Ok(Progress::Done)
            }
        }
    }
}

/// Time zero, version zero (the simple form), then bytes that differ by seed (xorshift).
fn put_packet(seed: u64, out: &mut BytesMut) {
    out.put_u64(0);
    let mut state = seed | 1;
    for _ in 0..(PACKET_BYTES - 8) / 8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.put_u64(state);
    }
}

/// Why a handshake ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not RTMP, or its encrypted form.
    #[error("the peer speaks version {version}, not RTMP version 3")]
    Version {
        /// The first byte.
        version: u8,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_finish_byte_by_byte_and_leave_what_follows() {
        let (mut to_server, mut to_client) = (BytesMut::new(), BytesMut::new());
        let mut client = ClientHandshake::start(7, &mut to_server);
        let mut server = ServerHandshake::new(9);
        assert_eq!(to_server.len(), 1 + PACKET_BYTES);
        for byte in to_server.split() {
            assert_eq!(server.read(&mut &[byte][..], &mut to_client), Ok(Progress::Pending));
        }
        assert_eq!(to_client.len(), 1 + 2 * PACKET_BYTES);
        let sent = to_client.split();
        assert_eq!(client.read(&mut &sent[..], &mut to_server), Ok(Progress::Done));
        assert_eq!(to_server[..], sent[1..=PACKET_BYTES], "C2 repeats S1");
        to_server.extend_from_slice(b"next");
        let sent = to_server.split();
        let mut input = &sent[..];
        assert_eq!(server.read(&mut input, &mut to_client), Ok(Progress::Done));
        assert_eq!(input, b"next");
    }

    #[test]
    fn a_first_byte_of_another_protocol_is_refused_at_once() {
        for version in [0u8, 6, b'G', 0x16] {
            let outcome = ServerHandshake::new(1).read(&mut &[version][..], &mut BytesMut::new());
            assert_eq!(outcome, Err(Error::Version { version }));
        }
    }

    #[test]
    fn a_digest_client_is_answered_in_the_simple_form() {
        let mut hello = vec![VERSION];
        hello.extend_from_slice(&[0, 0, 0, 0, 9, 0, 124, 2]);
        hello.resize(1 + PACKET_BYTES, 0x5A);
        let mut out = BytesMut::new();
        let progress = ServerHandshake::new(1).read(&mut &hello[..], &mut out);
        assert_eq!(progress, Ok(Progress::Pending));
        assert_eq!(out[5..9], [0, 0, 0, 0], "S1 has no version: the client falls back");
        assert_eq!(out[1 + PACKET_BYTES..], hello[1..], "S2 repeats C1");
    }
}
