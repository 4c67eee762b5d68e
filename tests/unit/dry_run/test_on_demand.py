"""Dry runs that are made when the first is asked for."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed

from clove.errors import Unavailable
from clove.kernel.dry_run import DryRunsOnDemand
from clove.kernel.dry_run.on_demand import MODULE

ANYBODY: Any = None


class House:
    """A kernel's dry runs; the import ends when the test says so."""

    def __init__(self) -> None:
        self.loading: list[Deferred[None]] = []
        self.created: list[House] = []
        self.stopped = False
        self.dry_runs = DryRunsOnDemand(self._load, self._create)

    def _load(self, name: str) -> Deferred[None]:
        assert name == MODULE
        self.loading.append(Deferred())
        return self.loading[-1]

    def _create(self) -> Any:
        assert self.loading[0].called
        self.created.append(self)
        return self

    def make(self, *what: Any) -> Any:
        return succeed("an outcome")

    async def stop(self) -> None:
        self.stopped = True

    def ask(self) -> Deferred[Any]:
        asked = self.dry_runs.make(ANYBODY, ANYBODY, "READ", {})
        return Deferred.fromCoroutine(asked)


async def test_nothing_is_imported_before_the_first_and_nothing_made_twice() -> None:
    house = House()
    assert house.loading == []
    first, second = house.ask(), house.ask()
    assert house.created == []
    for loading in house.loading:
        loading.callback(None)
    assert [await first, await second, await house.ask()] == ["an outcome"] * 3
    assert len(house.created) == 1
    assert len(house.loading) == 2
    await house.dry_runs.stop()
    assert house.stopped


async def test_a_kernel_that_stops_meanwhile_makes_none() -> None:
    house = House()
    asked = house.ask()
    await house.dry_runs.stop()
    house.loading[0].callback(None)
    with pytest.raises(Unavailable):
        await asked
    assert house.created == []
