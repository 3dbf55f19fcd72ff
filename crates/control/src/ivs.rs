//! Channels, stream keys, streams and what channels refer to. Source: model `ivs` 2020-07-14.
//!
//! | module | operations |
//! |---|---|
//! | [`channels`] | CreateChannel … DeleteChannel |
//! | [`keys`] | CreateStreamKey … DeleteStreamKey, and which channel a key opens |
//! | [`streams`] | GetStream, ListStreams, StopStream, the sessions of the past |
//! | [`client_configuration`] | GetClientConfiguration, which encoders call |
//! | [`ingest`] | which ways in a channel takes |
//! | [`metadata`] | PutMetadata |
//! | [`ads`] | CreateAdConfiguration … DeleteAdConfiguration, InsertAdBreak |
//! | [`key_pairs`] | ImportPlaybackKeyPair … DeletePlaybackKeyPair |
//! | [`restriction_policies`] | CreatePlaybackRestrictionPolicy … DeletePlaybackRestrictionPolicy |
//! | [`recording`] | CreateRecordingConfiguration … DeleteRecordingConfiguration |
//! | [`slates`] | CreateFailoverSlateConfiguration … DeleteFailoverSlateConfiguration |
//! | [`revocations`] | StartViewerSessionRevocation, BatchStartViewerSessionRevocation |
//! | [`rates`] | how often each may be called |
//! | [`views`] | the event of too many viewers |
//! | [`tags`] | TagResource and its like |
//! | [`resource`] | what all of them share; getting and deleting one |

pub mod ads;
pub mod channels;
pub mod client_configuration;
pub mod ingest;
pub mod key_pairs;
pub mod keys;
pub mod metadata;
mod page;
pub mod rates;
pub mod recording;
pub mod resource;
pub mod restriction_policies;
pub mod revocations;
pub mod slates;
pub mod streams;
pub mod tags;
pub mod views;

pub use client_configuration::get_client_configuration;
pub use ingest::InsecureIngest;
pub use keys::{Opened, resolve_key};
pub use metadata::MetadataRate;
pub use page::{Page, PageRequest};
pub use rates::OperationRates;
pub use resource::{Identity, Resource};

use crate::cache::Cache;
use crate::{Control, Error};
use headwater_model::ivs::Channel;
use headwater_store::{Document, Store};
use page::Listing;
use resource::check_arn;
use std::sync::Arc;

/// Most resources in one call of the `BatchGet…` operations.
pub const BATCH_MAX: usize = 50;

/// Channels that are held in memory, a kilobyte or two each: more than the default quota allows.
const CHANNELS_CACHED_MAX: usize = 8_192;

/// Channels, each read once until one of them changes.
pub(crate) struct Channels(Cache<Channel>);

impl Channels {
    pub(crate) fn new(store: &dyn Store) -> Self {
        Channels(Cache::new(store, &[Channel::KIND], CHANNELS_CACHED_MAX))
    }
}

/// The channel with this ARN.
///
/// # Errors
/// [`Error::Invalid`] if the text is no channel's ARN; [`Error::NotFound`]; [`Error::Store`].
pub async fn channel(control: &Control, arn: &str) -> Result<Arc<Channel>, Error> {
    check_arn(arn, Channel::KIND)?;
    let read = async { Ok(headwater_store::find(control.store(), arn).await?) };
    control.channels().0.read(arn, read).await?.ok_or_else(|| Error::not_found(Channel::KIND, arn))
}

/// Results of a `BatchGet…` operation: what was found, and which ARNs were not.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch<T> {
    /// In the order asked for.
    pub found: Vec<T>,
    /// ARNs of which there is nothing.
    pub missing: Vec<String>,
}

/// Reads the resources with these ARNs.
async fn batch_get<R: Resource>(control: &Control, arns: &[String]) -> Result<Batch<R>, Error> {
    if arns.is_empty() || arns.len() > BATCH_MAX {
        return Err(Error::invalid(format!("arns must have between 1 and {BATCH_MAX} entries")));
    }
    arns.iter().try_for_each(|arn| check_arn(arn, R::KIND))?;
    let mut got = Batch { found: Vec::new(), missing: Vec::new() };
    for arn in arns {
        match headwater_store::find(control.store(), arn).await? {
            Some(found) => got.found.push(found),
            None => got.missing.push(arn.clone()),
        }
    }
    Ok(got)
}

#[cfg(test)]
mod tests;
