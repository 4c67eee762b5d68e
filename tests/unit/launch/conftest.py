"""Threads and a provisioner for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from twisted.internet.interfaces import IReactorFromThreads

from clove.threads.threads import Threads
from tests.unit.launch.provisions import Fixture, Script


@pytest.fixture
def threads() -> Iterator[Threads]:
    from twisted.internet import reactor

    pool = Threads(cast("IReactorFromThreads", reactor), 2)
    pool.start()
    yield pool
    pool.stop()


@pytest.fixture
def fixture(short_dir: str, threads: Threads) -> Fixture:
    return Fixture(short_dir, threads)


@pytest.fixture
def script(fixture: Fixture) -> Script:
    path = Path(fixture.directory, "a.py")
    path.write_bytes(b"print(1)\n")
    return Script(str(path))
