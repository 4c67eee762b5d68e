"""Agents that are started anew from their records alone, in a real kernel: every kind of request."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clove.kernel.launch.record import read_record
from tests.adversary.isolated import PATHS, UNUSED_UID, unprivileged_python
from tests.integration.restore_kinds import KINDS

DRIVER = Path(__file__).with_name("restore_driver.py")
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
ROOT = str(Path(__file__).parents[2])


@pytest.fixture(scope="module", params=["root", "rootless"])
def found(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Of each kind, what the driver has printed."""
    words = [sys.executable, str(DRIVER)]
    if request.param == "root" and os.getuid() != 0:
        pytest.skip("only root can run a root kernel")
    if request.param == "rootless" and os.getuid() == 0:
        if not unprivileged_python():
            pytest.skip("no interpreter that an ordinary user can run")
        user = str(UNUSED_UID)
        identity = ["--reuid", user, "--regid", user, "--clear-groups"]
        words = ["setpriv", *identity, unprivileged_python(), "-P", str(DRIVER)]
    environ = {"PYTHONPATH": os.pathsep.join([ROOT, *PATHS]), "HOME": "/tmp", "PATH": SYSTEM_PATH}
    ran = subprocess.run(
        words, capture_output=True, text=True, timeout=150, env=environ, cwd="/tmp"
    )
    assert ran.returncode == 0, ran.stderr
    return dict(json.loads(ran.stdout))


@pytest.mark.parametrize("kind", [*KINDS, "child"])
def test_it_runs_as_it_ran_when_it_was_spawned(found: dict[str, Any], kind: str) -> None:
    first, second = found[kind]["runs"]
    for run in (first, second):
        run.pop("warm")  # as there is a child of the zygote, or not
    assert second == first
    assert found[kind]["same"]


@pytest.mark.parametrize("kind", [*KINDS, "child"])
def test_its_record_can_be_read_and_has_no_field_that_is_not_known(
    found: dict[str, Any], kind: str
) -> None:
    record = found[kind]["record"]
    assert read_record(json.dumps(record).encode()).request.name == kind
    assert bool(record["program"]["digest"]) is (record["request"]["script"] is not None)
