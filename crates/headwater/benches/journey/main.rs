//! `cargo bench --package headwater --bench journey`: the release binary as a whole, measured from outside over loopback.
//!
//! The same with `-- PART…` runs some parts only; without one, all run:
//!
//! | part | what it measures |
//! |---|---|
//! | `stacks` | `headwater deploy` as a process, from its start to its end |
//! | `publishers` | passthrough encoders: CPU, memory, and how long a frame takes until it can be fetched |
//! | `viewers` | players that follow one stream: parts in time, CPU, memory |
//! | `large` | long objects on few connections: bytes a CPU-second |
//! | `churn` | encoders that come and go, and whether their memory comes back |
//! | `idle` | connections that say nothing |
//!
//! Where nginx with its RTMP module is installed it does the same work in the same run, in turns. `BENCH_BEFORE` names another
//! headwater binary that takes a turn too: an older build, to see what a change did. Load and servers share the machine, so
//! ratios within one run say more than figures.
//!
//! | variable | | default |
//! |---|---|---|
//! | `BENCH_SECONDS` | length of each measured window | 12 |
//! | `BENCH_ROUNDS` | turns of each server | 2 |
//! | `BENCH_STREAMS` | encoders | `1,50,200` |
//! | `BENCH_VIEWERS` | viewers | `300,1000,5000` |
//! | `BENCH_VIEWER_KBPS` | bit rate of the stream that viewers follow | 400 |
//! | `BENCH_BEFORE` | path of another headwater binary | – |
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on may panic")]

mod churn;
mod clip;
mod crowd;
#[path = "../support/flv.rs"]
mod flv;
mod http;
mod idle;
mod large;
mod playlist;
mod process;
mod publishers;
mod servers;
mod stacks;
mod tables;
mod viewers;

use servers::Side;
use std::path::PathBuf;
use std::time::Duration;
use tables::{Column, Comparison};

/// What the environment asks for.
struct Settings {
    window: Duration,
    rounds: usize,
    streams: Vec<usize>,
    viewers: Vec<usize>,
    viewer_kbps: u32,
    sides: Vec<Side>,
}

impl Settings {
    fn read() -> Settings {
        let numbers = |name, default| setting(name, default).split(',').map(|n| n.trim().parse().unwrap()).collect();
        let mut sides = vec![Side::headwater()];
        sides.extend(std::env::var_os("BENCH_BEFORE").map(|path| Side::before(PathBuf::from(path))));
        sides.extend(Side::nginx());
        Settings {
            window: Duration::from_secs(setting("BENCH_SECONDS", "12").parse().unwrap()),
            rounds: setting("BENCH_ROUNDS", "2").parse().unwrap(),
            streams: numbers("BENCH_STREAMS", "1,50,200"),
            viewers: numbers("BENCH_VIEWERS", "300,1000,5000"),
            viewer_kbps: setting("BENCH_VIEWER_KBPS", "400").parse().unwrap(),
            sides,
        }
    }
}

impl Settings {
    /// Has the servers take turns at one load, and prints what came of it.
    async fn compare(&self, load: impl ToString, columns: &[Column], turn: impl AsyncFn(&Side) -> Vec<f64>) {
        let mut comparison = Comparison::new(load);
        for _ in 0..self.rounds {
            for side in &self.sides {
                comparison.note(&side.name, turn(side).await);
            }
        }
        comparison.print(columns);
    }
}

fn setting(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.into())
}

fn main() {
    // `cargo test --benches` runs this with --test: then it only has to be there.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let parts: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |name: &str| parts.is_empty() || parts.iter().any(|part| part == name);
    let settings = Settings::read();
    let names: Vec<&str> = settings.sides.iter().map(|side| side.name.as_str()).collect();
    println!("servers: {}; {} rounds of {:?}", names.join(", "), settings.rounds, settings.window);
    if !names.contains(&servers::NGINX) {
        println!(
            "nginx with its RTMP module is not there (Debian: nginx libnginx-mod-rtmp), so nothing is beside Headwater"
        );
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if wanted("stacks") {
        stacks::run();
    }
    if wanted("publishers") {
        runtime.block_on(publishers::run(&settings));
    }
    if wanted("viewers") {
        runtime.block_on(viewers::run(&settings));
    }
    if wanted("large") {
        runtime.block_on(large::run(&settings));
    }
    if wanted("churn") {
        runtime.block_on(churn::run(&settings));
    }
    if wanted("idle") {
        runtime.block_on(idle::run(&settings));
    }
}
