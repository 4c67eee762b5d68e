"""Whether a sample counts as disturbed, and how long one is waited for."""

from __future__ import annotations

import pytest

from bench import quiet
from bench.quiet import Quiet, foreign_share


class Machine:
    """One of which others use these shares of a processor, one for each look or sample; the last one for ever.

    @ivar looks: how often it was looked at without a sample.
    @ivar taken: samples, each of a second.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *shares: float) -> None:
        self.looks = self.taken = 0
        self._shares = list(shares)
        self._now = self._used = 0.0
        monkeypatch.setattr(quiet, "used", lambda: (self._now, self._used, 0.0))
        monkeypatch.setattr(quiet, "_measured", self._look)

    def _next(self) -> float:
        return self._shares[0] if len(self._shares) == 1 else self._shares.pop(0)

    def _look(self, seconds: float) -> float:
        self.looks += 1
        return self._next()

    def sample(self) -> int:
        """Take one."""
        self.taken += 1
        self._now += 1.0
        self._used += self._next()
        return self.taken


def test_what_others_use_is_the_machines_time_less_ours() -> None:
    assert foreign_share((10.0, 50.0, 20.0), (12.0, 53.0, 22.0)) == 0.5
    assert foreign_share((10.0, 50.0, 20.0), (12.0, 51.0, 22.0)) == 0.0


def test_a_sample_on_a_quiet_machine_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, judge = Machine(monkeypatch, 0.0), Quiet()
    assert judge.sample(machine.sample) == (1, False)
    assert judge.sample(machine.sample) == (2, False)
    assert machine.looks == 1  # before the first one alone


def test_a_disturbed_sample_is_taken_again_when_it_is_quiet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(monkeypatch, 0.0, 0.9, 0.9, 0.0, 0.0)
    assert Quiet(share=0.1).sample(machine.sample) == (2, False)
    assert machine.looks == 3


def test_a_sample_that_stays_disturbed_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, judge = Machine(monkeypatch, 0.9), Quiet(share=0.1, patience=2.0, tries=5)
    assert judge.sample(machine.sample)[1] is True
    assert judge.waited == pytest.approx(2.0, abs=1.0)


def test_where_patience_is_used_up_nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, judge = Machine(monkeypatch, 0.9), Quiet(share=0.1, patience=0.0)
    assert judge.sample(machine.sample) == (1, True)
    assert judge.waited == 0.0


def test_a_long_sample_is_not_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, 0.0, 0.9)
    assert Quiet(share=0.1).sample(machine.sample, again=False) == (1, True)
