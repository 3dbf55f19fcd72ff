//! Policies as examples and as properties.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::Timestamp;
use proptest::prelude::*;
use serde_json::json;

const ACCOUNT: &str = "000000000000";

fn function() -> iam::Principal {
    iam::Principal::Role { role: "IVSRole".into(), session: "asker".into() }
}

fn ask(policies: &[Policy], principal: &iam::Principal, action: &str, resource: &str, context: &Context) -> Decision {
    evaluate(policies, &Request { principal, account: ACCOUNT, action, resource, context })
}

fn identity(statement: Value) -> Policy {
    Policy::parse(&json!({"Version": "2012-10-17", "Statement": statement})).unwrap()
}

fn conditioned(effect: &str, condition: Value) -> Policy {
    identity(json!({"Effect": effect, "Action": "s3:*", "Resource": "*", "Condition": condition}))
}

fn holds(condition: Value, context: &Context) -> bool {
    ask(&[conditioned("Allow", condition)], &function(), "s3:GetObject", "arn:aws:s3:::b/k", context).is_allowed()
}

#[test]
fn actions_ignore_case_and_resources_do_not() {
    let policy = [identity(json!({
        "Effect": "Allow", "Action": ["ivs:Put*"], "Resource": "arn:aws:ivs:*:*:channel/AbC?"
    }))];
    let none = Context::new();
    let channel = "arn:aws:ivs:us-east-1:000000000000:channel/AbCd";
    assert_eq!(ask(&policy, &function(), "IVS:putmetadata", channel, &none), Decision::Allowed);
    assert_eq!(ask(&policy, &function(), "ivs:GetStream", channel, &none), Decision::NotAllowed);
    assert_eq!(ask(&policy, &function(), "ivs:PutMetadata", &channel.to_lowercase(), &none), Decision::NotAllowed);
}

#[test]
fn a_deny_wins_over_every_allow_even_for_root() {
    let policies = [
        identity(json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}])),
        identity(json!({"Effect": "Deny", "NotAction": "s3:Get*", "NotResource": "arn:aws:s3:::mine/*"})),
    ];
    let none = Context::new();
    let other = "arn:aws:s3:::other/k";
    for principal in [function(), iam::Principal::Root] {
        assert_eq!(ask(&policies, &principal, "s3:PutObject", other, &none), Decision::ExplicitlyDenied);
        assert_eq!(ask(&policies, &principal, "s3:GetObject", other, &none), Decision::Allowed);
        assert_eq!(ask(&policies, &principal, "s3:PutObject", "arn:aws:s3:::mine/k", &none), Decision::Allowed);
    }
    assert_eq!(ask(&[], &iam::Principal::Root, "s3:PutObject", other, &none), Decision::Allowed);
    assert_eq!(ask(&[], &function(), "s3:PutObject", other, &none), Decision::NotAllowed);
}

