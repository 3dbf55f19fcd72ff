//! Random identifiers in the shapes that IVS uses. Source: model `ivs` 2020-07-14, patterns of its id members.

use rand::Rng;

const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const UPPER_ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const LOWER_ALPHANUMERIC: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// `length` characters of `[A-Za-z0-9]` from the thread's cryptographic generator.
pub fn random_alphanumeric(length: usize) -> String {
    random_from(ALPHANUMERIC, length)
}

/// `length` characters of `[a-z0-9]`.
pub fn random_lower_alphanumeric(length: usize) -> String {
    random_from(LOWER_ALPHANUMERIC, length)
}

/// `length` characters of `[A-Z2-7]`, the alphabet of access key and role ids.
pub fn random_upper_alphanumeric(length: usize) -> String {
    random_from(UPPER_ALPHANUMERIC, length)
}

/// `length` characters of `[0-9a-f]`.
pub fn random_hex(length: usize) -> String {
    random_from(b"0123456789abcdef", length)
}

/// Resource id of a channel or stream key: 12 alphanumerics.
pub fn resource_id() -> String {
    random_alphanumeric(12)
}

/// Stream id: `st-` and 23 alphanumerics, 26 characters in all.
pub fn stream_id() -> String {
    format!("st-{}", random_alphanumeric(23))
}

/// Value of a stream key: `sk_REGION_` and 24 alphanumerics (about 142 bits).
pub fn stream_key_value(region: &str) -> String {
    format!("sk_{region}_{}", random_alphanumeric(24))
}

/// Suffix of a physical name that a stack makes: 12 uppercase alphanumerics, as CloudFormation's.
pub fn physical_name_suffix() -> String {
    random_alphanumeric(12).to_ascii_uppercase()
}

fn random_from(alphabet: &[u8], length: usize) -> String {
    let mut rng = rand::rng();
    (0..length).map(|_| char::from(alphabet[rng.random_range(0..alphabet.len())])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_those_of_the_service_model() {
        assert_eq!(stream_id().len(), 26);
        assert!(stream_id().starts_with("st-"));
        assert_eq!(resource_id().len(), 12);
        assert!(stream_key_value("us-east-1").starts_with("sk_us-east-1_"));
        assert_ne!(resource_id(), resource_id());
    }
}
