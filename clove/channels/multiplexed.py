"""One of the channels of a link."""

from __future__ import annotations

import json
import struct
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from clove.channels.session import MOST_PIECE, WINDOW, BrokenLink, FrameKind, frame

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IDelayedCall

    from clove.channels.channel import Receiver
    from clove.channels.multiplex import Multiplex

__all__ = ["LinkLimits", "MultiplexedChannel", "parse_object"]

_NUMBER: Final = struct.Struct(">I")
_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])


class LinkLimits(NamedTuple):
    """Bounds of one end of a link."""

    unacknowledged: int = 4 << 20
    """Bytes that are sent and not acknowledged; then channels wait."""
    ack_bytes: int = 64 << 10
    """Bytes received after which an ACK is sent at once."""
    ack_seconds: float = 0.1
    """Seconds after which one is sent for less."""
    channels: int = 4096
    """Channels on the link; one more is refused."""


# More than 20 methods: a channel's contract and what its link calls, with what these share.
class MultiplexedChannel:
    """A L{clove.channels.channel.Channel} on a link. What comes while it is paused is kept; the
    window bounds it.

    @ivar number: on its link.
    @ivar error: why the other side has closed it; "" if it gave no reason.
    """

    released: Deferred[None] | None = None
    send_descriptors = None
    descriptor = None

    def __init__(self, link: Multiplex, number: int) -> None:
        self.number = number
        self.error = ""
        self._link = link
        self._receiver: Receiver | None = None
        self._paused = False
        self._arrived: deque[bytes] = deque()
        self._kept = bytearray()
        self._room = self._allowed = WINDOW
        self._owed = 0
        self._closing = self._close_sent = self._close_came = self._gone = False
        self._later: IDelayedCall | None = None

    # receiving

    def deliver_to(self, receiver: Receiver) -> None:
        """Set the object that gets what comes, and the end."""
        self._receiver = receiver
        if self._gone:
            self._later = self._link.clock.callLater(0, self._tell_lost)
        else:
            self._go_on_later()

    def read_through(self, reader: Callable[[], object]) -> Callable[[], object]:
        """Bytes come by themselves."""
        return lambda: None

    def on_half_close(self, ended: Callable[[], object]) -> None:
        """It is not to be seen."""

    def pause(self) -> None:
        """Keep what comes; the window bounds it."""
        self._paused = True

    def resume(self) -> None:
        """Deliver again, from the next turn of the loop on."""
        self._paused = False
        self._go_on_later()

    def frame_received(self, kind: int, body: bytes) -> None:
        """The link has a frame for this channel.

        @raise BrokenLink: it breaks the rules.
        """
        if self._close_came:
            raise BrokenLink(f"channel {self.number} was closed")
        if kind == FrameKind.DATA:
            self._data_received(body)
        elif kind == FrameKind.WINDOW:
            if len(body) != _NUMBER.size:
                raise BrokenLink("a WINDOW has 4 bytes")
            self._room += _NUMBER.unpack(body)[0]
            if self._room > WINDOW:
                raise BrokenLink("the window was opened too far")
            if self._kept:
                self._link.wait(self)
                self._link.writable()
        else:
            self._close_received(body)

    def _data_received(self, body: bytes) -> None:
        self._allowed -= len(body)
        if self._allowed < 0 or len(body) > MOST_PIECE:
            raise BrokenLink(f"more bytes than channel {self.number} may send")
        if self._closing or not body:  # the window does not bound what is empty
            return
        if self._paused or self._arrived or self._receiver is None:
            self._arrived.append(body)
        else:
            self._deliver(self._receiver, body)

    def _deliver(self, receiver: Receiver, body: bytes) -> None:
        receiver.data_received(body)
        self._owed += len(body)
        if self._owed >= WINDOW // 4 and not (self._closing or self._close_came):
            self._link.send_counted(frame(self.number, FrameKind.WINDOW, _NUMBER.pack(self._owed)))
            self._allowed += self._owed
            self._owed = 0

    def _go_on_later(self) -> None:
        if self._later is None and not self._gone and (self._arrived or self._close_came):
            self._later = self._link.clock.callLater(0, self._go_on)

    def _go_on(self) -> None:
        """Deliver what was kept, and the end after it."""
        self._later = None
        while self._arrived and not self._paused and not self._closing:
            if self._receiver is None:
                return
            self._deliver(self._receiver, self._arrived.popleft())
        if self._close_came and (self._closing or not self._arrived):
            self._lose()

    # sending

    def send_now(self, data: bytes) -> int:
        """As much as the window and the link take."""
        if self._gone:
            return len(data)
        if self._kept or self._closing or not self._link.ready:
            return 0
        if len(data) <= MOST_PIECE and len(data) <= self._room:
            self._room -= len(data)
            self._link.send_counted(frame(self.number, FrameKind.DATA, data))
            return len(data)
        sent = 0
        while sent < len(data) and self._room and self._link.ready:
            sent += self._send_some(data[sent : sent + min(MOST_PIECE, self._room)])
        return sent

    def _send_some(self, piece: bytes) -> int:
        self._room -= len(piece)
        self._link.send_counted(frame(self.number, FrameKind.DATA, piece))
        return len(piece)

    def write(self, data: bytes) -> None:
        """Keep it until there is room."""
        if self._gone or self._close_sent:
            return
        self._kept += data
        self._link.wait(self)
        self._link.writable()

    def send_piece(self) -> bool:
        """The link has room: send a piece of what is kept. True: nothing more can be sent now."""
        size = min(len(self._kept), MOST_PIECE, self._room)
        if size:
            piece = bytes(self._kept[:size])
            del self._kept[:size]
            self._send_some(piece)
        if not self._kept:
            if self._closing:
                self._send_close("")
            elif self._receiver is not None and not self._gone:
                self._receiver.drained()
            return not self._kept
        return not self._room

    @property
    def unsent(self) -> int:
        """Bytes for which there was no room."""
        return len(self._kept)

    # ends

    @property
    def hung_up(self) -> bool:
        """The other side has closed it; what it had sent before is kept while this is paused."""
        return self._close_came

    @property
    def closing(self) -> bool:
        """It is to be closed."""
        return self._closing

    def close(self) -> None:
        """Send what is kept, then CLOSE; what comes is dropped."""
        if self._closing or self._gone:
            return
        self._closing = True
        self._arrived.clear()
        if self._close_came:
            self._go_on_later()
        elif not self._kept:
            self._send_close("")

    def abort(self) -> None:
        """Close at once."""
        self.refuse("aborted")

    def refuse(self, reason: str) -> None:
        """Close at once and say why."""
        if self._gone:
            return
        self._closing = True
        self._arrived.clear()
        self._kept.clear()
        self._send_close(reason)
        if self._later is None:
            self._later = self._link.clock.callLater(0, self._lose)

    def _send_close(self, reason: str) -> None:
        if not self._close_sent:
            self._close_sent = True
            body = json.dumps({"error": reason}).encode() if reason else b"{}"
            self._link.send_counted(frame(self.number, FrameKind.CLOSE, body))
            if self._close_came:
                self._link.forget(self)

    def _close_received(self, body: bytes) -> None:
        self._close_came = True
        self.error = str(parse_object(body).get("error", ""))[:1000]
        unsent = bool(self._kept)
        self._kept.clear()
        self._send_close("")
        self._link.forget(self)
        if self._closing or self.error or unsent or not self._arrived:
            self._lose()

    def link_ended(self, reason: str) -> None:
        """There is no link any more."""
        self.error = self.error or reason
        self._kept.clear()
        self._closing = self._close_sent = True
        self._lose()

    def _lose(self) -> None:
        if self._gone:
            return
        self._gone = True
        self._arrived.clear()
        self._kept.clear()
        if self._later is not None and self._later.active():
            self._later.cancel()
        self._later = None
        self._tell_lost()

    def _tell_lost(self) -> None:
        self._later = None
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.lost()


def parse_object(body: bytes) -> dict[str, Any]:
    """What OPEN, CLOSE and CONTROL say; all of it can be written again as JSON and as text.

    @raise BrokenLink: it is no JSON object.
    """
    try:
        return _OBJECT.decode(body or b"{}")
    except (ValueError, RecursionError):
        raise BrokenLink("a JSON object was due") from None
