//! Audio messages: legacy AAC and Enhanced RTMP's `mp4a`.

use super::Error;
use super::reader::{Reader, skip_modifiers};
use crate::codec::{CodecConfig, aac};
use crate::track::{Track, TrackKind};
use bytes::Bytes;

pub(super) enum Message {
    Config { track: Track, frame_samples: u32 },
    Frame(Bytes),
    Ignored,
}

/// `SoundFormat` of AAC, and the one that announces Enhanced RTMP's header.
const LEGACY_AAC: u8 = 10;
const ENHANCED: u8 = 9;

/// `AudioPacketType` of Enhanced RTMP.
mod packet {
    pub(super) const SEQUENCE_START: u8 = 0;
    pub(super) const CODED_FRAMES: u8 = 1;
    pub(super) const MULTITRACK: u8 = 5;
}

pub(super) fn parse(track: Option<&Track>, body: Bytes) -> Result<Message, Error> {
    let mut reader = Reader::new(TrackKind::Audio, body);
    let first = reader.u8()?;
    let packet_type = match first >> 4 {
        LEGACY_AAC => reader.u8()?,
        ENHANCED => {
            let packet_type = skip_modifiers(&mut reader, first & 0x0f)?;
            if packet_type == packet::MULTITRACK {
                return Err(Error::Multitrack { kind: reader.kind() });
            }
            let fourcc = reader.array::<4>()?;
            if &fourcc != b"mp4a" {
                return Err(Error::FourCc { kind: TrackKind::Audio, fourcc });
            }
            packet_type
        }
        id => {
            return Err(Error::Codec { kind: TrackKind::Audio, id });
        }
    };
    // Legacy AACPacketType and AudioPacketType agree in these two numbers.
    match packet_type {
        packet::SEQUENCE_START => {
            let config = aac::Config::parse(&reader.rest()?)?;
            let frame_samples = config.frame_samples;
            Ok(Message::Config { track: Track::new(CodecConfig::Aac(config)), frame_samples })
        }
        packet::CODED_FRAMES if track.is_none() => Err(Error::Unconfigured { kind: TrackKind::Audio }),
        packet::CODED_FRAMES => {
            let data = reader.rest()?;
            Ok(if data.is_empty() { Message::Ignored } else { Message::Frame(data) })
        }
        // Sequence end and multichannel configuration.
        _ => Ok(Message::Ignored),
    }
}
