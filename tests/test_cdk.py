"""The AWS CDK, unchanged, with its default synthesizer: nothing is bootstrapped before. tests/cdk is the application."""

import json
import os
import subprocess

import botocore.exceptions
import pytest

from conftest import ROOT

FOLDER = ROOT / "tests" / "cdk"


@pytest.fixture
def cdk(server, tmp_path):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))}
    environment = {**kept, **server.aws_environment(), "HOME": str(tmp_path), "CI": "true", "CDK_DISABLE_CLI_TELEMETRY": "true"}

    def run(*arguments, ok=True):
        done = subprocess.run(
            ["node_modules/.bin/cdk", *arguments, "--output", tmp_path / "cdk.out", "--no-notices"], cwd=FOLDER, env=environment,
            capture_output=True, text=True, timeout=150, stdin=subprocess.DEVNULL,
        )
        said = done.stdout + done.stderr
        if ok and done.returncode != 0:
            pytest.fail(f"cdk {' '.join(map(str, arguments))}: {said}\n{server.log.read_text()[-3000:]}")
        return done.returncode, said

    return run


@pytest.mark.timeout(420)
def test_an_application_is_deployed_changed_and_destroyed_without_a_bootstrap(server, cdk, tmp_path):
    iam, s3, ivs, ssm = (server.client(name) for name in ("iam", "s3", "ivs", "ssm"))
    assert s3.list_buckets()["Buckets"] == [] and iam.list_roles()["Roles"] == [], "nothing stands before the CDK asks for it"

    outputs = tmp_path / "outputs.json"
    _, said = cdk("deploy", "--require-approval", "never", "--outputs-file", outputs)
    assert "could not be used to assume" not in said, "the CDK's roles can be taken"
    made = json.loads(outputs.read_text())["LiveByCdk"]
    channel = ivs.get_channel(arn=made["ChannelArn"])["channel"]
    assert channel["name"] == "by-cdk"
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["cdk-hnb659fds-assets-000000000000-us-east-1"]
    assets = [one["Key"] for one in s3.list_objects_v2(Bucket="cdk-hnb659fds-assets-000000000000-us-east-1")["Contents"]]
    assert sorted(asset.rsplit(".", 1)[1] for asset in assets) == ["json", "zip"], assets
    answer = server.client("lambda").invoke(FunctionName=made["FunctionName"], Payload='{"a": 1}')
    assert json.loads(answer["Payload"].read()) == {"heard": {"a": 1}, "channel": made["ChannelArn"]}
    assert ssm.get_parameter(Name=made["ParameterName"])["Parameter"]["Value"] == channel["playbackUrl"]
    stack = server.client("cloudformation").describe_stacks(StackName="LiveByCdk")["Stacks"][0]
    assert {p["ParameterKey"]: p["ParameterValue"] for p in stack["Parameters"]} == {
        "BootstrapVersion": "/cdk-bootstrap/hnb659fds/version"}

    _, said = cdk("bootstrap")
    assert "bootstrapped (no changes)" in said, said

    code, said = cdk("diff", "--fail")
    assert code == 0 and "There were no differences" in said, said
    code, said = cdk("diff", "--fail", "--context", "name=other", ok=False)
    assert code == 1 and "by-cdk" in said and "other" in said, said
    cdk("deploy", "--require-approval", "never", "--context", "name=other")
    assert ivs.get_channel(arn=made["ChannelArn"])["channel"]["name"] == "other"
    assert "LiveByCdk" in cdk("list")[1]

    cdk("destroy", "--force")
    assert ivs.list_channels()["channels"] == [] and server.client("lambda").list_functions()["Functions"] == []
    with pytest.raises(botocore.exceptions.ClientError, match="ParameterNotFound"):
        ssm.get_parameter(Name=made["ParameterName"])
    left = sorted(role["RoleName"] for role in iam.list_roles()["Roles"])
    assert left == sorted(f"cdk-hnb659fds-{purpose}-000000000000-us-east-1" for purpose in (
        "cfn-exec-role", "deploy-role", "file-publishing-role", "image-publishing-role", "lookup-role")), "of the CDK's own"


