//! What channels refer to, and whose sessions are revoked.

use super::*;
use crate::broadcasts::AdBreakRefusal;
use crate::sessions::Sessions;
use crate::testing::bench_with;
use headwater_model::ivs::{
    AdBreak, AdConfiguration, FailoverSlate, PlaybackKeyPair, PlaybackRestrictionPolicy, PostRoll, Quotas,
    RecordingConfiguration, RecordingState, RenditionSelection, Thumbnails, ViewerRevocation,
};
use revocations::Viewer;
use serde_json::json;

const KEY: &str = include_str!("../../../../model/src/ivs/testdata/p384.pem");
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

async fn make_bucket(control: &Control, name: &str) {
    let bucket = headwater_sites::buckets::CreateBucket { name: name.into(), ..Default::default() };
    control.sites().create_bucket(bucket).await.unwrap();
}

fn recorded_to(bucket: &str) -> recording::Settings {
    recording::Settings { bucket: bucket.into(), ..Default::default() }
}

#[tokio::test]
async fn a_key_is_imported_once_and_again_when_it_is_gone() {
    let bench = bench().await;
    let import = || key_pairs::import(&bench.control, KEY, "k", Tags::new(), Identity::Fresh, NOW);
    let pair = import().await.unwrap();
    assert!(matches!(import().await, Err(Error::Conflict { .. })));
    assert_eq!(resource::get::<PlaybackKeyPair>(&bench.control, &pair.arn).await.unwrap(), pair);
    resource::delete::<PlaybackKeyPair>(&bench.control, &pair.arn).await.unwrap();
    let again = import().await.unwrap();
    assert_eq!((again.fingerprint, again.public_point), (pair.fingerprint, pair.public_point));
    let other = key_pairs::import(&bench.control, "none", "", Tags::new(), Identity::Fresh, NOW).await;
    assert!(matches!(other, Err(Error::Invalid { .. })));
}

#[tokio::test]
async fn a_recording_configuration_is_usable_when_its_bucket_was_found() {
    let bench = bench().await;
    make_bucket(&bench.control, "there").await;
    let create = |bucket| recording::create(&bench.control, recorded_to(bucket), Tags::new(), Identity::Fresh, NOW);
    let (there, missing) = (create("there").await.unwrap(), create("missing").await.unwrap());
    assert_eq!((there.state, missing.state), (RecordingState::Creating, RecordingState::Creating));
    assert_eq!(recording::check_due(&bench.control, NOW).await.unwrap(), 2);
    assert_eq!(recording::check_due(&bench.control, NOW).await.unwrap(), 0);
    let state = async |arn: &str| resource::get::<RecordingConfiguration>(&bench.control, arn).await.unwrap().state;
    assert_eq!(state(&there.arn).await, RecordingState::Active);
    assert_eq!(state(&missing.arn).await, RecordingState::CreateFailed);
}

#[tokio::test]
async fn recording_settings_that_break_a_rule_are_refused() {
    let bench = bench().await;
    let thumbnails = |interval_s| Thumbnails { interval_s, ..Thumbnails::default() };
    for wrong in [
        recorded_to("No_Bucket"),
        recorded_to("ab"),
        recording::Settings { reconnect_window_s: 301, ..recorded_to("bucket") },
        recording::Settings { thumbnails: thumbnails(Some(61)), ..recorded_to("bucket") },
        recording::Settings { thumbnails: thumbnails(None), ..recorded_to("bucket") },
        recording::Settings { renditions: RenditionSelection::Custom(vec![]), ..recorded_to("bucket") },
    ] {
        let made = recording::create(&bench.control, wrong.clone(), Tags::new(), Identity::Fresh, NOW).await;
        assert!(matches!(made, Err(Error::Invalid { .. })), "{wrong:?}");
    }
}

