//! Private playback: public keys, restriction policies, revocations (shapes PlaybackKeyPair, PlaybackRestrictionPolicy,
//! StartViewerSessionRevocationRequest).

use super::Tags;
use crate::{Realm, Timestamp, id};
use md5::{Digest, Md5};
use p384::elliptic_curve::sec1::ToSec1Point;
use p384::pkcs8::{Document, SubjectPublicKeyInfoRef};
use serde::{Deserialize, Serialize};

/// The public half of a key that its owner signs playback tokens with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlaybackKeyPair {
    /// `arn:aws:ivs:REGION:ACCOUNT:playback-key/ID`.
    pub arn: String,
    /// May be empty, need not be unique.
    pub name: String,
    /// MD5 of the key's DER form: 16 lowercase hex bytes with colons between.
    pub fingerprint: String,
    /// The point on P-384 as SEC 1 writes it uncompressed (97 bytes), in lowercase hex: what ES384 verifiers take.
    pub public_point: String,
    /// Tags, by key.
    #[serde(default)]
    pub tags: Tags,
    /// When it was imported.
    pub created_at: Timestamp,
}

impl PlaybackKeyPair {
    /// An imported key under a fresh random id.
    pub fn new(realm: &Realm, key: PublicKey, created_at: Timestamp) -> Self {
        PlaybackKeyPair {
            arn: realm.ivs_arn("playback-key", &id::resource_id()),
            name: String::new(),
            fingerprint: key.fingerprint,
            public_point: key.point,
            tags: Tags::new(),
            created_at,
        }
    }
}

impl PlaybackKeyPair {
    /// The label that it is found by: a key is imported once.
    pub fn label(&self) -> String {
        format!("fingerprint={}", self.fingerprint)
    }
}

/// A public key that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// As [`PlaybackKeyPair::fingerprint`].
    pub fingerprint: String,
    /// As [`PlaybackKeyPair::public_point`].
    pub point: String,
}

/// Why a text is no key that tokens can be signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No PEM, or of another label.
    #[error("is not a public key in PEM (BEGIN PUBLIC KEY)")]
    NotPem,
    /// Another algorithm or curve, or no point on it.
    #[error("is not a public key on the curve P-384 (secp384r1)")]
    NotP384,
}

/// Longest PEM text that is looked at; one of a P-384 key has 215 bytes.
const PEM_BYTES_MAX: usize = 4096;

/// Reads the PEM of a public key for ES384 (RFC 7518 section 3.4).
///
/// # Errors
/// [`KeyError`].
pub fn parse_public_key(pem: &str) -> Result<PublicKey, KeyError> {
    if pem.len() > PEM_BYTES_MAX {
        return Err(KeyError::NotPem);
    }
    let (label, der) = Document::from_pem(pem.trim()).map_err(|_| KeyError::NotPem)?;
    if label != "PUBLIC KEY" {
        return Err(KeyError::NotPem);
    }
    let info = SubjectPublicKeyInfoRef::try_from(der.as_bytes()).map_err(|_| KeyError::NotP384)?;
    let key = p384::PublicKey::try_from(info).map_err(|_| KeyError::NotP384)?;
    let fingerprint: Vec<String> = Md5::digest(der.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(PublicKey { fingerprint: fingerprint.join(":"), point: hex::encode(key.to_sec1_point(false).as_bytes()) })
}

/// From where a channel may be watched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlaybackRestrictionPolicy {
    /// `arn:aws:ivs:REGION:ACCOUNT:playback-restriction-policy/ID`.
    pub arn: String,
    /// May be empty, need not be unique.
    pub name: String,
    /// ISO 3166-1 alpha-2; empty means all.
    pub allowed_countries: Vec<String>,
    /// As the header Origin writes them; empty means all.
    pub allowed_origins: Vec<String>,
    /// Whether a request without one of these origins is refused, also for media.
    pub strict_origin: bool,
    /// Tags, by key.
    #[serde(default)]
    pub tags: Tags,
    /// When it was made.
    pub created_at: Timestamp,
}

impl PlaybackRestrictionPolicy {
    /// Countries of one policy (service quota).
    pub const COUNTRIES_MAX: usize = 200;
    /// Origins of one policy (service quota).
    pub const ORIGINS_MAX: usize = 5;
    /// Characters of one origin (service quota; the model has 128).
    pub const ORIGIN_LENGTH_MAX: usize = 256;

    /// One that allows everything, under a fresh random id.
    pub fn new(realm: &Realm, created_at: Timestamp) -> Self {
        PlaybackRestrictionPolicy {
            arn: realm.ivs_arn("playback-restriction-policy", &id::resource_id()),
            name: String::new(),
            allowed_countries: Vec::new(),
            allowed_origins: Vec::new(),
            strict_origin: false,
            tags: Tags::new(),
            created_at,
        }
    }
}

