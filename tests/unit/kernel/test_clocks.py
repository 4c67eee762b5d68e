"""What is measured does not depend on what the host's clock is set to."""

from __future__ import annotations

import pytest
from twisted.internet.selectreactor import SelectReactor

from clove.kernel import clocks


class Stepped(SelectReactor):
    """A reactor of Twisted's on a host whose clock is set as a test likes."""

    wall = 1_000_000.0

    def seconds(self) -> float:
        return self.wall


@pytest.mark.parametrize("step", [86_400.0, -86_400.0])
def test_a_step_of_the_hosts_clock_moves_no_timer(
    monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    monotonic = 50.0
    monkeypatch.setattr("time.monotonic", lambda: monotonic)
    reactor = Stepped()
    clocks.make_monotonic(reactor)
    due: list[str] = []
    reactor.callLater(10, due.append, "ten")
    reactor.wall += step
    reactor.runUntilCurrent()
    assert due == []
    assert reactor.timeout() == 10
    monotonic += 10
    reactor.runUntilCurrent()
    assert due == ["ten"]
