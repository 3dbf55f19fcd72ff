//! Signing keys: derived from a secret once for a day, Region and service.

use super::{Scope, hmac};
use headwater_model::Secret;
use headwater_model::iam::AccessKey;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Derived keys that are held. One is needed for each access key, day, Region and service in use; when there are more,
/// all are forgotten and derived again, which takes four HMACs each.
const KEYS_MAX: usize = 4_096;

/// What signatures of one day, Region and service are made with. It is as secret as what it is derived from.
#[derive(Clone, Copy)]
pub(crate) struct SigningKey([u8; 32]);

impl SigningKey {
    pub(crate) fn derive(secret: &str, scope: &Scope<'_>) -> Self {
        let date_key = hmac(format!("AWS4{secret}").as_bytes(), scope.date);
        let region_key = hmac(&date_key, scope.region);
        let service_key = hmac(&region_key, scope.service);
        SigningKey(hmac(&service_key, "aws4_request"))
    }

    /// The hexadecimal signature of a string to sign.
    pub(super) fn sign(&self, text: &str) -> String {
        hex::encode(hmac(&self.0, text))
    }
}

/// Signing keys that were derived before.
#[derive(Default)]
pub(crate) struct SigningKeys(Mutex<HashMap<String, Derived>>);

struct Derived {
    /// What it was derived from: a key id that comes to stand for another secret finds nothing old here.
    secret: Secret,
    key: SigningKey,
}

impl SigningKeys {
    /// The signing key of an access key for a scope.
    pub(super) fn key(&self, key: &AccessKey, scope: &Scope<'_>) -> SigningKey {
        let name = format!("{}/{scope}", key.access_key_id);
        // The map is whole at each step, so a panic elsewhere does not spoil it.
        let mut derived = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = derived.get(&name)
            && known.secret == key.secret_access_key
        {
            return known.key;
        }
        if derived.len() >= KEYS_MAX {
            derived.clear();
        }
        let signing_key = SigningKey::derive(key.secret_access_key.expose(), scope);
        derived.insert(name, Derived { secret: key.secret_access_key.clone(), key: signing_key });
        signing_key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_model::Timestamp;
    use headwater_model::iam::Principal;

    #[test]
    fn a_derived_key_is_that_of_its_secret_and_scope_and_their_number_is_bounded() {
        let keys = SigningKeys::default();
        fn scope(date: &str) -> Scope<'_> {
            Scope { date, region: "us-east-1", service: "ivs" }
        }
        let key = |secret: &str| AccessKey::new("AKIA", Secret::new(secret), Principal::Root, Timestamp(0));
        let fresh = |secret: &str, date| SigningKey::derive(secret, &scope(date)).0;
        for (secret, date) in [("a", "20261124"), ("a", "20261124"), ("b", "20261124"), ("a", "20261125")] {
            assert_eq!(keys.key(&key(secret), &scope(date)).0, fresh(secret, date));
        }
        for day in 0..=KEYS_MAX {
            let day = format!("{day:08}");
            keys.key(&key("a"), &scope(&day));
        }
        assert!(keys.0.lock().expect("no test panicked").len() <= KEYS_MAX);
    }
}
