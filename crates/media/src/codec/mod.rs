//! Codec parameter sets: what an init segment stores, and what is known from it.

pub mod aac;
pub mod av1;
pub mod avc;
pub mod hevc;

use crate::time::Timescale;
use crate::track::TrackKind;
use bytes::Bytes;

/// Largest codec configuration that is taken from a peer. Those of real encoders stay below 1 KB; the bound keeps an init segment small.
pub const CONFIG_BYTES_MAX: usize = 64 * 1024;

/// A configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The bytes end before the structure does, or a length points past them.
    #[error("{codec} configuration of {bytes} bytes is cut short")]
    Short {
        /// The codec's name.
        codec: &'static str,
        /// How many bytes there were.
        bytes: usize,
    },
    /// Longer than [`CONFIG_BYTES_MAX`].
    #[error("{codec} configuration of {bytes} bytes is larger than {CONFIG_BYTES_MAX}")]
    Long {
        /// The codec's name.
        codec: &'static str,
        /// How many bytes there were.
        bytes: usize,
    },
    /// A field has a value that the specification, or we, do not allow.
    #[error("{codec} configuration has {field} {value}")]
    Value {
        /// The codec's name.
        codec: &'static str,
        /// The field.
        field: &'static str,
        /// What it said.
        value: u64,
    },
}

/// The parameter sets of one track.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodecConfig {
    /// H.264.
    Avc(avc::Config),
    /// H.265.
    Hevc(hevc::Config),
    /// AV1.
    Av1(av1::Config),
    /// AAC.
    Aac(aac::Config),
}

impl CodecConfig {
    /// Pictures or sound.
    pub fn kind(&self) -> TrackKind {
        match self {
            CodecConfig::Avc(_) | CodecConfig::Hevc(_) | CodecConfig::Av1(_) => TrackKind::Video,
            CodecConfig::Aac(_) => TrackKind::Audio,
        }
    }

    /// Ticks of a track with this configuration.
    pub fn timescale(&self) -> Timescale {
        match self {
            CodecConfig::Avc(_) | CodecConfig::Hevc(_) | CodecConfig::Av1(_) => Timescale::VIDEO,
            CodecConfig::Aac(config) => config.timescale(),
        }
    }

    /// The value for CODECS, such as `avc1.42C028` or `mp4a.40.2`. Source: RFC 6381 and the codecs' ISOBMFF bindings.
    pub fn rfc6381(&self) -> String {
        match self {
            CodecConfig::Avc(config) => config.rfc6381(),
            CodecConfig::Hevc(config) => config.rfc6381(),
            CodecConfig::Av1(config) => config.rfc6381(),
            CodecConfig::Aac(config) => config.rfc6381(),
        }
    }

    /// The bytes as the container stores them: avcC, hvcC, av1C, or the AudioSpecificConfig.
    pub fn record(&self) -> &Bytes {
        match self {
            CodecConfig::Avc(config) => &config.record,
            CodecConfig::Hevc(config) => &config.record,
            CodecConfig::Av1(config) => &config.record,
            CodecConfig::Aac(config) => &config.record,
        }
    }

    /// Width and height in pixels, if this is video and its parameter sets could be read.
    pub fn dimensions(&self) -> Option<(u32, u32)> {
        match self {
            CodecConfig::Avc(config) => config.dimensions,
            CodecConfig::Hevc(config) => config.dimensions,
            CodecConfig::Av1(config) => config.dimensions,
            CodecConfig::Aac(_) => None,
        }
    }

    /// Frames in 1000 seconds, if the parameter sets say so.
    pub fn frame_rate_millis(&self) -> Option<u32> {
        match self {
            CodecConfig::Avc(config) => config.frame_rate_millis,
            _ => None,
        }
    }
}

/// Copies a configuration out of its message, so that a long-lived few bytes do not pin a socket buffer.
fn own(codec: &'static str, record: &[u8]) -> Result<Bytes, ConfigError> {
    if record.len() > CONFIG_BYTES_MAX {
        return Err(ConfigError::Long { codec, bytes: record.len() });
    }
    Ok(Bytes::copy_from_slice(record))
}
