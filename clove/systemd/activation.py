"""Listening sockets that systemd has opened and hands over (sd_listen_fds(3), systemd.socket(5)).

Whoever starts this process may set the environment, so a socket is checked before it is served: it is a
listening stream socket, at the address that the configuration asks for.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from typing import Final

from clove.errors import InvalidRequest

__all__ = ["MOST", "inherited_listeners"]

FIRST: Final = 3
"""The first descriptor that is handed over."""
MOST: Final = 16
"""Sockets that are handed over at most."""


def inherited_listeners(
    environ: MutableMapping[str, str], first: int = FIRST
) -> list[tuple[str, socket.socket]]:
    """The sockets that were handed to this process, each with its name; none without systemd.

    Twisted's `ListenFDs` finds them as well, but goes on without any where names are missing, forgets one of
    two with the same name, and leaves them open for child processes.

    The variables are removed, and the sockets are closed in child processes.

    @raise InvalidRequest: one is no listening stream socket, or the variables make no sense.
    """
    pid = environ.pop("LISTEN_PID", "")
    count = environ.pop("LISTEN_FDS", "")
    names = environ.pop("LISTEN_FDNAMES", "")
    if pid != str(os.getpid()):
        return []
    if not count.isdecimal() or int(count) > MOST:
        raise InvalidRequest(
            f"LISTEN_FDS is {count!r}, which is no number up to {MOST}",
            hint="see systemd.socket(5); without a socket unit unset LISTEN_PID",
        )
    named = names.split(":") if names else ["unknown"] * int(count)
    if len(named) != int(count):
        raise InvalidRequest(
            f"{count} sockets are handed over, with {len(named)} names",
            hint="see FileDescriptorName= in systemd.socket(5)",
        )
    return [(name, _listener(first + number, name)) for number, name in enumerate(named)]


def _listener(descriptor: int, name: str) -> socket.socket:
    try:
        os.set_inheritable(descriptor, False)
        held = socket.socket(fileno=descriptor)
    except OSError as error:
        raise InvalidRequest(
            f"the socket {name!r} that was handed over (descriptor {descriptor}) is none: "
            f"{error.strerror}",
            hint="the socket unit has ListenStream=, and Accept=no",
        ) from None
    listens = held.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if held.type != socket.SOCK_STREAM or not listens:
        held.detach()  # it is not ours to close
        raise InvalidRequest(
            f"the socket {name!r} that was handed over does not listen for streams",
            hint="the socket unit has ListenStream=, and Accept=no",
        )
    held.setblocking(False)
    return held
