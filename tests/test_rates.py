"""How often IVS' operations may be called: with IVS' own rates, and with the default, which nobody notices."""

import concurrent.futures

import botocore.exceptions
import pytest

from conftest import Server
from model import MODELS, Raw

MODEL = MODELS["ivs"]


@pytest.fixture
def strict(tmp_path):
    """A server with IVS' own rates."""
    (tmp_path / "headwater.toml").write_text("[quotas]\noperation_rate_factor = 1\n")
    server = Server(tmp_path).start()
    yield server
    server.stop()


def test_a_call_too_many_is_throttled_as_by_ivs(strict):
    raw = Raw(strict, "ivs")
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: raw.call(MODEL.operation_model("ListChannels"), {}), range(12)))
    statuses = sorted(answer.status for answer in answers)
    assert statuses[:5] == [200] * 5 and statuses[-1] == 429, "12 at once fall into two seconds at most"
    answer = next(answer for answer in answers if answer.status == 429)
    assert answer.headers["x-amzn-errortype"] == "ThrottlingException"
    message = "Rate exceeded: ListChannels allows 5 requests per second for the account."
    assert answer.json() == {"exceptionMessage": message, "message": message}
    assert answer.headers["Cache-Control"] == "no-store", "the headers of IVS' errors"
    # Another operation has its own count, and so have the ones that the server does by itself.
    assert raw.call(MODEL.operation_model("ListStreams"), {}).status == 200


def test_an_sdk_that_tries_again_gets_through(strict):
    import boto3
    import botocore.config
    variables = strict.aws_environment()
    patient = boto3.client(
        "ivs", endpoint_url=variables["AWS_ENDPOINT_URL"], region_name=variables["AWS_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"], aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        config=botocore.config.Config(retries={"max_attempts": 10, "mode": "standard"}),
    )
    tries = [patient.list_channels()["ResponseMetadata"]["RetryAttempts"] for _ in range(12)]
    assert len(tries) == 12 and any(tries), tries


def test_the_default_lets_a_hundredfold_pass(shared):
    ivs = shared.client("ivs")
    try:
        for _ in range(50):
            ivs.list_channels()
    except botocore.exceptions.ClientError as error:
        pytest.fail(str(error))


def test_a_rate_that_is_no_number_ends_the_start(tmp_path):
    (tmp_path / "headwater.toml").write_text("[quotas]\noperation_rate_factor = 1001\n")
    refused = Server(tmp_path).cli("config", "--explain", ok=False)
    assert refused.returncode != 0 and "quotas.operation_rate_factor" in refused.stderr
