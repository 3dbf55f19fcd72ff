//! Roles, users and what they may do, over a store in memory.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::managed::{create_policy, delete_policy};
use super::roles::{
    Assume, NewRole, assume_role, attach_role_policy, create_role, delete_role, delete_role_policy, detach_role_policy,
    put_role_policy,
};
use super::users::{create_access_key, create_user, delete_access_key, delete_user};
use super::*;
use crate::testing::bench;
use headwater_model::iam::KeyStatus;
use serde_json::json;

const NOW: Timestamp = Timestamp(1_795_498_182_000);

fn trust(principal: Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]})
}

fn allow(action: &str, resource: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]})
}

fn new_role(name: &str, trusted: Value) -> NewRole {
    NewRole { name: name.into(), assume_role_policy: trust(trusted), ..NewRole::default() }
}

/// Somebody with a long-lived key and no session.
fn caller(principal: Principal) -> KnownKey {
    AccessKey::new("AKIATEST", headwater_model::Secret::new("s"), principal, NOW).into()
}

fn ask(role_arn: &str, duration_s: u32) -> Assume {
    Assume {
        role_arn: role_arn.into(),
        session_name: "session".into(),
        duration_s: Some(duration_s),
        ..Assume::default()
    }
}

async fn is_allowed(control: &Control, key: &KnownKey, action: &str, resource: &str) -> bool {
    decide(control, key, action, resource, &Facts::default(), NOW).await.unwrap().is_allowed()
}

#[tokio::test]
async fn a_role_may_do_what_its_policies_say_while_they_say_it() {
    let control = bench().await.control;
    create_role(&control, new_role("f", json!({"Service": "lambda.amazonaws.com"})), NOW).await.unwrap();
    let principal = caller(Principal::Role { role: "f".into(), session: "s".into() });
    let channel = "arn:aws:ivs:us-east-1:000000000000:channel/a";
    let may = async |action: &str| is_allowed(&control, &principal, action, channel).await;
    assert!(!may("ivs:PutMetadata").await);
    put_role_policy(&control, "f", "p", &allow("ivs:PutMetadata", channel)).await.unwrap();
    assert!(may("ivs:PutMetadata").await);
    assert!(!may("ivs:DeleteChannel").await);
    attach_role_policy(&control, "f", "arn:aws:iam::aws:policy/IVSFullAccess").await.unwrap();
    assert!(may("ivs:DeleteChannel").await);
    let conflict = delete_role(&control, "f").await;
    assert!(matches!(conflict, Err(Error::Conflict { .. })));
    detach_role_policy(&control, "f", "arn:aws:iam::aws:policy/IVSFullAccess").await.unwrap();
    delete_role_policy(&control, "f", "p").await.unwrap();
    assert!(!may("ivs:PutMetadata").await);
    delete_role(&control, "f").await.unwrap();
    assert!(!may("ivs:PutMetadata").await);
    assert!(is_allowed(&control, &caller(Principal::Root), "ivs:DeleteChannel", channel).await);
    assert!(!is_allowed(&control, &caller(Principal::Anonymous), "ivs:GetChannel", channel).await);
}

