"""A relay for each test that asks for one, and one that tests of commands share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_twisted

from tests.integration.relay.commands import Commands
from tests.integration.relay.relay_process import RelayProcess, relay_process
from tests.integration.relay.relays import Relay, running_relay


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def relay(tmp_path: Path) -> AsyncIterator[Relay]:
    async with running_relay(tmp_path) as running:
        yield running


@pytest.fixture(scope="session")
def shared_relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayProcess]:
    """A process of its own, which takes many wrong tokens."""
    config = "[rest]\nport = 0\n[limits.lockout]\nfailures = 10000\n[limits.rest]\nrate = 10000.0\n"
    with relay_process(tmp_path_factory.mktemp("relay"), config) as running:
        yield running


@pytest.fixture
def clove(shared_relay: RelayProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Runs `clove` for that relay, as a user who has no file of contexts."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CLOVE_CONTEXT", "CLOVE_RELAY_CA_FILE", "CLOVE_MACHINE"):
        monkeypatch.delenv(name, raising=False)
    return Commands(shared_relay)
