"""IVS against botocore's service model: every operation of it, with valid and invalid input, success and error."""

import copy
import re
import subprocess
import uuid

import boto3
import botocore.config
import botocore.exceptions
import pytest

from conftest import ROOT, until
from model import MODELS, Raw, Recorder, error_problems, invalid

MODEL = MODELS["ivs"]
OPERATIONS = list(MODEL.operation_names)
UNKNOWN = "arn:aws:ivs:us-east-1:000000000000:{}/doesNotExist"
TESTDATA = ROOT / "crates/model/src/ivs/testdata"
P384, P256 = (TESTDATA / "p384.pem").read_text(), (TESTDATA / "p256.pem").read_text()
MEDIATAILOR = "arn:aws:mediatailor:us-east-1:000000000000:playbackConfiguration/ads"
ARNS = {
    "ChannelArn": "channel", "StreamKeyArn": "stream-key", "PlaybackKeyPairArn": "playback-key",
    "PlaybackRestrictionPolicyArn": "playback-restriction-policy", "ResourceArn": "channel",
    "RecordingConfigurationArn": "recording-configuration", "AdConfigurationArn": "ad-configuration",
    "FailoverSlateConfigurationArn": "failover-slate-configuration",
}
EXAMPLES = {
    **{shape: UNKNOWN.format(kind) for shape, kind in ARNS.items()},
    **{"Channel" + shape: UNKNOWN.format(kind) for shape, kind in ARNS.items()},
    "MediaTailorPlaybackConfigurationArn": MEDIATAILOR, "StreamId": "st-" + "a" * 23, "AdBreakId": "a" * 12,
    "PlaybackRestrictionPolicyAllowedCountry": "DE", "PlaybackRestrictionPolicyAllowedOrigin": "https://a.example",
    "PlaybackPublicKeyMaterial": P384, "TagKey": "k", "TagValue": "v", "S3DestinationBucketName": "a-bucket",
}


def example(shape, only_required=False):
    """A value that the shape allows."""
    kind = shape.type_name
    if kind == "structure":
        names = shape.required_members if only_required else shape.members
        return {name: example(shape.members[name], only_required) for name in names}
    if kind == "list":
        return [example(shape.member, only_required)]
    if kind == "map":
        return {example(shape.key): example(shape.value)}
    if kind == "string":
        return EXAMPLES.get(shape.name) or (shape.enum or ["x" * max(1, shape.metadata.get("min", 1))])[0]
    if kind in ("integer", "long"):
        return shape.metadata.get("min", 1)
    return {"boolean": True, "timestamp": "2026-11-24T05:29:42Z"}[kind]


def new_key():
    """A fresh P-384 public key in PEM."""
    made = subprocess.run(["openssl", "ecparam", "-name", "secp384r1", "-genkey", "-noout"], capture_output=True, check=True)
    return subprocess.run(["openssl", "ec", "-pubout"], input=made.stdout, capture_output=True, check=True).stdout.decode()


def code_of(call, **members):
    """The error's code and status, which must be there."""
    with pytest.raises(botocore.exceptions.ClientError) as error:
        call(**members)
    assert error.value.response["Error"]["Message"]
    return error.value.response["Error"]["Code"], error.value.response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.fixture(scope="module")
def ivs(shared):
    return shared.client("ivs")


@pytest.fixture(scope="module")
def raw(shared):
    return Raw(shared, "ivs")


@pytest.fixture
def channel(ivs):
    made = ivs.create_channel(name="contract")
    yield made
    try:
        ivs.stop_stream(channelArn=made["channel"]["arn"])
    except botocore.exceptions.ClientError:
        pass
    try:
        ivs.delete_channel(arn=made["channel"]["arn"])
    except ivs.exceptions.ResourceNotFoundException:
        pass


