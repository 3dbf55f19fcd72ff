//! The canonical request: the one text that both sides hash.

use http::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::borrow::Cow;

/// Everything but the unreserved characters of RFC 3986 section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same for whole paths, whose slashes stay.
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// What is requested, as it goes over the wire.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// HTTP method in capitals.
    pub method: &'a str,
    /// Path as sent, percent-encoded.
    pub path: &'a str,
    /// Query as sent, without the question mark; empty if there is none.
    pub query: &'a str,
    /// Headers as sent.
    pub headers: &'a HeaderMap,
    /// Value of the `Host` header or of HTTP/2's `:authority`.
    pub host: &'a str,
}

/// The canonical request. `signed_headers` are lowercase names in ascending order; one that the request lacks makes
/// `None`.
pub(super) fn request(
    target: Target<'_>,
    service: &str,
    signed_headers: &[&str],
    payload_hash: &str,
    leave_out: Option<&str>,
) -> Option<String> {
    let mut text = String::with_capacity(512);
    text.push_str(target.method);
    text.push('\n');
    text.push_str(&path(target.path, service));
    text.push('\n');
    text.push_str(&query(target.query, leave_out));
    text.push('\n');
    for name in signed_headers {
        text.push_str(name);
        text.push(':');
        text.push_str(&header(target, name)?);
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&signed_headers.join(";"));
    text.push('\n');
    text.push_str(payload_hash);
    Some(text)
}

/// S3's paths are object keys: kept as they are, encoded once. All others lose dot segments and doubled slashes and
/// are encoded once more than they were sent.
fn path<'a>(sent: &'a str, service: &str) -> Cow<'a, str> {
    let sent = if sent.is_empty() { "/" } else { sent };
    if service == "s3" {
        let decoded = percent_decode_str(sent).collect::<Vec<u8>>();
        return Cow::Owned(percent_encoding::percent_encode(&decoded, RESERVED_IN_PATH).to_string());
    }
    Cow::Owned(utf8_percent_encode(&without_dot_segments(sent), RESERVED_IN_PATH).to_string())
}

/// RFC 3986 section 5.2.4 "Remove Dot Segments", and doubled slashes become one.
fn without_dot_segments(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    let mut normal = format!("/{}", segments.join("/"));
    if ["/", "/.", "/.."].iter().any(|end| path.ends_with(end)) && normal.len() > 1 {
        normal.push('/');
    }
    normal
}

/// Names and values encoded once, in ascending order of the encoded name, then value; a name without a value gets an
/// empty one.
fn query(sent: &str, leave_out: Option<&str>) -> String {
    let mut pairs: Vec<(String, String)> = sent
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (recoded(name), recoded(value)))
        .filter(|(name, _)| Some(name.as_str()) != leave_out)
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// However a client encoded it, the canonical form encodes everything but unreserved characters. A plus sign in a
/// query stands for a space.
fn recoded(sent: &str) -> String {
    let spaces = sent.replace('+', "%20");
    let decoded = percent_decode_str(&spaces).collect::<Vec<u8>>();
    percent_encoding::percent_encode(&decoded, RESERVED).to_string()
}

/// All values of a header in the order sent, each trimmed and with runs of spaces made one, joined by commas.
fn header(target: Target<'_>, name: &str) -> Option<String> {
    if name == "host" {
        return Some(target.host.to_string());
    }
    let mut values = target.headers.get_all(name).iter().peekable();
    values.peek()?;
    let mut joined = String::new();
    for (index, value) in values.enumerate() {
        if index > 0 {
            joined.push(',');
        }
        // Bytes outside of ASCII are signed as UTF-8.
        let text = String::from_utf8_lossy(value.as_bytes());
        let words: Vec<&str> = text.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
        joined.push_str(&words.join(" "));
    }
    Some(joined)
}

/// A text as it stands in a query.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}
