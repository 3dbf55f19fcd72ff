//! Parameters of Parameter Store. Source: Systems Manager `ssm` 2014-11-06. There are no labels, older versions, policies,
//! tiers, and no `SecureString`: there is no key management here.

use crate::{Control, Error};
use headwater_model::ssm::{Kind, Parameter};
use headwater_model::{Secret, Timestamp};
use headwater_store::{Batch, Document, Select, load};
use std::collections::BTreeMap;

/// Characters of a description.
const DESCRIPTION_LENGTH_MAX: usize = 1_024;
/// Tags of one parameter.
const TAGS_MAX: usize = 50;

/// What a caller says of a parameter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Put {
    /// Its name.
    pub name: String,
    /// What it holds; that of the present one, else `String`, if `None`.
    pub kind: Option<Kind>,
    /// Its value.
    pub value: String,
    /// What it is for; that of the present one if `None`.
    pub description: Option<String>,
    /// Its tags, if it is new.
    pub tags: BTreeMap<String, String>,
    /// Whether a present one gets the value.
    pub overwrite: bool,
}

/// The parameter of this name, or of this ARN.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Store`].
pub async fn parameter(control: &Control, name: &str) -> Result<Parameter, Error> {
    let plain = plain_name(control, name);
    let found = headwater_store::find(control.store(), &plain).await?;
    found.ok_or_else(|| Error::not_found("parameter", name))
}

/// The parameter of this very name, if there is one.
///
/// # Errors
/// [`Error::Store`].
pub async fn find(control: &Control, name: &str) -> Result<Option<Parameter>, Error> {
    Ok(headwater_store::find(control.store(), name).await?)
}

/// The name in an ARN, or the name itself. A name without slashes looks like one of a single level there.
fn plain_name(control: &Control, name: &str) -> String {
    let prefix = control.realm().arn("ssm", "parameter/");
    match name.strip_prefix(&prefix) {
        Some(rest) if rest.contains('/') => format!("/{rest}"),
        Some(rest) => rest.to_owned(),
        None => name.to_owned(),
    }
}

/// Gives a parameter a value; returns it.
///
/// # Errors
/// [`Error::Exists`] if there is one and it is not to be overwritten; [`Error::QuotaExceeded`]; [`Error::Invalid`];
/// [`Error::Store`].
pub async fn put(control: &Control, put: Put, now: Timestamp) -> Result<Parameter, Error> {
    check(&put)?;
    loop {
        let standing = load::<Parameter>(control.store(), &put.name).await?;
        if standing.is_some() && !put.overwrite {
            return Err(Error::Exists { kind: "parameter", id: put.name });
        }
        let present = standing.as_ref().map(|standing| &standing.value);
        let parameter = Parameter {
            name: put.name.clone(),
            kind: put.kind.or(present.map(|present| present.kind)).unwrap_or(Kind::String),
            value: Secret::new(put.value.clone()),
            version: present.map_or(1, |present| present.version + 1),
            description: match &put.description {
                Some(description) => description.clone(),
                None => present.map(|present| present.description.clone()).unwrap_or_default(),
            },
            tags: present.map_or_else(|| put.tags.clone(), |present| present.tags.clone()),
            modified_at: now,
        };
        let mut batch = Batch::new();
        match &standing {
            Some(standing) => batch.update(&parameter, standing.revision)?,
            None => batch.insert(&parameter)?.within::<Parameter>(Parameter::COUNT_MAX),
        };
        match control.store().commit(batch).await {
            Ok(_) => return Ok(parameter),
            Err(headwater_store::Error::Full { max, .. }) => {
                return Err(Error::QuotaExceeded { quota: "parameters", limit: max });
            }
            // Somebody else made, changed or deleted it meanwhile.
            Err(
                headwater_store::Error::Exists { .. }
                | headwater_store::Error::Conflict { .. }
                | headwater_store::Error::Missing { .. },
            ) => continue,
            Err(error) => return Err(error.into()),
        }
    }
}

fn check(put: &Put) -> Result<(), Error> {
    if !Parameter::is_valid_name(&put.name) {
        let rule = "letters, digits, '.', '_', '-' and up to 15 levels, each behind a slash";
        return Err(Error::invalid(format!("the name of a parameter is made of {rule}")));
    }
    if put.value.is_empty() || put.value.len() > Parameter::VALUE_BYTES_MAX {
        return Err(Error::invalid(format!("a value has 1 to {} bytes", Parameter::VALUE_BYTES_MAX)));
    }
    if put.description.as_ref().is_some_and(|text| text.chars().count() > DESCRIPTION_LENGTH_MAX) {
        return Err(Error::invalid(format!("a description has up to {DESCRIPTION_LENGTH_MAX} characters")));
    }
    check_tags(&put.tags)
}

fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), Error> {
    let is_good = |(key, value): (&String, &String)| (1..=128).contains(&key.len()) && value.len() <= 256;
    if tags.len() > TAGS_MAX || !tags.iter().all(is_good) {
        return Err(Error::invalid(format!("there may be {TAGS_MAX} tags with keys up to 128 and values up to 256")));
    }
    Ok(())
}

/// Parameters after the one of this name whose names begin so, ascending by name.
///
/// # Errors
/// [`Error::Store`].
pub async fn list(control: &Control, prefix: &str, after: Option<String>, limit: u32) -> Result<Vec<Parameter>, Error> {
    let select = Select { prefix: Some(prefix.into()), after, limit, ..Select::default() };
    Ok(headwater_store::list(control.store(), select).await?)
}

/// Deletes a parameter.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Store`].
pub async fn delete(control: &Control, name: &str) -> Result<(), Error> {
    let name = plain_name(control, name);
    let standing = load::<Parameter>(control.store(), &name).await?;
    standing.ok_or_else(|| Error::not_found("parameter", name.clone()))?;
    let mut batch = Batch::new();
    batch.delete::<Parameter>(&name);
    control.store().commit(batch).await?;
    Ok(())
}

/// Gives a parameter these tags besides those that it has, after it lost others.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`]; [`Error::Store`].
pub async fn retag(
    control: &Control,
    name: &str,
    gone: &[String],
    added: &BTreeMap<String, String>,
) -> Result<Parameter, Error> {
    let changed = headwater_store::update(control.store(), name, |parameter: &mut Parameter| {
        parameter.tags.retain(|key, _| !gone.contains(key));
        parameter.tags.extend(added.clone());
        check_tags(&parameter.tags)
    });
    match changed.await {
        Err(Error::Store(headwater_store::Error::Missing { .. })) => Err(Error::not_found(Parameter::KIND, name)),
        changed => changed,
    }
}
