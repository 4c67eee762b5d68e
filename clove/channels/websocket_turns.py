"""How much of what a WebSocket sends is taken in at a time, and in what form it is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from autobahn.websocket.protocol import WebSocketProtocol

__all__ = ["STEPS", "Bounded"]

STEPS: Final = 100
"""Steps of Autobahn's, one or two a frame, that a connection has in a turn of the loop: it may have sent ten
thousand frames in what the transport reads at once."""


class Bounded:
    """Bounds what Autobahn's protocols do in one turn of the loop, and what they keep of a message."""

    transport: Any
    factory: Any
    state: int
    data: bytes
    processData: Callable[[], bool]
    frame_data: Any
    message_data: Any
    _later: Any = None
    _stopped = False

    @property
    def is_paused(self) -> bool:
        """The receiver wants nothing for now."""
        raise NotImplementedError

    def consumeData(self) -> None:
        """Autobahn's: take in what has come, no more than a turn bears and while the receiver wants it."""
        if self.state not in (WebSocketProtocol.STATE_OPEN, WebSocketProtocol.STATE_CLOSING):
            self.handshake()
        elif self._later is None:
            steps = STEPS
            while not self.is_paused and self.processData():
                if self.state == WebSocketProtocol.STATE_CLOSED:
                    return
                steps -= 1
                if not steps:
                    self.postpone()
                    return

    def handshake(self) -> None:
        """Autobahn's way to take in what has come before the connection is open, and after it."""
        raise NotImplementedError

    def postpone(self) -> None:
        """What is in C{data} is taken in at the next turn."""
        if self._later is None:
            self._later = self.factory.reactor.callLater(0, self._go_on)
            self.steer()

    @property
    def waits(self) -> bool:
        """What comes now waits behind what came before."""
        return self._later is not None or self.is_paused

    def _go_on(self) -> None:
        self._later = None
        self.take_in()
        self.steer()

    def take_in(self) -> None:
        """Go on with what is in C{data}."""
        raise NotImplementedError

    def steer(self) -> None:
        """Have the transport read, or not; what it has read already waits as well."""
        stop = self.waits
        if stop and not self._stopped:
            self.transport.pauseProducing()
        elif self._stopped and not stop:
            self.transport.resumeProducing()
            if self.data:
                self._later = self.factory.reactor.callLater(0, self._go_on)
        self._stopped = stop

    def read_no_more(self) -> None:
        """The connection is gone."""
        later, self._later = self._later, None
        if later is not None:
            later.cancel()

    def onMessageFrameData(self, payload: bytes) -> None:
        """Autobahn's: a piece of a frame. Its own list of them may take fifty times as much as they are long."""
        _append(self.frame_data, payload)

    def onMessageFrame(self, payload: list[bytes | bytearray]) -> None:
        """Autobahn's: a frame of a message, in pieces. There may be endlessly many that are empty."""
        for piece in payload:
            _append(self.message_data, piece)


def _append(pieces: list[bytes | bytearray], more: bytes | bytearray) -> None:
    """Keep a list of pieces in one."""
    if not pieces:
        pieces.append(more)
    elif more:
        if not isinstance(pieces[0], bytearray):
            pieces[0] = bytearray(pieces[0])
        pieces[0] += more
