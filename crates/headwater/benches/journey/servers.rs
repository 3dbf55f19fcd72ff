//! The servers that take turns: each is started anew for a load, in a folder of its own on loopback ports.

use crate::process::Process;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What nginx is called in tables.
pub const NGINX: &str = "nginx-rtmp";
/// Where Debian puts nginx and its RTMP module.
const NGINX_BINARY: &str = "/usr/sbin/nginx";
const NGINX_RTMP_MODULE: &str = "/usr/lib/nginx/modules/ngx_rtmp_module.so";
/// Files of nginx lie here: memory, like Headwater's.
const MEMORY_FILES: &str = "/dev/shm";
/// Below this nginx reads its files and writes them, as a server does whose bytes are in its own memory.
pub const COPIED: &str = "/copied";
/// Channels of one stack: a template may have 200 outputs, and each channel has two.
const CHANNELS_A_STACK: usize = 100;
/// A server that has not opened its port by then does not start.
const START_MAX: Duration = Duration::from_secs(20);

/// A server that takes turns.
pub struct Side {
    pub name: String,
    what: What,
}

enum What {
    Headwater(PathBuf),
    Nginx,
}

/// Where one stream is published and played.
#[derive(Clone)]
pub struct Address {
    pub app: &'static str,
    pub key: String,
    /// Path of its first playlist on the web port.
    pub playlist: String,
}

/// A running server.
pub struct Running {
    pub process: Process,
    pub rtmp_port: u16,
    pub web_port: u16,
    folder: tempfile::TempDir,
    binary: Option<PathBuf>,
}

impl Side {
    /// The binary that cargo built for this benchmark.
    pub fn headwater() -> Side {
        Side { name: "Headwater".into(), what: What::Headwater(PathBuf::from(env!("CARGO_BIN_EXE_headwater"))) }
    }

    /// Another build of it.
    pub fn before(path: PathBuf) -> Side {
        Side { name: "before".into(), what: What::Headwater(path) }
    }

    /// nginx with its RTMP module, if it is installed.
    pub fn nginx() -> Option<Side> {
        let there = [NGINX_BINARY, NGINX_RTMP_MODULE, MEMORY_FILES].iter().all(|path| Path::new(path).exists());
        there.then(|| Side { name: NGINX.into(), what: What::Nginx })
    }

    pub fn is_headwater(&self) -> bool {
        matches!(self.what, What::Headwater(_))
    }

    pub fn start(&self) -> Running {
        match &self.what {
            What::Headwater(binary) => start_headwater(binary),
            What::Nginx => start_nginx(),
        }
    }
}

