//! What RTMP carries: FLV tag bodies into tracks and access units.
//!
//! [`Demuxer`] takes the bodies of RTMP's video and audio messages with their 32-bit timestamps and returns [`Unit`]s in the same
//! order. It owns no buffers: an access unit is a slice of its message, or a copy where its message holds much else.
//!
//! | specification | what is read |
//! |---|---|
//! | FLV 10.1, E.4.2 and E.4.3 | H.264 and AAC |
//! | Enhanced RTMP v2, "Enhanced Video" and "Enhanced Audio" | `avc1`, `hvc1`, `av01`, `mp4a`; ModEx is passed over |
//! | Enhanced RTMP v2, multitrack | several video tracks, in all three layouts; further audio tracks are told and passed over |
//!
//! *Units*: video in ticks of 90 kHz, audio in ticks of its sample rate. Timestamps are unwrapped to 64 bits; a jump is passed on as it came, and
//! the owner of the timeline decides about it.

mod audio;
mod clock;
mod multitrack;
pub mod mux;
mod reader;
mod video;

#[cfg(test)]
mod tests;

use crate::codec::ConfigError;
use crate::metadata::StreamMetadata;
use crate::track::{AccessUnit, FurtherTrack, Keyframe, Track, TrackKind};
use bytes::Bytes;
use clock::{AudioClock, Unwrapper};

/// Largest access unit that is taken from a peer: ten times the mean picture of a 100 Mb/s stream at 30 frames a second.
pub const ACCESS_UNIT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Tracks of a kind that one publisher may send: IVS has at most five for video, OBS sends six.
pub const TRACKS_MAX: usize = 6;

/// What a message held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A codec configuration: at the start, and again when it changes or is repeated.
    Config(Track),
    /// An access unit of the track that was configured last.
    Access(AccessUnit),
    /// A configuration of a further video track: a rendition that the encoder makes itself.
    FurtherConfig(FurtherTrack, Track),
    /// An access unit of a further video track.
    FurtherAccess(FurtherTrack, AccessUnit),
    /// A further audio track was configured. None is carried: on the services that define them they are for recordings, not for viewers.
    FurtherSound(FurtherTrack),
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
    /// More than [`TRACKS_MAX`] tracks of a kind.
    #[error("more than {TRACKS_MAX} {kind:?} tracks are not taken")]
    Tracks {
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

/// What a message held, by track.
enum Messages<M> {
    /// A message of the usual track.
    Plain(M),
    /// A multitrack message. Track 0 is the usual one.
    Tracks(Vec<(u8, M)>),
}

/// The video tracks as they were configured last, by their number on the wire: at most [`TRACKS_MAX`].
#[derive(Debug, Default)]
struct Tracks(Vec<(u8, Track)>);

impl Tracks {
    fn track(&self, id: u8) -> Option<&Track> {
        self.0.iter().find(|(known, _)| *known == id).map(|(_, track)| track)
    }

    fn set(&mut self, id: u8, track: Track) {
        match self.0.iter_mut().find(|(known, _)| *known == id) {
            Some((_, known)) => *known = track,
            None => self.0.push((id, track)),
        }
    }

    /// Whether there is room for the tracks that a message configures.
    fn admits(&self, messages: &[(u8, video::Message)]) -> bool {
        let configured = messages.iter().filter(|(_, message)| matches!(message, video::Message::Config(_)));
        let mut ids: Vec<u8> = self.0.iter().map(|(id, _)| *id).chain(configured.map(|(id, _)| *id)).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.len() <= TRACKS_MAX
    }
}

/// Turns message bodies into units. One for each publishing connection.
///
/// Feed it the messages in the order in which they came; each call returns what the message held. After an error the demuxer
/// is as it was before the message: the caller may close the connection, or count and go on.
#[derive(Debug, Default)]
pub struct Demuxer {
    unwrapper: Unwrapper,
    video: Tracks,
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
        match video::parse(&self.video, body)? {
            Messages::Plain(message) => {
                let timestamp_ms = self.unwrapper.unwrap(timestamp_ms);
                Ok(vec![self.video_unit(0, timestamp_ms, message)])
            }
            Messages::Tracks(messages) if !self.video.admits(&messages) => {
                Err(Error::Tracks { kind: TrackKind::Video })
            }
            Messages::Tracks(messages) => {
                let timestamp_ms = self.unwrapper.unwrap(timestamp_ms);
                Ok(messages.into_iter().map(|(id, message)| self.video_unit(id, timestamp_ms, message)).collect())
            }
        }
    }

    fn video_unit(&mut self, id: u8, timestamp_ms: i64, message: video::Message) -> Unit {
        match message {
            video::Message::Config(track) => {
                self.video.set(id, track.clone());
                match FurtherTrack::new(id) {
                    Some(further) => Unit::FurtherConfig(further, track),
                    None => Unit::Config(track),
                }
            }
            video::Message::Picture { keyframe, composition_ms, data } => {
                let dts = timestamp_ms.saturating_mul(90);
                let pts = dts.saturating_add(i64::from(composition_ms) * 90);
                let unit = AccessUnit { kind: TrackKind::Video, dts, pts, keyframe, data };
                match FurtherTrack::new(id) {
                    Some(further) => Unit::FurtherAccess(further, unit),
                    None => Unit::Access(unit),
                }
            }
            video::Message::Ignored => Unit::Ignored,
        }
    }

    /// Takes the body of an audio message (RTMP type 8) with its timestamp in milliseconds.
    ///
    /// # Errors
    /// [`Error`]: the message is malformed, too large, or of a codec that is not taken.
    pub fn audio(&mut self, timestamp_ms: u32, body: Bytes) -> Result<Vec<Unit>, Error> {
        let parsed = audio::parse(self.audio.as_ref().map(|(track, _)| track), body)?;
        let timestamp_ms = self.unwrapper.unwrap(timestamp_ms);
        Ok(match parsed {
            Messages::Plain(message) => vec![self.audio_unit(0, timestamp_ms, message)],
            Messages::Tracks(messages) => {
                messages.into_iter().map(|(id, message)| self.audio_unit(id, timestamp_ms, message)).collect()
            }
        })
    }

    fn audio_unit(&mut self, id: u8, timestamp_ms: i64, message: audio::Message) -> Unit {
        match message {
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
                    Unit::Access(AccessUnit { kind: TrackKind::Audio, dts, pts: dts, keyframe: Keyframe::Yes, data })
                }
                // A frame is parsed only of a track that is configured.
                None => Unit::Ignored,
            },
            audio::Message::Further => FurtherTrack::new(id).map_or(Unit::Ignored, Unit::FurtherSound),
            audio::Message::Ignored => Unit::Ignored,
        }
    }
}
