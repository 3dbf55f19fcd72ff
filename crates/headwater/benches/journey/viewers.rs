//! Players that follow one stream: whether parts come in time, what a viewer costs.
//!
//! Where there are parts a viewer asks for the playlist with the next part, which blocks, then for that part; else for the playlist
//! each second and for each new segment. One connection a viewer, kept alive. A viewer is in time if a part has arrived when its
//! first frame was sent no longer ago than the part lasts and 50 ms.

use crate::Settings;
use crate::clip::{self, Clip};
use crate::http::{Body, Connection};
use crate::playlist;
use crate::process::own_cpu;
use crate::publishers::{Sent, publish};
use crate::servers::Side;
use crate::tables::{self, Column, ms, percentile};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// The picture that viewers follow.
const SIZE: &str = "640x360";
/// From the stream's start until viewers come.
const SETTLE: Duration = Duration::from_secs(6);
/// The encoder's own cost is measured for so long, without viewers.
const ALONE: Duration = Duration::from_secs(3);
/// New viewers a second.
const RAMP: u32 = 1_500;
/// Between the last viewer's coming and the measured window.
const CALM: Duration = Duration::from_secs(2);
/// Parts of Headwater's `LOW` mode.
const PART: Duration = Duration::from_millis(200);
/// What a part may take beyond its own length.
const ALLOWED: Duration = Duration::from_millis(50);
/// How often a viewer without parts looks at the playlist: half a target duration.
const POLL: Duration = Duration::from_secs(1);

const COLUMNS: [Column; 9] = [
    Column("parts late p50 ms", 1),
    Column("p99 ms", 1),
    Column("in time %", 2),
    Column("missed or failed", 0),
    Column("CPU ms a viewer-minute", 1),
    Column("CPU s a GB", 2),
    Column("KB a viewer", 1),
    Column("requests/s", 0),
    Column("load's CPU cores", 2),
];

pub async fn run(settings: &Settings) {
    println!();
    let clip = Clip::make(SIZE, settings.viewer_kbps);
    tables::heading("viewers", &COLUMNS);
    for &viewers in &settings.viewers {
        settings.compare(viewers, &COLUMNS, async |side| turn(side, &clip, viewers, settings.window).await).await;
    }
}

/// What one viewer or all of them met in the window.
#[derive(Default)]
struct Seen {
    /// Parts by the hash of their name, and when they were whole.
    parts: Vec<(u64, Instant)>,
    requests: u64,
    bytes: u64,
    failed: u64,
}

async fn turn(side: &Side, clip: &Clip, viewers: usize, window: Duration) -> Vec<f64> {
    let server = side.start();
    let address = server.channels(1, "").remove(0);
    let sent = Sent::default();
    let mut tasks = JoinSet::new();
    tasks.spawn(publish(server.rtmp_port, address.clone(), clip.clone(), Duration::ZERO, Some(sent.clone())));
    tokio::time::sleep(SETTLE).await;
    let before = server.process.cpu();
    tokio::time::sleep(ALONE).await;
    let encoder = (server.process.cpu() - before).div_f64(ALONE.as_secs_f64());
    let memory_before = server.process.memory_kb();

    let ramp = Duration::from_secs(1) / RAMP;
    let coming = ramp * viewers as u32;
    let begin = Instant::now() + coming + CALM;
    let end = begin + window;
    let parts = side.is_headwater();
    let probe = parts
        .then(|| tokio::spawn(probe(server.web_port, address.playlist.clone(), sent, end + Duration::from_secs(1))));
    let mut viewing = JoinSet::new();
    for n in 0..viewers {
        let first = address.playlist.clone();
        let (port, at) = (server.web_port, Instant::now() + ramp * n as u32);
        viewing.spawn(async move {
            tokio::time::sleep_until(at.into()).await;
            if parts {
                follow_parts(port, first, begin, end).await
            } else {
                follow_segments(port, first, begin, end).await
            }
        });
    }
    tokio::time::sleep_until(begin.into()).await;
    let (cpu_before, own_before, began) = (server.process.cpu(), own_cpu(), Instant::now());
    // Memory at several moments: what is being sent at one of them is not a waiting viewer's.
    let mut memory = Vec::new();
    while Instant::now() + Duration::from_millis(450) < end {
        tokio::time::sleep(Duration::from_millis(430)).await;
        memory.push(server.process.memory_kb().saturating_sub(memory_before) as f64);
    }
    tokio::time::sleep_until(end.into()).await;
    let lasted = began.elapsed();
    let cpu = (server.process.cpu() - cpu_before).saturating_sub(encoder.mul_f64(lasted.as_secs_f64()));
    let own = own_cpu() - own_before;
    let mut all = Seen::default();
    let mut missed = 0_u64;
    let expected = (window.as_millis() / PART.as_millis()) as u64;
    while let Some(seen) = viewing.join_next().await {
        let seen = seen.unwrap();
        if parts {
            // One more or less is where the window cuts.
            missed += expected.saturating_sub(1).saturating_sub(seen.parts.len() as u64);
        }
        all.parts.extend(seen.parts);
        all.requests += seen.requests;
        all.bytes += seen.bytes;
        all.failed += seen.failed;
    }
    let mut late = Vec::with_capacity(all.parts.len());
    let mut in_time = f64::NAN;
    if let Some(probe) = probe {
        let known = probe.await.unwrap();
        let times = all.parts.iter().filter_map(|(part, at)| Some((known.get(part)?, at)));
        late.extend(times.clone().map(|(part, at)| ms(at.saturating_duration_since(part.last))));
        let good = times.filter(|(part, at)| at.saturating_duration_since(part.first) <= PART + ALLOWED).count();
        in_time = good as f64 * 100.0 / late.len() as f64;
    }
    vec![
        percentile(&mut late, 0.5),
        percentile(&mut late, 0.99),
        in_time,
        (all.failed + missed) as f64,
        ms(cpu) / (viewers as f64 * lasted.as_secs_f64() / 60.0),
        cpu.as_secs_f64() / (all.bytes as f64 / 1e9),
        percentile(&mut memory, 0.5) / viewers as f64,
        all.requests as f64 / window.as_secs_f64(),
        own.as_secs_f64() / lasted.as_secs_f64(),
    ]
}

