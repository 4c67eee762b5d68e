"""The connection on which PostgreSQL tells what other relays have changed, in a thread of its own."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
import psycopg
from twisted.logger import Logger

from clove.relay.store.interface import StoreObserver
from clove.relay.store.postgresql_connection import CHANNEL, connect

__all__ = ["Listener"]

_PAUSES: Final = (0.2, 2.0)
"""Seconds before another connection is tried: the first, and the longest."""
_ASKED: Final = 1.0
"""Seconds after which the connection is tried if nothing was told."""
_LOOK: Final = 0.2
"""Seconds within which the thread sees that it should end."""
_PAYLOAD: Final = msgspec.json.Decoder(tuple[str, str, str])


class Listener:
    """Tells an observer, in the reactor's thread.

    Whenever it begins to listen it says that changes may have been missed.

    @param name: of this relay; its own changes are not told.
    """

    log = Logger()

    def __init__(
        self, reactor: Any, address: str, answer_seconds: float, name: str, observer: StoreObserver
    ) -> None:
        self._reactor = reactor
        self._address = address
        self._answer_seconds = answer_seconds
        self._name = name
        self._observer = observer
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="clove-listener")

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread. Blocks for a moment."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _serve(self) -> None:
        pause = _PAUSES[0]
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._listen()
            except psycopg.Error as error:
                self._log_lost(str(error))
            except Exception as error:  # whatever it is, revocations have to be heard of again
                self._log_lost(repr(error))
            if time.monotonic() - began > 2 * _PAUSES[1]:
                pause = _PAUSES[0]
            self._stopping.wait(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, _PAUSES[1])

    def _listen(self) -> None:
        with connect(self._address, self._answer_seconds) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            self._tell(self._observer.changes_missed)
            asked = time.monotonic()
            while not self._stopping.is_set():
                for told in connection.notifies(timeout=_LOOK):
                    self._told(told.payload)
                if time.monotonic() - asked > _ASKED:
                    connection.execute("SELECT 1")
                    asked = time.monotonic()

    def _told(self, payload: str) -> None:
        try:
            name, what, named = _PAYLOAD.decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self.log.warn("another program's notification on {channel}", channel=CHANNEL)
            return
        if name == self._name:
            return
        if what == "token":
            self._tell(self._observer.token_ended, named)
        elif what == "scope":
            self._tell(self._observer.token_narrowed, named)
        elif what == "machine":
            self._tell(self._observer.machine_removed, named)
        elif what == "labels":
            self._tell(self._observer.labels_changed, named)
        elif what == "tunnel":
            self._tell(self._observer.tunnel_taken, *named.split(" ", 1))
        else:  # of a newer Clove
            self._tell(self._observer.changes_missed)

    def _tell(self, call: Callable[..., None], *arguments: str) -> None:
        self._reactor.callFromThread(call, *arguments)

    def _log_lost(self, why: str) -> None:
        self._reactor.callFromThread(
            self.log.warn, "changes by other relays are not heard of now: {why}", why=why
        )
