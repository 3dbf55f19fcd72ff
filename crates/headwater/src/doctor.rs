//! `doctor`: what this machine offers, what is missing, and the command that mends it.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};

use headwater_live::ladder::{self, Encoder, Options};
use serde_json::json;

use crate::config::{Config, TlsListen};
use crate::open_files;
use crate::server_file::read_addresses;
use crate::style::Style;

/// How one check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Good,
    /// Something that some will miss.
    Warning,
    /// Something without which the server does not work.
    Bad,
}

struct Finding {
    what: &'static str,
    verdict: Verdict,
    found: String,
    cure: Option<String>,
}

/// Runs all checks and prints them; `false` if the server cannot work.
pub fn run(config: &Config, as_json: bool) -> bool {
    let running = read_addresses(&config.data);
    let mut findings = vec![data_folder(&config.data)];
    match &running {
        Some(addresses) => findings.push(Finding {
            what: "server",
            verdict: Verdict::Good,
            found: format!("runs at {} (process {})", addresses.api_url, addresses.pid),
            cure: None,
        }),
        None => {
            findings.push(port("api port", config.listen_api));
            findings.push(port("web port", config.listen_web));
            findings.push(port("rtmp port", config.listen_rtmp));
            findings.push(tls_port(config.listen_tls));
        }
    }
    findings.push(open_files());
    findings.push(program(
        "ffmpeg",
        Command::new("ffmpeg").arg("-version"),
        "the demo needs it and every encoder test: apt-get install ffmpeg",
    ));
    findings.push(ladder(&config.ladder));
    let venv = config.data.join("python/bin/python");
    let python = config.python.clone().unwrap_or_else(|| if venv.is_file() { venv } else { "python3".into() });
    findings.push(program(
        "python",
        Command::new(&python).arg("--version"),
        "Python functions need it: apt-get install python3 python3-venv",
    ));
    let pip = format!(
        "functions that call AWS services need it: python3 -m venv {0}/python && {0}/python/bin/pip install boto3",
        config.data.display()
    );
    findings.push(program(
        "boto3",
        Command::new(&python).args(["-c", "import boto3; print('boto3', boto3.__version__)"]),
        &pip,
    ));
    let node = config.node.clone().unwrap_or_else(|| "node".into());
    findings.push(program(
        "node",
        Command::new(node).arg("--version"),
        "Node.js functions need it: https://nodejs.org/en/download",
    ));
    findings.push(certificate(&config.data));
    let works = findings.iter().all(|f| f.verdict != Verdict::Bad);
    if as_json {
        let list: Vec<_> = findings
            .iter()
            .map(|f| {
                let verdict = format!("{:?}", f.verdict).to_ascii_lowercase();
                json!({"check": f.what, "verdict": verdict, "found": f.found, "cure": f.cure})
            })
            .collect();
        println!("{}", serde_json::Value::Array(list));
    } else {
        print(&findings);
    }
    works
}

fn print(findings: &[Finding]) {
    let style = Style::stdout();
    for finding in findings {
        let mark = match finding.verdict {
            Verdict::Good => style.good("✔"),
            Verdict::Warning => style.busy("!"),
            Verdict::Bad => style.bad("✘"),
        };
        println!("{mark} {:<12} {}", finding.what, finding.found);
        if let Some(cure) = &finding.cure {
            println!("  {:<12} {}", "", style.faint(cure));
        }
    }
}