@pytest.mark.timeout(300)
def test_a_bootstrap_before_the_first_deploy_finds_nothing_to_do(server, cdk):
    _, said = cdk("bootstrap")
    assert "bootstrapped (no changes)" in said, said
    stacks = server.client("cloudformation")
    toolkit = stacks.describe_stacks(StackName="CDKToolkit")["Stacks"][0]
    assert toolkit["StackStatus"] == "CREATE_COMPLETE"
    assert {o["OutputKey"]: o["OutputValue"] for o in toolkit["Outputs"]}["BucketName"] == "cdk-hnb659fds-assets-000000000000-us-east-1"
    # It is a stack like others: it goes, and comes again when it is asked for.
    stacks.delete_stack(StackName="CDKToolkit")
    stacks.get_waiter("stack_delete_complete").wait(StackName=toolkit["StackId"], WaiterConfig={"Delay": 1})
    assert server.client("s3").list_buckets()["Buckets"] == [] and server.client("iam").list_roles()["Roles"] == []
    assert server.client("ssm").get_parameter(Name="/cdk-bootstrap/hnb659fds/version")["Parameter"]["Value"] == "1000"
    assert stacks.describe_stacks(StackName="CDKToolkit")["Stacks"][0]["StackId"] != toolkit["StackId"]


def test_a_template_of_the_cdk_that_wants_a_newer_bootstrap_is_refused_by_its_rule(server):
    assert server.client("ssm").get_parameter(Name="/cdk-bootstrap/hnb659fds/version")["Parameter"]["Value"] == "1000"
    old = ["1", "2", "1000"]
    body = {
        "Parameters": {"BootstrapVersion": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/cdk-bootstrap/hnb659fds/version"}},
        "Rules": {"CheckBootstrapVersion": {"Assertions": [{
            "Assert": {"Fn::Not": [{"Fn::Contains": [old, {"Ref": "BootstrapVersion"}]}]},
            "AssertDescription": "CDK bootstrap stack version 1001 required."}]}},
        "Resources": {"C": {"Type": "AWS::IVS::Channel"}},
    }
    stacks = server.client("cloudformation")
    with pytest.raises(botocore.exceptions.ClientError, match="CheckBootstrapVersion.*version 1001 required"):
        stacks.create_stack(StackName="old", TemplateBody=json.dumps(body))
    body["Rules"]["CheckBootstrapVersion"]["Assertions"][0]["Assert"]["Fn::Not"][0]["Fn::Contains"][0] = ["1", "2"]
    stacks.create_stack(StackName="new", TemplateBody=json.dumps(body))
    parameters = stacks.describe_stacks(StackName="new")["Stacks"][0]["Parameters"]
    assert [p["ParameterValue"] for p in parameters] == ["/cdk-bootstrap/hnb659fds/version"]


def test_only_who_may_take_a_role_of_the_cdk_has_it_made(server):
    iam = server.client("iam")
    iam.create_user(UserName="nobody")
    key = iam.create_access_key(UserName="nobody")["AccessKey"]
    user = server.client("sts", access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])
    arn = "arn:aws:iam::000000000000:role/cdk-hnb659fds-deploy-role-000000000000-us-east-1"
    with pytest.raises(botocore.exceptions.ClientError, match="AccessDenied"):
        user.assume_role(RoleArn=arn, RoleSessionName="cdk")
    read = {"Effect": "Allow", "Action": ["ssm:Get*", "cloudformation:Describe*"], "Resource": "*"}
    iam.put_user_policy(UserName="nobody", PolicyName="read", PolicyDocument=json.dumps({"Statement": [read]}))
    client = lambda service: server.client(service, access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])
    with pytest.raises(botocore.exceptions.ClientError, match="ParameterNotFound"):
        client("ssm").get_parameter(Name="/cdk-bootstrap/hnb659fds/version")
    with pytest.raises(botocore.exceptions.ClientError, match="does not exist"):
        client("cloudformation").describe_stacks(StackName="CDKToolkit")
    assert iam.list_roles()["Roles"] == []
    taken = server.client("sts").assume_role(RoleArn=arn, RoleSessionName="cdk")["Credentials"]
    assert taken["SessionToken"] and len(iam.list_roles()["Roles"]) == 5
    with pytest.raises(botocore.exceptions.ClientError, match="AccessDenied"):
        user.assume_role(RoleArn=arn, RoleSessionName="cdk")
