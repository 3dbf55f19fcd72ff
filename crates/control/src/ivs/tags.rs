//! Tags of channels and stream keys.

use super::check_arn;
use crate::{Control, Error};
use headwater_model::ivs::{Channel, StreamKey, TAGS_MAX, Tags};

/// Characters of a tag's key and value (model, `TagKey` and `TagValue`).
const KEY_LENGTH_MAX: usize = 128;
const VALUE_LENGTH_MAX: usize = 256;

/// Checks tags against the rules that all of AWS shares.
///
/// # Errors
/// [`Error::Invalid`].
pub(super) fn check(tags: &Tags) -> Result<(), Error> {
    if tags.len() > TAGS_MAX {
        return Err(Error::invalid(format!("Tags: a resource may have {TAGS_MAX} tags")));
    }
    for (key, value) in tags {
        let key_length = key.chars().count();
        if key_length == 0 || key_length > KEY_LENGTH_MAX || value.chars().count() > VALUE_LENGTH_MAX {
            return Err(Error::invalid(format!(
                "Tags: a tag's key has 1 to {KEY_LENGTH_MAX} characters and its value up to {VALUE_LENGTH_MAX}"
            )));
        }
        if key.starts_with("aws:") {
            return Err(Error::invalid("Tags: keys that begin with aws: are reserved"));
        }
        let is_allowed = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c);
        if !key.chars().all(is_allowed) || !value.chars().all(is_allowed) {
            return Err(Error::invalid(format!(
                "Tags: {key:?} = {value:?}, expected letters, digits, spaces and _ . : / = + - @"
            )));
        }
    }
    Ok(())
}

/// Tags of a resource.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`]; [`Error::Store`].
pub async fn list_tags(control: &Control, arn: &str) -> Result<Tags, Error> {
    if check_arn(arn, "stream-key").is_ok() {
        return super::keys::stream_key(control, arn).await.map(|key| key.tags);
    }
    super::channel(control, arn).await.map(|channel| channel.tags)
}

/// Adds tags to a resource, over those of the same keys.
///
/// # Errors
/// As [`list_tags`].
pub async fn tag(control: &Control, arn: &str, added: &Tags) -> Result<(), Error> {
    change(control, arn, |tags| {
        tags.extend(added.clone());
        check(tags)
    })
    .await
}

/// Removes tags from a resource; missing ones are fine.
///
/// # Errors
/// As [`list_tags`].
pub async fn untag(control: &Control, arn: &str, keys: &[String]) -> Result<(), Error> {
    if keys.len() > TAGS_MAX {
        return Err(Error::invalid(format!("tagKeys may have {TAGS_MAX} entries")));
    }
    change(control, arn, |tags| {
        tags.retain(|key, _| !keys.contains(key));
        Ok(())
    })
    .await
}

async fn change(
    control: &Control,
    arn: &str,
    mut change: impl FnMut(&mut Tags) -> Result<(), Error>,
) -> Result<(), Error> {
    let store = control.store();
    let changed = if check_arn(arn, "stream-key").is_ok() {
        headwater_store::update(store, arn, |key: &mut StreamKey| change(&mut key.tags)).await.map(|_| ())
    } else {
        check_arn(arn, "channel")?;
        headwater_store::update(store, arn, |channel: &mut Channel| change(&mut channel.tags)).await.map(|_| ())
    };
    match changed {
        Err(Error::Store(headwater_store::Error::Missing { .. })) => Err(Error::not_found("resource", arn)),
        other => other,
    }
}
