"""How the store of a contract is made, and what is put into it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from clove.relay.records import MachineRecord, TokenKind, TokenRecord
from clove.relay.store.interface import IStore

__all__ = ["KEY", "NOW", "MakeStore", "StoreMaking", "machine", "token"]

NOW = 1_000_000.0
KEY = bytes(range(32))
MakeStore = Callable[..., IStore]


def token(token_id: str, **given: Any) -> TokenRecord:
    """One that differs from others by its id."""
    digest = hashlib.sha256(token_id.encode()).digest()
    facts = {"kind": TokenKind.ADMIN, "created": NOW, **given}
    return TokenRecord(id=token_id, digest=digest, **facts)


def machine(machine_id: str, **given: Any) -> MachineRecord:
    return MachineRecord(machine_id=machine_id, created=NOW, **given)


class StoreMaking:
    """For a test class that says how its store is made."""

    @pytest.fixture
    def make(self) -> MakeStore:
        """Makes an empty store with these limits; it is closed after the test."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, make: MakeStore) -> IStore:
        return make()
