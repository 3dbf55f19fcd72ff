"""Players and encoders that others have written, besides those of the other tests (ffmpeg, hls.js, Shaka, video.js): VLC, GStreamer, streamlink."""

import json
import os
import pathlib
import pwd
import subprocess
import sys
import time

import pytest

from conftest import live_stream, until

TEMPLATE = json.dumps({
    "Parameters": {"Type": {"Type": "String"}},
    "Resources": {
        "Channel": {"Type": "AWS::IVS::Channel", "Properties": {"Name": "players", "Type": {"Ref": "Type"}, "InsecureIngest": True}},
        "StreamKey": {"Type": "AWS::IVS::StreamKey", "Properties": {"ChannelArn": {"Ref": "Channel"}}},
    },
    "Outputs": {
        "PlaybackUrl": {"Value": {"Fn::GetAtt": ["Channel", "PlaybackUrl"]}},
        "StreamKey": {"Value": {"Fn::GetAtt": ["StreamKey", "Value"]}},
    },
})
#: Of the stream, which a player shall have got through.
SECONDS = 5
#: Pictures of the encoders here in a second, and how long one of them is away, in seconds.
RATE, OUTAGE = 30, 3
#: Segments that a rendition slept through and a player begins with, at most, and how long one lasts.
GAPS = 4
SEGMENT = 2


def playback_of(server, channel_type):
    template = server.folder / "players.json"
    template.write_text(TEMPLATE)
    server.cli("deploy", template, "--stack-name", "players", "--parameter", f"Type={channel_type}")
    return server.outputs("players")["PlaybackUrl"]


@pytest.fixture
def playback(server):
    """Of a channel with a ladder."""
    return playback_of(server, "STANDARD")


def packets(file):
    """Kinds of streams, and for each the times of its packets in seconds, that ffprobe finds."""
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "packet=codec_type,pts_time", "-of", "json", file],
        capture_output=True, text=True, timeout=30,
    )
    times = {}
    for packet in json.loads(done.stdout or "{}").get("packets", []):
        times.setdefault(packet["codec_type"], []).append(float(packet["pts_time"]))
    return times


def lasts(times):
    return max(times) - min(times) if times else 0


def is_whole(times):
    """Thirty pictures and at least forty blocks of sound in each second, without a hole."""
    pictures, sound = sorted(times["video"]), sorted(times["audio"])
    assert max(b - a for a, b in zip(pictures, pictures[1:])) < 0.05, "no picture is missing"
    assert max(b - a for a, b in zip(sound, sound[1:])) < 0.05, "no sound is missing"


def is_whole_after_stills(times):
    """As is_whole, but that the pictures begin with a still for each segment that the rendition slept through."""
    pictures = sorted(times["video"])
    stills = next(at for at, (a, b) in enumerate(zip(pictures, pictures[1:])) if b - a < 0.05)
    assert 0 < stills <= GAPS and all(abs(b - a - SEGMENT) < 0.05 for a, b in zip(pictures, pictures[1:stills + 1])), pictures[:stills + 2]
    is_whole({"video": pictures[stills:], "audio": times["audio"]})


def recorded(player, file, seconds=SECONDS):
    """Waits until the player has written so much of pictures and sound, and ends it."""
    try:
        def enough():
            assert player.poll() is None, f"the player ended with {player.returncode}"
            times = packets(file) if file.exists() else {}
            return times if min(lasts(times.get(kind)) for kind in ("video", "audio")) > seconds else None
        return until(enough, "the player plays", 60, every=0.5)
    finally:
        player.kill()
        player.wait()


def vlc(url, file):
    """VLC, which does not run as root, with its adaptive module, to a file."""
    own = {}
    folder = file.parent
    if os.getuid() == 0:
        nobody = pwd.getpwnam("nobody")
        own = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        for above in folder.parents[:2]:
            above.chmod(0o711)
        folder.chmod(0o777)
    return subprocess.Popen(
        ["cvlc", "-I", "dummy", "--no-plugins-cache", "--sout", f"#std{{access=file,mux=ts,dst={file}}}", url],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={"HOME": str(folder), "PATH": os.environ["PATH"]}, **own,
    )


def gstreamer(url, file):
    """hlsdemux2, as in playbin3."""
    return subprocess.Popen(
        ["gst-launch-1.0", "--quiet", "urisourcebin", "name=source", "parse-streams=true", f"uri={url}",
         "mpegtsmux", "name=mux", "!", "filesink", f"location={file}",
         "source.", "!", "queue", "!", "video/x-h264", "!", "h264parse", "!", "mux.",
         "source.", "!", "queue", "!", "audio/mpeg", "!", "aacparse", "!", "mux."],
        stdin=subprocess.DEVNULL,
    )


def sleeping(sleepers, playback):
    """Address of a rendition that nobody has asked for, of a stream with as many segments as players go back."""
    until(lambda: sleepers.media_playlist(playback)[1].count("#EXTINF:") >= GAPS, "so many segments")
    uris = [line for line in sleepers.get(playback).text.splitlines() if line.startswith("/media/")]
    return sleepers.web + uris[-1]


def test_vlc_plays(server, encoders, tmp_path):
    """Without a ladder, since it leaves out pictures when it changes the rendition."""
    playback = playback_of(server, "BASIC")
    file = tmp_path / "vlc.ts"
    with live_stream(server, encoders, stack="players"):
        is_whole(recorded(vlc(playback, file), file))


