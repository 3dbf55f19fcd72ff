//! Channels, stream keys, streams and timed metadata. Source: model `ivs` 2020-07-14.
//!
//! | module | operations |
//! |---|---|
//! | [`channels`] | CreateChannel … DeleteChannel |
//! | [`keys`] | CreateStreamKey … DeleteStreamKey, and which channel a key opens |
//! | [`streams`] | GetStream, ListStreams, StopStream, the sessions of the past |
//! | [`metadata`] | PutMetadata |
//! | [`tags`] | TagResource and its like |

pub mod channels;
pub mod keys;
pub mod metadata;
pub mod streams;
pub mod tags;

pub use keys::resolve_key;
pub use metadata::MetadataRate;

use crate::{Control, Error};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Most resources in one call of the `BatchGet…` operations.
pub const BATCH_MAX: usize = 50;
/// Longest token of a page (model, `PaginationToken`).
const TOKEN_LENGTH_MAX: usize = 1024;

/// One page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// In the order of the whole list.
    pub items: Vec<T>,
    /// Where the next page begins; `None` on the last one.
    pub next_token: Option<String>,
}

/// Which page is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// From the page before.
    pub next_token: Option<String>,
    /// Items in one page; the operation's default if `None`.
    pub max_results: Option<i64>,
}

impl PageRequest {
    /// How many items the page has, between 1 and the operation's limit.
    fn size(&self, default: usize, limit: usize) -> Result<usize, Error> {
        let Some(asked) = self.max_results else { return Ok(default) };
        usize::try_from(asked)
            .ok()
            .filter(|asked| (1..=limit).contains(asked))
            .ok_or_else(|| Error::invalid(format!("maxResults must be between 1 and {limit}")))
    }

    /// Id of the last item of the page before.
    fn after(&self) -> Result<Option<String>, Error> {
        let Some(token) = &self.next_token else { return Ok(None) };
        let wrong = || Error::invalid("nextToken is not one that this operation gave");
        if token.len() > TOKEN_LENGTH_MAX {
            return Err(wrong());
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| wrong())?;
        String::from_utf8(bytes).map(Some).map_err(|_| wrong())
    }
}

/// A page of at most `size` items from a list that holds one more if there is a next page.
fn page<T>(mut items: Vec<T>, size: usize, id: impl Fn(&T) -> &str) -> Page<T> {
    let next_token = if items.len() > size {
        items.truncate(size);
        items.last().map(|last| URL_SAFE_NO_PAD.encode(id(last)))
    } else {
        None
    };
    Page { items, next_token }
}

/// Checks that a text is the ARN of an IVS resource of this kind. Whether the resource exists is another question.
fn check_arn(arn: &str, kind: &str) -> Result<(), Error> {
    let is_arn = || {
        let rest = arn.strip_prefix("arn:aws:ivs:")?;
        let mut parts = rest.splitn(3, ':');
        let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
        let id = resource.strip_prefix(kind)?.strip_prefix('/')?;
        let is_good = arn.len() <= 128
            && !region.is_empty()
            && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !account.is_empty()
            && account.bytes().all(|b| b.is_ascii_digit())
            && !id.is_empty()
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        is_good.then_some(())
    };
    is_arn().ok_or_else(|| Error::invalid(format!("arn is not the ARN of a {kind}")))
}

/// The channel with this ARN.
///
/// # Errors
/// [`Error::Invalid`] if the text is no channel's ARN; [`Error::NotFound`]; [`Error::Store`].
pub async fn channel(control: &Control, arn: &str) -> Result<headwater_model::ivs::Channel, Error> {
    check_arn(arn, "channel")?;
    headwater_store::find(control.store(), arn).await?.ok_or_else(|| Error::not_found("channel", arn))
}

/// Results of a `BatchGet…` operation: what was found, and which ARNs were not.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch<T> {
    /// In the order asked for.
    pub found: Vec<T>,
    /// ARNs of which there is nothing.
    pub missing: Vec<String>,
}

fn check_batch(arns: &[String], kind: &str) -> Result<(), Error> {
    if arns.is_empty() || arns.len() > BATCH_MAX {
        return Err(Error::invalid(format!("arns must have between 1 and {BATCH_MAX} entries")));
    }
    arns.iter().try_for_each(|arn| check_arn(arn, kind))
}

#[cfg(test)]
mod tests;
