"""Every resource type of IVS in templates: made, changed in place, replaced, looked at, deleted; and what is said of mistakes."""

import json
import subprocess

import botocore.exceptions
import pytest

from conftest import ROOT, until

TESTDATA = ROOT / "crates/model/src/ivs/testdata"
P384 = (TESTDATA / "p384.pem").read_text()
MEDIATAILOR = "arn:aws:mediatailor:us-east-1:000000000000:playbackConfiguration/"


def new_key():
    made = subprocess.run(["openssl", "ecparam", "-name", "secp384r1", "-genkey", "-noout"], capture_output=True, check=True)
    return subprocess.run(["openssl", "ec", "-pubout"], input=made.stdout, capture_output=True, check=True).stdout.decode()


def playback(name):
    return [{"PlaybackConfigurationArn": MEDIATAILOR + name}]


BUCKET = {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "stack-recordings"}}}
CHANNEL = {"Other": {"Type": "AWS::IVS::Channel", "Properties": {"Name": "other"}},
           "Another": {"Type": "AWS::IVS::Channel", "Properties": {"Name": "another"}}}
TO_BUCKET = {"S3": {"BucketName": {"Ref": "Bucket"}}}
TO_OTHER = {"S3": {"BucketName": "stack-recordings-2"}}

# Of each type: the kind in its ARN, attributes besides Arn, what stands beside it, properties at first, properties that
# change it in place, properties that replace it (None if none do), the operation that reads it and its member, and what
# that reads then, before and after the change.
TYPES = {
    "Channel": (
        "channel", ["IngestEndpoint", "PlaybackUrl"], {}, {"Name": "a", "Type": "BASIC", "LatencyMode": "NORMAL"},
        {"Name": "b", "Type": "ADVANCED_HD", "Authorized": True, "Preset": "CONSTRAINED_BANDWIDTH_DELIVERY"}, None,
        ("get_channel", "channel"), {"name": "a", "type": "BASIC", "latencyMode": "NORMAL", "authorized": False},
        {"name": "b", "type": "ADVANCED_HD", "latencyMode": "LOW", "authorized": True, "preset": "CONSTRAINED_BANDWIDTH_DELIVERY"}),
    "StreamKey": (
        "stream-key", ["Value"], CHANNEL, {"ChannelArn": {"Ref": "Other"}}, {"ChannelArn": {"Ref": "Other"}},
        {"ChannelArn": {"Ref": "Another"}}, ("get_stream_key", "streamKey"), {}, {}),
    "PlaybackKeyPair": (
        "playback-key", ["Fingerprint"], {}, {"Name": "a", "PublicKeyMaterial": P384}, {"Name": "a", "PublicKeyMaterial": P384},
        {"Name": "b", "PublicKeyMaterial": "NEW"}, ("get_playback_key_pair", "keyPair"), {"name": "a"}, {"name": "a"}),
    "PlaybackRestrictionPolicy": (
        "playback-restriction-policy", [], {}, {"AllowedCountries": ["DE"], "AllowedOrigins": ["https://a.example"], "Name": "a"},
        {"AllowedCountries": ["JP", "FR"], "EnableStrictOriginEnforcement": True}, None,
        ("get_playback_restriction_policy", "playbackRestrictionPolicy"),
        {"allowedCountries": ["DE"], "allowedOrigins": ["https://a.example"], "name": "a", "enableStrictOriginEnforcement": False},
        {"allowedCountries": ["JP", "FR"], "allowedOrigins": [], "name": "", "enableStrictOriginEnforcement": True}),
    "RecordingConfiguration": (
        "recording-configuration", ["State"], BUCKET, {"Name": "a", "DestinationConfiguration": TO_BUCKET},
        {"Name": "a", "DestinationConfiguration": TO_BUCKET},
        {"Name": "b", "DestinationConfiguration": TO_BUCKET, "RecordingReconnectWindowSeconds": 60,
         "ThumbnailConfiguration": {"RecordingMode": "INTERVAL", "TargetIntervalSeconds": 5}},
        ("get_recording_configuration", "recordingConfiguration"), {"name": "a", "state": "ACTIVE"}, {"name": "a"}),
    "AdConfiguration": (
        "ad-configuration", [], {}, {"Name": "a", "MediaTailorPlaybackConfigurations": playback("a")},
        {"Name": "b", "MediaTailorPlaybackConfigurations": playback("b"), "PostRollConfiguration": {"Enabled": True, "DurationSeconds": 30}},
        None, ("get_ad_configuration", "adConfiguration"),
        {"name": "a", "mediaTailorPlaybackConfigurations": [{"playbackConfigurationArn": MEDIATAILOR + "a"}]},
        {"name": "b", "mediaTailorPlaybackConfigurations": [{"playbackConfigurationArn": MEDIATAILOR + "b"}],
         "postRollConfiguration": {"enabled": True, "durationSeconds": 30}}),
}


