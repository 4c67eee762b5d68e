"""Sockets that are handed over by number and name, and those that are refused."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

import pytest

from clove.errors import InvalidRequest
from clove.systemd.activation import MOST, inherited_listeners

FIRST = 700
"""A descriptor that pytest has no use for."""


class Handed:
    """What systemd would leave: descriptors from FIRST on, not closed in children."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, given: socket.socket) -> None:
        os.dup2(given.fileno(), FIRST + self.count)
        given.close()
        self.count += 1

    def environ(self, names: str, **more: str) -> dict[str, str]:
        own = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(self.count), "PATH": "/bin"}
        return {**own, "LISTEN_FDNAMES": names, **more}


@pytest.fixture
def handed() -> Iterator[Handed]:
    made = Handed()
    yield made
    for number in range(made.count):
        with contextlib.suppress(OSError):
            os.close(FIRST + number)


def listener() -> socket.socket:
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    made.listen()
    return made


def test_each_comes_with_its_name_and_is_closed_in_children(handed: Handed) -> None:
    handed.add(listener())
    handed.add(listener())
    environ = handed.environ("rest:hub")
    found = inherited_listeners(environ, FIRST)
    assert environ == {"PATH": "/bin"}
    assert [(name, each.fileno()) for name, each in found] == [("rest", FIRST), ("hub", FIRST + 1)]
    for _, each in found:
        assert not each.get_inheritable()
        assert not each.getblocking()
        each.detach()
    assert inherited_listeners(environ, FIRST) == []


def test_what_is_meant_for_another_process_is_left_alone(handed: Handed) -> None:
    handed.add(listener())
    environ = handed.environ("rest", LISTEN_PID=str(os.getpid() + 1))
    assert inherited_listeners(environ, FIRST) == []
    assert environ == {"PATH": "/bin"}
    assert os.get_inheritable(FIRST)


def test_what_does_not_listen_for_streams_is_refused(handed: Handed) -> None:
    handed.add(socket.socket())
    with pytest.raises(InvalidRequest, match=r"'rest'.*does not listen"):
        inherited_listeners(handed.environ("rest"), FIRST)
    os.fstat(FIRST)


def test_what_is_no_socket_is_refused(handed: Handed) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, FIRST)
    os.close(null)
    handed.count = 1
    with pytest.raises(InvalidRequest, match=r"'rest'.*is none"):
        inherited_listeners(handed.environ("rest"), FIRST)


@pytest.mark.parametrize(
    ("count", "names", "problem"),
    [
        ("2", "one", "2 sockets are handed over, with 1 names"),
        ("x", "one", "LISTEN_FDS is 'x'"),
        ("-1", "", "LISTEN_FDS is '-1'"),
        (str(MOST + 1), "", "no number up to 16"),
    ],
)
def test_variables_that_make_no_sense_are_no_reason_to_go_on_without(
    count: str, names: str, problem: str
) -> None:
    environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": count, "LISTEN_FDNAMES": names}
    with pytest.raises(InvalidRequest, match=problem):
        inherited_listeners(environ, FIRST)