def test_gstreamer_goes_on_when_the_encoder_comes_back(server, encoders, tmp_path):
    """Cut and back within the reconnect window: the recording gets more pictures than there were before the cut. VLC 3 ends there."""
    playback = playback_of(server, "BASIC")
    ingest = f"rtmp://127.0.0.1:{server.rtmp_port}/app/{server.outputs('players')['StreamKey']}"
    file = tmp_path / "outage.ts"
    pictures = lambda: len(packets(file).get("video", [])) if file.exists() else 0
    began = time.monotonic()
    encoder = encoders(ingest)
    until(lambda: (server.media_playlist(playback) or ("", ""))[1].count("#EXTINF:") >= 3, "three segments")
    watching = gstreamer(playback, file)
    try:
        until(pictures, "the player plays", 60, every=0.5)
        encoder.cut()
        before = RATE * (time.monotonic() - began)
        time.sleep(OUTAGE)
        encoders(ingest)
        until(lambda: pictures() > before + RATE, "the player shows what came after the outage", 60, every=0.5)
        assert watching.poll() is None
    finally:
        watching.kill()
        watching.wait()


def test_gstreamer_plays(server, encoders, playback, tmp_path):
    """That of GStreamer 1.22 stands still for good if it meets a playlist with one segment only."""
    file = tmp_path / "gstreamer.ts"
    with live_stream(server, encoders, stack="players"):
        until(lambda: server.media_playlist(playback)[1].count("#EXTINF:") >= 3, "three segments")
        is_whole(recorded(gstreamer(playback, file), file))


@pytest.mark.parametrize("player", [vlc, gstreamer])
def test_a_player_that_does_not_know_gaps_begins_with_a_rendition_that_sleeps(sleepers, encoders, tmp_path, player):
    """It begins with segments that were not made, and asks for one that is refused for ever: so it gets the sound, and a still picture."""
    playback = playback_of(sleepers, "STANDARD")
    file = tmp_path / "played.ts"
    with live_stream(sleepers, encoders, stack="players", channels=2):
        is_whole_after_stills(recorded(player(sleeping(sleepers, playback), file), file, SECONDS + GAPS * SEGMENT))


def test_ffmpeg_begins_with_a_rendition_that_sleeps(sleepers, encoders, tmp_path):
    """It does not know gaps either. Here the source's sound needs another configuration than the rendition's, so that the stills are silent."""
    playback = playback_of(sleepers, "STANDARD")
    file = tmp_path / "ffmpeg.ts"
    with live_stream(sleepers, encoders, stack="players", channels=1):
        done = subprocess.run(
            ["ffmpeg", "-v", "warning", "-nostdin", "-i", sleeping(sleepers, playback), "-t", str(SECONDS + 1 + GAPS * SEGMENT), "-c", "copy", file],
            capture_output=True, text=True, timeout=60,
        )
        assert done.returncode == 0 and "HTTP error" not in done.stderr, done.stderr
    times = packets(file)
    assert min(lasts(times[kind]) for kind in ("video", "audio")) > SECONDS
    is_whole_after_stills(times)


def test_gstreamer_publishes(server, playback, tmp_path):
    """What ffmpeg has encoded, through rtmp2sink: its own handshake, chunk sizes and order of commands."""
    file = tmp_path / "source.flv"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30:duration=30", "-f", "lavfi", "-i", "sine=sample_rate=48000:duration=30",
         "-c:v", "libx264", "-preset", "ultrafast", "-g", "30", "-pix_fmt", "yuv420p", "-c:a", "aac", file],
        check=True, timeout=60, stdin=subprocess.DEVNULL,
    )
    key = server.outputs("players")["StreamKey"]
    encoder = subprocess.Popen(
        ["gst-launch-1.0", "--quiet", "filesrc", f"location={file}", "!", "flvdemux", "name=demux",
         "demux.video", "!", "queue", "!", "h264parse", "!", "mux.",
         "demux.audio", "!", "queue", "!", "aacparse", "!", "mux.",
         "flvmux", "name=mux", "streamable=true", "!", "identity", "sync=true", "!", "rtmp2sink", f"location=rtmp://127.0.0.1:{server.rtmp_port}/app/{key}"],
        stdin=subprocess.DEVNULL,
    )
    try:
        until(lambda: server.media_playlist(playback), "the stream is live", 20)
        played = tmp_path / "played.ts"
        subprocess.run(
            ["ffmpeg", "-v", "error", "-i", playback, "-t", str(SECONDS + 1), "-map", "0:v:0", "-map", "0:a:0", "-c", "copy", played],
            check=True, timeout=60, stdin=subprocess.DEVNULL,
        )
        times = packets(played)
        assert min(lasts(times[kind]) for kind in ("video", "audio")) > SECONDS
        is_whole(times)
    finally:
        encoder.kill()
        encoder.wait()


def test_streamlink_records(server, encoders, playback, tmp_path):
    file = tmp_path / "streamlink.ts"
    with live_stream(server, encoders, stack="players"):
        done = subprocess.run(
            [pathlib.Path(sys.executable).parent / "streamlink", "--stream-segmented-duration", str(SECONDS + 2), "-o", file, playback, "best"],
            capture_output=True, text=True, timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        listed = subprocess.run([pathlib.Path(sys.executable).parent / "streamlink", playback], capture_output=True, text=True, timeout=60)
        assert "160p (worst), 360p (best)" in listed.stdout, listed.stdout
    times = packets(file)
    assert min(lasts(times[kind]) for kind in ("video", "audio")) > SECONDS
    is_whole(times)
