//! What can be asked of one leaf.

use super::wildcard::Wildcard;
use serde_json::Value;
use std::net::IpAddr;

/// One value of a leaf's array.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    Equals(Value),
    Text(TextCondition),
    AnythingBut(Vec<Value>),
    AnythingButText(Vec<TextCondition>),
    Numeric(Range),
    Cidr(Block),
    Exists,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TextCondition {
    Prefix(String),
    Suffix(String),
    /// These three hold lowercase.
    PrefixIgnoreCase(String),
    SuffixIgnoreCase(String),
    EqualsIgnoreCase(String),
    Wildcard(Wildcard),
}

/// Numbers between two bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Range {
    pub(super) lower: Option<Bound>,
    pub(super) upper: Option<Bound>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bound {
    pub(super) at: f64,
    pub(super) inclusive: bool,
}

/// Addresses that share their first bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Block {
    network: IpAddr,
    bits: u32,
}

impl Condition {
    /// `leaf` is neither an array nor an object.
    pub(super) fn matches(&self, leaf: &Value) -> bool {
        match self {
            Condition::Equals(value) => value == leaf,
            Condition::Text(condition) => leaf.as_str().is_some_and(|text| condition.matches(text)),
            Condition::AnythingBut(values) => !values.contains(leaf),
            Condition::AnythingButText(conditions) => {
                !leaf.as_str().is_some_and(|text| conditions.iter().any(|condition| condition.matches(text)))
            }
            Condition::Numeric(range) => leaf.as_f64().is_some_and(|number| range.contains(number)),
            Condition::Cidr(block) => {
                leaf.as_str().and_then(|text| text.parse().ok()).is_some_and(|address| block.contains(address))
            }
            Condition::Exists => true,
        }
    }
}

impl TextCondition {
    fn matches(&self, text: &str) -> bool {
        match self {
            TextCondition::Prefix(prefix) => text.starts_with(prefix.as_str()),
            TextCondition::Suffix(suffix) => text.ends_with(suffix.as_str()),
            TextCondition::PrefixIgnoreCase(prefix) => lowercase(text).starts_with(prefix.as_str()),
            TextCondition::SuffixIgnoreCase(suffix) => lowercase(text).ends_with(suffix.as_str()),
            TextCondition::EqualsIgnoreCase(other) => lowercase(text) == *other,
            TextCondition::Wildcard(wildcard) => wildcard.matches(text),
        }
    }
}

/// Letter by letter, so that what follows a letter does not change it (unlike `str::to_lowercase`, which writes a final
/// sigma in another way).
pub(super) fn lowercase(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

impl Range {
    fn contains(&self, number: f64) -> bool {
        let above = self.lower.is_none_or(|b| number > b.at || (b.inclusive && number == b.at));
        let below = self.upper.is_none_or(|b| number < b.at || (b.inclusive && number == b.at));
        above && below
    }
}

impl Block {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (network, bits) = text.split_once('/')?;
        let network: IpAddr = network.parse().ok()?;
        let bits: u32 = bits.parse().ok()?;
        let bits_max = if network.is_ipv4() { 32 } else { 128 };
        (bits <= bits_max).then_some(Block { network, bits })
    }

    fn contains(&self, address: IpAddr) -> bool {
        let differ = match (self.network, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => u128::from(a.to_bits() ^ b.to_bits()) << 96,
            (IpAddr::V6(a), IpAddr::V6(b)) => a.to_bits() ^ b.to_bits(),
            _ => return false,
        };
        differ.leading_zeros() >= self.bits
    }
}
