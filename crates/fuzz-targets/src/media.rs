//! Message bodies, codec headers and the encoder's pipe.

use crate::messages;
use headwater_hls::lint::{Linter, Severity};
use headwater_hls::{Delta, Latency, Options, Packager, playlist};
use headwater_media::codec::{CodecConfig, aac, av1, avc, hevc};
use headwater_media::flv::{self, Unit};
use headwater_media::fmp4::{self, demux};
use headwater_media::{Track, WallTime};

/// Message bodies through the demuxer and the packager: nothing panics, and what is published keeps the linter's rules.
pub fn flv(input: &[u8]) {
    let mut demuxer = flv::Demuxer::new();
    let options = Options { epoch: "e".into(), rendition: "source".into(), latency: Latency::Low };
    let mut packager = Packager::new(options);
    let mut linter = Linter::new();
    let (mut timestamp_ms, mut now) = (100_000u32, WallTime(1_795_498_182_123));
    for message in messages::read(input) {
        timestamp_ms = timestamp_ms.wrapping_add_signed(i32::from(message.step_ms));
        now = now.plus_ms(i64::from(message.step_ms.max(0)));
        let units = match message.is_video {
            true => demuxer.video(timestamp_ms, message.body),
            false => demuxer.audio(timestamp_ms, message.body),
        };
        for unit in units.unwrap_or_default() {
            match unit {
                Unit::Config(track) => packager.handle_track(track),
                Unit::Access(unit) => {
                    if packager.handle_unit(unit, now).is_err() {
                        return;
                    }
                }
                Unit::Metadata(metadata) => packager.handle_metadata(&metadata),
                Unit::Ignored => {}
            }
            if let Some(snapshot) = packager.poll_snapshot() {
                let text = playlist::media(&snapshot, Delta::Full);
                let broken = linter.check(&text).into_iter().find(|finding| finding.severity == Severity::Error);
                assert!(broken.is_none(), "{broken:?}\n{text}");
            }
        }
    }
}

/// Every codec's configuration record: also as the start of a track whose init segment is written.
pub fn codec_headers(input: &[u8]) {
    let configs = [
        avc::Config::parse(input).map(CodecConfig::Avc),
        hevc::Config::parse(input).map(CodecConfig::Hevc),
        av1::Config::parse(input).map(CodecConfig::Av1),
        aac::Config::parse(input).map(CodecConfig::Aac),
    ];
    for config in configs.into_iter().flatten() {
        assert!(!config.rfc6381().is_empty());
        let track = Track::new(config);
        let is_video = track.config.dimensions().is_some();
        let init = match is_video {
            true => fmp4::init_segment(Some(&track), None),
            false => fmp4::init_segment(None, Some(&track)),
        };
        assert!(init.len() > track.config.record().len());
    }
}

/// What an encoder process may write to its pipe: tracks and units stay within their bounds, and units point into what was written. The last byte
/// says how long the pieces are.
pub fn encoder_pipe(input: &[u8]) {
    let Some((&how, bytes)) = input.split_last() else { return };
    let mut demuxer = demux::Demuxer::new();
    let mut written = 0;
    for piece in bytes.chunks(usize::from(how) * 16 + 1) {
        written += piece.len();
        let Ok(items) = demuxer.push(piece) else { return };
        for item in items {
            match item {
                demux::Item::Track(place, track) => {
                    assert!(place < demux::TRACKS_MAX);
                    assert!(!track.config.rfc6381().is_empty());
                }
                demux::Item::Unit(place, unit) => {
                    assert!(place < demux::TRACKS_MAX);
                    assert!(unit.data.len() <= written, "a unit of {} bytes out of {written}", unit.data.len());
                }
            }
        }
    }
}
