"""Programs that draw, or have terminals of their own, under `clove run -it`, and a paste of megabytes."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator

import pytest

from tests.integration.exposed import ROOT, ROOTLESS, Host, host, kill_all
from tests.integration.test_attach_command import ENVIRON, PYTHON, words
from tests.integration.user_terminal import on_terminal
from tests.waiting import PATIENCE

CURSES = """
import curses
def draw(screen):
    while True:
        rows, columns = screen.getmaxyx()
        screen.clear()
        screen.border()
        screen.addstr(2, 4, f"room {rows} by {columns}", curses.A_BOLD)
        screen.refresh()
        key = screen.getch()
        if key == curses.KEY_UP:
            return 5
def main(screen):
    curses.start_color()
    return draw(screen)
raise SystemExit(curses.wrapper(main))
"""
PASTED = 4 << 20


@pytest.fixture(scope="module", params=[ROOT, ROOTLESS])
def kernel_host(request: pytest.FixtureRequest) -> Iterator[Host]:
    with host(str(request.param)) as running:
        yield running


@pytest.fixture
def here(kernel_host: Host) -> Iterator[Host]:
    yield kernel_host
    kill_all(kernel_host.client)


def run(here: Host, *command: str) -> list[str]:
    return words(here, "run", "-it", "--env", "PS1=> ", "--", *command)


def needs(program: str) -> str:
    """Where it is; /etc/alternatives is not shown inside."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return os.path.realpath(found)


def paste(here: Host, size: int, patience: float = PATIENCE) -> None:
    """Have a program read so many bytes, a multiple of 16, from its terminal, and compare their sum."""
    count = f"stty raw -echo; echo ready; head -c {size} | sha256sum"
    data = b"".join(b"%015d\n" % line for line in range(size // 16))
    with on_terminal(run(here, "/bin/sh", "-c", count), ENVIRON) as user:
        user.until(b"ready")
        user.type(data)
        user.until(hashlib.sha256(data).hexdigest().encode(), patience)
        assert user.ended() == 0


def test_curses_draws_reads_keys_and_follows_the_window(here: Host) -> None:
    with on_terminal(run(here, PYTHON, "-c", CURSES), ENVIRON, 20, 60) as user:
        user.until(b"room 20 by 60")
        user.resize(31, 99)
        user.type(b" ")  # one that begins to wait for a key just then would miss the signal
        user.until(b"31 by 99")
        user.type(b"\x1bOA")
        assert user.ended() == 5
    assert user.shown.rindex(b"\x1b[?1049l") > user.shown.rindex(b"room")


def test_tmux_splits_its_window_and_is_left_and_entered_again(here: Host) -> None:
    tmux = f"{needs('tmux')} -L inner -f /dev/null"
    shell = ("/bin/bash", "--norc", "--noprofile", "-i")
    with on_terminal(run(here, *shell), ENVIRON, 24, 80) as user:
        user.until(b"> ")
        user.type(f"{tmux} new -s work '/bin/bash --norc --noprofile'; echo le''ft\r".encode())
        user.until(b"work")
        user.type(b"stty size; echo fir''st\r")
        user.until(b"23 80")
        user.until(b"first")
        user.type(b'\x02"')
        user.type(b"stty size; echo sec''ond\r")
        user.until(b"second")
        assert b"11 80" in user.shown
        user.resize(40, 100)
        user.type(b"\x02d")
        user.until(b"left")
        user.type(f"{tmux} attach; echo a''gain\r".encode())
        user.until(b"second")
        user.type(f"{tmux} kill-server\r".encode())
        user.until(b"again")
        user.type(b"exit 3\r")
        assert user.ended() == 3


def test_script_records_a_shell(here: Host) -> None:
    record = (
        f"{needs('script')} -qe -c '/bin/bash --norc -i' record; echo $? $(grep -c ^done record)"
    )
    with on_terminal(run(here, "/bin/bash", "-c", record), ENVIRON) as user:
        user.until(b"$ ")
        user.type(b"stty size; echo do''ne\r")
        user.until(b"24 80\r\ndone\r\n")
        user.type(b"exit 7\r")
        user.until(b"7 1\r\n")
        assert user.ended() == 0


def test_a_paste_of_megabytes_arrives_in_order(here: Host) -> None:
    paste(here, PASTED)
