"""How the store of a contract is made and read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Raw
from twisted.internet.task import Clock

from clove.kernel.state import StateLimits
from tests.contracts.answers import Settled

__all__ = ["StateMaking", "V", "value"]

V = Raw(b"1")


def value(store: Any, agent_id: int, key: str) -> bytes | None:
    found = store.fetch(agent_id, key)
    return None if found is None else bytes(found.value)


class StateMaking:
    """For a test class that says how its store is made."""

    def make(
        self, clock: Clock, limits: StateLimits, on_changed: Callable[..., object] | None = None
    ) -> Any:
        """A store of which a family may have all."""
        raise NotImplementedError

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    def some(
        self, clock: Clock, on_changed: Callable[..., object] | None = None, **limits: float
    ) -> Any:
        """A store whose answers are waited for."""
        return Settled(clock, self.make(clock, StateLimits(**limits), on_changed))  # type: ignore[arg-type]
