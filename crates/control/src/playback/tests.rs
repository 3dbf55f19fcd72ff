//! Tokens are spent once; what is revoked is told.

use super::*;
use crate::ivs::revocations::{self, Viewer};
use crate::testing;
use headwater_model::ivs::Channel;
use tokio::sync::watch;

#[tokio::test]
async fn a_token_is_spent_once_and_forgotten_when_it_is_over() {
    let bench = testing::bench().await;
    let control = bench.control.clone();
    let (now, until) = (Timestamp(1_000), Timestamp(2_000));
    assert_eq!(spend(&control, "a", until, now).await.unwrap(), Use::First);
    assert_eq!(spend(&control, "a", until, now).await.unwrap(), Use::Again);
    assert_eq!(spend(&control, "b", until, now).await.unwrap(), Use::First);
    let forgotten = until.plus_ms(EXPIRY_AHEAD_MS_MAX);
    assert_eq!(expiries::remove_due(control.store(), forgotten.plus_ms(-1)).await.unwrap(), 0);
    assert_eq!(spend(&control, "a", until, now).await.unwrap(), Use::Again);
    assert_eq!(expiries::remove_due(control.store(), forgotten).await.unwrap(), 2);
}

#[tokio::test]
async fn what_is_revoked_is_told_at_the_start_and_when_it_happens() {
    let bench = testing::bench().await;
    let control = bench.control.clone();
    let channel = Channel::new(control.realm(), "c", Timestamp(0));
    let mut batch = Batch::new();
    batch.insert(&channel).unwrap();
    control.store().commit(batch).await.unwrap();
    let (told, mut heard) = watch::channel(Standing::default());
    let cancel = CancellationToken::new();
    let tell = move |standing| {
        told.send_replace(standing);
    };
    let following = tokio::spawn(follow(control.clone(), tell, cancel.clone()));
    let viewer = Viewer { channel_arn: channel.arn.clone(), viewer_id: "me".into(), versions_up_to: 3 };
    revocations::start(&control, &viewer, Timestamp(1)).await.unwrap();
    let standing = heard.wait_for(|standing| !standing.revocations.is_empty()).await.unwrap().clone();
    assert_eq!(standing.revocations[0].versions_up_to, 3);
    cancel.cancel();
    following.await.unwrap();
}
