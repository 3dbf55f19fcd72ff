//! How long a deployment takes, from the start of the command to its end.

use crate::servers::Side;
use std::path::{Path, PathBuf};
use std::time::Instant;

pub fn run() {
    let server = Side::headwater().start();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    println!("\n| stack | create s (min of 3) |\n|-|-|");
    let site = static_files(examples.join("blog-post-site"));
    for (name, template, parameter) in [
        ("built-in (live.yaml)", "live.yaml", None),
        ("eleven resources (blog-post.yaml)", "blog-post.yaml", Some(format!("SiteSource={site}"))),
    ] {
        let mut best = f64::INFINITY;
        for round in 0..3 {
            let stack = format!("bench{round}");
            let template = examples.join(template).display().to_string();
            let mut arguments = vec!["deploy".to_string(), template, "--stack-name".into(), stack.clone()];
            if let Some(parameter) = &parameter {
                arguments.extend(["--parameter".to_string(), parameter.clone()]);
            }
            let began = Instant::now();
            server.cli(&arguments);
            best = best.min(began.elapsed().as_secs_f64());
            server.cli(&["delete".into(), stack]);
        }
        println!("| {name} | {best:.2} |");
    }
}

/// Serves two small files over loopback for the template's downloads, for as long as the process lives.
fn static_files(folder: PathBuf) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        use std::io::{BufRead as _, Write as _};
        for stream in listener.incoming().flatten() {
            let mut line = String::new();
            let mut reader = std::io::BufReader::new(&stream);
            let _ = reader.read_line(&mut line);
            let name = line.split(' ').nth(1).and_then(|p| p.rsplit('/').next()).unwrap_or_default();
            let body = std::fs::read(folder.join(name)).unwrap_or_default();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = (&stream).write_all(head.as_bytes()).and_then(|()| (&stream).write_all(&body));
        }
    });
    format!("http://{address}")
}
