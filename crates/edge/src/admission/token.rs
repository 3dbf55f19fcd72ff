//! Signatures of playback tokens: JWS in compact form, ES384 and nothing else.
//!
//! The JWS is read by `jsonwebtoken`; its cryptography is a port, behind which `ring` stands here. Other algorithms are not merely refused:
//! there is no code for them. Source: RFC 7515, RFC 7518 section 3.4.

use headwater_model::playback::{Claims, Refusal, TOKEN_BYTES_MAX};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result as JwtResult};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation, decode};
use ring::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Once;

/// Keys that one token is tried with. An account has three (service quota); a server whose operator set the quota higher still answers
/// in a few milliseconds.
pub const KEYS_TRIED_MAX: usize = 16;

/// A public key on P-384: the uncompressed point of SEC 1, 97 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaybackKey(pub Vec<u8>);

struct Es384(UnparsedPublicKey<Vec<u8>>);

impl Verifier<Vec<u8>> for Es384 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        self.0.verify(message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Es384 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES384
    }
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> JwtResult<Box<dyn JwtVerifier>> {
    if *algorithm != Algorithm::ES384 {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let point = key.try_get_as_bytes()?.to_vec();
    Ok(Box::new(Es384(UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point))))
}

fn no_signer(_: &Algorithm, _: &EncodingKey) -> JwtResult<Box<dyn JwtSigner>> {
    Err(ErrorKind::InvalidAlgorithm.into())
}

static CRYPTO: CryptoProvider =
    CryptoProvider { signer_factory: no_signer, verifier_factory: verifier, key_utils: KeyUtils::new_unimplemented() };
static INSTALLED: Once = Once::new();

/// The claims of a token that one of the keys verifies.
///
/// # Errors
/// [`Refusal`]: no JWS, another algorithm, no key that verifies it, claims of a wrong form.
pub fn verify(token: &str, keys: &[PlaybackKey]) -> Result<Claims, Refusal> {
    INSTALLED.call_once(|| {
        // Refused if somebody in this process has installed another, which nobody does.
        let _ = CRYPTO.install_default();
    });
    if token.len() > TOKEN_BYTES_MAX {
        return Err(Refusal::Garbled("token is longer than 2 KB"));
    }
    if token.split('.').count() != 3 {
        return Err(Refusal::Garbled("token contains an invalid number of segments"));
    }
    let mut validation = Validation::new(Algorithm::ES384);
    // Times are for the claims' own rules.
    validation.required_spec_claims = HashSet::new();
    (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
    for PlaybackKey(point) in keys.iter().take(KEYS_TRIED_MAX) {
        match decode::<Value>(token, &DecodingKey::from_ec_der(point), &validation) {
            Ok(token) => return Claims::parse(token.claims),
            Err(error) => match error.kind() {
                ErrorKind::InvalidSignature => {}
                ErrorKind::InvalidAlgorithm => return Err(Refusal::Garbled("token is not signed with ES384")),
                _ => return Err(Refusal::Garbled("token is malformed or not signed with ES384")),
            },
        }
    }
    Err(Refusal::Signature)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
    use proptest::prelude::*;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    use serde_json::json;

    /// A key pair that signs tokens in tests.
    pub(crate) struct Signer(EcdsaKeyPair);

    impl Signer {
        pub(crate) fn new() -> Self {
            let random = SystemRandom::new();
            let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &random).unwrap();
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, document.as_ref(), &random).unwrap();
            Signer(pair)
        }

        pub(crate) fn key(&self) -> PlaybackKey {
            PlaybackKey(self.0.public_key().as_ref().to_vec())
        }

        pub(crate) fn sign(&self, claims: &Value) -> String {
            self.sign_with(&json!({"alg": "ES384", "typ": "JWT"}), claims)
        }

        pub(crate) fn sign_with(&self, header: &Value, claims: &Value) -> String {
            let message = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
            let signature = self.0.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
            format!("{message}.{}", BASE64.encode(signature))
        }
    }

    fn claims() -> Value {
        json!({"aws:channel-arn": "arn", "exp": 4_000_000_000_i64})
    }

    #[test]
    fn any_key_of_the_account_verifies() {
        let (first, second) = (Signer::new(), Signer::new());
        let keys = [first.key(), second.key()];
        for signer in [&first, &second] {
            assert_eq!(verify(&signer.sign(&claims()), &keys).unwrap().channel_arn, "arn");
        }
        assert_eq!(verify(&Signer::new().sign(&claims()), &keys), Err(Refusal::Signature));
        assert_eq!(verify(&first.sign(&claims()), &[]), Err(Refusal::Signature));
        // A key that is none is passed over.
        assert!(verify(&first.sign(&claims()), &[PlaybackKey(vec![4; 97]), first.key()]).is_ok());
    }

    #[test]
    fn other_algorithms_are_refused_also_with_a_good_signature() {
        let signer = Signer::new();
        for algorithm in ["none", "None", "HS256", "HS384", "ES256", "RS384", "EdDSA", "es384", ""] {
            let token = signer.sign_with(&json!({"alg": algorithm, "typ": "JWT"}), &claims());
            assert!(matches!(verify(&token, &[signer.key()]), Err(Refusal::Garbled(_))), "{algorithm}");
        }
        let unsigned =
            format!("{}.{}.", BASE64.encode(json!({"alg": "none"}).to_string()), BASE64.encode(claims().to_string()));
        assert!(verify(&unsigned, &[signer.key()]).is_err());
    }

    #[test]
    fn what_is_no_token_is_named() {
        let key = [Signer::new().key()];
        for text in ["", "x", "a.b", "a.b.c.d"] {
            let expected = Refusal::Garbled("token contains an invalid number of segments");
            assert_eq!(verify(text, &key), Err(expected), "{text}");
        }
        assert!(matches!(verify("a.b.c", &key), Err(Refusal::Garbled(_))));
        let long = format!("{}.a.b", "x".repeat(TOKEN_BYTES_MAX));
        assert_eq!(verify(&long, &key), Err(Refusal::Garbled("token is longer than 2 KB")));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_token_that_was_changed_anywhere_is_refused(at in 0usize..1000, with in "[A-Za-z0-9_.-]") {
            let signer = Signer::new();
            let token = signer.sign(&claims());
            let at = at % token.len();
            let mut changed = token.clone();
            changed.replace_range(at..=at, &with);
            // The last character of a part holds bits that mean nothing; a strict reader refuses those too.
            prop_assert!(changed == token || verify(&changed, &[signer.key()]).is_err(), "{changed}");
        }

        #[test]
        fn no_text_panics(text in "([A-Za-z0-9_-]{0,40}[.]?){0,5}|.{0,60}") {
            let _ = verify(&text, &[PlaybackKey(vec![4; 97])]);
        }
    }
}
