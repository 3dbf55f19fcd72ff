"""What decodes strangers' media is shut off from everything, and never outlives the server."""

import json
import os
import pathlib

from conftest import until


def status(pid):
    """The fields of /proc/PID/status, or None once the process is dead."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    fields = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    return None if fields["State"].startswith("Z") else fields


def encoder_of(server):
    """The encoder that the server started, once it is no longer the server's own program."""
    for task in pathlib.Path(f"/proc/{server.process.pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            try:
                command = pathlib.Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if command[0].endswith(b"ffmpeg"):
                return int(child)
    return None


def test_an_encoder_is_shut_off_and_dies_with_the_server(server, encoders):
    channel = server.client("ivs").create_channel(name="ladder", type="STANDARD", insecureIngest=True)
    key, playback = channel["streamKey"]["value"], channel["channel"]["playbackUrl"]
    encoders(f"rtmp://127.0.0.1:{server.rtmp_port}/app/{key}", size="640x480", gop=30)
    until(lambda: "160p30" in server.get(playback).text, "the ladder is offered", 40)
    # Someone watches the smallest rendition, so that it is encoded.
    uri = next(line for line in server.get(playback).text.splitlines() if "/160p30/" in line)
    media = until(lambda: (lambda got: got if "#EXT-X-MAP" in got.text else None)(server.get(uri)), "it is made", 40)
    assert "#EXTINF" in media.text or "#EXT-X-PART" in media.text

    pid = until(lambda: encoder_of(server), "the encoder runs")
    fields = status(pid)
    assert fields["NoNewPrivs"] == "1"
    assert fields["CapEff"] == fields["CapAmb"] == "0000000000000000"
    if os.geteuid() == 0:
        assert fields["Uid"].split() == ["65534"] * 4 and fields["Groups"].strip() == ""
        # Its own files tell what it has: a folder that says nothing, an empty environment, pipes and nothing else.
        process = pathlib.Path(f"/proc/{pid}")
        assert os.readlink(process / "cwd") == "/"
        variables = (process / "environ").read_bytes().split(b"\0")
        assert all(one == b"" or one.startswith(b"LD_LIBRARY_PATH=") for one in variables), variables
        opened = [os.readlink(process / "fd" / number) for number in ("0", "1", "2")]
        assert all(target.startswith(("pipe:", "socket:")) for target in opened), opened
        assert not any(target.startswith("/") and not target.startswith("/dev/") for target in (
            os.readlink(descriptor) for descriptor in (process / "fd").iterdir()))
    log = server.log.read_text()
    assert "encoder failed" not in log, log

    server.kill()
    until(lambda: status(pid) is None, "the encoder dies with the server", 10)


def test_the_doctor_says_how_encoders_run(server):
    def ladder():
        found = server.cli("doctor", "--json", ok=False).stdout
        return next(one for one in json.loads(found) if one["check"] == "ladder")

    told = ladder()
    assert told["found"].startswith("x264, ffmpeg version"), told
    assert told["found"].endswith(", confined") if told["verdict"] == "good" else "not confined: " in told["found"], told
    (server.folder / "headwater.toml").write_text("[ladder]\nffmpeg = '/nowhere/ffmpeg'\n")
    told = ladder()
    assert told["verdict"] == "warning" and "/nowhere/ffmpeg does not run" in told["found"], told
