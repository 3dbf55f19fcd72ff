"""A viewer's whole evening in a real Chromium and its main points in a real Firefox, against the real server: tests/browser/journey.mjs and firefox.mjs tell it."""

import http.server
import os
import pathlib
import shutil
import threading

import pytest

from conftest import in_browser

TEMPLATE = """
Resources:
  Channel: {Type: 'AWS::IVS::Channel', Properties: {Name: evening}}
  StreamKey: {Type: 'AWS::IVS::StreamKey', Properties: {ChannelArn: !Ref Channel}}
  Site: {Type: 'Headwater::Live::Site', Properties: {ChannelArn: !Ref Channel, Title: 'An evening'}}
Outputs:
  Arn: {Value: !Ref Channel}
  StreamKey: {Value: !GetAtt StreamKey.Value}
  WebsiteUrl: {Value: !GetAtt Site.WebsiteUrl}
"""


@pytest.fixture
def levers(server):
    """Two levers of the server that the browser's test may pull by HTTP: /restart and /metadata."""
    outputs = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                if self.path == "/restart":
                    server.kill()
                    server.start()
                else:
                    server.client("ivs").put_metadata(channelArn=outputs["Arn"], metadata=body.decode())
                self.send_response(200)
            except Exception as error:  # the test reads curl's exit code
                print(f"{self.path}: {error}")
                self.send_response(500)
            self.end_headers()

        def log_message(self, *_):
            pass

    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{listener.server_address[1]}", outputs
    listener.shutdown()


def an_evening(server, levers, tmp_path, script, **more):
    """Deploys a site, lets a browser watch it, and says how many things were as they must be."""
    address, outputs = levers
    template = tmp_path / "evening.yaml"
    template.write_text(TEMPLATE)
    server.cli("deploy", template, "--stack-name", "evening")
    outputs.update(server.outputs("evening"))
    options = {
        "site": outputs["WebsiteUrl"] + "/",
        "ingest": f"rtmp://127.0.0.1:{server.rtmp_port}/app/{outputs['StreamKey']}",
        "putMetadata": ["curl", "-sS", "-f", f"{address}/metadata", "--data-binary"],
        "restartServer": ["curl", "-sS", "-f", "-X", "POST", f"{address}/restart"],
        **more,
    }
    return in_browser(script, "HEADWATER_BROWSER", options, 400)


@pytest.mark.timeout(420)
def test_a_viewers_evening(server, levers, tmp_path):
    screenshots = pathlib.Path(os.environ.get("HEADWATER_SCREENSHOTS", tmp_path / "screenshots"))
    assert an_evening(server, levers, tmp_path, "run.mjs", screenshots=str(screenshots)) >= 40


def test_a_viewers_evening_in_firefox(server, levers, tmp_path):
    firefox = next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)
    assert firefox, "neither firefox-esr nor firefox is installed"
    assert an_evening(server, levers, tmp_path, "firefox.mjs", firefox=firefox) >= 13