def go_live(shared, ivs, encoders, channel):
    arn = channel["channel"]["arn"]
    encoder = encoders(f"rtmp://127.0.0.1:{shared.rtmp_port}/app/{channel['streamKey']['value']}")

    def stream():
        try:
            return ivs.get_stream(channelArn=arn)["stream"]
        except ivs.exceptions.ChannelNotBroadcasting:
            return None

    return encoder, until(stream, "the channel is live", 30)


def test_every_operation_answers_in_the_shape_of_the_model(shared, encoders):
    recorder = Recorder(shared.client("ivs"), "ivs")
    ivs = recorder.client
    shared.client("s3").create_bucket(Bucket="contract-recordings")

    pair = ivs.import_playback_key_pair(publicKeyMaterial=P384, name="k", tags={"a": "b"})["keyPair"]
    assert ivs.get_playback_key_pair(arn=pair["arn"])["keyPair"] == pair
    assert ivs.list_playback_key_pairs()["keyPairs"] == [{"arn": pair["arn"], "name": "k", "tags": {"a": "b"}}]
    policy = ivs.create_playback_restriction_policy(
        name="p", allowedCountries=["DE", "JP"], allowedOrigins=["https://a.example"], enableStrictOriginEnforcement=True,
    )["playbackRestrictionPolicy"]
    policy = ivs.update_playback_restriction_policy(arn=policy["arn"], name="q")["playbackRestrictionPolicy"]
    assert (policy["name"], policy["allowedCountries"], policy["enableStrictOriginEnforcement"]) == ("q", ["DE", "JP"], True)
    assert ivs.get_playback_restriction_policy(arn=policy["arn"])["playbackRestrictionPolicy"] == policy
    ivs.list_playback_restriction_policies()
    recording = ivs.create_recording_configuration(
        name="r", destinationConfiguration={"s3": {"bucketName": "contract-recordings"}}, recordingReconnectWindowSeconds=60,
        thumbnailConfiguration={"recordingMode": "INTERVAL", "targetIntervalSeconds": 5, "resolution": "HD", "storage": ["LATEST"]},
        renditionConfiguration={"renditionSelection": "CUSTOM", "renditions": ["SD", "HD"]},
    )["recordingConfiguration"]
    assert recording["state"] == "CREATING"
    read = lambda: ivs.get_recording_configuration(arn=recording["arn"])["recordingConfiguration"]
    until(lambda: read()["state"] == "ACTIVE", "the bucket was looked at")
    assert read() == {**recording, "state": "ACTIVE"}
    ivs.list_recording_configurations()
    ads = ivs.create_ad_configuration(mediaTailorPlaybackConfigurations=[{"playbackConfigurationArn": MEDIATAILOR}])["adConfiguration"]
    assert ads["postRollConfiguration"] == {"enabled": False, "durationSeconds": 15}
    ads = ivs.update_ad_configuration(arn=ads["arn"], postRollConfiguration={"enabled": True, "durationSeconds": 30})["adConfiguration"]
    assert ivs.get_ad_configuration(arn=ads["arn"])["adConfiguration"] == ads
    ivs.list_ad_configurations()
    slate = ivs.create_failover_slate_configuration(name="s")["failoverSlateConfiguration"]
    assert [slate[f"{n}Seconds"] for n in ("activationThreshold", "minSlateDisplay", "maxSlateDisplay")] == [3, 3, 60]
    slate = ivs.update_failover_slate_configuration(arn=slate["arn"], maxSlateDisplaySeconds=180)["failoverSlateConfiguration"]
    assert ivs.get_failover_slate_configuration(arn=slate["arn"])["failoverSlateConfiguration"] == slate
    ivs.list_failover_slate_configurations()

    made = ivs.create_channel(
        name="c", type="BASIC", latencyMode="LOW", authorized=False, insecureIngest=True, tags={"a": "b"}, containerFormat="TS",
        recordingConfigurationArn=recording["arn"], playbackRestrictionPolicyArn=policy["arn"], adConfigurationArn=ads["arn"],
        failoverSlateConfigurationArn=slate["arn"], multitrackInputConfiguration={"enabled": False},
    )
    arn, key = made["channel"]["arn"], made["streamKey"]["arn"]
    assert ivs.get_channel(arn=arn)["channel"] == made["channel"]
    got = ivs.batch_get_channel(arns=[arn, UNKNOWN.format("channel")])
    assert (len(got["channels"]), [error["arn"] for error in got["errors"]]) == (1, [UNKNOWN.format("channel")])
    for name, value in [("Name", "c"), ("RecordingConfigurationArn", recording["arn"]), ("AdConfigurationArn", ads["arn"]),
                        ("PlaybackRestrictionPolicyArn", policy["arn"]), ("FailoverSlateConfigurationArn", slate["arn"])]:
        assert [c["arn"] for c in ivs.list_channels(**{f"filterBy{name}": value})["channels"]] == [arn], name
    ivs.update_channel(arn=arn, name="d")
    ivs.get_stream_key(arn=key)
    ivs.batch_get_stream_key(arns=[key, UNKNOWN.format("stream-key")])
    ivs.list_stream_keys(channelArn=arn)
    for resource in (arn, key, pair["arn"], policy["arn"], recording["arn"], ads["arn"], slate["arn"]):
        ivs.tag_resource(resourceArn=resource, tags={"x": "y", "z": ""})
        ivs.untag_resource(resourceArn=resource, tagKeys=["z", "a"])
        assert ivs.list_tags_for_resource(resourceArn=resource)["tags"] == {"x": "y"}

    _, stream = go_live(shared, ivs, encoders, made)
    assert stream["state"] == "LIVE" and re.fullmatch("st-[A-Za-z0-9]{23}", stream["streamId"])
    assert [s["streamId"] for s in ivs.list_streams(filterBy={"health": stream["health"]})["streams"]] == [stream["streamId"]]
    ivs.put_metadata(channelArn=arn, metadata="hello")
    ad_break = ivs.insert_ad_break(channelArn=arn, durationSeconds=30, adBreakId="AbCdEf123456")
    assert ad_break["adBreakId"] == "AbCdEf123456"
    assert code_of(ivs.insert_ad_break, channelArn=arn, durationSeconds=30) == ("ConflictException", 409)
    ivs.start_viewer_session_revocation(channelArn=arn, viewerId="v")
    refused = ivs.batch_start_viewer_session_revocation(viewerSessions=[
        {"channelArn": arn, "viewerId": "v", "viewerSessionVersionsLessThanOrEqualTo": 3},
        {"channelArn": UNKNOWN.format("channel"), "viewerId": "w"},
    ])["errors"]
    assert [(e["channelArn"], e["viewerId"], e["code"]) for e in refused] == [
        (UNKNOWN.format("channel"), "w", "ResourceNotFoundException")]
    session = ivs.get_stream_session(channelArn=arn)["streamSession"]
    assert "endTime" not in session and session["channel"]["name"] == "d"
    assert session["recordingConfiguration"]["state"] == "ACTIVE" and session["failoverSlateConfiguration"]["arn"] == slate["arn"]
    assert [v["track"] for v in session["ingestConfigurations"]["videoConfigurations"]] == ["Track0"]
    assert session["ingestConfiguration"]["video"]["codec"] == session["ingestConfigurations"]["videoConfigurations"][0]["codec"]
    names = [event["name"] for event in session["truncatedEvents"]]
    assert names == ["Ad Break Inserted", "Recording Start Failure", "Stream Start", "Session Created"]
    times = [event["eventTime"] for event in session["truncatedEvents"]]
    assert times == sorted(times, reverse=True)
    ivs.stop_stream(channelArn=arn)
    until(lambda: "endTime" in ivs.get_stream_session(channelArn=arn, streamId=stream["streamId"])["streamSession"], "it ended")
    assert [s["hasErrorEvent"] for s in ivs.list_stream_sessions(channelArn=arn)["streamSessions"]] == [True]

    for delete, resource in [
        (ivs.delete_recording_configuration, recording), (ivs.delete_ad_configuration, ads),
        (ivs.delete_playback_restriction_policy, policy), (ivs.delete_failover_slate_configuration, slate),
    ]:
        assert code_of(delete, arn=resource["arn"]) == ("ConflictException", 409), "a channel uses it"
    ivs.update_channel(arn=arn, recordingConfigurationArn="", adConfigurationArn="", playbackRestrictionPolicyArn="",
                       failoverSlateConfigurationArn="")
    ivs.delete_stream_key(arn=key)
    ivs.create_stream_key(channelArn=arn)
    ivs.delete_recording_configuration(arn=recording["arn"])
    ivs.delete_ad_configuration(arn=ads["arn"])
    ivs.delete_playback_restriction_policy(arn=policy["arn"])
    ivs.delete_failover_slate_configuration(arn=slate["arn"])
    ivs.delete_playback_key_pair(arn=pair["arn"])
    ivs.delete_channel(arn=arn)
    assert ivs.list_stream_sessions(channelArn=arn)["streamSessions"], "sessions outlive their channel"
    assert recorder.problems == []
    assert recorder.called == set(OPERATIONS), set(OPERATIONS) ^ recorder.called


