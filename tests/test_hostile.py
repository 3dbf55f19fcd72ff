"""Hostile peers beside live streams: viewers get their parts in time, memory stays bounded, every such connection is closed, the log is calm."""

import re
import resource
import socket
import struct
import subprocess
import threading
import time
import urllib.parse

import pytest

from conftest import fetch, until

STREAMS = 5
HALF_OPEN = 1_000
DRIPPING = 100
ENDLESS = 50
SLOW_READERS = 200
HALF_REQUESTS = 200
# How long the writers go on.
ATTACK_S = 8
# A part may come this much later than it is cut. Generous: the machine that tests is small and busy, and all the peers run on it too.
LATE_S_MAX = 4.0
# Bytes that the attack may add to the server's resident memory: a hundred and fifty connections' buffers and some thousand tasks.
GROWTH_BYTES_MAX = 192 << 20
# RTMP's deadlines are 10 s to the handshake and to a publish, HTTP's 30 s; the rest is for a busy machine.
CLOSED_WITHIN_S = 60


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Two minutes of a small stream, encoded once and published by copying."""
    path = tmp_path_factory.mktemp("clip") / "clip.flv"
    subprocess.run(
        ["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30",
         "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", "6", "-c:v", "libx264", "-preset", "ultrafast",
         "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "60", "-keyint_min", "60", "-sc_threshold", "0", "-c:a", "aac",
         "-f", "flv", str(path)],
        check=True,
    )
    return path


def resident(process):
    status = open(f"/proc/{process.pid}/status").read()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024


class Viewer(threading.Thread):
    """Follows one stream by blocking requests and notes how much later than the part's length each answer comes."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.url, self.over, self.late, self.failure = url, False, [], None

    def run(self):
        try:
            text = fetch(self.url).text
            while not self.over:
                hint = re.search(r'EXT-X-PRELOAD-HINT:TYPE=PART,URI="s(\d+)\.p(\d+)\.m4s"', text)
                target = float(re.search(r"PART-TARGET=([0-9.]+)", text)[1])
                began = time.monotonic()
                answer = fetch(f"{self.url}?_HLS_msn={hint[1]}&_HLS_part={hint[2]}")
                assert answer.status == 200, answer.status
                self.late.append(time.monotonic() - began - target)
                text = answer.text
                part = re.findall(r'EXT-X-PART:[^\n]*URI="([^"]+)"', text)[-1]
                assert fetch(urllib.parse.urljoin(self.url, part)).status == 200
        except Exception as error:  # noqa: BLE001 - reported by the test
            self.failure = error


def connect(port):
    peer = socket.create_connection(("127.0.0.1", port))
    peer.setblocking(False)
    return peer


def send(peer, data):
    """As much as is taken; False when the other side is gone."""
    try:
        peer.send(data)
        return True
    except BlockingIOError:
        return True
    except OSError:
        return False


def is_closed(peer):
    """Whether the server has ended the connection; what it says before is read."""
    try:
        while True:
            if not peer.recv(65536):
                return True
    except BlockingIOError:
        return False
    except OSError:
        return True


def shake(peer):
    """C0, C1 and a C2 that repeats nothing: the server does not mind."""
    send(peer, b"\x03" + bytes(1536) + bytes(1536))


def endless_chunk(number):
    """The header of a message of 16 MB on a chunk stream of its own, or of a command that never ends."""
    kind = (9, 20, 8, 1)[number % 4]
    return bytes([3 + number % 60]) + bytes(3) + struct.pack(">I", 0xFFFFFF)[1:] + bytes([kind]) + bytes(4)


