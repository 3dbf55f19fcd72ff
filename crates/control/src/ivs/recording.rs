//! Recording configurations: made at once, usable when their bucket was looked at.

use super::resource::{self, Identity, check_name};
use super::{Page, PageRequest};
use crate::{Control, Error};
use headwater_model::Timestamp;
use headwater_model::bucket::Bucket;
use headwater_model::ivs::{
    RecordingConfiguration, RecordingMode, RecordingState, RenditionSelection, Tags, Thumbnails,
};
use headwater_store::{Batch, Job, Topic, load};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Configurations whose bucket is to be looked at.
const QUEUE: &str = "recording-configurations";
/// Configurations that are looked at in one go.
const CHECKED_AT_ONCE: u32 = 20;
/// Wait after the store failed.
const STORE_RETRY: Duration = Duration::from_secs(1);

#[derive(Serialize, Deserialize)]
struct Check {
    arn: String,
}

/// What a caller says of a recording configuration. It cannot be changed later.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// May be empty.
    pub name: String,
    /// 3 to 63 characters of `a-z`, `0-9`, hyphen and full stop.
    pub bucket: String,
    /// Seconds within which the next stream goes on with the same recording.
    pub reconnect_window_s: u32,
    /// How thumbnails are recorded.
    pub thumbnails: Thumbnails,
    /// Which renditions are recorded.
    pub renditions: RenditionSelection,
}

impl Settings {
    fn check(&self) -> Result<(), Error> {
        check_name(&self.name)?;
        let is_bucket_byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
        if !(3..=63).contains(&self.bucket.len()) || !self.bucket.bytes().all(is_bucket_byte) {
            return Err(Error::invalid("bucketName must have 3 to 63 characters of a-z, 0-9, hyphen and full stop"));
        }
        let max = RecordingConfiguration::RECONNECT_WINDOW_S_MAX;
        if self.reconnect_window_s > max {
            return Err(Error::invalid(format!("recordingReconnectWindowSeconds must be between 0 and {max}")));
        }
        let max = Thumbnails::INTERVAL_S_MAX;
        match (self.thumbnails.mode, self.thumbnails.interval_s) {
            (RecordingMode::Disabled, Some(_)) => {
                return Err(Error::invalid("targetIntervalSeconds is only for recordingMode INTERVAL"));
            }
            (RecordingMode::Interval, interval) if !interval.is_some_and(|interval| (1..=max).contains(&interval)) => {
                return Err(Error::invalid(format!("targetIntervalSeconds must be between 1 and {max}")));
            }
            _ => {}
        }
        if matches!(&self.renditions, RenditionSelection::Custom(renditions) if renditions.is_empty()) {
            return Err(Error::invalid("renditionSelection CUSTOM needs renditions"));
        }
        Ok(())
    }
}

/// Makes a recording configuration. It is CREATING until [`run`] has looked at its bucket.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::QuotaExceeded`]; [`Error::Store`].
pub async fn create(
    control: &Control,
    settings: Settings,
    tags: Tags,
    identity: Identity<'_>,
    now: Timestamp,
) -> Result<RecordingConfiguration, Error> {
    settings.check()?;
    let configuration = RecordingConfiguration {
        name: settings.name,
        reconnect_window_s: settings.reconnect_window_s,
        thumbnails: settings.thumbnails,
        renditions: settings.renditions,
        tags,
        ..RecordingConfiguration::new(control.realm(), settings.bucket, now)
    };
    let quota = ("recording configurations", control.quotas().recording_configurations);
    resource::make(control, configuration, identity, quota, |batch, made| {
        batch.enqueue(QUEUE, now, now, json!(Check { arn: made.arn.clone() }));
    })
    .await
}

/// Recording configurations in ascending order of their ARNs; 100 in a page unless asked otherwise.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::Store`].
pub async fn list(control: &Control, request: &PageRequest) -> Result<Page<RecordingConfiguration>, Error> {
    resource::list(control, "ListRecordingConfigurations", request, resource::LISTED_MAX).await
}

/// The configuration when its bucket was looked at. Looks itself: nobody need be waited for.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::NotFound`]; [`Error::Store`].
pub(crate) async fn settled(control: &Control, arn: &str) -> Result<RecordingConfiguration, Error> {
    loop {
        let configuration: RecordingConfiguration = resource::get(control, arn).await?;
        if configuration.state != RecordingState::Creating || check_due(control, Timestamp(i64::MAX)).await? == 0 {
            return Ok(configuration);
        }
    }
}

/// Looks at the buckets of configurations as they are made, until cancelled.
pub async fn run(control: Control, cancel: CancellationToken) {
    let mut queue = control.store().watch(Topic::Queue(QUEUE.into()));
    loop {
        queue.mark_unchanged();
        let pause = match check_due(&control, Timestamp(i64::MAX)).await {
            Ok(0) => None,
            Ok(_) => continue,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "recording configurations cannot be checked");
                Some(STORE_RETRY)
            }
        };
        tokio::select! {
            () = cancel.cancelled() => return,
            changed = queue.changed(), if pause.is_none() => if changed.is_err() { return },
            () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
        }
    }
}

/// Looks at the buckets of configurations that are due at `now`, a bounded number; returns how many.
///
/// # Errors
/// [`Error::Store`].
pub async fn check_due(control: &Control, now: Timestamp) -> Result<usize, Error> {
    let due = control.store().due_jobs(QUEUE, now, CHECKED_AT_ONCE).await?;
    for job in &due {
        check(control, job).await?;
    }
    Ok(due.len())
}

/// A bucket of this server is in its Region and account: it can be recorded to if it is there.
async fn check(control: &Control, job: &Job) -> Result<(), Error> {
    let store = control.store();
    loop {
        let mut batch = Batch::new();
        batch.complete(job.id);
        let wanted = Check::deserialize(&job.body).ok();
        let standing = match &wanted {
            Some(wanted) => load::<RecordingConfiguration>(store, &wanted.arn).await?,
            None => None,
        };
        if let Some(mut standing) = standing {
            let there = headwater_store::find::<Bucket>(store, &standing.value.bucket).await?.is_some();
            standing.value.state = if there { RecordingState::Active } else { RecordingState::CreateFailed };
            if !there {
                tracing::warn!(arn = standing.value.arn, bucket = standing.value.bucket, "there is no such bucket");
            }
            batch.update(&standing.value, standing.revision)?;
        }
        match store.commit(batch).await {
            Ok(_) => return Ok(()),
            Err(headwater_store::Error::Conflict { .. } | headwater_store::Error::Missing { .. }) => continue,
            Err(error) => return Err(error.into()),
        }
    }
}
