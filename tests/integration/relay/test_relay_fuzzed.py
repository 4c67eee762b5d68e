"""schemathesis, where it is installed, finds nothing that the API does otherwise than its document says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.relay.relay_process import relay_process

PROGRAM = os.environ.get("CLOVE_SCHEMATHESIS") or shutil.which("schemathesis")
EXAMPLES = os.environ.get("CLOVE_SCHEMATHESIS_EXAMPLES", "20")
CONFIG = """
[rest]
port = 0
[limits.rest]
rate = 100000
burst = 100000
[limits.lockout]
failures = 1000000
all_failures = 1000000
"""
RULES = """
[checks]
# A machine that is not connected.
not_a_server_error.expected-statuses = ["2xx", "4xx", "503"]
[[operations]]
include-name = "POST /api/v1/tokens/agent"
[operations.checks]
# Whether a rule about paths, commands or hosts makes sense, no schema says; and 1.0 is no whole number here.
positive_data_acceptance.expected-statuses = ["2xx", "400", "401", "413"]
[[operations]]
include-name = "POST /api/v1/agents/deploy"
[operations.checks]
positive_data_acceptance.expected-statuses = ["2xx", "400", "401", "404", "413", "503"]
"""


@pytest.mark.skipif(PROGRAM is None, reason="needs schemathesis (CLOVE_SCHEMATHESIS names it)")
@pytest.mark.time_limit(600)
def test_the_api_does_what_its_document_says(tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(RULES)
    with relay_process(tmp_path, CONFIG) as relay:
        words = [str(PROGRAM), "run", f"http://127.0.0.1:{relay.port}/api/v1/openapi.json"]
        words += ["--header", f"Authorization: Bearer {relay.admin}", "--seed", "1"]
        # It would revoke the token that it uses.
        words += ["--max-examples", EXAMPLES, "--exclude-method", "DELETE", "--no-color"]
        words += ["--exclude-operation-id", "rotate_token"]
        found = subprocess.run(
            words, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
        )
        assert found.returncode == 0, found.stdout[-8000:] + found.stderr[-2000:]
        assert not re.search("Traceback|Unhandled", relay.log)
