//! A publisher of two video tracks over RTMP: both are offered, aligned, and played by ffmpeg; nothing is encoded.

use super::stage::{PATIENCE, Stage, check, made, run, texts};
use bytes::Bytes;
use headwater_live::ladder::{self, Encoder};
use headwater_live::{LadderState, LiveStream, RenditionState};
use headwater_media::FurtherTrack;
use headwater_media::flv::mux::further_body;
use headwater_rtmp::client::{self, Event};
use headwater_rtmp::server::Extensions;
use headwater_rtmp::{Client, amf0};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::Instant;

/// What an encoder sends.
#[derive(Clone, Debug)]
struct Message {
    at_ms: u32,
    is_video: bool,
    body: Bytes,
}

/// Eight seconds of that size with B-frames, as ffmpeg writes them.
async fn clip(size: &str, sound: bool) -> Vec<Message> {
    let pictures = format!("testsrc2=size={size}:rate=30");
    let mut arguments = vec!["-hide_banner", "-loglevel", "error", "-nostdin", "-f", "lavfi", "-i", &pictures];
    if sound {
        arguments.extend(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-c:a", "aac", "-b:a", "64k"]);
    }
    arguments.extend("-t 8 -c:v libx264 -preset ultrafast -bf 2 -pix_fmt yuv420p -g 60 -keyint_min 60".split(' '));
    arguments.extend(["-sc_threshold", "0", "-f", "flv", "-flvflags", "no_duration_filesize", "pipe:1"]);
    let encoding = Command::new("ffmpeg").args(&arguments).stdin(Stdio::null()).kill_on_drop(true).output();
    let encoded = tokio::time::timeout(PATIENCE, encoding).await.expect("in time").expect("ffmpeg is installed");
    let file = Bytes::from(encoded.stdout);
    // The file's header and the first back pointer.
    let (mut at, mut messages) = (13, Vec::new());
    while let Some(head) = file.get(at..at + 11) {
        let size = u32::from_be_bytes([0, head[1], head[2], head[3]]) as usize;
        let at_ms = u32::from_be_bytes([head[7], head[4], head[5], head[6]]);
        if matches!(head[0], 8 | 9) {
            messages.push(Message { at_ms, is_video: head[0] == 9, body: file.slice(at + 11..at + 11 + size) });
        }
        at += 11 + size + 4;
    }
    messages
}

struct Publisher {
    client: Client,
    stream: TcpStream,
    read: Vec<u8>,
}

impl Publisher {
    async fn connect(address: &str) -> Publisher {
        let options = client::Options { extensions: Some(Extensions::MULTITRACK), ..client::Options::new("key") };
        let stream = TcpStream::connect(address).await.unwrap();
        Publisher { client: Client::new(7, options).unwrap(), stream, read: vec![0; 4_096] }
    }

    async fn flush(&mut self) {
        while let Some(bytes) = self.client.poll_transmit() {
            self.stream.write_all(&bytes).await.unwrap();
        }
    }

    /// Until the server lets it publish; what the server can do.
    async fn begin(&mut self) -> amf0::Object {
        let mut told = None;
        loop {
            self.flush().await;
            let count = self.stream.read(&mut self.read).await.unwrap();
            assert!(count > 0, "the server went");
            self.client.handle_input(&self.read[..count]).unwrap();
            while let Some(event) = self.client.poll_event() {
                match event {
                    Event::Connected(properties) => told = Some(properties),
                    Event::Publishing => return told.expect("it connected"),
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    /// Sends messages in real time.
    async fn send(&mut self, messages: &[Message]) {
        let began = Instant::now();
        for message in messages {
            tokio::time::sleep_until(began + Duration::from_millis(message.at_ms.into())).await;
            let Message { at_ms, body, .. } = message.clone();
            match message.is_video {
                true => self.client.send_video(at_ms, body).unwrap(),
                false => self.client.send_audio(at_ms, body).unwrap(),
            }
            self.flush().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tracks_of_a_publisher_are_two_renditions() {
    // An encoder is configured, and is not used.
    let stage = Stage::new(ladder::Options {
        encoder: Encoder::X264,
        ffmpeg: "/nowhere/ffmpeg".into(),
        ..ladder::Options::default()
    })
    .await;
    let publish_at = stage.publish_to.split('/').nth(2).unwrap();

    // The further track's messages stand among the first's by their time.
    let further = FurtherTrack::new(1).unwrap();
    let (mut messages, small) = tokio::join!(clip("640x360", true), clip("320x180", false));
    messages.extend(
        small.into_iter().map(|message| Message { body: further_body(further, &message.body).unwrap(), ..message }),
    );
    messages.sort_by_key(|message| message.at_ms);
    let mut publisher = Publisher::connect(publish_at).await;
    let told = publisher.begin().await;
    assert_eq!(told.get("capsEx").and_then(amf0::Value::as_number), Some(6.0));
    let publishing = tokio::spawn(async move {
        publisher.send(&messages).await;
        publisher
    });

    // It is known before its first playlist, which says what it is like.
    let is_made =
        |stream: &LiveStream| matches!(&stream.offer().renditions[..], [one] if one.state == RenditionState::Made);
    let stream = stage.stream("two renditions", is_made).await;
    assert_eq!((stream.offer().ladder.clone(), stream.offer().source), (LadderState::Sent, true));
    let enough = async {
        let mut small = made(&stream, "180p30");
        small.wait_for(|snapshot| snapshot.next().msn >= 2).await.unwrap();
        stream.watch.clone().wait_for(|snapshot| snapshot.next().msn >= 2).await.unwrap();
    };
    tokio::time::timeout(PATIENCE, enough).await.expect("two segments of each");

    let master = run("curl", &["-s", &stage.master]).await;
    let uris: Vec<&str> = master.lines().filter(|line| !line.starts_with('#')).collect();
    let paths: Vec<&str> = uris.iter().filter_map(|uri| uri.split('?').next()).collect();
    assert_eq!(
        paths,
        ["source", "180p30"].map(|name| format!("/media/{}/{name}/media.m3u8", stream.epoch)),
        "{master}"
    );
    assert!(master.contains("#EXT-X-INDEPENDENT-SEGMENTS"), "{master}");
    assert!(master.contains("RESOLUTION=320x180,FRAME-RATE=30.000,VIDEO=\"180p30\""), "{master}");

    let origin = stage.master.split("/api/").next().unwrap();
    for (uri, size) in uris.iter().zip(["640,360", "320,180"]) {
        let url = format!("{origin}{uri}");
        let entries = "stream=codec_name,width,height:frame=key_frame";
        let arguments = ["-v", "error", "-live_start_index", "0", "-read_intervals", "%+#70", "-show_entries", entries];
        let probed = run("ffprobe", &[&arguments[..], &["-of", "csv", &url]].concat()).await;
        assert!(probed.contains(&format!("h264,{size}")) && probed.contains("aac"), "{probed}");
        assert!(probed.lines().any(|line| line.starts_with("frame,1")), "{probed}");
    }
    let playlists = check(&texts(&stream));
    assert!(playlists.iter().all(|playlist| playlist.segments.iter().all(|segment| !segment.gap)));
    assert!(stream.findings().iter().all(|finding| finding.code.as_str() != "tracks-unaligned"));

    let mut publisher = publishing.await.unwrap();
    publisher.client.finish().unwrap();
    publisher.flush().await;
    let ended = async {
        made(&stream, "180p30").wait_for(|snapshot| snapshot.ended()).await.unwrap();
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("its end");
}