@pytest.mark.parametrize("name", OPERATIONS)
def test_input_that_the_model_does_not_allow_is_refused_in_the_shape_of_the_model(raw, name):
    operation = MODEL.operation_model(name)
    in_body = all(m.serialization.get("location") is None for m in operation.input_shape.members.values())
    tried, problems = 0, []
    for what, members in invalid(operation.input_shape, example(operation.input_shape)):
        if "resourceArn against its pattern" in what:
            continue  # its pattern in the model fits no ARN at all
        if ("of another type" in what and not in_body and "tags" not in what) or not (in_body or isinstance(members, dict)):
            continue  # paths and queries hold nothing but text
        answer = raw.call(operation, members)
        tried += 1
        problems += [f"{what}: {problem}" for problem in error_problems(operation, answer)]
        if (answer.headers.get("x-amzn-errortype"), answer.status) != ("ValidationException", 400):
            problems.append(f"{what}: {answer.status} {answer.headers.get('x-amzn-errortype')} {answer.text}")
    assert problems == []
    assert tried or not operation.input_shape.members


@pytest.mark.parametrize("name", OPERATIONS)
def test_input_that_the_model_does_not_allow_is_a_client_error_of_boto3(shared, name):
    """As before through boto3, its own checks turned off, for what its serializer can write."""
    variables = shared.aws_environment()
    client = boto3.client(
        "ivs", endpoint_url=variables["AWS_ENDPOINT_URL"], region_name=variables["AWS_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"], aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        config=botocore.config.Config(parameter_validation=False, retries={"max_attempts": 0}),
    )
    operation = MODEL.operation_model(name)
    call = getattr(client, re.sub("(?<!^)(?=[A-Z])", "_", name).lower())
    skipped = ("of another type", "resourceArn", "that is no time", "with a fraction")
    for what, members in invalid(operation.input_shape, example(operation.input_shape)):
        if not any(word in what for word in skipped) and isinstance(members, dict):
            assert code_of(call, **members) == ("ValidationException", 400), what


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_resource_that_is_not_there_is_told_in_the_shape_of_the_model(raw, name):
    operation = MODEL.operation_model(name)
    named = {"arn", "channelArn", "resourceArn"} & set(operation.input_shape.required_members)
    if not named:
        return
    answer = raw.call(operation, example(operation.input_shape, only_required=True))
    assert list(error_problems(operation, answer)) == []
    assert (answer.headers["x-amzn-errortype"], answer.status) == ("ResourceNotFoundException", 404)


