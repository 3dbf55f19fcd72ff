"""No secret in any log, metric, event, URL or error: calls of every kind at the log level trace, then everything is read."""

import contextlib
import io
import json
import urllib.parse
import zipfile

import boto3
import botocore.config
import botocore.exceptions
import pytest

from conftest import Server, fetch, until

TRUST = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": ["sts:AssumeRole", "sts:TagSession"]},
    {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
]}
ALLOW = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
TEMPLATE = {
    "Parameters": {"Password": {"Type": "String", "NoEcho": True}},
    "Resources": {
        "Channel": {"Type": "AWS::IVS::Channel", "Properties": {"Name": "templated", "Tags": []}},
        "Key": {"Type": "AWS::IVS::StreamKey", "Properties": {"ChannelArn": {"Ref": "Channel"}}},
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}},
        "Function": {"Type": "AWS::Lambda::Function", "Properties": {
            "Runtime": "python3.12", "Handler": "index.handler", "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "Environment": {"Variables": {"PASSWORD": {"Ref": "Password"}}},
            "Code": {"ZipFile": "def handler(event, context):\n    return 'done'\n"}}},
    },
}
HANDLER = "import os\n\ndef handler(event, context):\n    return len(os.environ['PASSWORD'] + os.environ['AWS_SESSION_TOKEN'])\n"


@pytest.fixture
def chatty(tmp_path):
    server = Server(tmp_path)
    server.start("serve", flags=("--log-filter", "trace"))
    yield server
    if server.process.poll() is None:
        server.stop()


class Told:
    """Secrets by what they are, and every answer that has no business to hold one."""

    def __init__(self):
        self.secrets, self.answers = {}, []

    def secret(self, what, value):
        assert value and len(value) >= 8, what
        self.secrets[what] = value
        return value

    @contextlib.contextmanager
    def refused(self):
        with pytest.raises(botocore.exceptions.ClientError) as error:
            yield
        self.answers.append(json.dumps(error.value.response, default=str))

    def fetched(self, *arguments, **options):
        answer = fetch(*arguments, **options)
        self.answers.append(f"{answer.status} {answer.headers} {answer.body.decode(errors='replace')}")
        return answer


def test_no_secret_is_told(chatty, encoders):
    told = Told()
    variables = chatty.aws_environment()
    told.secret("the owner's secret", variables["AWS_SECRET_ACCESS_KEY"])
    keys_and_roles(chatty, told)
    streams(chatty, told, encoders)
    functions_and_templates(chatty, told)
    objects(chatty, told)
    broken_requests(chatty, told, variables)
    told.fetched(f"{chatty.api}/metrics")
    told.answers += [chatty.cli("events", "--replay-from", "1", "--json").stdout, chatty.cli("stacks", "--json").stdout]
    chatty.stop()
    log = chatty.log.read_text()
    # It was a log below the usual level, of all these calls.
    for line in ("DEBUG", "a signature does not stand", "a request is refused", "stream is live", "function invoked"):
        assert line in log, line
    for what, secret in told.secrets.items():
        for form in {secret, urllib.parse.quote(secret, safe="")}:
            at = log.find(form)
            assert at < 0, f"{what} is in the log: {log[max(0, at - 300):at]}"
            for answer in told.answers:
                assert form not in answer, f"{what} is in an answer: {answer}"


