//! Deliveries to functions and cues, and why some are never taken.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::ivs::channels::{Settings, create_channel};
use crate::testing::bench;
use headwater_model::function::{Function, Permission};
use headwater_store::Batch;
use serde_json::json;

const NOW: Timestamp = Timestamp(1_795_498_182_000);
const RULE: &str = "arn:aws:events:us-east-1:000000000000:rule/r";

fn delivery(target_arn: &str, payload: Value) -> Delivery {
    serde_json::from_value(json!({
        "event_id": "e",
        "rule_name": "r",
        "rule_arn": RULE,
        "target_id": "t",
        "target_arn": target_arn,
        "payload": payload,
        "not_before": NOW,
        "retry_attempts_max": 3,
        "event_age_s_max": 60,
    }))
    .unwrap()
}

fn code(result: Result<(), DeliveryError>) -> &'static str {
    match result.unwrap_err() {
        DeliveryError::Retry { code, .. } => code,
        DeliveryError::Permanent { code, .. } => code,
        other => panic!("{other}"),
    }
}

fn is_retried(result: &Result<(), DeliveryError>) -> bool {
    matches!(result, Err(DeliveryError::Retry { .. }))
}

#[tokio::test]
async fn a_function_gets_the_event_if_it_lets_the_rule() {
    let control = bench().await.control;
    let delivering = Delivering::new(control.clone());
    let arn = control.realm().function_arn("f");
    let missing = delivering.deliver(delivery(&arn, json!({}))).await;
    assert!(!is_retried(&missing));
    assert_eq!(code(missing), "RESOURCE_NOT_FOUND");
    let mut function: Function = serde_json::from_value(json!({
        "name": "f",
        "arn": arn,
        "runtime": "python3.8",
        "handler": "index.handler",
        "role_arn": control.realm().role_arn("f"),
        "timeout_s": 3,
        "memory_mb": 128,
        "code_sha256": "",
        "code_bytes": 0,
        "revision_id": "1",
        "last_modified": NOW,
    }))
    .unwrap();
    let put = async |function: &Function| {
        let mut batch = Batch::new();
        batch.put(function).unwrap();
        control.store().commit(batch).await.unwrap();
    };
    put(&function).await;
    let refused = delivering.deliver(delivery(&arn, json!({}))).await;
    assert!(!is_retried(&refused));
    assert_eq!(code(refused), "NO_PERMISSIONS");
    function.permissions = vec![Permission {
        statement_id: "s".into(),
        action: "lambda:InvokeFunction".into(),
        principal: EVENTS_SERVICE.into(),
        source_arn: Some(RULE.into()),
        source_account: None,
    }];
    put(&function).await;
    delivering.deliver(delivery(&arn, json!({"n": 1}))).await.unwrap();
    let due = Timestamp::now().plus_ms(1_000);
    let jobs = control.store().due_jobs(headwater_functions::QUEUE, due, 10).await.unwrap();
    assert_eq!(jobs.len(), 1);
    assert_eq!((&jobs[0].body["function"], &jobs[0].body["payload"]), (&json!("f"), &json!(r#"{"n":1}"#)));
}

#[tokio::test]
async fn a_question_reaches_the_stream_and_waits_a_while_for_it() {
    let bench = bench().await;
    let control = &bench.control;
    let (channel, _) = create_channel(control, &Settings::default(), Default::default(), NOW).await.unwrap();
    let delivering = Delivering::new(control.clone());
    let target = cue_target_arn(control.realm(), &channel.id);
    let question = json!({"question": "Which?", "answers": ["a", "b"], "poll_id": "1"});
    let offline = delivering.deliver(delivery(&target, question.clone())).await;
    assert!(is_retried(&offline), "{offline:?}");
    bench.broadcasts.go_live(&channel);
    delivering.deliver(delivery(&target, question.clone())).await.unwrap();
    delivering.deliver(delivery(&target, json!("as it is"))).await.unwrap();
    let cues = bench.broadcasts.cues.lock().unwrap().clone();
    assert_eq!(cues, [(channel.id.clone(), question.to_string()), (channel.id.clone(), "as it is".into())]);
    assert_eq!(control.interact().results(Some(&channel.arn)).await.unwrap().len(), 1);
    let long = delivering.deliver(delivery(&target, json!("x".repeat(2_000)))).await;
    assert!(!is_retried(&long));
    assert_eq!(code(long), "INVALID_PAYLOAD");
}

#[tokio::test]
async fn what_nobody_knows_is_given_up_at_once() {
    let control = bench().await.control;
    let delivering = Delivering::new(control.clone());
    for arn in [
        cue_target_arn(control.realm(), "none"),
        "arn:aws:sqs:us-east-1:000000000000:queue".into(),
        "arn:aws:lambda:eu-west-1:000000000000:function:f".into(),
        String::new(),
    ] {
        let result = delivering.deliver(delivery(&arn, json!({}))).await;
        assert!(!is_retried(&result), "{arn}");
        assert_eq!(code(result), "RESOURCE_NOT_FOUND", "{arn}");
    }
}
