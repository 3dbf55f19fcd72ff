//! Video messages: legacy H.264 and Enhanced RTMP's `avc1`, `hvc1`, `av01`.

use super::Error;
use super::reader::{Reader, skip_modifiers};
use crate::codec::{CodecConfig, av1, avc, hevc};
use crate::track::{Keyframe, Track, TrackKind};
use bytes::Bytes;

pub(super) enum Message {
    Config(Track),
    Picture { keyframe: Keyframe, composition_ms: i32, data: Bytes },
    Ignored,
}

/// `CodecID` of H.264 in legacy FLV.
const LEGACY_AVC: u8 = 7;
/// Frame types (FLV 10.1, E.4.3.1).
const FRAME_KEY: u8 = 1;
const FRAME_COMMAND: u8 = 5;

/// `VideoPacketType` of Enhanced RTMP.
mod packet {
    pub(super) const SEQUENCE_START: u8 = 0;
    pub(super) const CODED_FRAMES: u8 = 1;
    pub(super) const CODED_FRAMES_X: u8 = 3;
    pub(super) const MULTITRACK: u8 = 6;
}

pub(super) fn parse(track: Option<&Track>, body: Bytes) -> Result<Message, Error> {
    let mut reader = Reader::new(TrackKind::Video, body);
    let first = reader.u8()?;
    if first & 0x80 != 0 { enhanced(track, reader, first) } else { legacy(track, reader, first) }
}

fn legacy(track: Option<&Track>, mut reader: Reader, first: u8) -> Result<Message, Error> {
    let (frame_type, codec) = (first >> 4, first & 0x0f);
    if frame_type == FRAME_COMMAND {
        return Ok(Message::Ignored);
    }
    if codec != LEGACY_AVC {
        return Err(Error::Codec { kind: TrackKind::Video, id: codec });
    }
    let packet_type = reader.u8()?;
    let composition_ms = reader.i24()?;
    match packet_type {
        0 => Ok(Message::Config(Track::new(CodecConfig::Avc(avc::Config::parse(&reader.rest()?)?)))),
        1 => picture(track, frame_type, composition_ms, reader.rest()?),
        _ => Ok(Message::Ignored),
    }
}

fn enhanced(track: Option<&Track>, mut reader: Reader, first: u8) -> Result<Message, Error> {
    let frame_type = first >> 4 & 0x07;
    let packet_type = skip_modifiers(&mut reader, first & 0x0f)?;
    if packet_type == packet::MULTITRACK {
        return Err(Error::Multitrack { kind: reader.kind() });
    }
    if frame_type == FRAME_COMMAND {
        return Ok(Message::Ignored);
    }
    let fourcc = reader.array::<4>()?;
    let has_composition = match &fourcc {
        b"avc1" | b"hvc1" => true,
        b"av01" => false,
        _ => {
            return Err(Error::FourCc { kind: TrackKind::Video, fourcc });
        }
    };
    match packet_type {
        packet::SEQUENCE_START => {
            let record = reader.rest()?;
            Ok(Message::Config(Track::new(match &fourcc {
                b"avc1" => CodecConfig::Avc(avc::Config::parse(&record)?),
                b"hvc1" => CodecConfig::Hevc(hevc::Config::parse(&record)?),
                _ => CodecConfig::Av1(av1::Config::parse(&record)?),
            })))
        }
        packet::CODED_FRAMES => {
            let composition_ms = if has_composition { reader.i24()? } else { 0 };
            picture(track, frame_type, composition_ms, reader.rest()?)
        }
        packet::CODED_FRAMES_X => picture(track, frame_type, 0, reader.rest()?),
        // Sequence end, HDR metadata, MPEG-2 TS sequence start and what is yet to be invented.
        _ => Ok(Message::Ignored),
    }
}

fn picture(track: Option<&Track>, frame_type: u8, composition_ms: i32, data: Bytes) -> Result<Message, Error> {
    let Some(track) = track else {
        return Err(Error::Unconfigured { kind: TrackKind::Video });
    };
    if data.is_empty() {
        return Ok(Message::Ignored);
    }
    match &*track.config {
        CodecConfig::Avc(config) => check_nal_lengths(&data, config.nal_length_bytes)?,
        CodecConfig::Hevc(config) => check_nal_lengths(&data, config.nal_length_bytes)?,
        _ => {}
    }
    let keyframe = if frame_type == FRAME_KEY { Keyframe::Yes } else { Keyframe::No };
    Ok(Message::Picture { keyframe, composition_ms, data })
}

/// Walks the length-prefixed NAL units: viewers' decoders are spared what does not add up.
fn check_nal_lengths(data: &[u8], length_bytes: usize) -> Result<(), Error> {
    let mut at = 0;
    while at < data.len() {
        let prefix = data.get(at..at + length_bytes);
        let length = prefix.map(|prefix| prefix.iter().fold(0usize, |length, &byte| length << 8 | usize::from(byte)));
        match length {
            Some(length) if length <= data.len() - at - length_bytes => at += length_bytes + length,
            _ => {
                return Err(Error::NalLength { at, length: length.unwrap_or_default(), bytes: data.len() });
            }
        }
    }
    Ok(())
}
