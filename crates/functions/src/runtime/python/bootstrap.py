"""Runs a Python function: fetches invocations from the Lambda Runtime API and answers them.

The handler is named by _HANDLER as FILE.FUNCTION and lies under LAMBDA_TASK_ROOT. Errors while it is loaded end the
process after they were reported; errors of a single invocation do not. SystemExit is left alone: a function that exits
takes its process with it.
"""

import decimal
import http.client
import importlib
import json
import logging
import os
import sys
import time
import traceback

API = os.environ["AWS_LAMBDA_RUNTIME_API"]
ROOT = "/2018-06-01/runtime"


class RuntimeApi:
    """One kept-alive connection to the server. The server going away ends the process."""

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self.connection = http.client.HTTPConnection(host, int(port))

    def call(self, method, path, body=None, headers=None):
        try:
            self.connection.request(method, ROOT + path, body, headers or {})
            response = self.connection.getresponse()
            return response, response.read()
        except (OSError, http.client.HTTPException):
            os._exit(0)

    def next(self):
        return self.call("GET", "/invocation/next")

    def answer(self, request_id, body):
        return self.call("POST", "/invocation/%s/response" % request_id, body, {"Content-Type": "application/json"})

    def fail(self, path, error):
        body = json.dumps(error, ensure_ascii=False).encode("utf-8", "replace")
        headers = {"Content-Type": "application/json", "Lambda-Runtime-Function-Error-Type": error["errorType"]}
        return self.call("POST", path, body, headers)


class LoadError(Exception):
    """Why there is no handler to call, with the error payload that says so."""

    def __init__(self, kind, message, trace=()):
        super().__init__(message)
        self.payload = {"errorMessage": message, "errorType": kind, "requestId": "", "stackTrace": list(trace)}


class Identity:
    """Who called, where a mobile SDK says so."""

    def __init__(self, header):
        value = json.loads(header) if header else {}
        self.cognito_identity_id = value.get("cognitoIdentityId")
        self.cognito_identity_pool_id = value.get("cognitoIdentityPoolId")


class Client:
    """The calling application, as its SDK describes it."""

    FIELDS = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")

    def __init__(self, value):
        for field in self.FIELDS:
            setattr(self, field, value.get(field))


class ClientContext:
    """What the caller put into X-Amz-Client-Context."""

    def __init__(self, value):
        self.custom = value.get("custom")
        self.env = value.get("env")
        self.client = Client(value["client"]) if isinstance(value.get("client"), dict) else None


class Context:
    """The second argument of a handler."""

    def __init__(self, headers):
        self.aws_request_id = headers.get("Lambda-Runtime-Aws-Request-Id", "")
        self.invoked_function_arn = headers.get("Lambda-Runtime-Invoked-Function-Arn", "")
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "")
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "")
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME", "")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", "")
        client_context = headers.get("Lambda-Runtime-Client-Context")
        self.client_context = ClientContext(json.loads(client_context)) if client_context else None
        self.identity = Identity(headers.get("Lambda-Runtime-Cognito-Identity"))
        self._deadline_ms = int(headers.get("Lambda-Runtime-Deadline-Ms", "0"))

    def get_remaining_time_in_millis(self):
        return max(0, self._deadline_ms - int(time.time() * 1000))

    def log(self, message):
        sys.stdout.write(str(message))


class LogHandler(logging.Handler):
    """Writes records of `logging` to standard output in Lambda's form."""

    request_id = ""

    def emit(self, record):
        try:
            at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            message = record.getMessage()
            if record.exc_info:
                message += "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
            line = "[%s]\t%s.%03dZ\t%s\t%s" % (record.levelname, at, record.msecs, self.request_id, message)
            print(line, flush=True)
        except Exception:
            self.handleError(record)


def load(name):
    """The handler that FILE.FUNCTION names."""
    module_name, dot, function_name = name.rpartition(".")
    if not dot or not module_name or not function_name:
        raise LoadError("Runtime.MalformedHandlerName", "Bad handler '%s': it must be FILE.FUNCTION" % name)
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise LoadError("Runtime.ImportModuleError", "Unable to import module '%s': %s" % (module_name, error))
    except SyntaxError as error:
        place = '  File "%s" Line %s\n    %s\n' % (error.filename, error.lineno, (error.text or "").strip())
        raise LoadError("Runtime.UserCodeSyntaxError", "Syntax error in module '%s': %s" % (module_name, error), [place])
    except Exception as error:
        raise LoadError(type(error).__name__, str(error), frames(error.__traceback__))
    try:
        return getattr(module, function_name)
    except AttributeError:
        message = "Handler '%s' missing on module '%s'" % (function_name, module_name)
        raise LoadError("Runtime.HandlerNotFound", message)


def frames(tb):
    """Stack frames as text, without those of this file and of the import machinery."""
    entries = traceback.extract_tb(tb)
    inner = [e for e in entries if e.filename != __file__ and "importlib" not in e.filename]
    return traceback.format_list(inner)


def plain(value):
    """JSON for what `json` has no form for."""
    if isinstance(value, decimal.Decimal):
        return float(value)
    raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


def report(payload):
    """Prints an error as Lambda's runtime does, so that the log tells it too."""
    print("[ERROR] %s: %s" % (payload["errorType"], payload["errorMessage"]))
    if payload["stackTrace"]:
        print("Traceback (most recent call last):")
        print("".join(payload["stackTrace"]).rstrip("\n"))
    flush()


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass


def run(handler, headers, body):
    """Calls the handler once. Returns the answer's bytes, or an error payload."""
    try:
        event = json.loads(body)
    except ValueError as error:
        return None, failure("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % error, [])
    try:
        result = handler(event, Context(headers))
    except Exception as error:
        return None, failure(type(error).__name__, str(error), frames(error.__traceback__))
    try:
        return json.dumps(result, default=plain, ensure_ascii=False).encode("utf-8"), None
    except (TypeError, ValueError) as error:
        return None, failure("Runtime.MarshalError", "Unable to marshal response: %s" % error, [])


def failure(kind, message, trace):
    return {"errorMessage": message, "errorType": kind, "requestId": LogHandler.request_id, "stackTrace": trace}


def main():
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    # The folder of this file is not the function's business; the folder of its code is.
    modules = os.path.join(sys.path[0], "lib")
    sys.path[0] = os.environ["LAMBDA_TASK_ROOT"]
    if modules not in sys.path:
        sys.path.append(modules)
    logging.getLogger().addHandler(LogHandler())
    api = RuntimeApi(API)
    try:
        handler = load(os.environ["_HANDLER"])
    except LoadError as error:
        report(error.payload)
        api.fail("/init/error", error.payload)
        sys.exit(1)
    while True:
        response, body = api.next()
        if response.status != 200:
            sys.exit(1)
        request_id = response.headers["Lambda-Runtime-Aws-Request-Id"]
        LogHandler.request_id = request_id
        os.environ["_X_AMZN_TRACE_ID"] = response.headers.get("Lambda-Runtime-Trace-Id", "")
        answer, error = run(handler, response.headers, body)
        if error is not None:
            report(error)
            api.fail("/invocation/%s/error" % request_id, error)
        else:
            flush()
            api.answer(request_id, answer)


if __name__ == "__main__":
    main()
