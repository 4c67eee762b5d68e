"""A relay for each test that asks for one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_twisted

from tests.integration.relay.relays import Relay, running_relay


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def relay(tmp_path: Path) -> AsyncIterator[Relay]:
    async with running_relay(tmp_path) as running:
        yield running
