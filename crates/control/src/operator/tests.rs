//! Pages that are waited for, over a store in memory.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::testing::bench;
use headwater_model::Timestamp;
use headwater_store::{Batch, LogLine};
use serde_json::json;

const NOW: Timestamp = Timestamp(1_795_498_182_000);

#[tokio::test]
async fn a_waiting_reader_gets_the_event_that_comes() {
    let control = bench().await.control;
    assert_eq!(events(&control, 0, 10, Duration::ZERO).await.unwrap(), EventPage { events: vec![], last: 0 });
    let reader = tokio::spawn({
        let control = control.clone();
        async move { events(&control, 0, 10, WAIT_MAX).await.unwrap() }
    });
    let mut batch = Batch::new();
    batch.event(headwater_bus::event("aws.ivs", "d", vec![], json!({"a": 1}), NOW));
    control.store().commit(batch).await.unwrap();
    let page = reader.await.unwrap();
    assert_eq!((page.last, page.events[0].seq), (1, 1));
    assert_eq!(page.events[0].event["detail"], json!({"a": 1}));
}

#[tokio::test]
async fn the_log_of_a_function_is_read_and_that_of_none_is_not_found() {
    let control = bench().await.control;
    let missing = logs(&control, "f", 0, 10, Duration::ZERO).await;
    assert!(matches!(missing, Err(Error::Control(crate::Error::NotFound { kind: "function", .. }))));
    let mut batch = Batch::new();
    let line =
        |message: &str| LogLine { group: "/aws/lambda/f".into(), stream: "s".into(), at: NOW, message: message.into() };
    batch.log(line("one")).log(line("two"));
    control.store().commit(batch).await.unwrap();
    let page = logs(&control, "f", 0, 1, Duration::ZERO).await.unwrap();
    assert_eq!(page.lines[0].message, "one");
    let page = logs(&control, "f", page.lines[0].seq, 10, Duration::ZERO).await.unwrap();
    assert_eq!(page.lines.iter().map(|line| line.message.as_str()).collect::<Vec<_>>(), ["two"]);
}

#[tokio::test]
async fn a_template_with_mistakes_changes_nothing_and_tells_them() {
    let control = bench().await.control;
    control.engine().register(headwater_stacks::Registry::new());
    let template = r#"{"Resources": {"X": {"Type": "AWS::No::Thing"}}}"#;
    let error = deploy(&control, "s", template, &Default::default()).await.unwrap_err();
    assert_eq!(error.problems().len(), 1, "{error}");
    assert!(error.problems()[0].contains("AWS::No::Thing"), "{error}");
    assert_eq!(stacks(&control).await.unwrap(), []);
    assert!(matches!(delete(&control, "s").await, Err(Error::Stacks(headwater_stacks::Error::NoStack(_)))));
}
