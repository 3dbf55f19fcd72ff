"""Raw responses against botocore's service models: an unknown member or a wrong type is a defect."""

import json
import math

import botocore.loaders
import botocore.model
import pytest

LOADER = botocore.loaders.Loader()
MODELS = {
    "ivs": botocore.model.ServiceModel(LOADER.load_service_model("ivs", "service-2")),
    "lambda": botocore.model.ServiceModel(LOADER.load_service_model("lambda", "service-2")),
    "events": botocore.model.ServiceModel(LOADER.load_service_model("events", "service-2")),
    "logs": botocore.model.ServiceModel(LOADER.load_service_model("logs", "service-2")),
}


# Members that the service's documentation lets be empty although the model's enumeration does not say so.
EMPTY_BY_DESIGN = {".channel.preset", ".channels[0].preset", ".streamSession.channel.preset"}


def mismatches(shape, value, path=""):
    """Every place where a JSON value is not of the shape."""
    kind = shape.type_name
    if value is None:
        return
    if kind == "structure":
        if not isinstance(value, dict):
            yield f"{path}: {type(value).__name__} instead of a structure"
            return
        names = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        for name, inner in value.items():
            if name not in names:
                yield f"{path}.{name}: not in the model"
            else:
                yield from mismatches(names[name], inner, f"{path}.{name}")
        for name in shape.required_members:
            if shape.members[name].serialization.get("location") is None and name not in value:
                yield f"{path}.{name}: required and missing"
    elif kind == "list":
        for index, inner in enumerate(value if isinstance(value, list) else []):
            yield from mismatches(shape.member, inner, f"{path}[{index}]")
        if not isinstance(value, list):
            yield f"{path}: {type(value).__name__} instead of a list"
    elif kind == "map":
        for key, inner in value.items() if isinstance(value, dict) else []:
            yield from mismatches(shape.value, inner, f"{path}.{key}")
        if not isinstance(value, dict):
            yield f"{path}: {type(value).__name__} instead of a map"
    elif kind in ("string", "character"):
        if not isinstance(value, str):
            yield f"{path}: {value!r} instead of a string"
        elif shape.enum and value not in shape.enum and (value or path not in EMPTY_BY_DESIGN):
            yield f"{path}: {value!r} is not one of {shape.enum}"
    elif kind in ("integer", "long"):
        if not isinstance(value, int) or isinstance(value, bool):
            yield f"{path}: {value!r} instead of a whole number"
    elif kind in ("float", "double"):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
            yield f"{path}: {value!r} instead of a number"
    elif kind == "boolean":
        if not isinstance(value, bool):
            yield f"{path}: {value!r} instead of a boolean"
    elif kind == "timestamp":
        iso = shape.serialization.get("timestampFormat") == "iso8601"
        if iso != isinstance(value, str) or isinstance(value, bool):
            yield f"{path}: {value!r} instead of a timestamp"


class Recorder:
    """A boto3 client whose raw answers are compared with the model."""

    def __init__(self, client, service):
        self.client, self.model, self.problems, self.called = client, MODELS[service], [], set()
        client.meta.events.register("before-parse.*.*", self.look)

    def look(self, operation_model, response_dict, **_):
        operation = self.model.operation_model(operation_model.name)
        self.called.add(operation_model.name)
        status, body = response_dict["status_code"], response_dict["body"]
        if status >= 300:
            return
        want = operation.http.get("responseCode")
        if operation.output_shape and any(
            m.serialization.get("location") == "statusCode" for m in operation.output_shape.members.values()
        ):
            want = None  # the status is an answer of its own
        if want and status != want:
            self.problems.append(f"{operation_model.name}: status {status}, the model says {want}")
        payload = operation.output_shape and operation.output_shape.serialization.get("payload")
        if operation.output_shape and not payload and body.strip():
            value = json.loads(body)
            self.problems += [f"{operation_model.name}{m}" for m in mismatches(operation.output_shape, value)]


@pytest.fixture
def recorded(shared):
    def make(service):
        return Recorder(shared.client(service), service)
    return make


def test_ivs(recorded):
    recorder = recorded("ivs")
    ivs = recorder.client
    made = ivs.create_channel(name="c", type="BASIC", latencyMode="NORMAL", tags={"a": "b"})
    arn, key = made["channel"]["arn"], made["streamKey"]["arn"]
    ivs.get_channel(arn=arn)
    ivs.batch_get_channel(arns=[arn, arn[:-4] + "none"])
    ivs.list_channels()
    ivs.update_channel(arn=arn, name="d")
    ivs.get_stream_key(arn=key)
    ivs.batch_get_stream_key(arns=[key])
    ivs.list_stream_keys(channelArn=arn)
    ivs.list_streams()
    ivs.list_stream_sessions(channelArn=arn)
    ivs.tag_resource(resourceArn=arn, tags={"x": "y"})
    assert ivs.list_tags_for_resource(resourceArn=arn)["tags"] == {"a": "b", "x": "y"}
    ivs.untag_resource(resourceArn=arn, tagKeys=["x"])
    ivs.delete_stream_key(arn=key)
    ivs.create_stream_key(channelArn=arn)
    ivs.delete_channel(arn=arn)
    assert len(recorder.called) >= 15 and recorder.problems == []


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
