//! How many of each thing an account may have. Source: IVS "Service Quotas".

use serde::{Deserialize, Serialize};

/// Limits that the operator may set; the defaults are those of IVS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quotas {
    /// Channels.
    pub channels: u64,
    /// Stream keys of one channel.
    pub stream_keys_per_channel: u64,
    /// Streams that are live at a time; one more is refused.
    pub concurrent_streams: u64,
    /// Playback key pairs.
    pub playback_key_pairs: u64,
    /// Playback restriction policies.
    pub playback_restriction_policies: u64,
    /// Recording configurations.
    pub recording_configurations: u64,
    /// Ad configurations.
    pub ad_configurations: u64,
    /// Failover slates. IVS publishes no number; this is that of the other configurations.
    pub failover_slate_configurations: u64,
    /// `PutMetadata` calls a second for one channel.
    pub metadata_per_second: u64,
    /// `PutMetadata` calls a second for all channels together.
    pub metadata_per_second_total: u64,
    /// By what IVS' rates of its other operations are multiplied; 0 for no limit.
    pub operation_rate_factor: u64,
}

impl Default for Quotas {
    fn default() -> Self {
        Quotas {
            channels: 5_000,
            stream_keys_per_channel: 1,
            concurrent_streams: 100,
            playback_key_pairs: 3,
            playback_restriction_policies: 3,
            recording_configurations: 20,
            ad_configurations: 20,
            failover_slate_configurations: 20,
            metadata_per_second: 5,
            metadata_per_second_total: 155,
            operation_rate_factor: 100,
        }
    }
}