def test_live_streams_do_not_notice_hostile_peers(server, clip):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * (HALF_OPEN + DRIPPING + ENDLESS + SLOW_READERS + HALF_REQUESTS)
    if hard < wanted:
        pytest.skip(f"this system allows {hard} open files; {wanted} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    ivs = server.client("ivs")
    channels = [ivs.create_channel(name=f"c{number}", type="BASIC") for number in range(STREAMS)]
    keys = [channel["streamKey"]["value"] for channel in channels]
    publishers = [
        subprocess.Popen(
            ["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i", str(clip),
             "-c", "copy", "-f", "flv", f"rtmp://127.0.0.1:{server.rtmp_port}/app/{key}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for key in keys
    ]
    peers = {}
    viewers = []
    try:
        urls = []
        for channel in channels:
            address = channel["channel"]["playbackUrl"]
            playlist = until(lambda: server.media_playlist(address), "the stream is live", 40)
            urls.append(f"http://127.0.0.1:{server.web_port}" + urllib.parse.urlsplit(playlist[0]).path)
        viewers = [Viewer(url) for url in urls]
        for viewer in viewers:
            viewer.start()
        until(lambda: all(len(viewer.late) >= 10 for viewer in viewers), "each viewer follows", 40)
        calm = [late for viewer in viewers for late in viewer.late]
        before = resident(server.process)

        began = time.monotonic()
        peers = attack(server, urls[0])
        during = {"growth": 0}
        while time.monotonic() - began < ATTACK_S:
            drip(peers)
            during["growth"] = max(during["growth"], resident(server.process) - before)
            time.sleep(0.05)
        still = until_closed(peers, began)
        during["growth"] = max(during["growth"], resident(server.process) - before)
        ended = time.monotonic() - began

        for viewer in viewers:
            viewer.over = True
        for viewer in viewers:
            viewer.join(30)
        assert [viewer.failure for viewer in viewers] == [None] * STREAMS
        assert all(publisher.poll() is None for publisher in publishers), "a publisher was cut off"
        late = sorted(late for viewer in viewers for late in viewer.late[len(calm) // STREAMS:])
        print(f"parts {len(late)}, late p50 {late[len(late) // 2]:.3f} s, p99 {late[len(late) * 99 // 100]:.3f} s, worst {late[-1]:.3f} s"
              f" (calm: worst {max(calm):.3f} s); memory +{during['growth'] / 2**20:.1f} MiB; all closed after {ended:.1f} s")
        assert still == {}, "connections are open after their deadlines"
        assert late[len(late) * 99 // 100] <= LATE_S_MAX, late[-20:]
        assert during["growth"] <= GROWTH_BYTES_MAX
    finally:
        for peer in (peer for sort in peers.values() for peer in sort):
            peer.close()
        for publisher in publishers:
            publisher.kill()
            publisher.wait()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    log = re.sub(r"\x1b\[[0-9;]*m", "", server.log.read_text())
    assert not re.search(r"^\S*\s+ERROR|panicked", log, re.M), log[-4000:]
    for key in keys:
        assert key not in log, "a stream key is in the log"


def attack(server, media_url):
    """All the peers at once, by sort."""
    peers = {"half-open": [], "dripping": [], "endless": [], "slow reader": [], "half request": []}
    for _ in range(HALF_OPEN):
        peers["half-open"].append(connect(server.rtmp_port))
        send(peers["half-open"][-1], b"\x03" + bytes(700))
    for _ in range(DRIPPING):
        peers["dripping"].append(connect(server.rtmp_port))
    for number in range(ENDLESS):
        peer = connect(server.rtmp_port)
        shake(peer)
        send(peer, endless_chunk(number))
        peers["endless"].append(peer)
    path = urllib.parse.urlsplit(media_url).path
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.web_port}\r\n\r\n".encode()
    for _ in range(SLOW_READERS):
        peer = socket.socket()
        # A small window, so that what is asked for does not fit into the system's buffers.
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        peer.connect(("127.0.0.1", server.web_port))
        peer.setblocking(False)
        send(peer, head * 800)
        peers["slow reader"].append(peer)
    for number in range(HALF_REQUESTS):
        peers["half request"].append(connect(server.web_port))
        send(peers["half request"][-1], (b"GET / HTTP/1.1\r\nHost:", b"PRI * HTT", b"", b"POST / HTTP")[number % 4])
    return peers


def drip(peers):
    """A byte of each that writes a byte at a time, and some more of what never ends."""
    for peer in peers["dripping"]:
        send(peer, b"\x03")
    for peer in peers["endless"]:
        send(peer, bytes(4096))


def until_closed(peers, began):
    """Waits for the server to close each; what is left by sort."""
    left = {sort: list(some) for sort, some in peers.items()}
    while left and time.monotonic() - began < CLOSED_WITHIN_S:
        for sort in list(left):
            # A slow reader stays slow: whether it was let go is seen by writing to it.
            gone = (lambda peer: not send(peer, b"x") or broken(peer)) if sort == "slow reader" else is_closed
            left[sort] = [peer for peer in left[sort] if not gone(peer)]
            if not left[sort]:
                del left[sort]
        time.sleep(0.5)
    return {sort: len(some) for sort, some in left.items()}


def broken(peer):
    """Whether the connection was reset."""
    return peer.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
