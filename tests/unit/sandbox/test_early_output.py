"""What a program writes before init has said that it runs: nothing slows it down yet but the pipe."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor

from clove.sandbox.channel import socket_pair
from clove.sandbox.launch_limits import LaunchLimits
from clove.sandbox.outputs import EARLY
from clove.sandbox.running import Sandbox
from clove.sandbox.spec import SandboxSpec
from clove.threads.threads import Threads


class Transport:
    """Notes what of its output is not to be read."""

    def __init__(self) -> None:
        self.stalled: set[int] = set()

    @property
    def outputs(self) -> Any:
        return self

    def give_to(self, uid: int | None) -> None:
        """It has none."""

    def signalProcess(self, number: int) -> None:
        """It has none."""

    def stall(self, stream: int, stall: bool) -> None:
        (self.stalled.add if stall else self.stalled.discard)(stream)


def test_a_program_that_writes_before_it_is_known_to_run_is_read_no_further_than_that() -> None:
    clock: Any = reactor
    ours, theirs = socket_pair()
    spec = SandboxSpec(argv=("/none",), namespaces=frozenset({"pid", "mnt"}), seccomp=False)
    taken: list[int] = []
    sandbox = Sandbox(
        clock, Threads(clock), spec, lambda _, data: taken.append(len(data)), LaunchLimits()
    )
    sandbox.attach(transport := Transport(), ours)  # type: ignore[arg-type]
    sandbox.streams.childDataReceived(1, bytes(EARLY - 1))
    assert transport.stalled == set()
    sandbox.streams.childDataReceived(2, b"!")
    assert transport.stalled == {1, 2}
    known: list[set[int]] = []
    sandbox.ready.addCallback(lambda _: known.append(set(transport.stalled)))
    sandbox._settle(None)  # as when init says so: which would be this very process here
    assert known == [set()]
    sandbox.streams.childDataReceived(1, bytes(EARLY))
    assert transport.stalled == set()
    assert sum(taken) == 2 * EARLY
    sandbox._control.close()
    theirs.close()
