//! Revocation of viewers' playback sessions: recorded durably, for the viewers' side to act on.
//!
//! The viewers' side learns of new ones by [`headwater_store::Topic::Kind`] of [`ViewerRevocation`]'s kind and asks
//! [`revoked_up_to`].

use super::channel;
use crate::expiries::{self, Expiry};
use crate::{Control, Error};
use headwater_model::Timestamp;
use headwater_model::ivs::ViewerRevocation;
use headwater_store::{Batch, Document, load};

/// Most viewers of one `BatchStartViewerSessionRevocation`.
pub const BATCH_MAX: usize = 20;

/// Whose sessions are to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// The channel.
    pub channel_arn: String,
    /// 1 to 40 characters.
    pub viewer_id: String,
    /// Sessions of this version and lower; 0 if a caller does not say.
    pub versions_up_to: i64,
}

/// Revokes the sessions of a viewer.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::NotFound`] if there is no such channel; [`Error::Store`].
pub async fn start(control: &Control, viewer: &Viewer, now: Timestamp) -> Result<(), Error> {
    let length = viewer.viewer_id.chars().count();
    let max = ViewerRevocation::VIEWER_ID_LENGTH_MAX;
    if length == 0 || length > max {
        return Err(Error::invalid(format!("viewerId must have 1 to {max} characters")));
    }
    if viewer.versions_up_to < 0 {
        return Err(Error::invalid("viewerSessionVersionsLessThanOrEqualTo may not be negative"));
    }
    channel(control, &viewer.channel_arn).await?;
    loop {
        let id = ViewerRevocation::record_id(&viewer.channel_arn, &viewer.viewer_id);
        let standing = load::<ViewerRevocation>(control.store(), &id).await?;
        let before = standing.as_ref().map_or(0, |standing| standing.value.versions_up_to);
        let revocation = ViewerRevocation {
            channel_arn: viewer.channel_arn.clone(),
            viewer_id: viewer.viewer_id.clone(),
            versions_up_to: viewer.versions_up_to.max(before),
            at: now,
        };
        let mut batch = Batch::new();
        match standing {
            Some(standing) => batch.update(&revocation, standing.revision)?,
            None => batch.insert(&revocation)?,
        };
        let expiry = Expiry { kind: ViewerRevocation::KIND.into(), id };
        expiries::enqueue(&mut batch, expiry, now, now.plus_ms(ViewerRevocation::KEPT_MS));
        match control.store().commit(batch).await {
            Ok(_) => break,
            Err(
                headwater_store::Error::Conflict { .. }
                | headwater_store::Error::Exists { .. }
                | headwater_store::Error::Missing { .. },
            ) => continue,
            Err(error) => return Err(error.into()),
        }
    }
    tracing::info!(channel = viewer.channel_arn, "sessions of a viewer are revoked");
    Ok(())
}

/// Revokes the sessions of several viewers; returns those that it could not be done for, with the reason.
///
/// # Errors
/// [`Error::Invalid`] if there are none or more than [`BATCH_MAX`]; [`Error::Store`].
pub async fn start_batch<'a>(
    control: &Control,
    viewers: &'a [Viewer],
    now: Timestamp,
) -> Result<Vec<(&'a Viewer, Error)>, Error> {
    if viewers.is_empty() || viewers.len() > BATCH_MAX {
        return Err(Error::invalid(format!("viewerSessions must have between 1 and {BATCH_MAX} entries")));
    }
    let mut refused = Vec::new();
    for viewer in viewers {
        match start(control, viewer, now).await {
            Ok(()) => {}
            Err(error @ (Error::Invalid { .. } | Error::NotFound { .. })) => refused.push((viewer, error)),
            Err(error) => return Err(error),
        }
    }
    Ok(refused)
}

/// The highest version of a viewer's sessions that is revoked, if any is.
///
/// # Errors
/// [`Error::Store`].
pub async fn revoked_up_to(control: &Control, channel_arn: &str, viewer_id: &str) -> Result<Option<i64>, Error> {
    let id = ViewerRevocation::record_id(channel_arn, viewer_id);
    let found = headwater_store::find::<ViewerRevocation>(control.store(), &id).await?;
    Ok(found.map(|revocation| revocation.versions_up_to))
}
