//! Access keys: the root key, keys by id, temporary keys of roles.

use crate::Error;
use crate::cache::Cache;
use async_trait::async_trait;
use headwater_functions::CredentialsError;
use headwater_model::iam::{AccessKey, KeyStatus, Principal, Role, Session};
use headwater_model::policy::Policy;
use headwater_model::{Realm, Secret, Timestamp, id};
use headwater_store::{Batch, Document, Select, Store};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Shortest life of a temporary key, seconds (STS, `AssumeRole`).
pub const SESSION_S_MIN: u32 = 900;
/// Longest life of a temporary key, seconds (STS, `AssumeRole`).
pub const SESSION_S_MAX: u32 = 43_200;
/// Longest life of a session's key of which the maker is a session itself, seconds (STS, "role chaining").
pub const CHAINED_S_MAX: u32 = 3_600;
/// Keys that are held in memory; each takes about a kilobyte. More are read from the store again.
const KEYS_CACHED_MAX: usize = 4_096;

/// An access key as requests are judged by it.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownKey {
    /// The key.
    pub key: AccessKey,
    /// Its session policies in evaluated form; `None` if there are none.
    pub narrowing: Option<Vec<Policy>>,
}

impl From<AccessKey> for KnownKey {
    fn from(key: AccessKey) -> Self {
        KnownKey { narrowing: key.session.narrowing(), key }
    }
}

/// Access keys, kept in the store. Cheap to clone; needs nothing but the store.
#[derive(Clone)]
pub struct Credentials {
    realm: Realm,
    store: Arc<dyn Store>,
    known: Arc<Cache<KnownKey>>,
}

/// Which access key is the owner's. One record.
#[derive(Serialize, Deserialize)]
struct RootKey {
    access_key_id: String,
}

impl Document for RootKey {
    const KIND: &'static str = "root-key";
    fn id(&self) -> String {
        "root".into()
    }
}

impl Credentials {
    /// Keys over the store.
    pub fn new(realm: Realm, store: Arc<dyn Store>) -> Self {
        let known = Arc::new(Cache::new(&*store, &[AccessKey::KIND], KEYS_CACHED_MAX));
        Credentials { realm, store, known }
    }

    /// The owner's key; made at random the first time.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn root(&self) -> Result<AccessKey, Error> {
        loop {
            if let Some(root) = headwater_store::find::<RootKey>(&*self.store, "root").await?
                && let Some(key) = headwater_store::find(&*self.store, &root.access_key_id).await?
            {
                return Ok(key);
            }
            let key = new_key("AKIA", Principal::Root, Timestamp::now());
            let mut batch = Batch::new();
            batch.insert(&key)?.insert(&RootKey { access_key_id: key.access_key_id.clone() })?;
            match self.store.commit(batch).await {
                Ok(_) => return Ok(key),
                // Another start of the same data folder was first.
                Err(headwater_store::Error::Exists { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The key with this id, if there is one that is in use; also one that has expired.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn access_key(&self, access_key_id: &str) -> Result<Option<Arc<KnownKey>>, Error> {
        let read = async {
            let key = headwater_store::find::<AccessKey>(&*self.store, access_key_id).await?;
            Ok(key.filter(|key| key.status == KeyStatus::Active).map(KnownKey::from))
        };
        self.known.read(access_key_id, read).await
    }

    /// A long-lived key for a principal, stored.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn issue(&self, principal: Principal) -> Result<AccessKey, Error> {
        let key = new_key("AKIA", principal, Timestamp::now());
        let mut batch = Batch::new();
        batch.insert(&key)?;
        self.store.commit(batch).await?;
        Ok(key)
    }

    /// A temporary key for a role of this account, stored.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such role; [`Error::Store`].
    pub async fn role_session(
        &self,
        role_arn: &str,
        session: &str,
        ttl_s: u32,
        now: Timestamp,
    ) -> Result<AccessKey, Error> {
        let name = role_arn.rsplit('/').next().unwrap_or_default();
        let role = headwater_store::find::<Role>(&*self.store, name)
            .await?
            .filter(|role| role.arn == role_arn)
            .ok_or_else(|| Error::not_found("role", role_arn))?;
        let principal = Principal::Role { role: role.name, session: session.into() };
        self.temporary(principal, Session::default(), ttl_s, now).await
    }

    /// A temporary key for a principal, stored.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn temporary(
        &self,
        principal: Principal,
        session: Session,
        ttl_s: u32,
        now: Timestamp,
    ) -> Result<AccessKey, Error> {
        let mut key = new_key("ASIA", principal, now);
        key.session_token = Some(Secret::new(id::random_alphanumeric(SESSION_TOKEN_LENGTH)));
        key.expires_at = Some(now.plus_ms(i64::from(ttl_s) * 1000));
        key.session = session;
        let mut batch = Batch::new();
        batch.insert(&key)?;
        self.store.commit(batch).await?;
        Ok(key)
    }

    /// Removes temporary keys that have expired; returns how many.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn remove_expired(&self, now: Timestamp) -> Result<usize, Error> {
        let select = Select { prefix: Some("ASIA".into()), ..Select::default() };
        let keys: Vec<AccessKey> = headwater_store::list(&*self.store, select).await?;
        let mut batch = Batch::new();
        let mut removed = 0;
        for key in keys.iter().filter(|key| key.expires_at.is_some_and(|end| end <= now)) {
            batch.delete::<AccessKey>(&key.access_key_id);
            removed += 1;
        }
        if removed > 0 {
            self.store.commit(batch).await?;
        }
        Ok(removed)
    }

    /// Region and account that the keys are of.
    pub fn realm(&self) -> &Realm {
        &self.realm
    }
}

/// What functions ask for their roles' keys.
#[async_trait]
impl headwater_functions::Credentials for Credentials {
    async fn role_session(
        &self,
        role_arn: &str,
        session_name: &str,
        ttl: Duration,
    ) -> Result<AccessKey, CredentialsError> {
        let ttl_s = u32::try_from(ttl.as_secs()).unwrap_or(SESSION_S_MAX);
        match Credentials::role_session(self, role_arn, session_name, ttl_s, Timestamp::now()).await {
            Ok(key) => Ok(key),
            Err(Error::NotFound { .. }) => Err(CredentialsError::UnknownRole(role_arn.into())),
            Err(error) => Err(CredentialsError::Failed { role: role_arn.into(), source: Box::new(error) }),
        }
    }
}

/// Characters of a session token; random, so 64 of 62 make 381 bits.
const SESSION_TOKEN_LENGTH: usize = 64;

/// A key with random id and secret in AWS' lengths: 20 and 40 characters.
fn new_key(prefix: &str, principal: Principal, now: Timestamp) -> AccessKey {
    let access_key_id = format!("{prefix}{}", id::random_upper_alphanumeric(16));
    AccessKey::new(access_key_id, Secret::new(id::random_alphanumeric(40)), principal, now)
}
