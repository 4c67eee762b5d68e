"""A TCP proxy on loopback that cuts its connections when it is told to."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections import deque

__all__ = ["CuttingProxy"]

RESET = struct.pack("ii", 1, 0)


class CuttingProxy(threading.Thread):
    """Forwards to a port, and counts connections.

    @ivar connections: how many were made.
    @ivar plans: of the next connections, one each: how many bytes it carries from the side that dials, and
        how many back, before it is cut.
    """

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.connections = 0
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.plans: deque[tuple[int, int]] = deque()
        self._left: dict[socket.socket, int] = {}
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._lock = threading.Lock()
        self._stopped = False
        self.start()

    def run(self) -> None:
        while not self._stopped:
            with self._lock:
                watched = [self._listener, *self._pairs]
            with contextlib.suppress(OSError, ValueError):
                ready, _, _ = select.select(watched, [], [], 0.02)
                for one in ready:
                    self._serve(one)

    def _serve(self, one: socket.socket) -> None:
        if one is self._listener:
            near, _ = one.accept()
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:  # nothing listens there now
                near.close()
                return
            with self._lock:
                self._pairs |= {near: far, far: near}
                self.connections += 1
                if self.plans:
                    self._left[near], self._left[far] = self.plans.popleft()
            return
        other = self._pairs.get(one)
        if other is None:
            return
        with contextlib.suppress(OSError):
            data = one.recv(1 << 16)
            left = self._left.get(one, len(data) + 1)
            if one in self._left:
                self._left[one] -= len(data)
            if data:
                other.sendall(data[:left])
            if 0 < len(data) < left:
                return
        self._close(one)

    def _close(self, one: socket.socket) -> None:
        with self._lock:
            other = self._pairs.pop(one, None)
            if other is None:
                return
            self._pairs.pop(other, None)
            self._left.pop(one, None)
            self._left.pop(other, None)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            end.close()

    def cut(self) -> None:
        """Reset every connection that there is."""
        for one in list(self._pairs):
            self._close(one)

    def stop(self) -> None:
        self._stopped = True
        self.join()
        self.cut()
        self._listener.close()
