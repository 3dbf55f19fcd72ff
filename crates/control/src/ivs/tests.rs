//! Channels, keys, streams and metadata through the operations, over a store in memory.

#![allow(clippy::unwrap_used, reason = "tests")]

mod configurations;
mod scale;

use super::channels::{Filter, Settings, create_channel, delete_channel, list_channels, update_channel};
use super::keys::{create_stream_key, delete_stream_key, list_stream_keys, resolve_key};
use super::metadata::put_metadata;
use super::streams::{list_stream_sessions, list_streams, stop_stream, stream, stream_session};
use super::*;
use crate::sessions::Sessions;
use crate::testing::{Bench, bench};
use headwater_live::{Journal, SessionEvent, SessionEventKind};
use headwater_model::Timestamp;
use headwater_model::ivs::{ChannelType, ContainerFormat, MultitrackInput, MultitrackPolicy, Shown, Tags};

const NOW: Timestamp = Timestamp(1_795_498_182_000);

fn named(name: &str) -> Settings {
    Settings { name: Some(name.into()), ..Settings::default() }
}

/// The channel that a text opens as its stream key.
async fn opened(bench: &Bench, key: &str) -> Option<Channel> {
    let opened = resolve_key(&bench.control, key, NOW).await.unwrap()?;
    assert_eq!(opened.shown, Shown::StreamKey);
    Some(opened.channel)
}

#[tokio::test]
async fn a_channel_comes_with_the_key_that_opens_it() {
    let bench = bench().await;
    let (channel, key) = create_channel(&bench.control, &Settings::default(), Tags::new(), NOW).await.unwrap();
    assert_eq!(key.channel_arn, channel.arn);
    assert_eq!(opened(&bench, key.value.expose()).await, Some(channel.clone()));
    assert_eq!(opened(&bench, "sk_us-east-1_guess").await, None);
    assert_eq!(opened(&bench, &"x".repeat(10_000)).await, None);
    delete_stream_key(&bench.control, &key.arn).await.unwrap();
    assert_eq!(opened(&bench, key.value.expose()).await, None);
    let second = create_stream_key(&bench.control, &channel.arn, Tags::new(), NOW).await.unwrap();
    assert_eq!(opened(&bench, second.value.expose()).await.unwrap().arn, channel.arn);
    delete_channel(&bench.control, &channel.arn).await.unwrap();
    assert_eq!(opened(&bench, second.value.expose()).await, None);
}

#[tokio::test]
async fn of_many_keys_made_at_once_one_stands() {
    let bench = bench().await;
    let (channel, key) = create_channel(&bench.control, &Settings::default(), Tags::new(), NOW).await.unwrap();
    let second = create_stream_key(&bench.control, &channel.arn, Tags::new(), NOW).await;
    assert!(matches!(second, Err(Error::QuotaExceeded { limit: 1, .. })));
    delete_stream_key(&bench.control, &key.arn).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (control, arn) = (bench.control.clone(), channel.arn.clone());
        tasks.spawn(async move { create_stream_key(&control, &arn, Tags::new(), NOW).await.is_ok() });
    }
    let made = tasks.join_all().await.into_iter().filter(|made| *made).count();
    assert_eq!(made, 1);
    let page = list_stream_keys(&bench.control, &channel.arn, &PageRequest::default()).await.unwrap();
    assert_eq!((page.items.len(), page.next_token), (1, None));
}

#[tokio::test]
async fn a_live_channel_is_neither_changed_nor_deleted() {
    let bench = bench().await;
    let (channel, _) = create_channel(&bench.control, &named("a"), Tags::new(), NOW).await.unwrap();
    for offline in [
        stream(&bench.control, &channel.arn).await.map(|_| ()),
        put_metadata(&bench.control, &channel.arn, "x", NOW).await.map(|_| ()),
        stop_stream(&bench.control, &channel.arn).await,
    ] {
        assert!(matches!(offline, Err(Error::NotBroadcasting { .. })));
    }
    let live = bench.broadcasts.go_live(&channel);
    assert!(matches!(update_channel(&bench.control, &channel.arn, &named("b")).await, Err(Error::Conflict { .. })));
    assert!(matches!(delete_channel(&bench.control, &channel.arn).await, Err(Error::Conflict { .. })));
    assert_eq!(stream(&bench.control, &channel.arn).await.unwrap().1, live);
    assert_eq!(list_streams(&bench.control, None, &PageRequest::default()).unwrap().items, [live]);
    put_metadata(&bench.control, &channel.arn, "x", NOW).await.unwrap();
    assert_eq!(*bench.broadcasts.cues.lock().unwrap(), [(channel.id.clone(), "x".to_string())]);
    stop_stream(&bench.control, &channel.arn).await.unwrap();
    assert_eq!(update_channel(&bench.control, &channel.arn, &named("b")).await.unwrap().name, "b");
    delete_channel(&bench.control, &channel.arn).await.unwrap();
    let gone = stream(&bench.control, &channel.arn).await;
    assert!(matches!(gone, Err(Error::NotFound { kind: "channel", .. })));
}

