//! What `up` prints when everything runs: the four things one copies, and what to do next.

use crate::progress::Stack;
use crate::server_file::Addresses;
use crate::style::Style;

/// Prints the addresses of a stack with a stream. Outputs that a template does not have are left out.
pub fn print(addresses: &Addresses, stack: &Stack, demo: bool) {
    let style = Style::stdout();
    let host = &addresses.ingest_host;
    let rtmp = format!("rtmp://{host}:{}/app/", addresses.rtmp_port);
    let rtmps = addresses.tls_port.map(|port| format!("rtmps://{host}:{port}/app/"));
    let rows = [
        ("Website", stack.output("WebsiteUrl").map(str::to_string)),
        ("Server", Some(rtmp.clone())),
        ("Server, TLS", rtmps),
        ("Stream key", stack.output("StreamKey").map(str::to_string)),
        ("Playback URL", stack.output("PlaybackUrl").map(str::to_string)),
    ];
    println!();
    println!("  {}", style.strong(&format!("Stack {} is up", stack.name)));
    println!();
    for (name, value) in rows {
        if let Some(value) = value {
            println!("  {name:<13} {}", style.strong(&value));
        }
    }
    println!();
    if demo {
        println!("  The test picture is being published: open the website.");
    } else if let Some(key) = stack.output("StreamKey") {
        println!(
            "  In OBS: Settings, Stream, Service “Custom”, with the server and the stream key. Or a file with ffmpeg:"
        );
        println!("  ffmpeg -re -i FILE -c:v libx264 -tune zerolatency -g 60 -c:a aac -f flv {rtmp}{key}");
    }
    println!(
        "  {}",
        style.faint("For the AWS CLI: eval \"$(headwater env)\".  Ctrl-C ends the server; everything is kept.")
    );
    println!();
}
