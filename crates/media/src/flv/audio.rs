//! Audio messages: legacy AAC and Enhanced RTMP's `mp4a`.

use super::reader::{Reader, skip_modifiers};
use super::{Error, Messages, multitrack};
use crate::codec::{CodecConfig, aac};
use crate::track::{Track, TrackKind};
use bytes::Bytes;

pub(super) enum Message {
    Config {
        track: Track,
        frame_samples: u32,
    },
    Frame(Bytes),
    /// The configuration of a further track.
    Further,
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

/// Takes a message apart; `track` is the one that was configured before it.
pub(super) fn parse(track: Option<&Track>, body: Bytes) -> Result<Messages<Message>, Error> {
    let mut reader = Reader::new(TrackKind::Audio, body);
    let first = reader.u8()?;
    match first >> 4 {
        LEGACY_AAC => {
            // Legacy AACPacketType and AudioPacketType agree in their first two numbers.
            let packet_type = reader.u8()?;
            coded(track, packet_type, reader).map(Messages::Plain)
        }
        ENHANCED => {
            let packet_type = skip_modifiers(&mut reader, first & 0x0f)?;
            if packet_type == packet::MULTITRACK {
                let (packet_type, shares) = multitrack::shares(reader)?;
                let messages = shares.into_iter().map(|share| {
                    let message = match (share.id, packet_type) {
                        (0, _) => of_mp4a(track, packet_type, share.fourcc, share.body)?,
                        (_, packet::SEQUENCE_START) => Message::Further,
                        _ => Message::Ignored,
                    };
                    Ok((share.id, message))
                });
                return Ok(Messages::Tracks(messages.collect::<Result<_, Error>>()?));
            }
            let fourcc = reader.array::<4>()?;
            of_mp4a(track, packet_type, fourcc, reader).map(Messages::Plain)
        }
        id => Err(Error::Codec { kind: TrackKind::Audio, id }),
    }
}

fn of_mp4a(track: Option<&Track>, packet_type: u8, fourcc: [u8; 4], reader: Reader) -> Result<Message, Error> {
    if &fourcc != b"mp4a" {
        return Err(Error::FourCc { kind: TrackKind::Audio, fourcc });
    }
    coded(track, packet_type, reader)
}

fn coded(track: Option<&Track>, packet_type: u8, reader: Reader) -> Result<Message, Error> {
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
