"""The AWS CLI and boto3, unchanged, against the server: the calls that a person makes."""

import json
import time

import botocore.exceptions
import pytest

from conftest import ROOT, live_stream, until

EXAMPLES = ROOT / "examples"


def test_a_stack_through_the_cli(shared, encoders):
    shared.aws("cloudformation", "create-stack", "--stack-name", "live", "--template-body", f"file://{EXAMPLES}/live.yaml",
               "--capabilities", "CAPABILITY_NAMED_IAM")
    shared.aws("cloudformation", "wait", "stack-create-complete", "--stack-name", "live")
    stack = shared.aws_json("cloudformation", "describe-stacks", "--stack-name", "live")["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    outputs = {o["OutputKey"]: o["OutputValue"] for o in stack["Outputs"]}
    assert outputs == shared.outputs("live")
    events = shared.aws_json("cloudformation", "describe-stack-events", "--stack-name", "live")["StackEvents"]
    assert events[0]["ResourceStatus"] == "CREATE_COMPLETE" and events[0]["ResourceType"] == "AWS::CloudFormation::Stack"
    assert events[-1]["ResourceStatusReason"] == "User Initiated"

    channel = shared.aws_json("ivs", "list-channels")["channels"][0]["arn"]
    missing = shared.aws("ivs", "get-stream", "--channel-arn", channel, ok=False)
    assert "ChannelNotBroadcasting" in missing.stderr
    with live_stream(shared, encoders):
        stream = shared.aws_json("ivs", "get-stream", "--channel-arn", channel)["stream"]
        assert stream["state"] == "LIVE" and stream["channelArn"] == channel
        shared.aws("ivs", "put-metadata", "--channel-arn", channel, "--metadata", "hello viewers")
        until(lambda: "hello viewers" in shared.media_playlist(outputs["PlaybackUrl"])[1]
              or "EXT-X-DATERANGE" in shared.media_playlist(outputs["PlaybackUrl"])[1], "the cue is in the playlist")
        conflict = shared.aws("ivs", "delete-channel", "--arn", channel, ok=False)
        assert "ConflictException" in conflict.stderr

    shared.aws("cloudformation", "delete-stack", "--stack-name", "live")
    shared.aws("cloudformation", "wait", "stack-delete-complete", "--stack-name", "live")
    assert shared.aws_json("ivs", "list-channels")["channels"] == []
    gone = shared.aws("cloudformation", "describe-stacks", "--stack-name", "live", ok=False)
    assert "Stack with id live does not exist" in gone.stderr


def test_s3_through_the_cli(shared, tmp_path):
    shared.aws("s3", "mb", "s3://films")
    source = tmp_path / "a file.txt"
    source.write_text("twelve bytes")
    shared.aws("s3", "cp", str(source), "s3://films/folder/a file.txt")
    assert "a file.txt" in shared.aws("s3", "ls", "s3://films/folder/").stdout
    assert "films" in shared.aws("s3", "ls").stdout
    back = tmp_path / "back.txt"
    shared.aws("s3", "cp", "s3://films/folder/a file.txt", str(back))
    assert back.read_text() == "twelve bytes"
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(range(256)) * 4 * 1024 * 20)  # 20 MiB: the CLI uploads it in parts
    shared.aws("s3", "cp", str(large), "s3://films/large.bin")
    shared.aws("s3", "cp", "s3://films/large.bin", str(back))
    assert back.read_bytes() == large.read_bytes()
    assert "films" in shared.aws("s3", "rb", "s3://films", "--force").stdout


