"""Metrics: the page for Prometheus, CloudWatch's operations in their protocols, the Grafana dashboard."""

import datetime
import json
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.exceptions
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from conftest import ROOT, fetch, live_stream, until


@pytest.fixture(scope="module")
def deployed(shared):
    shared.cli("deploy", str(ROOT / "examples/live.yaml"), "--stack-name", "live")
    return shared


def page(server):
    answer = fetch(f"{server.api}/metrics")
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("application/openmetrics-text")
    # The parser is strict: order, types, suffixes, escapes, bucket sums.
    return {family.name: family for family in text_string_to_metric_families(answer.text)}, answer.text


def values(families, name):
    return {tuple(sorted(s.labels.items())): s.value for s in families[name].samples if s.name.startswith(name)}


def test_the_page_tells_what_is_live(deployed, encoders):
    with live_stream(deployed, encoders):
        def measured():
            families, _ = page(deployed)
            rates = values(families, "headwater_ingest_frames_per_second")
            return families if rates and 20 < max(rates.values()) < 40 else None

        families = until(measured, "about 30 pictures a second come in", 30)
        assert values(families, "headwater_live_streams")[(("health", "healthy"),)] == 1
        ((channel, bits),) = values(families, "headwater_ingest_video_bits_per_second").items()
        assert len(dict(channel)["channel"]) == 12 and bits > 10_000
        until(lambda: values(page(deployed)[0], "headwater_ingest_keyframe_interval_seconds"), "two keyframes came")
        parts = next(s.value for s in families["headwater_parts"].samples if s.name == "headwater_parts_total")
        assert parts > 0
    until(lambda: not values(page(deployed)[0], "headwater_ingest_frames_per_second"), "the channel's rows go with it", 30)


def test_calls_are_counted_by_what_they_are_and_nobody_makes_up_names(deployed):
    ivs, sts = deployed.client("ivs"), deployed.client("sts")
    ivs.list_channels()
    sts.get_caller_identity()
    with pytest.raises(botocore.exceptions.ClientError):
        ivs.get_channel(arn="arn:aws:ivs:us-east-1:000000000000:channel/absent")
    families, text = page(deployed)
    counted = {
        (s.labels["service"], s.labels["operation"], s.labels["status"]): s.value
        for s in families["headwater_gateway_requests"].samples
    }
    assert counted["ivs", "ListChannels", "200"] >= 1 and counted["sts", "GetCallerIdentity", "200"] >= 1
    assert counted["ivs", "GetChannel", "404"] == 1
    signed = signed_query(deployed, "iam", {"Action": "MadeUpByACaller", "Version": "2010-05-08"})
    assert signed.status == 400
    assert "MadeUpByACaller" not in page(deployed)[1] and ("iam", "other", "400") in {
        (s.labels["service"], s.labels["operation"], s.labels["status"])
        for s in page(deployed)[0]["headwater_gateway_requests"].samples
    }
    assert "AKIA" not in text


def test_only_this_machine_reads_the_page(deployed):
    for header in ({"Origin": "https://example.com"}, {"X-Forwarded-For": "10.0.0.1"}, {"Forwarded": "for=10.0.0.1"}):
        assert fetch(f"{deployed.api}/metrics", headers=header).status == 403


