"""schemathesis against a live relay: does what it answers agree with its OpenAPI document, whatever is asked?

    python -m tests.schemathesis.run [--examples N] [--environment DIRECTORY] [-- MORE...]

schemathesis is no requirement of ours (it brings thirty packages, pytest plugins among them): it is installed
into an environment of its own, which is made when it is not there.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Final

from tests.integration.relay.relay_process import RelayProcess

__all__ = ["main"]

VERSION: Final = "4.32.5"
CONFIG: Final = """
[rest]
port = 0
[limits.rest]
rate = 100000.0
burst = 100000
[limits.lockout]
failures = 1000000
all_failures = 1000000
"""
SETTINGS: Final = """
[checks]
# Of a machine that is not connected, which is all that there are here.
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 503]

# Rules of permissions (hosts, globs) have a grammar that JSON Schema does not express.
[[operations]]
include-path = "/api/v1/tokens/agent"
checks.positive_data_acceptance.enabled = false

# What is less than a token is depends on that token.
[[operations]]
include-path = "/api/v1/tokens/{token_id}"
include-method = "PATCH"
checks.positive_data_acceptance.enabled = false
"""


def environment(directory: Path) -> Path:
    """The program, installed if it is not there."""
    program = directory / "bin" / "schemathesis"
    if not program.exists():
        venv.create(directory, with_pip=True)
        pip = [str(directory / "bin" / "pip"), "install", "-q", f"schemathesis=={VERSION}"]
        subprocess.run(pip, check=True)
    return program


def main() -> int:
    """Run it; gives its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=100, help="for each operation")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser.add_argument(
        "--environment", type=Path, default=cache / "clove" / f"schemathesis-{VERSION}"
    )
    parser.add_argument("more", nargs="*", help="what schemathesis is told besides")
    given = parser.parse_args()
    program = environment(given.environment)
    with tempfile.TemporaryDirectory(prefix="sc") as made:
        relay = RelayProcess(Path(made), CONFIG)
        relay.start()
        try:
            url = f"http://127.0.0.1:{relay.port}"
            Path(made, "schemathesis.toml").write_text(SETTINGS)
            words = [str(program), "run", f"{url}/api/v1/openapi.json", "--url", url]
            words += ["--header", f"Authorization: Bearer {relay.admin}"]
            # What revokes the token that asks would end the run.
            for name in ("revoke_token", "revoke_own_token", "rotate_token"):
                words += ["--exclude-operation-id", name]
            words += ["--max-examples", str(given.examples), *given.more]
            return subprocess.run(words, cwd=made, check=False).returncode
        finally:
            relay.stop()


if __name__ == "__main__":
    sys.exit(main())
