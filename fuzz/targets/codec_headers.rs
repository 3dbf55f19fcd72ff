//! Every codec's configuration record: also as the start of a track whose init segment is written.
#![no_main]

use headwater_media::codec::{CodecConfig, aac, av1, avc, hevc};
use headwater_media::{Track, fmp4};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
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
});
