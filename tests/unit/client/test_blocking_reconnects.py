"""The blocking client: connections that are lost, closed, or in a forked child."""

from __future__ import annotations

import os
import threading
from typing import Any

from clove import CloveClient
from clove.errors import (
    ConnectionLost,
)
from tests.unit.client.echoing import QUICK, echo


def test_a_call_on_a_connection_that_died_meanwhile_is_sent_on_a_new_one(peer: Any) -> None:
    peer.answer = echo
    with CloveClient(peer.path, limits=QUICK) as client:
        peer.stop()
        peer.start()
        peer.tokens.clear()
        assert client.store("k", 2)["success"] is True
        assert client.agent_id == 3  # the old token was refused, so this is somebody new


def test_closing_wakes_a_thread_that_waits(peer: Any) -> None:
    asked = threading.Event()
    peer.answer = lambda ask: asked.set()
    client = CloveClient(peer.path)
    caught: list[BaseException] = []

    def ask() -> None:
        try:
            client.store("k", 1)
        except ConnectionLost as error:
            caught.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert asked.wait(30)
    client.close()
    thread.join(30)
    assert len(caught) == 1


def test_a_forked_child_gets_a_connection_of_its_own(peer: Any) -> None:
    peer.answer = echo
    with CloveClient(peer.path) as client:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                client.noop()
                os.write(write, b"%d" % client.agent_id)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert os.read(read, 10) == b"2"
        os.close(read)
        os.close(write)
        assert client.noop(b"still here") == b"still here"
        assert client.agent_id == 1
