"""Answers a custom resource's request: one PUT of JSON to the URL that came with it.

The request is answered as it stands: any scheme, host and port of ResponseURL. What goes wrong is printed, not raised,
so that a function whose work is done does not fail for want of an answer.
"""

import http.client
import json
import urllib.parse

SUCCESS = "SUCCESS"
FAILED = "FAILED"

_ANSWER_TIMEOUT_S = 30


def send(event, context, responseStatus, responseData, physicalResourceId=None, noEcho=False, reason=None):
    url = event["ResponseURL"]
    answer = {
        "Status": responseStatus,
        "Reason": reason or "The details are in the log stream %s" % context.log_stream_name,
        "PhysicalResourceId": physicalResourceId or context.log_stream_name,
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "NoEcho": noEcho,
        "Data": responseData,
    }
    body = json.dumps(answer)
    # Whoever knows path and query may answer: they are not for the log.
    print("Answering to", urllib.parse.urlsplit(url).netloc)
    print("Response body:")
    print(body)
    try:
        print("Status code:", _put(url, body.encode("utf-8")))
    except Exception as error:
        print("No answer could be sent:", error)


def _put(url, body):
    parts = urllib.parse.urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=_ANSWER_TIMEOUT_S)
    try:
        target = parts.path or "/"
        if parts.query:
            target += "?" + parts.query
        # The URL is signed without a content type, so the header must be empty.
        connection.request("PUT", target, body, {"content-type": "", "content-length": str(len(body))})
        return connection.getresponse().status
    finally:
        connection.close()
