"""CloudWatch, STS, IAM and CloudFormation: raw answers, of errors too, against botocore's service models."""

import datetime
import json
import re

import botocore.exceptions
import pytest

from conftest import ROOT, until
from model import MODELS, QueryRecorder, Raw

TRUST = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]}]})
ALLOW = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ivs:*", "Resource": "*"}]})
NOW = datetime.datetime.now(datetime.timezone.utc).replace(second=0, microsecond=0)


@pytest.fixture
def recorded(shared):
    def make(service):
        return QueryRecorder(shared.client(service), service)
    return make


def refused(recorder, code, status, name, **members):
    """A call that is refused with this code, in the shape of the model."""
    before = len(recorder.errors)
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        getattr(recorder.client, name)(**members)
    error = caught.value.response
    assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == (code, status), error
    assert error["Error"]["Message"] and error["ResponseMetadata"]["RequestId"], error
    assert len(recorder.errors) == before + 1


def test_iam(recorded):
    recorder = recorded("iam")
    iam = recorder.client
    bad = {"AssumeRolePolicyDocument": "{"}
    iam.create_role(RoleName="c", AssumeRolePolicyDocument=TRUST, Description="d", MaxSessionDuration=7200,
                    Tags=[{"Key": "a", "Value": "b"}])
    refused(recorder, "EntityAlreadyExists", 409, "create_role", RoleName="c", AssumeRolePolicyDocument=TRUST)
    refused(recorder, "MalformedPolicyDocument", 400, "create_role", RoleName="bad", **bad)
    refused(recorder, "ValidationError", 400, "create_role", RoleName="a b", AssumeRolePolicyDocument=TRUST)
    iam.get_role(RoleName="c")
    refused(recorder, "NoSuchEntity", 404, "get_role", RoleName="nobody")
    iam.list_roles()
    iam.update_role(RoleName="c", Description="e")
    iam.update_assume_role_policy(RoleName="c", PolicyDocument=TRUST)
    refused(recorder, "MalformedPolicyDocument", 400, "update_assume_role_policy", RoleName="c", PolicyDocument="[]")
    iam.put_role_policy(RoleName="c", PolicyName="p", PolicyDocument=ALLOW)
    refused(recorder, "MalformedPolicyDocument", 400, "put_role_policy", RoleName="c", PolicyName="q", PolicyDocument="{}x")
    iam.get_role_policy(RoleName="c", PolicyName="p")
    refused(recorder, "NoSuchEntity", 404, "get_role_policy", RoleName="c", PolicyName="q")
    iam.list_role_policies(RoleName="c")
    iam.tag_role(RoleName="c", Tags=[{"Key": "c", "Value": "d"}])
    iam.untag_role(RoleName="c", TagKeys=["a"])
    assert iam.list_role_tags(RoleName="c")["Tags"] == [{"Key": "c", "Value": "d"}]
    policy = iam.create_policy(PolicyName="m", PolicyDocument=ALLOW)["Policy"]["Arn"]
    refused(recorder, "EntityAlreadyExists", 409, "create_policy", PolicyName="m", PolicyDocument=ALLOW)
    iam.get_policy(PolicyArn=policy)
    iam.get_policy_version(PolicyArn=policy, VersionId="v1")
    refused(recorder, "NoSuchEntity", 404, "get_policy", PolicyArn=policy + "x")
    iam.list_policies(Scope="Local")
    iam.attach_role_policy(RoleName="c", PolicyArn=policy)
    iam.list_attached_role_policies(RoleName="c")
    refused(recorder, "DeleteConflict", 409, "delete_policy", PolicyArn=policy)
    refused(recorder, "DeleteConflict", 409, "delete_role", RoleName="c")
    iam.detach_role_policy(RoleName="c", PolicyArn=policy)
    refused(recorder, "NoSuchEntity", 404, "detach_role_policy", RoleName="c", PolicyArn=policy)
    iam.create_user(UserName="u")
    refused(recorder, "EntityAlreadyExists", 409, "create_user", UserName="u")
    iam.get_user(UserName="u")
    iam.list_users()
    iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=ALLOW)
    iam.get_user_policy(UserName="u", PolicyName="p")
    iam.list_user_policies(UserName="u")
    iam.attach_user_policy(UserName="u", PolicyArn=policy)
    iam.list_attached_user_policies(UserName="u")
    key = iam.create_access_key(UserName="u")["AccessKey"]["AccessKeyId"]
    iam.list_access_keys(UserName="u")
    iam.update_access_key(UserName="u", AccessKeyId=key, Status="Inactive")
    refused(recorder, "NoSuchEntity", 404, "update_access_key", UserName="u", AccessKeyId="AKIA" + "X" * 16, Status="Active")
    refused(recorder, "DeleteConflict", 409, "delete_user", UserName="u")
    iam.delete_access_key(UserName="u", AccessKeyId=key)
    iam.detach_user_policy(UserName="u", PolicyArn=policy)
    iam.delete_user_policy(UserName="u", PolicyName="p")
    iam.delete_user(UserName="u")
    iam.delete_policy(PolicyArn=policy)
    iam.delete_role_policy(RoleName="c", PolicyName="p")
    iam.delete_role(RoleName="c")
    refused(recorder, "NoSuchEntity", 404, "delete_role", RoleName="c")
    assert recorder.problems == []
    assert len(recorder.called) >= 35, sorted(recorder.called)


