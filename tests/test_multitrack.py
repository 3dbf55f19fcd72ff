"""Encoders that ask GetClientConfiguration and publish what they are told, as OBS 32 does with Enhanced Broadcasting."""

import json
import re
import ssl
import urllib.request

import pytest

from conftest import until
from rtmp import Publisher, Refused, tracks

PATH = "/api/v3/GetClientConfiguration"
SIZES = [(640, 360), (284, 160)]


def asked(key, size=SIZES[0], rate=30, **preferences):
    """What OBS 32.2 sends on a machine without a graphics card."""
    width, height = size
    return {
        "service": "IVS", "schema_version": "2025-01-25", "authentication": key,
        "client": {"name": "obs-studio", "version": "32.2.2", "supported_codecs": ["h264", "av1"]},
        "capabilities": {
            "cpu": {"logical_cores": 4, "name": "AMD EPYC", "physical_cores": 4, "speed": None},
            "gaming_features": None, "gpu": None, "memory": {"free": 1 << 33, "total": 1 << 34},
            "system": {"arm": False, "armEmulation": False, "bits": 64, "build": 0, "name": "Debian GNU/Linux", "release": "", "revision": "", "version": ""},
        },
        "preferences": {
            "audio_channels": 2, "audio_fixed_buffering": False, "audio_max_buffering_ms": 960, "audio_samples_per_sec": 48000,
            "canvases": [{"canvas_width": width, "canvas_height": height, "width": width, "height": height, "framerate": {"numerator": rate, "denominator": 1}}],
            "composition_gpu_index": None, "maximum_aggregate_bitrate": None, "maximum_video_tracks": None, "vod_track_audio": False, **preferences,
        },
    }


def configuration(server, key, **options):
    answer = server.get(PATH, method="POST", body=json.dumps(asked(key, **options)).encode(), headers={"Content-Type": "application/json"})
    assert answer.status == 200, answer.text
    return answer.json()


def name_of(told, protocol="RTMP"):
    """What an encoder publishes under: the key that came with the configuration, and the configuration's id."""
    endpoint = next(endpoint for endpoint in told["ingest_endpoints"] if endpoint["protocol"] == protocol)
    assert "/{stream_key}" in endpoint["url_template"]
    return f"{endpoint['authentication']}?clientConfigId={told['meta']['config_id']}"


def make(server, policy="ALLOW", **settings):
    made = server.client("ivs").create_channel(
        type="STANDARD", containerFormat="FRAGMENTED_MP4",
        multitrackInputConfiguration={"enabled": True, "policy": policy, "maximumResolution": "HD"}, **settings,
    )
    return made["channel"], made["streamKey"]


def renditions(server, channel):
    """Sizes that viewers are offered."""
    return re.findall(r"RESOLUTION=(\d+x\d+)", server.get(channel["playbackUrl"]).text)


def refused(server, name, messages):
    """Why it may not publish that."""
    try:
        publisher = Publisher(server.rtmp_port, name)
    except Refused as refusal:
        return str(refusal)
    publisher.begin(messages)
    try:
        return publisher.refusal()
    finally:
        publisher.stop()


@pytest.fixture(scope="module")
def both():
    return tracks(SIZES)


def test_an_encoder_publishes_what_it_was_told_and_viewers_get_every_track(server, both):
    ivs = server.client("ivs")
    channel, key = make(server)
    told = configuration(server, key["value"])
    assert told["status"] == {"result": "success"}
    assert [(track["width"], track["height"]) for track in told["encoder_configurations"]] == SIZES
    assert {track["type"] for track in told["encoder_configurations"]} == {"obs_x264"}
    assert [endpoint["protocol"] for endpoint in told["ingest_endpoints"]] == ["RTMPS", "RTMP"]
    assert told["ingest_endpoints"][1]["url_template"] == f"rtmp://localhost:{server.rtmp_port}/app/{{stream_key}}"
    name = name_of(told)
    words = {
        "encoder": "obs-output module (libobs version 32.2.2)", "width": 640, "height": 360, "framerate": 30, "videodatarate": 500,
    }  # OBS says nothing of the others.
    publisher = Publisher(server.rtmp_port, name).begin(both, words)
    try:
        until(lambda: renditions(server, channel) == ["640x360", "284x160"], "both renditions are offered")
        # What is sent is recorded as the stream starts, which viewers may see a moment before.
        session = until(lambda: (lambda told: told if "ingestConfigurations" in told else None)(ivs.get_stream_session(channelArn=channel["arn"])["streamSession"]), "the start is recorded")
        video = session["ingestConfigurations"]["videoConfigurations"]
        seen = [(one["track"], one["videoWidth"], one["videoHeight"], one["targetBitrate"], one["targetFramerate"]) for one in video]
        assert seen == [("Track0", 640, 360, 500_000, 30), ("Track1", 284, 160, 200_000, 30)]
        assert [one["track"] for one in session["ingestConfigurations"]["audioConfigurations"]] == ["Track0"]
        assert session["ingestConfiguration"]["video"]["videoHeight"] == 360
        findings = {finding["code"] for finding in json.loads(server.cli("doctor", channel["arn"].rsplit("/")[-1], "--json", ok=False).stdout)["findings"]}
        assert not any(code.startswith("multitrack") or code == "tracks-unaligned" for code in findings), findings
    finally:
        publisher.stop()
    until(lambda: "endTime" in ivs.get_stream_session(channelArn=channel["arn"])["streamSession"], "the session ends")

    # A server that is killed knows the key when it is back.
    server.kill()
    server.start()
    publisher = Publisher(server.rtmp_port, name).begin(both)
    until(lambda: renditions(server, channel) == ["640x360", "284x160"], "both renditions are offered again")
    publisher.stop()

    ivs = server.client("ivs")
    ivs.delete_stream_key(arn=key["arn"])
    assert "NetStream.Publish.BadName" in refused(server, name, both)
    assert configuration(server, key["value"])["status"]["result"] == "error"
    second = ivs.create_stream_key(channelArn=channel["arn"])["streamKey"]
    assert "NetStream.Publish.BadName" in refused(server, name, both), "the deleted key's"
    log = server.log.read_text()
    for secret in [key["value"], second["value"], name.split("?")[0]]:
        assert secret not in log


