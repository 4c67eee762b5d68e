"""What `clove ps` says that agents run which were started through a relay."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.fleet.fleet_processes import Fleet
from tests.integration.fleet.machine_user import on, run_there


@pytest.mark.parametrize(
    ("name", "words", "shown"),
    [
        ("script", ("work.py", "-v"), "python3 -c … work.py -v"),
        ("terminal", ("-t", "work.py", "-v"), "python3 work.py -v"),
        ("directory", ("--dir", ".", "work.py", "-v"), "python3 work.py -v"),
        ("program", ("--", "sleep", "100"), "sleep 100"),
    ],
)
def test_the_script_is_in_the_line_and_what_starts_it_is_not(
    fleet: Fleet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    words: tuple[str, ...],
    shown: str,
) -> None:
    (tmp_path / "work.py").write_text("import time\ntime.sleep(100)\n")
    monkeypatch.chdir(tmp_path)
    ran = run_there(fleet, "-d", "--name", name, *words)
    assert ran.exit_code == 0, ran
    [line] = [line for line in on(fleet, "ps").stdout.splitlines() if f" {name} " in line]
    assert line.rstrip().endswith(shown)
    assert "import" not in line
    listed = [json.loads(line) for line in on(fleet, "ps", "--json").stdout.splitlines()]
    assert [each["command"].endswith(shown) for each in listed if each["name"] == name] == [True]
    assert on(fleet, "kill", name).exit_code == 0
