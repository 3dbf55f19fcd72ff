//! Byte ranges and preconditions of requests, for the S3 face and the website face.
//!
//! Source: RFC 9110 "Range Requests" and "Conditional Requests".

use crate::Error;
use headwater_model::Timestamp;
use headwater_model::bucket::Object;
use std::ops::Range;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// `Sun, 06 Nov 1994 08:49:37 GMT`, the one form of HTTP dates that senders may use.
const HTTP_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// A time as HTTP headers write it.
pub fn http_date(at: Timestamp) -> String {
    at.to_datetime().format(HTTP_DATE).unwrap_or_default()
}

/// Seconds since the Unix epoch of an HTTP date.
pub fn parse_http_date(text: &str) -> Option<i64> {
    let parsed = time::PrimitiveDateTime::parse(text.trim(), HTTP_DATE).ok()?;
    Some(parsed.assume_utc().unix_timestamp())
}

/// One range of bytes, as a request's `Range` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// From a first byte to a last one, or to the end.
    From {
        /// Number of the first byte, from 0.
        first: u64,
        /// Number of the last byte.
        last: Option<u64>,
    },
    /// So many bytes at the end.
    Last(u64),
}

impl ByteRange {
    /// Reads `bytes=FIRST-LAST`, `bytes=FIRST-` or `bytes=-COUNT`. Several ranges, other units and nonsense are `None`:
    /// such a header is ignored.
    /// A number too large for us is past the end of every object, so it is the largest one.
    pub fn parse(header: &str) -> Option<ByteRange> {
        let (unit, range) = header.trim().split_once('=')?;
        // RFC 9110 "Range Units": their names have no case.
        let (first, last) = range.split_once('-').filter(|_| unit.eq_ignore_ascii_case("bytes"))?;
        let number = |text: &str| {
            let text = text.trim();
            // `parse` would take a sign.
            text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>().unwrap_or(u64::MAX))
        };
        match (first.trim().is_empty(), last.trim().is_empty()) {
            (true, true) => None,
            (true, false) => number(last).map(ByteRange::Last),
            (false, true) => number(first).map(|first| ByteRange::From { first, last: None }),
            (false, false) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(ByteRange::From { first, last: Some(last) })
            }
        }
    }

    /// The bytes of an object of `size` bytes that it means.
    ///
    /// # Errors
    /// [`Error::InvalidRange`] if there are none.
    pub fn within(self, size: u64) -> Result<Range<u64>, Error> {
        let range = match self {
            ByteRange::From { first, last } => first..last.map_or(size, |last| last.saturating_add(1).min(size)),
            ByteRange::Last(count) => size.saturating_sub(count)..size,
        };
        if range.start < range.end { Ok(range) } else { Err(Error::InvalidRange { size }) }
    }
}

/// What a request wants to be so of the object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// `If-Match`: list of entity tags, or `*`.
    pub if_match: Option<String>,
    /// `If-None-Match`.
    pub if_none_match: Option<String>,
    /// `If-Modified-Since`, in seconds since the Unix epoch.
    pub if_modified_since: Option<i64>,
    /// `If-Unmodified-Since`, in seconds since the Unix epoch.
    pub if_unmodified_since: Option<i64>,
}

/// What becomes of a conditional request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// It takes place.
    Proceed,
    /// The reader has the object already.
    NotModified,
    /// What it wants is not so.
    Failed,
}

impl Conditions {
    /// Judges a read. RFC 9110 "Precedence of Preconditions": entity tags go before dates.
    pub fn judge(&self, object: &Object) -> Outcome {
        let modified = object.last_modified.0.div_euclid(1000);
        if let Some(tags) = &self.if_match {
            if !names(tags, &object.etag) {
                return Outcome::Failed;
            }
        } else if self.if_unmodified_since.is_some_and(|since| modified > since) {
            return Outcome::Failed;
        }
        if let Some(tags) = &self.if_none_match {
            if names(tags, &object.etag) {
                return Outcome::NotModified;
            }
        } else if self.if_modified_since.is_some_and(|since| modified <= since) {
            return Outcome::NotModified;
        }
        Outcome::Proceed
    }

    /// Whether a write may replace what is there.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`]; [`Error::NoSuchKey`] if a state is demanded of what is not there.
    pub fn allow_write(&self, bucket: &str, key: &str, current: Option<&Object>) -> Result<(), Error> {
        if let Some(tags) = &self.if_match {
            let Some(current) = current else {
                return Err(Error::NoSuchKey { bucket: bucket.into(), key: key.into() });
            };
            if !names(tags, &current.etag) {
                return Err(Error::PreconditionFailed);
            }
        }
        match (&self.if_none_match, current) {
            (Some(tags), Some(current)) if names(tags, &current.etag) => Err(Error::PreconditionFailed),
            _ => Ok(()),
        }
    }
}

/// Whether a list of entity tags names one. Weak ones are compared by their text: ours never are.
fn names(list: &str, etag: &str) -> bool {
    list.split(',').map(str::trim).any(|tag| {
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        tag == "*" || tag.trim_matches('"') == etag
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn http_dates_are_written_and_read() {
        let at = Timestamp(784_111_777_999);
        assert_eq!(http_date(at), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(parse_http_date(&http_date(at)), Some(784_111_777));
        assert_eq!(parse_http_date("1994-11-06"), None);
    }

    proptest! {
        #[test]
        fn a_range_lies_within_the_object_or_is_refused(
            first in any::<u64>(), last in any::<Option<u64>>(), count in any::<u64>(), size in any::<u64>(),
        ) {
            for range in [ByteRange::From { first, last }, ByteRange::Last(count)] {
                match range.within(size) {
                    Ok(bytes) => prop_assert!(bytes.start < bytes.end && bytes.end <= size),
                    Err(Error::InvalidRange { size: of }) => prop_assert_eq!(of, size),
                    Err(other) => prop_assert!(false, "{}", other),
                }
            }
        }

        #[test]
        fn no_header_panics(text in ".*", low in any::<u64>(), high in any::<u64>()) {
            let _ = ByteRange::parse(&text);
            let _ = parse_http_date(&text);
            let written = ByteRange::parse(&format!("bytes={low}-{high}"));
            prop_assert_eq!(written.is_some(), low <= high);
        }
    }
}
