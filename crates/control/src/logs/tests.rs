#![allow(clippy::unwrap_used, reason = "a failing step is a failing test")]

use super::*;
use crate::testing::{Bench, bench};

const NOW: Timestamp = Timestamp(1_795_498_182_000);
const GROUP: &str = "/aws/lambda/f";

/// Lines as functions write them, without making a group.
async fn print(bench: &Bench, stream: &str, lines: &[(i64, &str)]) {
    let mut batch = Batch::new();
    for (after_ms, message) in lines {
        let at = NOW.plus_ms(*after_ms);
        batch.log(LogLine { group: GROUP.into(), stream: stream.into(), at, message: (*message).into() });
    }
    bench.control.store().commit(batch).await.unwrap();
}

fn filter() -> FilterEvents {
    FilterEvents {
        group: GROUP.into(),
        streams: Vec::new(),
        stream_prefix: None,
        from: None,
        to: None,
        pattern: FilterPattern::default(),
        after: 0,
        limit: EVENTS_MAX,
    }
}

fn get() -> GetEvents {
    GetEvents { group: GROUP.into(), stream: "s".into(), from: None, to: None, direction: None, limit: 2 }
}

fn messages(lines: &[NumberedLine]) -> Vec<&str> {
    lines.iter().map(|(_, line)| line.message.as_str()).collect()
}

