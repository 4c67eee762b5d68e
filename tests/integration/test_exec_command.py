"""`clove exec`: programs beside an agent's own, on pipes and on a terminal."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clove.errors import InvalidRequest, NotFound
from tests.integration.exposed import Host, kill_all
from tests.integration.user_terminal import on_terminal
from tests.waiting import until

CLOVE = str(Path(sys.executable).with_name("clove"))
ENVIRON = {**os.environ, "TERM": "xterm-256color", "PS1": "$ "}


@pytest.fixture(params=["sandboxed", "unsandboxed"])
def here(kernel_host: Host, request: pytest.FixtureRequest) -> Iterator[Host]:
    """A kernel with an agent `beside` that only waits."""
    sandboxed = request.param == "sandboxed"
    kernel_host.client.spawn("beside", command=["sleep", "1000"], sandboxed=sandboxed)
    yield kernel_host
    kill_all(kernel_host.client)


def words(here: Host, *rest: str) -> list[str]:
    return [CLOVE, "--socket", here.kernel.socket, "exec", *rest]


def clove(here: Host, *rest: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(words(here, *rest), input=data, capture_output=True, timeout=60)


def test_a_programs_streams_and_its_exit_code_are_ours(here: Host) -> None:
    ran = clove(here, "beside", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (ran.stdout, ran.stderr, ran.returncode) == (b"out\n", b"err\n", 7)
    ran = clove(here, "beside", "--", "sh", "-c", "echo $0", "--")
    assert (ran.stdout, ran.returncode) == (b"--\n", 0)
    assert clove(here, "beside", "--").returncode == 2
    ran = clove(here, "beside", "sh", "-c", "kill -9 $$")
    assert ran.returncode == 128 + signal.SIGKILL


def test_our_input_is_the_programs_where_it_is_asked_for(here: Host) -> None:
    data = os.urandom(3_000_000)
    assert clove(here, "-i", "beside", "cat", data=data).stdout == data
    assert clove(here, "beside", "cat", data=data).stdout == b""


def test_nothing_is_lost_where_the_reader_is_slow(here: Host) -> None:
    with subprocess.Popen(
        words(here, "beside", "seq", "1", "300000"), stdout=subprocess.PIPE
    ) as ran:
        assert ran.stdout is not None
        first = ran.stdout.read(1)
        assert here.client.list_agents()  # the kernel serves others while it waits
        rest = ran.stdout.read()
    expected = b"".join(b"%d\n" % n for n in range(1, 300_001))
    assert hashlib.sha256(first + rest).digest() == hashlib.sha256(expected).digest()


def test_an_output_that_nothing_reads_ends_the_program_as_in_a_pipeline(here: Host) -> None:
    with subprocess.Popen(words(here, "beside", "yes"), stdout=subprocess.PIPE) as ran:
        assert ran.stdout is not None
        assert ran.stdout.readline() == b"y\n"
        ran.stdout.close()
        assert ran.wait(60) == 128 + signal.SIGPIPE
    kept = clove(here, "beside", "sh", "-c", "exec >&-; echo on >&2")
    assert (kept.stderr, kept.returncode) == (b"on\n", 0)


def test_variables_and_directory_are_the_programs(here: Host) -> None:
    ran = clove(here, "-e", "COLOUR=blue", "-w", "/usr", "beside", "sh", "-c", "echo $COLOUR; pwd")
    assert ran.stdout == b"blue\n/usr\n"


@pytest.mark.parametrize(
    ("rest", "text"),
    [
        (("nobody", "true"), b"nobody"),
        (("beside", "no-such-program"), b"no-such-program"),
        (("-w", "/nowhere", "beside", "true"), b"/nowhere"),
    ],
)
def test_what_cannot_be_run_is_named(here: Host, rest: tuple[str, ...], text: bytes) -> None:
    ran = clove(here, *rest)
    assert ran.returncode == 1
    assert text in ran.stderr


def test_a_terminal_is_not_made_of_a_pipe(here: Host) -> None:
    ran = clove(here, "-t", "beside", "sh")
    assert ran.returncode == 2
    assert b"-t needs a terminal" in ran.stderr


def test_a_program_that_ends_at_once_has_no_window_to_resize(here: Host) -> None:
    for _ in range(5):
        with on_terminal(words(here, "-it", "beside", "tty"), ENVIRON, 33, 77) as user:
            assert user.ended() == 0
            assert b"clove:" not in user.shown


def test_a_shell_on_a_terminal(here: Host) -> None:
    with on_terminal(words(here, "-it", "-e", "PS1", "beside", "sh"), ENVIRON, 33, 77) as user:
        user.until(b"$ ")
        user.type(b"tty; stty size; echo $TERM-\n")
        found = user.until(b"256color-")
        assert b"/dev/pts/" in found
        assert b"33 77\r\n" in found
        user.until(b"$ ")
        user.type(b"cat\n")
        user.until(b"cat\r\n")
        user.type(b"heard\n")
        user.until(b"heard\r\nheard\r\n")  # by now it is in the foreground
        user.type(b"\x03")
        user.until(b"$ ")
        user.resize(40, 100)
        user.type(b"until stty size | grep '40 100'; do :; done; exit 5\n")
        user.until(b"40 100\r\n")
        assert user.ended() == 5


def test_a_program_ends_when_its_user_is_gone(here: Host) -> None:
    with on_terminal(
        words(here, "-it", "beside", "sh", "-c", "echo up; sleep 1000"), ENVIRON
    ) as user:
        user.until(b"up\r\n")
        here.client.list_agents()
        os.kill(user.pid, signal.SIGKILL)
    until(lambda: not sleeping(here), "the program has ended")


def sleeping(here: Host) -> bool:
    """Whether a shell of the agent runs, beside the one that looks."""
    ran = clove(here, "beside", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    return b"echo up" in ran.stdout


def test_agents_run_nothing_in_others(here: Host) -> None:
    text = (
        "import clove, clove.errors\n"
        "with clove.CloveClient() as client:\n"
        "    try:\n        client.run('beside', ['true'])\n"
        "    except clove.errors.CloveError as error:\n        print(error.code, error.rule)\n"
    )
    script = Path(here.kernel.directory, "runs.py")
    script.write_text(text)
    agent = here.client.spawn("runs", str(script))["id"]
    here.client.wait(agent)
    assert here.client.logs(agent)["lines"][0]["text"] == "permission_denied operator"


def test_a_command_that_is_over_has_no_size(here: Host) -> None:
    with pytest.raises(NotFound, match="no command 999"):
        here.client.resize_terminal(1, 1, "beside", command=999)
    with pytest.raises(InvalidRequest):
        here.client.run("beside", [])
