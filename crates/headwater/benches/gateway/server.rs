//! The server that is measured: a process on free loopback ports.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub struct Server {
    process: Child,
    pub api_port: u16,
    pub web_port: u16,
    pub rtmp_port: u16,
    /// Access key id and secret of the owner.
    pub key: (String, String),
}

impl Server {
    pub fn start(folder: &Path) -> Server {
        let binary = std::env::var_os("HEADWATER_BINARY").map(PathBuf::from);
        let binary = binary.unwrap_or_else(|| env!("CARGO_BIN_EXE_headwater").into());
        let data = folder.join("data");
        let listen = ["api", "web", "rtmp"].map(|name| [format!("--listen-{name}"), "127.0.0.1:0".into()]).concat();
        let process = Command::new(binary)
            // The server would take it for a setting.
            .env_remove("HEADWATER_BINARY")
            // What is measured is how fast it answers, not how fast it may. Servers without the setting refuse it.
            .env("HEADWATER_QUOTAS_OPERATION_RATE_FACTOR", "0")
            .arg("--data")
            .arg(&data)
            .args(listen)
            .args(["--listen-tls", "off", "serve"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        let read = |name: &str| -> Option<serde_json::Value> {
            serde_json::from_slice(&std::fs::read(data.join(name)).ok()?).ok()
        };
        let addresses = loop {
            if let Some(addresses) = read("server.json") {
                break addresses;
            }
            assert!(Instant::now() < deadline, "the server did not start");
            std::thread::sleep(Duration::from_millis(20));
        };
        let port = |name: &str| addresses[name].as_str().unwrap().rsplit(':').next().unwrap().parse().unwrap();
        let credentials = read("credentials.json").unwrap();
        let text = |name: &str| credentials[name].as_str().unwrap().to_owned();
        Server {
            process,
            api_port: port("api_url"),
            web_port: port("web_url"),
            rtmp_port: addresses["rtmp_port"].as_u64().unwrap() as u16,
            key: (text("access_key_id"), text("secret_access_key")),
        }
    }

    /// User and system time so far, in clock ticks of 10 ms.
    pub fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        // Fields 14 and 15 of proc(5); the name and what is before it are cut off.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