def test_an_object_is_public_only_by_policy(shared):
    s3 = shared.client("s3")
    s3.create_bucket(Bucket="pages")
    s3.put_bucket_website(Bucket="pages", WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}})
    s3.put_object(Bucket="pages", Key="index.html", Body=b"<p>hi", ContentType="text/html")
    site = f"http://pages.s3-website.localhost:{shared.web_port}/"
    assert shared.get(site).status == 403
    policy = {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::pages/*"}]}
    s3.put_bucket_policy(Bucket="pages", Policy=json.dumps(policy))
    page = shared.get(site)
    assert page.status == 200 and page.headers["Content-Type"].startswith("text/html")
    assert shared.get(site, headers={"If-None-Match": page.headers["ETag"]}).status == 304
    assert shared.get(site, headers={"Range": "bytes=1-1"}).body == b"p"
    assert shared.get("/website/pages/").body == b"<p>hi"
    for path in ("..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd"):
        assert shared.get(site + path).status in (400, 403, 404)


ROLE = json.dumps({"Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]})


def inline_zip(source):
    import io
    import zipfile
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.py", source)
    return buffer.getvalue()


def make_function(server, name, source, statements, **settings):
    iam, functions = server.client("iam"), server.client("lambda")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=ROLE)
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps({"Statement": statements}))
    role = iam.get_role(RoleName=name)["Role"]["Arn"]
    functions.create_function(FunctionName=name, Role=role, Runtime="python3.12", Handler="index.handler",
                              Code={"ZipFile": inline_zip(source)}, **settings)


PUT = """
import boto3, json
def handler(event, context):
    print("asked for", event["arn"])
    boto3.client("ivs").put_metadata(channelArn=event["arn"], metadata="x")
    return "done"
"""


def test_a_function_may_do_only_what_its_role_may(shared, tmp_path):
    make_function(shared, "denied", PUT, [{"Effect": "Allow", "Action": "ivs:GetStream", "Resource": "*"}], Timeout=30)
    channel = shared.client("ivs").create_channel(name="c")["channel"]["arn"]
    answer = shared.client("lambda").invoke(FunctionName="denied", Payload=json.dumps({"arn": channel}))
    body = json.loads(answer["Payload"].read())
    assert answer["FunctionError"] == "Unhandled" and "AccessDenied" in body["errorMessage"], body
    make_function(shared, "allowed", PUT, [{"Effect": "Allow", "Action": "ivs:PutMetadata", "Resource": channel}], Timeout=30)
    answer = shared.client("lambda").invoke(FunctionName="allowed", Payload=json.dumps({"arn": channel}))
    assert "ChannelNotBroadcasting" in json.loads(answer["Payload"].read())["errorType"]
    assert "asked for" in shared.cli("logs", "allowed").stdout
    tail = shared.aws("logs", "filter-log-events", "--log-group-name", "/aws/lambda/allowed").stdout
    assert "asked for" in tail and "START RequestId" in tail and "REPORT RequestId" in tail
    out = tmp_path / "out.json"
    meta = shared.aws_json("lambda", "invoke", "--function-name", "allowed", "--payload", "{}",
                           str(out))
    assert meta["StatusCode"] == 200 and "KeyError" in out.read_text()


def test_time_and_memory_limits_kill(shared):
    functions = shared.client("lambda")
    make_function(shared, "sleeper", "import time\ndef handler(e, c): time.sleep(60)", [], Timeout=1)
    began = time.monotonic()
    answer = functions.invoke(FunctionName="sleeper")
    assert "Task timed out after 1.00 seconds" in answer["Payload"].read().decode() and time.monotonic() - began < 10
    hungry = "def handler(e, c):\n    x = bytearray(600 * 1024 * 1024)\n    for i in range(0, len(x), 4096): x[i] = 1\n    import time; time.sleep(20)"
    make_function(shared, "hungry", hungry, [], Timeout=25, MemorySize=128)
    answer = functions.invoke(FunctionName="hungry")
    assert answer.get("FunctionError") and time.monotonic() - began < 25
    lazy = "def handler(e, c): return e"
    make_function(shared, "lazy", lazy, [])
    assert json.loads(functions.invoke(FunctionName="lazy", Payload=b'{"a": [1]}')["Payload"].read()) == {"a": [1]}


def test_rules_bring_events_to_functions(shared):
    make_function(shared, "listener", "def handler(e, c): print('heard', e['detail']['n'])", [])
    events, functions = shared.client("events"), shared.client("lambda")
    rule = events.put_rule(Name="numbers", EventPattern=json.dumps({"source": ["mine"], "detail": {"n": [{"numeric": [">", 1]}]}}))["RuleArn"]
    arn = functions.get_function(FunctionName="listener")["Configuration"]["FunctionArn"]
    events.put_targets(Rule="numbers", Targets=[{"Id": "f", "Arn": arn}])
    functions.add_permission(FunctionName="listener", StatementId="s", Action="lambda:InvokeFunction",
                             Principal="events.amazonaws.com", SourceArn=rule)
    sent = events.put_events(Entries=[{"Source": "mine", "DetailType": "d", "Detail": json.dumps({"n": n})} for n in (1, 2, 3)])
    assert sent["FailedEntryCount"] == 0
    until(lambda: {"heard 2", "heard 3"} <= set(l.split("\t")[-1].strip() for l in shared.cli("logs", "listener").stdout.splitlines())
          or all(w in shared.cli("logs", "listener").stdout for w in ("heard 2", "heard 3")), "both events")
    assert "heard 1" not in shared.cli("logs", "listener").stdout


def test_ivs_errors_are_those_of_the_service(shared):
    ivs = shared.client("ivs")
    made = ivs.create_channel()
    arn = made["channel"]["arn"]
    assert made["channel"]["type"] == "STANDARD" and made["channel"]["latencyMode"] == "LOW" and made["channel"]["tags"] == {}
    for call, code, status in (
        (lambda: ivs.create_stream_key(channelArn=arn), "ServiceQuotaExceededException", 402),
        (lambda: ivs.create_channel(name="a b"), "ValidationException", 400),
        (lambda: ivs.get_stream(channelArn=arn), "ChannelNotBroadcasting", 404),
        (lambda: ivs.get_channel(arn=arn[:-3] + "zzz"), "ResourceNotFoundException", 404),
        (lambda: ivs.put_metadata(channelArn=arn, metadata="x" * 1025), "ValidationException", 400),
        (lambda: ivs.list_channels(filterByName="a", filterByRecordingConfigurationArn="arn:aws:ivs:us-east-1:000000000000:recording-configuration/abc"), "ConflictException", 409),
    ):
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            call()
        error = caught.value.response
        assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == (code, status), error
        assert error["Error"]["Message"]
    keys = ivs.list_stream_keys(channelArn=arn)["streamKeys"]
    assert len(keys) == 1 and "value" not in keys[0]
    assert ivs.delete_channel(arn=arn)["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_a_wrong_secret_is_refused(shared):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        shared.client("ivs", secret_key="wrong").list_channels()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    identity = shared.client("sts").get_caller_identity()
    assert identity["Account"] == "000000000000"
