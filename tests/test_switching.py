"""Switching between renditions in hls.js, in Shaka and in video.js, in a real Chromium: tests/browser/switching.mjs tells it; after an outage, outage.mjs."""

import json

import pytest

from conftest import in_browser

TRIES = range(3)
TEMPLATE = json.dumps({
    "Parameters": {"LatencyMode": {"Type": "String"}},
    "Resources": {
        name: resource for index in TRIES for name, resource in {
            f"Channel{index}": {"Type": "AWS::IVS::Channel", "Properties": {"Name": f"switching-{index}", "Type": "STANDARD", "LatencyMode": {"Ref": "LatencyMode"}, "InsecureIngest": True}},
            f"StreamKey{index}": {"Type": "AWS::IVS::StreamKey", "Properties": {"ChannelArn": {"Ref": f"Channel{index}"}}},
        }.items()
    },
    "Outputs": {
        name: {"Value": {"Fn::GetAtt": attribute}} for index in TRIES for name, attribute in {
            f"Playback{index}": [f"Channel{index}", "PlaybackUrl"],
            f"StreamKey{index}": [f"StreamKey{index}", "Value"],
        }.items()
    },
})


def channels(server, latency):
    """One for each try."""
    template = server.folder / "switching.json"
    template.write_text(TEMPLATE)
    server.cli("deploy", template, "--stack-name", "switching", "--parameter", f"LatencyMode={latency}")
    outputs = server.outputs("switching")
    return [
        {"playback": outputs[f"Playback{index}"], "ingest": f"rtmp://127.0.0.1:{server.rtmp_port}/app/{outputs[f'StreamKey{index}']}"}
        for index in TRIES
    ]


def switches(server, player, asleep, plain=False, latency="LOW"):
    options = {player: {"asleep": asleep, "plain": plain, "channels": channels(server, latency)}}
    assert in_browser("switching.mjs", "HEADWATER_SWITCHING", options, 280) >= {"video.js": 10}.get(player, 16 if plain else 18)


@pytest.mark.timeout(300)
def test_hls_js_never_goes_back_and_loses_a_part_at_most_at_a_switch(server):
    """All renditions are encoded while somebody watches the stream, as is the default."""
    switches(server, "hls.js", asleep=False)


@pytest.mark.timeout(300)
def test_shaka_never_goes_back_and_loses_less_than_a_group_at_a_switch(server):
    """The same."""
    switches(server, "shaka", asleep=False)


@pytest.mark.timeout(300)
def test_video_js_plays_parts_without_a_pause(server):
    """VHS, its own engine, with nothing set but the rendition, which it keeps."""
    switches(server, "video.js", asleep=False)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("player", ["hls.js", "shaka"])
def test_a_rendition_that_sleeps_is_gone_over_to_as_well(sleepers, player):
    switches(sleepers, player, asleep=True)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("player", ["hls.js", "shaka"])
def test_a_player_of_whole_segments_goes_over_to_one_that_sleeps_without_a_lost_picture(sleepers, player):
    switches(sleepers, player, asleep=True, plain=True, latency="NORMAL")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seconds", [6, 20])
def test_shaka_goes_on_after_an_outage_and_switches_as_ever(server, seconds):
    """Both are longer than the second from which on Shaka takes jumps of the date out; one is longer than the window."""
    assert in_browser("outage.mjs", "HEADWATER_OUTAGE", {"seconds": seconds, "channels": channels(server, "LOW")}, 280) >= 10
