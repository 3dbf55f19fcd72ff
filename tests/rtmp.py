"""A publisher of several video tracks (Enhanced RTMP v2, "Multitrack"), as OBS is one: Debian's ffmpeg cannot send them."""

import os
import socket
import struct
import subprocess
import threading
import time

CHUNK_BYTES = 1 << 20
COMMANDS, MEDIA = 3, 6
SET_CHUNK_SIZE, AUDIO, VIDEO, METADATA, COMMAND = 1, 8, 9, 18, 20
#: Where the file's header and the first back pointer end.
FLV_HEAD = 13


def amf(value):
    """A value in AMF0."""
    if value is None:
        return b"\x05"
    if isinstance(value, (int, float)):
        return b"\x00" + struct.pack(">d", value)
    if isinstance(value, str):
        return b"\x02" + struct.pack(">H", len(value)) + value.encode()
    if isinstance(value, list):
        return b"\x0a" + struct.pack(">I", len(value)) + b"".join(map(amf, value))
    members = b"".join(struct.pack(">H", len(name)) + name.encode() + amf(member) for name, member in value.items())
    return b"\x03" + members + b"\x00\x00\x09"


def clip(size, seconds=8, rate=30, sound=False):
    """What an encoder sends of that size: (milliseconds, message type, body), a keyframe every two seconds."""
    width, height = size
    arguments = ["-f", "lavfi", "-i", f"testsrc2=size={width}x{height}:rate={rate}"]
    if sound:
        arguments += ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-c:a", "aac", "-b:a", "96k"]
    done = subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", *arguments, "-t", str(seconds), "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency",
         "-pix_fmt", "yuv420p", "-g", str(2 * rate), "-keyint_min", str(2 * rate), "-sc_threshold", "0", "-f", "flv", "-flvflags", "no_duration_filesize", "pipe:1"],
        stdout=subprocess.PIPE, check=True, timeout=60, stdin=subprocess.DEVNULL,
    )
    file, at, messages = done.stdout, FLV_HEAD, []
    while at + 11 <= len(file):
        length = int.from_bytes(file[at + 1:at + 4], "big")
        milliseconds = int.from_bytes(file[at + 7:at + 8] + file[at + 4:at + 7], "big")
        if file[at] in (AUDIO, VIDEO):
            messages.append((milliseconds, file[at], file[at + 11:at + 11 + length]))
        at += 11 + length + 4
    return messages


def as_track(number, body):
    """A video message of H.264 as that of a further track: `OneTrack`."""
    kind, coded = body[1], body[5:] if body[1] != 1 else body[2:]
    return bytes([0x80 | body[0] & 0x70 | 6, kind]) + b"avc1" + bytes([number]) + coded


def tracks(sizes, seconds=8):
    """Messages of all these tracks, the first with sound; configurations come first, as from OBS."""
    messages = clip(sizes[0], seconds, sound=True)
    for number, size in enumerate(sizes[1:], 1):
        messages += [(at, kind, as_track(number, body)) for at, kind, body in clip(size, seconds)]

    def is_configuration(kind, body):
        return body[1] & 0x0F == 0 if kind == VIDEO and not body[0] & 0x80 else kind == AUDIO and body[1] == 0 or kind == VIDEO and body[1] == 0

    return sorted(messages, key=lambda message: (message[0], not is_configuration(*message[1:])))


class Refused(Exception):
    """What the server said instead of letting us publish or go on."""


class Publisher:
    """Publishes messages in real time, again and again from its own thread, until it is stopped."""

    def __init__(self, port, name):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.heard = b""
        self.over = threading.Event()
        self.thread = None
        self.socket.sendall(b"\x03" + bytes(8) + os.urandom(1528))
        greeting = self._exactly(1 + 1536 + 1536)
        self.socket.sendall(greeting[1:1537])
        self._send(2, SET_CHUNK_SIZE, struct.pack(">I", CHUNK_BYTES), chunk=128)
        self._command("connect", 1, {"app": "app", "tcUrl": f"rtmp://127.0.0.1:{port}/app", "fourCcList": ["avc1"], "capsEx": 6})
        self._until(b"NetConnection.Connect.Success")
        self._command("createStream", 2, None)
        self._command("publish", 3, None, name, "live", stream=1)
        self._until(b"NetStream.Publish.Start")

    def _exactly(self, count):
        read = b""
        while len(read) < count:
            more = self.socket.recv(count - len(read))
            if not more:
                raise Refused("the connection was closed")
            read += more
        return read

    def _until(self, word):
        """Reads until the server says this. All of its replies fit one chunk each."""
        while word not in self.heard:
            more = self.socket.recv(4096)
            self.heard += more
            if not more or b"\x00\x05level\x02\x00\x05error" in self.heard:
                raise Refused(self.heard.decode(errors="replace"))

    def _send(self, chunk_stream, kind, body, at=0, stream=0, chunk=CHUNK_BYTES):
        head = struct.pack(">B", chunk_stream) + at.to_bytes(3, "big") + len(body).to_bytes(3, "big") + bytes([kind]) + struct.pack("<I", stream)
        pieces = [body[begin:begin + chunk] for begin in range(0, len(body), chunk)]
        self.socket.sendall(head + bytes([0xC0 | chunk_stream]).join(pieces))

    def _command(self, name, transaction, *values, stream=0):
        self._send(COMMANDS, COMMAND, b"".join(map(amf, [name, transaction, *values])), stream=stream)

    def begin(self, messages, words=None):
        """Sends them in a thread of its own; `words` are the encoder's of itself."""
        if words:
            self._send(COMMANDS, METADATA, amf("@setDataFrame") + amf("onMetaData") + amf(words), stream=1)
        self.thread = threading.Thread(target=self._run, args=(messages,), daemon=True)
        self.thread.start()
        return self

    def _run(self, messages):
        began, base, length = time.monotonic(), 0, 1000 * round(messages[-1][0] / 1000 + 0.5)
        try:
            while True:
                for at, kind, body in messages:
                    is_configuration = at == 0 and (body[1] == 0)
                    if base and is_configuration:
                        continue
                    if self.over.wait(max(0, began + (base + at) / 1000 - time.monotonic())):
                        return
                    self._send(MEDIA, kind, body, base + at, 1)
                base += length
        except OSError:
            pass

    def refusal(self):
        """What the server says when it lets go of us."""
        try:
            self._until(b"never said")
        except (Refused, OSError):
            return self.heard.decode(errors="replace")

    def stop(self):
        """A clean end."""
        self.over.set()
        if self.thread:
            self.thread.join(5)
        try:
            self._command("FCUnpublish", 4, None, "")
            self._command("deleteStream", 5, None, 1)
        except OSError:
            pass
        self.socket.close()
