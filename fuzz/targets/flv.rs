//! Message bodies through the demuxer and the packager: nothing panics, and what is published keeps the rules.
#![no_main]

use headwater_hls::lint::{Linter, Severity};
use headwater_hls::{Delta, Latency, Options, Packager, playlist};
use headwater_media::WallTime;
use headwater_media::flv::{Demuxer, Unit};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut demuxer = Demuxer::new();
    let options = Options { epoch: "e".into(), rendition: "source".into(), latency: Latency::Low };
    let mut packager = Packager::new(options);
    let mut linter = Linter::new();
    let (mut timestamp_ms, mut now) = (100_000u32, WallTime(1_795_498_182_123));
    for message in headwater_fuzz::messages(input) {
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
});
