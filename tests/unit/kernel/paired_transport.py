"""The kernel's end of a pair of sockets, and a reactor that reads from such ends when it is told."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import unix
from twisted.internet.main import CONNECTION_DONE
from twisted.internet.task import Clock

__all__ = ["Reactor", "Transport"]


class Reactor(Clock):
    """Knows who is read from; a turn reads from all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        if reader in self.readers:
            self.readers.remove(reader)

    def removeWriter(self, writer: Any) -> None:
        pass

    def turn(self) -> None:
        due, self.calls = self.calls, []
        for call in due:
            call.func()
        for reader in list(self.readers):
            if reader.doRead() is CONNECTION_DONE:
                self.removeReader(reader)
                reader.lost = True


class Transport(unix.Server):
    """It has no port and no address, and nothing is written but what the channel sends itself."""

    lost = False
    connected = True

    def __init__(self, end: socket.socket, reactor: Any) -> None:
        self.socket, self.reactor = end, reactor
        self.disconnecting = False
        end.setblocking(False)
        self.startReading()

    def startReading(self) -> None:
        self.reactor.addReader(self)

    def stopReading(self) -> None:
        self.reactor.removeReader(self)

    def startWriting(self) -> None:
        pass

    pauseProducing = stopReading
    resumeProducing = startReading
