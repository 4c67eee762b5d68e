"""A client beside the attackers, and how much memory the kernel holds meanwhile."""

from __future__ import annotations

import threading
from pathlib import Path

from clove import CloveClient
from tests.adversary.arena import Arena


def rss(pid: int) -> int:
    """Bytes of memory that a process holds now."""
    rows = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(row.split()[1]) << 10 for row in rows if row.startswith("VmRSS:"))


class Witness:
    """A client that asks all the while, and is to be served.

    @ivar served: answers that it got.
    @ivar most: bytes of memory that the kernel held at most.
    """

    def __init__(self, arena: Arena) -> None:
        self.served = 0
        self.most = self.before = rss(arena.kernel.pid)
        self.failures: list[Exception] = []
        self._kernel = arena.kernel
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        try:
            with CloveClient(self._kernel.socket, timeout=10) as client:
                while not self._over.wait(0.02):
                    assert client.noop(b"still there?") == b"still there?"
                    self.served += 1
                    self.most = max(self.most, rss(self._kernel.pid))
        except Exception as error:
            self.failures.append(error)

    def __enter__(self) -> Witness:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
