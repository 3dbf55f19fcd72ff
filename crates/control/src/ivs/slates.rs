//! Failover slates: what viewers would see while a stream stands still. The resource is kept; it is not shown yet.

use super::resource::{self, Identity, check_name};
use super::{Page, PageRequest};
use crate::{Control, Error};
use headwater_model::Timestamp;
use headwater_model::ivs::{FailoverSlate, Tags};
use std::ops::RangeInclusive;

/// What a caller says of a slate. `None` means the default when it is made, and no change when it is changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// May be empty.
    pub name: Option<String>,
    /// Seconds without media before it is shown.
    pub activation_s: Option<u32>,
    /// Least seconds that it is shown.
    pub display_min_s: Option<u32>,
    /// Most seconds that it is shown.
    pub display_max_s: Option<u32>,
}

impl Settings {
    fn apply(&self, slate: &mut FailoverSlate) -> Result<(), Error> {
        if let Some(name) = &self.name {
            check_name(name)?;
            slate.name.clone_from(name);
        }
        let set = |member: &str, given: Option<u32>, bounds: RangeInclusive<u32>, kept: &mut u32| {
            let Some(seconds) = given else { return Ok(()) };
            if !bounds.contains(&seconds) {
                let (min, max) = bounds.into_inner();
                return Err(Error::invalid(format!("{member} must be between {min} and {max}")));
            }
            *kept = seconds;
            Ok(())
        };
        set("activationThresholdSeconds", self.activation_s, FailoverSlate::ACTIVATION_S, &mut slate.activation_s)?;
        set("minSlateDisplaySeconds", self.display_min_s, FailoverSlate::DISPLAY_MIN_S, &mut slate.display_min_s)?;
        set("maxSlateDisplaySeconds", self.display_max_s, FailoverSlate::DISPLAY_MAX_S, &mut slate.display_max_s)
    }
}

/// Makes a slate.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::QuotaExceeded`]; [`Error::Store`].
pub async fn create(
    control: &Control,
    settings: &Settings,
    tags: Tags,
    now: Timestamp,
) -> Result<FailoverSlate, Error> {
    let mut slate = FailoverSlate { tags, ..FailoverSlate::new(control.realm(), now) };
    settings.apply(&mut slate)?;
    let quota = ("failover slate configurations", control.quotas().failover_slate_configurations);
    resource::make(control, slate, Identity::Fresh, quota, |_, _| {}).await
}

/// Changes a slate.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::NotFound`]; [`Error::Store`].
pub async fn update(control: &Control, arn: &str, settings: &Settings) -> Result<FailoverSlate, Error> {
    resource::update(control, arn, |slate| settings.apply(slate)).await
}

/// Slates in ascending order of their ARNs; 100 in a page unless asked otherwise.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::Store`].
pub async fn list(control: &Control, request: &PageRequest) -> Result<Page<FailoverSlate>, Error> {
    resource::list(control, "ListFailoverSlateConfigurations", request, resource::LISTED_MAX).await
}