def test_ivs_metrics_under_cloudwatchs_names(deployed, encoders):
    watch = deployed.client("cloudwatch")
    arn = deployed.client("ivs").list_channels()["channels"][0]["arn"]
    channel = arn.rsplit("/", 1)[1]
    start = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=5)

    def query(name, dimensions, stat="Average", period=5):
        return watch.get_metric_data(
            MetricDataQueries=[{"Id": "m1", "MetricStat": {
                "Metric": {"Namespace": "AWS/IVS", "MetricName": name, "Dimensions": dimensions},
                "Period": period, "Stat": stat}}],
            StartTime=start, EndTime=datetime.datetime.now(datetime.timezone.utc), ScanBy="TimestampAscending",
        )["MetricDataResults"][0]

    with live_stream(deployed, encoders):
        # Both forms of the channel that IVS' documentation has.
        for value in (channel, arn):
            dimension = [{"Name": "Channel", "Value": value}]
            rate = until(lambda d=dimension: [v for v in query("IngestFramerate", d)["Values"] if 20 < v < 40], "frames", 40)
            assert rate
        dimension = [{"Name": "Channel", "Value": channel}]
        result = query("IngestVideoBitrate", dimension)
        assert result["StatusCode"] == "Complete" and result["Label"] == "IngestVideoBitrate"
        assert max(result["Values"]) > 10_000 and len(result["Values"]) == len(result["Timestamps"])
        assert all(isinstance(v, float) for v in result["Values"])
        assert all(at.timestamp() % 5 == 0 and at.tzinfo for at in result["Timestamps"])
        assert result["Timestamps"] == sorted(result["Timestamps"])
        until(lambda: query("ConcurrentStreams", [], "Maximum", 60)["Values"] == [1.0], "one stream", 40)
        until(lambda: query("LiveInputTime", dimension, "Sum", 60)["Values"], "time passes", 40)
        # Somebody watches, from an address without a country.
        country = [*dimension, {"Name": "ViewerCountryCode", "Value": "UNKNOWN"}]

        def delivered():
            deployed.media_playlist(deployed.outputs("live")["PlaybackUrl"])
            return sum(query("LiveDeliveredTime", country, "Sum", 60)["Values"])

        until(delivered, "time is delivered to a viewer", 40, every=1)
        listed = watch.get_paginator("list_metrics").paginate(Namespace="AWS/IVS", Dimensions=[{"Name": "Channel", "Value": arn}])
        names = {metric["MetricName"] for each in listed for metric in each["Metrics"]}
        assert {"IngestAudioBitrate", "IngestVideoBitrate", "IngestBitrate", "IngestFramerate", "KeyframeInterval"} <= names
        told = watch.get_metric_statistics(
            Namespace="AWS/IVS", MetricName="KeyframeInterval", Dimensions=dimension, StartTime=start,
            EndTime=datetime.datetime.now(datetime.timezone.utc), Period=60, Statistics=["Average", "Maximum"],
            ExtendedStatistics=["p50"],
        )
        # A keyframe every two seconds.
        assert told["Label"] == "KeyframeInterval"
        assert all(abs(p["Average"] - 2.0) < 0.2 and p["Unit"] == "Seconds" and p["ExtendedStatistics"]["p50"]
                   for p in told["Datapoints"]) and told["Datapoints"]
        seen = deployed.aws_json(
            "cloudwatch", "list-metrics", "--namespace", "AWS/IVS", "--metric-name", "IngestFramerate")["Metrics"]
        assert {"Namespace": "AWS/IVS", "MetricName": "IngestFramerate", "Dimensions": []} in seen


def test_metrics_of_ones_own(deployed):
    watch = deployed.client("cloudwatch")
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    dimension = [{"Name": "Page", "Value": "home"}]
    watch.put_metric_data(Namespace="App", MetricData=[
        {"MetricName": "Clicks", "Dimensions": dimension, "Timestamp": now, "Value": 3, "Unit": "Count"},
        {"MetricName": "Clicks", "Dimensions": dimension, "Timestamp": now, "Values": [1, 5], "Counts": [2, 1], "Unit": "Count"},
    ])
    told = watch.get_metric_statistics(
        Namespace="App", MetricName="Clicks", Dimensions=dimension, StartTime=now - datetime.timedelta(seconds=60),
        EndTime=now + datetime.timedelta(seconds=60), Period=60, Statistics=["Sum", "SampleCount", "Minimum", "Maximum"],
    )["Datapoints"]
    assert [(p["Sum"], p["SampleCount"], p["Minimum"], p["Maximum"], p["Unit"]) for p in told] == [(10, 4, 1, 5, "Count")]
    for wrong in (
        lambda: watch.put_metric_data(Namespace="AWS/IVS", MetricData=[{"MetricName": "x", "Value": 1}]),
        lambda: watch.get_metric_statistics(Namespace="App", MetricName="Clicks", StartTime=now, EndTime=now, Period=60,
                                            Statistics=["Sum"]),
        lambda: watch.get_metric_statistics(Namespace="App", MetricName="Clicks", StartTime=now - datetime.timedelta(hours=1),
                                            EndTime=now, Period=7, Statistics=["Sum"]),
    ):
        with pytest.raises(botocore.exceptions.ClientError) as refused:
            wrong()
        # The code that the service had before its newer protocols.
        assert refused.value.response["Error"]["Code"] == "InvalidParameterValue"
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert isinstance(refused.value, watch.exceptions.InvalidParameterValueException)


