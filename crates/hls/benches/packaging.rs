//! How much packaging costs: CPU time for each second of a passthrough stream, and what goes into it.
//!
//! `cargo bench -p headwater-hls`. Payloads are shared, as they are in service; what is measured is the demuxing, cutting, headers,
//! snapshots and, apart, the playlist text. Figures are wall time of one thread on an otherwise idle core.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use bytes::Bytes;
use headwater_hls::{Delta, Latency, Options, Packager, playlist};
use headwater_media::WallTime;
use headwater_media::flv::{Demuxer, Unit};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Seconds of stream in each run: long enough that the window is full for most of it.
const STREAM_S: u32 = 600;
/// Bytes of a picture at 2.5 Mb/s and 30 frames a second.
const PICTURE_BYTES: usize = 10_400;
const SOUND_BYTES: usize = 340;

struct Figures {
    packaging: Duration,
    parts: u32,
    text: Duration,
    texts: u32,
    text_bytes: usize,
}

fn main() {
    println!("{:<28}{:>16}{:>14}{:>16}{:>14}", "", "µs/stream-s", "µs/part", "µs/playlist", "bytes/text");
    for (name, latency) in [("720p30, parts of 200 ms", Latency::Low), ("720p30, parts of 1 s", Latency::Normal)] {
        // The first run warms the allocator.
        run(latency);
        let figures = run(latency);
        println!(
            "{name:<28}{:>16.1}{:>14.1}{:>16.1}{:>14}",
            figures.packaging.as_secs_f64() * 1e6 / f64::from(STREAM_S),
            figures.packaging.as_secs_f64() * 1e6 / f64::from(figures.parts),
            figures.text.as_secs_f64() * 1e6 / f64::from(figures.texts),
            figures.text_bytes / figures.texts as usize,
        );
    }
}

fn run(latency: Latency) -> Figures {
    let config = |head: &[u8], record: &[u8]| Bytes::from([head, record].concat());
    let avcc = [
        1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 9, 0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xf6, 0x40, 1, 0, 4, 0x68,
        0xce, 0x3c, 0x80,
    ];
    let size = u32::try_from(PICTURE_BYTES).expect("fits");
    let picture = |first: u8| {
        let mut body = vec![first, 1, 0, 0, 0];
        body.extend(size.to_be_bytes());
        body.resize(body.len() + PICTURE_BYTES, 7);
        Bytes::from(body)
    };
    let (key, other, sound) = (picture(0x17), picture(0x27), config(&[0xaf, 1], &[7; SOUND_BYTES]));
    let mut demuxer = Demuxer::new();
    let mut packager = Packager::new(Options { epoch: "e".into(), rendition: "source".into(), latency });
    let mut figures = Figures { packaging: Duration::ZERO, parts: 0, text: Duration::ZERO, texts: 0, text_bytes: 0 };
    let mut feed = |video: bool, ms: u32, body: Bytes, figures: &mut Figures| {
        let begun = Instant::now();
        let units = if video { demuxer.video(ms, body) } else { demuxer.audio(ms, body) };
        for unit in units.expect("the fixture is valid") {
            match unit {
                Unit::Config(track) => packager.handle_track(track),
                Unit::Access(unit) => {
                    packager.handle_unit(unit, WallTime(i64::from(ms))).expect("the fixture fits");
                }
                _ => {}
            }
        }
        let snapshot = packager.poll_snapshot();
        figures.packaging += begun.elapsed();
        if let Some(snapshot) = snapshot {
            figures.parts += 1;
            let begun = Instant::now();
            let text = black_box(playlist::media(&snapshot, Delta::Full));
            figures.text += begun.elapsed();
            figures.texts += 1;
            figures.text_bytes += text.len();
        }
    };
    feed(true, 0, config(&[0x17, 0, 0, 0, 0], &avcc), &mut figures);
    feed(false, 0, config(&[0xaf, 0], &[0x11, 0x90]), &mut figures);
    let mut sounds = 0;
    for frame in 0..STREAM_S * 30 {
        let ms = frame * 1_000 / 30;
        while sounds * 1_024 / 48 <= ms {
            feed(false, sounds * 1_024 / 48, sound.clone(), &mut figures);
            sounds += 1;
        }
        let body = if frame % 60 == 0 { key.clone() } else { other.clone() };
        feed(true, ms, body, &mut figures);
    }
    figures
}
