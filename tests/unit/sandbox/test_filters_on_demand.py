"""What makes filters is imported in a thread, and waited for there."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed

from clove.sandbox import filters_on_demand
from clove.sandbox.filters_on_demand import load_filters

MODULE = "clove.sandbox.seccomp.filters"


class Asked:
    """Threads that note what they are asked for."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def run(self, *call: Any) -> Deferred[None]:
        self.calls.append(call)
        return succeed(None)


async def loaded() -> int:
    """How often a thread was asked."""
    threads: Any = Asked()
    await load_filters(threads)
    return len(threads.calls)


async def test_what_another_thread_is_still_importing_is_waited_for_in_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, MODULE, ModuleType(MODULE))
    assert await loaded() == 1


async def test_what_is_imported_is_not_asked_for_again() -> None:
    filters_on_demand.encoded_filters("x86_64", memfd=True, netlink=True)
    assert await loaded() == 0
