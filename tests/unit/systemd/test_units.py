"""The shipped units: what systemd says of them, and what they start."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from clove.systemd import journal

ROOT = Path(__file__).parents[3] / "deploy/systemd"
UNITS = sorted(path for kind in ("system", "user") for path in (ROOT / kind).iterdir())
PREFIXES = ("/opt/clove/current", "%h/.local/share/clove/current")
"""As the installer finds and replaces them (clove.deploy.installer.actions)."""
CEILINGS = {
    "system/clove-kernel": 8.6,
    "system/clove-relay": 1.5,
    "system/clove-tunnel": 1.6,
    "user/clove-kernel": 9.8,
    "user/clove-relay": 6.6,
    "user/clove-tunnel": 6.5,
}
"""Exposure levels of `systemd-analyze security` (0: none, 10: all), at most. docs/systemd.md has why."""
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(
    ANALYZE is None, reason="needs systemd-analyze (Debian: systemd)"
)


@pytest.fixture
def placed(tmp_path: Path) -> Path:
    """The units as an installation places them, for this Clove's programs."""
    (tmp_path / "run").mkdir(mode=0o700)
    for path in UNITS:
        target = tmp_path / path.parent.name / path.name
        target.parent.mkdir(exist_ok=True)
        text = path.read_text()
        for prefix in PREFIXES:
            text = text.replace(prefix, sys.prefix)
        target.write_text(text)
    return tmp_path


def analyze(placed: Path, kind: str, *words: str) -> subprocess.CompletedProcess[str]:
    assert ANALYZE
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(placed / "run"), "LC_ALL": "C.UTF-8"}
    scope = ["--user"] if kind == "user" else []
    return subprocess.run(
        [ANALYZE, *scope, *words], env=environ, capture_output=True, text=True, check=False
    )


@needs_systemd
@pytest.mark.parametrize("kind", ["system", "user"])
def test_systemd_finds_nothing_wrong_with_them(placed: Path, kind: str) -> None:
    done = analyze(placed, kind, "verify", *(str(path) for path in (placed / kind).iterdir()))
    said = [line for line in done.stderr.splitlines() if "clove" in line]
    assert said == []
    assert done.returncode == 0, done.stderr


@needs_systemd
@pytest.mark.parametrize("name", CEILINGS)
def test_what_they_are_exposed_to_does_not_grow(placed: Path, name: str) -> None:
    kind = name.partition("/")[0]
    path = placed / f"{name}.service"
    done = analyze(placed, kind, "security", "--offline=yes", "--no-pager", str(path))
    found = re.search(r"exposure level for .*: (\d+\.\d)", done.stdout)
    assert found is not None, done.stderr
    assert float(found[1]) <= CEILINGS[name]


def services() -> list[Path]:
    return [path for path in UNITS if path.suffix == ".service"]


def shown(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def setting(path: Path, key: str) -> list[str]:
    """All values of a key."""
    return re.findall(rf"^{key}=(.*)$", path.read_text(), re.MULTILINE)


@pytest.mark.parametrize("path", services(), ids=shown)
def test_what_a_unit_starts_is_there_and_takes_these_options(path: Path) -> None:
    [start] = setting(path, "ExecStart")
    prefix = PREFIXES[path.parent.name == "user"]
    program, *words = shlex.split(start)
    assert program == f"{prefix}/bin/twistd"
    assert (Path(sys.prefix) / "bin/twistd").exists()
    at = words.index(path.stem)
    assert words[:2] == ["-n", "--pidfile="]
    logger = words[2].removeprefix("--logger=")
    assert getattr(journal, logger.rpartition(".")[2]) is getattr(
        journal, path.stem.removeprefix("clove-")
    )
    tap = import_module(f"clove.{path.stem.removeprefix('clove-')}.tap")
    tap.Options().parseOptions(words[at + 1 :])


@pytest.mark.parametrize("path", services(), ids=shown)
def test_each_is_watched_says_when_it_is_ready_and_is_started_again(path: Path) -> None:
    assert setting(path, "Type") == ["notify"]
    assert setting(path, "WatchdogSec") == ["60"]
    assert setting(path, "Restart") == ["on-failure"]
    assert setting(path, "SyslogIdentifier") == [path.stem]


def test_a_users_units_are_the_systems_but_for_what_a_user_cannot_have() -> None:
    only = {"clove-relay-hub.socket", "clove-relay-rest.socket"}  # for ports that need root
    system, user = (
        {path.name for path in UNITS if path.parent.name == k} for k in ("system", "user")
    )
    assert system - only == user


def test_users_that_units_name_are_made() -> None:
    made = re.findall(r"^u (\S+)", (ROOT / "sysusers.d/clove.conf").read_text(), re.MULTILINE)
    named = {name for path in UNITS for name in setting(path, "User")}
    assert named == set(made)