#[tokio::test]
async fn a_role_is_taken_by_whom_it_trusts() {
    let control = bench().await.control;
    create_role(&control, new_role("f", json!({"Service": "lambda.amazonaws.com"})), NOW).await.unwrap();
    create_role(&control, new_role("g", json!({"AWS": "000000000000"})), NOW).await.unwrap();
    let f = control.realm().role_arn("f");
    let g = control.realm().role_arn("g");
    let lambda = caller(Principal::Service("lambda.amazonaws.com".into()));
    let take = async |who: &KnownKey, ask| assume_role(&control, who, ask, &Facts::default(), NOW).await;
    let (_, key) = take(&lambda, ask(&f, 900)).await.unwrap();
    assert_eq!(key.principal, Principal::Role { role: "f".into(), session: "session".into() });
    assert_eq!(key.expires_at, Some(NOW.plus_ms(900_000)));
    assert!(key.access_key_id.starts_with("ASIA") && key.session_token.is_some());
    let user = caller(Principal::User { user: "u".into() });
    create_user(&control, "u", None, NOW).await.unwrap();
    let refused = take(&user, ask(&f, 900)).await;
    assert!(matches!(refused, Err(Error::Denied { .. })), "{refused:?}");
    let refused = take(&user, ask(&g, 900)).await;
    assert!(matches!(refused, Err(Error::Denied { .. })), "trusted as one of the account, without leave of its own");
    super::users::put_user_policy(&control, "u", "p", &allow("sts:AssumeRole", &g)).await.unwrap();
    take(&user, ask(&g, 900)).await.unwrap();
    let unknown = take(&lambda, ask(&control.realm().role_arn("x"), 900)).await;
    assert!(matches!(unknown, Err(Error::Denied { .. })));
    for duration_s in [899, 3_601, 43_201] {
        let wrong = take(&lambda, ask(&f, duration_s)).await;
        assert!(matches!(wrong, Err(Error::Invalid { .. })), "{duration_s}");
    }
    super::roles::update_role(&control, "f", None, Some(43_200)).await.unwrap();
    take(&lambda, ask(&f, 43_200)).await.unwrap();
    assert_eq!(control.credentials().remove_expired(NOW).await.unwrap(), 0);
    assert_eq!(control.credentials().remove_expired(NOW.plus_ms(900_000)).await.unwrap(), 2);
    assert_eq!(control.credentials().access_key(&key.access_key_id).await.unwrap(), None);
}

#[tokio::test]
async fn a_user_has_two_keys_at_most_and_goes_without_any() {
    let control = bench().await.control;
    create_user(&control, "u", None, NOW).await.unwrap();
    assert!(matches!(create_user(&control, "u", None, NOW).await, Err(Error::Exists { .. })));
    let first = create_access_key(&control, "u").await.unwrap();
    let second = create_access_key(&control, "u").await.unwrap();
    assert!(matches!(create_access_key(&control, "u").await, Err(Error::QuotaExceeded { .. })));
    assert!(matches!(delete_user(&control, "u").await, Err(Error::Conflict { .. })));
    for key in [first, second] {
        delete_access_key(&control, "u", &key.access_key_id).await.unwrap();
        assert_eq!(control.credentials().access_key(&key.access_key_id).await.unwrap(), None);
    }
    delete_user(&control, "u").await.unwrap();
}

#[tokio::test]
async fn an_attached_policy_is_not_deleted() {
    let control = bench().await.control;
    create_role(&control, new_role("f", json!("*")), NOW).await.unwrap();
    let document = allow("s3:GetObject", "*");
    let policy = create_policy(&control, "p", None, "", &document, NOW).await.unwrap();
    attach_role_policy(&control, "f", &policy.arn).await.unwrap();
    let principal = caller(Principal::Role { role: "f".into(), session: "s".into() });
    assert!(is_allowed(&control, &principal, "s3:GetObject", "arn:aws:s3:::b/k").await);
    assert!(matches!(delete_policy(&control, &policy.arn).await, Err(Error::Conflict { .. })));
    detach_role_policy(&control, "f", &policy.arn).await.unwrap();
    delete_policy(&control, &policy.arn).await.unwrap();
    let missing = attach_role_policy(&control, "f", &policy.arn).await;
    assert!(matches!(missing, Err(Error::NotFound { kind: "policy", .. })));
}

