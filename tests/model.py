"""botocore's service models: shapes of answers compared, inputs made from shapes, requests signed by hand."""

import copy
import json
import math
import re
import urllib.parse
import xml.etree.ElementTree

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.loaders
import botocore.model
import botocore.parsers

from conftest import fetch

LOADER = botocore.loaders.Loader()
MODELS = {
    name: botocore.model.ServiceModel(LOADER.load_service_model(name, "service-2"))
    for name in ("ivs", "lambda", "events", "logs", "ssm", "iam", "sts", "cloudformation", "cloudwatch")
}

# Longest texts where the service's documentation allows more than its model: characters.
LONGER_BY_DESIGN = {"PlaybackRestrictionPolicyAllowedOrigin": 256}
# Statuses of a stack itself, which its events have as the resource's, although the model's enumeration is of resources.
EVENTS_OF_STACKS = {"ResourceStatus": MODELS["cloudformation"].shape_for("StackStatus").enum}
# Errors that no model has and every JSON service may answer with ("Common Errors").
COMMON_ERRORS = {"ValidationException", "SerializationException", "UnknownOperationException", "AccessDeniedException"}
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
        self.client, self.model, self.problems, self.called, self.refusals = client, MODELS[service], [], set(), []
        client.meta.events.register("before-parse.*.*", self.look)

    def look(self, operation_model, response_dict, **_):
        operation = self.model.operation_model(operation_model.name)
        status, body = response_dict["status_code"], response_dict["body"]
        if status >= 300:
            self.refused(operation, response_dict)
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

    def refused(self, operation, response_dict):
        """An error has its name in the header and, in JSON 1.1, in the body; it is one of the operation's, or one that all
        services share; its members are those of its shape."""
        code = response_dict["headers"].get("x-amzn-errortype", "").split(":")[0]
        value, shapes = json.loads(response_dict["body"]), {shape.name: shape for shape in operation.error_shapes}
        self.refusals.append((operation.name, code))
        if "jsonVersion" in self.model.metadata and value.pop("__type", None) != code:
            self.problems.append(f"{operation.name}: {code} in the header only")
        if not value.get("message"):
            self.problems.append(f"{operation.name}: {code} without a message")
        if code in shapes:
            if response_dict["status_code"] != shapes[code].metadata.get("error", {}).get("httpStatusCode", 400):
                self.problems.append(f"{operation.name}: {code} with {response_dict['status_code']}")
            value = {name: inner for name, inner in value.items() if name != "message" or "message" in shapes[code].members}
            self.problems += [f"{operation.name} {code}{m}" for m in mismatches(shapes[code], value)]
        elif code not in COMMON_ERRORS:
            self.problems.append(f"{operation.name}: {code} is not an error of it: {sorted(shapes)}")


def xml_mismatches(shape, element, path=""):
    """Every place where an element of the query protocol is not of the shape. Lists are `<member>`s."""
    kind = shape.type_name
    children = [(child.tag.rsplit("}", 1)[-1], child) for child in element]
    text = (element.text or "").strip()
    if kind == "structure":
        names = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        for name, child in children:
            if name not in names:
                yield f"{path}.{name}: not in the model"
            else:
                yield from xml_mismatches(names[name], child, f"{path}.{name}")
        found = [name for name, _ in children]
        yield from (f"{path}.{name}: twice" for name in set(found) if found.count(name) > 1)
        for name in shape.required_members:
            if shape.members[name].serialization.get("name", name) not in found:
                yield f"{path}.{name}: required and missing"
    elif kind == "list":
        for index, (name, child) in enumerate(children):
            if name != shape.member.serialization.get("name", "member"):
                yield f"{path}[{index}]: {name} instead of a member"
            yield from xml_mismatches(shape.member, child, f"{path}[{index}]")
        if text:
            yield f"{path}: {text!r} instead of a list"
    elif kind == "map":
        for index, (name, child) in enumerate(children):
            if name != "entry" or [inner.tag.rsplit("}", 1)[-1] for inner in child] != ["key", "value"]:
                yield f"{path}[{index}]: {name} instead of an entry"
    elif children:
        yield f"{path}: elements instead of {kind}"
    elif kind in ("string", "character"):
        if shape.enum and text not in shape.enum and text not in EVENTS_OF_STACKS.get(shape.name, ()):
            yield f"{path}: {text!r} is not one of {shape.enum}"
    elif kind in ("integer", "long"):
        if not re.fullmatch("-?[0-9]+", text):
            yield f"{path}: {text!r} instead of a whole number"
    elif kind in ("float", "double"):
        if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?", text):
            yield f"{path}: {text!r} instead of a number"
    elif kind == "boolean":
        if text not in ("true", "false"):
            yield f"{path}: {text!r} instead of a boolean"
    elif kind == "timestamp":
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", text):
            yield f"{path}: {text!r} instead of a timestamp"


