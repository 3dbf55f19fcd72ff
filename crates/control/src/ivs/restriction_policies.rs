//! Playback restriction policies: countries and origins that a channel may be watched from.

use super::resource::{self, Identity, check_name};
use super::{Page, PageRequest};
use crate::{Control, Error};
use headwater_model::Timestamp;
use headwater_model::ivs::{PlaybackRestrictionPolicy, Tags, is_country, is_origin};

/// What a caller says of a policy. `None` means the default when it is made, and no change when it is changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// May be empty.
    pub name: Option<String>,
    /// ISO 3166-1 alpha-2; empty means all.
    pub allowed_countries: Option<Vec<String>>,
    /// As the header Origin writes them; empty means all.
    pub allowed_origins: Option<Vec<String>>,
    /// Whether a request without one of these origins is refused.
    pub strict_origin: Option<bool>,
}

impl Settings {
    fn apply(&self, policy: &mut PlaybackRestrictionPolicy) -> Result<(), Error> {
        if let Some(name) = &self.name {
            check_name(name)?;
            policy.name.clone_from(name);
        }
        if let Some(countries) = &self.allowed_countries {
            check_countries(countries)?;
            policy.allowed_countries.clone_from(countries);
        }
        if let Some(origins) = &self.allowed_origins {
            check_origins(origins)?;
            policy.allowed_origins.clone_from(origins);
        }
        policy.strict_origin = self.strict_origin.unwrap_or(policy.strict_origin);
        Ok(())
    }
}

fn check_countries(countries: &[String]) -> Result<(), Error> {
    if countries.len() > PlaybackRestrictionPolicy::COUNTRIES_MAX {
        let max = PlaybackRestrictionPolicy::COUNTRIES_MAX;
        return Err(Error::invalid(format!("allowedCountries may have {max} entries")));
    }
    match countries.iter().find(|country| !is_country(country)) {
        Some(wrong) => Err(Error::invalid(format!("allowedCountries: {wrong:?} is no ISO 3166-1 alpha-2 code"))),
        None => Ok(()),
    }
}

fn check_origins(origins: &[String]) -> Result<(), Error> {
    let (max, length_max) = (PlaybackRestrictionPolicy::ORIGINS_MAX, PlaybackRestrictionPolicy::ORIGIN_LENGTH_MAX);
    if origins.len() > max {
        return Err(Error::invalid(format!("allowedOrigins may have {max} entries")));
    }
    match origins.iter().find(|origin| origin.chars().count() > length_max || !is_origin(origin)) {
        Some(wrong) => Err(Error::invalid(format!(
            "allowedOrigins: {wrong:?} is no origin such as https://example.com, with up to {length_max} characters"
        ))),
        None => Ok(()),
    }
}

/// Makes a policy.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::QuotaExceeded`]; [`Error::Store`].
pub async fn create(
    control: &Control,
    settings: &Settings,
    tags: Tags,
    identity: Identity<'_>,
    now: Timestamp,
) -> Result<PlaybackRestrictionPolicy, Error> {
    let mut policy = PlaybackRestrictionPolicy { tags, ..PlaybackRestrictionPolicy::new(control.realm(), now) };
    settings.apply(&mut policy)?;
    let quota = ("playback restriction policies", control.quotas().playback_restriction_policies);
    resource::make(control, policy, identity, quota, |_, _| {}).await
}

/// Changes a policy.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::NotFound`]; [`Error::Store`].
pub async fn update(control: &Control, arn: &str, settings: &Settings) -> Result<PlaybackRestrictionPolicy, Error> {
    resource::update(control, arn, |policy| settings.apply(policy)).await
}

/// Policies in ascending order of their ARNs; one in a page unless asked otherwise.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::Store`].
pub async fn list(control: &Control, request: &PageRequest) -> Result<Page<PlaybackRestrictionPolicy>, Error> {
    resource::list(control, "ListPlaybackRestrictionPolicies", request, 1).await
}
