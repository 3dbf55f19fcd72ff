//! `cargo bench --package headwater`: the release binary as a whole, measured from outside over loopback.
//!
//! | figure | how |
//! |---|---|
//! | frame sent → retrievable | each frame of one stream carries its number (SEI); a viewer with blocking reloads notes when the part with that number has arrived |
//! | CPU a stream-second | user and system time of the server process (`/proc/PID/stat`) over the window, by streams and seconds |
//! | memory a stream | resident memory at the window's end less that of the idle server, by streams |
//! | stack create | `headwater deploy` as a process, from its start to its end |
//!
//! Publishers and viewer run in this process and share the machine with the server. `BENCH_SECONDS` (20)
//! and `BENCH_STREAMS` (`1,50`) change the load.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on may panic")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use headwater_rtmp::client::{Client, Event, Options};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Marks our SEI messages: random, so that it does not occur in the picture.
const SEI_UUID: [u8; 16] = *b"\x7a\x31\xc2\x5d\x90\x4e\x4b\x1f\xa6\xd8\x3c\x55\xe7\x12\x98\xbb";
/// Streams settle for so long before the window begins.
const SETTLE: Duration = Duration::from_secs(6);

/// Channels of one stack.
const CHANNELS_A_STACK: usize = 100;

/// When frame number N of the watched stream was sent.
type Sent = Arc<Mutex<HashMap<u64, Instant>>>;

#[derive(Clone)]
struct Tag {
    video: bool,
    timestamp_ms: u32,
    body: Bytes,
}

fn main() {
    // `cargo test --benches` runs this with --test: then it only has to be there.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let seconds = setting("BENCH_SECONDS", "20").parse().unwrap();
    let loads: Vec<usize> = setting("BENCH_STREAMS", "1,50").split(',').map(|n| n.trim().parse().unwrap()).collect();
    let folder = tempfile::tempdir().unwrap();
    let clip = Arc::new(read_flv(&std::fs::read(make_clip(folder.path())).unwrap()));
    let bytes: usize = clip.iter().map(|t| t.body.len()).sum();
    let clip_ms = clip.last().unwrap().timestamp_ms + 33;
    println!("clip: 1280x720, 30 fps, {:.2} Mb/s, passed through", bytes as f64 * 8.0 / f64::from(clip_ms) / 1000.0);

    let server = Server::start(folder.path());
    stacks(&server, folder.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    println!(
        "\n| streams | CPU ms a stream-second | memory MB a stream | frame sent → retrievable p50 ms | p95 ms | newest frame p50 ms | p95 ms | frames missing |"
    );
    println!("|-|-|-|-|-|-|-|-|");
    for streams in loads {
        // A fresh server each time, so that one load's memory does not count for the next.
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(folder.path());
        runtime.block_on(ingest(&server, folder.path(), &clip, clip_ms, streams, seconds));
    }
}

fn setting(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.into())
}

fn stacks(server: &Server, folder: &Path) {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    println!("\n| stack | create s (min of 3) |\n|-|-|");
    let site = static_files(examples.join("blog-post-site"));
    for (name, template, parameter) in [
        ("built-in (live.yaml)", "live.yaml", None),
        ("eleven resources (blog-post.yaml)", "blog-post.yaml", Some(format!("SiteSource={site}"))),
    ] {
        let mut best = f64::INFINITY;
        for round in 0..3 {
            let stack = format!("bench{round}");
            let began = Instant::now();
            let mut arguments = vec![
                "deploy".to_string(),
                examples.join(template).display().to_string(),
                "--stack-name".into(),
                stack.clone(),
            ];
            if let Some(parameter) = &parameter {
                arguments.extend(["--parameter".to_string(), parameter.clone()]);
            }
            server.cli(folder, &arguments);
            best = best.min(began.elapsed().as_secs_f64());
            server.cli(folder, &["delete".into(), stack]);
        }
        println!("| {name} | {best:.2} |");
    }
}

