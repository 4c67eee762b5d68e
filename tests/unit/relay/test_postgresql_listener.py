"""Whatever goes wrong on it, the connection on which a relay hears of others' changes is made again."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("psycopg")

from clove.relay.store.postgresql_listener import Listener


class Failing(Listener):
    """Its connection fails in a way that no database has."""

    def __init__(self) -> None:
        reactor: Any = SimpleNamespace(callFromThread=lambda call, *given, **named: None)
        observer: Any = None
        super().__init__(reactor, "", 1.0, "name", observer)
        self.again = threading.Event()
        self.tries = 0

    def _listen(self) -> None:
        self.tries += 1
        if self.tries > 1:
            self.again.set()
        raise ValueError("unforeseen")


def test_it_listens_again_after_what_was_not_foreseen() -> None:
    listener = Failing()
    listener.start()
    try:
        assert listener.again.wait(20)
    finally:
        listener.stop()