#[tokio::test]
async fn an_encoder_that_is_not_live_yet_leaves_with_its_channel() {
    let bench = bench().await;
    let (channel, _) = create_channel(&bench.control, &named("a"), Tags::new(), NOW).await.unwrap();
    delete_channel(&bench.control, &channel.arn).await.unwrap();
    assert_eq!(*bench.broadcasts.stopped.lock().unwrap(), [channel.id]);
}

#[tokio::test]
async fn a_question_opens_a_poll_that_ends_with_its_session() {
    let bench = bench().await;
    let journal = sessions_journal(&bench.control);
    let (channel, _) = create_channel(&bench.control, &named("a"), Tags::new(), NOW).await.unwrap();
    let live = bench.broadcasts.go_live(&channel);
    let event = |kind| SessionEvent { channel: channel.clone(), stream_id: live.stream_id.clone(), at: NOW, kind };
    journal.record(event(SessionEventKind::Created)).await.unwrap();
    let question = r#"{"question":"Which?","answers":["a","b"],"poll_id":"1"}"#;
    put_metadata(&bench.control, &channel.arn, question, NOW).await.unwrap();
    put_metadata(&bench.control, &channel.arn, "no question", NOW).await.unwrap();
    let polls = bench.control.interact().results(Some(&channel.arn)).await.unwrap();
    assert_eq!(polls.len(), 1);
    assert_eq!((polls[0].poll.stream_id.as_str(), polls[0].poll.closed_at), (live.stream_id.as_str(), None));
    journal.record(event(SessionEventKind::Ended)).await.unwrap();
    let polls = bench.control.interact().results(Some(&channel.arn)).await.unwrap();
    assert_eq!(polls[0].poll.closed_at, Some(NOW));
}

fn sessions_journal(control: &Control) -> Sessions {
    Sessions::new(control.realm().clone(), control.shared_store(), control.interact().clone())
}

#[tokio::test]
async fn settings_that_break_a_rule_are_refused() {
    let bench = bench().await;
    let multitrack = MultitrackInput {
        enabled: true,
        policy: Some(MultitrackPolicy::Allow),
        maximum_resolution: Some(headwater_model::ivs::MaximumResolution::FullHd),
    };
    let refused = [
        named("a b"),
        named(&"x".repeat(129)),
        Settings { preset: Some("HIGHER_BANDWIDTH_DELIVERY".into()), ..Settings::default() },
        Settings { preset: Some("fast".into()), channel_type: Some(ChannelType::AdvancedHd), ..Settings::default() },
        Settings { multitrack: Some(multitrack), channel_type: Some(ChannelType::Basic), ..Settings::default() },
        Settings { multitrack: Some(multitrack), ..Settings::default() },
        Settings { recording_configuration_arn: Some("no arn".into()), ..Settings::default() },
    ];
    for settings in refused {
        let result = create_channel(&bench.control, &settings, Tags::new(), NOW).await;
        assert!(matches!(result, Err(Error::Invalid { .. })), "{settings:?}: {result:?}");
    }
    let unknown = bench.control.realm().ivs_arn("recording-configuration", "abc");
    let settings = Settings { recording_configuration_arn: Some(unknown), ..Settings::default() };
    assert!(matches!(
        create_channel(&bench.control, &settings, Tags::new(), NOW).await,
        Err(Error::NotFound { kind: "recording-configuration", .. })
    ));
    let good = Settings {
        multitrack: Some(multitrack),
        container_format: Some(ContainerFormat::FragmentedMp4),
        ..Settings::default()
    };
    create_channel(&bench.control, &good, Tags::new(), NOW).await.unwrap();
    let advanced = Settings { channel_type: Some(ChannelType::AdvancedSd), ..Settings::default() };
    let (channel, _) = create_channel(&bench.control, &advanced, Tags::new(), NOW).await.unwrap();
    assert_eq!(channel.preset, "HIGHER_BANDWIDTH_DELIVERY");
    let basic = Settings { channel_type: Some(ChannelType::Basic), ..Settings::default() };
    assert_eq!(update_channel(&bench.control, &channel.arn, &basic).await.unwrap().preset, "");
}

