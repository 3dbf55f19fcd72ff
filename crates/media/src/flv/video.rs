//! Video messages: legacy H.264 and Enhanced RTMP's `avc1`, `hvc1`, `av01`.

use super::reader::{Reader, skip_modifiers};
use super::{Error, Messages, Tracks, multitrack};
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

/// Takes a message apart; `known` are the tracks that were configured before it.
pub(super) fn parse(known: &Tracks, body: Bytes) -> Result<Messages<Message>, Error> {
    let mut reader = Reader::new(TrackKind::Video, body);
    let first = reader.u8()?;
    if first & 0x80 != 0 { enhanced(known, reader, first) } else { legacy(known, reader, first).map(Messages::Plain) }
}

fn legacy(known: &Tracks, mut reader: Reader, first: u8) -> Result<Message, Error> {
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
        1 => picture(known.track(0), frame_type, composition_ms, reader.rest()?),
        _ => Ok(Message::Ignored),
    }
}

fn enhanced(known: &Tracks, mut reader: Reader, first: u8) -> Result<Messages<Message>, Error> {
    let frame_type = first >> 4 & 0x07;
    let packet_type = skip_modifiers(&mut reader, first & 0x0f)?;
    if frame_type == FRAME_COMMAND {
        return Ok(Messages::Plain(Message::Ignored));
    }
    if packet_type == packet::MULTITRACK {
        let (packet_type, shares) = multitrack::shares(reader)?;
        let messages = shares.into_iter().map(|share| {
            Ok((share.id, coded(known.track(share.id), packet_type, frame_type, share.fourcc, share.body)?))
        });
        return Ok(Messages::Tracks(messages.collect::<Result<_, Error>>()?));
    }
    let fourcc = reader.array::<4>()?;
    Ok(Messages::Plain(coded(known.track(0), packet_type, frame_type, fourcc, reader)?))
}

/// What follows a FourCC.
fn coded(
    track: Option<&Track>,
    packet_type: u8,
    frame_type: u8,
    fourcc: [u8; 4],
    mut reader: Reader,
) -> Result<Message, Error> {
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
