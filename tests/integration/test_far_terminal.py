"""`clove run -it` over a link on which each byte takes 200 ms: an editor, a shell, a client that is killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.exposed import ROOT, ROOTLESS, Host, host, kill_all
from tests.integration.test_attach_command import ENVIRON, words
from tests.integration.user_terminal import on_terminal
from tests.waiting import until

RELAY = [sys.executable, str(Path(__file__).with_name("far_terminal.py")), "0.2"]
VIM = os.path.realpath(shutil.which("vim") or "")
"""The program itself: /etc/alternatives is not shown inside."""


@pytest.fixture(scope="module", params=[ROOT, ROOTLESS])
def kernel_host(request: pytest.FixtureRequest) -> Iterator[Host]:
    with host(str(request.param)) as running:
        yield running


@pytest.fixture
def here(kernel_host: Host) -> Iterator[Host]:
    yield kernel_host
    kill_all(kernel_host.client)


def far(here: Host, *rest: str) -> list[str]:
    return [*RELAY, *words(here, *rest)]


def clients_of(agent: str) -> list[str]:
    """Commands that name an agent."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            found.append(path.read_text(errors="replace"))
    return [command for command in found if f"\0{agent}\0" in command]


@pytest.mark.skipif(not shutil.which("vim"), reason="vim is not installed")
def test_an_editor_is_resized_left_by_a_killed_client_and_drawn_anew(here: Host) -> None:
    edit = ("--", VIM, "-N", "-u", "NONE", "-i", "NONE", "-n", "text")
    with on_terminal(far(here, "run", "-it", "--name", "edits", *edit), ENVIRON, 20, 60) as user:
        user.until(b"[New]")
        user.type(b":echo 'si'.'ze' &lines &columns\r")
        user.until(b"size 20 60")
        user.resize(33, 101)
        user.until(b"\x1b[32;1H")  # drawn anew: the keys of a window may arrive before its size
        user.type(b":echo 'si'.'ze' &lines &columns\r")
        user.until(b"size 33 101")
        user.type(b"ione line, \x1bapersisting\x1b")
        user.until(b"persisting")
        os.kill(user.pid, signal.SIGKILL)
    until(lambda: not clients_of("edits"), "the killed one's client is gone")
    with on_terminal(far(here, "attach", "edits"), ENVIRON, 25, 90) as user:
        user.until(b"one line, persisting")
        user.type(b":echo 'si'.'ze' &lines &columns\r")
        user.until(b"size 25 90")
        user.type(b":q!\r")
        assert user.ended() == 0


def test_a_shell_stops_and_continues_a_program(here: Host) -> None:
    shell = ("--env", "PS1=> ", "--", "/bin/bash", "--norc", "--noprofile", "-i")
    with on_terminal(far(here, "run", "-it", *shell), ENVIRON) as user:
        user.until(b"> ")
        user.type(b"sleep 1000\n")
        user.until(b"sleep 1000\r\n")
        user.type(b"\x1a")
        user.until(b"Stopped")
        user.until(b"> ")
        user.type(b"fg\n")
        user.until(b"fg\r\n")
        user.until(b"sleep 1000\r\n")
        user.type(b"\x03")
        user.until(b"> ")
        user.type(b"echo en''ded $?\n")
        user.until(b"ended 130\r\n")
        user.type(b"exit 3\n")
        assert user.ended() == 3
