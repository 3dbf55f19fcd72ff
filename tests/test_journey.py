"""What a person meets: from the built-in template to a live website and a counted answer."""

import json
import re
import subprocess
import time
import urllib.parse

from conftest import ROOT, fetch, live_stream, until

EXAMPLES = ROOT / "examples"


def deploy(server, template="live.yaml", stack="live"):
    server.cli("deploy", EXAMPLES / template, "--stack-name", stack)
    return server.outputs(stack)


def probe(url):
    """Codecs and packet counts that ffprobe finds in four seconds of a stream."""
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name,width,height,nb_read_packets", "-count_packets",
         "-read_intervals", "%+4", "-of", "json", url],
        capture_output=True, text=True, timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["streams"]


def test_the_built_in_template_becomes_a_live_site(server, encoders):
    outputs = deploy(server)
    assert re.fullmatch(r"sk_us-east-1_[A-Za-z0-9]+", outputs["StreamKey"])
    assert server.get(outputs["PlaybackUrl"]).status == 404, "nothing is live yet"

    page = server.get(outputs["WebsiteUrl"] + "/")
    assert page.status == 200 and "<html" in page.text.lower()
    config = server.get(outputs["WebsiteUrl"] + "/config.json").json()
    assert config["playbackUrl"] == outputs["PlaybackUrl"]
    assert server.get("/player/v1/headwater-player.js").status == 200

    with live_stream(server, encoders):
        url, text = server.media_playlist(outputs["PlaybackUrl"])
        assert "#EXT-X-PART:" in text and "CAN-BLOCK-RELOAD=YES" in text and "#EXT-X-PROGRAM-DATE-TIME:" in text
        path = urllib.parse.urlparse(outputs["PlaybackUrl"]).path
        streams = probe(f"http://127.0.0.1:{server.web_port}{path}")
        pictures = [s for s in streams if s["codec_name"] == "h264"]
        sound = [s for s in streams if s["codec_name"] == "aac"]
        assert (pictures[0]["width"], pictures[0]["height"]) == (640, 360), "the source comes first"
        assert all(int(s["nb_read_packets"]) > 60 for s in pictures) and all(int(s["nb_read_packets"]) > 90 for s in sound)

    until(lambda: {e["event"]["detail"].get("event_name") for e in server.events()}
          >= {"Session Created", "Stream Start", "Stream End", "Session Ended"}, "the four events")
    start = next(e["event"] for e in server.events() if e["event"]["detail"].get("event_name") == "Stream Start")
    assert set(start) == {"version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"}
    assert start["source"] == "aws.ivs" and start["detail-type"] == "IVS Stream State Change"
    assert set(start["detail"]) == {"event_name", "channel_name", "stream_id"}
    assert re.fullmatch(r"st-[A-Za-z0-9]{23}", start["detail"]["stream_id"])


def test_the_question_comes_and_an_answer_counts_once(server, encoders):
    outputs = deploy(server)
    channel = outputs["PlaybackUrl"].rsplit(".", 2)[1]
    with live_stream(server, encoders):
        poll = until(lambda: server.get(f"/interact/v1/channels/{channel}/poll").json()["poll"], "the question", 30)
        assert len(poll["answers"]) >= 2 and poll["total"] == 0
        until(lambda: f'ID="{poll["cue_id"]}"' in server.media_playlist(outputs["PlaybackUrl"])[1],
              "the question is mirrored as a date range", 3)

        def answer(viewer, choice):
            body = json.dumps({"viewer": viewer, "choice": choice}).encode()
            return server.get(f"/interact/v1/polls/{urllib.parse.quote(poll['id'])}/answers", method="POST",
                              body=body, headers={"Content-Type": "application/json"})

        first, again, other = answer("viewer-one-1", 1), answer("viewer-one-1", 0), answer("viewer-two-2", 1)
        assert first.status == 200 and first.json()["counted"] is True
        assert again.json()["counted"] is False and again.json()["choice"] == 1, "the first answer counts"
        assert other.json()["tally"][1] == 2 and other.json()["total"] == 2
        assert answer("viewer-three", 99).status == 400
        assert answer("x", 0).status == 400
    polls = json.loads(server.cli("polls", "--json").stdout)
    assert [p for p in polls if p["id"] == poll["id"]][0]["total"] == 2
    table = server.cli("polls", "--csv").stdout
    assert "viewer-one-1" in table and "viewer-two-2" in table


def test_rtmps_and_https_share_one_port(server, encoders):
    outputs = deploy(server)
    url = f"rtmps://127.0.0.1:{server.tls_port}/app/{outputs['StreamKey']}"
    encoder = encoders(url)
    until(lambda: server.media_playlist(outputs["PlaybackUrl"]), "the stream over TLS is live", 20)
    path = urllib.parse.urlparse(outputs["PlaybackUrl"]).path
    ca = server.data / "tls" / "ca.pem"
    for version in ("--http1.1", "--http2"):
        done = subprocess.run(
            ["curl", "-sS", "--cacert", ca, version, "-w", "%{http_version} %{http_code}", "-o", "/dev/null",
             f"https://localhost:{server.tls_port}{path}"], capture_output=True, text=True, timeout=20)
        assert done.stdout in ("1.1 200", "2 200"), done.stdout + done.stderr
    encoder.stop()


