//! IVS over the wire, as reference assertions A-01 to A-20 have it where they are about this API.

use super::*;

#[tokio::test]
async fn a_channel_has_the_defaults_of_the_service() {
    let server = server().await;
    let answer = server.ivs("CreateChannel", json!({})).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let body = answer.json();
    let (channel, key) = (&body["channel"], &body["streamKey"]);
    let id = channel["arn"].as_str().unwrap().rsplit('/').next().unwrap().to_string();
    let mut expected = json!({
        "arn": format!("arn:aws:ivs:us-east-1:000000000000:channel/{id}"),
        "name": "",
        "latencyMode": "LOW",
        "type": "STANDARD",
        "preset": "",
        "authorized": false,
        "insecureIngest": false,
        "recordingConfigurationArn": "",
        "playbackRestrictionPolicyArn": "",
        "tags": {},
        "ingestEndpoint": "localhost",
        "playbackUrl": format!("http://localhost:8080/api/video/v1/us-east-1.000000000000.channel.{id}.m3u8"),
        "srt": {"endpoint": "localhost", "passphrase": channel["srt"]["passphrase"]},
        "containerFormat": "TS",
        "multitrackInputConfiguration": {"enabled": false},
    });
    assert_eq!(channel, &expected);
    assert_eq!(key["channelArn"], channel["arn"]);
    assert!(key["value"].as_str().unwrap().starts_with("sk_us-east-1_"));
    assert_eq!(server.ivs("GetChannel", json!({"arn": channel["arn"]})).await.json()["channel"], expected);
    let listed = server.ivs("ListChannels", json!({})).await.json();
    for left_out in ["ingestEndpoint", "playbackUrl", "srt", "containerFormat", "multitrackInputConfiguration"] {
        expected.as_object_mut().unwrap().remove(left_out);
    }
    assert_eq!(listed, json!({"channels": [expected]}));
    let keys = server.ivs("ListStreamKeys", json!({"channelArn": channel["arn"]})).await.json();
    assert_eq!(keys, json!({"streamKeys": [{"arn": key["arn"], "channelArn": channel["arn"], "tags": {}}]}));
    assert_eq!(server.ivs("GetStreamKey", json!({"arn": key["arn"]})).await.json()["streamKey"], *key);
}

#[tokio::test]
async fn errors_have_the_services_names_statuses_and_both_message_members() {
    let server = server().await;
    let body = server.ivs("CreateChannel", json!({"name": "c"})).await.json();
    let arn = body["channel"]["arn"].as_str().unwrap();
    let missing = arn.replace(arn.rsplit('/').next().unwrap(), "none");
    let many: Vec<String> = (0..51).map(|n| arn.replace(arn.rsplit('/').next().unwrap(), &format!("c{n}"))).collect();
    let two_filters = json!({"filterByName": "c", "filterByRecordingConfigurationArn": ""});
    for (operation, input, code, status) in [
        ("CreateStreamKey", json!({"channelArn": arn}), "ServiceQuotaExceededException", 402),
        ("CreateChannel", json!({"name": "a b"}), "ValidationException", 400),
        ("CreateChannel", json!({"name": 1}), "ValidationException", 400),
        ("CreateChannel", json!({"type": "FAST"}), "ValidationException", 400),
        ("CreateChannel", json!({"tags": {"aws:x": "y"}}), "ValidationException", 400),
        (
            "CreateChannel",
            json!({"type": "BASIC", "multitrackInputConfiguration": {"enabled": true}}),
            "ValidationException",
            400,
        ),
        ("GetChannel", json!({}), "ValidationException", 400),
        ("GetChannel", json!({"arn": "x"}), "ValidationException", 400),
        ("GetChannel", json!({"arn": missing}), "ResourceNotFoundException", 404),
        ("GetStream", json!({"channelArn": missing}), "ResourceNotFoundException", 404),
        ("GetStream", json!({"channelArn": arn}), "ChannelNotBroadcasting", 404),
        ("StopStream", json!({"channelArn": arn}), "ChannelNotBroadcasting", 404),
        ("PutMetadata", json!({"channelArn": arn, "metadata": "x"}), "ChannelNotBroadcasting", 404),
        ("PutMetadata", json!({"channelArn": arn, "metadata": "x".repeat(1025)}), "ValidationException", 400),
        ("PutMetadata", json!({"channelArn": arn, "metadata": ""}), "ValidationException", 400),
        ("ListChannels", two_filters, "ConflictException", 409),
        ("ListChannels", json!({"maxResults": 101}), "ValidationException", 400),
        ("ListStreamKeys", json!({"channelArn": arn, "maxResults": 0}), "ValidationException", 400),
        ("BatchGetChannel", json!({"arns": many}), "ValidationException", 400),
        ("BatchGetChannel", json!({"arns": []}), "ValidationException", 400),
        ("GetStreamSession", json!({"channelArn": arn}), "ResourceNotFoundException", 404),
        ("NoSuchThing", json!({}), "UnknownOperationException", 400),
    ] {
        let answer = server.ivs(operation, input.clone()).await;
        assert_eq!((answer.error_type(), answer.status.as_u16()), (code, status), "{operation} {input}: {answer:?}");
        let body = answer.json();
        assert!(!body["message"].as_str().unwrap().is_empty());
        assert_eq!(body["message"], body["exceptionMessage"]);
        assert_eq!(answer.headers["access-control-allow-origin"], "*");
        assert!(answer.headers.contains_key("x-amzn-requestid"));
        assert!(answer.headers.contains_key("strict-transport-security"));
    }
}