def template(kind, properties, tags=()):
    _, attributes, beside, *_ = TYPES[kind]
    tagged = {**properties, "Tags": [{"Key": key, "Value": value} for key, value in tags]}
    outputs = {"Ref": {"Value": {"Ref": "It"}}}
    outputs |= {name: {"Value": {"Fn::GetAtt": ["It", name]}} for name in ["Arn", *attributes]}
    outputs["Sub"] = {"Value": {"Fn::Sub": "<${It.Arn}>"}}
    return json.dumps({"Resources": {**beside, "It": {"Type": f"AWS::IVS::{kind}", "Properties": tagged}}, "Outputs": outputs})


class Stack:
    def __init__(self, server, name):
        self.stacks, self.ivs, self.name = server.client("cloudformation"), server.client("ivs"), name

    def apply(self, text, ok=True):
        standing = self.status() is not None
        (self.stacks.update_stack if standing else self.stacks.create_stack)(StackName=self.name, TemplateBody=text)
        until(lambda: not self.status().endswith("IN_PROGRESS"), "the stack settles", 60)
        if ok:
            assert self.status() in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), self.reasons()
        return self.outputs()

    def status(self):
        try:
            return self.stacks.describe_stacks(StackName=self.name)["Stacks"][0]["StackStatus"]
        except botocore.exceptions.ClientError:
            return None

    def outputs(self):
        stack = self.stacks.describe_stacks(StackName=self.name)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    def reasons(self):
        events = self.stacks.describe_stack_events(StackName=self.name)["StackEvents"]
        return [f"{e['LogicalResourceId']} {e['ResourceStatus']}: {e.get('ResourceStatusReason')}" for e in events]

    def planned(self, text):
        """What a change set says of the resource: (action, replacement), or nothing."""
        self.stacks.create_change_set(StackName=self.name, ChangeSetName="look", TemplateBody=text)
        changes = self.stacks.describe_change_set(StackName=self.name, ChangeSetName="look")["Changes"]
        self.stacks.delete_change_set(StackName=self.name, ChangeSetName="look")
        changes = [change["ResourceChange"] for change in changes if change["ResourceChange"]["LogicalResourceId"] == "It"]
        return [(change["Action"], change.get("Replacement")) for change in changes]

    def delete(self):
        self.stacks.delete_stack(StackName=self.name)
        until(lambda: self.status() in (None, "DELETE_COMPLETE", "DELETE_FAILED"), "the stack is deleted", 60)
        assert self.status() != "DELETE_FAILED", self.reasons()


@pytest.fixture
def stack(shared, request):
    made = Stack(shared, "ivs-" + "".join(c for c in request.node.name if c.isalnum())[-40:])
    yield made
    if made.status() not in (None, "DELETE_COMPLETE"):
        made.delete()


