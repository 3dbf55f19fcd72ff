#![allow(clippy::unwrap_used, reason = "a failing step is a failing test")]

use super::*;
use headwater_model::event::{Target, TargetInput};
use headwater_store::SqliteStore;
use serde_json::json;

async fn store() -> SqliteStore {
    SqliteStore::in_memory().await.unwrap()
}

fn realm() -> Realm {
    Realm::default()
}

fn put(name: &str) -> PutRule {
    PutRule { name: name.into(), event_pattern: Some(r#"{"source": ["s"]}"#.into()), ..PutRule::default() }
}

fn target(id: &str) -> Target {
    Target::new(id, realm().function_arn(id))
}

fn ids(targets: &[Target]) -> Vec<&str> {
    targets.iter().map(|target| target.id.as_str()).collect()
}

#[tokio::test]
async fn a_rule_put_again_keeps_its_targets_and_tags_only() {
    let store = store().await;
    let tags: BTreeMap<String, String> = [("k".to_owned(), "v".to_owned())].into();
    let first = PutRule { description: "first".into(), tags: tags.clone(), ..put("r") };
    let rule = put_rule(&store, &realm(), first).await.unwrap();
    assert_eq!(rule.arn, "arn:aws:events:us-east-1:000000000000:rule/r");
    put_targets(&store, &realm(), "r", None, vec![target("t")], Managed::Refuse).await.unwrap();
    let second = PutRule {
        event_pattern: Some(r#"{"detail-type": ["t"]}"#.into()),
        state: RuleState::Disabled,
        tags: [("other".to_owned(), "x".to_owned())].into(),
        event_bus: Some(default_bus_arn(&realm())),
        ..put("r")
    };
    put_rule(&store, &realm(), second).await.unwrap();
    let rule = describe_rule(&store, &realm(), "r", Some("default")).await.unwrap();
    assert_eq!(rule.event_pattern, Some(json!({"detail-type": ["t"]})));
    assert_eq!((rule.state, rule.description.as_str()), (RuleState::Disabled, ""));
    assert_eq!(ids(&rule.targets), ["t"]);
    assert_eq!(rule.tags, tags);
}

#[tokio::test]
async fn what_is_no_rule_is_refused_with_the_member() {
    let store = store().await;
    let refused = async |put| put_rule(&store, &realm(), put).await.unwrap_err();
    let member = |error| match error {
        Error::Invalid { member, .. } => member,
        other => panic!("{other:?}"),
    };
    for name in ["", "a b", "ä", &"x".repeat(65)] {
        assert_eq!(member(refused(put(name)).await), "Name");
    }
    assert_eq!(member(refused(PutRule { event_pattern: None, ..put("r") }).await), "EventPattern");
    let schedule = PutRule { schedule_expression: Some("rate(1 minute)".into()), ..put("r") };
    assert_eq!(member(refused(schedule).await), "ScheduleExpression");
    assert_eq!(member(refused(PutRule { description: "x".repeat(513), ..put("r") }).await), "Description");
    let pattern = refused(PutRule { event_pattern: Some(r#"{"source": "s"}"#.into()), ..put("r") }).await;
    assert_eq!(pattern.to_string(), "event pattern is not valid: source: must be an object or an array of values");
    let bus = refused(PutRule { event_bus: Some("other".into()), ..put("r") }).await;
    assert!(matches!(bus, Error::BusMissing { name } if name == "other"));
    let missing = describe_rule(&store, &realm(), "r", None).await.unwrap_err();
    assert!(matches!(missing, Error::RuleMissing { name } if name == "r"));
}

#[tokio::test]
async fn a_rule_with_targets_is_not_deleted() {
    let store = store().await;
    put_rule(&store, &realm(), put("r")).await.unwrap();
    put_targets(&store, &realm(), "r", None, vec![target("t")], Managed::Refuse).await.unwrap();
    let refused = delete_rule(&store, &realm(), "r", None, Managed::Refuse).await.unwrap_err();
    assert!(matches!(refused, Error::HasTargets { name } if name == "r"));
    let ids = ["t".to_owned(), "u".to_owned()];
    let failed = remove_targets(&store, &realm(), "r", None, &ids, Managed::Refuse).await.unwrap();
    assert_eq!(failed.len(), 1);
    assert_eq!((failed[0].target_id.as_str(), failed[0].code), ("u", "ResourceNotFoundException"));
    delete_rule(&store, &realm(), "r", None, Managed::Refuse).await.unwrap();
    delete_rule(&store, &realm(), "r", None, Managed::Refuse).await.unwrap();
    assert!(describe_rule(&store, &realm(), "r", None).await.is_err());
}

#[tokio::test]
async fn a_managed_rule_obeys_its_owner_only() {
    let store = store().await;
    let owned = PutRule { managed_by: Some("stack".into()), ..put("r") };
    put_rule(&store, &realm(), owned.clone()).await.unwrap();
    put_rule(&store, &realm(), owned).await.unwrap();
    let refusals = [
        put_rule(&store, &realm(), put("r")).await.map(drop),
        put_targets(&store, &realm(), "r", None, vec![target("t")], Managed::Refuse).await,
        remove_targets(&store, &realm(), "r", None, &["t".to_owned()], Managed::Refuse).await.map(drop),
        set_state(&store, &realm(), "r", None, RuleState::Disabled, Managed::Refuse).await,
        delete_rule(&store, &realm(), "r", None, Managed::Refuse).await,
    ];
    for refusal in refusals {
        assert!(matches!(&refusal, Err(Error::Managed { managed_by, .. }) if managed_by == "stack"), "{refusal:?}");
    }
    put_targets(&store, &realm(), "r", None, vec![target("t")], Managed::Allow).await.unwrap();
    remove_targets(&store, &realm(), "r", None, &["t".to_owned()], Managed::Allow).await.unwrap();
    delete_rule(&store, &realm(), "r", None, Managed::Allow).await.unwrap();
}

#[tokio::test]
async fn targets_are_replaced_by_id_and_bounded() {
    let store = store().await;
    put_rule(&store, &realm(), put("r")).await.unwrap();
    let put = async |targets| put_targets(&store, &realm(), "r", None, targets, Managed::Refuse).await;
    put(["b", "a", "c", "d"].map(target).to_vec()).await.unwrap();
    put(vec![Target { delay_ms: 5, ..target("a") }, target("e")]).await.unwrap();
    assert!(matches!(put(vec![target("f")]).await, Err(Error::LimitExceeded { limit: 5, .. })));
    let page = |limit, token: Option<&str>| PageRequest { limit: Some(limit), next_token: token.map(str::to_owned) };
    let first = list_targets_by_rule(&store, &realm(), "r", None, &page(2, None)).await.unwrap();
    assert_eq!((ids(&first.items), first.items[0].delay_ms), (vec!["a", "b"], 5));
    let rest = page(4, first.next_token.as_deref());
    let rest = list_targets_by_rule(&store, &realm(), "r", None, &rest).await.unwrap();
    assert_eq!((ids(&rest.items), rest.next_token), (vec!["c", "d", "e"], None));
    assert!(list_targets_by_rule(&store, &realm(), "r", None, &page(101, None)).await.is_err());
}

#[tokio::test]
async fn what_is_no_target_is_refused() {
    let store = store().await;
    put_rule(&store, &realm(), put("r")).await.unwrap();
    let refused = async |target| {
        put_targets(&store, &realm(), "r", None, vec![target], Managed::Refuse).await.unwrap_err().to_string()
    };
    let told = [
        (target("a b"), "Target.Id"),
        (Target { arn: "f".into(), ..target("t") }, "Target.Arn"),
        (Target { arn: "arn:aws:lambda:us-east-1:0:".into(), ..target("t") }, "Target.Arn"),
        (Target { arn: "arn:aws:sqs:us-east-1:000000000000:queue".into(), ..target("t") }, "is no function"),
        (Target { retry_attempts_max: Some(186), ..target("t") }, "MaximumRetryAttempts"),
        (Target { event_age_s_max: Some(59), ..target("t") }, "MaximumEventAgeInSeconds"),
        (Target { input: TargetInput::Constant("{".into()), ..target("t") }, "input of target t"),
    ];
    for (target, part) in told {
        let text = refused(target).await;
        assert!(text.contains(part), "{text} tells of {part}");
    }
    let missing = put_targets(&store, &realm(), "none", None, vec![target("t")], Managed::Refuse).await;
    assert!(matches!(missing, Err(Error::RuleMissing { name }) if name == "none"));
    assert_eq!(describe_rule(&store, &realm(), "r", None).await.unwrap().targets, vec![]);
}

#[tokio::test]
async fn rules_are_listed_in_pages_by_name_and_by_target() {
    let store = store().await;
    for name in ["b", "a2", "a1", "c"] {
        put_rule(&store, &realm(), put(name)).await.unwrap();
    }
    for name in ["a1", "c"] {
        put_targets(&store, &realm(), name, None, vec![target("f")], Managed::Refuse).await.unwrap();
    }
    let request = PageRequest { limit: Some(3), next_token: None };
    let page = list_rules(&store, &realm(), None, None, &request).await.unwrap();
    let names = |page: &Page<Rule>| page.items.iter().map(|rule| rule.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&page), ["a1", "a2", "b"]);
    // What is deleted in between does not shift the next page.
    delete_rule(&store, &realm(), "b", None, Managed::Refuse).await.unwrap();
    let request = PageRequest { limit: Some(3), next_token: page.next_token };
    let page = list_rules(&store, &realm(), None, None, &request).await.unwrap();
    assert_eq!((names(&page), page.next_token), (vec!["c".to_owned()], None));
    let page = list_rules(&store, &realm(), Some("a"), None, &PageRequest::default()).await.unwrap();
    assert_eq!(names(&page), ["a1", "a2"]);
    let arn = realm().function_arn("f");
    let page = list_rule_names_by_target(&store, &realm(), &arn, None, &PageRequest::default()).await.unwrap();
    assert_eq!(page.items, ["a1", "c"]);
}

#[tokio::test]
async fn tags_come_and_go_by_arn() {
    let store = store().await;
    let arn = put_rule(&store, &realm(), put("r")).await.unwrap().arn;
    let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    tag(&store, &realm(), &arn, pairs(&[("a", "1"), ("b", "2")])).await.unwrap();
    tag(&store, &realm(), &arn, pairs(&[("a", "3")])).await.unwrap();
    untag(&store, &realm(), &arn, &["b".to_owned()]).await.unwrap();
    assert_eq!(tags(&store, &realm(), &arn).await.unwrap(), pairs(&[("a", "3")]));
    let missing = tags(&store, &realm(), "arn:aws:s3:::bucket").await;
    assert!(matches!(missing, Err(Error::ResourceMissing { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_changes_do_not_lose_one_another() {
    let store = store().await;
    put_rule(&store, &realm(), put("r")).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..5 {
        let targets_store = store.clone();
        tasks.spawn(async move {
            let store = targets_store;
            put_targets(&store, &realm(), "r", None, vec![target(&n.to_string())], Managed::Refuse).await.unwrap();
        });
        let store = store.clone();
        tasks.spawn(async move {
            let tags = [(n.to_string(), "x".to_owned())].into();
            tag(&store, &realm(), &realm().rule_arn("r"), tags).await.unwrap();
        });
    }
    tasks.join_all().await;
    let rule = describe_rule(&store, &realm(), "r", None).await.unwrap();
    assert_eq!((rule.targets.len(), rule.tags.len()), (5, 5));
}

#[test]
fn a_pattern_is_tried_on_a_whole_event() {
    let event = json!({"id": "1", "account": "0", "source": "s", "time": "t", "region": "r", "resources": [],
                       "detail-type": "d", "detail": {"x": 1}});
    let test = |pattern: &str, event: &Value| test_event_pattern(pattern, &event.to_string());
    assert!(test(r#"{"detail": {"x": [1]}}"#, &event).unwrap());
    assert!(!test(r#"{"detail": {"x": [2]}}"#, &event).unwrap());
    assert!(matches!(test("[]", &event), Err(Error::InvalidEventPattern(_))));
    for member in ["id", "account", "source", "time", "region", "resources", "detail-type"] {
        let mut lacking = event.clone();
        lacking.as_object_mut().unwrap().remove(member);
        assert!(
            matches!(test(r#"{"source": ["s"]}"#, &lacking), Err(Error::InvalidEvent(text)) if text.contains(member))
        );
    }
}
