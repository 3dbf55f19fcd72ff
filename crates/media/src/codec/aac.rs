//! AAC: the AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1).

use super::{ConfigError, own};
use crate::bits::BitReader;
use crate::time::Timescale;
use bytes::Bytes;

const CODEC: &str = "aac";
/// Table 1.18 of ISO/IEC 14496-3, by index.
const SAMPLE_RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// An AudioSpecificConfig and what is known from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The configuration as it came.
    pub record: Bytes,
    /// Audio object type as signalled first: 2 is AAC-LC, 5 is HE-AAC, 29 is HE-AAC v2.
    pub object_type: u8,
    /// Hz of the core coder: what a frame's samples are counted in.
    pub sample_rate: u32,
    /// Channel configuration as channels: 1 mono, 2 stereo; 0 if the stream itself defines them.
    pub channels: u8,
    /// Samples of the core coder in an access unit: 1024, or 960.
    pub frame_samples: u32,
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`ConfigError`] if it is cut short, too long, or its sample rate is reserved or outside of 7 350–96 000 Hz.
    pub fn parse(record: &[u8]) -> Result<Config, ConfigError> {
        let owned = own(CODEC, record)?;
        let short = || ConfigError::Short { codec: CODEC, bytes: record.len() };
        let mut bits = BitReader::new(record);
        let object_type = object_type(&mut bits).ok_or_else(short)?;
        let sample_rate = sample_rate(&mut bits).ok_or_else(short)??;
        let channel_configuration = bits.bits(4).ok_or_else(short)?;
        let mut core_type = object_type;
        if matches!(object_type, 5 | 29) {
            sample_rate_of_extension(&mut bits).ok_or_else(short)?;
            core_type = self::object_type(&mut bits).ok_or_else(short)?;
        }
        let channels = match channel_configuration {
            value @ 0..=6 => value as u8,
            7 => 8,
            value => {
                return Err(ConfigError::Value { codec: CODEC, field: "channel configuration", value: value.into() });
            }
        };
        // GASpecificConfig begins with frameLengthFlag; an absent one is an encoder's economy and means 1024.
        let short_frames = matches!(core_type, 1..=4 | 6 | 7 | 17 | 19..=23) && bits.flag().unwrap_or(false);
        let frame_samples = if short_frames { 960 } else { 1024 };
        Ok(Config { record: owned, object_type, sample_rate, channels, frame_samples })
    }

    /// `mp4a.40.N`.
    pub fn rfc6381(&self) -> String {
        format!("mp4a.40.{}", self.object_type)
    }

    /// Ticks of its track: the sample rate.
    pub fn timescale(&self) -> Timescale {
        Timescale::new(self.sample_rate).expect("parse refuses sample rates below 7350 Hz")
    }
}

fn object_type(bits: &mut BitReader<'_>) -> Option<u8> {
    let value = match bits.bits(5)? {
        31 => 32 + bits.bits(6)?,
        value => value,
    };
    u8::try_from(value).ok()
}

fn sample_rate(bits: &mut BitReader<'_>) -> Option<Result<u32, ConfigError>> {
    let index = bits.bits(4)?;
    let rate = match index {
        15 => bits.bits(24)?,
        index => SAMPLE_RATES.get(index as usize).copied().unwrap_or(0),
    };
    Some(if (7_350..=96_000).contains(&rate) {
        Ok(rate)
    } else {
        Err(ConfigError::Value { codec: CODEC, field: "sample rate", value: rate.into() })
    })
}

fn sample_rate_of_extension(bits: &mut BitReader<'_>) -> Option<()> {
    match bits.bits(4)? {
        15 => bits.skip(24),
        _ => Some(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_complexity_stereo() {
        let config = Config::parse(&[0x12, 0x10, 0x56, 0xe5, 0x00]).unwrap();
        assert_eq!((config.sample_rate, config.channels, config.frame_samples), (44_100, 2, 1024));
        assert_eq!(config.rfc6381(), "mp4a.40.2");
        assert_eq!(Config::parse(&[0x11, 0x90]).unwrap().sample_rate, 48_000);
    }

    #[test]
    fn high_efficiency_counts_core_samples() {
        // AOT 5, 24 kHz core, stereo, extended to 48 kHz, core AOT 2.
        let config = Config::parse(&[0x2b, 0x11, 0x88, 0x00]).unwrap();
        assert_eq!((config.object_type, config.sample_rate, config.channels), (5, 24_000, 2));
        assert_eq!(config.rfc6381(), "mp4a.40.5");
    }

    #[test]
    fn explicit_rates_are_bounded() {
        // AOT 2, index 15, rate 0.
        let error = Config::parse(&[0x17, 0x80, 0x00, 0x00, 0x10]).unwrap_err();
        assert_eq!(error, ConfigError::Value { codec: "aac", field: "sample rate", value: 0 });
        assert_eq!(Config::parse(&[0x12]), Err(ConfigError::Short { codec: "aac", bytes: 1 }));
    }
}
