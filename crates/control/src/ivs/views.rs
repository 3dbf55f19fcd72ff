//! As many viewers as the account may have: told by an event, as IVS tells it.

use crate::{Control, Error};
use headwater_model::Timestamp;
use headwater_store::Batch;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Viewers come by the thousand, and each that is sent away asks again every few seconds: the event is told this often at most.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Tells that a viewer was sent away because `limit` watch, by the event `IVS Limit Breach` (`Concurrent Viewers`).
///
/// # Errors
/// [`Error::Store`].
pub async fn tell_breach(control: &Control, limit: u64, now: Timestamp) -> Result<(), Error> {
    let mut batch = Batch::new();
    batch.event(crate::sessions::too_many_viewers(limit, now));
    control.store().commit(batch).await?;
    Ok(())
}

/// Tells it when the count of those sent away has grown, at most once a minute, until cancelled.
pub async fn run(control: Control, limit: u64, mut turned_away: watch::Receiver<u64>, cancel: CancellationToken) {
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            changed = turned_away.changed() => if changed.is_err() { return },
        }
        tracing::warn!(limit, "viewers are sent away: as many watch as playback.views_max allows");
        if let Err(error) = tell_breach(&control, limit, Timestamp::now()).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a breach of the limit of viewers cannot be recorded"
            );
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(TOLD_EVERY) => {}
        }
    }
}
