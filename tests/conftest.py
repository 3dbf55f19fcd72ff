"""Fixtures of the end-to-end tests: the built binary on free ports, encoders, the AWS CLI."""

import contextlib
import http.server
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import boto3
import botocore.config
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BINARY = pathlib.Path(os.environ.get("HEADWATER_BINARY", ROOT / "target/debug/headwater"))
AWS = pathlib.Path(sys.executable).parent / "aws"
FREE = "127.0.0.1:0"


def until(condition, what, seconds=20.0, every=0.05):
    """The first true value of `condition()`; fails with `what` after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            pytest.fail(f"not within {seconds} s: {what}")
        time.sleep(every)


def in_browser(script, variable, options, timeout):
    """Runs a script of tests/browser to its end, where all of its claims must hold; how many there were."""
    done = subprocess.run(
        ["node", script], cwd=ROOT / "tests" / "browser", capture_output=True, text=True, timeout=timeout,
        env={**os.environ, variable: json.dumps(options)},
    )
    print(done.stdout, done.stderr)
    closing = re.search(r"(\d+) passed, (\d+) failed", done.stdout)
    assert closing, f"the browser's test did not come to its end:\n{done.stdout}\n{done.stderr}"
    failures = [line for line in done.stdout.splitlines() if "FAILED" in line]
    assert done.returncode == 0 and closing[2] == "0", "\n".join(failures) or done.stdout
    return int(closing[1])


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)


def fetch(url, host=None, method="GET", body=None, headers=None, timeout=20):
    """One HTTP request; error statuses are answers too. `host` replaces the Host header."""
    headers = dict(headers or {})
    if host:
        headers["Host"] = host
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return Response(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        return Response(error.code, error.headers, error.read())


class Server:
    """One server process on a data folder. It may be killed and started again on the same folder and ports."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.data = self.folder / "data"
        self.log = self.folder / "server.log"
        self.process = None
        self.ports = None

    # Life

    def environment(self):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HEADWATER_", "AWS_"))}
        kept["HEADWATER_FUNCTIONS_PYTHON"] = sys.executable
        kept["HEADWATER_FUNCTIONS_RETRY_DELAYS_S"] = "1,2"
        return kept

    def start(self, *command, flags=()):
        ports = self.ports or {"api": FREE, "web": FREE, "rtmp": FREE, "tls": FREE}
        listen = [f for name, at in ports.items() for f in (f"--listen-{name}", at)]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [BINARY, "--data", self.data, *listen, *flags, *(command or ("serve",))],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, env=self.environment(),
            )
        file = self.data / "server.json"

        def ready():
            if self.process.poll() is not None:
                pytest.fail(f"the server ended with {self.process.returncode}:\n{self.log.read_text()[-4000:]}")
            if not file.exists():
                return None
            addresses = json.loads(file.read_text())
            return addresses if addresses["pid"] == self.process.pid else None

        addresses = until(ready, "the server starts", 30)
        self.api, self.web = addresses["api_url"], addresses["web_url"]
        self.rtmp_port, self.tls_port = addresses["rtmp_port"], addresses["tls_port"]
        self.web_port = int(self.web.rsplit(":", 1)[1])
        self.ports = {
            "api": self.api.removeprefix("http://"), "web": f"127.0.0.1:{self.web_port}",
            "rtmp": f"127.0.0.1:{self.rtmp_port}", "tls": f"127.0.0.1:{self.tls_port}",
        }
        return self

    def kill(self):
        """kill -9: nothing is tidied up."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Ctrl-C; the server has ten seconds to leave."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                pytest.fail("the server did not end within 10 s of Ctrl-C")
        return self.process.returncode if self.process else None

    # Commands and clients

    def cli(self, *arguments, ok=True, timeout=120):
        done = subprocess.run(
            [BINARY, "--data", self.data, *arguments], capture_output=True, text=True, timeout=timeout,
            cwd=self.folder, env=self.environment(), stdin=subprocess.DEVNULL,
        )
        if ok and done.returncode != 0:
            pytest.fail(f"headwater {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}\n{self.log.read_text()[-3000:]}")
        return done

    def aws_environment(self):
        lines = self.cli("env").stdout.splitlines()
        return dict(line.removeprefix("export ").split("=", 1) for line in lines if line.startswith("export "))

    def aws(self, *arguments, ok=True, timeout=180):
        """The AWS CLI, unchanged, with the variables that `headwater env` prints."""
        environment = {**self.environment(), **self.aws_environment(), "AWS_PAGER": "", "HOME": str(self.folder)}
        done = subprocess.run(
            [AWS, *arguments], capture_output=True, text=True, timeout=timeout, env=environment, cwd=self.folder,
        )
        if ok and done.returncode != 0:
            pytest.fail(f"aws {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}\n{self.log.read_text()[-3000:]}")
        return done

    def aws_json(self, *arguments):
        return json.loads(self.aws(*arguments, "--output", "json").stdout or "null")

    def client(self, service, **keys):
        variables = self.aws_environment()
        return boto3.client(
            service, endpoint_url=variables["AWS_ENDPOINT_URL"], region_name=variables["AWS_REGION"],
            aws_access_key_id=keys.get("access_key", variables["AWS_ACCESS_KEY_ID"]),
            aws_secret_access_key=keys.get("secret_key", variables["AWS_SECRET_ACCESS_KEY"]),
            aws_session_token=keys.get("token"),
            config=botocore.config.Config(retries={"max_attempts": 0}, read_timeout=60),
        )

    # The viewers' side

    def get(self, path_or_url, **options):
        """From the web listener: a path, or a URL on any of its host names (resolved here, not by the system)."""
        if path_or_url.startswith("http"):
            host, _, path = path_or_url.split("://", 1)[1].partition("/")
            return fetch(f"http://127.0.0.1:{self.web_port}/{path}", host=host, **options)
        return fetch(f"http://127.0.0.1:{self.web_port}{path_or_url}", **options)

    def outputs(self, stack="live"):
        return {o["key"]: o["value"] for o in json.loads(self.cli("outputs", stack, "--json").stdout)}

    def events(self):
        lines = self.cli("events", "--replay-from", "1", "--json").stdout.splitlines()
        return [json.loads(line) for line in lines]

    def media_playlist(self, playback_url):
        """URL and text of the only rendition's media playlist, or None while there is none."""
        master = self.get(playback_url)
        if master.status != 200:
            return None
        uri = next(line for line in master.text.splitlines() if line and not line.startswith("#"))
        url = urllib.parse.urljoin(playback_url, uri)
        media = self.get(url)
        return (url, media.text) if media.status == 200 else None