#[tokio::test]
async fn a_live_stream_is_told_and_takes_metadata() {
    let server = server().await;
    let made = server.ivs("CreateChannel", json!({"name": "c"})).await.json();
    let arn = made["channel"]["arn"].as_str().unwrap();
    let channel = headwater_control::ivs::channel(server.control(), arn).await.unwrap();
    let live = server.bench.broadcasts.go_live(&channel);
    let summary = json!({
        "channelArn": arn,
        "streamId": live.stream_id,
        "startTime": "1970-01-01T00:00:01Z",
        "state": "LIVE",
        "health": "HEALTHY",
        "viewerCount": 0,
    });
    let mut stream = summary.clone();
    stream["playbackUrl"] = made["channel"]["playbackUrl"].clone();
    assert_eq!(server.ivs("GetStream", json!({"channelArn": arn})).await.json(), json!({ "stream": stream }));
    assert_eq!(server.ivs("ListStreams", json!({})).await.json(), json!({"streams": [summary]}));
    let starving = json!({"filterBy": {"health": "STARVING"}});
    assert_eq!(server.ivs("ListStreams", starving).await.json(), json!({"streams": []}));
    let put = json!({"channelArn": arn, "metadata": "hello"});
    let answers = [
        server.ivs("PutMetadata", put.clone()).await,
        server.ivs("PutMetadata", put.clone()).await,
        server.ivs("PutMetadata", put.clone()).await,
        server.ivs("PutMetadata", put.clone()).await,
        server.ivs("PutMetadata", put.clone()).await,
    ];
    for answer in answers {
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::NO_CONTENT, ""));
    }
    let sixth = server.ivs("PutMetadata", put).await;
    assert_eq!((sixth.error_type(), sixth.status.as_u16()), ("ThrottlingException", 429));
    assert_eq!(server.bench.broadcasts.cues.lock().unwrap().len(), 5);
    for (operation, input) in
        [("DeleteChannel", json!({"arn": arn})), ("UpdateChannel", json!({"arn": arn, "name": "d"}))]
    {
        let answer = server.ivs(operation, input).await;
        assert_eq!((answer.error_type(), answer.status.as_u16()), ("ConflictException", 409));
    }
    let stopped = server.ivs("StopStream", json!({"channelArn": arn})).await;
    assert_eq!((stopped.status, stopped.text.as_str()), (StatusCode::OK, "{}"));
    let deleted = server.ivs("DeleteChannel", json!({"arn": arn})).await;
    assert_eq!((deleted.status, deleted.text.as_str()), (StatusCode::NO_CONTENT, ""));
}

#[tokio::test]
async fn batches_tell_what_is_missing() {
    let server = server().await;
    let arn = server.ivs("CreateChannel", json!({})).await.json()["channel"]["arn"].clone();
    let missing = "arn:aws:ivs:us-east-1:000000000000:channel/none";
    let body = server.ivs("BatchGetChannel", json!({"arns": [arn, missing]})).await.json();
    assert_eq!(body["channels"].as_array().unwrap().len(), 1);
    assert_eq!(body["errors"][0]["arn"], missing);
    assert_eq!(body["errors"][0]["code"], "ResourceNotFoundException");
}

