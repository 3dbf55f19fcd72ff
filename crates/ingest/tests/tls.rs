//! One TLS port for RTMPS and HTTPS, told apart by ALPN and the first bytes, with the local authority's certificate.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod support;

use headwater_ingest::ca::LocalCa;
use headwater_ingest::{Directory, Limits, TlsConnection, serve_tls};
use headwater_rtmp::client::Event;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use std::net::SocketAddr;
use std::sync::Arc;
use support::{CLIP_PICTURES, Clip, Encoder, Served, count_samples};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

struct Tls {
    served: Served,
    address: SocketAddr,
    ca: LocalCa,
    _folder: tempfile::TempDir,
}

/// Says which protocol it saw, and what it read first.
async fn echo(mut connection: TlsConnection, _: SocketAddr) {
    let http2 = connection.is_http2();
    let mut first = [0; 4];
    connection.read_exact(&mut first).await.unwrap();
    let said = format!("h2={http2} {}", String::from_utf8_lossy(&first));
    connection.write_all(said.as_bytes()).await.unwrap();
    connection.shutdown().await.unwrap();
}

async fn tls() -> Tls {
    let mut served = Served::new();
    let folder = tempfile::tempdir().unwrap();
    let ca = LocalCa::load_or_create(folder.path(), &[]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let directory = Arc::clone(&served.directory) as Arc<dyn Directory>;
    let (hub, cancel) = (served.hub.clone(), served.cancel.clone());
    let config = ca.server_config().unwrap();
    served.tasks.spawn(serve_tls(listener, config, directory, hub, Limits::default(), cancel, echo));
    Tls { served, address, ca, _folder: folder }
}

async fn connect(tls: &Tls, name: &str, alpn: &[&[u8]]) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(tls.ca.ca_pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let stream = TcpStream::connect(tls.address).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(name.to_owned()).unwrap(), stream).await
}

#[tokio::test]
async fn rtmps_is_taken_on_the_tls_port() {
    let tls = tls().await;
    let clip = Clip::load();
    let stream = connect(&tls, "localhost", &[]).await.unwrap();
    let mut encoder = Encoder::over(stream, &tls.served.key());
    encoder.begin().await;
    encoder.send(clip.repeated(2)).await.unwrap();
    tls.served.snapshot(|_| true).await;
    let stream = tls.served.hub.stream(tls.served.channel_id()).expect("live");
    encoder.client.finish().unwrap();
    assert_eq!(encoder.event().await, Some(Event::Unpublished));
    let mut watch = stream.watch.clone();
    let ended = tokio::time::timeout(support::PATIENCE, watch.wait_for(|snapshot| snapshot.ended())).await;
    assert_eq!(count_samples(&ended.expect("in time").expect("an end"))["vide"], 2 * CLIP_PICTURES);
}

#[tokio::test]
async fn https_is_handed_over_with_all_its_bytes_by_alpn_or_by_its_first_byte() {
    let tls = tls().await;
    for (alpn, said) in [
        (&[][..], "h2=false GET "),
        (&[&b"http/1.1"[..]][..], "h2=false GET "),
        (&[&b"h2"[..], &b"http/1.1"[..]][..], "h2=true GET "),
    ] {
        for name in ["localhost", "my-bucket.s3-website.localhost", "127.0.0.1", "::1"] {
            let mut stream = connect(&tls, name, alpn).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer, said, "{name}");
        }
    }
}

#[tokio::test]
async fn other_names_are_not_certified() {
    let tls = tls().await;
    assert!(connect(&tls, "example.com", &[]).await.is_err());
}

#[tokio::test]
async fn a_wrong_key_is_refused_over_tls_too() {
    let tls = tls().await;
    let stream = connect(&tls, "localhost", &[]).await.unwrap();
    assert_eq!(Encoder::over(stream, "wrong").refusal().await.0, "NetStream.Publish.BadName");
}