#[tokio::test]
async fn pages_hold_every_channel_once() {
    let bench = bench().await;
    let mut made = Vec::new();
    for index in 0..23 {
        let name = if index % 2 == 0 { "even" } else { "odd" };
        made.push(create_channel(&bench.control, &named(name), Tags::new(), NOW).await.unwrap().0.arn);
    }
    made.sort();
    let mut seen = Vec::new();
    let mut request = PageRequest { max_results: Some(5), next_token: None };
    loop {
        let page = list_channels(&bench.control, &Filter::default(), &request).await.unwrap();
        assert!(page.items.len() <= 5);
        seen.extend(page.items.into_iter().map(|channel| channel.arn));
        match page.next_token {
            Some(token) => request.next_token = Some(token),
            None => break,
        }
    }
    assert_eq!(seen, made);
    let odd = Filter { name: Some("odd".into()), ..Filter::default() };
    let page = list_channels(&bench.control, &odd, &PageRequest::default()).await.unwrap();
    assert_eq!((page.items.len(), page.next_token), (11, None));
    let two = Filter { recording_configuration_arn: Some(String::new()), ..odd };
    assert!(matches!(list_channels(&bench.control, &two, &PageRequest::default()).await, Err(Error::Conflict { .. })));
    for wrong in [
        PageRequest { max_results: Some(0), next_token: None },
        PageRequest { max_results: Some(101), next_token: None },
        PageRequest { max_results: None, next_token: Some("***".into()) },
    ] {
        let result = list_channels(&bench.control, &Filter::default(), &wrong).await;
        assert!(matches!(result, Err(Error::Invalid { .. })));
    }
}

#[tokio::test]
async fn tags_are_merged_and_checked() {
    let bench = bench().await;
    let tags = Tags::from([("a".into(), "1".into())]);
    let (channel, key) = create_channel(&bench.control, &Settings::default(), tags, NOW).await.unwrap();
    tags::tag(&bench.control, &channel.arn, &Tags::from([("b".into(), "2".into())])).await.unwrap();
    tags::untag(&bench.control, &channel.arn, &["a".into(), "missing".into()]).await.unwrap();
    assert_eq!(tags::list_tags(&bench.control, &channel.arn).await.unwrap(), Tags::from([("b".into(), "2".into())]));
    tags::tag(&bench.control, &key.arn, &Tags::from([("k".into(), "v".into())])).await.unwrap();
    assert_eq!(tags::list_tags(&bench.control, &key.arn).await.unwrap().len(), 1);
    for wrong in [("", "x"), ("aws:x", "y"), ("a*", "y")] {
        let tags = Tags::from([(wrong.0.into(), wrong.1.into())]);
        assert!(
            matches!(tags::tag(&bench.control, &channel.arn, &tags).await, Err(Error::Invalid { .. })),
            "{wrong:?}"
        );
    }
    let many: Tags = (0..50).map(|n| (format!("n{n}"), String::new())).collect();
    assert!(matches!(tags::tag(&bench.control, &channel.arn, &many).await, Err(Error::Invalid { .. })));
    let missing = bench.control.realm().ivs_arn("channel", "none");
    let result = tags::tag(&bench.control, &missing, &Tags::new()).await;
    assert!(matches!(result, Err(Error::NotFound { .. })), "{result:?}");
}

#[tokio::test]
async fn sessions_outlive_their_channel_and_the_latest_comes_first() {
    let bench = bench().await;
    let journal = sessions_journal(&bench.control);
    let (channel, _) = create_channel(&bench.control, &Settings::default(), Tags::new(), NOW).await.unwrap();
    assert_eq!(list_stream_sessions(&bench.control, &channel.arn, &PageRequest::default()).await.unwrap().items, []);
    for (index, id) in ["st-c", "st-a", "st-b"].into_iter().enumerate() {
        let at = NOW.plus_ms(index as i64 * 1000);
        let event = |kind| SessionEvent { channel: channel.clone(), stream_id: id.into(), at, kind };
        journal.record(event(SessionEventKind::Created)).await.unwrap();
        journal.record(event(SessionEventKind::Ended)).await.unwrap();
    }
    delete_channel(&bench.control, &channel.arn).await.unwrap();
    let ids = |page: Page<headwater_model::ivs::StreamSession>| {
        page.items.into_iter().map(|session| session.stream_id).collect::<Vec<_>>()
    };
    let first = PageRequest { max_results: Some(2), next_token: None };
    let page = list_stream_sessions(&bench.control, &channel.arn, &first).await.unwrap();
    let rest = PageRequest { max_results: Some(2), next_token: page.next_token.clone() };
    assert_eq!(ids(page), ["st-b", "st-a"]);
    assert_eq!(ids(list_stream_sessions(&bench.control, &channel.arn, &rest).await.unwrap()), ["st-c"]);
    assert_eq!(stream_session(&bench.control, &channel.arn, None).await.unwrap().stream_id, "st-b");
    assert_eq!(stream_session(&bench.control, &channel.arn, Some("st-a")).await.unwrap().stream_id, "st-a");
    assert!(matches!(
        stream_session(&bench.control, &channel.arn, Some("st-x")).await,
        Err(Error::NotFound { kind: "stream session", .. })
    ));
}