def test_a_channel_that_requires_several_tracks_refuses_others_by_ivs_codes(shared, both):
    ivs = shared.client("ivs")
    channel, key = make(shared, "REQUIRE", name="required")
    one = [message for message in both if not message[2][0] & 0x80 or message[1] != 9]

    def sessions():
        listed = ivs.list_stream_sessions(channelArn=channel["arn"])["streamSessions"]
        return [ivs.get_stream_session(channelArn=channel["arn"], streamId=session["streamId"])["streamSession"] for session in listed]

    said = refused(shared, key["value"], one)
    assert "NetStream.Publish.Denied" in said and "MultitrackInputRequired: " in said
    [session] = sessions()
    assert session["endTime"] and [(event["name"], event.get("code")) for event in session["truncatedEvents"]] == [
        ("Session Ended", "MultitrackInputRequired"), ("Session Created", None),
    ]
    details = [entry["event"]["detail"] for entry in shared.events()]
    [ended] = [detail for detail in details if detail.get("code") == "MultitrackInputRequired"]
    assert ended == {"event_name": "Session Ended", "channel_name": "required", "stream_id": session["streamId"], "code": "MultitrackInputRequired"}

    name = name_of(configuration(shared, key["value"]))
    assert "InvalidMultitrackInputTrackCount: " in refused(shared, name, one)
    other = tracks([(640, 360), (320, 180)], seconds=4)
    assert "InvalidMultitrackInputVideoTrackMediaProperties: " in refused(shared, name, other)
    mixed = name_of(configuration(shared, key["value"])).split("?")[1]
    assert "InvalidGetClientConfigurationStreamKey: " in refused(shared, f"{name.split('?')[0]}?{mixed}", both)
    assert {event["code"] for session in sessions() for event in session["truncatedEvents"] if "code" in event} == {
        "MultitrackInputRequired", "InvalidMultitrackInputTrackCount", "InvalidMultitrackInputVideoTrackMediaProperties",
        "InvalidGetClientConfigurationStreamKey",
    }
    # One track is nothing that could be configured here, and several suit also by the stream key itself: the doctor tells the rest.
    assert "several video tracks" in configuration(shared, key["value"], maximum_video_tracks=1)["status"]["html_en_us"]
    publisher = Publisher(shared.rtmp_port, key["value"]).begin(both)
    until(lambda: renditions(shared, channel) == ["640x360", "284x160"], "both renditions are offered")
    publisher.stop()


def test_a_channel_that_is_not_set_up_is_named_and_its_tracks_are_taken(shared, both):
    made = shared.client("ivs").create_channel(type="BASIC")
    told = configuration(shared, made["streamKey"]["value"])
    assert told["status"]["result"] == "error" and "multitrackInputConfiguration" in told["status"]["html_en_us"]
    publisher = Publisher(shared.rtmp_port, made["streamKey"]["value"]).begin(both)
    try:
        until(lambda: renditions(shared, made["channel"]) == ["640x360", "284x160"], "both renditions are offered")
        channel_id = made["channel"]["arn"].rsplit("/")[-1]

        def findings():
            return json.loads(shared.cli("doctor", channel_id, "--json", ok=False).stdout)["findings"]

        [finding] = until(lambda: [one for one in findings() if one["code"] == "multitrack-not-allowed"], "the doctor tells")
        assert "MultitrackInputNotAllowed" in finding["advice"]
    finally:
        publisher.stop()


def test_the_tls_port_answers_too(shared):
    _, key = make(shared)
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    request = urllib.request.Request(
        f"https://127.0.0.1:{shared.tls_port}{PATH}", json.dumps(asked(key["value"])).encode(), {"Content-Type": "application/json", "Host": "localhost"},
    )
    with urllib.request.urlopen(request, context=trusting, timeout=20) as answer:
        told = json.load(answer)
    assert told["ingest_endpoints"][0]["url_template"] == f"rtmps://localhost:{shared.tls_port}/app/{{stream_key}}"