/// Whether encoders run as they are configured to be run.
fn ladder(options: &Options) -> Finding {
    let finding =
        |verdict, found, cure: Option<&str>| Finding { what: "ladder", verdict, found, cure: cure.map(str::to_owned) };
    if options.encoder == Encoder::Off {
        return finding(Verdict::Good, "off: streams have their source only".into(), None);
    }
    let encoder = options.encoder.as_str();
    match ladder::try_out(options) {
        Err(error) => finding(
            Verdict::Warning,
            format!("{} does not run as an encoder: {error}", options.ffmpeg.display()),
            Some("install ffmpeg where all may run it, or see ladder.confine and ladder.user in docs/configuration.md"),
        ),
        Ok(trial) if options.confiner.is_none() => finding(
            Verdict::Warning,
            format!("{encoder}, {}, not confined", trial.version),
            Some("ladder.confine = \"on\" shuts encoders off from files and network"),
        ),
        Ok(trial) if !trial.not_confined.is_empty() => finding(
            Verdict::Warning,
            format!("{encoder}, {}, not confined: {}", trial.version, trial.not_confined.join("; ")),
            Some("streams have their ladder all the same; Linux 6.12 and later confine all of it"),
        ),
        Ok(trial) => finding(Verdict::Good, format!("{encoder}, {}, confined", trial.version), None),
    }
}

fn data_folder(data: &Path) -> Finding {
    let made = std::fs::create_dir_all(data).and_then(|()| {
        let probe = data.join(".doctor");
        std::fs::write(&probe, b"x")?;
        std::fs::remove_file(probe)
    });
    match made {
        Ok(()) => {
            Finding { what: "data folder", verdict: Verdict::Good, found: data.display().to_string(), cure: None }
        }
        Err(error) => Finding {
            what: "data folder",
            verdict: Verdict::Bad,
            found: format!("{}: {error}", data.display()),
            cure: Some("give another folder with --data, or make this one writable".into()),
        },
    }
}

fn port(what: &'static str, address: SocketAddr) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding { what, verdict: Verdict::Good, found: format!("{address} is free"), cure: None },
        Err(error) => Finding {
            what,
            verdict: Verdict::Bad,
            found: format!("{address}: {error}"),
            cure: Some(format!(
                "end the program that listens there, or give another address with --listen-{}",
                &what[..what.len() - 5]
            )),
        },
    }
}

fn tls_port(listen: TlsListen) -> Finding {
    match listen {
        TlsListen::Off => Finding {
            what: "tls port",
            verdict: Verdict::Warning,
            found: "off".into(),
            cure: Some("RTMPS and HTTPS are not served".into()),
        },
        TlsListen::At(address) => port("tls port", address),
        TlsListen::Auto => match TcpListener::bind("0.0.0.0:443") {
            Ok(_) => {
                Finding { what: "tls port", verdict: Verdict::Good, found: "0.0.0.0:443 is free".into(), cure: None }
            }
            Err(error) => Finding {
                what: "tls port",
                verdict: Verdict::Warning,
                found: format!("0.0.0.0:443: {error}; 8443 is used instead"),
                cure: Some("encoders must name the port: rtmps://HOST:8443/app/".into()),
            },
        },
    }
}

/// Each connection needs an open file.
fn open_files() -> Finding {
    let limit = open_files::reachable();
    let found = limit.map_or_else(|| "without limit".to_string(), |limit| format!("up to {limit}"));
    match limit {
        Some(limit) if limit < open_files::OPEN_FILES_ENOUGH => Finding {
            what: "open files",
            verdict: Verdict::Warning,
            found,
            cure: Some(
                "each connection needs one: raise the hard limit, `ulimit -Hn 65536` or LimitNOFILE in systemd".into(),
            ),
        },
        _ => Finding { what: "open files", verdict: Verdict::Good, found, cure: None },
    }
}

fn program(what: &'static str, command: &mut Command, cure: &str) -> Finding {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            let line = text.lines().next().unwrap_or_default();
            let line = line.split(" Copyright").next().unwrap_or(line);
            Finding { what, verdict: Verdict::Good, found: line.to_string(), cure: None }
        }
        _ => Finding { what, verdict: Verdict::Warning, found: "not found".into(), cure: Some(cure.into()) },
    }
}

fn certificate(data: &Path) -> Finding {
    let path = data.join("tls/ca.pem");
    if path.is_file() {
        return Finding {
            what: "certificate",
            verdict: Verdict::Good,
            found: format!("signed by {}", path.display()),
            cure: Some("headwater trust --install lets this machine's programs trust it".into()),
        };
    }
    Finding { what: "certificate", verdict: Verdict::Good, found: "made at the first start".into(), cure: None }
}
