"""A client that asks a relay's REST API at a steady pace, in a thread."""

from __future__ import annotations

import threading
import time
from typing import Any

from bench.fleet.machines import machine_id
from bench.fleet.processes import Relay

__all__ = ["Probe"]

EVERY = 0.02
"""Seconds between two requests, as long as they are answered in time."""


class Probe:
    """Asks for one machine, which the relay looks up in its store, while the block lasts.

    @ivar times: seconds that each request has taken.
    """

    def __init__(self, relay: Relay) -> None:
        self.times: list[float] = []
        self._relay = relay
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Probe:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        connection = self._relay.connection()
        due = time.monotonic()
        while not self._over.is_set():
            begun = time.monotonic()
            self._relay.get(connection, f"/machines/{machine_id(0)}")
            now = time.monotonic()
            self.times.append(now - begun)
            due = max(due + EVERY, now)
            self._over.wait(due - now)
        connection.close()
