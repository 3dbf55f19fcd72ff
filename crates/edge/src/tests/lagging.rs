//! A rendition that is behind its source, whose playlist reports it as if it were not.

use super::*;
use headwater_live::{Asked, LiveStream};
use headwater_media::FurtherTrack;
use tokio::sync::watch;

/// A further track of the publisher, of the source's size, therefore named with its number, and of the rate that its configuration says.
const NAME: &str = "90p15-1";
const PATIENCE: Duration = Duration::from_secs(20);
const PARTS_A_SEGMENT: i64 = 10;
const PICTURES_A_PART: i64 = PICTURES_A_KEYFRAME / PARTS_A_SEGMENT;

fn further() -> FurtherTrack {
    FurtherTrack::new(1).expect("a number of its own")
}

impl Feed {
    /// The further track's pictures with these numbers.
    async fn send_further(&self, numbers: std::ops::Range<i64>) {
        for number in numbers {
            self.publisher.send(Input::FurtherUnit(further(), picture(number))).await.unwrap();
        }
    }
}

async fn made(stream: &LiveStream) -> watch::Receiver<Arc<Snapshot>> {
    let mut offers = stream.offers();
    let there = offers.wait_for(|_| matches!(stream.rendition(NAME), Some(Asked::Made(_))));
    tokio::time::timeout(PATIENCE, there).await.expect("it is made").unwrap();
    match stream.rendition(NAME) {
        Some(Asked::Made(watch)) => watch,
        other => panic!("{other:?}"),
    }
}

async fn reaches(watch: &mut watch::Receiver<Arc<Snapshot>>, next: Position) {
    let there = watch.wait_for(|snapshot| snapshot.next() >= next);
    tokio::time::timeout(PATIENCE, there).await.expect("it comes so far").unwrap();
    assert_eq!(watch.borrow().next(), next);
}

#[tokio::test]
async fn a_reload_ahead_of_a_lagging_rendition_waits() {
    let (site, mut feed) = Site::live().await;
    feed.publisher.send(Input::FurtherTrack(further(), track())).await.unwrap();
    feed.send(3 * PICTURES_A_KEYFRAME - feed.pictures).await;
    for number in 3 * PICTURES_A_KEYFRAME..5 * PICTURES_A_KEYFRAME {
        feed.send(1).await;
        feed.send_further(number..number + 1).await;
    }
    let stream = site.hub.stream(&site.channel.id).expect("live");
    let mut rendition = made(&stream).await;
    // The source is 2.4 s ahead, two segments and not yet so much that what is missing becomes a gap.
    let (behind, ahead) = (5 * PICTURES_A_KEYFRAME + 9 * PICTURES_A_PART, 7 * PICTURES_A_KEYFRAME + PICTURES_A_PART);
    feed.send_further(5 * PICTURES_A_KEYFRAME..behind + 1).await;
    feed.send(ahead + 1 - feed.pictures).await;
    reaches(&mut stream.watch.clone(), Position { msn: 7, part: 1 }).await;
    reaches(&mut rendition, Position { msn: 5, part: 9 }).await;

    let file = |name: &str| site.file(name).replace("/source/", &format!("/{NAME}/"));
    let reported = text(site.get(&site.file("media.m3u8")).await).await;
    assert!(reported.contains(&format!("URI=\"../{NAME}/media.m3u8\",LAST-MSN=7,LAST-PART=0")), "{reported}");
    // What was reported, and what comes after it.
    let (newest, next) = (Position { msn: 7, part: 0 }, Position { msn: 7, part: 1 });
    let (first, second) = (site.waiting(&file(&reload(newest))).await, site.waiting(&file(&reload(next))).await);
    let whole = site.waiting(&file("media.m3u8?_HLS_msn=7")).await;
    // What the source has no idea of either is a mistake.
    let beyond = site.get(&file(&reload(Position { msn: 9, part: 0 }))).await;
    assert_eq!(beyond.status(), StatusCode::BAD_REQUEST);

    // Parts come one after another, and each wakes only who waits for it.
    feed.send_further(behind + 1..ahead + 1).await;
    let response = first.await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let playlist = text(response).await;
    let last_part = playlist.lines().rfind(|line| line.starts_with("#EXT-X-PART:")).expect("parts");
    assert!(last_part.contains(&part_file(newest)), "{playlist}");
    let (_, late) = playlist.split_once("s4.m4s").expect("what was late");
    assert!(!late.contains("GAP"), "{playlist}");
    assert!(!second.is_finished(), "its part is still to come");
    for number in ahead + 1..8 * PICTURES_A_KEYFRAME + PICTURES_A_PART {
        feed.send(1).await;
        feed.send_further(number..number + 1).await;
    }
    for (task, wanted) in [(second, part_file(next)), (whole, "s7.m4s".to_owned())] {
        let response = task.await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let playlist = text(response).await;
        let mut listed = playlist.lines().filter(|line| line.starts_with("#EXT-X-PART:") || line.ends_with(".m4s"));
        assert!(listed.any(|line| line.contains(&wanted)), "{wanted}: {playlist}");
    }
}
