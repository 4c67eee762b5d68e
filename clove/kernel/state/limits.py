"""Bounds of the state store."""

from __future__ import annotations

import msgspec

__all__ = ["StateLimits"]


class StateLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sizes count the key and the value as UTF-8, and 256 bytes of book-keeping."""

    max_key: int = 512
    """Characters in a key; a longer one is refused."""
    max_value_bytes: int = 1 << 20
    """Bytes of a value as JSON; a larger one is refused."""
    max_agent_keys: int = 10_000
    """Keys that one agent was the last to write; one more is refused."""
    max_agent_bytes: int = 32 << 20
    """Bytes of the keys that one agent was the last to write; past it STORE is refused."""
    max_keys: int = 100_000
    """Keys in all; one more, or one past a family's share of them, is refused."""
    max_bytes: int = 256 << 20
    """Bytes in all; past it, or past a family's share of them, STORE is refused."""
    max_listed: int = 10_000
    """Keys in the reply to one KEYS; with more it says `truncated`."""
    max_listed_bytes: int = 4 << 20
    """Bytes of keys in the reply to one KEYS; with more it says `truncated`."""
    max_tombstones: int = 10_000
    """Deleted keys of which the last version is kept. When one more is deleted the
    oldest is forgotten, and keys that are created afresh start above its version."""
    sweep_interval: float = 1.0
    """Seconds between two sweeps for expired keys, at least. (An expired key is never
    seen; until it is swept it only takes up room.)"""
    max_swept: int = 1000
    """Keys that one sweep removes; the next one goes on."""
