"""Agents on a terminal of their sandbox (`docs/terminal.md`), over the wire."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from clove.errors import InvalidRequest, NotFound, Unavailable
from tests.integration.conftest import BOTH
from tests.integration.exposed import Host, kill_all

PYTHON = "/usr/bin/python3"
SIZES = """
import os, signal
def told(*_): print("size", *os.get_terminal_size(), flush=True)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH])  # one that comes early waits
print(*(os.isatty(n) for n in range(3)), os.getsid(0) == os.getpid() == os.tcgetpgrp(0), flush=True)
told()
while signal.sigwait([signal.SIGWINCH]): told()
"""
_numbers = itertools.count()


@pytest.fixture
def here(kernel_host: Host) -> Iterator[Host]:
    yield kernel_host
    kill_all(kernel_host.client)


def start(here: Host, *command: str, **fields: Any) -> int:
    fields.setdefault("tty", {"rows": 7, "columns": 11})
    reply = here.client.spawn(f"draws-{next(_numbers)}", command=list(command), **fields)
    return int(reply["id"])


def shown(here: Host, agent: int, last: bytes) -> bytes:
    """What it has written, once that ends with something."""
    found, since = b"", 0
    while not found.endswith(last):
        page = here.client.read_output(agent, since=since, wait=20)
        assert page["data"], (found, page)
        assert {piece["stream"] for piece in page["pieces"]} == {"stdout"}
        found, since = found + page["data"], page["next"]
    return found


@BOTH
def test_a_program_has_a_terminal_and_is_told_its_size(here: Host, sandboxed: bool) -> None:
    agent = start(here, PYTHON, "-c", SIZES, sandboxed=sandboxed)
    assert shown(here, agent, b"11 7\r\n") == b"True True True True\r\nsize 11 7\r\n"
    here.client.resize_terminal(30, 100, agent)
    assert shown(here, agent, b"100 30\r\n").endswith(b"size 100 30\r\n")


@BOTH
def test_all_that_it_writes_is_there_when_it_has_ended(here: Host, sandboxed: bool) -> None:
    agent = start(here, "sh", "-c", "seq 1 20000; exit 7", sandboxed=sandboxed, attach=True)
    with here.client.hold_output(agent) as held:
        next(held)
        found, since = b"", 0
        while True:
            page = here.client.read_output(agent, since=since, wait=20, attached=True)
            found, since = found + page["data"], page["next"]
            if page["ended"]:
                break
    assert found == b"".join(b"%d\r\n" % n for n in range(1, 20001))
    assert here.client.wait(agent)["exit_code"] == 7


def test_the_first_size_need_not_be_named(here: Host) -> None:
    agent = start(here, "stty", "size", tty={})
    assert shown(here, agent, b"80\r\n") == b"24 80\r\n"


def test_a_program_without_a_terminal_cannot_be_resized(here: Host) -> None:
    agent = start(here, "sleep", "1000", tty=None)
    with pytest.raises(Unavailable, match="no terminal"):
        here.client.resize_terminal(10, 10, agent)
    with pytest.raises(NotFound):
        here.client.resize_terminal(10, 10, "nobody")


@pytest.mark.parametrize("size", [{"rows": 0}, {"columns": 10_001}, {"rows": "7"}, {"cols": 7}])
def test_a_size_that_makes_no_sense_is_refused(here: Host, size: Any) -> None:
    with pytest.raises(InvalidRequest):
        start(here, "true", tty=size)


def test_job_control_works(here: Host) -> None:
    """A shell that stops and continues what it runs in the foreground of its terminal."""
    script = "set -m; sh -c 'kill -STOP $$; echo went on'; echo stopped; fg; echo over"
    agent = start(here, "bash", "-c", script)
    found = shown(here, agent, b"over\r\n")
    assert found.index(b"\nstopped\r") < found.index(b"\nwent on\r")


def test_a_program_that_is_killed_takes_its_terminal_with_it(here: Host) -> None:
    agent = start(here, "sh", "-c", "echo up; sleep 1000")
    shown(here, agent, b"up\r\n")
    here.client.kill(agent)
    assert here.client.wait(agent)["signal"] in (9, 15, None)


@BOTH
def test_what_is_written_to_its_stream_is_typed(here: Host, sandboxed: bool) -> None:
    read = (
        "name = input('name? ')\nprint('hello', name)\ntry: input()\nexcept EOFError: print('end')"
    )
    agent = start(here, PYTHON, "-c", read, stdin="stream", sandboxed=sandboxed)
    shown(here, agent, b"name? ")
    here.client.write_input(b"bee\n", agent)
    assert shown(here, agent, b"hello bee\r\n") == b"name? bee\r\nhello bee\r\n"
    here.client.close_stream("stdin", agent)
    assert shown(here, agent, b"end\r\n").endswith(b"end\r\n")
    assert here.client.wait(agent, timeout=20)["exit_code"] == 0
