"""Connections that have not shown yet who they are. Pure.

Anybody can make many. Whoever does keeps out none but himself: where there is one too many, the
oldest of the address that has most is closed.
"""

from __future__ import annotations

from collections.abc import Callable

from clove.relay.tokens.lockout import source_of

__all__ = ["Strangers"]

Close = Callable[[], object]


class Strangers:
    """They are counted from the first byte on, before TLS and HTTP.

    @param most: how many there may be.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0
        self._of: dict[str, dict[object, Close]] = {}

    def __len__(self) -> int:
        return self._count

    def add(self, address: str, close: Close) -> Callable[[], None]:
        """A connection was made.

        @param close: cuts it off at once.
        @return: to be called when it is known who is there, and when it is gone. Idempotent.
        """
        source, key = source_of(address), object()
        self._of.setdefault(source, {})[key] = close
        self._count += 1
        if self._count > self._most:
            self._close_one()
        return lambda: self._remove(source, key)

    def _close_one(self) -> None:
        source = max(self._of, key=lambda each: len(self._of[each]))
        key, close = next(iter(self._of[source].items()))
        self._remove(source, key)
        close()

    def _remove(self, source: str, key: object) -> None:
        found = self._of.get(source, {})
        if found.pop(key, None) is not None:
            self._count -= 1
            if not found:
                del self._of[source]