class Encoder:
    """ffmpeg as an encoder: a test picture and a tone, in real time."""

    def __init__(self, url, *extra, rate=30, gop=None, size="640x360", video=("-c:v", "libx264"), channels=1, seconds=None):
        gop = gop or 2 * rate
        self.log = None
        limit = ["-t", str(seconds)] if seconds else []
        self.process = subprocess.Popen(
            ["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin",
             "-re", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}",
             "-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
             *video, "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-b:v", "800k",
             "-g", str(gop), "-keyint_min", str(gop), "-sc_threshold", "0", "-c:a", "aac", "-b:a", "96k", "-ac", str(channels),
             *extra, *limit, "-f", "flv", url],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )

    def stop(self):
        """A clean end: ffmpeg says FCUnpublish and deleteStream."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.wait()

    def cut(self):
        """The cable is pulled: no goodbye."""
        self.process.kill()
        self.process.wait()

    def wait(self, seconds=20):
        try:
            _, self.log = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, self.log = self.process.communicate()
        return self.process.returncode


@pytest.fixture
def sleepers(tmp_path):
    """A server on which each rendition sleeps until it is asked for."""
    server = Server(tmp_path)
    settings = tmp_path / "headwater.toml"
    settings.write_text("[ladder]\non_demand = true\n")
    server.start(flags=("--config", settings))
    yield server
    server.stop()


@pytest.fixture
def server(tmp_path):
    """A fresh server, ended cleanly after the test."""
    instance = Server(tmp_path)
    instance.start()
    yield instance
    if instance.process.poll() is None:
        instance.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A server that the tests of one file share."""
    instance = Server(tmp_path_factory.mktemp("server"))
    instance.start()
    yield instance
    if instance.process.poll() is None:
        instance.stop()


@pytest.fixture
def encoders():
    """Makes encoders and ends those that are left."""
    made = []

    def make(*arguments, **options):
        made.append(Encoder(*arguments, **options))
        return made[-1]

    yield make
    for encoder in made:
        if encoder.process.poll() is None:
            encoder.cut()


@pytest.fixture
def downloads():
    """Serves a folder on a free loopback port, as the place that a template downloads from."""
    servers = []

    def serve(folder):
        handler = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *a: None})
        server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), lambda *a, **k: handler(*a, directory=str(folder), **k)
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield serve
    for server in servers:
        server.shutdown()


@contextlib.contextmanager
def live_stream(server, encoders, stack="live", **options):
    """An encoder on the stack's channel, once viewers can fetch it; ended cleanly."""
    outputs = server.outputs(stack)
    url = f"rtmp://127.0.0.1:{server.rtmp_port}/app/{outputs['StreamKey']}"
    encoder = encoders(url, **options)
    until(lambda: server.media_playlist(outputs["PlaybackUrl"]), "the stream is live", 20)
    yield encoder
    encoder.stop()