#[tokio::test]
async fn a_policy_keeps_what_an_update_does_not_say() {
    let bench = bench().await;
    let settings = restriction_policies::Settings {
        name: Some("p".into()),
        allowed_countries: Some(vec!["DE".into()]),
        allowed_origins: Some(vec!["https://a.example".into()]),
        strict_origin: Some(true),
    };
    let made =
        restriction_policies::create(&bench.control, &settings, Tags::new(), Identity::Fresh, NOW).await.unwrap();
    let none = restriction_policies::Settings { allowed_origins: Some(vec![]), ..Default::default() };
    let changed = restriction_policies::update(&bench.control, &made.arn, &none).await.unwrap();
    assert_eq!(changed, PlaybackRestrictionPolicy { allowed_origins: vec![], ..made.clone() });
    let countries =
        |codes: Vec<String>| restriction_policies::Settings { allowed_countries: Some(codes), ..Default::default() };
    let origins = |origin: &str, count| restriction_policies::Settings {
        allowed_origins: Some(vec![origin.into(); count]),
        ..Default::default()
    };
    for wrong in [
        countries(vec!["XX".into()]),
        countries(vec!["DE".into(); 201]),
        origins("a.example", 1),
        origins("https://a.example", 6),
        origins(&format!("https://{}.example", "a".repeat(249)), 1),
    ] {
        let refused = restriction_policies::update(&bench.control, &made.arn, &wrong).await;
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{wrong:?}");
    }
}

#[tokio::test]
async fn ad_configurations_and_slates_have_their_bounds_and_defaults() {
    let bench = bench().await;
    let arn = "arn:aws:mediatailor:us-east-1:000000000000:playbackConfiguration/a";
    let with = |arns: Vec<String>| ads::Settings { playback_configuration_arns: Some(arns), ..Default::default() };
    let create = |settings: ads::Settings| {
        let control = bench.control.clone();
        async move { ads::create(&control, &settings, Tags::new(), Identity::Fresh, NOW).await }
    };
    let made = create(with(vec![arn.into()])).await.unwrap();
    assert_eq!(made.post_roll, PostRoll { enabled: false, duration_s: 15 });
    let post_roll =
        |duration_s| ads::Settings { post_roll: Some(PostRoll { enabled: true, duration_s }), ..Default::default() };
    let changed = ads::update(&bench.control, &made.arn, &post_roll(300)).await.unwrap();
    assert_eq!(changed.playback_configuration_arns, made.playback_configuration_arns);
    assert!(matches!(ads::update(&bench.control, &made.arn, &post_roll(301)).await, Err(Error::Invalid { .. })));
    for wrong in [with(vec![]), with(vec![arn.into(); 4]), with(vec!["arn:aws:x".into()]), ads::Settings::default()] {
        assert!(matches!(create(wrong.clone()).await, Err(Error::Invalid { .. })), "{wrong:?}");
    }
    resource::delete::<AdConfiguration>(&bench.control, &made.arn).await.unwrap();

    let slate = slates::create(&bench.control, &slates::Settings::default(), Tags::new(), NOW).await.unwrap();
    assert_eq!((slate.activation_s, slate.display_min_s, slate.display_max_s), (3, 3, 60));
    for (activation, min, max, fits) in [(5, 10, 180, true), (2, 3, 60, false), (3, 11, 60, false), (3, 3, 59, false)] {
        let settings = slates::Settings {
            name: None,
            activation_s: Some(activation),
            display_min_s: Some(min),
            display_max_s: Some(max),
        };
        assert_eq!(slates::update(&bench.control, &slate.arn, &settings).await.is_ok(), fits, "{settings:?}");
    }
    let kept = resource::get::<FailoverSlate>(&bench.control, &slate.arn).await.unwrap();
    assert_eq!((kept.activation_s, kept.display_min_s, kept.display_max_s), (5, 10, 180));
}

