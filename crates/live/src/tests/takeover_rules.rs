//! Takeovers by priority, reconnects over connections that died unnoticed, and each channel's own reconnect window.

use super::*;

impl World {
    async fn claim(&self, peer: &str, claim: Claim, tracks: &[Track]) -> Result<Publisher, PublishError> {
        let publish = Publish { claim, tracks: tracks.to_vec(), ..Publish::new(self.channel.clone(), peer) };
        self.hub.publish(publish).await
    }
}

fn refusal(result: Result<Publisher, PublishError>) -> TakeoverRefusal {
    match result {
        Err(PublishError::Takeover(refusal)) => refusal,
        other => panic!("expected a refusal, not {other:?}"),
    }
}

/// 320 by 240 and otherwise like the first of [`tracks`].
fn small_video() -> Track {
    let avcc = [
        1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 9, 0x67, 0x42, 0xc0, 0x1e, 0xda, 0x05, 0x07, 0xc4, 0x40, 1, 0, 4, 0x68,
        0xce, 0x3c, 0x80,
    ];
    Track::new(CodecConfig::Avc(avc::Config::parse(&avcc).unwrap()))
}

#[tokio::test(start_paused = true)]
async fn the_higher_priority_wins_and_others_are_refused_with_an_event() {
    let world = world();
    let first = world.publish().await;
    stream(&first, 3_000).await.unwrap();
    let second = world.claim("10.0.0.2:5", Claim::Priority(7), &tracks()).await.unwrap();
    assert_eq!(first.cut().await, CutReason::TakenOver);
    stream(&second, 3_000).await.unwrap();
    for claim in [Claim::Priority(7), Claim::Priority(6), Claim::None, Claim::Invalid] {
        let refused = refusal(world.claim("10.0.0.3:5", claim, &tracks()).await);
        assert_eq!(refused, TakeoverRefusal::InvalidPriority, "{claim:?}");
    }
    stream(&second, 1_000).await.unwrap();
    let third = world.claim("10.0.0.3:5", Claim::Priority(8), &tracks()).await.unwrap();
    assert_eq!(third.stream_id(), first.stream_id());
    let refused = "StreamTakeoverInvalidPriority";
    let told = world.notes.of(&world.channel);
    assert_eq!(told, ["Created", "Start", "Takeover", refused, refused, refused, refused, "Takeover"]);
}

#[tokio::test(start_paused = true)]
async fn with_a_priority_the_media_must_match() {
    let world = world();
    let first = world.publish().await;
    stream(&first, 3_000).await.unwrap();
    let [video, audio] = tracks();
    for other in [vec![], vec![video.clone()], vec![small_video(), audio.clone()]] {
        let refused = refusal(world.claim("10.0.0.2:5", Claim::Priority(1), &other).await);
        assert_eq!(refused, TakeoverRefusal::MediaMismatch);
    }
    stream(&first, 500).await.unwrap();
    // Without priorities anything goes, as it always did.
    let newest = world.claim("10.0.0.2:5", Claim::None, &[]).await.unwrap();
    assert_eq!(first.cut().await, CutReason::TakenOver);
    drop(newest);
    assert_eq!(world.notes.of(&world.channel).last(), Some(&"Takeover"));
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_taken_over_a_hundred_times_at_most() {
    let world = world();
    let mut present = world.publish().await;
    for n in 0..takeover::TAKEOVERS_MAX {
        stream(&present, 100).await.unwrap();
        present = world.claim(&format!("10.0.0.{n}:5"), Claim::None, &[]).await.unwrap();
    }
    stream(&present, 100).await.unwrap();
    let refused = refusal(world.claim("10.0.1.1:5", Claim::Priority(1), &tracks()).await);
    assert_eq!(refused, TakeoverRefusal::LimitBreached);
    present.finish(Ending::Clean).await;
    until("ended", || world.notes.of(&world.channel).last() == Some(&"Ended")).await;
    // Another stream counts anew.
    let next = world.publish().await;
    stream(&next, 100).await.unwrap();
    world.claim("10.0.1.1:5", Claim::Priority(1), &tracks()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_same_encoder_over_a_dead_connection_is_no_takeover() {
    let world = world();
    let first = world.claim("10.0.0.2:5", Claim::Priority(3), &tracks()).await.unwrap();
    stream(&first, 3_000).await.unwrap();
    assert_eq!(
        refusal(world.claim("10.0.0.2:6", Claim::Priority(3), &tracks()).await).code(),
        "StreamTakeoverInvalidPriority"
    );
    sleep(Duration::from_millis(1_200)).await;
    let again = world.claim("10.0.0.2:6", Claim::Priority(3), &tracks()).await.unwrap();
    stream(&again, 3_000).await.unwrap();
    assert_eq!(again.stream_id(), first.stream_id());
    assert_eq!(world.notes.of(&world.channel), ["Created", "Start", "StreamTakeoverInvalidPriority"]);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_kept_out_for_a_publisher_that_sends_nothing() {
    let world = world();
    let first = world.claim("10.0.0.2:5", Claim::Priority(3), &tracks()).await.unwrap();
    stream(&first, 3_000).await.unwrap();
    sleep(Duration::from_secs(4)).await;
    let other = world.claim("10.0.0.9:5", Claim::None, &[]).await.unwrap();
    stream(&other, 1_000).await.unwrap();
    let told = world.notes.of(&world.channel);
    assert_eq!(told, ["Created", "Start", "StarvationStart", "Takeover", "StarvationEnd"]);
}

#[tokio::test(start_paused = true)]
async fn a_channel_may_have_its_own_reconnect_window() {
    for (tag, alive_s, over_s) in [("0", 0, 1), ("90", 89, 91), ("nonsense", 29, 31), ("301", 29, 31)] {
        let mut world = world();
        world.channel.tags.insert(RECONNECT_WINDOW_TAG.into(), tag.into());
        let publisher = world.publish().await;
        stream(&publisher, 3_000).await.unwrap();
        // A connected encoder that pauses is not measured by a window of nothing.
        sleep(Duration::from_secs(2)).await;
        stream(&publisher, 1_000).await.unwrap();
        drop(publisher);
        if alive_s > 0 {
            sleep(Duration::from_secs(alive_s)).await;
            assert!(world.hub.stream(&world.channel.id).is_some(), "{tag}");
        }
        sleep(Duration::from_secs(over_s - alive_s)).await;
        until("ended", || world.notes.of(&world.channel).last() == Some(&"Ended")).await;
    }
}
