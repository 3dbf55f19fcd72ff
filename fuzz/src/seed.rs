//! Writes the seeds: what real encoders sent, cut into what each target reads. Run it in the folder `fuzz`.

use bytes::BytesMut;
use headwater_fuzz::{Message, write};
use headwater_rtmp::Server;
use headwater_rtmp::amf0::{self, Value};
use headwater_rtmp::server::{Capabilities, Deadlines, Event};
use std::fs;
use std::path::Path;
use std::time::Instant;

fn seed(target: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let folder = Path::new("corpus").join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), bytes)
}

fn main() -> std::io::Result<()> {
    for entry in fs::read_dir("../crates/rtmp/tests/data")? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "rtmp") {
            continue;
        }
        let capture = fs::read(&path)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        seed("rtmp_server", &name, &capture)?;
        from_capture(&name, &capture)?;
    }
    for (name, query) in [("wait", "_HLS_msn=7&_HLS_part=3"), ("skip", "_HLS_skip=YES"), ("segment", "_HLS_msn=7&_HLS_skip=v2")] {
        seed("playlist_query", name, query.as_bytes())?;
    }
    for entry in fs::read_dir("../examples")? {
        let path = entry?.path();
        if path.is_file() {
            seed("template", &path.file_name().unwrap_or_default().to_string_lossy(), &fs::read(&path)?)?;
        }
    }
    for (name, pattern) in [
        ("exact", r#"{"source":["aws.ivs"],"detail":{"event_name":["Stream Start"]}}"#),
        ("numbers", r#"{"detail":{"exceeded_by":[{"numeric":[">",0,"<=",5e6]}],"x":[{"exists":false}]}}"#),
        ("words", r#"{"a":[{"prefix":"us-"},{"suffix":".png"},{"anything-but":["x"]},{"wildcard":"a*b"}]}"#),
        ("either", r#"{"$or":[{"a":[1]},{"b":[{"cidr":"10.0.0.0/24"},{"equals-ignore-case":"B"}]}]}"#),
    ] {
        seed("event_pattern", name, pattern.as_bytes())?;
    }
    Ok(())
}

fn from_capture(name: &str, capture: &[u8]) -> std::io::Result<()> {
    let now = Instant::now();
    let mut session = Server::new(now, 1, Deadlines::default(), Capabilities::default());
    let (mut flv, mut last_ms) = (Vec::new(), 0u32);
    for piece in capture.chunks(256) {
        session.handle_input(now, piece).expect("a capture is what an encoder sent");
        while session.poll_transmit().is_some() {}
        while let Some(event) = session.poll_event() {
            let (is_video, timestamp_ms, body) = match event {
                Event::PublishRequested(_) => {
                    session.accept(now);
                    continue;
                }
                Event::Metadata(values) => {
                    let mut bytes = BytesMut::new();
                    amf0::encode_all(&[Value::from("onMetaData"), Value::Object(values)], &mut bytes);
                    seed("amf0", name, &bytes)?;
                    continue;
                }
                Event::Video { timestamp_ms, body } => (true, timestamp_ms, body),
                Event::Audio { timestamp_ms, body } => (false, timestamp_ms, body),
                _ => continue,
            };
            let step_ms = i16::try_from(i64::from(timestamp_ms) - i64::from(last_ms)).unwrap_or(0);
            last_ms = timestamp_ms;
            if body.get(1) == Some(&0) {
                let header = if is_video { body.get(5..) } else { body.get(2..) };
                seed("codec_headers", &format!("{name}-{}", u8::from(is_video)), header.unwrap_or_default())?;
            }
            write(&Message { is_video, step_ms, body }, &mut flv);
        }
    }
    seed("flv", name, &flv)
}
