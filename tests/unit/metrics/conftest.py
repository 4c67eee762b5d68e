"""What the tests of metrics are given."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clove.threads.threads import Threads
from tests.unit.metrics.metrics_world import World, reactor


@pytest.fixture
def threads() -> Iterator[Threads]:
    pool = Threads(reactor, 2)
    pool.start()
    yield pool
    pool.stop()


@pytest.fixture
def world(threads: Threads) -> World:
    return World(threads)
