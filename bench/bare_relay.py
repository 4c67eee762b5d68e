"""The least that a relay can be: Autobahn twice, and messages handed on.

`python -m bench.bare_relay relay [CERTIFICATE KEY]` prints its port; `python -m bench.bare_relay kernel PORT` connects to it
and sends every message back. Whoever connects after the kernel is an agent; a number before each message
says which.
"""

from __future__ import annotations

import resource
import struct
import sys
from typing import Any

from autobahn.twisted.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    WebSocketServerFactory,
    WebSocketServerProtocol,
)
from twisted.internet import reactor as global_reactor

reactor: Any = global_reactor
NUMBER = struct.Struct(">I")
OPTIONS = {"tcpNoDelay": True, "autoPingInterval": 0, "failByDrop": True}


class Relay(WebSocketServerProtocol):
    """One end of either kind."""

    ends: dict[int, Any] = {}

    def onOpen(self) -> None:
        self.number = len(self.ends)
        self.ends[self.number] = self

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if self.number:
            self.ends[0].sendMessage(NUMBER.pack(self.number) + payload, True)
        else:
            self.ends[NUMBER.unpack_from(payload)[0]].sendMessage(payload[4:], True)


class Kernel(WebSocketClientProtocol):
    """Echoes."""

    def onOpen(self) -> None:
        print("ready", flush=True)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        end: Any = self
        end.sendMessage(payload, True)


def _listen(factory: Any, certificate: str = "", key: str = "") -> Any:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if not certificate:
        return reactor.listenTCP(0, factory, backlog=1024, interface="127.0.0.1")
    from twisted.protocols.tls import TLSMemoryBIOFactory

    from clove.relay.tls import RenewedCertificate  # the same options as our relay has

    served = TLSMemoryBIOFactory(RenewedCertificate(certificate, key), False, factory)
    return reactor.listenTCP(0, served, backlog=1024, interface="127.0.0.1")


def main() -> None:
    """Be one of the two."""
    factory: Any
    if sys.argv[1] == "relay":
        factory = WebSocketServerFactory()
        factory.protocol = Relay
        factory.setProtocolOptions(**OPTIONS)
        print(_listen(factory, *sys.argv[2:]).getHost().port, flush=True)
    else:
        factory = WebSocketClientFactory(f"ws://127.0.0.1:{sys.argv[2]}/")
        factory.protocol = Kernel
        factory.setProtocolOptions(**OPTIONS)
        reactor.connectTCP("127.0.0.1", int(sys.argv[2]), factory)
    reactor.run()


if __name__ == "__main__":
    main()