def test_a_wrong_key_is_refused_and_never_logged(server, encoders):
    deploy(server)
    wrong = "sk_us-east-1_WrongWrongWrongWrong1234"
    encoder = encoders(f"rtmp://127.0.0.1:{server.rtmp_port}/app/{wrong}")
    assert encoder.wait(20) != 0, "ffmpeg must see the refusal"
    text = until(lambda: (lambda t: t if "refus" in t.lower() else None)(server.log.read_text()), "the refusal is logged")
    assert wrong not in text and wrong[-20:] not in text


def test_the_same_session_goes_on_after_the_encoder_is_cut(server, encoders):
    outputs = deploy(server)
    ingest = f"rtmp://127.0.0.1:{server.rtmp_port}/app/{outputs['StreamKey']}"
    first = encoders(ingest)
    url, text = until(lambda: server.media_playlist(outputs["PlaybackUrl"]), "live", 20)
    sequence = int(re.search(r"MEDIA-SEQUENCE:(\d+)", text)[1])
    first.cut()
    time.sleep(2)  # the gap itself, not a wait for something
    encoders(ingest)
    again = until(lambda: (lambda m: m if m and "#EXT-X-DISCONTINUITY\n" in m[1] else None)(
        server.media_playlist(outputs["PlaybackUrl"])), "the stream goes on", 20)
    address = lambda url: url.split("?v=")[0]  # the rest tells viewers apart, and each look is one
    assert address(again[0]) == address(url), "players need not reload"
    assert int(re.search(r"MEDIA-SEQUENCE:(\d+)", again[1])[1]) >= sequence
    names = [e["event"]["detail"].get("event_name") for e in server.events()]
    assert names.count("Session Created") == 1 and "Session Ended" not in names


def test_a_second_publisher_with_the_key_takes_over(server, encoders):
    outputs = deploy(server)
    ingest = f"rtmp://127.0.0.1:{server.rtmp_port}/app/{outputs['StreamKey']}"
    first = encoders(ingest)
    until(lambda: server.media_playlist(outputs["PlaybackUrl"]), "live", 20)
    second = encoders(ingest)
    until(lambda: first.process.poll() is not None, "the first encoder is let go", 20)
    assert second.process.poll() is None
    names = [e["event"]["detail"].get("event_name") for e in server.events()]
    assert names.count("Session Created") == 1


def test_started_again_everything_is_the_same(server):
    before = deploy(server)
    assert server.stop() == 0
    server.start()
    assert server.outputs() == before


def test_up_prints_what_one_needs(tmp_path):
    from conftest import Server
    server = Server(tmp_path)
    began = time.monotonic()
    server.start("up", "--demo")
    try:
        text = until(lambda: (lambda t: t if "Playback URL" in t else None)(server.log.read_text()), "the addresses", 10)
        assert time.monotonic() - began < 10
        outputs = server.outputs()
        for value in (outputs["WebsiteUrl"], outputs["StreamKey"], outputs["PlaybackUrl"],
                      f"rtmp://localhost:{server.rtmp_port}/app/", f"rtmps://localhost:{server.tls_port}/app/"):
            assert value in text, value
        until(lambda: server.media_playlist(outputs["PlaybackUrl"]), "the test picture is live", 30)
    finally:
        assert server.stop() == 0


def test_mistakes_in_a_template_name_resource_property_and_expectation(server, tmp_path):
    template = tmp_path / "bad.yaml"
    template.write_text(
        "Resources:\n  Stage:\n    Type: AWS::IVS::Channel\n    Properties:\n      LatencyMode: FAST\n      Nmae: x\n"
        "  Key:\n    Type: AWS::IVS::StreamKey\n    Properties:\n      ChannelArn: !Ref Stag\n"
    )
    done = server.cli("deploy", template, "--stack-name", "bad", ok=False)
    assert done.returncode != 0
    for word in ("Stage", "LatencyMode", "NORMAL", "Nmae", "Key", "Stag", "line 10"):
        assert word in done.stderr, f"{word} is not in: {done.stderr}"
    assert json.loads(server.cli("stacks", "--json").stdout) == []
    assert json.loads(server.cli("channels", "--json").stdout) == [], "nothing is left behind"


def test_a_failure_in_the_middle_rolls_back(server, tmp_path):
    template = tmp_path / "taken.yaml"
    template.write_text(
        "Resources:\n  Channel:\n    Type: AWS::IVS::Channel\n    Properties: {Name: half}\n"
        "  Bucket:\n    Type: AWS::S3::Bucket\n    DependsOn: Channel\n    Properties: {BucketName: taken-name}\n"
    )
    server.client("s3").create_bucket(Bucket="taken-name")
    done = server.cli("deploy", template, "--stack-name", "half", ok=False)
    assert done.returncode != 0 and "Bucket" in done.stderr
    assert json.loads(server.cli("channels", "--json").stdout) == []
    assert server.client("s3").head_bucket(Bucket="taken-name")


def test_the_log_can_be_read_at_night(server, encoders):
    outputs = deploy(server)
    with live_stream(server, encoders):
        pass
    text = server.log.read_text()
    credentials = json.loads((server.data / "credentials.json").read_text())
    for secret in (outputs["StreamKey"], credentials["secret_access_key"]):
        assert secret not in text
    assert "ERROR" not in text and "panicked" not in text, text


def test_health_and_unsigned_requests(server):
    assert fetch(server.api + "/healthz").status == 200
    assert fetch(server.api + "/_headwater/v1/stacks", method="POST", body=b"{}").status == 403
