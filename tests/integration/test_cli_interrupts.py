"""Ctrl-C in `clove run`: once it asks the agent to end, twice it leaves it to that."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from pathlib import Path
from typing import Any

from clove import CloveClient
from clove.errors import NotFound
from tests.integration.commands import CLOVE
from tests.integration.conftest import STUBBORN, KernelProcess
from tests.waiting import until


def states(client: CloveClient) -> list[str]:
    return [one["state"] for one in client.list_agents()]


def test_a_second_interrupt_does_not_wait_for_a_stubborn_agent(
    kernel: KernelProcess, client: CloveClient, tmp_path: Path
) -> None:
    path = tmp_path / "stubborn.py"
    path.write_text(STUBBORN)
    command: list[Any] = [CLOVE, "--socket", kernel.socket, "run", "--name", "stubborn", path]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGINT)
        assert "ending the agent" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGINT
    assert "Traceback" not in errors
    assert "Aborted" not in errors
    assert "detached" in errors
    until(lambda: states(client) in (["stopping"], []), "it is ending, or has been ended by force")
    with contextlib.suppress(NotFound):
        client.kill("stubborn", grace=0)
