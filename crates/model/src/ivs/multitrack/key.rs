//! The key that comes with a configuration.
//!
//! It holds the configuration and is signed with the stream key that it was made of: nothing is stored for it, so asking for
//! configurations costs no disk and leaves nothing to tidy up; it is good after a restart and on every node that has the stream key;
//! and with the stream key it dies, since nobody else can check it. It cannot be taken back alone, as on IVS.
//!
//! `mt1.ID.PAYLOAD.MAC`: the stream key's resource id, then both in URL-safe base64. None of its characters means anything in a URL.

use super::{ClientConfiguration, ConfiguredTrack, TRACKS_CONFIGURED_MAX, VideoCodec, VideoTrack};
use crate::ivs::StreamKey;
use crate::{Secret, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// How long such a key opens its channel. Source: IVS "Multitrack Video: Broadcast Software Integration Guide".
pub const CLIENT_KEY_HOURS: i64 = 48;

const VERSION: &str = "mt1";
/// Keeps the signature apart from any other that a stream key may come to make.
const PURPOSE: &[u8] = b"headwater client configuration 1";
/// Seconds until which it is good, and the configuration's id.
const HEAD_BYTES: usize = 8 + 16;
/// Codec, width, height, frame rate and bit rate.
const TRACK_BYTES: usize = 1 + 2 + 2 + 2 + 2;

/// A text that may be such a key: whose stream key it names is known, not yet whether that signed it.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientKey<'a> {
    stream_key_id: &'a str,
    payload: Vec<u8>,
    mac: Vec<u8>,
}

impl<'a> ClientKey<'a> {
    /// The key of a configuration, for a stream key's holder. `None` if the configuration has no form in it: no track, too many, or
    /// a number above 65,535.
    pub fn make(stream_key: &StreamKey, configuration: &ClientConfiguration) -> Option<Secret> {
        let payload = write(configuration)?;
        let mac = sign(stream_key, &payload).finalize().into_bytes();
        let [payload, mac] = [&payload[..], &mac[..]].map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
        Some(Secret::new(format!("{VERSION}.{}.{payload}.{mac}", stream_key.id)))
    }

    /// Takes a text apart; `None` if it is no such key.
    pub fn parse(text: &'a str) -> Option<ClientKey<'a>> {
        let mut parts = text.strip_prefix(VERSION)?.strip_prefix('.')?.split('.');
        let (Some(stream_key_id), Some(payload), Some(mac), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let is_id =
            !stream_key_id.is_empty() && stream_key_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
        is_id.then_some(())?;
        Some(ClientKey { stream_key_id, payload: decode(payload)?, mac: decode(mac)? })
    }

    /// The id of the stream key that it says it was made of.
    pub fn stream_key_id(&self) -> &str {
        self.stream_key_id
    }

    /// The configuration, if that stream key signed it. Compares in constant time. Whether its time is over is left to the caller.
    pub fn open(&self, stream_key: &StreamKey) -> Option<ClientConfiguration> {
        sign(stream_key, &self.payload).verify_slice(&self.mac).ok()?;
        read(&self.payload)
    }
}

fn sign(stream_key: &StreamKey, payload: &[u8]) -> Hmac<Sha256> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(stream_key.value.expose().as_bytes()).expect("HMAC takes keys of any length");
    for part in [PURPOSE, stream_key.arn.as_bytes(), payload] {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac
}

fn write(configuration: &ClientConfiguration) -> Option<Vec<u8>> {
    let ClientConfiguration { id, expires_at, tracks } = configuration;
    if tracks.is_empty() || tracks.len() > TRACKS_CONFIGURED_MAX {
        return None;
    }
    let mut payload = (expires_at.0.div_euclid(1_000)).to_be_bytes().to_vec();
    payload.extend(id.as_bytes());
    for track in tracks {
        let ConfiguredTrack { video, frame_rate_millis, kbps } = *track;
        payload.push(match video.codec {
            VideoCodec::H264 => 1,
            VideoCodec::H265 => 2,
            VideoCodec::Av1 => 3,
        });
        for number in [video.width, video.height, frame_rate_millis, kbps] {
            payload.extend(u16::try_from(number).ok()?.to_be_bytes());
        }
    }
    Some(payload)
}

/// Only what we signed ourselves comes here; a version that wrote otherwise would be another [`VERSION`].
fn read(payload: &[u8]) -> Option<ClientConfiguration> {
    let (head, tracks) = payload.split_at_checked(HEAD_BYTES)?;
    let (seconds, id) = head.split_at_checked(8)?;
    let expires_at = Timestamp(i64::from_be_bytes(seconds.try_into().ok()?).saturating_mul(1_000));
    let id = uuid::Uuid::from_slice(id).ok()?;
    if tracks.is_empty() || tracks.len() % TRACK_BYTES != 0 || tracks.len() > TRACKS_CONFIGURED_MAX * TRACK_BYTES {
        return None;
    }
    let track = |bytes: &[u8]| {
        let codec = match bytes[0] {
            1 => VideoCodec::H264,
            2 => VideoCodec::H265,
            3 => VideoCodec::Av1,
            _ => return None,
        };
        let number = |at: usize| u32::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
        let video = VideoTrack { codec, width: number(1), height: number(3) };
        Some(ConfiguredTrack { video, frame_rate_millis: number(5), kbps: number(7) })
    };
    let tracks = tracks.chunks_exact(TRACK_BYTES).map(track).collect::<Option<Vec<_>>>()?;
    Some(ClientConfiguration { id, expires_at, tracks })
}
