"""Agents that want WHY to say what is not true, or to say nothing to others."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from clove.cli.main import main
from clove.kernel.launch.trusted_interpreter import SYSTEMS
from tests.integration.exposed import ROOT, ROOTLESS, Agent, Host, host
from tests.sandboxes import NEEDS_SANDBOX

pytestmark = NEEDS_SANDBOX

PYTHON = "/usr/bin/python3"
needs_python = pytest.mark.skipif(not SYSTEMS, reason="the system has no Python of its own")
LIE = json.dumps({"happened": "succeeded", "detail": "trust me"})


@pytest.fixture(scope="module", params=[ROOT, ROOTLESS])
def kernel_host(request: pytest.FixtureRequest) -> Iterator[Host]:
    with host(str(request.param)) as running:
        yield running


def installation(here: Host, name: str) -> str:
    """A copy of the system's interpreter, in a virtual environment that is not read-only."""
    here.file(f"{name}/pyvenv.cfg", "home = /usr/bin\n")
    here.directory(f"{name}/lib")
    python = here.file(f"{name}/bin/python", "")
    shutil.copyfile("/usr/bin/python3", python)
    Path(python).chmod(0o777)
    return python


def names_of_python() -> list[str]:
    """All names that the interpreters of the kernel and the system have in /usr."""
    programs = {os.path.realpath(path) for path in (sys.executable, PYTHON)}
    found = [path for where in ("bin", "local/bin") for path in Path("/usr", where).iterdir()]
    return sorted({path.name for path in found if os.path.realpath(path) in programs})


def liar(here: Host, name: str, **permissions: Any) -> Agent:
    """An agent in whose interpreter's place another agent has put a program of its own."""
    python = installation(here, name)
    agent = here.spawn({"level": "unrestricted", **permissions}, python=python)
    paths = {"allowed_write_paths": [os.path.dirname(python)]}
    friend = here.spawn({"level": "unrestricted", **paths})
    program = f"#!/bin/sh\necho '{LIE}'\n"
    made = (
        f"import os; open({python!r} + '2', 'w').write({program!r}); os.chmod({python!r}+'2', 511)"
    )
    friend.ask("run", f"{made}; os.replace({python!r} + '2', {python!r})")
    assert Path(python).read_text() == program
    return agent


@needs_python
def test_who_can_write_an_interpreter_cannot_answer_for_it(kernel_host: Host) -> None:
    agent = liar(kernel_host, "first")
    reply = kernel_host.client.why("READ", {"path": "/etc/shadow"}, agent.id)
    attempt = reply["attempt"]
    assert (attempt["happened"], attempt["errno_name"]) == ("failed", "ENOENT")
    assert (attempt["reliable"], reply["agrees"]) == (True, False)


@needs_python
def test_where_only_that_interpreter_is_left_the_answer_is_not_relied_on(kernel_host: Host) -> None:
    agent = liar(kernel_host, "second", blocked_commands=names_of_python())
    reply = kernel_host.client.why("READ", {"path": "/etc/shadow"}, agent.id)
    attempt = reply["attempt"]
    assert (attempt["happened"], attempt["reliable"]) == ("succeeded", False)
    assert attempt["detail"].endswith("which may be any program: trust me")
    assert reply["agrees"] is None
    assert "policy alone is sure" in reply["note"]
    words = ["--socket", kernel_host.kernel.socket, "why", str(agent.id), "READ", "/etc/shadow"]
    shown = CliRunner().invoke(main, words).output
    assert "attempt  said to have succeeded: open /etc/shadow for reading" in shown
    assert "agree" not in shown


def test_agents_that_hold_all_dry_runs_hold_up_neither_the_operator_nor_other_families(
    slow_host: Host, stuck_port: int
) -> None:
    rules = [f"{name}:{stuck_port}" for name in ("slow.test", "127.0.0.1")]
    permissions = {"level": "unrestricted", "allowed_domains": rules}
    for _ in range(2):
        hog = slow_host.spawn(permissions, network=True)
        assert hog.ask("run", HOG.format(port=stuck_port)) == "timeout"
    victim = slow_host.spawn("unrestricted")
    for _ in range(2):
        reply = slow_host.client.why("READ", {"path": "/etc/passwd"}, victim.id)
        assert reply["attempt"]["happened"] == "succeeded"
        assert victim.ask("run", VICTIM) == "succeeded"


HOG = """
import threading
from clove import CloveClient
from clove.errors import CloveError

held = threading.Event()
codes = []

def ask():
    with CloveClient() as client:
        while True:
            try:
                client.why("CONNECT", {{"host": "slow.test", "port": {port}}})
            except CloveError as error:
                codes.append(error.code)
                held.set()

for _ in range(4):
    threading.Thread(target=ask, daemon=True).start()
assert held.wait(60)
found = codes[0]
"""
VICTIM = """
from clove import CloveClient
with CloveClient() as client:
    found = client.why("READ", {"path": "/etc/passwd"})["attempt"]["happened"]
"""
SLOW = """
[egress.hosts]
"slow.test" = "127.0.0.1"

[limits.dry_run]
at_once = 2
per_family = 1
timeout = 2.0
connect_timeout = 60.0
"""


@pytest.fixture(params=[ROOT, ROOTLESS])
def slow_host(request: pytest.FixtureRequest) -> Iterator[Host]:
    """A kernel that makes two dry runs at once."""
    with host(str(request.param), SLOW) as running:
        yield running
