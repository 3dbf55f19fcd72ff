//! Conditions: what must be so of the request for a statement to match.

use super::Pattern;
use crate::Timestamp;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::net::IpAddr;
use time::OffsetDateTime;
use time::format_description::well_known::Iso8601;

/// Facts about a request by condition key, such as `aws:SourceIp`. Keys are compared without case.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context {
    values: BTreeMap<String, Vec<String>>,
}

impl Context {
    /// Knows nothing.
    pub fn new() -> Context {
        Context::default()
    }

    /// Adds a value of a key.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Context {
        self.add(key, value);
        self
    }

    /// Adds a value of a key.
    pub fn add(&mut self, key: &str, value: impl Into<String>) {
        self.values.entry(key.to_ascii_lowercase()).or_default().push(value.into());
    }

    /// Adds `aws:CurrentTime` and `aws:EpochTime`.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Context {
        self.with("aws:CurrentTime", now.iso_seconds()).with("aws:EpochTime", (now.0 / 1000).to_string())
    }

    fn values(&self, key: &str) -> &[String] {
        self.values.get(&key.to_ascii_lowercase()).map_or(&[], Vec::as_slice)
    }

    /// The value of a key that has exactly one.
    pub(super) fn single(&self, key: &str) -> Option<&str> {
        match self.values(key) {
            [only] => Some(only),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Condition {
    operator: Operator,
    key: String,
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Known {
        test: Test,
        negated: bool,
        if_exists: bool,
        set: Set,
    },
    Null,
    /// Kept, so that the statement can fail closed.
    Unknown,
}

/// How several values of the request's key count.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Set {
    /// One value is expected; any of several may fit.
    Single,
    Any,
    All,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Test {
    Equals,
    EqualsIgnoreCase,
    Like,
    Arn,
    Bool,
    Ip,
    Numeric(Compare),
    Date(Compare),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Compare {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Condition {
    pub(super) fn new(operator: &str, key: &str, values: Vec<String>) -> Condition {
        Condition { operator: Operator::parse(operator), key: key.to_owned(), values }
    }

    /// Whether it is so; `None` if that cannot be judged.
    pub(super) fn holds(&self, context: &Context) -> Option<bool> {
        let actual = context.values(&self.key);
        if actual.is_empty() && is_unknown(&self.key) {
            return None;
        }
        match self.operator {
            Operator::Unknown => None,
            Operator::Null => {
                let want_absent = self.values.iter().any(|value| value.eq_ignore_ascii_case("true"));
                Some(actual.is_empty() == want_absent)
            }
            Operator::Known { test, negated, if_exists, set } => {
                if actual.is_empty() {
                    // "Condition operators": a missing key satisfies a negated operator and ForAllValues, never ForAnyValue.
                    return Some(if_exists || set == Set::All || (negated && set == Set::Single));
                }
                let mut doubt = false;
                let mut one = |value: &String| {
                    let fits = self.values.iter().any(|expected| {
                        test.fits(expected, value, context).unwrap_or_else(|| {
                            doubt = true;
                            false
                        })
                    });
                    fits != negated
                };
                let all = match set {
                    Set::All => true,
                    Set::Any => false,
                    Set::Single => negated,
                };
                let held = if all { actual.iter().all(&mut one) } else { actual.iter().any(&mut one) };
                if doubt { None } else { Some(held) }
            }
        }
    }
}

/// Whether a key that the request has no value for may have one that nobody looked up. Of a tag of the resource, absent
/// and unknown are not the same.
fn is_unknown(key: &str) -> bool {
    key.get(..RESOURCE_TAG.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESOURCE_TAG))
}

const RESOURCE_TAG: &str = "aws:ResourceTag/";

impl Operator {
    fn parse(name: &str) -> Operator {
        let (set, name) = match name.split_once(':') {
            Some(("ForAllValues", rest)) => (Set::All, rest),
            Some(("ForAnyValue", rest)) => (Set::Any, rest),
            Some(_) => return Operator::Unknown,
            None => (Set::Single, name),
        };
        let (name, if_exists) = match name.strip_suffix("IfExists") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let (test, negated) = match name {
            "StringEquals" => (Test::Equals, false),
            "StringNotEquals" => (Test::Equals, true),
            "StringEqualsIgnoreCase" => (Test::EqualsIgnoreCase, false),
            "StringNotEqualsIgnoreCase" => (Test::EqualsIgnoreCase, true),
            "StringLike" => (Test::Like, false),
            "StringNotLike" => (Test::Like, true),
            "ArnEquals" | "ArnLike" => (Test::Arn, false),
            "ArnNotEquals" | "ArnNotLike" => (Test::Arn, true),
            "Bool" => (Test::Bool, false),
            "IpAddress" => (Test::Ip, false),
            "NotIpAddress" => (Test::Ip, true),
            "NumericEquals" => (Test::Numeric(Compare::Equal), false),
            "NumericNotEquals" => (Test::Numeric(Compare::Equal), true),
            "NumericLessThan" => (Test::Numeric(Compare::Less), false),
            "NumericLessThanEquals" => (Test::Numeric(Compare::LessOrEqual), false),
            "NumericGreaterThan" => (Test::Numeric(Compare::Greater), false),
            "NumericGreaterThanEquals" => (Test::Numeric(Compare::GreaterOrEqual), false),
            "DateEquals" => (Test::Date(Compare::Equal), false),
            "DateNotEquals" => (Test::Date(Compare::Equal), true),
            "DateLessThan" => (Test::Date(Compare::Less), false),
            "DateLessThanEquals" => (Test::Date(Compare::LessOrEqual), false),
            "DateGreaterThan" => (Test::Date(Compare::Greater), false),
            "DateGreaterThanEquals" => (Test::Date(Compare::GreaterOrEqual), false),
            "Null" if !if_exists && set == Set::Single => return Operator::Null,
            _ => return Operator::Unknown,
        };
        Operator::Known { test, negated, if_exists, set }
    }
}

impl Test {
    /// `None` if either side cannot be read.
    fn fits(self, expected: &str, actual: &str, context: &Context) -> Option<bool> {
        match self {
            Test::Equals if expected.contains("${") => Pattern::without_wildcards(expected).matches_in(actual, context),
            Test::Equals => Some(expected == actual),
            Test::EqualsIgnoreCase if expected.contains("${") => None,
            Test::EqualsIgnoreCase => Some(expected.to_lowercase() == actual.to_lowercase()),
            Test::Like => Pattern::new(expected).matches_in(actual, context),
            Test::Arn => arn_like(expected, actual, context),
            Test::Bool => Some(expected.eq_ignore_ascii_case(actual)),
            Test::Ip => ip_within(expected, actual),
            Test::Numeric(compare) => {
                let (expected, actual) = (expected.parse::<f64>().ok()?, actual.parse::<f64>().ok()?);
                Some(compare.holds(actual.partial_cmp(&expected)?))
            }
            Test::Date(compare) => Some(compare.holds(seconds(actual)?.cmp(&seconds(expected)?))),
        }
    }
}

impl Compare {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Compare::Equal => order.is_eq(),
            Compare::Less => order.is_lt(),
            Compare::LessOrEqual => order.is_le(),
            Compare::Greater => order.is_gt(),
            Compare::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// Each of the six parts of an ARN is matched by itself, so a star does not reach over a colon (but in the last one).
fn arn_like(expected: &str, actual: &str, context: &Context) -> Option<bool> {
    let expected: Vec<&str> = expected.splitn(6, ':').collect();
    let actual: Vec<&str> = actual.splitn(6, ':').collect();
    if expected.len() != 6 || actual.len() != 6 {
        return Some(expected == ["*"]);
    }
    for (expected, actual) in expected.iter().zip(&actual) {
        if !Pattern::new(expected).matches_in(actual, context)? {
            return Some(false);
        }
    }
    Some(true)
}

/// Whether an address lies in a network, such as `10.0.0.0/8` or a single address; `None` if one of them cannot be read.
pub fn ip_within(network: &str, address: &str) -> Option<bool> {
    let address: IpAddr = address.parse::<IpAddr>().ok()?.to_canonical();
    let (base, length) = match network.split_once('/') {
        Some((base, length)) => (base.parse::<IpAddr>().ok()?, Some(length.parse::<u32>().ok()?)),
        None => (network.parse::<IpAddr>().ok()?, None),
    };
    let (base, address, width) = match (base, address) {
        (IpAddr::V4(base), IpAddr::V4(address)) => {
            (u128::from(base.to_bits()) << 96, u128::from(address.to_bits()) << 96, 32)
        }
        (IpAddr::V6(base), IpAddr::V6(address)) => (base.to_bits(), address.to_bits(), 128),
        _ => return Some(false),
    };
    let length = length.unwrap_or(width);
    if length > width {
        return None;
    }
    // A shift by the whole width is an overflow: a network of length 0 holds every address.
    let difference = (base ^ address).checked_shr(128 - length).unwrap_or(0);
    Some(difference == 0)
}

/// Seconds since the Unix epoch, from ISO 8601 or a number of seconds.
fn seconds(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    if let Ok(time) = OffsetDateTime::parse(text, &Iso8601::DEFAULT) {
        return Some(time.unix_timestamp());
    }
    let date = time::Date::parse(text, &Iso8601::DATE).ok()?;
    Some(date.midnight().assume_utc().unix_timestamp())
}
