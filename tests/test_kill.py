"""kill -9 at the worst moments: nothing that was acknowledged is lost, nothing stays half done."""

import json
import urllib.parse

from conftest import ROOT, live_stream, until

EXAMPLES = ROOT / "examples"

SLOW = """
Resources:
  First:
    Type: AWS::IVS::Channel
    Properties: {Name: first}
  Wait:
    Type: Custom::Slow
    DependsOn: First
    Properties: {ServiceToken: !GetAtt Function.Arn}
  Function:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.12
      Handler: index.handler
      Role: !GetAtt Role.Arn
      Timeout: 60
      Code:
        ZipFile: |
          import cfnresponse, time
          def handler(event, context):
              print("begun", event["RequestType"])
              time.sleep(3)
              cfnresponse.send(event, context, cfnresponse.SUCCESS, {}, "slow")
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: "sts:AssumeRole"}]
  Last:
    Type: AWS::IVS::Channel
    DependsOn: Wait
    Properties: {Name: last}
Outputs:
  Key: {Value: !Ref Last}
"""


def test_a_stack_create_is_finished_after_the_restart(server, tmp_path):
    template = tmp_path / "slow.yaml"
    template.write_text(SLOW)
    server.aws("cloudformation", "create-stack", "--stack-name", "slow", "--template-body", f"file://{template}",
               "--capabilities", "CAPABILITY_IAM")
    until(lambda: "begun" in server.aws("logs", "filter-log-events", "--log-group-name", group(server), ok=False).stdout
          if group(server) else False, "the custom resource's function runs", 30)
    server.kill()
    server.start()

    def status():
        stack = server.aws_json("cloudformation", "describe-stacks", "--stack-name", "slow")["Stacks"][0]
        return stack["StackStatus"] if not stack["StackStatus"].endswith("IN_PROGRESS") else None

    assert until(status, "the operation ends", 90) in ("CREATE_COMPLETE", "ROLLBACK_COMPLETE")
    channels = [c["name"] for c in json.loads(server.cli("channels", "--json").stdout)]
    if status() == "CREATE_COMPLETE":
        assert sorted(channels) == ["first", "last"]
    else:
        assert channels == []
    server.cli("delete", "slow")
    assert json.loads(server.cli("channels", "--json").stdout) == []


def group(server):
    groups = server.aws_json("logs", "describe-log-groups")["logGroups"]
    return groups[0]["logGroupName"] if groups else None


def test_the_function_runs_although_the_server_died_after_the_event(server):
    from test_aws_cli import make_function
    # The function's first run is made to outlive the server: the event is in the log, the invocation is not done.
    source = "import time\ndef handler(e, c):\n    print('begun', e['detail']['n'])\n    time.sleep(4)\n    print('heard', e['detail']['n'])"
    make_function(server, "listener", source, [], Timeout=30)
    events, functions = server.client("events"), server.client("lambda")
    events.put_rule(Name="all", EventPattern=json.dumps({"source": ["mine"]}))
    arn = functions.get_function(FunctionName="listener")["Configuration"]["FunctionArn"]
    events.put_targets(Rule="all", Targets=[{"Id": "f", "Arn": arn}])
    functions.add_permission(FunctionName="listener", StatementId="s", Action="lambda:InvokeFunction", Principal="events.amazonaws.com")
    for n in range(5):
        events.put_events(Entries=[{"Source": "mine", "DetailType": "d", "Detail": json.dumps({"n": n})}])
    server.kill()
    server.start()
    until(lambda: all(f"heard {n}" in server.cli("logs", "listener").stdout for n in range(5)), "all five events", 60)


def test_an_acknowledged_answer_is_there_after_the_kill(server, encoders):
    server.cli("deploy", EXAMPLES / "live.yaml", "--stack-name", "live")
    outputs = server.outputs()
    channel = outputs["PlaybackUrl"].rsplit(".", 2)[1]
    encoder = encoders(f"rtmp://127.0.0.1:{server.rtmp_port}/app/{outputs['StreamKey']}")
    poll = until(lambda: server.get(f"/interact/v1/channels/{channel}/poll").json()["poll"], "the question", 40)
    body = json.dumps({"viewer": "viewer-one-1", "choice": 0}).encode()
    answer = server.get(f"/interact/v1/polls/{urllib.parse.quote(poll['id'])}/answers", method="POST", body=body,
                        headers={"Content-Type": "application/json"})
    assert answer.json()["counted"] is True
    server.kill()
    encoder.cut()
    server.start()
    polls = json.loads(server.cli("polls", "--json").stdout)
    assert [p["total"] for p in polls if p["id"] == poll["id"]] == [1]
    # The session that the kill cut off is ended in the log.
    until(lambda: {"Session Ended", "Stream End"} <= {e["event"]["detail"].get("event_name") for e in server.events()}, "the session's end")
