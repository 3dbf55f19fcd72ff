//! What operations ask of live streams: the port that the live hub is connected to.

use async_trait::async_trait;
use headwater_live::{Audience, Finding, Hub, PutCue, Report};
use headwater_model::Timestamp;
use headwater_model::ivs::{AdBreak, StreamHealth};

/// A stream that is live now, also while its encoder is awaited in the reconnect window.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveStream {
    /// `st-…`, the stream session.
    pub stream_id: String,
    /// The channel that it is on.
    pub channel_arn: String,
    /// When it began.
    pub started_at: Timestamp,
    /// How well the encoder keeps up.
    pub health: StreamHealth,
    /// Viewers now; -1 if they cannot be counted.
    pub viewers: i64,
}

/// Why an ad break is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdBreakRefusal {
    /// Nothing is live on the channel.
    NotBroadcasting,
    /// Another one runs, or is due.
    Runs {
        /// Its id.
        id: String,
    },
}

/// Live streams. Calls answer at once from what the hub knows, except for [`Broadcasts::stop`].
#[async_trait]
pub trait Broadcasts: Send + Sync + 'static {
    /// The stream on a channel, by the channel's id.
    fn stream(&self, channel_id: &str) -> Option<LiveStream>;

    /// All streams, in no order.
    fn streams(&self) -> Vec<LiveStream>;

    /// What is wrong with a channel's encoder, problems first; empty if nothing is live.
    fn findings(&self, channel_id: &str) -> Vec<Finding>;

    /// Who watches a channel's stream; `None` if nothing is live on it.
    fn audience(&self, channel_id: &str) -> Option<Audience>;

    /// Checks the playlists of a channel's stream; `None` if nothing is live on it. Some milliseconds of work.
    fn conformance(&self, channel_id: &str) -> Option<Report>;

    /// Puts a cue into the next part; `None` if nothing is live on the channel.
    async fn put_cue(&self, channel_id: &str, payload: String) -> Option<PutCue>;

    /// Marks an ad break in the stream's playlists and records its event; returns it with the time that it begins at.
    async fn insert_ad_break(&self, channel_id: &str, asked: AdBreak) -> Result<AdBreak, AdBreakRefusal>;

    /// Disconnects the encoder and ends the session; `false` if nothing is live on the channel.
    async fn stop(&self, channel_id: &str) -> bool;
}

/// The hub.
#[async_trait]
impl Broadcasts for Hub {
    fn stream(&self, channel_id: &str) -> Option<LiveStream> {
        Hub::stream(self, channel_id).map(|stream| outside(&stream))
    }

    fn streams(&self) -> Vec<LiveStream> {
        Hub::streams(self).iter().map(|stream| outside(stream)).collect()
    }

    fn findings(&self, channel_id: &str) -> Vec<Finding> {
        Hub::stream(self, channel_id).map(|stream| stream.findings()).unwrap_or_default()
    }

    fn audience(&self, channel_id: &str) -> Option<Audience> {
        Hub::stream(self, channel_id).map(|stream| stream.audience())
    }

    fn conformance(&self, channel_id: &str) -> Option<Report> {
        Hub::stream(self, channel_id).map(|stream| stream.conformance())
    }

    async fn put_cue(&self, channel_id: &str, payload: String) -> Option<PutCue> {
        Hub::put_cue(self, channel_id, payload).await.ok()
    }

    async fn insert_ad_break(&self, channel_id: &str, asked: AdBreak) -> Result<AdBreak, AdBreakRefusal> {
        Hub::insert_ad_break(self, channel_id, asked).await.map_err(|error| match error {
            headwater_live::AdBreakError::Runs { id } => AdBreakRefusal::Runs { id },
            _ => AdBreakRefusal::NotBroadcasting,
        })
    }

    async fn stop(&self, channel_id: &str) -> bool {
        Hub::stop(self, channel_id).await.is_ok()
    }
}

fn outside(stream: &headwater_live::LiveStream) -> LiveStream {
    LiveStream {
        stream_id: stream.stream_id.clone(),
        channel_arn: stream.channel.arn.clone(),
        started_at: stream.started_at,
        health: stream.health(),
        viewers: i64::try_from(stream.audience().viewers).unwrap_or(i64::MAX),
    }
}
