//! Requests are counted by how they end.

use super::*;
use crate::traffic::{Kind, Outcome};

#[tokio::test]
async fn requests_are_counted_by_how_they_end_and_bytes_by_what_they_are() {
    let (site, _feed) = Site::live().await;
    let master = text(site.get(&Site::master(&site.channel)).await).await;
    let part = body(site.get(&site.file("s0.p0.m4s")).await).await;
    site.get(&site.file("s900.m4s")).await;
    site.get(&site.file("media.m3u8?_HLS_part=1")).await;
    site.get(&Site::master(&site.private)).await;
    site.ask(Method::GET, &site.file("s0.p0.m4s"), &[("range", "bytes=900000-")]).await;
    let answers = |outcome| site.traffic.answers(outcome);
    assert_eq!((answers(Outcome::Served), answers(Outcome::NotFound), answers(Outcome::BadRequest)), (2, 1, 1));
    assert_eq!((answers(Outcome::Token), answers(Outcome::Range), answers(Outcome::Abandoned)), (1, 1, 0));
    assert_eq!(site.traffic.bytes(Kind::Playlist), master.len() as u64);
    assert_eq!(site.traffic.bytes(Kind::Media), part.len() as u64);
}

#[tokio::test]
async fn a_request_that_waits_is_seen_and_its_delivery_is_measured() {
    let (site, mut feed) = Site::live().await;
    let next = site.snapshot().next();
    let (left, stays) =
        (site.waiting(&site.file(&reload(next))).await, site.waiting(&site.file(&part_file(next))).await);
    assert_eq!(site.traffic.waiting(), 2);
    left.abort();
    assert!(left.await.unwrap_err().is_cancelled());
    assert_eq!((site.traffic.waiting(), site.traffic.answers(Outcome::Abandoned)), (1, 1));
    feed.send(12).await;
    assert_eq!(stays.await.unwrap().status(), StatusCode::OK);
    assert_eq!(site.traffic.waiting(), 0);
    let delivered = |kind| site.traffic.delivery(kind).read().buckets.iter().sum::<u64>();
    assert_eq!((delivered(Kind::Media), delivered(Kind::Playlist)), (1, 0));
    // It is not the wait for the picture that is measured.
    assert!(site.traffic.delivery(Kind::Media).read().sum_us < 1_000_000);
}
