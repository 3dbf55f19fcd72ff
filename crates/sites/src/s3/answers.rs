//! What `s3s` answers, mended: an error without a sentence gets one, XML holds only characters that it can, and the head
//! of a part is a 206.
//!
//! Deliberate difference: S3 writes a reference such as `&#x1;` for a key's character that XML 1.0 has no place for, and
//! no parser takes it. Such a character is U+FFFD here; `encoding-type=url` lists it as it is.

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};

const XML: HeaderValue = HeaderValue::from_static("application/xml");

/// Mends an answer. Bytes of objects are streams, and pass: only what `s3s` holds in memory is looked at.
pub(super) fn mend(mut response: Response<s3s::Body>) -> Response<Body> {
    // `s3s` does so for GetObject, and leaves HeadObject at 200.
    if response.status() == StatusCode::OK && response.headers().contains_key(CONTENT_RANGE) {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    let failed = response.status().is_client_error() || response.status().is_server_error();
    let xml = failed || response.headers().get(CONTENT_TYPE).is_some_and(|value| value == XML);
    let text = if xml { response.body().bytes() } else { None };
    let Some(text) = text.as_deref().and_then(|text| std::str::from_utf8(text).ok()).filter(|text| !text.is_empty())
    else {
        return response.map(Body::new);
    };
    let mut text = representable(text);
    if failed && let Some(whole) = with_message(&text) {
        text = whole;
    }
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.entry(CONTENT_TYPE).or_insert(XML);
    Response::from_parts(parts, Body::from(Bytes::from(text)))
}

/// `s3s` could not make an answer.
#[derive(Debug, thiserror::Error)]
#[error("an answer of the protocol")]
pub(super) struct InternalFailure(#[source] pub(super) Box<dyn std::error::Error + Send + Sync>);

/// The answer to what could not even be refused.
pub(super) fn internal() -> Response<Body> {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>InternalError</Code><Message>{}</Message></Error>",
        sentence("InternalError"),
    );
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response.headers_mut().insert(CONTENT_TYPE, XML);
    response
}

/// Whether XML 1.0 can hold a character. Source: XML 1.0 "Characters".
pub(super) fn is_xml(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        other => other >= ' ',
    }
}

/// A document that a parser takes and that keeps its carriage returns, which a parser would read as line feeds.
fn representable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\r' => out.push_str("&#13;"),
            c if is_xml(c) => out.push(c),
            _ => out.push(char::REPLACEMENT_CHARACTER),
        }
    }
    out
}

/// An error with a sentence, if it has none.
fn with_message(text: &str) -> Option<String> {
    if text.contains("<Message>") {
        return None;
    }
    let (before, after) = text.split_once("</Code>")?;
    let (_, code) = before.split_once("<Code>")?;
    Some(format!("{before}</Code><Message>{}</Message>{after}", sentence(code)))
}

/// What to tell of an error that `s3s` makes without a word.
fn sentence(code: &str) -> String {
    let words = match code {
        "SignatureDoesNotMatch" => {
            "The request signature we calculated does not match the signature you provided. Check your secret access key \
             and signing method."
        }
        "InvalidBucketName" => {
            "The specified bucket is not valid: a name has 3 to 63 lowercase letters, digits, dots and hyphens, and \
             begins and ends with a letter or digit."
        }
        "KeyTooLongError" => "Your key is too long: at most 1024 bytes.",
        "InvalidURI" => "Couldn't parse the specified URI.",
        "MalformedXML" => "The XML you provided was not well-formed or did not validate against our published schema.",
        "MalformedPOSTRequest" => "The body of your POST request is not well-formed multipart/form-data.",
        "MissingContentLength" => "You must provide the Content-Length HTTP header.",
        "EntityTooLarge" => "Your proposed upload exceeds the maximum allowed size.",
        "MissingRequestBodyError" => "Request body is empty.",
        "InternalError" => "We encountered an internal error. Please try again.",
        "NotImplemented" => "A header or query you provided implies functionality that is not implemented.",
        other => return format!("The request was refused: {other}."),
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_xml_and_keeps_what_xml_can_hold(text in any::<String>()) {
            let written = representable(&text);
            prop_assert!(written.chars().all(|c| is_xml(c) && c != '\r'));
            if text.chars().all(is_xml) {
                prop_assert_eq!(written.replace("&#13;", "\r"), text.replace("&#13;", "\r"));
            }
        }
    }

    #[test]
    fn a_sentence_is_added_once() {
        let whole = with_message("<Error><Code>Odd</Code></Error>");
        assert_eq!(
            whole.as_deref(),
            Some("<Error><Code>Odd</Code><Message>The request was refused: Odd.</Message></Error>")
        );
        assert_eq!(whole.as_deref().and_then(with_message), None);
    }
}
