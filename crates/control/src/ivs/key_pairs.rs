//! Playback key pairs: the public keys that playback tokens are checked with.

use super::resource::{self, Identity, check_name};
use super::{Page, PageRequest};
use crate::{Control, Error};
use headwater_model::Timestamp;
use headwater_model::ivs::{PlaybackKeyPair, Tags, parse_public_key};

/// Imports a public key.
///
/// # Errors
/// [`Error::Invalid`] if it is no P-384 key in PEM; [`Error::Conflict`] if it was imported before;
/// [`Error::QuotaExceeded`]; [`Error::Store`].
pub async fn import(
    control: &Control,
    pem: &str,
    name: &str,
    tags: Tags,
    identity: Identity<'_>,
    now: Timestamp,
) -> Result<PlaybackKeyPair, Error> {
    check_name(name)?;
    let key = parse_public_key(pem).map_err(|error| Error::invalid(format!("publicKeyMaterial {error}")))?;
    let pair = PlaybackKeyPair { name: name.into(), tags, ..PlaybackKeyPair::new(control.realm(), key, now) };
    let label = pair.label();
    let quota = ("playback key pairs", control.quotas().playback_key_pairs);
    let made = resource::make(control, pair, identity, quota, |batch, _| {
        batch.unlabelled::<PlaybackKeyPair>(label);
    });
    match made.await {
        Err(Error::Store(headwater_store::Error::Labelled { .. })) => {
            Err(Error::conflict("this public key has been imported already"))
        }
        made => made,
    }
}

/// Key pairs in ascending order of their ARNs; 100 in a page unless asked otherwise.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::Store`].
pub async fn list(control: &Control, request: &PageRequest) -> Result<Page<PlaybackKeyPair>, Error> {
    resource::list(control, "ListPlaybackKeyPairs", request, resource::LISTED_MAX).await
}
