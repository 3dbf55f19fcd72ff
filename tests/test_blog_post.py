"""The eleven-resource template that the project exists because of, through the real AWS CLI."""

import json

from conftest import ROOT, live_stream, until

EXAMPLES = ROOT / "examples"


def test_the_template_deploys_as_it_is_and_leaves_nothing(server, encoders, downloads):
    base = downloads(EXAMPLES / "blog-post-site")
    body = f"file://{EXAMPLES}/blog-post.yaml"
    create = ["cloudformation", "create-stack", "--stack-name", "ivs", "--template-body", body,
              "--parameters", f"ParameterKey=SiteSource,ParameterValue={base}"]
    refused = server.aws(*create, "--capabilities", "CAPABILITY_IAM", ok=False)
    assert "InsufficientCapabilitiesException" in refused.stderr
    server.aws(*create, "--capabilities", "CAPABILITY_NAMED_IAM")
    server.aws("cloudformation", "wait", "stack-create-complete", "--stack-name", "ivs")
    stack = server.aws_json("cloudformation", "describe-stacks", "--stack-name", "ivs")["Stacks"][0]
    outputs = {o["OutputKey"]: o["OutputValue"] for o in stack["Outputs"]}
    assert outputs["IngestEndpointIVS"] == "rtmps://localhost:443/app/"
    resources = server.aws_json("cloudformation", "describe-stack-resources", "--stack-name", "ivs")["StackResources"]
    assert len(resources) == 11 and {r["ResourceStatus"] for r in resources} == {"CREATE_COMPLETE"}

    channel = server.aws_json("ivs", "list-channels")["channels"][0]["arn"]
    playback = server.aws_json("ivs", "get-channel", "--arn", channel)["channel"]["playbackUrl"]
    site = outputs["IVSWebsiteURL"]
    assert "ivs.js" in server.get(site + "/").text
    script = server.get(site + "/ivs.js")
    assert playback in script.text and "STREAM_PLAYBACK_URL" not in script.text
    assert script.headers["Content-Type"].startswith("text/html"), "as the template's function stores it"

    encoder = encoders(f"rtmp://127.0.0.1:{server.rtmp_port}/app/{outputs['StreamKeyIVS']}")
    until(lambda: server.media_playlist(playback), "the stream is live", 20)
    bucket_channel = channel.rsplit("/", 1)[1]
    poll = until(lambda: server.get(f"/interact/v1/channels/{bucket_channel}/poll").json()["poll"],
                 "the function's question, about 15 s after the start", 60)
    assert len(poll["answers"]) >= 2
    encoder.stop()
    until(lambda: "offline" if server.get(playback).status == 404 or "ENDLIST" in (server.media_playlist(playback) or ("", ""))[1] else None, "the stream ends", 20)
    until(lambda: "ChannelNotBroadcasting" in server.aws("ivs", "get-stream", "--channel-arn", channel, ok=False).stderr, "offline")

    server.aws("cloudformation", "delete-stack", "--stack-name", "ivs")
    server.aws("cloudformation", "wait", "stack-delete-complete", "--stack-name", "ivs")
    assert server.aws_json("ivs", "list-channels")["channels"] == []
    assert server.aws_json("s3api", "list-buckets").get("Buckets", []) == []
    assert server.aws_json("lambda", "list-functions")["Functions"] == []
    assert server.aws_json("events", "list-rules")["Rules"] == []
    assert server.aws_json("iam", "list-roles")["Roles"] == []
