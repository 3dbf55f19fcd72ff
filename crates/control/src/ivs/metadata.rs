//! Timed metadata: a cue for the next part of a live stream.

use super::channel;
use crate::{Control, Error};
use headwater_live::PutCue;
use headwater_model::Timestamp;
use headwater_model::ivs::{METADATA_BYTES_MAX, METADATA_CALLS_PER_SECOND};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The window in which calls are counted.
const WINDOW: Duration = Duration::from_secs(1);
/// Channels that are kept count of before those without recent calls are forgotten. Only live channels are counted, so
/// after that there are at most as many as live channels.
const CHANNELS_KEPT: usize = 256;

/// When `PutMetadata` was called for each live channel in the last second.
#[derive(Default)]
pub struct MetadataRate {
    calls: Mutex<HashMap<String, VecDeque<Instant>>>,
}

impl MetadataRate {
    /// Counts a call at `now` unless there were too many in the second before.
    fn admit(&self, channel_id: &str, now: Instant) -> bool {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old = |at: &Instant| now.duration_since(*at) >= WINDOW;
        if calls.len() > CHANNELS_KEPT {
            calls.retain(|_, calls| calls.back().is_some_and(|at| !is_old(at)));
        }
        let calls = calls.entry(channel_id.into()).or_default();
        while calls.front().is_some_and(is_old) {
            calls.pop_front();
        }
        if calls.len() >= METADATA_CALLS_PER_SECOND {
            return false;
        }
        calls.push_back(now);
        true
    }
}

/// Puts a payload into the next part of the channel's stream; returns the cue. The viewers have it when the part
/// is played, after this returned. A payload that is a question opens a poll.
///
/// # Errors
/// [`Error::Invalid`] if the payload is empty or has more than [`METADATA_BYTES_MAX`] bytes; [`Error::NotFound`];
/// [`Error::NotBroadcasting`]; [`Error::Throttled`] if there were [`METADATA_CALLS_PER_SECOND`] calls for the channel in
/// the last second; [`Error::Store`].
pub async fn put_metadata(
    control: &Control,
    channel_arn: &str,
    payload: &str,
    now: Timestamp,
) -> Result<PutCue, Error> {
    if payload.is_empty() {
        return Err(Error::invalid("metadata may not be empty"));
    }
    if payload.len() > METADATA_BYTES_MAX {
        return Err(Error::invalid(format!("metadata may have {METADATA_BYTES_MAX} bytes")));
    }
    let channel = channel(control, channel_arn).await?;
    let offline = || Error::NotBroadcasting { channel_arn: channel_arn.into() };
    control.broadcasts().stream(&channel.id).ok_or_else(offline)?;
    if !control.metadata_rate().admit(&channel.id, Instant::now()) {
        return Err(Error::Throttled { operation: "PutMetadata", per_second: METADATA_CALLS_PER_SECOND as u64 });
    }
    let cue = control.broadcasts().put_cue(&channel.id, payload.into()).await.ok_or_else(offline)?;
    tracing::debug!(channel = channel_arn, stream_session = cue.stream_id, cue = cue.cue_id, "cue put");
    control.interact().cue(channel_arn, &cue.stream_id, &cue.cue_id, payload, now).await?;
    Ok(cue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_calls_pass_in_any_second() {
        let rate = MetadataRate::default();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        for call in 0..METADATA_CALLS_PER_SECOND as u64 {
            assert!(rate.admit("a", at(call * 100)));
        }
        assert!(!rate.admit("a", at(500)), "the sixth within a second");
        assert!(rate.admit("b", at(500)), "another channel has its own count");
        assert!(rate.admit("a", at(1000)), "the first is a second old");
        assert!(!rate.admit("a", at(1000)), "the second is not");
    }

    #[test]
    fn channels_without_recent_calls_are_forgotten() {
        let rate = MetadataRate::default();
        let start = Instant::now();
        for channel in 0..=CHANNELS_KEPT {
            assert!(rate.admit(&channel.to_string(), start));
        }
        assert!(rate.admit("late", start + WINDOW));
        assert_eq!(rate.calls.lock().expect("no test panicked").len(), 1);
    }
}
