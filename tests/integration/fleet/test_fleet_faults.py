"""A short run of C{make relay-faults}: relays are killed and their database is stopped under load."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.faults.stage import MISSING


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_what_is_acknowledged_is_done_once_though_relays_die(
    capfd: pytest.CaptureFixture[str],
) -> None:
    words = [sys.executable, "-m", "tests.faults.relays", "--runs", "1", "--seconds", "1"]
    found = subprocess.run([*words, "--seed", "5"], check=False)
    assert found.returncode == 0, capfd.readouterr()
