//! The moving test picture of `--demo`: an ffmpeg child process that publishes like any encoder.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use headwater_model::Secret;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

/// Waits between restarts of the encoder: from the first, doubled up to the second.
const RESTART_DELAY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// How long the encoder may take to say goodbye before it is killed.
const GOODBYE: Duration = Duration::from_secs(2);
/// Fonts of Debian, Ubuntu and Fedora that a clock can be drawn with.
const FONTS: &[&str] = &[
    "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf",
    "/usr/share/fonts/dejavu-sans-mono-fonts/DejaVuSansMono.ttf",
    "/usr/share/fonts/truetype/liberation/LiberationMono-Regular.ttf",
];

/// Publishes to `rtmp://127.0.0.1:PORT/app/KEY` until cancelled; an encoder that ends is started again.
pub async fn publish(rtmp_port: u16, key: Secret, cancel: CancellationToken) {
    let url = Secret::new(format!("rtmp://127.0.0.1:{rtmp_port}/app/{}", key.expose()));
    let mut delay = RESTART_DELAY.0;
    while !cancel.is_cancelled() {
        let mut child = match spawn(&url) {
            Ok(child) => child,
            Err(error) => {
                tracing::error!(%error, "the demo needs ffmpeg: install it (apt-get install ffmpeg), or publish yourself");
                return;
            }
        };
        let stderr = child.stderr.take();
        let report = tokio::spawn(relay(stderr, key.clone()));
        tokio::select! {
            status = child.wait() => {
                let status = status.map(|s| s.to_string()).unwrap_or_default();
                tracing::warn!(%status, "the demo's encoder ended; it is started again");
            }
            () = cancel.cancelled() => end(&mut child).await,
        }
        report.abort();
        tokio::select! {
            () = tokio::time::sleep(delay) => delay = (delay * 2).min(RESTART_DELAY.1),
            () = cancel.cancelled() => {}
        }
    }
}

fn spawn(url: &Secret) -> std::io::Result<Child> {
    let mut picture = String::from("testsrc2=size=1280x720:rate=30");
    if let Some(font) = FONTS.iter().find(|font| Path::new(font).is_file()) {
        picture.push_str(&format!(
            ",drawtext=fontfile={font}:text='%{{localtime\\:%H\\\\\\:%M\\\\\\:%S}}':fontsize=96:fontcolor=white:\
             box=1:boxcolor=black@0.6:boxborderw=24:x=(w-text_w)/2:y=h-text_h-80"
        ));
    }
    Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "warning", "-nostdin"])
        .args(["-re", "-f", "lavfi", "-i", &picture])
        .args(["-re", "-f", "lavfi", "-i", "sine=frequency=220:beep_factor=4:sample_rate=48000"])
        .args(["-c:v", "libx264", "-preset", "superfast", "-tune", "zerolatency", "-pix_fmt", "yuv420p"])
        .args(["-b:v", "2000k", "-maxrate", "2000k", "-bufsize", "2000k"])
        .args(["-g", "60", "-keyint_min", "60", "-sc_threshold", "0"])
        .args(["-c:a", "aac", "-b:a", "128k", "-ac", "2", "-f", "flv", url.expose()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Logs what the encoder complains of, without the key.
async fn relay(stderr: Option<tokio::process::ChildStderr>, key: Secret) {
    let Some(stderr) = stderr else { return };
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::debug!(encoder = "demo", "{}", line.replace(key.expose(), "[redacted]"));
    }
}

/// Asks the encoder to end its stream properly, and kills it if it does not.
async fn end(child: &mut Child) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        let _ = kill_process(pid, Signal::TERM);
    }
    if tokio::time::timeout(GOODBYE, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}