fn start_headwater(binary: &Path) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut command = Command::new(binary);
    command.arg("--data").arg(&data).arg("serve").current_dir(folder.path());
    // A load may have more streams than an account of IVS.
    command.env("HEADWATER_QUOTAS_CONCURRENT_STREAMS", "1000000");
    for listener in ["api", "web", "rtmp"] {
        command.args([format!("--listen-{listener}"), "127.0.0.1:0".into()]);
    }
    let process = command.args(["--listen-tls", "off", "--log-filter", "error"]).stdin(Stdio::null()).spawn().unwrap();
    // Owned by a value whose drop ends it, whatever happens below.
    let binary = Some(binary.to_owned());
    let mut server = Running { process: Process(process), rtmp_port: 0, web_port: 0, folder, binary };
    let end = Instant::now() + START_MAX;
    loop {
        if let Ok(text) = std::fs::read(data.join("server.json")) {
            let addresses: Value = serde_json::from_slice(&text).unwrap();
            server.web_port = addresses["web_url"].as_str().unwrap().rsplit(':').next().unwrap().parse().unwrap();
            server.rtmp_port = u16::try_from(addresses["rtmp_port"].as_u64().unwrap()).unwrap();
            return server;
        }
        assert!(Instant::now() < end, "the server did not start");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn start_nginx() -> Running {
    let folder = tempfile::tempdir_in(MEMORY_FILES).unwrap();
    let (rtmp_port, web_port) = (free_port(), free_port());
    let configuration = folder.path().join("nginx.conf");
    std::fs::create_dir(folder.path().join("hls")).unwrap();
    std::fs::write(&configuration, nginx_configuration(folder.path(), rtmp_port, web_port)).unwrap();
    let process = Command::new(NGINX_BINARY)
        .arg("-c")
        .arg(&configuration)
        .arg("-p")
        .arg(folder.path())
        .arg("-e")
        .arg(folder.path().join("error.log"))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let server = Running { process: Process(process), rtmp_port, web_port, folder, binary: None };
    let end = Instant::now() + START_MAX;
    while std::net::TcpStream::connect(("127.0.0.1", web_port)).is_err() {
        assert!(Instant::now() < end, "nginx did not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    server
}

/// One process, as its RTMP module cannot share streams among several; files in memory, sent without copies through user space.
fn nginx_configuration(folder: &Path, rtmp_port: u16, web_port: u16) -> String {
    let folder = folder.display();
    let user = if rustix::process::getuid().is_root() { "user root;" } else { "" };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("{name}_temp_path {folder}/{name}; "))
        .collect();
    format!(
        "load_module {NGINX_RTMP_MODULE}; daemon off; master_process off; {user} pid {folder}/nginx.pid;
         worker_rlimit_nofile 20000; events {{ worker_connections 16000; }}
         rtmp {{ access_log off; server {{ listen 127.0.0.1:{rtmp_port}; chunk_size 4096;
           application live {{ live on; hls on; hls_path {folder}/hls; hls_fragment 2s; hls_playlist_length 16s; }} }} }}
         http {{ access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 1000000; {temporary}
           types {{ application/vnd.apple.mpegurl m3u8; video/mp2t ts; video/mp4 mp4 m4s; }}
           server {{ listen 127.0.0.1:{web_port} backlog=4096; root {folder};
             location {COPIED}/ {{ sendfile off; output_buffers 1 512k; alias {folder}/; }}
             location / {{ add_header Cache-Control no-cache; add_header Access-Control-Allow-Origin *; }} }} }}"
    )
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Running {
    /// Makes so many streams' addresses; on Headwater by templates, with what properties each channel has.
    pub fn channels(&self, count: usize, properties: &str) -> Vec<Address> {
        if self.binary.is_none() {
            let address = |n| Address { app: "live", key: format!("s{n}"), playlist: format!("/hls/s{n}.m3u8") };
            return (0..count).map(address).collect();
        }
        let mut addresses = Vec::with_capacity(count);
        for first in (0..count).step_by(CHANNELS_A_STACK) {
            let size = CHANNELS_A_STACK.min(count - first);
            let template = self.folder.path().join("channels.yaml");
            std::fs::write(&template, template_of(size, properties)).unwrap();
            let stack = format!("load{first}");
            self.cli(&["deploy".into(), template.display().to_string(), "--stack-name".into(), stack.clone()]);
            let outputs: Value = serde_json::from_str(&self.cli(&["outputs".into(), stack, "--json".into()])).unwrap();
            let output = |key: String| {
                let list = outputs.as_array().unwrap();
                list.iter().find(|output| output["key"] == key).unwrap()["value"].as_str().unwrap().to_owned()
            };
            addresses.extend((0..size).map(|n| {
                // The server names its public host; only the path counts here.
                let url = output(format!("Url{n}"));
                let playlist = format!("/{}", url.splitn(4, '/').nth(3).unwrap());
                Address { app: "app", key: output(format!("Key{n}")), playlist }
            }));
        }
        addresses
    }

    /// Runs the command line of a Headwater against it.
    pub fn cli(&self, arguments: &[String]) -> String {
        let output = Command::new(self.binary.as_ref().unwrap())
            .arg("--data")
            .arg(self.folder.path().join("data"))
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The folder that nginx serves.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

fn template_of(count: usize, properties: &str) -> String {
    let mut resources = String::from("Resources:\n");
    let mut outputs = String::from("Outputs:\n");
    for n in 0..count {
        resources.push_str(&format!(
            "  Channel{n}: {{Type: 'AWS::IVS::Channel', Properties: {{Type: BASIC{properties}}}}}\n"
        ));
        resources.push_str(&format!(
            "  StreamKey{n}: {{Type: 'AWS::IVS::StreamKey', Properties: {{ChannelArn: !Ref Channel{n}}}}}\n"
        ));
        outputs.push_str(&format!(
            "  Key{n}: {{Value: !GetAtt StreamKey{n}.Value}}\n  Url{n}: {{Value: !GetAtt Channel{n}.PlaybackUrl}}\n"
        ));
    }
    resources + &outputs
}
