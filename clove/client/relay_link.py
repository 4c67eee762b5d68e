"""A link to a relay behind an ordinary socket, so that every client speaks through it as to a kernel.

A thread moves bytes between one end of a socket pair and the relay. When the connection is cut it
connects again and resumes the session: no byte is lost or doubled, and the client does not notice. Only
when that fails does the client's end close, or as soon as nothing is under way through a relay that is
about to stop: the next call connects anew, to another relay. Standard library only.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from time import monotonic

from clove.channels.session import (
    MOST_PIECE,
    WINDOW,
    BrokenLink,
    FrameKind,
    Session,
    ack_count,
    frame,
    parse,
)
from clove.client.relay_connection import RelayAddress, RelayConnection
from clove.client.relay_redial import Redial, Told
from clove.client.unanswered import Unanswered
from clove.client.welcome import is_drain
from clove.errors import CloveError

__all__ = ["RelayLink", "dial_relay", "open_link"]

CHANNEL = 1
"""The only one of a remote agent's link."""
ACK_SECONDS = 0.1
PING_SECONDS = 20.0
"""Without a message; then the relay is asked for one."""
_NUMBER = struct.Struct(">I")


def dial_relay(address: RelayAddress, deadline: float | None) -> socket.socket:
    """As L{open_link}; the socket alone."""
    return open_link(address, deadline)[0]


def open_link(
    address: RelayAddress, deadline: float | None, told: Told | None = None
) -> tuple[socket.socket, RelayLink]:
    """A connected socket that leads to a kernel through a relay, and what moves its bytes.

    @param deadline: of the monotonic clock.
    @raise CloveError: as L{RelayConnection.open}.
    """
    connection = RelayConnection.open(address, "", 0, deadline)
    ours, theirs = socket.socketpair()
    link = RelayLink(address, connection, theirs, told)
    link.start()
    return ours, link


