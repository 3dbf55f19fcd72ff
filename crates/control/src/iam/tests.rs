//! Roles, users and what they may do, over a store in memory.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::managed::{create_policy, delete_policy};
use super::roles::{
    NewRole, assume_role, attach_role_policy, create_role, delete_role, delete_role_policy, detach_role_policy,
    put_role_policy,
};
use super::users::{create_access_key, create_user, delete_access_key, delete_user};
use super::*;
use crate::testing::bench;
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

#[tokio::test]
async fn a_role_may_do_what_its_policies_say_while_they_say_it() {
    let control = bench().await.control;
    create_role(&control, new_role("f", json!({"Service": "lambda.amazonaws.com"})), NOW).await.unwrap();
    let principal = Principal::Role { role: "f".into(), session: "s".into() };
    let channel = "arn:aws:ivs:us-east-1:000000000000:channel/a";
    let may = async |action: &str| is_allowed(&control, &principal, action, channel, NOW).await.unwrap();
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
    assert!(is_allowed(&control, &Principal::Root, "ivs:DeleteChannel", channel, NOW).await.unwrap());
    assert!(!is_allowed(&control, &Principal::Anonymous, "ivs:GetChannel", channel, NOW).await.unwrap());
}

#[tokio::test]
async fn a_role_is_taken_by_whom_it_trusts() {
    let control = bench().await.control;
    create_role(&control, new_role("f", json!({"Service": "lambda.amazonaws.com"})), NOW).await.unwrap();
    create_role(&control, new_role("g", json!({"AWS": "000000000000"})), NOW).await.unwrap();
    let f = control.realm().role_arn("f");
    let g = control.realm().role_arn("g");
    let lambda = Principal::Service("lambda.amazonaws.com".into());
    let (_, key) = assume_role(&control, &lambda, &f, "session", 900, NOW).await.unwrap();
    assert_eq!(key.principal, Principal::Role { role: "f".into(), session: "session".into() });
    assert_eq!(key.expires_at, Some(NOW.plus_ms(900_000)));
    assert!(key.access_key_id.starts_with("ASIA") && key.session_token.is_some());
    let user = Principal::User { user: "u".into() };
    let refused = assume_role(&control, &user, &f, "session", 900, NOW).await;
    assert!(matches!(refused, Err(Error::Denied { .. })), "{refused:?}");
    assume_role(&control, &user, &g, "session", 900, NOW).await.unwrap();
    let unknown = assume_role(&control, &lambda, &control.realm().role_arn("x"), "session", 900, NOW).await;
    assert!(matches!(unknown, Err(Error::Denied { .. })));
    let long = assume_role(&control, &lambda, &f, "session", 43_201, NOW).await;
    assert!(matches!(long, Err(Error::Invalid { .. })));
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
    let principal = Principal::Role { role: "f".into(), session: "s".into() };
    assert!(is_allowed(&control, &principal, "s3:GetObject", "arn:aws:s3:::b/k", NOW).await.unwrap());
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
    assert_eq!(control.credentials().access_key(&root.access_key_id).await.unwrap(), Some(root.clone()));
    assert!(!format!("{root:?}").contains(root.secret_access_key.expose()));
}