#[test]
fn a_public_bucket_policy_lets_anonymous_read_and_nothing_else() {
    let policy = [Policy::parse_resource_policy(&json!({"Statement": [{
        "Sid": "PublicReadForGetBucketObjects", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::site/*"
    }]}))
    .unwrap()];
    let none = Context::new();
    let nobody = iam::Principal::Anonymous;
    assert_eq!(ask(&policy, &nobody, "s3:GetObject", "arn:aws:s3:::site/a/b.js", &none), Decision::Allowed);
    assert_eq!(ask(&policy, &nobody, "s3:PutObject", "arn:aws:s3:::site/a/b.js", &none), Decision::NotAllowed);
    assert_eq!(ask(&policy, &nobody, "s3:GetObject", "arn:aws:s3:::sites/a", &none), Decision::NotAllowed);
}

#[test]
fn principals_are_accounts_roles_sessions_and_services() {
    let allow = |principal: Value| {
        [Policy::parse_resource_policy(&json!({"Statement": {
            "Effect": "Allow", "Principal": principal, "Action": "lambda:InvokeFunction",
            "Resource": "arn:aws:lambda:*:*:function:f"
        }}))
        .unwrap()]
    };
    let may = |principal: Value, who: &iam::Principal| {
        let resource = "arn:aws:lambda:us-east-1:000000000000:function:f";
        ask(&allow(principal), who, "lambda:InvokeFunction", resource, &Context::new()).is_allowed()
    };
    let events = iam::Principal::Service("events.amazonaws.com".into());
    assert!(may(json!({"Service": "events.amazonaws.com"}), &events));
    assert!(!may(json!({"Service": ["s3.amazonaws.com"]}), &events));
    assert!(!may(json!({"AWS": ACCOUNT}), &events));
    for principal in [
        "000000000000",
        "arn:aws:iam::000000000000:root",
        "arn:aws:iam::000000000000:role/IVSRole",
        "arn:aws:iam::000000000000:role/service/IVSRole",
        "arn:aws:sts::000000000000:assumed-role/IVSRole/asker",
    ] {
        assert!(may(json!({"AWS": [principal]}), &function()), "{principal}");
        assert!(!may(json!({"AWS": principal}), &iam::Principal::Anonymous), "{principal}");
    }
    for principal in
        ["111111111111", "arn:aws:iam::000000000000:role/IVSRole2", "arn:aws:iam::111111111111:role/IVSRole"]
    {
        assert!(!may(json!({"AWS": principal}), &function()), "{principal}");
    }
}

#[test]
fn conditions_compare_as_their_operators_say() {
    let context = Context::new()
        .with("aws:SourceIp", "10.1.2.3")
        .with("aws:SecureTransport", "true")
        .with("s3:prefix", "home/anna")
        .with("s3:max-keys", "10")
        .with("aws:SourceArn", "arn:aws:events:us-east-1:000000000000:rule/r")
        .at(Timestamp(1_795_498_182_123));
    for condition in [
        json!({"StringEquals": {"S3:Prefix": ["x", "home/anna"]}}),
        json!({"StringNotEquals": {"s3:prefix": ["x", "y"]}}),
        json!({"StringLike": {"s3:prefix": "home/*"}}),
        json!({"StringNotLike": {"s3:prefix": "root/*"}}),
        json!({"StringNotEquals": {"s3:absent": "x"}}),
        json!({"StringEqualsIfExists": {"s3:absent": "x"}}),
        json!({"ForAllValues:StringEquals": {"s3:prefix": ["home/anna", "b"]}}),
        json!({"ForAnyValue:StringLike": {"s3:prefix": ["*anna", "b"]}}),
        json!({"ArnLike": {"aws:SourceArn": "arn:aws:events:*:*:rule/*"}}),
        json!({"Bool": {"aws:SecureTransport": true}}),
        json!({"IpAddress": {"aws:SourceIp": ["192.168.0.0/16", "10.0.0.0/8"]}}),
        json!({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}),
        json!({"NotIpAddress": {"aws:SourceIp": "10.1.2.4/32"}}),
        json!({"NumericLessThanEquals": {"s3:max-keys": 10}}),
        json!({"NumericGreaterThan": {"s3:max-keys": "9"}}),
        json!({"DateLessThan": {"aws:CurrentTime": "2027-01-01T00:00:00Z"}}),
        json!({"DateGreaterThan": {"aws:EpochTime": "2026-11-24"}}),
        json!({"Null": {"s3:absent": "true", "s3:prefix": "false"}}),
        json!({"StringEquals": {"s3:prefix": "home/anna"}, "NumericEquals": {"s3:max-keys": 10}}),
    ] {
        assert!(holds(condition.clone(), &context), "{condition}");
    }
    for condition in [
        json!({"StringEquals": {"s3:prefix": "home/*"}}),
        json!({"StringEquals": {"s3:absent": "x"}}),
        json!({"ForAnyValue:StringNotEquals": {"s3:absent": "x"}}),
        json!({"StringNotEquals": {"s3:prefix": ["x", "home/anna"]}}),
        json!({"ArnLike": {"aws:SourceArn": "arn:aws:*:rule/*"}}),
        json!({"Bool": {"aws:SecureTransport": "false"}}),
        json!({"IpAddress": {"aws:SourceIp": "10.1.2.0/25", "aws:Other": "10.0.0.0/8"}}),
        json!({"IpAddress": {"aws:SourceIp": "::/0"}}),
        json!({"NumericLessThan": {"s3:max-keys": 10}}),
        json!({"NumericLessThan": {"s3:prefix": 10}}),
        json!({"DateGreaterThan": {"aws:CurrentTime": "2027-01-01T00:00:00Z"}}),
        json!({"Null": {"s3:prefix": true}}),
        json!({"StringEquals": {"s3:prefix": "home/anna"}, "NumericEquals": {"s3:max-keys": 11}}),
    ] {
        assert!(!holds(condition.clone(), &context), "{condition}");
    }
}

#[test]
fn what_is_not_understood_never_grants() {
    let context = Context::new().with("s3:prefix", "home/*");
    for condition in [
        json!({"StringSounds": {"s3:prefix": "home/*"}}),
        json!({"Some:StringEquals": {"s3:prefix": "home/*"}}),
        json!({"NumericEquals": {"s3:prefix": "not a number"}}),
        json!({"NotIpAddress": {"s3:prefix": "10.0.0.0/8"}}),
        json!({"StringEquals": {"s3:prefix": "${aws:absent}"}}),
    ] {
        assert!(!holds(condition.clone(), &context), "{condition}");
        let deny =
            [identity(json!({"Effect": "Allow", "Action": "*", "Resource": "*"})), conditioned("Deny", condition)];
        let decision = ask(&deny, &function(), "s3:GetObject", "arn:aws:s3:::b/k", &context);
        assert_eq!(decision, Decision::ExplicitlyDenied);
    }
}

#[test]
fn variables_are_filled_in_literally() {
    let policy = [identity(json!({
        "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/${aws:username}/*"
    }))];
    let may = |name: &str, key: &str| {
        let context = Context::new().with("aws:username", name);
        ask(&policy, &function(), "s3:GetObject", &format!("arn:aws:s3:::b/{key}"), &context).is_allowed()
    };
    assert!(may("anna", "anna/x"));
    assert!(!may("anna", "bert/x"));
    assert!(!may("*", "bert/x"));
    assert!(may("*", "*/x"));
    assert!(holds(json!({"StringEquals": {"s:k": "a*${s:v}"}}), &Context::new().with("s:k", "a*?").with("s:v", "?")));
    assert!(!holds(json!({"StringEquals": {"s:k": "a*${s:v}"}}), &Context::new().with("s:k", "abb").with("s:v", "b")));
}

#[test]
fn malformed_documents_are_refused_with_their_path() {
    let at = |statement: Value| Policy::parse(&json!({"Statement": statement})).unwrap_err().path;
    let good = json!({"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"});
    let with = |name: &str, value: Value| {
        let mut statement = good.clone();
        statement[name] = value;
        statement
    };
    assert_eq!(Policy::parse(&json!([])).unwrap_err().path, "$");
    assert_eq!(Policy::parse(&json!({})).unwrap_err().path, "Statement");
    assert_eq!(Policy::parse(&json!({"Version": "2020", "Statement": []})).unwrap_err().path, "Version");
    assert_eq!(Policy::parse(&json!({"Statements": []})).unwrap_err().path, "Statements");
    assert_eq!(at(json!([good, 7])), "Statement[1]");
    assert_eq!(at(with("Effect", json!("allow"))), "Statement.Effect");
    assert_eq!(at(with("Action", json!("GetObject"))), "Statement.Action");
    assert_eq!(at(with("Action", json!([]))), "Statement.Action");
    assert_eq!(at(json!([with("Action", json!(["s3:*", 3]))])), "Statement[0].Action[1]");
    assert_eq!(at(with("NotAction", json!("s3:*"))), "Statement.NotAction");
    assert_eq!(at(with("Resource", json!("bucket"))), "Statement.Resource");
    assert_eq!(at(with("Resources", json!("*"))), "Statement.Resources");
    assert_eq!(at(with("Principal", json!("*"))), "Statement.Principal");
    assert_eq!(at(with("Condition", json!({"Bool": 1}))), "Statement.Condition.Bool");
    assert_eq!(at(with("Condition", json!({"Bool": {"k": {}}}))), "Statement.Condition.Bool.k");
    let resource = |principal: Value| {
        Policy::parse_resource_policy(&json!({"Statement": with("Principal", principal)})).unwrap_err().path
    };
    assert_eq!(resource(json!("anna")), "Statement.Principal");
    assert_eq!(resource(json!({"AWS": "arn:aws:iam::*:root"})), "Statement.Principal.AWS");
    assert_eq!(resource(json!({"Service": "*"})), "Statement.Principal.Service");
    assert!(Policy::parse_resource_policy(&json!({"Statement": good})).is_err());
    assert!(
        Policy::parse_trust_policy(&json!({"Statement": {
            "Effect": "Allow", "Principal": {"Service": ["lambda.amazonaws.com"]}, "Action": "sts:AssumeRole"
        }}))
        .is_ok()
    );
}

#[test]
fn many_stars_cost_no_more_than_the_product_of_lengths() {
    // An exponential matcher would not come back from this.
    let pattern = Pattern::new(&"*a".repeat(2_000));
    let text = format!("{}b", "a".repeat(4_000));
    assert!(!pattern.matches(&text));
}

/// The obvious matcher, as the oracle.
fn oracle(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('*', rest)) => (0..=text.len()).any(|skip| oracle(rest, &text[skip..])),
        Some(('?', rest)) => !text.is_empty() && oracle(rest, &text[1..]),
        Some((c, rest)) => text.first() == Some(c) && oracle(rest, &text[1..]),
    }
}

fn any_statement() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec!["*", "s3:*", "s3:GetObject", "s3:Put*", "ivs:PutMetadata"]);
    let resource = prop::sample::select(vec!["*", "arn:aws:s3:::b/*", "arn:aws:s3:::b/k", "arn:aws:ivs:*"]);
    let effect = prop::sample::select(vec!["Allow", "Deny"]);
    let condition = prop::sample::select(vec![
        json!({}),
        json!({"Bool": {"aws:SecureTransport": "true"}}),
        json!({"Odd": {"aws:SecureTransport": "true"}}),
        json!({"StringLike": {"s3:prefix": "${aws:absent}*"}}),
    ]);
    (effect, word, resource, condition, any::<bool>()).prop_map(|(effect, word, resource, condition, not)| {
        let action = if not { "NotAction" } else { "Action" };
        json!({"Effect": effect, action: word, "Resource": resource, "Condition": condition})
    })
}

proptest! {
    #[test]
    fn wildcards_agree_with_the_obvious_matcher(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
        let (chars, letters): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
        prop_assert_eq!(Pattern::new(&pattern).matches(&text), oracle(&chars, &letters));
    }

    #[test]
    fn no_text_panics_as_pattern_or_document(text in any::<String>(), other in any::<String>()) {
        let _ = Pattern::new(&text).matches(&other);
        let _ = Policy::parse(&json!({"Statement": [{"Effect": "Allow", "Action": text, "Resource": other}]}));
        let condition = json!({"IpAddress": {"k": text.clone()}, "DateLessThan": {"k": text.clone()}, "NumericEquals": {"k": text}});
        let _ = holds(condition, &Context::new().with("k", other));
    }

    #[test]
    fn one_more_deny_never_widens(
        statements in prop::collection::vec(any_statement(), 0..5),
        mut extra in any_statement(),
        action in prop::sample::select(vec!["s3:GetObject", "s3:PutObject", "ivs:PutMetadata"]),
        resource in prop::sample::select(vec!["arn:aws:s3:::b/k", "arn:aws:s3:::c/k", "arn:aws:ivs:r:a:channel/x"]),
        secure in any::<bool>(),
    ) {
        extra["Effect"] = json!("Deny");
        let context = Context::new().with("aws:SecureTransport", secure.to_string());
        let before: Vec<Policy> = statements.iter().cloned().map(identity).collect();
        let mut after = before.clone();
        after.push(identity(extra));
        let without = ask(&before, &function(), action, resource, &context);
        let with = ask(&after, &function(), action, resource, &context);
        prop_assert!(!with.is_allowed() || without.is_allowed());
        // Neither does the order matter.
        after.reverse();
        prop_assert_eq!(with, ask(&after, &function(), action, resource, &context));
        // Nor is anything allowed to somebody whom no statement allows it.
        let denies: Vec<Policy> = before.iter().filter(|p| p.statements.iter().all(|s| s.effect == Effect::Deny)).cloned().collect();
        prop_assert!(!ask(&denies, &function(), action, resource, &context).is_allowed());
    }
}

#[test]
fn a_session_policy_narrows_and_never_grants() {
    let own = [identity(json!({"Effect": "Allow", "Action": "ivs:*", "Resource": "*"}))];
    let session = [identity(json!([
        {"Effect": "Allow", "Action": ["ivs:Get*", "s3:*"], "Resource": "*"},
        {"Effect": "Deny", "Action": "ivs:GetStreamKey", "Resource": "*"},
    ]))];
    let context = Context::new();
    for principal in [function(), iam::Principal::Root] {
        let ask = |action, session: Option<&[Policy]>| {
            let request = Request { principal: &principal, account: ACCOUNT, action, resource: "*", context: &context };
            evaluate_session(&own, session, &request)
        };
        assert_eq!(ask("ivs:GetChannel", Some(&session)), Decision::Allowed);
        assert_eq!(ask("ivs:DeleteChannel", Some(&session)), Decision::NotAllowed);
        assert_eq!(ask("ivs:DeleteChannel", None), Decision::Allowed);
        assert_eq!(ask("ivs:GetStreamKey", Some(&session)), Decision::ExplicitlyDenied);
        assert_eq!(ask("ivs:GetChannel", Some(&[])), Decision::NotAllowed);
    }
    let request =
        Request { principal: &function(), account: ACCOUNT, action: "s3:GetObject", resource: "*", context: &context };
    assert_eq!(evaluate_session(&own, Some(&session), &request), Decision::NotAllowed);
}

#[test]
fn a_trust_policy_names_somebody_or_only_the_account() {
    let context = Context::new();
    let named = |principal: Value, who: &iam::Principal| {
        let document = json!({"Statement": {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}});
        let trust = Policy::parse_trust_policy(&document).unwrap();
        let request =
            Request { principal: who, account: ACCOUNT, action: "sts:AssumeRole", resource: "r", context: &context };
        (evaluate([&trust], &request).is_allowed(), trust.grants_by_name(&request))
    };
    let user = iam::Principal::User { user: "ann".into() };
    assert_eq!(named(json!({"AWS": ACCOUNT}), &user), (true, false));
    assert_eq!(named(json!({"AWS": "arn:aws:iam::000000000000:user/ann"}), &user), (true, true));
    assert_eq!(named(json!("*"), &user), (true, true));
    assert_eq!(named(json!({"AWS": ACCOUNT}), &iam::Principal::Root), (true, true));
    assert_eq!(named(json!({"AWS": "arn:aws:iam::000000000000:user/bob"}), &user), (false, false));
}

#[test]
fn a_variable_may_have_a_default() {
    let policy = [identity(json!({
        "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/${aws:username, 'guest'}/*"
    }))];
    let may = |context: &Context, key: &str| {
        ask(&policy, &function(), "s3:GetObject", &format!("arn:aws:s3:::b/{key}"), context).is_allowed()
    };
    assert!(may(&Context::new(), "guest/x"));
    assert!(may(&Context::new().with("aws:username", "anna"), "anna/x"));
    assert!(!may(&Context::new().with("aws:username", "anna"), "guest/x"));
}

#[test]
fn a_tag_of_the_resource_that_nobody_looked_up_never_grants() {
    let context = Context::new();
    for condition in [
        json!({"StringEquals": {"aws:ResourceTag/team": "a"}}),
        json!({"StringNotEquals": {"AWS:resourcetag/team": "a"}}),
        json!({"Null": {"aws:ResourceTag/team": "true"}}),
    ] {
        assert!(!holds(condition.clone(), &context), "{condition}");
        let deny =
            [identity(json!({"Effect": "Allow", "Action": "*", "Resource": "*"})), conditioned("Deny", condition)];
        let decision = ask(&deny, &function(), "s3:GetObject", "arn:aws:s3:::b/k", &context);
        assert_eq!(decision, Decision::ExplicitlyDenied);
    }
}

proptest! {
    #[test]
    fn one_more_allow_never_narrows_and_order_does_not_matter(
        statements in prop::collection::vec(any_statement(), 0..6),
        mut extra in any_statement(),
        turn in 0_usize..6,
        action in prop::sample::select(vec!["s3:GetObject", "s3:PutObject", "ivs:PutMetadata"]),
        resource in prop::sample::select(vec!["arn:aws:s3:::b/k", "arn:aws:s3:::c/k", "arn:aws:ivs:r:a:channel/x"]),
        secure in any::<bool>(),
    ) {
        extra["Effect"] = json!("Allow");
        let context = Context::new().with("aws:SecureTransport", secure.to_string());
        let before: Vec<Policy> = statements.iter().cloned().map(identity).collect();
        let mut after = before.clone();
        after.push(identity(extra));
        let (without, with) =
            (ask(&before, &function(), action, resource, &context), ask(&after, &function(), action, resource, &context));
        prop_assert!(with.is_allowed() || !without.is_allowed());
        // A deny stands whatever is added.
        prop_assert_eq!(with == Decision::ExplicitlyDenied, without == Decision::ExplicitlyDenied);
        let turn = turn % after.len();
        after.rotate_left(turn);
        prop_assert_eq!(with, ask(&after, &function(), action, resource, &context));
        // One document with all statements says what the documents say.
        let one = identity(Value::Array(statements));
        prop_assert_eq!(without, ask(&[one], &function(), action, resource, &context));
        // As a session's policies they narrow at most.
        let request = Request { principal: &function(), account: ACCOUNT, action, resource, context: &context };
        let narrowed = evaluate_session(&after, Some(&before), &request);
        prop_assert!(!narrowed.is_allowed() || (with.is_allowed() && without.is_allowed()));
    }

    #[test]
    fn wildcards_keep_their_laws(p in "[ab*?]{0,6}", q in "[ab*?]{0,6}", s in "[ab]{0,6}", t in "[ab]{0,6}") {
        let fits = |pattern: &str, text: &str| Pattern::new(pattern).matches(text);
        prop_assert!(fits("*", &s));
        prop_assert!(fits(&s, &s));
        prop_assert_eq!(fits(&s, &t), s == t);
        prop_assert_eq!(fits(&format!("{s}*"), &t), t.starts_with(&s));
        prop_assert_eq!(fits(&format!("*{s}"), &t), t.ends_with(&s));
        prop_assert_eq!(fits(&format!("*{s}*"), &t), t.contains(&s));
        prop_assert_eq!(fits(&"?".repeat(s.len()), &t), s.len() == t.len());
        // What fits in two halves fits as a whole; two stars say what one says; a star takes the place of anything.
        let (pattern, text) = (format!("{p}{q}"), format!("{s}{t}"));
        prop_assert!(!(fits(&p, &s) && fits(&q, &t)) || fits(&pattern, &text));
        prop_assert_eq!(fits(&p.replace('*', "**"), &s), fits(&p, &s));
        let starred = format!("{p}*{q}");
        prop_assert!(!fits(&pattern, &s) || fits(&starred, &s));
    }
}
