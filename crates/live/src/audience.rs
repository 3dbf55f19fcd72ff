//! Who watches a stream, as the viewers' side counts and measures it.

/// The viewers of a stream at a moment. Whoever serves them publishes it every few seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// From the wish to play to the first picture, milliseconds: half of those that told were faster.
    pub startup_p50_ms: Option<u32>,
    /// Nineteen of twenty were faster.
    pub startup_p95_ms: Option<u32>,
    /// Bits per second of the rendition that the middle viewer plays.
    pub bitrate_p50_bps: Option<u64>,
    /// What all viewers together told of the last minute.
    pub last_minute: Troubles,
    /// How many are in each country, most first; ISO 3166-1 alpha-2, or `UNKNOWN`.
    pub countries: Vec<(String, u64)>,
    /// How many asked for each rendition last, most first; names are those in URLs.
    pub renditions: Vec<(String, u64)>,
}

/// What went wrong with pictures at viewers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Troubles {
    /// How often a picture stood still.
    pub stalls: u64,
    /// How long pictures stood still, milliseconds.
    pub stalled_ms: u64,
    /// Pictures that came too late to be shown.
    pub dropped_frames: u64,
}

impl Troubles {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Troubles) -> Troubles {
        Troubles {
            stalls: self.stalls.saturating_add(other.stalls),
            stalled_ms: self.stalled_ms.saturating_add(other.stalled_ms),
            dropped_frames: self.dropped_frames.saturating_add(other.dropped_frames),
        }
    }
}