#[tokio::test]
async fn tags_go_by_the_path() {
    let server = server().await;
    let arn = server.ivs("CreateChannel", json!({"tags": {"a": "1"}})).await.json()["channel"]["arn"].clone();
    let arn = arn.as_str().unwrap().to_string();
    for written in [arn.replace(':', "%3A").replace('/', "%2F"), arn.replace(':', "%3A"), arn.clone()] {
        let path = format!("/tags/{written}");
        let send = async |method: &str, path: &str, body: &str| {
            server.send(server.signed(&server.root, "ivs", method, path, &[], body)).await
        };
        let tagged = send("POST", &path, r#"{"tags":{"b":"2","c":"3"}}"#).await;
        assert_eq!((tagged.status, tagged.text.as_str()), (StatusCode::OK, "{}"), "{written}");
        let untagged = send("DELETE", &format!("{path}?tagKeys=b&tagKeys=c"), "").await;
        assert_eq!((untagged.status, untagged.text.as_str()), (StatusCode::OK, "{}"));
        assert_eq!(send("GET", &path, "").await.json(), json!({"tags": {"a": "1"}}));
    }
}

#[tokio::test]
async fn a_session_is_told_in_the_models_shape() {
    use headwater_live::{Journal, SessionEvent, SessionEventKind};
    use headwater_model::ivs::{AudioIngest, VideoIngest};
    let server = server().await;
    let arn = server.ivs("CreateChannel", json!({"name": "c"})).await.json()["channel"]["arn"].clone();
    let channel = headwater_control::ivs::channel(server.control(), arn.as_str().unwrap()).await.unwrap();
    let control = server.control();
    let journal = headwater_control::sessions::Sessions::new(
        control.realm().clone(),
        control.shared_store(),
        control.interact().clone(),
    );
    let at = Timestamp(1_795_498_182_000);
    let event = |kind| SessionEvent { channel: (*channel).clone(), stream_id: "st-1".into(), at, kind };
    journal.record(event(SessionEventKind::Created)).await.unwrap();
    let video = VideoIngest {
        codec: "avc1.64001F".into(),
        encoder: "obs-output module".into(),
        target_bitrate: 2_500_000,
        target_framerate: 30,
        width: 1280,
        height: 720,
    };
    let audio = AudioIngest { codec: "mp4a.40.2".into(), target_bitrate: 128_000, sample_rate: 48_000, channels: 2 };
    journal.record(event(SessionEventKind::Start { video: vec![video], audio: vec![audio] })).await.unwrap();
    let mut session = server.ivs("GetStreamSession", json!({"channelArn": arn})).await.json()["streamSession"].clone();
    assert_eq!(session["channel"]["name"], "c");
    session.as_object_mut().unwrap().remove("channel");
    let video = json!({
        "codec": "avc1.64001F",
        "encoder": "obs-output module",
        "targetBitrate": 2_500_000,
        "targetFramerate": 30,
        "videoHeight": 720,
        "videoWidth": 1280,
        "avcProfile": "High",
        "avcLevel": "3.1",
    });
    let audio = json!({"codec": "mp4a.40.2", "targetBitrate": 128_000, "sampleRate": 48_000, "channels": 2});
    let mut new_video = video.clone();
    new_video["avcProfile"] = "".into();
    new_video["avcLevel"] = "".into();
    new_video["profile"] = "High".into();
    new_video["level"] = "3.1".into();
    new_video["track"] = "Track0".into();
    let mut new_audio = audio.clone();
    new_audio["track"] = "Track0".into();
    let time = "2026-11-24T05:29:42Z";
    assert_eq!(
        session,
        json!({
            "streamId": "st-1",
            "startTime": time,
            "ingestConfiguration": {"video": video, "audio": audio},
            "ingestConfigurations": {"videoConfigurations": [new_video], "audioConfigurations": [new_audio]},
            "truncatedEvents": [
                {"name": "Stream Start", "type": "IVS Stream State Change", "eventTime": time},
                {"name": "Session Created", "type": "IVS Stream State Change", "eventTime": time},
            ],
        })
    );
    let sessions = server.ivs("ListStreamSessions", json!({"channelArn": arn})).await.json();
    assert_eq!(sessions, json!({"streamSessions": [{"streamId": "st-1", "startTime": time, "hasErrorEvent": false}]}));
}

#[tokio::test]
async fn a_role_may_do_what_its_policy_says_and_no_more() {
    let server = server().await;
    let arn = server.ivs("CreateChannel", json!({})).await.json()["channel"]["arn"].clone();
    let key = server.role_key("f", json!("ivs:PutMetadata"), arn.as_str().unwrap()).await;
    let put = server.ivs_as(&key, "PutMetadata", json!({"channelArn": arn, "metadata": "x"})).await;
    assert_eq!(put.error_type(), "ChannelNotBroadcasting", "{put:?}");
    let other = "arn:aws:ivs:us-east-1:000000000000:channel/other";
    for (operation, input, resource) in [
        ("PutMetadata", json!({"channelArn": other, "metadata": "x"}), other),
        ("GetChannel", json!({"arn": arn}), arn.as_str().unwrap()),
        ("ListChannels", json!({}), "*"),
    ] {
        let answer = server.ivs_as(&key, operation, input).await;
        assert_eq!((answer.error_type(), answer.status.as_u16()), ("AccessDeniedException", 403));
        let expected = format!(
            "User: arn:aws:sts::000000000000:assumed-role/f/session is not authorized to perform: ivs:{operation} on \
             resource: {resource} because no identity-based policy allows the ivs:{operation} action"
        );
        assert_eq!(answer.json()["message"], expected);
    }
}
