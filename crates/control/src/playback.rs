//! What private playback is decided by: playback keys, restriction policies, revocations, tokens that are for one use.

use crate::expiries::{self, Expiry};
use crate::{Control, Error};
use headwater_model::Timestamp;
use headwater_model::ivs::{PlaybackKeyPair, PlaybackRestrictionPolicy, ViewerRevocation};
use headwater_model::playback::EXPIRY_AHEAD_MS_MAX;
use headwater_store::{Batch, Document, Select, Topic};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Revocations that are told to the viewers' side; an account may ask for ten a second, and each is kept 48 hours. Further ones act on new
/// starts only.
pub const REVOCATIONS_MAX: u32 = 100_000;
/// After a failed reading of the records, and between two of them when much is revoked at once. A revocation must act within 5 s.
const PAUSE: Duration = Duration::from_millis(500);
/// The standing is told again this often also if nothing changed: who starts playback tells the policy that it read, which may be older.
const TOLD_AGAIN: Duration = Duration::from_secs(60);

/// A use of a token that is for one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SpentToken {
    /// `aws:single-use-uuid`, in lowercase.
    uuid: String,
}

impl Document for SpentToken {
    const KIND: &'static str = "spent-token";
    fn id(&self) -> String {
        self.uuid.clone()
    }
}

/// Whether a token had been used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Use {
    /// Not before.
    First,
    /// Before.
    Again,
}

/// The account's playback keys, at most `limit`: uncompressed points on P-384.
///
/// # Errors
/// [`Error::Store`].
pub async fn keys(control: &Control, limit: u32) -> Result<Vec<Vec<u8>>, Error> {
    let select = Select { limit, ..Select::default() };
    let pairs: Vec<PlaybackKeyPair> = headwater_store::list(control.store(), select).await?;
    Ok(pairs.iter().filter_map(|pair| hex::decode(&pair.public_point).ok()).collect())
}

/// The restriction policy with this ARN.
///
/// # Errors
/// [`Error::Store`].
pub async fn restriction(control: &Control, arn: &str) -> Result<Option<PlaybackRestrictionPolicy>, Error> {
    Ok(headwater_store::find(control.store(), arn).await?)
}

/// Remembers that a token for one use was used, until the token itself is over and [`EXPIRY_AHEAD_MS_MAX`] more: a request that was let in
/// just before may spend it just after, and another token with the same use may end that much later.
///
/// # Errors
/// [`Error::Store`].
pub async fn spend(control: &Control, uuid: &str, until: Timestamp, now: Timestamp) -> Result<Use, Error> {
    let spent = SpentToken { uuid: uuid.into() };
    let mut batch = Batch::new();
    batch.insert(&spent)?;
    let expiry = Expiry { kind: SpentToken::KIND.into(), id: spent.id() };
    expiries::enqueue(&mut batch, expiry, now, until.plus_ms(EXPIRY_AHEAD_MS_MAX));
    match control.store().commit(batch).await {
        Ok(_) => Ok(Use::First),
        Err(headwater_store::Error::Exists { .. }) => Ok(Use::Again),
        Err(error) => Err(error.into()),
    }
}

/// What each request for media is checked with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// All policies.
    pub restrictions: Vec<PlaybackRestrictionPolicy>,
    /// Up to [`REVOCATIONS_MAX`] revocations.
    pub revocations: Vec<ViewerRevocation>,
}

/// Reads the standing now.
///
/// # Errors
/// [`Error::Store`].
pub async fn standing(control: &Control) -> Result<Standing, Error> {
    let some = Select { limit: REVOCATIONS_MAX, ..Select::default() };
    let revocations: Vec<ViewerRevocation> = headwater_store::list(control.store(), some).await?;
    if revocations.len() >= REVOCATIONS_MAX as usize {
        tracing::warn!(REVOCATIONS_MAX, "so many revocations stand that further ones act on new starts only");
    }
    let restrictions = headwater_store::list(control.store(), Select::default()).await?;
    Ok(Standing { restrictions, revocations })
}

/// Tells the standing now, after each change and once a minute, until cancelled: at once, and at most twice a second.
pub async fn follow(control: Control, tell: impl Fn(Standing) + Send, cancel: CancellationToken) {
    let topic = |kind: &str| control.store().watch(Topic::Kind(kind.into()));
    let (mut revoked, mut restricted) = (topic(ViewerRevocation::KIND), topic(PlaybackRestrictionPolicy::KIND));
    loop {
        // Seen before it is read, so that a change meanwhile is read again.
        revoked.mark_unchanged();
        restricted.mark_unchanged();
        let is_told = match standing(&control).await {
            Ok(standing) => {
                tell(standing);
                true
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "revocations and policies cannot be read");
                false
            }
        };
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
        if is_told {
            tokio::select! {
                () = cancel.cancelled() => return,
                changed = revoked.changed() => if changed.is_err() { return },
                changed = restricted.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(TOLD_AGAIN) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