def test_sts(shared, recorded):
    shared.client("iam").create_role(RoleName="taken", AssumeRolePolicyDocument=TRUST)
    arn = "arn:aws:iam::000000000000:role/taken"
    recorder = recorded("sts")
    sts = recorder.client
    sts.get_caller_identity()
    taken = sts.assume_role(RoleArn=arn, RoleSessionName="session", DurationSeconds=900, Tags=[{"Key": "a", "Value": "b"}])
    assert taken["AssumedRoleUser"]["Arn"] == "arn:aws:sts::000000000000:assumed-role/taken/session"
    sts.assume_role(RoleArn=arn, RoleSessionName="session", Policy=ALLOW, SourceIdentity="somebody")
    refused(recorder, "AccessDenied", 403, "assume_role", RoleArn=arn + "x", RoleSessionName="session")
    refused(recorder, "MalformedPolicyDocument", 400, "assume_role", RoleArn=arn, RoleSessionName="session", Policy="{")
    refused(recorder, "ValidationError", 400, "assume_role", RoleArn=arn, RoleSessionName="a session")
    refused(recorder, "ValidationError", 400, "assume_role", RoleArn=arn, RoleSessionName="session", DurationSeconds=43200)
    sts.get_session_token(DurationSeconds=900)
    sts.get_access_key_info(AccessKeyId=taken["Credentials"]["AccessKeyId"])
    refused(recorder, "InvalidAction", 400, "decode_authorization_message", EncodedMessage="x")
    assert recorder.problems == []
    session = QueryRecorder(shared.client("sts", access_key=taken["Credentials"]["AccessKeyId"],
                            secret_key=taken["Credentials"]["SecretAccessKey"], token=taken["Credentials"]["SessionToken"]), "sts")
    assert session.client.get_caller_identity()["UserId"].endswith(":session")
    refused(session, "AccessDenied", 403, "get_session_token")
    wrong = QueryRecorder(shared.client("sts", secret_key="wrong"), "sts")
    refused(wrong, "SignatureDoesNotMatch", 403, "get_caller_identity")
    nobody = QueryRecorder(shared.client("sts", access_key="AKIA" + "X" * 16), "sts")
    refused(nobody, "InvalidClientTokenId", 403, "get_caller_identity")
    assert session.problems + wrong.problems + nobody.problems == []


@pytest.mark.parametrize("protocol, media_type", [
    ("json", "application/x-amz-json-1.0"), ("smithy-rpc-v2-cbor", "application/cbor"), ("query", "text/xml")])
