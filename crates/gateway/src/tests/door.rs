//! Who gets in: signatures, caps, CORS, protocols' shapes of refusals, the native API.

use super::*;
use headwater_model::Secret;

#[tokio::test]
async fn every_refusal_has_its_protocols_shape() {
    let server = server().await;
    let mut wrong = server.root.clone();
    wrong.secret_access_key = Secret::new("wrong");
    let mut unknown = server.root.clone();
    unknown.access_key_id = "AKIAUNKNOWN".into();
    let rest = server.ivs_as(&wrong, "ListChannels", json!({})).await;
    assert_eq!((rest.error_type(), rest.status.as_u16()), ("InvalidSignatureException", 403));
    let rest = server.ivs_as(&unknown, "ListChannels", json!({})).await;
    assert_eq!((rest.error_type(), rest.status.as_u16()), ("UnrecognizedClientException", 403));
    let query = server.query(&wrong, "sts", &[("Action", "GetCallerIdentity")]).await;
    assert_eq!((query.element("Code"), query.status.as_u16()), ("SignatureDoesNotMatch", 403));
    let query = server.query(&unknown, "iam", &[("Action", "ListRoles")]).await;
    assert_eq!((query.element("Code"), query.status.as_u16()), ("InvalidClientTokenId", 403));
    let target = [("x-amz-target", "AWSEvents.ListRules"), ("content-type", "application/x-amz-json-1.1")];
    let json11 = server.send(server.signed(&wrong, "events", "POST", "/", &target, "{}")).await;
    assert_eq!(json11.status.as_u16(), 400);
    assert_eq!(json11.json()["__type"], "InvalidSignatureException");
    let target = [("x-amz-target", "AWSEvents.NoSuchThing"), ("content-type", "application/x-amz-json-1.1")];
    let json11 = server.send(server.signed(&server.root, "events", "POST", "/", &target, "{}")).await;
    assert_eq!(json11.json()["__type"], "UnknownOperationException");
    let elsewhere = server.send(server.signed(&server.root, "sqs", "POST", "/", &[], "")).await;
    assert_eq!((elsewhere.status.as_u16(), elsewhere.element("Code")), (404, "UnknownService"));
    let json = [("content-type", "application/x-amz-json-1.0")];
    let elsewhere = server.send(server.signed(&server.root, "sqs", "POST", "/", &json, "{}")).await;
    assert_eq!((elsewhere.status.as_u16(), elsewhere.error_type()), (404, "UnknownService"));
}

#[tokio::test]
async fn who_signs_nothing_gets_nothing() {
    let server = server().await;
    let mut request = server.signed(&server.root, "headwater", "POST", "/_headwater/v1/stacks", &[], "{}");
    request.headers_mut().remove("authorization");
    let native = server.send(request).await;
    assert_eq!(native.status, StatusCode::FORBIDDEN);
    assert_eq!(native.json()["error"]["code"], "MissingAuthenticationTokenException");
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let mut request = server.signed(&server.root, "sts", "POST", "/", &headers, "Action=GetCallerIdentity");
    request.headers_mut().remove("authorization");
    let query = server.send(request).await;
    assert_eq!((query.element("Code"), query.status.as_u16()), ("MissingAuthenticationToken", 403));
}

