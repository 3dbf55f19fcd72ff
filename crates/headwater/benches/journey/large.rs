//! Long objects on few connections: bytes a CPU-second, against nginx with the same bytes as files in memory.

use crate::Settings;
use crate::clip::Clip;
use crate::http::{Body, Connection};
use crate::playlist;
use crate::publishers::Publisher;
use crate::servers::{COPIED, Running, Side};
use crate::tables::{self, Column, Comparison};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// A stream of high rate.
const SIZE: &str = "1280x720";
const KBPS: u32 = 20_000;
/// How long it is sent: several segments.
const LASTS: Duration = Duration::from_secs(15);
/// Nobody ends the stream while its segments are fetched.
const RECONNECT_WINDOW: &str = ", Tags: [{Key: 'headwater:reconnect-window-s', Value: '300'}]";
/// Connections that fetch at once.
const CONNECTIONS: usize = 8;
/// Segments that are fetched in turn.
const OBJECTS: usize = 4;

const COLUMNS: [Column; 3] = [Column("GB a CPU-second", 2), Column("GB/s", 2), Column("MB an object", 2)];

pub async fn run(settings: &Settings) {
    println!();
    let clip = Clip::make(SIZE, KBPS);
    let servers: Vec<(&Side, Running)> = settings.sides.iter().map(|side| (side, side.start())).collect();
    let mut ready: Vec<(String, &Running, [Vec<String>; 2])> = Vec::new();
    let mut objects: Vec<(String, Vec<u8>)> = Vec::new();
    for (side, server) in &servers {
        if side.is_headwater() {
            let address = server.channels(1, RECONNECT_WINDOW).remove(0);
            let mut publisher = Publisher::connect(server.rtmp_port, &address).await;
            publisher.play(&clip, LASTS, None).await;
            drop(publisher);
            let (paths, bodies) = fetch_all(server, &address.playlist).await;
            objects = bodies;
            ready.push((side.name.clone(), server, paths));
        } else {
            // nginx is given Headwater's objects, and no encoder.
            let paths = [place(server, &objects, "s"), place(server, &objects, "p")];
            let copied = paths.clone().map(|paths| paths.iter().map(|path| format!("{COPIED}{path}")).collect());
            ready.push((side.name.clone(), server, paths));
            ready.push((format!("{}, sendfile off", side.name), server, copied));
        }
    }
    tables::heading("objects", &COLUMNS);
    for (index, load) in ["segments of 2 s", "parts of 200 ms"].into_iter().enumerate() {
        let mut comparison = Comparison::new(load);
        for _ in 0..settings.rounds {
            for (name, server, paths) in &ready {
                comparison.note(name, turn(server, &paths[index], settings.window / 2).await);
            }
        }
        comparison.print(&COLUMNS);
    }
}

/// The newest segments and parts of a stream: their paths, and names with bodies.
async fn fetch_all(server: &Running, first: &str) -> ([Vec<String>; 2], Vec<(String, Vec<u8>)>) {
    let mut connection = Connection::open(server.web_port).await.unwrap();
    let media = playlist::media_path(&mut connection, first).await;
    assert_eq!(connection.get(&media, Body::Keep).await.unwrap(), 200);
    let text = connection.text().to_owned();
    let segments: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let parts: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("#EXT-X-PART:")).collect();
    let parts = parts.iter().filter_map(|attributes| attributes.split("URI=\"").nth(1)?.split('"').next());
    let newest = |names: Vec<&str>| -> Vec<String> {
        names.iter().rev().take(OBJECTS).map(|name| playlist::absolute(&media, name)).collect()
    };
    let paths = [newest(segments), newest(parts.collect())];
    let mut bodies = Vec::new();
    for (list, kind) in paths.iter().zip(["s", "p"]) {
        for (n, path) in list.iter().enumerate() {
            assert_eq!(connection.get(path, Body::Keep).await.unwrap(), 200, "{path}");
            bodies.push((format!("{kind}{n}.m4s"), connection.body().to_vec()));
        }
    }
    (paths, bodies)
}

/// Puts the objects of a kind among the files that nginx serves.
fn place(server: &Running, objects: &[(String, Vec<u8>)], kind: &str) -> Vec<String> {
    let mine = objects.iter().filter(|(name, _)| name.starts_with(kind));
    mine.map(|(name, body)| {
        std::fs::write(server.folder().join(name), body).unwrap();
        format!("/{name}")
    })
    .collect()
}

async fn turn(server: &Running, paths: &[String], lasts: Duration) -> Vec<f64> {
    let (before, began) = (server.process.cpu(), Instant::now());
    let end = began + lasts;
    let mut tasks = JoinSet::new();
    for n in 0..CONNECTIONS {
        let (port, paths) = (server.web_port, paths.to_vec());
        tasks.spawn(async move {
            let mut connection = Connection::open(port).await.unwrap();
            let (mut bytes, mut objects) = (0, 0_u64);
            for path in paths.iter().cycle().skip(n) {
                if Instant::now() >= end {
                    break;
                }
                assert_eq!(connection.get(path, Body::Drop).await.unwrap(), 200, "{path}");
                bytes += connection.bytes();
                objects += 1;
            }
            (bytes, objects)
        });
    }
    let (mut bytes, mut objects) = (0, 0);
    while let Some(ended) = tasks.join_next().await {
        let (more_bytes, more_objects) = ended.unwrap();
        bytes += more_bytes;
        objects += more_objects;
    }
    let (cpu, lasted) = (server.process.cpu() - before, began.elapsed());
    let gigabytes = bytes as f64 / 1e9;
    vec![gigabytes / cpu.as_secs_f64(), gigabytes / lasted.as_secs_f64(), bytes as f64 / objects as f64 / 1e6]
}
