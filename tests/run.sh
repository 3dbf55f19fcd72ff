#!/usr/bin/env bash
# The end-to-end tests: pytest against the built binary, then a real browser. --quick leaves the browsers and players out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
: "${HEADWATER_BINARY:=$PWD/target/debug/headwater}"
export HEADWATER_BINARY
parts=(-ra)
[ "${1:-}" = --quick ] && parts=(--deselect=tests/test_browser.py --deselect=tests/test_glass.py --deselect=tests/test_switching.py --deselect=tests/test_players.py --deselect=tests/test_cdk.py)
status=0
.venv/bin/python -m pytest tests -q --timeout=180 -p no:cacheprovider "${parts[@]}" || status=$?
exit "$status"
