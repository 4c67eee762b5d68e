"""Connecting to the first of some sockets where a kernel is. Standard library only."""

from __future__ import annotations

import socket
from time import monotonic

from clove.client.peer import check_server
from clove.client.socket_path import unreachable

__all__ = ["dial"]


def dial(paths: tuple[str, ...], deadline: float | None) -> tuple[socket.socket, str]:
    """A connected socket, and its path; nothing was sent.

    @param deadline: of the monotonic clock.
    @raise ConnectionLost: no kernel listens at any of them.
    @raise PermissionDenied: another user does.
    """
    errors = []
    for path in paths:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(None if deadline is None else max(0.001, deadline - monotonic()))
            connection.connect(path)
            connection.settimeout(None)
        except OSError as error:
            connection.close()
            errors.append(error)
            continue
        try:
            check_server(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection, path
    raise unreachable(paths, errors)
