"""Agents that want WHY to say what is not true, or to say nothing to others."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clove.sandbox.probe import probe
from tests.adversary.isolated import unprivileged_python
from tests.integration.exposed import ROOT, ROOTLESS, Agent, Host, host

pytestmark = pytest.mark.skipif(
    not probe().sandbox, reason="no sandbox here; `clove doctor` says why"
)

LIE = json.dumps({"happened": "succeeded", "detail": "trust me"})


@pytest.fixture(scope="module", params=[ROOT, ROOTLESS])
def kernel_host(request: pytest.FixtureRequest) -> Iterator[Host]:
    with host(str(request.param)) as running:
        yield running


def installation(here: Host, name: str) -> str:
    """An interpreter that runs the system's, in a directory like one of Python's."""
    here.file(f"{name}/lib/python3/os.py", "")
    path = here.file(f"{name}/bin/python", '#!/bin/sh\nexec /usr/bin/python3 "$@"\n')
    Path(path).chmod(0o777)
    return path


def liars(here: Host, name: str, text: str, count: int = 1) -> list[Agent]:
    """Agents in whose interpreter's place another agent has put a program of its own."""
    python = installation(here, name)
    agents = [here.spawn("unrestricted", python=python) for _ in range(count)]
    paths = {"allowed_write_paths": [os.path.dirname(python)]}
    friend = here.spawn({"level": "unrestricted", **paths})
    friend.ask("run", f"open({python!r}, 'w').write({text!r})")
    assert Path(python).read_text() == text
    return agents


def kernels_python_is_everywhere(here: Host) -> bool:
    """Does every sandbox have the interpreter of this kernel?"""
    other = here.who == ROOTLESS and os.getuid() == 0
    python = (unprivileged_python() or "") if other else sys.executable
    return os.path.realpath(python).startswith("/usr/")


def test_who_can_write_an_interpreter_cannot_answer_for_it(kernel_host: Host) -> None:
    [agent] = liars(kernel_host, "py", f"#!/bin/sh\necho '{LIE}'\n")
    reply = kernel_host.client.why("READ", {"path": "/etc/shadow"}, agent.id)
    attempt = reply["attempt"]
    if kernels_python_is_everywhere(kernel_host):
        assert (attempt["happened"], attempt["errno_name"]) == ("failed", "ENOENT")
        assert (attempt["reliable"], reply["agrees"]) == (True, False)
    else:
        assert (attempt["happened"], attempt["reliable"]) == ("succeeded", False)
        assert reply["agrees"] is None
        assert "which may be any program" in attempt["detail"]
        assert "policy alone is sure" in reply["note"]
