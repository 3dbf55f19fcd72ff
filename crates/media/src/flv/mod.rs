//! What RTMP carries: FLV tag bodies into tracks and access units.
//!
//! [`Demuxer`] takes the bodies of RTMP's video and audio messages with their 32-bit timestamps and returns [`Unit`]s in the same
//! order. It owns no buffers: an access unit is a slice of its message.
//!
//! | specification | what is read |
//! |---|---|
//! | FLV 10.1, E.4.2 and E.4.3 | H.264 and AAC |
//! | Enhanced RTMP v2, "Enhanced Video" and "Enhanced Audio" | `avc1`, `hvc1`, `av01`, `mp4a`; ModEx is passed over; multitrack is refused |
//!
//! *Units*: video in ticks of 90 kHz, audio in ticks of its sample rate. Timestamps are unwrapped to 64 bits; a jump is passed on as it came, and
//! the owner of the timeline decides about it.

mod audio;
mod clock;
pub mod mux;
mod reader;
mod video;

#[cfg(test)]
mod tests;

use crate::codec::ConfigError;
use crate::metadata::StreamMetadata;
use crate::track::{AccessUnit, Track, TrackKind};
use bytes::Bytes;
use clock::{AudioClock, Unwrapper};

/// Largest access unit that is taken from a peer: ten times the mean picture of a 100 Mb/s stream at 30 frames a second.
pub const ACCESS_UNIT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a message held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A codec configuration: at the start, and again when it changes or is repeated.
    Config(Track),
    /// An access unit of the track that was configured last.
    Access(AccessUnit),
    /// What the encoder says about its stream. The demuxer never makes one: `onMetaData` is a data message, which the RTMP shell reads.
    Metadata(StreamMetadata),
    /// Something harmless that we have no use for.
    Ignored,
}

/// A message that is not what the specifications allow, or that we do not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The body ends before its header does.
    #[error("{kind:?} message of {bytes} bytes is cut short")]
    Short {
        /// Which message.
        kind: TrackKind,
        /// Bytes of the whole body.
        bytes: usize,
    },
    /// Larger than [`ACCESS_UNIT_BYTES_MAX`].
    #[error("{kind:?} message of {bytes} bytes is larger than {ACCESS_UNIT_BYTES_MAX}")]
    Long {
        /// Which message.
        kind: TrackKind,
        /// Bytes of the whole body.
        bytes: usize,
    },
    /// A codec that we do not take, by its number in legacy FLV.
    #[error("{kind:?} codec {id} of FLV is not supported; send H.264 and AAC")]
    Codec {
        /// Which message.
        kind: TrackKind,
        /// `CodecID` or `SoundFormat`.
        id: u8,
    },
    /// A codec that we do not take, by its FourCC in Enhanced RTMP.
    #[error("{kind:?} codec '{}' is not supported; send H.264, HEVC or AV1 with AAC", fourcc.escape_ascii())]
    FourCc {
        /// Which message.
        kind: TrackKind,
        /// The code.
        fourcc: [u8; 4],
    },
    /// More than one track of a kind.
    #[error("multitrack {kind:?} is not supported; send one track")]
    Multitrack {
        /// Which message.
        kind: TrackKind,
    },
    /// An access unit of a track whose configuration has not come.
    #[error("{kind:?} data came before its codec configuration")]
    Unconfigured {
        /// Which message.
        kind: TrackKind,
    },
    /// NAL unit lengths that do not add up to the access unit.
    #[error("NAL unit at byte {at} of {bytes} claims {length} bytes")]
    NalLength {
        /// Where its length stands.
        at: usize,
        /// What it says.
        length: usize,
        /// Bytes of the access unit.
        bytes: usize,
    },
    /// A codec configuration that cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Turns message bodies into units. One for each publishing connection.
///
/// Feed it the messages in the order in which they came; each call returns what the message held. After an error the demuxer
/// is as it was before the message: the caller may close the connection, or count and go on.
#[derive(Debug, Default)]
pub struct Demuxer {
    unwrapper: Unwrapper,
    video: Option<Track>,
    audio: Option<(Track, AudioClock)>,
}

impl Demuxer {
    /// A demuxer that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the body of a video message (RTMP type 9) with its timestamp in milliseconds.
    ///
    /// # Errors
    /// [`Error`]: the message is malformed, too large, or of a codec that is not taken.
    pub fn video(&mut self, timestamp_ms: u32, body: Bytes) -> Result<Vec<Unit>, Error> {
        let parsed = video::parse(self.video.as_ref(), body)?;
        let timestamp_ms = self.unwrapper.unwrap(timestamp_ms);
        Ok(vec![match parsed {
            video::Message::Config(track) => {
                self.video = Some(track.clone());
                Unit::Config(track)
            }
            video::Message::Picture { keyframe, composition_ms, data } => {
                let dts = timestamp_ms.saturating_mul(90);
                Unit::Access(AccessUnit {
                    kind: TrackKind::Video,
                    dts,
                    pts: dts.saturating_add(i64::from(composition_ms) * 90),
                    keyframe,
                    data,
                })
            }
            video::Message::Ignored => Unit::Ignored,
        }])
    }

    /// Takes the body of an audio message (RTMP type 8) with its timestamp in milliseconds.
    ///
    /// # Errors
    /// [`Error`]: the message is malformed, too large, or of a codec that is not taken.
    pub fn audio(&mut self, timestamp_ms: u32, body: Bytes) -> Result<Vec<Unit>, Error> {
        let parsed = audio::parse(self.audio.as_ref().map(|(track, _)| track), body)?;
        let timestamp_ms = self.unwrapper.unwrap(timestamp_ms);
        Ok(vec![match parsed {
            audio::Message::Config { track, frame_samples } => {
                // The same configuration again must not disturb the clock.
                if self.audio.as_ref().is_none_or(|(known, _)| *known != track) {
                    let clock = AudioClock::new(track.timescale, frame_samples);
                    self.audio = Some((track.clone(), clock));
                }
                Unit::Config(track)
            }
            audio::Message::Frame(data) => match &mut self.audio {
                Some((_, clock)) => {
                    let dts = clock.stamp(timestamp_ms);
                    Unit::Access(AccessUnit {
                        kind: TrackKind::Audio,
                        dts,
                        pts: dts,
                        keyframe: crate::track::Keyframe::Yes,
                        data,
                    })
                }
                None => {
                    return Err(Error::Unconfigured { kind: TrackKind::Audio });
                }
            },
            audio::Message::Ignored => Unit::Ignored,
        }])
    }
}
