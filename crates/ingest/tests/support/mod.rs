//! What the tests of this crate share: a server with its hub on a free port, an encoder that plays a recorded clip, and a count of
//! what arrived in the live stream, read from the fMP4 that viewers get.

#![allow(dead_code, reason = "each test file uses its part")]

use async_trait::async_trait;
use bytes::Bytes;
use headwater_hls::{Position, Snapshot};
use headwater_ingest::{Admission, Directory, Limits, Refusal, Transport};
use headwater_live::{Hub, Journal, JournalError, SessionEvent, SessionEventKind};
use headwater_media::TrackKind;
use headwater_model::ivs::{Channel, ClientKey, MultitrackInput, Shown, StreamKey};
use headwater_model::{Realm, Timestamp};
use headwater_rtmp::client::{Event, Options};
use headwater_rtmp::server::{self, Capabilities, Deadlines};
use headwater_rtmp::{Client, Server, amf0};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Nothing here takes longer unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// One channel and its key, as a directory.
pub struct OneChannel {
    pub channel: Channel,
    pub key: StreamKey,
}

impl OneChannel {
    pub fn new(multitrack: MultitrackInput) -> Arc<Self> {
        let realm = Realm::default();
        let channel = Channel { multitrack, ..Channel::new(&realm, "test", Timestamp(0)) };
        let key = StreamKey::new(&realm, channel.arn.clone(), Timestamp(0));
        Arc::new(OneChannel { channel, key })
    }
}

/// The key at which the directory panics.
pub const PANIC_KEY: &str = "sk_us-east-1_panic";

#[async_trait]
impl Directory for OneChannel {
    async fn resolve(&self, key: &str, _: Transport, _: SocketAddr) -> Result<Admission, Refusal> {
        assert_ne!(key, PANIC_KEY, "the directory was told to panic");
        if let Some(client_key) = ClientKey::parse(key) {
            let configuration = client_key.open(&self.key).ok_or(Refusal::UnknownKey)?;
            let is_over = configuration.expires_at <= Timestamp::now();
            let shown = if is_over { Shown::Expired } else { Shown::Configured(configuration) };
            return Ok(Admission { channel: self.channel.clone(), shown });
        }
        if !self.key.value.matches(key) {
            return Err(Refusal::UnknownKey);
        }
        Ok(Admission::by_stream_key(self.channel.clone()))
    }
}

