"""What the shells themselves complete: their own programs, on a terminal."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.user_terminal import UserTerminal, on_terminal

SHELLS = {
    "bash": (["--norc", "--noprofile", "-i"], 'eval "$(clove completion bash)"'),
    "zsh": (["-f", "-i"], 'autoload -U compinit; compinit -D -u; eval "$(clove completion zsh)"'),
    "fish": (["--no-config", "-i"], "clove completion fish | source"),
}


@pytest.fixture(params=sorted(SHELLS))
def shell(request: pytest.FixtureRequest, kernel: Any, tmp_path: Path) -> Iterator[UserTerminal]:
    """A shell that has learnt to complete, with a kernel to ask."""
    options, setup = SHELLS[request.param]
    program = shutil.which(request.param)
    if program is None:
        pytest.skip(f"{request.param} is not installed")
    environ = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "TERM": "xterm",
        "LANG": "C.UTF-8",
        "CLOVE_SOCKET": kernel.socket,
    }
    with on_terminal([program, *options], environ, 50, 120) as terminal:
        terminal.type(f"{setup}; echo rea''dy\n".encode())
        terminal.until(b"ready\r\n")
        yield terminal


def test_commands_options_and_names_of_agents(shell: UserTerminal, client: Any) -> None:
    client.spawn("researcher", command=["sleep", "1000"], sandboxed=False)
    shell.type(b"clove resta\t")
    shell.until(b"restart")
    shell.type(b"res\t")
    shell.until(b"earcher")
    shell.type(b"\x15clove kill --stop\t")
    shell.until(b"timeout")
    shell.type(b"\x15")


def test_nothing_is_said_where_no_kernel_answers(tmp_path: Path) -> None:
    environ = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(tmp_path)}
    environ |= {"CLOVE_SOCKET": str(tmp_path / "none"), "TERM": "xterm"}
    with on_terminal(["/bin/bash", "--norc", "--noprofile", "-i"], environ) as terminal:
        terminal.type(b"eval \"$(clove completion bash)\"; echo rea''dy\n")
        terminal.until(b"ready\r\n")
        terminal.type(b"clove kill x\t\x15echo fur''ther\n")
        terminal.until(b"further\r\n")
        assert b"clove:" not in terminal.shown
        assert os.listdir(tmp_path) == []
