//! What an encoder says about its stream (`onMetaData` of RTMP).

use crate::track::FurtherTrack;

/// An encoder's own words about its stream. Advice: the codec configurations and the units themselves decide.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamMetadata {
    /// Name and version of the encoder.
    pub encoder: Option<String>,
    /// Pixels.
    pub width: Option<u32>,
    /// Pixels.
    pub height: Option<u32>,
    /// Frames in 1000 seconds: 29 970 for 29.97 frames a second.
    pub frame_rate_millis: Option<u32>,
    /// Bits a second.
    pub video_bitrate: Option<u64>,
    /// Bits a second.
    pub audio_bitrate: Option<u64>,
    /// What it says of further video tracks (`videoTrackIdInfoMap` of Enhanced RTMP v2).
    pub further: Vec<FurtherMetadata>,
}

/// An encoder's words about a further video track, where they differ from those about the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FurtherMetadata {
    /// Which.
    pub track: FurtherTrack,
    /// Frames in 1000 seconds.
    pub frame_rate_millis: Option<u32>,
    /// Bits a second.
    pub video_bitrate: Option<u64>,
}

impl StreamMetadata {
    /// The words about a further video track.
    pub fn of(&self, track: FurtherTrack) -> Option<&FurtherMetadata> {
        self.further.iter().find(|words| words.track == track)
    }

    /// Frames in 1000 seconds from a decimal frame rate, as AMF0 carries it. `None` unless it is within 1 to 1000 frames a second.
    pub fn millis_from_rate(frames_per_second: f64) -> Option<u32> {
        if (1.0..=1000.0).contains(&frames_per_second) {
            // Within the range checked above, so the cast keeps the value.
            Some((frames_per_second * 1000.0).round() as u32)
        } else {
            None
        }
    }

    /// Bits a second from kilobits a second, as AMF0 carries them. `None` unless within 1 kb/s to 1 Gb/s.
    pub fn bits_from_kilobits(kilobits_per_second: f64) -> Option<u64> {
        if (1.0..=1_000_000.0).contains(&kilobits_per_second) {
            Some((kilobits_per_second * 1000.0).round() as u64)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_out_of_range_are_no_advice() {
        assert_eq!(StreamMetadata::millis_from_rate(29.97), Some(29_970));
        assert_eq!(StreamMetadata::millis_from_rate(0.0), None);
        assert_eq!(StreamMetadata::millis_from_rate(f64::NAN), None);
        assert_eq!(StreamMetadata::millis_from_rate(1e300), None);
        assert_eq!(StreamMetadata::bits_from_kilobits(2500.0), Some(2_500_000));
        assert_eq!(StreamMetadata::bits_from_kilobits(f64::INFINITY), None);
    }
}