class RelayLink(threading.Thread):
    """Moves bytes until one side closes.

    @ivar ended: why the connection to the relay is gone for good, before the client's end closes.
    """

    def __init__(
        self,
        address: RelayAddress,
        connection: RelayConnection,
        local: socket.socket,
        told: Told | None = None,
    ) -> None:
        super().__init__(name="clove-relay-link", daemon=True)
        self.ended: CloveError | None = None
        self._relay = connection
        self._welcome = connection.welcome
        self._local = local
        self._session = Session()
        self._room = self._allowed = WINDOW
        self._owed = 0
        self._to_local = bytearray()
        self._closed_here = self._closed_there = False
        self._draining = self._leaving = False
        self._unanswered = Unanswered()
        self._ack_at: float | None = None
        self._heard = monotonic()
        self._asked = False
        self._redial = Redial(address, told, self._is_abandoned)
        local.setblocking(False)

    @property
    def is_down(self) -> bool:
        """Whether the relay has not been reached for longer than a moment."""
        return self._redial.down

    def run(self) -> None:
        """The thread."""
        try:
            while not self._is_over():
                try:
                    self._turn()
                except CloveError:
                    self._resume()
        except CloveError as error:
            self.ended = error
        except (BrokenLink, OSError):
            pass
        finally:
            self._local.close()
            self._relay.close()

    def _is_over(self) -> bool:
        if self._closed_there:
            return not self._to_local
        return self._closed_here and not self._relay.unsent and not self._session.unacknowledged

    # moving bytes

    def _turn(self) -> None:
        """Wait for something to do, and do it."""
        self._handle_all()
        poll = select.poll()
        reads = self._room and not self._session.is_full and not self._closed_here
        reads = reads and not (self._leaving and self._unanswered.count)
        wanted = (select.POLLIN if reads else 0) | (select.POLLOUT if self._to_local else 0)
        if wanted or not self._closed_here:  # that its other end was closed is always told
            poll.register(self._local, wanted)
        poll.register(
            self._relay.socket, select.POLLIN | (select.POLLOUT if self._relay.unsent else 0)
        )
        events = dict(poll.poll(self._patience() * 1000))
        there = events.get(self._relay.socket.fileno(), 0)
        here = events.get(self._local.fileno(), 0)
        if there & ~select.POLLOUT:
            self._from_relay()
        if self._to_local:
            self._feed_local()
        if reads and here & ~select.POLLOUT:
            self._from_local()
        elif here & (select.POLLHUP | select.POLLERR) and not self._closed_here:
            self._close_here()  # what it has sent at last, nothing is read to take
        if self._draining:
            self._leave_if_idle()
        self._tick()
        self._relay.flush()

    def _patience(self) -> float:
        now = monotonic()
        until = self._heard + PING_SECONDS * (2 if self._asked else 1)
        if self._ack_at is not None:
            until = min(until, self._ack_at)
        return max(0.0, until - now)

    def _tick(self) -> None:
        now = monotonic()
        if self._ack_at is not None and now >= self._ack_at:
            self._send_ack()
        if now >= self._heard + PING_SECONDS:
            if self._asked:
                if now >= self._heard + 2 * PING_SECONDS:
                    raise CloveError("the relay is silent")
                return
            self._asked = True
            self._relay.send(frame(0, FrameKind.CONTROL, b'{"type":"ping","id":0}'))

    def _from_local(self) -> None:
        """The client's bytes."""
        try:
            data = self._local.recv(min(MOST_PIECE, self._room))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._unanswered.asked(data)
            self._room -= len(data)
            self._send(frame(CHANNEL, FrameKind.DATA, data))
        else:
            self._close_here()

    def _close_here(self) -> None:
        self._closed_here = True
        self._send(frame(CHANNEL, FrameKind.CLOSE, b"{}"))

    def _leave_if_idle(self) -> None:
        """Take no further request once all are answered; what came at the last moment is served."""
        if self._leaving or not self._unanswered.none or self._to_local or self._closed_here:
            return
        self._leaving = True
        with contextlib.suppress(OSError):
            self._local.shutdown(
                socket.SHUT_RD
            )  # a write gets EPIPE now: that request was not sent

    def _feed_local(self) -> None:
        """The kernel's bytes."""
        try:
            sent = self._local.send(self._to_local, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return
        except OSError:
            self._to_local.clear()
            return
        del self._to_local[:sent]
        self._owed += sent
        if self._owed >= WINDOW // 4 and not self._closed_there:
            self._send(frame(CHANNEL, FrameKind.WINDOW, _NUMBER.pack(self._owed)))
            self._allowed += self._owed
            self._owed = 0

    def _send(self, counted: bytes) -> None:
        self._session.keep(counted)
        self._relay.send(counted)

    def _send_ack(self) -> None:
        self._ack_at = None
        if self._session.owes_ack:
            self._relay.send(self._session.ack())

    # what the relay says

    def _from_relay(self) -> None:
        self._relay.receive()
        while self._relay.has_more:
            self._relay.receive()
        self._handle_all()

    def _handle_all(self) -> None:
        messages = self._relay.take()
        if messages:
            self._heard, self._asked = monotonic(), False
        while messages:
            self._handle(messages.popleft())

    def _handle(self, message: bytes) -> None:
        number, kind, body = parse(message)
        if kind == FrameKind.ACK:
            self._session.acknowledge(ack_count(body))
            return
        if kind == FrameKind.CONTROL:
            self._draining |= is_drain(body)
            return
        if self._session.count(len(message)):
            self._send_ack()
        elif self._ack_at is None:
            self._ack_at = monotonic() + ACK_SECONDS
        if number != CHANNEL or self._closed_there:
            raise BrokenLink("the relay speaks of another channel")
        if kind == FrameKind.DATA:
            self._allowed -= len(body)
            if self._allowed < 0:
                raise BrokenLink("the relay sends more than it may")
            self._unanswered.told(body)
            self._to_local += body
        elif kind == FrameKind.WINDOW:
            self._widen(body)
        elif kind == FrameKind.CLOSE:
            self._closed_there = True
        else:
            raise BrokenLink("the relay opens a channel")

    def _widen(self, body: bytes) -> None:
        if len(body) != _NUMBER.size:
            raise BrokenLink("a WINDOW has 4 bytes")
        self._room += _NUMBER.unpack(body)[0]
        if self._room > WINDOW:
            raise BrokenLink("the window was opened too far")

    # after a cut

    def _resume(self) -> None:
        """Go on over a new connection.

        @raise CloveError: that cannot be, or not in time.
        """
        self._relay.close()
        connection = self._redial.dial(self._welcome, self._session.received)
        self._relay, self._welcome = connection, connection.welcome
        self._heard, self._asked, self._ack_at = monotonic(), False, None
        for message in self._session.resume(connection.welcome.received):
            connection.send(message)

    def _is_abandoned(self) -> bool:
        """Has the client closed its end?"""
        if self._closed_here:
            return True
        poll = select.poll()
        poll.register(self._local, 0)
        with contextlib.suppress(OSError):
            return any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0))
        return True
