//! The clip that publishers send, and the numbers that its frames carry.

use crate::flv::{self, Tag};
use bytes::{Bytes, BytesMut};
use std::process::Command;
use std::sync::Arc;

/// Marks our SEI messages: random, so that it does not occur in the picture.
const SEI_UUID: [u8; 16] = *b"\x7a\x31\xc2\x5d\x90\x4e\x4b\x1f\xa6\xd8\x3c\x55\xe7\x12\x98\xbb";
/// Seconds of the clip, which is sent over and over: a whole number of its groups of pictures.
const SECONDS: u32 = 10;

/// A clip in memory. Clones share it.
#[derive(Clone)]
pub struct Clip {
    pub tags: Arc<Vec<Tag>>,
    pub lasts_ms: u32,
}

impl Clip {
    /// Has ffmpeg make a clip of 30 frames a second with a keyframe every 2 s, H.264 and AAC, near that many kb/s.
    pub fn make(size: &str, kbps: u32) -> Clip {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip.flv");
        // A quiet picture does not fill a high rate.
        let noise = if kbps > 10_000 { 60 } else { 12 };
        let picture = format!("testsrc2=size={size}:rate=30,noise=alls={noise}:allf=t");
        let sound_kbps = if kbps < 1_000 { 32 } else { 96 };
        let rate = format!("{}k", kbps - sound_kbps);
        let buffer = format!("{}k", (kbps - sound_kbps) / 2);
        let status = Command::new("ffmpeg")
            .args(["-hide_banner", "-loglevel", "error", "-f", "lavfi", "-i", &picture])
            .args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", &SECONDS.to_string()])
            .args(["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p"])
            .args(["-b:v", &rate, "-minrate", &rate, "-maxrate", &rate, "-bufsize", &buffer])
            .args(["-g", "60", "-keyint_min", "60", "-sc_threshold", "0"])
            .args(["-c:a", "aac", "-b:a", &format!("{sound_kbps}k"), "-f", "flv"])
            .arg(&path)
            .status()
            .expect("ffmpeg makes the clip: apt-get install ffmpeg");
        assert!(status.success());
        let clip = Clip { tags: Arc::new(flv::read(&std::fs::read(path).unwrap())), lasts_ms: SECONDS * 1000 };
        println!("clip: {size}, 30 fps, {:.2} Mb/s, passed through", clip.bits_per_second() / 1e6);
        clip
    }

    pub fn bits_per_second(&self) -> f64 {
        let bytes: usize = self.tags.iter().map(|tag| tag.body.len()).sum();
        bytes as f64 * 8000.0 / f64::from(self.lasts_ms)
    }
}

/// An AVC body with a user-data SEI in front that carries the number in hexadecimal (no emulation prevention needed).
pub fn stamped(body: &Bytes, number: u64) -> Bytes {
    let mut sei = vec![0x06, 0x05, 32];
    sei.extend_from_slice(&SEI_UUID);
    sei.extend_from_slice(format!("{number:016x}").as_bytes());
    sei.push(0x80);
    let mut out = BytesMut::with_capacity(body.len() + 4 + sei.len());
    out.extend_from_slice(&body[..5]);
    out.extend_from_slice(&u32::try_from(sei.len()).unwrap().to_be_bytes());
    out.extend_from_slice(&sei);
    out.extend_from_slice(&body[5..]);
    out.freeze()
}

/// The numbers of the frames in a part.
pub fn numbers(bytes: &[u8]) -> Vec<u64> {
    let found = bytes.windows(SEI_UUID.len()).enumerate().filter(|(_, window)| *window == SEI_UUID);
    found
        .map(|(at, _)| {
            let digits = &bytes[at + SEI_UUID.len()..at + SEI_UUID.len() + 16];
            u64::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap()
        })
        .collect()
}
