//! Deadlines in virtual time, over a pipe instead of a socket.

use super::*;
use crate::directory::{Admission, Directory, Refusal as DirectoryRefusal, Transport};
use crate::lobby::Lobby;
use async_trait::async_trait;
use headwater_live::{Hub, Journal, JournalError, SessionEvent};
use headwater_model::ivs::Channel;
use headwater_model::{Realm, Timestamp};
use headwater_rtmp::Client;
use headwater_rtmp::client::{self, Options};
use headwater_rtmp::server::Deadline;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{DuplexStream, duplex};
use tokio::task::JoinHandle;

struct EveryKey(Channel);

#[async_trait]
impl Directory for EveryKey {
    async fn resolve(&self, _: &str, _: Transport, _: SocketAddr) -> Result<Admission, DirectoryRefusal> {
        Ok(Admission::by_stream_key(self.0.clone()))
    }
}

struct NoJournal;

#[async_trait]
impl Journal for NoJournal {
    async fn record(&self, _: SessionEvent) -> Result<(), JournalError> {
        Ok(())
    }
}

/// A connection with `pipe` bytes of room in each direction.
fn connection(pipe: usize) -> (DuplexStream, JoinHandle<End>, CancellationToken) {
    let (ours, theirs) = duplex(pipe);
    let cancel = CancellationToken::new();
    let channel = Channel::new(&Realm::default(), "test", Timestamp(0));
    let hub = Hub::new(headwater_live::Options::default(), Arc::new(NoJournal));
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    let broadcast = Broadcast::new(Arc::new(EveryKey(channel)), hub, peer, Transport::Plain);
    let token = cancel.clone();
    let task =
        tokio::spawn(async move { run(theirs, broadcast, Lobby::new(1).enter(), &Limits::default(), token).await });
    (ours, task, cancel)
}

/// Talks until the server lets the client publish.
async fn publishing(stream: &mut DuplexStream) -> Client {
    let mut client = Client::new(1, Options::new("KEY")).unwrap();
    let mut buffer = [0; 4096];
    loop {
        while let Some(bytes) = client.poll_transmit() {
            stream.write_all(&bytes).await.unwrap();
        }
        if let Some(client::Event::Publishing) = client.poll_event() {
            return client;
        }
        let length = stream.read(&mut buffer).await.unwrap();
        client.handle_input(&buffer[..length]).unwrap();
    }
}

fn late(deadline: Deadline) -> String {
    format!("{:?}", End::Protocol(server::Error::Late { deadline }))
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_dropped_after_ten_seconds() {
    let began = Instant::now();
    let (_stream, task, _cancel) = connection(4096);
    assert_eq!(format!("{:?}", task.await.unwrap()), late(Deadline::Handshake));
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(10) && took < Duration::from_secs(12), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_byte_a_second_does_not_move_the_deadline() {
    let began = Instant::now();
    let (mut stream, task, _cancel) = connection(4096);
    let writer = tokio::spawn(async move {
        while stream.write_all(&[3]).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    assert_eq!(format!("{:?}", task.await.unwrap()), late(Deadline::Handshake));
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    writer.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_shakes_hands_and_asks_for_nothing_is_dropped() {
    let began = Instant::now();
    let (mut stream, task, _cancel) = connection(16_384);
    let mut hello = vec![3];
    hello.resize(1 + 2 * headwater_rtmp::handshake::PACKET_BYTES, 0);
    stream.write_all(&hello).await.unwrap();
    assert_eq!(format!("{:?}", task.await.unwrap()), late(Deadline::Publish));
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_trickles_one_message_is_dropped_after_thirty_seconds() {
    let began = Instant::now();
    let (mut stream, task, _cancel) = connection(16_384);
    let mut client = publishing(&mut stream).await;
    client.send_video(0, bytes::Bytes::from(vec![0x17; 4000])).unwrap();
    let message = client.poll_transmit().unwrap();
    let writer = tokio::spawn(async move {
        for byte in message {
            if stream.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    assert_eq!(format!("{:?}", task.await.unwrap()), late(Deadline::Media));
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(30) && took < Duration::from_secs(33), "{took:?}");
    writer.abort();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_our_replies_is_dropped() {
    let began = Instant::now();
    // S0, S1 and S2 do not fit.
    let (mut stream, task, _cancel) = connection(2048);
    let mut hello = vec![3];
    hello.resize(1 + headwater_rtmp::handshake::PACKET_BYTES, 0);
    stream.write_all(&hello).await.unwrap();
    assert!(matches!(task.await.unwrap(), End::Unread));
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(5) && took < Duration::from_secs(7), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stopping_server_waits_for_nobody() {
    let began = Instant::now();
    let (mut stream, task, cancel) = connection(16_384);
    let _client = publishing(&mut stream).await;
    cancel.cancel();
    assert!(matches!(task.await.unwrap(), End::Session));
    assert!(began.elapsed() <= Duration::from_secs(1), "{:?}", began.elapsed());
}