def test_an_operation_that_the_model_does_not_have_is_refused(raw, shared):
    operation = copy.copy(MODEL.operation_model("ListChannels"))
    operation.http = {"method": "POST", "requestUri": "/NoSuchOperation"}
    answer = raw.call(operation, {})
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (400, "UnknownOperationException")


def test_a_body_that_is_no_object_is_a_serialization_error_as_of_every_service_with_json(raw):
    for body in (["x"], "x", 5):
        answer = raw.call(MODEL.operation_model("ListChannels"), body)
        assert (answer.status, answer.headers["x-amzn-errortype"]) == (400, "SerializationException")
        assert answer.json()["exceptionMessage"]


def test_every_operation_of_the_model_is_in_the_compatibility_table():
    table = (ROOT / "docs/compatibility.md").read_text()
    rows = set(re.findall(r"^\| `(\w+)` \|", table, re.M))
    assert set(OPERATIONS) <= rows, set(OPERATIONS) - rows


# What the reference says of the service, fact by fact.


def test_an_empty_create_channel_gives_the_defaults_and_a_key(ivs):
    made = ivs.create_channel()
    channel, key = made["channel"], made["streamKey"]
    assert {n: channel[n] for n in ("type", "latencyMode", "authorized", "insecureIngest", "preset", "tags", "recordingConfigurationArn")} == {
        "type": "STANDARD", "latencyMode": "LOW", "authorized": False, "insecureIngest": False, "preset": "", "tags": {},
        "recordingConfigurationArn": ""}
    assert re.fullmatch(r"sk_[a-z0-9-]+_[A-Za-z0-9]+", key["value"]) and key["channelArn"] == channel["arn"]
    ivs.delete_channel(arn=channel["arn"])


