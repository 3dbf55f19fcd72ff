//! Passthrough encoders: what each costs, and how soon its frames can be fetched.

use crate::Settings;
use crate::clip::{self, Clip};
use crate::http::{Body, Connection};
use crate::playlist;
use crate::servers::{Address, Side};
use crate::tables::{self, Column, ms, percentile};
use bytes::Bytes;
use headwater_rtmp::StreamKey;
use headwater_rtmp::client::{Client, Event, Options};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Streams settle for so long before the window begins.
pub const SETTLE: Duration = Duration::from_secs(9);
/// A stream that is so old holds all the segments that it ever will, of 2 s: seven that are listed, the one that left last, the open one; encoders begin up to a
/// second apart.
const FULL: Duration = Duration::from_secs(20);
/// The clip of the measured streams.
const SIZE: &str = "1280x720";
const KBPS: u32 = 2_500;

const COLUMNS: [Column; 7] = [
    Column("CPU ms a stream-second", 2),
    Column("memory MB a stream", 2),
    Column("frame sent → retrievable p50 ms", 0),
    Column("p95 ms", 0),
    Column("newest frame p50 ms", 0),
    Column("p95 ms", 0),
    Column("frames missing", 0),
];

/// When frame number N, from 1, of a watched stream was sent.
#[derive(Clone, Default)]
pub struct Sent(Arc<Mutex<Vec<Instant>>>);

impl Sent {
    /// The next number. The time is noted after the frame was sent, with [`Sent::now`].
    fn next(&self) -> u64 {
        self.0.lock().unwrap().len() as u64 + 1
    }

    fn now(&self) {
        self.0.lock().unwrap().push(Instant::now());
    }

    /// A frame may be with a viewer before its time is noted: it was sent just now then.
    pub fn at(&self, number: u64) -> Instant {
        self.0.lock().unwrap().get(number as usize - 1).copied().unwrap_or_else(Instant::now)
    }
}

pub async fn run(settings: &Settings) {
    println!();
    let clip = Clip::make(SIZE, KBPS);
    tables::heading("streams", &COLUMNS);
    for &streams in &settings.streams {
        settings.compare(streams, &COLUMNS, async |side| turn(side, &clip, streams, settings.window).await).await;
    }
}

async fn turn(side: &Side, clip: &Clip, streams: usize, window: Duration) -> Vec<f64> {
    // A fresh server each time, so that one load's memory does not count for the next.
    let server = side.start();
    let addresses = server.channels(streams, "");
    let idle_kb = server.process.memory_kb();
    let sent = Sent::default();
    let mut publishers = JoinSet::new();
    let full = tokio::time::Instant::now() + FULL;
    for (n, address) in addresses.iter().enumerate() {
        // Encoders do not beat in step.
        let offset = Duration::from_millis((n as u64 * 37) % 1000);
        let watched = (n == 0).then(|| sent.clone());
        publishers.spawn(publish(server.rtmp_port, address.clone(), clip.clone(), offset, watched));
    }
    tokio::time::sleep(SETTLE).await;
    let probe = side.is_headwater().then(|| {
        tokio::spawn(probe(server.web_port, addresses[0].playlist.clone(), sent.clone(), Instant::now() + window))
    });
    let (cpu_before, began) = (server.process.cpu(), Instant::now());
    tokio::time::sleep(window).await;
    let (cpu, lasted) = (server.process.cpu() - cpu_before, began.elapsed());
    tokio::time::sleep_until(full).await;
    let memory_kb = server.process.memory_kb().saturating_sub(idle_kb);
    let mut seen = match probe {
        Some(probe) => probe.await.unwrap(),
        None => Seen { missing: f64::NAN, ..Seen::default() },
    };
    assert!(publishers.try_join_next().is_none(), "an encoder left");
    assert_eq!(publishers.len(), streams);
    publishers.abort_all();
    vec![
        ms(cpu) / (streams as f64 * lasted.as_secs_f64()),
        memory_kb as f64 / 1024.0 / streams as f64,
        percentile(&mut seen.every, 0.5),
        percentile(&mut seen.every, 0.95),
        percentile(&mut seen.newest, 0.5),
        percentile(&mut seen.newest, 0.95),
        seen.missing,
    ]
}

/// An encoder that may send.
pub struct Publisher {
    client: Client,
    socket: TcpStream,
    buffer: Vec<u8>,
}