/// The officially assigned codes of ISO 3166-1 alpha-2.
const COUNTRIES: &str = "\
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC \
    CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD \
    GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH \
    KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW \
    MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC \
    SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY \
    UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

/// Whether a text is an assigned country code, in capitals.
pub fn is_country(code: &str) -> bool {
    code.len() == 2 && COUNTRIES.split_ascii_whitespace().any(|known| known == code)
}

/// Whether a text can be the value of the header Origin: `SCHEME://HOST[:PORT]` without a path (RFC 6454 section 6.2), or
/// `null`. The host may begin with `*.`.
pub fn is_origin(text: &str) -> bool {
    if text == "null" {
        return true;
    }
    let Some((scheme, authority)) = text.split_once("://") else { return false };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_scheme = scheme.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let name = host.strip_prefix("*.").unwrap_or(host);
    let is_name = !name.is_empty()
        && name.split('.').all(|label| {
            !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        });
    let is_ipv6 = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    is_scheme && (is_name || is_ipv6) && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// Playback sessions of one viewer of a channel that may not go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewerRevocation {
    /// The channel.
    pub channel_arn: String,
    /// `aws:viewer-id` of the tokens.
    pub viewer_id: String,
    /// `aws:viewer-session-version` of the tokens, up to this one.
    pub versions_up_to: i64,
    /// When it was asked for last.
    pub at: Timestamp,
}

impl ViewerRevocation {
    /// Characters of a viewer's id.
    pub const VIEWER_ID_LENGTH_MAX: usize = 40;
    /// Id of its record.
    pub fn record_id(channel_arn: &str, viewer_id: &str) -> String {
        format!("{channel_arn}/{viewer_id}")
    }

    /// How long it is kept: no stream lasts longer (service quota "maximum stream duration", 48 hours), and tokens with
    /// a viewer id end within ten minutes.
    pub const KEPT_MS: i64 = 48 * 60 * 60 * 1000;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    // Made by `openssl ecparam -name secp384r1 -genkey -noout | openssl ec -pubout`; the fingerprint by
    // `openssl pkey -pubin -outform DER | openssl md5 -c`.
    const P384: &str = include_str!("testdata/p384.pem");
    const P384_FINGERPRINT: &str = include_str!("testdata/p384.fingerprint");
    const P256: &str = include_str!("testdata/p256.pem");

    #[test]
    fn a_p384_key_is_read_and_has_the_fingerprint_that_openssl_computes() {
        let key = parse_public_key(P384).unwrap();
        assert_eq!(key.fingerprint, P384_FINGERPRINT.trim());
        assert_eq!((key.point.len(), &key.point[..2]), (194, "04"));
        assert_eq!(parse_public_key(&P384.replace('\n', "\r\n")), Ok(key));
    }

    #[test]
    fn what_is_no_p384_key_is_refused() {
        assert_eq!(parse_public_key(P256), Err(KeyError::NotP384));
        assert_eq!(parse_public_key(""), Err(KeyError::NotPem));
        assert_eq!(parse_public_key(&P384.replace("PUBLIC", "PRIVATE")), Err(KeyError::NotPem));
        let (first, rest) = P384.split_at(60);
        assert!(parse_public_key(&format!("{first}!{rest}")).is_err());
        // A point that is not on the curve: one digit of its ordinate is another.
        let end = P384.rfind("-----END").unwrap();
        let mut bent = P384.to_owned();
        let digit = if &P384[end - 10..end - 9] == "A" { "B" } else { "A" };
        bent.replace_range(end - 10..end - 9, digit);
        assert_eq!(parse_public_key(&bent), Err(KeyError::NotP384));
        assert_eq!(parse_public_key(&"x".repeat(PEM_BYTES_MAX + 1)), Err(KeyError::NotPem));
    }

    #[test]
    fn countries_are_the_assigned_ones() {
        assert_eq!(COUNTRIES.split_ascii_whitespace().count(), 249);
        assert!(is_country("DE") && is_country("AX"));
        assert!(!is_country("de") && !is_country("XX") && !is_country("DEU") && !is_country(""));
    }

    #[test]
    fn origins_have_a_scheme_a_host_and_nothing_after_it() {
        for good in ["https://a.example", "http://localhost:8080", "https://*.a.example", "https://[::1]:1", "null"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in
            ["", "a.example", "https://", "https://a.example/", "https://a b", "https://a:0", "://a", "https://[x]"]
        {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}