/// Serves two small files over loopback for the template's downloads, for as long as the process lives.
fn static_files(folder: PathBuf) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        use std::io::{BufRead as _, Write as _};
        for stream in listener.incoming().flatten() {
            let mut line = String::new();
            let mut reader = std::io::BufReader::new(&stream);
            let _ = reader.read_line(&mut line);
            let name = line.split(' ').nth(1).and_then(|p| p.rsplit('/').next()).unwrap_or_default();
            let body = std::fs::read(folder.join(name)).unwrap_or_default();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = (&stream).write_all(head.as_bytes()).and_then(|()| (&stream).write_all(&body));
        }
    });
    format!("http://{address}")
}

async fn ingest(server: &Server, folder: &Path, clip: &Arc<Vec<Tag>>, clip_ms: u32, streams: usize, seconds: u64) {
    // A template may have 200 outputs, and each channel has two.
    let mut addresses = Vec::new();
    for first in (0..streams).step_by(CHANNELS_A_STACK) {
        let count = CHANNELS_A_STACK.min(streams - first);
        let template = folder.join("channels.yaml");
        std::fs::write(&template, channels(count)).unwrap();
        let stack = format!("load{first}");
        server.cli(folder, &["deploy".into(), template.display().to_string(), "--stack-name".into(), stack.clone()]);
        let text = server.cli(folder, &["outputs".into(), stack, "--json".into()]);
        let outputs: serde_json::Value = serde_json::from_str(&text).unwrap();
        let output = |key: String| {
            let list = outputs.as_array().unwrap();
            list.iter().find(|o| o["key"] == key).unwrap()["value"].as_str().unwrap().to_string()
        };
        addresses.extend((0..count).map(|n| (output(format!("Key{n}")), output(format!("Url{n}")))));
    }
    let idle_kb = server.memory_kb();
    let sent: Sent = Arc::default();
    let mut publishers = tokio::task::JoinSet::new();
    for (n, (key, _)) in addresses.iter().enumerate() {
        let key = key.clone();
        let sent = (n == 0).then(|| Arc::clone(&sent));
        // Encoders do not beat in step.
        let offset = Duration::from_millis((n as u64 * 37) % 1000);
        publishers.spawn(publish(server.rtmp_port, key, Arc::clone(clip), clip_ms, offset, sent));
    }
    tokio::time::sleep(SETTLE).await;
    let viewer =
        tokio::spawn(view(addresses[0].1.clone(), server.web_port, Arc::clone(&sent), Duration::from_secs(seconds)));
    let (cpu_before, began) = (server.cpu(), Instant::now());
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let (cpu, window) = (server.cpu() - cpu_before, began.elapsed());
    let memory_kb = server.memory_kb();
    let mut seen = viewer.await.unwrap();
    assert_eq!(publishers.len(), streams);
    publishers.abort_all();
    let per_stream_second = cpu.as_secs_f64() * 1000.0 / (streams as f64 * window.as_secs_f64());
    println!(
        "| {streams} | {per_stream_second:.2} | {:.2} | {:.0} | {:.0} | {:.0} | {:.0} | {} |",
        memory_kb.saturating_sub(idle_kb) as f64 / 1024.0 / streams as f64,
        percentile(&mut seen.every, 0.5),
        percentile(&mut seen.every, 0.95),
        percentile(&mut seen.newest, 0.5),
        percentile(&mut seen.newest, 0.95),
        seen.missing,
    );
}

fn channels(count: usize) -> String {
    let mut resources = String::from("Resources:\n");
    let mut outputs = String::from("Outputs:\n");
    for n in 0..count {
        resources.push_str(&format!("  Channel{n}: {{Type: 'AWS::IVS::Channel', Properties: {{Type: BASIC}}}}\n"));
        resources.push_str(&format!(
            "  StreamKey{n}: {{Type: 'AWS::IVS::StreamKey', Properties: {{ChannelArn: !Ref Channel{n}}}}}\n"
        ));
        outputs.push_str(&format!(
            "  Key{n}: {{Value: !GetAtt StreamKey{n}.Value}}\n  Url{n}: {{Value: !GetAtt Channel{n}.PlaybackUrl}}\n"
        ));
    }
    resources + &outputs
}

