"""A file on the host: what is held is open for as long as a thread is at it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from clove.errors import Unavailable
from clove.sandbox.host import HostFile
from clove.sandbox.inside.held_path import Held, resolve


class Threads:
    """Work that is done when it is told."""

    def __init__(self) -> None:
        self.work: list[Callable[[], Any]] = []

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Deferred[Any]:
        self.work.append(lambda: function(*args, **kwargs))
        return Deferred()


def opened(file: HostFile) -> object:
    return file.open(os.O_RDONLY)


def watched(file: HostFile) -> object:
    return file.watch()


def looked_at(file: HostFile) -> object:
    return file.facts()


ALL = pytest.mark.parametrize("begin", [opened, watched, looked_at])


@ALL
def test_it_is_closed_after_the_thread_that_uses_it(
    begin: Callable[[HostFile], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads, held = Threads(), resolve(str(tmp_path), "/")
    number = held.descriptor
    file = HostFile(threads, held, "a")
    begin(file)
    [work] = threads.work
    seen: list[bool] = []

    def given_up(*_: object) -> list[Any]:
        file.close()
        seen.append(os.readlink(f"/proc/self/fd/{number}") == str(tmp_path))
        return ["file", 0, 0, 0.0, 1]

    monkeypatch.setattr(Held, "open", given_up)
    monkeypatch.setattr("clove.sandbox.host.open_watch", given_up)
    monkeypatch.setattr("clove.sandbox.host.facts_of", given_up)
    work()
    assert seen == [True]
    assert held.descriptor == -1


@ALL
def test_a_thread_with_a_turn_too_late_is_told(
    begin: Callable[[HostFile], object], tmp_path: Path
) -> None:
    threads, held = Threads(), resolve(str(tmp_path), "/")
    file = HostFile(threads, held, "a")
    begin(file)
    file.close()
    file.close()
    [work] = threads.work
    with pytest.raises(Unavailable, match="given up"):
        work()