async fn follow_parts(port: u16, first: String, begin: Instant, end: Instant) -> Seen {
    let mut seen = Seen::default();
    let mut connection = Connection::open(port).await.unwrap();
    let media = playlist::media_path(&mut connection, &first).await;
    let mut reader = playlist::Reader::default();
    while Instant::now() < end {
        let path = reader.path(&media);
        let found = connection.get(&path, Body::Keep).await.unwrap() == 200;
        note(&mut seen, &connection, found, begin);
        if !found {
            reader = playlist::Reader::default();
            continue;
        }
        for part in reader.new_parts(connection.text()) {
            let found = connection.get(&playlist::absolute(&media, &part), Body::Drop).await.unwrap() == 200;
            note(&mut seen, &connection, found, begin);
            let now = Instant::now();
            if found && now >= begin && now < end {
                seen.parts.push((hash(&part), now));
            }
        }
    }
    seen
}

async fn follow_segments(port: u16, first: String, begin: Instant, end: Instant) -> Seen {
    let mut seen = Seen::default();
    let mut connection = Connection::open(port).await.unwrap();
    let media = playlist::media_path(&mut connection, &first).await;
    let mut reader = playlist::Reader::default();
    let mut next = tokio::time::Instant::now();
    while Instant::now() < end {
        let found = connection.get(&media, Body::Keep).await.unwrap() == 200;
        note(&mut seen, &connection, found, begin);
        if let Some(segment) = reader.new_segment(connection.text()) {
            let found = connection.get(&playlist::absolute(&media, &segment), Body::Drop).await.unwrap() == 200;
            note(&mut seen, &connection, found, begin);
        }
        next += POLL;
        tokio::time::sleep_until(next).await;
    }
    seen
}

fn note(seen: &mut Seen, connection: &Connection, found: bool, begin: Instant) {
    if Instant::now() >= begin {
        seen.requests += 1;
        seen.bytes += connection.bytes();
        seen.failed += u64::from(!found);
    }
}

fn hash(name: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

/// When the first frame of a part was sent, and when the frame that closed it.
struct PartTimes {
    first: Instant,
    last: Instant,
}

/// One more viewer, who looks into the parts: which frames are in them.
async fn probe(port: u16, first: String, sent: Sent, until: Instant) -> HashMap<u64, PartTimes> {
    let mut connection = Connection::open(port).await.unwrap();
    let media = playlist::media_path(&mut connection, &first).await;
    let mut reader = playlist::Reader::default();
    let mut parts = HashMap::new();
    while Instant::now() < until {
        let path = reader.path(&media);
        assert_eq!(connection.get(&path, Body::Keep).await.unwrap(), 200, "{path}");
        for part in reader.new_parts(connection.text()) {
            let path = playlist::absolute(&media, &part);
            assert_eq!(connection.get(&path, Body::Keep).await.unwrap(), 200, "{path}");
            let numbers = clip::numbers(connection.body());
            if let (Some(&first), Some(&last)) = (numbers.first(), numbers.last()) {
                // A part is closed by the frame after it, which says how long its last one is shown.
                parts.insert(hash(&part), PartTimes { first: sent.at(first), last: sent.at(last + 1) });
            }
        }
    }
    parts
}
