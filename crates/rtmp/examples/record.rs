//! Takes one publish over TCP and writes every byte that the encoder sent to a file: how the captures in `tests/data`
//! were made. `cargo run -p headwater-rtmp --example record -- 127.0.0.1:1936 ffmpeg.rtmp`

#![expect(clippy::disallowed_methods, reason = "a shell: it has the clock")]

use headwater_rtmp::Server;
use headwater_rtmp::server::{Capabilities, Deadlines, Event};
use std::io::{Error, Read, Write};
use std::net::TcpListener;
use std::time::Instant;

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(path)) = (arguments.next(), arguments.next()) else {
        return Err(Error::other("usage: record ADDRESS FILE"));
    };
    let (mut socket, _) = TcpListener::bind(address)?.accept()?;
    let mut file = std::fs::File::create(path)?;
    let mut server = Server::new(Instant::now(), 1, Deadlines::default(), Capabilities::default());
    let mut buffer = [0; 65536];
    loop {
        let length = socket.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        file.write_all(&buffer[..length])?;
        server.handle_input(Instant::now(), &buffer[..length]).map_err(Error::other)?;
        while let Some(event) = server.poll_event() {
            match event {
                Event::PublishRequested(_) => server.accept(Instant::now()),
                Event::PublishEnded => println!("ended"),
                Event::Metadata(metadata) => println!("{metadata:?}"),
                _ => {}
            }
        }
        while let Some(bytes) = server.poll_transmit() {
            socket.write_all(&bytes)?;
        }
    }
}
