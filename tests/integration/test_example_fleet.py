"""The fleet's demo, as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).resolve().parents[2] / "examples/fleet/demo.py"


def leftovers() -> set[str]:
    return {name for name in os.listdir("/tmp") if name.startswith("clove-fleet-")}


def test_two_machines_join_a_relay_and_run_agents(tmp_path: Path) -> None:
    before = leftovers()
    result = subprocess.run(
        [sys.executable, str(DEMO)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        check=False,
    )
    output = result.stdout
    assert result.returncode == 0, output + result.stderr
    steps = [
        "as alpha",
        "as beta",
        "asked for ['a', 'report']",
        "alpha: agent ",
        "adder on beta says 'sum: 499999500000'",
    ]
    found = [output.find(step) for step in steps]
    assert -1 not in found, output
    assert "beta: agent " in output
    assert leftovers() == before