#[tokio::test]
async fn a_call_that_is_not_signed_is_told_so_in_its_protocol() {
    let server = server().await;
    for (path, target) in [
        ("/ListChannels", None),
        ("/2015-03-31/functions", None),
        ("/", Some("AWSEvents.ListRules")),
        ("/", Some("Logs_20140328.DescribeLogGroups")),
    ] {
        let mut request = Request::post(path).header("content-type", "application/json");
        if let Some(target) = target {
            request = request.header("x-amz-target", target);
        }
        let answer = server.send(request.body(Body::from("{}")).unwrap()).await;
        assert_eq!(answer.error_type(), "MissingAuthenticationTokenException", "{path} {target:?}: {answer:?}");
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn nobody_answers_for_a_custom_resource_without_its_token() {
    let server = server().await;
    for token in ["", "x", "a.b", "..", "%2e"] {
        let path = format!("/_headwater/cloudformation/response/{token}");
        let request = Request::put(&path).body(Body::from(r#"{"Status":"SUCCESS"}"#)).unwrap();
        assert_eq!(server.send(request).await.status, StatusCode::NOT_FOUND, "{token}");
        let request = Request::get(&path).body(Body::empty()).unwrap();
        assert_eq!(server.send(request).await.status, StatusCode::METHOD_NOT_ALLOWED);
    }
}

#[tokio::test]
async fn no_secret_is_logged() {
    let server = server().await;
    let made = server.ivs("CreateChannel", json!({"name": "logged"})).await.json();
    let stream_key = made["streamKey"]["value"].as_str().unwrap();
    headwater_control::ivs::resolve_key(server.control(), stream_key, Timestamp::now()).await.unwrap();
    headwater_control::ivs::resolve_key(server.control(), "sk_us-east-1_guessed", Timestamp::now()).await.unwrap();
    server.ivs("CreateStreamKey", json!({"channelArn": made["channel"]["arn"]})).await;
    let key = server.role_key("r", json!("ivs:*"), "*").await;
    server.ivs_as(&key, "ListChannels", json!({})).await;
    let mut wrong = key.clone();
    wrong.secret_access_key = Secret::new("a wrong secret");
    wrong.session_token = Some(Secret::new("a-wrong-token"));
    let refused = server.ivs_as(&wrong, "ListChannels", json!({})).await;
    assert_eq!(refused.error_type(), "InvalidSignatureException");
    let query = sigv4::presign(
        &Signer {
            access_key_id: key.access_key_id.clone(),
            secret_access_key: key.secret_access_key.clone(),
            session_token: key.session_token.clone(),
            region: "us-east-1".into(),
            service: "sts".into(),
        },
        Target {
            method: "GET",
            path: "/",
            query: "Action=GetCallerIdentity",
            headers: &HeaderMap::new(),
            host: "127.0.0.1:4566",
        },
        60,
        Timestamp::now(),
    );
    let request = Request::get(format!("/?{query}")).header("host", "127.0.0.1:4566").body(Body::empty()).unwrap();
    let presigned = server.send(request).await;
    assert_eq!(presigned.element("Arn"), "arn:aws:sts::000000000000:assumed-role/r/session");
    let written = logged();
    let refusal = format!("a signature does not stand access_key_id=\"{}\"", key.access_key_id);
    assert!(written.contains("name=\"logged\"") && written.contains(&refusal), "{written}");
    for secret in [
        stream_key,
        made["channel"]["srt"]["passphrase"].as_str().unwrap(),
        "sk_us-east-1_guessed",
        server.root.secret_access_key.expose(),
        key.secret_access_key.expose(),
        key.session_token.as_ref().unwrap().expose(),
        "a wrong secret",
        "a-wrong-token",
        query.rsplit('=').next().unwrap(),
    ] {
        assert!(!written.contains(secret), "{secret} is logged");
    }
}

#[tokio::test]
async fn a_signature_for_another_region_or_service_is_refused() {
    let server = server().await;
    let request = server.signed(&server.root, "ivs", "POST", "/_headwater/v1/stacks", &[], "{}");
    assert_eq!(server.send(request).await.error_type(), "UnknownOperationException");
    let mut elsewhere = server.root.clone();
    elsewhere.principal = Principal::Anonymous;
    let mut request = server.signed(&server.root, "ivs", "POST", "/ListChannels", &[], "{}");
    let authorization = request.headers()["authorization"].to_str().unwrap().replace("us-east-1", "eu-west-1");
    request.headers_mut().insert("authorization", authorization.parse().unwrap());
    let answer = server.send(request).await;
    assert_eq!(answer.error_type(), "InvalidSignatureException");
    assert!(answer.json()["message"].as_str().unwrap().contains("us-east-1"));
}

#[tokio::test]
async fn temporary_keys_need_their_token() {
    let server = server().await;
    let key = server.role_key("r", json!("ivs:*"), "*").await;
    assert_eq!(server.ivs_as(&key, "ListChannels", json!({})).await.status, StatusCode::OK);
    let without = AccessKey { session_token: None, ..key.clone() };
    assert_eq!(server.ivs_as(&without, "ListChannels", json!({})).await.error_type(), "UnrecognizedClientException");
    let expired = server
        .control()
        .credentials()
        .role_session("arn:aws:iam::000000000000:role/r", "s", 900, Timestamp::now().plus_ms(-900_000))
        .await
        .unwrap();
    assert_eq!(server.ivs_as(&expired, "ListChannels", json!({})).await.error_type(), "ExpiredTokenException");
}

#[tokio::test]
async fn bodies_and_headers_are_capped() {
    let server = server().await;
    let long = " ".repeat((10 << 20) + 1);
    let answer = server.send(server.signed(&server.root, "ivs", "POST", "/ListChannels", &[], &long)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    let value = "x".repeat(65 << 10);
    let answer =
        server.send(server.signed(&server.root, "ivs", "POST", "/ListChannels", &[("x-long", &value)], "")).await;
    assert_eq!(answer.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let broken = server.send(server.signed(&server.root, "ivs", "POST", "/ListChannels", &[], "{")).await;
    assert_eq!((broken.error_type(), broken.status.as_u16()), ("SerializationException", 400));
}

#[tokio::test]
async fn browsers_may_ask_before_they_sign() {
    let server = server().await;
    let request = Request::builder()
        .method("OPTIONS")
        .uri("/ListChannels")
        .header("origin", "http://localhost:5173")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,x-amz-date,content-type")
        .body(Body::empty())
        .unwrap();
    let answer = server.send(request).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    assert!(answer.headers["access-control-allow-headers"].to_str().unwrap().contains("authorization"));
    assert!(answer.headers["access-control-expose-headers"].to_str().unwrap().contains("x-amzn-errortype"));
    assert!(!answer.headers.contains_key("access-control-allow-credentials"));
}

#[tokio::test]
async fn an_internal_failure_says_nothing_of_its_cause() {
    #[derive(Debug, thiserror::Error)]
    #[error("password of /var/lib")]
    struct Cause;
    let cause = headwater_control::Error::Failed { part: "engine", source: Box::new(Cause) };
    let error = crate::ServiceError::from(cause);
    assert_eq!(error.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!error.message.contains("engine") && !error.message.contains("/var/lib"), "{error:?}");
}

#[tokio::test]
async fn the_server_says_whether_it_is_well() {
    let server = server().await;
    for path in ["/healthz", "/_headwater/healthz"] {
        let answer = server.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, "ok\n"));
    }
}

#[tokio::test]
async fn the_command_line_reads_events_polls_and_channels() {
    let server = server().await;
    server.ivs("CreateChannel", json!({"name": "c"})).await;
    let channels = server.native("channels", json!({})).await.json();
    assert_eq!((&channels["channels"][0]["name"], &channels["channels"][0]["live"]), (&json!("c"), &json!(false)));
    assert_eq!(server.native("events", json!({"after": 0})).await.json(), json!({"events": [], "last": 0}));
    assert_eq!(server.native("polls", json!({"channel": "c"})).await.json(), json!({"polls": []}));
    let missing = server.native("logs", json!({"function": "f"})).await;
    assert_eq!((missing.status.as_u16(), &missing.json()["error"]["code"]), (404, &json!("NotFound")));
    let wrong = server.native("events", json!({"after": -1})).await;
    assert_eq!((wrong.status.as_u16(), &wrong.json()["error"]["code"]), (400, &json!("ValidationException")));
    let unknown = server.native("launch", json!({})).await;
    assert_eq!(unknown.json()["error"]["code"], "UnknownOperationException");
}

#[tokio::test]
async fn a_templates_mistakes_come_one_by_one() {
    let server = server().await;
    server.control().engine().register(Default::default());
    let template = r#"{"Resources": {"A": {"Type": "AWS::No::Thing"}, "B": {"Type": "AWS::No::Thing"}}}"#;
    let answer = server.native("deploy", json!({"template": template, "stack_name": "s"})).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let error = &answer.json()["error"];
    assert_eq!(error["code"], "InvalidTemplate");
    assert_eq!(error["problems"].as_array().unwrap().len(), 2, "{error}");
}

#[tokio::test]
async fn an_encoder_is_diagnosed_and_a_streams_playlists_are_checked() {
    use axum::extract::ConnectInfo;
    use headwater_control::broadcasts::{Ladder, Rung};
    use headwater_live::doctor::{Code, Finding};
    use std::net::SocketAddr;
    let server = server().await;
    let created = server.ivs("CreateChannel", json!({"name": "c"})).await.json();
    let arn = created["channel"]["arn"].as_str().unwrap();
    let channel = headwater_control::ivs::channel(server.control(), arn).await.unwrap();
    let offline = json!({"stream_id": null, "health": null, "findings": [], "audience": null, "ladder": null});
    assert_eq!(server.native("diagnose", json!({"channel": "c"})).await.json(), offline);
    let nothing = server.native("lint", json!({"channel": "c"})).await;
    assert_eq!((nothing.status.as_u16(), &nothing.json()["error"]["code"]), (404, &json!("NotBroadcasting")));

    let stream = server.bench.broadcasts.go_live(&channel);
    let finding = Finding { code: Code::KeyframeInterval, measured: 8_333, limit: 2_000 };
    server.bench.broadcasts.findings.lock().unwrap().push(finding);
    let rungs = [("480p30", "made"), ("160p30", "asleep")].map(|(name, state)| Rung { name: name.into(), state });
    let ladder = Ladder { state: "running", reason: None, renditions: rungs.to_vec() };
    *server.bench.broadcasts.ladder.lock().unwrap() = Some(ladder);
    let report = headwater_live::Report { revisions: 7, rules: &["hint"], findings: vec![] };
    *server.bench.broadcasts.conformance.lock().unwrap() = Some(report);
    let diagnosis = server.native("diagnose", json!({"channel": channel.id})).await.json();
    assert_eq!((&diagnosis["stream_id"], &diagnosis["health"]), (&json!(stream.stream_id), &json!("HEALTHY")));
    assert_eq!(
        diagnosis["findings"],
        json!([{"code": "keyframe-interval", "severity": "problem", "measured": 8_333, "limit": 2_000,
            "unit": "milliseconds", "advice": finding.advice()}])
    );
    let rungs = json!([{"name": "480p30", "state": "made"}, {"name": "160p30", "state": "asleep"}]);
    assert_eq!(diagnosis["ladder"], json!({"state": "running", "reason": null, "renditions": rungs}));
    let expected = json!({"stream_id": stream.stream_id, "revisions": 7, "rules": ["hint"], "problems": []});
    assert_eq!(server.native("lint", json!({"channel": "c"})).await.json(), expected);

    let ask = |peer: &str, header: (&str, &str)| {
        let mut request = Request::get(format!("/lint/{}", channel.id)).body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
        let name: http::HeaderName = header.0.parse().unwrap();
        request.headers_mut().insert(name, header.1.parse().unwrap());
        server.send(request)
    };
    assert_eq!(ask("127.0.0.1:9", ("accept", "application/json")).await.json(), expected);
    let text = ask("[::1]:9", ("accept", "*/*")).await;
    let said = format!("{}: 7 playlists read, 1 rules checked, 0 problems\nrules: hint\n", stream.stream_id);
    assert_eq!((text.status, text.text), (StatusCode::OK, said));
    for (peer, header) in [
        ("10.0.0.1:9", ("accept", "*/*")),
        ("127.0.0.1:9", ("origin", "https://example.com")),
        ("127.0.0.1:9", ("x-forwarded-for", "10.0.0.1")),
    ] {
        assert_ne!(ask(peer, header).await.status, StatusCode::OK, "{peer} {header:?}");
    }
}
