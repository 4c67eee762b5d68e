"""One connection to a relay: TCP, TLS, WebSocket and the first messages. Standard library only."""

from __future__ import annotations

import json
import os
import socket
import ssl
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from clove.client.websocket import BINARY, CLOSE, PING, PONG, TEXT, Decoder, encode, request
from clove.client.welcome import Welcome, printable, welcome_of
from clove.errors import ConnectionLost, InvalidRequest, TimedOut

__all__ = ["RelayAddress", "RelayConnection"]

MOST_MESSAGE = 1 << 18
_CHUNK = 1 << 16
_MOST_UNANSWERED = 1 << 20
"""Bytes that wait to be sent; then pings are not answered: the relay does not read."""
_DEFAULT_PORT = 8765
OPEN_SECONDS = 30.0
"""For a connection that no deadline is said for: a relay that accepts it may say nothing."""
_PLAIN = ("ws", "http")
_SECURE = ("wss", "https")


class RelayAddress(NamedTuple):
    """Where a relay is, and what is asked of it.

    @ivar token: is in no representation.
    """

    host: str
    port: int
    tls: bool
    machine: str
    name: str
    token: str
    ca_file: str | None = None

    def __repr__(self) -> str:
        return f"<RelayAddress {self.machine} at {self.host}:{self.port}>"

    @classmethod
    def of(
        cls, url: str, machine: str, token: str, name: str, ca_file: str | None, *, plain: bool
    ) -> RelayAddress:
        """What the words mean.

        @param plain: allow a connection without TLS to another host.
        @raise InvalidRequest: they mean nothing.
        """
        parts = urlsplit(url if "://" in url else f"wss://{url}")
        try:
            host, port = parts.hostname or "", parts.port or _DEFAULT_PORT
        except ValueError:
            host, port = "", 0
        if not host or parts.scheme not in (*_PLAIN, *_SECURE):
            raise InvalidRequest(
                f"{url!r} is no relay's URL", hint="such as wss://relay.example:8765"
            )
        tls = parts.scheme in _SECURE
        if not (tls or plain or host in ("localhost", "::1") or host.startswith("127.")):
            raise InvalidRequest(
                f"{url} is without TLS and not on this machine: its token would cross the network "
                "unencrypted",
                hint="use wss://",
            )
        return cls(host, port, tls, machine, name or f"client-{os.getpid()}", token, ca_file)


