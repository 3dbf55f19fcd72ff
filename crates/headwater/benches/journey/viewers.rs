//! Players that follow one stream: whether parts come in time, what a viewer costs.
//!
//! Where there are parts a viewer asks for the playlist with the next part, which blocks, then for that part; else for the playlist
//! each second and for each new segment. One connection a viewer, kept alive. A viewer is in time if a part has arrived when its
//! first frame was sent no longer ago than the part lasts and 50 ms.

use crate::Settings;
use crate::clip::{self, Clip};
use crate::crowd::{self, Crowd, Follow, Seen};
use crate::http::{Body, Connection};
use crate::playlist;
use crate::process;
use crate::publishers::{Sent, publish};
use crate::servers::Side;
use crate::tables::{self, Column, ms, percentile};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio_util::task::AbortOnDropHandle;

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
const COLUMNS: [Column; 10] = [
    Column("parts late p50 ms", 1),
    Column("p99 ms", 1),
    Column("in time %", 2),
    Column("missed or failed", 0),
    Column("CPU ms a viewer-minute", 1),
    Column("of it kernel %", 0),
    Column("CPU s a GB", 2),
    Column("KB a viewer", 1),
    Column("requests/s", 0),
    Column("load's CPU ms a viewer-minute", 1),
];

pub async fn run(settings: &Settings) {
    println!();
    let clip = Clip::make(SIZE, settings.viewer_kbps);
    tables::heading("viewers", &COLUMNS);
    for &viewers in &settings.viewers {
        settings.compare(viewers, &COLUMNS, async |side| turn(side, &clip, viewers, settings.window).await).await;
    }
}

async fn turn(side: &Side, clip: &Clip, viewers: usize, window: Duration) -> Vec<f64> {
    let server = side.start();
    let address = server.channels(1, "").remove(0);
    let sent = Sent::default();
    let encoder = publish(server.rtmp_port, address.clone(), clip.clone(), Duration::ZERO, Some(sent.clone()));
    let encoder = AbortOnDropHandle::new(tokio::spawn(encoder));
    tokio::time::sleep(SETTLE).await;
    let before = server.process.cpu_by_kind();
    tokio::time::sleep(ALONE).await;
    let alone = server.process.cpu_by_kind() - before;
    let memory_before = server.process.memory_kb();

    let ramp = Duration::from_secs(1) / RAMP;
    let begin = Instant::now() + ramp * viewers as u32 + CALM;
    let end = begin + window;
    let follow = if side.is_headwater() { Follow::Parts } else { Follow::Segments };
    let probe = (follow == Follow::Parts)
        .then(|| tokio::spawn(probe(server.web_port, address.playlist.clone(), sent, end + Duration::from_secs(1))));
    let crowd = Crowd { port: server.web_port, first: address.playlist, follow, viewers, ramp, begin, end };
    let threads = crowd.gather();
    tokio::time::sleep_until(begin.into()).await;
    let (cpu_before, own_before, began) = (server.process.cpu_by_kind(), process::own_cpu(), Instant::now());
    // Memory at several moments: what is being sent at one of them is not a waiting viewer's.
    let mut memory = Vec::new();
    while Instant::now() + Duration::from_millis(450) < end {
        tokio::time::sleep(Duration::from_millis(430)).await;
        memory.push(server.process.memory_kb().saturating_sub(memory_before) as f64);
    }
    tokio::time::sleep_until(end.into()).await;
    let lasted = began.elapsed();
    let cpu = (server.process.cpu_by_kind() - cpu_before) - alone.mul_f64(lasted.div_duration_f64(ALONE));
    let own = process::own_cpu() - own_before;
    let viewer_minutes = viewers as f64 * lasted.as_secs_f64() / 60.0;
    let mut all = Seen::default();
    let mut missed = 0_u64;
    let expected = (window.as_millis() / PART.as_millis()) as u64;
    let seen = tokio::task::spawn_blocking(|| threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect());
    let seen: Vec<Seen> = seen.await.unwrap();
    for seen in seen {
        if follow == Follow::Parts {
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
    drop(encoder);
    vec![
        percentile(&mut late, 0.5),
        percentile(&mut late, 0.99),
        in_time,
        (all.failed + missed) as f64,
        ms(cpu.all()) / viewer_minutes,
        cpu.kernel.as_secs_f64() * 100.0 / cpu.all().as_secs_f64(),
        cpu.all().as_secs_f64() / (all.bytes as f64 / 1e9),
        percentile(&mut memory, 0.5) / viewers as f64,
        all.requests as f64 / window.as_secs_f64(),
        ms(own.all()) / viewer_minutes,
    ]
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
                parts.insert(crowd::name(&part), PartTimes { first: sent.at(first), last: sent.at(last + 1) });
            }
        }
    }
    parts
}
