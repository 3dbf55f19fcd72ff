"""Viewers as they are counted, measured and sent away, from outside."""

import json
import urllib.parse

import pytest

from conftest import ROOT, Encoder, fetch, until

# Counts are published every 5 s; the rest is for a busy machine.
PUBLISHED_WITHIN_S = 15


@pytest.fixture
def live(server):
    """A server on which one may watch, with a stream."""
    server.stop()
    (server.folder / "headwater.toml").write_text("[playback]\nviews_max = 1\n")
    server.start()
    server.cli("deploy", str(ROOT / "examples/live.yaml"), "--stack-name", "live")
    outputs = server.outputs()
    encoder = Encoder(f"rtmp://127.0.0.1:{server.rtmp_port}/app/{outputs['StreamKey']}", gop=30)
    until(lambda: server.get(outputs["PlaybackUrl"]).status == 200, "the stream is live")
    yield server, outputs["PlaybackUrl"]
    encoder.cut()


def playlist_of(url, master):
    return urllib.parse.urljoin(url, next(line for line in master.text.splitlines() if line and not line.startswith("#")))


def test_one_viewer_more_than_may_watch_is_told_by_ivs_event(live):
    server, url = live
    first = playlist_of(url, server.get(url))
    assert server.get(first).status == 200
    for _ in range(3):
        refused = server.get(url)
        assert refused.status == 429 and refused.json()[0]["error_code"] == "concurrent_views_exceeded"
    # Who watches goes on, also by name.
    assert server.get(first).status == 200
    session = urllib.parse.parse_qs(urllib.parse.urlsplit(first).query)["v"][0]
    again = server.get(f"{url}?session={session}")
    assert again.status == 200 and playlist_of(url, again) == first
    breaches = lambda: [e["event"] for e in server.events() if e["event"]["detail-type"] == "IVS Limit Breach"]
    (event,) = until(breaches, "the breach is an event")
    assert event["source"] == "aws.ivs" and event["resources"] == []
    assert event["detail"] == {"limit_name": "Concurrent Viewers", "limit_value": 1, "exceeded_by": 1, "limit_unit": "viewers"}
    page = fetch(f"{server.api}/metrics").text
    assert "headwater_viewers_turned_away_total 3\n" in page and 'headwater_edge_requests_total{outcome="too_many_views"} 3\n' in page


def test_a_beacon_shows_where_operators_look(live):
    server, url = live
    playlist = playlist_of(url, server.get(url))
    parts = urllib.parse.urlsplit(playlist)
    beacon = f"{parts.path.rsplit('/', 2)[0]}/beacon?{parts.query}"

    def tell(text):
        assert server.get(playlist).status == 200
        assert server.get(beacon, method="POST", body=text.encode(), headers={"Origin": "https://page.example"}).status == 204

    tell("br=800,bsa=0,bsda=0,dfa=0,ltc=1400,msd=700,v=2")

    def audience(ready):
        tell("br=800,bsa=1,bsda=300,dfa=4,ltc=1400,v=2")
        found = json.loads(server.cli("doctor", "live", "--json", ok=False).stdout)["audience"]
        return found if ready(found) else None

    found = until(lambda: audience(lambda a: a["stalls_per_minute"] > 0), "the beacon is published", PUBLISHED_WITHIN_S, every=0.5)
    assert (found["viewers"], found["measured"], found["stalled"]) == (1, 1, 1)
    assert (found["latency_p50_ms"], found["startup_p95_ms"], found["bitrate_p50_bps"]) == (1400, 700, 800_000)
    assert (found["stalls_per_minute"], found["stalled_ms_per_minute"], found["dropped_frames_per_minute"]) == (1, 300, 4)
    assert [share["viewers"] for share in found["renditions"]] == [1]
    text = server.cli("doctor", "live", ok=False).stdout
    assert "latency p50 1400 ms" in text and "first picture after 700 ms" in text and "1 stalls, 300 ms in the last minute" in text
    page = fetch(f"{server.api}/metrics").text
    for line in ('headwater_stream_latency_seconds{channel="', "headwater_viewer_stalls_total 1\n", "headwater_viewer_stalled_seconds_total 0.3\n",
                 "headwater_viewer_dropped_frames_total 4\n"):
        assert line in page, line
    assert f'rendition="{found["renditions"][0]["name"]}"}} 1' in page
