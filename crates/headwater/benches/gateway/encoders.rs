//! Encoders that publish a small clip over and over in real time.

use crate::flv::{self, Tag};
use headwater_rtmp::client::{Client, Event, Options};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Seconds of the clip: a whole number of its groups of pictures.
const SECONDS: u32 = 4;

/// A clip in memory. Clones share it.
#[derive(Clone)]
pub struct Clip(Arc<Vec<Tag>>);

impl Clip {
    /// Has ffmpeg make it: 25 frames a second, a keyframe every two seconds, H.264 and AAC.
    pub fn make(folder: &Path) -> Clip {
        let path = folder.join("clip.flv");
        let status = Command::new("ffmpeg")
            .args(["-hide_banner", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25"])
            .args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", &SECONDS.to_string()])
            .args(["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p"])
            .args(["-b:v", "200k", "-g", "50", "-keyint_min", "50", "-sc_threshold", "0"])
            .args(["-c:a", "aac", "-b:a", "32k", "-f", "flv"])
            .arg(&path)
            .status()
            .expect("ffmpeg makes the clip: apt-get install ffmpeg");
        assert!(status.success());
        Clip(Arc::new(flv::read(&std::fs::read(path).unwrap())))
    }
}

/// Publishes until it is aborted.
pub async fn publish(port: u16, key: String, clip: Clip, offset: Duration) {
    tokio::time::sleep(offset).await;
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let mut client = Client::new(u64::from(port), Options::new(key)).unwrap();
    let mut buffer = vec![0; 16 * 1024];
    let mut publishing = false;
    while !publishing {
        while let Some(bytes) = client.poll_transmit() {
            socket.write_all(&bytes).await.unwrap();
        }
        let read = socket.read(&mut buffer).await.unwrap();
        assert!(read > 0, "the server closed the connection");
        client.handle_input(&buffer[..read]).unwrap();
        while let Some(event) = client.poll_event() {
            match event {
                Event::Publishing => publishing = true,
                Event::Refused { code, description } => panic!("{code}: {description}"),
                _ => {}
            }
        }
    }
    let began = tokio::time::Instant::now();
    for round in 0_u32.. {
        for tag in clip.0.iter() {
            let timestamp_ms = round * SECONDS * 1000 + tag.timestamp_ms;
            tokio::time::sleep_until(began + Duration::from_millis(u64::from(timestamp_ms))).await;
            match tag.video {
                true => client.send_video(timestamp_ms, tag.body.clone()).unwrap(),
                false => client.send_audio(timestamp_ms, tag.body.clone()).unwrap(),
            }
            while let Some(bytes) = client.poll_transmit() {
                socket.write_all(&bytes).await.unwrap();
            }
            // The server's acknowledgements; nothing in them matters here.
            while let Ok(read) = socket.try_read(&mut buffer) {
                assert!(read > 0, "the server closed the connection");
                client.handle_input(&buffer[..read]).unwrap();
                while client.poll_event().is_some() {}
            }
        }
    }
}