@pytest.mark.parametrize("kind", TYPES)
def test_a_resource_is_made_changed_replaced_and_deleted(stack, kind):
    arn_kind, attributes, _, first, changed, replaced, (read, member), expected, expected_then = TYPES[kind]
    get = lambda arn: getattr(stack.ivs, read)(arn=arn)[member]

    made = stack.apply(template(kind, first, [("a", "b")]))
    arn = made["Ref"]
    assert arn.startswith(f"arn:aws:ivs:us-east-1:000000000000:{arn_kind}/") and made["Arn"] == arn and made["Sub"] == f"<{arn}>"
    assert set(made) == {"Ref", "Arn", "Sub", *attributes} and all(made.values())
    found = get(arn)
    assert {name: found[name] for name in expected} == expected
    assert found["tags"] == {"a": "b"}
    given = {"IngestEndpoint": "ingestEndpoint", "PlaybackUrl": "playbackUrl", "Value": "value", "Fingerprint": "fingerprint", "State": "state"}
    assert {name: found[given[name]] for name in attributes} == {name: made[name] for name in attributes}

    same = template(kind, first, [("a", "b")])
    with pytest.raises(botocore.exceptions.ClientError, match="No updates are to be performed"):
        stack.stacks.update_stack(StackName=stack.name, TemplateBody=same)
    text = template(kind, changed, [("c", "d")])
    assert stack.planned(text) == [("Modify", "False")]
    then = stack.apply(text)
    assert then["Ref"] == arn, "it is the same one"
    assert {name: value for name, value in then.items() if name != "Ref"} == {name: value for name, value in made.items() if name != "Ref"}
    found = get(arn)
    assert {name: found[name] for name in expected_then} == expected_then
    assert found["tags"] == {"c": "d"}

    if replaced:
        replaced = {name: new_key() if value == "NEW" else value for name, value in replaced.items()}
        text = template(kind, replaced)
        assert stack.planned(text) == [("Modify", "True")]
        then = stack.apply(text)
        assert then["Ref"] != arn and then["Arn"] == then["Ref"]
        if kind in ("PlaybackKeyPair", "StreamKey"):
            assert then[attributes[0]] != made[attributes[0]]
        with pytest.raises(stack.ivs.exceptions.ResourceNotFoundException):
            get(arn)
        arn = then["Ref"]
        assert get(arn)["arn"] == arn

    stack.delete()
    with pytest.raises(stack.ivs.exceptions.ResourceNotFoundException):
        get(arn)


def test_a_channel_with_what_it_refers_to_is_made_and_deleted_in_order(stack):
    body = {"Resources": {
        **BUCKET,
        "Recording": {"Type": "AWS::IVS::RecordingConfiguration", "Properties": {"DestinationConfiguration": TO_BUCKET}},
        "Channel": {"Type": "AWS::IVS::Channel", "Properties": {"Name": "whole", "RecordingConfigurationArn": {"Fn::GetAtt": ["Recording", "Arn"]}}},
        "Key": {"Type": "AWS::IVS::StreamKey", "Properties": {"ChannelArn": {"Ref": "Channel"}}},
    }, "Outputs": {"Channel": {"Value": {"Ref": "Channel"}}, "Recording": {"Value": {"Ref": "Recording"}}}}
    made = stack.apply(json.dumps(body))
    assert stack.ivs.get_channel(arn=made["Channel"])["channel"]["recordingConfigurationArn"] == made["Recording"]
    # Another recording configuration: the new one is made, the channel changed, the old one deleted.
    body["Resources"]["Recording"]["Properties"]["Name"] = "second"
    then = stack.apply(json.dumps(body))
    assert then["Channel"] == made["Channel"] and then["Recording"] != made["Recording"]
    assert stack.ivs.get_channel(arn=then["Channel"])["channel"]["recordingConfigurationArn"] == then["Recording"]
    listed = stack.ivs.list_recording_configurations()["recordingConfigurations"]
    assert [one["arn"] for one in listed] == [then["Recording"]]
    stack.delete()
    assert stack.ivs.list_recording_configurations()["recordingConfigurations"] == []


