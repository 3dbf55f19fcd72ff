"""The AWS SDK for JavaScript v3, unchanged, against the built binary: tests/sdk-js holds what it calls."""

import os
import re
import subprocess

import pytest

from conftest import ROOT

FOLDER = ROOT / "tests" / "sdk-js"
# Each with the checks that it has at least: a suite that ends early has fewer.
SUITES = {"ivs": 200, "stacks": 40, "objects": 60, "functions": 40, "rules": 40, "figures": 15, "identity": 50, "parameters": 30, "clocks": 80}


@pytest.mark.parametrize("suite", SUITES)
def test_the_sdk_for_javascript(shared, suite):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        ["node", "run.mjs", suite], cwd=FOLDER, capture_output=True, text=True, timeout=170, stdin=subprocess.DEVNULL,
        env={**kept, **shared.aws_environment(), "HEADWATER_RTMP_PORT": str(shared.rtmp_port), "HOME": str(shared.folder)},
    )
    closing = re.search(r"(\d+) passed, (\d+) failed", done.stdout)
    assert closing, f"the suite did not come to its end:\n{done.stdout}\n{done.stderr}"
    assert done.returncode == 0 and closing[2] == "0", done.stdout + done.stderr
    assert int(closing[1]) >= SUITES[suite]
