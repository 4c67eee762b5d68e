"""Answers from inside that the operating system does not take."""

from __future__ import annotations

import errno
import os
import signal
from typing import Any

import pytest

from clove.sandbox.inside.init import Init
from clove.sandbox.inside.zygote import server

REFUSED = [errno.ETOOMANYREFS, errno.ENOBUFS, errno.EMSGSIZE, errno.EAGAIN]


class Wire:
    """A channel to the kernel that does not take descriptors.

    @ivar sent: what it took.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.sent: list[dict[str, Any]] = []

    def send(self, message: dict[str, Any], fds: Any = ()) -> None:
        if fds:
            raise OSError(self.number, os.strerror(self.number))
        self.sent.append(message)


class Held:
    """A file that was resolved."""

    def __init__(self) -> None:
        self.opened: list[int] = []

    def open(self, flags: int) -> int:
        self.opened.append(os.open(os.devnull, os.O_RDONLY))
        return self.opened[-1]


def init(wire: Wire, held: Held) -> Any:
    """One that serves nobody else: a real one takes over the signals of its process."""
    made: Any = object.__new__(Init)
    made._channel, made._held = wire, {3: held}
    return made


@pytest.mark.parametrize("number", REFUSED)
def test_a_descriptor_that_cannot_be_sent_is_a_refusal_at_once(number: int) -> None:
    wire, held = Wire(number), Held()
    init(wire, held)._perform("open", 7, {"handle": 3, "flags": 0}, [])
    [answer] = wire.sent
    assert (answer["op"], answer["id"], answer["step"]) == ("refused", 7, "send")
    assert answer["errno"] == number
    [descriptor] = held.opened
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        os.fstat(descriptor)


def test_a_kernel_that_is_gone_is_no_refusal() -> None:
    with pytest.raises(BrokenPipeError):
        init(Wire(errno.EPIPE), Held())._perform("open", 7, {"handle": 3, "flags": 0}, [])


def test_a_command_without_its_streams_does_not_run() -> None:
    message = {"argv": ["true"], "env": {}, "cwd": ""}
    with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
        init(Wire(0), Held())._perform("run", 7, message, [0, 1])


@pytest.mark.parametrize("number", REFUSED)
def test_a_child_that_the_kernel_cannot_be_given_is_ended(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def clone(namespaces: int, cgroup: int) -> tuple[int, int]:
        pid = os.fork()
        if pid == 0:
            signal.pause()
            os._exit(0)
        made.append(pid)
        return pid, os.pidfd_open(pid)

    made: list[int] = []
    monkeypatch.setattr(server, "clone", clone)
    given = [os.open(os.devnull, os.O_RDONLY) for _ in range(3)]
    wire: Any = Wire(number)
    before = len(os.listdir("/proc/self/fd")) - len(given)
    assert server._forked(wire, {"id": 5, "given": 3}, given) is False
    _, status = os.waitpid(made[0], 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    [answer] = wire.sent
    assert (answer["op"], answer["id"], answer["errno"]) == ("failed", 5, number)
    assert len(os.listdir("/proc/self/fd")) == before


def test_no_child_is_forked_without_all_that_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "clone", lambda *_: pytest.fail("it was forked"))
    wire: Any = Wire(0)
    given = [os.open(os.devnull, os.O_RDONLY) for _ in range(3)]
    assert server._forked(wire, {"id": 5, "given": 4}, given) is False
    assert wire.sent == [
        {"op": "failed", "id": 5, "errno": errno.EMFILE, "text": os.strerror(errno.EMFILE)}
    ]
