"""The control socket: JSON messages over SOCK_SEQPACKET, with descriptors.

Used at both ends. A message longer than a packet is sent in pieces: the first
byte of a packet is `+` when more follows and `.` at the end; descriptors ride
on the last. A packet of L{FORGET} takes back the pieces of a message whose rest could
not be sent. Only the kernel sends long ones, so pieces never interleave.
"""

from __future__ import annotations

import _socket
import array
import json
import os
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = [
    "FORGET",
    "MAX_FDS",
    "MAX_MESSAGE",
    "PACKET",
    "Assembler",
    "BadMessage",
    "Channel",
    "packets",
]

PACKET = 32 << 10
"""Bytes of a message in one packet."""
MAX_MESSAGE = 4 << 20
"""Bytes of a whole message, inclusive; a longer one is refused by both ends."""
FORGET = b"!"
"""The packet after which the pieces so far belong to no message."""
MAX_FDS = 4
"""Descriptors with one message, at most; more are closed unseen by the kernel."""


class BadMessage(Exception):
    """Too long, not JSON, not an object."""


def packets(message: dict[str, Any]) -> list[bytes]:
    """A message as packets.

    @raise BadMessage: it is too long.
    """
    text = json.dumps(message, separators=(",", ":")).encode()
    if len(text) > MAX_MESSAGE:
        raise BadMessage(f"a message of {len(text)} bytes is over the limit of {MAX_MESSAGE}")
    pieces = [text[at : at + PACKET] for at in range(0, len(text), PACKET)]
    return [b"+" + piece for piece in pieces[:-1]] + [b"." + pieces[-1]]


class Assembler:
    """Packets to messages; holds one incomplete message at most."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, packet: bytes) -> dict[str, Any] | None:
        """Take a packet; give the message that it completes.

        @raise BadMessage: see the class.
        """
        if packet == FORGET:
            self._buffer.clear()
            return None
        self._buffer += packet[1:]
        if len(self._buffer) > MAX_MESSAGE:
            raise BadMessage(f"a message is over the limit of {MAX_MESSAGE} bytes")
        if packet[:1] == b"+":
            return None
        try:
            message = json.loads(self._buffer)
        except (ValueError, RecursionError) as error:
            raise BadMessage(f"not JSON: {error}") from None
        finally:
            self._buffer.clear()
        if not isinstance(message, dict):
            raise BadMessage("not an object")
        return message


class Channel:
    """A blocking end: of the helper, of init, and between init and a waiting main program.

    @param most_fds: descriptors that one message may bring.
    """

    def __init__(self, fd: int, most_fds: int = MAX_FDS) -> None:
        self._socket = _socket.socket(fileno=fd)
        os.set_inheritable(fd, False)
        self._assembler = Assembler()
        self._space = _socket.CMSG_SPACE(most_fds * 4)

    def fileno(self) -> int:
        """The descriptor, for poll."""
        return self._socket.fileno()

    def send(self, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
        """Send a message of one packet.

        @raise OSError: the other side is gone; ETOOMANYREFS, ENOBUFS: this message was not
            sent (unix(7)).
        """
        (packet,) = packets(message)
        rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self._socket.sendmsg([packet], rights, _socket.MSG_NOSIGNAL)

    def receive(self, onward: Channel | None = None) -> tuple[dict[str, Any], list[int]] | None:
        """Wait for a message and its descriptors (close-on-exec); None at the end.

        Some of the descriptors are missing where this process may not have so many.

        @param onward: gets a copy of the message, without the descriptors.
        @raise BadMessage: the other side sent nonsense.
        """
        while True:
            packet, ancillary, _, _ = self._socket.recvmsg(
                PACKET + 1, self._space, _socket.MSG_CMSG_CLOEXEC
            )
            if not packet:
                return None
            if onward is not None:
                onward._socket.send(packet, _socket.MSG_NOSIGNAL)
            message = self._assembler.feed(packet)
            if message is not None:
                return message, _descriptors(ancillary)

    def has_something(self) -> bool:
        """L{receive} would not wait."""
        return bool(select.select([self._socket], [], [], 0)[0])

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def detach(self) -> None:
        """Forget the descriptor without closing it."""
        self._socket.detach()


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    fds = array.array("i")
    for level, kind, data in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return list(fds)
