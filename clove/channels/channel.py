"""The contract of a channel, which carries a connection's bytes, and of their receiver.

A connection knows its channel and nothing of the socket, the TLS session or the WebSocket below
it. Each kind of channel passes the same tests (tests/contracts/channel.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

__all__ = ["Channel", "DescriptorsSent", "Receiver"]


class DescriptorsSent(Exception):
    """The peer attached descriptors to what it sent; none was taken."""


class Receiver(Protocol):
    """The object that gets what comes over a channel."""

    def data_received(self, data: bytes) -> None:
        """Bytes came, in pieces of any size."""

    def descriptors_received(self) -> None:
        """The peer attached descriptors: nothing more is read. To be told, and closed."""

    def drained(self) -> None:
        """All that L{Channel.write} kept is on its way."""

    def lost(self) -> None:
        """The channel is gone. Called once, and last."""


class Channel(Protocol):
    """Bytes to and from one peer.

    @ivar released: None, or fires when the operating system has closed the channel, which may be
        long after it was lost.
    """

    released: Deferred[None] | None

    @property
    def descriptor(self) -> tuple[int, bool] | None:
        """Of a Unix socket that may be read and written directly while L{write} keeps nothing, and
        whether descriptors may be attached to what comes, which a read would drop; None: there is no
        such socket.
        """

    @property
    def send_descriptors(self) -> Callable[[bytes, Sequence[int]], int] | None:
        """As L{send_now}, with descriptors on the first byte; None where none can be sent."""

    @property
    def send_now(self) -> Callable[[bytes], int]:
        """Send what can be sent at once; how many bytes that was.

        Not to be called while bytes wait that L{write} has kept. It raises BlockingIOError if
        nothing can be sent, another OSError if the peer is gone.
        """

    def write(self, data: bytes) -> None:
        """Keep bytes and send them as the peer takes them, then call L{Receiver.drained}."""

    @property
    def unsent(self) -> int:
        """Bytes that L{write} keeps."""

    @property
    def closing(self) -> bool:
        """L{close} was called."""

    def deliver_to(self, receiver: Receiver) -> None:
        """Tell a receiver what happens from now on. To be called once, and first."""

    def read_through(self, reader: Callable[[], object]) -> Callable[[], object]:
        """Call this instead of reading, wherever this side would read by itself.

        @return: the read itself; the reader calls it when it wants to, and returns its result;
            where bytes come without being asked for, a function that does nothing.
        """

    def on_half_close(self, ended: Callable[[], object]) -> None:
        """Call this, once, when the peer has shut down its sending half (shutdown(2), SHUT_WR) and may read yet; nothing
        is read then. Without it, and where that is not to be seen (TLS, WebSockets, links), such a peer is lost.
        """

    @property
    def hung_up(self) -> bool:
        """The peer is gone altogether: while nothing is read, nothing else tells of it before the next write."""

    def pause(self) -> None:
        """Read no more, but for what is here already. Idempotent."""

    def resume(self) -> None:
        """Read again. Idempotent."""

    def close(self) -> None:
        """Send what is kept, then close; nothing more is received."""

    def abort(self) -> None:
        """Close at once; what is kept is lost, and nothing more is received."""
