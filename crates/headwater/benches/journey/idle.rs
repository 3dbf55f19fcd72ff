//! Connections that say nothing more: what each holds.

use crate::Settings;
use crate::clip::Clip;
use crate::publishers::publish;
use crate::tables::{self, Column, Comparison};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// How many of each kind: below the bound on encoders without a key.
const CONNECTIONS: usize = 900;
/// Until each has been seen to, and before the first deadline.
const REST: Duration = Duration::from_secs(2);
/// C0 and C1 of the RTMP handshake, and a byte too few.
const HALF_HANDSHAKE_BYTES: usize = 1 + 1536 - 1;

const COLUMNS: [Column; 1] = [Column("KB each", 1)];

/// What a connection says before it falls silent.
const KINDS: [(&str, Port, &[u8]); 4] = [
    ("RTMP, connected only", Port::Rtmp, &[]),
    ("RTMP, half a handshake", Port::Rtmp, &[3; HALF_HANDSHAKE_BYTES]),
    ("HTTP, connected only", Port::Web, &[]),
    ("HTTP, half a request", Port::Web, b"GET / HTTP/1.1\r\nHost: x\r\n"),
];

#[derive(Clone, Copy)]
enum Port {
    Rtmp,
    Web,
}

pub async fn run(settings: &Settings) {
    println!();
    let clip = Clip::make("640x360", 400);
    tables::heading("idle connections", &COLUMNS);
    for (kind, port, words) in KINDS {
        let mut comparison = Comparison::new(kind);
        for side in &settings.sides {
            let server = side.start();
            // One live stream beside them, so that memory which only the first stream needs is there already.
            let address = server.channels(1, "").remove(0);
            let live = tokio::spawn(publish(server.rtmp_port, address, clip.clone(), Duration::ZERO, None));
            tokio::time::sleep(REST).await;
            let before = server.process.memory_kb();
            let number = match port {
                Port::Rtmp => server.rtmp_port,
                Port::Web => server.web_port,
            };
            let mut connections = Vec::with_capacity(CONNECTIONS);
            for _ in 0..CONNECTIONS {
                let mut connection = TcpStream::connect(("127.0.0.1", number)).await.unwrap();
                connection.write_all(words).await.unwrap();
                connections.push(connection);
            }
            tokio::time::sleep(REST).await;
            let held = server.process.memory_kb().saturating_sub(before);
            assert!(!live.is_finished(), "the live stream was touched");
            live.abort();
            comparison.note(&side.name, vec![held as f64 / CONNECTIONS as f64]);
        }
        comparison.print(&COLUMNS);
    }
}