def test_a_second_stream_key_breaks_the_quota(ivs, channel):
    assert code_of(ivs.create_stream_key, channelArn=channel["channel"]["arn"]) == ("ServiceQuotaExceededException", 402)


def test_a_live_channel_is_neither_changed_nor_deleted_and_its_session_has_no_end(shared, ivs, encoders, channel):
    arn = channel["channel"]["arn"]
    _, stream = go_live(shared, ivs, encoders, channel)
    assert code_of(ivs.delete_channel, arn=arn) == ("ConflictException", 409)
    assert code_of(ivs.update_channel, arn=arn, name="x") == ("ConflictException", 409)
    assert re.fullmatch("st-[A-Za-z0-9]{23}", stream["streamId"])
    session = ivs.get_stream_session(channelArn=arn)["streamSession"]
    assert "endTime" not in session
    assert session["truncatedEvents"][0]["eventTime"] >= session["truncatedEvents"][-1]["eventTime"]
    codes = []
    for _ in range(6):
        try:
            ivs.put_metadata(channelArn=arn, metadata="x")
        except botocore.exceptions.ClientError as error:
            codes.append((error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]))
    assert codes in ([], [("ThrottlingException", 429)])  # none only if six calls took more than a second
    events = [e["event"] for e in shared.events() if e["event"]["resources"] == [arn]]
    told = {e["detail"]["event_name"]: e for e in events}
    assert {"Session Created", "Stream Start"} <= set(told)
    for event in (told["Session Created"], told["Stream Start"]):
        assert set(event["detail"]) == {"event_name", "channel_name", "stream_id"}
        assert set(event) == {"version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"}
        assert (event["source"], event["detail-type"], event["version"]) == ("aws.ivs", "IVS Stream State Change", "0")


def test_an_offline_channel_is_not_broadcasting_and_an_unknown_one_not_found(ivs, channel):
    for call, more in [(ivs.get_stream, {}), (ivs.stop_stream, {}), (ivs.put_metadata, {"metadata": "x"}),
                       (ivs.insert_ad_break, {"durationSeconds": 1})]:
        assert code_of(call, channelArn=channel["channel"]["arn"], **more) == ("ChannelNotBroadcasting", 404)
        assert code_of(call, channelArn=UNKNOWN.format("channel"), **more) == ("ResourceNotFoundException", 404)


