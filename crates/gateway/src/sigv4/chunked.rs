//! Bodies that are signed in pieces: `aws-chunked`, with or without a trailer.
//!
//! | source | "Signature calculations for the Authorization header: transferring payload in multiple chunks", "… with trailing headers" |
//! |---|---|
//! | chunk | `HEX-SIZE[;chunk-signature=SIGNATURE]\r\n`, bytes, `\r\n`; the last one is empty |
//! | trailer | `name:value\r\n` each, then `x-amz-trailer-signature:SIGNATURE\r\n` if signed, then an empty line |
//! | chain | each signature is over the one before, the first over that of the request's head |

use super::keys::SigningKey;
use super::{Presented, Scope, SignatureError, sha256_hex};
use bytes::Bytes;
use http::HeaderMap;
use subtle::ConstantTimeEq;

/// Chunks of a body. Signers send them with 64 KiB or more; this many fit the largest body that is taken at 1 KiB.
const CHUNKS_MAX: usize = 1 << 17;
/// Characters of a chunk's first line: a size, and a signature of 64.
const LINE_LENGTH_MAX: usize = 256;
/// Trailing headers; signers send a checksum.
const TRAILERS_MAX: usize = 16;
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// How the pieces of a body are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunks {
    /// Each chunk.
    Signed,
    /// Each chunk, and the trailer.
    SignedWithTrailer,
    /// The head alone; a trailer holds a checksum.
    UnsignedWithTrailer,
}

impl Chunks {
    /// What a value of `x-amz-content-sha256` says of the body's pieces.
    pub(super) fn stated(value: &[u8]) -> Option<Chunks> {
        match value {
            b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Some(Chunks::Signed),
            b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => Some(Chunks::SignedWithTrailer),
            b"STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Some(Chunks::UnsignedWithTrailer),
            _ => None,
        }
    }
}

/// The payload that a body carries, its signatures verified against the chain that begins with the head's.
pub(crate) fn payload(
    chunks: Chunks,
    headers: &HeaderMap,
    body: &[u8],
    presented: &Presented,
    key: SigningKey,
) -> Result<Bytes, SignatureError> {
    let mut chain = Chain { presented, key, newest: presented.signature.clone() };
    let mut rest = Rest(body);
    let mut payload = Vec::with_capacity(body.len());
    for _ in 0..CHUNKS_MAX {
        let (size, signature) = head(rest.line()?)?;
        let data = rest.take(size)?;
        if chunks != Chunks::UnsignedWithTrailer {
            chain.check_chunk(data, signature.ok_or_else(|| malformed("a chunk has no signature"))?)?;
        }
        payload.extend_from_slice(data);
        if size == 0 {
            finish(chunks, &mut rest, &mut chain)?;
            check_length(headers, payload.len())?;
            return Ok(payload.into());
        }
        if rest.take(2)? != b"\r\n" {
            return Err(malformed("a chunk is longer than it says"));
        }
    }
    Err(malformed("there are too many chunks"))
}

/// A chunk's size and signature.
fn head(line: &str) -> Result<(usize, Option<&str>), SignatureError> {
    let (size, extension) = line.split_once(';').map_or((line, None), |(size, extension)| (size, Some(extension)));
    let is_hex = !size.is_empty() && size.len() <= 8 && size.bytes().all(|byte| byte.is_ascii_hexdigit());
    let size =
        usize::from_str_radix(size, 16).ok().filter(|_| is_hex).ok_or_else(|| malformed("a chunk has no size"))?;
    Ok((size, extension.and_then(|extension| extension.strip_prefix("chunk-signature="))))
}

/// What follows the last chunk.
fn finish(chunks: Chunks, rest: &mut Rest<'_>, chain: &mut Chain<'_>) -> Result<(), SignatureError> {
    if chunks == Chunks::Signed {
        return if rest.line()?.is_empty() { rest.end() } else { Err(malformed("something follows the last chunk")) };
    }
    let mut trailers = String::new();
    for _ in 0..=TRAILERS_MAX {
        let line = rest.line()?;
        if line.is_empty() {
            // A signed trailer ends with its signature, so there was none.
            return if chunks == Chunks::UnsignedWithTrailer { rest.end() } else { Err(SignatureError::Mismatch) };
        }
        let (name, value) = line.split_once(':').ok_or_else(|| malformed("a trailer has no value"))?;
        let name = name.to_ascii_lowercase();
        if name == "x-amz-trailer-signature" {
            chain.check_trailer(&trailers, value.trim())?;
            return if rest.0.is_empty() || rest.line()?.is_empty() {
                rest.end()
            } else {
                Err(malformed("something follows the trailer"))
            };
        }
        trailers.push_str(&format!("{name}:{}\n", value.trim()));
    }
    Err(malformed("there are too many trailers"))
}

fn check_length(headers: &HeaderMap, length: usize) -> Result<(), SignatureError> {
    let Some(stated) = headers.get("x-amz-decoded-content-length") else { return Ok(()) };
    let stated = stated.to_str().ok().and_then(|text| text.parse::<usize>().ok());
    if stated == Some(length) {
        Ok(())
    } else {
        Err(malformed("x-amz-decoded-content-length is not the body's length"))
    }
}

fn malformed(reason: &str) -> SignatureError {
    SignatureError::incomplete(format!("The aws-chunked body cannot be read: {reason}."))
}

/// Each signature is over the one before.
struct Chain<'a> {
    presented: &'a Presented,
    key: SigningKey,
    newest: String,
}

impl Chain<'_> {
    fn check_chunk(&mut self, data: &[u8], shown: &str) -> Result<(), SignatureError> {
        let facts = format!("{EMPTY}\n{}", sha256_hex(data));
        self.check("AWS4-HMAC-SHA256-PAYLOAD", &facts, shown)
    }

    fn check_trailer(&mut self, trailers: &str, shown: &str) -> Result<(), SignatureError> {
        self.check("AWS4-HMAC-SHA256-TRAILER", &sha256_hex(trailers.as_bytes()), shown)
    }

    fn check(&mut self, algorithm: &str, facts: &str, shown: &str) -> Result<(), SignatureError> {
        let Presented { date, region, service, amz_date, .. } = self.presented;
        let scope = Scope { date, region, service };
        let expected = self.key.sign(&format!("{algorithm}\n{amz_date}\n{scope}\n{}\n{facts}", self.newest));
        if !bool::from(expected.as_bytes().ct_eq(shown.as_bytes())) {
            return Err(SignatureError::Mismatch);
        }
        self.newest = expected;
        Ok(())
    }
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// The next line without its end.
    fn line(&mut self) -> Result<&'a str, SignatureError> {
        let end = self.0.iter().take(LINE_LENGTH_MAX + 2).position(|byte| *byte == b'\n');
        let (line, rest) = end.map(|end| self.0.split_at(end + 1)).ok_or_else(|| malformed("a line has no end"))?;
        self.0 = rest;
        let line = std::str::from_utf8(line).map_err(|_| malformed("a line is not text"))?;
        Ok(line.trim_end_matches(['\r', '\n']))
    }

    fn take(&mut self, size: usize) -> Result<&'a [u8], SignatureError> {
        let (data, rest) = self.0.split_at_checked(size).ok_or_else(|| malformed("it ends within a chunk"))?;
        self.0 = rest;
        Ok(data)
    }

    fn end(&self) -> Result<(), SignatureError> {
        if self.0.is_empty() { Ok(()) } else { Err(malformed("something follows its end")) }
    }
}