class RelayConnection:
    """Sends and receives messages; L{open} connects.

    @ivar welcome: what the relay has agreed to.
    """

    welcome: Welcome

    def __init__(self, end: socket.socket, address: RelayAddress) -> None:
        self.socket = end
        head, accept = request(address.host, address.port)
        self._decoder = Decoder(accept, MOST_MESSAGE)
        self._unsent = bytearray(head)
        self._messages: deque[bytes] = deque()
        self._answer: bytes | None = None
        self._closed = ""
        self._welcomed = False

    @classmethod
    def open(
        cls, address: RelayAddress, session: str, received: int, deadline: float | None
    ) -> RelayConnection:
        """Connect, and be let in. Blocking.

        @param session: to be resumed; "" for a new one.
        @param received: how many frames of it have come.
        @param deadline: of the monotonic clock; None: L{OPEN_SECONDS} from now.
        @raise ConnectionLost: the relay cannot be reached.
        @raise PermissionDenied, Unavailable: it refuses, or the machine is not connected.
        @raise TimedOut: the deadline is over.
        """
        if deadline is None:
            deadline = monotonic() + OPEN_SECONDS
        try:
            end = _connected(address, deadline)
        except ssl.SSLCertVerificationError as error:
            raise ConnectionLost(
                f"the relay's certificate is not trusted: {error.verify_message}",
                hint="say which authority signs it: ca_file",
            ) from None
        except OSError as error:
            raise ConnectionLost(
                f"the relay at {address.host}:{address.port} cannot be reached: "
                f"{error.strerror or error}",
                hint="is it running, and is this where its WebSockets are (hub of clove config show)?",
            ) from None
        connection = cls(end, address)
        try:
            connection._authenticate(address, session, received, deadline)
            end.settimeout(0)
        except BaseException:
            end.close()
            raise
        return connection

    def _authenticate(
        self, address: RelayAddress, session: str, received: int, deadline: float
    ) -> None:
        said: dict[str, Any] = {
            "type": "agent_auth",
            "protocol_version": 2,
            "name": address.name,
            "token": address.token,
            "target_machine": address.machine,
        }
        if session:
            said |= {"session": session, "received": received}
        self._exchange(lambda: self._decoder.is_open, deadline)  # no token for what is no relay
        self._unsent += encode(TEXT, json.dumps(said).encode())
        self._exchange(lambda: self._answer is not None, deadline)
        assert self._answer is not None
        self.welcome = welcome_of(self._answer, address.machine)
        self._welcomed = True

    def _exchange(self, done: Callable[[], bool], deadline: float) -> None:
        while not done():
            self._wait(deadline)
            self.flush()
            self.receive()

    def _wait(self, deadline: float) -> None:
        left = deadline - monotonic()
        if left <= 0:
            raise TimedOut("the relay did not answer in time")
        self.socket.settimeout(left)

    # messages

    def send(self, message: bytes) -> None:
        """Have a message sent; L{flush} does it."""
        self._unsent += encode(BINARY, message)

    @property
    def unsent(self) -> int:
        """Bytes that wait to be sent."""
        return len(self._unsent)

    def flush(self) -> None:
        """Send what can be sent now.

        @raise ConnectionLost: it is gone.
        """
        try:
            while self._unsent:
                sent = self.socket.send(self._unsent[:_CHUNK])
                del self._unsent[:sent]
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except TimeoutError:
            raise TimedOut("the relay did not answer in time") from None
        except OSError as error:
            raise ConnectionLost(f"the relay is lost: {error.strerror or error}") from None

    def receive(self) -> None:
        """Take in what has come; once, or all of it where that needs no waiting.

        @raise ConnectionLost: it is gone.
        """
        try:
            data = self.socket.recv(_CHUNK)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except TimeoutError:
            raise TimedOut("the relay did not answer in time") from None
        except OSError as error:
            raise ConnectionLost(f"the relay is lost: {error.strerror or error}") from None
        if not data:
            raise ConnectionLost("the relay has closed the connection")
        for kind, content in self._decoder.feed(data):
            self._take_in(kind, content)
        if self._closed and (self._answer is None or self._welcomed):
            raise ConnectionLost(f"the relay has closed the connection: {self._closed}")

    def _take_in(self, kind: int, content: bytes) -> None:
        if kind == CLOSE:
            said = printable(content[2:].decode("utf-8", "replace"))
            self._closed = self._closed or said or "for no reason"
        elif kind == PING:
            if len(self._unsent) < _MOST_UNANSWERED:
                self._unsent += encode(PONG, content)
        elif kind == BINARY and self._answer is not None:
            self._messages.append(content)
        elif kind == TEXT and self._answer is None:
            self._answer = content
        elif kind in (TEXT, BINARY):
            raise ConnectionLost(
                "the relay does not keep to the protocol: a text, then binary messages"
            )

    def take(self) -> deque[bytes]:
        """The binary messages that came; to be emptied by the caller."""
        return self._messages

    @property
    def has_more(self) -> bool:
        """Bytes have come that the operating system does not tell of: they are in the TLS layer."""
        return isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0

    def close(self) -> None:
        """Close it at once."""
        self.socket.close()


def _connected(address: RelayAddress, deadline: float) -> socket.socket:
    left = max(0.01, deadline - monotonic())
    end = socket.create_connection((address.host, address.port), left)
    try:
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not address.tls:
            return end
        context = ssl.create_default_context()
        if address.ca_file:
            context.load_verify_locations(address.ca_file)
        return context.wrap_socket(end, server_hostname=address.host)
    except BaseException:
        end.close()
        raise
