//! Channels with what is live on them.

use super::Error;
use crate::{Control, ivs};
use headwater_model::ivs::{Channel, StreamHealth};
use headwater_store::Select;
use serde::Serialize;

/// A channel and its stream.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChannelState {
    /// Its id.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// Its name; may be empty.
    pub name: String,
    /// Address of its multivariant playlist.
    pub playback_url: String,
    /// Whether a stream is live on it.
    pub live: bool,
    /// The stream's id.
    pub stream_id: Option<String>,
    /// The stream's health.
    pub health: Option<StreamHealth>,
    /// When the stream began, ISO 8601.
    pub started_at: Option<String>,
}

/// All channels, ascending by ARN.
///
/// # Errors
/// [`Error::Control`].
pub async fn channels(control: &Control) -> Result<Vec<ChannelState>, Error> {
    let channels: Vec<Channel> = headwater_store::list(control.store(), Select::default()).await?;
    Ok(channels
        .into_iter()
        .map(|channel| {
            let stream = control.broadcasts().stream(&channel.id);
            ChannelState {
                playback_url: ivs::channels::playback_url(control, &channel),
                live: stream.is_some(),
                stream_id: stream.as_ref().map(|stream| stream.stream_id.clone()),
                health: stream.as_ref().map(|stream| stream.health),
                started_at: stream.as_ref().map(|stream| stream.started_at.iso_seconds()),
                id: channel.id,
                arn: channel.arn,
                name: channel.name,
            }
        })
        .collect())
}

/// The channel with this id, else the one with this name if there is no other.
pub(super) async fn named(control: &Control, id_or_name: &str) -> Result<Channel, crate::Error> {
    let channels: Vec<Channel> = headwater_store::list(control.store(), Select::default()).await?;
    if let Some(channel) = channels.iter().find(|channel| channel.id == id_or_name) {
        return Ok(channel.clone());
    }
    let mut same_name = channels.into_iter().filter(|channel| channel.name == id_or_name);
    match (same_name.next(), same_name.next()) {
        (Some(channel), None) => Ok(channel),
        (None, _) => Err(crate::Error::not_found("channel", id_or_name)),
        _ => Err(crate::Error::invalid(format!("more than one channel is named {id_or_name}; name it by its id"))),
    }
}
