//! Streams that are live, and the sessions of the past.

use super::{Page, PageRequest, channel, check_arn, page};
use crate::broadcasts::LiveStream;
use crate::{Control, Error};
use headwater_model::ivs::{Channel, StreamHealth, StreamSession};
use headwater_store::Select;

/// Whether a stream is live on a channel.
pub fn is_live(control: &Control, channel: &Channel) -> bool {
    control.broadcasts().stream(&channel.id).is_some()
}

/// The stream that is live on a channel, and the channel.
///
/// # Errors
/// [`Error::NotFound`] if there is no such channel, [`Error::NotBroadcasting`] if it is offline; [`Error::Invalid`];
/// [`Error::Store`].
pub async fn stream(control: &Control, channel_arn: &str) -> Result<(Channel, LiveStream), Error> {
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
    let size = request.size(100, 100)?;
    let after = request.after()?.unwrap_or_default();
    let mut streams = control.broadcasts().streams();
    streams.retain(|stream| stream.channel_arn > after && health.is_none_or(|wanted| wanted == stream.health));
    streams.sort_by(|a, b| a.channel_arn.cmp(&b.channel_arn));
    streams.truncate(size + 1);
    Ok(page(streams, size, |stream| &stream.channel_arn))
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
    let mut sessions = sessions(control, channel_arn).await?;
    match stream_id {
        None => {
            if sessions.is_empty() {
                return Err(Error::not_found("stream session of channel", channel_arn));
            }
            Ok(sessions.swap_remove(0))
        }
        Some(id) => sessions
            .into_iter()
            .find(|session| session.stream_id == id)
            .ok_or_else(|| Error::not_found("stream session", id)),
    }
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
    let size = request.size(100, 100)?;
    let mut sessions = sessions(control, channel_arn).await?;
    if let Some(after) = request.after()? {
        let last = sessions.iter().position(|session| session.stream_id == after);
        let last = last.ok_or_else(|| Error::invalid("nextToken is not one that this operation gave"))?;
        sessions.drain(..=last);
    }
    sessions.truncate(size + 1);
    Ok(page(sessions, size, |session| &session.stream_id))
}

/// All sessions of a channel, newest first.
async fn sessions(control: &Control, channel_arn: &str) -> Result<Vec<StreamSession>, Error> {
    check_arn(channel_arn, "channel")?;
    let select = Select { parent: Some(channel_arn.into()), ..Select::default() };
    let mut sessions: Vec<StreamSession> = headwater_store::list(control.store(), select).await?;
    if sessions.is_empty() {
        channel(control, channel_arn).await?;
    }
    sessions.sort_by(|a, b| (b.start_time, &b.stream_id).cmp(&(a.start_time, &a.stream_id)));
    Ok(sessions)
}