@pytest.mark.parametrize("kind, properties, told", [
    ("Channel", {"Nane": "x"}, ['resource "It"', 'unknown property "Nane"', "Name"]),
    ("Channel", {"Type": "BASICS"}, ['resource "It"', 'property "Type"', "BASIC", '"BASICS"']),
    ("Channel", {"Authorized": "perhaps"}, ['resource "It"', 'property "Authorized"', "true or false"]),
    ("StreamKey", {}, ['resource "It"', '"ChannelArn" is missing']),
    ("PlaybackKeyPair", {"Name": "x"}, ['resource "It"', '"PublicKeyMaterial" is missing']),
    ("PlaybackRestrictionPolicy", {"AllowedCountries": {"DE": 1}}, ['resource "It"', 'property "AllowedCountries"', "a list"]),
    ("RecordingConfiguration", {"DestinationConfiguration": {"S3": {}}}, ['resource "It"', 'DestinationConfiguration.S3.BucketName" is missing (expected text)']),
    ("RecordingConfiguration", {"DestinationConfiguration": TO_OTHER, "RecordingReconnectWindowSeconds": 301},
     ['resource "It"', 'property "RecordingReconnectWindowSeconds"', "0 to 300", "301"]),
    ("AdConfiguration", {"MediaTailorPlaybackConfigurations": playback("a"), "PostRollConfiguration": {"Enabled": True}},
     ['resource "It"', 'PostRollConfiguration.DurationSeconds" is missing', "1 to 300"]),
])
def test_a_mistake_is_told_with_resource_property_and_what_was_expected_before_anything_is_made(stack, kind, properties, told):
    body = json.dumps({"Resources": {"It": {"Type": f"AWS::IVS::{kind}", "Properties": properties}}})
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        stack.stacks.create_stack(StackName=stack.name, TemplateBody=body)
    assert caught.value.response["Error"]["Code"] == "ValidationError"
    message = caught.value.response["Error"]["Message"]
    assert all(word in message for word in told), message
    assert "line 1" in message and stack.status() is None


@pytest.mark.parametrize("kind, properties, told", [
    ("Channel", {"Name": "a b"}, "name may have up to 128 characters"),
    ("StreamKey", {"ChannelArn": "arn:aws:ivs:us-east-1:000000000000:channel/none"}, "does not exist"),
    ("PlaybackKeyPair", {"PublicKeyMaterial": "no key"}, "publicKeyMaterial"),
    ("PlaybackRestrictionPolicy", {"AllowedCountries": ["Germany"]}, "allowedCountries"),
    ("RecordingConfiguration", {"DestinationConfiguration": TO_OTHER}, "there is no bucket"),
    ("AdConfiguration", {"MediaTailorPlaybackConfigurations": []}, "mediaTailorPlaybackConfigurations"),
])
def test_what_only_ivs_can_refuse_is_told_in_the_resources_event_and_rolled_back(stack, kind, properties, told):
    body = json.dumps({"Resources": {"It": {"Type": f"AWS::IVS::{kind}", "Properties": properties}}})
    stack.apply(body, ok=False)
    assert stack.status() == "ROLLBACK_COMPLETE"
    failed = [reason for reason in stack.reasons() if reason.startswith("It CREATE_FAILED")]
    assert len(failed) == 1 and told in failed[0], stack.reasons()


@pytest.mark.parametrize("kind", ["Stage", "PublicKey", "EncoderConfiguration", "StorageConfiguration", "IngestConfiguration"])
def test_a_type_of_ivs_that_is_not_here_is_told_by_its_name(stack, kind):
    body = json.dumps({"Resources": {"It": {"Type": f"AWS::IVS::{kind}"}}})
    with pytest.raises(botocore.exceptions.ClientError, match=f'resource "It": unknown resource type "AWS::IVS::{kind}"'):
        stack.stacks.create_stack(StackName=stack.name, TemplateBody=body)