impl Publisher {
    pub async fn connect(port: u16, address: &Address) -> Publisher {
        let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let mut options = Options::new("");
        options.app = address.app.to_owned();
        options.tc_url = format!("rtmp://127.0.0.1:{port}/{}", address.app);
        options.name = StreamKey::new(address.key.clone());
        let client = Client::new(u64::from(port), options).unwrap();
        let mut publisher = Publisher { client, socket, buffer: vec![0; 16 * 1024] };
        loop {
            publisher.transmit().await;
            let read = publisher.socket.read(&mut publisher.buffer).await.unwrap();
            assert!(read > 0, "the server closed the connection");
            publisher.client.handle_input(&publisher.buffer[..read]).unwrap();
            while let Some(event) = publisher.client.poll_event() {
                match event {
                    Event::Publishing => return publisher,
                    Event::Refused { code, description } => panic!("{code}: {description}"),
                    _ => {}
                }
            }
        }
    }

    /// Sends the clip over and over in real time, for so long; with `sent`, each frame is numbered and its sending noted.
    pub async fn play(&mut self, clip: &Clip, lasts: Duration, sent: Option<&Sent>) {
        let began = tokio::time::Instant::now();
        for round in 0_u32.. {
            for tag in clip.tags.iter() {
                let timestamp_ms = round * clip.lasts_ms + tag.timestamp_ms;
                let due = Duration::from_millis(u64::from(timestamp_ms));
                if due > lasts {
                    return;
                }
                tokio::time::sleep_until(began + due).await;
                let picture = tag.body.get(1) == Some(&1);
                match sent {
                    _ if !tag.video => self.client.send_audio(timestamp_ms, tag.body.clone()).unwrap(),
                    Some(sent) if picture => {
                        let body: Bytes = clip::stamped(&tag.body, sent.next());
                        self.client.send_video(timestamp_ms, body).unwrap();
                        sent.now();
                    }
                    _ => self.client.send_video(timestamp_ms, tag.body.clone()).unwrap(),
                }
                self.transmit().await;
                // The server's acknowledgements; nothing in them matters here.
                while let Ok(read) = self.socket.try_read(&mut self.buffer) {
                    assert!(read > 0, "the server closed the connection");
                    self.client.handle_input(&self.buffer[..read]).unwrap();
                    while self.client.poll_event().is_some() {}
                }
            }
        }
    }

    /// Leaves in the order that encoders keep.
    pub async fn leave(mut self) {
        self.client.finish().unwrap();
        self.transmit().await;
        let _ = self.socket.shutdown().await;
    }

    async fn transmit(&mut self) {
        while let Some(bytes) = self.client.poll_transmit() {
            self.socket.write_all(&bytes).await.unwrap();
        }
    }
}

/// Publishes until it is aborted.
pub async fn publish(port: u16, address: Address, clip: Clip, offset: Duration, sent: Option<Sent>) {
    tokio::time::sleep(offset).await;
    let mut publisher = Publisher::connect(port, &address).await;
    publisher.play(&clip, Duration::MAX, sent.as_ref()).await;
}

#[derive(Default)]
struct Seen {
    every: Vec<f64>,
    newest: Vec<f64>,
    missing: f64,
}

/// Follows the live edge with blocking reloads and notes for each frame how long it took to arrive.
async fn probe(port: u16, first: String, sent: Sent, until: Instant) -> Seen {
    let mut connection = Connection::open(port).await.unwrap();
    let media = playlist::media_path(&mut connection, &first).await;
    let (mut seen, mut last) = (Seen::default(), 0_u64);
    let mut reader = playlist::Reader::default();
    while Instant::now() < until {
        let path = reader.path(&media);
        assert_eq!(connection.get(&path, Body::Keep).await.unwrap(), 200, "{path}");
        for part in reader.new_parts(connection.text()) {
            let path = playlist::absolute(&media, &part);
            assert_eq!(connection.get(&path, Body::Keep).await.unwrap(), 200, "{path}");
            let now = Instant::now();
            let numbers = clip::numbers(connection.body());
            for &number in &numbers {
                if last != 0 && number > last + 1 {
                    seen.missing += (number - last - 1) as f64;
                }
                last = number;
                seen.every.push(ms(now - sent.at(number)));
            }
            if let Some(&number) = numbers.last() {
                seen.newest.push(ms(now - sent.at(number)));
            }
        }
    }
    seen
}
