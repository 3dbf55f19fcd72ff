//! Encoders that come, publish for a second and leave, over and over: how many, at what cost, and whether memory comes back.

use crate::Settings;
use crate::clip::Clip;
use crate::publishers::Publisher;
use crate::servers::Side;
use crate::tables::{self, Column, ms};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Channels, each with one encoder at a time.
const ENCODERS: usize = 50;
/// How long each publishes.
const PUBLISHES: Duration = Duration::from_secs(1);
/// From the last one's leaving until memory is looked at.
const REST: Duration = Duration::from_secs(3);

const COLUMNS: [Column; 5] = [
    Column("sessions/s", 1),
    Column("CPU ms a session", 2),
    Column("memory MB meanwhile", 1),
    Column("memory MB after", 1),
    Column("after so many again", 1),
];

pub async fn run(settings: &Settings) {
    println!();
    let clip = Clip::make("1280x720", 2_500);
    tables::heading("encoders at once", &COLUMNS);
    settings.compare(ENCODERS, &COLUMNS, async |side| turn(side, &clip, settings.window).await).await;
}

async fn turn(side: &Side, clip: &Clip, window: Duration) -> Vec<f64> {
    let server = side.start();
    let addresses = server.channels(ENCODERS, "");
    let idle_kb = server.process.memory_kb();
    let megabytes = |kb: u64| kb.saturating_sub(idle_kb) as f64 / 1024.0;
    let mut figures = Vec::new();
    for again in [false, true] {
        let (before, began) = (server.process.cpu(), Instant::now());
        let end = began + window / 2;
        let mut tasks = JoinSet::new();
        for (n, address) in addresses.iter().enumerate() {
            let (port, address, clip) = (server.rtmp_port, address.clone(), clip.clone());
            tasks.spawn(async move {
                tokio::time::sleep(PUBLISHES * n as u32 / ENCODERS as u32).await;
                let mut sessions = 0_u64;
                while Instant::now() < end {
                    let mut publisher = Publisher::connect(port, &address).await;
                    publisher.play(&clip, PUBLISHES, None).await;
                    publisher.leave().await;
                    sessions += 1;
                }
                sessions
            });
        }
        tokio::time::sleep_until(end.into()).await;
        let meanwhile = server.process.memory_kb();
        let mut sessions = 0;
        while let Some(ended) = tasks.join_next().await {
            sessions += ended.unwrap();
        }
        let (cpu, lasted) = (server.process.cpu() - before, began.elapsed());
        tokio::time::sleep(REST).await;
        let after = megabytes(server.process.memory_kb());
        if again {
            figures.push(after);
        } else {
            let sessions = sessions as f64;
            let first = [sessions / lasted.as_secs_f64(), ms(cpu) / sessions, megabytes(meanwhile), after];
            figures.extend(first);
        }
    }
    figures
}