#[tokio::test]
async fn a_group_that_a_function_wrote_to_exists_without_being_made() {
    let bench = bench().await;
    assert!(matches!(group(&bench.control, GROUP).await, Err(Error::NotFound { kind: "log group", .. })));
    print(&bench, "b", &[(5, "two")]).await;
    print(&bench, "a", &[(1, "one")]).await;
    let found = group(&bench.control, GROUP).await.unwrap();
    assert_eq!((found.created_at, found.retention_days), (NOW.plus_ms(1), None));
    assert_eq!(groups(&bench.control, "/aws/").await.unwrap(), [found]);
    let streams = streams(&bench.control, GROUP, "").await.unwrap();
    assert_eq!(streams.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(streams[1].lines, Some((NOW.plus_ms(5), NOW.plus_ms(5))));
    let made = create_group(&bench.control, GROUP, BTreeMap::new(), NOW).await;
    assert!(matches!(made, Err(Error::Exists { kind: "log group", .. })));
}

#[tokio::test]
async fn a_deleted_group_leaves_nothing() {
    let bench = bench().await;
    create_group(&bench.control, GROUP, BTreeMap::new(), NOW).await.unwrap();
    assert!(matches!(create_group(&bench.control, GROUP, BTreeMap::new(), NOW).await, Err(Error::Exists { .. })));
    create_stream(&bench.control, GROUP, "s", NOW).await.unwrap();
    assert!(matches!(create_stream(&bench.control, GROUP, "s", NOW).await, Err(Error::Exists { .. })));
    put_events(&bench.control, GROUP, "s", vec![(NOW, "x".into())], NOW).await.unwrap();
    delete_group(&bench.control, GROUP).await.unwrap();
    assert!(matches!(delete_group(&bench.control, GROUP).await, Err(Error::NotFound { .. })));
    create_group(&bench.control, GROUP, BTreeMap::new(), NOW).await.unwrap();
    assert_eq!(streams(&bench.control, GROUP, "").await.unwrap(), []);
}

#[tokio::test]
async fn names_are_checked() {
    let bench = bench().await;
    for name in ["", "a b", "a:b", &"x".repeat(513)] {
        let refused = create_group(&bench.control, name, BTreeMap::new(), NOW).await;
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{name}");
    }
    create_group(&bench.control, GROUP, BTreeMap::new(), NOW).await.unwrap();
    for name in ["", "a:b", "a*"] {
        let refused = create_stream(&bench.control, GROUP, name, NOW).await;
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{name}");
    }
    let missing = create_stream(&bench.control, "none", "s", NOW).await;
    assert!(matches!(missing, Err(Error::NotFound { kind: "log group", .. })));
}

#[tokio::test]
async fn events_that_are_too_old_or_too_new_are_told() {
    let bench = bench().await;
    create_group(&bench.control, GROUP, BTreeMap::new(), NOW).await.unwrap();
    create_stream(&bench.control, GROUP, "s", NOW).await.unwrap();
    let put = async |events: &[(i64, &str)]| {
        let events = events.iter().map(|(ms, text)| (NOW.plus_ms(*ms), (*text).into())).collect();
        put_events(&bench.control, GROUP, "s", events, NOW).await
    };
    assert_eq!(put(&[(0, "kept")]).await.unwrap(), Rejected::default());
    let new = put(&[(0, "kept too"), (TOO_NEW_MS + 1, "too new")]).await.unwrap();
    assert_eq!(new, Rejected { too_new_from: Some(1), ..Rejected::default() });
    let old = put(&[(-TOO_OLD_MS - 1, "too old"), (-TOO_OLD_MS, "old")]).await.unwrap();
    assert_eq!(old, Rejected { too_old_before: Some(1), ..Rejected::default() });
    set_retention(&bench.control, GROUP, Some(3)).await.unwrap();
    let expired = put(&[(-4 * DAY_MS, "expired"), (-3 * DAY_MS, "in time")]).await.unwrap();
    assert_eq!(expired, Rejected { expired_before: Some(1), ..Rejected::default() });
    set_retention(&bench.control, GROUP, None).await.unwrap();
    let page = filter_events(&bench.control, &filter(), NOW).await.unwrap();
    assert_eq!(messages(&page.lines), ["kept", "kept too", "old", "in time"]);

    let refused = [
        put(&[]).await,
        put(&[(1, "b"), (0, "a")]).await,
        put(&[(0, "")]).await,
        put(&[(-PUT_SPAN_MS_MAX - 1, "a"), (0, "b")]).await,
        put(&[(0, &"x".repeat(LogLine::MESSAGE_BYTES_MAX + 1))]).await,
        put(&[(0, "x".repeat(200_000).as_str()); 6]).await,
    ];
    for refusal in refused {
        assert!(matches!(refusal, Err(Error::Invalid { .. })), "{refusal:?}");
    }
    let missing = put_events(&bench.control, GROUP, "none", vec![(NOW, "x".into())], NOW).await;
    assert!(matches!(missing, Err(Error::NotFound { kind: "log stream", .. })));
}

#[tokio::test]
async fn retention_hides_what_is_older() {
    let bench = bench().await;
    print(&bench, "s", &[(-2 * DAY_MS, "old"), (0, "new")]).await;
    assert!(matches!(set_retention(&bench.control, GROUP, Some(2)).await, Err(Error::Invalid { .. })));
    set_retention(&bench.control, GROUP, Some(1)).await.unwrap();
    assert_eq!(group(&bench.control, GROUP).await.unwrap().retention_days, Some(1));
    assert_eq!(messages(&filter_events(&bench.control, &filter(), NOW).await.unwrap().lines), ["new"]);
    assert_eq!(messages(&get_events(&bench.control, &get(), NOW).await.unwrap().lines), ["new"]);
}

#[tokio::test]
async fn a_stream_is_read_forward_and_backward() {
    let bench = bench().await;
    print(&bench, "s", &[(1, "1"), (2, "2"), (3, "3")]).await;
    print(&bench, "other", &[(3, "x")]).await;
    print(&bench, "s", &[(4, "4"), (5, "5")]).await;
    let read = async |direction| {
        let get = GetEvents { direction, ..get() };
        get_events(&bench.control, &get, NOW).await.unwrap()
    };
    let newest = read(None).await;
    assert_eq!(messages(&newest.lines), ["4", "5"]);
    let before = read(Some(Direction::Backward(newest.backward))).await;
    assert_eq!(messages(&before.lines), ["2", "3"]);
    let after = read(Some(Direction::Forward(before.forward))).await;
    assert_eq!(after, newest);
    // At the end the token stays, until there is more.
    let end = read(Some(Direction::Forward(newest.forward))).await;
    assert_eq!((messages(&end.lines), end.forward), (vec![], newest.forward));
    assert_eq!(messages(&read(Some(Direction::Backward(end.backward))).await.lines), ["4", "5"]);
    print(&bench, "s", &[(6, "6")]).await;
    assert_eq!(messages(&read(Some(Direction::Forward(end.forward))).await.lines), ["6"]);
    let head = read(Some(Direction::Backward(read(Some(Direction::Forward(0))).await.backward))).await;
    assert_eq!(messages(&head.lines), Vec::<&str>::new());
    assert_eq!(messages(&read(Some(Direction::Forward(head.forward))).await.lines), ["1", "2"]);

    let times = GetEvents { from: Some(NOW.plus_ms(2)), to: Some(NOW.plus_ms(4)), limit: 10, ..get() };
    assert_eq!(messages(&get_events(&bench.control, &times, NOW).await.unwrap().lines), ["2", "3"]);
    let missing = GetEvents { stream: "none".into(), ..get() };
    assert!(matches!(get_events(&bench.control, &missing, NOW).await, Err(Error::NotFound { kind: "log stream", .. })));
}

#[tokio::test]
async fn pages_of_a_filter_neither_repeat_nor_skip() {
    let bench = bench().await;
    let lines: Vec<String> = (0..4_500).map(|n| format!("{n} {}", if n % 3 == 0 { "fizz" } else { "-" })).collect();
    let lines: Vec<(i64, &str)> = lines.iter().map(|line| (0, line.as_str())).collect();
    print(&bench, "s", &lines).await;
    let pattern = FilterPattern::parse("fizz").unwrap();
    let mut seen: Vec<u64> = Vec::new();
    let mut after = 0;
    loop {
        let filter = FilterEvents { pattern: pattern.clone(), limit: 700, after, ..filter() };
        let page = filter_events(&bench.control, &filter, NOW).await.unwrap();
        seen.extend(page.lines.iter().map(|(_, line)| line.message.split(' ').next().unwrap().parse::<u64>().unwrap()));
        match page.next {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(seen, (0..4_500).step_by(3).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_filter_names_streams_times_and_texts() {
    let bench = bench().await;
    print(&bench, "2026/a", &[(1, "START"), (2, "ERROR x")]).await;
    print(&bench, "2025/b", &[(3, "ERROR y")]).await;
    let read = async |filter: FilterEvents| {
        let page = filter_events(&bench.control, &filter, NOW).await.unwrap();
        page.lines.into_iter().map(|(_, line)| line.message).collect::<Vec<_>>()
    };
    let pattern = FilterPattern::parse("ERROR").unwrap();
    assert_eq!(read(FilterEvents { pattern, ..filter() }).await, ["ERROR x", "ERROR y"]);
    assert_eq!(read(FilterEvents { streams: vec!["2025/b".into()], ..filter() }).await, ["ERROR y"]);
    assert_eq!(read(FilterEvents { stream_prefix: Some("2026".into()), ..filter() }).await, ["START", "ERROR x"]);
    let times = FilterEvents { from: Some(NOW.plus_ms(2)), to: Some(NOW.plus_ms(3)), ..filter() };
    assert_eq!(read(times).await, ["ERROR x"]);
    let missing = FilterEvents { streams: vec!["none".into()], ..filter() };
    assert!(matches!(filter_events(&bench.control, &missing, NOW).await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn a_page_has_at_most_a_megabyte_and_at_least_one_event() {
    let bench = bench().await;
    let long = "x".repeat(LogLine::MESSAGE_BYTES_MAX);
    print(&bench, "s", &[(0, long.as_str()); 9]).await;
    let first = filter_events(&bench.control, &filter(), NOW).await.unwrap();
    assert_eq!(first.lines.len(), 4);
    let rest = FilterEvents { after: first.next.unwrap(), ..filter() };
    assert_eq!(filter_events(&bench.control, &rest, NOW).await.unwrap().lines.len(), 4);
    let newest = get_events(&bench.control, &GetEvents { limit: 100, ..get() }, NOW).await.unwrap();
    assert_eq!(newest.lines.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [6, 7, 8, 9]);
}

#[tokio::test]
async fn tags_of_a_group_come_and_go() {
    let bench = bench().await;
    let arn = bench.control.realm().log_group_arn(GROUP);
    assert_eq!(group_name(&bench.control, &arn), GROUP);
    assert_eq!(group_name(&bench.control, &format!("{arn}:*")), GROUP);
    let tags = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    };
    assert!(matches!(tag_group(&bench.control, GROUP, tags(&[("a", "1")])).await, Err(Error::NotFound { .. })));
    print(&bench, "s", &[(0, "x")]).await;
    tag_group(&bench.control, GROUP, tags(&[("a", "1"), ("b", "2")])).await.unwrap();
    untag_group(&bench.control, GROUP, &["a".into()]).await.unwrap();
    assert_eq!(group(&bench.control, GROUP).await.unwrap().tags, tags(&[("b", "2")]));
}
