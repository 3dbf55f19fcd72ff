"""The Grafana dashboard: read by Grafana's own schema, each query parsed, and, where Prometheus is installed, evaluated by it over a real scrape."""

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.parse

import promql_parser
import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from conftest import ROOT, fetch, live_stream, until

DASHBOARD = json.loads((ROOT / "examples/grafana-headwater.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
# Members that are for importing, or that the schema's code does not know.
NOT_IN_SCHEMA = {".__inputs", ".__requires", ".id", ".templating.list[1].definition"}
# What is there only when something happened that does not happen here: nothing else may be empty.
MAY_BE_EMPTY = ("headwater_event_deliveries", "headwater_function", "headwater_takeovers", "headwater_stream_latency", "headwater_stream_startup",
                "headwater_stream_stall", "status=~")


def as_grafana_asks(expression):
    """With the variables filled in as Grafana does."""
    return expression.replace("$__rate_interval", "1m").replace("$channel", ".*")


def lost(given, read, path=""):
    """Paths of members that did not survive being read and written."""
    if isinstance(given, dict):
        for name, value in given.items():
            if not isinstance(read, dict) or name not in read:
                yield f"{path}.{name}"
            else:
                yield from lost(value, read[name], f"{path}.{name}")
    elif isinstance(given, list):
        if len(given) != len(read):
            yield path
        for at, value in enumerate(given[:len(read)]):
            yield from lost(value, read[at], f"{path}[{at}]")
    elif given != read:
        yield path


@pytest.fixture(scope="module")
def deployed(shared):
    shared.cli("deploy", str(ROOT / "examples/live.yaml"), "--stack-name", "live")
    return shared


def test_grafana_s_schema_reads_all_of_it():
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(DASHBOARD)))
    assert set(lost(DASHBOARD, read)) == NOT_IN_SCHEMA
    assert DASHBOARD["schemaVersion"] >= 36 and DASHBOARD["id"] is None and DASHBOARD["uid"] and DASHBOARD["title"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    places = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24 and not cells & places, panel["title"]
        places |= cells
    assert all(panel["targets"] and panel["datasource"]["uid"] == "${datasource}" for panel in PANELS)


def test_each_query_is_promql_and_names_what_the_page_has(deployed, encoders):
    variables = {"$" + variable["name"] for variable in DASHBOARD["templating"]["list"]} | {"$__rate_interval"}
    lists = [v["query"]["query"] for v in DASHBOARD["templating"]["list"] if v["type"] == "query"]
    for expression in EXPRESSIONS:
        promql_parser.parse(as_grafana_asks(expression))
    with pytest.raises(ValueError):
        promql_parser.parse("sum by (le) rate(")
    with live_stream(deployed, encoders):
        families = {f.name: f for f in text_string_to_metric_families(fetch(f"{deployed.api}/metrics").text)}
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""]}
    exported = {name + end for name, family in families.items() for end in suffixes[family.type]}
    for expression in EXPRESSIONS + lists:
        named = re.findall(r"headwater_\w+", expression)
        assert named and set(named) <= exported, expression
        assert set(re.findall(r"\$\w+", expression)) <= variables, expression
    # And all that is about viewers is on it.
    shown = "\n".join(EXPRESSIONS)
    assert [name for name in exported if name.startswith(("headwater_stream_", "headwater_edge_", "headwater_viewer")) and name not in shown
            and not name.endswith(("_sum", "_count"))] == []


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed (apt-get install prometheus)")
@pytest.mark.timeout(240)
def test_prometheus_scrapes_the_page_and_evaluates_every_query(deployed, encoders, tmp_path):
    target = deployed.api.removeprefix("http://")
    scrape = {"job_name": "headwater", "scrape_interval": "2s", "static_configs": [{"targets": [target]}]}
    config = tmp_path / "prometheus.yml"
    config.write_text(json.dumps({"scrape_configs": [scrape]}))
    subprocess.run(["promtool", "check", "config", config], check=True, capture_output=True)
    port = free_port()
    prometheus = subprocess.Popen(
        ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )

    def ask(path, **query):
        answer = fetch(f"http://127.0.0.1:{port}/api/v1/{path}?{urllib.parse.urlencode(query)}")
        assert answer.status == 200, answer.text
        return answer.json()["data"]

    try:
        with live_stream(deployed, encoders):
            outputs = deployed.outputs("live")

            def scraped():
                # Somebody watches meanwhile; the stream of another test may end meanwhile.
                deployed.media_playlist(outputs["PlaybackUrl"])
                try:
                    (found,) = ask("query", query="sum(count_over_time(headwater_stream_viewers[1m]))")["result"] or [None]
                except OSError:
                    return False
                return found and float(found["value"][1]) >= 8

            until(scraped, "Prometheus scrapes the page", 60, every=1)
            assert [t["health"] for t in ask("targets")["activeTargets"]] == ["up"]
            empty = []
            for expression in EXPRESSIONS:
                if not ask("query_range", query=as_grafana_asks(expression), start=time.time() - 20, end=time.time(), step=2)["result"]:
                    empty.append(expression)
            assert [e for e in empty if not any(part in e for part in MAY_BE_EMPTY)] == []
    finally:
        prometheus.kill()
        prometheus.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
