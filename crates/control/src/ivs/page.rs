//! Pages of lists, and the tokens that lead from one to the next.

use crate::Error;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// Longest token of a page (model, `PaginationToken`).
const TOKEN_LENGTH_MAX: usize = 1024;
/// Bytes of a token that say which list it belongs to: enough that no other one passes for it by mistake. A token opens
/// nothing, so nobody gains by making one.
const LISTING_BYTES: usize = 6;

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

/// Which list a page is of: the operation and all that narrows it. A token of one listing is refused by any other.
pub(super) struct Listing([u8; LISTING_BYTES]);

impl Listing {
    pub(super) fn new<'a>(operation: &'a str, narrowed_by: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hash = Sha256::new();
        for text in std::iter::once(operation).chain(narrowed_by) {
            hash.update(text.len().to_be_bytes());
            hash.update(text);
        }
        let mut start = [0; LISTING_BYTES];
        start.copy_from_slice(&hash.finalize()[..LISTING_BYTES]);
        Listing(start)
    }

    /// A page of at most `size` items from a list that holds one more if there is a next page.
    pub(super) fn page<T>(&self, mut items: Vec<T>, size: usize, id: impl Fn(&T) -> &str) -> Page<T> {
        let next_token = if items.len() > size {
            items.truncate(size);
            items.last().map(|last| URL_SAFE_NO_PAD.encode([&self.0, id(last).as_bytes()].concat()))
        } else {
            None
        };
        Page { items, next_token }
    }
}

impl PageRequest {
    /// How many items the page has, between 1 and the operation's limit.
    pub(super) fn size(&self, default: usize, limit: usize) -> Result<usize, Error> {
        let Some(asked) = self.max_results else { return Ok(default) };
        usize::try_from(asked)
            .ok()
            .filter(|asked| (1..=limit).contains(asked))
            .ok_or_else(|| Error::invalid(format!("maxResults must be between 1 and {limit}")))
    }

    /// Id of the last item of the page before.
    pub(super) fn after(&self, listing: &Listing) -> Result<Option<String>, Error> {
        let Some(token) = &self.next_token else { return Ok(None) };
        let wrong = || Error::invalid("nextToken is not one that this operation gave for these filters");
        if token.len() > TOKEN_LENGTH_MAX {
            return Err(wrong());
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| wrong())?;
        let id = bytes.strip_prefix(&listing.0).ok_or_else(wrong)?;
        String::from_utf8(id.to_vec()).map(Some).map_err(|_| wrong())
    }
}