def test_two_filters_conflict(ivs):
    assert code_of(ivs.list_channels, filterByName="a", filterByAdConfigurationArn="") == ("ConflictException", 409)


def test_lists_that_default_to_one_item_give_one_and_no_secret(ivs, channel):
    keys = ivs.list_stream_keys(channelArn=channel["channel"]["arn"])
    assert len(keys["streamKeys"]) == 1 and "value" not in keys["streamKeys"][0]
    arns = [ivs.create_playback_restriction_policy()["playbackRestrictionPolicy"]["arn"] for _ in range(2)]
    page = ivs.list_playback_restriction_policies()
    assert len(page["playbackRestrictionPolicies"]) == 1
    rest = ivs.list_playback_restriction_policies(nextToken=page["nextToken"])
    assert {p["arn"] for p in page["playbackRestrictionPolicies"] + rest["playbackRestrictionPolicies"]} == set(arns)
    assert "nextToken" not in rest
    assert code_of(ivs.list_channels, nextToken=page["nextToken"]) == ("ValidationException", 400), "a token of another list"
    for arn in arns:
        ivs.delete_playback_restriction_policy(arn=arn)


def test_metadata_above_its_limit_is_refused(ivs, channel):
    assert code_of(ivs.put_metadata, channelArn=channel["channel"]["arn"], metadata="x" * 1025) == ("ValidationException", 400)


def test_a_key_of_another_curve_is_refused_and_a_key_is_imported_once_within_the_quota(ivs):
    assert code_of(ivs.import_playback_key_pair, publicKeyMaterial=P256) == ("ValidationException", 400)
    assert code_of(ivs.import_playback_key_pair, publicKeyMaterial="no key") == ("ValidationException", 400)
    material = [new_key() for _ in range(4)]
    pairs = [ivs.import_playback_key_pair(publicKeyMaterial=pem)["keyPair"] for pem in material[:3]]
    assert all(re.fullmatch("([0-9a-f]{2}:){15}[0-9a-f]{2}", pair["fingerprint"]) for pair in pairs)
    assert code_of(ivs.import_playback_key_pair, publicKeyMaterial=material[3]) == ("ServiceQuotaExceededException", 402)
    ivs.delete_playback_key_pair(arn=pairs[2]["arn"])
    assert code_of(ivs.import_playback_key_pair, publicKeyMaterial=material[0]) == ("ConflictException", 409)
    for pair in pairs[:2]:
        ivs.delete_playback_key_pair(arn=pair["arn"])


def test_a_recording_configuration_without_its_bucket_fails_to_be_created(ivs):
    made = ivs.create_recording_configuration(destinationConfiguration={"s3": {"bucketName": "no-such-bucket"}})
    arn = made["recordingConfiguration"]["arn"]
    state = lambda: ivs.get_recording_configuration(arn=arn)["recordingConfiguration"]["state"]
    until(lambda: state() == "CREATE_FAILED", "the bucket was looked for")
    ivs.delete_recording_configuration(arn=arn)


def test_multitrack_is_for_standard_channels_with_fragmented_mp4(ivs):
    enabled = {"enabled": True, "policy": "ALLOW", "maximumResolution": "FULL_HD"}
    refused = ("ValidationException", 400)
    assert code_of(ivs.create_channel, type="BASIC", multitrackInputConfiguration=enabled, containerFormat="FRAGMENTED_MP4") == refused
    assert code_of(ivs.create_channel, multitrackInputConfiguration=enabled) == refused
    assert code_of(ivs.create_channel, multitrackInputConfiguration={"enabled": True}, containerFormat="FRAGMENTED_MP4") == refused
    made = ivs.create_channel(multitrackInputConfiguration=enabled, containerFormat="FRAGMENTED_MP4")
    ivs.delete_channel(arn=made["channel"]["arn"])