/// Keeps the names of events, in order.
#[derive(Default)]
pub struct Recorded(Mutex<Vec<&'static str>>);

impl Recorded {
    pub fn names(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait]
impl Journal for Recorded {
    async fn record(&self, event: SessionEvent) -> Result<(), JournalError> {
        self.0.lock().unwrap().push(match event.kind {
            SessionEventKind::Created => "created",
            SessionEventKind::Start { .. } => "start",
            SessionEventKind::Takeover => "takeover",
            SessionEventKind::TakeoverFailure(refusal) => refusal.code(),
            SessionEventKind::LimitBreach(breach) => breach.name(),
            SessionEventKind::AdBreak(_) => "ad break",
            SessionEventKind::StarvationStart => "starvation start",
            SessionEventKind::StarvationEnd => "starvation end",
            SessionEventKind::End => "end",
            SessionEventKind::Ended => "ended",
            SessionEventKind::Refused(code) => code.as_str(),
        });
        Ok(())
    }
}

/// A server for one channel.
pub struct Served {
    pub directory: Arc<OneChannel>,
    pub journal: Arc<Recorded>,
    pub hub: Hub,
    pub cancel: CancellationToken,
    pub tasks: JoinSet<()>,
}

impl Served {
    pub fn new() -> Self {
        Served::with(MultitrackInput::default())
    }

    pub fn with(multitrack: MultitrackInput) -> Self {
        let journal = Arc::new(Recorded::default());
        Served {
            directory: OneChannel::new(multitrack),
            hub: Hub::new(headwater_live::Options::default(), Arc::clone(&journal) as Arc<dyn Journal>),
            journal,
            cancel: CancellationToken::new(),
            tasks: JoinSet::new(),
        }
    }

    pub async fn rtmp(&mut self, limits: Limits) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let directory = Arc::clone(&self.directory) as Arc<dyn Directory>;
        self.tasks.spawn(headwater_ingest::serve_rtmp(
            listener,
            directory,
            self.hub.clone(),
            limits,
            self.cancel.clone(),
        ));
        address
    }

    pub fn key(&self) -> String {
        self.directory.key.value.expose().to_owned()
    }

    pub fn channel_id(&self) -> &str {
        &self.directory.channel.id
    }

    /// The newest snapshot of the channel's stream, once `good`.
    pub async fn snapshot(&self, good: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
        let stream = eventually(|| self.hub.stream(self.channel_id())).await;
        let mut watch = stream.watch.clone();
        let found = tokio::time::timeout(PATIENCE, watch.wait_for(|snapshot| good(snapshot))).await;
        found.expect("a snapshot in time").expect("a stream that is there").clone()
    }
}

/// Asks until there is an answer.
pub async fn eventually<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(tokio::time::Instant::now() < deadline, "no answer in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Two seconds of H.264 and AAC that ffmpeg once sent: 30 pictures, keyframes each second.
pub struct Clip {
    pub metadata: amf0::Object,
    pub bodies: Vec<(TrackKind, u32, Bytes)>,
}

pub const CLIP_MS: u32 = 2_000;
pub const CLIP_PICTURES: usize = 30;

impl Clip {
    pub fn load() -> Self {
        let capture = include_bytes!("../../../rtmp/tests/data/ffmpeg-h264-aac.rtmp");
        let now = std::time::Instant::now();
        let mut session = Server::new(now, 1, Deadlines::default(), Capabilities::default());
        let mut clip = Clip { metadata: amf0::Object::new(), bodies: Vec::new() };
        for piece in capture.chunks(64) {
            session.handle_input(now, piece).unwrap();
            while session.poll_transmit().is_some() {}
            while let Some(event) = session.poll_event() {
                match event {
                    server::Event::PublishRequested(_) => session.accept(now),
                    server::Event::Metadata(metadata) => clip.metadata = metadata,
                    server::Event::Video { timestamp_ms, body } => {
                        clip.bodies.push((TrackKind::Video, timestamp_ms, body))
                    }
                    server::Event::Audio { timestamp_ms, body } => {
                        clip.bodies.push((TrackKind::Audio, timestamp_ms, body))
                    }
                    _ => {}
                }
            }
        }
        clip
    }

    /// The clip again and again; configurations and the end of sequence once at most.
    pub fn repeated(&self, times: u32) -> Vec<(TrackKind, u32, Bytes)> {
        let is_data = |body: &Bytes| body[1] == 1;
        let config = self.bodies.iter().filter(|(_, _, body)| body[1] == 0).cloned();
        let data = (0..times).flat_map(|time| {
            self.bodies
                .iter()
                .filter(move |(_, _, body)| is_data(body))
                .map(move |(kind, ms, body)| (*kind, ms + time * CLIP_MS, body.clone()))
        });
        config.chain(data).collect()
    }
}

/// An encoder on any byte stream.
pub struct Encoder<S> {
    pub client: Client,
    pub stream: S,
}

impl Encoder<TcpStream> {
    pub async fn connect(address: SocketAddr, key: &str) -> Self {
        Encoder::over(TcpStream::connect(address).await.unwrap(), key)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Encoder<S> {
    pub fn over(stream: S, key: &str) -> Self {
        Encoder { client: Client::new(1, Options::new(key)).unwrap(), stream }
    }

    /// Talks until the next event; `None` when the server closed the connection.
    pub async fn event(&mut self) -> Option<Event> {
        tokio::time::timeout(PATIENCE, async {
            loop {
                self.flush().await.ok()?;
                if let Some(event) = self.client.poll_event() {
                    return Some(event);
                }
                let mut buffer = [0; 4096];
                match self.stream.read(&mut buffer).await {
                    Ok(0) | Err(_) => return None,
                    Ok(length) => self.client.handle_input(&buffer[..length]).unwrap(),
                }
            }
        })
        .await
        .expect("an event in time")
    }

    /// Up to the permission to publish.
    pub async fn begin(&mut self) {
        loop {
            match self.event().await {
                Some(Event::Connected(_)) => {}
                Some(Event::Publishing) => return,
                other => panic!("{other:?}"),
            }
        }
    }

    /// The first refusal; the connection must close after it.
    pub async fn refusal(&mut self) -> (String, String) {
        loop {
            match self.event().await {
                Some(Event::Refused { code, description }) => {
                    assert_eq!(self.event().await, None, "closed after the refusal");
                    return (code, description);
                }
                Some(_) => {}
                None => panic!("closed without a word"),
            }
        }
    }

    pub async fn send(&mut self, bodies: Vec<(TrackKind, u32, Bytes)>) -> std::io::Result<()> {
        for (kind, timestamp_ms, body) in bodies {
            match kind {
                TrackKind::Video => self.client.send_video(timestamp_ms, body),
                TrackKind::Audio => self.client.send_audio(timestamp_ms, body),
            }
            .unwrap();
            self.flush().await?;
        }
        Ok(())
    }

    pub async fn flush(&mut self) -> std::io::Result<()> {
        while let Some(bytes) = self.client.poll_transmit() {
            self.stream.write_all(&bytes).await?;
        }
        self.stream.flush().await
    }
}

/// Samples of each track in a stream that is over, by handler: `vide` and `soun`.
pub fn count_samples(snapshot: &Snapshot) -> BTreeMap<String, usize> {
    let init = snapshot.init(0).expect("an init segment").clone();
    let mut handlers = BTreeMap::new();
    for moov in children(&init, b"moov") {
        for trak in children(moov, b"trak") {
            // tkhd: version, flags, two times (32 bits each in version 0), track id.
            let tkhd = children(trak, b"tkhd")[0];
            let at = if tkhd[0] == 1 { 20 } else { 12 };
            let hdlr = children(children(trak, b"mdia")[0], b"hdlr")[0];
            handlers.insert(u32_at(tkhd, at), String::from_utf8(hdlr[8..12].to_vec()).unwrap());
        }
    }
    let last = snapshot.last().expect("parts");
    let mut counts = BTreeMap::new();
    for msn in 0..=last.msn {
        for part in 0.. {
            let Some(part) = snapshot.part(Position { msn, part }) else { break };
            let body = part.body();
            for traf in children(body, b"moof").into_iter().flat_map(|moof| children(moof, b"traf")) {
                let track = u32_at(children(traf, b"tfhd")[0], 4);
                let samples: u32 = children(traf, b"trun").into_iter().map(|trun| u32_at(trun, 4)).sum();
                *counts.entry(handlers[&track].clone()).or_default() += samples as usize;
            }
        }
    }
    counts
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// Bodies of the boxes of that type, one level deep.
fn children<'a>(mut bytes: &'a [u8], kind: &[u8; 4]) -> Vec<&'a [u8]> {
    let mut found = Vec::new();
    while bytes.len() >= 8 {
        let length = u32_at(bytes, 0) as usize;
        if &bytes[4..8] == kind {
            found.push(&bytes[8..length]);
        }
        bytes = &bytes[length..];
    }
    found
}
