"""Private playback from outside: tokens made with another library, the AWS SDK, ffprobe and plain HTTP against the built binary."""

import concurrent.futures
import json
import re
import subprocess
import time
import urllib.parse
import uuid

import pytest

from conftest import FREE, Encoder, Server, until
from tokens import Signer, base64url

# IVS' promise for revocation, kept here for changed policies as well.
REVOKED_WITHIN_S = 5
# Counts are published every 5 s; the rest is for a busy machine.
COUNTED_WITHIN_S = 15
# Requests that try one single-use token at the same time.
AT_ONCE = 8
GOOD_PAGE, OTHER_PAGE = "https://good.example", "https://other.example"


class Channel:
    """A channel with a stream on it, and its viewers."""

    def __init__(self, server, made):
        self.server, self.arn, self.url = server, made["channel"]["arn"], made["channel"]["playbackUrl"]
        self.ingest = f"rtmp://127.0.0.1:{server.rtmp_port}/app/{made['streamKey']['value']}"

    def master(self, token=None, origin=None):
        url = self.url if token is None else f"{self.url}?token={token}"
        return self.server.get(url, headers={"Origin": origin} if origin else {})

    def begin(self, token=None, origin=None):
        """Begins a viewer session; URL of its media playlist."""
        answer = self.master(token, origin)
        assert answer.status == 200, answer.text
        uri = next(line for line in answer.text.splitlines() if line and not line.startswith("#"))
        return urllib.parse.urljoin(self.url, uri)


@pytest.fixture(scope="module")
def signer(shared):
    """Signs with a key that the account has imported."""
    signer = Signer()
    pair = shared.client("ivs").import_playback_key_pair(name="viewers", publicKeyMaterial=signer.public_pem())
    assert pair["keyPair"]["arn"].split(":")[5].startswith("playback-key/")
    return signer


@pytest.fixture(scope="module")
def live(shared):
    """Makes channels that are live until the module's end."""
    encoders = []

    def make(entry, **settings):
        channel = Channel(shared, shared.client("ivs").create_channel(type="BASIC", **settings))
        encoders.append(Encoder(channel.ingest, size="320x180", gop=30))
        until(lambda: entry(channel).status == 200, "the stream is live")
        return channel

    yield make
    for encoder in encoders:
        encoder.cut()


@pytest.fixture(scope="module")
def private(signer, live):
    """A private channel that is live."""
    return live(lambda channel: channel.master(signer.token(channel.arn)), name="private", authorized=True)


def urls_of_media(server, playlist_url):
    """Addresses of the init segment and of a part in a media playlist, once it has both."""

    def found():
        answer = server.get(playlist_url)
        assert answer.status == 200, answer.text
        init = re.search(r'EXT-X-MAP:URI="([^"]+)"', answer.text)
        part = re.search(r'EXT-X-PART:[^\n]*URI="([^"]+)"', answer.text)
        return init and part and (answer.text, [urllib.parse.urljoin(playlist_url, m[1]) for m in (init, part)])

    return until(found, "the playlist has an init segment and a part")


def test_without_a_token_nobody_is_let_in_and_with_one_ffprobe_plays(shared, signer, private):
    refused = private.master()
    assert refused.status == 403
    assert refused.json()[0]["error_code"] == "invalid_playback_auth_token"

    played = subprocess.run(
        ["ffprobe", "-v", "error", "-read_intervals", "%+1", "-count_packets",
         "-show_entries", "stream=codec_name,nb_read_packets", "-of", "json", f"{private.url}?token={signer.token(private.arn)}"],
        capture_output=True, text=True, timeout=30,
    )
    streams = json.loads(played.stdout).get("streams", [])
    codecs = {stream["codec_name"] for stream in streams if int(stream.get("nb_read_packets", 0)) > 0}
    assert codecs == {"h264", "aac"}, played.stdout + played.stderr


def test_media_is_reached_by_the_session_and_by_nothing_else(shared, signer, private):
    token = signer.token(private.arn)
    playlist_url = private.begin(token)
    text, media = urls_of_media(shared, playlist_url)
    assert "token" not in text
    for url in [playlist_url, *media]:
        assert "?" not in url and token not in url
        assert shared.get(url).status == 200, url
        path = urllib.parse.urlsplit(url).path
        form = re.fullmatch(r"/media/v/([^/]+)/([^/]+)(/.+)", path)
        assert form, path
        session, epoch, rest = form.groups()
        assert shared.get(f"/media/{epoch}{rest}").status in (403, 404), "the open form"
        assert shared.get(f"/media/{epoch}{rest}?token={token}").status in (403, 404), "the open form with the token"
        changed = session[:-2] + ("AA" if session[-2:] != "AA" else "BB")
        assert shared.get(f"/media/v/{changed}/{epoch}{rest}").status == 403, "a session that was made up"