/// Sends the clip over and over in real time; with `sent`, each frame is numbered and its sending noted.
async fn publish(port: u16, key: String, clip: Arc<Vec<Tag>>, clip_ms: u32, offset: Duration, sent: Option<Sent>) {
    tokio::time::sleep(offset).await;
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let mut client = Client::new(u64::from(port), Options::new(key)).unwrap();
    let mut buffer = vec![0; 64 * 1024];
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
    let mut number = 0_u64;
    for round in 0_u32.. {
        for tag in clip.iter() {
            let timestamp_ms = round * clip_ms + tag.timestamp_ms;
            tokio::time::sleep_until(began + Duration::from_millis(u64::from(timestamp_ms))).await;
            if !tag.video {
                client.send_audio(timestamp_ms, tag.body.clone()).unwrap();
            } else if let (Some(sent), Some(1)) = (&sent, tag.body.get(1)) {
                number += 1;
                client.send_video(timestamp_ms, stamped(&tag.body, number)).unwrap();
                sent.lock().unwrap().insert(number, Instant::now());
            } else {
                client.send_video(timestamp_ms, tag.body.clone()).unwrap();
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

/// An AVC body with a user-data SEI in front that carries the number in hexadecimal (no emulation prevention needed).
fn stamped(body: &Bytes, number: u64) -> Bytes {
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

#[derive(Default)]
struct Seen {
    every: Vec<f64>,
    newest: Vec<f64>,
    missing: u64,
}

type Web = HttpClient<HttpConnector, Empty<Bytes>>;

async fn fetch(web: &Web, url: &str) -> Bytes {
    let answer = web.get(url.parse().unwrap()).await.unwrap();
    assert!(answer.status().is_success(), "{} for {url}", answer.status());
    answer.into_body().collect().await.unwrap().to_bytes()
}

/// Follows the live edge with blocking reloads and notes for each frame how long it took to arrive.
async fn view(playback_url: String, port: u16, sent: Sent, window: Duration) -> Seen {
    let web: Web = HttpClient::builder(TokioExecutor::new()).build_http();
    let base = format!("http://127.0.0.1:{port}");
    let path = playback_url.splitn(4, '/').nth(3).unwrap();
    let master = String::from_utf8(fetch(&web, &format!("{base}/{path}")).await.to_vec()).unwrap();
    let uri = master.lines().find(|l| !l.starts_with('#') && !l.is_empty()).unwrap();
    let media = absolute(&base, &format!("/{path}"), uri);
    let media_path = media[base.len()..].to_string();
    let (mut seen, mut last) = (Seen::default(), 0_u64);
    let mut known: Option<String> = None;
    let mut query = String::new();
    let end = Instant::now() + window;
    while Instant::now() < end {
        let text = String::from_utf8(fetch(&web, &format!("{media}{query}")).await.to_vec()).unwrap();
        let parts: Vec<&str> =
            text.lines().filter(|l| l.starts_with("#EXT-X-PART:")).filter_map(|l| attribute(l, "URI")).collect();
        let from = match &known {
            Some(known) => parts.iter().position(|p| p == known).map_or(0, |at| at + 1),
            None => parts.len().saturating_sub(1),
        };
        for part in &parts[from..] {
            let bytes = fetch(&web, &absolute(&base, &media_path, part)).await;
            let now = Instant::now();
            let numbers = numbers(&bytes);
            let sent = sent.lock().unwrap();
            for number in &numbers {
                if last != 0 && *number > last + 1 {
                    seen.missing += number - last - 1;
                }
                last = *number;
                seen.every.push(ms(now - sent[number]));
            }
            if let Some(number) = numbers.last() {
                seen.newest.push(ms(now - sent[number]));
            }
        }
        known = parts.last().map(|p| p.to_string());
        query = next(&text);
    }
    seen
}

/// The query that waits for the part after the last one of a playlist.
fn next(text: &str) -> String {
    let sequence: u64 = text.lines().find_map(|l| l.strip_prefix("#EXT-X-MEDIA-SEQUENCE:")).unwrap().parse().unwrap();
    let skipped: u64 = text.lines().find_map(|l| attribute(l, "SKIPPED-SEGMENTS")).map_or(0, |n| n.parse().unwrap());
    let whole = text.lines().filter(|l| l.starts_with("#EXTINF:")).count() as u64;
    let tail = text.rsplit("#EXTINF:").next().unwrap_or(text);
    let open = tail.lines().filter(|l| l.starts_with("#EXT-X-PART:")).count();
    format!("?_HLS_msn={}&_HLS_part={open}", sequence + skipped + whole)
}

fn attribute<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let rest = line.split([',', ':']).find_map(|field| field.strip_prefix(name)?.strip_prefix('='))?;
    Some(rest.trim_matches('"'))
}

fn absolute(base: &str, of: &str, uri: &str) -> String {
    if uri.starts_with("http") {
        // The server names its public host; this machine is meant.
        return format!("{base}/{}", uri.splitn(4, '/').nth(3).unwrap());
    }
    if uri.starts_with('/') {
        return format!("{base}{uri}");
    }
    let mut folder: Vec<&str> = of.split('/').collect();
    folder.pop();
    for piece in uri.split('/') {
        match piece {
            ".." => drop(folder.pop()),
            piece => folder.push(piece),
        }
    }
    format!("{base}{}", folder.join("/"))
}

fn numbers(bytes: &[u8]) -> Vec<u64> {
    let found = bytes.windows(SEI_UUID.len()).enumerate().filter(|(_, w)| *w == SEI_UUID);
    found
        .map(|(at, _)| {
            let digits = &bytes[at + SEI_UUID.len()..at + SEI_UUID.len() + 16];
            u64::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap()
        })
        .collect()
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(((values.len() as f64 - 1.0) * share) as usize).copied().unwrap_or(f64::NAN)
}

fn make_clip(folder: &Path) -> PathBuf {
    let path = folder.join("clip.flv");
    let status = Command::new("ffmpeg")
        .args([
            "-hide_banner",
            "-loglevel",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=1280x720:rate=30,noise=alls=12:allf=t",
        ])
        .args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", "10"])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p"])
        .args(["-b:v", "2400k", "-minrate", "2400k", "-maxrate", "2400k", "-bufsize", "1200k"])
        .args(["-g", "60", "-keyint_min", "60", "-sc_threshold", "0", "-c:a", "aac", "-b:a", "96k"])
        .args(["-f", "flv"])
        .arg(&path)
        .status()
        .expect("ffmpeg makes the clip: apt-get install ffmpeg");
    assert!(status.success());
    path
}

/// Audio and video tags of an FLV file (FLV 10.1, annex E).
fn read_flv(bytes: &[u8]) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut at = 13;
    while at + 11 <= bytes.len() {
        let size = u32::from_be_bytes([0, bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize;
        let timestamp_ms = u32::from_be_bytes([bytes[at + 7], bytes[at + 4], bytes[at + 5], bytes[at + 6]]);
        let body = Bytes::copy_from_slice(&bytes[at + 11..at + 11 + size]);
        match bytes[at] {
            8 => tags.push(Tag { video: false, timestamp_ms, body }),
            9 => tags.push(Tag { video: true, timestamp_ms, body }),
            _ => {}
        }
        at += 11 + size + 4;
    }
    tags
}

struct Server {
    process: Child,
    data: PathBuf,
    rtmp_port: u16,
    web_port: u16,
}

impl Server {
    fn start(folder: &Path) -> Server {
        let data = folder.join("data");
        let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
        command.arg("--data").arg(&data).arg("serve").current_dir(folder);
        for listener in ["api", "web", "rtmp"] {
            command.args([format!("--listen-{listener}"), "127.0.0.1:0".into()]);
        }
        let process =
            command.args(["--listen-tls", "off", "--log-filter", "warn"]).stdin(Stdio::null()).spawn().unwrap();
        // Owned by a value whose drop ends it, whatever happens below.
        let mut server = Server { process, data, rtmp_port: 0, web_port: 0 };
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            if let Ok(text) = std::fs::read(server.data.join("server.json")) {
                let addresses: serde_json::Value = serde_json::from_slice(&text).unwrap();
                server.web_port = addresses["web_url"].as_str().unwrap().rsplit(':').next().unwrap().parse().unwrap();
                server.rtmp_port = u16::try_from(addresses["rtmp_port"].as_u64().unwrap()).unwrap();
                return server;
            }
            assert!(Instant::now() < end, "the server did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn cli(&self, folder: &Path, arguments: &[String]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_headwater"))
            .arg("--data")
            .arg(&self.data)
            .args(arguments)
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// User and system time so far, in clock ticks of 10 ms.
    fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    fn memory_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").trim().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
