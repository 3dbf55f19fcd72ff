//! Who watches a stream, as the viewers' side counts and measures it.

/// The viewers of a stream at a moment. Whoever serves them publishes it every few seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    /// Viewer sessions that play.
    pub viewers: u64,
    /// Those of them that told lately how they fare.
    pub measured: u64,
    /// Of the measured ones, those that stood still lately.
    pub stalled: u64,
    /// From the encoder to the picture, milliseconds: half of those that told are nearer.
    pub latency_p50_ms: Option<u32>,
    /// Nineteen of twenty are nearer.
    pub latency_p95_ms: Option<u32>,
    /// Bits per second of the rendition that the middle viewer plays.
    pub bitrate_p50_bps: Option<u64>,
}