#[tokio::test]
async fn documents_that_are_no_policies_are_refused() {
    let control = bench().await.control;
    let malformed = NewRole { name: "r".into(), assume_role_policy: json!({"Statement": 1}), ..NewRole::default() };
    assert!(matches!(create_role(&control, malformed, NOW).await, Err(Error::Malformed { .. })));
    create_role(&control, new_role("r", json!("*")), NOW).await.unwrap();
    for document in [json!({}), json!([]), json!("x"), trust(json!("*"))] {
        let result = put_role_policy(&control, "r", "p", &document).await;
        assert!(matches!(result, Err(Error::Malformed { .. })), "{document}: {result:?}");
    }
    let long = allow("ivs:*", &"x".repeat(INLINE_POLICIES_LENGTH_MAX));
    assert!(put_role_policy(&control, "r", "p", &long).await.is_err());
    assert!(matches!(create_role(&control, new_role("a/b", json!("*")), NOW).await, Err(Error::Invalid { .. })));
}

#[tokio::test]
async fn the_owners_key_is_made_once() {
    let control = bench().await.control;
    let (a, b) = tokio::join!(control.credentials().root(), control.credentials().root());
    assert_eq!(a.unwrap(), b.unwrap());
    let root = control.credentials().root().await.unwrap();
    let known = control.credentials().access_key(&root.access_key_id).await.unwrap().unwrap();
    assert_eq!((&known.key, &known.narrowing), (&root, &None));
    assert!(!format!("{root:?}").contains(root.secret_access_key.expose()));
}

#[tokio::test]
async fn trust_may_ask_for_an_external_id_a_name_and_an_address() {
    let control = bench().await.control;
    let user = caller(Principal::User { user: "ann".into() });
    let name = "arn:aws:iam::000000000000:user/ann";
    let mut new = new_role("f", json!({"AWS": name}));
    new.assume_role_policy["Statement"][0]["Condition"] = json!({
        "StringEquals": {"sts:ExternalId": "partner", "sts:RoleSessionName": "${aws:username}"},
        "IpAddress": {"aws:SourceIp": "10.0.0.0/8"},
    });
    create_role(&control, new, NOW).await.unwrap();
    let arn = control.realm().role_arn("f");
    let facts = |address: &str| Facts { source_ip: address.parse().ok(), ..Facts::default() };
    let right = Assume { session_name: "ann".into(), external_id: Some("partner".into()), ..ask(&arn, 900) };
    let take = async |ask: Assume, address| assume_role(&control, &user, ask, &facts(address), NOW).await;
    for (wrong, address) in [
        (right.clone(), "11.0.0.1"),
        (Assume { external_id: None, ..right.clone() }, "10.0.0.1"),
        (Assume { external_id: Some("other".into()), ..right.clone() }, "10.0.0.1"),
        (right.clone(), "nowhere"),
        (Assume { session_name: "bob".into(), ..right.clone() }, "10.0.0.1"),
    ] {
        let refused = take(wrong, address).await;
        assert!(matches!(refused, Err(Error::Denied { .. })), "{address}: {refused:?}");
    }
    take(right, "10.0.0.1").await.unwrap();
}

#[tokio::test]
async fn a_user_that_trust_names_needs_no_further_leave_unless_it_is_denied() {
    let control = bench().await.control;
    create_user(&control, "ann", None, NOW).await.unwrap();
    let ann = caller(Principal::User { user: "ann".into() });
    create_role(&control, new_role("f", json!({"AWS": "arn:aws:iam::000000000000:user/ann"})), NOW).await.unwrap();
    let arn = control.realm().role_arn("f");
    let take = async |who: &KnownKey, ask| assume_role(&control, who, ask, &Facts::default(), NOW).await;
    take(&ann, ask(&arn, 900)).await.unwrap();
    let tagged = Assume { tags: BTreeMap::from([("team".into(), "a".into())]), ..ask(&arn, 900) };
    let refused = take(&ann, tagged).await;
    assert!(matches!(refused, Err(Error::Denied { action, .. }) if action == "sts:TagSession"));
    let deny = json!({"Statement": {"Effect": "Deny", "Action": "sts:*", "Resource": "*"}});
    super::users::put_user_policy(&control, "ann", "p", &deny).await.unwrap();
    assert!(matches!(take(&ann, ask(&arn, 900)).await, Err(Error::Denied { .. })));
    // The owner is let in by its name only, too.
    assert!(matches!(take(&caller(Principal::Root), ask(&arn, 900)).await, Err(Error::Denied { .. })));
}

