"""A local port whose connections go through a relay to a port that an agent listens on inside its sandbox."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from clove.errors import CloveError, LimitExceeded, NotFound, Unavailable

if TYPE_CHECKING:
    from clove.cli.console import Console
    from clove.client.blocking import CloveClient

__all__ = ["Forwarder"]

CHUNK: Final = 64 << 10
MOST: Final = 64
"""Connections at once, as many as a kernel allows by default; more wait to be accepted."""
WAIT: Final = 30.0
"""Seconds to wait for bytes before asking again."""
TOLD: Final = 10.0
"""Seconds until it is told again that connections fail."""
_RESET: Final = struct.pack("ii", 1, 0)


class Forwarder:
    """Accepts connections until the agent ends, or cannot be reached any more.

    @param listening: of this host's loopback; taken over.
    """

    def __init__(
        self,
        console: Console,
        client: CloveClient,
        agent_id: int,
        port: int,
        listening: socket.socket,
    ) -> None:
        self._console = console
        self._client = client
        self._agent_id = agent_id
        self._port = port
        self._listening = listening
        self._room = threading.BoundedSemaphore(MOST)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._told = float("-inf")
        self._over = threading.Event()
        self._error: CloveError | None = None

    def serve(self) -> None:
        """Until the agent has ended.

        @raise CloveError: it cannot be reached any more.
        """
        self._start(self._watch)
        self._start(self._accept)
        try:
            self._over.wait()
        finally:
            self._close_all()
        if self._error is not None:
            raise self._error

    @staticmethod
    def _start(target: Callable[..., None], *args: object) -> None:
        threading.Thread(target=target, args=args, daemon=True).start()

    def _watch(self) -> None:
        """End with the agent, or with the way to it."""
        try:
            self._client.wait(self._agent_id)
        except CloveError as error:
            self._error = error
        self._over.set()

    def _accept(self) -> None:
        while not self._over.is_set():
            self._room.acquire()
            try:
                connection, _ = self._listening.accept()
            except OSError:  # closed
                return
            with self._lock:
                self._open.add(connection)
            self._start(self._carry, connection)

    def _carry(self, connection: socket.socket) -> None:
        try:
            with self._client.dial(self._port, agent_id=self._agent_id) as dialled:
                number = next(dialled)["command"]
                self._start(self._send, connection, number)
                try:
                    self._receive(connection, number)
                    dialled.finish()
                finally:  # what waits for bytes from here waits no longer
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)
        except CloveError as error:
            self._failed(connection, error)
        except OSError:  # the program here reads no more
            pass
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()
            self._room.release()

    def _send(self, connection: socket.socket, number: int) -> None:
        """From here to the agent, and then the end."""
        given = {"agent_id": self._agent_id, "command": number}
        try:
            while data := connection.recv(CHUNK):
                self._client.write_input(data, **given)
        except OSError:  # reset: so it is for the agent
            with contextlib.suppress(CloveError):
                self._client.close_stream("stdout", **given)
        except CloveError:  # the agent reads no more: the other way goes on
            return
        with contextlib.suppress(CloveError):
            self._client.close_stream("stdin", **given)

    def _receive(self, connection: socket.socket, number: int) -> None:
        """From the agent to here, and then the end."""
        ended = False
        while not ended:
            page = self._client.read_output(agent_id=self._agent_id, command=number, wait=WAIT)
            connection.sendall(page["data"])
            ended = page["ended"]
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)

    def _failed(self, connection: socket.socket, error: CloveError) -> None:
        _reset(connection)
        if not isinstance(error, (Unavailable, LimitExceeded, NotFound)):
            self._error = self._error or error
            self._over.set()
            return
        with self._lock:
            is_news = time.monotonic() - self._told > TOLD
            if is_news:
                self._told = time.monotonic()
        if is_news:
            self._console.error(error)

    def _close_all(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


def _reset(connection: socket.socket) -> None:
    """Close it so that the program here sees a failure, not an end."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