def test_tokens_that_are_not_for_this_are_refused(shared, signer, private):
    other = shared.client("ivs").create_channel(name="other", authorized=True)["channel"]["arn"]
    good = signer.token(private.arn)
    header, claims, signature = good.split(".")
    unsigned = base64url(json.dumps({"alg": "none"}).encode())
    refused = {
        "another channel": signer.token(other),
        "expired": signer.token(private.arn, ends_in_s=-5),
        "a foreign key": Signer().token(private.arn),
        "no signature": f"{unsigned}.{claims}.",
        "claims that were changed": f"{header}.{signer.token(other).split('.')[1]}.{signature}",
        "a viewer, valid for long": signer.token(private.arn, ends_in_s=3600, **{"aws:viewer-id": "v"}),
    }
    statuses = {what: private.master(token).status for what, token in refused.items()}
    assert statuses == dict.fromkeys(refused, 403)
    assert private.master(good).status == 200


def test_a_key_that_is_deleted_lets_nobody_in(shared, private):
    ivs, second = shared.client("ivs"), Signer()
    arn = ivs.import_playback_key_pair(publicKeyMaterial=second.public_pem())["keyPair"]["arn"]
    token = second.token(private.arn)
    assert private.master(token).status == 200
    ivs.delete_playback_key_pair(arn=arn)
    assert private.master(token).status == 403


def test_a_revoked_viewer_is_out_within_five_seconds(shared, signer, private):
    def token(viewer, version):
        return signer.token(private.arn, **{"aws:viewer-id": viewer, "aws:viewer-session-version": version})

    revoked, newer, somebody = (private.begin(token(*who)) for who in [("me", 3), ("me", 4), ("you", 3)])
    _, media = urls_of_media(shared, revoked)
    shared.client("ivs").start_viewer_session_revocation(
        channelArn=private.arn, viewerId="me", viewerSessionVersionsLessThanOrEqualTo=3
    )
    until(lambda: shared.get(revoked).status == 403, "the media playlist is refused", REVOKED_WITHIN_S)
    assert [shared.get(url).status for url in media] == [403, 403]
    assert private.master(token("me", 3)).status == 403
    assert private.master(token("me", 4)).status == 200
    assert shared.get(newer).status == 200 and shared.get(somebody).status == 200


def test_a_token_for_one_use_lets_one_request_in(private, signer):
    token = signer.token(private.arn, **{"aws:single-use-uuid": str(uuid.uuid4())})
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        statuses = sorted(answer.status for answer in pool.map(private.master, [token] * AT_ONCE))
    assert statuses == [200] + [403] * (AT_ONCE - 1)
    assert private.master(token).status == 403


def test_a_policy_with_strict_origins_holds_for_media_and_its_viewer_is_counted(shared, live):
    ivs = shared.client("ivs")
    policy = ivs.create_playback_restriction_policy(allowedOrigins=[GOOD_PAGE], enableStrictOriginEnforcement=True)
    arn = policy["playbackRestrictionPolicy"]["arn"]
    channel = live(lambda channel: channel.master(origin=GOOD_PAGE), playbackRestrictionPolicyArn=arn)
    assert channel.master().status == 403
    assert channel.master(origin=OTHER_PAGE).status == 403
    url = channel.begin(origin=GOOD_PAGE)
    status = lambda origin: shared.get(url, headers={"Origin": origin}).status
    assert (status(GOOD_PAGE), status(OTHER_PAGE), shared.get(url).status) == (200, 403, 403)

    def viewers():
        assert status(GOOD_PAGE) == 200
        return ivs.get_stream(channelArn=channel.arn)["stream"]["viewerCount"]

    until(lambda: viewers() == 1, "the viewer is counted", COUNTED_WITHIN_S, every=0.5)

    ivs.update_playback_restriction_policy(arn=arn, allowedOrigins=[OTHER_PAGE])
    until(lambda: status(GOOD_PAGE) == 403, "the changed policy holds for media", REVOKED_WITHIN_S)
    assert status(OTHER_PAGE) == 200


def test_a_country_database_that_cannot_be_read_is_a_failure_to_start(tmp_path):
    broken = tmp_path / "countries.mmdb"
    broken.write_bytes(b"no database")
    # The folder is the current one of the command.
    (tmp_path / "headwater.toml").write_text(f'[playback]\ncountry_database = "{broken}"\n')
    listen = [f for name in ("api", "web", "rtmp", "tls") for f in (f"--listen-{name}", FREE)]
    done = Server(tmp_path).cli(*listen, "serve", ok=False, timeout=30)
    assert done.returncode != 0
    assert "playback.country_database" in done.stderr and str(broken) in done.stderr
