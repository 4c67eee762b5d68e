"""What init has said is read after the end of its sandbox: each word once, none too much."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from clove.errors import Unavailable
from clove.sandbox.channel import socket_pair
from clove.sandbox.inside.control import packets
from clove.sandbox.interface import ExitStatus
from clove.sandbox.launch_limits import LaunchLimits
from clove.sandbox.running import Sandbox
from clove.sandbox.spec import SandboxSpec
from clove.threads.threads import Threads

READY = {"op": "ready", "namespaces": {"pid": True}, "seccomp": False, "landlock": 0}
EXITED = {"op": "exited", "id": 0, "code": 3}


class Busy:
    """The reactor of a machine that has no time: hours pass between any two looks at the clock."""

    def __init__(self) -> None:
        self._hours = itertools.count(step=3600.0)

    def seconds(self) -> float:
        return next(self._hours)

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)


class Helper:
    """A process transport of which nothing is asked that matters here."""

    @property
    def outputs(self) -> Any:
        return self

    def give_to(self, uid: int | None) -> None:
        """It has none."""

    def signalProcess(self, number: int) -> None:
        """It has ended anyway."""


@pytest.fixture
def ended() -> Iterator[Any]:
    """A function that gives a sandbox whose helper has ended after some words."""
    others = []

    def make(*words: dict[str, Any]) -> tuple[Sandbox, list[object], list[object]]:
        ours, theirs = socket_pair()
        others.append(theirs)
        spec = SandboxSpec(argv=("/none",), namespaces=frozenset({"pid", "mnt"}), seccomp=False)
        clock: Any = Busy()
        sandbox = Sandbox(clock, Threads(clock), spec, lambda *_: None, LaunchLimits())
        ready: list[object] = []
        done: list[object] = []
        sandbox.ready.addBoth(ready.append)
        sandbox.done.addBoth(done.append)
        sandbox.attach(Helper(), ours)  # type: ignore[arg-type]
        for word in words:
            theirs.send(packets(word)[0])
        sandbox.streams.processEnded(Failure(ConnectionDone()))
        return sandbox, ready, done

    yield make
    for other in others:
        other.close()


def test_one_that_ran_and_ended_meanwhile_was_ready(ended: Any) -> None:
    _, ready, done = ended(READY, EXITED)
    assert ready == [None]
    assert done == [ExitStatus(code=3)]


def test_one_that_ended_without_a_status_was_never_ready(ended: Any) -> None:
    _, [failure], [status] = ended(READY)
    assert failure.check(Unavailable)
    assert status == ExitStatus(signal=9)


def test_one_that_said_nothing_was_never_ready(ended: Any) -> None:
    _, [failure], [_] = ended()
    assert failure.check(Unavailable)
