"""Connecting to the first of some sockets where a kernel is. Standard library only."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from time import monotonic, sleep

from clove.client.peer import check_server
from clove.client.socket_path import unreachable
from clove.errors import TimedOut

__all__ = ["Attempts", "dial"]

_FIRST_PAUSE = 0.005
_LONGEST_PAUSE = 0.1


class Attempts:
    """Attempts to connect, each of which takes no time; iterate over the pauses between them.

    A Unix socket is connected at once, or refused, or its queue is full (EAGAIN; there is nothing
    to wait for then: unix(7)). The iteration ends when there is a connection.

    @param paths: the sockets to try.
    @ivar connection: the connected socket, which does not block; nothing was sent.
    @ivar path: where it was reached.
    """

    connection: socket.socket
    path: str

    def __init__(self, paths: tuple[str, ...]) -> None:
        self._paths = paths

    def __iter__(self) -> Iterator[float]:
        """Seconds to pause until the next attempt.

        @raise ConnectionLost: no kernel listens at any of them.
        @raise PermissionDenied: another user does.
        """
        errors: list[OSError] = []
        for path in self._paths:
            pause = _FIRST_PAUSE
            while True:
                try:
                    self.connection, self.path = _connected(path), path
                    return
                except BlockingIOError:
                    yield pause
                    pause = min(2 * pause, _LONGEST_PAUSE)
                except OSError as error:
                    errors.append(error)
                    break
        raise unreachable(self._paths, errors)


def dial(paths: tuple[str, ...], deadline: float | None) -> tuple[socket.socket, str]:
    """A connected socket that blocks, and its path; nothing was sent.

    @param deadline: of the monotonic clock.
    @raise ConnectionLost: no kernel listens at any of them.
    @raise PermissionDenied: another user does.
    @raise TimedOut: the kernel does not accept.
    """
    attempts = Attempts(paths)
    for pause in attempts:
        if deadline is not None and monotonic() + pause > deadline:
            raise TimedOut("the kernel did not accept the connection in time")
        sleep(pause)
    attempts.connection.setblocking(True)
    return attempts.connection, attempts.path


def _connected(path: str) -> socket.socket:
    """A socket that is connected to a server whose user was checked.

    @raise BlockingIOError: the server's queue is full.
    @raise OSError: there is no server.
    @raise PermissionDenied: the server is another user's.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        connection.connect(path)
        check_server(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection
