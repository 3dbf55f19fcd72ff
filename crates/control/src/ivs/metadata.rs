//! Timed metadata: a cue for the next part of a live stream.

use super::channel;
use super::rates::Recent;
use crate::{Control, Error};
use headwater_live::PutCue;
use headwater_model::Timestamp;
use headwater_model::ivs::{METADATA_BYTES_MAX, Quotas};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Channels that are kept count of before those without recent calls are forgotten. Only live channels are counted, so
/// after that there are at most as many as live channels.
const CHANNELS_KEPT: usize = 256;

/// When `PutMetadata` was called in the last second.
#[derive(Default)]
pub struct MetadataRate {
    calls: Mutex<Calls>,
}

#[derive(Default)]
struct Calls {
    /// For each live channel.
    of_channel: HashMap<String, Recent>,
    /// For all of them.
    of_account: Recent,
}

/// Whose quota a call would break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TooMany {
    /// So many a second are allowed.
    OfChannel(u64),
    /// So many a second are allowed.
    OfAccount(u64),
}

impl MetadataRate {
    /// Counts a call at `now` unless there were too many in the second before.
    fn admit(&self, channel_id: &str, quotas: &Quotas, now: Instant) -> Result<(), TooMany> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.of_channel.len() > CHANNELS_KEPT {
            calls.of_channel.retain(|_, recent| recent.is_busy(now));
        }
        if !calls.of_account.has_room(quotas.metadata_per_second_total, now) {
            return Err(TooMany::OfAccount(quotas.metadata_per_second_total));
        }
        let of_channel = calls.of_channel.entry(channel_id.into()).or_default();
        if !of_channel.has_room(quotas.metadata_per_second, now) {
            return Err(TooMany::OfChannel(quotas.metadata_per_second));
        }
        of_channel.note(now);
        calls.of_account.note(now);
        Ok(())
    }
}

/// Puts a payload into the next part of the channel's stream; returns the cue. The viewers have it when the part
/// is played, after this returned. A payload that is a question opens a poll.
///
/// # Errors
/// [`Error::Invalid`] if the payload is empty or has more than [`METADATA_BYTES_MAX`] bytes; [`Error::NotFound`];
/// [`Error::NotBroadcasting`]; [`Error::Throttled`] if there were as many calls in the last second as the quotas allow;
/// [`Error::Store`].
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
    control.metadata_rate().admit(&channel.id, control.quotas(), Instant::now()).map_err(|too_many| {
        let (scope, per_second) = match too_many {
            TooMany::OfChannel(limit) => ("one channel", limit),
            TooMany::OfAccount(limit) => ("all channels together", limit),
        };
        Error::Throttled { operation: "PutMetadata", per_second, scope }
    })?;
    let cue = control.broadcasts().put_cue(&channel.id, payload.into()).await.ok_or_else(offline)?;
    tracing::debug!(channel = channel_arn, stream_session = cue.stream_id, cue = cue.cue_id, "cue put");
    control.interact().cue(channel_arn, &cue.stream_id, &cue.cue_id, payload, now).await?;
    Ok(cue)
}

#[cfg(test)]
mod tests {
    use super::super::rates::WINDOW;
    use super::*;
    use std::time::Duration;

    fn rate() -> (MetadataRate, Quotas, Instant) {
        (MetadataRate::default(), Quotas::default(), Instant::now())
    }

    #[test]
    fn five_calls_of_a_channel_pass_in_any_second() {
        let (rate, quotas, start) = rate();
        let admit = |channel, ms| rate.admit(channel, &quotas, start + Duration::from_millis(ms));
        for call in 0..quotas.metadata_per_second {
            assert_eq!(admit("a", call * 100), Ok(()));
        }
        assert_eq!(admit("a", 500), Err(TooMany::OfChannel(5)), "the sixth within a second");
        assert_eq!(admit("b", 500), Ok(()), "another channel has its own count");
        assert_eq!(admit("a", 1000), Ok(()), "the first is a second old");
        assert_eq!(admit("a", 1000), Err(TooMany::OfChannel(5)), "the second is not");
    }

    #[test]
    fn all_channels_together_have_a_quota_of_their_own() {
        let (rate, quotas, start) = rate();
        for call in 0..quotas.metadata_per_second_total {
            assert_eq!(rate.admit(&format!("c{}", call / 5), &quotas, start), Ok(()));
        }
        assert_eq!(rate.admit("another", &quotas, start), Err(TooMany::OfAccount(155)));
        assert_eq!(rate.admit("another", &quotas, start + WINDOW), Ok(()));
    }

    #[test]
    fn channels_without_recent_calls_are_forgotten() {
        let (rate, quotas, start) = rate();
        let quotas = Quotas { metadata_per_second_total: u64::MAX, ..quotas };
        for channel in 0..=CHANNELS_KEPT {
            assert_eq!(rate.admit(&channel.to_string(), &quotas, start), Ok(()));
        }
        assert_eq!(rate.admit("late", &quotas, start + WINDOW), Ok(()));
        assert_eq!(rate.calls.lock().expect("no test panicked").of_channel.len(), 1);
    }
}
