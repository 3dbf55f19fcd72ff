//! Which bytes of a file a request asks for. Source: RFC 9110, "Range Requests".

use http::HeaderMap;
use http::header::{IF_RANGE, RANGE};

/// What a request says: one range of bytes. What is malformed, or several ranges, is answered with everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Range {
    All,
    /// From a byte to another, that one included, or to the end.
    From {
        first: u64,
        last: Option<u64>,
    },
    /// So many at the end.
    Last(u64),
}

/// What it means for a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    All,
    /// From `start` to before `end`, not empty.
    Part {
        start: u64,
        end: u64,
    },
    Unsatisfiable,
}

impl Range {
    pub(crate) fn read(headers: &HeaderMap) -> Range {
        // We send no validator, so none can match.
        let value = headers.get(RANGE).filter(|_| !headers.contains_key(IF_RANGE));
        value.and_then(|value| Range::parse(value.to_str().ok()?)).unwrap_or(Range::All)
    }

    fn parse(value: &str) -> Option<Range> {
        let (first, last) = value.trim().strip_prefix("bytes=")?.split_once('-')?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(first) || !digits(last) {
            return None;
        }
        // More digits than fit mean "to the end".
        let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
        match (first, last) {
            ("", "") => None,
            ("", suffix) => Some(Range::Last(number(suffix))),
            (first, "") => Some(Range::From { first: number(first), last: None }),
            (first, last) => Some(Range::From { first: number(first), last: Some(number(last)) }),
        }
    }

    /// The bytes of a file of that length.
    pub(crate) fn of(self, length: u64) -> Wanted {
        match self {
            Range::All => Wanted::All,
            Range::Last(suffix) => match suffix.min(length) {
                0 => Wanted::Unsatisfiable,
                suffix => Wanted::Part { start: length - suffix, end: length },
            },
            Range::From { first, .. } if first >= length => Wanted::Unsatisfiable,
            Range::From { first, last: Some(last) } if last < first => Wanted::All,
            Range::From { first, last } => {
                let end = last.map_or(length, |last| last.saturating_add(1).min(length));
                Wanted::Part { start: first, end }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn wanted(value: &str, length: u64) -> Wanted {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, HeaderValue::from_str(value).unwrap());
        Range::read(&headers).of(length)
    }

    #[test]
    fn one_range_is_understood() {
        assert_eq!(wanted("bytes=0-0", 10), Wanted::Part { start: 0, end: 1 });
        assert_eq!(wanted("bytes=3-", 10), Wanted::Part { start: 3, end: 10 });
        assert_eq!(wanted("bytes=-4", 10), Wanted::Part { start: 6, end: 10 });
        assert_eq!(wanted("bytes=-40", 10), Wanted::Part { start: 0, end: 10 });
        assert_eq!(wanted("bytes=2-99999999999999999999999", 10), Wanted::Part { start: 2, end: 10 });
        assert_eq!(wanted("bytes=10-", 10), Wanted::Unsatisfiable);
        assert_eq!(wanted("bytes=-0", 10), Wanted::Unsatisfiable);
        for other in ["bytes=5-2", "bytes=0-1,3-4", "items=0-1", "bytes=a-b", "bytes=-", "bytes"] {
            assert_eq!(wanted(other, 10), Wanted::All, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_range_panics_or_leaves_the_body(value in "(bytes=)?[0-9]{0,22}-?[0-9]{0,22}", length in 0u64..100) {
            if let Wanted::Part { start, end } = wanted(&value, length) {
                prop_assert!(start < end && end <= length);
            }
        }
    }
}
