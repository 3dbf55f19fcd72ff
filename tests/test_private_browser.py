"""A private channel in a real Chromium: one use of a token is one viewer, through reloads, losses and probes; and what the player tells of it."""

import json
import os
import subprocess
import uuid

import pytest

from conftest import ROOT, Encoder, fetch, until
from tokens import Signer

BROWSER = ROOT / "tests" / "browser"
TEMPLATE = """
Resources:
  Channel: {Type: 'AWS::IVS::Channel', Properties: {Name: private, Authorized: true, Type: BASIC}}
  StreamKey: {Type: 'AWS::IVS::StreamKey', Properties: {ChannelArn: !Ref Channel}}
  Site: {Type: 'Headwater::Live::Site', Properties: {ChannelArn: !Ref Channel, Title: 'A private evening'}}
Outputs:
  Arn: {Value: !Ref Channel}
  StreamKey: {Value: !GetAtt StreamKey.Value}
  PlaybackUrl: {Value: !GetAtt Channel.PlaybackUrl}
  WebsiteUrl: {Value: !GetAtt Site.WebsiteUrl}
"""


def sums(beacon):
    return {name: int(value) for name, value in (member.split("=") for member in beacon["text"].split(","))}


@pytest.mark.timeout(300)
def test_one_use_of_a_token_is_one_viewer(server, tmp_path):
    template = tmp_path / "private.yaml"
    template.write_text(TEMPLATE)
    server.cli("deploy", template, "--stack-name", "private")
    outputs = server.outputs("private")
    signer = Signer()
    server.client("ivs").import_playback_key_pair(name="viewers", publicKeyMaterial=signer.public_pem())
    encoder = Encoder(f"rtmp://127.0.0.1:{server.rtmp_port}/app/{outputs['StreamKey']}", gop=30)
    # A token of its own, for the question whether the stream is there.
    entered = lambda: server.get(f"{outputs['PlaybackUrl']}?token={signer.token(outputs['Arn'])}").status == 200
    until(entered, "the stream is live")
    token = signer.token(outputs["Arn"], ends_in_s=500, **{"aws:single-use-uuid": str(uuid.uuid4())})
    options = {"site": outputs["WebsiteUrl"] + "/", "token": token}
    browser = subprocess.Popen(
        ["node", "private.mjs"], cwd=BROWSER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "HEADWATER_PRIVATE": json.dumps(options)},
    )
    try:
        line = browser.stdout.readline()
        assert line, "the browser's part did not come to its end"
        seen = json.loads(line)
        refusals = until(lambda: refused_tokens(server), "the page of metrics counts the refusal")
        diagnosis = until(lambda: measured(server), "the viewer's beacons are published", 15)
        doctor = server.cli("doctor", "private", ok=False).stdout
        browser.communicate("\n", timeout=30)
    finally:
        browser.kill()
        encoder.cut()
    playing, reloaded, recovered, refused = (seen[step] for step in ("playing", "reloaded", "recovered", "refused"))
    # The token was shown once without a session, and that was its use.
    first, *later = recovered["masters"]
    assert first == {"status": 200, "token": True, "session": None}
    (session,) = playing["sessions"]
    assert later, "the reload and the loss asked for the playlist again"
    assert all(master == {"status": 200, "token": True, "session": session} for master in later), later
    assert len(reloaded["masters"]) >= 2 and len(recovered["masters"]) > len(reloaded["masters"])
    assert recovered["sessions"] == [session]
    assert "token" not in recovered["address"]
    assert recovered["events"] and all(one == {"status": 200, "session": session} for one in recovered["events"])
    assert recovered["troubles"] == []
    # The same token in another browser is used.
    assert [master["status"] for master in refused["masters"]] == [403] and refused["sessions"] == []
    assert refused["words"].strip()
    assert refusals == 1
    # What the player told, and what came of it.
    beacons = seen["measured"]["beacons"]
    assert all(beacon["path"].startswith(f"/media/v/{session}/") for beacon in beacons)
    starts = [sums(beacon) for beacon in beacons if "msd" in sums(beacon)]
    assert 0 < starts[0]["msd"] < 20_000 and all(0 < one.get("ltc", 1) < 20_000 for one in starts)
    assert sums(beacons[-1])["bsa"] >= 1, "the loss was a stall"
    assert diagnosis["viewers"] == 1 and diagnosis["measured"] == 1
    assert 0 < diagnosis["latency_p50_ms"] < 20_000 and diagnosis["startup_p50_ms"] > 0
    (share,) = diagnosis["renditions"]
    assert share["viewers"] == 1
    assert "latency p50" in doctor and share["name"] in doctor


def refused_tokens(server):
    lines = fetch(f"{server.api}/metrics").text.splitlines()
    count = next(line for line in lines if line.startswith('headwater_edge_requests_total{outcome="token_used"}'))
    return int(float(count.split()[1]))


def measured(server):
    audience = json.loads(server.cli("doctor", "private", "--json", ok=False).stdout)["audience"]
    return audience if audience["latency_p50_ms"] is not None else None
