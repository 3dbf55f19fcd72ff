//! What operations ask of live streams: the port that the live hub is connected to.

use async_trait::async_trait;
use headwater_live::{Audience, Finding, Hub, LadderState, Offer, PutCue, Rendition, Report};
use headwater_model::Timestamp;
use headwater_model::ivs::{AdBreak, StreamHealth};
use serde::Serialize;

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

/// A stream's quality ladder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ladder {
    /// `off`, `not_needed`, `sent`, `waiting`, `running`, `asleep`, `shed` or `unavailable`.
    pub state: &'static str,
    /// Why it is so, for people.
    pub reason: Option<String>,
    /// From the top down; the source is none of them.
    pub renditions: Vec<Rung>,
}

/// One rendition of a ladder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rung {
    /// As viewers see it: `480p30`.
    pub name: String,
    /// `made`, `waking`, `asleep` or `gone`.
    pub state: &'static str,
}

impl From<&Offer> for Ladder {
    fn from(offer: &Offer) -> Self {
        let reason = match &offer.ladder {
            LadderState::Unavailable(reason) => Some(reason.clone()),
            LadderState::Shed(count) => Some(format!("this machine cannot keep up: {count} renditions are not made")),
            _ => offer.encoder_note.clone(),
        };
        let rung = |one: &Rendition| Rung { name: one.name.clone(), state: one.state.as_str() };
        Ladder { state: offer.ladder.as_str(), reason, renditions: offer.renditions.iter().map(rung).collect() }
    }
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

    /// How the quality ladder of a channel's stream is; `None` if nothing is live.
    fn ladder(&self, channel_id: &str) -> Option<Ladder>;

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

    fn ladder(&self, channel_id: &str) -> Option<Ladder> {
        Hub::stream(self, channel_id).map(|stream| Ladder::from(&*stream.offer()))
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

/// IVS' health has three values and no reason, and is about what comes in: STARVING from three seconds without media on, told by `Starvation Start` and
/// `Starvation End`; HEALTHY otherwise; UNKNOWN before there is a playlist. The doctor's findings and the ladder's state change none of that, as IVS' shape has no
/// member for them: they are [`Broadcasts::findings`] and [`Broadcasts::ladder`], told by `diagnose`. A finding that IVS has an event for is a `Limit Breach`.
fn outside(stream: &headwater_live::LiveStream) -> LiveStream {
    LiveStream {
        stream_id: stream.stream_id.clone(),
        channel_arn: stream.channel.arn.clone(),
        started_at: stream.started_at,
        health: stream.health(),
        viewers: i64::try_from(stream.audience().viewers).unwrap_or(i64::MAX),
    }
}
