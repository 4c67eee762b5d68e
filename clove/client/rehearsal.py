"""A conversation with nobody, before there is anybody to talk to.

A forked process pays for each page of memory that it is the first to write, and
Python writes wherever it reads (it counts references). Agents that wait to be
wanted (`docs/nursery.md`) have paid for the client's pages when they are.
"""

from __future__ import annotations

import json
import socket

from clove.client.blocking import CloveClient
from clove.client.channel import Channel
from clove.client.peer import check_server
from clove.framing import HEADER, MAGIC, TAG, Opcode

__all__ = ["rehearse"]

WELCOME = {
    "success": True,
    "protocol_version": 2,
    "kernel_version": "0",
    "features": ["async", "cancel", "push", "stream"],
    "agent_id": 0,
    "resume": "nobody",
}


class Monologue(CloveClient):
    """A client that hears what it was given to hear."""

    def _dial(self, deadline: float | None) -> Channel:
        ours, self._theirs = socket.socketpair()
        check_server(ours, "nowhere")
        self.hear(Opcode.HELLO, json.dumps(WELCOME).encode())
        return Channel(ours, self.limits)

    def hear(self, opcode: Opcode, payload: bytes) -> None:
        """Let a reply be there for whom will look for it."""
        self._theirs.sendall(HEADER.pack(MAGIC, 0, opcode, len(payload)) + payload)

    def end(self) -> None:
        """Let go of both ends."""
        self.close()
        self._theirs.close()


def rehearse() -> None:
    """Greet, ask once, and part."""
    client = Monologue("nowhere")
    client.connect()
    client.hear(Opcode.NOOP, TAG.pack(2) + b'{"success": true}')
    client.noop()
    client.end()
