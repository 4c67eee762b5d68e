"""`clove run -t` and `clove attach`: an agent's terminal on the user's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clove.errors import AlreadyExists, CloveError
from tests.integration.exposed import Host, kill_all
from tests.integration.user_terminal import on_terminal

CLOVE = str(Path(sys.executable).with_name("clove"))
ENVIRON = {
    **{name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
    "TERM": "xterm-256color",
}
DRAWS = """
import os, signal, sys
def draw(*_):
    columns, rows = os.get_terminal_size()
    os.write(1, b"\\x1b[2J\\x1b[Hdrawn %d x %d\\n" % (rows, columns))
signal.signal(signal.SIGWINCH, draw)
os.write(1, b"\\x1b[?1049h\\x1b[?25l\\x1b]52;c;ZXZpbA==\\x07")
draw()
for line in sys.stdin:
    if line == "end\\n":
        os.write(1, b"\\x1b[?1049l")
        sys.exit(4)
    os.write(1, b"heard " + line.encode())
"""
PYTHON = "/usr/bin/python3"


@pytest.fixture
def here(kernel_host: Host) -> Iterator[Host]:
    yield kernel_host
    kill_all(kernel_host.client)


def words(here: Host, *rest: str) -> list[str]:
    return [CLOVE, "--socket", here.kernel.socket, *rest]


def run_drawing(here: Host, *options: str) -> list[str]:
    return words(here, "run", *options, "--name", "draws", "--", PYTHON, "-c", DRAWS)


def state(here: Host, name: str) -> str:
    try:
        found: Any = here.client.wait(name, timeout=0)
    except CloveError:
        return "runs"
    return f"ended {found['exit_code']}"


def test_a_program_draws_on_the_users_terminal(here: Host) -> None:
    with on_terminal(run_drawing(here, "-it"), ENVIRON, 20, 60) as user:
        assert b"\x1b[?1049h" in user.until(b"drawn 20 x 60\r\n")
        assert b"\x1b]52" not in user.shown
        user.resize(25, 70)
        user.until(b"drawn 25 x 70\r\n")
        user.type(b"hello\n")
        user.until(b"heard hello\r\n")
        user.type(b"end\n")
        assert user.ended() == 4
    assert user.shown.rindex(b"\x1b[?25h") > user.shown.rindex(b"\x1b[?1049l")


def test_keys_leave_it_running_and_attach_comes_back(here: Host) -> None:
    with on_terminal(run_drawing(here, "-it"), ENVIRON, 20, 60) as user:
        user.until(b"drawn 20 x 60\r\n")
        user.type(b"\x10\x11")
        assert user.ended() == 0
        assert b"\x1b[?1049l" in user.shown
        assert b"clove attach draws" in user.shown
    assert state(here, "draws") == "runs"
    with on_terminal(words(here, "attach", "draws"), ENVIRON, 30, 90) as user:
        user.until(b"drawn 30 x 90\r\n")
        user.type(b"again\n")
        user.until(b"heard again\r\n")
        user.type(b"end\n")
        assert user.ended() == 4


def test_a_client_that_is_killed_leaves_it_running(here: Host) -> None:
    with on_terminal(run_drawing(here, "-it"), ENVIRON) as user:
        user.until(b"drawn 24 x 80\r\n")
        os.kill(user.pid, signal.SIGKILL)
        user.ended()
    with on_terminal(words(here, "attach", "draws"), ENVIRON) as user:
        user.until(b"drawn 24 x 80\r\n")
        user.type(b"end\n")
        assert user.ended() == 4


def test_ctrl_c_is_the_programs(here: Host) -> None:
    command = words(
        here, "run", "-it", "--", "sh", "-c", "trap 'echo caught; exit 6' INT; echo up; cat"
    )
    with on_terminal(command, ENVIRON) as user:
        user.until(b"up\r\n")
        user.type(b"on\n")
        user.until(b"on\r\non\r\n")
        user.type(b"\x03")
        user.until(b"caught\r\n")
        assert user.ended() == 6


def test_one_is_attached_at_a_time(here: Host) -> None:
    with on_terminal(run_drawing(here, "-it"), ENVIRON) as user:
        user.until(b"drawn 24 x 80\r\n")
        with pytest.raises(AlreadyExists):
            here.client.attach("draws")
        user.type(b"end\n")
        assert user.ended() == 4


def test_what_is_typed_may_come_by_input(here: Host) -> None:
    agent = here.client.spawn("typed", command=["cat"], tty={})["id"]
    here.client.write_input(b"hello\n", agent)
    shown, since = b"", 0
    while shown.count(b"hello") < 2:
        page = here.client.read_output(agent, since=since, wait=20)
        shown, since = shown + page["data"], page["next"]
    assert shown == b"hello\r\nhello\r\n"
    here.client.write_input(b"\x04", agent)
    assert here.client.wait(agent)["exit_code"] == 0


def test_a_long_paste_arrives_whole(here: Host) -> None:
    """As fast as the program reads it: a terminal has room for little."""
    count = ["sh", "-c", "stty raw -echo; echo ready; head -c 3000000 | sha256sum"]
    agent = here.client.spawn("pasted", command=count, tty={}, attach=True)["id"]
    with here.client.attach(agent) as attached:
        ends = attached.descriptors
        assert os.read(ends["stdout"], 100).startswith(b"ready")
        data = os.urandom(3_000_000)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(ends["stdin"], rest) :]
        found = b""
        while piece := os.read(ends["stdout"], 1000):
            found += piece
    sum_of = subprocess.run(["sha256sum"], input=data, capture_output=True, check=True).stdout
    assert found.strip() == sum_of.strip()


def test_an_agent_without_a_terminal_is_read_from_now_on(here: Host) -> None:
    script = (
        "import os, time\n"
        "while not os.path.exists('go'): print('tick', flush=True); time.sleep(0.01)\n"
        "print('went')\n"
    )
    path = Path(here.kernel.directory, "waits.py")
    path.write_text(script)
    here.client.spawn("waits", str(path))
    with subprocess.Popen(words(here, "attach", "waits"), stdout=subprocess.PIPE) as ran:
        try:
            assert ran.stdout is not None
            assert ran.stdout.readline() == b"tick\n"
            here.client.run("waits", ["touch", "/workspace/go"]).finish()
            rest = ran.stdout.read()
        except BaseException:
            ran.kill()  # or its end would be waited for
            raise
    assert set(rest.split()) <= {b"tick", b"went"}
    assert rest.endswith(b"went\n")
    assert ran.returncode == 0


SHOWS = """
import sys
from clove.cli.console import Console
from clove.cli.shown_agent import ShownAgent
from clove import CloveClient
with CloveClient(sys.argv[1]) as client:
    client.wait("quick")  # before it is attached to, as a quick program of `run -it` may have
    ended = ShownAgent(Console(sys.argv[1], False), client, "quick", "quick", "").show()
print("shown to its end" if ended else "left")
"""


def test_one_that_has_ended_before_it_is_attached_to_is_shown_to_its_end(here: Host) -> None:
    here.client.spawn("quick", command=["sh", "-c", "echo done; exit 3"], tty={}, attach=True)
    command = [sys.executable, "-c", SHOWS, here.kernel.socket]
    with on_terminal(command, ENVIRON) as user:
        user.until(b"done\r\n")
        user.until(b"shown to its end\r\n")
        assert user.ended() == 0