def keys_and_roles(server, told):
    iam = server.client("iam")
    iam.create_user(UserName="ann")
    iam.put_user_policy(UserName="ann", PolicyName="all", PolicyDocument=json.dumps(ALLOW))
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    told.secret("a user's secret", key["SecretAccessKey"])
    told.answers += [json.dumps(call, default=str) for call in (iam.list_access_keys(UserName="ann"), iam.get_user(UserName="ann"))]
    role = iam.create_role(RoleName="role", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
    sts = server.client("sts", access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])
    external = told.secret("an external id", "partner-external-id-1729")
    session = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="session", ExternalId=external,
                              Tags=[{"Key": "team", "Value": "a"}], Policy=json.dumps(ALLOW))["Credentials"]
    told.secret("a session's secret", session["SecretAccessKey"])
    told.secret("a session token", session["SessionToken"])
    taken = {"access_key": session["AccessKeyId"], "secret_key": session["SecretAccessKey"], "token": session["SessionToken"]}
    told.answers.append(json.dumps(server.client("sts", **taken).get_caller_identity(), default=str))
    own = sts.get_session_token()["Credentials"]
    told.secret("a user's session token", own["SessionToken"])
    wrong_secret = told.secret("a wrong secret", "wrong" * 8)
    with told.refused():
        server.client("sts", access_key=key["AccessKeyId"], secret_key=wrong_secret).get_caller_identity()
    wrong_token = told.secret("a wrong token", "token" * 8)
    with told.refused():
        server.client("sts", **{**taken, "token": wrong_token}).get_caller_identity()
    with told.refused():
        server.client("ivs", **taken).get_channel(arn="arn:aws:ivs:us-east-1:000000000000:channel/absent")
    iam.update_access_key(UserName="ann", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    with told.refused():
        sts.get_caller_identity()


def streams(server, told, encoders):
    ivs = server.client("ivs")
    made = ivs.create_channel(name="open", type="BASIC")
    key = told.secret("a stream key", made["streamKey"]["value"])
    guessed = told.secret("a guessed stream key", "sk_us-east-1_GuessedGuessed")
    encoders(f"rtmp://127.0.0.1:{server.rtmp_port}/app/{guessed}", seconds=1).wait()
    encoder = encoders(f"rtmp://127.0.0.1:{server.rtmp_port}/app/{key}")
    until(lambda: ivs.list_streams()["streams"], "the stream is live", 30)
    told.answers += [json.dumps(call, default=str) for call in (
        ivs.list_channels(), ivs.list_stream_keys(channelArn=made["channel"]["arn"]), ivs.get_channel(arn=made["channel"]["arn"]),
        ivs.get_stream(channelArn=made["channel"]["arn"]), ivs.list_stream_sessions(channelArn=made["channel"]["arn"]))]
    with told.refused():
        ivs.create_stream_key(channelArn=made["channel"]["arn"])
    token = told.secret("a playback token", "eyJhbGciOiJFUzM4NCJ9.eyJhd3M6Y2hhbm5lbC1hcm4iOiJ4In0.c2lnbmF0dXJlLW9mLWEtdG9rZW4")
    private = ivs.create_channel(name="private", authorized=True)["channel"]
    told.secret("a private channel's stream key", ivs.get_stream_key(
        arn=ivs.list_stream_keys(channelArn=private["arn"])["streamKeys"][0]["arn"])["streamKey"]["value"])
    for url in (made["channel"]["playbackUrl"], private["playbackUrl"]):
        path = urllib.parse.urlsplit(url).path
        told.fetched(f"http://127.0.0.1:{server.web_port}{path}?token={token}")
    encoder.stop()


def functions_and_templates(server, told):
    password = told.secret("a NoEcho parameter", "hunter2-hunter2-hunter2")
    cloudformation = server.client("cloudformation")
    cloudformation.create_stack(StackName="secret", TemplateBody=json.dumps(TEMPLATE), Capabilities=["CAPABILITY_IAM"],
                                Parameters=[{"ParameterKey": "Password", "ParameterValue": password}])
    cloudformation.get_waiter("stack_create_complete").wait(StackName="secret", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    told.answers += [json.dumps(call, default=str) for call in (
        cloudformation.describe_stacks(StackName="secret"), cloudformation.describe_stack_events(StackName="secret"),
        cloudformation.describe_stack_resources(StackName="secret"))]
    with told.refused():
        cloudformation.create_stack(StackName="broken", TemplateBody=json.dumps({**TEMPLATE, "Resources": {"A": {"Type": "No"}}}),
                                    Parameters=[{"ParameterKey": "Password", "ParameterValue": password}])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.py", HANDLER)
    setting = told.secret("a function's setting", "correct-horse-battery-staple")
    functions = server.client("lambda")
    role = server.client("iam").get_role(RoleName="role")["Role"]["Arn"]
    functions.create_function(FunctionName="f", Runtime="python3.12", Handler="index.handler", Role=role,
                              Code={"ZipFile": packed.getvalue()}, Environment={"Variables": {"PASSWORD": setting}})
    answer = functions.invoke(FunctionName="f")
    assert int(answer["Payload"].read()) > len(setting), answer
    told.answers.append(server.cli("logs", "f").stdout)


def objects(server, told):
    s3 = server.client("s3")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="key", Body=b"bytes")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "key"}, ExpiresIn=60)
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)
    told.secret("a presigned URL's signature", (query.get("X-Amz-Signature") or query["Signature"])[0])
    assert told.fetched(url).body == b"bytes"
    wrong = told.secret("another wrong secret", "badsecret" * 5)
    variables = server.aws_environment()
    other = boto3.client("s3", endpoint_url=variables["AWS_ENDPOINT_URL"], region_name="us-east-1",
                         aws_access_key_id=variables["AWS_ACCESS_KEY_ID"], aws_secret_access_key=wrong,
                         config=botocore.config.Config(retries={"max_attempts": 0}))
    with told.refused():
        other.list_objects_v2(Bucket="bucket")


def broken_requests(server, told, variables):
    """Requests that are no requests, with secrets where they do not belong."""
    token = told.secret("a token in a broken request", "FQoGZXIvYXdzEBYaDexampletoken")
    headers = {"X-Amz-Security-Token": token, "Authorization": f"AWS4-HMAC-SHA256 Credential={token}", "X-Amz-Date": "20261124T000000Z"}
    told.fetched(f"{server.api}/ListChannels", method="POST", body=b"{}", headers={**headers, "Content-Type": "application/json"})
    told.fetched(f"{server.api}/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Security-Token={token}&Action=GetCallerIdentity")
    told.fetched(f"{server.api}/_headwater/cloudformation/response/{token}", method="PUT", body=b"{}")
    told.fetched(f"{server.web}/{token}")
    told.fetched(f"{server.api}/{token}?{token}", headers={"Authorization": f"Bearer {token}"})
