//! Streams that are live, and the sessions of the past.

use super::resource::{LISTED_MAX, check_arn, one_more};
use super::{Listing, Page, PageRequest, channel};
use crate::broadcasts::LiveStream;
use crate::{Control, Error};
use headwater_model::Timestamp;
use headwater_model::ivs::{Channel, StreamHealth, StreamSession};
use headwater_store::{Batch, Order, Select};
use std::sync::Arc;

/// Milliseconds between two events that tell of too many streams.
const BREACH_TOLD_EVERY_MS: i64 = 60_000;

/// Whether a stream is live on a channel.
pub fn is_live(control: &Control, channel: &Channel) -> bool {
    control.broadcasts().stream(&channel.id).is_some()
}

/// The stream that is live on a channel, and the channel.
///
/// # Errors
/// [`Error::NotFound`] if there is no such channel, [`Error::NotBroadcasting`] if it is offline; [`Error::Invalid`];
/// [`Error::Store`].
pub async fn stream(control: &Control, channel_arn: &str) -> Result<(Arc<Channel>, LiveStream), Error> {
    let channel = channel(control, channel_arn).await?;
    match control.broadcasts().stream(&channel.id) {
        Some(stream) => Ok((channel, stream)),
        None => Err(Error::NotBroadcasting { channel_arn: channel_arn.into() }),
    }
}

/// Streams that are live, in ascending order of their channels' ARNs; 100 in a page unless asked otherwise.
///
/// # Errors
/// [`Error::Invalid`].
pub fn list_streams(
    control: &Control,
    health: Option<StreamHealth>,
    request: &PageRequest,
) -> Result<Page<LiveStream>, Error> {
    let size = request.size(LISTED_MAX, LISTED_MAX)?;
    let narrowed_by = health.map_or("", |health| match health {
        StreamHealth::Healthy => "healthy",
        StreamHealth::Starving => "starving",
        StreamHealth::Unknown => "unknown",
    });
    let listing = Listing::new("ListStreams", [narrowed_by]);
    let after = request.after(&listing)?.unwrap_or_default();
    let mut streams = control.broadcasts().streams();
    streams.retain(|stream| stream.channel_arn > after && health.is_none_or(|wanted| wanted == stream.health));
    streams.sort_by(|a, b| a.channel_arn.cmp(&b.channel_arn));
    streams.truncate(size + 1);
    Ok(listing.page(streams, size, |stream| &stream.channel_arn))
}

/// Whether one more stream may begin: a channel's encoder may always come back. A refusal is told by the event `IVS Limit
/// Breach` (`Concurrent Broadcasts`), at most once a minute: encoders try again every few seconds.
///
/// # Errors
/// [`Error::QuotaExceeded`]; [`Error::Store`].
pub async fn admit(control: &Control, channel: &Channel, now: Timestamp) -> Result<(), Error> {
    let limit = control.quotas().concurrent_streams;
    if is_live(control, channel) || (control.broadcasts().streams().len() as u64) < limit {
        return Ok(());
    }
    if control.breach_is_news(now, BREACH_TOLD_EVERY_MS) {
        let mut batch = Batch::new();
        batch.event(crate::sessions::too_many_broadcasts(limit, now));
        control.store().commit(batch).await?;
    }
    tracing::warn!(channel = channel.arn, limit, "a stream is refused: as many are live as the quota allows");
    Err(Error::QuotaExceeded { quota: "concurrent streams", limit })
}

/// Disconnects the encoder of a channel. It may connect again as long as its key stands.
///
/// # Errors
/// As [`stream`].
pub async fn stop_stream(control: &Control, channel_arn: &str) -> Result<(), Error> {
    let channel = channel(control, channel_arn).await?;
    if !control.broadcasts().stop(&channel.id).await {
        return Err(Error::NotBroadcasting { channel_arn: channel_arn.into() });
    }
    Ok(())
}

/// One session of a channel, which may be gone: the one named, else the latest.
///
/// # Errors
/// [`Error::NotFound`] if there is no such channel or session; [`Error::Invalid`]; [`Error::Store`].
pub async fn stream_session(
    control: &Control,
    channel_arn: &str,
    stream_id: Option<&str>,
) -> Result<StreamSession, Error> {
    let Some(id) = stream_id else {
        let newest = sessions(control, channel_arn, None, 1).await?.pop();
        return newest.ok_or_else(|| Error::not_found("stream session of channel", channel_arn));
    };
    check_arn(channel_arn, "channel")?;
    let session: Option<StreamSession> = headwater_store::find(control.store(), id).await?;
    session.filter(|session| session.channel.arn == channel_arn).ok_or_else(|| Error::not_found("stream session", id))
}

/// Sessions of a channel, which may be gone, newest first; 100 in a page unless asked otherwise.
///
/// # Errors
/// [`Error::NotFound`] if there is neither the channel nor a session of it; [`Error::Invalid`]; [`Error::Store`].
pub async fn list_stream_sessions(
    control: &Control,
    channel_arn: &str,
    request: &PageRequest,
) -> Result<Page<StreamSession>, Error> {
    let size = request.size(LISTED_MAX, LISTED_MAX)?;
    let listing = Listing::new("ListStreamSessions", [channel_arn]);
    let after = request.after(&listing)?.map(|mark| place(&mark)).transpose()?;
    let found = sessions(control, channel_arn, after, one_more(size)).await?;
    let marked = found.into_iter().map(|session| (mark(&session), session)).collect();
    let page = listing.page(marked, size, |(mark, _)| mark);
    Ok(Page { items: page.items.into_iter().map(|(_, session)| session).collect(), next_token: page.next_token })
}

/// A session's place among those of its channel, as a page's token holds it.
fn mark(session: &StreamSession) -> String {
    format!("{}/{}", session.start_time.0, session.stream_id)
}

/// The place that [`mark`] wrote: when the session began, and its id.
fn place(mark: &str) -> Result<(i64, String), Error> {
    let parts = mark.split_once('/').and_then(|(start, id)| Some((start.parse().ok()?, id.to_owned())));
    parts.ok_or_else(|| Error::invalid("nextToken is not one that this operation gave"))
}

/// At most `limit` sessions of a channel after a place, newest first.
async fn sessions(
    control: &Control,
    channel_arn: &str,
    after: Option<(i64, String)>,
    limit: u32,
) -> Result<Vec<StreamSession>, Error> {
    check_arn(channel_arn, "channel")?;
    let order = Order::GreatestRankFirst { after };
    let is_first = order == Order::GreatestRankFirst { after: None };
    let select = Select { parent: Some(channel_arn.into()), order, limit, ..Select::default() };
    let found = headwater_store::list(control.store(), select).await?;
    if found.is_empty() && is_first {
        channel(control, channel_arn).await?;
    }
    Ok(found)
}
