"""A DNS server of the test's own, and a way to let a kernel ask it and nobody else."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.integration.gateway_upstream import WEB

__all__ = ["Names", "asking", "names"]


class Names:
    """Answers questions for addresses by UDP, and keeps them.

    @ivar asked: every name that was asked for.
    @ivar answers: for each name the addresses of one reply after the other; the last stays.
    @ivar records: for names and kinds the data of records of other kinds.
    """

    def __init__(self, listening: socket.socket) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, list[list[str]]] = {}
        self.records: dict[tuple[str, int], list[bytes]] = {}
        self._socket = listening

    def serve(self) -> None:
        """Until an empty datagram comes."""
        while True:
            data, sender = self._socket.recvfrom(512)
            if not data:
                return
            labels, at = [], 12
            while size := data[at]:
                labels.append(data[at + 1 : at + 1 + size].decode("latin-1"))
                at += size + 1
            (kind,) = struct.unpack_from("!H", data, at + 1)
            name = ".".join(labels).lower()
            self.asked.append(name)
            found = [socket.inet_aton(each) for each in self._next(name)] if kind == 1 else []
            found += self.records.get((name, kind), [])
            flags = 0x8180 if name in self.answers or found else 0x8183
            head = data[:2] + struct.pack("!5H", flags, 1, len(found), 0, 0)
            records = b"".join(
                b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(each)) + each for each in found
            )
            self._socket.sendto(head + data[12 : at + 5] + records, sender)

    def _next(self, name: str) -> list[str]:
        answers = self.answers.get(name, [[]])
        return answers.pop(0) if len(answers) > 1 else answers[0]


@contextlib.contextmanager
def names() -> Iterator[Names]:
    """A server on port 53 of this process's own loopback address. For root."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind((WEB, 53))
        server = Names(listening)
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            yield server
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"", (WEB, 53))
            thread.join()


def asking(directory: str) -> tuple[str, ...]:
    """A command that runs another where that server is the only resolver."""
    path = Path(directory, "resolv.conf")
    path.write_text(f"nameserver {WEB}\noptions timeout:2 attempts:1\n")
    path.chmod(0o644)
    mounted = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
    return ("unshare", "-m", "--", "sh", "-c", mounted, str(path))