def test_ad_configurations_and_fragmented_mp4_do_not_go_together(ivs):
    ads = ivs.create_ad_configuration(mediaTailorPlaybackConfigurations=[{"playbackConfigurationArn": MEDIATAILOR}])
    arn = ads["adConfiguration"]["arn"]
    assert code_of(ivs.create_channel, adConfigurationArn=arn, containerFormat="FRAGMENTED_MP4") == ("ValidationException", 400)
    ivs.delete_ad_configuration(arn=arn)


def test_a_channel_that_names_what_is_not_there_is_not_found(ivs):
    for member, kind in [("recordingConfigurationArn", "recording-configuration"), ("adConfigurationArn", "ad-configuration"),
                         ("playbackRestrictionPolicyArn", "playback-restriction-policy"),
                         ("failoverSlateConfigurationArn", "failover-slate-configuration")]:
        assert code_of(ivs.create_channel, **{member: UNKNOWN.format(kind)}) == ("ResourceNotFoundException", 404)


def test_a_preset_is_for_advanced_channels_which_have_one(ivs):
    assert code_of(ivs.create_channel, preset="HIGHER_BANDWIDTH_DELIVERY") == ("ValidationException", 400)
    made = ivs.create_channel(type="ADVANCED_HD")["channel"]
    assert made["preset"] == "HIGHER_BANDWIDTH_DELIVERY"
    changed = ivs.update_channel(arn=made["arn"], type="STANDARD")["channel"]
    assert (changed["type"], changed["preset"]) == ("STANDARD", "")
    ivs.delete_channel(arn=made["arn"])


def test_a_second_publisher_with_a_priority_takes_over_the_same_stream(shared, ivs, encoders, channel):
    arn, key = channel["channel"]["arn"], channel["streamKey"]["value"]
    _, stream = go_live(shared, ivs, encoders, channel)
    encoders(f"rtmp://127.0.0.1:{shared.rtmp_port}/app/{key}?priority=1")
    names = lambda: [e["name"] for e in ivs.get_stream_session(channelArn=arn)["streamSession"]["truncatedEvents"]]
    until(lambda: "Stream Takeover" in names(), "the second publisher takes over")
    assert ivs.get_stream(channelArn=arn)["stream"]["streamId"] == stream["streamId"]


def test_the_playlist_of_an_offline_channel_is_not_found(shared, ivs, channel):
    assert shared.get(channel["channel"]["playbackUrl"]).status == 404


def test_stored_events_are_delivered_again_to_a_rule_by_number_time_and_id(shared, ivs):
    logs = shared.client("events")
    logs.put_rule(Name="again", EventPattern='{"source":["contract.replay"]}', State="DISABLED")
    put = logs.put_events(Entries=[{"Source": "contract.replay", "DetailType": "d", "Detail": "{}"} for _ in range(3)])
    ids = [entry["EventId"] for entry in put["Entries"]]
    numbered = {e["event"]["id"]: (e["seq"], e["event"]["time"]) for e in shared.events()}
    for from_, expected in [(str(numbered[ids[1]][0]), 2), (ids[2], 1), (numbered[ids[0]][1], 3)]:
        told = shared.cli("events", "--replay-from", from_, "--to-rule", "again", "--json").stdout
        assert f'"events":{expected}' in told.replace(" ", ""), (from_, told)
    printed = shared.cli("events", "--replay-from", ids[1], "--json").stdout
    assert ids[1] in printed.splitlines()[0]
    assert shared.cli("events", "--replay-from", "nonsense", ok=False).returncode != 0
    assert shared.cli("events", "--replay-from", str(uuid.uuid4()), ok=False).returncode != 0
    logs.delete_rule(Name="again")
