"""botocore's service models: shapes of answers compared, inputs made from shapes, requests signed by hand."""

import copy
import json
import math
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.loaders
import botocore.model

from conftest import fetch

LOADER = botocore.loaders.Loader()
MODELS = {
    name: botocore.model.ServiceModel(LOADER.load_service_model(name, "service-2"))
    for name in ("ivs", "lambda", "events", "logs")
}

# Longest texts where the service's documentation allows more than its model: characters.
LONGER_BY_DESIGN = {"PlaybackRestrictionPolicyAllowedOrigin": 256}
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


def error_problems(operation, response):
    """Every place where a raw error is not what the model says of this operation."""
    code = (response.headers.get("x-amzn-errortype") or "").split(":")[0]
    shapes = {shape.name: shape for shape in operation.error_shapes}
    if code not in shapes:
        yield f"{code!r} is not an error of {operation.name}: {sorted(shapes)}"
        return
    shape = shapes[code]
    if response.status != shape.metadata["error"]["httpStatusCode"]:
        yield f"{code} with status {response.status}"
    headers = [m.serialization["name"] for m in shape.members.values() if m.serialization.get("location") == "header"]
    yield from (f"{code} without the header {name}" for name in headers if name not in response.headers)
    body = response.json()
    if not body.get("exceptionMessage"):
        yield f"{code} without exceptionMessage: {body}"
    if body.pop("message", None) != body.get("exceptionMessage"):
        yield f"{code} without the same text as message: {body}"
    yield from mismatches(shape, body)


class Recorder:
    """A boto3 client whose raw answers are compared with the model."""

    def __init__(self, client, service):
        self.client, self.model, self.problems, self.called = client, MODELS[service], [], set()
        client.meta.events.register("before-parse.*.*", self.look)

    def look(self, operation_model, response_dict, **_):
        operation = self.model.operation_model(operation_model.name)
        status, body = response_dict["status_code"], response_dict["body"]
        if status >= 300:
            return
        self.called.add(operation_model.name)
        want = operation.http.get("responseCode")
        if operation.output_shape and any(
            m.serialization.get("location") == "statusCode" for m in operation.output_shape.members.values()
        ):
            want = None  # the status is an answer of its own
        if want and status != want:
            self.problems.append(f"{operation_model.name}: status {status}, the model says {want}")
        if operation.output_shape is None and body.strip():
            self.problems.append(f"{operation_model.name}: a body where the model has none")
        if operation.output_shape:
            for member in operation.output_shape.members.values():
                header = member.serialization.get("location") == "header" and member.serialization["name"]
                if header and header not in response_dict["headers"] and self.model.service_name == "ivs":
                    self.problems.append(f"{operation_model.name}: without the header {header}")
        payload = operation.output_shape and operation.output_shape.serialization.get("payload")
        if operation.output_shape and not payload and body.strip():
            value = json.loads(body)
            self.problems += [f"{operation_model.name}{m}" for m in mismatches(operation.output_shape, value)]


class Raw:
    """Sends inputs as they are, signed, past boto3's own checks."""

    def __init__(self, server, service):
        variables = server.aws_environment()
        self.url, self.service, self.region = variables["AWS_ENDPOINT_URL"], service, variables["AWS_REGION"]
        self.keys = botocore.credentials.Credentials(variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"])

    def call(self, operation, members):
        """`members` may be anything that JSON can write; those of path and query are put there."""
        members = copy.deepcopy(members)
        path, query = operation.http["requestUri"], []
        for name, member in (operation.input_shape.members if operation.input_shape else {}).items():
            location, wire = member.serialization.get("location"), member.serialization.get("name", name)
            if location == "uri":
                path = path.replace(f"{{{wire}}}", urllib.parse.quote(str(members.pop(name, "")), safe=""))
            elif location == "querystring" and name in members:
                values = members.pop(name)
                query += [(wire, str(value)) for value in (values if isinstance(values, list) else [values])]
        method = operation.http["method"]
        body = json.dumps(members).encode() if method == "POST" else b""
        url = self.url + path + ("?" + urllib.parse.urlencode(query) if query else "")
        request = botocore.awsrequest.AWSRequest(method, url, {"Content-Type": "application/json"}, body)
        botocore.auth.SigV4Auth(self.keys, self.service, self.region).add_auth(request)
        return fetch(url, method=method, body=body or None, headers=dict(request.headers.items()))


def invalid(shape, valid, path=""):
    """Inputs that the shape does not allow, each one change away from a valid one: (what is wrong, input)."""
    kind = shape.type_name
    if kind == "structure":
        members = valid if isinstance(valid, dict) else {}
        if path:
            yield f"{path} of another type", ["x"]
        for name in shape.required_members:
            yield f"{path}.{name} missing", {k: v for k, v in members.items() if k != name}
        for name, member in shape.members.items():
            for what, value in invalid(member, members.get(name), f"{path}.{name}"):
                yield what, {**members, name: value}
    elif kind == "list":
        inner = valid[0] if valid else None
        yield f"{path} of another type", "x"
        if shape.metadata.get("max") is not None and inner is not None:
            yield f"{path} with too many entries", [inner] * (shape.metadata["max"] + 1)
        if shape.metadata.get("min"):
            yield f"{path} without entries", []
        for what, value in invalid(shape.member, inner, f"{path}[]"):
            yield what, [value]
    elif kind == "map":
        yield f"{path} of another type", ["x"]
        yield f"{path} with too many entries", {f"k{n}": "v" for n in range(shape.metadata.get("max", 50) + 1)}
        for what, key in invalid(shape.key, "k", f"{path} key"):
            if isinstance(key, str):
                yield what, {key: "v"}
        for what, value in invalid(shape.value, "v", f"{path} value"):
            yield what, {"k": value}
    elif kind == "string":
        yield f"{path} of another type", 5
        if shape.enum:
            yield f"{path} not in the enumeration", "NO-SUCH-VALUE"
            return
        pattern = shape.metadata.get("pattern")
        if shape.metadata.get("max") is not None:
            text = valid if isinstance(valid, str) and valid else "x"
            longest = LONGER_BY_DESIGN.get(shape.name, shape.metadata["max"])
            yield f"{path} too long", text + "x" * (longest + 1 - len(text))
        if shape.metadata.get("min"):
            yield f"{path} too short", ""
        if pattern:
            yield f"{path} against its pattern", "\u00a7*" + (valid[2:] if isinstance(valid, str) else "")
    elif kind in ("integer", "long"):
        yield f"{path} of another type", "x"
        yield f"{path} with a fraction", 1.5
        if shape.metadata.get("min") is not None:
            yield f"{path} too small", shape.metadata["min"] - 1
        if shape.metadata.get("max") is not None:
            yield f"{path} too great", shape.metadata["max"] + 1
    elif kind == "boolean":
        yield f"{path} of another type", "yes"
    elif kind == "timestamp":
        yield f"{path} of another type", ["x"]
        yield f"{path} that is no time", "yesterday"
