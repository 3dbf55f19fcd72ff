//! Tags of every kind of resource.

use super::resource::{self, Resource, kind_of};
use crate::{Control, Error};
use headwater_model::ivs::{
    AdConfiguration, Channel, FailoverSlate, PlaybackKeyPair, PlaybackRestrictionPolicy, RecordingConfiguration,
    StreamKey, TAGS_MAX, Tags,
};
use headwater_store::Document;

/// Calls a function for the type of the resource that an ARN names.
macro_rules! for_kind {
    ($arn:expr, $call:ident ( $($argument:expr),* )) => {
        match kind_of($arn) {
            Some(Channel::KIND) => $call::<Channel>($($argument),*).await,
            Some(StreamKey::KIND) => $call::<StreamKey>($($argument),*).await,
            Some(PlaybackKeyPair::KIND) => $call::<PlaybackKeyPair>($($argument),*).await,
            Some(PlaybackRestrictionPolicy::KIND) => $call::<PlaybackRestrictionPolicy>($($argument),*).await,
            Some(RecordingConfiguration::KIND) => $call::<RecordingConfiguration>($($argument),*).await,
            Some(AdConfiguration::KIND) => $call::<AdConfiguration>($($argument),*).await,
            Some(FailoverSlate::KIND) => $call::<FailoverSlate>($($argument),*).await,
            _ => Err(Error::invalid("resourceArn is not the ARN of an IVS resource")),
        }
    };
}

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
        check_key(key)?;
        if value.chars().count() > VALUE_LENGTH_MAX || !value.chars().all(is_allowed) {
            return Err(Error::invalid(format!(
                "Tags: the value of {key:?} has up to {VALUE_LENGTH_MAX} letters, digits, spaces and _ . : / = + - @"
            )));
        }
        if key.starts_with("aws:") {
            return Err(Error::invalid("Tags: keys that begin with aws: are reserved"));
        }
    }
    Ok(())
}

fn check_key(key: &str) -> Result<(), Error> {
    let length = key.chars().count();
    if length == 0 || length > KEY_LENGTH_MAX || !key.chars().all(is_allowed) {
        return Err(Error::invalid(format!(
            "Tags: the key {key:?}, expected 1 to {KEY_LENGTH_MAX} letters, digits, spaces and _ . : / = + - @"
        )));
    }
    Ok(())
}

fn is_allowed(c: char) -> bool {
    c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c)
}

/// Tags of a resource.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`]; [`Error::Store`].
pub async fn list_tags(control: &Control, arn: &str) -> Result<Tags, Error> {
    for_kind!(arn, read(control, arn))
}

/// Adds tags to a resource, over those of the same keys.
///
/// # Errors
/// As [`list_tags`].
pub async fn tag(control: &Control, arn: &str, added: &Tags) -> Result<(), Error> {
    check(added)?;
    for_kind!(arn, add(control, arn, added))
}

/// Removes tags from a resource; missing ones are fine.
///
/// # Errors
/// As [`list_tags`].
pub async fn untag(control: &Control, arn: &str, keys: &[String]) -> Result<(), Error> {
    if keys.len() > TAGS_MAX {
        return Err(Error::invalid(format!("tagKeys may have {TAGS_MAX} entries")));
    }
    keys.iter().try_for_each(|key| check_key(key))?;
    for_kind!(arn, remove(control, arn, keys))
}

async fn read<R: Resource>(control: &Control, arn: &str) -> Result<Tags, Error> {
    Ok(resource::get::<R>(control, arn).await?.tags().clone())
}

async fn add<R: Resource>(control: &Control, arn: &str, added: &Tags) -> Result<(), Error> {
    let change = |resource: &mut R| {
        resource.tags_mut().extend(added.clone());
        check(resource.tags())
    };
    resource::update(control, arn, change).await.map(drop)
}

async fn remove<R: Resource>(control: &Control, arn: &str, keys: &[String]) -> Result<(), Error> {
    let change = |resource: &mut R| {
        resource.tags_mut().retain(|key, _| !keys.contains(key));
        Ok(())
    };
    resource::update(control, arn, change).await.map(drop)
}