def test_cloudwatch(recorded, monkeypatch, protocol, media_type):
    monkeypatch.setattr("botocore.model.PRIORITY_ORDERED_SUPPORTED_PROTOCOLS", (protocol,))
    namespace = f"Mine/{protocol}"
    recorder = recorded("cloudwatch")
    watch = recorder.client
    dimensions = [{"Name": "D", "Value": "v"}]
    at = NOW - datetime.timedelta(minutes=2)
    watch.put_metric_data(Namespace=namespace, MetricData=[
        {"MetricName": "M", "Dimensions": dimensions, "Timestamp": at, "Value": 1.5, "Unit": "Count"},
        {"MetricName": "M", "Dimensions": dimensions, "Timestamp": at, "Values": [1, 2], "Counts": [3, 1], "Unit": "Count"},
        {"MetricName": "M", "Dimensions": dimensions, "Timestamp": at, "Unit": "Count",
         "StatisticValues": {"SampleCount": 2, "Sum": 9, "Minimum": 4, "Maximum": 5}},
    ])
    refused(recorder, "InvalidParameterValue", 400, "put_metric_data", Namespace="AWS/Mine", MetricData=[{"MetricName": "M", "Value": 1}])
    refused(recorder, "InvalidParameterCombination", 400, "put_metric_data", Namespace=namespace,
            MetricData=[{"MetricName": "M", "Value": 1, "Values": [1]}])
    listed = watch.list_metrics(Namespace=namespace)["Metrics"]
    assert listed == [{"Namespace": namespace, "MetricName": "M", "Dimensions": dimensions}]
    span = {"StartTime": NOW - datetime.timedelta(minutes=5), "EndTime": NOW + datetime.timedelta(minutes=1)}
    points = watch.get_metric_statistics(Namespace=namespace, MetricName="M", Dimensions=dimensions, Period=60, **span,
                                         Statistics=["Average", "Sum", "Minimum", "Maximum", "SampleCount"])["Datapoints"]
    assert [(p["Sum"], p["SampleCount"], p["Minimum"], p["Maximum"], p["Timestamp"]) for p in points] == [(15.5, 7, 1, 5, at)]
    refused(recorder, "InvalidParameterValue", 400, "get_metric_statistics", Namespace=namespace, MetricName="M", Period=7,
            Statistics=["Sum"], **span)
    stat = {"Metric": {"Namespace": namespace, "MetricName": "M", "Dimensions": dimensions}, "Period": 60, "Stat": "Sum"}
    data = watch.get_metric_data(MetricDataQueries=[{"Id": "m", "MetricStat": stat, "Label": "mine"}], **span)
    assert [(r["Id"], r["Label"], r["Values"], r["StatusCode"]) for r in data["MetricDataResults"]] == [("m", "mine", [15.5], "Complete")]
    refused(recorder, "ValidationError", 400, "get_metric_data", MetricDataQueries=[{"Id": "M", "MetricStat": stat}], **span)
    refused(recorder, "ValidationError", 400, "get_metric_data", MetricDataQueries=[{"Id": "m", "Expression": "ANOMALY_DETECTION_BAND(1)"}], **span)
    refused(recorder, "InvalidParameterValue", 400, "get_metric_data", MetricDataQueries=[{"Id": "m", "MetricStat": stat}],
            StartTime=span["EndTime"], EndTime=span["StartTime"])
    assert recorder.problems == []
    assert recorder.called == {"PutMetricData", "ListMetrics", "GetMetricStatistics", "GetMetricData"}
    assert recorder.spoken == {media_type}


