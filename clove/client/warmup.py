"""One exchange with a scripted kernel, before there is a real one to talk to.

A forked process pays for each page of memory that it is the first to write, and
Python writes wherever it reads (it counts references). Preforked agents
(`docs/zygote.md`) so have paid for the client's pages before they are needed.
"""

from __future__ import annotations

import json
import socket

from clove.client.blocking import CloveClient
from clove.client.blocking_connection import BlockingConnection
from clove.client.channel import Channel
from clove.client.peer import check_server
from clove.framing import HEADER, MAGIC, TAG, Opcode

__all__ = ["warm_up"]

WELCOME = {
    "success": True,
    "protocol_version": 2,
    "kernel_version": "0",
    "features": ["async", "cancel", "push", "stream"],
    "agent_id": 0,
    "resume": "warm-up",
}


class ScriptedConnection(BlockingConnection):
    """A connection that has its replies before the requests."""

    def _dial(self, deadline: float | None) -> Channel:
        ours, self._kernel_end = socket.socketpair()
        check_server(ours, "nowhere")
        self.write_reply(Opcode.HELLO, json.dumps(WELCOME).encode())
        return Channel(ours, self._limits)

    def write_reply(self, opcode: Opcode, payload: bytes) -> None:
        """Let a reply be there when it will be read."""
        self._kernel_end.sendall(HEADER.pack(MAGIC, 0, opcode, len(payload)) + payload)

    def close(self) -> None:
        """Close both ends."""
        super().close()
        self._kernel_end.close()


def warm_up() -> None:
    """Greet, ask once, and close."""
    client = CloveClient("nowhere")
    connection = client._connection = ScriptedConnection(("nowhere",), client.limits)
    client.connect()
    connection.write_reply(Opcode.NOOP, TAG.pack(2) + b'{"success": true}')
    client.noop()
    client.close()
