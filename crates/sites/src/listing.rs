//! Objects by prefix and delimiter, in order of their keys' bytes.

use crate::{Error, Sites};
use headwater_model::bucket::Object;
use headwater_store::{Select, list};

/// Records read at once.
const PAGE: u32 = 1000;
/// Most entries of one answer.
pub const LIST_MAX: u32 = 1000;

/// Which objects.
#[derive(Clone, Debug)]
pub struct ListObjects {
    /// Only keys that begin so.
    pub prefix: String,
    /// Keys that hold this after the prefix are folded into one common prefix that ends with it.
    pub delimiter: Option<String>,
    /// Only what comes after this key or common prefix.
    pub after: Option<String>,
    /// At most so many objects and common prefixes together; at most [`LIST_MAX`].
    pub limit: u32,
}

impl Default for ListObjects {
    fn default() -> Self {
        ListObjects { prefix: String::new(), delimiter: None, after: None, limit: LIST_MAX }
    }
}

/// A page of a listing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// Ascending by key.
    pub objects: Vec<Object>,
    /// Ascending.
    pub common_prefixes: Vec<String>,
    /// Where the next page begins, if there is one: the last key or common prefix of this page.
    pub next_after: Option<String>,
}

impl Listing {
    fn len(&self) -> usize {
        self.objects.len() + self.common_prefixes.len()
    }
}

impl Sites {
    /// Lists objects of a bucket.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`]; [`Error::Store`].
    pub async fn list_objects(&self, bucket: &str, select: ListObjects) -> Result<Listing, Error> {
        self.bucket(bucket).await?;
        let ListObjects { prefix, delimiter, after, limit } = select;
        let limit = limit.min(LIST_MAX) as usize;
        let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty());
        let mut listing = Listing::default();
        if limit == 0 {
            return Ok(listing);
        }
        let folded = |key: &str| {
            let delimiter = delimiter.as_deref()?;
            let at = key.strip_prefix(prefix.as_str())?.find(delimiter)?;
            Some(key[..prefix.len() + at + delimiter.len()].to_owned())
        };
        // A page that ended with a common prefix is followed by what comes after all that it stands for.
        let mut skip = after.clone().filter(|after| folded(after).as_ref() == Some(after));
        let mut cursor = after;
        let mut last = None;
        loop {
            if let Some(skip) = &skip {
                cursor = Some(format!("{skip}{}", char::MAX));
            }
            let page = list::<Object>(
                self.store(),
                Select {
                    parent: Some(bucket.to_owned()),
                    prefix: Some(format!("{bucket}/{prefix}")),
                    after: cursor.map(|key| format!("{bucket}/{key}")),
                    limit: PAGE,
                    ..Select::default()
                },
            )
            .await?;
            let more = page.len() == PAGE as usize;
            cursor = page.last().map(|object| object.key.clone());
            for object in page {
                if skip.as_ref().is_some_and(|skip| object.key.starts_with(skip.as_str())) {
                    continue;
                }
                if listing.len() == limit {
                    listing.next_after = last;
                    return Ok(listing);
                }
                match folded(&object.key) {
                    Some(common) => {
                        last = Some(common.clone());
                        listing.common_prefixes.push(common.clone());
                        skip = Some(common);
                    }
                    None => {
                        last = Some(object.key.clone());
                        listing.objects.push(object);
                        skip = None;
                    }
                }
            }
            if !more {
                return Ok(listing);
            }
        }
    }
}