def test_cloudformation(recorded):
    recorder = recorded("cloudformation")
    stacks = recorder.client
    body = lambda name: json.dumps({
        "Parameters": {"Kind": {"Type": "String", "Default": "BASIC"}},
        "Resources": {"Channel": {"Type": "AWS::IVS::Channel", "Properties": {"Name": name, "Type": {"Ref": "Kind"}}}},
        "Outputs": {"Arn": {"Value": {"Ref": "Channel"}, "Export": {"Name": "contract-arn"}}},
    })
    stack = {"StackName": "contract"}
    status = lambda: stacks.describe_stacks(**stack)["Stacks"][0]["StackStatus"]
    stacks.validate_template(TemplateBody=body("a"))
    stacks.get_template_summary(TemplateBody=body("a"))
    refused(recorder, "ValidationError", 400, "validate_template", TemplateBody="{")
    stacks.create_stack(**stack, TemplateBody=body("a"), Tags=[{"Key": "a", "Value": "b"}])
    until(lambda: status() == "CREATE_COMPLETE", "the stack is made")
    refused(recorder, "AlreadyExistsException", 400, "create_stack", **stack, TemplateBody=body("a"))
    refused(recorder, "ValidationError", 400, "create_stack", StackName="a b", TemplateBody=body("a"))
    role = {"Resources": {"R": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": json.loads(TRUST)}}}}
    refused(recorder, "InsufficientCapabilitiesException", 400, "create_stack", StackName="role", TemplateBody=json.dumps(role))
    refused(recorder, "ValidationError", 400, "update_stack", **stack, TemplateBody=body("a"))
    stacks.update_stack(**stack, TemplateBody=body("b"))
    until(lambda: status() == "UPDATE_COMPLETE", "the stack is updated")
    stacks.describe_stack_events(**stack)
    stacks.describe_stack_resource(**stack, LogicalResourceId="Channel")
    refused(recorder, "ValidationError", 400, "describe_stack_resource", **stack, LogicalResourceId="None")
    stacks.describe_stack_resources(**stack)
    stacks.list_stack_resources(**stack)
    stacks.list_stacks()
    stacks.get_template(**stack)
    stacks.list_exports()
    stacks.describe_account_limits()
    stacks.create_change_set(**stack, ChangeSetName="c", TemplateBody=body("c"))
    until(lambda: stacks.describe_change_set(**stack, ChangeSetName="c")["Status"] == "CREATE_COMPLETE", "the changes are known")
    stacks.list_change_sets(**stack)
    refused(recorder, "ChangeSetNotFound", 404, "describe_change_set", **stack, ChangeSetName="none")
    stacks.execute_change_set(**stack, ChangeSetName="c")
    until(lambda: status() == "UPDATE_COMPLETE" and "c" == json.loads(
        json.dumps(stacks.get_template(**stack)["TemplateBody"]))["Resources"]["Channel"]["Properties"]["Name"], "they are made")
    stacks.create_change_set(**stack, ChangeSetName="d", TemplateBody=body("d"))
    stacks.delete_change_set(**stack, ChangeSetName="d")
    stacks.update_termination_protection(**stack, EnableTerminationProtection=True)
    refused(recorder, "ValidationError", 400, "delete_stack", **stack)
    stacks.update_termination_protection(**stack, EnableTerminationProtection=False)
    stacks.delete_stack(**stack)

    def gone():
        try:
            return status() == "DELETE_COMPLETE"
        except botocore.exceptions.ClientError as error:
            return error.response["Error"]["Code"] == "ValidationError"

    until(gone, "the stack is deleted")
    assert recorder.problems == []
    assert len(recorder.called) >= 19, sorted(recorder.called)


@pytest.mark.parametrize("service", ["iam", "sts", "cloudformation"])
def test_what_is_no_action_is_refused_in_the_protocols_own_shape(shared, service):
    for form in ({"Action": "NoSuchAction"}, {}, {"Action": "<x>"}):
        answer = Raw(shared, service).form({"Version": "2010-01-01", **form})
        assert answer.status == 400 and answer.headers["Content-Type"].startswith("text/xml"), answer.text
        assert re.search(r"<ErrorResponse[^>]*><Error><Type>Sender</Type><Code>\w+</Code><Message>[^<]+</Message></Error>"
                         r"<RequestId>[0-9a-f-]{36}</RequestId></ErrorResponse>", answer.text), answer.text


def test_every_query_service_is_in_the_compatibility_table():
    table = (ROOT / "docs/compatibility.md").read_text()
    assert all(f"| {name} |" in table for name in ("IAM", "STS", "CloudWatch", "CloudFormation"))
    assert set(MODELS) >= {"iam", "sts", "cloudwatch", "cloudformation"}
