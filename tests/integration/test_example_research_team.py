"""The research team, as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

DEMO = Path(__file__).resolve().parents[2] / "examples/research_team/demo.py"
OFFLINE = {key: value for key, value in os.environ.items() if "API_KEY" not in key}


def demo(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        [sys.executable, str(DEMO), "--topic", "Solar Sails!", *words],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=place,
        env=OFFLINE,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result


def leftovers() -> set[str]:
    return {name for name in os.listdir("/tmp") if name.startswith("clove-demo-")}


def test_the_team_delivers_though_its_researcher_is_killed(tmp_path: Path) -> None:
    before = leftovers()
    began = time.monotonic()
    output = demo(tmp_path).stdout
    assert time.monotonic() - began < 60
    steps = [
        "asked the researcher 4 questions",
        "answered question 2",
        "kills the researcher",
        "ended by signal 9",
        "being restarted",
        "finds its task in the store",
        "answered question 4",
        "asked the writer",
        "has the report",
    ]
    places = [output.index(step) for step in steps]
    assert output.count("answered question 1") == output.count("answered question 2") == 1
    assert places[2] < places[4] < places[5] < places[8]
    report = tmp_path / "report-solar-sails.md"
    assert str(report) in output
    text = report.read_text()
    assert text.startswith("# Solar Sails!\n")
    assert text.count("\n## ") == 4
    assert leftovers() == before
    assert [path.name for path in tmp_path.iterdir()] == [report.name]


def test_the_team_in_one_process_on_a_running_kernel(kernel: Any, tmp_path: Path) -> None:
    output = demo(tmp_path, "--single", "--socket", kernel.socket).stdout
    assert "has the report" in output
    assert (tmp_path / "report-solar-sails.md").read_text().count("\n## ") == 4
