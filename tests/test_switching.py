"""Switching between renditions in hls.js and in Shaka, in a real Chromium: tests/browser/switching.mjs tells it."""

import json
import os
import re
import subprocess

import pytest

from conftest import ROOT, Server

BROWSER = ROOT / "tests" / "browser"
TEMPLATE = """
Resources:
  Channel: {Type: 'AWS::IVS::Channel', Properties: {Name: switching, Type: STANDARD, LatencyMode: LOW, InsecureIngest: true}}
  StreamKey: {Type: 'AWS::IVS::StreamKey', Properties: {ChannelArn: !Ref Channel}}
Outputs:
  Playback: {Value: !GetAtt Channel.PlaybackUrl}
  StreamKey: {Value: !GetAtt StreamKey.Value}
"""


def switches(server, player, asleep):
    template = server.folder / "switching.yaml"
    template.write_text(TEMPLATE)
    server.cli("deploy", template, "--stack-name", "switching")
    outputs = server.outputs("switching")
    channel = {
        "playback": outputs["Playback"],
        "asleep": asleep,
        "ingest": f"rtmp://127.0.0.1:{server.rtmp_port}/app/{outputs['StreamKey']}",
    }
    done = subprocess.run(
        ["node", "switching.mjs"], cwd=BROWSER, capture_output=True, text=True, timeout=160,
        env={**os.environ, "HEADWATER_SWITCHING": json.dumps({player: channel})},
    )
    print(done.stdout, done.stderr)
    closing = re.search(r"(\d+) passed, (\d+) failed", done.stdout)
    assert closing, f"the browser's test did not come to its end:\n{done.stdout}\n{done.stderr}"
    failures = [line for line in done.stdout.splitlines() if "FAILED" in line]
    assert done.returncode == 0 and closing[2] == "0", "\n".join(failures) or done.stdout
    assert int(closing[1]) >= 17


@pytest.mark.timeout(180)
def test_hls_js_never_goes_back_and_loses_less_than_a_group_at_a_switch(tmp_path):
    """Also to renditions that sleep."""
    server = Server(tmp_path)
    settings = tmp_path / "headwater.toml"
    settings.write_text("[ladder]\non_demand = true\n")
    server.start(flags=("--config", settings))
    try:
        switches(server, "hls.js", asleep=True)
    finally:
        server.stop()


@pytest.mark.timeout(180)
def test_shaka_never_goes_back_and_loses_less_than_a_group_at_a_switch(server):
    """With every rendition encoded always, as is the default: docs/plan.md says what Shaka makes of one that wakes."""
    switches(server, "shaka", asleep=False)
