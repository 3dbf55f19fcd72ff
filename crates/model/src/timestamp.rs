//! Wall-clock time in milliseconds.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// Milliseconds since the Unix epoch, UTC. Ordered; two of them are subtracted with [`Timestamp::since_ms`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

const SECONDS: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
const MILLIS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

impl Timestamp {
    /// The system's clock. Only shells call this; cores take a `Timestamp`.
    #[expect(clippy::disallowed_methods, reason = "the one place where the domain's clock is read")]
    pub fn now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// Milliseconds from `earlier` to this time; negative if `earlier` is later.
    pub fn since_ms(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This time moved by a number of milliseconds.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Timestamp(self.0.saturating_add(ms))
    }

    /// `2026-11-24T05:29:42Z`, the second precision of EventBridge events.
    pub fn iso_seconds(self) -> String {
        self.format(SECONDS)
    }

    /// `2026-11-24T05:29:42.123Z`, as EXT-X-PROGRAM-DATE-TIME and the CloudFormation API write it.
    pub fn iso_millis(self) -> String {
        self.format(MILLIS)
    }

    /// Reads an ISO 8601 time with an offset or `Z` (RFC 3339), to the millisecond.
    pub fn parse_iso(text: &str) -> Option<Self> {
        let at = OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()?;
        i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).ok().map(Timestamp)
    }

    /// The calendar form, for callers that need its parts.
    pub fn to_datetime(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    fn format(self, items: &[BorrowedFormatItem<'_>]) -> String {
        self.to_datetime().format(items).unwrap_or_else(|_| String::from("1970-01-01T00:00:00Z"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_precisions_are_utc() {
        let at = Timestamp(1_795_498_182_123);
        assert_eq!(at.iso_seconds(), "2026-11-24T05:29:42Z");
        assert_eq!(at.iso_millis(), "2026-11-24T05:29:42.123Z");
    }

    #[test]
    fn times_are_read_with_any_offset_and_precision() {
        let at = Some(Timestamp(1_795_498_182_000));
        assert_eq!(Timestamp::parse_iso("2026-11-24T05:29:42Z"), at);
        assert_eq!(Timestamp::parse_iso("2026-11-24T06:29:42.000999+01:00"), at);
        assert_eq!(Timestamp::parse_iso("2026-11-24"), None);
        assert_eq!(Timestamp::parse_iso("5"), None);
    }
}