def cbor_mismatches(shape, value):
    """As `mismatches` for what a CBOR parser gave: timestamps are read already."""
    return (problem for problem in mismatches(shape, value) if "datetime.datetime(" not in problem)


class QueryRecorder:
    """A boto3 client of a service of the query protocol, or of CloudWatch, which speaks JSON and CBOR too: raw answers are
    compared with the model."""

    def __init__(self, client, service):
        self.client, self.model = client, MODELS[service]
        self.problems, self.called, self.errors, self.spoken = [], set(), [], set()
        self.cbor = botocore.parsers.create_parser("smithy-rpc-v2-cbor")
        client.meta.events.register("before-parse.*.*", self.look)

    def look(self, operation_model, response_dict, **_):
        operation, name = self.model.operation_model(operation_model.name), operation_model.name
        status, headers, body = (response_dict[key] for key in ("status_code", "headers", "body"))
        failed = status >= 300
        (self.errors.append if failed else self.called.add)(name)
        self.spoken.add(headers["content-type"])
        if headers["content-type"] != "text/xml":
            self.members(operation, failed, headers, body)
            return
        root = xml.etree.ElementTree.fromstring(body)
        space, tag = root.tag[1:].split("}") if root.tag.startswith("{") else ("", root.tag)
        if space != self.model.metadata["xmlNamespace"]:
            self.problems.append(f"{name}: the name space {space!r}")
        found = {child.tag.rsplit("}", 1)[-1]: child for child in root}
        if failed:
            inner = [child.tag.rsplit("}", 1)[-1] for child in found.get("Error", [])]
            if tag != "ErrorResponse" or set(found) != {"Error", "RequestId"} or inner[:3] != ["Type", "Code", "Message"]:
                self.problems.append(f"{name}: {body!r}")
            return
        result = operation.output_shape and operation.output_shape.serialization.get("resultWrapper")
        if tag != f"{name}Response" or set(found) - {result} != {"ResponseMetadata"}:
            self.problems.append(f"{name}: {tag} with {sorted(found)}")
        if result and result in found:
            self.problems += [f"{name}{problem}" for problem in xml_mismatches(operation.output_shape, found[result])]


    def members(self, operation, failed, headers, body):
        """An answer in JSON or CBOR. An error has the name of its shape, and in a header the code of the query protocol."""
        cbor = headers["content-type"] == "application/cbor"
        if cbor and headers.get("smithy-protocol") != "rpc-v2-cbor" or not cbor and headers["content-type"] != "application/x-amz-json-1.0":
            self.problems.append(f"{operation.name}: {headers['content-type']} {headers.get('smithy-protocol')}")
        parse = lambda: self.cbor.parse_data_item(self.cbor.get_peekable_stream_from_bytes(body)) if cbor else json.loads(body)
        value = parse() if body else {}
        if not failed:
            compare = cbor_mismatches if cbor else mismatches
            shape = operation.output_shape
            self.problems += [f"{operation.name}{problem}" for problem in (compare(shape, value) if shape else value)]
            return
        name, message = value.get("__type", "").rsplit("#", 1)[-1], value.get("message") or value.get("Message")
        query, known = headers.get("x-amzn-query-error", ""), {shape.name for shape in self.model.error_shapes}
        # `ValidationError` has no shape, and the service answers with it in every protocol.
        if name not in known | {"ValidationError"} or not query.endswith(";Sender") or not message:
            self.problems.append(f"{operation.name}: {name} {query!r} {value}")


class Raw:
    """Sends inputs as they are, signed, past boto3's own checks."""

    def __init__(self, server, service):
        variables = server.aws_environment()
        self.url, self.service, self.region = variables["AWS_ENDPOINT_URL"], service, variables["AWS_REGION"]
        self.keys = botocore.credentials.Credentials(variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"])

    def form(self, members):
        """The query protocol: a form."""
        body, headers = urllib.parse.urlencode(members).encode(), {"Content-Type": "application/x-www-form-urlencoded"}
        request = botocore.awsrequest.AWSRequest("POST", self.url + "/", headers, body)
        botocore.auth.SigV4Auth(self.keys, self.service, self.region).add_auth(request)
        return fetch(self.url + "/", method="POST", body=body, headers=dict(request.headers.items()))

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