#[tokio::test]
async fn each_kind_has_its_quota() {
    let none = Quotas {
        playback_key_pairs: 0,
        playback_restriction_policies: 0,
        recording_configurations: 0,
        failover_slate_configurations: 0,
        ..Quotas::default()
    };
    let bench = bench_with(none).await;
    let control = &bench.control;
    let policy = restriction_policies::Settings::default();
    for refused in [
        key_pairs::import(control, KEY, "", Tags::new(), Identity::Fresh, NOW).await.map(drop),
        restriction_policies::create(control, &policy, Tags::new(), Identity::Fresh, NOW).await.map(drop),
        recording::create(control, recorded_to("bucket"), Tags::new(), Identity::Fresh, NOW).await.map(drop),
        slates::create(control, &slates::Settings::default(), Tags::new(), NOW).await.map(drop),
    ] {
        assert!(matches!(refused, Err(Error::QuotaExceeded { limit: 0, .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn a_revocation_holds_for_the_highest_version_asked_for_and_is_forgotten_in_the_end() {
    let bench = bench().await;
    let (channel, _) = create_channel(&bench.control, &named("a"), Tags::new(), NOW).await.unwrap();
    let viewer =
        |id: &str, versions_up_to| Viewer { channel_arn: channel.arn.clone(), viewer_id: id.into(), versions_up_to };
    for version in [2, 5, 1] {
        revocations::start(&bench.control, &viewer("v", version), NOW).await.unwrap();
    }
    let up_to = async |id| revocations::revoked_up_to(&bench.control, &channel.arn, id).await.unwrap();
    assert_eq!((up_to("v").await, up_to("w").await), (Some(5), None));
    for wrong in [viewer("", 0), viewer(&"x".repeat(41), 0), viewer("v", -1)] {
        assert!(matches!(revocations::start(&bench.control, &wrong, NOW).await, Err(Error::Invalid { .. })));
    }
    let stranger = Viewer { channel_arn: bench.control.realm().ivs_arn("channel", "none"), ..viewer("v", 0) };
    let asked = [viewer("w", 0), stranger.clone()];
    let refused = revocations::start_batch(&bench.control, &asked, NOW).await.unwrap();
    assert!(matches!(&refused[..], [(viewer, Error::NotFound { .. })] if **viewer == stranger));
    assert_eq!(up_to("w").await, Some(0));
    let many = vec![viewer("w", 0); revocations::BATCH_MAX + 1];
    assert!(matches!(revocations::start_batch(&bench.control, &many, NOW).await, Err(Error::Invalid { .. })));

    let journal = sessions_journal(&bench.control);
    let later = NOW.plus_ms(ViewerRevocation::KEPT_MS - 1);
    revocations::start(&bench.control, &viewer("v", 0), later).await.unwrap();
    assert_eq!(journal.remove_old(NOW.plus_ms(ViewerRevocation::KEPT_MS)).await.unwrap(), 1, "w, but not v");
    assert_eq!((up_to("v").await, up_to("w").await), (Some(5), None));
    journal.remove_old(later.plus_ms(ViewerRevocation::KEPT_MS)).await.unwrap();
    assert_eq!(up_to("v").await, None);
}

#[tokio::test]
async fn an_ad_break_is_for_a_live_stream_in_ts_and_one_at_a_time() {
    let bench = bench().await;
    let (channel, _) = create_channel(&bench.control, &named("a"), Tags::new(), NOW).await.unwrap();
    let insert = async |wanted| ads::insert_break(&bench.control, &channel.arn, wanted, NOW).await;
    let wanted = |duration_s| ads::Wanted { duration_s, ..Default::default() };
    assert!(matches!(insert(wanted(30)).await, Err(Error::NotBroadcasting { .. })));
    bench.broadcasts.go_live(&channel);
    let inserted = insert(wanted(30)).await.unwrap();
    assert_eq!((inserted.id.len(), inserted.target_start), (AdBreak::ID_LENGTH, NOW));
    assert!(matches!(insert(wanted(30)).await, Err(Error::Conflict { .. })));
    let far = ads::Wanted { target_start: Some(NOW.plus_ms(DAY_MS)), ..wanted(30) };
    let odd = ads::Wanted { id: Some("no id".into()), ..wanted(30) };
    for wrong in [wanted(0), wanted(301), far, odd] {
        assert!(matches!(insert(wrong.clone()).await, Err(Error::Invalid { .. })), "{wrong:?}");
    }
    let fragmented = Settings { container_format: Some(ContainerFormat::FragmentedMp4), ..Settings::default() };
    let (other, _) = create_channel(&bench.control, &fragmented, Tags::new(), NOW).await.unwrap();
    let refused = ads::insert_break(&bench.control, &other.arn, wanted(30), NOW).await;
    assert!(matches!(refused, Err(Error::Invalid { .. })));
    assert_ne!(AdBreakRefusal::NotBroadcasting, AdBreakRefusal::Runs { id: String::new() });
}

#[tokio::test]
async fn one_stream_too_many_is_refused_and_told_once_a_minute() {
    let bench = bench_with(Quotas { concurrent_streams: 1, ..Quotas::default() }).await;
    let (first, _) = create_channel(&bench.control, &named("a"), Tags::new(), NOW).await.unwrap();
    let (second, _) = create_channel(&bench.control, &named("b"), Tags::new(), NOW).await.unwrap();
    let admit = async |channel, ms| streams::admit(&bench.control, channel, NOW.plus_ms(ms)).await;
    admit(&first, 0).await.unwrap();
    bench.broadcasts.go_live(&first);
    admit(&first, 0).await.unwrap();
    for ms in [0, 59_999, 60_000] {
        assert!(matches!(admit(&second, ms).await, Err(Error::QuotaExceeded { limit: 1, .. })));
    }
    let events = bench.control.store().events(0, 10).await.unwrap();
    assert_eq!(events.len(), 2);
    let event = &events[0].1;
    assert_eq!((event.detail_type.as_str(), event.resources.len()), ("IVS Limit Breach", 0));
    let expected = json!({"limit_name": "Concurrent Broadcasts", "limit_value": 1, "exceeded_by": 1,
        "limit_unit": "active streams"});
    assert_eq!(event.detail, expected);
}

#[tokio::test]
async fn viewers_sent_away_are_told_once_for_all() {
    let bench = bench().await;
    let turned_away = tokio::sync::watch::Sender::new(0_u64);
    let cancel = tokio_util::sync::CancellationToken::new();
    let telling = views::run(bench.control.clone(), 15_000, turned_away.subscribe(), cancel.clone());
    let mut logged = bench.control.store().watch(headwater_store::Topic::Events);
    logged.mark_unchanged();
    turned_away.send_modify(|count| *count += 1);
    let telling = tokio::spawn(telling);
    logged.changed().await.unwrap();
    for _ in 0..50 {
        turned_away.send_modify(|count| *count += 1);
        tokio::task::yield_now().await;
    }
    cancel.cancel();
    telling.await.unwrap();
    let events = bench.control.store().events(0, 10).await.unwrap();
    assert_eq!(events.len(), 1);
    let event = &events[0].1;
    assert_eq!(
        (event.source.as_str(), event.detail_type.as_str(), event.resources.len()),
        ("aws.ivs", "IVS Limit Breach", 0)
    );
    let expected = json!({"limit_name": "Concurrent Viewers", "limit_value": 15_000, "exceeded_by": 1,
        "limit_unit": "viewers"});
    assert_eq!(event.detail, expected);
}

#[tokio::test]
async fn a_recorded_channel_tells_why_it_is_not_recorded() {
    let bench = bench().await;
    make_bucket(&bench.control, "there").await;
    let made =
        recording::create(&bench.control, recorded_to("there"), Tags::new(), Identity::Fresh, NOW).await.unwrap();
    let settings = Settings { recording_configuration_arn: Some(made.arn.clone()), ..named("Your-Channel") };
    let (channel, _) = create_channel(&bench.control, &settings, Tags::new(), NOW).await.unwrap();
    let journal: Sessions = sessions_journal(&bench.control);
    let event = |kind| SessionEvent { channel: channel.clone(), stream_id: "st-1".into(), at: NOW, kind };
    journal.record(event(SessionEventKind::Created)).await.unwrap();
    recording::check_due(&bench.control, NOW).await.unwrap();
    let start = SessionEventKind::Start { video: Vec::new(), audio: Vec::new() };
    journal.record(event(start)).await.unwrap();
    let events = bench.control.store().events(0, 10).await.unwrap();
    let told = &events[2].1;
    assert_eq!(
        (told.detail_type.as_str(), &told.resources),
        ("IVS Recording State Change", &vec![channel.arn.clone()])
    );
    let mut detail = told.detail.clone();
    let session_id = detail.as_object_mut().unwrap().remove("recording_session_id").unwrap();
    assert_eq!(session_id.as_str().unwrap().len(), 16);
    assert_eq!(
        detail,
        json!({
            "channel_name": "Your-Channel",
            "stream_id": "st-1",
            "recording_status": "Recording Start Failure",
            "recording_status_reason": "RecordingNotImplemented: this server does not write recordings yet",
            "recording_s3_bucket_name": "there",
            "recording_s3_key_prefix": "",
            "recording_duration_ms": 0,
        })
    );
    let session = stream_session(&bench.control, &channel.arn, None).await.unwrap();
    assert_eq!(session.recording_configuration.unwrap().state, RecordingState::Active, "as it was when it went live");
    assert!(session.has_error_event);
    assert_eq!(session.events[2].name, "Recording Start Failure");
}
