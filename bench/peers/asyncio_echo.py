"""An asyncio server that answers each frame with its payload: `python -m bench.peers.asyncio_echo SOCKET`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from bench.peers.frames import Answers


class Echo(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._answers = Answers()

    def data_received(self, data: bytes) -> None:
        if replies := self._answers.feed(data):
            self._transport.write(replies)


async def serve() -> None:
    """Until it is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(Echo, sys.argv[1], backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
