"""Raw responses against botocore's service models: an unknown member or a wrong type is a defect. IVS has a file of its own."""

import pytest

from model import Recorder


@pytest.fixture
def recorded(shared):
    def make(service):
        return Recorder(shared.client(service), service)
    return make


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
    events.remove_targets(Rule="r", Ids=["t"])
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
    logs.delete_log_group(logGroupName="/g")
    assert recorder.problems == []