def test_metric_math_over_ones_own_and_over_ivs_metrics(deployed):
    watch = deployed.client("cloudwatch")
    minute = datetime.datetime.now(datetime.timezone.utc).replace(second=0, microsecond=0) - datetime.timedelta(minutes=3)
    at = [minute + datetime.timedelta(minutes=n) for n in range(3)]
    put = {"Hits": [(0, 8), (1, 3), (2, 6)], "Calls": [(0, 10), (2, 0)]}
    watch.put_metric_data(Namespace="Math", MetricData=[
        {"MetricName": name, "Timestamp": at[n], "Value": value} for name, points in put.items() for n, value in points])

    def ask(*expressions, **more):
        metrics = [{"Id": id, "ReturnData": False, "MetricStat": {"Metric": {"Namespace": "Math", "MetricName": name}, "Period": 60, "Stat": "Sum"}}
                   for id, name in (("m1", "Hits"), ("m2", "Calls"))]
        asked = [{"Id": f"e{n}", "Expression": text} for n, text in enumerate(expressions, 1)]
        answer = watch.get_metric_data(MetricDataQueries=metrics + asked, StartTime=at[0], EndTime=at[2] + datetime.timedelta(minutes=1),
                                       ScanBy="TimestampAscending", **more)
        return [(one["Id"], dict(zip(((t - minute).seconds // 60 for t in one["Timestamps"]), one["Values"]))) for one in answer["MetricDataResults"]]

    assert ask("m1+m2", "SUM([m1,m2])", "m1/m2*100", "SUM(METRICS())", "FILL(m2,0)", "e1*2", "AVG([m1,m2])", "MAX([m1,m2])", "MIN([m1,m2])") == [
        ("e1", {0: 18, 2: 6}), ("e2", {0: 18, 1: 3, 2: 6}), ("e3", {0: 80}), ("e4", {0: 18, 1: 3, 2: 6}), ("e5", {0: 10, 1: 0, 2: 0}),
        ("e6", {0: 36, 2: 12}), ("e7", {0: 9, 1: 3, 2: 3}), ("e8", {0: 10, 1: 3, 2: 6}), ("e9", {0: 8, 1: 3, 2: 0})]
    assert ask("SEARCH('{Math} MetricName=\"Calls\"', 'Sum', 60)", "SUM(SEARCH('{Math}', 'Sum', 60))") == [("e1", {0: 10, 2: 0}), ("e2", {0: 18, 1: 3, 2: 6})]
    assert ask("[m1,m2]") == [("e1", {0: 8, 1: 3, 2: 6}), ("e1", {0: 10, 2: 0})]
    for text, told in (("ANOMALY_DETECTION_BAND(m1)", "Unsupported function: ANOMALY_DETECTION_BAND"), ("SEARCH('{Math} a OR b', 'Sum')", "Unsupported search"), ("m1+", "Invalid syntax"),
                       ("m9*2", "Undefined Id m9"), ("SUM(m1)", "must be a time series"), ("e1", "depends on itself")):
        with pytest.raises(botocore.exceptions.ClientError) as refused:
            ask(text)
        error = refused.value.response["Error"]
        assert error["Code"] == "ValidationError" and error["Message"].startswith("Error in expression 'e1': ") and told in error["Message"]


def test_what_sdks_compress_is_read(deployed):
    watch = deployed.client("cloudwatch")
    sent = []
    watch.meta.events.register("before-send.cloudwatch.PutMetricData", lambda request, **_: sent.append((request.headers.get("Content-Encoding"), len(request.body))))
    now = datetime.datetime.now(datetime.timezone.utc)
    data = [{"MetricName": "Large", "Timestamp": now, "Value": n, "Dimensions": [{"Name": "Page", "Value": "x" * 100}]} for n in range(200)]
    watch.put_metric_data(Namespace="Compressed", MetricData=data)
    ((encoding, length),) = sent
    assert encoding == b"gzip" and length < 10_000
    told = watch.get_metric_statistics(Namespace="Compressed", MetricName="Large", Dimensions=data[0]["Dimensions"], Period=60, Statistics=["SampleCount", "Sum"],
                                       StartTime=now - datetime.timedelta(minutes=1), EndTime=now + datetime.timedelta(minutes=1))["Datapoints"]
    assert sum(p["SampleCount"] for p in told) == 200 and sum(p["Sum"] for p in told) == 199 * 100


def signed(server, service, path, body, headers):
    variables = server.aws_environment()
    keys = botocore.credentials.Credentials(variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"])
    request = botocore.awsrequest.AWSRequest("POST", f"{server.api}{path}", data=body, headers=headers)
    botocore.auth.SigV4Auth(keys, service, variables["AWS_REGION"]).add_auth(request)
    return fetch(request.url, method="POST", body=body, headers=dict(request.headers))


def signed_query(server, service, form):
    body = urllib.parse.urlencode(form).encode()
    return signed(server, service, "/", body, {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"})


def test_the_older_protocols_of_cloudwatch(deployed):
    now = int(datetime.datetime.now().timestamp())
    deployed.client("cloudwatch").put_metric_data(Namespace="Old", MetricData=[
        {"MetricName": "m", "Timestamp": now, "Value": 2.5}])
    iso = [datetime.datetime.fromtimestamp(t, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ") for t in (now - 60, now + 60)]
    answer = signed_query(deployed, "monitoring", {
        "Action": "GetMetricStatistics", "Version": "2010-08-01", "Namespace": "Old", "MetricName": "m",
        "StartTime": iso[0], "EndTime": iso[1], "Period": "60", "Statistics.member.1": "Sum"})
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/xml"
    assert "<GetMetricStatisticsResult><Label>m</Label><Datapoints><member><Timestamp>20" in answer.text
    assert "<Sum>2.5</Sum>" in answer.text
    refused = signed_query(deployed, "monitoring", {"Action": "GetMetricStatistics", "Version": "2010-08-01"})
    assert refused.status == 400 and "<Code>MissingParameter</Code>" in refused.text
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "GraniteServiceVersion20100801.GetMetricData"}
    stat = {"Metric": {"Namespace": "Old", "MetricName": "m"}, "Period": 60, "Stat": "Maximum"}
    body = {"MetricDataQueries": [{"Id": "a", "MetricStat": stat}], "StartTime": now - 60, "EndTime": now + 60}
    answer = signed(deployed, "monitoring", "/", json.dumps(body).encode(), headers)
    assert answer.status == 200 and answer.json()["MetricDataResults"][0]["Values"] == [2.5]
    assert answer.json()["MetricDataResults"][0]["Timestamps"] == [now - now % 60]
    refused = signed(deployed, "monitoring", "/", b"{}", headers)
    assert refused.json()["__type"] == "InvalidParameterValueException" and refused.status == 400
    assert refused.headers["x-amzn-query-error"] == "InvalidParameterValue;Sender"
