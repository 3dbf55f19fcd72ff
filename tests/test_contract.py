"""Raw responses against botocore's service models: an unknown member or a wrong type is a defect. IVS has a file of its own."""

import botocore.exceptions
import pytest

from model import Recorder


@pytest.fixture
def recorded(shared):
    def make(service):
        return Recorder(shared.client(service), service)
    return make


def refused(recorder, code, call, **members):
    """A call that is refused with this code; the recorder has compared the answer with the model."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**members)
    assert caught.value.response["Error"]["Code"] == code, caught.value.response
    assert recorder.refusals[-1][1] == code


def test_lambda(shared, recorded):
    from test_aws_cli import inline_zip, make_function
    make_function(shared, "contract", "def handler(e, c): return 1", [])
    recorder = recorded("lambda")
    functions = recorder.client
    functions.get_function(FunctionName="contract")
    functions.get_function_configuration(FunctionName="contract")
    functions.list_functions()
    functions.update_function_configuration(FunctionName="contract", Timeout=9)
    functions.update_function_code(FunctionName="contract", ZipFile=inline_zip("def handler(e, c): return 2"))
    functions.add_permission(FunctionName="contract", StatementId="s", Action="lambda:InvokeFunction", Principal="events.amazonaws.com")
    functions.get_policy(FunctionName="contract")
    functions.remove_permission(FunctionName="contract", StatementId="s")
    functions.put_function_event_invoke_config(FunctionName="contract", MaximumRetryAttempts=1)
    functions.invoke(FunctionName="contract")
    arn = functions.get_function(FunctionName="contract")["Configuration"]["FunctionArn"]
    functions.tag_resource(Resource=arn, Tags={"a": "b"})
    functions.list_tags(Resource=arn)
    role = functions.get_function_configuration(FunctionName="contract")["Role"]
    new = {"Role": role, "Runtime": "python3.12", "Handler": "index.handler", "Code": {"ZipFile": inline_zip("x = 1")}}
    refused(recorder, "ResourceConflictException", functions.create_function, FunctionName="contract", **new)
    refused(recorder, "InvalidParameterValueException", functions.create_function, FunctionName="other", **{**new, "Timeout": 100_000})
    refused(recorder, "InvalidParameterValueException", functions.create_function, FunctionName="other",
            **{**new, "Role": "arn:aws:iam::000000000000:role/nobody"})
    refused(recorder, "InvalidParameterValueException", functions.update_function_code, FunctionName="contract", ZipFile=b"no archive")
    refused(recorder, "InvalidRequestContentException", functions.invoke, FunctionName="contract", Payload=b"{")
    for call in (functions.get_function, functions.get_function_configuration, functions.invoke, functions.delete_function,
                 functions.get_policy):
        refused(recorder, "ResourceNotFoundException", call, FunctionName="nobody")
    refused(recorder, "InvalidParameterValueException", functions.put_function_event_invoke_config, FunctionName="contract", MaximumRetryAttempts=9)
    functions.delete_function(FunctionName="contract")
    assert recorder.problems == []


def test_events_and_logs(recorded):
    recorder = recorded("events")
    events = recorder.client
    events.put_rule(Name="r", EventPattern='{"source":["a"]}')
    events.describe_rule(Name="r")
    events.put_targets(Rule="r", Targets=[{"Id": "t", "Arn": "arn:aws:lambda:us-east-1:000000000000:function:none"}])
    events.list_targets_by_rule(Rule="r")
    events.list_rules()
    events.disable_rule(Name="r")
    events.put_events(Entries=[{"Source": "a", "DetailType": "b", "Detail": "{}"}, {"Source": "a", "DetailType": "b", "Detail": "no"}])
    refused(recorder, "ValidationException", events.delete_rule, Name="r")
    events.remove_targets(Rule="r", Ids=["t"])
    refused(recorder, "InvalidEventPatternException", events.put_rule, Name="s", EventPattern='{"source":"a"}')
    refused(recorder, "ValidationException", events.put_rule, Name="s")
    for call in (events.describe_rule, events.enable_rule, events.disable_rule):
        refused(recorder, "ResourceNotFoundException", call, Name="nobody")
    refused(recorder, "ResourceNotFoundException", events.list_targets_by_rule, Rule="nobody")
    refused(recorder, "ResourceNotFoundException", events.describe_event_bus, Name="nobody")
    entry = {"Source": "a", "DetailType": "b", "Detail": "{}"}
    refused(recorder, "ValidationException", events.put_events, Entries=[entry] * 11)
    refused(recorder, "InvalidEventPatternException", events.test_event_pattern, EventPattern="[]", Event="{}")
    events.delete_rule(Name="r")
    assert recorder.problems == []
    recorder = recorded("logs")
    logs = recorder.client
    logs.create_log_group(logGroupName="/g")
    logs.create_log_stream(logGroupName="/g", logStreamName="s")
    logs.put_log_events(logGroupName="/g", logStreamName="s", logEvents=[{"timestamp": 1, "message": "m"}])
    logs.describe_log_groups()
    logs.describe_log_streams(logGroupName="/g")
    logs.get_log_events(logGroupName="/g", logStreamName="s")
    logs.filter_log_events(logGroupName="/g")
    logs.put_retention_policy(logGroupName="/g", retentionInDays=7)
    refused(recorder, "ResourceAlreadyExistsException", logs.create_log_group, logGroupName="/g")
    refused(recorder, "ResourceAlreadyExistsException", logs.create_log_stream, logGroupName="/g", logStreamName="s")
    refused(recorder, "InvalidParameterException", logs.create_log_group, logGroupName="a b")
    refused(recorder, "InvalidParameterException", logs.put_retention_policy, logGroupName="/g", retentionInDays=17)
    refused(recorder, "ResourceNotFoundException", logs.get_log_events, logGroupName="/g", logStreamName="nobody")
    refused(recorder, "ResourceNotFoundException", logs.filter_log_events, logGroupName="/nobody")
    refused(recorder, "ResourceNotFoundException", logs.delete_log_group, logGroupName="/nobody")
    refused(recorder, "InvalidParameterException", logs.put_log_events, logGroupName="/g", logStreamName="s",
            logEvents=[{"timestamp": 2, "message": "m"}, {"timestamp": 1, "message": "m"}])
    logs.delete_log_group(logGroupName="/g")
    assert recorder.problems == []


def test_parameter_store(recorded):
    recorder = recorded("ssm")
    ssm = recorder.client
    assert ssm.put_parameter(Name="/app/colour", Value="blue", Type="String", Description="d", Tags=[{"Key": "a", "Value": "b"}])["Version"] == 1
    refused(recorder, "ParameterAlreadyExists", ssm.put_parameter, Name="/app/colour", Value="red", Type="String")
    assert ssm.put_parameter(Name="/app/colour", Value="red", Overwrite=True)["Version"] == 2
    refused(recorder, "UnsupportedParameterType", ssm.put_parameter, Name="/app/key", Value="k", Type="SecureString")
    refused(recorder, "ValidationException", ssm.put_parameter, Name="a b", Value="x", Type="String")
    refused(recorder, "ValidationException", ssm.put_parameter, Name="/app/large", Value="x" * 4097, Type="String")
    got = ssm.get_parameter(Name="/app/colour")["Parameter"]
    assert (got["Value"], got["Type"], got["ARN"]) == ("red", "String", "arn:aws:ssm:us-east-1:000000000000:parameter/app/colour")
    assert ssm.get_parameter(Name=got["ARN"])["Parameter"]["Value"] == "red"
    refused(recorder, "ParameterNotFound", ssm.get_parameter, Name="/nobody")
    ssm.put_parameter(Name="/app/deep/er", Value="a,b", Type="StringList")
    ssm.put_parameter(Name="plain", Value="x", Type="String")
    both = ssm.get_parameters(Names=["plain", "/nobody"])
    assert ([p["Name"] for p in both["Parameters"]], both["InvalidParameters"]) == (["plain"], ["/nobody"])
    names = lambda **more: [p["Name"] for p in ssm.get_parameters_by_path(Path="/app", **more)["Parameters"]]
    assert names() == ["/app/colour"] and names(Recursive=True) == ["/app/colour", "/app/deep/er"]
    refused(recorder, "ValidationException", ssm.get_parameters_by_path, Path="app")
    pages = ssm.get_paginator("describe_parameters").paginate(PaginationConfig={"PageSize": 1})
    assert [p["Name"] for page in pages for p in page["Parameters"]] == ["/app/colour", "/app/deep/er", "plain"]
    tagged = {"ResourceType": "Parameter", "ResourceId": "/app/colour"}
    ssm.add_tags_to_resource(**tagged, Tags=[{"Key": "c", "Value": "d"}])
    ssm.remove_tags_from_resource(**tagged, TagKeys=["a"])
    assert ssm.list_tags_for_resource(**tagged)["TagList"] == [{"Key": "c", "Value": "d"}]
    refused(recorder, "InvalidResourceId", ssm.list_tags_for_resource, ResourceType="Parameter", ResourceId="/nobody")
    refused(recorder, "InvalidResourceType", ssm.list_tags_for_resource, ResourceType="Document", ResourceId="x")
    ssm.delete_parameter(Name="plain")
    refused(recorder, "ParameterNotFound", ssm.delete_parameter, Name="plain")
    gone = ssm.delete_parameters(Names=["/app/colour", "/app/deep/er", "plain"])
    assert (gone["DeletedParameters"], gone["InvalidParameters"]) == (["/app/colour", "/app/deep/er"], ["plain"])
    assert recorder.problems == []
    assert len(recorder.called) == 10
