"""A Twisted server that answers each frame with its payload: `python -m bench.peers.twisted_echo SOCKET`.

It writes a reply at once where nothing waits to be written, as the kernel does, and not in the next turn of the loop.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.protocol import Factory, Protocol

from bench.peers.frames import Answers

reactor: Any = global_reactor


class Echo(Protocol):
    """One connection."""

    def connectionMade(self) -> None:
        self._answers = Answers()

    def dataReceived(self, data: bytes) -> None:
        replies = self._answers.feed(data)
        transport: Any = self.transport
        if replies and not transport.dataBuffer and not transport._tempDataBuffer:
            sent = transport.writeSomeData(replies)
            replies = replies[sent:] if isinstance(sent, int) and sent >= 0 else replies
        if replies:
            transport.write(replies)


def main() -> None:
    """Serve."""
    reactor.listenUNIX(sys.argv[1], Factory.forProtocol(Echo), backlog=1024)
    reactor.run()


if __name__ == "__main__":
    main()