#[tokio::test]
async fn a_session_may_do_what_its_role_and_its_own_policies_allow() {
    let control = bench().await.control;
    create_role(&control, new_role("f", json!("*")), NOW).await.unwrap();
    attach_role_policy(&control, "f", "arn:aws:iam::aws:policy/IVSFullAccess").await.unwrap();
    let arn = control.realm().role_arn("f");
    let user = caller(Principal::User { user: "u".into() });
    let narrow = Assume {
        policy: Some(json!({"Statement": [
            {"Effect": "Allow", "Action": ["ivs:Get*", "s3:*"], "Resource": "*"},
            {"Effect": "Deny", "Action": "ivs:GetStreamKey", "Resource": "*"},
        ]})),
        policy_arns: vec!["arn:aws:iam::aws:policy/IVSReadOnlyAccess".into()],
        source_identity: None,
        ..ask(&arn, 900)
    };
    let (_, key) = assume_role(&control, &user, narrow, &Facts::default(), NOW).await.unwrap();
    let known = control.credentials().access_key(&key.access_key_id).await.unwrap().unwrap();
    for (action, may) in [
        ("ivs:GetChannel", true),
        ("ivs:ListChannels", true),
        ("ivs:DeleteChannel", false),
        ("ivs:GetStreamKey", false),
        ("s3:GetObject", false),
    ] {
        assert_eq!(is_allowed(&control, &known, action, "*").await, may, "{action}");
    }
    let unknown = Assume { policy_arns: vec!["arn:aws:iam::000000000000:policy/none".into()], ..ask(&arn, 900) };
    let refused = assume_role(&control, &user, unknown, &Facts::default(), NOW).await;
    assert!(matches!(refused, Err(Error::NotFound { .. })));
    // A session that takes a role on lives an hour at most.
    super::roles::update_role(&control, "f", None, Some(43_200)).await.unwrap();
    let chained = assume_role(&control, &known, ask(&arn, 7_200), &Facts::default(), NOW).await;
    assert!(matches!(chained, Err(Error::Denied { .. })), "its session policies do not allow it");
}

#[tokio::test]
async fn what_is_changed_holds_from_the_next_request_on() {
    let control = bench().await.control;
    create_user(&control, "u", None, NOW).await.unwrap();
    let key = create_access_key(&control, "u").await.unwrap();
    let known = async || control.credentials().access_key(&key.access_key_id).await.unwrap();
    let may = async || is_allowed(&control, &known().await.unwrap(), "ivs:GetChannel", "*").await;
    for _ in 0..3 {
        assert!(!may().await);
        super::users::put_user_policy(&control, "u", "p", &allow("ivs:*", "*")).await.unwrap();
        assert!(may().await && may().await);
        super::users::delete_user_policy(&control, "u", "p").await.unwrap();
    }
    super::users::set_access_key_status(&control, "u", &key.access_key_id, KeyStatus::Inactive).await.unwrap();
    assert_eq!(known().await, None);
    super::users::set_access_key_status(&control, "u", &key.access_key_id, KeyStatus::Active).await.unwrap();
    assert!(known().await.is_some());
    delete_access_key(&control, "u", &key.access_key_id).await.unwrap();
    assert_eq!(known().await, None);
    let root = control.credentials().root().await.unwrap();
    let others = super::users::set_access_key_status(&control, "u", &root.access_key_id, KeyStatus::Inactive).await;
    assert!(matches!(others, Err(Error::NotFound { .. })), "the owner's key is not a user's");
}
