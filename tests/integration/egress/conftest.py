"""A server on loopback for each test of the HTTP syscall."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_twisted

from clove.policy import Permissions
from tests.integration.egress.pages import (
    Pages,
    Server,
    allowing,
)


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def server() -> AsyncIterator[Server]:
    running = Server(Pages())
    yield running
    await running.stop()


@pytest.fixture
def local(server: Server) -> Permissions:
    return allowing(f"127.0.0.1:{server.number}")
