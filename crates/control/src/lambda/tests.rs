//! Functions over a store in memory, with real processes.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::permissions::{add_permission, permits, policy, remove_permission};
use super::*;
use crate::iam::roles::{NewRole, create_role};
use crate::testing::{Bench, bench};
use headwater_model::function::Permission;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const NOW: Timestamp = Timestamp(1_795_498_182_000);
const SOURCE: &str = "import os\ndef handler(event, context): return [event, os.environ.get('WORD')]";

fn trust(service: &str) -> Value {
    json!({"Version": "2012-10-17",
           "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]})
}

async fn with_role() -> Bench {
    let bench = bench().await;
    for (name, service) in [("f", "lambda.amazonaws.com"), ("other", "ec2.amazonaws.com")] {
        let role = NewRole { name: name.into(), assume_role_policy: trust(service), ..NewRole::default() };
        create_role(&bench.control, role, NOW).await.unwrap();
    }
    bench
}

fn new(name: &str) -> NewFunction {
    NewFunction {
        name: name.into(),
        runtime: "python3.8".into(),
        handler: "index.handler".into(),
        role_arn: "arn:aws:iam::000000000000:role/f".into(),
        code: Code::Inline(SOURCE.into()),
        settings: Settings { timeout_s: Some(30), ..Settings::default() },
        tags: BTreeMap::new(),
    }
}

fn reason(result: Result<Function, Error>) -> String {
    result.unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_is_made_run_changed_and_deleted() {
    let bench = with_role().await;
    let control = &bench.control;
    let made = create_function(control, new("f"), NOW).await.unwrap();
    assert_eq!((made.memory_mb, made.arn.as_str()), (128, "arn:aws:lambda:us-east-1:000000000000:function:f"));
    assert!(matches!(
        create_function(control, new("f"), NOW).await,
        Err(Error::Control(crate::Error::Exists { kind: "function", .. }))
    ));
    let run = async |payload: &'static str| {
        let outcome = invoke(control, &made.arn, payload.into(), InvokeOptions::default()).await.unwrap();
        assert_eq!(outcome.function_error, None, "{}", outcome.log_tail);
        serde_json::from_slice::<Value>(&outcome.payload).unwrap()
    };
    assert_eq!(run("1").await, json!([1, null]));

    let settings =
        Settings { environment: Some([("WORD".to_string(), "w".to_string())].into()), ..Settings::default() };
    let wanted = Change { settings, ..Change::default() };
    let later = NOW.plus_ms(1000);
    let changed = update_configuration(control, "f", wanted.clone(), Some(&made.revision_id), later).await.unwrap();
    assert_ne!(changed.revision_id, made.revision_id);
    assert_eq!((changed.timeout_s, changed.last_modified), (30, later));
    assert_eq!(changed.log_stream, made.log_stream, "a custom resource's physical id hangs on it");
    assert_eq!(run("2").await, json!([2, "w"]));
    let stale = update_configuration(control, "f", wanted, Some(&made.revision_id), NOW).await;
    assert!(matches!(stale, Err(Error::RevisionChanged { .. })), "{stale:?}");

    let code = Code::Inline("def handler(event, context): return 'new'".into());
    let recoded = update_code(control, "f:$LATEST", code, None, NOW).await.unwrap();
    assert_ne!(recoded.code_sha256, made.code_sha256);
    assert_eq!(recoded.log_stream, made.log_stream);
    assert_eq!(run("3").await, json!("new"));

    delete_function(control, "f").await.unwrap();
    for result in [delete_function(control, "f").await, function(control, "f").await.map(drop)] {
        assert!(matches!(result, Err(Error::Control(crate::Error::NotFound { kind: "function", .. }))), "{result:?}");
    }
    let remade = create_function(control, new("f"), NOW).await.unwrap();
    assert_ne!(remade.log_stream, made.log_stream);
}

#[tokio::test]
async fn what_is_out_of_bounds_is_refused_with_the_reason() {
    let bench = with_role().await;
    let control = &bench.control;
    let refused = async |change: &dyn Fn(&mut NewFunction)| {
        let mut wanted = new("f");
        change(&mut wanted);
        reason(create_function(control, wanted, NOW).await)
    };
    assert_eq!(refused(&|f| f.settings.timeout_s = Some(901)).await, "Timeout 901 is not within 1 to 900");
    assert_eq!(refused(&|f| f.settings.memory_mb = Some(127)).await, "MemorySize 127 is not within 128 to 10240");
    assert!(refused(&|f| f.name = "a b".into()).await.starts_with("FunctionName \"a b\" must"));
    assert!(refused(&|f| f.handler = "a b".into()).await.starts_with("Handler must"));
    assert!(refused(&|f| f.runtime = "java21".into()).await.starts_with("runtime \"java21\" is not one of"));
    let environment = |name: &str, value: &str| Some(BTreeMap::from([(name.to_string(), value.to_string())]));
    let reserved = refused(&|f| f.settings.environment = environment("AWS_REGION", "hidden")).await;
    assert!(reserved.contains("reserved keys") && reserved.ends_with("AWS_REGION"), "{reserved}");
    for (name, value) in [("1A", "hidden"), ("A=", "hidden"), ("AB", "hidden\0"), ("AB", &"hidden".repeat(1000))] {
        let error = refused(&|f| f.settings.environment = environment(name, value)).await;
        assert!(error.contains("environment variable") && !error.contains("hidden"), "{error}");
    }
    for role in ["missing", "other", "../f"] {
        assert_eq!(
            refused(&|f| f.role_arn = format!("arn:aws:iam::000000000000:role/{role}")).await,
            "The role defined for the function cannot be assumed by Lambda."
        );
    }
    let object = Code::Object { bucket: "code".into(), key: "f.zip".into() };
    assert_eq!(refused(&|f| f.code = object.clone()).await, "there is no object code/f.zip");
    assert!(list_functions(control, None, 0).await.unwrap().is_empty());
}

#[tokio::test]
async fn permissions_make_a_policy_that_rules_are_judged_by() {
    let bench = with_role().await;
    let control = &bench.control;
    create_function(control, new("f"), NOW).await.unwrap();
    let rule = control.realm().rule_arn("state");
    let may = async || permits(control, "f", "events.amazonaws.com", &rule).await.unwrap();
    assert!(!may().await);
    let permission = Permission {
        statement_id: "events".into(),
        action: "lambda:InvokeFunction".into(),
        principal: "events.amazonaws.com".into(),
        source_arn: Some(rule.clone()),
        source_account: Some("000000000000".into()),
    };
    let statement = add_permission(control, "f", permission.clone(), None).await.unwrap();
    assert_eq!(
        statement,
        json!({
            "Sid": "events",
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "lambda:InvokeFunction",
            "Resource": "arn:aws:lambda:us-east-1:000000000000:function:f",
            "Condition": {"StringEquals": {"AWS:SourceAccount": "000000000000"}, "ArnLike": {"AWS:SourceArn": rule}},
        })
    );
    assert!(may().await);
    let function = function(control, "f").await.unwrap();
    assert_eq!(policy(&function).unwrap()["Statement"], json!([statement]));
    let again = add_permission(control, "f", permission.clone(), None).await;
    assert!(matches!(again, Err(Error::Control(crate::Error::Exists { kind: "statement", .. }))), "{again:?}");
    for wrong in [
        Permission { statement_id: "a b".into(), ..permission.clone() },
        Permission { action: "s3:GetObject".into(), ..permission.clone() },
        Permission { source_arn: Some("rule".into()), ..permission.clone() },
        Permission { source_account: Some("1".into()), ..permission.clone() },
    ] {
        let refused = add_permission(control, "f", wrong, None).await;
        assert!(matches!(refused, Err(Error::Control(crate::Error::Invalid { .. }))), "{refused:?}");
    }
    remove_permission(control, "f", "events", None).await.unwrap();
    assert!(!may().await);
    let gone = remove_permission(control, "f", "events", None).await;
    assert!(matches!(gone, Err(Error::Control(crate::Error::NotFound { kind: "statement", .. }))), "{gone:?}");
}

#[tokio::test]
async fn a_policy_does_not_grow_without_end() {
    let bench = with_role().await;
    let control = &bench.control;
    create_function(control, new("f"), NOW).await.unwrap();
    let add = async |n: usize| {
        let permission = Permission {
            statement_id: format!("s{n}"),
            action: "lambda:InvokeFunction".into(),
            principal: "events.amazonaws.com".into(),
            source_arn: Some(control.realm().rule_arn(&"r".repeat(500))),
            source_account: None,
        };
        add_permission(control, "f", permission, None).await
    };
    let mut added = 0;
    let refusal = loop {
        match add(added).await {
            Ok(_) => added += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refusal, Error::PolicyTooLong { .. }), "{refusal}");
    assert_eq!(function(control, "f").await.unwrap().permissions.len(), added);
}

#[tokio::test]
async fn tags_and_tries_are_changed_within_their_bounds() {
    let bench = with_role().await;
    let control = &bench.control;
    create_function(control, new("f"), NOW).await.unwrap();
    let tags = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    change_tags(control, "f", tags(&[("a", "1"), ("b", "2")]), &[]).await.unwrap();
    let changed = change_tags(control, "f", tags(&[("b", "3")]), &["a".into()]).await.unwrap();
    assert_eq!(changed.tags, tags(&[("b", "3")]));
    assert!(change_tags(control, "f", tags(&[("", "x")]), &[]).await.is_err());

    let set = set_event_invoke_config(control, "f", Some(0), Some(60)).await.unwrap();
    assert_eq!((set.retry_attempts_max, set.event_age_s_max), (Some(0), Some(60)));
    assert!(set_event_invoke_config(control, "f", Some(3), None).await.is_err());
    assert!(set_event_invoke_config(control, "f", None, Some(59)).await.is_err());
    assert!(set_event_invoke_config(control, "missing", None, None).await.is_err());
}

#[tokio::test]
async fn functions_are_listed_in_pages() {
    let bench = with_role().await;
    let control = &bench.control;
    for name in ["b", "c", "a"] {
        create_function(control, new(name), NOW).await.unwrap();
    }
    let names = async |after: Option<&str>, limit| {
        let page = list_functions(control, after.map(str::to_owned), limit).await.unwrap();
        page.into_iter().map(|function| function.name).collect::<Vec<_>>()
    };
    assert_eq!(names(None, 2).await, ["a", "b"]);
    assert_eq!(names(Some("b"), 2).await, ["c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_may_come_from_a_bucket() {
    let bench = with_role().await;
    let control = &bench.control;
    // A zip archive with `index.py`, stored without compression.
    let blob = headwater_store::Blobs::name();
    control.blobs().put(&blob, stored_zip("index.py", SOURCE.as_bytes()).into()).await.unwrap();
    let object = Object {
        bucket: "code".into(),
        key: "f.zip".into(),
        blob,
        size: 1,
        etag: String::new(),
        content_type: "application/zip".into(),
        headers: BTreeMap::new(),
        metadata: BTreeMap::new(),
        last_modified: NOW,
    };
    let mut batch = Batch::new();
    batch.insert(&object).unwrap();
    control.store().commit(batch).await.unwrap();
    let code = Code::Object { bucket: "code".into(), key: "f.zip".into() };
    create_function(control, NewFunction { code, ..new("f") }, NOW).await.unwrap();
    let outcome = invoke(control, "f", "{}".into(), InvokeOptions::default()).await.unwrap();
    assert_eq!(&outcome.payload[..], b"[{}, null]");
    let id = invoke_async(control, "f", "{}".into(), InvokeOptions::default()).await.unwrap();
    let jobs = control.store().due_jobs(headwater_functions::QUEUE, Timestamp(i64::MAX), 9).await.unwrap();
    assert_eq!((jobs.len(), jobs[0].body["request_id"].as_str()), (1, Some(id.as_str())));
}

/// The least zip archive: one stored entry. APPNOTE.TXT sections 4.3.7, 4.3.12, 4.3.16.
fn stored_zip(name: &str, content: &[u8]) -> Vec<u8> {
    let crc = content.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    });
    let length = u32::try_from(content.len()).unwrap().to_le_bytes();
    let name_length = u16::try_from(name.len()).unwrap().to_le_bytes();
    let common =
        [&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &(!crc).to_le_bytes(), &length, &length, &name_length, &[0, 0]].concat();
    let local = [b"PK\x03\x04", &common[..], name.as_bytes(), content].concat();
    let central = [b"PK\x01\x02\x14\x00", &common[..], &[0; 14], name.as_bytes()].concat();
    let size = u32::try_from(central.len()).unwrap().to_le_bytes();
    let offset = u32::try_from(local.len()).unwrap().to_le_bytes();
    let end = [b"PK\x05\x06\0\0\0\0\x01\0\x01\0", &size[..], &offset, &[0, 0]].concat();
    [local, central, end].concat()
}
